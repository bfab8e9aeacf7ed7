//! The leveret command, and the tools that it is by other names.

mod allocator;
mod check;
mod cli;
mod generate;
mod logging;
mod notify;
mod pid_file;
mod serve;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command as Process, ExitCode, Stdio};

use clap::Parser as _;

use crate::cli::{Cli, Command, ConfigCommand, ServeOptions};

/// The name by which the broker itself is called.
const SERVER: &str = "rabbitmq-server";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    let name = Path::new(&called).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    if name == SERVER {
        return rabbitmq_server(&arguments);
    }
    if leveret_cli::PERSONALITIES.contains(&name) {
        return leveret_cli::run(name, &arguments);
    }
    match Cli::parse().chosen() {
        Command::Serve(options) => serve(&options),
        Command::Config(ConfigCommand::Check(options)) => check::check(&options),
        Command::Config(ConfigCommand::Keys { json }) => check::keys(json),
        Command::Bench(bench) => match bench.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("leveret bench: {error:#}");
                ExitCode::FAILURE
            }
        },
        Command::Ctl { arguments } => leveret_cli::run("leveretctl", &arguments),
        Command::InstallLinks { directory } => install_links(&directory),
        Command::Generate { what, directory } => match generate::write(what, &directory) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("leveret: cannot write to {}: {error}", directory.display());
                ExitCode::FAILURE
            }
        },
    }
}

fn serve(options: &ServeOptions) -> ExitCode {
    match serve::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leveret: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `rabbitmq-server [-detached]`: all else is said by files and the environment, but our own flags work as well.
fn rabbitmq_server(arguments: &[OsString]) -> ExitCode {
    let is_detached = |argument: &OsString| argument == "-detached" || argument == "--detached";
    let rest: Vec<&OsString> = arguments.iter().filter(|argument| !is_detached(argument)).collect();
    if rest.len() == arguments.len() {
        let words = std::iter::once(OsString::from("leveret")).chain(arguments.iter().cloned());
        return match Cli::parse_from(words).chosen() {
            Command::Serve(options) => serve(&options),
            _ => ExitCode::from(USAGE),
        };
    }
    let started = std::env::current_exe().and_then(|program| {
        use std::os::unix::process::CommandExt as _;
        let mut process = Process::new(program);
        process.arg("serve").args(rest).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        process.process_group(0).spawn()
    });
    match started {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{SERVER}: cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The exit code of a command line that is wrong, as RabbitMQ's tools have it.
const USAGE: u8 = 64;

fn install_links(directory: &Path) -> ExitCode {
    match leveret_cli::install_links(directory) {
        Ok(links) => {
            let lines = links.iter().map(|link| format!("{}\n", link.display()));
            leveret_cli::print(&lines.collect::<String>());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("leveret: cannot make links in {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}
