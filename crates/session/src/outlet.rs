//! A channel as the queues see it.

use std::sync::Arc;

use leveret_codec::method::{BasicCancel, Method};
use leveret_engine::limits::OUTLET_FULL_BYTES;
use leveret_engine::names::{Name, QueueId};
use leveret_engine::outlet::{DeliveryBatch, Outlet, OutletPlace, ParkReason, Parked};
use leveret_engine::queue::Entry;
use leveret_engine::vhost::Vhost;

use crate::counters::ChannelTallies;
use crate::encode::{DeliveryHead, is_found_again, with_delivery_count};
use crate::limits::SENT_HERE_OUTLETS_MAX;
use crate::outbox::Outbox;
use crate::sent::Kept;
use crate::unacked::Unacked;

/// Where a channel's deliveries go.
#[derive(Debug)]
pub(crate) struct ChannelOutlet {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) channel: u16,
    pub(crate) tallies: Arc<ChannelTallies>,
}

impl ChannelOutlet {
    /// Delivers a batch. `SPECIAL`: some of it may have to be counted, or the vhost is `traced`. Twice in the binary, each with
    /// what it calls for every message inlined: that is worth 4 % of a message's instructions.
    fn deliver_all<const SPECIAL: bool>(&self, batch: DeliveryBatch<'_, '_>, traced: Option<&Vhost>) -> bool {
        let frame_max = self.outbox.frame_max();
        let mut state = self.outbox.lock();
        let state = &mut *state;
        let Some(channel) = state.channels.get_mut(&self.channel) else { return false };
        let (buffer, sent) = (&mut state.buffer, &mut state.sent);
        let from = Arc::clone(batch.queue());
        let mut queue = None;
        let mut uses = 0;
        let (all, mut again) = (batch.len(), 0);
        batch.for_each(|delivery| {
            let to = delivery.to;
            let tag = channel.next_tag();
            let mut parts = delivery.parts();
            let start = buffer.bytes().len();
            let counted;
            let is_counted = SPECIAL && delivery.deliveries > 0 && from.counts_deliveries();
            if is_counted {
                counted = with_delivery_count(parts.properties, delivery.deliveries);
                parts.properties = &counted;
            }
            let (consumer_tag, redelivered) = (to.tag.as_bytes(), delivery.deliveries > 0);
            again += u64::from(redelivered);
            let head = DeliveryHead { channel: self.channel, consumer_tag, delivery_tag: tag, redelivered };
            buffer.delivery(&head, &parts, frame_max);
            if SPECIAL && let (Some(vhost), Some(owner)) = (traced, self.outbox.owner()) {
                owner.trace(vhost, self.channel, &parts, &from, redelivered);
            }
            if !to.no_ack {
                uses += 1;
                let queue = *queue.get_or_insert_with(|| channel.use_queue(&from, 0));
                let (seq, consumer) = (delivery.seq, Some(to.key));
                let (deliveries, stored, expires_ms) = (delivery.deliveries, delivery.stored, delivery.expires_ms);
                // What several queues share is kept once for all of them; and a count is not the message's own.
                let is_found_again = is_found_again(&parts, frame_max) && !delivery.is_shared() && !is_counted;
                let lies = (start, buffer.bytes().len());
                let sent = if is_found_again { sent.note((self.channel, tag), lies, parts.body.len()) } else { None };
                let kept = match sent {
                    Some(at) => Kept::Sent(at),
                    None => Kept::Own(delivery.keep()),
                };
                channel.unacked.push(tag, Unacked { queue, consumer, seq, deliveries, stored, expires_ms, kept });
            }
        });
        if uses > 0 {
            channel.use_queue(&from, uses);
        }
        self.tallies.delivered(all, uses, again);
        self.outbox.added(state)
    }
}

impl Outlet for ChannelOutlet {
    fn room_bytes(&self) -> usize {
        self.outbox.room_bytes().min(OUTLET_FULL_BYTES)
    }

    fn deliver(&self, batch: DeliveryBatch<'_, '_>) -> bool {
        if batch.is_of_stream() {
            return self.deliver_stream(batch);
        }
        let queue = batch.queue();
        // Decided once for a batch, so that most need not ask for each message.
        match queue.traced_in() {
            None if !queue.counts_deliveries() => self.deliver_all::<false>(batch, None),
            traced => self.deliver_all::<true>(batch, traced.as_deref()),
        }
    }

    fn cancelled(&self, tag: &Name) -> bool {
        let mut state = self.outbox.lock();
        let state = &mut *state;
        let Some(channel) = state.channels.get_mut(&self.channel) else { return false };
        if let (Some(home), Some(owner)) = (channel.consumers.remove(tag), self.outbox.owner()) {
            owner.tell_consumer_deleted(self.channel, tag, &home.queue);
        }
        if !channel.cancel_notify {
            return false;
        }
        let cancel = Method::from(BasicCancel { consumer_tag: tag, nowait: true });
        if self.outbox.holds(state, self.channel, &cancel) {
            return false;
        }
        cancel.write_frame(self.channel, state.buffer.buffer());
        self.outbox.added(state)
    }

    fn park(&self, parked: &Parked) -> bool {
        match parked.reason {
            ParkReason::OutletFull => self.outbox.park_until_written(parked),
            ParkReason::ChannelLimit => {
                let mut state = self.outbox.lock();
                let Some(channel) = state.channels.get_mut(&self.channel) else { return true };
                if self.tallies.limit.has_room() {
                    return false;
                }
                channel.parked.push(parked.clone());
                true
            }
        }
    }

    fn outstanding(&self, queue: QueueId, from: u64, max: usize, found: &mut Vec<Entry>) {
        self.outbox.outstanding(queue, from, max, found);
    }

    fn wake(&self, at_once: usize) {
        if at_once <= SENT_HERE_OUTLETS_MAX {
            self.outbox.wake();
        } else {
            // By the time the writers have their turn there may be more to write at once.
            self.outbox.wake_writer();
        }
    }

    fn place(&self) -> Option<OutletPlace> {
        let connection = self.outbox.owner()?.id;
        Some(OutletPlace { connection, channel: self.channel })
    }
}
