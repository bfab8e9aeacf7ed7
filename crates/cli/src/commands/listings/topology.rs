//! Queues, exchanges and bindings.

use serde_json::Value;

use super::{pid, plain, stream, timeout_line};
use crate::call::Call;
use crate::commands::info;
use crate::failure::Failure;
use crate::output::Output;
use crate::term::Term;
use crate::url;

const QUEUE: [&str; 45] = [
    "name",
    "durable",
    "auto_delete",
    "arguments",
    "policy",
    "operator_policy",
    "effective_policy_definition",
    "pid",
    "owner_pid",
    "exclusive",
    "exclusive_consumer_pid",
    "exclusive_consumer_tag",
    "messages_ready",
    "messages_unacknowledged",
    "messages",
    "messages_ready_ram",
    "messages_unacknowledged_ram",
    "messages_ram",
    "messages_persistent",
    "message_bytes",
    "message_bytes_ready",
    "message_bytes_unacknowledged",
    "message_bytes_ram",
    "message_bytes_persistent",
    "head_message_timestamp",
    "disk_reads",
    "disk_writes",
    "consumers",
    "consumer_utilisation",
    "consumer_capacity",
    "memory",
    "state",
    "type",
    "leader",
    "members",
    "online",
    "slave_pids",
    "synchronised_slave_pids",
    "mirror_pids",
    "synchronised_mirror_pids",
    "single_active_consumer_pid",
    "single_active_consumer_tag",
    "ram_messages",
    "message_bytes_dlx",
    "messages_dlx",
];
const EXCHANGE: [&str; 7] = ["name", "type", "durable", "auto_delete", "internal", "arguments", "policy"];
const BINDING: [&str; 6] =
    ["source_name", "source_kind", "destination_name", "destination_kind", "routing_key", "arguments"];

pub(super) fn list_queues(call: &Call) -> Result<Output, Failure> {
    let columns = info::columns(call, &QUEUE, &["name", "messages"])?;
    call.banner(timeout_line(call));
    call.banner(format!("Listing queues for vhost {} ...", call.vhost()));
    // There is one node, and it is here.
    let is_wanted = !call.has("offline") || call.has("online") || call.has("local");
    let queues = if is_wanted { queues(call, &columns)? } else { Vec::new() };
    Ok(stream(call, &columns, &queues, queue_column))
}

/// The queues of the vhost with no more than what is asked for: there may be many.
fn queues(call: &Call, columns: &[&str]) -> Result<Vec<Value>, Failure> {
    let path = url::path(&["queues", call.vhost()]);
    let members: Vec<&str> = columns.iter().flat_map(|column| members_of(column)).copied().collect();
    let mut path = format!("{path}?columns={}", members.join(","));
    if columns.iter().all(|column| CHEAP.contains(column)) {
        path.push_str("&disable_stats=true&enable_queue_totals=true");
    }
    of_vhost(call, &path)
}

/// What the broker knows without counting.
const CHEAP: [&str; 11] = [
    "name",
    "durable",
    "auto_delete",
    "arguments",
    "pid",
    "exclusive",
    "type",
    "messages",
    "messages_ready",
    "messages_unacknowledged",
    "state",
];

/// The members of an object of the API that a column is made of.
fn members_of(column: &str) -> &[&str] {
    match column {
        "pid" => &["name"],
        "owner_pid" => &["owner_pid_details"],
        "messages_ram" => &["messages"],
        "messages_ready_ram" => &["messages_ready"],
        "messages_unacknowledged_ram" => &["messages_unacknowledged"],
        other => QUEUE.iter().position(|known| *known == other).and_then(|at| QUEUE.get(at..=at)).unwrap_or_default(),
    }
}

/// What is in the vhost; nothing if there is no such vhost.
fn of_vhost(call: &Call, path: &str) -> Result<Vec<Value>, Failure> {
    let answer = call.send_path(&http::Method::GET, path, None)?;
    if answer.status == 404 {
        return Ok(Vec::new());
    }
    match crate::call::done(answer)?.json() {
        Value::Array(found) => Ok(found),
        _ => Ok(Vec::new()),
    }
}

fn queue_column(call: &Call, queue: &Value, column: &str) -> Term {
    match column {
        "pid" => pid(call, info::text(queue, "name")),
        "owner_pid" => pid(call, info::text(queue, "owner_pid_details.name")),
        "state" => match info::text(queue, "state") {
            "idle" | "" => Term::atom("running"),
            other => Term::atom(other),
        },
        "type" => Term::atom(info::text(queue, "type").trim_start_matches("rabbit_").trim_end_matches("_queue")),
        "effective_policy_definition" => Term::from_json(info::at(queue, column)),
        "members" | "online" => match info::at(queue, column) {
            Value::Array(_) => Term::atoms(info::at(queue, column)),
            _ => Term::Nothing,
        },
        "messages_ram" => plain(queue, "messages"),
        "messages_ready_ram" => plain(queue, "messages_ready"),
        "messages_unacknowledged_ram" => plain(queue, "messages_unacknowledged"),
        other => plain(queue, other),
    }
}

pub(super) fn list_unresponsive_queues(call: &Call) -> Result<Output, Failure> {
    let columns = info::columns(call, &QUEUE, &["name"])?;
    call.banner(format!("Listing unresponsive queues for vhost {} ...", call.vhost()));
    call.need_vhost(call.vhost())?;
    Ok(stream(call, &columns, &[], queue_column))
}

pub(super) fn list_exchanges(call: &Call) -> Result<Output, Failure> {
    let columns = info::columns(call, &EXCHANGE, &["name", "type"])?;
    call.banner(format!("Listing exchanges for vhost {} ...", call.vhost()));
    let exchanges = of_vhost(call, &url::path(&["exchanges", call.vhost()]))?;
    Ok(stream(call, &columns, &exchanges, |_, exchange, column| match column {
        "type" => Term::atom(info::text(exchange, "type")),
        other => plain(exchange, other),
    }))
}

pub(super) fn list_bindings(call: &Call) -> Result<Output, Failure> {
    let columns = info::columns(call, &BINDING, &BINDING)?;
    call.banner(format!("Listing bindings for vhost {}...", call.vhost()));
    let bindings = of_vhost(call, &url::path(&["bindings", call.vhost()]))?;
    Ok(stream(call, &columns, &bindings, |_, binding, column| match column {
        "source_name" => plain(binding, "source"),
        "source_kind" => Term::atom("exchange"),
        "destination_name" => plain(binding, "destination"),
        "destination_kind" => Term::atom(info::text(binding, "destination_type")),
        other => plain(binding, other),
    }))
}
