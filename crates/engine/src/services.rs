//! What all queues and exchanges of a broker share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use crate::admission::NodeCounts;
use crate::clock::Clock;
use crate::counters::{Churn, GoneQueues};
use crate::interceptors::Interceptors;
use crate::journal::Journal;
use crate::memory::MemoryBudget;
use crate::notices::Notices;
use crate::queue::arguments::QueueType;
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
    /// What comes and goes.
    pub churn: Churn,
    /// What happened in queues that are gone.
    pub gone: GoneQueues,
    /// How many connections and channels there are, and may be.
    pub node: NodeCounts,
    default_queue_type: RwLock<QueueType>,
    relaxed_queue_types: AtomicBool,
    /// Milliseconds; the highest number for none.
    consumer_timeout_ms: AtomicU64,
    interceptors: OnceLock<Interceptors>,
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
            node: NodeCounts::default(),
            default_queue_type: RwLock::default(),
            relaxed_queue_types: AtomicBool::new(false),
            consumer_timeout_ms: AtomicU64::new(u64::MAX),
            interceptors: OnceLock::new(),
            churn: Churn::default(),
            gone: GoneQueues::default(),
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

    /// What queues are from now on that do not say it, in vhosts that do not say it either.
    pub fn set_default_queue_type(&self, queue_type: QueueType) {
        *self.default_queue_type.write() = queue_type;
    }

    /// What queues are that do not say it, in vhosts that do not say it either.
    #[must_use]
    pub fn default_queue_type(&self) -> QueueType {
        *self.default_queue_type.read()
    }

    /// How long deliveries may stay unacknowledged where neither the consumer nor the queue says it; none, as at first, for ever.
    pub fn set_consumer_timeout_ms(&self, limit_ms: Option<u64>) {
        self.consumer_timeout_ms.store(limit_ms.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long deliveries may stay unacknowledged where neither the consumer nor the queue says it.
    #[must_use]
    pub fn consumer_timeout_ms(&self) -> Option<u64> {
        Some(self.consumer_timeout_ms.load(Ordering::Relaxed)).filter(|limit| *limit != u64::MAX)
    }

    /// Whether a queue may be declared again as of another type from now on; it stays what it is.
    pub fn set_relaxed_queue_types(&self, relaxed: bool) {
        self.relaxed_queue_types.store(relaxed, Ordering::Relaxed);
    }

    pub(crate) fn has_relaxed_queue_types(&self) -> bool {
        self.relaxed_queue_types.load(Ordering::Relaxed)
    }

    /// Has this written into messages that come in. What is said first stays, and has to be said before the first connection.
    pub fn set_interceptors(&self, interceptors: Interceptors) {
        let _ = self.interceptors.set(interceptors);
    }

    /// What is written into messages that come in; none is nothing.
    #[must_use]
    pub fn interceptors(&self) -> Option<Interceptors> {
        self.interceptors.get().copied().filter(|interceptors| !interceptors.is_empty())
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
