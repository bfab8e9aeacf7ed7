//! Messages that those who administer put from one queue elsewhere.
//!
//! What is guaranteed: a message is in its old queue until the journal has it in its new ones, so that none is lost, whenever the
//! broker ends; one that ends in between leaves it in both. While it runs nobody gets a message from both: it is in hand until it
//! is gone from the old one. What no queue takes stays where it was.

use std::sync::Arc;

use leveret_codec::properties::{PropertiesEdit, PropertiesRef, Property};
use leveret_codec::table::{FieldTable, FieldValue};

use crate::effects::Effects;
use crate::exchange::Exchange;
use crate::journal::Lsn;
use crate::message::{Incoming, Marks, Message, Parts};
use crate::publish::{PublishBatch, Route};
use crate::queue::{InHand, Queue};
use crate::vhost::Vhost;

/// Where messages go.
#[derive(Clone, Debug)]
pub enum MoveTo {
    /// Into a queue, as they are: also their exchange and routing key stay what they were published with.
    Queue(Arc<Queue>),
    /// To an exchange, with this key or their own.
    Exchange(Arc<Exchange>, Option<Box<[u8]>>),
    /// Back to the queue in which they died first. `reset`: they say nothing of their deaths any more.
    Origin {
        /// Whether the headers that tell of deaths are taken out.
        reset: bool,
    },
}

/// Messages that are in their new queues, and still in hand.
#[derive(Debug)]
#[must_use = "what is dropped is in its old queue again, and in its new ones, too"]
pub struct Relocated {
    /// To be settled when `lsn` is durable. What no queue took is not among it, and in its old queue again.
    pub arrived: InHand,
    /// When they are durable where they are.
    pub lsn: Lsn,
    /// How many no queue took.
    pub refused: usize,
}

/// The headers that tell of deaths.
const DEATH_HEADERS: [&[u8]; 7] = [
    b"x-death",
    FIRST_QUEUE,
    FIRST_REASON,
    b"x-first-death-exchange",
    b"x-last-death-queue",
    b"x-last-death-reason",
    b"x-last-death-exchange",
];
const FIRST_QUEUE: &[u8] = b"x-first-death-queue";
const FIRST_REASON: &[u8] = b"x-first-death-reason";

impl Vhost {
    /// Publishes what is in hand to where it shall go. Call it without locks.
    pub fn relocate(&self, mut in_hand: InHand, to: &MoveTo) -> Relocated {
        let mut batch = PublishBatch::default();
        let mut has_route = Vec::with_capacity(in_hand.entries().len());
        for entry in in_hand.entries() {
            let (message, route) = self.moved(&entry.message, to);
            let (persistent, expires) = {
                let properties = PropertiesRef::from_checked(message.parts().properties);
                (properties.delivery_mode() == Some(2), properties.has(Property::Expiration))
            };
            has_route.push(!route.is_empty());
            let route = batch.route_number(&route);
            batch.push_expiring(Incoming::kept(message), route, persistent, expires);
        }
        let mut effects = Effects::default();
        let lsn = batch.carry_out(&*self.services.journal, &mut effects);
        effects.carry_out();
        let outcomes = has_route.iter().zip(&batch.items).enumerate();
        let arrived = outcomes.filter(|(_, (has_route, item))| **has_route && !item.rejected && !batch.is_lost(item));
        let arrived: Vec<usize> = arrived.map(|(place, _)| place).collect();
        let refused = in_hand.entries().len() - arrived.len();
        in_hand.keep(&arrived);
        Relocated { arrived: in_hand, lsn, refused }
    }

    /// The message as it goes on, and the queues that it goes to.
    fn moved(&self, message: &Message, to: &MoveTo) -> (Message, Route) {
        match to {
            MoveTo::Queue(queue) => (message.alone(), Route::from([Arc::clone(queue)])),
            MoveTo::Exchange(exchange, key) => {
                let parts = message.parts();
                let routing_key = key.as_deref().unwrap_or(parts.routing_key);
                let moved = Message::copy_of(&Parts { exchange: exchange.name.as_bytes(), routing_key, ..parts });
                let routed = self.route(exchange, &[routing_key], PropertiesRef::from_checked(parts.properties));
                routed.remember(&moved);
                (moved, routed.queues)
            }
            MoveTo::Origin { reset } => {
                let origin = Origin::of(&message.parts());
                let queue = origin.as_ref().and_then(|origin| self.queues.get(&*origin.queue));
                match (origin, queue) {
                    (Some(origin), Some(queue)) => (origin.revive(&message.parts(), *reset), Route::from([queue])),
                    _ => (message.alone(), Route::from([])),
                }
            }
        }
    }
}

/// Where a dead letter came from.
struct Origin {
    queue: String,
    published: Option<Published>,
}

/// What a message was published with.
struct Published {
    exchange: Box<[u8]>,
    routing_key: Box<[u8]>,
}

impl Origin {
    fn of(parts: &Parts<'_>) -> Option<Self> {
        let headers = PropertiesRef::from_checked(parts.properties).headers()?;
        let text = |name: &[u8]| headers.get_raw(name)?.as_long_str().map(<[u8]>::to_vec);
        let deaths = match headers.get_raw(b"x-death").map(|raw| raw.decode()) {
            Some(Ok(FieldValue::Array(deaths))) => deaths,
            _ => Vec::new(),
        };
        let mut deaths = deaths
            .iter()
            .rev()
            .filter_map(|death| if let FieldValue::Table(death) = death { Some(death) } else { None });
        // The oldest entry need not be the first death: one that happened again has moved to the front.
        let (first_queue, first_reason) = (text(FIRST_QUEUE), text(FIRST_REASON));
        let is_first = |death: &&FieldTable| {
            first_queue.is_none()
                || long_str(death, b"queue") == first_queue.as_deref()
                    && (first_reason.is_none() || long_str(death, b"reason") == first_reason.as_deref())
        };
        let death = deaths.find(is_first);
        let queue = first_queue.or_else(|| death.and_then(|death| long_str(death, b"queue")).map(<[u8]>::to_vec))?;
        let published = death.and_then(|death| {
            let Some(FieldValue::Array(keys)) = death.get(b"routing-keys") else { return None };
            let Some(FieldValue::LongStr(key)) = keys.first() else { return None };
            Some(Published { exchange: long_str(death, b"exchange")?.into(), routing_key: key.clone() })
        });
        Some(Self { queue: String::from_utf8(queue).ok()?, published })
    }

    /// The message as it was when it was published, but for its expiration; with `reset` also as if it had never died.
    fn revive(&self, parts: &Parts<'_>, reset: bool) -> Message {
        let mut edited = Vec::new();
        let mut parts = *parts;
        if reset {
            let edit = PropertiesEdit { remove: &DEATH_HEADERS, ..PropertiesEdit::default() };
            PropertiesRef::from_checked(parts.properties).write_edited(&edit, &mut edited);
            parts.properties = &edited;
            let is_blind = parts.marks.has(Marks::BLIND_COPIES);
            parts.marks = if is_blind { Marks::BLIND_COPIES } else { Marks::NONE };
        }
        if let Some(Published { exchange, routing_key }) = &self.published {
            (parts.exchange, parts.routing_key) = (exchange, routing_key);
        }
        Message::copy_of(&parts)
    }
}

fn long_str<'t>(table: &'t FieldTable, name: &[u8]) -> Option<&'t [u8]> {
    match table.get(name) {
        Some(FieldValue::LongStr(text)) => Some(text),
        _ => None,
    }
}
