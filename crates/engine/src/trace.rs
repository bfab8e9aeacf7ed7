//! The firehose: copies of all messages that are published to a traced vhost and delivered from it, by its exchange
//! `amq.rabbitmq.trace`. Not tracing costs a batch one look at a counter.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue};

use crate::limits::SHORT_STRING_BYTES_MAX;
use crate::message::{Marks, Message, Parts};
use crate::notices::{Notice, Notices};
use crate::queue::Queue;
use crate::vhost::Vhost;

/// The exchange of traces.
pub const EXCHANGE: &str = "amq.rabbitmq.trace";

/// Whose publish or delivery it is.
#[derive(Clone, Copy, Debug)]
pub struct Tap<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// The channel's number.
    pub channel: u16,
    /// The user's name.
    pub user: &'a str,
}

impl Notices {
    /// Whether any vhost is traced.
    #[inline]
    #[must_use]
    pub fn traces(&self) -> bool {
        self.traced_vhosts.load(Ordering::Relaxed) > 0
    }
}

impl Queue {
    /// Its vhost, if that is traced.
    #[inline]
    #[must_use]
    pub fn traced_in(&self) -> Option<Arc<Vhost>> {
        if self.services.notices.traces() { self.home.upgrade().filter(|vhost| vhost.is_traced()) } else { None }
    }
}

impl Vhost {
    /// Starts or ends the tracing of what is published and delivered. It does not survive a restart.
    pub fn set_tracing(&self, on: bool) {
        if self.traced.swap(on, Ordering::SeqCst) != on {
            let vhosts = &self.services.notices.traced_vhosts;
            let _ = if on { vhosts.fetch_add(1, Ordering::SeqCst) } else { vhosts.fetch_sub(1, Ordering::SeqCst) };
        }
    }

    /// Whether it is traced.
    #[inline]
    #[must_use]
    pub fn is_traced(&self) -> bool {
        self.services.notices.traces() && self.traced.load(Ordering::Relaxed)
    }

    /// Traces a publish that was routed to these queues. May be called under locks.
    #[cold]
    pub fn trace_publish(&self, tap: &Tap<'_>, parts: &Parts<'_>, keys: &[&[u8]], queues: &[Arc<Queue>]) {
        let mut headers = self.described(parts, keys.iter().copied());
        self.push_tap(&mut headers, tap);
        // What waits in a delayed exchange is in a queue of which nobody knows.
        let queues = queues.iter().filter(|queue| queue.delay.is_none());
        let names = queues.map(|queue| text(queue.name.as_bytes())).collect();
        headers.push(*b"routed_queues", FieldValue::Array(names));
        self.trace(b"publish.", parts.exchange, parts, headers);
    }

    /// Traces a delivery, or a get, from a queue. May be called under locks.
    #[cold]
    pub fn trace_delivery(&self, tap: &Tap<'_>, parts: &Parts<'_>, queue: &str, redelivered: bool) {
        let copies = carbon_copies(parts);
        let keys = std::iter::once(parts.routing_key).chain(copies.iter().map(|key| &**key));
        let mut headers = self.described(parts, keys);
        headers.push(*b"redelivered", FieldValue::I32(redelivered.into()));
        self.push_tap(&mut headers, tap);
        self.trace(b"deliver.", queue.as_bytes(), parts, headers);
    }

    /// What is told of the message itself.
    fn described<'k>(&self, parts: &Parts<'_>, keys: impl Iterator<Item = &'k [u8]>) -> FieldTable {
        let mut headers = FieldTable::default();
        headers.push(*b"exchange_name", text(parts.exchange));
        headers.push(*b"routing_keys", FieldValue::Array(keys.map(text).collect()));
        headers.push(*b"properties", FieldValue::Table(as_table(PropertiesRef::from_checked(parts.properties))));
        headers.push(*b"node", text(self.services.notices.node().as_bytes()));
        headers
    }

    fn push_tap(&self, headers: &mut FieldTable, tap: &Tap<'_>) {
        headers.push(*b"vhost", text(self.name.as_bytes()));
        headers.push(*b"connection", text(tap.connection.as_bytes()));
        headers.push(*b"channel", FieldValue::I32(tap.channel.into()));
        headers.push(*b"user", text(tap.user.as_bytes()));
    }

    fn trace(&self, prefix: &[u8], suffix: &[u8], parts: &Parts<'_>, headers: FieldTable) {
        // Traces are not traced.
        if parts.exchange == EXCHANGE.as_bytes() {
            return;
        }
        let Some(exchange) = self.exchanges.get(EXCHANGE) else { return };
        let mut routing_key = [prefix, suffix].concat();
        routing_key.truncate(SHORT_STRING_BYTES_MAX);
        let mut properties = Vec::new();
        Properties { headers: Some(headers), ..Properties::default() }.encode(&mut properties);
        let message = Message::copy_of(&Parts {
            exchange: EXCHANGE.as_bytes(),
            routing_key: &routing_key,
            properties: &properties,
            marks: Marks::NONE,
            ..*parts
        });
        let notice = Notice { vhost: Weak::clone(&self.me), exchange, routing_key: routing_key.into(), message };
        self.services.notices.push(notice);
    }
}

fn text(bytes: &[u8]) -> FieldValue {
    FieldValue::LongStr(bytes.into())
}

/// The routing keys of header CC.
fn carbon_copies(parts: &Parts<'_>) -> Vec<Box<[u8]>> {
    let headers = PropertiesRef::from_checked(parts.properties).headers();
    let copies = headers.and_then(|headers| headers.get_raw(b"CC")).and_then(|copies| copies.decode().ok());
    let Some(FieldValue::Array(copies)) = copies else { return Vec::new() };
    let keys = copies.into_iter().filter_map(|copy| if let FieldValue::LongStr(key) = copy { Some(key) } else { None });
    keys.collect()
}

/// Those properties that there are.
fn as_table(properties: PropertiesRef<'_>) -> FieldTable {
    let mut table = FieldTable::default();
    let number = |value: u64| match i32::try_from(value) {
        Ok(value) => FieldValue::I32(value),
        Err(_) => FieldValue::I64(i64::try_from(value).unwrap_or(i64::MAX)),
    };
    let mut push = |name: &str, value: Option<FieldValue>| {
        if let Some(value) = value {
            table.push(name.as_bytes(), value);
        }
    };
    push("content_type", properties.content_type().map(text));
    push("content_encoding", properties.content_encoding().map(text));
    push("headers", properties.headers().and_then(|headers| headers.decode().ok()).map(FieldValue::Table));
    push("delivery_mode", properties.delivery_mode().map(|value| number(value.into())));
    push("priority", properties.priority().map(|value| number(value.into())));
    push("correlation_id", properties.correlation_id().map(text));
    push("reply_to", properties.reply_to().map(text));
    push("expiration", properties.expiration().map(text));
    push("message_id", properties.message_id().map(text));
    push("timestamp", properties.timestamp().map(number));
    push("type", properties.type_().map(text));
    push("user_id", properties.user_id().map(text));
    push("app_id", properties.app_id().map(text));
    push("cluster_id", properties.cluster_id().map(text));
    table
}
