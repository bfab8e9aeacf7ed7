//! Alarms: memory or disk run short, and publishers are blocked.

use serde_json::Value;

use super::DIAGNOSTICS;
use crate::call::Call;
use crate::command::{Command, Group};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::format::Format;
use crate::output::Output;
use crate::term::Term;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "alarms",
        (DIAGNOSTICS, Group::Monitoring),
        (0, 0),
        "[--timeout <timeout>]",
        "Shows the alarms there are",
        alarms,
    ),
    Command::new(
        "check_alarms",
        (DIAGNOSTICS, Group::Monitoring),
        (0, 0),
        "[--timeout <timeout>]",
        "Fails if there is an alarm",
        check_alarms,
    ),
    Command::new(
        "check_local_alarms",
        (DIAGNOSTICS, Group::Monitoring),
        (0, 0),
        "[--timeout <timeout>]",
        "Fails if there is an alarm of this node",
        check_local_alarms,
    ),
];

/// The alarms of a node, as people read them.
pub(super) fn texts(status: &Value) -> Vec<String> {
    let alarms = info::at(status, "alarms").as_array().into_iter().flatten();
    alarms.map(|alarm| text(alarm, info::text(status, "node"))).collect()
}

fn text(alarm: &Value, node: &str) -> String {
    let resource = alarm.as_str().unwrap_or_else(|| info::text(alarm, "resource"));
    let node = alarm.get("node").and_then(Value::as_str).unwrap_or(node);
    match resource {
        "memory" => format!("Memory alarm on node {node}"),
        "disk" => format!("Free disk space alarm on node {node}"),
        "file_descriptor_limit" => format!("File descriptor limit alarm on node {node}"),
        // It is a sentence already.
        other => other.to_owned(),
    }
}

fn alarms(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    call.banner(format!("Asking node {node} to report any known resource alarms ..."));
    let texts = texts(call.status()?);
    let list = |texts: &[String]| Term::List(texts.iter().map(Term::text).collect());
    let member = |name: &str, value: Term| (name.to_owned(), value);
    if texts.is_empty() {
        let value =
            vec![member("alarms", list(&[])), member("node", Term::text(node)), member("result", Term::text("ok"))];
        return Ok(Output::report(format!("Node {node} reported no alarms, local or clusterwide"), Term::Map(value)));
    }
    let value = vec![
        member("global", list(&[])),
        member("local", list(&texts)),
        member("message", Term::text(format!("Node {node} reported alarms"))),
        member("result", Term::text("ok")),
    ];
    Ok(Output::report(texts.join("\n"), Term::Map(value)))
}

fn check_alarms(call: &Call) -> Result<Output, Failure> {
    check(call, &format!("Node {} reported no alarms, local or clusterwide", call.node()), |texts| {
        Failure::new(Kind::Unavailable, texts)
    })
}

fn check_local_alarms(call: &Call) -> Result<Output, Failure> {
    check(call, &format!("Node {} reported no local alarms", call.node()), Failure::unavailable)
}

fn check(call: &Call, good: &str, bad: fn(String) -> Failure) -> Result<Output, Failure> {
    call.banner(format!("Asking node {} to report any local resource alarms ...", call.node()));
    let texts = texts(call.status()?);
    if texts.is_empty() {
        return Ok(passed(good));
    }
    if call.format == Some(Format::Json) {
        let value = serde_json::json!({"local": texts, "message": format!("Node {} reported alarms", call.node()), "result": "error"});
        return Err(Failure::new(Kind::Unavailable, value.to_string()));
    }
    Err(bad(texts.join("\n")))
}

/// A check that was passed: for people a sentence, for programs `{"result":"ok"}`.
pub(super) fn passed(text: &str) -> Output {
    Output::report(text, Term::Map(vec![("result".to_owned(), Term::text("ok"))]))
}
