//! A message's properties as JSON and back.

use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::FieldTable;
use leveret_server::engine::json::{json_of_table, json_text, table_of_json};
use serde_json::{Map, Value};

use crate::error::ApiError;

/// Properties of a message that is published by HTTP. What is null is left out; what is no property, too.
///
/// # Errors
/// 400 when one is of the wrong type.
pub(super) fn of_json(json: &Value) -> Result<Properties, ApiError> {
    let empty = Map::new();
    let json = match json {
        Value::Object(fields) => fields,
        // Clients in languages whose empty map is an empty list send that.
        Value::Array(items) if items.is_empty() => &empty,
        Value::Null => &empty,
        other => return Err(ApiError::bad_request(format!("properties: not an object: {other}"))),
    };
    let text = |name: &'static str| match json.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= usize::from(u8::MAX) => Ok(Some(text.as_bytes().into())),
        Some(_) => Err(ApiError::bad_request(format!("[\"not_string\",\"{name}\"]"))),
    };
    let octet = |name: &'static str| match integer(json, name)? {
        None => Ok(None),
        Some(number) => u8::try_from(number).map(Some).map_err(|_| not_int(name)),
    };
    Ok(Properties {
        content_type: text("content_type")?,
        content_encoding: text("content_encoding")?,
        headers: headers(json.get("headers"))?,
        delivery_mode: octet("delivery_mode")?,
        priority: octet("priority")?,
        correlation_id: text("correlation_id")?,
        reply_to: text("reply_to")?,
        expiration: text("expiration")?,
        message_id: text("message_id")?,
        timestamp: integer(json, "timestamp")?,
        type_: text("type")?,
        user_id: text("user_id")?,
        app_id: text("app_id")?,
        cluster_id: text("cluster_id")?,
    })
}

fn not_int(name: &str) -> ApiError {
    ApiError::bad_request(format!("[\"not_int\",\"{name}\"]"))
}

fn integer(json: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, ApiError> {
    match json.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| not_int(name)),
    }
}

fn headers(json: Option<&Value>) -> Result<Option<FieldTable>, ApiError> {
    match json {
        None | Some(Value::Null) => Ok(None),
        Some(headers) => {
            table_of_json(headers).map(Some).map_err(|error| ApiError::bad_request(format!("headers: {error}")))
        }
    }
}

/// The properties that a message has; what cannot be decoded is left out.
pub(crate) fn to_json(raw: &[u8]) -> Value {
    let properties = PropertiesRef::from_checked(raw).to_owned().unwrap_or_default();
    let mut json = Map::new();
    let texts = [
        ("content_type", properties.content_type),
        ("content_encoding", properties.content_encoding),
        ("correlation_id", properties.correlation_id),
        ("reply_to", properties.reply_to),
        ("expiration", properties.expiration),
        ("message_id", properties.message_id),
        ("type", properties.type_),
        ("user_id", properties.user_id),
        ("app_id", properties.app_id),
        ("cluster_id", properties.cluster_id),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            json.insert(name.to_owned(), json_text(&text).into());
        }
    }
    let numbers = [
        ("delivery_mode", properties.delivery_mode.map(u64::from)),
        ("priority", properties.priority.map(u64::from)),
        ("timestamp", properties.timestamp),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            json.insert(name.to_owned(), number.into());
        }
    }
    if let Some(headers) = &properties.headers {
        json.insert("headers".to_owned(), json_of_table(headers));
    }
    Value::Object(json)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn properties_survive_the_way_through_json() {
        let all = json!({
            "content_type": "text/plain", "content_encoding": "gzip", "headers": {"a": 1, "b": {"c": [1, "x", null]}},
            "delivery_mode": 2, "priority": 9, "correlation_id": "c", "reply_to": "r", "expiration": "10",
            "message_id": "m", "timestamp": 12, "type": "t", "user_id": "u", "app_id": "a", "cluster_id": "k",
        });
        let mut encoded = Vec::new();
        of_json(&all).unwrap().encode(&mut encoded);
        assert_eq!(to_json(&encoded), all);
        for nothing in [json!({}), json!([]), json!(null), json!({"headers": null, "unknown": 1})] {
            let mut encoded = Vec::new();
            of_json(&nothing).unwrap().encode(&mut encoded);
            assert_eq!(to_json(&encoded), json!({}), "{nothing}");
        }
    }

    #[test]
    fn wrong_types_are_named() {
        for (json, reason) in [
            (json!({"delivery_mode": "2"}), r#"["not_int","delivery_mode"]"#),
            (json!({"priority": 256}), r#"["not_int","priority"]"#),
            (json!({"timestamp": "x"}), r#"["not_int","timestamp"]"#),
            (json!({"reply_to": 1}), r#"["not_string","reply_to"]"#),
            (json!({"headers": 1}), "headers: it is not a JSON object"),
            (json!("x"), "properties: not an object: \"x\""),
        ] {
            assert_eq!(of_json(&json).unwrap_err().to_string(), format!("bad request: {reason}"));
        }
    }
}
