//! Which messages of a stream a consumer wants.

use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::{FieldTable, FieldValue};

use crate::message::Message;

/// The header of a message that filters look at.
const VALUE: &[u8] = b"x-stream-filter-value";

/// What `x-stream-filter` and `x-stream-match-unfiltered` say. Exact: where RabbitMQ may deliver more than was asked for, and leave
/// the rest to the client, this delivers what was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StreamFilter {
    values: Box<[Box<[u8]>]>,
    /// Messages without a value come as well.
    match_unfiltered: bool,
}

impl StreamFilter {
    /// Understands the arguments of a consumer; none when it wants all. What is no string in the list is passed over.
    #[must_use]
    pub fn parse(arguments: &FieldTable) -> Option<Self> {
        let text = |value: &FieldValue| match value {
            FieldValue::LongStr(text) => Some(text.clone()),
            _ => None,
        };
        let values = match arguments.get(b"x-stream-filter")? {
            FieldValue::Array(values) => values.iter().filter_map(text).collect(),
            value => [text(value)?].into(),
        };
        let match_unfiltered = arguments.get(b"x-stream-match-unfiltered") == Some(&FieldValue::Bool(true));
        Some(Self { values, match_unfiltered })
    }

    /// Whether the consumer wants a message.
    pub(super) fn wants(&self, message: &Message) -> bool {
        let headers = PropertiesRef::from_checked(message.parts().properties).headers();
        match headers.and_then(|headers| headers.get_raw(VALUE)?.as_long_str()) {
            Some(value) => self.values.iter().any(|wanted| **wanted == *value),
            None => self.match_unfiltered,
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_codec::properties::Properties;

    use super::*;
    use crate::message::Incoming;

    fn text(text: &str) -> FieldValue {
        FieldValue::LongStr(text.as_bytes().into())
    }

    fn arguments(filter: FieldValue, unfiltered: Option<bool>) -> FieldTable {
        let mut arguments = FieldTable::default();
        arguments.push(&b"x-stream-filter"[..], filter);
        if let Some(unfiltered) = unfiltered {
            arguments.push(&b"x-stream-match-unfiltered"[..], FieldValue::Bool(unfiltered));
        }
        arguments
    }

    fn wanted(filter: &StreamFilter) -> Vec<bool> {
        let message = |value: Option<FieldValue>| {
            let mut headers = FieldTable::default();
            headers.push(&b"other"[..], FieldValue::Bool(true));
            if let Some(value) = value {
                headers.push(VALUE, value);
            }
            let mut raw = Vec::new();
            Properties { headers: Some(headers), ..Properties::default() }.encode(&mut raw);
            Incoming::borrowed(b"", b"q", &raw, b"x", None).take()
        };
        let plain = Incoming::borrowed(b"", b"q", &[0, 0], b"x", None).take();
        let values = [Some(text("a")), Some(text("b")), Some(text("ab")), Some(FieldValue::I32(1)), None];
        values.map(message).iter().chain([&plain]).map(|message| filter.wants(message)).collect()
    }

    #[test]
    fn values_are_compared_exactly() {
        let one = StreamFilter::parse(&arguments(text("a"), None)).unwrap();
        assert_eq!(wanted(&one), [true, false, false, false, false, false]);
        let list = FieldValue::Array(vec![text("b"), FieldValue::I32(3), text("ab")]);
        let two = StreamFilter::parse(&arguments(list, Some(true))).unwrap();
        assert_eq!(wanted(&two), [false, true, true, true, true, true]);
        assert_eq!(StreamFilter::parse(&FieldTable::default()), None);
        assert_eq!(StreamFilter::parse(&arguments(FieldValue::I32(1), Some(true))), None);
    }
}
