//! What a command gives.

use crate::term::Term;

/// What a command gives, before it is put into a format.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    /// Nothing to say: it is done.
    Done,
    /// Something to read in any format: JSON has it as a message.
    Message(String),
    /// Text, whatever the format.
    Text(String),
    /// One thing: a text for people, a value for programs.
    Report {
        /// As people read it.
        text: String,
        /// The same for programs.
        value: Term,
    },
    /// A list.
    Rows(Rows),
}

/// A list: a row each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rows {
    /// What the values of a row are called.
    pub(crate) columns: Vec<String>,
    /// A value for each column.
    pub(crate) rows: Vec<Vec<Term>>,
    /// Whether RabbitMQ's tools write it as it comes in; then an empty one leaves no blank line, and JSON of it has its own
    /// line breaks.
    pub(crate) streamed: bool,
}

impl Output {
    /// A list that is made at once.
    pub(crate) fn rows(columns: &[&str], rows: Vec<Vec<Term>>) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self::Rows(Rows { columns, rows, streamed: false })
    }

    /// A thing with a text for people.
    pub(crate) fn report(text: impl Into<String>, value: Term) -> Self {
        Self::Report { text: text.into(), value }
    }
}
