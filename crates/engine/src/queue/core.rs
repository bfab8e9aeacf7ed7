//! The pure core of a queue. Its methods are called with the queue's lock held: no IO, no waiting, bounded work.

use std::sync::Arc;

use crate::effects::Effects;
use crate::journal::{Lsn, Record, SeqRange};
use crate::limits::MESSAGES_A_HOLD_MAX;
use crate::names::ConsumerKey;
use crate::outlet::{DeliveryBatch, Messages, ParkReason, Parked, Pick, Planned};
use crate::publish::Publication;
use crate::queue::arguments::{Overflow, QueueArguments};
use crate::queue::consumers::{Consumer, Consumers, NewConsumer};
use crate::queue::ready::{Entry, ReadyList, Stored};
use crate::queue::{Counts, Queue};

/// Messages, consumers and counts of one queue.
#[derive(Debug, Default)]
pub(super) struct QueueCore {
    ready: ReadyList,
    consumers: Consumers,
    unacked: usize,
    /// Position of the last message taken.
    last_seq: u64,
    deleted: bool,
}

/// A delivery that is settled.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    /// The consumer it was for; none for a get.
    pub consumer: Option<ConsumerKey>,
    /// Its position.
    pub seq: u64,
    /// Whether the journal has it.
    pub stored: Stored,
    /// Bytes of its body.
    pub bytes: u64,
}

/// Why a consumer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumeRefused {
    /// An exclusive consumer is there, or others are where this one wants to be exclusive.
    ExclusiveUse,
    /// The queue was deleted meanwhile.
    Deleted,
}

impl QueueCore {
    pub(super) fn counts(&self) -> Counts {
        Counts { ready: self.ready.len(), unacked: self.unacked, consumers: self.consumers.len() }
    }

