//! JSON, with the line breaks of RabbitMQ's tools.

use serde_json::Value;

use super::erlang::type_name;
use crate::output::Rows;
use crate::term::Term;

/// A list: a row a line, with the comma at the start of the next.
pub(super) fn rows(list: &Rows) -> String {
    if list.rows.is_empty() && !list.streamed {
        return "[]\n".to_owned();
    }
    let rows: Vec<String> = list.rows.iter().map(|row| object(&list.columns, row)).collect();
    if rows.is_empty() { "[\n]\n".to_owned() } else { format!("[\n{}\n]\n", rows.join("\n,")) }
}

/// A list: an object a line, with an empty line after each.
pub(super) fn stream(list: &Rows) -> String {
    list.rows.iter().map(|row| format!("{}\n\n", object(&list.columns, row))).collect()
}

fn object(columns: &[String], row: &[Term]) -> String {
    let members: Vec<String> =
        columns.iter().zip(row).map(|(column, item)| format!("{}:{}", quoted(column), cell(item))).collect();
    format!("{{{}}}", members.join(","))
}

/// A value on its own.
pub(super) fn value(value: &Term) -> String {
    write(value, "null")
}

/// A value in a row: what is not there is an empty text.
fn cell(value: &Term) -> String {
    write(value, "\"\"")
}

fn write(value: &Term, nothing: &str) -> String {
    match value {
        Term::Atom(name) if matches!(name.as_str(), "true" | "false") => name.clone(),
        Term::Atom(text) | Term::Text(text) => quoted(text),
        Term::Int(number) => number.to_string(),
        Term::Float(number) => Value::from(*number).to_string(),
        Term::Nothing => nothing.to_owned(),
        Term::List(items) => {
            format!("[{}]", items.iter().map(|item| write(item, nothing)).collect::<Vec<_>>().join(","))
        }
        Term::Map(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, item)| format!("{}:{}", quoted(name), write(item, nothing))).collect();
            format!("{{{}}}", members.join(","))
        }
        Term::Table(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, item)| format!("[{},\"{}\",{}]", quoted(name), type_name(item), write(item, nothing)))
                .collect();
            format!("[{}]", members.join(","))
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
