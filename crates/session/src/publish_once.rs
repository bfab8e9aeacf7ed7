//! A publish that comes by no connection: the same checks as of basic.publish, and the same way to the queues.

use bytes::Bytes;
use leveret_codec::properties::{PropertiesRef, Property};
use leveret_engine::counters::MessageCounts;
use leveret_engine::effects::Effects;
use leveret_engine::error::Error;
use leveret_engine::journal::Lsn;
use leveret_engine::limits::SHARED_BODY_BYTES_MIN;
use leveret_engine::message::Incoming;
use leveret_engine::permission::{Resource, Verb};
use leveret_engine::publish::PublishBatch;
use leveret_engine::trace::Tap;
use leveret_engine::user::User;
use leveret_engine::vhost::Vhost;

use crate::carbon_copy::{CarbonCopies, hiding_blind_copies, without_blind_copies};
use crate::counters::{ConnectionCounts, SizeCounts};
use crate::publish_checks::{check_expiration, check_user_id};

/// What traces call the connection of who comes by none.
pub const HTTP: &str = "HTTP";

/// A message to be published.
#[derive(Clone, Copy, Debug)]
pub struct Once<'a> {
    /// The exchange; empty for the default one.
    pub exchange: &'a str,
    /// The routing key.
    pub routing_key: &'a str,
    /// Sound properties, encoded.
    pub properties: PropertiesRef<'a>,
    /// The body.
    pub body: &'a Bytes,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishedOnce {
    /// How many queues it was routed to.
    pub queues: usize,
    /// One of them was full.
    pub rejected: bool,
    /// When it is durable.
    pub lsn: Lsn,
}

impl PublishedOnce {
    /// What is to be counted of it: it is mandatory and confirmed, as RabbitMQ's HTTP API publishes.
    #[must_use]
    pub fn counts(&self, body_bytes: u64) -> ConnectionCounts {
        let (is_unroutable, is_confirmed) = (self.queues == 0, !self.rejected);
        let mut sizes = SizeCounts::default();
        sizes.note(body_bytes);
        ConnectionCounts {
            messages: MessageCounts {
                publish: 1,
                confirm: is_confirmed.into(),
                return_unroutable: is_unroutable.into(),
                ..MessageCounts::default()
            },
            received_confirm: 1,
            routed: self.queues as u64,
            sizes,
        }
    }
}

/// Publishes a message as `user`, if the user may. Call it without locks.
///
/// # Errors
/// What basic.publish is refused for.
pub fn publish_once(vhost: &Vhost, user: &User, once: &Once<'_>) -> Result<PublishedOnce, Error> {
    let Once { exchange, routing_key, properties, body } = *once;
    user.check(vhost, Verb::Write, Resource::Exchange(exchange))?;
    let found = vhost.exchange(exchange)?;
    if found.internal {
        return Err(Error::InternalExchange { exchange: found.name.clone(), vhost: vhost.name.clone() });
    }
    check_expiration(properties)?;
    let copies = CarbonCopies::read(properties)?;
    let keys = copies.keys(routing_key.as_bytes());
    for key in &keys {
        user.check_topic(vhost, Verb::Write, &found, key)?;
    }
    check_user_id(properties, user)?;
    let services = vhost.services();
    let intercepted =
        services.interceptors().map(|all| all.intercept(properties, services.clock.now_ms(), services.notices.node()));
    let properties = intercepted.as_deref().map_or(properties, PropertiesRef::from_checked);
    let routed = vhost.route(&found, &keys, properties);
    found.through.add(1, routed.queues.len() as u64);
    if routed.queues.is_empty() {
        found.through.add_unroutable(true);
    }
    let shared = (body.len() >= SHARED_BODY_BYTES_MIN).then(|| body.clone());
    let (exchange, routing_key) = (exchange.as_bytes(), routing_key.as_bytes());
    let mut message = Incoming::borrowed(exchange, routing_key, properties.as_bytes(), body, shared);
    if copies.has_blind() && !routed.only_waits() {
        let hides = routed.queues.iter().any(|queue| queue.has_dead_letters());
        let change = if hides { hiding_blind_copies } else { without_blind_copies };
        message = Incoming::kept(change(&message.parts()));
    }
    if routed.is_remembered() {
        routed.remember(&message.keep());
    }
    if vhost.is_traced() {
        let tap = Tap { connection: HTTP, channel: 0, user: &user.name };
        vhost.trace_publish(&tap, &message.parts(), &keys, &routed.queues);
    }
    let mut batch = PublishBatch::default();
    let route = batch.route_number(&routed.queues);
    let persistent = properties.delivery_mode() == Some(2);
    batch.push_expiring(message, route, persistent, properties.has(Property::Expiration));
    let mut effects = Effects::default();
    let lsn = batch.carry_out(&*vhost.services().journal, &mut effects);
    effects.carry_out();
    let rejected = batch.items.iter().any(|item| item.rejected);
    Ok(PublishedOnce { queues: routed.queues.len(), rejected, lsn })
}
