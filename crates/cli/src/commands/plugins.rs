//! `rabbitmq-plugins`: the file of enabled plugins. What the plugins do is built in; a few do nothing here.

mod file;
mod known;

use serde_json::{Value, json};

use self::file::{configured, enabled_file, write};
use self::known::{Known, closure, find, is_there};
use crate::call::Call;
use crate::command::{ANY, Command, Group, Switch};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::format::Format;
use crate::output::Output;
use crate::personality::{RABBITMQ_VERSION, Tool};
use crate::term::Term;

const PLUGINS: &[Tool] = &[Tool::Plugins];
const GROUP: Group = Group::Plugins;
const WHERE: &[Switch] = &[Switch::flag("online"), Switch::flag("offline"), Switch::flag("all")];

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "list",
        (PLUGINS, GROUP),
        (0, 1),
        "[pattern] [--verbose] [--minimal] [--enabled] [--implicitly-enabled]",
        "Lists plugins",
        list,
    )
    .with(&[
        Switch::flag("verbose").short('v'),
        Switch::flag("minimal").short('m'),
        Switch::flag("enabled").short('E'),
        Switch::flag("implicitly-enabled").short('e'),
    ]),
    Command::new(
        "enable",
        (PLUGINS, GROUP),
        (0, ANY),
        "<plugin1> [ <plugin2>] | --all [--offline] [--online]",
        "Enables plugins",
        enable,
    )
    .with(WHERE),
    Command::new(
        "disable",
        (PLUGINS, GROUP),
        (0, ANY),
        "<plugin1> [ <plugin2>] | --all [--offline] [--online]",
        "Disables plugins",
        disable,
    )
    .with(WHERE),
    Command::new(
        "set",
        (PLUGINS, GROUP),
        (0, ANY),
        "[<plugin1> [ <plugin2>]] [--offline] [--online]",
        "Enables these plugins and disables all others",
        set,
    )
    .with(WHERE),
    Command::new(
        "is_enabled",
        (PLUGINS, GROUP),
        (1, ANY),
        "<plugin1> [ <plugin2>] [--offline] [--online]",
        "Fails if one of the plugins is not enabled",
        is_enabled,
    )
    .with(WHERE),
    Command::new(
        "directories",
        (PLUGINS, GROUP),
        (0, 0),
        "[--offline] [--online]",
        "Shows where plugins are, and which file says which are enabled",
        directories,
    )
    .with(WHERE),
];

/// What is known of the plugins here and now.
struct Plugins {
    /// Those that the file names.
    explicit: Vec<String>,
    /// Those that run; none if the node does not.
    running: Option<Vec<String>>,
    version: String,
}

impl Plugins {
    fn read(call: &Call) -> Result<Self, Failure> {
        let status = if call.has("offline") { None } else { call.status().ok() };
        let names =
            |status| info::texts(status, "active_plugins").into_iter().map(str::to_owned).collect::<Vec<String>>();
        let running = status.map(names);
        let version = status.map_or(RABBITMQ_VERSION, |status| info::text(status, "rabbitmq_version")).to_owned();
        let explicit: Vec<String> = configured(&enabled_file(call))?;
        // A node that was told nothing has what is built in.
        let explicit = match (&running, explicit.is_empty()) {
            (Some(running), true) => running.clone(),
            _ => explicit,
        };
        Ok(Self { explicit, running, version })
    }

    fn enabled(&self) -> Vec<String> {
        closure(&self.explicit)
    }

    fn runs(&self, name: &str) -> bool {
        self.running.is_some() && self.enabled().iter().any(|enabled| enabled == name)
    }
}

