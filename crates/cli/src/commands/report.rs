//! `report`: much of what is known, in one text.

use super::BOTH;
use crate::call::{Call, print};
use crate::command::{Command, Group};
use crate::commands;
use crate::failure::Failure;
use crate::format::{Format, Style, render};
use crate::output::Output;
use crate::personality::Tool;

pub(super) const COMMANDS: &[Command] = &[Command::new(
    "report",
    (BOTH, Group::Monitoring),
    (0, 0),
    "[--timeout <timeout>]",
    "Shows much of what is known of the node, for those who help you",
    report,
)];

/// What it is made of.
const PARTS: [&str; 6] = ["status", "cluster_status", "environment", "list_connections", "list_channels", "list_users"];
/// The same for each virtual host.
const PARTS_OF_VHOST: [&str; 8] = [
    "list_queues",
    "list_exchanges",
    "list_bindings",
    "list_consumers",
    "list_permissions",
    "list_policies",
    "list_parameters",
    "list_vhost_limits",
];

fn report(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Reporting server status of node {} ...\n", call.node()));
    let vhosts = call.list_path("vhosts?columns=name")?;
    for name in PARTS {
        part(call, name, None);
    }
    for vhost in &vhosts {
        for name in PARTS_OF_VHOST {
            part(call, name, vhost["name"].as_str());
        }
    }
    Ok(Output::Done)
}

/// One part. What it cannot show does not keep the others from being shown.
fn part(call: &Call, name: &str, vhost: Option<&str>) {
    let Some(command) = commands::find(Tool::Leveretctl, name) else { return };
    let mut options = call.options.clone();
    if let Some(vhost) = vhost {
        options.set("vhost", vhost);
    }
    let part = Call::new(call.tool, command, Vec::new(), options, vec![name.to_owned()]);
    match (command.run)(&part) {
        Ok(output) => print(&format!("{}\n", render(&output, Style { format: Format::Table, has_header: true }))),
        Err(failure) => print(&format!("{}\n\n", failure.text)),
    }
}
