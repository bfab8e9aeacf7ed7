//! What a recent history exchange keeps: the last messages, in memory.

use std::collections::VecDeque;

use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::{FieldTable, FieldValue};
use parking_lot::Mutex;

use super::error::ExchangeError;
use crate::message::Message;
use crate::queue::arguments::{Term, integer};

/// The argument that says how many messages are kept.
const LENGTH: &[u8] = b"x-recent-history-length";

/// How many are kept when nothing is said.
const LENGTH_DEFAULT: usize = 20;

/// The header of messages that are not to be kept.
const NO_STORE: &[u8] = b"x-recent-history-no-store";

/// The last messages of an exchange.
#[derive(Debug)]
pub(crate) struct History {
    length: usize,
    kept: Mutex<VecDeque<Message>>,
}

/// Refuses arguments of an exchange that cannot be followed.
pub(super) fn validate(arguments: &FieldTable) -> Result<(), ExchangeError> {
    match arguments.get(LENGTH) {
        None => Ok(()),
        Some(value) if integer(value).is_some_and(|length| length > 0) => Ok(()),
        Some(value) => Err(ExchangeError::HistoryLength(Term(value).to_string().into())),
    }
}

impl History {
    pub(super) fn new(arguments: &FieldTable) -> Self {
        let length = arguments.get(LENGTH).and_then(integer).and_then(|length| usize::try_from(length).ok());
        Self { length: length.unwrap_or(LENGTH_DEFAULT), kept: Mutex::default() }
    }

    /// Whether a message with these properties is to be kept.
    pub(crate) fn wants(properties: PropertiesRef<'_>) -> bool {
        let refuses = properties.headers().and_then(|headers| headers.get_raw(NO_STORE));
        refuses.and_then(|value| value.decode().ok()) != Some(FieldValue::Bool(true))
    }

    /// Keeps a message, in place of the oldest where it is full.
    pub(crate) fn keep(&self, message: Message) {
        let mut kept = self.kept.lock();
        if kept.len() >= self.length {
            kept.pop_front();
        }
        kept.push_back(message);
    }

    /// What is kept, oldest first.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.kept.lock().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use leveret_codec::properties::Properties;

    use super::*;
    use crate::message::Parts;

    fn arguments(value: FieldValue) -> FieldTable {
        FieldTable(vec![(LENGTH.into(), value)])
    }

    #[test]
    fn the_oldest_goes_first() {
        for (arguments, length) in [(FieldTable::default(), LENGTH_DEFAULT), (arguments(FieldValue::I32(3)), 3)] {
            let history = History::new(&arguments);
            for body in 0..30 {
                let parts = Parts {
                    exchange: b"x",
                    routing_key: b"",
                    properties: &[0, 0],
                    body: &[body],
                    shared_body: None,
                    blob: None,
                    marks: crate::message::Marks::NONE,
                };
                history.keep(Message::copy_of(&parts));
            }
            let bodies: Vec<u8> = history.messages().iter().map(|message| message.parts().body[0]).collect();
            assert_eq!(bodies, (30 - u8::try_from(length).unwrap()..30).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_length_is_a_positive_integer() {
        assert_eq!(validate(&FieldTable::default()), Ok(()));
        assert_eq!(validate(&arguments(FieldValue::I64(1))), Ok(()));
        for (value, shown) in [
            (FieldValue::I32(0), "0"),
            (FieldValue::I32(-5), "-5"),
            (FieldValue::LongStr((*b"5").into()), "<<\"5\">>"),
            (FieldValue::F64(1.5), "1.5"),
        ] {
            let text = format!("Invalid argument {shown}, 'x-recent-history-length' must be a positive integer");
            assert_eq!(validate(&arguments(value)).map_err(|error| error.to_string()), Err(text));
        }
    }

    #[test]
    fn only_true_refuses_to_be_kept() {
        for (value, kept) in [
            (FieldValue::Bool(true), false),
            (FieldValue::Bool(false), true),
            (FieldValue::LongStr((*b"true").into()), true),
            (FieldValue::I32(1), true),
        ] {
            let headers = Some(FieldTable(vec![(NO_STORE.into(), value)]));
            let mut encoded = Vec::new();
            Properties { headers, ..Properties::default() }.encode(&mut encoded);
            assert_eq!(History::wants(PropertiesRef::from_checked(&encoded)), kept);
        }
        assert!(History::wants(PropertiesRef::from_checked(&[0, 0])));
    }
}
