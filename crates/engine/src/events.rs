//! Events: what happens in the broker, told by messages of exchange `amq.rabbitmq.event` in vhost `/`.
//!
//! An event's name is its routing key, its fields are headers, its body is empty. While nothing is bound to the exchange, an
//! event costs one look at a flag.

use std::sync::Weak;
use std::sync::atomic::Ordering;

use leveret_codec::erlang::Binary;
use leveret_codec::properties::Properties;
use leveret_codec::table::{FieldTable, FieldValue};

use crate::message::{Marks, Message, Parts};
use crate::notices::{Notice, Notices};
use crate::policy::{Policy, PolicyKind};
use crate::queue::Queue;
use crate::queue::arguments::Term;
use crate::services::Services;
use crate::vhost::{REPLY_QUEUE_PREFIX, Vhost};

/// The exchange of events.
pub const EXCHANGE: &str = "amq.rabbitmq.event";

/// Who does what nobody asked for, such as deletions that follow from others.
pub const INTERNAL_USER: &str = "rmq-internal";

/// The component of operator policies among the parameters.
pub(crate) const OPERATOR_POLICY: &str = "operator_policy";

/// The field that says who did it.
const USER: &str = "user_who_performed_action";

/// delivery-mode of messages that are to survive.
const PERSISTENT: u8 = 2;

/// The fields of an event.
#[derive(Debug, Default)]
pub struct Fields(FieldTable);

impl Fields {
    /// A text.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.0.push(name.as_bytes(), FieldValue::LongStr(value.as_bytes().into()));
        self
    }

    /// Bytes that are mostly text, such as a routing key.
    #[must_use]
    pub fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.0.push(name.as_bytes(), FieldValue::LongStr(value.into()));
        self
    }

    /// A truth.
    #[must_use]
    pub fn flag(mut self, name: &str, value: bool) -> Self {
        self.0.push(name.as_bytes(), FieldValue::Bool(value));
        self
    }

    /// A number.
    #[must_use]
    pub fn number(mut self, name: &str, value: u64) -> Self {
        self.0.push(name.as_bytes(), FieldValue::I64(i64::try_from(value).unwrap_or(i64::MAX)));
        self
    }

    /// A table, as RabbitMQ gives it: a list of texts, each an Erlang term with name, type and value.
    #[must_use]
    pub fn table(mut self, name: &str, table: &FieldTable) -> Self {
        let entry = |(name, value): &(Box<[u8]>, FieldValue)| {
            let text = format!("{{{},{},{}}}", Binary(name), value.type_name(), Term(value));
            FieldValue::LongStr(text.into_bytes().into())
        };
        self.0.push(name.as_bytes(), FieldValue::Array(table.0.iter().map(entry).collect()));
        self
    }

    /// A table that stays one.
    #[must_use]
    pub fn table_as_it_is(mut self, name: &str, table: &FieldTable) -> Self {
        self.0.push(name.as_bytes(), FieldValue::Table(table.clone()));
        self
    }

    /// A value of any type.
    #[must_use]
    pub fn value(mut self, name: &str, value: FieldValue) -> Self {
        self.0.push(name.as_bytes(), value);
        self
    }

    /// Fields of its own.
    #[must_use]
    pub fn inner(mut self, name: &str, Self(fields): Self) -> Self {
        self.0.push(name.as_bytes(), FieldValue::Table(fields));
        self
    }

    /// Texts.
    #[must_use]
    pub fn texts<'t>(mut self, name: &str, texts: impl IntoIterator<Item = &'t str>) -> Self {
        let texts = texts.into_iter().map(|text| FieldValue::LongStr(text.as_bytes().into()));
        self.0.push(name.as_bytes(), FieldValue::Array(texts.collect()));
        self
    }

    /// Who did it.
    #[must_use]
    pub fn by(self, user: &str) -> Self {
        self.text(USER, user)
    }
}

impl Notices {
    /// Events are told in this vhost from now on.
    pub(crate) fn tell_events_in(&self, vhost: Weak<Vhost>) {
        *self.events_in.write() = vhost;
    }

    /// Whether a vhost that is still there tells of events.
    pub(crate) fn has_place_for_events(&self) -> bool {
        self.events_in.read().upgrade().is_some_and(|vhost| !vhost.is_deleted())
    }

