//! What is written into messages as they come in, before they are routed, if that was asked for.

use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue};

/// The header that says when a message came, in milliseconds since 1970.
const TIMESTAMP_IN_MS: &[u8] = b"timestamp_in_ms";

/// The header that says by which node it came.
const ROUTED_BY: &[u8] = b"x-routed-by";

/// What is written into messages; each says whether it replaces what is there (`message_interceptors.incoming`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interceptors {
    /// When the message came: property `timestamp` and header `timestamp_in_ms`.
    pub timestamp: Option<bool>,
    /// The node's name: header `x-routed-by`.
    pub routing_node: Option<bool>,
}

impl Interceptors {
    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The properties of a message that comes now, with all that is to be written. `properties` can be decoded.
    #[must_use]
    pub fn intercept(&self, properties: PropertiesRef<'_>, now_ms: u64, node: &str) -> Vec<u8> {
        let Ok(mut properties) = properties.to_owned() else { return properties.as_bytes().to_vec() };
        if let Some(overwrite) = self.timestamp {
            let now = FieldValue::I64(i64::try_from(now_ms).unwrap_or(i64::MAX));
            set(headers(&mut properties), TIMESTAMP_IN_MS, now, overwrite);
            if overwrite || properties.timestamp.is_none() {
                properties.timestamp = Some(now_ms / 1000);
            }
        }
        if let Some(overwrite) = self.routing_node {
            set(headers(&mut properties), ROUTED_BY, FieldValue::LongStr(node.as_bytes().into()), overwrite);
        }
        let mut encoded = Vec::new();
        properties.encode(&mut encoded);
        encoded
    }
}

fn headers(properties: &mut Properties) -> &mut FieldTable {
    properties.headers.get_or_insert_with(FieldTable::default)
}

fn set(FieldTable(headers): &mut FieldTable, name: &[u8], value: FieldValue, overwrite: bool) {
    match headers.iter_mut().find(|(known, _)| **known == *name) {
        Some((_, known)) if overwrite => *known = value,
        Some(_) => (),
        None => headers.push((name.into(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_123;

    fn intercepted(interceptors: Interceptors, properties: &Properties) -> Properties {
        let mut encoded = Vec::new();
        properties.encode(&mut encoded);
        let changed = interceptors.intercept(PropertiesRef::from_checked(&encoded), NOW_MS, "rabbit@x");
        PropertiesRef::parse(&changed).unwrap().to_owned().unwrap()
    }

    fn table(entries: &[(&[u8], FieldValue)]) -> FieldTable {
        FieldTable(entries.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }

    #[test]
    fn a_message_says_when_it_came_and_where() {
        let all = Interceptors { timestamp: Some(false), routing_node: Some(false) };
        let plain = Properties { message_id: Some(b"5"[..].into()), ..Properties::default() };
        let expected = Properties {
            headers: Some(table(&[
                (TIMESTAMP_IN_MS, FieldValue::I64(NOW_MS.try_into().unwrap())),
                (ROUTED_BY, FieldValue::LongStr(b"rabbit@x"[..].into())),
            ])),
            timestamp: Some(NOW_MS / 1000),
            ..plain.clone()
        };
        assert_eq!(intercepted(all, &plain), expected);
        assert_eq!(intercepted(Interceptors::default(), &plain), plain);
        assert!(Interceptors::default().is_empty() && !all.is_empty());
    }

    #[test]
    fn what_is_there_is_replaced_where_that_was_asked_for() {
        let own = Properties {
            headers: Some(table(&[(ROUTED_BY, FieldValue::I32(1)), (TIMESTAMP_IN_MS, FieldValue::I32(2))])),
            timestamp: Some(3),
            ..Properties::default()
        };
        assert_eq!(intercepted(Interceptors { timestamp: Some(false), routing_node: Some(false) }, &own), own);
        let replaced = intercepted(Interceptors { timestamp: Some(true), routing_node: Some(true) }, &own);
        let FieldTable(headers) = replaced.headers.unwrap();
        assert_eq!((headers.len(), replaced.timestamp), (2, Some(NOW_MS / 1000)));
        assert_eq!(headers[0], (ROUTED_BY.into(), FieldValue::LongStr(b"rabbit@x"[..].into())));
    }
}
