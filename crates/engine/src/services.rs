//! What all queues and exchanges of a broker share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::journal::Journal;
use crate::memory::MemoryBudget;
use crate::notices::Notices;
use crate::timers::Timers;

/// One for each broker.
pub struct Services {
    /// Where durable things go, and messages that leave memory.
    pub journal: Arc<dyn Journal>,
    /// What waiting messages take of the memory.
    pub memory: MemoryBudget,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who is due when.
    pub timers: Timers,
    /// What the broker has to say about itself.
    pub notices: Notices,
    random: AtomicU64,
    policies_changed: AtomicU64,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl Services {
    /// Services with nothing due; `seed` begins the row of random numbers.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, memory: MemoryBudget, clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self {
            journal,
            memory,
            clock,
            timers: Timers::new(),
            notices: Notices::default(),
            random: AtomicU64::new(seed),
            policies_changed: AtomicU64::new(0),
        }
    }

    /// A number that nobody needs to be unable to guess (SplitMix64).
    #[must_use]
    pub fn random(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Rises with each change of policies.
    #[must_use]
    pub fn policies_changed(&self) -> u64 {
        self.policies_changed.load(Ordering::Relaxed)
    }

    pub(crate) fn note_policy_change(&self) {
        self.policies_changed.fetch_add(1, Ordering::Relaxed);
    }
}
