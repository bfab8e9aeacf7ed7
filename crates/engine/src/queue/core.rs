//! The pure core of a queue. Its methods are called with the queue's lock held: no IO, no waiting, bounded work.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::counters::{DeathCounts, MessageCounts};
use crate::effects::Effects;
use crate::journal::{Lsn, SeqRange};
use crate::limits::MESSAGES_A_HOLD_MAX;
use crate::message::{NEVER_MS, Parts};
use crate::names::ConsumerKey;
use crate::outlet::{DeliveryBatch, Messages, ParkReason, Parked, Pick, Planned};
use crate::publish::Publication;
use crate::queue::arguments::{Overflow, QueueArguments, QueueType};
use crate::queue::consumers::{Consumer, Consumers, NewConsumer, Removed};
use crate::queue::deaths::DeathReason;
use crate::queue::expiry::Times;
use crate::queue::journaling::{Delivered, Settling, write_returned};
use crate::queue::levels::{Ready, Scale};
use crate::queue::paging::{Appetite, Paging};
use crate::queue::ready::{Entry, Stored};
use crate::queue::rules::{ReturnKind, Rules};
use crate::queue::single_active::Succession;
use crate::queue::waiting::Waiting;
use crate::queue::{Counts, Got, Purged, Queue};

/// Messages, consumers and counts of one queue.
#[derive(Debug, Default)]
pub(super) struct QueueCore {
    /// The arguments in force.
    pub(super) rules: Rules,
    /// Some of the ready messages may expire.
    pub(super) expiring: bool,
    pub(super) times: Times,
    pub(super) waiting: Waiting,
    pub(super) ready: Ready,
    /// Where priorities mean something, what they mean.
    scale: Option<Scale>,
    pub(super) consumers: Consumers,
    pub(super) unacked: usize,
    /// Bytes of the bodies of those.
    pub(super) unacked_bytes: u64,
    /// What happened here, for statistics; most queues of many are never used.
    pub(super) happened: Option<Box<Happened>>,
    /// Position of the last message taken.
    pub(super) last_seq: u64,
    pub(super) deleted: bool,
    /// Messages that are given up, and of which the journal has not heard so yet.
    pub(super) dying: u32,
    /// Transient messages were given to the journal.
    pub(super) spilled: bool,
    pub(super) paging: Paging,
}

/// What happened in a queue.
#[derive(Debug, Default)]
pub(super) struct Happened {
    pub(super) counts: MessageCounts,
    pub(super) died: DeathCounts,
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
    /// They were acknowledged, and not dropped.
    pub acked: bool,
}

impl Settled {
    /// One delivery.
    #[must_use]
    pub fn one(consumer: Option<ConsumerKey>, seq: u64, stored: Stored, bytes: u64) -> Self {
        Self { consumer, first: seq, last: seq, stored, bytes, acked: true }
    }

