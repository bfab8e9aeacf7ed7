//! How long a broker's threads wait for each other's locks, from outside and without a profiler.
//!
//! `/proc/PID/task/TID/syscall` tells whether a thread runs or in which call it waits. A thread that waits for one of the
//! broker's locks is in `futex` with the operation that parking_lot uses (`FUTEX_WAIT`); one that has nothing to do is in
//! `epoll_wait`, or in `futex` with the operation of the standard library (`FUTEX_WAIT_BITSET`), by which tokio parks its
//! workers. The store's own threads wait for work in parking_lot's way as well and are left out. The spinning before a wait
//! counts as running: it is part of the CPU time.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Often enough for a few hundred looks in a run; each costs the machine some 50 us.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How the store's threads are named.
const STORE_THREADS: &str = "store-";
const FUTEX: &str = if cfg!(target_arch = "x86_64") { "202" } else { "98" };
/// `FUTEX_WAIT | FUTEX_PRIVATE_FLAG`.
const WAIT_FOR_LOCK: &str = "0x80";

/// What the threads were seen doing.
#[derive(Default)]
struct Seen {
    running: u64,
    waiting: u64,
}

/// Does some work and tells how much of the time in which threads of a process had something to do they waited for a lock,
/// in percent; `None` where nobody may look.
pub fn watched<T>(pid: u32, work: impl FnOnce() -> T) -> (T, Option<f64>) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut seen = Seen::default();
            while !over.load(Ordering::Relaxed) {
                look(pid, &mut seen);
                thread::sleep(LOOK_INTERVAL);
            }
            seen
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        (done, looking.join().ok().and_then(|seen| seen.percent()))
    })
}

fn look(pid: u32, seen: &mut Seen) {
    let Ok(threads) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")) else { return };
    for thread in threads.flatten() {
        let read = |file: &str| fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        if !read("comm").starts_with(STORE_THREADS) {
            seen.note(&read("syscall"));
        }
    }
}

impl Seen {
    fn note(&mut self, syscall: &str) {
        let mut fields = syscall.split_ascii_whitespace();
        match (fields.next(), fields.nth(1)) {
            (Some("running"), _) => self.running += 1,
            (Some(FUTEX), Some(WAIT_FOR_LOCK)) => self.waiting += 1,
            _ => {}
        }
    }

    fn percent(&self) -> Option<f64> {
        let busy = self.running + self.waiting;
        (busy > 0).then(|| self.waiting as f64 / busy as f64 * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_lock_is_told_from_having_nothing_to_do() {
        let mut seen = Seen::default();
        assert_eq!(seen.percent(), None);
        let lock = format!("{FUTEX} 0x7fc896b1a5f0 0x80 0x1 0x0 0x0 0x0 0x7fc8 0x7fc8\n");
        let parked = format!("{FUTEX} 0x200002f04d0 0x89 0x0 0x0 0x0 0xffffffff 0x7ffe 0x7fc8\n");
        for syscall in
            ["running\n", "running\n", "running\n", &lock, &parked, "232 0x3 0x20 0x80 0xdc\n", "", "-1 0x7f 0x7f\n"]
        {
            seen.note(syscall);
        }
        assert_eq!(seen.percent(), Some(25.0));
    }

    #[test]
    fn a_busy_process_that_waits_for_nothing_shows_no_lock_wait() {
        let (sum, percent) = watched(std::process::id(), || {
            let begin = std::time::Instant::now();
            let mut sum = 0_u64;
            while begin.elapsed() < Duration::from_millis(60) {
                sum = sum.wrapping_add(std::hint::black_box(1));
            }
            sum
        });
        assert!(sum > 0);
        assert!(percent.is_none_or(|percent| percent < 100.0), "{percent:?}");
    }
}
