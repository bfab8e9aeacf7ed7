//! What RabbitMQ's tools say of the Erlang that it runs on, and of its machine. There is no Erlang here: what there is to say is
//! said, and the rest is nothing to worry about.

use std::net::ToSocketAddrs as _;

use serde_json::json;

use super::quorum::drawn;
use super::{BOTH, CTL, DIAGNOSTICS};
use crate::call::Call;
use crate::command::{Command, Group, Switch};
use crate::commands::info;
use crate::failure::Failure;
use crate::output::{Output, Rows};
use crate::term::Term;

const GROUP: Group = Group::Monitoring;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "maybe_stuck",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Finds nothing: there are no Erlang processes",
        nothing_stuck,
    ),
    Command::new(
        "discover_peers",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Finds no other nodes",
        no_peers,
    ),
    Command::new(
        "resolve_hostname",
        (DIAGNOSTICS, Group::Configuration),
        (1, 1),
        "<hostname> [--address-family <ipv4 | ipv6>]",
        "Shows the addresses that a name has here",
        resolve,
    )
    .with(&[Switch::text("address-family"), Switch::flag("offline")]),
    Command::new(
        "list_node_auth_attempt_stats",
        (BOTH, GROUP),
        (0, 0),
        "[--by-source]",
        "Shows how many logins were tried, by protocol",
        auth_attempts,
    )
    .with(&[Switch::flag("by-source")]),
    Command::new(
        "reset_node_auth_attempt_metrics",
        (DIAGNOSTICS, Group::Configuration),
        (0, 0),
        "",
        "Starts counting logins anew",
        reset_auth_attempts,
    ),
    Command::new("shovel_status", (BOTH, GROUP), (0, 0), "", "Lists shovels", shovels),
    Command::new(
        "delete_shovel",
        (CTL, Group::Parameters),
        (1, 1),
        "[--vhost <vhost>] <name>",
        "Deletes a shovel",
        delete_shovel,
    ),
    Command::new(
        "federation_status",
        (BOTH, GROUP),
        (0, 0),
        "[--only-down]",
        "Lists federation links",
        federation_links,
    )
    .with(&[Switch::flag("only-down")]),
    Command::new(
        "enable_auth_attempt_source_tracking",
        (DIAGNOSTICS, Group::Configuration),
        (0, 0),
        "",
        "Does nothing: logins are counted by where they come from anyway",
        source_tracking,
    ),
    Command::new(
        "disable_auth_attempt_source_tracking",
        (DIAGNOSTICS, Group::Configuration),
        (0, 0),
        "",
        "Does nothing: it costs nothing",
        source_tracking,
    ),
    Command::new(
        "metadata_store_status",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "",
        "Shows the one replica of what is set up",
        metadata_store_status,
    ),
];

fn nothing_stuck(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Asking node {} to detect potentially stuck Erlang processes...", call.node()));
    call.status()?;
    Ok(Output::Message("Found 0 suspicious processes.".to_owned()))
}

fn no_peers(call: &Call) -> Result<Output, Failure> {
    call.banner("Discovering peers nodes ...");
    Ok(Output::Message("No peers discovered".to_owned()))
}

fn resolve(call: &Call) -> Result<Output, Failure> {
    let host = call.argument(0);
    let is_v6 = call.options.get("address-family").is_some_and(|family| family.eq_ignore_ascii_case("ipv6"));
    let family = if is_v6 { "IPv6" } else { "IPv4" };
    call.banner(format!("Asking node {} to resolve hostname {host} to {family} addresses...", call.known_node()));
    let found = (host, 0).to_socket_addrs().map_err(|error| Failure::unavailable(error.to_string()))?;
    let found: Vec<String> =
        found.map(|address| address.ip()).filter(|ip| ip.is_ipv6() == is_v6).map(|ip| ip.to_string()).collect();
    Ok(Output::Message(found.join("\n")))
}

fn auth_attempts(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    call.banner(format!("Listing authentication\n attempts for node \"{node}\" ..."));
    let by_source = call.has("by-source");
    let mut path = vec!["auth", "attempts", node];
    let mut columns = vec!["protocol", "auth_attempts", "auth_attempts_failed", "auth_attempts_succeeded"];
    if by_source {
        path.push("source");
        columns.splice(0..0, ["remote_address", "username"]);
    }
    let found = call.list(&path)?;
    let rows = found.iter().map(|one| columns.iter().map(|column| Term::from_json(info::at(one, column))).collect());
    Ok(Output::rows(&columns, rows.collect()))
}

fn reset_auth_attempts(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Resetting auth attempt metrics on node {} ...", call.node()));
    call.delete(&["auth", "attempts", call.node()])?;
    Ok(Output::Done)
}

fn shovels(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Shovel status on node {}", call.node()));
    listed(call, "shovels", &["name", "vhost", "type", "state"])
}

fn federation_links(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Listing federation links on node {}...", call.node()));
    listed(call, "federation-links", &["vhost", "upstream", "type", "status"])
}

/// A list that is empty where nothing of the kind is offered.
fn listed(call: &Call, path: &str, columns: &[&str]) -> Result<Output, Failure> {
    let found = call.find(&[path])?.unwrap_or_else(|| json!([]));
    let rows = found.as_array().into_iter().flatten();
    let rows = rows.map(|one| columns.iter().map(|column| Term::from_json(info::at(one, column))).collect()).collect();
    let columns = columns.iter().map(|&column| column.to_owned()).collect();
    Ok(Output::Rows(Rows { columns, rows, streamed: true }))
}

fn delete_shovel(call: &Call) -> Result<Output, Failure> {
    let name = call.argument(0);
    call.banner(format!("Deleting shovel {name} in vhost {}", call.vhost()));
    if call.delete(&["parameters", "shovel", call.vhost(), name])? {
        return Ok(Output::Done);
    }
    Err(Failure::unavailable(format!("Shovel with the given name was not found on the target node '{}'", call.node())))
}

fn source_tracking(call: &Call) -> Result<Output, Failure> {
    let doing = if call.command.name.starts_with("enable") { "Enabling" } else { "Disabling" };
    call.banner(format!("{doing} authentication attempt source tracking ..."));
    Ok(Output::Done)
}

fn metadata_store_status(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Status of metadata store on node {} ...", call.node()));
    let row = vec![Term::atom(call.node()), Term::atom("leader"), Term::atom("voter")];
    Ok(drawn(call, &["Node Name", "Raft State", "Membership"], vec![row]))
}
