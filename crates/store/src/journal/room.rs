//! How much waits to be written, and who waits for it to become less.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_engine::journal::Waiter;
use parking_lot::Mutex;

use crate::limits::UNWRITTEN_BYTES_MAX;

/// How much waits to be written, by the journal and as blobs.
#[derive(Default)]
pub struct Room {
    unwritten_bytes: AtomicU64,
    waiters: Mutex<Vec<Arc<dyn Waiter>>>,
}

impl Room {
    /// So many bytes are about to come. Said before anybody could write them and give them back.
    pub fn take(&self, bytes: u64) {
        self.unwritten_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// So many bytes have been written, or given up.
    pub fn give_back(&self, bytes: u64) {
        let before = self.unwritten_bytes.fetch_sub(bytes, Ordering::AcqRel);
        debug_assert!(before >= bytes, "{bytes} bytes are given back of {before}");
        if self.is_full() {
            return;
        }
        let waiters = std::mem::take(&mut *self.waiters.lock());
        for waiter in waiters {
            waiter.wake();
        }
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn unwritten_bytes(&self) -> u64 {
        self.unwritten_bytes.load(Ordering::Acquire)
    }

    /// Whether publishers should wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.unwritten_bytes() > UNWRITTEN_BYTES_MAX
    }

    /// Wakes `waiter` once, when there is room; at once if there is.
    pub fn when_room(&self, waiter: Arc<dyn Waiter>) {
        {
            // Who gives back looks for waiters afterwards, so that one who finds it full under this lock is found.
            let mut waiters = self.waiters.lock();
            if self.is_full() {
                waiters.push(waiter);
                return;
            }
        }
        waiter.wake();
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("unwritten_bytes", &self.unwritten_bytes()).finish_non_exhaustive()
    }
}
