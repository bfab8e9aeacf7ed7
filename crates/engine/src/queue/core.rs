//! The pure core of a queue. Its methods are called with the queue's lock held: no IO, no waiting, bounded work.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::effects::Effects;
use crate::journal::{Lsn, SeqRange};
use crate::limits::MESSAGES_A_HOLD_MAX;
use crate::names::ConsumerKey;
use crate::outlet::{DeliveryBatch, Messages, ParkReason, Parked, Pick, Planned};
use crate::publish::Publication;
use crate::queue::arguments::{Overflow, QueueArguments};
use crate::queue::consumers::{Consumer, Consumers, NewConsumer};
use crate::queue::journaling::{Delivered, Settling, write_returned};
use crate::queue::paging::{Appetite, Paging};
use crate::queue::ready::{Entry, ReadyList, Stored};
use crate::queue::{Counts, Got, Purged, Queue};

/// Messages, consumers and counts of one queue.
#[derive(Debug, Default)]
pub(super) struct QueueCore {
    pub(super) ready: ReadyList,
    pub(super) consumers: Consumers,
    unacked: usize,
    /// Position of the last message taken.
    pub(super) last_seq: u64,
    pub(super) deleted: bool,
    /// Transient messages were given to the journal.
    pub(super) spilled: bool,
    pub(super) paging: Paging,
}

/// Deliveries that are settled: neighbours in their queue.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    /// The consumer they were for; none for gets.
    pub consumer: Option<ConsumerKey>,
    /// Position of the first.
    pub first: u64,
    /// Position of the last: all between are settled too.
    pub last: u64,
    /// Whether the journal has them.
    pub stored: Stored,
    /// Bytes of their bodies.
    pub bytes: u64,
}

impl Settled {
    /// One delivery.
    #[must_use]
    pub fn one(consumer: Option<ConsumerKey>, seq: u64, stored: Stored, bytes: u64) -> Self {
        Self { consumer, first: seq, last: seq, stored, bytes }
    }

