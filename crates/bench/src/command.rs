//! The command that a program mounts: the load generator, or the relay to compare with.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::args::BenchArgs;
use crate::backlog::BacklogArgs;
use crate::churn::ChurnArgs;
use crate::count::CountArgs;
use crate::disk::DiskArgs;
use crate::relay::Relay;

const EXAMPLES: &str = "\
Examples:
  How many 1 KiB messages a second, confirmed and acknowledged, and what they cost the broker of process 4242:
    bench --size 1024 --confirms 1000 --ack-batch 100 --prefetch 1000 --pid 4242
  Latency at 20,000 persistent messages a second, from the time when each was due:
    bench --rate 20000 --size 1024 --persistent --confirms 1000 --ack-batch 10 --prefetch 1000 --seconds 10
  A quorum queue of RabbitMQ on another machine:
    bench --url amqp://me:secret@rabbit:5672/%2f --persistent --confirms 500 --queue-argument x-queue-type=quorum
  One message to ten consumers; a topic exchange with a thousand bindings:
    bench --exchange fanout --queues 10 --consumers 10
    bench --exchange topic --bindings 1000
  A million messages into a queue and out again; ten thousand idle connections; queues declared and deleted:
    bench backlog --messages 1000000
    bench count --kind connections --count 10000 --pid 4242
    bench churn --kind durable-queues --workers 4
  What this machine could do at all: run `bench relay --port 5673` beside `bench --port 5673`, and
    bench disk --dir /var/lib

Everything that is declared has a name that begins with leveret-bench and is deleted at the end. Heartbeats are off.";

/// Load any AMQP 0-9-1 broker and measure it: throughput, latency, cost.
///
/// Without a command, producers publish as fast as the broker takes it (or at --rate), consumers take what comes, and after
/// some seconds a table, or JSON, says how much that was. The generator writes messages that it encoded before and only
/// counts what it reads, so what is measured is the broker. With --pid, the process of a broker on this machine, the report
/// has the broker's CPU time for each message and its memory too.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
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
    /// Open and close, or declare and delete, again and again: connections, channels, queues
    Churn(ChurnArgs),
    /// Make many idle connections or queues and see how much memory and CPU each takes
    Count(CountArgs),
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
            Some(Mode::Churn(args)) => args.run(),
            Some(Mode::Count(args)) => args.run(),
            None => self.load.connect.print(&crate::run(&self.load)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        _bench: BenchCommand,
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_examples_are_understood() {
        let lines: Vec<&str> = EXAMPLES.lines().filter_map(|line| line.strip_prefix("    bench ")).collect();
        assert!(lines.len() > 5);
        for line in lines {
            let words = std::iter::once("bench").chain(line.split_whitespace());
            CommandLine::try_parse_from(words).map(drop).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
