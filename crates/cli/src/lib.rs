//! The command-line tools: `leveretctl`, and `rabbitmqctl`, `rabbitmq-diagnostics`, `rabbitmqadmin` and their like by name.
//!
//! A command is a few requests to a broker's HTTP API, by its local socket or by TCP, and a way to print the answer as RabbitMQ's
//! tools do: `parse` takes the command line apart, a table in `commands` says what each command takes and which function
//! does it, `call` is its way to the broker, and `format` writes what it gives. `rabbitmqadmin` has a grammar and
//! tables of its own: `admin`. Must not depend on: the broker's crates; it works with a broker that runs.
#![forbid(unsafe_code)]

mod admin;
mod call;
mod client;
mod command;
mod commands;
mod completion;
mod failure;
mod format;
mod help;
mod limits;
mod links;
mod locate;
mod output;
mod parse;
mod personality;
mod process;
mod socket;
mod suggest;
mod term;
mod url;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::call::Call;
use crate::failure::{Failure, Kind};
use crate::format::{Format, Style};
use crate::personality::Tool;

pub use call::print;
pub use completion::clap_command;
pub use links::install_links;
pub use personality::PERSONALITIES;
pub use socket::{SOCKET, Socket};

/// Does what a tool of this name does when it is called with these arguments, its own name not among them.
#[must_use]
pub fn run(name: &str, args: &[OsString]) -> ExitCode {
    let words: Vec<String> = args.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let result = match Tool::named(name) {
        Some(tool) => carry_out(tool, words),
        None => admin::run(&words),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // As on standard output, nobody need be there.
            let _ = writeln!(io::stderr(), "{}", failure.text);
            failure.exit_code()
        }
    }
}

fn carry_out(tool: Tool, words: Vec<String>) -> Result<(), Failure> {
    if words.first().is_some_and(|word| word == "--auto-complete") {
        let prefix = words.last().filter(|_| words.len() > 2).map(String::as_str).unwrap_or_default();
        commands::all().iter().filter(|command| command.is_of(tool) && command.name.starts_with(prefix)).for_each(
            |command| {
                print(&format!("{}\n", command.name));
            },
        );
        return Ok(());
    }
    let words = match words.as_slice() {
        [only] if only == "--version" => vec!["version".to_owned()],
        _ => words,
    };
    let call = prepare(tool, words)?;
    let Some(call) = call else { return Ok(()) };
    if call.has("dry-run") {
        return Ok(());
    }
    commands::check_environment(&call)?;
    let output = (call.command.run)(&call)?;
    let style = Style {
        format: call.format.unwrap_or(Format::Table),
        has_header: !call.has("silent") && call.options.flag("table-headers") != Some(false),
    };
    print(&format::render(&output, style));
    Ok(())
}

/// The command that is meant; none if only help was asked for, which is given.
fn prepare(tool: Tool, words: Vec<String>) -> Result<Option<Call>, Failure> {
    let parsed = parse::parse(tool, &words);
    let is_terminal = io::stdout().is_terminal();
    let wants_help = parsed.options.flag("help") == Some(true);
    let Some(command) = commands::find(tool, &parsed.command) else {
        if wants_help && parsed.command.is_empty() {
            print(&format!("{}\n", help::overview(tool, is_terminal)));
            return Ok(None);
        }
        return Err(unknown(tool, &parsed.command));
    };
    if wants_help {
        print(&help::about(tool, command, is_terminal));
        return Ok(None);
    }
    let misused = |reason: &str| {
        help::misused_line(tool, command, &words, Kind::Usage, &format!("Error (argument validation): {reason}"))
    };
    if !parsed.invalid.is_empty() {
        let lines: Vec<String> = parsed.invalid.iter().map(|(name, value)| format!("{name} : {value}")).collect();
        return Err(misused(&format!("Invalid options for this command:\n{}", lines.join("\n"))));
    }
    if parsed.arguments.len() < command.least {
        return Err(misused("not enough arguments."));
    }
    if parsed.arguments.len() > command.most {
        return Err(misused("too many arguments."));
    }
    if let Some(name) = parsed.options.get("formatter").filter(|name| Format::named(name).is_none()) {
        return Err(misused(&format!("there is no formatter {name}")));
    }
    Ok(Some(Call::new(tool, command, parsed.arguments, parsed.options, words)))
}

/// There is no such command: the one that may be meant, or all there are.
fn unknown(tool: Tool, name: &str) -> Failure {
    if name.is_empty() {
        return Failure::new(Kind::Usage, help::overview(tool, false));
    }
    let mut text = format!("\nCommand '{name}' not found. \n");
    let known = commands::all().iter().filter(|command| command.is_of(tool)).map(|command| command.name);
    if let Some(meant) = suggest::closest(name, known) {
        text.push_str(&format!("Did you mean '{meant}'? \n"));
        return Failure::new(Kind::Usage, text);
    }
    let elsewhere = commands::find(Tool::Leveretctl, name).and_then(|command| command.tools.first());
    if let Some(other) = elsewhere {
        text.push_str(&format!("It is a command of {}. \n", other.name()));
    }
    text.push_str(&help::overview(tool, false));
    Failure::new(Kind::Usage, text)
}
