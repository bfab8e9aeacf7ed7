//! What the engine refuses, with RabbitMQ's reply code and text.

use leveret_codec::reply_code::ReplyCode;
use thiserror::Error;

use crate::exchange::error::ExchangeError;
use crate::limits::SHORT_STRING_BYTES_MAX;
use crate::names::Name;
use crate::queue::arguments::ArgumentError;
use crate::stream::StreamRefused;

/// A refusal. Its display is the text after `CODE_NAME - ` in a channel.close or connection.close.
#[derive(Clone, Debug, Error, PartialEq)]
#[allow(missing_docs, reason = "each variant's text says it")]
pub enum Error {
    #[error("no queue '{queue}' in vhost '{vhost}'")]
    NoQueue { queue: String, vhost: Name },
    #[error("no exchange '{exchange}' in vhost '{vhost}'")]
    NoExchange { exchange: String, vhost: Name },
    #[error("vhost '{vhost}' is deleted")]
    VhostDeleted { vhost: Name },
    #[error("cannot declare queue '{queue}': queue limit in vhost '{vhost}' ({limit}) is reached")]
    TooManyQueues { queue: String, vhost: Name, limit: u64 },
    #[error("cannot declare queue '{queue}': queue limit in cluster ({limit}) is reached")]
    TooManyQueuesInAll { queue: String, limit: u64 },
    #[error("cannot declare exchange '{exchange}' in vhost '{vhost}': exchange limit of {limit} is reached")]
    TooManyExchanges { exchange: String, vhost: Name, limit: u64 },
    #[error("queue '{queue}' in vhost '{vhost}' in use")]
    QueueInUse { queue: Name, vhost: Name },
    #[error("queue '{queue}' in vhost '{vhost}' not empty")]
    QueueNotEmpty { queue: Name, vhost: Name },
    #[error("exchange '{exchange}' in vhost '{vhost}' in use")]
    ExchangeInUse { exchange: Name, vhost: Name },
    #[error(
        "cannot obtain exclusive access to locked queue '{queue}' in vhost '{vhost}'. It could be originally declared on \
         another connection or the exclusive property value does not match that of the original declaration."
    )]
    QueueLocked { queue: Name, vhost: Name },
    #[error("queue '{queue}' in vhost '{vhost}' in exclusive use")]
    ExclusiveUse { queue: Name, vhost: Name },
    #[error(
        "cannot obtain access to locked queue '{queue}' in vhost '{vhost}'. basic.get operations are not supported by \
         quorum queues with single active consumer"
    )]
    GetFromSingleActive { queue: Name, vhost: Name },
    #[error(
        "cannot delete queue '{queue}' in vhost '{vhost}'. queue.delete operations with {flag} flag set are not \
         supported by quorum queues"
    )]
    ConditionalDelete { queue: Name, vhost: Name, flag: &'static str },
    #[error("{kind} name '{name}' contains reserved prefix 'amq.*'")]
    ReservedName { kind: &'static str, name: String },
    #[error("operation not permitted on the default exchange")]
    DefaultExchange,
    #[error("{kind} should be less than {SHORT_STRING_BYTES_MAX} bytes, actually was {bytes}")]
    LongName { kind: &'static str, bytes: usize },
    #[error("cannot bind or unbind to a volatile (direct reply-to) queue")]
    ReplyQueue,
    #[error("deletion of system exchange '{exchange}' in vhost '{vhost}' not allowed")]
    SystemExchange { exchange: String, vhost: Name },
    #[error("cannot publish to internal exchange '{exchange}' in vhost '{vhost}'")]
    InternalExchange { exchange: Name, vhost: Name },
    #[error("Invalid argument, 'x-delayed-type' must be an existing exchange type")]
    NoDelayedType,
    #[error("Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'")]
    DelayedByItself,
    #[error("unknown exchange type '{0}'")]
    UnknownExchangeType(String),
    #[error("{verb} access to {resource} refused for user '{user}'")]
    AccessRefused { verb: &'static str, resource: String, user: Name },
    #[error("invalid expiration '{value}': {reason}")]
    InvalidExpiration { value: String, reason: String },
    #[error("user_id property set to '{claimed}' but authenticated user was '{user}'")]
    UserIdMismatch { claimed: String, user: Name },
    #[error("invalid message: {{unacceptable_type_in_header,\"{header}\",{type_name}}}")]
    BadCarbonCopy { header: &'static str, type_name: &'static str },
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    #[error(transparent)]
    Stream(#[from] StreamRefused),
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

impl Error {
    /// The code of the close that carries this refusal.
    #[must_use]
    pub fn reply_code(&self) -> ReplyCode {
        match self {
            Self::Stream(refused) => refused.reply_code(),
            Self::VhostDeleted { .. } => ReplyCode::ConnectionForced,
            Self::NoQueue { .. } | Self::NoExchange { .. } => ReplyCode::NotFound,
            Self::QueueLocked { .. } | Self::GetFromSingleActive { .. } => ReplyCode::ResourceLocked,
            Self::ConditionalDelete { .. } => ReplyCode::NotImplemented,
            Self::ExclusiveUse { .. }
            | Self::ReservedName { .. }
            | Self::DefaultExchange
            | Self::ReplyQueue
            | Self::SystemExchange { .. }
            | Self::InternalExchange { .. }
            | Self::AccessRefused { .. } => ReplyCode::AccessRefused,
            Self::TooManyQueues { .. }
            | Self::LongName { .. }
            | Self::TooManyQueuesInAll { .. }
            | Self::TooManyExchanges { .. }
            | Self::QueueInUse { .. }
            | Self::QueueNotEmpty { .. }
            | Self::ExchangeInUse { .. }
            | Self::UnknownExchangeType(_)
            | Self::NoDelayedType
            | Self::DelayedByItself
            | Self::InvalidExpiration { .. }
            | Self::UserIdMismatch { .. }
            | Self::BadCarbonCopy { .. }
            | Self::Argument(_)
            | Self::Exchange(_) => ReplyCode::PreconditionFailed,
        }
    }
}
