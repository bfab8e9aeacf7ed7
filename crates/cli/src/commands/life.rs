//! Starting, stopping and emptying a node.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::health::runs;
use super::{BOTH, CTL};
use crate::call::{Call, print};
use crate::command::{Command, Group, Switch};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::limits;
use crate::output::Output;
use crate::process;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "stop",
        (CTL, Group::Nodes),
        (0, 1),
        "[--idempotent] [<pidfile>]",
        "Stops the node and waits until its process has ended",
        stop,
    )
    .with(&[Switch::flag("idempotent")]),
    Command::new(
        "shutdown",
        (CTL, Group::Nodes),
        (0, 0),
        "[--wait] [--no-wait] [--timeout <timeout>]",
        "Stops the node and waits until its process has ended",
        shutdown,
    )
    .with(&[Switch::flag("wait")]),
    Command::new(
        "stop_app",
        (CTL, Group::Nodes),
        (0, 0),
        "",
        "Closes the listeners for clients and their connections; the node goes on answering these tools",
        stop_app,
    ),
    Command::new("start_app", (CTL, Group::Nodes), (0, 0), "", "Opens the listeners for clients again", start_app),
    Command::new(
        "reset",
        (CTL, Group::Nodes),
        (0, 0),
        "",
        "Removes everything: queues, users, settings; after stop_app",
        reset,
    ),
    Command::new("force_reset", (CTL, Group::Cluster), (0, 0), "", "Does the same", force_reset),
    Command::new(
        "await_startup",
        (BOTH, Group::Nodes),
        (0, 0),
        "[--timeout <timeout>]",
        "Waits until the node is up",
        await_startup,
    ),
    Command::new(
        "suspend_listeners",
        (CTL, Group::Operations),
        (0, 0),
        "[--timeout <timeout>]",
        "Keeps new clients from connecting",
        suspend_listeners,
    ),
    Command::new(
        "resume_listeners",
        (CTL, Group::Operations),
        (0, 0),
        "[--timeout <timeout>]",
        "Lets clients connect again",
        resume_listeners,
    ),
];

fn stop(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    match call.arguments.first() {
        Some(file) => call.banner(format!("Stopping and halting node {node} (will monitor pid file {file}) ...")),
        None => call.banner(format!("Stopping and halting node {node} ...")),
    }
    let pid = match call.status() {
        Ok(status) => info::number(status, "pid"),
        Err(failure) if call.has("idempotent") && failure.kind == Kind::Unavailable => return Ok(Output::Done),
        Err(failure) => return Err(failure),
    };
    end(call)?;
    wait_for_end(call, pid, limits::STOP)?;
    Ok(Output::Done)
}

/// Tells the node to end. It may be gone before it answers.
fn end(call: &Call) -> Result<(), Failure> {
    let client = call.client().map_err(|trouble| call.failure(trouble))?;
    match client.send(&http::Method::POST, "leveret/stop", Some(&json!({}))) {
        Ok(answer) => crate::call::done(answer).map(|_| ()),
        Err(crate::client::Trouble::Broken(_)) => Ok(()),
        Err(trouble) => Err(call.failure(trouble)),
    }
}

fn wait_for_end(call: &Call, pid: i64, patience: Duration) -> Result<(), Failure> {
    let pid = u64::try_from(pid).unwrap_or_default();
    let begin = Instant::now();
    while process::is_alive(pid).unwrap_or_else(|| answers(call)) {
        if begin.elapsed() > patience {
            let text = format!(
                "Error: operation {} on node {} timed out. Timeout value used: {}",
                call.command.name,
                call.known_node(),
                patience.as_millis()
            );
            return Err(Failure::new(Kind::Timeout, text));
        }
        thread::sleep(limits::POLL);
    }
    Ok(())
}

/// Whether the node answers on its socket.
fn answers(call: &Call) -> bool {
    call.fresh_status(limits::REQUEST).is_some()
}

fn shutdown(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    let pid = info::number(call.status()?, "pid");
    print(&format!("Shutting down RabbitMQ node {node} running at PID {pid}\n"));
    end(call)?;
    if call.options.flag("wait") == Some(false) {
        return Ok(Output::Done);
    }
    print(&format!("Waiting for PID {pid} to terminate\n"));
    wait_for_end(call, pid, call.timeout().unwrap_or(limits::STOP))?;
    Ok(Output::Text(format!("RabbitMQ node {node} running at PID {pid} successfully shut down")))
}

fn tell(call: &Call, what: &str, banner: &str) -> Result<Output, Failure> {
    call.banner(banner);
    call.post(&["leveret", what], &json!({}))?;
    Ok(Output::Done)
}

fn stop_app(call: &Call) -> Result<Output, Failure> {
    tell(call, "stop_app", &format!("Stopping rabbit application on node {} ...", call.node()))
}

fn start_app(call: &Call) -> Result<Output, Failure> {
    tell(call, "start_app", &format!("Starting node {} ...", call.node()))
}

fn reset(call: &Call) -> Result<Output, Failure> {
    need_stopped(call)?;
    tell(call, "reset", &format!("Resetting node {} ...", call.node()))
}

fn force_reset(call: &Call) -> Result<Output, Failure> {
    need_stopped(call)?;
    tell(call, "reset", &format!("Forcefully resetting node {} ...", call.node()))
}

/// Fails while clients are served.
fn need_stopped(call: &Call) -> Result<(), Failure> {
    if !runs(call.status()?) {
        return Ok(());
    }
    let text = "Error: this command requires the 'rabbit' app to be stopped on the target node. Stop it with 'rabbitmqctl stop_app'.";
    Err(crate::help::misused(call, Kind::Usage, text))
}

fn suspend_listeners(call: &Call) -> Result<Output, Failure> {
    tell(call, "drain", &format!("Will suspend client connection listeners on node {}...", call.node()))
}

fn resume_listeners(call: &Call) -> Result<Output, Failure> {
    tell(call, "revive", &format!("Will resume client connection listeners on node {}...", call.node()))
}

fn await_startup(call: &Call) -> Result<Output, Failure> {
    let patience = call.timeout().unwrap_or(limits::STARTUP);
    let begin = Instant::now();
    while !call.fresh_status(patience.saturating_sub(begin.elapsed())).is_some_and(|status| runs(&status)) {
        if begin.elapsed() >= patience {
            let text = format!(
                "Error: operation await_startup on node {} timed out. Timeout value used: {}",
                call.known_node(),
                patience.as_millis()
            );
            return Err(Failure::new(Kind::Timeout, text));
        }
        thread::sleep(limits::POLL);
    }
    Ok(Output::Done)
}
