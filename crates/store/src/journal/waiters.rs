//! Who waits for a position to become durable, and the committer's thread, which waits for somebody to wait.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leveret_engine::journal::Waiter;
use parking_lot::{Condvar, Mutex, MutexGuard};

/// What the committer's thread is waiting for.
#[derive(Default)]
pub struct Waiters {
    state: Mutex<State>,
    changed: Condvar,
    /// The committer's thread has gone to sleep for long: what is appended must wake it.
    asleep: AtomicBool,
}

#[derive(Default)]
pub struct State {
    waiting: Vec<(u64, Arc<dyn Waiter>)>,
    nudged: bool,
}

impl Waiters {
    /// Wakes `waiter` once `durable()` has reached `position`.
    pub fn register(&self, position: u64, waiter: Arc<dyn Waiter>, durable: impl Fn() -> u64) {
        {
            let mut state = self.state.lock();
            // A commit publishes what is durable before it looks for waiters under this lock.
            if durable() < position {
                state.waiting.push((position, waiter));
                drop(state);
                self.changed.notify_one();
                return;
            }
        }
        waiter.wake();
    }

    /// Wakes those who wait for no more than `durable`.
    pub fn wake_through(&self, durable: u64) {
        let ready: Vec<_> = self.state.lock().waiting.extract_if(.., |(position, _)| *position <= durable).collect();
        for (_, waiter) in ready {
            waiter.wake();
        }
    }

    /// Something was appended where nothing was, or much.
    pub fn appended(&self, much: bool) {
        if much || self.asleep.load(Ordering::Acquire) {
            // The lock is taken so that the thread is either before its look at what was appended, or already waiting.
            drop(self.state.lock());
            self.changed.notify_one();
        }
    }

    /// Lets the committer's thread return.
    pub fn nudge(&self) {
        self.state.lock().nudged = true;
        self.changed.notify_one();
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Sleeps until something changes or the time has come.
    pub fn sleep(&self, state: &mut MutexGuard<'_, State>, until: Instant) {
        self.changed.wait_until(state, until);
    }

    /// While this is set, anything that is appended ends a sleep.
    pub fn set_asleep(&self, asleep: bool) {
        self.asleep.store(asleep, Ordering::Release);
    }
}

impl State {
    /// Whether anybody waits.
    pub const fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether somebody wants the thread back; asked once.
    pub const fn take_nudge(&mut self) -> bool {
        std::mem::replace(&mut self.nudged, false)
    }
}

/// `from` and so many milliseconds.
pub fn after_ms(from: Instant, ms: u64) -> Instant {
    // What cannot be said is as good as never.
    from.checked_add(Duration::from_millis(ms)).unwrap_or_else(|| from + Duration::from_hours(24))
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").field("waiting", &self.state.lock().waiting.len()).finish_non_exhaustive()
    }
}
