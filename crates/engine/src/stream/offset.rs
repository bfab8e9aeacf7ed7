//! Where a consumer begins to read.

use leveret_codec::table::FieldValue;

use crate::queue::arguments::{age_ms, integer};

/// What `x-stream-offset` says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StreamOffset {
    /// `first`: the oldest message that is there.
    First,
    /// `last`: the newest message that is there.
    Last,
    /// `next`: what comes after the consumer.
    #[default]
    Next,
    /// A number: the message of that offset, or the first after it that is there.
    At(u64),
    /// A negative number: so many of the newest messages.
    Newest(u64),
    /// A timestamp, or an interval before now: the first message that came then or later, by milliseconds since 1970.
    Since(u64),
}

impl StreamOffset {
    /// Understands the argument; none when it means nothing.
    #[must_use]
    pub fn parse(value: Option<&FieldValue>, now_ms: u64) -> Option<Self> {
        let Some(value) = value else { return Some(Self::default()) };
        if let Some(number) = integer(value) {
            return Some(if number < 0 {
                Self::Newest(number.unsigned_abs())
            } else {
                Self::At(number.unsigned_abs())
            });
        }
        match value {
            FieldValue::Timestamp(seconds) => Some(Self::Since(seconds.saturating_mul(1000))),
            FieldValue::LongStr(text) => match &**text {
                b"first" => Some(Self::First),
                b"last" => Some(Self::Last),
                b"next" => Some(Self::Next),
                interval => Some(Self::Since(now_ms.saturating_sub(age_ms(interval)?))),
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn text(text: &str) -> FieldValue {
        FieldValue::LongStr(text.as_bytes().into())
    }

    #[test]
    fn every_form_is_understood() {
        let hour = StreamOffset::Since(NOW_MS - 3_600_000);
        for (value, offset) in [
            (text("first"), StreamOffset::First),
            (text("last"), StreamOffset::Last),
            (text("next"), StreamOffset::Next),
            (text("1h"), hour),
            (text("7D"), StreamOffset::Since(NOW_MS - 7 * 86_400_000)),
            (text("100Y"), StreamOffset::Since(0)),
            (FieldValue::Timestamp(7), StreamOffset::Since(7000)),
            (FieldValue::I8(0), StreamOffset::At(0)),
            (FieldValue::U8(200), StreamOffset::At(200)),
            (FieldValue::I16(300), StreamOffset::At(300)),
            (FieldValue::U16(60_000), StreamOffset::At(60_000)),
            (FieldValue::I32(-3), StreamOffset::Newest(3)),
            (FieldValue::U32(5), StreamOffset::At(5)),
            (FieldValue::I64(i64::MIN), StreamOffset::Newest(1 << 63)),
        ] {
            assert_eq!(StreamOffset::parse(Some(&value), NOW_MS), Some(offset), "{value:?}");
        }
        assert_eq!(StreamOffset::parse(None, NOW_MS), Some(StreamOffset::Next));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for value in
            [text("foo"), text(""), text("0h"), text("h"), text("5w"), FieldValue::Bool(true), FieldValue::F64(1.0)]
        {
            assert_eq!(StreamOffset::parse(Some(&value), NOW_MS), None, "{value:?}");
        }
    }
}
