//! What those who administer are told of a queue beside its report.

use crate::counters::Tally;
use crate::names::Name;
use crate::queue::Queue;

/// The persistent messages of a queue. Who holds the queue's lock changes it, once a hold.
#[derive(Debug, Default)]
pub(super) struct Persistent {
    messages: Tally,
    bytes: Tally,
}

/// A queue at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFacts {
    /// Messages that survive a restart, ready or not.
    pub persistent: u64,
    /// Bytes of their bodies.
    pub persistent_bytes: u64,
    /// Ready messages that are in memory.
    pub resident: usize,
    /// Messages that are neither ready nor delivered: they came back and wait, or are dead letters that nobody takes.
    pub waiting: usize,
    /// The tag of the consumer that wants to be the only one.
    pub exclusive_consumer_tag: Option<Name>,
    /// The tag of the consumer that is served, where it is one at a time.
    pub single_active_consumer_tag: Option<Name>,
    /// How often a message may come back; none for any number.
    pub delivery_limit: Option<u32>,
    /// Nothing is delivered.
    pub paused: bool,
}

impl Persistent {
    pub(super) fn add(&self, messages: u64, bytes: u64) {
        self.messages.add(messages);
        self.bytes.add(bytes);
    }

    pub(super) fn remove(&self, messages: u64, bytes: u64) {
        self.messages.add(0u64.wrapping_sub(messages));
        self.bytes.add(0u64.wrapping_sub(bytes));
    }
}

impl Queue {
    /// What there is to tell of it now.
    #[must_use]
    pub fn facts(&self) -> QueueFacts {
        if self.is_stream() {
            let report = self.report();
            let (persistent, persistent_bytes) = (report.counts.ready as u64, report.ready_bytes);
            return QueueFacts { persistent, persistent_bytes, paused: self.is_paused(), ..QueueFacts::default() };
        }
        let core = self.core.lock();
        let waiting = core.waiting.len();
        // Should a message have been lost to a damaged disk, an empty queue is where the count is right again.
        let is_empty = core.ready.is_empty() && core.unacked == 0 && waiting == 0 && core.dying == 0;
        if is_empty {
            self.persistent.remove(self.persistent.messages.get(), self.persistent.bytes.get());
        }
        QueueFacts {
            persistent: self.persistent.messages.get(),
            persistent_bytes: self.persistent.bytes.get(),
            resident: core.ready.resident_len(),
            waiting,
            exclusive_consumer_tag: core.consumers.exclusive_tag(),
            single_active_consumer_tag: core.consumers.active_tag(),
            delivery_limit: core.rules.delivery_limit,
            paused: core.consumers.paused,
        }
    }
}
