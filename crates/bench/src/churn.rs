//! Making and removing the same thing again and again.

use std::fmt;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};
use leveret_codec::method::{QueueDeclareOk, QueueDelete, QueueDeleteOk};
use serde::Serialize;

use crate::args::seconds;
use crate::argument::Argument;
use crate::client::Client;
use crate::connect::ConnectArgs;
use crate::latency::{Latency, Recorder};
use crate::plan::{empty_queue, unique_name};
use crate::report::grouped;
use crate::shared::Shared;
use crate::url::Target;

/// How often the main thread looks at the counter.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);

/// What is made and removed, and for how long.
#[derive(Args, Clone, Debug)]
pub struct ChurnArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// What is made and removed
    #[arg(long, value_enum)]
    kind: ChurnKind,
    /// How long
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// How many do so at the same time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    workers: u32,
    /// An argument of each queue, such as x-queue-type=quorum. May be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    queue_argument: Vec<Argument>,
}

/// What can be made and removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChurnKind {
    /// TCP connection, handshake, connection.close
    Connections,
    /// channel.open, channel.close
    Channels,
    /// queue.declare and queue.delete of queues that go with the broker
    Queues,
    /// queue.declare and queue.delete of queues that the broker keeps on disk
    DurableQueues,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
pub struct ChurnReport {
    /// What the broker calls itself.
    pub broker: String,
    /// What was made and removed.
    pub kind: ChurnKind,
    /// By how many at the same time.
    pub workers: u32,
    /// How many were made and removed.
    pub count: u64,
    /// How many a second.
    pub per_second: f64,
    /// The broker's CPU for each, in microseconds, when its process is known.
    pub cpu_us_each: Option<f64>,
    /// How long it took to make and remove one.
    pub latency: Option<Latency>,
}

impl ChurnArgs {
    /// Measures and prints.
    ///
    /// # Errors
    /// When the broker refuses or fails.
    pub fn run(&self) -> Result<()> {
        self.connect.print(&self.measure()?)
    }

    fn measure(&self) -> Result<ChurnReport> {
        let target = self.connect.target()?;
        let mut clients = Vec::new();
        for _ in 0..self.workers {
            clients.push(match self.kind {
                ChurnKind::Channels => Client::connect_without_channel(&target)?,
                _ => Client::connect(&target)?,
            });
        }
        let broker = clients.first().map(|client| client.product().to_owned()).unwrap_or_default();
        let shared = Shared::new();
        let cpu = self.connect.broker_cpu()?;
        let begin = Instant::now();
        shared.begin_window();
        let clients = thread::scope(|scope| {
            let workers: Vec<_> = clients
                .into_iter()
                .enumerate()
                .map(|(index, mut client)| {
                    let (target, shared) = (&target, &shared);
                    scope.spawn(move || {
                        shared.end_on_error(self.work(&mut client, index, target, shared));
                        client
                    })
                })
                .collect();
            self.watch(&shared);
            shared.stop();
            workers.into_iter().filter_map(|worker| worker.join().ok()).collect::<Vec<_>>()
        });
        let seconds = begin.elapsed().as_secs_f64();
        let cpu_us = self.connect.broker_cpu_us_since(cpu.as_ref())?;
        shared.take_failure()?;
        for client in clients {
            client.close()?;
        }
        let count = shared.published.load(Ordering::Relaxed);
        Ok(ChurnReport {
            broker,
            kind: self.kind,
            workers: self.workers,
            count,
            per_second: count as f64 / seconds,
            cpu_us_each: cpu_us.filter(|_| count > 0).map(|us| us / count as f64),
            latency: shared.latency(),
        })
    }

    /// Makes and removes until the run is over.
    fn work(&self, client: &mut Client, index: usize, target: &Target, shared: &Shared) -> Result<()> {
        let queue = format!("{}-{index}", unique_name());
        let arguments = Argument::encode(&self.queue_argument);
        let is_durable = self.kind == ChurnKind::DurableQueues;
        let mut latencies = Recorder::default();
        while !shared.is_over() {
            let begin = Instant::now();
            match self.kind {
                ChurnKind::Connections => Client::connect_without_channel(target)?.close()?,
                ChurnKind::Channels => client.open_and_close_channel()?,
                ChurnKind::Queues | ChurnKind::DurableQueues => {
                    client.call(empty_queue(&queue, is_durable, &arguments), QueueDeclareOk::NAME)?;
                    let delete = QueueDelete { queue: &queue, if_unused: false, if_empty: false, nowait: false };
                    client.call(delete, QueueDeleteOk::NAME)?;
                }
            }
            latencies.record(begin.elapsed());
            shared.published.fetch_add(1, Ordering::Relaxed);
        }
        shared.note_latencies(&latencies);
        Ok(())
    }

    /// Lets the workers work, and shows how far they are.
    fn watch(&self, shared: &Shared) {
        let mut progress = self.connect.progress();
        let mut shown = 0;
        let deadline = Instant::now() + Duration::from_secs_f64(self.seconds);
        while let Some(left) = deadline.checked_duration_since(Instant::now())
            && !shared.is_over()
        {
            thread::sleep(left.min(WATCH_INTERVAL));
            progress.show(|seconds| {
                let count = shared.published.load(Ordering::Relaxed);
                let rate = (count - std::mem::replace(&mut shown, count)) as f64 / seconds;
                format!("made and removed {:>10}  {:>10}/s", grouped(count as f64), grouped(rate))
            });
        }
    }
}

impl fmt::Display for ChurnReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.to_possible_value();
        let kind = kind.as_ref().map_or("", |kind| kind.get_name());
        writeln!(f, "{:<28}{}", "broker", self.broker)?;
        writeln!(f, "{:<28}{kind} by {} worker(s)", "made and removed", self.workers)?;
        writeln!(f, "{:<28}{:>14}", "each second", grouped(self.per_second))?;
        if let Some(us) = self.cpu_us_each {
            writeln!(f, "{:<28}{us:>14.1}", "broker CPU us each")?;
        }
        if let Some(latency) = &self.latency {
            writeln!(f, "{:<28}{}", "us to make and remove one", latency.row())?;
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
        args: ChurnArgs,
    }

    fn churn(options: &str) -> Result<ChurnReport> {
        let line = format!("churn --quiet --seconds 0.1 --port {} {options}", relay_port());
        CommandLine::try_parse_from(line.split_whitespace()).unwrap().args.measure()
    }

    #[test]
    fn everything_can_be_made_and_removed() {
        for kind in ["connections", "channels", "queues", "durable-queues"] {
            let report = churn(&format!("--kind {kind} --workers 2 --pid {}", std::process::id())).unwrap();
            let json = serde_json::to_value(&report).unwrap();
            assert_eq!((json["kind"].as_str(), report.broker.as_str()), (Some(kind), "relay"));
            assert!(report.per_second > 0.0 && report.cpu_us_each.is_some(), "{report}");
            assert_eq!(report.latency.map(|latency| latency.count), Some(report.count));
            assert!(report.to_string().contains(kind));
        }
    }
}
