//! Erlang terms.

use crate::output::Rows;
use crate::term::Term;

pub(super) fn rows(list: &Rows) -> String {
    let rows: Vec<String> = list.rows.iter().map(|row| members(&list.columns, row)).collect();
    format!("[{}]\n", rows.join(",\n "))
}

fn members(columns: &[String], row: &[Term]) -> String {
    let members: Vec<String> =
        columns.iter().zip(row).map(|(column, item)| format!("{{{},{}}}", atom(column), value(item))).collect();
    format!("[{}]", members.join(","))
}

/// A value as Erlang writes it.
pub(super) fn value(value_: &Term) -> String {
    match value_ {
        Term::Atom(name) => atom(name),
        Term::Text(text) => format!("<<{}>>", string(text)),
        Term::Int(number) => number.to_string(),
        Term::Float(number) => float(*number),
        Term::Nothing => "undefined".to_owned(),
        Term::List(items) => format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(",")),
        Term::Map(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, item)| format!("{{{},{}}}", atom(name), value(item))).collect();
            format!("[{}]", members.join(","))
        }
        Term::Table(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, item)| format!("{{<<{}>>,{},{}}}", string(name), type_name(item), value(item)))
                .collect();
            format!("[{}]", members.join(","))
        }
    }
}

/// The AMQP type that a value of a table is shown with.
pub(super) fn type_name(value: &Term) -> &'static str {
    match value {
        Term::Text(_) => "longstr",
        Term::Atom(_) => "bool",
        Term::Int(_) => "long",
        Term::Float(_) => "double",
        Term::List(_) => "array",
        Term::Table(_) | Term::Map(_) => "table",
        Term::Nothing => "void",
    }
}

/// An atom, in quotes if it needs them.
pub(super) fn atom(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|other| other.is_ascii_alphanumeric() || other == '_' || other == '@');
    if is_plain { name.to_owned() } else { format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'")) }
}

/// A string in double quotes.
pub(super) fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A number that may have a fraction: one always shows.
pub(super) fn float(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e16 { format!("{number:.1}") } else { number.to_string() }
}
