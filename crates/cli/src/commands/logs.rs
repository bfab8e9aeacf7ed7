//! The log, and events.

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
    .with(&[Switch::count("number").short('N')]),
    Command::new(
        "log_tail_stream",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--duration|-d <seconds>] [--timeout <timeout>]",
        "Shows what is logged from now on",
        log_tail_stream,
    )
    .with(&[Switch::count("duration").short('d')]),
    Command::new(
        "consume_event_stream",
        (DIAGNOSTICS, Group::Monitoring),
        (0, 0),
        "[--duration|-d <seconds>] [--pattern <pattern>] [--timeout <timeout>]",
        "Shows events, in JSON, from now on",
        consume_event_stream,
    )
    .with(&[Switch::count("duration").short('d'), Switch::text("pattern")]),
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
    follow(call, "leveret/log/stream", &|_| true)
}

fn consume_event_stream(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Streaming logs from node {} ...", call.node()));
    let wanted = literal(call.options.get("pattern").unwrap_or(".*"));
    follow(call, "leveret/events", &|line| {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        info::text(&event, "event").contains(&wanted)
    })
}

/// The letters of a pattern that must be there: that much of regular expressions is understood.
fn literal(pattern: &str) -> String {
    pattern.trim_start_matches('^').trim_end_matches('$').replace(".*", "").replace('\\', "")
}

/// Prints lines that are wanted as they come, for as long as is asked.
fn follow(call: &Call, path: &str, is_wanted: &dyn Fn(&str) -> bool) -> Result<Output, Failure> {
    let mut kept = Vec::new();
    let mut take = |bytes: &[u8]| {
        kept.extend_from_slice(bytes);
        while let Some(end) = kept.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = kept.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            // Where nothing happens there is an empty line now and then.
            if !line.trim().is_empty() && is_wanted(&line) {
                print(&line);
            }
        }
    };
    let client = call.client().map_err(|trouble| call.failure(trouble))?;
    let status = client.follow(path, deadline(call), &mut take).map_err(|trouble| call.failure(trouble))?;
    match status {
        200..300 => Ok(Output::Done),
        other => Err(Failure::unavailable(format!("{} is not offered: HTTP status {other}", call.command.name))),
    }
}

/// When to stop following, if that was said.
fn deadline(call: &Call) -> Option<Instant> {
    let seconds: u64 = call.options.get("duration")?.parse().ok()?;
    // RabbitMQ's tools take nought for no end.
    if seconds == 0 { None } else { Instant::now().checked_add(Duration::from_secs(seconds)) }
}

fn rotate_logs(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Reopening logs for node {} ...", call.node()));
    call.post(&["leveret", "rotate_logs"], &json!({}))?;
    Ok(Output::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_taken_by_its_letters() {
        let patterns = [".*", "^queue\\..*", "vhost", "queue.created$"].map(literal);
        assert_eq!(patterns, ["", "queue.", "vhost", "queue.created"]);
    }
}
