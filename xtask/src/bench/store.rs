//! `cargo xtask bench store`: what the disk can do, and what the broker confirms on it.
//!
//! Both are measured in turns on the same disk. A row has two limits, each what the disk itself takes right after it. One is
//! for the batches that the broker had: messages for each write call that Linux counts of the committing thread. Calls that
//! wake connections are among them, so that the commits were somewhat larger, and the limit is if anything too low. The other
//! is for the largest batch there could be: as many records as can wait for a confirm at once, publishers times window. As
//! the broker takes in new ones while it syncs it has fewer, so that this limit is too high. The truth lies between.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;

use super::generator::{DiskPoint, Generator, Load, Target};
use super::server::Server;
use super::{build, fresh_directory, median};
use crate::workspace::Workspace;

const PUBLISHERS: [u32; 3] = [1, 10, 100];
const WINDOWS: [u32; 3] = [1, 100, 1_000];
/// Bytes of a body, and of a record of the raw limit.
const SIZE: &str = "1024";
/// Most records of a sync: a block of the journal has 4 MiB.
const RECORDS_MAX: u32 = 4_096;
/// What persistent and transient messages are compared with: publishers and a consumer that acknowledges.
const COMPARED: [(u32, u32); 2] = [(1, 1_000), (10, 100)];
const CONSUMER: &str = "--consumers 1 --ack-batch 200 --prefetch 1000";

/// The goals of the table.
const LIMIT_RATIO_MIN: f64 = 0.6;
const SYNCS_WAITED_MAX: f64 = 2.0;
const PERSISTENT_RATIO_MIN: f64 = 0.5;

#[derive(Args)]
pub struct StoreArgs {
    /// Measured seconds of each run
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Rounds; the median of each figure is shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// The broker's durability
    #[arg(long, default_value = "fsync")]
    durability: String,
    /// A directory on the disk to measure; below target/ when it is not given
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// A row of the table in one round.
#[derive(Clone, Serialize)]
struct Sample {
    confirmed_per_second: f64,
    messages_per_write: f64,
    /// Of the disk, at as many records a sync.
    limit_per_second: f64,
    /// Of the disk, at the most records that there could be in a sync.
    limit_max_per_second: f64,
    cpu_us_per_message: f64,
    /// In units of the median fdatasync that the disk had right after, with as many records.
    p50_syncs: Option<f64>,
    p99_syncs: Option<f64>,
}

/// Persistent beside transient, in one round.
#[derive(Clone, Copy, Serialize)]
struct Pair {
    persistent_per_second: f64,
    transient_per_second: f64,
}

#[derive(Default, Serialize)]
struct Results {
    durability: String,
    seconds: f64,
    disk: Vec<Vec<DiskPoint>>,
    /// By publishers and window.
    rows: Vec<(u32, u32, Vec<Sample>)>,
    compared: Vec<(u32, u32, Vec<Pair>)>,
}

/// The programs and the places of a run.
struct Bench<'a> {
    generator: Generator,
    broker: PathBuf,
    dir: PathBuf,
    args: &'a StoreArgs,
}

/// Measures, prints, and writes the figures as JSON.
pub fn store(workspace: &Workspace, args: &StoreArgs) -> anyhow::Result<()> {
    let (broker, generator) = build(workspace)?;
    let (dir, results_dir) = fresh_directory(workspace, "store-data", args.dir.as_deref())?;
    let bench = Bench { generator: Generator { binary: generator }, broker, dir, args };
    let mut results = Results { durability: args.durability.clone(), seconds: args.seconds, ..Results::default() };
    let rows = PUBLISHERS.iter().flat_map(|publishers| WINDOWS.map(|window| (*publishers, window, Vec::new())));
    results.rows = rows.collect();
    results.compared = COMPARED.map(|(publishers, window)| (publishers, window, Vec::new())).into();
    for round in 1..=args.repeat {
        bench.round(round, &mut results)?;
    }
    fs::remove_dir_all(&bench.dir).with_context(|| bench.dir.display().to_string())?;
    println!("\n{}", table(&results)?);
    let path = results_dir.join("store.json");
    fs::write(&path, serde_json::to_string_pretty(&results)?).with_context(|| path.display().to_string())?;
    println!("the figures of every round: {}", path.display());
    Ok(())
}

