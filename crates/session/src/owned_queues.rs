//! The exclusive queues of a connection, which go with it.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use leveret_engine::names::QueueId;
use leveret_engine::queue::Queue;

/// Queues by id. Those deleted meanwhile are forgotten now and then, so that a connection may declare any number of them one
/// after the other.
#[derive(Default)]
pub(crate) struct OwnedQueues {
    queues: HashMap<QueueId, Arc<Queue>, RandomState>,
    /// When there are so many, the deleted ones are looked for.
    sweep_at: usize,
}

/// Fewer are never swept.
const SWEEP_MIN: usize = 64;

impl OwnedQueues {
    pub(crate) fn insert(&mut self, queue: &Arc<Queue>) {
        self.queues.insert(queue.id, Arc::clone(queue));
        if self.queues.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.queues.retain(|_, queue| !queue.is_deleted());
            self.sweep_at = 2 * self.queues.len();
        }
    }

    pub(crate) fn into_queues(self) -> impl Iterator<Item = Arc<Queue>> {
        self.queues.into_values()
    }
}