fn list(call: &Call) -> Result<Output, Failure> {
    let pattern = call.arguments.first().map_or(".*", String::as_str);
    call.banner(format!("Listing plugins with pattern \"{pattern}\" ..."));
    let plugins = Plugins::read(call)?;
    let enabled = plugins.enabled();
    let is_explicit = |name: &str| plugins.explicit.iter().any(|explicit| explicit == name);
    let is_enabled = |name: &str| enabled.iter().any(|enabled| enabled == name);
    let wanted: Vec<&Known> = known::ALL
        .iter()
        .filter(|plugin| pattern == ".*" || plugin.name.contains(pattern.trim_matches(['^', '$', '.', '*'])))
        .filter(|plugin| !call.has("enabled") || is_explicit(plugin.name))
        .filter(|plugin| !call.has("implicitly-enabled") || is_enabled(plugin.name))
        .collect();
    if call.format == Some(Format::Json) {
        return Ok(Output::report("", Term::from_json(&value(&wanted, &plugins, &is_explicit, &is_enabled))));
    }
    if call.has("minimal") {
        let names: Vec<&str> = wanted.iter().map(|plugin| plugin.name).collect();
        return Ok(if names.is_empty() { Output::Done } else { Output::Text(names.join("\n")) });
    }
    let mut lines = legend(call);
    let width = wanted.iter().map(|plugin| plugin.name.len()).max().unwrap_or_default();
    for plugin in wanted {
        let first = if is_explicit(plugin.name) {
            'E'
        } else if is_enabled(plugin.name) {
            'e'
        } else {
            ' '
        };
        let second = if plugins.runs(plugin.name) { '*' } else { ' ' };
        if call.has("verbose") {
            lines.push(format!("[{first}{second}] {}", plugin.name));
            lines.push(format!("     Version:     \t{}", plugins.version));
            lines.push(format!("     Dependencies:\t[{}]", plugin.needs.join(",")));
            lines.push(format!("     Description: \t{}", plugin.about));
        } else {
            lines.push(format!("[{first}{second}] {:width$} {}", plugin.name, plugins.version));
        }
    }
    Ok(Output::Text(lines.join("\n")))
}

fn legend(call: &Call) -> Vec<String> {
    if call.has("quiet") || call.has("silent") {
        return Vec::new();
    }
    let node = call.node();
    let status = match call.status() {
        Ok(_) if !call.has("offline") => format!(" | Status: * = running on {node}"),
        _ => format!(" | Status: [failed to contact {node} - status not shown]"),
    };
    vec![" Configured: E = explicitly enabled; e = implicitly enabled".to_owned(), status, " |/".to_owned()]
}

fn value(
    wanted: &[&Known],
    plugins: &Plugins,
    is_explicit: &dyn Fn(&str) -> bool,
    is_enabled: &dyn Fn(&str) -> bool,
) -> Value {
    let state = |name: &str| {
        if is_explicit(name) {
            "enabled"
        } else if is_enabled(name) {
            "implicit"
        } else {
            "not_enabled"
        }
    };
    let list: Vec<Value> = wanted
        .iter()
        .map(|plugin| {
            let runs = plugins.runs(plugin.name);
            json!({
                "name": plugin.name,
                "version": plugins.version,
                "enabled": state(plugin.name),
                "running": runs,
                "running_version": if runs { json!(plugins.version) } else { Value::Null },
            })
        })
        .collect();
    json!({"format": "normal", "plugins": list, "status": if plugins.running.is_some() { "running" } else { "node_down" }})
}

fn enable(call: &Call) -> Result<Output, Failure> {
    let asked = asked(call, "Enabling")?;
    let before = Plugins::read(call)?.explicit;
    let mut after = before.clone();
    after.extend(asked.iter().filter(|name| !before.contains(name)).cloned());
    apply(call, "enabled", &before, after)
}

fn disable(call: &Call) -> Result<Output, Failure> {
    let asked = asked(call, "Disabling")?;
    let before = Plugins::read(call)?.explicit;
    // What needs it goes with it.
    let needs = |name: &String| asked.iter().any(|gone| closure(std::slice::from_ref(name)).contains(gone));
    let after = before.iter().filter(|name| !needs(name)).cloned().collect();
    apply(call, "disabled", &before, after)
}

fn set(call: &Call) -> Result<Output, Failure> {
    let after = asked_names(call, "Enabling")?;
    let before = Plugins::read(call)?.explicit;
    apply(call, "set", &before, after)
}

/// The plugins that a command is about; all, if that is asked for.
fn asked(call: &Call, doing: &str) -> Result<Vec<String>, Failure> {
    match (call.has("all"), call.arguments.is_empty()) {
        (false, true) => Err(call.misused(Kind::Usage, "not enough arguments.")),
        (true, false) => Err(call.misused(Kind::Data, "Bad argument: Cannot set both --all and a list of plugins")),
        (true, true) => {
            call.banner(format!("{doing} ALL plugins on node {}", call.node()));
            Ok(known::ALL.iter().map(|plugin| plugin.name.to_owned()).collect())
        }
        (false, false) => asked_names(call, doing),
    }
}

fn asked_names(call: &Call, doing: &str) -> Result<Vec<String>, Failure> {
    if call.has("online") && call.has("offline") {
        return Err(call.bad_argument("Cannot set both online and offline"));
    }
    call.banner(format!("{doing} plugins on node {}:\n{}", call.node(), call.arguments.join("\n")));
    let missing: Vec<String> =
        call.arguments.iter().filter(|name| !is_there(name)).map(|name| format!(":{name}")).collect();
    if missing.is_empty() {
        return Ok(call.arguments.clone());
    }
    Err(Failure::error(Kind::Software, format!("{{:plugins_not_found, [{}]}}", missing.join(", "))))
}

