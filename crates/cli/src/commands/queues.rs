//! What is done to queues.

use http::Method;
use serde_json::{Value, json};

use super::CTL;
use crate::call::Call;
use crate::command::{Command, Group, Switch};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::personality::Tool;
use crate::term::Term;
use crate::url;

/// Commands that RabbitMQ does not have: `leveretctl` has them.
const OURS: &[Tool] = &[Tool::Leveretctl];

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "purge_queue",
        (CTL, Group::Queues),
        (1, 1),
        "[--vhost <vhost>] <queue>",
        "Removes all messages that wait in a queue",
        purge_queue,
    ),
    Command::new(
        "delete_queue",
        (CTL, Group::Queues),
        (1, 1),
        "[--vhost <vhost>] <queue> [--if-empty|-e] [--if-unused|-u]",
        "Deletes a queue",
        delete_queue,
    )
    .with(&[Switch::flag("if-empty").short('e'), Switch::flag("if-unused").short('u')]),
    Command::new(
        "pause_queue",
        (OURS, Group::Queues),
        (1, 1),
        "[--vhost <vhost>] <queue>",
        "Stops deliveries from a queue; what is published waits",
        pause_queue,
    ),
    Command::new(
        "resume_queue",
        (OURS, Group::Queues),
        (1, 1),
        "[--vhost <vhost>] <queue>",
        "Starts deliveries again",
        resume_queue,
    ),
    Command::new(
        "move_messages",
        (OURS, Group::Queues),
        (2, 2),
        "[--vhost <vhost>] <queue> <target_queue> [--count <count>]",
        "Moves messages that wait in a queue to another queue",
        move_messages,
    )
    .with(&[Switch::count("count")]),
    Command::new(
        "redrive_queue",
        (OURS, Group::Queues),
        (1, 1),
        "[--vhost <vhost>] <queue> [--count <count>]",
        "Puts dead letters that wait in a queue back into the queues in which they died first",
        redrive_queue,
    )
    .with(&[Switch::count("count")]),
];

fn purge_queue(call: &Call) -> Result<Output, Failure> {
    let queue = call.argument(0);
    call.banner(format!("Purging queue '{queue}' in vhost '{}' ...", call.vhost()));
    let was_there = call.delete(&["queues", call.vhost(), queue, "contents"])?;
    if was_there { Ok(Output::Done) } else { Err(Failure::unavailable("not_found")) }
}

fn delete_queue(call: &Call) -> Result<Output, Failure> {
    let queue = call.argument(0);
    if queue.is_empty() {
        return Err(call.bad_argument("queue name cannot be empty string."));
    }
    let (if_empty, if_unused) = (call.has("if-empty"), call.has("if-unused"));
    let conditions = [(if_empty, "if queue is empty "), (if_unused, "if queue is unused ")];
    let conditions: Vec<&str> = conditions.into_iter().filter(|(is_set, _)| *is_set).map(|(_, text)| text).collect();
    call.banner(format!("Deleting queue '{queue}' on vhost '{}' {}...", call.vhost(), conditions.join("and ")));
    let no_queue = || Failure::error(Kind::Usage, "Queue not found");
    let before = call.find(&["queues", call.vhost(), queue])?.ok_or_else(no_queue)?;
    let path = url::path(&["queues", call.vhost(), queue]);
    let answer = call.send_path(&Method::DELETE, &format!("{path}?if-empty={if_empty}&if-unused={if_unused}"), None)?;
    if answer.status == 404 {
        return Err(no_queue());
    }
    if !answer.is_success() {
        return Err(refused(&answer.reason()));
    }
    let ready = info::number(&before, "messages_ready");
    Ok(Output::Message(format!("Queue was successfully deleted with {ready} ready messages")))
}

/// Why a queue is not deleted, as `rabbitmqctl` says it.
fn refused(reason: &str) -> Failure {
    if reason.contains("not empty") {
        Failure::error(Kind::Usage, "Queue is not empty")
    } else if reason.contains("in use") {
        Failure::error(Kind::Usage, "Queue is in use")
    } else {
        Failure::unavailable(reason)
    }
}

fn pause_queue(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Pausing queue '{}' in vhost '{}' ...", call.argument(0), call.vhost()));
    turn(call, "pause")
}

fn resume_queue(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Resuming queue '{}' in vhost '{}' ...", call.argument(0), call.vhost()));
    turn(call, "resume")
}

fn turn(call: &Call, verb: &str) -> Result<Output, Failure> {
    call.post(&["queues", call.vhost(), call.argument(0), verb], &json!({}))?;
    Ok(Output::Done)
}

fn move_messages(call: &Call) -> Result<Output, Failure> {
    let (from, to) = (call.argument(0), call.argument(1));
    call.banner(format!("Moving messages of queue '{from}' to queue '{to}' in vhost '{}' ...", call.vhost()));
    transfer(call, "move", json!({"to_queue": to}))
}

fn redrive_queue(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Redriving dead letters of queue '{}' in vhost '{}' ...", call.argument(0), call.vhost()));
    transfer(call, "redrive", json!({}))
}

/// Has messages moved, and says how many were.
fn transfer(call: &Call, verb: &str, mut body: Value) -> Result<Output, Failure> {
    let count = call.options.get("count").and_then(|count| count.parse::<u64>().ok());
    if let (Some(count), Some(body)) = (count, body.as_object_mut()) {
        body.insert("count".to_owned(), json!(count));
    }
    let answer = call.post(&["queues", call.vhost(), call.argument(0), verb], &body)?.json();
    let moved = info::number(&answer, "moved");
    Ok(Output::report(format!("Moved {moved} messages"), Term::from_json(&answer)))
}
