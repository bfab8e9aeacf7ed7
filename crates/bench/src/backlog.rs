//! A long queue: filled, left alone, emptied, and what the broker's memory does meanwhile.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;

use crate::args::BenchArgs;
use crate::argument::Argument;
use crate::client::{Client, close_all};
use crate::connect::ConnectArgs;
use crate::consumer::Consumer;
use crate::exchange::ExchangeKind;
use crate::plan::Plan;
use crate::producer::Producer;
use crate::report::{grouped, mebibytes};
use crate::shared::Shared;

const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How long nothing may move.
const STALL_LIMIT: Duration = Duration::from_secs(60);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The backlog and how it is made.
#[derive(Args, Clone, Debug)]
pub struct BacklogArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Messages
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,
    /// Bytes of a message's body
    #[arg(long, default_value_t = 1024)]
    size: u64,
    /// Transient messages in a queue that is not durable
    #[arg(long)]
    transient: bool,
    /// Publishes that wait for their confirm
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(2..))]
    confirms: u64,
    /// Unacknowledged deliveries of the consumer
    #[arg(long, default_value_t = 1_000)]
    prefetch: u16,
    /// Deliveries that one acknowledgement covers
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    ack_batch: u64,
    /// Seconds between filling and emptying, and after it
    #[arg(long, default_value_t = 5)]
    wait_seconds: u64,
    /// Leave the messages where they are, for a look at how a broker starts with them
    #[arg(long)]
    fill_only: bool,
    /// An argument of the queue, such as x-queue-type=quorum. May be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    queue_argument: Vec<Argument>,
    /// An argument of the consumer, such as x-stream-offset=first. May be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    consumer_argument: Vec<Argument>,
    /// Write the report as JSON to this file too
    #[arg(long)]
    json_file: Option<PathBuf>,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
pub struct BacklogReport {
    /// What the broker calls itself.
    pub broker: String,
    /// Messages that went in and came out.
    pub messages: u64,
    /// Bytes of each body.
    pub size: u64,
    /// Delivery mode 2 or none.
    pub persistent: bool,
    /// Resident before anything, in bytes. This and all that follows of the broker is known when its process is.
    pub idle_resident_bytes: Option<u64>,
    /// Going in, confirmed.
    pub fill: Phase,
    /// Resident when all wait, in bytes.
    pub waiting_resident_bytes: Option<u64>,
    /// Coming out, acknowledged.
    pub drain: Option<Phase>,
    /// Resident a while after the queue is empty, in bytes.
    pub after_resident_bytes: Option<u64>,
}

/// One direction.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Phase {
    /// How long it took.
    pub seconds: f64,
    /// Messages a second.
    pub per_second: f64,
    /// The broker's CPU for each message, in microseconds.
    pub cpu_us_per_message: Option<f64>,
    /// The most that was resident meanwhile, in bytes.
    pub resident_bytes_max: Option<u64>,
}

