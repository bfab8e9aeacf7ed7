//! Acknowledgements: from delivery tags to messages of queues.

use std::sync::Arc;

use leveret_codec::reply_code::ReplyCode;
use leveret_engine::message::Message;
use leveret_engine::names::ConsumerKey;
use leveret_engine::queue::{Entry, Queue, Settled};

use crate::batch::FailedAck;
use crate::connection::Connection;
use crate::error::Failure;
use crate::outbox::{OutBuffer, OutChannel};
use crate::sent::{Kept, SentFrames};
use crate::unacked::Unacked;

/// One basic.ack, basic.nack or basic.reject.
#[derive(Clone, Copy)]
pub(crate) struct AckOp {
    pub(crate) channel: u16,
    /// Its place among the operations of the batch.
    pub(crate) op: u32,
    pub(crate) tag: u64,
    pub(crate) multiple: bool,
    pub(crate) outcome: Outcome,
    /// Class and method, for a refusal.
    pub(crate) ids: (u16, u16),
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was worked off.
    Acked,
    /// It is dead-lettered or dropped.
    Rejected,
    /// It was rejected or lost, and goes back to its place.
    Requeued,
    /// Nothing has failed, and it goes back to its place.
    HandedBack,
}

/// Deliveries to settle, by queue.
#[derive(Default)]
pub(crate) struct Settlements {
    pub(crate) groups: Vec<QueueGroup>,
    /// Deliveries that count no longer towards the limit of their channel.
    pub(crate) released: Vec<(u16, u32)>,
    /// Messages that nobody needs: they are dropped outside of locks.
    dropped: Vec<Message>,
}

pub(crate) struct QueueGroup {
    pub(crate) queue: Arc<Queue>,
    pub(crate) settled: Vec<Settled>,
    /// To be dead-lettered.
    pub(crate) rejected: Vec<(Option<ConsumerKey>, Entry)>,
    pub(crate) requeued: Vec<(Option<ConsumerKey>, Entry)>,
    pub(crate) handed_back: Vec<(Option<ConsumerKey>, Entry)>,
}

impl QueueGroup {
    fn of(queue: &Arc<Queue>) -> Self {
        Self {
            queue: Arc::clone(queue),
            settled: Vec::new(),
            rejected: Vec::new(),
            requeued: Vec::new(),
            handed_back: Vec::new(),
        }
    }
}

impl Settlements {
    /// Adds a delivery of `channel` that came from `queue`, and was kept in `sent` or `buffer`.
    pub(crate) fn add(
        &mut self,
        channel: u16,
        queue: &Arc<Queue>,
        unacked: Unacked,
        outcome: Outcome,
        (sent, buffer): (&mut SentFrames, &OutBuffer),
    ) {
        if unacked.consumer.is_some() && queue.counts_towards_channel_limit() {
            match self.released.last_mut().filter(|(known, _)| *known == channel) {
                Some((_, released)) => *released += 1,
                None => self.released.push((channel, 1)),
            }
        }
        let known = match self.groups.last() {
            Some(last) if Arc::ptr_eq(&last.queue, queue) => self.groups.len() - 1,
            _ => match self.groups.iter().position(|group| Arc::ptr_eq(&group.queue, queue)) {
                Some(place) => place,
                None => {
                    self.groups.push(QueueGroup::of(queue));
                    self.groups.len() - 1
                }
            },
        };
        let Some(group) = self.groups.get_mut(known) else { return };
        let Unacked { consumer, seq, deliveries, stored, expires_ms, kept, .. } = unacked;
        // A stream keeps its messages: whatever becomes of a delivery gives credit, and nothing else (behaviour: RabbitMQ).
        let outcome = if matches!(kept, Kept::Nothing) { Outcome::Acked } else { outcome };
        match outcome {
            Outcome::Requeued | Outcome::HandedBack => {
                let message = sent.take_out(kept, buffer);
                let returned = if outcome == Outcome::Requeued { &mut group.requeued } else { &mut group.handed_back };
                returned.push((consumer, Entry { seq, deliveries, stored, expires_ms, message }));
            }
            Outcome::Rejected if queue.has_dead_letters() => {
                let message = sent.take_out(kept, buffer);
                group.rejected.push((consumer, Entry { seq, deliveries, stored, expires_ms, message }));
            }
            Outcome::Acked | Outcome::Rejected => {
                let (bytes, acked) = (kept.body_len(), outcome == Outcome::Acked);
                match group.settled.last_mut() {
                    Some(run)
                        if run.consumer == consumer
                            && run.stored == stored
                            && run.acked == acked
                            && run.last + 1 == seq =>
                    {
                        run.last = seq;
                        run.bytes += bytes;
                    }
                    _ => group.settled.push(Settled { consumer, first: seq, last: seq, stored, bytes, acked }),
                }
                match kept {
                    Kept::Sent(at) => sent.let_go(at),
                    Kept::Own(message) => self.dropped.push(message),
                    Kept::Nothing => {}
                }
            }
        }
    }
}

