//! What was gathered from one read, and its carrying out.

use leveret_codec::method::{BasicPublish, BasicReturn, Method};
use leveret_codec::reply_code::ReplyCode;
use leveret_engine::journal::Lsn;
use leveret_engine::message::Incoming;
use leveret_engine::publish::{Publication, PublishBatch};

use crate::acks::{AckOp, Settlements};
use crate::confirm::Outcome;
use crate::connection::Connection;
use crate::error::Failure;

/// Method, header and body.
const FRAMES_A_PUBLISH: usize = 3;

/// Publishes and acknowledgements of one read, each in the order they came. Acknowledgements are carried out first: a consumer
/// that has room by them may be meant to get what is published. Between the two only a failure needs the order in which they
/// came, and `op` tells it.
#[derive(Default)]
pub(crate) struct Batch<'c> {
    pub(crate) publish: PublishBatch<'c>,
    /// One for each item of `publish`.
    pub(crate) metas: Vec<PublishMeta>,
    pub(crate) acks: Vec<AckOp>,
    /// Counts publishes and acknowledgements.
    pub(crate) ops: u32,
    /// One of the publishes is for consumers that can take it at once.
    pub(crate) has_immediate: bool,
    /// So many publishes may come.
    pub(crate) publishes_max: usize,
}

/// What the session has to know of a publish in a batch.
#[derive(Clone, Copy)]
pub(crate) struct PublishMeta {
    pub(crate) channel: u16,
    pub(crate) op: u32,
    /// Number to confirm; 0 without confirms.
    pub(crate) seq: u64,
    pub(crate) asks: Asks,
}

/// What a publish wants to be told if nobody takes it. In one byte: two flags that were just decoded one by one and are copied as
/// a pair make the processor wait, which cost 4 % of a small message.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asks(u8);

impl Asks {
    const MANDATORY: u8 = 1;
    const IMMEDIATE: u8 = 1 << 1;

    #[inline]
    pub(crate) fn of(publish: &BasicPublish<'_>) -> Self {
        Self((u8::from(publish.mandatory) * Self::MANDATORY) | (u8::from(publish.immediate) * Self::IMMEDIATE))
    }

    /// That there is no queue.
    pub(crate) fn is_mandatory(self) -> bool {
        self.0 & Self::MANDATORY != 0
    }

    /// That no consumer can take it at once: it does not wait in a queue.
    pub(crate) fn is_immediate(self) -> bool {
        self.0 & Self::IMMEDIATE != 0
    }
}

impl<'c> Batch<'c> {
    /// For what is in so many frames.
    pub(crate) fn of_frames(frames: usize) -> Self {
        Self { publishes_max: frames.div_ceil(FRAMES_A_PUBLISH), ..Self::default() }
    }

    /// Adds a message for the queues of route number `route`.
    #[inline]
    pub(crate) fn push(
        &mut self,
        meta: PublishMeta,
        message: Incoming<'c>,
        route: u32,
        (persistent, expires): (bool, bool),
    ) {
        if self.metas.capacity() == 0 {
            // To grow step by step is dear where messages are small.
            self.metas.reserve(self.publishes_max);
            self.publish.items.reserve(self.publishes_max);
        }
        self.metas.push(meta);
        self.publish.push_expiring(message, route, persistent, expires);
        if meta.asks.is_immediate() {
            self.mark_immediate();
        }
    }

    /// The last publish does not wait in a queue.
    #[cold]
    fn mark_immediate(&mut self) {
        self.has_immediate = true;
        if let Some(item) = self.publish.items.last_mut() {
            item.immediate = true;
        }
    }

    pub(crate) fn next_op(&mut self) -> u32 {
        self.ops += 1;
        self.ops
    }

    fn is_empty(&self) -> bool {
        self.metas.is_empty() && self.acks.is_empty()
    }

    /// Drops the publishes of `channel` that came after `op`, where that channel failed.
    fn drop_after(&mut self, channel: u16, op: u32) {
        let kept = |meta: &PublishMeta| meta.channel != channel || meta.op < op;
        let mut metas = self.metas.iter();
        self.publish.items.retain(|_| metas.next().is_some_and(kept));
        self.metas.retain(kept);
    }
}

impl Connection {
    /// Carries out what was gathered and empties the batch. A wrong acknowledgement closes its channel.
    pub(crate) fn flush(&mut self, batch: &mut Batch<'_>) {
        if batch.is_empty() {
            return;
        }
        let (settlements, failed) = self.resolve(&batch.acks);
        for (channel, op, _) in &failed {
            batch.drop_after(*channel, *op);
        }
        // First the acknowledgements: a consumer that has room by now may be meant to get what is published.
        self.settle(settlements);
        if !batch.metas.is_empty() {
            self.carry_out_publishes(batch);
        }
        self.effects.carry_out();
        batch.publish.items.clear();
        batch.publish.routes.clear();
        batch.metas.clear();
        batch.acks.clear();
        for (channel, _, failure) in failed {
            self.fail(channel, failure);
        }
    }

