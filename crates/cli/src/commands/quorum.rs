//! `rabbitmq-queues`: replicas of queues. A queue has one, on the only node.

use serde_json::Value;

use crate::call::Call;
use crate::command::{Command, Group, Switch};
use crate::commands::info;
use crate::failure::Failure;
use crate::format::Format;
use crate::limits;
use crate::output::{Output, Rows};
use crate::personality::Tool;
use crate::term::Term;

const QUEUES: &[Tool] = &[Tool::Queues];
const STATUS: &[Tool] = &[Tool::Queues, Tool::Diagnostics];
const REPLICATION: Group = Group::Replication;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "quorum_status",
        (STATUS, Group::Monitoring),
        (1, 1),
        "[--vhost <vhost>] <queue>",
        "Shows the replica of a quorum queue",
        quorum_status,
    ),
    Command::new(
        "peek",
        (QUEUES, Group::Monitoring),
        (2, 2),
        "[--vhost <vhost>] <queue> <position>",
        "Shows a message that waits in a queue, without taking it; the first is 1",
        peek,
    ),
    Command::new(
        "grow",
        (QUEUES, Group::Cluster),
        (2, 2),
        "<node> <all | even> [--vhost-pattern <pattern>] [--queue-pattern <pattern>]",
        "Does nothing: every queue has its replica",
        grow,
    )
    .with(&[
        Switch::text("vhost-pattern"),
        Switch::text("queue-pattern"),
        Switch::text("membership"),
        Switch::flag("errors-only"),
    ]),
    Command::new(
        "shrink",
        (QUEUES, Group::Cluster),
        (1, 1),
        "<node> [--errors-only]",
        "Leaves every quorum queue as it is: it has one replica",
        shrink,
    )
    .with(&[Switch::flag("errors-only")]),
    Command::new(
        "add_member",
        (QUEUES, REPLICATION),
        (2, 2),
        "[--vhost <vhost>] <queue> <node>",
        "Succeeds for this node, which has the replica already",
        add_member,
    )
    .with(&[Switch::text("membership")]),
    Command::new(
        "delete_member",
        (QUEUES, REPLICATION),
        (2, 2),
        "[--vhost <vhost>] <queue> <node>",
        "Fails for this node, which has the only replica",
        delete_member,
    ),
    Command::new(
        "transfer_leadership",
        (QUEUES, REPLICATION),
        (2, 2),
        "[--vhost <vhost>] <queue> <node>",
        "Succeeds for this node, which leads already",
        add_member,
    ),
    Command::new(
        "rebalance",
        (QUEUES, Group::Cluster),
        (1, 1),
        "< all | classic | quorum | stream > [--vhost-pattern <pattern>] [--queue-pattern <pattern>]",
        "Shows how many queues the node leads: there is nothing to move",
        rebalance,
    )
    .with(&[Switch::text("vhost-pattern"), Switch::text("queue-pattern")]),
    Command::new(
        "reclaim_quorum_memory",
        (STATUS, Group::Operations),
        (1, 1),
        "[--vhost <vhost>] <queue>",
        "Does nothing: memory of queues is given back by itself",
        reclaim,
    ),
];

/// A drawn table, unless something else is asked for.
pub(super) fn drawn(call: &Call, columns: &[&str], rows: Vec<Vec<Term>>) -> Output {
    let columns = columns.iter().map(|&column| column.to_owned()).collect();
    let rows = Rows { columns, rows, streamed: true };
    if call.format.is_some() {
        return Output::Rows(rows);
    }
    let style = crate::format::Style { format: Format::Pretty, has_header: true };
    Output::Text(crate::format::render(&Output::Rows(rows), style).trim_end().to_owned())
}

fn queue(call: &Call, missing: &str) -> Result<Value, Failure> {
    call.find(&["queues", call.vhost(), call.argument(0)])?.ok_or_else(|| Failure::unavailable(missing))
}

fn quorum_status(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Status of quorum queue {} on node {} ...", call.argument(0), call.node()));
    let queue = queue(call, "not_found")?;
    match info::text(&queue, "type") {
        "quorum" => {}
        other => return Err(Failure::unavailable(format!("Cannot get quorum status of a {other} queue"))),
    }
    let columns = [
        "Node Name",
        "Raft State",
        "Membership",
        "Last Log Index",
        "Last Written",
        "Last Applied",
        "Commit Index",
        "Snapshot Index",
        "Term",
        "Machine Version",
    ];
    let index = Term::Int(info::number(&queue, "messages"));
    let row = vec![
        Term::atom(call.node()),
        Term::atom("leader"),
        Term::atom("voter"),
        index.clone(),
        index.clone(),
        index.clone(),
        index,
        Term::Int(0),
        Term::Int(1),
        Term::Int(0),
    ];
    Ok(drawn(call, &columns, vec![row]))
}

