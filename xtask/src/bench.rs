//! `cargo xtask bench quick`: the standard short table, ours beside the machine's own limit and maybe a peer. Beside it
//! `bench store` (what a disk costs) and `bench backlog` (what waiting messages cost).
//!
//! The load generator runs as a process of its own: `cargo xtask` is built for debugging, and its CPU time would be mixed
//! with that of the load.

mod backlog;
mod page;
mod server;
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::Deserialize;

use crate::command;
use crate::workspace::Workspace;
pub use backlog::{BacklogArgs, backlog};
use page::Page;
use server::Server;
pub use store::{StoreArgs, store};

/// Load before the measured window of each run.
const WARMUP_SECONDS: f64 = 0.5;

/// What is measured: a few words, and the options that say the same to the load generator.
const CASES: &[Case] = &[
    Case { name: "16 B, auto-ack", options: "--size 16" },
    Case { name: "16 B, acks of 100, prefetch 1000", options: "--size 16 --ack-batch 100 --prefetch 1000" },
    Case { name: "1 KiB, auto-ack", options: "--size 1024" },
    Case { name: "1 KiB, acks of 100, prefetch 1000", options: "--size 1024 --ack-batch 100 --prefetch 1000" },
];

#[derive(Args)]
pub struct QuickArgs {
    /// Measured seconds of each run
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Runs of each case; their median is written
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Another broker to compare with, as an amqp:// URL
    #[arg(long, requires = "peer_pid")]
    peer: Option<String>,
    /// The peer's process
    #[arg(long, requires = "peer")]
    peer_pid: Option<u32>,
    /// Where the page goes
    #[arg(long, default_value = "docs/performance.md")]
    output: PathBuf,
}

struct Case {
    name: &'static str,
    options: &'static str,
}

/// A broker under load, and what its runs gave: a list for each case.
struct Candidate {
    url: String,
    pid: u32,
    runs: Vec<Vec<Run>>,
}

/// What the load generator reports, as far as the page shows it.
#[derive(Deserialize)]
struct Run {
    broker: String,
    missing: u64,
    consumed_per_second: f64,
    generator_cpu_us_per_message: f64,
    broker_usage: Usage,
}

#[derive(Deserialize)]
struct Usage {
    cpu_us_per_message: f64,
    memory: Memory,
}

#[derive(Deserialize)]
struct Memory {
    resident_bytes: u64,
}

