//! Policies and operator policies.

use serde_json::{Value, json};

use super::{BOTH, CTL, DIAGNOSTICS};
use crate::call::Call;
use crate::command::{Command, Group, Switch};
use crate::commands::info;
use crate::failure::Failure;
use crate::output::Output;
use crate::term::Term;

const GROUP: Group = Group::Policies;
const SWITCHES: &[Switch] = &[Switch::number("priority"), Switch::text("apply-to")];
const COLUMNS: [&str; 6] = ["vhost", "name", "pattern", "apply-to", "definition", "priority"];

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "set_policy",
        (CTL, GROUP),
        (3, 3),
        "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> <definition>",
        "Sets a policy: arguments, in JSON, for queues or exchanges whose names the pattern finds",
        set_policy,
    )
    .with(SWITCHES),
    Command::new("clear_policy", (CTL, GROUP), (1, 1), "[--vhost <vhost>] <name>", "Removes a policy", clear_policy),
    Command::new(
        "list_policies",
        (BOTH, GROUP),
        (0, 0),
        "[--vhost <vhost>] [--no-table-headers]",
        "Lists policies of a virtual host",
        list_policies,
    ),
    Command::new(
        "set_operator_policy",
        (CTL, GROUP),
        (3, 3),
        "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> <definition>",
        "Sets an operator policy, which limits what policies and queues ask for",
        set_operator_policy,
    )
    .with(SWITCHES),
    Command::new(
        "clear_operator_policy",
        (CTL, GROUP),
        (1, 1),
        "[--vhost <vhost>] <name>",
        "Removes an operator policy",
        clear_operator_policy,
    ),
    Command::new(
        "list_operator_policies",
        (BOTH, GROUP),
        (0, 0),
        "[--vhost <vhost>] [--no-table-headers]",
        "Lists operator policies of a virtual host",
        list_operator_policies,
    ),
    Command::new(
        "list_policies_that_match",
        (DIAGNOSTICS, GROUP),
        (1, 1),
        "[--vhost <vhost>] [--object-type <queue|exchange>] <name>",
        "Lists policies whose pattern finds a queue or an exchange, the one in effect first",
        list_policies_that_match,
    )
    .with(&[Switch::text("object-type")]),
];

/// Where policies of a kind are.
const POLICIES: &str = "policies";
const OPERATOR_POLICIES: &str = "operator-policies";

fn set_policy(call: &Call) -> Result<Output, Failure> {
    call.banner(announcement(call, "policy"));
    set(call, POLICIES)
}

fn set_operator_policy(call: &Call) -> Result<Output, Failure> {
    call.banner(announcement(call, "operator policy override"));
    set(call, OPERATOR_POLICIES)
}

fn announcement(call: &Call, what: &str) -> String {
    format!(
        "Setting {what} \"{}\" for pattern \"{}\" to \"{}\" with priority \"{}\" for vhost \"{}\" ...",
        call.argument(0),
        call.argument(1),
        call.argument(2),
        call.options.get("priority").unwrap_or("0"),
        call.vhost()
    )
}

fn set(call: &Call, kind: &str) -> Result<Output, Failure> {
    let definition = json_argument(call, 2)?;
    call.need_vhost(call.vhost())?;
    let priority: i64 = call.options.get("priority").and_then(|priority| priority.parse().ok()).unwrap_or_default();
    let body = json!({
        "pattern": call.argument(1),
        "definition": definition,
        "priority": priority,
        "apply-to": call.options.get("apply-to").unwrap_or("all"),
    });
    call.put(&[kind, call.vhost(), call.argument(0)], &body)?;
    Ok(Output::Done)
}

/// An argument that must be JSON.
pub(super) fn json_argument(call: &Call, position: usize) -> Result<Value, Failure> {
    serde_json::from_str(call.argument(position))
        .map_err(|_not_json| Failure::unavailable("JSON decoding error. Reason: badarg"))
}

fn clear_policy(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Clearing policy \"{}\" on vhost \"{}\" ...", call.argument(0), call.vhost()));
    clear(call, POLICIES)
}

fn clear_operator_policy(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Clearing operator policy \"{}\" on vhost \"{}\" ...", call.argument(0), call.vhost()));
    clear(call, OPERATOR_POLICIES)
}

fn clear(call: &Call, kind: &str) -> Result<Output, Failure> {
    call.need_vhost(call.vhost())?;
    let was_there = call.delete(&[kind, call.vhost(), call.argument(0)])?;
    if was_there { Ok(Output::Done) } else { Err(no_parameter()) }
}

/// Policies are parameters, as texts have it.
pub(super) fn no_parameter() -> Failure {
    Failure::unavailable("Parameter does not exist")
}

fn list_policies(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Listing policies for vhost \"{}\" ...", call.vhost()));
    list(call, POLICIES)
}

fn list_operator_policies(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Listing operator policy overrides for vhost \"{}\" ...", call.vhost()));
    list(call, OPERATOR_POLICIES)
}

fn list(call: &Call, kind: &str) -> Result<Output, Failure> {
    call.need_vhost(call.vhost())?;
    Ok(table(&call.list(&[kind, call.vhost()])?))
}

fn table(policies: &[Value]) -> Output {
    let rows = policies.iter().map(|policy| COLUMNS.iter().map(|column| column_of(policy, column)).collect());
    Output::rows(&COLUMNS, rows.collect())
}

fn column_of(policy: &Value, column: &str) -> Term {
    match column {
        "definition" => Term::text(policy[column].to_string()),
        other => Term::from_json(&policy[other]),
    }
}

fn list_policies_that_match(call: &Call) -> Result<Output, Failure> {
    let (name, kind) = (call.argument(0), call.options.get("object-type").unwrap_or("queue"));
    call.banner(format!("Listing policies that match {kind} '{name}' in vhost '{}' ...", call.vhost()));
    call.need_vhost(call.vhost())?;
    let plural = if kind == "exchange" { "exchanges" } else { "queues" };
    let thing = call.find(&[plural, call.vhost(), name])?;
    let thing = thing.ok_or_else(|| Failure::unavailable(format!("{kind} '{name}' not found")))?;
    let effective = info::text(&thing, "policy").to_owned();
    let mut found = call.list(&[POLICIES, call.vhost()])?;
    found.retain(|policy| info::text(policy, "name") == effective);
    Ok(table(&found))
}
