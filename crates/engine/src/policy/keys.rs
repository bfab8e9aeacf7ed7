//! The keys of policies: what each may be, and for which types of queue it means anything.

use leveret_codec::erlang::Binary;
use leveret_codec::table::{FieldTable, FieldValue};

use super::{PolicyError, PolicyKind, Settings};
use crate::queue::arguments::{QueueType, Term, age_ms, integer};

/// How the values of a key come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// The lowest.
    Least,
    /// As the lowest; but a negative one is no limit, and the higher of two then counts.
    DeliveryLimit,
    /// An operator's comes before a user's, and an argument before both.
    Argument,
    /// An operator's comes before a user's, and both before an argument, but on classic queues.
    Policy,
}

/// One key.
pub(super) struct Key {
    pub(super) name: &'static [u8],
    /// Judges a value.
    check: fn(&FieldValue) -> bool,
    /// What a value that is refused is not.
    what: &'static str,
    /// The types of queue that can be told this. A policy that says something else does not act on them at all.
    types: &'static [QueueType],
    pub(super) merge: Merge,
    /// Operators may say it.
    operator: bool,
}

const ALL: &[QueueType] = &[QueueType::Classic, QueueType::Quorum, QueueType::Stream];
const QUEUES: &[QueueType] = &[QueueType::Classic, QueueType::Quorum];
const CLASSIC: &[QueueType] = &[QueueType::Classic];
const QUORUM: &[QueueType] = &[QueueType::Quorum];
const STREAM: &[QueueType] = &[QueueType::Stream];

/// RabbitMQ's, with this exception: classic queues can be told the delivery limit, the timeouts and the retries of quorum
/// queues, as they know the arguments.
const KEYS: &[Key] = &[
    key(b"alternate-exchange", text, "alternate exchange name", ALL, Merge::Argument),
    key(b"consumer-timeout", not_negative, "consumer timeout", QUEUES, Merge::Least),
    key(b"consumer-disconnected-timeout", not_negative, "consumer disconnected timeout", QUEUES, Merge::Least),
    key(b"dead-letter-exchange", text, "dead letter exchange name", QUEUES, Merge::Argument),
    key(b"dead-letter-routing-key", text, "dead letter routing key", QUEUES, Merge::Argument),
    key(b"dead-letter-strategy", dead_letter_strategy, "dead letter strategy", QUORUM, Merge::Argument),
    key(b"delayed-retry-type", text, "delayed retry type", QUEUES, Merge::Argument),
    key(b"delayed-retry-min", not_negative, "delayed retry min", QUEUES, Merge::Argument),
    key(b"delayed-retry-max", not_negative, "delayed retry max", QUEUES, Merge::Argument),
    by_operators(key(b"delivery-limit", any_integer, "delivery limit", QUEUES, Merge::DeliveryLimit)),
    by_operators(key(b"expires", positive, "queue expiry", QUEUES, Merge::Least)),
    key(b"federation-upstream", text, "federation upstream name", ALL, Merge::Argument),
    key(b"federation-upstream-pattern", text, "federation upstream pattern", ALL, Merge::Argument),
    key(b"federation-upstream-set", text, "federation upstream set name", ALL, Merge::Argument),
    by_operators(key(b"ha-mode", anything, "ha-mode value", CLASSIC, Merge::Argument)),
    by_operators(key(b"ha-params", anything, "ha-params value", CLASSIC, Merge::Argument)),
    by_operators(key(b"ha-promote-on-failure", anything, "ha-promote-on-failure value", CLASSIC, Merge::Argument)),
    by_operators(key(b"ha-promote-on-shutdown", anything, "ha-promote-on-shutdown value", CLASSIC, Merge::Argument)),
    by_operators(key(b"ha-sync-mode", anything, "ha-sync-mode value", CLASSIC, Merge::Argument)),
    key(b"initial-cluster-size", not_negative, "cluster size", STREAM, Merge::Argument),
    key(b"max-age", age, "max age", STREAM, Merge::Least),
    by_operators(key(b"max-in-memory-bytes", not_negative, "maximum memory in bytes", QUORUM, Merge::Least)),
    by_operators(key(b"max-in-memory-length", not_negative, "maximum memory in bytes", QUORUM, Merge::Least)),
    by_operators(key(b"max-length", not_negative, "maximum length", QUEUES, Merge::Least)),
    by_operators(key(b"max-length-bytes", not_negative, "maximum length in bytes", ALL, Merge::Least)),
    key(b"member-placement-tag", anything, "member placement tag", QUORUM, Merge::Argument),
    by_operators(key(b"message-ttl", not_negative, "message TTL", QUEUES, Merge::Least)),
    by_operators(key(b"overflow", overflow, "overflow value", QUEUES, Merge::Policy)),
    key(b"queue-leader-locator", leader_locator, "queue leader locator value", ALL, Merge::Argument),
    key(b"queue-master-locator", text, "master locator", CLASSIC, Merge::Argument),
    key(b"queue-mode", queue_mode, "queue-mode value", CLASSIC, Merge::Argument),
    by_operators(key(b"queue-version", queue_version, "queue-version value", CLASSIC, Merge::Argument)),
    key(b"stream-filter-size-bytes", filter_size, "filter size", STREAM, Merge::Least),
    key(b"stream-max-segment-size-bytes", not_negative, "segment size", STREAM, Merge::Least),
    by_operators(key(b"target-group-size", positive, "target count value", QUORUM, Merge::Argument)),
];