    /// How many they are.
    fn count(&self) -> u64 {
        self.last + 1 - self.first
    }
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
        if self.deleted {
            return Lsn::default();
        }
        let mut planned = std::mem::take(&mut effects.picks);
        let mut enqueue = std::mem::take(&mut effects.enqueue);
        let mut delivered = Delivered::default();
        let scarce = queue.pages && queue.services.memory.is_used_up(self.ready.resident_bytes());
        for &pick in picks {
            let Some(item) = items.get_mut(pick as usize) else { continue };
            let bytes = item.bytes();
            if self.refuses(&queue.settings, bytes as u64) {
                item.rejected = true;
                continue;
            }
            self.last_seq += 1;
            let seq = self.last_seq;
            let stored = if queue.durable && item.persistent { Stored::Persistent } else { Stored::No };
            let turn = if self.ready.is_empty() { self.take_turn(queue, bytes, effects) } else { None };
            let stored = match turn {
                Some(slot) => {
                    planned.push(Pick { slot, item: pick, seq, stored });
                    delivered.add_first(seq, bytes as u64, stored, self.consumers.is_no_ack(slot));
                    stored
                }
                None => self.add_ready(item, seq, stored, scarce),
            };
            enqueue.add(seq, pick, bytes as u64, stored);
        }
        let end = enqueue.write(queue, items);
        if self.consumers.len() > 1 {
            planned.sort_by_key(|pick| self.consumers.outlet_id(pick.slot));
        }
        for run in planned.chunk_by(|a, b| self.consumers.share_outlet(a.slot, b.slot)) {
            self.hand_over(queue, Messages::Incoming { items, picks: run }, effects);
        }
        for pick in planned.drain(..) {
            self.handed_over(pick.slot);
        }
        delivered.write(queue);
        effects.picks = planned;
        effects.enqueue = enqueue;
        let dropped = self.drop_head(queue);
        self.end_hold(queue, dropped, effects);
        end
    }

    /// Adds a message to the ready ones: in memory, or paged. Says how the journal has to have it.
    fn add_ready(&mut self, item: &mut Publication<'_>, seq: u64, stored: Stored, scarce: bool) -> Stored {
        if self.stays_in_memory(scarce) {
            self.ready.push_back(Entry { seq, deliveries: 0, stored, message: item.keep() });
            return stored;
        }
        let stored = if stored == Stored::No { Stored::Transient } else { stored };
        self.spilled |= stored == Stored::Transient;
        self.ready.push_paged(seq, item.bytes() as u64, stored);
        stored
    }

    /// Whether a message of `bytes` is refused for want of room (x-overflow reject-publish): judged before anybody gets it.
    fn refuses(&self, settings: &QueueArguments, bytes: u64) -> bool {
        settings.overflow != Overflow::DropHead && self.exceeds(settings, 1, bytes)
    }

    /// Whether the ready messages and so many more, with so many bytes, are over a limit.
    fn exceeds(&self, settings: &QueueArguments, more: u64, more_bytes: u64) -> bool {
        let over = |max: Option<u64>, have: u64| max.is_some_and(|max| have > max);
        over(settings.max_length, self.ready.len() as u64 + more)
            || over(settings.max_length_bytes, self.ready.body_bytes() + more_bytes)
    }

    /// Whether messages have to go from the head (x-overflow drop-head).
    pub(super) fn is_over_limit(&self, settings: &QueueArguments) -> bool {
        settings.overflow == Overflow::DropHead && self.exceeds(settings, 0, 0)
    }

    /// Drops ready messages from the head until the queue is within its limits, as far as they are in memory: the rest goes when
    /// it was read.
    pub(super) fn drop_head(&mut self, queue: &Queue) -> Appetite {
        let mut dropped = Appetite::Idle;
        let mut settling = Settling::default();
        while self.is_over_limit(&queue.settings) {
            let Some(entry) = self.ready.pop_first() else { break };
            settling.add(entry.seq, entry.message.body_len(), entry.stored);
            dropped = Appetite::Taking;
        }
        settling.write(queue);
        dropped
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

    /// Books one delivery to the consumer in `slot`.
    fn handed_over(&mut self, slot: u32) {
        let no_ack = self.consumers.plan_done(slot);
        self.unacked += usize::from(!no_ack);
    }

    /// Delivers a batch of ready messages; true when there may be more to deliver.
    pub(super) fn deliver(&mut self, queue: &Arc<Queue>, effects: &mut Effects) -> bool {
        let mut planned = std::mem::take(&mut effects.planned);
        let mut delivered = Delivered::default();
        while planned.len() < MESSAGES_A_HOLD_MAX {
            let Some(first) = self.ready.first() else { break };
            let bytes = usize::try_from(first.message.body_len()).unwrap_or(usize::MAX);
            let Some(slot) = self.take_turn(queue, bytes, effects) else { break };
            let Some(entry) = self.ready.pop_first() else { break };
            delivered.add(&entry, self.consumers.is_no_ack(slot));
            planned.push(Planned { slot, entry });
        }
        let more = planned.len() == MESSAGES_A_HOLD_MAX;
        let appetite = if planned.is_empty() { Appetite::Idle } else { Appetite::Taking };
        if self.consumers.len() > 1 {
            planned.sort_by_key(|planned| self.consumers.outlet_id(planned.slot));
        }
        for run in planned.chunk_by(|a, b| self.consumers.share_outlet(a.slot, b.slot)) {
            self.hand_over(queue, Messages::Ready(run), effects);
        }
        for Planned { slot, .. } in &planned {
            self.handed_over(*slot);
        }
        delivered.write(queue);
        effects.planned = planned;
        self.end_hold(queue, appetite, effects);
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

    /// Takes the first message, as far as it is in memory.
    pub(super) fn get(&mut self, queue: &Arc<Queue>, no_ack: bool, effects: &mut Effects) -> Got {
        let Some(entry) = self.ready.pop_first() else {
            if self.ready.is_empty() {
                return Got::Empty;
            }
            self.end_hold(queue, Appetite::Starving, effects);
            return Got::Loading;
        };
        self.unacked += usize::from(!no_ack);
        let mut delivered = Delivered::default();
        delivered.add(&entry, no_ack);
        delivered.write(queue);
        self.end_hold(queue, Appetite::Taking, effects);
        Got::Message { entry, left: self.ready.len() }
    }

    /// Takes deliveries off the books; true when ready messages may go out now. Returns the position of the last record, too.
    pub(super) fn settle(&mut self, queue: &Queue, settled: &[Settled]) -> (bool, Lsn) {
        if self.deleted {
            return (false, Lsn::default());
        }
        let mut settling = Settling::default();
        for settled in settled {
            let count = settled.count();
            self.unacked = self.unacked.saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
            if let Some(key) = settled.consumer {
                self.consumers.give_back(key, u32::try_from(count).unwrap_or(u32::MAX));
            }
            settling.add_range(SeqRange { first: settled.first, last: settled.last }, settled.bytes, settled.stored);
        }
        let end = settling.write(queue);
        (!self.ready.is_empty(), end)
    }

    pub(super) fn requeue(
        &mut self,
        queue: &Arc<Queue>,
        returned: impl IntoIterator<Item = (Option<ConsumerKey>, Entry)>,
        effects: &mut Effects,
    ) {
        if self.deleted {
            return;
        }
        let mut counts: SmallVec<[(u64, u32); 8]> = SmallVec::new();
        for (consumer, mut entry) in returned {
            self.unacked = self.unacked.saturating_sub(1);
            entry.deliveries = entry.deliveries.saturating_add(1);
            if entry.stored == Stored::Persistent {
                counts.push((entry.seq, entry.deliveries));
            }
            self.ready.put_back(entry);
            if let Some(key) = consumer {
                self.consumers.give_back(key, 1);
            }
        }
        write_returned(&*queue.services.journal, queue.id, &counts);
        let dropped = self.drop_head(queue);
        self.end_hold(queue, dropped, effects);
    }

    /// Drops all ready messages.
    pub(super) fn purge(&mut self, queue: &Arc<Queue>, effects: &mut Effects) -> Purged {
        let messages = self.ready.len();
        let mut settling = Settling::default();
        self.ready.clear(&mut settling);
        let lsn = settling.write(queue);
        self.end_hold(queue, Appetite::Idle, effects);
        Purged { messages, lsn }
    }

    /// Empties the queue for good and tells its consumers.
    pub(super) fn close(&mut self, queue: &Arc<Queue>, effects: &mut Effects) {
        self.deleted = true;
        // Its messages go with the record of its deletion.
        self.ready = ReadyList::default();
        self.unacked = 0;
        for consumer in self.consumers.drain() {
            if consumer.outlet.cancelled(&consumer.tag) {
                effects.wakes.push(consumer.outlet);
            }
        }
        self.end_hold(queue, Appetite::Idle, effects);
    }
}