/// Writes the file and says what changed.
fn apply(call: &Call, verb: &str, before: &[String], mut after: Vec<String>) -> Result<Output, Failure> {
    after.sort();
    after.dedup();
    let is_offline = call.has("offline") || call.status().is_err();
    if is_offline && call.has("online") {
        call.status()?;
    }
    let (was, mut is) = (closure(before), closure(&after));
    is.sort();
    write(&enabled_file(call), &after)?;
    if call.has("quiet") || call.has("silent") {
        return Ok(Output::Done);
    }
    let mut lines = vec![
        if is.is_empty() { "All plugins have been disabled." } else { "The following plugins have been configured:" }
            .to_owned(),
    ];
    lines.extend(is.iter().map(|name| format!("  {name}")));
    lines.push(format!("Applying plugin configuration to {}...", call.node()));
    let started: Vec<&String> = is.iter().filter(|name| !was.contains(name)).collect();
    let stopped: Vec<&String> = was.iter().filter(|name| !is.contains(name)).collect();
    if started.is_empty() && stopped.is_empty() && !is_offline {
        lines.push("Plugin configuration unchanged.".to_owned());
        return Ok(Output::Text(lines.join("\n")));
    }
    for (title, names) in [("enabled", &started), ("disabled", &stopped)] {
        if !names.is_empty() {
            lines.push(format!("The following plugins have been {title}:"));
            lines.extend(names.iter().map(|name| format!("  {name}")));
            lines.push(String::new());
        }
    }
    lines.extend(summary(verb, is_offline, [&started, &stopped], &is));
    lines.extend(without_effect(&started));
    Ok(Output::Text(lines.join("\n")))
}

fn summary(verb: &str, is_offline: bool, [started, stopped]: [&[&String]; 2], now: &[String]) -> Vec<String> {
    if is_offline {
        let count = match verb {
            "enabled" => format!("enabled {} plugins.", started.len()),
            "disabled" => format!("disabled {} plugins.", stopped.len()),
            _ => format!("set {} plugins.", now.len()),
        };
        return vec![count, "Offline change; changes will take effect at broker restart.".to_owned()];
    }
    let started = (!started.is_empty()).then(|| format!("started {} plugins.", started.len()));
    let stopped = (!stopped.is_empty()).then(|| format!("stopped {} plugins.", stopped.len()));
    started.into_iter().chain(stopped).collect()
}

/// Plugins that are accepted and do nothing here.
fn without_effect(started: &[&String]) -> Vec<String> {
    let idle = started.iter().filter_map(|name| find(name)).filter(|plugin| !plugin.is_built_in);
    idle.map(|plugin| format!("{} has no effect here: {}", plugin.name, plugin.about)).collect()
}

fn is_enabled(call: &Call) -> Result<Output, Failure> {
    let names = call.arguments.join(", ");
    let (noun, verb) = if call.arguments.len() == 1 { ("plugin", "is") } else { ("plugins", "are") };
    let is_offline = call.has("offline");
    if is_offline {
        call.banner(format!("Inferring if {noun} {names} {verb} from local environment..."));
    } else {
        call.banner(format!("Asking node {} if {noun} {names} {verb} enabled...", call.node()));
        call.status()?;
    }
    let mut enabled = Plugins::read(call)?.enabled();
    enabled.sort();
    let place = if is_offline { String::new() } else { format!(" on node {}", call.node()) };
    let missing: Vec<&str> = call.arguments.iter().filter(|name| !enabled.contains(name)).map(String::as_str).collect();
    if missing.is_empty() {
        let noun = if call.arguments.len() == 1 { "Plugin" } else { "Plugins" };
        return Ok(Output::Message(format!("{noun} {names} {verb} enabled{place}")));
    }
    let (noun, verb) = if missing.len() == 1 { ("Plugin", "is") } else { ("Plugins", "are") };
    let text = format!(
        "{noun} {} {verb} not enabled{place}. Enabled plugins and dependencies: {}",
        missing.join(", "),
        enabled.join(", ")
    );
    Err(Failure::unavailable(text))
}

fn directories(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Listing plugin directories used by node {}", call.node()));
    let archives = known::directory();
    let file = enabled_file(call).display().to_string();
    let text = format!(
        "Plugin archives directory: {archives}\nPlugin expansion directory: {archives}\nEnabled plugins file: {file}"
    );
    let value = json!({
        "plugins_dir": archives,
        "plugins_expand_dir": archives,
        "enabled_plugins_file": file,
    });
    Ok(Output::report(text, Term::from_json(&value)))
}
