//! Help.

use std::io::{self, IsTerminal as _};

use super::EVERY;
use crate::call::{Call, print};
use crate::command::{Command, Group, Switch};
use crate::commands;
use crate::failure::{Failure, Kind};
use crate::help;
use crate::output::Output;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "help",
        (EVERY, Group::Help),
        (0, 1),
        "[<command>] | --list-commands",
        "Shows how a command is used",
        help,
    )
    .with(&[Switch::flag("list-commands")]),
    Command::new(
        "autocomplete",
        (EVERY, Group::Help),
        (1, 1),
        "<prefix>",
        "Lists commands that begin so",
        autocomplete,
    ),
];

fn help(call: &Call) -> Result<Output, Failure> {
    let is_terminal = io::stdout().is_terminal();
    if call.has("list-commands") {
        return Ok(Output::Text(names(call, "").join("\n")));
    }
    let Some(name) = call.arguments.first() else {
        return Ok(Output::Text(help::overview(call.tool, is_terminal)));
    };
    match commands::find(call.tool, name) {
        Some(command) => {
            print(&help::about(call.tool, command, is_terminal));
            Ok(Output::Done)
        }
        None => Err(Failure::error(Kind::Usage, format!("\nCommand '{name}' not found."))),
    }
}

fn autocomplete(call: &Call) -> Result<Output, Failure> {
    let names = names(call, call.argument(0));
    if names.is_empty() { Ok(Output::Done) } else { Ok(Output::Text(names.join("\n"))) }
}

fn names(call: &Call, prefix: &str) -> Vec<&'static str> {
    let known = commands::all().iter().filter(|command| command.is_of(call.tool) && command.name.starts_with(prefix));
    let mut names: Vec<&'static str> = known.map(|command| command.name).collect();
    names.sort_unstable();
    names
}