impl Bench<'_> {
    /// Everything once, on a broker with a new data directory.
    fn round(&self, round: u32, results: &mut Results) -> anyhow::Result<()> {
        let data = self.dir.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        results.disk.push(self.disk("1,32,128,512", 1.0)?);
        let server = Server::start_broker_on(&self.broker, &data, &self.args.durability)?;
        for (publishers, window, samples) in &mut results.rows {
            let sample = self.sample(&server, *publishers, *window)?;
            println!(
                "round {round}: {publishers:>3} publishers, window {window:>5}: {:>9.0} confirmed/s, {:>6.1} a write, {:.2} of the disk",
                sample.confirmed_per_second,
                sample.messages_per_write,
                sample.confirmed_per_second / sample.limit_per_second
            );
            samples.push(sample);
        }
        for (publishers, window, pairs) in &mut results.compared {
            let rate = |persistent: &str| {
                let options = format!("{CONSUMER} --producers {publishers} --confirms {window} {persistent}");
                anyhow::Ok(self.load(&server, &options)?.consumed_per_second)
            };
            let pair = Pair { persistent_per_second: rate("--persistent")?, transient_per_second: rate("")? };
            println!(
                "round {round}: {publishers:>3} publishers, window {window:>5}, a consumer: {:>9.0} persistent/s, {:>9.0} transient/s",
                pair.persistent_per_second, pair.transient_per_second
            );
            pairs.push(pair);
        }
        Ok(())
    }

    fn sample(&self, server: &Server, publishers: u32, window: u32) -> anyhow::Result<Sample> {
        let options = format!("--consumers 0 --persistent --producers {publishers} --confirms {window}");
        let run = self.load(server, &options)?;
        let messages_per_write = run.messages_per_write().unwrap_or(f64::NAN);
        let records_max = (publishers * window).min(RECORDS_MAX);
        let records = messages_per_write.round().clamp(1.0, f64::from(records_max));
        let limits = self.disk(&format!("{records},{records_max}"), 0.5)?;
        let [limit, limit_max] = limits.as_slice() else { bail!("the disk was not measured") };
        let in_syncs = |us: f64| us / limit.fdatasync.p50_us;
        Ok(Sample {
            confirmed_per_second: run.confirmed_per_second,
            messages_per_write,
            limit_per_second: limit.records_per_second,
            limit_max_per_second: limit_max.records_per_second,
            cpu_us_per_message: run.broker_usage.map_or(f64::NAN, |usage| usage.cpu_us_per_message),
            p50_syncs: run.confirm_latency.map(|latency| in_syncs(latency.p50_us)),
            p99_syncs: run.confirm_latency.map(|latency| in_syncs(latency.p99_us)),
        })
    }

    fn disk(&self, records: &str, seconds: f64) -> anyhow::Result<Vec<DiskPoint>> {
        self.generator.disk(&self.dir, SIZE, records, seconds)
    }

    fn load(&self, server: &Server, options: &str) -> anyhow::Result<Load> {
        let target = Target { url: server.url(), pid: Some(server.pid()) };
        self.generator.load(&target, &format!("--size {SIZE} --seconds {} {options}", self.args.seconds))
    }
}

/// The medians of all rounds.
fn table(results: &Results) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "The disk: a preallocated file of 64 MiB written again and again, {SIZE} B a record, fdatasync\n")?;
    writeln!(out, "| records a sync | syncs/s | records/s | MB/s | fdatasync median us | 99 of 100 us |")?;
    writeln!(out, "|---:|---:|---:|---:|---:|---:|")?;
    for index in 0..results.disk.first().map_or(0, Vec::len) {
        let of = |value: fn(&DiskPoint) -> f64| {
            median(results.disk.iter().filter_map(|points| points.get(index)).map(value).collect())
        };
        writeln!(
            out,
            "| {:.0} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} |",
            of(|point| point.records_per_sync as f64),
            of(|point| point.syncs_per_second),
            of(|point| point.records_per_second),
            of(|point| point.megabytes_per_second),
            of(|point| point.fdatasync.p50_us),
            of(|point| point.fdatasync.p99_us)
        )?;
    }
    writeln!(out, "\nThe broker: persistent messages of {SIZE} B, confirmed, durability {}\n", results.durability)?;
    writeln!(
        out,
        "| publishers | window | confirmed/s | messages a write | the disk, so many a sync | ratio | the disk, all in a sync | ratio | CPU us/message |"
    )?;
    writeln!(out, "|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    for (publishers, window, samples) in &results.rows {
        let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value).collect());
        writeln!(
            out,
            "| {publishers} | {window} | {:.0} | {:.1} | {:.0} | {} | {:.0} | {:.2} | {:.2} |",
            of(|sample| sample.confirmed_per_second),
            of(|sample| sample.messages_per_write),
            of(|sample| sample.limit_per_second),
            judged(of(|sample| sample.confirmed_per_second / sample.limit_per_second), |ratio| ratio
                >= LIMIT_RATIO_MIN),
            of(|sample| sample.limit_max_per_second),
            of(|sample| sample.confirmed_per_second / sample.limit_max_per_second),
            of(|sample| sample.cpu_us_per_message)
        )?;
    }
    goals(&mut out, results)?;
    Ok(out)
}