/// Measures and writes the page.
pub fn quick(workspace: &Workspace, args: &QuickArgs) -> anyhow::Result<()> {
    let (broker, generator) = build(workspace)?;
    let ours = Server::start_broker(&broker)?;
    let relay = Server::start_relay(&generator)?;
    let mut candidates = vec![Candidate::of(&ours), Candidate::of(&relay)];
    if let (Some(url), Some(pid)) = (&args.peer, args.peer_pid) {
        candidates.push(Candidate::new(url, pid));
    }
    // Taking turns: what disturbs the machine for a while disturbs all alike.
    for round in 1..=args.repeat {
        for (index, case) in CASES.iter().enumerate() {
            for candidate in &mut candidates {
                let run = candidate.load(&generator, case, args.seconds)?;
                println!(
                    "round {round}, {:<34} {:<20} {:>10.0} messages/s, {:>7.3} us CPU a message",
                    case.name, run.broker, run.consumed_per_second, run.broker_usage.cpu_us_per_message
                );
                candidate.runs.get_mut(index).context("a case has no place")?.push(run);
            }
        }
    }
    let [ours, relay, peer @ ..] = candidates.as_slice() else {
        anyhow::bail!("a candidate is missing");
    };
    let page = Page { args, ours, relay, peer: peer.first() };
    let path = workspace.root.join(&args.output);
    fs::write(&path, page.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

/// Builds broker and load generator as users run them. `LEVERET_BIN` names a broker that is built already.
fn build(workspace: &Workspace) -> anyhow::Result<(PathBuf, PathBuf)> {
    command::run(&mut workspace.cargo(&["build", "--release", "--package", "leveret-bench"]))?;
    let broker = match std::env::var_os("LEVERET_BIN") {
        Some(broker) => PathBuf::from(broker),
        None => {
            crate::broker::build(workspace)?;
            workspace.broker_binary()
        }
    };
    let generator = format!("leveret-bench{}", std::env::consts::EXE_SUFFIX);
    Ok((broker, workspace.target.join("release").join(generator)))
}

impl Candidate {
    fn new(url: &str, pid: u32) -> Self {
        Self { url: url.to_owned(), pid, runs: CASES.iter().map(|_| Vec::new()).collect() }
    }

    fn of(server: &Server) -> Self {
        Self::new(&server.url(), server.pid())
    }

    /// Puts it under load once.
    fn load(&self, generator: &Path, case: &Case, seconds: f64) -> anyhow::Result<Run> {
        let output = Command::new(generator)
            .args(["--json", "--quiet", "--url", &self.url, "--pid", &self.pid.to_string()])
            .args(["--seconds", &seconds.to_string(), "--warmup-seconds", &WARMUP_SECONDS.to_string()])
            .args(case.options.split_ascii_whitespace())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {}", generator.display()))?;
        ensure!(output.status.success(), "{}: the load generator ended with {}", case.name, output.status);
        let run: Run = serde_json::from_slice(&output.stdout).context("the load generator's report")?;
        ensure!(run.missing == 0, "{}: {} lost {} messages", case.name, run.broker, run.missing);
        Ok(run)
    }

    /// The median over the runs of a case.
    fn median(&self, case: usize, value: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.get(case).into_iter().flatten().map(value).collect())
    }

    fn rate(&self, case: usize) -> f64 {
        self.median(case, |run| run.consumed_per_second)
    }

    fn cpu_us(&self, case: usize) -> f64 {
        self.median(case, |run| run.broker_usage.cpu_us_per_message)
    }

    fn generator_cpu_us(&self, case: usize) -> f64 {
        self.median(case, |run| run.generator_cpu_us_per_message)
    }

    fn memory_mib(&self, case: usize) -> f64 {
        self.median(case, |run| run.broker_usage.memory.resident_bytes as f64 / f64::from(1 << 20))
    }

    /// What it calls itself.
    fn name(&self) -> &str {
        self.runs.iter().flatten().next().map_or("?", |run| &run.broker)
    }
}

/// The middle of some values, not a number when there are none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len().is_multiple_of(2) { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) } else { at(middle) }
}

/// A fresh directory of this name for the data of a broker that is measured, on the disk where builds go, and the folder
/// for the figures.
fn fresh_directory(workspace: &Workspace, name: &str, chosen: Option<&Path>) -> anyhow::Result<(PathBuf, PathBuf)> {
    let results = workspace.target.join("bench");
    let dir = chosen.unwrap_or(&results).join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    }
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    fs::create_dir_all(&results).with_context(|| results.display().to_string())?;
    Ok((dir, results))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn candidate(broker: &str, rates: &[f64]) -> Candidate {
        let mut candidate = Candidate::new("amqp://h", 1);
        for runs in &mut candidate.runs {
            runs.extend(rates.iter().map(|&rate| Run {
                broker: broker.to_owned(),
                missing: 0,
                consumed_per_second: rate,
                generator_cpu_us_per_message: 0.05,
                broker_usage: Usage { cpu_us_per_message: 1e6 / rate, memory: Memory { resident_bytes: 3 << 20 } },
            }));
        }
        candidate
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(candidate("b", &[5.0, 1.0, 3.0]).rate(0), 3.0);
        assert_eq!(candidate("b", &[5.0, 1.0]).rate(0), 3.0);
        assert_eq!(candidate("b", &[5.0, 1.0, 4.0]).cpu_us(3), 250_000.0);
        assert!(candidate("b", &[]).rate(0).is_nan());
    }

    #[test]
    fn the_generators_report_is_understood() {
        let json = r#"{"broker":"b 1","work":{"size":16},"missing":0,"consumed_per_second":2.5,
            "generator_cpu_us_per_message":0.1,"broker_usage":{"cpu_us_per_message":0.5,"cores":1.0,
            "memory":{"resident_bytes":7,"resident_bytes_max":9}}}"#;
        let run: Run = serde_json::from_str(json).unwrap();
        assert_eq!((run.consumed_per_second, run.broker_usage.memory.resident_bytes), (2.5, 7));
    }
}
