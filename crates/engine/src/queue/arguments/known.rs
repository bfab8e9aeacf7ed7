//! The arguments that some type of queue knows, and what each may be.

use leveret_codec::table::{FieldTable, FieldValue};

use super::value::integer;
use super::{ArgumentError, DeadLetterStrategy, Overflow, QueueType, Reason};

pub(super) const EXPIRES: &[u8] = b"x-expires";
pub(super) const MESSAGE_TTL: &[u8] = b"x-message-ttl";
pub(super) const MESSAGE_TTL_ANYWHERE: &[u8] = b"x-message-ttl-anywhere";
pub(super) const DEAD_LETTER_EXCHANGE: &[u8] = b"x-dead-letter-exchange";
pub(super) const DEAD_LETTER_ROUTING_KEY: &[u8] = b"x-dead-letter-routing-key";
pub(super) const DEAD_LETTER_STRATEGY: &[u8] = b"x-dead-letter-strategy";
pub(super) const MAX_LENGTH: &[u8] = b"x-max-length";
pub(super) const MAX_LENGTH_BYTES: &[u8] = b"x-max-length-bytes";
pub(super) const MAX_PRIORITY: &[u8] = b"x-max-priority";
pub(super) const OVERFLOW: &[u8] = b"x-overflow";
pub(super) const SINGLE_ACTIVE_CONSUMER: &[u8] = b"x-single-active-consumer";
pub(crate) const QUEUE_TYPE: &[u8] = b"x-queue-type";
pub(super) const DELIVERY_LIMIT: &[u8] = b"x-delivery-limit";
pub(super) const CONSUMER_TIMEOUT: &[u8] = b"x-consumer-timeout";
pub(super) const DELAYED_RETRY_TYPE: &[u8] = b"x-delayed-retry-type";
pub(super) const DELAYED_RETRY_MIN: &[u8] = b"x-delayed-retry-min";
pub(super) const DELAYED_RETRY_MAX: &[u8] = b"x-delayed-retry-max";
pub(super) const MAX_AGE: &[u8] = b"x-max-age";
pub(super) const STREAM_MAX_SEGMENT_SIZE_BYTES: &[u8] = b"x-stream-max-segment-size-bytes";
pub(super) const STREAM_FILTER_SIZE_BYTES: &[u8] = b"x-stream-filter-size-bytes";

/// The longest time to live, of messages and of unused queues: ten years.
const TTL_MS_MAX: i64 = 315_360_000_000;

/// The highest priority that a queue can be made to know.
const PRIORITY_MAX: i64 = 255;

/// What the filter of a stream's chunk may take.
const STREAM_FILTER_SIZE_BYTES_ALLOWED: std::ops::RangeInclusive<i64> = 16..=255;

/// How many milliseconds a unit of `x-max-age` has. Months have 30 days and years 365.
const AGE_UNITS_MS: [(&[u8], u64); 6] = [
    (b"s", 1_000),
    (b"m", 60_000),
    (b"h", 3_600_000),
    (b"D", 86_400_000),
    (b"M", 30 * 86_400_000),
    (b"Y", 365 * 86_400_000),
];

/// One argument.
struct Known {
    name: &'static [u8],
    types: &'static [QueueType],
    check: Check,
}

/// Judges a value; the whole table is there for what depends on another argument.
type Check = fn(&FieldValue, &FieldTable) -> Result<(), Reason>;

const ALL: &[QueueType] = &[QueueType::Classic, QueueType::Quorum, QueueType::Stream];
const QUEUES: &[QueueType] = &[QueueType::Classic, QueueType::Quorum];
const CLASSIC: &[QueueType] = &[QueueType::Classic];
const QUORUM: &[QueueType] = &[QueueType::Quorum];
const STREAM: &[QueueType] = &[QueueType::Stream];