fn peek(call: &Call) -> Result<Output, Failure> {
    let (name, vhost) = (call.argument(0), call.vhost());
    let position: usize = match call.argument(1).parse() {
        Ok(position) if position > 0 => position,
        _ => return Err(call.bad_argument("position value must be a positive integer")),
    };
    call.banner(format!("Peeking at quorum queue {name} at position {position} on node {} ...", call.node()));
    let missing = format!("Target queue was not found in virtual host '{vhost}'");
    queue(call, &missing)?;
    let message = ready_message(call, position)?;
    let message =
        message.ok_or_else(|| Failure::unavailable("Target queue does not have a message at that position"))?;
    Ok(drawn(call, &["keys", "values"], message_rows(&message)))
}

/// The message at this place of those that wait to be delivered.
fn ready_message(call: &Call, position: usize) -> Result<Option<Value>, Failure> {
    let path = crate::url::path(&["queues", call.vhost(), call.argument(0), "messages"]);
    let (mut left, mut from) = (position, 1);
    loop {
        let found = call.get_path(&format!("{path}?from={from}&count={left}&truncate={}", limits::PEEK_BYTES))?;
        let ready = info::at(&found, "messages").as_array().into_iter().flatten();
        let mut ready = ready.filter(|message| info::text(message, "state") == "ready");
        if let Some(message) = ready.clone().nth(left - 1) {
            return Ok(Some(message.clone()));
        }
        left -= ready.by_ref().count();
        match info::at(&found, "next").as_u64() {
            Some(next) if next > from => from = next,
            _ => return Ok(None),
        }
    }
}

fn message_rows(message: &Value) -> Vec<Vec<Term>> {
    let mut rows = Vec::new();
    let properties = info::at(message, "properties");
    let mut push = |key: &str, value: Term| rows.push(vec![Term::text(key), value]);
    for (name, value) in properties.as_object().into_iter().flatten().filter(|(name, _)| name.as_str() != "headers") {
        push(name, Term::from_json(value));
    }
    push("routing_keys", Term::from_json(info::at(message, "routing_key")));
    push("exchange", Term::from_json(info::at(message, "exchange")));
    let payload = info::text(message, "payload").as_bytes();
    let payload = payload.get(..limits::PEEK_BYTES).unwrap_or(payload);
    push(&format!("payload (max {} bytes)", limits::PEEK_BYTES), Term::text(String::from_utf8_lossy(payload)));
    for (name, value) in properties["headers"].as_object().into_iter().flatten() {
        push(&format!("header.{name}"), Term::table(value));
    }
    rows
}

fn quorum_queues(call: &Call) -> Result<Vec<Value>, Failure> {
    let mut queues = call.list_path("queues?columns=name,vhost,type&disable_stats=true")?;
    queues.retain(|queue| info::text(queue, "type") == "quorum");
    Ok(queues)
}

fn need_here(call: &Call, node: &str) -> Result<(), Failure> {
    if node == call.node() { Ok(()) } else { Err(Failure::unavailable("node_not_running")) }
}

fn grow(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Growing {} quorum queues on {}...", call.argument(1), call.argument(0)));
    need_here(call, call.argument(0))?;
    Ok(Output::rows(&["vhost", "name", "size", "result"], Vec::new()))
}

fn shrink(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Shrinking quorum queues on {}...", call.argument(0)));
    need_here(call, call.argument(0))?;
    let queues = quorum_queues(call)?;
    let rows = queues.iter().map(|queue| {
        let error = Term::text("error: the last node cannot be removed");
        vec![Term::from_json(&queue["vhost"]), Term::from_json(&queue["name"]), Term::Int(1), error]
    });
    Ok(Output::rows(&["vhost", "name", "size", "result"], rows.collect()))
}

fn add_member(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Adding a replica for queue {} on node {}...", call.argument(0), call.argument(1)));
    need_here(call, call.argument(1))?;
    queue(call, "not_found")?;
    Ok(Output::Done)
}

fn delete_member(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Removing a replica of queue {} on node {}...", call.argument(0), call.argument(1)));
    queue(call, "not_found")?;
    if call.argument(1) == call.node() { Err(Failure::unavailable("last_node")) } else { Ok(Output::Done) }
}

fn rebalance(call: &Call) -> Result<Output, Failure> {
    let kind = call.argument(0);
    if !matches!(kind, "all" | "classic" | "quorum" | "stream") {
        return Err(Failure::unavailable(format!(
            "type {kind} is not supported. Try one of all, classic, quorum, stream."
        )));
    }
    call.banner(match kind {
        "all" => "Re-balancing leaders of all queues...".to_owned(),
        kind => format!("Re-balancing leaders of {kind} queues..."),
    });
    let count = i64::try_from(quorum_queues(call)?.len()).unwrap_or_default();
    let row = vec![Term::atom(call.node()), Term::Int(count), Term::Int(0)];
    Ok(drawn(call, &["Node name", "Number of quorum queues", "Number of replicated classic queues"], vec![row]))
}

fn reclaim(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Will flush Raft WAL of quorum queue {} ...", call.argument(0)));
    queue(call, "not_found")?;
    Ok(Output::Done)
}
