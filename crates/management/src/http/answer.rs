//! Answers that are no errors.

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};
use serde_json::Value;

/// 200 with JSON.
#[must_use]
pub fn json(value: &Value) -> Response {
    let mut response = typed("application/json", value.to_string());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// 200 with some other kind of text.
#[must_use]
pub fn typed(content_type: &'static str, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// 204.
#[must_use]
pub fn no_content() -> Response {
    empty(StatusCode::NO_CONTENT)
}

/// 201 for what was made, 204 for what was there.
#[must_use]
pub fn put(is_new: bool) -> Response {
    empty(if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT })
}

/// 201 with the place of what was made.
#[must_use]
pub fn created_at(location: &str) -> Response {
    with_location(StatusCode::CREATED, location)
}

/// 301 to another path.
#[must_use]
pub fn moved(location: &str) -> Response {
    with_location(StatusCode::MOVED_PERMANENTLY, location)
}

/// 303 to a page that tells what came of it.
#[must_use]
pub fn see_other(location: &str) -> Response {
    with_location(StatusCode::SEE_OTHER, location)
}

fn with_location(status: StatusCode, location: &str) -> Response {
    let mut response = empty(status);
    response.headers_mut().extend(HeaderValue::from_str(location).ok().map(|location| (LOCATION, location)));
    response
}

/// A status without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
