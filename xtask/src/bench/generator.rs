//! The load generator as a process, and what it reports.
//!
//! It is a process of its own because `cargo xtask` is built for debugging, and its CPU time would be mixed with that of the
//! load.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::command;

/// No report takes nearly as long, apart from that of a long backlog.
const REPORT_LIMIT: Duration = Duration::from_secs(30 * 60);

pub struct Generator {
    pub binary: PathBuf,
}

/// A broker to load.
pub struct Target {
    pub url: String,
    /// Its process, when that is known: without it there are no figures of CPU and memory.
    pub pid: Option<u32>,
}

/// What a load did.
#[derive(Debug, Deserialize)]
pub struct Load {
    pub broker: String,
    pub messages: u64,
    pub missing: u64,
    pub consumed_per_second: f64,
    pub confirmed_per_second: f64,
    pub confirm_latency: Option<Latency>,
    pub latency: Option<Latency>,
    pub commits: Option<u64>,
    pub generator_cpu_us_per_message: f64,
    pub broker_usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
pub struct Usage {
    pub cpu_us_per_message: f64,
    pub memory: Memory,
}

#[derive(Debug, Deserialize)]
pub struct Memory {
    pub resident_bytes: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Latency {
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

/// What the disk did with one number of records a sync.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct DiskPoint {
    pub records_per_sync: u64,
    pub syncs_per_second: f64,
    pub records_per_second: f64,
    pub megabytes_per_second: f64,
    pub fdatasync: Latency,
}

/// A queue filled and emptied.
#[derive(Debug, Deserialize)]
pub struct Backlog {
    pub broker: String,
    pub messages: u64,
    pub fill: Phase,
    pub drain: Option<Phase>,
    pub waiting_resident_bytes: u64,
}

#[derive(Debug, Deserialize)]
pub struct Phase {
    pub per_second: f64,
    pub cpu_us_per_message: f64,
    pub resident_bytes_max: u64,
}

/// Many of a kind made and held.
#[derive(Debug, Deserialize)]
pub struct Count {
    pub broker: String,
    pub count: u64,
    pub per_second: f64,
    pub cpu_us_each: Option<f64>,
    pub bytes_each: Option<f64>,
    pub idle_cpu_percent: Option<f64>,
}

/// One after the other opened and closed, or declared and deleted.
#[derive(Debug, Deserialize)]
pub struct Churn {
    pub broker: String,
    pub per_second: f64,
    pub cpu_us_each: Option<f64>,
    pub latency: Latency,
}

impl Generator {
    /// Loads a broker; options are words as one would type them.
    pub fn load(&self, target: &Target, options: &str) -> anyhow::Result<Load> {
        let load: Load = self.report(target, options)?;
        ensure!(load.missing == 0, "{options}: {} lost {} messages", load.broker, load.missing);
        Ok(load)
    }

    /// Runs a sub-command, or a load, against a broker.
    pub fn report<T: DeserializeOwned>(&self, target: &Target, words: &str) -> anyhow::Result<T> {
        let mut command = Command::new(&self.binary);
        command.args(words.split_ascii_whitespace()).args(["--json", "--quiet", "--url", &target.url]);
        if let Some(pid) = target.pid {
            command.args(["--pid", &pid.to_string()]);
        }
        json_of(&mut command)
    }

    /// What the disk takes at each of these numbers of records (comma-separated) a sync.
    pub fn disk(&self, dir: &Path, size: &str, records: &str, seconds: f64) -> anyhow::Result<Vec<DiskPoint>> {
        let seconds = seconds.to_string();
        let mut command = Command::new(&self.binary);
        command.args([
            "disk",
            "--json",
            "--quiet",
            "--size",
            size,
            "--records",
            records,
            "--seconds",
            &seconds,
            "--dir",
        ]);
        json_of(command.arg(dir))
    }
}

impl Load {
    /// Messages a second: those consumed; those confirmed where nobody consumes.
    pub fn per_second(&self) -> f64 {
        if self.consumed_per_second > 0.0 { self.consumed_per_second } else { self.confirmed_per_second }
    }

