//! Virtual hosts.

use serde_json::{Map, Value, json};

use super::{BOTH, CTL};
use crate::call::Call;
use crate::command::{ANY, Command, Group, Switch};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::term::Term;

const GROUP: Group = Group::VirtualHosts;
const METADATA: &[Switch] =
    &[Switch::text("description").short('d'), Switch::text("tags"), Switch::text("default-queue-type")];
const COLUMNS: [&str; 8] = [
    "name",
    "description",
    "tags",
    "default_queue_type",
    "tracing",
    "cluster_state",
    "metadata",
    "protected_from_deletion",
];

pub(super) const COMMANDS: &[Command] = &[
    Command::new("add_vhost", (CTL, GROUP), (1, 1),
        "<vhost> [--description <description>] [--tags \"<tag1>,<tag2>\"] [--default-queue-type <quorum|classic|stream>]",
        "Creates a virtual host", add_vhost)
        .with(METADATA),
    Command::new("update_vhost_metadata", (CTL, GROUP), (1, 1),
        "<vhost> [--description <description>] [--tags \"<tag1>,<tag2>\"] [--default-queue-type <quorum|classic|stream>]",
        "Changes what is said of a virtual host, and the type of queues that do not say theirs", update_metadata)
        .with(METADATA),
    Command::new("set_vhost_tags", (CTL, GROUP), (1, ANY), "<vhost> [<tag> ...]", "Sets the tags of a virtual host", set_tags),
    Command::new("delete_vhost", (CTL, GROUP), (1, 1), "<vhost>",
        "Deletes a virtual host with all that is in it, and closes its connections", delete_vhost),
    Command::new("list_vhosts", (BOTH, Group::AccessControl), (0, ANY), "[--no-table-headers] [<column> ...]",
        "Lists virtual hosts", list_vhosts),
    Command::new("restart_vhost", (CTL, GROUP), (0, 0), "[--vhost <vhost>]", "Says that the virtual host runs, as all do",
        restart_vhost),
    Command::new("trace_on", (CTL, GROUP), (0, 0), "[--vhost <vhost>]",
        "Has all messages of a virtual host copied to its exchange amq.rabbitmq.trace", trace_on),
    Command::new("trace_off", (CTL, GROUP), (0, 0), "[--vhost <vhost>]", "Ends that", trace_off),
    Command::new("enable_vhost_deletion_protection", (CTL, GROUP), (1, 1), "<vhost>",
        "Keeps a virtual host from being deleted", protect),
    Command::new("disable_vhost_deletion_protection", (CTL, GROUP), (1, 1), "<vhost>", "Lets it be deleted again", unprotect),
];

fn add_vhost(call: &Call) -> Result<Output, Failure> {
    let vhost = call.argument(0);
    call.banner(format!("Adding vhost \"{vhost}\" ..."));
    check_queue_type(call)?;
    // What is there is left as it is.
    if call.find(&["vhosts", vhost])?.is_none() {
        call.put(&["vhosts", vhost], &Value::Object(metadata(call))).map_err(of_limit)?;
    }
    Ok(Output::Done)
}

/// RabbitMQ has an exit code of its own for a vhost too many.
fn of_limit(failure: Failure) -> Failure {
    let is_of_limit = failure.text.contains(": vhost limit of ");
    if is_of_limit { Failure { kind: Kind::Usage, ..failure } } else { failure }
}

fn metadata(call: &Call) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(description) = call.options.get("description") {
        body.insert("description".to_owned(), json!(description));
    }
    if let Some(tags) = call.options.get("tags") {
        let tags: Vec<&str> = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
        body.insert("tags".to_owned(), json!(tags));
    }
    if let Some(queue_type) = call.options.get("default-queue-type") {
        body.insert("default_queue_type".to_owned(), json!(queue_type));
    }
    body
}

fn check_queue_type(call: &Call) -> Result<(), Failure> {
    match call.options.get("default-queue-type") {
        None | Some("classic" | "quorum" | "stream") => Ok(()),
        Some(_) => Err(Failure::error(Kind::Usage, "Unsupported default queue type")),
    }
}

