//! The leveret command.

mod cli;
mod serve;

use std::process::ExitCode;

use clap::Parser as _;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    }
}
