//! `KEY=VALUE` on the command line: an entry of the arguments of a queue, an exchange or a consumer.

use std::str::FromStr;

use leveret_codec::table::{FieldTable, FieldValue};
use serde::{Serialize, Serializer};

/// One entry, kept as it was written too.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    text: String,
    key: String,
    value: FieldValue,
}

impl Argument {
    /// These entries as a table on the wire.
    pub fn encode(arguments: &[Self]) -> Vec<u8> {
        let mut table = FieldTable::default();
        for argument in arguments {
            table.push(argument.key.as_bytes(), argument.value.clone());
        }
        let mut encoded = Vec::new();
        table.encode(&mut encoded);
        encoded
    }
}

impl FromStr for Argument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("not KEY=VALUE")?;
        let (key, kind) = match name.rsplit_once(':') {
            Some((key, kind)) => (key, Some(kind)),
            None => (name, None),
        };
        if key.is_empty() || key.len() > usize::from(u8::MAX) {
            return Err("a key has 1 to 255 bytes".to_owned());
        }
        let wrong = || format!("{value:?} is no {}", kind.unwrap_or_default());
        let long_str = || FieldValue::LongStr(value.as_bytes().into());
        let value = match kind {
            Some("text") => long_str(),
            Some("int") => FieldValue::I64(value.parse().map_err(|_| wrong())?),
            Some("float") => FieldValue::F64(value.parse().map_err(|_| wrong())?),
            Some("bool") => FieldValue::Bool(value.parse().map_err(|_| wrong())?),
            Some(other) => return Err(format!("{other:?} is none of int, bool, float and text")),
            None => match (value.parse(), value.parse()) {
                (Ok(number), _) => FieldValue::I64(number),
                (_, Ok(truth)) => FieldValue::Bool(truth),
                _ => long_str(),
            },
        };
        Ok(Self { text: text.to_owned(), key: key.to_owned(), value })
    }
}

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> FieldValue {
        text.parse::<Argument>().unwrap().value
    }

    #[test]
    fn the_value_tells_its_type_unless_the_key_does() {
        assert_eq!(value("x-max-length=10"), FieldValue::I64(10));
        assert_eq!(value("x-single-active-consumer=true"), FieldValue::Bool(true));
        assert_eq!(value("x-queue-type=quorum"), FieldValue::LongStr((*b"quorum").into()));
        assert_eq!(value("x-queue-version:text=2"), FieldValue::LongStr((*b"2").into()));
        assert_eq!(value("x:float=2"), FieldValue::F64(2.0));
        assert_eq!(value("a=b=c"), FieldValue::LongStr((*b"b=c").into()));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["x", "=1", "x:int=y", "x:bool=1", "x:word=y"] {
            assert!(text.parse::<Argument>().is_err(), "{text}");
        }
    }

    #[test]
    fn entries_make_a_table() {
        let arguments: Vec<Argument> = ["a=1", "b=c"].iter().map(|text| text.parse().unwrap()).collect();
        let encoded = Argument::encode(&arguments);
        let table = leveret_codec::table::TableRef::from_raw(&encoded).decode().unwrap();
        assert_eq!(table.get(b"a"), Some(&FieldValue::I64(1)));
        assert!(Argument::encode(&[]).is_empty());
    }
}