    /// A vhost is deleted: if events were told there, they are told nowhere from now on.
    pub(crate) fn tell_no_events_in(&self, vhost: &Weak<Vhost>) {
        let mut events_in = self.events_in.write();
        if events_in.ptr_eq(vhost) {
            *events_in = Weak::new();
            self.events_wanted.store(false, Ordering::Relaxed);
        }
    }

    /// Whether anybody wants to know of events.
    #[inline]
    #[must_use]
    pub fn wants_events(&self) -> bool {
        self.events_wanted.load(Ordering::Relaxed)
    }
}

impl Vhost {
    /// A policy was set.
    pub(crate) fn tell_policy_set(&self, kind: PolicyKind, policy: &Policy, user: &str) {
        let tell = |fields: Fields| {
            let fields = fields.text("name", &policy.name).text("vhost", &self.name).text("pattern", policy.pattern());
            let fields =
                fields.text("apply-to", policy.apply_to.as_str()).table_as_it_is("definition", &policy.definition);
            fields.value("priority", FieldValue::I64(policy.priority)).by(user)
        };
        match kind {
            PolicyKind::User => self.services.event("policy.set", tell),
            PolicyKind::Operator => {
                self.services.event("parameter.set", |fields| tell(fields.text("component", OPERATOR_POLICY)));
            }
        }
    }

    pub(crate) fn tell_policy_cleared(&self, kind: PolicyKind, name: &str, user: &str) {
        let tell = |fields: Fields| fields.text("name", name).text("vhost", &self.name).by(user);
        match kind {
            PolicyKind::User => self.services.event("policy.cleared", tell),
            PolicyKind::Operator => {
                self.services.event("parameter.cleared", |fields| tell(fields.text("component", OPERATOR_POLICY)));
            }
        }
    }

    /// A queue was declared.
    pub(crate) fn tell_created(&self, queue: &Queue, user: &str) {
        self.services.event("queue.created", |fields| {
            let owner = queue.owner.map(|owner| self.services.notices.pid(owner, 0));
            let fields = fields.text("name", &queue.name).text("vhost", &self.name).flag("durable", queue.durable);
            let fields = fields.flag("auto_delete", queue.auto_delete).table("arguments", &queue.arguments);
            fields.flag("exclusive", owner.is_some()).text("owner_pid", &owner.unwrap_or_default()).by(user)
        });
    }

    /// A queue is gone. Those of direct replies were never told of.
    pub(crate) fn tell_deleted(&self, queue: &Queue, user: &str) {
        if queue.name.starts_with(REPLY_QUEUE_PREFIX) {
            return;
        }
        self.services
            .event("queue.deleted", |fields| fields.text("name", &queue.name).text("vhost", &self.name).by(user));
    }
}

impl Services {
    /// Tells of an event, if anybody wants to know. May be called under locks.
    #[inline]
    pub fn event(&self, name: &str, fields: impl FnOnce(Fields) -> Fields) {
        if self.notices.wants_events() {
            self.tell(name, fields(Fields::default()));
        }
    }

    #[cold]
    fn tell(&self, name: &str, Fields(mut headers): Fields) {
        let vhost = Weak::clone(&self.notices.events_in.read());
        let Some(exchange) = vhost.upgrade().and_then(|vhost| vhost.exchanges.get(EXCHANGE)) else { return };
        let now_ms = self.clock.now_ms();
        headers.push(*b"timestamp_in_ms", FieldValue::I64(i64::try_from(now_ms).unwrap_or(i64::MAX)));
        let timestamp = Some(now_ms / 1000);
        let mut properties = Vec::new();
        Properties { headers: Some(headers), delivery_mode: Some(PERSISTENT), timestamp, ..Properties::default() }
            .encode(&mut properties);
        let message = Message::copy_of(&Parts {
            exchange: EXCHANGE.as_bytes(),
            routing_key: name.as_bytes(),
            properties: &properties,
            body: &[],
            shared_body: None,
            blob: None,
            marks: Marks::NONE,
        });
        self.notices.push(Notice { vhost, exchange, routing_key: name.as_bytes().into(), message });
    }
}
