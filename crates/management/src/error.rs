//! What is answered when something cannot be done: RabbitMQ's status codes and JSON bodies.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use thiserror::Error;

/// What browsers and clients are asked for.
const REALM: HeaderValue = HeaderValue::from_static(r#"Basic realm="RabbitMQ Management""#);

/// A request that is refused, or cannot be carried out.
#[derive(Debug, Error)]
pub enum ApiError {
    /// 400: what was sent makes no sense, or breaks a rule.
    #[error("bad request: {0}")]
    BadRequest(String),
    /// 400 with a name of its own for the kind of error.
    #[error("{error}: {reason}")]
    Invalid {
        /// The kind.
        error: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// 400: nobody may have this password.
    #[error("{0}")]
    PasswordRefused(String),
    /// 401: who it is is not known, and nothing was said about it.
    #[error("no credentials")]
    NoCredentials,
    /// 401: the credentials are wrong.
    #[error("not authorized")]
    NotAuthenticated,
    /// 401: this user may not.
    #[error("not authorised: {0}")]
    NotAuthorised(String),
    /// 404 for a path or an object of no particular kind.
    #[error("not found")]
    NoObject,
    /// 404 with a reason.
    #[error("not found: {0}")]
    NotFound(String),
    /// 405: the path is there, and does not know the method. The methods that it knows, as in the header `allow`.
    #[error("method not allowed")]
    MethodNotAllowed(String),
    /// 406: only JSON can be had.
    #[error("not acceptable")]
    NotAcceptable,
    /// 412: something is in the way that can be taken away.
    #[error("precondition failed: {0}")]
    PreconditionFailed(String),
    /// 500: a fault of ours.
    #[error("internal error: {0}")]
    Internal(String),
    /// 503: a health check failed; the whole body.
    #[error("unhealthy: {0}")]
    Unhealthy(Value),
    /// 503: the broker stops or its disk has failed.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl ApiError {
    /// 400 with this reason.
    #[must_use]
    pub fn bad_request(reason: impl Into<String>) -> Self {
        Self::BadRequest(reason.into())
    }

    /// 404 with this reason, such as `queue_not_found`.
    #[must_use]
    pub fn not_found(reason: impl Into<String>) -> Self {
        Self::NotFound(reason.into())
    }

    /// 401 for a user who is known, and may not.
    #[must_use]
    pub fn not_authorised(reason: impl Into<String>) -> Self {
        Self::NotAuthorised(reason.into())
    }

    /// The same with its reason written as HTML has it, as RabbitMQ answers where settings are not sound.
    #[must_use]
    pub fn fit_for_a_page(self) -> Self {
        match self {
            Self::BadRequest(reason) => {
                Self::BadRequest(reason.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
            }
            other => other,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::Invalid { .. } | Self::PasswordRefused(_) => StatusCode::BAD_REQUEST,
            Self::NoCredentials | Self::NotAuthenticated | Self::NotAuthorised(_) => StatusCode::UNAUTHORIZED,
            Self::NoObject | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::PreconditionFailed(_) => StatusCode::PRECONDITION_FAILED,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unhealthy(_) | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The body; none is an empty one.
    fn body(&self) -> Option<Value> {
        Some(match self {
            Self::BadRequest(reason) => json!({ "error": "bad_request", "reason": reason }),
            Self::Invalid { error, reason } => json!({ "error": error, "reason": reason }),
            // RabbitMQ says no more than the reason.
            Self::PasswordRefused(explanation) => {
                json!({ "error": "bad_request", "reason": "credential_validation_failed", "explanation": explanation })
            }
            Self::NotAuthenticated => json!({ "error": "not_authorized", "reason": "Not_Authorized" }),
            // Spelt in two ways by RabbitMQ, and scripts look for either.
            Self::NotAuthorised(reason) => json!({ "error": "not_authorised", "reason": reason }),
            Self::NoObject => json!({ "error": "Object Not Found", "reason": "Not Found" }),
            Self::NotFound(reason) => json!({ "error": "not_found", "reason": reason }),
            Self::PreconditionFailed(reason) => json!({ "error": "precondition_failed", "reason": reason }),
            Self::Internal(reason) => json!({ "error": "internal_server_error", "reason": reason }),
            Self::Unhealthy(body) => body.clone(),
            Self::Unavailable(reason) => json!({ "error": "service_unavailable", "reason": reason }),
            Self::NoCredentials | Self::MethodNotAllowed(_) | Self::NotAcceptable => return None,
        })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = self.body();
        let mut response = Response::new(Body::from(body.as_ref().map(Value::to_string).unwrap_or_default()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        match self {
            Self::NoCredentials | Self::NotAuthenticated => {
                headers.insert(WWW_AUTHENTICATE, REALM);
            }
            Self::MethodNotAllowed(methods) => {
                headers.extend(HeaderValue::from_str(&methods).ok().map(|methods| (ALLOW, methods)));
            }
            _ => {}
        }
        response
    }
}
