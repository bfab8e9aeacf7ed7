//! A long queue: filled, left alone, emptied, and what the broker's memory does meanwhile.

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;

use crate::args::{BenchArgs, ExchangeKind};
use crate::client::{Client, close_all};
use crate::consumer::Consumer;
use crate::cpu::{CpuSample, Memory};
use crate::load::Shared;
use crate::plan::Plan;
use crate::producer::Producer;
use crate::report::grouped;

const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// How long nothing may move.
const STALL_LIMIT: Duration = Duration::from_secs(60);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The backlog and how it is made.
#[derive(Args, Clone, Debug)]
pub struct BacklogArgs {
    /// The broker
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    url: String,
    /// Process of the broker, on this machine
    #[arg(long)]
    pid: u32,
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
    /// Resident before anything, in bytes.
    pub idle_resident_bytes: u64,
    /// Going in, confirmed.
    pub fill: Phase,
    /// Resident when all wait, in bytes.
    pub waiting_resident_bytes: u64,
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
    pub cpu_us_per_message: f64,
    /// The most that was resident meanwhile, in bytes.
    pub resident_bytes_max: u64,
}

impl BacklogArgs {
    /// Fills, waits, empties and prints.
    ///
    /// # Errors
    /// When the broker refuses, fails, or nothing moves any more.
    pub fn run(&self) -> Result<()> {
        let report = self.measure()?;
        print!("{report}");
        if let Some(path) = &self.json_file {
            let json = serde_json::to_string_pretty(&report)?;
            fs::write(path, json).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    fn measure(&self) -> Result<BacklogReport> {
        let args = self.load();
        let target = args.target()?;
        let plan = Plan::new(&args);
        let mut control = Client::connect(&target)?;
        plan.declare(&mut control)?;
        let idle = self.resident()?;

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
            waiting_resident_bytes: self.resident()?,
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
        report.after_resident_bytes = Some(self.resident()?);
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
        let shared = Shared::default();
        let cpu = CpuSample::take(self.pid)?;
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
        let cpu_us = CpuSample::take(self.pid)?.us_since(&cpu);
        let messages = self.messages as f64;
        Ok(Phase { seconds, per_second: messages / seconds, cpu_us_per_message: cpu_us / messages, resident_bytes_max })
    }

    /// Waits until all have passed and gives the most that was resident meanwhile.
    fn watch(&self, name: &str, passed: impl Fn() -> u64, shared: &Shared) -> Result<u64> {
        let (mut max, mut shown, mut moved) = (0, (Instant::now(), 0), (Instant::now(), 0));
        loop {
            let (count, resident) = (passed(), self.resident()?);
            max = max.max(resident);
            if count >= self.messages || shared.is_over() {
                return Ok(max);
            }
            if count > moved.1 {
                moved = (Instant::now(), count);
            }
            ensure!(moved.0.elapsed() < STALL_LIMIT, "nothing goes {name} any more after {count} messages");
            let span = shown.0.elapsed();
            if span >= PROGRESS_INTERVAL {
                let rate = (count - shown.1) as f64 / span.as_secs_f64();
                show(&format!(
                    "{name:>3} {:>14} of {}  {:>10}/s  resident {:>7.1} MiB",
                    grouped(count as f64),
                    grouped(self.messages as f64),
                    grouped(rate),
                    mebibytes(resident)
                ));
                shown = (Instant::now(), count);
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    fn resident(&self) -> Result<u64> {
        Ok(Memory::take(self.pid)?.resident_bytes)
    }

    /// The same as the load generator's options.
    fn load(&self) -> BenchArgs {
        BenchArgs {
            url: self.url.clone(),
            host: None,
            port: None,
            user: None,
            password: None,
            vhost: None,
            pid: Some(self.pid),
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
            json: false,
            quiet: false,
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
        rows.extend(self.after_resident_bytes.map(|after| ("afterwards", None, after)));
        writeln!(f, "{:<12}{:>14}{:>16}{:>16}", "", "messages/s", "CPU us/message", "resident MiB")?;
        for (name, phase, resident) in rows {
            let (rate, cpu) = phase.map_or_else(Default::default, |phase| {
                (grouped(phase.per_second), format!("{:.2}", phase.cpu_us_per_message))
            });
            writeln!(f, "{name:<12}{rate:>14}{cpu:>16}{:>16.1}", mebibytes(resident))?;
        }
        Ok(())
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A line of progress; what nobody can read must not end the run.
fn show(line: &str) {
    let mut stderr = stderr();
    let _ = if stderr.is_terminal() {
        write!(stderr, "\r{line}").and_then(|()| stderr.flush())
    } else {
        writeln!(stderr, "{line}")
    };
}
