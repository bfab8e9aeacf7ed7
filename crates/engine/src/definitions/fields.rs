//! Reading definitions as leniently as RabbitMQ does: what is missing has a default, numbers and truths may be texts, tags may be
//! one text.

use leveret_codec::table::FieldTable;
use serde_json::{Map, Value};

use super::DefinitionsError;
use crate::json::{JsonError, table_of_json};

/// One thing of a list, such as a user.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    /// What it is: `a user`.
    what: &'static str,
    fields: &'a Map<String, Value>,
}

/// The things of a list. What is no object is passed over, as RabbitMQ does.
pub(super) fn items<'a>(
    definitions: &'a Value,
    list: &str,
    what: &'static str,
) -> Result<Vec<Item<'a>>, DefinitionsError> {
    match definitions.get(list) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) => {
            Ok(values.iter().filter_map(Value::as_object).map(|fields| Item { what, fields }).collect())
        }
        Some(_) => Err(DefinitionsError::NotDefinitions),
    }
}

impl<'a> Item<'a> {
    /// Definitions as a whole.
    pub(super) fn whole(definitions: &'a Value) -> Option<Self> {
        Some(Self { what: "the definitions", fields: definitions.as_object()? })
    }

    /// A field, unless it is missing or nothing.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(Value::as_str)
    }

    /// A text that has to be there.
    pub(super) fn required(self, name: &'static str) -> Result<&'a str, DefinitionsError> {
        self.text(name).ok_or(DefinitionsError::Missing { what: self.what, field: name })
    }

    pub(super) fn truth(self, name: &str, default: bool) -> bool {
        match self.get(name) {
            Some(Value::Bool(truth)) => *truth,
            Some(Value::String(text)) => text == "true",
            _ => default,
        }
    }

    pub(super) fn number(self, name: &str) -> Option<i64> {
        number(self.get(name)?)
    }

    /// A list of texts, or one text with commas.
    pub(super) fn tags(self, name: &str) -> Option<Vec<String>> {
        self.get(name).map(tags)
    }

    /// Its arguments; what is no object is none, as is the empty list that some tools write.
    pub(super) fn arguments(self) -> Result<FieldTable, DefinitionsError> {
        match self.get("arguments").map(table_of_json) {
            Some(Ok(table)) => Ok(table),
            None | Some(Err(JsonError::NotAnObject)) => Ok(FieldTable::default()),
            Some(Err(error)) => Err(DefinitionsError::Arguments(self.what, error)),
        }
    }

    /// An object in this one.
    pub(super) fn inner(self, name: &str) -> Option<Self> {
        let fields = self.get(name)?.as_object()?;
        Some(Self { fields, ..self })
    }

    /// Its fields, which are items themselves.
    pub(super) fn each_inner(self) -> impl Iterator<Item = (&'a str, Self)> {
        let what = self.what;
        self.fields
            .iter()
            .filter_map(move |(name, value)| Some((name.as_str(), Self { what, fields: value.as_object()? })))
    }
}

/// Tags: a list of texts, or one text with commas.
pub(super) fn tags(value: &Value) -> Vec<String> {
    let trimmed = |tag: &str| Some(tag.trim()).filter(|tag| !tag.is_empty()).map(str::to_owned);
    match value {
        Value::String(text) => text.split(',').filter_map(trimmed).collect(),
        Value::Array(values) => values.iter().filter_map(Value::as_str).filter_map(trimmed).collect(),
        _ => Vec::new(),
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
