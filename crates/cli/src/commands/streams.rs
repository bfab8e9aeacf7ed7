//! `rabbitmq-streams`: streams have one replica, on the only node.

use http::Method;
use serde_json::{Value, json};

use super::quorum::drawn;
use crate::call::{Call, done};
use crate::command::{ANY, Command, Group, Switch};
use crate::commands::info;
use crate::failure::Failure;
use crate::output::{Output, Rows};
use crate::personality::Tool;
use crate::term::Term;

const STREAMS: &[Tool] = &[Tool::Streams];
const STATUS: &[Tool] = &[Tool::Streams, Tool::Queues, Tool::Diagnostics];
/// Commands that a plugin adds to `rabbitmqctl` and `rabbitmq-diagnostics` too.
const PLUGIN: &[Tool] = &[Tool::Streams, Tool::Ctl, Tool::Diagnostics];

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "stream_status",
        (STATUS, Group::Monitoring),
        (1, 1),
        "[--vhost <vhost>] [--tracking] <stream>",
        "Shows the replica of a stream",
        stream_status,
    )
    .with(&[Switch::flag("tracking")]),
    Command::new(
        "add_replica",
        (STREAMS, Group::Replication),
        (2, 2),
        "[--vhost <vhost>] <stream> <node>",
        "Succeeds for this node, which has the replica already",
        add_replica,
    ),
    Command::new(
        "delete_replica",
        (STREAMS, Group::Replication),
        (2, 2),
        "[--vhost <vhost>] <stream> <node>",
        "Fails for this node, which has the only replica",
        delete_replica,
    ),
    Command::new(
        "restart_stream",
        (STREAMS, Group::Replication),
        (1, 1),
        "[--vhost <vhost>] <stream> [--preferred-leader-node <node>]",
        "Does nothing: the stream is where it should be",
        restart,
    )
    .with(&[Switch::text("preferred-leader-node")]),
    Command::new(
        "set_stream_retention_policy",
        (STREAMS, Group::Policies),
        (2, 2),
        "[--vhost <vhost>] <stream> <policy>",
        "Sets how long a stream keeps messages, such as 7D, by a policy of its name",
        set_retention,
    ),
    Command::new(
        "list_stream_connections",
        (PLUGIN, Group::Monitoring),
        (0, ANY),
        "[<column> ...]",
        "Lists connections of the stream protocol: there are none",
        none,
    ),
    Command::new(
        "list_stream_consumers",
        (PLUGIN, Group::Monitoring),
        (0, ANY),
        "[--vhost <vhost>] [<column> ...]",
        "Lists consumers by the stream protocol: there are none",
        none,
    ),
    Command::new(
        "list_stream_publishers",
        (PLUGIN, Group::Monitoring),
        (0, ANY),
        "[--vhost <vhost>] [<column> ...]",
        "Lists publishers by the stream protocol: there are none",
        none,
    ),
    Command::new(
        "list_stream_consumer_groups",
        (PLUGIN, Group::Monitoring),
        (0, ANY),
        "[--vhost <vhost>] [<column> ...]",
        "Lists groups of consumers by the stream protocol: there are none",
        none,
    ),
];

fn stream(call: &Call) -> Result<Value, Failure> {
    let found = call.find(&["queues", call.vhost(), call.argument(0)])?;
    let queue = found.ok_or_else(|| Failure::unavailable("not_found"))?;
    match info::text(&queue, "type") {
        "stream" => Ok(queue),
        other => Err(Failure::unavailable(format!("Cannot get stream status of a {other} queue"))),
    }
}

fn stream_status(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Status of stream {} on node {} ...", call.argument(0), call.node()));
    let queue = stream(call)?;
    if call.has("tracking") {
        return Ok(drawn(call, &["Output"], vec![vec![Term::List(Vec::new())]]));
    }
    let columns = ["role", "node", "epoch", "offset", "committed_offset", "first_offset", "readers", "segments"];
    let last = Term::Int(info::number(&queue, "messages") - 1);
    let row = vec![
        Term::atom("writer"),
        Term::atom(call.node()),
        Term::Int(1),
        last.clone(),
        last,
        Term::Int(0),
        Term::Int(info::number(&queue, "consumers")),
        Term::Int(1),
    ];
    Ok(drawn(call, &columns, vec![row]))
}

fn add_replica(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Adding a replica for queue {} on node {}...", call.argument(0), call.argument(1)));
    stream(call)?;
    if call.argument(1) == call.node() { Ok(Output::Done) } else { Err(Failure::unavailable("node_not_running")) }
}

fn delete_replica(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Removing a replica of queue {} on node {}...", call.argument(0), call.argument(1)));
    stream(call)?;
    if call.argument(1) == call.node() {
        return Err(Failure::unavailable("Cannot delete the last member of a stream"));
    }
    Ok(Output::Done)
}

fn restart(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Restarting stream queue {} ...", call.argument(0)));
    stream(call)?;
    Ok(Output::Done)
}

fn set_retention(call: &Call) -> Result<Output, Failure> {
    let (name, age) = (call.argument(0), call.argument(1));
    call.banner(format!("Setting retention policy of stream queue {name} to {age} ..."));
    stream(call)?;
    let body = json!({
        "pattern": format!("^{}$", quoted(name)),
        "definition": {"max-age": age},
        "priority": 0,
        "apply-to": "streams",
    });
    let policy = format!("retention of {name}");
    call.send(Method::PUT, &["policies", call.vhost(), &policy], Some(&body)).and_then(done)?;
    Ok(Output::Done)
}

/// A name as a pattern that finds nothing else.
fn quoted(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_alphanumeric() { letter.to_string() } else { format!("\\{letter}") })
        .collect()
}

fn none(call: &Call) -> Result<Output, Failure> {
    call.banner(match call.command.name {
        "list_stream_connections" => "Listing stream connections ...",
        "list_stream_consumers" => "Listing stream consumers ...",
        "list_stream_publishers" => "Listing stream publishers ...",
        _ => "Listing stream consumer groups ...",
    });
    call.status()?;
    Ok(Output::Rows(Rows { columns: Vec::new(), rows: Vec::new(), streamed: true }))
}
