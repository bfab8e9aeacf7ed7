//! The JSON object that comes with a request.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::limits::NAME_BYTES_MAX;

/// The fields of a request's body.
#[derive(Clone, Debug, Default)]
pub struct Fields(pub Map<String, Value>);

impl Fields {
    /// Reads a body. Nothing, `null` and `undefined` are an empty object.
    ///
    /// # Errors
    /// 400 when it is no JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let body = body.trim_ascii();
        if matches!(body, b"" | b"null" | b"undefined") {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(Value::String(_)) => Err(ApiError::bad_request(
                "invalid payload: the request body JSON-decoded to a string. Is the input doubly-JSON-encoded?",
            )),
            _ => Err(ApiError::bad_request("not_json")),
        }
    }

    /// A field, if it is there and not null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// A text, if the field is there.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn checked_text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ApiError::bad_request(format!("{name}: not a string"))),
        }
    }

    /// The routing key in the field of that name, if it is there.
    ///
    /// # Errors
    /// 400 when it is no text, or too long to be one.
    pub fn routing_key(&self) -> Result<Option<&str>, ApiError> {
        let key = self.checked_text("routing_key")?;
        if key.is_some_and(|key| key.len() > NAME_BYTES_MAX) {
            return Err(ApiError::bad_request("routing_key: longer than 255 bytes"));
        }
        Ok(key)
    }

    /// A yes or no, also as the text that some clients send.
    ///
    /// # Errors
    /// 400 when it is neither.
    pub fn bool_or(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(other) => Err(ApiError::bad_request(format!("{name}: not a boolean: {other}"))),
        }
    }

    /// A whole number, also as the text that some clients send.
    ///
    /// # Errors
    /// 400 when it is neither.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        };
        number.map(Some).ok_or_else(|| ApiError::bad_request(format!("{name}: not an integer: {value}")))
    }

    /// Refuses a body in which one of `names` is missing, as RabbitMQ words it.
    ///
    /// # Errors
    /// 400 that names all that are missing.
    pub fn require(&self, names: &[&str]) -> Result<(), ApiError> {
        let missing = names.iter().filter(|name| !self.0.contains_key(**name));
        let missing: Vec<String> = missing.map(|name| format!("{{key_missing,{}}}", atom(name))).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ApiError::bad_request(format!("[{}]", missing.join(","))))
    }
}

/// A name as Erlang prints it: in quotes, if it is not plain.
fn atom(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if is_plain { name.to_owned() } else { format!("'{name}'") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bodies_are_objects() {
        for (body, is_fine) in
            [("", true), ("null", true), ("undefined", true), ("{}", true), ("[]", false), ("1", false), ("{", false)]
        {
            assert_eq!(Fields::parse(body.as_bytes()).is_ok(), is_fine, "{body}");
        }
        let doubly = Fields::parse(br#""{}""#).unwrap_err().to_string();
        assert!(doubly.contains("doubly-JSON-encoded"), "{doubly}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let fields = Fields::parse(br#"{"write": null, "n": "5", "b": "true"}"#).unwrap();
        let error = fields.require(&["configure", "write", "apply-to"]).unwrap_err().to_string();
        assert_eq!(error, "bad request: [{key_missing,configure},{key_missing,'apply-to'}]");
        assert_eq!(fields.integer("n").unwrap(), Some(5));
        assert!(fields.bool_or("b", false).unwrap() && fields.integer("b").is_err());
        assert_eq!((fields.checked_text("n").unwrap(), fields.checked_text("write").unwrap()), (Some("5"), None));
        for (body, reason) in [
            (json!({ "routing_key": 5 }), "routing_key: not a string"),
            (json!({ "routing_key": "k".repeat(256) }), "routing_key: longer than 255 bytes"),
        ] {
            let refused = Fields::parse(body.to_string().as_bytes()).unwrap();
            assert_eq!(refused.routing_key().unwrap_err().to_string(), format!("bad request: {reason}"));
        }
    }
}
