//! Checks: does the node run, and can it do its work?

use serde_json::Value;

use super::alarms::passed;
use super::{BOTH, DIAGNOSTICS};
use crate::call::Call;
use crate::command::{Command, Group, Switch};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::limits;
use crate::output::Output;
use crate::personality::Tool;
use crate::term::Term;

const GROUP: Group = Group::Monitoring;
const QUORUM: &[Tool] = &[Tool::Diagnostics, Tool::Queues];

pub(super) const COMMANDS: &[Command] = &[
    Command::new("ping", (BOTH, GROUP), (0, 0), "[--timeout <timeout>]", "Checks that the node answers", ping),
    Command::new(
        "check_running",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Fails if the node is not up, with all that clients need",
        check_running,
    ),
    Command::new(
        "is_running",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Says whether the node is up",
        is_running,
    ),
    Command::new(
        "is_booting",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Says whether the node is on its way up",
        is_booting,
    ),
    Command::new(
        "check_virtual_hosts",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Fails if a virtual host does not run",
        check_virtual_hosts,
    ),
    Command::new(
        "check_certificate_expiration",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "--within <period> --unit <unit>",
        "Fails if a listener's certificate ends soon; units are days, weeks, months and years",
        check_certificates,
    )
    .with(&[Switch::count("within"), Switch::text("unit")]),
    Command::new(
        "check_if_node_is_quorum_critical",
        (QUORUM, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Fails if queues would lose their majority without this node: on one node there is none to lose",
        quorum_critical,
    ),
    Command::new(
        "check_if_node_is_mirror_sync_critical",
        (QUORUM, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Fails if mirrors would be lost without this node: there are none",
        mirror_critical,
    ),
    Command::new(
        "check_if_any_deprecated_features_are_used",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Fails if something is used that is on its way out",
        deprecated_features_used,
    ),
    Command::new(
        "check_if_cluster_has_classic_queue_mirroring_policy",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Fails if a policy asks for mirrored queues",
        mirroring_policies,
    ),
    Command::new(
        "check_if_metadata_store_is_initialized",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Fails if the node has not read what it keeps",
        metadata_store,
    ),
    Command::new(
        "check_if_metadata_store_is_initialized_with_data",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "The same",
        metadata_store,
    ),
];

fn ping(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    let timeout_ms = call.timeout().unwrap_or(limits::PING).as_millis();
    call.banner(format!(
        "Will ping {node}. This only checks if the OS process is running and registered with epmd. Timeout: {timeout_ms} ms."
    ));
    match call.status() {
        Ok(_) => Ok(Output::Message("Ping succeeded".to_owned())),
        Err(failure) if failure.kind == Kind::Unavailable => {
            Err(Failure::unavailable(format!("Failed to connect and authenticate to {node} in {timeout_ms} ms")))
        }
        Err(failure) => Err(failure),
    }
}

/// Whether clients can connect. A node that was told to stop its application answers here, and does nothing else.
pub(super) fn runs(status: &Value) -> bool {
    info::at(status, "is_running").as_bool() != Some(false)
}

fn is_up(node: &str) -> String {
    format!("RabbitMQ on node {node} is fully booted and running")
}

fn is_down(node: &str) -> String {
    format!("RabbitMQ on node {node} is not running or has not fully booted yet (check with is_booting)")
}

fn check_running(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    call.banner(format!("Checking if RabbitMQ is running on node {node} ..."));
    if runs(call.status()?) { Ok(Output::Message(is_up(node))) } else { Err(Failure::unavailable(is_down(node))) }
}

fn is_running(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    call.banner(format!("Asking node {node} for its status ..."));
    let runs = runs(call.status()?);
    Ok(answer(if runs { is_up(node) } else { is_down(node) }, runs))
}

fn is_booting(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    call.banner(format!("Asking node {node} for its boot status ..."));
    call.status()?;
    // It answers when it is up.
    let text = format!(
        "RabbitMQ on node {node} is fully booted (check with is_running), stopped or has not started booting yet"
    );
    Ok(answer(text, false))
}

fn answer(text: String, result: bool) -> Output {
    let value = vec![("message".to_owned(), Term::text(&text)), ("result".to_owned(), Term::bool(result))];
    Output::report(text, Term::Map(value))
}

fn check_virtual_hosts(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    call.banner(format!("Checking if all vhosts are running on node {node} ..."));
    let answer = call.send(http::Method::GET, &["health", "checks", "virtual-hosts"], None)?;
    if answer.is_success() {
        return Ok(passed(&format!("Node {node} reported all vhosts as running")));
    }
    let down = info::texts(&answer.json(), "virtual-hosts").join("\n");
    Err(Failure::unavailable(format!("Some virtual hosts on node {node} are down:\n{down}")))
}

fn check_certificates(call: &Call) -> Result<Output, Failure> {
    let unit = match call.options.get("unit").unwrap_or("weeks").to_ascii_lowercase().as_str() {
        "day" | "days" => "days",
        "week" | "weeks" => "weeks",
        "month" | "months" => "months",
        "year" | "years" => "years",
        other => return Err(call.bad_argument(&format!("unit '{other}' is not supported: days, weeks, months, years"))),
    };
    let within: u32 = call.options.get("within").unwrap_or("4").parse().map_err(|_| call.bad_argument(""))?;
    call.banner(format!("Checking certificate expiration on node {} ...", call.node()));
    let number = within.to_string();
    let answer = call.send(http::Method::GET, &["health", "checks", "certificate-expiration", &number, unit], None)?;
    if answer.is_success() {
        let named = if within == 1 { unit.trim_end_matches('s') } else { unit };
        return Ok(passed(&format!("No certificates are expiring within {within} {named}.")));
    }
    Err(Failure::unavailable(answer.reason()))
}

fn quorum_critical(call: &Call) -> Result<Output, Failure> {
    only_node(call, &format!("Checking if node {} is critical for quorum of any quorum queues ...", call.node()))
}

fn mirror_critical(call: &Call) -> Result<Output, Failure> {
    only_node(
        call,
        &format!("Checking if node {} is critical for data safety of any classic mirrored queues ...", call.node()),
    )
}

fn only_node(call: &Call, banner: &str) -> Result<Output, Failure> {
    call.banner(banner);
    call.status()?;
    let text =
        format!("Node {} seems to be the only one in a single node cluster, the check does not apply", call.node());
    let value =
        [("message", text.as_str()), ("result", "ok")].map(|(name, value)| (name.to_owned(), Term::text(value)));
    Ok(Output::report(text.as_str(), Term::Map(value.to_vec())))
}

fn deprecated_features_used(call: &Call) -> Result<Output, Failure> {
    call.banner("Checking if any deprecated features are used in the cluster ...");
    let used = call.list(&["deprecated-features", "used"])?;
    if used.is_empty() {
        return Ok(passed("Cluster reported no deprecated features in use"));
    }
    let names: Vec<&str> = used.iter().map(|feature| info::text(feature, "name")).collect();
    Err(Failure::unavailable(format!("Deprecated features in use: {}", names.join(", "))))
}

fn mirroring_policies(call: &Call) -> Result<Output, Failure> {
    call.banner("Checking if cluster has any classic queue mirroring policy ...");
    let mut policies = call.list(&["policies"])?;
    policies.extend(call.list(&["operator-policies"])?);
    policies.retain(|policy| policy["definition"].get("ha-mode").is_some());
    if policies.is_empty() {
        return Ok(passed("Cluster reported no policies that enable classic queue mirroring"));
    }
    let names: Vec<&str> = policies.iter().map(|policy| info::text(policy, "name")).collect();
    Err(Failure::unavailable(format!(
        "Some of the policies in the cluster enable classic queue mirroring: {}",
        names.join(", ")
    )))
}

fn metadata_store(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    call.banner(format!("Checking if the metadata store on node {node} is initialized ..."));
    call.status()?;
    Ok(passed(&format!("Metadata store on node {node} has completed its initialization")))
}
