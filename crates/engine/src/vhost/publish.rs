//! Messages that the broker itself publishes.

use std::sync::Arc;

use leveret_codec::properties::PropertiesRef;

use crate::effects::Effects;
use crate::exchange::Exchange;
use crate::journal::Lsn;
use crate::message::{Incoming, Message};
use crate::publish::PublishBatch;
use crate::vhost::Vhost;

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
        let routed = self.route(exchange, keys, || properties.headers());
        let queues = routed.queues.len();
        let mut batch = PublishBatch::default();
        let route = batch.route_number(&routed.queues);
        batch.push(Incoming::kept(message), route, persistent);
        let lsn = batch.carry_out(&*self.services.journal, effects);
        let rejected = batch.items.iter().any(|item| item.rejected);
        Published { queues, rejected, lsn }
    }
}
