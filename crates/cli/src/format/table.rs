//! Columns with a TAB between them.

use std::fmt::Write as _;

use super::erlang;
use crate::output::Rows;
use crate::term::Term;

pub(super) fn rows(list: &Rows, has_header: bool) -> String {
    if list.rows.is_empty() {
        return if list.streamed { String::new() } else { "\n".to_owned() };
    }
    let mut text = String::new();
    if has_header {
        let _ = writeln!(text, "{}", list.columns.join("\t"));
    }
    for row in &list.rows {
        let cells: Vec<String> = row.iter().map(cell).collect();
        let _ = writeln!(text, "{}", cells.join("\t"));
    }
    text
}

/// A value as people read it.
pub(super) fn cell(value: &Term) -> String {
    match value {
        Term::Atom(text) | Term::Text(text) => text.clone(),
        Term::Int(number) => number.to_string(),
        Term::Float(number) => erlang::float(*number),
        Term::Nothing => String::new(),
        Term::List(items) => format!("[{}]", items.iter().map(cell).collect::<Vec<_>>().join(", ")),
        Term::Map(members) => {
            let members: Vec<String> = members.iter().map(|(name, item)| format!("{name} => {}", cell(item))).collect();
            format!("#{{{}}}", members.join(", "))
        }
        Term::Table(_) => pairs(value),
    }
}

/// An AMQP table, as Erlang shows a list of pairs of strings and values. A string is a list of characters there: an empty one is
/// shown as an empty list.
fn pairs(value: &Term) -> String {
    match value {
        Term::Table(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, item)| format!("{{{},{}}}", erlang::string(name), pairs(item))).collect();
            format!("[{}]", members.join(","))
        }
        Term::Text(text) if text.is_empty() => "[]".to_owned(),
        Term::Text(text) => erlang::string(text),
        Term::List(items) => format!("[{}]", items.iter().map(pairs).collect::<Vec<_>>().join(",")),
        Term::Nothing => "undefined".to_owned(),
        other => cell(other),
    }
}
