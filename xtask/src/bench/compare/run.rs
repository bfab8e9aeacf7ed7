//! A row measured once at one candidate.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::candidates::Candidate;
use super::figures::{Figure, Figures, RABBITMQ};
use super::locks;
use super::machine::resident_mib;
use super::rows::{How, Row};
use crate::bench::generator::{Backlog, Churn, Count, Generator, Load, Target};
use crate::bench::median;

/// Bytes of a record for the disk's limit: as large as the messages beside it.
const RECORD_SIZE: &str = "1024";
const DISK_SECONDS: f64 = 0.5;
/// How long the rate without a limit is looked at before half of it is asked for.
const PROBE_SECONDS: f64 = 1.0;
/// From a start until its memory is looked at.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// Starts in each round: of ours, and of those that take seconds.
const STARTS: usize = 5;
const PEER_STARTS: usize = 1;
/// Files and sockets that a broker needs besides its clients'.
const SPARE_FILES: u64 = 500;
const MIB: f64 = 1_048_576.0;

pub struct Runner {
    pub generator: Generator,
    /// A folder on the disk that the brokers use.
    pub dir: PathBuf,
    pub seconds: f64,
    /// As many files and sockets may a process have.
    pub open_files: u64,
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    /// What the broker calls itself, when it was asked.
    pub broker: Option<String>,
    pub figures: Figures,
}

impl Runner {
    /// Measures; `None` when this candidate cannot do it.
    pub fn run(&self, row: &Row, candidate: &mut Candidate) -> anyhow::Result<Option<Outcome>> {
        if row.wants_fresh() && candidate.can_start() && !matches!(row.how, How::Start { .. }) {
            candidate.start_fresh()?;
        }
        let outcome = match row.how {
            How::Load(options) => self.load(&candidate.target()?, options),
            How::Synced { load, records_max } => self.synced(candidate, load, records_max),
            How::Locks(options) => self.locks(candidate, options),
            How::HalfRate(options) => self.half_rate(&candidate.target()?, options),
            How::Stalled { stalled, alone } => self.stalled(&candidate.target()?, stalled, alone),
            How::Backlog { options, messages, peer_messages } => {
                let messages = if candidate.is_leveret() { messages } else { peer_messages };
                self.backlog(&candidate.target()?, options, messages)
            }
            How::Count { kind, count, peer_count } => {
                let count = if candidate.is_leveret() { count } else { peer_count };
                self.count(candidate, kind, count)
            }
            How::Churn(kind) => self.churn(&candidate.target()?, kind),
            How::Idle | How::Start { .. } if !candidate.can_start() => return Ok(None),
            How::Idle => idle(candidate),
            How::Start { durable_queues } => self.start(candidate, durable_queues),
        };
        // What a row of this kind leaves behind must not slow down the next.
        if row.wants_fresh() || outcome.is_err() {
            candidate.stop();
        }
        outcome.map(Some)
    }

    fn options(&self, options: &str) -> String {
        format!("{options} --seconds {}", self.seconds)
    }

    fn load(&self, target: &Target, options: &str) -> anyhow::Result<Outcome> {
        Ok(outcome_of(self.generator.load(target, &self.options(options))?))
    }

    fn synced(&self, candidate: &mut Candidate, options: &str, records_max: u32) -> anyhow::Result<Outcome> {
        let load = self.generator.load(&candidate.target()?, &self.options(options))?;
        let batch = load.messages_per_write();
        let mut outcome = outcome_of(load);
        if candidate.is_leveret() {
            let batch = batch.context("the broker's write calls cannot be counted")?;
            outcome.figures.extend(self.disk(batch, records_max)?);
        }
        Ok(outcome)
    }

    /// What the disk takes right now.
    fn disk(&self, batch: f64, records_max: u32) -> anyhow::Result<Figures> {
        let batch = batch.round().clamp(1.0, f64::from(records_max));
        let records = format!("{batch},{records_max}");
        let points = self.generator.disk(&self.dir, RECORD_SIZE, &records, DISK_SECONDS)?;
        let [at_batch, at_max] = points.as_slice() else { bail!("the disk was not measured") };
        Ok(Figures::from([
            (Figure::DiskRate, at_batch.records_per_second),
            (Figure::DiskRateMax, at_max.records_per_second),
            (Figure::FdatasyncUs, at_batch.fdatasync.p50_us),
        ]))
    }

