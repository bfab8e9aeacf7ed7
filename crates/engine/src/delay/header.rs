//! The headers of a delayed message: how long it waits, what is left of them when it has waited, and its routing keys.

use leveret_codec::properties::{PropertiesEdit, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use smallvec::SmallVec;

use crate::message::{Message, Parts};

/// Milliseconds to wait; negative once the message has waited.
const DELAY: &[u8] = b"x-delay";

/// More routing keys, which all may see...
const COPIES: &[u8] = b"CC";

/// ...and which nobody may see.
const BLIND_COPIES: &[u8] = b"BCC";

/// How long a message with these headers has to wait; `None` when it goes at once: where the header is absent, no number, not
/// above zero or not below 2^32.
pub(crate) fn delay_ms(headers: Option<TableRef<'_>>) -> Option<u32> {
    let delay_ms = match headers?.get_raw(DELAY)?.decode().ok()? {
        FieldValue::I8(value) => value.into(),
        FieldValue::U8(value) => value.into(),
        FieldValue::I16(value) => value.into(),
        FieldValue::U16(value) => value.into(),
        FieldValue::I32(value) => value.into(),
        FieldValue::U32(value) => value.into(),
        FieldValue::I64(value) => value,
        FieldValue::F32(value) => whole(value.into())?,
        FieldValue::F64(value) => whole(value)?,
        FieldValue::LongStr(text) => str::from_utf8(&text).ok()?.parse().ok()?,
        _ => return None,
    };
    u32::try_from(delay_ms).ok().filter(|delay_ms| *delay_ms > 0)
}

/// How long this message has to wait, 0 when it has not.
pub(super) fn delay_of(parts: &Parts<'_>) -> u32 {
    delay_ms(PropertiesRef::from_checked(parts.properties).headers()).unwrap_or(0)
}

/// The number without what is behind its point; `None` when it is far from any delay.
fn whole(value: f64) -> Option<i64> {
    let range = 0.0..=f64::from(u32::MAX);
    #[allow(clippy::cast_possible_truncation, reason = "that is what is asked for")]
    range.contains(&value).then_some(value as i64)
}

/// The message as it goes on when it has waited: the delay negated, so that no other exchange delays it again, and without the
/// header of blind copies.
pub(super) fn released(message: &Message) -> Message {
    let parts = message.parts();
    let properties = PropertiesRef::from_checked(parts.properties);
    let waited_ms = -i64::from(delay_of(&parts));
    let mut table = FieldTable::default();
    table.push(DELAY, i32::try_from(waited_ms).map_or(FieldValue::I64(waited_ms), FieldValue::I32));
    let mut set = Vec::new();
    table.encode(&mut set);
    let edit = PropertiesEdit { set: TableRef::from_raw(&set), remove: &[BLIND_COPIES], without: 0 };
    let mut edited = Vec::with_capacity(parts.properties.len() + set.len());
    properties.write_edited(&edit, &mut edited);
    Message::copy_of(&Parts { properties: &edited, ..parts })
}

/// The keys that the message is routed by: its own, then those of its headers. They were checked when it was published.
pub(super) fn routing_keys(parts: &Parts<'_>) -> SmallVec<[Box<[u8]>; 2]> {
    let mut keys = SmallVec::new();
    keys.push(parts.routing_key.into());
    let Some(headers) = PropertiesRef::from_checked(parts.properties).headers() else { return keys };
    for header in [COPIES, BLIND_COPIES] {
        if let Some(Ok(FieldValue::Array(members))) = headers.get_raw(header).map(|value| value.decode()) {
            keys.extend(members.into_iter().filter_map(|member| match member {
                FieldValue::LongStr(key) => Some(key),
                _ => None,
            }));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use leveret_codec::properties::Properties;

    use super::*;

    fn headers(entries: &[(&[u8], FieldValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.push(*key, value.clone());
        }
        table
    }

    fn text(text: &str) -> FieldValue {
        FieldValue::LongStr(text.as_bytes().into())
    }

    fn message(table: FieldTable) -> Message {
        let properties =
            Properties { headers: Some(table), priority: Some(7), delivery_mode: Some(2), ..Properties::default() };
        let mut encoded = Vec::new();
        properties.encode(&mut encoded);
        Message::copy_of(&Parts { routing_key: b"own", properties: &encoded, body: b"x", ..Parts::EMPTY })
    }

    #[test]
    fn any_number_is_a_delay() {
        let examples = [
            (FieldValue::I8(1), Some(1)),
            (FieldValue::U8(255), Some(255)),
            (FieldValue::I16(300), Some(300)),
            (FieldValue::U16(65_535), Some(65_535)),
            (FieldValue::I32(5000), Some(5000)),
            (FieldValue::U32(u32::MAX), Some(u32::MAX)),
            (FieldValue::I64(4_294_967_295), Some(u32::MAX)),
            (FieldValue::I64(4_294_967_296), None),
            (FieldValue::I64(0), None),
            (FieldValue::I32(-5000), None),
            (FieldValue::F64(10.9), Some(10)),
            (FieldValue::F32(0.5), None),
            (FieldValue::F64(f64::NAN), None),
            (FieldValue::F64(1e300), None),
            (text("250"), Some(250)),
            (text("+250"), Some(250)),
            (text("-250"), None),
            (text("soon"), None),
            (text(""), None),
            (FieldValue::Bool(true), None),
            (FieldValue::Void, None),
        ];
        for (value, expected) in examples {
            let mut raw = Vec::new();
            headers(&[(b"x-delay", value.clone())]).encode(&mut raw);
            assert_eq!(delay_ms(Some(TableRef::from_raw(&raw))), expected, "{value:?}");
        }
        assert_eq!((delay_ms(None), delay_ms(Some(TableRef::EMPTY))), (None, None));
    }

    #[test]
    fn what_has_waited_says_so_and_keeps_the_rest() {
        for (value, expected) in [
            (FieldValue::I32(5000), FieldValue::I32(-5000)),
            (text("5000"), FieldValue::I32(-5000)),
            (FieldValue::U32(u32::MAX), FieldValue::I64(-4_294_967_295)),
        ] {
            let copies = FieldValue::Array(vec![text("copy"), FieldValue::I32(1)]);
            let before = headers(&[
                (b"x-delay", value),
                (b"a", text("b")),
                (b"CC", copies.clone()),
                (b"BCC", FieldValue::Array(vec![text("blind")])),
            ]);
            let before = message(before);
            let keys = routing_keys(&before.parts());
            assert_eq!(keys.iter().map(|key| &**key).collect::<Vec<_>>(), [&b"own"[..], b"copy", b"blind"]);
            let after = released(&before);
            let parts = after.parts();
            let properties = PropertiesRef::from_checked(parts.properties).to_owned().unwrap();
            let expected = headers(&[(b"a", text("b")), (b"CC", copies), (b"x-delay", expected)]);
            assert_eq!(
                (properties.headers, properties.priority, properties.delivery_mode),
                (Some(expected), Some(7), Some(2))
            );
            assert_eq!((parts.routing_key, parts.body), (&b"own"[..], &b"x"[..]));
            assert_eq!(delay_ms(PropertiesRef::from_checked(parts.properties).headers()), None);
        }
    }
}
