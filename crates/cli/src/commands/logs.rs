//! The log, and events.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{CTL, DIAGNOSTICS};
use crate::call::{Call, print};
use crate::command::{Command, Group, Switch};
use crate::commands::info;
use crate::failure::Failure;
use crate::limits;
use crate::output::Output;
use crate::term::Term;

const GROUP: Group = Group::Configuration;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "log_location",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--all|-a] [--timeout <timeout>]",
        "Shows where the log goes",
        log_location,
    )
    .with(&[Switch::flag("all").short('a')]),
    Command::new(
        "log_tail",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--number|-N <number>] [--timeout <timeout>]",
        "Shows the last lines of the log",
        log_tail,
    )
    .with(&[Switch::number("number").short('N')]),
    Command::new(
        "log_tail_stream",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--duration|-d <seconds>] [--timeout <timeout>]",
        "Shows what is logged from now on",
        log_tail_stream,
    )
    .with(&[Switch::number("duration").short('d')]),
    Command::new(
        "consume_event_stream",
        (DIAGNOSTICS, Group::Monitoring),
        (0, 0),
        "[--duration|-d <seconds>] [--pattern <pattern>] [--timeout <timeout>]",
        "Shows events, in JSON, from now on",
        consume_event_stream,
    )
    .with(&[Switch::number("duration").short('d'), Switch::text("pattern")]),
    Command::new(
        "rotate_logs",
        (CTL, Group::Nodes),
        (0, 0),
        "",
        "Opens the log's file anew, as after it was moved",
        rotate_logs,
    ),
];

fn log_location(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Log file location(s) on node {} ...", call.node()));
    let mut files = info::texts(call.status()?, "log_files");
    if !call.has("all") {
        files.truncate(1);
    }
    let value = json!({"node_name": call.node(), "paths": files, "result": "ok"});
    Ok(Output::report(files.join("\n"), Term::from_json(&value)))
}

fn log_tail(call: &Call) -> Result<Output, Failure> {
    let number = call.options.get("number").and_then(|number| number.parse().ok()).unwrap_or(limits::LOG_LINES);
    call.banner(format!("Last {number} log lines on node {} ...", call.node()));
    let answer = call.get_path(&format!("leveret/log?lines={number}"))?;
    Ok(Output::report(info::texts(&answer, "lines").join("\n"), Term::from_json(&answer)))
}

fn log_tail_stream(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Streaming logs from node {} ...", call.node()));
    let files = info::texts(call.status()?, "log_files");
    let file = files.into_iter().find(|file| file.starts_with('/'));
    let file = file.ok_or_else(|| Failure::unavailable("the log does not go to a file"))?;
    let mut log = BufReader::new(File::open(file)?);
    log.seek(SeekFrom::End(0))?;
    let deadline = deadline(call);
    let mut line = String::new();
    while deadline.is_none_or(|deadline| Instant::now() < deadline) {
        if log.read_line(&mut line)? == 0 {
            thread::sleep(limits::POLL);
        } else if line.ends_with('\n') {
            print(&line);
            line.clear();
        }
    }
    Ok(Output::Done)
}

/// When to stop following, if that was said.
fn deadline(call: &Call) -> Option<Instant> {
    let seconds: u64 = call.options.get("duration")?.parse().ok()?;
    // RabbitMQ's tools take nought for no end.
    if seconds == 0 { None } else { Instant::now().checked_add(Duration::from_secs(seconds)) }
}

/// The exchange that events come from, and the vhost that it is in.
const EVENTS: [&str; 2] = ["/", "amq.rabbitmq.event"];

fn consume_event_stream(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Streaming logs from node {} ...", call.node()));
    let [vhost, exchange] = EVENTS;
    let queue = format!("events for leveretctl {}", std::process::id());
    let pattern = call.options.get("pattern").filter(|pattern| *pattern != ".*").unwrap_or("#");
    // It goes by itself when nobody asks for more.
    let arguments = json!({"x-expires": limits::EVENTS_EXPIRE_MS, "x-max-length": limits::EVENTS_MAX});
    call.put(&["queues", vhost, &queue], &json!({"durable": true, "arguments": arguments}))?;
    call.post(&["bindings", vhost, "e", exchange, "q", &queue], &json!({"routing_key": pattern, "arguments": {}}))?;
    let deadline = deadline(call);
    while deadline.is_none_or(|deadline| Instant::now() < deadline) {
        let wanted = json!({"count": limits::EVENTS_MAX, "ackmode": "ack_requeue_false", "encoding": "auto"});
        let events = call.post(&["queues", vhost, &queue, "get"], &wanted)?.json();
        let events = events.as_array().map(Vec::as_slice).unwrap_or_default();
        events.iter().for_each(|event| print(&format!("{}\n", event_json(event))));
        if events.is_empty() {
            thread::sleep(limits::EVENTS_POLL);
        }
    }
    call.delete(&["queues", vhost, &queue])?;
    Ok(Output::Done)
}

/// An event as an object: what happened, and to what.
fn event_json(message: &Value) -> Value {
    let mut event = info::at(message, "properties.headers").as_object().cloned().unwrap_or_default();
    event.insert("event".to_owned(), info::at(message, "routing_key").clone());
    Value::Object(event)
}

fn rotate_logs(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Reopening logs for node {} ...", call.node()));
    call.post(&["leveret", "rotate_logs"], &json!({}))?;
    Ok(Output::Done)
}
