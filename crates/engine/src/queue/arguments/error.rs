//! Refusals of arguments, in RabbitMQ's words.

use thiserror::Error;

use super::QueueType;

/// A refusal of arguments or properties. Its display is the text after `PRECONDITION_FAILED - `, the reply code of all of
/// them.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[allow(missing_docs, reason = "each variant's text says it")]
pub enum ArgumentError {
    #[error("invalid arg '{argument}' for queue '{queue}' in vhost '{vhost}': {reason}")]
    InvalidValue { argument: Box<str>, queue: Box<str>, vhost: Box<str>, reason: Reason },
    #[error(
        "invalid arg '{argument}' for queue '{queue}' in vhost '{vhost}' of queue type {}",
        queue_type.module()
    )]
    ForeignArgument { argument: Box<str>, queue: Box<str>, vhost: Box<str>, queue_type: QueueType },
    #[error("invalid type '{type_name}' for arg '{argument}' in {kind} '{name}' in vhost '{vhost}'")]
    InvalidType {
        type_name: &'static str,
        argument: Box<str>,
        /// `queue` or `exchange`
        kind: &'static str,
        name: Box<str>,
        vhost: Box<str>,
    },
    #[error("Invalid value for x-stream-filter-size-bytes")]
    InvalidStreamFilterSize,
    #[error("invalid property '{property}' for queue '{queue}' in vhost '{vhost}'")]
    InvalidProperty { property: &'static str, queue: Box<str>, vhost: Box<str> },
    #[error("Cannot declare a server-named queue for type {}", .0.module())]
    ServerNamed(QueueType),
    #[error(
        "inequivalent arg '{argument}' for {kind} '{name}' in vhost '{vhost}': received {received} but current is {current}"
    )]
    Inequivalent {
        argument: Box<str>,
        /// `queue` or `exchange`
        kind: &'static str,
        name: Box<str>,
        vhost: Box<str>,
        /// The value in quotes, the value with its type, or `none`
        received: Box<str>,
        /// The same of the entity as it is
        current: Box<str>,
    },
    #[error("Invalid x-match field value {0}; expected all, any, all-with-x, or any-with-x")]
    BadXMatchValue(Box<str>),
    #[error("Invalid x-match field type {type_name} (value {value}); expected longstr")]
    BadXMatchType { type_name: &'static str, value: Box<str> },
}

/// Why a value is refused, as RabbitMQ's terms print.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[allow(missing_docs, reason = "each variant's text says it")]
pub enum Reason {
    #[error("\"expected integer, got {0}\"")]
    ExpectedInteger(&'static str),
    #[error("{{value_zero,0}}")]
    ValueZero,
    #[error("{{value_negative,{0}}}")]
    ValueNegative(i64),
    #[error("{{value_too_large,{0}}}")]
    ValueTooLarge(i64),
    #[error("{{max_value_exceeded,{0}}}")]
    MaxValueExceeded(i64),
    #[error("{{unacceptable_type,{0}}}")]
    UnacceptableType(&'static str),
    #[error("routing_key_but_no_dlx_defined")]
    RoutingKeyWithoutExchange,
    #[error("invalid_dlx_strategy")]
    InvalidDeadLetterStrategy,
    #[error("invalid_delayed_retry_type")]
    InvalidDelayedRetryType,
    #[error("invalid_overflow")]
    InvalidOverflow,
    #[error("invalid_max_age")]
    InvalidMaxAge,
    #[error("invalid_queue_locator_arg")]
    InvalidQueueLocator,
    #[error("\"unsupported queue mode '{0}'\"")]
    UnsupportedMode(Box<str>),
    #[error("\"unsupported queue version '{0}'\"")]
    UnsupportedVersion(i64),
    #[error("\"unsupported queue type '{0}'\"")]
    UnsupportedType(Box<str>),
}
