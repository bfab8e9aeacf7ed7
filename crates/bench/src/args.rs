//! The command line of the load generator.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::url::Target;

/// The largest body that can be asked for: what a RabbitMQ takes by default.
const SIZE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Load one AMQP 0-9-1 broker and measure what it passes on.
#[derive(Args, Clone, Debug, Serialize)]
pub struct BenchArgs {
    /// The broker
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    #[serde(skip)]
    pub url: String,

    /// Host, in place of the URL's
    #[arg(long)]
    #[serde(skip)]
    pub host: Option<String>,

    /// Port, in place of the URL's
    #[arg(long)]
    #[serde(skip)]
    pub port: Option<u16>,

    /// User, in place of the URL's
    #[arg(long)]
    #[serde(skip)]
    pub user: Option<String>,

    /// Password, in place of the URL's
    #[arg(long)]
    #[serde(skip)]
    pub password: Option<String>,

    /// Virtual host, in place of the URL's
    #[arg(long)]
    #[serde(skip)]
    pub vhost: Option<String>,

    /// Process of the broker, if it runs on this machine: adds its CPU time and memory to the report
    #[arg(long)]
    #[serde(skip)]
    pub pid: Option<u32>,

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

    /// Publisher confirms, with at most N publishes outstanding a producer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub confirms: Option<u64>,

    /// Exchange to publish through
    #[arg(long, value_enum, default_value_t = ExchangeKind::Default)]
    pub exchange: ExchangeKind,

    /// Producers pause while more than this many messages are published and not yet consumed
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub backlog_max: u64,

    /// Length of the measured window
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    pub seconds: f64,

    /// Load before the window begins
    #[arg(long, default_value_t = 0.5, value_parser = seconds)]
    pub warmup_seconds: f64,

    /// Print the report as JSON
    #[arg(long)]
    #[serde(skip)]
    pub json: bool,

    /// Print no progress
    #[arg(long)]
    #[serde(skip)]
    pub quiet: bool,
}

/// What stands between producers and queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExchangeKind {
    /// The nameless exchange: the routing key names the queue
    Default,
    /// Each queue bound by its name
    Direct,
    /// Every queue gets every message
    Fanout,
    /// Each queue bound by a pattern with a wildcard
    Topic,
    /// Each queue bound by one header
    Headers,
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        })
    }
}

impl BenchArgs {
    /// The broker that the URL and its overrides name.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn target(&self) -> Result<Target> {
        let mut target = Target::parse(&self.url)?;
        let overrides = [
            (&mut target.host, &self.host),
            (&mut target.user, &self.user),
            (&mut target.password, &self.password),
            (&mut target.vhost, &self.vhost),
        ];
        for (part, given) in overrides {
            if let Some(given) = given {
                part.clone_from(given);
            }
        }
        target.port = self.port.unwrap_or(target.port);
        Ok(target)
    }

    /// Refuses what could never make progress.
    ///
    /// # Errors
    /// When consumers would wait for credit that they never give back.
    pub fn check(&self) -> Result<()> {
        if let Some(ack_batch) = self.ack_batch {
            ensure!(
                self.prefetch == 0 || ack_batch <= u64::from(self.prefetch),
                "--ack-batch {ack_batch} needs a --prefetch of as many, or 0"
            );
        }
        ensure!(self.consumers > 0 || self.confirms.is_some(), "without consumers there must be --confirms to count");
        Ok(())
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
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("not in 0..=3600".to_owned()) }
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
    fn overrides_win_over_the_url() {
        let args = parse("--url amqp://a:b@h:1/v --port 2 --vhost w").unwrap();
        let target = args.target().unwrap();
        assert_eq!((target.host.as_str(), target.port, target.vhost.as_str()), ("h", 2, "w"));
        assert_eq!((target.user.as_str(), target.password.as_str()), ("a", "b"));
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
    fn nonsense_is_refused() {
        for line in ["--producers 0", "--confirms 0", "--seconds -1", "--seconds NaN"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
