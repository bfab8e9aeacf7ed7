//! The developer commands of this repository. `cargo xtask --help` lists them; `docs/map.md` says what is where.

mod arrows;
mod bench;
mod broker;
mod codegen;
mod command;
mod deny;
mod dropin;
mod hot;
mod image;
mod interop;
mod package;
mod pages;
mod peer;
mod plan;
mod python;
mod suite;
mod tools;
mod torture;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The developer commands of this repository")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// The quick loop: format, clippy, generated code, arrows between crates, unit tests of the libraries
    Check,
    /// Everything that must hold before a change is handed in
    Test,
    /// Other people's clients against the built broker
    Interop(interop::InteropArgs),
    /// What the Dockerfile says, done in folders; the result is started and tried, all without a container engine
    Image,
    /// The static broker as an archive and as a Debian package, with links, manual pages and completions
    Package,
    /// The protocol tests in tests/ against the built broker
    Blackbox {
        /// Prove the tests themselves: run them against Debian's rabbitmq-server
        #[arg(long)]
        peer: bool,
    },
    /// Kill a broker under load again and again, and look whether it keeps its promises
    Torture(torture::TortureArgs),
    /// Write the generated code from spec/
    Gen {
        /// Write nothing; fail if what is checked in differs
        #[arg(long)]
        check: bool,
    },
    /// Measure the broker
    Bench {
        #[command(subcommand)]
        kind: BenchKind,
    },
}

#[derive(Subcommand)]
enum BenchKind {
    /// The standard table beside the machine's own limit and other brokers, held against the goals and written to docs/
    Compare(bench::CompareArgs),
    /// Some minutes: what the disk can do, and what the broker confirms on it
    Store(bench::StoreArgs),
    /// Fill a queue with millions of messages and empty it, and watch the broker's memory
    Backlog(bench::BacklogArgs),
    /// Count the instructions of the hot functions by valgrind, against what is written down for this kind of CPU; a
    /// command of its own and no part of `test`, since other CPUs count differently
    Hot(hot::HotArgs),
}

fn main() -> ExitCode {
    match run(&Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<()> {
    let workspace = Workspace::load()?;
    match task {
        Task::Check => suite::check(&workspace),
        Task::Test => suite::test(&workspace),
        Task::Interop(args) => interop::interop(&workspace, args),
        Task::Image => image::image(&workspace),
        Task::Package => package::package(&workspace),
        Task::Blackbox { peer } => suite::blackbox(&workspace, *peer),
        Task::Torture(args) => torture::run(&workspace, args),
        Task::Gen { check } => codegen::run(*check),
        Task::Bench { kind } => match kind {
            BenchKind::Compare(args) => bench::compare(&workspace, args),
            BenchKind::Store(args) => bench::store(&workspace, args),
            BenchKind::Backlog(args) => bench::backlog(&workspace, args),
            BenchKind::Hot(args) => hot::hot(&workspace, args),
        },
    }
}
