//! Cross-origin resource sharing: which pages of others may use the API.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Cors;

/// Adds what lets a page use the answer, if its origin is allowed.
pub(super) fn allow_origin(cors: &Cors, request: &HeaderMap, response: &mut HeaderMap) -> bool {
    response.append(VARY, HeaderValue::from_static("accept, accept-encoding, origin"));
    let Some(origin) = request.get(ORIGIN) else { return false };
    let is_allowed = cors.allow_origins.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes());
    if is_allowed {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    is_allowed
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