    fn locks(&self, candidate: &mut Candidate, options: &str) -> anyhow::Result<Outcome> {
        let target = candidate.target()?;
        let Some(pid) = target.pid.filter(|_| candidate.is_leveret()) else { return self.load(&target, options) };
        let (outcome, percent) = locks::watched(pid, || self.load(&target, options));
        let mut outcome = outcome?;
        outcome.figures.extend(percent.map(|percent| (Figure::LockWaitPercent, percent)));
        Ok(outcome)
    }

    fn half_rate(&self, target: &Target, options: &str) -> anyhow::Result<Outcome> {
        let probe = self.generator.load(target, &format!("{options} --seconds {PROBE_SECONDS}"))?;
        let rate = (probe.per_second() / 2.0).round().max(1.0);
        let mut outcome = self.load(target, &format!("{options} --rate {rate}"))?;
        // It is what was asked for, and no rate to compare.
        outcome.figures.remove(&Figure::Rate);
        outcome.figures.insert(Figure::OfferedRate, rate);
        Ok(outcome)
    }

    fn stalled(&self, target: &Target, stalled: &str, alone: &str) -> anyhow::Result<Outcome> {
        let alone = self.load(target, alone)?;
        let p99_us = alone.figures.get(&Figure::P99Us).context("the load generator tells no latency")?;
        let mut outcome = self.load(target, stalled)?;
        outcome.figures.insert(Figure::AloneP99Us, *p99_us);
        Ok(outcome)
    }

    fn backlog(&self, target: &Target, options: &str, messages: u64) -> anyhow::Result<Outcome> {
        let words = format!("backlog {options} --messages {messages} --ack-batch 200 --prefetch 1000 --wait-seconds 1");
        let report: Backlog = self.generator.report(target, &words)?;
        let drain = report.drain.context("the queue was not emptied")?;
        let resident_bytes_max = report.fill.resident_bytes_max.max(drain.resident_bytes_max);
        let figures = Figures::from([
            (Figure::Number, report.messages as f64),
            (Figure::FillRate, report.fill.per_second),
            (Figure::FillCpuUs, report.fill.cpu_us_per_message),
            (Figure::Rate, drain.per_second),
            (Figure::CpuUs, drain.cpu_us_per_message),
            (Figure::WaitingMib, report.waiting_resident_bytes as f64 / MIB),
            (Figure::ResidentMaxMib, resident_bytes_max as f64 / MIB),
        ]);
        Ok(Outcome { broker: Some(report.broker), figures })
    }

    fn count(&self, candidate: &mut Candidate, kind: &str, wanted: u64) -> anyhow::Result<Outcome> {
        let count =
            if kind == "connections" { wanted.min(self.open_files.saturating_sub(SPARE_FILES)) } else { wanted };
        if count < wanted {
            println!("{wanted} {kind} need more open files than the {} allowed (ulimit -n): {count}", self.open_files);
        }
        let mut words = format!("count --kind {kind} --count {count}");
        if kind != "connections" {
            words.push_str(" --pipeline");
            // Nobody needs to take away what is in a broker that is stopped.
            words.push_str(if candidate.can_start() { " --keep" } else { "" });
        }
        let report: Count = self.generator.report(&candidate.target()?, &words)?;
        let mut figures =
            Figures::from([(Figure::Number, report.count as f64), (Figure::OperationRate, report.per_second)]);
        figures.extend(report.cpu_us_each.map(|us| (Figure::OperationCpuUs, us)));
        figures.extend(report.bytes_each.map(|bytes| (Figure::EachKib, bytes / 1024.0)));
        figures.extend(report.idle_cpu_percent.map(|percent| (Figure::IdleCpuPercent, percent)));
        Ok(Outcome { broker: Some(report.broker), figures })
    }