const fn key(
    name: &'static [u8],
    check: fn(&FieldValue) -> bool,
    what: &'static str,
    types: &'static [QueueType],
    merge: Merge,
) -> Key {
    Key { name, check, what, types, merge, operator: false }
}

const fn by_operators(key: Key) -> Key {
    Key { operator: true, ..key }
}

/// The key of this name.
pub(super) fn find(name: &[u8]) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Refuses a definition that says nothing, something unknown, or something wrong.
pub(super) fn check(kind: PolicyKind, definition: &FieldTable) -> Result<(), PolicyError> {
    let settings = &definition.0;
    if settings.is_empty() {
        return Err(PolicyError::Empty);
    }
    let is_twice = |place: usize, name: &[u8]| settings.iter().take(place).any(|(other, _)| **other == *name);
    if let Some((_, (name, _))) = settings.iter().enumerate().find(|(place, (name, _))| is_twice(*place, name)) {
        return Err(PolicyError::DuplicateKeys(format!("[{}]", Binary(name))));
    }
    let mut unknown = Vec::new();
    for (name, value) in settings {
        match find(name).filter(|key| kind == PolicyKind::User || key.operator) {
            None => unknown.push((&**name, value)),
            Some(key) if !(key.check)(value) => {
                return Err(PolicyError::InvalidValue { value: Term(value).to_string(), what: key.what });
            }
            Some(_) => {}
        }
    }
    match &*unknown {
        [] => Ok(()),
        unknown => Err(PolicyError::UnknownKeys(Settings(unknown).to_string())),
    }
}

/// Whether a queue of this type can be told all of it.
pub(super) fn are_known(definition: &FieldTable, queue_type: QueueType) -> bool {
    definition.0.iter().all(|(name, _)| find(name).is_some_and(|key| key.types.contains(&queue_type)))
}

fn anything(_: &FieldValue) -> bool {
    true
}

fn text(value: &FieldValue) -> bool {
    matches!(value, FieldValue::LongStr(_))
}

fn one_of(value: &FieldValue, allowed: &[&[u8]]) -> bool {
    matches!(value, FieldValue::LongStr(text) if allowed.contains(&&**text))
}

fn any_integer(value: &FieldValue) -> bool {
    integer(value).is_some()
}

fn not_negative(value: &FieldValue) -> bool {
    integer(value).is_some_and(|number| number >= 0)
}

fn positive(value: &FieldValue) -> bool {
    integer(value).is_some_and(|number| number >= 1)
}

fn queue_version(value: &FieldValue) -> bool {
    matches!(integer(value), Some(1 | 2))
}

fn filter_size(value: &FieldValue) -> bool {
    integer(value).is_some_and(|size| (16..=255).contains(&size))
}

fn queue_mode(value: &FieldValue) -> bool {
    one_of(value, &[b"default", b"lazy"])
}

fn overflow(value: &FieldValue) -> bool {
    one_of(value, &[b"drop-head", b"reject-publish", b"reject-publish-dlx"])
}

fn dead_letter_strategy(value: &FieldValue) -> bool {
    one_of(value, &[b"at-most-once", b"at-least-once"])
}

fn leader_locator(value: &FieldValue) -> bool {
    one_of(value, &[b"client-local", b"balanced", b"random", b"least-leaders"])
}

fn age(value: &FieldValue) -> bool {
    matches!(value, FieldValue::LongStr(text) if age_ms(text).is_some())
}