    /// How many they are.
    pub(crate) fn count(&self) -> u64 {
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
    pub(super) fn new(arguments: &QueueArguments) -> Self {
        let scale = Scale::of(arguments);
        Self { rules: Rules::new(arguments), ready: Ready::new(scale), scale, ..Self::default() }
    }

    pub(super) fn set_effective(&mut self, queue: &Arc<Queue>, effective: &QueueArguments, effects: &mut Effects) {
        if self.deleted {
            return;
        }
        let before = std::mem::replace(&mut self.rules, Rules::new(effective));
        if before.expires_ms.is_none() {
            self.touch(queue);
        }
        self.keep_former_ttl(before.ttl_ms);
        self.watch_paged();
        self.restart_time();
        let shed = self.shed(queue, effects);
        self.end_hold(queue, shed, effects);
    }

    /// What happened here, to be added to.
    pub(super) fn happened(&mut self) -> &mut Happened {
        self.happened.get_or_insert_default()
    }

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
        let mut delivered = Delivered::from_levels(self.ready.has_levels());
        let expires = self.rules.ttl_ms != NEVER_MS;
        let seq_before = self.last_seq;
        let scarce = queue.pages && queue.services.memory.is_used_up(self.ready.resident_bytes());
        for &pick in picks {
            let Some(item) = items.get_mut(pick as usize) else { continue };
            let bytes = item.bytes();
            if self.rules.limited && self.refuses(bytes as u64) {
                self.refuse(queue, item, effects);
                continue;
            }
            self.last_seq += 1;
            let seq = self.last_seq;
            let is_kept = queue.durable && (item.persistent || queue.keeps_all);
            let stored = if is_kept { Stored::Persistent } else { Stored::No };
            let expires_ms = if expires || item.expires { self.expires_ms(queue, item) } else { NEVER_MS };
            let turn = if self.ready.is_empty() { self.take_turn(queue, bytes, effects) } else { None };
            let stored = match turn {
                Some(slot) => {
                    planned.push(Pick { slot, item: pick, seq, stored, expires_ms });
                    let no_ack = self.consumers.is_no_ack(slot);
                    self.unacked_bytes += if no_ack { 0 } else { bytes as u64 };
                    delivered.add_first(seq, bytes as u64, stored, no_ack);
                    stored
                }
                None if item.immediate => {
                    item.missed += 1;
                    self.last_seq -= 1;
                    continue;
                }
                None => self.add_ready(item, seq, (stored, expires_ms), scarce),
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
        if self.last_seq > seq_before {
            self.happened().counts.publish += self.last_seq - seq_before;
        }
        self.all_handed_over(planned.drain(..).map(|pick| pick.slot));
        delivered.write(queue);
        effects.picks = planned;
        effects.enqueue = enqueue;
        let shed = self.shed(queue, effects);
        self.end_hold(queue, shed, effects);
        end
    }

    /// Adds a message to the ready ones: in memory, or paged. Says how the journal has to have it.
    fn add_ready(
        &mut self,
        item: &mut Publication<'_>,
        seq: u64,
        (stored, expires_ms): (Stored, u64),
        scarce: bool,
    ) -> Stored {
        if expires_ms != NEVER_MS {
            self.note_expiry(expires_ms);
        }
        let bytes = item.bytes() as u64;
        let Ready::One(list) = &mut self.ready else {
            return self.add_to_level(item, seq, (stored, expires_ms), scarce);
        };
        if self.scale.is_some_and(|scale| scale.is_other(&item.message.parts())) {
            return self.add_to_level(item, seq, (stored, expires_ms), scarce);
        }
        if self.paging.keeps(list, scarce) {
            list.push_back(Entry { seq, deliveries: 0, stored, expires_ms, message: item.keep() });
            return stored;
        }
        let stored = stored.out_of_memory();
        self.spilled |= stored == Stored::Transient;
        list.push_paged(seq, bytes, stored);
        stored
    }

    /// The same in a queue with levels, or one that needs them now.
    #[cold]
    fn add_to_level(
        &mut self,
        item: &mut Publication<'_>,
        seq: u64,
        (stored, expires_ms): (Stored, u64),
        scarce: bool,
    ) -> Stored {
        self.split_for(&item.message.parts());
        let Ready::Levels(levels) = &mut self.ready else { return stored };
        let level = levels.level(&item.message.parts());
        if levels.keeps(level, scarce) {
            levels.push_back(level, Entry { seq, deliveries: 0, stored, expires_ms, message: item.keep() });
            return stored;
        }
        let stored = stored.out_of_memory();
        self.spilled |= stored == Stored::Transient;
        levels.push_paged(level, seq, item.bytes() as u64, stored);
        stored
    }

    /// Makes levels when the first message comes that needs them.
    pub(super) fn split_for(&mut self, parts: &Parts<'_>) {
        if let (Some(scale), Ready::One(_)) = (self.scale, &self.ready)
            && scale.is_other(parts)
        {
            self.ready.split(scale, self.paging.restored_to());
        }
    }

    /// Whether a message of `bytes` is refused for want of room (x-overflow reject-publish): judged before anybody gets it. Dead
    /// letters that nobody takes need room, too.
    fn refuses(&self, bytes: u64) -> bool {
        let (undelivered, undelivered_bytes) = self.waiting.undelivered();
        self.rules.overflow != Overflow::DropHead
            && self.exceeds(undelivered + 1, undelivered_bytes.saturating_add(bytes))
    }

    /// Refuses a message, which may be dead-lettered then.
    #[cold]
    fn refuse(&mut self, queue: &Arc<Queue>, item: &mut Publication<'_>, effects: &mut Effects) {
        item.rejected = true;
        if self.rules.overflow == Overflow::RejectPublishDlx && self.rules.dead_letters.is_some() {
            let message = item.keep();
            let entry = Entry { seq: 0, deliveries: 0, stored: Stored::No, expires_ms: NEVER_MS, message };
            self.discard(queue, entry, DeathReason::MaxLength, &mut Settling::default(), effects);
        }
    }

    /// Whether the ready messages and so many more, with so many bytes, are over a limit.
    fn exceeds(&self, more: u64, more_bytes: u64) -> bool {
        self.rules.are_exceeded_by(self.ready.len() as u64 + more, self.ready.body_bytes() + more_bytes)
    }

    /// Whether messages have to go from the head (x-overflow drop-head).
    pub(super) fn is_over_limit(&self) -> bool {
        self.rules.limited && self.rules.overflow == Overflow::DropHead && self.exceeds(0, 0)
    }

    /// Lets go of what cannot stay: step by step what has expired, and as long as the queue is over its limits the first message.
    /// What of it is not in memory goes when it was read.
    #[inline]
    pub(super) fn shed(&mut self, queue: &Arc<Queue>, effects: &mut Effects) -> Appetite {
        if self.expiring || self.is_over_limit() { self.shed_some(queue, effects) } else { Appetite::Idle }
    }

    #[cold]
    fn shed_some(&mut self, queue: &Arc<Queue>, effects: &mut Effects) -> Appetite {
        let mut shed = Appetite::Idle;
        let mut settling = Settling::default();
        let now_ms = self.judging_ms(queue);
        let mut expired = 0;
        while expired < MESSAGES_A_HOLD_MAX {
            let (entry, reason) = if let Some(entry) = self.ready.pop_expired(now_ms) {
                expired += 1;
                (entry, DeathReason::Expired)
            } else if self.is_over_limit()
                && let Some(entry) = self.ready.pop_first()
            {
                (entry, DeathReason::MaxLength)
            } else {
                break;
            };
            self.discard(queue, entry, reason, &mut settling, effects);
            shed = Appetite::Taking;
        }
        settling.write(queue);
        shed
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

    /// Books a delivery to each of the consumers in `slots`.
    fn all_handed_over(&mut self, slots: impl ExactSizeIterator<Item = u32>) {
        let all = slots.len();
        let mut unacked = 0;
        for slot in slots {
            let no_ack = self.consumers.plan_done(slot);
            unacked += usize::from(!no_ack);
        }
        self.unacked += unacked;
        if all > 0 {
            let counts = &mut self.happened().counts;
            counts.deliver += unacked as u64;
            counts.deliver_no_ack += (all - unacked) as u64;
        }
    }

    /// Delivers a batch of ready messages; true when there may be more to deliver.
    pub(super) fn deliver(&mut self, queue: &Arc<Queue>, effects: &mut Effects) -> bool {
        let mut planned = std::mem::take(&mut effects.planned);
        let mut delivered = Delivered::from_levels(self.ready.has_levels());
        let now_ms = self.judging_ms(queue);
        let (mut expired, mut again) = (Appetite::Idle, 0);
        let mut has_expired_first = false;
        while planned.len() < MESSAGES_A_HOLD_MAX {
            let Some(first) = self.ready.first() else { break };
            if first.expires_ms <= now_ms {
                // A hold's worth is gone, and there are more.
                if has_expired_first {
                    break;
                }
                expired = self.expire(queue, effects);
                has_expired_first = true;
                continue;
            }
            has_expired_first = false;
            let bytes = usize::try_from(first.message.body_len()).unwrap_or(usize::MAX);
            let Some(slot) = self.take_turn(queue, bytes, effects) else { break };
            let Some(entry) = self.ready.pop_first() else { break };
            let no_ack = self.consumers.is_no_ack(slot);
            self.unacked_bytes += if no_ack { 0 } else { bytes as u64 };
            again += u64::from(entry.deliveries > 0);
            delivered.add(&entry, no_ack);
            planned.push(Planned { slot, entry });
        }
        let more = planned.len() == MESSAGES_A_HOLD_MAX || (has_expired_first && !self.ready.is_front_empty());
        let appetite = if planned.is_empty() { expired } else { Appetite::Taking };
        if self.consumers.len() > 1 {
            planned.sort_by_key(|planned| self.consumers.outlet_id(planned.slot));
        }
        for run in planned.chunk_by(|a, b| self.consumers.share_outlet(a.slot, b.slot)) {
            self.hand_over(queue, Messages::Ready(run), effects);
        }
        self.all_handed_over(planned.iter().map(|planned| planned.slot));
        if again > 0 {
            self.happened().counts.redeliver += again;
        }
        delivered.write(queue);
        effects.planned = planned;
        self.end_hold(queue, appetite, effects);
        more
    }

    pub(super) fn add_consumer(
        &mut self,
        settings: &QueueArguments,
        mut new: NewConsumer,
    ) -> Result<ConsumerKey, ConsumeRefused> {
        if self.deleted {
            return Err(ConsumeRefused::Deleted);
        }
        let succession = Succession::of(settings);
        // Quorum queues know of no exclusive consumers.
        new.exclusive &= settings.queue_type != QueueType::Quorum;
        let alone = self.consumers.len() == 0 && succession.is_none();
        if self.consumers.has_exclusive() || (new.exclusive && !alone) {
            return Err(ConsumeRefused::ExclusiveUse);
        }
        Ok(self.consumers.add(new, succession))
    }

    pub(super) fn resume(&mut self, key: ConsumerKey) {
        self.consumers.resume(key);
    }

    pub(super) fn remove_consumer(&mut self, key: ConsumerKey) -> Removed {
        self.consumers.remove(key)
    }

    /// Takes the first message, as far as it is in memory.
    pub(super) fn get(&mut self, queue: &Arc<Queue>, no_ack: bool, effects: &mut Effects) -> Got {
        self.touch(queue);
        while self.expire(queue, effects) == Appetite::Taking {}
        if self.consumers.paused {
            self.happened().counts.get_empty += 1;
            return Got::Empty;
        }
        let Some(entry) = self.ready.pop_first() else {
            if self.ready.is_empty() {
                self.happened().counts.get_empty += 1;
                return Got::Empty;
            }
            self.end_hold(queue, Appetite::Starving, effects);
            return Got::Loading;
        };
        self.note_got(&entry, no_ack);
        let mut delivered = Delivered::from_levels(self.ready.has_levels());
        delivered.add(&entry, no_ack);
        delivered.write(queue);
        // What is told of what is left is told without those that have expired.
        while self.expire(queue, effects) == Appetite::Taking {}
        self.end_hold(queue, Appetite::Taking, effects);
        Got::Message { entry, left: self.ready.len() }
    }

    /// Books a message that was got.
    fn note_got(&mut self, entry: &Entry, no_ack: bool) {
        let counts = &mut self.happened().counts;
        counts.redeliver += u64::from(entry.deliveries > 0);
        if no_ack {
            counts.get_no_ack += 1;
            return;
        }
        counts.get += 1;
        self.unacked += 1;
        self.unacked_bytes += entry.message.body_len();
    }

    /// Takes deliveries off the books; true when ready messages may go out now. Returns the position of the last record, too.
    pub(super) fn settle(&mut self, queue: &Queue, settled: &[Settled]) -> (bool, Lsn) {
        if self.deleted {
            return (false, Lsn::default());
        }
        let mut settling = Settling::default();
        let (mut all, mut acked, mut bytes) = (0, 0, 0);
        for settled in settled {
            let count = settled.count();
            bytes += settled.bytes;
            acked += if settled.acked { count } else { 0 };
            all += count;
            if let Some(key) = settled.consumer {
                self.consumers.give_back(key, u32::try_from(count).unwrap_or(u32::MAX));
            }
            settling.add_range(SeqRange { first: settled.first, last: settled.last }, settled.bytes, settled.stored);
        }
        self.unacked = self.unacked.saturating_sub(usize::try_from(all).unwrap_or(usize::MAX));
        self.unacked_bytes = self.unacked_bytes.saturating_sub(bytes);
        let happened = self.happened();
        happened.counts.ack += acked;
        happened.died.rejected += all - acked;
        let end = settling.write(queue);
        (!self.ready.is_empty(), end)
    }

    /// A delivery, with so many bytes, is on the books no more.
    pub(super) fn take_back(&mut self, consumer: Option<ConsumerKey>, bytes: u64) {
        self.unacked = self.unacked.saturating_sub(1);
        self.unacked_bytes = self.unacked_bytes.saturating_sub(bytes);
        if let Some(key) = consumer {
            self.consumers.give_back(key, 1);
        }
    }

    pub(super) fn requeue(
        &mut self,
        queue: &Arc<Queue>,
        returned: impl IntoIterator<Item = (Option<ConsumerKey>, Entry)>,
        kind: ReturnKind,
        effects: &mut Effects,
    ) {
        if self.deleted {
            return;
        }
        let mut counts: SmallVec<[(u64, u32); 8]> = SmallVec::new();
        let mut settling = Settling::default();
        for (consumer, mut entry) in returned {
            self.take_back(consumer, entry.message.body_len());
            entry.deliveries = entry.deliveries.saturating_add(1);
            if self.rules.delivery_limit.is_some_and(|limit| entry.deliveries > limit) {
                self.discard(queue, entry, DeathReason::DeliveryLimit, &mut settling, effects);
                continue;
            }
            // Where deliveries are noted one by one, the first was.
            if entry.stored == Stored::Persistent && (entry.deliveries > 1 || !self.ready.has_levels()) {
                counts.push((entry.seq, entry.deliveries));
            }
            match self.rules.delay_ms(kind, entry.deliveries) {
                None => {
                    self.note_expiry(entry.expires_ms);
                    self.ready.put_back(entry);
                }
                Some(delay_ms) => {
                    self.waiting.delay(queue.services.clock.now_ms().saturating_add(delay_ms), entry);
                    self.restart_time();
                }
            }
        }
        settling.write(queue);
        write_returned(&*queue.services.journal, queue.id, &counts);
        let shed = self.shed(queue, effects);
        self.end_hold(queue, shed, effects);
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
        self.stop_time(queue);
        // Its messages go with the record of its deletion. They may be many, and topology waits meanwhile.
        if !self.ready.is_empty() {
            effects.dropped.push(Box::new(std::mem::take(&mut self.ready)));
        }
        self.waiting = Waiting::default();
        self.unacked = 0;
        self.unacked_bytes = 0;
        effects.cancels.extend(self.consumers.drain().into_iter().map(|consumer| (consumer.outlet, consumer.tag)));
        self.end_hold(queue, Appetite::Idle, effects);
    }
}
