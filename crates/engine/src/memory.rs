//! How much memory the waiting messages of all queues take, and how much they may take.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{BEYOND_PART, LITTLE_PART};

/// Shared by all queues of a broker. It decides when messages leave memory; it refuses nothing.
#[derive(Debug)]
pub struct MemoryBudget {
    resident_bytes: AtomicU64,
    limit_bytes: u64,
}

/// Without a limit.
impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

impl MemoryBudget {
    /// Nothing is taken yet.
    #[must_use]
    pub fn new(limit_bytes: u64) -> Self {
        Self { resident_bytes: AtomicU64::new(0), limit_bytes }
    }

    /// Bytes taken by ready messages in memory, as far as queues have told: each tells in lumps.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.resident_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that may be taken.
    #[must_use]
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Whether nothing is left of it for a queue that takes `held_bytes`. Who takes little may go beyond: what a queue without a
    /// reader piles up shall not send the messages of all others through the journal.
    #[must_use]
    pub fn is_used_up(&self, held_bytes: u64) -> bool {
        let takes_little = held_bytes < self.limit_bytes / LITTLE_PART;
        let beyond_bytes = if takes_little { self.limit_bytes / BEYOND_PART } else { 0 };
        self.resident_bytes() >= self.limit_bytes.saturating_add(beyond_bytes)
    }

    /// A queue that took `before` bytes takes `now`.
    pub(crate) fn shift(&self, before: u64, now: u64) {
        if now >= before {
            self.resident_bytes.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.resident_bytes.fetch_sub(before - now, Ordering::Relaxed);
        }
    }
}