impl BacklogArgs {
    /// Fills, waits, empties and prints.
    ///
    /// # Errors
    /// When the broker refuses, fails, or nothing moves any more.
    pub fn run(&self) -> Result<()> {
        let report = self.measure()?;
        self.connect.print(&report)?;
        if let Some(path) = &self.json_file {
            let json = serde_json::to_string_pretty(&report)?;
            fs::write(path, json).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    fn measure(&self) -> Result<BacklogReport> {
        let args = self.load();
        args.check()?;
        let target = self.connect.target()?;
        let plan = Plan::new(&args);
        let mut control = Client::connect(&target)?;
        plan.declare(&mut control)?;
        let idle = self.connect.broker_resident_bytes()?;

        let mut producer = Producer::connect(&BenchArgs { consumers: 0, ..args.clone() }, &target, &plan, 0)?;
        producer.limit_to(self.messages);
        let stream = producer.stream().try_clone()?;
        let fill =
            self.phase("in", |shared| shared.confirmed.load(Ordering::Relaxed), |shared| producer.run(shared))?;
        close_all(vec![stream], CLOSE_LIMIT);
        thread::sleep(Duration::from_secs(self.wait_seconds));
        let mut report = BacklogReport {
            broker: control.product().to_owned(),
            messages: self.messages,
            size: self.size,
            persistent: !self.transient,
            idle_resident_bytes: idle,
            fill,
            waiting_resident_bytes: self.connect.broker_resident_bytes()?,
            drain: None,
            after_resident_bytes: None,
        };
        if self.fill_only {
            return Ok(report);
        }

        let consumer = Consumer::connect(&args, &target, &plan, 0)?;
        let stream = consumer.stream().try_clone()?;
        let passed = |shared: &Shared| shared.consumed.load(Ordering::Relaxed);
        report.drain = Some(self.phase("out", passed, |shared| consumer.run(shared))?);
        close_all(vec![stream], CLOSE_LIMIT);
        thread::sleep(Duration::from_secs(self.wait_seconds));
        report.after_resident_bytes = self.connect.broker_resident_bytes()?;
        plan.delete(&mut control)?;
        Ok(report)
    }

    /// Lets one connection work until all messages have passed.
    fn phase(
        &self,
        name: &str,
        passed: impl Fn(&Shared) -> u64,
        work: impl FnOnce(&Shared) -> Result<()> + Send,
    ) -> Result<Phase> {
        let shared = Shared::new();
        let cpu = self.connect.broker_cpu()?;
        let begin = Instant::now();
        let watched = thread::scope(|scope| {
            scope.spawn(|| shared.end_on_error(work(&shared)));
            let watched = self.watch(name, || passed(&shared), &shared);
            shared.stop();
            watched
        });
        shared.take_failure()?;
        let resident_bytes_max = watched?;
        let seconds = begin.elapsed().as_secs_f64();
        let cpu_us = self.connect.broker_cpu_us_since(cpu.as_ref())?;
        let messages = self.messages as f64;
        Ok(Phase {
            seconds,
            per_second: messages / seconds,
            cpu_us_per_message: cpu_us.map(|us| us / messages),
            resident_bytes_max,
        })
    }

    /// Waits until all have passed and gives the most that was resident meanwhile.
    fn watch(&self, name: &str, passed: impl Fn() -> u64, shared: &Shared) -> Result<Option<u64>> {
        let mut progress = self.connect.progress();
        let (mut max, mut shown, mut moved) = (None, 0, (Instant::now(), 0));
        loop {
            let (count, resident) = (passed(), self.connect.broker_resident_bytes()?);
            max = max.max(resident);
            if count >= self.messages || shared.is_over() {
                return Ok(max);
            }
            if count > moved.1 {
                moved = (Instant::now(), count);
            }
            ensure!(moved.0.elapsed() < STALL_LIMIT, "nothing goes {name} any more after {count} messages");
            progress.show(|seconds| {
                let rate = (count - std::mem::replace(&mut shown, count)) as f64 / seconds;
                let resident = resident.map(|bytes| format!("  resident {:>9} MiB", mebibytes(bytes)));
                format!(
                    "{name:>3} {:>14} of {}  {:>10}/s{}",
                    grouped(count as f64),
                    grouped(self.messages as f64),
                    grouped(rate),
                    resident.unwrap_or_default()
                )
            });
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// The same as the load generator's options.
    fn load(&self) -> BenchArgs {
        BenchArgs {
            connect: self.connect.clone(),
            producers: 1,
            consumers: 1,
            queues: 1,
            size: self.size,
            ack_batch: Some(self.ack_batch),
            prefetch: self.prefetch,
            persistent: !self.transient,
            confirms: Some(self.confirms),
            exchange: ExchangeKind::Default,
            backlog_max: self.messages,
            seconds: 0.0,
            warmup_seconds: 0.0,
            durable: false,
            rate: None,
            latency: false,
            bindings: None,
            binding_key: None,
            queue_argument: self.queue_argument.clone(),
            exchange_argument: Vec::new(),
            consumer_argument: self.consumer_argument.clone(),
            stalled_consumers: 0,
            stalled_queue_argument: Vec::new(),
        }
    }
}

impl std::fmt::Display for BacklogReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.persistent { "persistent" } else { "transient" };
        writeln!(f, "{} messages of {} B, {kind}, {}", grouped(self.messages as f64), self.size, self.broker)?;
        let mut rows = vec![
            ("idle", None, self.idle_resident_bytes),
            ("filling", Some(self.fill), self.fill.resident_bytes_max),
            ("waiting", None, self.waiting_resident_bytes),
        ];
        rows.extend(self.drain.map(|drain| ("emptying", Some(drain), drain.resident_bytes_max)));
        rows.extend(self.after_resident_bytes.map(|after| ("afterwards", None, Some(after))));
        writeln!(f, "{:<12}{:>14}{:>16}{:>16}", "", "messages/s", "CPU us/message", "resident MiB")?;
        for (name, phase, resident) in rows {
            let rate = phase.map(|phase| grouped(phase.per_second)).unwrap_or_default();
            let cpu = phase.and_then(|phase| phase.cpu_us_per_message).map(|us| format!("{us:.2}")).unwrap_or_default();
            writeln!(f, "{name:<12}{rate:>14}{cpu:>16}{:>16}", resident.map(mebibytes).unwrap_or_default())?;
        }
        Ok(())
    }
}
