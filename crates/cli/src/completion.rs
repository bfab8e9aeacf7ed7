//! The tools as `clap` has them, for completions of shells and for man pages.

use clap::{Arg, ArgAction, Command};

use crate::admin;
use crate::command::{Switch, Takes};
use crate::commands;
use crate::parse::GLOBAL;
use crate::personality::Tool;

/// The tool of this name with its commands and options, to generate completions and man pages from. The tools themselves read
/// their command lines by RabbitMQ's grammar, in which options come anywhere.
#[must_use]
pub fn clap_command(name: &str) -> Option<Command> {
    if name == "rabbitmqadmin" {
        return Some(admin::clap_command());
    }
    let tool = Tool::named(name)?;
    let mut known: Vec<_> = commands::all().iter().filter(|command| command.is_of(tool)).collect();
    known.sort_by_key(|command| command.name);
    known.dedup_by_key(|command| command.name);
    let subcommands = known.into_iter().map(|command| {
        let arguments = command.usage.split('[').next().unwrap_or_default();
        let mut about = command.about.to_owned();
        if !arguments.trim().is_empty() {
            about.push_str(&format!(" ({})", command.usage));
        }
        let takes_arguments = (command.most > 0).then(|| Arg::new("arguments").num_args(0..));
        Command::new(command.name).about(about).args(command.switches.iter().map(option)).args(takes_arguments)
    });
    let about = match tool {
        Tool::Leveretctl => "All commands for a Leveret broker",
        Tool::Ctl => "Administers a broker, as RabbitMQ's tool of that name",
        Tool::Diagnostics => "Checks and inspects a broker, as RabbitMQ's tool of that name",
        Tool::Queues => "Looks after quorum queues, as RabbitMQ's tool of that name",
        Tool::Streams => "Looks after streams, as RabbitMQ's tool of that name",
        Tool::Plugins => "Enables and disables plugins, as RabbitMQ's tool of that name",
        Tool::Upgrade => "Takes a node out of service and back, as RabbitMQ's tool of that name",
    };
    let globals = GLOBAL.iter().filter(|switch| switch.name != "help").map(|switch| option(switch).global(true));
    Some(
        Command::new(tool.name())
            .about(about)
            .version(env!("CARGO_PKG_VERSION"))
            .disable_help_subcommand(true)
            .args(globals)
            .subcommands(subcommands),
    )
}

fn option(switch: &Switch) -> Arg {
    let argument = Arg::new(switch.name).long(switch.name);
    let argument = match switch.short {
        Some(short) => argument.short(short),
        None => argument,
    };
    match switch.takes {
        Takes::Nothing => argument.action(ArgAction::SetTrue),
        Takes::Text | Takes::Number | Takes::Count | Takes::Seconds => argument.action(ArgAction::Set),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PERSONALITIES;

    #[test]
    fn every_tool_can_be_completed() {
        for name in PERSONALITIES.into_iter().filter(|name| *name != "rabbitmq-server") {
            clap_command(name).unwrap_or_else(|| panic!("{name}")).debug_assert();
        }
        assert!(clap_command("rabbitmq-server").is_none());
    }
}
