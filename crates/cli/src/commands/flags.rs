//! Feature flags, and features on their way out.

use http::Method;
use serde_json::{Value, json};

use super::{BOTH, CTL};
use crate::call::{Call, done};
use crate::command::{ANY, Command, Group, Switch};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::term::Term;

const GROUP: Group = Group::FeatureFlags;
const FLAG: [&str; 8] =
    ["name", "state", "stability", "provided_by", "desc", "doc_url", "experiment_level", "callbacks"];
const FEATURE: [&str; 5] = ["name", "deprecation_phase", "provided_by", "desc", "doc_url"];

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "enable_feature_flag",
        (CTL, GROUP),
        (1, 1),
        "[--opt-in] <all | feature_flag>",
        "Enables a feature flag, or all: all are enabled from the start",
        enable,
    )
    .with(&[Switch::flag("opt-in"), Switch::flag("experimental")]),
    Command::new(
        "list_feature_flags",
        (BOTH, GROUP),
        (0, ANY),
        "[<column> ...] [--timeout <timeout>]",
        "Lists feature flags",
        list,
    ),
    Command::new(
        "list_deprecated_features",
        (BOTH, GROUP),
        (0, ANY),
        "[--used] [<column> ...]",
        "Lists features that are on their way out",
        list_deprecated,
    )
    .with(&[Switch::flag("used")]),
];

fn enable(call: &Call) -> Result<Output, Failure> {
    let name = call.argument(0);
    if name == "all" {
        call.banner("Enabling all feature flags ...");
    } else {
        call.banner(format!("Enabling feature flag \"{name}\" ..."));
    }
    let flags = call.list(&["feature-flags"])?;
    let is_meant = |flag: &&Value| name == "all" || info::text(flag, "name") == name;
    let meant: Vec<&Value> = flags.iter().filter(is_meant).collect();
    if meant.is_empty() {
        let text = format!("This feature flag is not supported by node {}", call.node());
        return Err(Failure::error(Kind::Usage, text));
    }
    for flag in meant.into_iter().filter(|flag| info::text(flag, "state") != "enabled") {
        let name = info::text(flag, "name");
        call.send(Method::PUT, &["feature-flags", name, "enable"], Some(&json!({"name": name}))).and_then(done)?;
    }
    Ok(Output::Done)
}

fn list(call: &Call) -> Result<Output, Failure> {
    let columns = info::columns(call, &FLAG, &["name", "state"])?;
    call.banner("Listing feature flags ...");
    Ok(table(&columns, &call.list(&["feature-flags"])?))
}

fn list_deprecated(call: &Call) -> Result<Output, Failure> {
    let columns = info::columns(call, &FEATURE, &["name", "deprecation_phase"])?;
    if call.has("used") {
        call.banner("Listing deprecated features in use ...");
        return Ok(table(&columns, &call.list(&["deprecated-features", "used"])?));
    }
    call.banner("Listing deprecated features ...");
    Ok(table(&columns, &call.list(&["deprecated-features"])?))
}

fn table(columns: &[&str], found: &[Value]) -> Output {
    let rows = found.iter().map(|one| columns.iter().map(|column| column_of(one, column)).collect());
    Output::rows(columns, rows.collect())
}

fn column_of(one: &Value, column: &str) -> Term {
    match column {
        "desc" | "doc_url" => Term::from_json(&one[column]),
        other => Term::atom(info::text(one, other)),
    }
}