/// In the order in which RabbitMQ checks and compares.
const KNOWN: &[Known] = &[
    known(EXPIRES, QUEUES, expiry),
    known(MESSAGE_TTL, QUEUES, ttl),
    known(MESSAGE_TTL_ANYWHERE, QUEUES, boolean),
    known(DEAD_LETTER_EXCHANGE, QUEUES, long_str),
    known(DEAD_LETTER_ROUTING_KEY, QUEUES, dead_letter_routing_key),
    known(DEAD_LETTER_STRATEGY, QUORUM, dead_letter_strategy),
    known(MAX_LENGTH, QUEUES, not_negative),
    known(MAX_LENGTH_BYTES, ALL, not_negative),
    known(b"x-max-in-memory-length", QUORUM, not_negative),
    known(b"x-max-in-memory-bytes", QUORUM, not_negative),
    known(MAX_PRIORITY, CLASSIC, max_priority),
    known(OVERFLOW, QUEUES, overflow),
    known(b"x-queue-mode", CLASSIC, queue_mode),
    known(b"x-queue-version", CLASSIC, queue_version),
    known(SINGLE_ACTIVE_CONSUMER, QUEUES, boolean),
    known(QUEUE_TYPE, ALL, queue_type),
    known(b"x-quorum-initial-group-size", QUORUM, positive),
    known(MAX_AGE, STREAM, max_age),
    known(STREAM_MAX_SEGMENT_SIZE_BYTES, STREAM, not_negative),
    known(STREAM_FILTER_SIZE_BYTES, STREAM, not_negative),
    known(b"x-initial-cluster-size", STREAM, positive),
    known(b"x-queue-leader-locator", ALL, queue_leader_locator),
    known(b"x-queue-master-locator", CLASSIC, anything),
    known(DELIVERY_LIMIT, QUEUES, any_integer),
    known(CONSUMER_TIMEOUT, QUEUES, not_negative),
    known(b"x-consumer-disconnected-timeout", QUEUES, not_negative),
    known(DELAYED_RETRY_TYPE, QUEUES, delayed_retry_type),
    known(DELAYED_RETRY_MIN, QUEUES, not_negative),
    known(DELAYED_RETRY_MAX, QUEUES, not_negative),
    known(b"x-member-placement-tag", QUORUM, anything),
];

const fn known(name: &'static [u8], types: &'static [QueueType], check: Check) -> Known {
    Known { name, types, check }
}

/// The arguments that are compared when a queue of this type is declared again.
pub(super) fn compared(queue_type: QueueType) -> impl Iterator<Item = &'static [u8]> {
    KNOWN.iter().filter(move |known| known.types.contains(&queue_type)).map(|known| known.name)
}

/// Refuses the first argument that is not as it must be.
pub(super) fn check(queue: &str, vhost: &str, table: &FieldTable) -> Result<(), ArgumentError> {
    let invalid = |name: &[u8], reason| ArgumentError::InvalidValue {
        argument: text(name),
        queue: queue.into(),
        vhost: vhost.into(),
        reason,
    };
    if let Some(value) = table.get(DEAD_LETTER_EXCHANGE)
        && long_str(value, table).is_err()
    {
        return Err(ArgumentError::InvalidType {
            type_name: value.type_name(),
            argument: text(DEAD_LETTER_EXCHANGE),
            kind: "queue",
            name: queue.into(),
            vhost: vhost.into(),
        });
    }
    if let Some(value) = table.get(QUEUE_TYPE) {
        queue_type(value, table).map_err(|reason| invalid(QUEUE_TYPE, reason))?;
    }
    let of_type = QueueType::of(table);
    for known in KNOWN.iter().filter(|known| known.types.contains(&of_type)) {
        if let Some(value) = table.get(known.name) {
            (known.check)(value, table).map_err(|reason| invalid(known.name, reason))?;
        }
    }
    check_foreign(queue, vhost, table, of_type)?;
    check_stream_filter_size(table)
}

fn check_foreign(queue: &str, vhost: &str, table: &FieldTable, queue_type: QueueType) -> Result<(), ArgumentError> {
    let is_foreign = |name: &[u8]| KNOWN.iter().any(|known| known.name == name && !known.types.contains(&queue_type));
    match table.0.iter().find(|(name, _)| is_foreign(name)) {
        None => Ok(()),
        Some((name, _)) => Err(ArgumentError::ForeignArgument {
            argument: text(name),
            queue: queue.into(),
            vhost: vhost.into(),
            queue_type,
        }),
    }
}

/// The only range that has a text of its own.
fn check_stream_filter_size(table: &FieldTable) -> Result<(), ArgumentError> {
    match table.get(STREAM_FILTER_SIZE_BYTES).and_then(integer) {
        Some(size) if !STREAM_FILTER_SIZE_BYTES_ALLOWED.contains(&size) => Err(ArgumentError::InvalidStreamFilterSize),
        _ => Ok(()),
    }
}

