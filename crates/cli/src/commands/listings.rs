//! Lists of what clients make: queues, exchanges, bindings, connections, channels, consumers.

mod clients;
mod topology;

use serde_json::Value;

use super::BOTH;
use crate::call::Call;
use crate::command::{ANY, Command, Group, Switch};
use crate::commands::info;
use crate::limits;
use crate::output::{Output, Rows};
use crate::term::Term;

const GROUP: Group = Group::Monitoring;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "list_queues",
        (BOTH, GROUP),
        (0, ANY),
        "[--vhost <vhost>] [--online] [--offline] [--local] [--no-table-headers] [<column>, ...] [--timeout <timeout>]",
        "Lists queues and their properties",
        topology::list_queues,
    )
    .with(&[Switch::flag("online"), Switch::flag("offline"), Switch::flag("local")]),
    Command::new(
        "list_unresponsive_queues",
        (BOTH, GROUP),
        (0, ANY),
        "[--local] [--queue-timeout <queue-timeout>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists queues that do not answer: there are none",
        topology::list_unresponsive_queues,
    )
    .with(&[Switch::flag("local"), Switch::flag("all"), Switch::count("queue-timeout")]),
    Command::new(
        "list_exchanges",
        (BOTH, GROUP),
        (0, ANY),
        "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists exchanges",
        topology::list_exchanges,
    ),
    Command::new(
        "list_bindings",
        (BOTH, GROUP),
        (0, ANY),
        "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists bindings of a virtual host",
        topology::list_bindings,
    ),
    Command::new(
        "list_connections",
        (BOTH, GROUP),
        (0, ANY),
        "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists connections",
        clients::list_connections,
    ),
    Command::new(
        "list_channels",
        (BOTH, GROUP),
        (0, ANY),
        "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists channels",
        clients::list_channels,
    ),
    Command::new(
        "list_consumers",
        (BOTH, GROUP),
        (0, ANY),
        "[--vhost <vhost>] [--no-table-headers] [<column> ...]",
        "Lists consumers of a virtual host",
        clients::list_consumers,
    ),
];

/// A value of a thing for a column.
type ColumnOf = fn(&Call, &Value, &str) -> Term;

/// A list that comes in bit by bit.
fn stream(call: &Call, columns: &[&str], things: &[Value], column_of: ColumnOf) -> Output {
    let rows =
        things.iter().map(|thing| columns.iter().map(|column| column_of(call, thing, column)).collect()).collect();
    let columns = columns.iter().map(|&column| column.to_owned()).collect();
    Output::Rows(Rows { columns, rows, streamed: true })
}

/// The first line of a list that has a time limit.
fn timeout_line(call: &Call) -> String {
    let timeout = call.timeout().unwrap_or(limits::REQUEST);
    format!("Timeout: {:.1} seconds ...", timeout.as_secs_f64())
}

/// A member by its own name; nothing if it is not known.
fn plain(thing: &Value, column: &str) -> Term {
    match info::at(thing, column) {
        Value::String(text) if text == "undefined" => Term::Nothing,
        other => info::term(other),
    }
}

/// The pid of what has this name.
fn pid(call: &Call, name: &str) -> Term {
    if name.is_empty() { Term::Nothing } else { Term::text(info::pid(call.node(), name)) }
}
