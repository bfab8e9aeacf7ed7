//! Which messages of a queue somebody wants to move.

use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_server::engine::json::json_of_value;
use leveret_server::engine::message::Parts;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::http::body::Fields;

/// All that is said has to hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// `*` in it stands for anything.
    routing_key: Option<String>,
    /// Headers by name and value.
    headers: Map<String, Value>,
    /// Why it became a dead letter, the last time.
    reason: Option<String>,
    /// In which queue it died first.
    queue: Option<String>,
}

impl Filter {
    /// What a body asks for in its field `filter`.
    ///
    /// # Errors
    /// 400
    pub(super) fn of(fields: &Fields) -> Result<Self, ApiError> {
        let Some(filter) = fields.get("filter") else { return Ok(Self::default()) };
        let Value::Object(filter) = filter else { return Err(ApiError::bad_request("filter: not an object")) };
        let known = ["routing_key", "headers", "reason", "queue"];
        if let Some(unknown) = filter.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(ApiError::bad_request(format!(
                "filter: unknown key {unknown}; there are {}",
                known.join(", ")
            )));
        }
        let text = |name: &str| match filter.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(ApiError::bad_request(format!("filter: {name}: not a text"))),
        };
        let headers = match filter.get("headers") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(headers)) => headers.clone(),
            Some(_) => return Err(ApiError::bad_request("filter: headers: not an object")),
        };
        Ok(Self { routing_key: text("routing_key")?, headers, reason: text("reason")?, queue: text("queue")? })
    }

    /// Whether a message is wanted.
    pub(super) fn takes(&self, parts: &Parts<'_>) -> bool {
        let is_key = |pattern: &String| matches(pattern.as_bytes(), parts.routing_key);
        if !self.routing_key.as_ref().is_none_or(is_key) {
            return false;
        }
        if self.headers.is_empty() && self.reason.is_none() && self.queue.is_none() {
            return true;
        }
        let headers = PropertiesRef::from_checked(parts.properties).headers();
        let headers = headers.and_then(|headers| headers.decode().ok()).unwrap_or_default();
        let is = |name: &str, wanted: &Value| headers.get(name.as_bytes()).map(json_of_value).as_ref() == Some(wanted);
        self.headers.iter().all(|(name, wanted)| is(name, wanted))
            && self.reason.as_deref().is_none_or(|reason| died(&headers, "reason") == Some(reason.as_bytes()))
            && self.queue.as_deref().is_none_or(|queue| is("x-first-death-queue", &queue.into()))
    }
}

/// What the last death says.
fn died<'t>(headers: &'t FieldTable, name: &str) -> Option<&'t [u8]> {
    let Some(FieldValue::Array(deaths)) = headers.get(b"x-death") else { return None };
    let Some(FieldValue::Table(last)) = deaths.first() else { return None };
    match last.get(name.as_bytes()) {
        Some(FieldValue::LongStr(text)) => Some(text),
        _ => None,
    }
}

/// Whether a text is of a form: `*` stands for anything, also nothing.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(place) = (0..=rest.len()).find(|place| rest.get(*place..).is_some_and(|rest| rest.starts_with(part)))
        else {
            return false;
        };
        rest = rest.get(place + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use leveret_codec::properties::Properties;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, is_match) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*", "", true),
            ("*b", "ab", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "ace", true),
            ("a*c*e", "aec", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), is_match, "{pattern} {text}");
        }
    }

    #[test]
    fn all_that_is_said_has_to_hold() {
        let text = |text: &str| FieldValue::LongStr(text.as_bytes().into());
        let mut death = FieldTable::default();
        death.push(*b"reason", text("expired"));
        let mut headers = FieldTable::default();
        headers.push(*b"kind", text("a"));
        headers.push(*b"n", FieldValue::U8(7));
        headers.push(*b"x-death", FieldValue::Array(vec![FieldValue::Table(death)]));
        headers.push(*b"x-first-death-queue", text("q"));
        let mut properties = Vec::new();
        Properties { headers: Some(headers), ..Properties::default() }.encode(&mut properties);
        let parts = Parts { routing_key: b"a.b", properties: &properties, ..Parts::EMPTY };
        for (filter, is_wanted) in [
            (json!({}), true),
            (json!({"routing_key": "a.*", "reason": "expired", "queue": "q", "headers": {"kind": "a", "n": 7}}), true),
            (json!({"routing_key": "b.*"}), false),
            (json!({"reason": "rejected"}), false),
            (json!({"queue": "r"}), false),
            (json!({"headers": {"kind": "b"}}), false),
            (json!({"headers": {"missing": null}}), false),
        ] {
            let fields = Fields::parse(json!({ "filter": filter }).to_string().as_bytes()).unwrap();
            let filter = Filter::of(&fields).unwrap();
            assert_eq!(filter.takes(&parts), is_wanted, "{filter:?}");
        }
        let unknown = Fields::parse(br#"{"filter": {"key": "x"}}"#).unwrap();
        assert!(Filter::of(&unknown).unwrap_err().to_string().contains("unknown key key"));
    }
}