    fn churn(&self, target: &Target, kind: &str) -> anyhow::Result<Outcome> {
        let words = self.options(&format!("churn --kind {kind}"));
        let report: Churn = self.generator.report(target, &words)?;
        let mut figures = Figures::from([
            (Figure::OperationRate, report.per_second),
            (Figure::P50Us, report.latency.p50_us),
            (Figure::P99Us, report.latency.p99_us),
        ]);
        figures.extend(report.cpu_us_each.map(|us| (Figure::OperationCpuUs, us)));
        Ok(Outcome { broker: Some(report.broker), figures })
    }

    /// From the start of the process to the first byte of connection.start, asked for as soon as it says that it is ready.
    fn start(&self, candidate: &mut Candidate, durable_queues: u64) -> anyhow::Result<Outcome> {
        let keep = durable_queues > 0;
        let mut outcome = Outcome::default();
        if keep {
            candidate.start_fresh()?;
            outcome = self.count(candidate, "durable-queues", durable_queues)?;
        }
        let starts = if candidate.key == RABBITMQ { PEER_STARTS } else { STARTS };
        let mut all_ms = Vec::with_capacity(starts);
        for _ in 0..starts {
            candidate.stop();
            if !keep {
                candidate.clear()?;
            }
            let begin = Instant::now();
            candidate.start()?;
            ensure!(candidate.answers()?, "{} does not answer", candidate.key);
            all_ms.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        outcome.figures.insert(Figure::StartMs, median(all_ms));
        Ok(outcome)
    }
}

fn idle(candidate: &mut Candidate) -> anyhow::Result<Outcome> {
    let pid = candidate.target()?.pid.context("its process is not known")?;
    thread::sleep(SETTLE_TIME);
    Ok(Outcome { broker: None, figures: Figures::from([(Figure::ResidentMib, resident_mib(pid)?)]) })
}

fn outcome_of(load: Load) -> Outcome {
    let mut figures =
        Figures::from([(Figure::Rate, load.per_second()), (Figure::GeneratorCpuUs, load.generator_cpu_us_per_message)]);
    if let Some(usage) = &load.broker_usage {
        figures.insert(Figure::CpuUs, usage.cpu_us_per_message);
        figures.insert(Figure::ResidentMib, usage.memory.resident_bytes as f64 / MIB);
    }
    if let Some(latency) = load.latency.or(load.confirm_latency) {
        let all = [(Figure::P50Us, latency.p50_us), (Figure::P99Us, latency.p99_us), (Figure::MaxUs, latency.max_us)];
        figures.extend(all);
    }
    Outcome { broker: Some(load.broker), figures }
}

/// A progress line's worth of figures.
pub fn shown(figures: &Figures) -> String {
    let words = figures.iter().map(|(figure, value)| {
        let (words, unit) = figure.words();
        format!("{words} {}{unit}", figure.shown(*value))
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::generator::{Latency, Memory, Usage};

    #[test]
    fn a_load_gives_what_it_knows() {
        let load = |usage, latency| Load {
            broker: "b".to_owned(),
            messages: 10,
            missing: 0,
            consumed_per_second: 5.0,
            confirmed_per_second: 4.0,
            confirm_latency: None,
            latency,
            commits: None,
            generator_cpu_us_per_message: 0.1,
            broker_usage: usage,
        };
        let bare = outcome_of(load(None, None)).figures;
        assert_eq!(bare.keys().copied().collect::<Vec<_>>(), [Figure::Rate, Figure::GeneratorCpuUs]);
        let usage = Usage { cpu_us_per_message: 0.5, memory: Memory { resident_bytes: 3 << 20 } };
        let latency = Latency { p50_us: 1.0, p99_us: 2.0, max_us: 3.0 };
        let figures = outcome_of(load(Some(usage), Some(latency))).figures;
        assert_eq!((figures[&Figure::ResidentMib], figures[&Figure::P99Us]), (3.0, 2.0));
        assert!(shown(&figures).starts_with("rate 5.0/s, CPU a message 0.500 us"), "{}", shown(&figures));
    }
}
