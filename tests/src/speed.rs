//! Times that are promised, on machines that may be slow or busy with others.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::broker::{Broker, binary};

/// How often something is tried until it takes no longer than is promised: the best attempt counts. The fewest are for
/// what takes long.
const ATTEMPTS: RangeInclusive<usize> = 5..=30;
const TRYING_MAX: Duration = Duration::from_secs(20);
/// A machine on which no attempt did it is slow if the program needs more than this part of the promised time to say its
/// version. Then so many such runs are what was promised.
const RUNS: u32 = 40;

/// Tries until one attempt took no longer than this, scaled by how slow the machine is if none does.
pub fn assert_within(promised: Duration, what: &str, mut attempt: impl FnMut() -> Duration) {
    let mut fastest = Duration::MAX;
    let mut fastest_run = Duration::MAX;
    let begin = Instant::now();
    for number in 1..=*ATTEMPTS.end() {
        if number > *ATTEMPTS.start() && begin.elapsed() > TRYING_MAX {
            break;
        }
        fastest = fastest.min(attempt());
        if fastest <= promised {
            println!("{what}: {fastest:?}");
            return;
        }
        fastest_run = fastest_run.min(time_of_a_run());
    }
    let limit = promised.max(fastest_run * RUNS);
    println!("{what}: {fastest:?}, on a machine that needs {fastest_run:?} to run the program at all");
    assert!(fastest <= limit, "{what}: {fastest:?} at best, {promised:?} promised, {limit:?} on this machine");
}

/// How long the program takes to start and to end.
fn time_of_a_run() -> Duration {
    let mut command = Command::new(binary().expect("there is a broker to test"));
    let begin = Instant::now();
    let status = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status().expect("it can be run");
    assert!(status.success(), "{status}");
    begin.elapsed()
}

/// A watch for the start of a broker that stands still while this thread or the broker's first one, which does what is done
/// at a start, waits for a processor: on a busy machine others have them most of the time.
#[derive(Debug)]
pub struct Stopwatch {
    begin: Instant,
    waited: Duration,
}

impl Stopwatch {
    /// Begins now.
    #[expect(clippy::new_without_default, reason = "time begins to pass")]
    pub fn new() -> Stopwatch {
        Stopwatch { begin: Instant::now(), waited: waited_by_this_thread() }
    }

    /// The time since then, but for what was waited by this thread or by a broker that was started since then.
    pub fn until(&self, broker: &Broker) -> Duration {
        let elapsed = self.begin.elapsed();
        let by_broker = broker.pid().map_or(Duration::ZERO, |pid| waited(&Path::new("/proc").join(pid.to_string())));
        // They may have waited at once, so that both together would be too much.
        elapsed.saturating_sub(by_broker.max(waited_by_this_thread().saturating_sub(self.waited)))
    }
}

/// How long this thread was ready to run and had no processor.
fn waited_by_this_thread() -> Duration {
    waited(Path::new("/proc/thread-self"))
}

/// The second number of such a file is nanoseconds on a run queue. Zero where the system does not tell.
fn waited(thread: &Path) -> Duration {
    let text = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let waited_ns = text.split_whitespace().nth(1).and_then(|field| field.parse().ok());
    Duration::from_nanos(waited_ns.unwrap_or(0))
}
