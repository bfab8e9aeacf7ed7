//! Arguments of consumers.

use leveret_codec::table::FieldTable;

use super::value::integer;
use super::{ArgumentError, QueueType, Reason};

/// The arguments of a consumer, understood. What streams know beside them is read where streams are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ConsumeArguments {
    /// `x-priority`, any integer; far beyond what anybody needs they are all the same.
    pub priority: i32,
    /// `x-consumer-timeout`: how long a delivery may stay unacknowledged.
    pub timeout_ms: Option<u64>,
}

const PRIORITY: &[u8] = b"x-priority";
const TIMEOUT: &[u8] = b"x-consumer-timeout";

/// Which types of queue know which arguments. RabbitMQ keeps the timeout for quorum queues.
const KNOWN: [(&[u8], &[QueueType]); 5] = [
    (PRIORITY, &[QueueType::Classic, QueueType::Quorum]),
    (TIMEOUT, &[QueueType::Classic, QueueType::Quorum]),
    (b"x-stream-offset", &[QueueType::Stream]),
    (b"x-stream-filter", &[QueueType::Stream]),
    (b"x-stream-match-unfiltered", &[QueueType::Stream]),
];

impl ConsumeArguments {
    /// Checks and understands the arguments of a consumer of a queue. Unknown arguments are no error.
    ///
    /// # Errors
    /// [`ArgumentError::InvalidValue`], then [`ArgumentError::ForeignArgument`] for what only another type of queue knows.
    pub fn parse(queue: &str, vhost: &str, queue_type: QueueType, table: &FieldTable) -> Result<Self, ArgumentError> {
        let number = |key: &[u8]| {
            table
                .get(key)
                .map(|value| integer(value).ok_or_else(|| Reason::ExpectedInteger(value.type_name())))
                .transpose()
        };
        let invalid = |key: &[u8], reason| ArgumentError::InvalidValue {
            argument: text(key),
            queue: queue.into(),
            vhost: vhost.into(),
            reason,
        };
        let priority = number(PRIORITY).map_err(|reason| invalid(PRIORITY, reason))?;
        let timeout_ms = match number(TIMEOUT).map_err(|reason| invalid(TIMEOUT, reason))? {
            Some(time) => Some(u64::try_from(time).map_err(|_| invalid(TIMEOUT, Reason::ValueNegative(time)))?),
            None => None,
        };
        let is_foreign =
            |name: &[u8]| KNOWN.iter().any(|(known, types)| *known == name && !types.contains(&queue_type));
        if let Some((name, _)) = table.0.iter().find(|(name, _)| is_foreign(name)) {
            let (queue, vhost) = (queue.into(), vhost.into());
            return Err(ArgumentError::ForeignArgument { argument: text(name), queue, vhost, queue_type });
        }
        Ok(Self { priority: priority.map_or(0, clamp), timeout_ms })
    }
}

fn clamp(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}

fn text(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}

#[cfg(test)]
mod tests {
    use leveret_codec::table::FieldValue;

    use super::*;

    fn parse(queue_type: QueueType, arguments: &[(&str, FieldValue)]) -> Result<ConsumeArguments, String> {
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.push(name.as_bytes(), value.clone());
        }
        ConsumeArguments::parse("q", "/", queue_type, &table).map_err(|error| error.to_string())
    }

    #[test]
    fn priorities_and_timeouts_are_integers() {
        let text = || FieldValue::LongStr(b"1"[..].into());
        for queue_type in [QueueType::Classic, QueueType::Quorum] {
            let parsed = parse(queue_type, &[("x-priority", FieldValue::I8(-3)), ("other", text())]);
            assert_eq!(parsed, Ok(ConsumeArguments { priority: -3, timeout_ms: None }));
            let parsed = parse(queue_type, &[("x-consumer-timeout", FieldValue::U16(500))]);
            assert_eq!(parsed.map(|parsed| parsed.timeout_ms), Ok(Some(500)));
            let parsed = parse(queue_type, &[("x-priority", FieldValue::I64(i64::MIN))]);
            assert_eq!(parsed.map(|parsed| parsed.priority), Ok(i32::MIN));
        }
        let invalid = |name| format!("invalid arg '{name}' for queue 'q' in vhost '/': ");
        let wrong = "\"expected integer, got longstr\"";
        assert_eq!(parse(QueueType::Classic, &[("x-priority", text())]), Err(invalid("x-priority") + wrong));
        let refused = parse(QueueType::Quorum, &[("x-consumer-timeout", FieldValue::I32(-1))]);
        assert_eq!(refused, Err(invalid("x-consumer-timeout") + "{value_negative,-1}"));
    }

    #[test]
    fn arguments_of_other_types_are_refused() {
        let zero = FieldValue::I32(0);
        let refusal = |name, module| format!("invalid arg '{name}' for queue 'q' in vhost '/' of queue type {module}");
        for name in ["x-stream-offset", "x-stream-filter", "x-stream-match-unfiltered"] {
            let refused = parse(QueueType::Classic, &[(name, zero.clone())]);
            assert_eq!(refused, Err(refusal(name, "rabbit_classic_queue")));
            let refused = parse(QueueType::Quorum, &[(name, zero.clone())]);
            assert_eq!(refused, Err(refusal(name, "rabbit_quorum_queue")));
            assert!(parse(QueueType::Stream, &[(name, zero.clone())]).is_ok());
        }
        for name in ["x-priority", "x-consumer-timeout"] {
            let refused = parse(QueueType::Stream, &[(name, zero.clone())]);
            assert_eq!(refused, Err(refusal(name, "rabbit_stream_queue")));
        }
    }
}
