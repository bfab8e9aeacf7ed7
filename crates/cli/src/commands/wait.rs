//! `wait`: until a node that is being started is up.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::BOTH;
use super::health::runs;
use crate::call::{Call, print};
use crate::command::{Command, Group, Switch};
use crate::failure::{Failure, Kind};
use crate::limits;
use crate::output::Output;
use crate::process;

pub(super) const COMMANDS: &[Command] = &[Command::new(
    "wait",
    (BOTH, Group::Nodes),
    (0, 1),
    "[<pidfile>] [--pid|-P <pid>] [--timeout <timeout>]",
    "Waits for the pid file, and then until the node is up, as long as its process runs",
    wait,
)
.with(&[Switch::count("pid").short('P')])];

fn wait(call: &Call) -> Result<Output, Failure> {
    let patience = call.timeout().unwrap_or(limits::WAIT);
    let deadline = Instant::now() + patience;
    let pid = match (call.options.get("pid"), call.arguments.first()) {
        (Some(_), Some(_)) => return Err(call.misused(Kind::Usage, "\"Cannot specify both pid and pidfile\"")),
        (None, None) => return Err(call.misused(Kind::Usage, "\"No pid or pidfile specified\"")),
        (Some(pid), None) => pid.parse().map_err(|_| call.bad_argument("pid is no number"))?,
        (None, Some(file)) => {
            say(call, &format!("Waiting for pid file '{file}' to appear"));
            let pid = until(call, deadline, patience, || read(file))?;
            say(call, &format!("pid is {pid}"));
            pid
        }
    };
    let left = || deadline.saturating_duration_since(Instant::now());
    let node = call.known_node();
    say(call, &format!("Waiting for erlang distribution on node '{node}' while OS process '{pid}' is running"));
    let status = until(call, deadline, patience, || match process::is_alive(pid) {
        Some(false) => Some(Err(Failure::unavailable("process_not_running"))),
        _ => call.fresh_status(left()).map(Ok),
    })??;
    say(call, &format!("Waiting for applications 'rabbit_and_plugins' to start on node '{node}'"));
    if !runs(&status) {
        until(call, deadline, patience, || call.fresh_status(left()).filter(runs).map(|_| ()))?;
    }
    say(call, &format!("Applications 'rabbit_and_plugins' are running on node '{node}'"));
    Ok(Output::Done)
}

fn say(call: &Call, text: &str) {
    if !call.has("quiet") && !call.has("silent") {
        print(&format!("{text}\n"));
    }
}

/// The process in a pid file, once it is written.
fn read(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn until<T>(
    call: &Call,
    deadline: Instant,
    patience: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, Failure> {
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            let text = format!(
                "Error: operation wait on node {} timed out. Timeout value used: {}",
                call.known_node(),
                patience.as_millis()
            );
            return Err(Failure::new(Kind::Timeout, text));
        }
        thread::sleep(limits::POLL);
    }
}
