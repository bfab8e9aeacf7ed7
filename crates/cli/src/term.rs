//! What commands give: values with the difference between names and texts that Erlang makes, which some formats show.

use serde_json::Value;

/// A value in the answer of a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    /// A name: `true`, `running`, `administrator`.
    Atom(String),
    /// A text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Several.
    List(Vec<Term>),
    /// An AMQP table, such as arguments: RabbitMQ's tools show it with the types of its values.
    Table(Vec<(String, Term)>),
    /// Values by name.
    Map(Vec<(String, Term)>),
    /// Nothing.
    Nothing,
}

impl Term {
    /// A name.
    pub(crate) fn atom(name: impl Into<String>) -> Self {
        Self::Atom(name.into())
    }

    /// A text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Yes or no.
    pub(crate) fn bool(value: bool) -> Self {
        Self::Atom(value.to_string())
    }

    /// What stands in JSON; objects become maps.
    pub(crate) fn from_json(value: &Value) -> Self {
        Self::convert(value, Self::Map)
    }

    /// What stands in JSON; objects become AMQP tables.
    pub(crate) fn table(value: &Value) -> Self {
        Self::convert(value, Self::Table)
    }

    /// Names, from JSON.
    pub(crate) fn atoms(value: &Value) -> Self {
        let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        Self::List(names.map(Self::atom).collect())
    }

    fn convert(value: &Value, object: fn(Vec<(String, Self)>) -> Self) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Bool(value) => Self::bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Float(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => Self::text(text),
            Value::Array(items) => Self::List(items.iter().map(|item| Self::convert(item, object)).collect()),
            Value::Object(members) => {
                object(members.iter().map(|(name, item)| (name.clone(), Self::convert(item, object))).collect())
            }
        }
    }
}

impl From<i64> for Term {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Term {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Term {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Term {
    fn from(value: bool) -> Self {
        Self::bool(value)
    }
}
