//! What the engine refuses, as answers of the API.

use leveret_codec::reply_code::ReplyCode;
use leveret_server::engine::error::Error;

use crate::error::ApiError;

impl From<Error> for ApiError {
    /// As RabbitMQ does it: who may not do something is not told more, what is missing is not found, and the rest is the
    /// text that an AMQP client would see.
    fn from(error: Error) -> Self {
        match error.reply_code() {
            ReplyCode::AccessRefused => Self::not_authorised("Access refused."),
            ReplyCode::NotFound => Self::not_found(error.to_string()),
            _ => Self::bad_request(error.to_string()),
        }
    }
}

/// The same of publishing and getting, where RabbitMQ tells the whole of what an AMQP client would see.
pub(super) fn with_code(error: &Error) -> ApiError {
    let code = error.reply_code();
    ApiError::bad_request(format!("{} {} - {error}", code.code(), code.name()))
}
