//! A run: connections made, threads started, counters read at both ends of the measured window.
//!
//! ```text
//! connect, declare, consume | warm-up | window | drain | close
//! producers:                  ----------------->
//! consumers:                  -------------------------->
//! ```

use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::args::BenchArgs;
use crate::client::{Client, close_all};
use crate::consumer::Consumer;
use crate::cpu::{self, CpuSample, Memory};
use crate::plan::Plan;
use crate::producer::Producer;
use crate::progress::Progress;
use crate::report::{BrokerUsage, Report, grouped};
use crate::resources;
use crate::shared::Shared;
use crate::url::Target;

/// How long consumers go on for what is left when the producers have stopped.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
/// How long without a delivery means that no more will come.
const DRAIN_SILENCE: Duration = Duration::from_secs(2);
/// How long all connections together may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// How often the main thread looks at the counters.
const WATCH_INTERVAL: Duration = Duration::from_millis(10);
/// Files and sockets that the process needs besides those of its connections.
const FILES_SPARE: u64 = 64;
/// A connection's socket is held by who works on it, by who closes it, and by a producer's listener.
const FILES_PER_CONNECTION: u64 = 3;

/// Loads the broker as `args` say and reports what it passed on.
///
/// # Errors
/// When the arguments contradict each other, or the broker cannot be reached, refuses or fails.
pub fn run(args: &BenchArgs) -> Result<Report> {
    args.check()?;
    let connections = u64::from(args.producers) + u64::from(args.consumers) + u64::from(args.stalled_consumers);
    resources::allow_files(connections * FILES_PER_CONNECTION + FILES_SPARE)?;
    let target = args.connect.target()?;
    let plan = Plan::new(args);
    let mut control = Client::connect(&target)?;
    plan.declare(&mut control)?;
    let report = load(args, &target, &plan, &control);
    // The broker may be gone, and then the failure of the load says it better.
    let deleted = plan.delete(&mut control);
    close_all(vec![control.into_stream()?], CLOSE_LIMIT);
    let report = report?;
    deleted.context("the run is over, but its queues could not be deleted")?;
    Ok(report)
}

fn load(args: &BenchArgs, target: &Target, plan: &Plan, control: &Client) -> Result<Report> {
    let shared = Shared::new();
    // Held to the end and never read.
    let mut stalled = Vec::new();
    for index in 0..args.stalled_consumers {
        let mut client = Client::connect(target)?;
        plan.consume_stalled(&mut client, index, args)?;
        stalled.push(client);
    }
    let mut consumers = Vec::new();
    for index in 0..args.consumers {
        consumers.push(Consumer::connect(args, target, plan, index)?);
    }
    let mut producers = Vec::new();
    for index in 0..args.producers {
        producers.push(Producer::connect(args, target, plan, index)?);
    }
    let mut streams: Vec<TcpStream> = Vec::new();
    for stream in consumers.iter().map(Consumer::stream).chain(producers.iter().map(Producer::stream)) {
        streams.push(stream.try_clone()?);
    }
    let report = thread::scope(|scope| {
        for consumer in consumers {
            scope.spawn(|| shared.end_on_error(consumer.run(&shared)));
        }
        for producer in producers {
            scope.spawn(|| shared.end_on_error(producer.run(&shared)));
        }
        let report = Measurement { args, shared: &shared, copies: plan.copies() }.take(control);
        shared.stop();
        report
    });
    shared.take_failure()?;
    close_all(streams, CLOSE_LIMIT);
    let mut report = report?;
    shared.finish(&mut report);
    Ok(report)
}

/// The main thread's part while the others work.
struct Measurement<'a> {
    args: &'a BenchArgs,
    shared: &'a Shared,
    /// Deliveries that one publish makes.
    copies: u64,
}

/// Everything that is counted, at one moment.
struct Snapshot {
    at: Instant,
    published: u64,
    consumed: u64,
    confirmed: u64,
    generator: CpuSample,
    broker: Option<CpuSample>,
    commits: Option<u64>,
}

