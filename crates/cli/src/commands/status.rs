//! `status`, and the node's versions.

use serde_json::Value;

use super::{BOTH, CTL, DIAGNOSTICS, EVERY};
use crate::call::Call;
use crate::command::{Command, Group, Switch};
use crate::commands::{alarms, info, listeners, memory};
use crate::failure::Failure;
use crate::output::Output;
use crate::personality::RABBITMQ_VERSION;
use crate::term::Term;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "status",
        (BOTH, Group::Monitoring),
        (0, 0),
        "[--unit <unit>] [--timeout <timeout>]",
        "Shows what the node is, and what it has at hand",
        status,
    )
    .with(&[Switch::text("unit")]),
    Command::new(
        "server_version",
        (DIAGNOSTICS, Group::Monitoring),
        (0, 0),
        "[--timeout <timeout>]",
        "Shows the version that clients are told",
        server_version,
    ),
    Command::new(
        "erlang_version",
        (DIAGNOSTICS, Group::Monitoring),
        (0, 0),
        "[--details] [--offline] [--timeout <timeout>]",
        "Shows the Erlang version that the HTTP API gives: there is no Erlang here",
        erlang_version,
    )
    .with(&[Switch::flag("details"), Switch::flag("offline")]),
    Command::new("version", (EVERY, Group::Help), (0, 0), "", "Shows the version of these tools", version),
    Command::new(
        "node_health_check",
        (BOTH, Group::Monitoring),
        (0, 0),
        "[--timeout <timeout>]",
        "Does nothing, and succeeds, as it has since RabbitMQ 4.0",
        node_health_check,
    ),
    Command::new(
        "force_gc",
        (CTL, Group::Operations),
        (0, 0),
        "",
        "Does nothing: there is no garbage to collect",
        force_gc,
    ),
];

fn status(call: &Call) -> Result<Output, Failure> {
    let unit = memory::unit(call, "gb")?;
    call.banner(format!("Status of node {} ...", call.node()));
    let status = call.status()?;
    Ok(Output::report(text(status, unit), Term::from_json(status)))
}

/// The answer as people read it.
pub(super) fn text(status: &Value, unit: memory::Unit) -> String {
    let mut text = String::new();
    section(&mut text, "Runtime", &runtime(status));
    section(&mut text, "Plugins", &plugins(status));
    let directories =
        ["Node data directory", "Raft data directory"].into_iter().zip(["data_directory", "raft_data_directory"]);
    let directories = directories.map(|(title, key)| format!("{title}: {}", info::text(status, key)));
    section(&mut text, "Data directory", &directories.collect::<Vec<_>>());
    section(&mut text, "Config files", &or_none(items(&info::texts(status, "config_files"))));
    section(&mut text, "Log file(s)", &or_none(items(&info::texts(status, "log_files"))));
    section(&mut text, "Alarms", &or_none(alarms::texts(status)));
    section(&mut text, "Tags", &or_none(tags(status)));
    section(&mut text, "Memory", &memory::summary(status, unit));
    section(&mut text, "File Descriptors", &descriptors(status));
    section(&mut text, "Free Disk Space", &disk(status, unit));
    section(&mut text, "Totals", &totals(status));
    section(&mut text, "Listeners", &listeners::texts(status));
    text.trim_end().to_owned()
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    text.push_str(&format!("{}\n\n{}\n\n", Call::heading(title), lines.join("\n")));
}

fn runtime(status: &Value) -> Vec<String> {
    let mut lines = vec![
        format!("OS PID: {}", info::number(status, "pid")),
        format!("OS: {}", info::text(status, "os")),
        format!("Uptime (seconds): {}", info::number(status, "uptime")),
        format!("Is under maintenance?: {}", info::at(status, "is_under_maintenance").as_bool().unwrap_or_default()),
        format!("RabbitMQ version: {}", info::text(status, "rabbitmq_version")),
    ];
    for (title, key) in [("Product name", "product_name"), ("Product version", "product_version")] {
        if !info::text(status, key).is_empty() {
            lines.push(format!("{title}: {}", info::text(status, key)));
        }
    }
    lines.extend([
        format!("Node name: {}", info::text(status, "node")),
        format!("Erlang configuration: {}", info::text(status, "erlang_version")),
        format!("Crypto library: {}", info::text(status, "crypto_lib_version")),
        format!(
            "Erlang processes: {} used, {} limit",
            info::number(status, "processes.used"),
            info::number(status, "processes.limit")
        ),
        format!("Scheduler run queue: {}", info::number(status, "run_queue")),
        format!("Cluster heartbeat timeout (net_ticktime): {}", info::number(status, "net_ticktime")),
    ]);
    lines
}

fn plugins(status: &Value) -> Vec<String> {
    let mut lines = vec![
        format!("Enabled plugin file: {}", info::text(status, "enabled_plugin_file")),
        "Enabled plugins:".to_owned(),
        String::new(),
    ];
    lines.extend(items(&info::texts(status, "active_plugins")));
    lines
}

fn items(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| format!(" * {text}")).collect()
}

fn or_none(lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { vec!["(none)".to_owned()] } else { lines }
}

fn tags(status: &Value) -> Vec<String> {
    let members = info::at(status, "tags").as_object();
    members.into_iter().flatten().map(|(name, value)| format!("{name}: {value}")).collect()
}

fn descriptors(status: &Value) -> Vec<String> {
    let number = |key: &str| info::number(status, &format!("file_descriptors.{key}"));
    vec![
        format!("Total: {}, limit: {}", number("total_used"), number("total_limit")),
        format!("Sockets: {}, limit: {}", number("sockets_used"), number("sockets_limit")),
    ]
}

fn disk(status: &Value, unit: memory::Unit) -> Vec<String> {
    vec![
        format!("Low free disk space watermark: {}", unit.amount(info::number(status, "disk_free_limit"))),
        format!("Free disk space: {}", unit.amount(info::number(status, "disk_free"))),
    ]
}

fn totals(status: &Value) -> Vec<String> {
    let number = |key: &str| info::number(status, &format!("totals.{key}"));
    vec![
        format!("Connection count: {}", number("connection_count")),
        format!("Queue count: {}", number("queue_count")),
        format!("Virtual host count: {}", number("virtual_host_count")),
    ]
}

fn server_version(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Asking node {} for its RabbitMQ version...", call.node()));
    Ok(version_of(info::text(call.status()?, "rabbitmq_version")))
}

fn version_of(version: &str) -> Output {
    let value = [("result", "ok"), ("value", version)].map(|(name, value)| (name.to_owned(), Term::text(value)));
    Output::report(version, Term::Map(value.to_vec()))
}

fn erlang_version(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Asking node {} for its Erlang/OTP version...", call.node()));
    Ok(version_of(info::text(call.status()?, "erlang_version")))
}

fn version(call: &Call) -> Result<Output, Failure> {
    // Scripts compare it with what they know of RabbitMQ: the node says what it passes for.
    let version = call.status().map_or_else(|_| RABBITMQ_VERSION, |status| info::text(status, "rabbitmq_version"));
    Ok(Output::Text(version.to_owned()))
}

fn node_health_check(call: &Call) -> Result<Output, Failure> {
    call.banner("This command is DEPRECATED and is a no-op. It will be removed in a future version.");
    call.status()?;
    Ok(Output::Message("Health check passed".to_owned()))
}

fn force_gc(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Will ask all processes on node {} to schedule a full sweep GC", call.node()));
    call.status()?;
    Ok(Output::Done)
}