impl OutChannel {
    /// Takes the deliveries that `tag` and `multiple` name; false when there is none by that tag.
    pub(crate) fn take_unacked(&mut self, tag: u64, multiple: bool, mut each: impl FnMut(u64, Unacked)) -> bool {
        match (tag, multiple) {
            (0, true) => self.unacked.take_to(u64::MAX, each),
            (tag, true) if self.unacked.contains(tag) => self.unacked.take_to(tag, each),
            (tag, false) => match self.unacked.take(tag) {
                Some(unacked) => each(tag, unacked),
                None => return false,
            },
            _ => return false,
        }
        true
    }
}

impl Connection {
    /// Takes what the acknowledgements name off their channels, all under one lock; those of a channel up to its
    /// first that names nothing.
    pub(crate) fn resolve(&self, acks: &[AckOp]) -> (Settlements, Vec<FailedAck>) {
        let mut settlements = Settlements::default();
        if acks.is_empty() {
            return (settlements, Vec::new());
        }
        let mut state = self.outbox.lock();
        let state = &mut *state;
        let mut failed: Vec<FailedAck> = Vec::new();
        let mut taken = Vec::new();
        for ack in acks {
            let Some(channel) = state.channels.get_mut(&ack.channel) else { continue };
            if failed.iter().any(|(failed, _, _)| *failed == ack.channel) {
                continue;
            }
            if !channel.take_unacked(ack.tag, ack.multiple, |_, unacked| taken.push(unacked)) {
                failed.push((ack.channel, ack.op, unknown_tag(ack.tag, ack.ids)));
            }
            if ack.outcome == Outcome::Acked {
                channel.tallies.ack.add(taken.len() as u64);
            }
            for unacked in taken.drain(..) {
                channel.release_queue(unacked, |queue, unacked| {
                    settlements.add(ack.channel, queue, unacked, ack.outcome, (&mut state.sent, &state.buffer));
                });
            }
        }
        if state.sent.is_sparse() {
            state.compact();
        }
        (settlements, failed)
    }

    /// Takes all unacknowledged deliveries of a channel, to go back to their queues.
    pub(crate) fn take_all_unacked(&self, number: u16, outcome: Outcome) -> Settlements {
        let mut settlements = Settlements::default();
        let mut state = self.outbox.lock();
        let state = &mut *state;
        if let Some(channel) = state.channels.get_mut(&number) {
            let mut taken = Vec::with_capacity(channel.unacked.len());
            channel.unacked.take_to(u64::MAX, |_, unacked| taken.push(unacked));
            for unacked in taken {
                channel.release_queue(unacked, |queue, unacked| {
                    settlements.add(number, queue, unacked, outcome, (&mut state.sent, &state.buffer));
                });
            }
        }
        settlements
    }

    /// Deliveries no longer count towards the channel's limit: consumers that waited for that go on.
    pub(crate) fn release_channel_limit(&mut self, number: u16, released: u32) {
        let Some(channel) = self.channels.get(&number) else { return };
        channel.limit().release(released);
        if channel.limit().limit() > 0 {
            self.resume_channel(number);
        }
    }

    /// Lets the consumers go on that wait for the limit of their channel.
    pub(crate) fn resume_channel(&mut self, number: u16) {
        let parked = match self.outbox.lock().channels.get_mut(&number) {
            Some(channel) => std::mem::take(&mut channel.parked),
            None => return,
        };
        for parked in parked {
            parked.queue.resume(parked.key, &mut self.effects);
        }
    }
}

/// The refusal of an acknowledgement of something that is not outstanding.
pub(crate) fn unknown_tag(tag: u64, ids: (u16, u16)) -> Failure {
    Failure::new(ReplyCode::PreconditionFailed, format!("unknown delivery tag {tag}"), ids)
}
