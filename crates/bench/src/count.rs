//! Many connections or queues that do nothing: how fast they are made, and what each takes.

use std::fmt;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use leveret_codec::method::{QueueDeclareOk, QueueDelete, QueueDeleteOk};
use serde::Serialize;

use crate::args::seconds;
use crate::argument::Argument;
use crate::client::{Client, close_all};
use crate::connect::ConnectArgs;
use crate::plan::{empty_queue, unique_name};
use crate::progress::Progress;
use crate::report::{grouped, mebibytes};
use crate::resources;
use crate::url::Target;

/// Files that the process needs besides the sockets that are counted.
const FILES_SPARE: u64 = 64;
/// How long all connections together may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(20);

/// Make many connections or queues, leave them idle, and see what each takes.
///
/// The broker should have been started just before: memory that it has left from other work would hide what this takes.
#[derive(Args, Clone, Debug)]
pub struct CountArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// What is made
    #[arg(long, value_enum)]
    kind: CountKind,
    /// How many
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    count: u64,
    /// Queues: declare hundreds before the first is answered, in place of one after the other
    #[arg(long)]
    pipeline: bool,
    /// Queues: leave them where they are, for a look at how a broker starts with them
    #[arg(long)]
    keep: bool,
    /// How long they are left idle before memory is looked at, and how long CPU is
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    wait_seconds: f64,
    /// An argument of each queue, such as x-queue-type=quorum. May be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    queue_argument: Vec<Argument>,
}

/// What there can be many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountKind {
    /// Connections of one channel each
    Connections,
    /// Queues that go with the broker
    Queues,
    /// Queues that the broker keeps on disk
    DurableQueues,
}

/// What there was.
#[derive(Clone, Debug, Serialize)]
pub struct CountReport {
    /// What the broker calls itself.
    pub broker: String,
    /// What was made.
    pub kind: CountKind,
    /// How many.
    pub count: u64,
    /// How many were made a second.
    pub per_second: f64,
    /// The broker's CPU to make each, in microseconds. This and all that follows is known when the broker's process is.
    pub cpu_us_each: Option<f64>,
    /// Resident before, in bytes.
    pub rss_before_bytes: Option<u64>,
    /// Resident while all were there and idle, in bytes.
    pub rss_after_bytes: Option<u64>,
    /// The difference, for each.
    pub bytes_each: Option<f64>,
    /// How busy the broker was while all were idle, in hundredths of a core.
    pub idle_cpu_percent: Option<f64>,
}

/// What was made.
struct Made {
    streams: Vec<TcpStream>,
    queues: Vec<String>,
}

impl CountArgs {
    /// Measures and prints.
    ///
    /// # Errors
    /// When the broker refuses or fails, or the options do not fit.
    pub fn run(&self) -> Result<()> {
        self.connect.print(&self.measure()?)
    }

    fn measure(&self) -> Result<CountReport> {
        ensure!(
            self.kind != CountKind::Connections || !(self.keep || self.pipeline),
            "--keep and --pipeline are for queues"
        );
        let target = self.connect.target()?;
        let mut control = Client::connect(&target)?;
        let before = self.connect.broker_resident_bytes()?;
        let cpu = self.connect.broker_cpu()?;
        let begin = Instant::now();
        let made = self.make(&mut control, &target)?;
        let seconds = begin.elapsed().as_secs_f64();
        let cpu_us = self.connect.broker_cpu_us_since(cpu.as_ref())?;

        let wait = Duration::from_secs_f64(self.wait_seconds);
        thread::sleep(wait);
        let after = self.connect.broker_resident_bytes()?;
        let cpu = self.connect.broker_cpu()?;
        let begin = Instant::now();
        thread::sleep(wait);
        let idle_cpu_us = self.connect.broker_cpu_us_since(cpu.as_ref())?;
        let idle_us = begin.elapsed().as_secs_f64() * 1e6;
        let count = self.count as f64;
        let report = CountReport {
            broker: control.product().to_owned(),
            kind: self.kind,
            count: self.count,
            per_second: count / seconds,
            cpu_us_each: cpu_us.map(|us| us / count),
            rss_before_bytes: before,
            rss_after_bytes: after,
            bytes_each: before.zip(after).map(|(before, after)| (after as f64 - before as f64) / count),
            idle_cpu_percent: idle_cpu_us.map(|us| us / idle_us * 100.0),
        };
        self.remove(made, &mut control)?;
        control.close()?;
        Ok(report)
    }