    pub(super) fn publish(
        &mut self,
        queue: &Arc<Queue>,
        items: &mut [Publication<'_>],
        picks: &[u32],
        effects: &mut Effects,
    ) -> Lsn {
        let mut end = Lsn::default();
        if self.deleted {
            return end;
        }
        let mut planned = std::mem::take(&mut effects.picks);
        for &pick in picks {
            let Some(item) = items.get_mut(pick as usize) else { continue };
            if self.refuses(&queue.settings, item.bytes()) {
                item.rejected = true;
                continue;
            }
            self.last_seq += 1;
            let seq = self.last_seq;
            if let (Some(body), true) = (item.journaled, queue.durable) {
                let bytes = item.bytes() as u64;
                let enqueue =
                    Record::Enqueue { queue: queue.id, first_seq: seq, bodies: &[body], bytes, transient: false };
                end = queue.journal.append(&enqueue);
            }
            let turn = if self.ready.is_empty() { self.take_turn(queue, item.bytes(), effects) } else { None };
            match turn {
                Some(slot) => planned.push(Pick { slot, item: pick, seq, stored: stored(item) }),
                None => self.ready.push_back(Entry { seq, deliveries: 0, stored: stored(item), message: item.keep() }),
            }
        }
        if self.consumers.len() > 1 {
            planned.sort_by_key(|pick| self.consumers.outlet_id(pick.slot));
        }
        for run in planned.chunk_by(|a, b| self.consumers.share_outlet(a.slot, b.slot)) {
            self.hand_over(queue, Messages::Incoming { items, picks: run }, effects);
        }
        for pick in &planned {
            let settled = self.handed_over(pick.slot);
            if settled && queue.durable {
                self.journal_settled(queue, &[pick.seq]);
            }
        }
        planned.clear();
        effects.picks = planned;
        self.drop_head(queue);
        end
    }

    /// Whether a message of `bytes` is refused for want of room (x-overflow reject-publish): judged before anybody gets it.
    fn refuses(&self, settings: &QueueArguments, bytes: usize) -> bool {
        settings.overflow != Overflow::DropHead && self.exceeds(settings, 1, bytes)
    }

    /// Whether the ready messages and so many more, with so many bytes, are over a limit.
    fn exceeds(&self, settings: &QueueArguments, more: usize, more_bytes: usize) -> bool {
        let over = |max: Option<u64>, have: usize| max.is_some_and(|max| have as u64 > max);
        over(settings.max_length, self.ready.len() + more)
            || over(settings.max_length_bytes, self.ready.body_bytes() + more_bytes)
    }

    /// Drops ready messages from the head until the queue is within its limits (x-overflow drop-head).
    fn drop_head(&mut self, queue: &Queue) {
        if queue.settings.overflow != Overflow::DropHead {
            return;
        }
        while self.exceeds(&queue.settings, 0, 0) {
            let Some(entry) = self.ready.pop_first() else { return };
            self.journal_settled(queue, &[entry.seq]);
        }
    }

    /// Whose turn it is, noting those that have to wait for their channel.
    fn take_turn(&mut self, queue: &Arc<Queue>, bytes: usize, effects: &mut Effects) -> Option<u32> {
        self.consumers.take_turn(bytes, |key, consumer: &Consumer, reason: ParkReason| {
            let parked = Parked { queue: Arc::clone(queue), key, reason };
            effects.parked.push((Arc::clone(&consumer.outlet), parked));
        })
    }

    /// Gives messages to the consumers of one outlet.
    fn hand_over(&self, queue: &Arc<Queue>, messages: Messages<'_, '_>, effects: &mut Effects) {
        let Some(outlet) = messages.first_slot().and_then(|slot| self.consumers.outlet(slot)) else { return };
        if outlet.deliver(DeliveryBatch { queue, consumers: &self.consumers, messages }) {
            effects.wakes.push(Arc::clone(outlet));
        }
    }

    /// Books one delivery to the consumer in `slot`. Says whether it is settled by that (no acknowledgement).
    fn handed_over(&mut self, slot: u32) -> bool {
        let no_ack = self.consumers.plan_done(slot);
        self.unacked += usize::from(!no_ack);
        no_ack
    }

    /// Delivers a batch of ready messages; true when there may be more to deliver.
    pub(super) fn deliver(&mut self, queue: &Arc<Queue>, effects: &mut Effects) -> bool {
        let mut planned = std::mem::take(&mut effects.planned);
        while planned.len() < MESSAGES_A_HOLD_MAX {
            let Some(first) = self.ready.first() else { break };
            let bytes = usize::try_from(first.message.body_len()).unwrap_or(usize::MAX);
            let Some(slot) = self.take_turn(queue, bytes, effects) else { break };
            let Some(entry) = self.ready.pop_first() else { break };
            planned.push(Planned { slot, entry });
        }
        let more = planned.len() == MESSAGES_A_HOLD_MAX;
        if self.consumers.len() > 1 {
            planned.sort_by_key(|planned| self.consumers.outlet_id(planned.slot));
        }
        for run in planned.chunk_by(|a, b| self.consumers.share_outlet(a.slot, b.slot)) {
            self.hand_over(queue, Messages::Ready(run), effects);
        }
        for Planned { slot, entry } in &planned {
            let settled = self.handed_over(*slot);
            if settled && queue.durable {
                self.journal_settled(queue, &[entry.seq]);
            }
        }
        planned.clear();
        effects.planned = planned;
        more
    }

    pub(super) fn add_consumer(&mut self, new: NewConsumer) -> Result<ConsumerKey, ConsumeRefused> {
        if self.deleted {
            return Err(ConsumeRefused::Deleted);
        }
        if self.consumers.has_exclusive() || (new.exclusive && self.consumers.len() > 0) {
            return Err(ConsumeRefused::ExclusiveUse);
        }
        Ok(self.consumers.add(new))
    }

    pub(super) fn resume(&mut self, key: ConsumerKey) {
        self.consumers.resume(key);
    }

    /// Removes a consumer; true when it was the last.
    pub(super) fn remove_consumer(&mut self, key: ConsumerKey) -> bool {
        self.consumers.remove(key).is_some() && self.consumers.len() == 0
    }

    pub(super) fn get(&mut self, no_ack: bool) -> Option<(Entry, usize)> {
        let entry = self.ready.pop_first()?;
        if !no_ack {
            self.unacked += 1;
        }
        Some((entry, self.ready.len()))
    }

    /// Takes deliveries off the books; true when ready messages may go out now.
    pub(super) fn settle(&mut self, queue: &Queue, settled: &[Settled]) -> bool {
        if self.deleted {
            return false;
        }
        self.unacked = self.unacked.saturating_sub(settled.len());
        for run in settled.chunk_by(|a, b| a.consumer == b.consumer) {
            if let Some(key) = run.first().and_then(|settled| settled.consumer) {
                self.consumers.give_back(key, u32::try_from(run.len()).unwrap_or(u32::MAX));
            }
        }
        if queue.durable {
            let seqs: Vec<u64> = settled.iter().map(|settled| settled.seq).collect();
            self.journal_settled(queue, &seqs);
        }
        !self.ready.is_empty()
    }

    /// Writes down that messages are gone from the queue.
    pub(super) fn journal_settled(&self, queue: &Queue, seqs: &[u64]) {
        if queue.durable {
            let ranges: Vec<SeqRange> = seqs.iter().map(|&seq| SeqRange { first: seq, last: seq }).collect();
            queue.journal.append(&Record::Settle { queue: queue.id, ranges: &ranges, bytes: 0, transient: false });
        }
    }

    pub(super) fn requeue(&mut self, queue: &Queue, returned: impl IntoIterator<Item = (Option<ConsumerKey>, Entry)>) {
        if self.deleted {
            return;
        }
        for (consumer, mut entry) in returned {
            self.unacked = self.unacked.saturating_sub(1);
            entry.deliveries += 1;
            self.ready.put_back(entry);
            if let Some(key) = consumer {
                self.consumers.give_back(key, 1);
            }
        }
        self.drop_head(queue);
    }

    pub(super) fn purge(&mut self, queue: &Queue) -> usize {
        let count = self.ready.len();
        let seqs: Vec<u64> = self.ready.clear().map(|entry| entry.seq).collect();
        self.journal_settled(queue, &seqs);
        count
    }

    /// Empties the queue for good and tells its consumers.
    pub(super) fn close(&mut self, effects: &mut Effects) {
        self.deleted = true;
        drop(self.ready.clear());
        self.unacked = 0;
        for consumer in self.consumers.drain() {
            if consumer.outlet.cancelled(&consumer.tag) {
                effects.wakes.push(consumer.outlet);
            }
        }
    }
}

/// Whether the journal has a message that was just published.
fn stored(item: &Publication<'_>) -> Stored {
    if item.journaled.is_some() { Stored::Persistent } else { Stored::No }
}
