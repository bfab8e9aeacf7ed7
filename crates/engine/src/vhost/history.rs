//! Messages that an exchange has kept, published once more for a new binding.

use std::sync::Arc;

use leveret_codec::properties::{PropertiesRef, Property};
use leveret_codec::table::FieldValue;

use crate::effects::Effects;
use crate::exchange::Exchange;
use crate::journal::Lsn;
use crate::message::{Incoming, Message};
use crate::publish::{PublishBatch, Route};
use crate::queue::Queue;
use crate::vhost::Vhost;

/// The header with more routing keys.
const CC: &[u8] = b"CC";

impl Vhost {
    /// Puts messages into a queue, in order. Says when all are durable there.
    pub(super) fn publish_to(&self, queue: &Arc<Queue>, messages: Vec<Message>, effects: &mut Effects) -> Lsn {
        let mut batch = PublishBatch::default();
        let route = batch.route_number(&Route::from([Arc::clone(queue)]));
        for message in messages {
            let parts = message.parts();
            let properties = PropertiesRef::from_checked(parts.properties);
            let persistent = properties.delivery_mode() == Some(2);
            let expires = properties.has(Property::Expiration);
            batch.push_expiring(Incoming::kept(message), route, persistent, expires);
        }
        batch.carry_out(&*self.services.journal, effects)
    }

    /// Publishes a message to another exchange with the keys that it came with. Says when it is durable.
    pub(super) fn publish_again(&self, to: &Arc<Exchange>, message: Message, effects: &mut Effects) -> Lsn {
        let keys = keys(&message);
        let keys: Vec<&[u8]> = keys.iter().map(|key| &**key).collect();
        self.publish(to, &keys, message, effects).lsn
    }
}

/// The routing keys that a message still has: its own and those of CC.
fn keys(message: &Message) -> Vec<Box<[u8]>> {
    let parts = message.parts();
    let mut keys = vec![parts.routing_key.into()];
    let headers = PropertiesRef::from_checked(parts.properties).headers();
    if let Some(Ok(FieldValue::Array(copies))) = headers.and_then(|headers| headers.get_raw(CC)).map(|raw| raw.decode())
    {
        keys.extend(copies.into_iter().filter_map(|copy| match copy {
            FieldValue::LongStr(key) => Some(key),
            _ => None,
        }));
    }
    keys
}
