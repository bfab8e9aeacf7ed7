//! The leveret command.

#[cfg(feature = "mimalloc")]
mod allocator;
mod cli;
mod serve;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.chosen() {
        cli::Command::Serve(options) => match serve::run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("leveret: {error}");
                ExitCode::FAILURE
            }
        },
        cli::Command::Bench(bench) => match bench.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("leveret bench: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}
