//! Global parameters: settings of the whole node.

use serde_json::json;

use super::policies::{json_argument, no_parameter};
use super::{BOTH, CTL};
use crate::call::Call;
use crate::command::{Command, Group};
use crate::failure::Failure;
use crate::output::Output;
use crate::term::Term;

const GROUP: Group = Group::Parameters;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "set_global_parameter",
        (CTL, GROUP),
        (2, 2),
        "<name> <value>",
        "Sets a global parameter, in JSON",
        set,
    ),
    Command::new("clear_global_parameter", (CTL, GROUP), (1, 1), "<name>", "Removes a global parameter", clear),
    Command::new(
        "list_global_parameters",
        (BOTH, GROUP),
        (0, 0),
        "[--no-table-headers]",
        "Lists global parameters",
        list,
    ),
    Command::new(
        "set_cluster_name",
        (CTL, Group::Configuration),
        (1, 1),
        "<name>",
        "Sets the name that clients are told the cluster has",
        set_cluster_name,
    ),
];

fn set(call: &Call) -> Result<Output, Failure> {
    let name = call.argument(0);
    call.banner(format!("Setting global runtime parameter \"{name}\" to \"{}\" ...", call.argument(1)));
    let value = json_argument(call, 1)?;
    call.put(&["global-parameters", name], &json!({"name": name, "value": value}))?;
    Ok(Output::Done)
}

fn clear(call: &Call) -> Result<Output, Failure> {
    let name = call.argument(0);
    call.banner(format!("Clearing global runtime parameter \"{name}\" ..."));
    if call.delete(&["global-parameters", name])? { Ok(Output::Done) } else { Err(no_parameter()) }
}

fn list(call: &Call) -> Result<Output, Failure> {
    call.banner("Listing global runtime parameters ...");
    let found = call.list(&["global-parameters"])?;
    let rows = found.iter().map(|one| vec![Term::from_json(&one["name"]), Term::text(one["value"].to_string())]);
    Ok(Output::rows(&["name", "value"], rows.collect()))
}

fn set_cluster_name(call: &Call) -> Result<Output, Failure> {
    let name = call.argument(0);
    call.banner(format!("Setting cluster name to {name} ..."));
    call.put(&["cluster-name"], &json!({"name": name}))?;
    Ok(Output::Done)
}
