//! Runtime parameters: settings of plugins, a component each.

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
        "set_parameter",
        (CTL, GROUP),
        (3, 3),
        "[--vhost <vhost>] <component_name> <name> <value>",
        "Sets a runtime parameter of a component, in JSON",
        set,
    ),
    Command::new(
        "clear_parameter",
        (CTL, GROUP),
        (2, 2),
        "[--vhost <vhost>] <component_name> <name>",
        "Removes a runtime parameter",
        clear,
    ),
    Command::new(
        "list_parameters",
        (BOTH, GROUP),
        (0, 0),
        "[--vhost <vhost>] [--no-table-headers]",
        "Lists runtime parameters of a virtual host",
        list,
    ),
];

fn set(call: &Call) -> Result<Output, Failure> {
    let (component, name, vhost) = (call.argument(0), call.argument(1), call.vhost());
    call.banner(format!(
        "Setting runtime parameter \"{name}\" for component \"{component}\" to \"{}\" in vhost \"{vhost}\" ...",
        call.argument(2)
    ));
    let value = json_argument(call, 2)?;
    call.need_vhost(vhost)?;
    let body = json!({"component": component, "vhost": vhost, "name": name, "value": value});
    call.put(&["parameters", component, vhost, name], &body)?;
    Ok(Output::Done)
}

fn clear(call: &Call) -> Result<Output, Failure> {
    let (component, name, vhost) = (call.argument(0), call.argument(1), call.vhost());
    call.banner(format!(
        "Clearing runtime parameter \"{name}\" for component \"{component}\" on vhost \"{vhost}\" ..."
    ));
    call.need_vhost(vhost)?;
    if call.delete(&["parameters", component, vhost, name])? { Ok(Output::Done) } else { Err(no_parameter()) }
}

fn list(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Listing runtime parameters for vhost \"{}\" ...", call.vhost()));
    call.need_vhost(call.vhost())?;
    let found = call.list(&["parameters"])?;
    let here = found.iter().filter(|parameter| parameter["vhost"].as_str() == Some(call.vhost()));
    // Policies and limits of operators are parameters too, and have lists of their own.
    let here = here.filter(|parameter| !matches!(parameter["component"].as_str(), Some("operator_policy" | "policy")));
    let rows = here.map(|parameter| {
        let value = Term::text(parameter["value"].to_string());
        vec![Term::from_json(&parameter["component"]), Term::from_json(&parameter["name"]), value]
    });
    Ok(Output::rows(&["component", "name", "value"], rows.collect()))
}
