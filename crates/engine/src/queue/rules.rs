//! The arguments of a queue as its core uses them.

use std::sync::Arc;

use crate::counters::DeadLettering;
use crate::message::NEVER_MS;
use crate::names::Name;
use crate::queue::arguments::{DeadLetterStrategy, DelayedRetry, Overflow, QueueArguments, QueueType, RetryType};

/// Made of the arguments in force: those of the declaration and of policies.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// How long a message may live; [`NEVER_MS`] for ever.
    pub(super) ttl_ms: u64,
    /// Messages expire wherever they are, as far as they are in memory.
    pub(super) ttl_anywhere: bool,
    /// How long the queue may be unused.
    pub(super) expires_ms: Option<u64>,
    /// There is a limit of length.
    pub(super) limited: bool,
    max_length: u64,
    max_length_bytes: u64,
    pub(super) overflow: Overflow,
    /// Where dead letters go.
    pub(super) dead_letters: Option<Arc<DeadLetterTarget>>,
    /// A dead letter stays until other queues have it.
    pub(super) at_least_once: bool,
    /// How often a message may come back.
    pub(super) delivery_limit: Option<u32>,
    delayed_retry: Option<DelayedRetry>,
}

/// How a delivery came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReturnKind {
    /// It was rejected, or its channel or connection is gone.
    Failed,
    /// The consumer could not do with it just now (nack, recover).
    HandedBack,
}

/// Where the dead letters of a queue go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeadLetterTarget {
    /// The exchange; empty for the default exchange.
    pub(crate) exchange: Name,
    /// In place of the keys that a message was routed by.
    pub(crate) routing_key: Option<Box<[u8]>>,
}

/// How often a message may come back to a quorum queue that says nothing about it.
const QUORUM_DELIVERY_LIMIT: i64 = 20;

impl Rules {
    /// What becomes of messages that are given up.
    pub(super) fn strategy(&self) -> DeadLettering {
        match &self.dead_letters {
            None => DeadLettering::Disabled,
            Some(_) if self.at_least_once => DeadLettering::AtLeastOnce,
            Some(_) => DeadLettering::AtMostOnce,
        }
    }

    pub(super) fn new(arguments: &QueueArguments) -> Self {
        let dead_letters = arguments.dead_letter_exchange.as_ref().map(|exchange| {
            let routing_key = arguments.dead_letter_routing_key.clone();
            Arc::new(DeadLetterTarget { exchange: Name::clone(exchange), routing_key })
        });
        let is_refusing = arguments.overflow == Overflow::RejectPublish;
        let is_sure = arguments.dead_letter_strategy == DeadLetterStrategy::AtLeastOnce;
        Self {
            ttl_ms: arguments.message_ttl_ms.unwrap_or(NEVER_MS),
            ttl_anywhere: arguments.message_ttl_anywhere,
            expires_ms: arguments.expires_ms,
            limited: arguments.max_length.is_some() || arguments.max_length_bytes.is_some(),
            max_length: arguments.max_length.unwrap_or(u64::MAX),
            max_length_bytes: arguments.max_length_bytes.unwrap_or(u64::MAX),
            overflow: arguments.overflow,
            // With drop-head they could pile up without limit: RabbitMQ falls back to at-most-once as well.
            at_least_once: is_sure && is_refusing && dead_letters.is_some(),
            dead_letters,
            delivery_limit: delivery_limit(arguments),
            delayed_retry: arguments.delayed_retry,
        }
    }

    /// How long a message waits that came back for the `count`th time; none when it is ready at once.
    pub(super) fn delay_ms(&self, kind: ReturnKind, count: u32) -> Option<u64> {
        let DelayedRetry { retry_type, min_ms, max_ms } = self.delayed_retry?;
        let waits = match retry_type {
            RetryType::All => true,
            RetryType::Failed => kind == ReturnKind::Failed,
            RetryType::Returned => kind == ReturnKind::HandedBack,
        };
        Some(min_ms.saturating_mul(count.into()).min(max_ms)).filter(|delay_ms| waits && *delay_ms > 0)
    }

    /// Whether so many ready messages, with so many bytes, are over a limit.
    pub(super) fn are_exceeded_by(&self, messages: u64, bytes: u64) -> bool {
        messages > self.max_length || bytes > self.max_length_bytes
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new(&QueueArguments::default())
    }
}

fn delivery_limit(arguments: &QueueArguments) -> Option<u32> {
    let default = (arguments.queue_type == QueueType::Quorum).then_some(QUORUM_DELIVERY_LIMIT);
    let limit = arguments.delivery_limit.or(default).filter(|limit| *limit >= 0)?;
    Some(u32::try_from(limit).unwrap_or(u32::MAX))
}
