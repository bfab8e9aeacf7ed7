//! What the broker says about itself: in order, whoever publishes it, and only to those who listen.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::events::INTERNAL_USER;
use leveret_engine::journal::{MemoryJournal, Waiter};
use leveret_engine::message::{Message, Parts};
use leveret_engine::names::ConnectionId;
use leveret_engine::queue::{Got, Queue};
use leveret_engine::trace::Tap;
use leveret_engine::user::User;
use leveret_engine::vhost::{BindingKey, QueueDeclare, Vhost, VhostMetadata};

const CONNECTION: ConnectionId = ConnectionId(1);

struct Fixture {
    broker: Broker,
    vhost: Arc<Vhost>,
    guest: Arc<User>,
}

impl Fixture {
    fn new() -> Self {
        let broker = Broker::new(Arc::<MemoryJournal>::default());
        let (vhost, guest) = (broker.vhost("/").unwrap(), broker.user("guest").unwrap());
        Self { broker, vhost, guest }
    }

    fn queue(&self, name: &str) -> Arc<Queue> {
        let declare = QueueDeclare {
            name,
            durable: false,
            exclusive: false,
            auto_delete: false,
            arguments: &FieldTable::default(),
            random: [0; 16],
        };
        self.vhost.declare_queue(&declare, &self.guest, CONNECTION).unwrap().0
    }

    /// A queue that hears of what is published to `source` with a key that fits.
    fn ear(&self, source: &str, pattern: &str) -> Arc<Queue> {
        let queue = self.queue(&format!("ear of {source} {pattern}"));
        let empty = FieldTable::default();
        let key = BindingKey { source, routing_key: pattern.as_bytes(), arguments: &empty, user: "guest" };
        self.vhost.bind_queue(&key, &queue.name, CONNECTION, &mut Effects::default()).unwrap();
        queue
    }

    fn publish(&self) {
        self.broker.services.notices.publish(&mut Effects::default());
    }
}

fn take(queue: &Arc<Queue>) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Got::Message { entry, .. } = queue.get(true) {
        messages.push(entry.message);
    }
    messages
}

fn keys(queue: &Arc<Queue>) -> Vec<String> {
    take(queue).iter().map(|message| String::from_utf8_lossy(message.parts().routing_key).into_owned()).collect()
}

fn header(message: &Message, name: &str) -> Option<FieldValue> {
    PropertiesRef::from_checked(message.parts().properties).headers()?.get_raw(name.as_bytes())?.decode().ok()
}

fn parts(body: &[u8]) -> Parts<'_> {
    Parts {
        exchange: b"x",
        routing_key: b"k",
        properties: &[0, 0],
        body,
        shared_body: None,
        blob: None,
        marks: leveret_engine::message::Marks::NONE,
    }
}

const TAP: Tap<'_> = Tap { connection: "c", channel: 1, user: "guest" };

#[test]
fn nothing_is_said_while_nobody_listens() {
    let fixture = Fixture::new();
    fixture.queue("unheard");
    fixture.broker.services.event("queue.created", |_| panic!("nobody asked"));
    assert!(!fixture.broker.services.notices.is_some());
    let ear = fixture.ear("amq.rabbitmq.event", "queue.*");
    fixture.queue("heard");
    assert!(fixture.broker.services.notices.is_some());
    fixture.publish();
    assert_eq!(keys(&ear), ["queue.created"]);
    let empty = FieldTable::default();
    let key = BindingKey { source: "amq.rabbitmq.event", routing_key: b"queue.*", arguments: &empty, user: "guest" };
    fixture.vhost.unbind_queue(&key, &ear.name, CONNECTION).unwrap();
    assert!(!fixture.broker.services.notices.wants_events());
    fixture.queue("unheard again");
    fixture.publish();
    assert_eq!(keys(&ear), [""; 0]);
}

#[test]
fn an_ear_that_is_deleted_hears_no_more() {
    let fixture = Fixture::new();
    let ear = fixture.ear("amq.rabbitmq.event", "#");
    let mut effects = Effects::default();
    fixture.vhost.delete_queue(&ear.name, (false, false), &fixture.guest, CONNECTION, &mut effects).unwrap();
    effects.carry_out();
    assert!(!fixture.broker.services.notices.wants_events());
    fixture.publish();
}