    /// Messages for each write of the broker's committing thread, where that can be seen.
    pub fn messages_per_write(&self) -> Option<f64> {
        let writes = self.commits.filter(|commits| *commits > 0)?;
        Some(self.messages as f64 / writes as f64)
    }
}

fn json_of<T: DeserializeOwned>(command: &mut Command) -> anyhow::Result<T> {
    let program = Path::new(command.get_program()).display().to_string();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot start {program}"))?;
    let mut stdout = child.stdout.take().context("a child has no stdout")?;
    // A report is far smaller than what a pipe holds, so that nobody has to read until it is complete.
    let Some(status) = command::wait(&mut child, REPORT_LIMIT)? else {
        let _ = child.kill();
        child.wait()?;
        anyhow::bail!("{program} ran for over {} s", REPORT_LIMIT.as_secs());
    };
    ensure!(status.success(), "{program} ended with {status}");
    let mut json = Vec::new();
    stdout.read_to_end(&mut json)?;
    serde_json::from_slice(&json).with_context(|| format!("the report of {program}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_understood() {
        let json = r#"{"broker":"b 1","work":{"size":16},"messages":100,"missing":0,"consumed_per_second":0.0,
            "confirmed_per_second":5.0,"confirm_latency":{"p50_us":1.0,"p99_us":2.0,"max_us":3.0},
            "latency":{"p50_us":1.5,"p90_us":2.0,"p99_us":3.0,"p999_us":4.0,"max_us":5.0,"count":7},"commits":4,
            "generator_cpu_us_per_message":0.1,"broker_usage":{"cpu_us_per_message":0.5,"cores":1.0,
            "memory":{"resident_bytes":7,"resident_bytes_max":9}}}"#;
        let load: Load = serde_json::from_str(json).unwrap();
        assert_eq!((load.per_second(), load.messages_per_write()), (5.0, Some(25.0)));
        assert_eq!(load.latency.unwrap().p99_us, 3.0);
        let without = json.replace("\"broker_usage\":{", "\"broker_usage\":null,\"other\":{");
        let load: Load = serde_json::from_str(&without).unwrap();
        assert!(load.broker_usage.is_none());
    }

    #[test]
    fn the_other_reports_are_understood() {
        let json = r#"[{"records_per_sync":1,"syncs_per_second":1.0,"records_per_second":1.0,"megabytes_per_second":1.0,
            "fdatasync":{"p50_us":1.0,"p99_us":2.0,"max_us":3.0}}]"#;
        assert_eq!(serde_json::from_str::<Vec<DiskPoint>>(json).unwrap().len(), 1);
        let json = r#"{"broker":"b","messages":9,"size":16,"persistent":true,"idle_resident_bytes":1,
            "fill":{"seconds":1.0,"per_second":9.0,"cpu_us_per_message":1.0,"resident_bytes_max":2},
            "waiting_resident_bytes":3,"drain":null,"after_resident_bytes":null}"#;
        assert_eq!(serde_json::from_str::<Backlog>(json).unwrap().fill.per_second, 9.0);
        let json = r#"{"broker":"b","kind":"queues","count":5,"per_second":2.0,"cpu_us_each":1.0,"rss_before_bytes":1,
            "rss_after_bytes":2,"bytes_each":0.2,"idle_cpu_percent":0.0}"#;
        assert_eq!(serde_json::from_str::<Count>(json).unwrap().count, 5);
        let json = r#"{"broker":"b","kind":"channels","per_second":2.0,"cpu_us_each":null,
            "latency":{"p50_us":1.0,"p99_us":2.0,"max_us":3.0}}"#;
        assert_eq!(serde_json::from_str::<Churn>(json).unwrap().latency.max_us, 3.0);
    }

    #[test]
    fn a_program_that_fails_or_says_something_else_is_an_error() {
        assert!(json_of::<Churn>(&mut Command::new("false")).is_err());
        assert!(json_of::<u32>(Command::new("echo").arg("no number")).is_err());
        assert_eq!(json_of::<u32>(Command::new("echo").arg("7")).unwrap(), 7);
    }
}