/// What is not in the rows: the wait of a lone publisher, and persistent beside transient.
fn goals(out: &mut String, results: &Results) -> std::fmt::Result {
    let lone = results.rows.iter().find(|(publishers, window, _)| (*publishers, *window) == (1, 1));
    if let Some((_, _, samples)) = lone {
        let of = |value: fn(&Sample) -> Option<f64>| median(samples.iter().filter_map(value).collect());
        writeln!(
            out,
            "\nOne publisher, one message at a time, waits for its confirm as long as {} fdatasyncs (median), {:.2} (99 of 100).",
            judged(of(|sample| sample.p50_syncs), |syncs| syncs <= SYNCS_WAITED_MAX),
            of(|sample| sample.p99_syncs)
        )?;
    }
    writeln!(out, "\n| publishers | window | persistent/s | transient/s | ratio |\n|---:|---:|---:|---:|---:|")?;
    for (publishers, window, pairs) in &results.compared {
        let of = |value: fn(&Pair) -> f64| median(pairs.iter().map(value).collect());
        writeln!(
            out,
            "| {publishers} | {window} | {:.0} | {:.0} | {} |",
            of(|pair| pair.persistent_per_second),
            of(|pair| pair.transient_per_second),
            judged(of(|pair| pair.persistent_per_second / pair.transient_per_second), |ratio| {
                ratio >= PERSISTENT_RATIO_MIN
            })
        )?;
    }
    Ok(())
}

/// A figure with a word when it misses its goal.
fn judged(value: f64, is_met: impl Fn(f64) -> bool) -> String {
    if is_met(value) { format!("{value:.2}") } else { format!("{value:.2} (goal missed)") }
}

#[cfg(test)]
mod tests {
    use super::super::generator::Latency;
    use super::*;

    fn results() -> Results {
        let fdatasync = Latency { p50_us: 50.0, p99_us: 90.0, max_us: 95.0 };
        let point = DiskPoint {
            records_per_sync: 1,
            syncs_per_second: 20_000.0,
            records_per_second: 20_000.0,
            megabytes_per_second: 20.5,
            fdatasync,
        };
        let sample = |rate: f64| Sample {
            confirmed_per_second: rate,
            messages_per_write: 1.0,
            limit_per_second: 20_000.0,
            limit_max_per_second: 28_000.0,
            cpu_us_per_message: 9.0,
            p50_syncs: Some(1.5),
            p99_syncs: Some(3.0),
        };
        Results {
            durability: "fsync".to_owned(),
            seconds: 1.0,
            disk: vec![vec![point]; 3],
            rows: vec![(1, 1, vec![sample(10_000.0), sample(16_000.0), sample(14_000.0)]), (1, 100, vec![sample(9.0)])],
            compared: vec![(1, 1_000, vec![Pair { persistent_per_second: 40.0, transient_per_second: 100.0 }])],
        }
    }

    #[test]
    fn the_table_shows_medians_ratios_and_missed_goals() {
        let text = table(&results()).unwrap();
        assert!(text.contains("| 1 | 20000 | 20000 | 20.5 | 50.0 | 90.0 |"), "{text}");
        assert!(text.contains("| 1 | 1 | 14000 | 1.0 | 20000 | 0.70 | 28000 | 0.50 | 9.00 |"), "{text}");
        assert!(text.contains("| 1 | 100 | 9 | 1.0 | 20000 | 0.00 (goal missed) | 28000 | 0.00 | 9.00 |"), "{text}");
        assert!(text.contains("as long as 1.50 fdatasyncs (median), 3.00 (99 of 100)"), "{text}");
        assert!(text.contains("| 1 | 1000 | 40 | 100 | 0.40 (goal missed) |"), "{text}");
    }
}
