//! The command that a program mounts: the load generator, or the relay to compare with.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::args::BenchArgs;
use crate::backlog::BacklogArgs;
use crate::disk::DiskArgs;
use crate::relay::Relay;

/// Load a broker, or be the relay.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchCommand {
    #[command(subcommand)]
    mode: Option<Mode>,
    #[command(flatten)]
    load: BenchArgs,
}

#[derive(Subcommand, Clone, Debug)]
enum Mode {
    /// The machine's own limit: do the least that still looks like a broker to the load generator
    Relay {
        /// Port on loopback; 0 takes a free one and tells which
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// The disk's own limit: write records to a preallocated file that is used again and again, and sync them
    Disk(DiskArgs),
    /// Fill a queue, let it wait, empty it, and watch the broker's memory meanwhile
    Backlog(BacklogArgs),
}

impl BenchCommand {
    /// Does it and prints the report.
    ///
    /// # Errors
    /// When the load or the relay fails.
    pub fn run(&self) -> Result<()> {
        match &self.mode {
            Some(Mode::Relay { port }) => {
                let relay = Relay::bind(*port)?;
                println!("listening on {}", relay.address()?);
                relay.serve()
            }
            Some(Mode::Disk(args)) => args.run(),
            Some(Mode::Backlog(args)) => args.run(),
            None => {
                let report = crate::run(&self.load)?;
                if self.load.json {
                    println!("{}", serde_json::to_string_pretty(&report)?);
                } else {
                    print!("{report}");
                }
                Ok(())
            }
        }
    }
}
