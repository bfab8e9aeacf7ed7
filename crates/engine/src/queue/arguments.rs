//! Arguments of queues: which there are, what they may be, and when two declarations ask for the same.
//!
//! The order of checks and the texts of refusals are RabbitMQ's, because clients compare them.

mod consume;
mod equivalence;
mod error;
mod known;
mod value;

use std::fmt::{self, Display, Formatter};
use std::sync::{Arc, LazyLock};

use leveret_codec::table::{FieldTable, FieldValue};

use crate::limits::RETRY_MIN_MS;
use crate::names::Name;

pub use consume::ConsumeArguments;
pub use equivalence::{check_alternate_exchange, check_equivalent, check_equivalent_queue, check_same};
pub use error::{ArgumentError, Reason};
pub(crate) use known::{QUEUE_TYPE, age_ms};
pub(crate) use value::{Canonical, Term, integer, write_bytes, write_value};

/// What `x-queue-type` says.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum QueueType {
    /// `classic`, and what a queue is when nothing is said
    #[default]
    Classic,
    /// `quorum`
    Quorum,
    /// `stream`
    Stream,
}

/// What becomes of a message for which a queue has no room.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Overflow {
    /// `drop-head`: the first message goes, and may be dead-lettered.
    #[default]
    DropHead,
    /// `reject-publish`: the new message is refused.
    RejectPublish,
    /// `reject-publish-dlx`: the new message is refused, and dead-lettered.
    RejectPublishDlx,
}

/// How surely a message reaches the dead-letter exchange.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum DeadLetterStrategy {
    /// `at-most-once`: it leaves its queue as it is handed over.
    #[default]
    AtMostOnce,
    /// `at-least-once`: it leaves its queue when the others have confirmed it.
    AtLeastOnce,
}

/// How long messages that came back wait before they are delivered again: the longer the more often they have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DelayedRetry {
    /// Which of them wait.
    pub retry_type: RetryType,
    /// How long for the first time, and how much longer each time.
    pub min_ms: u64,
    /// How long at most.
    pub max_ms: u64,
}

/// What `x-delayed-retry-type` says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RetryType {
    /// `all`: whatever comes back waits. So it is where there is a minimum and no type, too.
    #[default]
    All,
    /// `failed`: what was rejected or lost with its channel.
    Failed,
    /// `returned`: what was handed back by basic.nack or basic.recover.
    Returned,
}

/// The arguments of a queue, understood.
///
/// What has no meaning in one process is checked, compared on redeclaration, and not kept: leader locators, group sizes,
/// queue modes and versions, limits of what is held in memory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QueueArguments {
    /// `x-queue-type`
    pub queue_type: QueueType,
    /// `x-expires`: how long the queue may stay unused, at least 1.
    pub expires_ms: Option<u64>,
    /// `x-message-ttl`
    pub message_ttl_ms: Option<u64>,
    /// `x-message-ttl-anywhere`: messages in memory expire wherever they are in the queue, not at its head only. Leveret's own.
    pub message_ttl_anywhere: bool,
    /// `x-dead-letter-exchange`; empty for the default exchange.
    pub dead_letter_exchange: Option<Name>,
    /// `x-dead-letter-routing-key`
    pub dead_letter_routing_key: Option<Box<[u8]>>,
    /// `x-dead-letter-strategy`
    pub dead_letter_strategy: DeadLetterStrategy,
    /// `x-max-length`, in messages
    pub max_length: Option<u64>,
    /// `x-max-length-bytes`
    pub max_length_bytes: Option<u64>,
    /// `x-overflow`
    pub overflow: Overflow,
    /// `x-max-priority`
    pub max_priority: Option<u8>,
    /// `x-single-active-consumer`
    pub single_active_consumer: bool,
    /// `x-delivery-limit`; a negative one means that there is none.
    pub delivery_limit: Option<i64>,
    /// `x-delayed-retry-type`, `-min` and `-max`
    pub delayed_retry: Option<DelayedRetry>,
    /// `x-consumer-timeout`
    pub consumer_timeout_ms: Option<u64>,
    /// `x-max-age`
    pub max_age_ms: Option<u64>,
    /// `x-stream-max-segment-size-bytes`
    pub stream_max_segment_size_bytes: Option<u64>,
    /// `x-stream-filter-size-bytes`, 16 to 255
    pub stream_filter_size_bytes: Option<u8>,
}

/// What a declaration says beside the arguments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "AMQP's own names")]
pub struct QueueProperties {
    pub durable: bool,
    pub exclusive: bool,
    pub auto_delete: bool,
    /// The client left the name to the server.
    pub server_named: bool,
}

impl QueueType {
    /// The type of this name.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"classic" => Some(Self::Classic),
            b"quorum" => Some(Self::Quorum),
            b"stream" => Some(Self::Stream),
            _ => None,
        }
    }

    /// Its name in arguments.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
            Self::Stream => "stream",
        }
    }

    /// Its name in refusals.
    #[must_use]
    pub const fn module(self) -> &'static str {
        match self {
            Self::Classic => "rabbit_classic_queue",
            Self::Quorum => "rabbit_quorum_queue",
            Self::Stream => "rabbit_stream_queue",
        }
    }

    /// The type that `arguments` ask for; the default when they say nothing that can be understood.
    #[must_use]
    pub fn of(arguments: &FieldTable) -> Self {
        long_str(arguments, known::QUEUE_TYPE).and_then(Self::parse).unwrap_or_default()
    }
}

impl Display for QueueType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl QueueArguments {
    /// The same where several can have it: most queues of many have no arguments, and have these in common.
    #[must_use]
    pub fn shared(self) -> Arc<Self> {
        static NONE: LazyLock<Arc<QueueArguments>> = LazyLock::new(Arc::default);
        if self == **NONE { Arc::clone(&NONE) } else { Arc::new(self) }
    }

