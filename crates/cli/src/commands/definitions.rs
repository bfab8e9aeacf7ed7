//! Definitions: what a broker is set up with, as JSON.

use std::io::{self, Read as _};
use std::{fs, path::Path};

use serde_json::Value;

use super::CTL;
use crate::call::Call;
use crate::command::{Command, Group, Switch};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::term::Term;
use crate::url;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "import_definitions",
        (CTL, Group::Definitions),
        (0, 1),
        "<file_path | \"-\"> [--format <json | erlang>] [--skip-if-unchanged] [--timeout <timeout>]",
        "Imports definitions in JSON from a file or standard input; with --vhost, into that virtual host",
        import,
    )
    .with(&[Switch::text("format"), Switch::flag("skip-if-unchanged")]),
    Command::new(
        "export_definitions",
        (CTL, Group::Definitions),
        (1, 1),
        "<file_path | \"-\"> [--format <json | erlang>] [--timeout <timeout>]",
        "Exports definitions in JSON to a file or standard output; with --vhost, those of that virtual host",
        export,
    )
    .with(&[Switch::text("format")]),
];

fn import(call: &Call) -> Result<Output, Failure> {
    check_format(call)?;
    let source = call.arguments.first().map_or("-", String::as_str);
    let text = if source == "-" {
        call.banner("Importing definitions in JSON from standard input ...");
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        text
    } else {
        if !Path::new(source).exists() {
            return Err(call.bad_argument(&format!("File {source} does not exist")));
        }
        call.banner(format!("Importing definitions in JSON from a file at \"{source}\" ..."));
        let failed = |error: io::Error| format!("Could not read from file {source}: {error}");
        fs::read_to_string(source).map_err(|error| Failure::error(Kind::Data, failed(error)))?
    };
    let definitions: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::error(Kind::Data, format!("Failed to parse JSON input: {error}")))?;
    if !definitions.is_object() {
        return Err(Failure::error(Kind::Data, "Definitions are a JSON object"));
    }
    call.post(&path(call), &definitions)?;
    if call.has("quiet") || call.has("silent") {
        return Ok(Output::Done);
    }
    Ok(Output::Message(
        "Successfully started definition import. This process is asynchronous and can take some time.".to_owned(),
    ))
}

/// Where the definitions are: those of one vhost, if one is named.
fn path(call: &Call) -> Vec<&str> {
    match call.options.get("vhost") {
        Some(vhost) => vec!["definitions", vhost],
        None => vec!["definitions"],
    }
}

fn check_format(call: &Call) -> Result<(), Failure> {
    match call.options.get("format") {
        None => Ok(()),
        Some(format) if format.eq_ignore_ascii_case("json") => Ok(()),
        Some(_) => Err(call.bad_argument("Format should be json: Erlang's own format of terms is not read or written")),
    }
}

fn export(call: &Call) -> Result<Output, Failure> {
    check_format(call)?;
    let target = call.argument(0);
    if target != "-" {
        let folder = Path::new(target).parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return Err(call.bad_argument(&format!("Directory of {target} does not exist")));
        }
        call.banner(format!("Exporting definitions in JSON to a file at \"{target}\" ..."));
    }
    let definitions = call.get_path(&url::path(&path(call)))?;
    if target == "-" {
        return Ok(Output::report(definitions.to_string(), Term::from_json(&definitions)));
    }
    let mut text = definitions.to_string();
    text.push('\n');
    fs::write(target, text)?;
    Ok(Output::Done)
}
