//! What a connection tells of itself beside the protocol: events of logins, connections, channels and consumers, and the
//! tracing of its messages.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::counters::count_one;
use leveret_engine::events::Fields;
use leveret_engine::message::Parts;
use leveret_engine::names::{ConnectionId, Name};
use leveret_engine::publish::Route;
use leveret_engine::queue::{Entry, Queue};
use leveret_engine::services::Services;
use leveret_engine::trace::Tap;
use leveret_engine::vhost::Vhost;

use crate::carbon_copy::CarbonCopies;
use crate::connection::{Connection, Tuned};
use crate::login::{TlsFacts, in_one_line};
use crate::outbox::{ConsumerHome, Outbox};
use crate::reply_to::is_reply_to;

/// RabbitMQ's name for AMQP 0-9-1 in events.
const PROTOCOL: &str = "{0,9,1}";

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client's.
    pub peer: SocketAddr,
    /// The server's.
    pub host: SocketAddr,
}

/// What is known of a connection.
#[derive(Debug)]
pub(crate) struct About {
    known: Arc<Known>,
    /// The client has introduced itself.
    introduced: bool,
}

/// What does not change any more once a connection is open, and is shared with its outbox from then on.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) ends: Option<Ends>,
    /// In a box, since most connections have none.
    pub(crate) tls: Option<Box<TlsFacts>>,
    pub(crate) name: Name,
    pub(crate) client_properties: FieldTable,
    pub(crate) mechanism: String,
    pub(crate) connected_at_ms: u64,
}

/// Whose connection it is, once it is open.
pub(crate) struct Owner {
    services: Arc<Services>,
    pub(crate) id: ConnectionId,
    pub(crate) known: Arc<Known>,
    pub(crate) user: Name,
    pub(crate) vhost: Name,
    pub(crate) tuned: Tuned,
}

/// A consumer, for events.
pub(crate) struct ConsumerFacts<'a> {
    pub(crate) tag: &'a str,
    pub(crate) queue: &'a Queue,
    pub(crate) no_ack: bool,
    pub(crate) exclusive: bool,
    pub(crate) prefetch: u16,
    pub(crate) arguments: &'a FieldTable,
}

impl About {
    pub(crate) fn new(id: ConnectionId) -> Self {
        let known = Known {
            ends: None,
            tls: None,
            name: format!("connection {}", id.0).into(),
            client_properties: FieldTable::default(),
            mechanism: String::new(),
            connected_at_ms: 0,
        };
        Self { known: Arc::new(known), introduced: false }
    }

    /// What the client says of itself.
    pub(crate) fn introduce(&mut self, properties: FieldTable, mechanism: &str, now_ms: u64) {
        let known = self.learn();
        known.client_properties = properties;
        mechanism.clone_into(&mut known.mechanism);
        known.connected_at_ms = now_ms;
        self.introduced = true;
    }

    /// To be added to, as long as the connection is not open.
    fn learn(&mut self) -> &mut Known {
        Arc::make_mut(&mut self.known)
    }
}

impl std::ops::Deref for About {
    type Target = Known;

    fn deref(&self) -> &Known {
        &self.known
    }
}

impl Known {
    /// The name that the client gave the connection.
    pub(crate) fn given_name(&self) -> Option<&[u8]> {
        match self.client_properties.get(b"connection_name") {
            Some(FieldValue::LongStr(name)) => Some(name),
            _ => None,
        }
    }

    /// Where it comes from and goes to.
    fn tell_ends(&self, fields: Fields) -> Fields {
        let Some(Ends { peer, host }) = self.ends else { return fields };
        let fields = fields.text("peer_host", &peer.ip().to_canonical().to_string());
        let fields = fields.number("peer_port", peer.port().into());
        fields.text("host", &host.ip().to_canonical().to_string()).number("port", host.port().into())
    }

    /// Whether the connection is a secure one, and how.
    fn tell_tls(&self, fields: Fields) -> Fields {
        let Some(tls) = &self.tls else { return fields.flag("ssl", false) };
        let fields = fields.flag("ssl", true).text("ssl_protocol", tls.protocol);
        let fields = fields.text("ssl_key_exchange", tls.key_exchange).text("ssl_cipher", tls.cipher);
        let fields = fields.text("ssl_hash", tls.hash);
        let Some(peer) = &tls.peer else { return fields };
        let fields = fields.text("peer_cert_issuer", &peer.issuer).text("peer_cert_subject", &peer.subject);
        fields.text("peer_cert_serial_number", &peer.serial_number).text("peer_cert_validity", &peer.validity)
    }

