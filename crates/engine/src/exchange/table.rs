//! Routing tables: from a message's key and headers to the destinations of the bindings that match.

use std::hash::Hash;

use leveret_codec::table::{FieldTable, TableRef};

use super::direct::DirectTable;
use super::fanout::Destinations;
use super::headers::{self, HeadersTable};
use super::topic::TopicTable;
use crate::queue::arguments::ArgumentError;

/// The type of an exchange: how its bindings match.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ExchangeKind {
    /// By equal key.
    Direct,
    /// Always.
    Fanout,
    /// By a pattern of words.
    Topic,
    /// By header values.
    Headers,
}

/// The bindings of one exchange to destinations of type `D`.
#[derive(Clone, Debug)]
pub struct Table<D>(Bindings<D>);

#[derive(Clone, Debug)]
enum Bindings<D> {
    Direct(DirectTable<D>),
    Fanout(Destinations<D>),
    Topic(TopicTable<D>),
    Headers(HeadersTable<D>),
}

/// Refuses a binding whose arguments mean nothing to an exchange of this type.
///
/// # Errors
/// [`ArgumentError::BadXMatchValue`], [`ArgumentError::BadXMatchType`]
pub fn validate_binding(kind: ExchangeKind, arguments: &FieldTable) -> Result<(), ArgumentError> {
    match kind {
        ExchangeKind::Headers => headers::validate_binding(arguments),
        ExchangeKind::Direct | ExchangeKind::Fanout | ExchangeKind::Topic => Ok(()),
    }
}

impl ExchangeKind {
    /// The type of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "direct" => Some(Self::Direct),
            "fanout" => Some(Self::Fanout),
            "topic" => Some(Self::Topic),
            "headers" => Some(Self::Headers),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

impl<D: Clone + Eq + Hash> Table<D> {
    /// The table of an exchange without bindings.
    #[must_use]
    pub fn new(kind: ExchangeKind) -> Self {
        Self(match kind {
            ExchangeKind::Direct => Bindings::Direct(DirectTable::new()),
            ExchangeKind::Fanout => Bindings::Fanout(Destinations::new()),
            ExchangeKind::Topic => Bindings::Topic(TopicTable::new()),
            ExchangeKind::Headers => Bindings::Headers(HeadersTable::new()),
        })
    }

    /// Adds a binding. The caller sees to it that there is none yet with this key, destination and arguments.
    pub fn bind(&mut self, key: &[u8], arguments: &FieldTable, destination: D) {
        match &mut self.0 {
            Bindings::Direct(table) => table.bind(key, destination),
            Bindings::Fanout(table) => table.add(destination),
            Bindings::Topic(table) => table.bind(key, destination),
            Bindings::Headers(table) => table.bind(arguments, &destination),
        }
    }

    /// Removes a binding, and nothing of others that match the same messages. The caller sees to it that it is there.
    pub fn unbind(&mut self, key: &[u8], arguments: &FieldTable, destination: &D) {
        match &mut self.0 {
            Bindings::Direct(table) => table.unbind(key, destination),
            Bindings::Fanout(table) => table.remove(destination),
            Bindings::Topic(table) => table.unbind(key, destination),
            Bindings::Headers(table) => table.unbind(arguments, destination),
        }
    }

    /// Calls `each` for the destination of every binding that matches a message with this key and these headers, at least
    /// once for each destination; whoever wants each only once sees to it. Only a headers exchange looks at the headers,
    /// see [`Table::needs_headers`].
    pub fn visit(&self, key: &[u8], headers: Option<TableRef<'_>>, each: &mut dyn FnMut(&D)) {
        match &self.0 {
            Bindings::Direct(table) => table.visit(key, each),
            Bindings::Fanout(table) => table.visit(each),
            Bindings::Topic(table) => table.visit(key, each),
            Bindings::Headers(table) => table.visit(headers.unwrap_or(TableRef::EMPTY), each),
        }
    }

    /// Whether there are no bindings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Bindings::Direct(table) => table.is_empty(),
            Bindings::Fanout(table) => table.is_empty(),
            Bindings::Topic(table) => table.is_empty(),
            Bindings::Headers(table) => table.is_empty(),
        }
    }

    /// Whether a message's headers have a say in where it goes.
    #[must_use]
    pub const fn needs_headers(&self) -> bool {
        matches!(self.0, Bindings::Headers(_))
    }
}

#[cfg(test)]
mod tests {
    use leveret_codec::table::FieldValue;

    use super::*;

    #[test]
    fn kinds_have_rabbitmq_s_names() {
        for kind in [ExchangeKind::Direct, ExchangeKind::Fanout, ExchangeKind::Topic, ExchangeKind::Headers] {
            assert_eq!(ExchangeKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(ExchangeKind::parse("Direct"), None);
    }

    #[test]
    fn refused_x_match() {
        let text = |bytes: &[u8]| FieldValue::LongStr(bytes.into());
        let value =
            |shown| format!("Invalid x-match field value {shown}; expected all, any, all-with-x, or any-with-x");
        let kind = |name, shown| format!("Invalid x-match field type {name} (value {shown}); expected longstr");
        let examples = [
            (text(b"all-with-x"), None),
            (text(b"foo"), Some(value("<<\"foo\">>"))),
            (text(b""), Some(value("<<>>"))),
            (text(&[255, 1]), Some(value("<<255,1>>"))),
            (FieldValue::I32(23), Some(kind("signedint", "23"))),
            (FieldValue::ByteArray((*b"all").into()), Some(kind("binary", "<<\"all\">>"))),
            (FieldValue::Void, Some(kind("void", "undefined"))),
        ];
        for (value, expected) in examples {
            let mut arguments = FieldTable::default();
            arguments.push(*b"x-match", value);
            let refusal = validate_binding(ExchangeKind::Headers, &arguments).map_err(|error| error.to_string());
            assert_eq!(refusal.err(), expected);
            assert_eq!(validate_binding(ExchangeKind::Topic, &arguments), Ok(()));
        }
    }
}
