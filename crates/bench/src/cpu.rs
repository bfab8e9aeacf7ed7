//! CPU time and memory of a process, from Linux's `/proc`.
//!
//! `/proc/PID/stat` counts in ticks of 10 ms but remembers threads that have ended; `/proc/PID/task/*/schedstat` counts
//! in nanoseconds but only living threads. The finer one is used unless it has visibly lost a thread.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

/// One tick of `/proc/PID/stat`: `USER_HZ` is 100 on every architecture that Linux has today.
const TICK_US: u64 = 10_000;
/// User and system time are each cut to a whole tick, at both ends of a span.
const TICKS_OF_ERROR: u64 = 4;

/// CPU time that a process has used so far.
#[derive(Clone, Debug, Default)]
pub struct CpuSample {
    stat_us: u64,
    thread_ns: BTreeMap<u32, u64>,
}

impl CpuSample {
    /// Reads the counters of process `pid`.
    ///
    /// # Errors
    /// When there is no such process, or no Linux `/proc`.
    pub fn take(pid: u32) -> Result<Self> {
        let process = Path::new("/proc").join(pid.to_string());
        let stat = fs::read_to_string(process.join("stat"))
            .with_context(|| format!("cannot read the CPU time of process {pid}"))?;
        let stat_us = parse_stat_us(&stat).with_context(|| format!("/proc/{pid}/stat is not understood"))?;
        let mut thread_ns = BTreeMap::new();
        for thread in fs::read_dir(process.join("task"))?.flatten() {
            // A thread may end between the listing and the reading.
            let Ok(schedstat) = fs::read_to_string(thread.path().join("schedstat")) else {
                continue;
            };
            let id = thread.file_name().to_str().and_then(|name| name.parse().ok());
            if let (Some(id), Some(ns)) = (id, parse_schedstat_ns(&schedstat)) {
                thread_ns.insert(id, ns);
            }
        }
        Ok(Self { stat_us, thread_ns })
    }

    /// Microseconds of CPU, user and system, used since `earlier`.
    pub fn us_since(&self, earlier: &Self) -> f64 {
        let stat_us = self.stat_us.saturating_sub(earlier.stat_us);
        let sched_ns: u64 = self
            .thread_ns
            .iter()
            .map(|(id, ns)| ns.saturating_sub(earlier.thread_ns.get(id).copied().unwrap_or(0)))
            .sum();
        let sched_us = sched_ns as f64 / 1e3;
        let lost_a_thread = stat_us as f64 > sched_us + (TICKS_OF_ERROR * TICK_US) as f64;
        if lost_a_thread { stat_us as f64 } else { sched_us }
    }
}

/// How often the broker's committing thread has written: Linux counts the write calls of each thread. `None` when no
/// thread of the process is named for committing, or nobody may look.
pub fn commits(pid: u32) -> Option<u64> {
    const NAME_PART: &str = "commit";
    let tasks = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")).ok()?;
    let is_committer = |task: &Path| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.contains(NAME_PART));
    let committer = tasks.flatten().map(|task| task.path()).find(|task| is_committer(task))?;
    parse_writes(&fs::read_to_string(committer.join("io")).ok()?)
}

/// Resident memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Resident now, in bytes.
    pub resident_bytes: u64,
    /// The most that was ever resident, in bytes.
    pub resident_bytes_max: u64,
}

impl Memory {
    /// Reads the memory of process `pid`.
    ///
    /// # Errors
    /// When there is no such process, or no Linux `/proc`.
    pub fn take(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .with_context(|| format!("cannot read the memory of process {pid}"))?;
        Ok(parse_status(&status))
    }
}

/// User and system time out of `/proc/PID/stat`. The command name before them may hold spaces and brackets.
fn parse_stat_us(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    // The state that follows the name is field 3 of proc(5), utime is field 14 and stime the next.
    let mut times = fields.split_ascii_whitespace().skip(14 - 3);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some((user + system) * TICK_US)
}

/// Time on a CPU out of a `schedstat` line: running, waiting, time slices.
fn parse_schedstat_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

/// Write calls out of `/proc/PID/task/TID/io`.
fn parse_writes(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("syscw: "))?.trim().parse().ok()
}

fn parse_status(status: &str) -> Memory {
    let bytes = |key| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    };
    Memory { resident_bytes: bytes("VmRSS:").unwrap_or(0), resident_bytes_max: bytes("VmHWM:").unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn stat_is_read_behind_a_hostile_command_name() {
        let stat = "4242 (beam) S 1 (x) R 1 4242 4242 0 -1 4194304 900 0 3 0 151 49 7 8 20 0 30 0 99 1 2";
        assert_eq!(parse_stat_us(stat), Some(2_000_000));
        assert_eq!(parse_stat_us("4242 (beam) S 1 2 3"), None);
        assert_eq!(parse_stat_us(""), None);
    }

    #[test]
    fn schedstat_and_status_are_read() {
        assert_eq!(parse_schedstat_ns("1234567890 55 7\n"), Some(1_234_567_890));
        assert_eq!(parse_schedstat_ns("\n"), None);
        let status = "Name:\tbeam\nVmHWM:\t    2048 kB\nVmRSS:\t    1000 kB\nThreads:\t3\n";
        let memory = Memory { resident_bytes: 1_024_000, resident_bytes_max: 2_097_152 };
        assert_eq!(parse_status(status), memory);
        assert_eq!(parse_status("Name:\tkthreadd\n"), Memory::default());
        assert_eq!(parse_writes("rchar: 5\nwchar: 6\nsyscr: 7\nsyscw: 88\nread_bytes: 0\n"), Some(88));
        assert_eq!(parse_writes("rchar: 5\n"), None);
    }

    fn sample(stat_us: u64, threads: &[(u32, u64)]) -> CpuSample {
        CpuSample { stat_us, thread_ns: threads.iter().copied().collect() }
    }

    #[test]
    fn the_finer_counter_is_used_and_new_threads_count_from_zero() {
        let before = sample(100_000, &[(1, 5_000), (2, 95_000_000)]);
        let after = sample(130_000, &[(1, 9_000), (2, 115_000_000), (3, 7_000)]);
        assert_eq!(after.us_since(&before), 20_011.0);
    }

    #[test]
    fn a_thread_that_ended_is_not_forgotten() {
        let before = sample(100_000, &[(1, 5_000), (2, 95_000_000)]);
        let after = sample(900_000, &[(1, 9_000)]);
        assert_eq!(after.us_since(&before), 800_000.0);
    }

    #[test]
    fn this_process_is_seen_to_work() {
        let before = CpuSample::take(std::process::id()).unwrap();
        let start = Instant::now();
        let used_us = || CpuSample::take(std::process::id()).unwrap().us_since(&before);
        while used_us() < 10_000.0 {
            assert!(start.elapsed() < Duration::from_secs(20), "{} us seen", used_us());
        }
        assert!(Memory::take(std::process::id()).unwrap().resident_bytes > 100_000);
        assert!(CpuSample::take(u32::MAX).is_err());
    }
}