    /// Checks and understands the arguments of a queue that is to be created. Unknown arguments are no error.
    ///
    /// An argument that only another type knows is refused, as RabbitMQ does, with this exception: a classic queue takes
    /// `x-delivery-limit`, `x-consumer-timeout`, `x-consumer-disconnected-timeout` and `x-delayed-retry-*` too, which
    /// RabbitMQ keeps for quorum queues.
    ///
    /// # Errors
    /// [`ArgumentError`], the first in this order: a dead-letter exchange that is no string, the queue's type, the values
    /// of what the type knows, and what it does not know.
    pub fn parse(queue: &str, vhost: &str, table: &FieldTable) -> Result<Self, ArgumentError> {
        known::check(queue, vhost, table)?;
        Ok(Self::understand(table))
    }

    /// Understands arguments that were checked, or are made of such and of policies.
    pub(crate) fn understand(table: &FieldTable) -> Self {
        let milliseconds = |key| unsigned(table, key);
        let text = |key| long_str(table, key);
        Self {
            queue_type: QueueType::of(table),
            expires_ms: milliseconds(known::EXPIRES),
            message_ttl_ms: milliseconds(known::MESSAGE_TTL),
            message_ttl_anywhere: table.get(known::MESSAGE_TTL_ANYWHERE) == Some(&FieldValue::Bool(true)),
            dead_letter_exchange: text(known::DEAD_LETTER_EXCHANGE)
                .map(|name| Name::from(String::from_utf8_lossy(name))),
            dead_letter_routing_key: text(known::DEAD_LETTER_ROUTING_KEY).map(Box::from),
            dead_letter_strategy: text(known::DEAD_LETTER_STRATEGY)
                .and_then(DeadLetterStrategy::parse)
                .unwrap_or_default(),
            max_length: unsigned(table, known::MAX_LENGTH),
            max_length_bytes: unsigned(table, known::MAX_LENGTH_BYTES),
            overflow: text(known::OVERFLOW).and_then(Overflow::parse).unwrap_or_default(),
            max_priority: octet(table, known::MAX_PRIORITY),
            single_active_consumer: table.get(known::SINGLE_ACTIVE_CONSUMER) == Some(&FieldValue::Bool(true)),
            delivery_limit: table.get(known::DELIVERY_LIMIT).and_then(value::integer),
            delayed_retry: DelayedRetry::read(table),
            consumer_timeout_ms: milliseconds(known::CONSUMER_TIMEOUT),
            max_age_ms: text(known::MAX_AGE).and_then(known::age_ms),
            stream_max_segment_size_bytes: unsigned(table, known::STREAM_MAX_SEGMENT_SIZE_BYTES),
            stream_filter_size_bytes: octet(table, known::STREAM_FILTER_SIZE_BYTES),
        }
    }

    /// Refuses what the queue's type cannot be: only classic queues may be server-named, auto-delete, exclusive or
    /// transient.
    ///
    /// # Errors
    /// [`ArgumentError::ServerNamed`], [`ArgumentError::InvalidProperty`]
    pub fn check_properties(
        &self,
        queue: &str,
        vhost: &str,
        properties: &QueueProperties,
    ) -> Result<(), ArgumentError> {
        if self.queue_type == QueueType::Classic {
            return Ok(());
        }
        if properties.server_named {
            return Err(ArgumentError::ServerNamed(self.queue_type));
        }
        let refused = [
            (properties.auto_delete, "auto-delete"),
            (properties.exclusive, "exclusive-owner"),
            (!properties.durable, "non-durable"),
        ];
        match refused.into_iter().find(|(has, _)| *has) {
            None => Ok(()),
            Some((_, property)) => {
                Err(ArgumentError::InvalidProperty { property, queue: queue.into(), vhost: vhost.into() })
            }
        }
    }
}

impl DelayedRetry {
    /// None when nothing waits: there is no type and no minimum, or the type is `disabled`.
    fn read(table: &FieldTable) -> Option<Self> {
        let min_ms = unsigned(table, known::DELAYED_RETRY_MIN);
        let retry_type = match long_str(table, known::DELAYED_RETRY_TYPE) {
            None => min_ms.map(|_| RetryType::default()),
            Some(text) => RetryType::parse(text),
        };
        Some(Self {
            retry_type: retry_type?,
            min_ms: min_ms.unwrap_or(RETRY_MIN_MS),
            max_ms: unsigned(table, known::DELAYED_RETRY_MAX).unwrap_or(u64::MAX),
        })
    }
}

impl RetryType {
    fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"all" => Some(Self::All),
            b"failed" => Some(Self::Failed),
            b"returned" => Some(Self::Returned),
            _ => None,
        }
    }
}

impl Overflow {
    fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"drop-head" => Some(Self::DropHead),
            b"reject-publish" => Some(Self::RejectPublish),
            b"reject-publish-dlx" => Some(Self::RejectPublishDlx),
            _ => None,
        }
    }
}

impl DeadLetterStrategy {
    fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"at-most-once" => Some(Self::AtMostOnce),
            b"at-least-once" => Some(Self::AtLeastOnce),
            _ => None,
        }
    }
}

fn long_str<'a>(table: &'a FieldTable, key: &[u8]) -> Option<&'a [u8]> {
    match table.get(key) {
        Some(FieldValue::LongStr(text)) => Some(text),
        _ => None,
    }
}

fn unsigned(table: &FieldTable, key: &[u8]) -> Option<u64> {
    let value = table.get(key).and_then(value::integer)?;
    u64::try_from(value).ok()
}

fn octet(table: &FieldTable, key: &[u8]) -> Option<u8> {
    let value = unsigned(table, key)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests;