impl Measurement<'_> {
    fn take(&self, control: &Client) -> Result<Report> {
        let mut progress = Shown::new(self.args.connect.progress());
        self.watch(self.args.warmup(), &mut progress);
        let before = self.snapshot()?;
        self.shared.begin_window();
        self.watch(self.args.window(), &mut progress);
        self.shared.end_window();
        let after = self.snapshot()?;
        let memory = self.args.connect.pid.map(Memory::take).transpose()?;
        self.shared.stop_producers();
        let missing = self.drain(&mut progress);
        drop(progress);
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let consumed = after.consumed - before.consumed;
        let confirmed = after.confirmed - before.confirmed;
        let messages = if self.args.consumers == 0 { confirmed } else { consumed };
        let us_per_message = |us: f64| {
            if messages == 0 { 0.0 } else { us / messages as f64 }
        };
        let per_second = |count: u64| {
            if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
        };
        let broker_cpu_us = match (&before.broker, &after.broker) {
            (Some(before), Some(after)) => Some(after.us_since(before)),
            _ => None,
        };
        Ok(Report {
            broker: control.product().to_owned(),
            work: self.args.clone(),
            window_seconds: seconds,
            messages,
            missing,
            published_per_second: per_second(after.published - before.published),
            consumed_per_second: per_second(consumed),
            confirmed_per_second: per_second(confirmed),
            confirm_latency: None,
            latency: None,
            send_delay: None,
            unsent: 0,
            refused: 0,
            blocked: None,
            commits: after.commits.zip(before.commits).map(|(after, before)| after - before),
            generator_cpu_us_per_message: us_per_message(after.generator.us_since(&before.generator)),
            broker_usage: broker_cpu_us.zip(memory).map(|(cpu_us, memory)| BrokerUsage {
                cpu_us_per_message: us_per_message(cpu_us),
                cores: if seconds > 0.0 { cpu_us / 1e6 / seconds } else { 0.0 },
                memory,
            }),
        })
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let broker = self.args.connect.pid.map(CpuSample::take).transpose()?;
        let commits = self.args.connect.pid.and_then(cpu::commits);
        let generator = CpuSample::take(std::process::id())?;
        Ok(Snapshot {
            at: Instant::now(),
            published: self.shared.published.load(Ordering::Relaxed),
            consumed: self.shared.consumed.load(Ordering::Relaxed),
            confirmed: self.shared.confirmed.load(Ordering::Relaxed),
            generator,
            broker,
            commits,
        })
    }

    /// Lets the others work, and shows how far they are.
    fn watch(&self, span: Duration, progress: &mut Shown) {
        let deadline = Instant::now() + span;
        while let Some(left) = deadline.checked_duration_since(Instant::now())
            && !self.shared.is_over()
        {
            thread::sleep(left.min(WATCH_INTERVAL));
            progress.show(self.shared, self.copies);
        }
    }

    /// Waits for what is under way and returns how many deliveries never came.
    fn drain(&self, progress: &mut Shown) -> u64 {
        let deadline = Instant::now() + DRAIN_LIMIT;
        let mut last = (Instant::now(), 0);
        loop {
            if self.args.consumers == 0 {
                return 0;
            }
            let expected = self.shared.accepted(self.copies);
            let consumed = self.shared.consumed.load(Ordering::Relaxed);
            if consumed > last.1 {
                last = (Instant::now(), consumed);
            }
            let missing = expected.saturating_sub(consumed);
            let silent = last.0.elapsed() > DRAIN_SILENCE;
            if missing == 0 || silent || self.shared.is_over() || Instant::now() > deadline {
                return missing;
            }
            thread::sleep(WATCH_INTERVAL);
            progress.show(self.shared, self.copies);
        }
    }
}

/// What was shown of the run, and when.
struct Shown {
    progress: Progress,
    published: u64,
    consumed: u64,
}

impl Shown {
    fn new(progress: Progress) -> Self {
        Self { progress, published: 0, consumed: 0 }
    }

    fn show(&mut self, shared: &Shared, copies: u64) {
        let before = (self.published, self.consumed);
        let shown = (&mut self.published, &mut self.consumed);
        self.progress.show(|seconds| {
            *shown.0 = shared.published.load(Ordering::Relaxed);
            *shown.1 = shared.consumed.load(Ordering::Relaxed);
            format!(
                "published {:>12}/s  consumed {:>12}/s  backlog {:>9}",
                grouped((*shown.0 - before.0) as f64 / seconds),
                grouped((*shown.1 - before.1) as f64 / seconds),
                shared.accepted(copies).saturating_sub(*shown.1),
            )
        });
    }
}
