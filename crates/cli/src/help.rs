//! Usage and help.

use std::io::{self, IsTerminal as _};

use crate::call::{Call, bold};
use crate::command::{Command, Group};
use crate::commands;
use crate::failure::{Failure, Kind};
use crate::personality::Tool;

/// What every command takes.
const GENERAL: &str = "\
The following options are accepted by most or all commands.

short       | long                 | description
------------|----------------------|--------------------------------------------------
-?          | --help               | show this help
-n <node>   | --node <node>        | the node; its name as far as the texts show it
-l          | --longnames          | accepted: names of hosts may be long here anyway
-t <n>      | --timeout <n>        | give up after so many seconds
-q          | --quiet              | leave out what only people want to read
-s          | --silent             | the same, and the names of columns
-p <vhost>  | --vhost <vhost>      | the virtual host; / if none is named
            | --formatter <name>   | table, pretty_table, json, json_stream, csv, erlang
            | --no-table-headers   | leave out the names of columns
            | --dry-run            | check the command line, and do nothing
            | --data-dir <dir>     | the data directory of the node (LEVERET_DATA_DIR)
            | --url <url>          | an HTTP API instead, http://user:pass@host:15672 (LEVERET_URL)
";

/// The commands of a tool.
pub(crate) fn overview(tool: Tool, is_terminal: bool) -> String {
    let known: Vec<&Command> = commands::all().iter().copied().filter(|command| command.is_of(tool)).collect();
    let width = known.iter().map(|command| command.name.len()).max().unwrap_or_default() + 2;
    let mut text = format!(
        "\n{}\n\n{} [--node <node>] [--timeout <timeout>] [--longnames] [--quiet] <command> [<command options>]\n\nAvailable commands:\n",
        bold("Usage", is_terminal),
        tool.name()
    );
    for group in Group::ALL {
        let mut of_group: Vec<&&Command> = known.iter().filter(|command| command.group == group).collect();
        if of_group.is_empty() {
            continue;
        }
        of_group.sort_by_key(|command| command.name);
        text.push_str(&format!("\n{}:\n\n", bold(group.title(), is_terminal)));
        for command in of_group {
            text.push_str(&format!("   {:width$}{}\n", command.name, command.about));
        }
    }
    text.push_str(&format!("\nUse '{} help <command>' to learn more about a specific command", tool.name()));
    text
}

/// A command, at length.
pub(crate) fn about(tool: Tool, command: &Command, is_terminal: bool) -> String {
    format!(
        "\n{}\n\n{}\n\n{}\n\n{}\n\n{GENERAL}",
        bold("Usage", is_terminal),
        usage(tool, command),
        command.about,
        bold("General Options", is_terminal)
    )
}

/// The usage line of a command.
pub(crate) fn usage(tool: Tool, command: &Command) -> String {
    let line = format!("{} [--node <node>] [--longnames] [--quiet] {} {}", tool.name(), command.name, command.usage);
    line.trim_end().to_owned()
}

/// A command line that is wrong: why, what it was, and how it should be.
pub(crate) fn misused(call: &Call, kind: Kind, reason: &str) -> Failure {
    misused_line(call.tool, call.command, &call.given, kind, reason)
}

/// The same before there is a call.
pub(crate) fn misused_line(tool: Tool, command: &Command, given: &[String], kind: Kind, reason: &str) -> Failure {
    let text = format!(
        "{reason}\nArguments given:\n\t{}\n\n{}\n\n{}",
        given.join(" "),
        bold("Usage", io::stderr().is_terminal()),
        usage(tool, command)
    );
    Failure::new(kind, text)
}
