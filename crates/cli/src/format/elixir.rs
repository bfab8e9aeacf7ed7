//! What Elixir's `inspect` gives: the formats `string` and `inspect` of RabbitMQ's tools.

use std::fmt::Write as _;

use super::erlang;
use crate::output::Rows;
use crate::term::Term;

pub(super) fn rows(list: &Rows) -> String {
    let mut text = String::new();
    for row in &list.rows {
        let members: Vec<String> =
            list.columns.iter().zip(row).map(|(column, item)| format!("{}: {}", key(column), value(item))).collect();
        let _ = writeln!(text, "[{}]", members.join(", "));
    }
    text
}

fn key(name: &str) -> String {
    if name.contains('-') { erlang::string(name) } else { name.to_owned() }
}

fn value(value_: &Term) -> String {
    match value_ {
        Term::Atom(name) if matches!(name.as_str(), "true" | "false") => name.clone(),
        Term::Atom(name) if erlang::atom(name).starts_with('\'') => format!(":{}", erlang::string(name)),
        Term::Atom(name) => format!(":{name}"),
        Term::Text(text) => erlang::string(text),
        Term::Int(number) => number.to_string(),
        Term::Float(number) => erlang::float(*number),
        Term::Nothing => "nil".to_owned(),
        Term::List(items) => format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(", ")),
        Term::Map(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, item)| format!("{} => {}", erlang::string(name), value(item))).collect();
            format!("%{{{}}}", members.join(", "))
        }
        Term::Table(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, item)| {
                    format!("{{{}, :{}, {}}}", erlang::string(name), erlang::type_name(item), value(item))
                })
                .collect();
            format!("[{}]", members.join(", "))
        }
    }
}
