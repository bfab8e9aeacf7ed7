//! The memory of the process.
//!
//! The allocator keeps what a thread has freed for that thread, and gives it back to the system only while the thread goes on
//! allocating. A broker that has worked off a backlog and falls quiet would keep what the backlog took: so each thread that has
//! fallen idle is asked to look after its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeMetrics};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often the workers are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Workers that are busy for less than this part of an interval have fallen quiet.
const QUIET_PART: u32 = 50;

/// How long a worker waits for the others to be looked after too.
const PATIENCE: Duration = Duration::from_millis(5);

/// How long it sleeps meanwhile.
const NAP: Duration = Duration::from_micros(100);

/// Has each worker of the runtime give back its memory whenever the broker has fallen quiet.
pub(crate) async fn tidy() -> Infallible {
    let runtime = Handle::current();
    let mut interval = tokio::time::interval(INTERVAL);
    let mut before = Duration::ZERO;
    let mut owing = false;
    loop {
        interval.tick().await;
        collect(false);
        let busy = busy(&runtime.metrics());
        let quiet = busy.saturating_sub(before) < INTERVAL / QUIET_PART;
        before = busy;
        if owing && quiet {
            visit_workers(&runtime);
        }
        owing = !quiet;
    }
}

fn busy(metrics: &RuntimeMetrics) -> Duration {
    (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum()
}

/// Each worker has its heap: a task for each, none of which ends before all have begun, so that no worker takes two.
fn visit_workers(runtime: &Handle) {
    let workers = runtime.metrics().num_workers();
    let visited = Arc::new(AtomicUsize::new(0));
    for _ in 0..workers {
        let visited = Arc::clone(&visited);
        runtime.spawn(async move {
            release_memory();
            visited.fetch_add(1, Ordering::AcqRel);
            let begun = Instant::now();
            while visited.load(Ordering::Acquire) < workers && begun.elapsed() < PATIENCE {
                thread::sleep(NAP);
            }
        });
    }
}

/// Gives back to the system all that the calling thread has freed.
pub(crate) fn release_memory() {
    collect(true);
}

/// Gives back what the calling thread has freed, and what has been free in the whole process for long enough; all of it at
/// once by `force`.
#[cfg(feature = "mimalloc")]
#[expect(unsafe_code, reason = "the allocator's own function, which the safe crate does not offer")]
fn collect(force: bool) {
    // SAFETY: may be called by any thread at any time, and looks only after that thread's heap and what no thread owns.
    unsafe { libmimalloc_sys::mi_collect(force) }
}

/// Other allocators look after themselves.
#[cfg(not(feature = "mimalloc"))]
fn collect(_force: bool) {}
