//! The command line of the load generator.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use serde::Serialize;

use crate::argument::Argument;
use crate::batch::STAMP_BYTES;
use crate::connect::ConnectArgs;
use crate::exchange::ExchangeKind;

/// The largest body that can be asked for: what a RabbitMQ takes by default.
const SIZE_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// The highest rate that can be asked for, messages a second.
const RATE_MAX: f64 = 1e9;

/// Load one AMQP 0-9-1 broker and measure what it passes on.
#[derive(Args, Clone, Debug, Serialize)]
pub struct BenchArgs {
    /// Which broker, and how to tell what came of it
    #[command(flatten)]
    #[serde(skip)]
    pub connect: ConnectArgs,

    /// Publishing connections, of one channel each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub producers: u32,

    /// Consuming connections, of one channel each; without any the messages stay, and confirms are what is measured
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub consumers: u32,

    /// Queues; producers and consumers are shared out among them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub queues: u32,

    /// Bytes of a message's body
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(..=SIZE_BYTES_MAX))]
    pub size: u64,

    /// Acknowledge every N deliveries by one basic.ack (multiple); without it consumers need no acks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub ack_batch: Option<u64>,

    /// Unacknowledged deliveries a consumer may hold, 0 for no limit
    #[arg(long, default_value_t = 0)]
    pub prefetch: u16,

    /// Publish persistent messages (delivery mode 2) to durable queues
    #[arg(long)]
    pub persistent: bool,

    /// Durable queues and exchange, whatever the messages are; quorum queues and streams need it
    #[arg(long)]
    pub durable: bool,

    /// Publisher confirms, with at most N publishes outstanding a producer; with 1 the time to each confirm is measured
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub confirms: Option<u64>,

    /// Publish N messages a second, all producers together, in place of as many as the broker takes. Measures latency from
    /// the time when each message was due, sent or not, to its delivery
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,

    /// Without a rate: measure latency from sending to delivery all the same. Under full load that is mostly the time in the
    /// queue, which --backlog-max bounds
    #[arg(long)]
    pub latency: bool,

    /// Type of the exchange to publish through: default (the nameless one), direct, fanout (every queue gets every message),
    /// topic, headers, or any other that the broker knows
    #[arg(long, value_name = "TYPE", default_value = "default")]
    pub exchange: ExchangeKind,

    /// Bind the exchange so many times in all; what goes beyond the queues' own bindings never matches
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub bindings: Option<u32>,

    /// Bind the queues by this key in place of one that fits the type, such as a weight for x-consistent-hash
    #[arg(long, value_name = "KEY")]
    pub binding_key: Option<String>,

    /// An argument of each queue, such as x-queue-type=quorum or x-max-length=1000. Numbers and true or false have their own
    /// types; KEY:TYPE=VALUE says otherwise (int, float, bool, text). May be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub queue_argument: Vec<Argument>,

    /// An argument of the exchange, in the same way
    #[arg(long, value_name = "KEY=VALUE")]
    pub exchange_argument: Vec<Argument>,

    /// An argument of each consumer, such as x-stream-offset=first, in the same way
    #[arg(long, value_name = "KEY=VALUE")]
    pub consumer_argument: Vec<Argument>,

    /// Fanout only: N further queues whose consumers subscribe and then never read their sockets again. What the others get
    /// is what is measured
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub stalled_consumers: u32,

    /// An argument of the stalled consumers' queues, in place of --queue-argument
    #[arg(long, value_name = "KEY=VALUE")]
    pub stalled_queue_argument: Vec<Argument>,

    /// Producers pause while more than this many messages are published and not yet consumed
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub backlog_max: u64,

    /// Length of the measured window
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, value_parser = seconds)]
    pub seconds: f64,

    /// Load before the window begins
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5, value_parser = seconds)]
    pub warmup_seconds: f64,
}

impl BenchArgs {
    /// Refuses what could never make progress.
    ///
    /// # Errors
    /// When consumers would wait for credit that they never give back, or options contradict each other.
    pub fn check(&self) -> Result<()> {
        if let Some(ack_batch) = self.ack_batch {
            ensure!(
                self.prefetch == 0 || ack_batch <= u64::from(self.prefetch),
                "--ack-batch {ack_batch} needs a --prefetch of as many, or 0"
            );
        }
        ensure!(self.consumers > 0 || self.confirms.is_some(), "without consumers there must be --confirms to count");
        let stamp_bytes = STAMP_BYTES as u64;
        ensure!(
            !self.is_timed() || self.size >= stamp_bytes,
            "--rate and --latency put a time into each body: it needs a --size of {stamp_bytes} or more"
        );
        ensure!(
            self.stalled_consumers == 0 || self.exchange == ExchangeKind::Fanout,
            "--stalled-consumers needs --exchange fanout"
        );
        if let Some(bindings) = self.bindings {
            ensure!(
                !matches!(self.exchange, ExchangeKind::Default | ExchangeKind::Fanout),
                "--bindings needs an --exchange whose bindings may fail to match"
            );
            ensure!(bindings >= self.queues, "{} queues need as many --bindings at least", self.queues);
        }
        Ok(())
    }

    /// Whether each message carries the time when it was due or sent.
    pub(crate) fn is_timed(&self) -> bool {
        (self.latency || self.rate.is_some()) && self.consumers > 0
    }

    /// Length of the measured window.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// Time under load before it.
    pub(crate) fn warmup(&self) -> Duration {
        Duration::from_secs_f64(self.warmup_seconds)
    }
}

/// Between nothing and an hour: a run has an end.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("not in 0..=3600".to_owned()) }
}

/// More than nothing, and no more than clocks can tell apart.
fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if rate > 0.0 && rate <= RATE_MAX { Ok(rate) } else { Err(format!("not above 0 and up to {RATE_MAX}")) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: BenchArgs,
    }

    pub(crate) fn parse(line: &str) -> Result<BenchArgs, clap::Error> {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        Ok(CommandLine::try_parse_from(words)?.args)
    }

    #[test]
    fn a_consumer_that_would_starve_is_refused() {
        assert!(parse("--ack-batch 100 --prefetch 99").unwrap().check().is_err());
        assert!(parse("--ack-batch 100 --prefetch 100").unwrap().check().is_ok());
        assert!(parse("--ack-batch 100").unwrap().check().is_ok());
        assert!(parse("--prefetch 1").unwrap().check().is_ok());
        assert!(parse("--consumers 0").unwrap().check().is_err());
        assert!(parse("--consumers 0 --confirms 10").unwrap().check().is_ok());
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for (line, is_sound) in [
            ("--rate 5 --size 7", false),
            ("--rate 5 --size 8", true),
            ("--latency --size 0", false),
            ("--rate 5 --size 0 --consumers 0 --confirms 5", true),
            ("--stalled-consumers 1", false),
            ("--stalled-consumers 1 --exchange fanout", true),
            ("--bindings 5", false),
            ("--bindings 5 --exchange fanout", false),
            ("--bindings 5 --exchange topic", true),
            ("--bindings 5 --exchange direct --queues 6", false),
        ] {
            assert_eq!(parse(line).unwrap().check().is_ok(), is_sound, "{line}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["--producers 0", "--confirms 0", "--seconds -1", "--seconds NaN", "--rate 0", "--rate NaN"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
