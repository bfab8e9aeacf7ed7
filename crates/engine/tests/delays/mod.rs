//! A broker with a delayed exchange `d` (its hidden queue is queue 1) bound to queue `q` by key `k`.
#![allow(dead_code, reason = "each test uses some of it")]

use std::sync::Arc;

use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::broker::{Broker, DEFAULT_VHOST};
use leveret_engine::clock::{Clock, ManualClock};
use leveret_engine::delay::Delay;
use leveret_engine::effects::Effects;
use leveret_engine::exchange::Exchange;
use leveret_engine::journal::{Journal, Lsn};
use leveret_engine::memory::MemoryBudget;
use leveret_engine::message::{Incoming, Message};
use leveret_engine::names::ConnectionId;
use leveret_engine::publish::PublishBatch;
use leveret_engine::queue::Got;
use leveret_engine::restore::Restored;
use leveret_engine::services::Services;
use leveret_engine::user::User;
use leveret_engine::vhost::{BindingKey, ExchangeDeclare, QueueDeclare, Vhost};

use crate::common::{TestJournal, body_number};

pub const START_MS: u64 = 1_000_000;

const CONNECTION: ConnectionId = ConnectionId(1);

pub struct Fixture {
    pub journal: Arc<TestJournal>,
    pub clock: Arc<ManualClock>,
    pub broker: Broker,
    pub vhost: Arc<Vhost>,
    pub user: Arc<User>,
    /// What is published with.
    pub key: String,
    pub effects: Effects,
}

fn services(journal: &Arc<TestJournal>, clock: &Arc<ManualClock>) -> Services {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Services::new(Arc::<TestJournal>::clone(journal), MemoryBudget::default(), clock, 0)
}

impl Fixture {
    pub fn new(can_page: bool) -> Self {
        Self::with_exchange(can_page, true, "direct")
    }

    pub fn with_exchange(can_page: bool, durable: bool, inner: &str) -> Self {
        let journal = TestJournal::new(can_page);
        let clock = Arc::new(ManualClock::at(START_MS));
        journal.set_clock(&clock);
        let broker = Broker::with_guest(services(&journal, &clock));
        let (vhost, user) = (broker.vhost(DEFAULT_VHOST).unwrap(), broker.user("guest").unwrap());
        let key = "k".to_owned();
        let mut fixture = Self { journal, clock, broker, vhost, user, key, effects: Effects::default() };
        fixture.declare_exchange(durable, inner);
        fixture
    }

    /// Declares exchange `d`, and binds it to `q`.
    pub fn declare_exchange(&mut self, durable: bool, inner: &str) {
        self.declare_exchange_named("d", "x-delayed-message", durable, inner);
        self.declare_queue("q");
        self.bind("d", "k", "q");
    }

    pub fn declare_exchange_named(&mut self, name: &str, kind: &str, durable: bool, inner: &str) {
        let mut arguments = FieldTable::default();
        arguments.push(*b"x-delayed-type", FieldValue::LongStr(inner.as_bytes().into()));
        self.declare_exchange_with(name, kind, durable, &arguments);
    }

    pub fn declare_exchange_with(&mut self, name: &str, kind: &str, durable: bool, arguments: &FieldTable) {
        let declare = ExchangeDeclare { name, kind, durable, auto_delete: false, internal: false, arguments };
        self.vhost.declare_exchange(&declare, &self.user).unwrap();
    }

    pub fn delete_exchange(&mut self) {
        self.vhost.delete_exchange("d", false, &self.user).unwrap();
    }

    pub fn declare_queue(&mut self, name: &str) {
        let arguments = &FieldTable::default();
        let declare =
            QueueDeclare { name, durable: true, exclusive: false, auto_delete: false, arguments, random: [0; 16] };
        self.vhost.declare_queue(&declare, &self.user, CONNECTION).unwrap();
    }

    pub fn bind(&mut self, source: &str, key: &str, queue: &str) {
        let key = BindingKey { source, routing_key: key.as_bytes(), arguments: &FieldTable::default(), user: "guest" };
        self.vhost.bind_queue(&key, queue, CONNECTION, &mut self.effects).unwrap();
    }

    pub fn bind_exchange(&mut self, source: &str, destination: &str) {
        let key = BindingKey { source, routing_key: b"k", arguments: &FieldTable::default(), user: "guest" };
        self.vhost.bind_exchange(&key, destination, &mut self.effects).unwrap();
    }

    pub fn delay(&self) -> Arc<Delay> {
        Arc::clone(self.vhost.exchange("d").unwrap().delay().unwrap())
    }

    /// Publishes bodies with these delays to `d`, in one batch.
    pub fn publish(&mut self, messages: &[(u64, i64)], persistent: bool) -> Lsn {
        self.publish_to("d", messages, persistent)
    }

    pub fn publish_to(&mut self, exchange: &str, messages: &[(u64, i64)], persistent: bool) -> Lsn {
        self.publish_all(exchange, &with_delays(messages), persistent)
    }