fn anything(_: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    Ok(())
}

fn any_integer(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    expect_integer(value).map(drop)
}

fn not_negative(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    expect_not_negative(value).map(drop)
}

fn positive(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    match expect_not_negative(value)? {
        0 => Err(Reason::ValueZero),
        _ => Ok(()),
    }
}

fn ttl(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    match expect_not_negative(value)? {
        time if time > TTL_MS_MAX => Err(Reason::ValueTooLarge(time)),
        _ => Ok(()),
    }
}

fn expiry(value: &FieldValue, table: &FieldTable) -> Result<(), Reason> {
    positive(value, table)?;
    ttl(value, table)
}

fn max_priority(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    match expect_not_negative(value)? {
        priority if priority > PRIORITY_MAX => Err(Reason::MaxValueExceeded(priority)),
        _ => Ok(()),
    }
}

/// Version 1 is taken for the sake of old clients, and means nothing.
fn queue_version(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    match expect_not_negative(value)? {
        1 | 2 => Ok(()),
        version => Err(Reason::UnsupportedVersion(version)),
    }
}

fn boolean(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    match value {
        FieldValue::Bool(_) => Ok(()),
        _ => Err(Reason::UnacceptableType(value.type_name())),
    }
}

fn long_str(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    expect_long_str(value).map(drop)
}

fn dead_letter_routing_key(value: &FieldValue, table: &FieldTable) -> Result<(), Reason> {
    expect_long_str(value)?;
    match table.get(DEAD_LETTER_EXCHANGE) {
        Some(_) => Ok(()),
        None => Err(Reason::RoutingKeyWithoutExchange),
    }
}

fn dead_letter_strategy(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    match DeadLetterStrategy::parse(expect_long_str(value)?) {
        Some(_) => Ok(()),
        None => Err(Reason::InvalidDeadLetterStrategy),
    }
}

fn overflow(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    match Overflow::parse(expect_long_str(value)?) {
        Some(_) => Ok(()),
        None => Err(Reason::InvalidOverflow),
    }
}

fn delayed_retry_type(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    match expect_long_str(value)? {
        b"disabled" | b"all" | b"failed" | b"returned" => Ok(()),
        _ => Err(Reason::InvalidDelayedRetryType),
    }
}

fn queue_mode(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    match expect_long_str(value)? {
        b"default" | b"lazy" => Ok(()),
        mode => Err(Reason::UnsupportedMode(text(mode))),
    }
}

fn queue_type(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    let name = expect_long_str(value)?;
    match QueueType::parse(name) {
        Some(_) => Ok(()),
        None => Err(Reason::UnsupportedType(text(name))),
    }
}

fn queue_leader_locator(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    match expect_long_str(value)? {
        b"client-local" | b"balanced" | b"random" | b"least-leaders" => Ok(()),
        _ => Err(Reason::InvalidQueueLocator),
    }
}

fn max_age(value: &FieldValue, _: &FieldTable) -> Result<(), Reason> {
    match age_ms(expect_long_str(value)?) {
        Some(_) => Ok(()),
        None => Err(Reason::InvalidMaxAge),
    }
}

/// What an `x-max-age` such as `12h` means; `None` when it means nothing, or no time at all.
pub(crate) fn age_ms(text: &[u8]) -> Option<u64> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, unit) = text.split_at(end);
    let &(_, unit_ms) = AGE_UNITS_MS.iter().find(|(name, _)| *name == unit)?;
    let count =
        digits.iter().fold(0_u64, |count, digit| count.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    (count > 0).then(|| count.saturating_mul(unit_ms))
}

fn expect_integer(value: &FieldValue) -> Result<i64, Reason> {
    integer(value).ok_or_else(|| Reason::ExpectedInteger(value.type_name()))
}

fn expect_not_negative(value: &FieldValue) -> Result<i64, Reason> {
    match expect_integer(value)? {
        negative if negative < 0 => Err(Reason::ValueNegative(negative)),
        other => Ok(other),
    }
}

fn expect_long_str(value: &FieldValue) -> Result<&[u8], Reason> {
    match value {
        FieldValue::LongStr(text) => Ok(text),
        _ => Err(Reason::UnacceptableType(value.type_name())),
    }
}

fn text(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}