    /// Puts the messages into their queues: returns go out first, confirms last. Returns the position with which all is
    /// durable.
    pub(crate) fn carry_out_publishes(&mut self, batch: &mut Batch<'_>) -> Lsn {
        if batch.publish.routes.iter().any(|route| route.is_empty()) {
            self.count_unroutable(batch);
            self.send_returns(batch, |meta, _, queues| match queues {
                0 if meta.asks.is_mandatory() => Some(ReplyCode::NoRoute),
                0 if meta.asks.is_immediate() => Some(ReplyCode::NoConsumers),
                _ => None,
            });
        }
        let lsn = batch.publish.carry_out(&*self.broker.services.journal, &mut self.effects);
        if batch.has_immediate {
            // A queue that refused it is no queue without consumers: that is told by a nack.
            self.send_returns(batch, |_, item, queues| {
                (queues > 0 && item.missed as usize == queues).then_some(ReplyCode::NoConsumers)
            });
        }
        self.confirm(batch, lsn);
        lsn
    }

    /// Counts the messages that no queue is there for.
    #[cold]
    fn count_unroutable(&self, batch: &Batch<'_>) {
        for (item, meta) in batch.publish.items.iter().zip(&batch.metas) {
            let is_routed = batch.publish.routes.get(item.route as usize).is_some_and(|route| !route.is_empty());
            if let Some(channel) = self.channels.get(&meta.channel).filter(|_| !is_routed) {
                let is_told = meta.asks != Asks::default();
                let tally = if is_told { &channel.tallies.return_unroutable } else { &channel.tallies.drop_unroutable };
                tally.add(1);
                let exchange = String::from_utf8_lossy(item.message.parts().exchange);
                if let Some(Ok(exchange)) = self.home.as_ref().map(|home| home.vhost.exchange(&exchange)) {
                    exchange.through.add_unroutable(is_told);
                }
            }
        }
    }

    /// Returns the messages for which `code` finds a reason, by what was asked for and how many queues there were.
    fn send_returns(
        &self,
        batch: &Batch<'_>,
        code: impl Fn(&PublishMeta, &Publication<'_>, usize) -> Option<ReplyCode>,
    ) {
        let frame_max = self.outbox.frame_max();
        self.outbox.update(|state| {
            for (item, meta) in batch.publish.items.iter().zip(&batch.metas) {
                let queues = batch.publish.routes.get(item.route as usize).map_or(0, |route| route.len());
                if let Some(code) = code(meta, item, queues) {
                    let parts = item.message.parts();
                    return_frame(code, &parts).write_frame(meta.channel, state.buffer.buffer());
                    state.buffer.content(meta.channel, &parts, frame_max);
                }
            }
        });
    }

    /// Notes what is to be confirmed: a run for neighbours of one channel with one outcome.
    fn confirm(&self, batch: &Batch<'_>, lsn: Lsn) {
        let mut runs: Vec<(u16, u64, Outcome)> = Vec::new();
        for (item, meta) in batch.publish.items.iter().zip(&batch.metas).filter(|(_, meta)| meta.seq > 0) {
            let outcome = if item.rejected { Outcome::Nacked } else { Outcome::Acked };
            match runs.iter_mut().rev().find(|(channel, _, _)| *channel == meta.channel) {
                Some((_, seq, known)) if *known == outcome => *seq = meta.seq,
                _ => runs.push((meta.channel, meta.seq, outcome)),
            }
        }
        for (channel, seq, outcome) in runs {
            self.outbox.confirm(channel, seq, lsn, outcome);
        }
    }

    /// Settles deliveries in their queues, one lock a queue. Returns the position with which that is durable for those that are
    /// gone for good.
    pub(crate) fn settle(&mut self, settlements: Settlements) -> Lsn {
        let mut end = Lsn::default();
        for group in settlements.groups {
            if !group.settled.is_empty() {
                end = end.max(group.queue.settle(&group.settled, &mut self.effects));
            }
            if !group.rejected.is_empty() {
                group.queue.reject(group.rejected, &mut self.effects);
            }
            if !group.requeued.is_empty() {
                group.queue.requeue(group.requeued, &mut self.effects);
            }
            if !group.handed_back.is_empty() {
                group.queue.hand_back(group.handed_back, &mut self.effects);
            }
        }
        for (channel, released) in settlements.released {
            self.release_channel_limit(channel, released);
        }
        end
    }
}

/// The basic.return of a message that nobody has taken.
fn return_frame<'a>(code: ReplyCode, parts: &leveret_engine::message::Parts<'a>) -> Method<'a> {
    Method::from(BasicReturn {
        reply_code: code.code(),
        reply_text: code.name().as_bytes(),
        exchange: parts.exchange,
        routing_key: parts.routing_key,
    })
}

/// A failure of an acknowledgement: its channel, its place in the batch, and what to say.
pub(crate) type FailedAck = (u16, u32, Failure);