    /// Publishes bodies with the same headers to `d`, in one batch.
    pub fn publish_with(&mut self, bodies: &[u64], headers: &FieldTable, persistent: bool) -> Lsn {
        let messages: Vec<(u64, FieldTable)> = bodies.iter().map(|&number| (number, headers.clone())).collect();
        self.publish_all("d", &messages, persistent)
    }

    fn publish_all(&mut self, exchange: &str, messages: &[(u64, FieldTable)], persistent: bool) -> Lsn {
        let found = self.vhost.exchange(exchange).unwrap();
        publish_all(&self.vhost, &found, &*self.journal, &self.key, messages, persistent)
    }

    /// Lets time pass, and all happen that is due then.
    pub fn pass(&mut self, by_ms: u64) {
        self.clock.advance(by_ms);
        self.run();
    }

    /// Lets all happen that is due.
    pub fn run(&mut self) {
        loop {
            self.run_timers();
            if self.journal.requests() == 0 {
                return;
            }
            self.journal.answer(usize::MAX);
        }
    }

    /// Lets the timers do what they can without a page being read.
    pub fn run_timers(&mut self) {
        let timers = &self.broker.services.timers;
        while timers.next_due_ms().is_some_and(|due_ms| due_ms <= self.clock.now_ms()) {
            timers.run(self.clock.now_ms(), &mut self.effects);
        }
    }

    /// Takes all that is in `q`.
    pub fn drain(&mut self) -> Vec<Message> {
        self.drain_queue("q")
    }

    pub fn drain_queue(&mut self, queue: &str) -> Vec<Message> {
        let queue = self.vhost.queue(queue).unwrap();
        let mut messages = Vec::new();
        loop {
            match queue.get(true) {
                Got::Message { entry, .. } => messages.push(entry.message),
                Got::Loading => self.journal.answer_all(),
                Got::Empty => return messages,
            }
        }
    }

    /// The broker ends at once and starts again.
    pub fn restart(&mut self) {
        let restored = self.journal.restart_broker();
        let (broker, problems) = Broker::restore(services(&self.journal, &self.clock), &restored);
        assert_eq!(problems, Vec::<String>::new());
        self.vhost = broker.vhost(DEFAULT_VHOST).unwrap();
        self.user = broker.user("guest").unwrap();
        self.broker = broker;
    }

    /// A broker that finds this.
    pub fn start_with(&self, restored: &Restored) -> Arc<Vhost> {
        let (broker, _) = Broker::restore(services(&self.journal, &self.clock), restored);
        broker.vhost(DEFAULT_VHOST).unwrap()
    }
}

pub fn numbers(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(body_number).collect()
}

pub fn headers_of(message: &Message) -> FieldTable {
    let properties = PropertiesRef::from_checked(message.parts().properties).to_owned().unwrap();
    properties.headers.unwrap_or_default()
}

/// The delay that the message's header says.
pub fn header(message: &Message) -> Option<i64> {
    match headers_of(message).get(b"x-delay")? {
        FieldValue::I32(value) => Some((*value).into()),
        FieldValue::I64(value) => Some(*value),
        other => panic!("{other:?}"),
    }
}

fn with_delays(messages: &[(u64, i64)]) -> Vec<(u64, FieldTable)> {
    let with_delay = |&(number, delay_ms)| {
        let mut headers = FieldTable::default();
        headers.push(*b"x-delay", FieldValue::I64(delay_ms));
        (number, headers)
    };
    messages.iter().map(with_delay).collect()
}

/// Publishes persistent messages with these delays, in one batch.
pub fn publish(vhost: &Vhost, exchange: &Arc<Exchange>, journal: &dyn Journal, messages: &[(u64, i64)]) {
    publish_all(vhost, exchange, journal, "k", &with_delays(messages), true);
}

fn publish_all(
    vhost: &Vhost,
    exchange: &Arc<Exchange>,
    journal: &dyn Journal,
    key: &str,
    messages: &[(u64, FieldTable)],
    persistent: bool,
) -> Lsn {
    let encoded: Vec<(Vec<u8>, [u8; 8])> = messages
        .iter()
        .map(|(number, headers)| {
            let delivery_mode = persistent.then_some(2);
            let headers = Some(headers.clone());
            let mut encoded = Vec::new();
            Properties { headers, delivery_mode, ..Properties::default() }.encode(&mut encoded);
            (encoded, number.to_be_bytes())
        })
        .collect();
    let (mut batch, mut effects) = (PublishBatch::default(), Effects::default());
    for (properties, body) in &encoded {
        let message = Incoming::borrowed(exchange.name.as_bytes(), key.as_bytes(), properties, body, None);
        let routed = vhost.route(exchange, &[key.as_bytes()], PropertiesRef::from_checked(properties));
        assert!(!routed.is_reusable() || exchange.delay().is_none());
        let route = batch.route_number(&routed.queues);
        batch.push(message, route, persistent);
    }
    let lsn = batch.carry_out(journal, &mut effects);
    effects.carry_out();
    lsn
}
