//! A run: connections made, threads started, counters read at both ends of the measured window.
//!
//! ```text
//! connect, declare, consume | warm-up | window | drain | close
//! producers:                  ----------------->
//! consumers:                  -------------------------->
//! ```

use std::io::{IsTerminal, Write, stderr};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::args::BenchArgs;
use crate::client::{Client, close_all};
use crate::consumer::Consumer;
use crate::cpu::{self, CpuSample, Memory};
use crate::plan::Plan;
use crate::producer::Producer;
use crate::report::{BrokerUsage, Latency, Report, grouped};
use crate::url::Target;

/// How long consumers go on for what is left when the producers have stopped.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
/// How long without a delivery means that no more will come.
const DRAIN_SILENCE: Duration = Duration::from_secs(2);
/// How long all connections together may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// How often the main thread looks at the counters.
const WATCH_INTERVAL: Duration = Duration::from_millis(10);
/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// What the threads of a run share. Counters are added to once a batch.
#[derive(Default)]
pub struct Shared {
    /// Messages written, or about to be.
    pub published: AtomicU64,
    /// Deliveries read.
    pub consumed: AtomicU64,
    /// Publishes confirmed.
    pub confirmed: AtomicU64,
    is_measuring: AtomicBool,
    /// Nanoseconds from a publish to its confirm, of those that were waited for one by one in the window.
    latencies_ns: Mutex<Vec<u32>>,
    producers_stop: AtomicBool,
    everyone_stops: AtomicBool,
    failure: Mutex<Option<anyhow::Error>>,
}

impl Shared {
    /// Whether producers go on publishing.
    pub fn is_loading(&self) -> bool {
        !self.producers_stop.load(Ordering::Relaxed)
    }

    /// Whether what happens now counts.
    pub fn is_measuring(&self) -> bool {
        self.is_measuring.load(Ordering::Relaxed)
    }

    /// Adds what one producer has measured.
    pub fn note_latencies(&self, latencies_ns: Vec<u32>) {
        self.latencies_ns.lock().unwrap_or_else(PoisonError::into_inner).extend(latencies_ns);
    }

    /// Whether the run is over for everyone.
    pub fn is_over(&self) -> bool {
        self.everyone_stops.load(Ordering::Relaxed)
    }

    /// Ends the run if a thread failed; the first failure is the one reported.
    pub fn end_on_error(&self, outcome: Result<()>) {
        if let Err(error) = outcome
            && !self.is_over()
        {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
            self.stop();
        }
    }

    /// Ends the run for everyone.
    pub fn stop(&self) {
        self.producers_stop.store(true, Ordering::Relaxed);
        self.everyone_stops.store(true, Ordering::Relaxed);
    }

    /// The first failure of a thread, if there was one.
    ///
    /// # Errors
    /// That failure.
    pub fn take_failure(&self) -> Result<()> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(Ok(()), Err)
    }
}

/// Loads the broker as `args` say and reports what it passed on.
///
/// # Errors
/// When the arguments contradict each other, or the broker cannot be reached, refuses or fails.
pub fn run(args: &BenchArgs) -> Result<Report> {
    args.check()?;
    let target = args.target()?;
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
    let shared = Shared::default();
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
    report.confirm_latency =
        Latency::of(std::mem::take(&mut *shared.latencies_ns.lock().unwrap_or_else(PoisonError::into_inner)));
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
        let mut progress = Progress::new(self.args.quiet);
        self.watch(self.args.warmup(), &mut progress);
        let before = self.snapshot()?;
        self.shared.is_measuring.store(true, Ordering::Relaxed);
        self.watch(self.args.window(), &mut progress);
        self.shared.is_measuring.store(false, Ordering::Relaxed);
        let after = self.snapshot()?;
        let memory = self.args.pid.map(Memory::take).transpose()?;
        self.shared.producers_stop.store(true, Ordering::Relaxed);
        let missing = self.drain(&mut progress);
        progress.end();

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
        let broker = self.args.pid.map(CpuSample::take).transpose()?;
        let commits = self.args.pid.and_then(cpu::commits);
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
    fn watch(&self, span: Duration, progress: &mut Progress) {
        let deadline = Instant::now() + span;
        while let Some(left) = deadline.checked_duration_since(Instant::now())
            && !self.shared.is_over()
        {
            thread::sleep(left.min(WATCH_INTERVAL));
            progress.show(self.shared, self.copies);
        }
    }

    /// Waits for what is under way and returns how many deliveries never came.
    fn drain(&self, progress: &mut Progress) -> u64 {
        let deadline = Instant::now() + DRAIN_LIMIT;
        let mut last = (Instant::now(), 0);
        loop {
            if self.args.consumers == 0 {
                return 0;
            }
            let expected = self.shared.published.load(Ordering::Relaxed) * self.copies;
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

/// One line on stderr that says how the run goes.
struct Progress {
    quiet: bool,
    start: Instant,
    last: Instant,
    published: u64,
    consumed: u64,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        let now = Instant::now();
        Self { quiet, start: now, last: now, published: 0, consumed: 0 }
    }

    fn show(&mut self, shared: &Shared, copies: u64) {
        let span = self.last.elapsed();
        if self.quiet || span < PROGRESS_INTERVAL {
            return;
        }
        let published = shared.published.load(Ordering::Relaxed);
        let consumed = shared.consumed.load(Ordering::Relaxed);
        let rate = |count: u64| grouped(count as f64 / span.as_secs_f64());
        let line = format!(
            "{:5.1} s  published {:>12}/s  consumed {:>12}/s  backlog {:>9}",
            self.start.elapsed().as_secs_f64(),
            rate(published - self.published),
            rate(consumed - self.consumed),
            (published * copies).saturating_sub(consumed),
        );
        let mut stderr = stderr();
        // Progress that nobody can read must not end the run.
        let _ = if stderr.is_terminal() {
            write!(stderr, "\r{line}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{line}")
        };
        self.last = Instant::now();
        (self.published, self.consumed) = (published, consumed);
    }

    fn end(&self) {
        if !self.quiet && stderr().is_terminal() {
            eprintln!();
        }
    }
}
