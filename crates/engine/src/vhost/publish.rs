//! Messages that the broker itself publishes.

use std::sync::Arc;

use leveret_codec::properties::{PropertiesRef, Property};
use smallvec::SmallVec;

use crate::effects::Effects;
use crate::exchange::Exchange;
use crate::journal::Lsn;
use crate::message::{Incoming, Message};
use crate::publish::{Publication, PublishBatch, Route};
use crate::queue::{DeadLetter, DeathReason, Queue};
use crate::vhost::{Routed, Vhost};

/// What became of a message that the broker published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// How many queues it was routed to.
    pub queues: usize,
    /// One of them was full.
    pub rejected: bool,
    /// When it is durable.
    pub lsn: Lsn,
}

impl Vhost {
    /// Publishes `message` to `exchange` with `keys`, without any check. Call it without locks; the caller carries `effects` out.
    pub fn publish(
        &self,
        exchange: &Arc<Exchange>,
        keys: &[&[u8]],
        message: Message,
        effects: &mut Effects,
    ) -> Published {
        let parts = message.parts();
        let properties = PropertiesRef::from_checked(parts.properties);
        let persistent = properties.delivery_mode() == Some(2);
        let expires = properties.has(Property::Expiration);
        let routed = self.route(exchange, keys, properties);
        routed.remember(&message);
        let queues = routed.queues.len();
        let mut batch = PublishBatch::default();
        let route = batch.route_number(&routed.queues);
        batch.push_expiring(Incoming::kept(message), route, persistent, expires);
        let lsn = batch.carry_out(&*self.services.journal, effects);
        let rejected = batch.items.iter().any(|item| item.rejected);
        Published { queues, rejected, lsn }
    }

    /// Publishes dead letters to `exchange`, in order, but not to queues that they would come back to for ever. Says of each
    /// whether it needs no other try: some queue was there for it, and none refused it. Call it without locks; the caller carries
    /// `effects` out.
    pub(crate) fn publish_dead_letters(
        &self,
        exchange: &Arc<Exchange>,
        reason: DeathReason,
        letters: impl Iterator<Item = DeadLetter>,
        effects: &mut Effects,
    ) -> Vec<bool> {
        let mut routed_any = Vec::new();
        let mut batch = PublishBatch::default();
        let mut last: Option<(Vec<Box<[u8]>>, Routed)> = None;
        for DeadLetter { message, keys, deaths } in letters {
            let properties = PropertiesRef::from_checked(message.parts().properties);
            let persistent = properties.delivery_mode() == Some(2);
            let known = last.take().filter(|(known, routed)| *known == keys && routed.is_current());
            let routed = known.map(|(_, routed)| routed).unwrap_or_else(|| {
                let keys: SmallVec<[&[u8]; 4]> = keys.iter().map(|key| &**key).collect();
                self.route(exchange, &keys, properties)
            });
            routed_any.push(!routed.queues.is_empty());
            let goes_round = |queue: &Arc<Queue>| reason != DeathReason::Rejected && deaths.is_cycle(&queue.name);
            let route = if routed.queues.iter().any(goes_round) {
                let others: Route = routed.queues.iter().filter(|queue| !goes_round(queue)).cloned().collect();
                batch.route_number(&others)
            } else {
                batch.route_number(&routed.queues)
            };
            routed.remember(&message);
            last = Some((keys, routed));
            batch.push(Incoming::kept(message), route, persistent);
        }
        batch.carry_out(&*self.services.journal, effects);
        let arrived =
            |(was_routed, item): (bool, &Publication<'_>)| was_routed && !item.rejected && !batch.is_lost(item);
        routed_any.into_iter().zip(&batch.items).map(arrived).collect()
    }
}
