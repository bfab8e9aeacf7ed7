//! Clusters: there is one node, and it is a cluster of its own.

use serde_json::{Value, json};

use super::{BOTH, CTL};
use crate::call::Call;
use crate::command::{ANY, Command, Group, Switch};
use crate::commands::{alarms, info};
use crate::failure::{Failure, Kind};
use crate::limits;
use crate::output::Output;
use crate::term::Term;

const GROUP: Group = Group::Cluster;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "cluster_status",
        (BOTH, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Shows the cluster: this node",
        status,
    ),
    Command::new(
        "join_cluster",
        (CTL, GROUP),
        (1, 1),
        "[--disc|--ram] <existing_cluster_member>",
        "Fails: there are no clusters of several nodes",
        no_cluster,
    )
    .with(&[Switch::flag("disc"), Switch::flag("ram")]),
    Command::new(
        "forget_cluster_node",
        (CTL, GROUP),
        (1, 1),
        "[--offline] <existing_cluster_member_node>",
        "Fails: no other node is in the cluster",
        forget,
    )
    .with(&[Switch::flag("offline")]),
    Command::new(
        "update_cluster_nodes",
        (CTL, GROUP),
        (1, 1),
        "<seed_node>",
        "Fails: there are no clusters of several nodes",
        no_cluster,
    ),
    Command::new(
        "change_cluster_node_type",
        (CTL, GROUP),
        (1, 1),
        "<disc | ram>",
        "Succeeds for disc, which a node is; there is no other type",
        change_type,
    ),
    Command::new(
        "rename_cluster_node",
        (CTL, GROUP),
        (2, ANY),
        "<oldnode1> <newnode1> [<oldnode2> <newnode2> ...]",
        "Fails: nothing that is kept depends on the node's name",
        no_cluster,
    ),
    Command::new(
        "force_boot",
        (CTL, GROUP),
        (0, 0),
        "",
        "Does nothing: a node waits for no other when it starts",
        force_boot,
    ),
    Command::new(
        "await_online_nodes",
        (BOTH, GROUP),
        (1, 1),
        "<count> [--timeout <timeout>]",
        "Waits for that many nodes: there is one",
        await_nodes,
    ),
    Command::new(
        "sync_queue",
        (CTL, Group::Replication),
        (1, 1),
        "[--vhost <vhost>] <queue>",
        "Fails: there are no mirrored queues",
        no_mirrors,
    ),
    Command::new(
        "cancel_sync_queue",
        (CTL, Group::Replication),
        (1, 1),
        "[--vhost <vhost>] <queue>",
        "Fails: there are no mirrored queues",
        no_mirrors,
    ),
];

fn status(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Cluster status of node {} ...", call.node()));
    let status = call.status()?;
    let flags = call.list(&["feature-flags"])?;
    Ok(Output::report(text(status, &flags), Term::from_json(&value(status, &flags))))
}

fn text(status: &Value, flags: &[Value]) -> String {
    let node = info::text(status, "node");
    let erlang =
        info::text(status, "erlang_version").trim_start_matches("Erlang/OTP ").split(' ').next().unwrap_or_default();
    let version = format!("{node}: RabbitMQ {} on Erlang {erlang}", info::text(status, "rabbitmq_version"));
    let maintenance = format!("Node: {node}, status: {}", maintenance(status));
    let listeners = info::at(status, "listeners").as_array().into_iter().flatten().map(|listener| {
        format!(
            "Node: {node}, interface: {}, port: {}, protocol: {}, purpose: {}",
            info::text(listener, "interface"),
            info::number(listener, "port"),
            info::text(listener, "protocol"),
            info::text(listener, "purpose")
        )
    });
    let flags =
        flags.iter().map(|flag| format!("Flag: {}, state: {}", info::text(flag, "name"), info::text(flag, "state")));
    let sections = [
        ("Basics", vec![format!("Cluster name: {}", info::text(status, "cluster_name"))]),
        ("Disk Nodes", vec![node.to_owned()]),
        ("Running Nodes", vec![node.to_owned()]),
        ("Versions", vec![version]),
        ("Maintenance status", vec![maintenance]),
        ("Alarms", or_none(alarms::texts(status))),
        ("Network Partitions", or_none(Vec::new())),
        ("Listeners", listeners.collect()),
        ("Feature flags", flags.collect()),
    ];
    let sections = sections.map(|(title, lines)| format!("{}\n\n{}", Call::heading(title), lines.join("\n")));
    sections.join("\n\n")
}

fn or_none(lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { vec!["(none)".to_owned()] } else { lines }
}

fn maintenance(status: &Value) -> &'static str {
    if info::at(status, "is_under_maintenance") == true { "under maintenance" } else { "not under maintenance" }
}

fn value(status: &Value, flags: &[Value]) -> Value {
    let node = info::text(status, "node");
    json!({
        "alarms": info::at(status, "alarms"),
        "cluster_name": info::at(status, "cluster_name"),
        "disk_nodes": [node],
        "feature_flags": flags,
        "listeners": {node: info::at(status, "listeners")},
        "maintenance_status": {node: maintenance(status)},
        "partitions": {},
        "ram_nodes": [],
        "running_nodes": [node],
        "versions": {
            node: {
                "erlang_version": info::at(status, "erlang_version"),
                "rabbitmq_name": "RabbitMQ",
                "rabbitmq_version": info::at(status, "rabbitmq_version"),
            }
        },
    })
}

fn no_cluster(call: &Call) -> Result<Output, Failure> {
    let text = format!("{} is not offered: a cluster here has one node", call.command.name);
    Err(Failure::unavailable(text))
}

fn forget(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Removing node {} from the cluster", call.argument(0)));
    Err(Failure::unavailable("{:not_a_cluster_node, 'The node selected is not in the cluster.'}"))
}

fn change_type(call: &Call) -> Result<Output, Failure> {
    match call.argument(0) {
        "disc" | "disk" => {
            call.banner(format!("Turning {} into a disc node", call.node()));
            Ok(Output::Done)
        }
        _ => no_cluster(call),
    }
}

fn force_boot(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Forcing boot for Mnesia dir on node {} ...", call.known_node()));
    Ok(Output::Done)
}

fn await_nodes(call: &Call) -> Result<Output, Failure> {
    let count: u32 = call.argument(0).parse().map_err(|_| call.bad_argument("<count> must be a positive integer"))?;
    let seconds = call.timeout().unwrap_or(limits::STARTUP).as_secs();
    call.banner(format!(
        "Will wait for at least {count} nodes to join the cluster of {}. Timeout: {seconds} seconds.",
        call.node()
    ));
    call.status()?;
    if count <= 1 {
        return Ok(Output::Done);
    }
    // No other node will ever join: there is nothing to wait for.
    let text = format!(
        "Error: operation await_online_nodes on node {} timed out. Timeout value used: {seconds}000",
        call.node()
    );
    Err(Failure::new(Kind::Timeout, text))
}

fn no_mirrors(call: &Call) -> Result<Output, Failure> {
    Err(Failure::unavailable(format!("Queue '{}' in vhost '{}' is not mirrored", call.argument(0), call.vhost())))
}
