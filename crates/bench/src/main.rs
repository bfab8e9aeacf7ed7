//! The load generator on its own.

use std::process::ExitCode;

use clap::Parser;
use leveret_bench::BenchCommand;

#[derive(Parser)]
#[command(name = "leveret-bench", version)]
struct Cli {
    #[command(flatten)]
    bench: BenchCommand,
}

fn main() -> ExitCode {
    match Cli::parse().bench.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leveret-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