    fn make(&self, control: &mut Client, target: &Target) -> Result<Made> {
        let mut progress = self.connect.progress();
        let mut made = Made { streams: Vec::new(), queues: Vec::new() };
        if self.kind == CountKind::Connections {
            resources::allow_files(self.count + FILES_SPARE)?;
            for count in 1..=self.count {
                made.streams.push(Client::connect(target)?.into_stream()?);
                show(&mut progress, "made", count, self.count);
            }
            return Ok(made);
        }
        let name = unique_name();
        made.queues = (0..self.count).map(|index| format!("{name}-{index}")).collect();
        let arguments = Argument::encode(&self.queue_argument);
        let is_durable = self.kind == CountKind::DurableQueues;
        let declares = made.queues.iter().map(|queue| empty_queue(queue, is_durable, &arguments));
        if self.pipeline {
            control.call_all(declares, QueueDeclareOk::NAME, |count| show(&mut progress, "made", count, self.count))?;
        } else {
            for (count, declare) in (1..).zip(declares) {
                control.call(declare, QueueDeclareOk::NAME)?;
                show(&mut progress, "made", count, self.count);
            }
        }
        Ok(made)
    }

    fn remove(&self, made: Made, control: &mut Client) -> Result<()> {
        let mut progress = self.connect.progress();
        close_all(made.streams, CLOSE_LIMIT);
        if self.keep {
            return Ok(());
        }
        let deletes =
            made.queues.iter().map(|queue| QueueDelete { queue, if_unused: false, if_empty: false, nowait: false });
        control.call_all(deletes, QueueDeleteOk::NAME, |count| show(&mut progress, "removed", count, self.count))
    }
}

fn show(progress: &mut Progress, what: &str, count: u64, all: u64) {
    progress.show(|_| format!("{what} {:>10} of {}", grouped(count as f64), grouped(all as f64)));
}

impl fmt::Display for CountReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.to_possible_value();
        let kind = kind.as_ref().map_or("", |kind| kind.get_name());
        writeln!(f, "{:<28}{}", "broker", self.broker)?;
        writeln!(f, "{:<28}{} {kind}", "made", grouped(self.count as f64))?;
        writeln!(f, "{:<28}{:>14}", "made /s", grouped(self.per_second))?;
        let rows = [
            ("broker CPU us to make each", self.cpu_us_each.map(|us| format!("{us:.1}"))),
            ("broker RSS MiB before", self.rss_before_bytes.map(mebibytes)),
            ("broker RSS MiB with all", self.rss_after_bytes.map(mebibytes)),
            ("KiB each", self.bytes_each.map(|bytes| format!("{:.2}", bytes / 1024.0))),
            ("broker CPU % of a core, idle", self.idle_cpu_percent.map(|percent| format!("{percent:.2}"))),
        ];
        for (name, value) in rows {
            if let Some(value) = value {
                writeln!(f, "{name:<28}{value:>14}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::tests::relay_port;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: CountArgs,
    }

    fn count(options: &str) -> Result<CountReport> {
        let line = format!("count --quiet --wait-seconds 0.02 --port {} {options}", relay_port());
        CommandLine::try_parse_from(line.split_whitespace()).unwrap().args.measure()
    }

    #[test]
    fn everything_can_be_counted() {
        for options in [
            "--kind connections --count 20",
            "--kind queues --count 20",
            "--kind durable-queues --count 1200 --pipeline",
        ] {
            let report = count(&format!("{options} --pid {}", std::process::id())).unwrap();
            assert!(report.per_second > 0.0 && report.bytes_each.is_some(), "{report}");
            assert!(report.idle_cpu_percent.is_some_and(|percent| percent >= 0.0), "{report}");
        }
    }

    #[test]
    fn a_process_that_is_not_known_is_not_measured() {
        let report = count("--kind queues --count 2 --keep").unwrap();
        assert_eq!((report.rss_before_bytes, report.bytes_each, report.cpu_us_each), (None, None, None));
        assert!(!report.to_string().contains("RSS"));
    }

    #[test]
    fn options_for_queues_do_not_fit_connections() {
        assert!(count("--kind connections --keep").is_err());
        assert!(count("--kind connections --pipeline").is_err());
    }
}