    fn tell_client(&self, fields: Fields) -> Fields {
        let fields = match self.given_name() {
            Some(name) => fields.bytes("user_provided_name", name),
            None => fields,
        };
        fields.table("client_properties", &self.client_properties)
    }
}

impl Connection {
    /// Says between which ends the connection is; its name comes from them.
    #[must_use]
    pub fn between(mut self, ends: Ends) -> Self {
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let known = self.about.learn();
        known.name = format!("{} -> {}", canonical(ends.peer), canonical(ends.host)).into();
        known.ends = Some(ends);
        self
    }

    /// Says what TLS the connection has.
    #[must_use]
    pub fn secured(mut self, tls: TlsFacts) -> Self {
        self.about.learn().tls = Some(Box::new(tls));
        self
    }

    /// What is known of its TLS, if it speaks it.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.about.tls.as_deref()
    }

    /// The client's address.
    pub(crate) fn peer_address(&self) -> Option<IpAddr> {
        self.about.ends.map(|ends| ends.peer.ip().to_canonical())
    }

    /// Its name in the log.
    pub(crate) fn log_name(&self) -> String {
        match self.about.given_name() {
            Some(given) => format!("{} - {}", self.about.name, in_one_line(&String::from_utf8_lossy(given))),
            None => self.about.name.to_string(),
        }
    }

    fn pid(&self, channel: u16) -> String {
        self.broker.services.notices.pid(self.id, channel)
    }

    /// Somebody logged in, or was refused for what `error` says.
    pub(crate) fn tell_login(&self, user: &str, error: Option<&str>) {
        let churn = &self.broker.services.churn;
        count_one(if error.is_some() { &churn.logins_failed } else { &churn.logins_succeeded });
        let name = if error.is_some() { "user.authentication.failure" } else { "user.authentication.success" };
        self.broker.services.event(name, |fields| {
            let fields = fields.text("connection_type", "network").text("name", user);
            let fields = self.about.tell_ends(fields).text("connection_name", &self.about.name);
            let fields = fields.text("protocol", PROTOCOL).text("auth_mechanism", &self.about.mechanism);
            let fields = self.about.tell_tls(fields);
            error.into_iter().fold(fields, |fields, error| fields.text("error", error))
        });
    }

    /// The connection is open: from now on its outbox knows whose it is.
    pub(crate) fn tell_opened(&self) {
        let Some(home) = &self.home else { return };
        let services = &self.broker.services;
        self.outbox.set_owner(Owner {
            services: Arc::clone(services),
            id: self.id,
            known: Arc::clone(&self.about.known),
            user: Name::clone(&home.user.name),
            vhost: Name::clone(&home.vhost.name),
            tuned: self.tuned,
        });
        count_one(&services.churn.connections_created);
        services.event("connection.created", |fields| {
            let fields = fields.text("type", "network").text("pid", &self.pid(0)).text("name", &self.about.name);
            let fields = self.about.tell_tls(self.about.tell_ends(fields)).text("protocol", PROTOCOL);
            let fields = fields.text("auth_mechanism", &self.about.mechanism).text("user", &home.user.name);
            let fields = fields.text("vhost", &home.vhost.name).number("timeout", self.tuned.heartbeat_s.into());
            let fields = fields.number("frame_max", self.tuned.told_frame_max());
            let fields = fields.number("channel_max", self.tuned.channel_max.into());
            let fields = self.about.tell_client(fields).number("connected_at", self.about.connected_at_ms);
            fields.text("node", services.notices.node()).by(&home.user.name)
        });
    }

    /// The connection has ended, however far it had come.
    pub(crate) fn tell_ended(&mut self) {
        if std::mem::take(&mut self.about.introduced) {
            let services = &self.broker.services;
            if self.home.is_some() {
                count_one(&services.churn.connections_closed);
            }
            services.event("connection.closed", |fields| {
                let fields = fields.text("name", &self.about.name).text("pid", &self.pid(0));
                self.about.tell_client(fields.text("node", services.notices.node()))
            });
        }
    }

    pub(crate) fn tell_channel_opened(&self, number: u16) {
        let Some(home) = &self.home else { return };
        count_one(&self.broker.services.churn.channels_created);
        self.broker.services.event("channel.created", |fields| {
            let fields = fields.text("pid", &self.pid(number)).text("connection", &self.pid(0));
            let fields = fields.text("name", &format!("{} ({number})", self.about.name));
            let fields = fields.number("number", number.into()).text("user", &home.user.name);
            fields.text("vhost", &home.vhost.name).by(&home.user.name)
        });
    }

    pub(crate) fn tell_channel_closed(&self, number: u16) {
        let Some(home) = &self.home else { return };
        count_one(&self.broker.services.churn.channels_closed);
        let tell = |fields: Fields| fields.text("pid", &self.pid(number)).by(&home.user.name);
        self.broker.services.event("channel.closed", tell);
    }

    /// A consumer is no more.
    pub(crate) fn tell_consumer_deleted(&self, number: u16, tag: &str, home: &ConsumerHome) {
        if let Some(owner) = self.outbox.owner() {
            owner.tell_consumer_deleted(number, tag, &home.queue);
        }
    }

    /// Publishes what the broker has to say about itself, if there is anything. Call it without locks.
    pub(crate) fn publish_notices(&mut self) {
        if self.broker.services.notices.is_some() {
            self.broker.services.notices.publish(&mut self.effects);
        }
    }

    /// Traces a publish; `properties` are those that it came with, BCC among them.
    #[cold]
    pub(crate) fn trace_publish(
        &self,
        number: u16,
        parts: &Parts<'_>,
        properties: PropertiesRef<'_>,
        route: Option<&Route>,
    ) {
        let (Some(home), Some(owner)) = (&self.home, self.outbox.owner()) else { return };
        let copies = CarbonCopies::read(properties).unwrap_or_default();
        home.vhost.trace_publish(
            &owner.tap(number),
            parts,
            &copies.keys(parts.routing_key),
            route.map_or(&[], |route| route),
        );
    }
}

