//! What a thread of the store does with time on its hands.

use parking_lot::{Condvar, MutexGuard};

use crate::limits::IDLE_AFTER;

/// A thread that waits for work. When none has come for a while, it gives back the memory that it keeps for the next: an
/// allocator leaves that to the thread that asked for it.
#[derive(Debug)]
pub(crate) struct Idle {
    release_memory: fn(),
    released: bool,
}

impl Idle {
    pub(crate) fn new(release_memory: fn()) -> Self {
        Self { release_memory, released: true }
    }

    /// Waits, perhaps for nothing: who calls looks again at what it waits for.
    pub(crate) fn wait<T>(&mut self, changed: &Condvar, guard: &mut MutexGuard<'_, T>) {
        if self.released {
            changed.wait(guard);
        } else if changed.wait_for(guard, IDLE_AFTER).timed_out() {
            MutexGuard::unlocked(guard, || self.passed());
        }
    }

    /// There was something to do.
    pub(crate) fn worked(&mut self) {
        self.released = false;
    }

    /// A while has passed in which there was nothing to do.
    pub(crate) fn passed(&mut self) {
        if !self.released {
            (self.release_memory)();
            self.released = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn memory_is_given_back_once_after_work_whether_it_was_waited_for_or_not() {
        static RELEASED: AtomicUsize = AtomicUsize::new(0);
        let (mutex, changed) = (Mutex::new(()), Condvar::new());
        let mut idle = Idle::new(|| {
            RELEASED.fetch_add(1, Ordering::SeqCst);
        });
        for times in 1..=2 {
            // Work was there at once.
            idle.worked();
            while !idle.released {
                idle.wait(&changed, &mut mutex.lock());
            }
            idle.passed();
            assert_eq!(RELEASED.load(Ordering::SeqCst), times);
        }
    }
}
