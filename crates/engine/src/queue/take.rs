//! Messages that those who administer take out of a queue, wherever in it they are: to drop them, or to put them elsewhere.
//!
//! What is taken is in nobody's hands but the taker's, and counts as unacknowledged. The journal still has it, as it has what a
//! consumer has not settled: after a crash it is in its queue again. Taken is only what is ready at that moment: whatever a
//! consumer gets first is the consumer's.

use std::sync::Arc;

use crate::effects::Effects;
use crate::journal::Lsn;
use crate::limits::MESSAGES_A_HOLD_MAX;
use crate::queue::core::QueueCore;
use crate::queue::journaling::Settling;
use crate::queue::paging::Appetite;
use crate::queue::{Entry, Purged, Queue};

/// Messages that were taken out of a queue, in order of position. What is dropped of them unsettled is in the queue again, in
/// its place.
#[derive(Debug)]
pub struct InHand {
    queue: Arc<Queue>,
    entries: Vec<Entry>,
}

impl Queue {
    /// Takes those of `wanted` that are ready, as [`Queue::browse`] saw them, at most a hold's worth; none from a stream.
    #[must_use]
    pub fn take(self: &Arc<Self>, mut wanted: Vec<Entry>) -> InHand {
        wanted.truncate(MESSAGES_A_HOLD_MAX);
        let mut effects = Effects::default();
        let entries = match self.is_stream() {
            true => Vec::new(),
            false => self.core.lock().take(self, wanted, &mut effects),
        };
        effects.carry_out();
        InHand { queue: Arc::clone(self), entries }
    }
}

impl InHand {
    /// The queue that they are from.
    #[must_use]
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// The messages.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Gives back those whose place in [`InHand::entries`] is not in `kept`, which is in order.
    pub fn keep(&mut self, kept: &[usize]) {
        let mut place = 0;
        let others = self.entries.extract_if(.., |_| {
            place += 1;
            kept.binary_search(&(place - 1)).is_err()
        });
        let others = others.collect();
        self.queue.give_back(others);
    }

    /// They are gone from their queue for good. Says how many, and when that is durable.
    pub fn settle(mut self) -> Purged {
        let entries = std::mem::take(&mut self.entries);
        let mut effects = Effects::default();
        let lsn = self.queue.core.lock().let_go(&self.queue, &entries, &mut effects);
        effects.carry_out();
        Purged { messages: entries.len(), lsn }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.queue.give_back(std::mem::take(&mut self.entries));
    }
}

impl Queue {
    fn give_back(self: &Arc<Self>, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let mut effects = Effects::default();
        self.core.lock().give_back(self, entries, &mut effects);
        self.deliver(&mut effects);
        effects.carry_out();
    }
}

impl QueueCore {
    fn take(&mut self, queue: &Arc<Queue>, mut wanted: Vec<Entry>, effects: &mut Effects) -> Vec<Entry> {
        if self.deleted {
            return Vec::new();
        }
        wanted.sort_by_key(|entry| entry.seq);
        wanted.dedup_by_key(|entry| entry.seq);
        let seqs: Vec<u64> = wanted.iter().map(|entry| entry.seq).collect();
        let mut taken = self.ready.remove(&seqs);
        let mut is_taken: Vec<u64> = taken.iter().map(|entry| entry.seq).collect();
        is_taken.sort_unstable();
        for entry in wanted {
            if is_taken.binary_search(&entry.seq).is_err()
                && self.ready.remove_paged(entry.seq, entry.message.body_len(), entry.stored)
            {
                taken.push(entry);
            }
        }
        taken.sort_by_key(|entry| entry.seq);
        self.unacked += taken.len();
        self.unacked_bytes += taken.iter().map(|entry| entry.message.body_len()).sum::<u64>();
        // Who takes from the middle has read it already: nothing has to be read ahead for it.
        self.end_hold(queue, Appetite::Idle, effects);
        taken
    }

    /// What was taken is gone for good.
    fn let_go(&mut self, queue: &Arc<Queue>, entries: &[Entry], effects: &mut Effects) -> Lsn {
        if self.deleted {
            return Lsn::default();
        }
        let mut settling = Settling::default();
        for entry in entries {
            self.take_back(None, entry.message.body_len());
            settling.add(entry.seq, entry.message.body_len(), entry.stored);
        }
        let lsn = settling.write(queue);
        self.end_hold(queue, Appetite::Idle, effects);
        lsn
    }

    /// What was taken is ready again, as if nothing had happened.
    fn give_back(&mut self, queue: &Arc<Queue>, entries: Vec<Entry>, effects: &mut Effects) {
        if self.deleted {
            return;
        }
        let is_loading = self.paging.is_loading();
        for entry in entries {
            self.take_back(None, entry.message.body_len());
            self.note_expiry(entry.expires_ms);
            self.ready.put_in_place(entry, is_loading);
        }
        let shed = self.shed(queue, effects);
        self.end_hold(queue, shed, effects);
    }
}