impl Outbox {
    /// Traces a message that was got, if its vhost is traced.
    pub(crate) fn trace_got(&self, channel: u16, queue: &Queue, entry: &Entry) {
        if let (Some(vhost), Some(owner)) = (queue.traced_in(), self.owner()) {
            owner.trace(&vhost, channel, &entry.message.parts(), queue, entry.deliveries > 0);
        }
    }
}

impl Owner {
    /// `127.0.0.1:50772 -> 127.0.0.1:5672 (1)`
    pub(crate) fn channel_name(&self, number: u16) -> String {
        format!("{} ({number})", self.known.name)
    }

    pub(crate) fn tap(&self, channel: u16) -> Tap<'_> {
        Tap { connection: &self.known.name, channel, user: &self.user }
    }

    pub(crate) fn tell_consumer_created(&self, channel: u16, consumer: &ConsumerFacts<'_>) {
        let ConsumerFacts { tag, queue, no_ack, exclusive, prefetch, arguments } = consumer;
        self.services.event("consumer.created", |fields| {
            let fields = fields.text("consumer_tag", tag).flag("exclusive", *exclusive);
            let fields =
                fields.flag("ack_required", !no_ack).text("channel", &self.services.notices.pid(self.id, channel));
            let fields = fields.text("queue", &queue.name).text("vhost", &queue.vhost);
            fields.number("prefetch_count", (*prefetch).into()).table("arguments", arguments).by(&self.user)
        });
    }

    /// A consumer is no more. Those of direct replies were never told of.
    pub(crate) fn tell_consumer_deleted(&self, channel: u16, tag: &str, queue: &Queue) {
        if is_reply_to(&queue.name) {
            return;
        }
        self.services.event("consumer.deleted", |fields| {
            let fields = fields.text("consumer_tag", tag);
            let fields = fields.text("channel", &self.services.notices.pid(self.id, channel));
            fields.text("queue", &queue.name).text("vhost", &queue.vhost).by(&self.user)
        });
    }

    /// Traces a delivery or a get.
    #[cold]
    pub(crate) fn trace(&self, vhost: &Vhost, channel: u16, parts: &Parts<'_>, queue: &Queue, redelivered: bool) {
        vhost.trace_delivery(&self.tap(channel), parts, &queue.name, redelivered);
    }
}