#[test]
fn a_long_row_stays_in_order_whoever_publishes_it() {
    const THREADS: usize = 4;
    const EACH: usize = 500;
    let fixture = Fixture::new();
    let ear = fixture.ear("amq.rabbitmq.event", "#");
    fixture.publish();
    take(&ear);
    let services = &fixture.broker.services;
    thread::scope(|scope| {
        for number in 0..THREADS {
            scope.spawn(move || {
                for turn in 0..EACH {
                    services.event(&format!("thread.{number}"), |fields| fields.number("turn", turn as u64));
                    if turn % 7 == number {
                        services.notices.publish(&mut Effects::default());
                    }
                }
                services.notices.publish(&mut Effects::default());
            });
        }
    });
    // Who finds the turn taken leaves his to whoever has it.
    assert!(!services.notices.is_some());
    let messages = take(&ear);
    assert_eq!(messages.len(), THREADS * EACH);
    let mut turns = [0; THREADS];
    for message in &messages {
        let number = usize::from(message.parts().routing_key[7] - b'0');
        assert_eq!(header(message, "turn"), Some(FieldValue::I64(turns[number])));
        turns[number] += 1;
    }
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Waiter for Bell {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_sleeper_is_woken_once_for_a_row() {
    let fixture = Fixture::new();
    fixture.ear("amq.rabbitmq.event", "#");
    fixture.publish();
    let notices = &fixture.broker.services.notices;
    let bell = Arc::<Bell>::default();
    let rung = || bell.0.load(Ordering::SeqCst);
    notices.when_some(Arc::<Bell>::clone(&bell));
    assert_eq!(rung(), 0);
    fixture.queue("one");
    fixture.queue("two");
    assert_eq!(rung(), 1);
    // There is something already.
    notices.when_some(Arc::<Bell>::clone(&bell));
    assert_eq!(rung(), 2);
    fixture.publish();
    notices.when_some(Arc::<Bell>::clone(&bell));
    assert_eq!(rung(), 2);
}

#[test]
fn tracing_is_of_one_vhost_and_counted_once() {
    let fixture = Fixture::new();
    fixture.broker.put_vhost("other", &VhostMetadata::default(), INTERNAL_USER).unwrap();
    let other = fixture.broker.vhost("other").unwrap();
    let notices = &fixture.broker.services.notices;
    assert!(!notices.traces());
    other.set_tracing(true);
    other.set_tracing(true);
    assert!(notices.traces() && other.is_traced() && !fixture.vhost.is_traced());
    assert!(fixture.queue("q").traced_in().is_none());
    fixture.vhost.set_tracing(true);
    assert!(fixture.queue("q").traced_in().is_some());
    other.set_tracing(false);
    assert!(notices.traces());
    fixture.vhost.set_tracing(false);
    fixture.vhost.set_tracing(false);
    assert!(!notices.traces());
}

#[test]
fn traces_come_in_order_and_are_not_traced() {
    let fixture = Fixture::new();
    let ear = fixture.ear("amq.rabbitmq.trace", "#");
    fixture.vhost.set_tracing(true);
    for body in [b"1", b"2"] {
        fixture.vhost.trace_publish(&TAP, &parts(body), &[b"k", b"l"], &[Arc::clone(&ear)]);
        fixture.vhost.trace_delivery(&TAP, &parts(body), "q", true);
    }
    fixture.vhost.trace_delivery(&TAP, &Parts { exchange: b"amq.rabbitmq.trace", ..parts(b"3") }, "q", true);
    fixture.publish();
    let messages = take(&ear);
    let told: Vec<_> = messages.iter().map(|message| (message.parts().routing_key, message.parts().body)).collect();
    assert_eq!(
        told,
        [(&b"publish.x"[..], &b"1"[..]), (b"deliver.q", b"1"), (b"publish.x", b"2"), (b"deliver.q", b"2")]
    );
    assert_eq!(header(&messages[1], "redelivered"), Some(FieldValue::I32(1)));
    assert_eq!(header(&messages[1], "node"), Some(FieldValue::LongStr((*b"rabbit@localhost").into())));
}

/// Ends the publishing thread below when the test is over, however it ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn events_of_bindings_may_come_while_others_publish() {
    let fixture = Fixture::new();
    let ear = fixture.ear("amq.rabbitmq.event", "binding.*");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                fixture.publish();
            }
        });
        let _stop = Stop(&stop);
        let empty = FieldTable::default();
        let queue = fixture.queue("q");
        for number in 0..300 {
            let text = number.to_string();
            let key = BindingKey {
                source: "amq.rabbitmq.event",
                routing_key: text.as_bytes(),
                arguments: &empty,
                user: "guest",
            };
            fixture.vhost.bind_queue(&key, &queue.name, CONNECTION, &mut Effects::default()).unwrap();
            fixture.vhost.unbind_queue(&key, &queue.name, CONNECTION).unwrap();
        }
    });
    fixture.publish();
    let told = keys(&ear);
    // Its own binding was told of as well.
    assert_eq!(told.len(), 601);
    assert!(told[1..].chunks(2).all(|pair| pair == ["binding.created", "binding.deleted"]));
}
