//! Field tables as JSON and back, as RabbitMQ's management and definitions have them: all integers become long, all texts
//! longstr.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leveret_codec::limits::TABLE_DEPTH_MAX;
use leveret_codec::table::{FieldTable, FieldValue};
use serde_json::{Map, Number, Value};
use thiserror::Error;

/// What stands before a text that is none.
const NOT_UTF8: &str = "Not UTF-8, base64 is: ";

/// Why JSON is not a field table.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum JsonError {
    /// It is a number, a text, a list...
    #[error("it is not a JSON object")]
    NotAnObject,
    /// It has objects in lists in objects and so on.
    #[error("it is nested more than {TABLE_DEPTH_MAX} levels deep")]
    TooDeep,
    /// A key has more than 255 bytes.
    #[error("a key is longer than 255 bytes")]
    LongKey,
}

/// The field table that a JSON object stands for.
///
/// # Errors
/// When it is no object, or one that no table can hold.
pub fn table_of_json(json: &Value) -> Result<FieldTable, JsonError> {
    let Value::Object(object) = json else { return Err(JsonError::NotAnObject) };
    table_of_object(object, 1)
}

/// The field value that a JSON value stands for.
///
/// # Errors
/// As [`table_of_json`].
pub fn value_of_json(json: &Value) -> Result<FieldValue, JsonError> {
    value_at(json, 1)
}

fn table_of_object(object: &Map<String, Value>, depth: usize) -> Result<FieldTable, JsonError> {
    if depth > TABLE_DEPTH_MAX {
        return Err(JsonError::TooDeep);
    }
    let mut table = FieldTable::default();
    for (key, value) in object {
        if key.len() > usize::from(u8::MAX) {
            return Err(JsonError::LongKey);
        }
        table.push(key.as_bytes(), value_at(value, depth)?);
    }
    Ok(table)
}

fn value_at(json: &Value, depth: usize) -> Result<FieldValue, JsonError> {
    if depth > TABLE_DEPTH_MAX {
        return Err(JsonError::TooDeep);
    }
    Ok(match json {
        Value::Null => FieldValue::Void,
        Value::Bool(value) => FieldValue::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => FieldValue::I64(integer),
            None => FieldValue::F64(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => FieldValue::LongStr(text.as_bytes().into()),
        Value::Array(values) => {
            FieldValue::Array(values.iter().map(|value| value_at(value, depth + 1)).collect::<Result<_, _>>()?)
        }
        Value::Object(object) => FieldValue::Table(table_of_object(object, depth + 1)?),
    })
}

/// A field table as a JSON object. Of equal keys the first counts.
#[must_use]
pub fn json_of_table(table: &FieldTable) -> Value {
    let mut object = Map::new();
    for (key, value) in &table.0 {
        object.entry(json_text(key)).or_insert_with(|| json_of_value(value));
    }
    Value::Object(object)
}

/// A field value as JSON.
#[must_use]
pub fn json_of_value(value: &FieldValue) -> Value {
    let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    match value {
        FieldValue::Bool(value) => (*value).into(),
        FieldValue::I8(number) => (*number).into(),
        FieldValue::U8(number) => (*number).into(),
        FieldValue::I16(number) => (*number).into(),
        FieldValue::U16(number) => (*number).into(),
        FieldValue::I32(number) => (*number).into(),
        FieldValue::U32(number) => (*number).into(),
        FieldValue::I64(number) => (*number).into(),
        FieldValue::Timestamp(seconds) => (*seconds).into(),
        FieldValue::F32(number) => float(f64::from(*number)),
        FieldValue::F64(number) => float(*number),
        FieldValue::Decimal { scale, value } => float(f64::from(*value) / 10f64.powi(i32::from(*scale))),
        FieldValue::LongStr(bytes) | FieldValue::ByteArray(bytes) => json_text(bytes).into(),
        FieldValue::Array(values) => values.iter().map(json_of_value).collect::<Vec<_>>().into(),
        FieldValue::Table(table) => json_of_table(table),
        FieldValue::Void => Value::Null,
    }
}

/// Bytes that are mostly text, such as a routing key, as text; others are told in base64.
#[must_use]
pub fn json_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("{NOT_UTF8}{}", STANDARD.encode(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn types_go_where_rabbitmq_puts_them() {
        let table = table_of_json(&json!({"n": 1, "f": 1.5, "t": "x", "b": true, "z": null, "l": [1, {"a": "b"}]}));
        let table = table.unwrap();
        assert_eq!(table.get(b"n"), Some(&FieldValue::I64(1)));
        assert_eq!(table.get(b"f"), Some(&FieldValue::F64(1.5)));
        assert_eq!(table.get(b"t"), Some(&FieldValue::LongStr((*b"x").into())));
        assert_eq!(table.get(b"z"), Some(&FieldValue::Void));
        assert!(matches!(table.get(b"l"), Some(FieldValue::Array(values)) if values.len() == 2));
        assert_eq!(table_of_json(&json!([1])), Err(JsonError::NotAnObject));
    }

    #[test]
    fn what_json_cannot_say_is_still_told() {
        let mut table = FieldTable::default();
        table.push(*b"bytes", FieldValue::LongStr([0xff, 0].into()));
        table.push(*b"money", FieldValue::Decimal { scale: 2, value: 150 });
        table.push(*b"nan", FieldValue::F64(f64::NAN));
        table.push(*b"nan", FieldValue::Bool(true));
        let expected = json!({"bytes": "Not UTF-8, base64 is: /wA=", "money": 1.5, "nan": null});
        assert_eq!(json_of_table(&table), expected);
    }

    #[test]
    fn depth_is_bounded() {
        let mut deep = json!(1);
        for _ in 0..=TABLE_DEPTH_MAX {
            deep = json!({"a": deep});
        }
        assert_eq!(table_of_json(&deep), Err(JsonError::TooDeep));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(".{0,6}", inner, 0..5)
                    .prop_map(|object| Value::Object(object.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_comes_back(object in proptest::collection::btree_map(".{0,6}", json(), 0..6)) {
            let value = Value::Object(object.into_iter().collect());
            prop_assert_eq!(json_of_table(&table_of_json(&value).unwrap()), value);
        }
    }
}
