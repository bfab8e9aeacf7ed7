//! `rabbitmq-upgrade`: taking a node out of service and back.

use serde_json::json;

use crate::call::Call;
use crate::command::{Command, Group};
use crate::failure::Failure;
use crate::limits;
use crate::output::Output;
use crate::personality::Tool;

const UPGRADE: &[Tool] = &[Tool::Upgrade];
const GROUP: Group = Group::Upgrade;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "drain",
        (UPGRADE, GROUP),
        (0, 0),
        "",
        "Closes the listeners for clients and their connections",
        drain,
    ),
    Command::new("revive", (UPGRADE, GROUP), (0, 0), "", "Lets clients connect again", revive),
    Command::new(
        "await_online_quorum_plus_one",
        (UPGRADE, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Succeeds: on one node there is no majority to wait for",
        await_quorum,
    ),
    Command::new(
        "await_online_synchronized_mirror",
        (UPGRADE, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Succeeds: there are no mirrors to wait for",
        await_mirror,
    ),
    Command::new(
        "post_upgrade",
        (UPGRADE, GROUP),
        (0, 0),
        "",
        "Does nothing: there is nothing left to do after an upgrade",
        post_upgrade,
    ),
];

fn drain(call: &Call) -> Result<Output, Failure> {
    call.banner(format!(
        "Will put node {} into maintenance mode. The node will no longer serve any client traffic!",
        call.node()
    ));
    call.post(&["leveret", "drain"], &json!({}))?;
    Ok(Output::Done)
}

fn revive(call: &Call) -> Result<Output, Failure> {
    call.banner(format!(
        "Will put node {} back into regular operating mode. The node will again serve client traffic and host primary queue replicas.",
        call.node()
    ));
    call.post(&["leveret", "revive"], &json!({}))?;
    Ok(Output::Done)
}

fn await_quorum(call: &Call) -> Result<Output, Failure> {
    let seconds = call.timeout().unwrap_or(limits::QUORUM).as_secs();
    call.banner(format!(
        "Will wait for a quorum + 1 of nodes to be online for all quorum queues for {seconds} seconds..."
    ));
    only_node(call)
}

fn await_mirror(call: &Call) -> Result<Output, Failure> {
    let seconds = call.timeout().unwrap_or(limits::QUORUM).as_secs();
    call.banner(format!(
        "Will wait for a synchronised mirror be online for all classic mirrored queues for {seconds} seconds..."
    ));
    only_node(call)
}

fn only_node(call: &Call) -> Result<Output, Failure> {
    call.status()?;
    Ok(Output::Message(
        "Target node seems to be the only one in a single node cluster, the command does not apply".to_owned(),
    ))
}

fn post_upgrade(call: &Call) -> Result<Output, Failure> {
    call.banner("Executing post upgrade tasks...");
    call.status()?;
    Ok(Output::Done)
}