fn update_metadata(call: &Call) -> Result<Output, Failure> {
    let vhost = call.argument(0);
    let changes = metadata(call);
    if changes.is_empty() {
        return Err(call.misused(Kind::Usage, "not enough arguments."));
    }
    check_queue_type(call)?;
    call.banner(format!("Updating metadata of vhost \"{vhost}\" ..."));
    change(call, vhost, changes)
}

fn set_tags(call: &Call) -> Result<Output, Failure> {
    let (vhost, tags) = (call.argument(0), call.arguments.get(1..).unwrap_or_default());
    call.banner(format!("Setting tags for vhost \"{vhost}\" to [{}] ...", tags.join(", ")));
    change(call, vhost, Map::from_iter([("tags".to_owned(), json!(tags))]))
}

/// Changes some of what is kept of a vhost.
fn change(call: &Call, vhost: &str, changes: Map<String, Value>) -> Result<Output, Failure> {
    let before = call.need_vhost(vhost)?;
    let mut body = Map::new();
    for name in ["description", "tags", "default_queue_type", "tracing", "protected_from_deletion"] {
        let kept = before.get(name).or_else(|| info::at(&before, "metadata").get(name));
        if let Some(kept) = kept.filter(|kept| !kept.is_null() && kept.as_str() != Some("undefined")) {
            body.insert(name.to_owned(), kept.clone());
        }
    }
    body.extend(changes);
    call.put(&["vhosts", vhost], &Value::Object(body))?;
    Ok(Output::Done)
}

fn delete_vhost(call: &Call) -> Result<Output, Failure> {
    let vhost = call.argument(0);
    call.banner(format!("Deleting vhost \"{vhost}\" ..."));
    if call.delete(&["vhosts", vhost])? { Ok(Output::Done) } else { Err(Failure::no_vhost(vhost)) }
}

fn list_vhosts(call: &Call) -> Result<Output, Failure> {
    let columns = info::columns(call, &COLUMNS, &["name"])?;
    call.banner("Listing vhosts ...");
    let vhosts = call.list(&["vhosts"])?;
    let rows = vhosts.iter().map(|vhost| columns.iter().map(|column| column_of(vhost, column)).collect()).collect();
    Ok(Output::rows(&columns, rows))
}

fn column_of(vhost: &Value, column: &str) -> Term {
    let metadata = &vhost["metadata"];
    match column {
        "tags" => Term::atoms(vhost.get("tags").unwrap_or(&metadata["tags"])),
        "cluster_state" => Term::from_json(&vhost["cluster_state"]),
        "tracing" => Term::bool(vhost["tracing"].as_bool().unwrap_or_default()),
        "metadata" => Term::from_json(metadata),
        other => Term::from_json(vhost.get(other).unwrap_or(&metadata[other])),
    }
}

fn restart_vhost(call: &Call) -> Result<Output, Failure> {
    let (vhost, node) = (call.vhost(), call.node());
    call.banner(format!("Trying to restart vhost '{vhost}' on node '{node}' ..."));
    call.need_vhost(vhost)?;
    Ok(Output::Message(format!("Vhost '{vhost}' is already running on node '{node}'")))
}

fn trace_on(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Starting tracing for vhost \"{}\" ...", call.vhost()));
    trace(call, true)?;
    Ok(Output::Message(format!("Trace enabled for vhost {}", call.vhost())))
}

fn trace_off(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Stopping tracing for vhost \"{}\" ...", call.vhost()));
    trace(call, false)?;
    Ok(Output::Message(format!("Trace disabled for vhost {}", call.vhost())))
}

fn trace(call: &Call, is_on: bool) -> Result<Output, Failure> {
    change(call, call.vhost(), Map::from_iter([("tracing".to_owned(), json!(is_on))]))
}

fn protect(call: &Call) -> Result<Output, Failure> {
    let vhost = call.argument(0);
    call.banner(format!("Protecting vhost \"{vhost}\" from deletion ..."));
    call.need_vhost(vhost)?;
    call.post(&["vhosts", vhost, "deletion", "protection"], &json!({}))?;
    Ok(Output::Done)
}

fn unprotect(call: &Call) -> Result<Output, Failure> {
    let vhost = call.argument(0);
    call.banner(format!("Removing deletion protection of vhost \"{vhost}\" ..."));
    call.need_vhost(vhost)?;
    call.delete(&["vhosts", vhost, "deletion", "protection"])?;
    Ok(Output::Done)
}
