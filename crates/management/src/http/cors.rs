//! Cross-origin resource sharing: which pages of others may use the API.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Cors;

/// Stands for all origins.
const ANY: &str = "*";

/// Adds what lets a page use the answer, if its origin is allowed.
pub(super) fn allow_origin(cors: &Cors, request: &HeaderMap, response: &mut HeaderMap) -> bool {
    response.append(VARY, HeaderValue::from_static("accept, accept-encoding, origin"));
    // Pages that come from nowhere in particular are nobody's.
    let Some(origin) = request.get(ORIGIN).filter(|origin| *origin != "null") else { return false };
    if cors.allow_origins.iter().any(|allowed| allowed != ANY && allowed.as_bytes() == origin.as_bytes()) {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        return true;
    }
    let is_any = cors.allow_origins.iter().any(|allowed| allowed == ANY);
    if is_any {
        // No page but those that are named acts with the password that a browser remembers.
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(ANY));
    }
    is_any
}

/// Adds what a browser asks for before it sends a request proper.
pub(super) fn allow_methods(cors: &Cors, methods: &str, request: &HeaderMap, response: &mut HeaderMap) {
    let mut set =
        |name: HeaderName, text: &str| response.extend(HeaderValue::from_str(text).ok().map(|text| (name, text)));
    set(ACCESS_CONTROL_ALLOW_METHODS, methods);
    if let Some(seconds) = cors.max_age_s {
        set(ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
    }
    if let Some(names) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        response.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
}
