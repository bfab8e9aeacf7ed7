//! Messages that are moved: none is lost whenever the broker ends, and nobody gets one twice while it runs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use common::{Recorder, TestJournal, body_number, consumer};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::admin::DefaultUser;
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::message::Incoming;
use leveret_engine::names::ConnectionId;
use leveret_engine::publish::PublishBatch;
use leveret_engine::queue::{Browse, Entry, Got, Queue};
use leveret_engine::restore::Restored;
use leveret_engine::vhost::{BindingKey, MoveTo, QueueDeclare, Vhost};

const CONNECTION: ConnectionId = ConnectionId(7);

struct Fixture {
    journal: Arc<TestJournal>,
    broker: Broker,
    vhost: Arc<Vhost>,
}

impl Fixture {
    fn new(journal: Arc<TestJournal>, restored: &Restored) -> Self {
        journal.allow_browsing();
        let (broker, problems) = Broker::restore(common::services(&journal, 0), restored);
        assert_eq!(problems, Vec::<String>::new());
        broker.seed(&DefaultUser::default()).unwrap();
        let vhost = broker.vhost("/").unwrap();
        Self { journal, broker, vhost }
    }

    fn declare(&self, name: &str, arguments: &FieldTable) -> Arc<Queue> {
        let user = self.broker.user("guest").unwrap();
        let (durable, exclusive, auto_delete, random) = (true, false, false, [0; 16]);
        let declare = QueueDeclare { name, durable, exclusive, auto_delete, arguments, random };
        self.vhost.declare_queue(&declare, &user, CONNECTION).unwrap().0
    }

    /// Publishes persistent messages.
    fn publish(&self, queue: &Arc<Queue>, numbers: std::ops::Range<u64>) {
        let bodies: Vec<[u8; 8]> = numbers.map(u64::to_be_bytes).collect();
        let mut batch = PublishBatch::default();
        let route = batch.route_number(&[Arc::clone(queue)].into_iter().collect());
        for body in &bodies {
            batch.push(Incoming::borrowed(b"", b"q", &[0x10, 0, 2], body, None), route, true);
        }
        let mut effects = Effects::default();
        batch.carry_out(&*self.journal, &mut effects);
        effects.carry_out();
    }

    fn look(&self, queue: &Arc<Queue>) -> Vec<Entry> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        queue.browse(Browse { from: 1, messages_max: 1000, bytes_max: u64::MAX }, move |browsed| {
            *told.lock().unwrap() = browsed.messages.into_iter().map(|message| message.entry).collect();
        });
        self.journal.answer_all();
        std::mem::take(&mut *seen.lock().unwrap())
    }

    fn drain(&self, queue: &Arc<Queue>) -> Vec<u64> {
        let mut bodies = Vec::new();
        loop {
            match queue.get(true) {
                Got::Message { entry, .. } => bodies.push(body_number(&entry.message)),
                Got::Loading => self.journal.answer_all(),
                Got::Empty => return bodies,
            }
        }
    }
}

#[test]
fn a_message_is_in_its_new_queue_before_it_leaves_the_old_one() {
    let fixture = Fixture::new(TestJournal::new(true), &Restored::default());
    let (from, to) = (fixture.declare("from", &FieldTable::default()), fixture.declare("to", &FieldTable::default()));
    fixture.publish(&from, 0..40);
    let wanted: Vec<Entry> = fixture.look(&from).into_iter().step_by(2).collect();
    fixture.journal.take_log();
    let relocated = fixture.vhost.relocate(from.take(wanted), &MoveTo::Queue(Arc::clone(&to)));
    assert_eq!((relocated.arrived.entries().len(), relocated.refused), (20, 0));
    assert_eq!(fixture.journal.take_log(), ["20 bodies".to_owned(), format!("enqueue q{} 1+20 160B", to.id.0)]);
    // A broker that ends here has them twice, and lost none.
    let found = fixture.journal.restart_broker();
    let counts: Vec<u64> = found.queues.iter().map(|queue| queue.messages).collect();
    assert_eq!(counts, [40, 20]);
    // While it runs they are in one place.
    assert_eq!((from.counts().ready, from.counts().unacked, to.counts().ready), (20, 20, 20));
    assert_eq!(relocated.arrived.settle().messages, 20);
    let found = fixture.journal.restart_broker();
    let again = Fixture::new(Arc::clone(&fixture.journal), &found);
    let odd: Vec<u64> = (0..40).filter(|number| number % 2 == 1).collect();
    let even: Vec<u64> = (0..40).filter(|number| number % 2 == 0).collect();
    assert_eq!(again.drain(&again.vhost.queue("from").unwrap()), odd);
    assert_eq!(again.drain(&again.vhost.queue("to").unwrap()), even);
}

#[test]
fn what_a_consumer_has_got_meanwhile_is_not_moved() {
    let fixture = Fixture::new(TestJournal::new(true), &Restored::default());
    let (from, to) = (fixture.declare("from", &FieldTable::default()), fixture.declare("to", &FieldTable::default()));
    fixture.publish(&from, 0..30);
    let seen = fixture.look(&from);
    let outlet = Arc::<Recorder>::default();
    let mut effects = Effects::default();
    let key = from.add_consumer(consumer(&outlet, 12, 0, false)).unwrap();
    from.resume(key, &mut effects);
    effects.carry_out();
    fixture.journal.answer_all();
    let delivered: BTreeSet<u64> = outlet.bodies().into_iter().collect();
    assert_eq!(delivered.len(), 12);
    let relocated = fixture.vhost.relocate(from.take(seen), &MoveTo::Queue(Arc::clone(&to)));
    assert_eq!(relocated.arrived.settle().messages, 18);
    let moved: BTreeSet<u64> = fixture.drain(&to).into_iter().collect();
    assert!(moved.is_disjoint(&delivered));
    assert_eq!(moved.union(&delivered).copied().collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());
}

#[test]
fn what_finds_no_room_stays_where_it_was() {
    let fixture = Fixture::new(TestJournal::new(true), &Restored::default());
    let mut arguments = FieldTable::default();
    arguments.push(*b"x-max-length", FieldValue::I64(5));
    arguments.push(*b"x-overflow", FieldValue::LongStr((*b"reject-publish").into()));
    let (from, to) = (fixture.declare("from", &FieldTable::default()), fixture.declare("to", &arguments));
    fixture.publish(&from, 0..50);
    let wanted: Vec<Entry> = fixture.look(&from).into_iter().skip(10).take(20).collect();
    let relocated = fixture.vhost.relocate(from.take(wanted), &MoveTo::Queue(Arc::clone(&to)));
    assert_eq!((relocated.arrived.entries().len(), relocated.refused), (5, 15));
    relocated.arrived.settle();
    let rest: Vec<u64> = (0..50).filter(|number| !(10..15).contains(number)).collect();
    assert_eq!(fixture.drain(&from), rest);
    assert_eq!(fixture.drain(&to), [10, 11, 12, 13, 14]);
    // An exchange that leads nowhere takes none.
    fixture.publish(&from, 0..3);
    let nowhere = MoveTo::Exchange(fixture.vhost.exchange("amq.direct").unwrap(), None);
    let relocated = fixture.vhost.relocate(from.take(fixture.look(&from)), &nowhere);
    assert_eq!((relocated.arrived.entries().len(), relocated.refused), (0, 3));
    drop(relocated);
    assert_eq!(fixture.drain(&from), [0, 1, 2]);
}

/// It was there when it was looked for.
#[test]
fn a_queue_that_is_deleted_meanwhile_takes_nothing() {
    let fixture = Fixture::new(TestJournal::new(true), &Restored::default());
    let (from, to) = (fixture.declare("from", &FieldTable::default()), fixture.declare("to", &FieldTable::default()));
    fixture.publish(&from, 0..3);
    let guest = fixture.broker.user("guest").unwrap();
    fixture.vhost.delete_queue("to", (false, false), &guest, CONNECTION, &mut Effects::default()).unwrap();
    let relocated = fixture.vhost.relocate(from.take(fixture.look(&from)), &MoveTo::Queue(to));
    assert_eq!((relocated.arrived.entries().len(), relocated.refused), (0, 3));
    drop(relocated);
    assert_eq!(fixture.drain(&from), [0, 1, 2]);
}

/// A key that nobody could publish with does not garble what stands behind it.
#[test]
fn a_key_too_long_for_the_wire_is_cut() {
    let fixture = Fixture::new(TestJournal::new(true), &Restored::default());
    let (from, to) = (fixture.declare("from", &FieldTable::default()), fixture.declare("to", &FieldTable::default()));
    fixture.publish(&from, 0..1);
    let key = BindingKey { source: "amq.fanout", routing_key: b"", arguments: &FieldTable::default(), user: "guest" };
    fixture.vhost.bind_queue(&key, "to", CONNECTION, &mut Effects::default()).unwrap();
    let fanout = MoveTo::Exchange(fixture.vhost.exchange("amq.fanout").unwrap(), Some(vec![b'k'; 300].into()));
    let relocated = fixture.vhost.relocate(from.take(fixture.look(&from)), &fanout);
    assert_eq!(relocated.arrived.settle().messages, 1);
    let moved = &fixture.look(&to)[0].message;
    let parts = moved.parts();
    assert_eq!((parts.routing_key, parts.properties, parts.body), (&[b'k'; 255][..], &[0x10, 0, 2][..], &[0; 8][..]));
}

/// A dead letter of queue `first`, which died again in `second`.
fn dead_letter(fixture: &Fixture, queue: &Arc<Queue>) {
    let text = |text: &str| FieldValue::LongStr(text.as_bytes().into());
    let death = |queue: &str, exchange: &str, key: &str| {
        let mut death = FieldTable::default();
        for (name, value) in [("reason", "rejected"), ("queue", queue), ("exchange", exchange)] {
            death.push(name.as_bytes(), text(value));
        }
        death.push(*b"routing-keys", FieldValue::Array(vec![text(key)]));
        FieldValue::Table(death)
    };
    let mut headers = FieldTable::default();
    headers.push(*b"own", text("stays"));
    // The first death has happened again, so that it stands in front.
    let deaths = vec![death("first", "shop", "order.new"), death("second", "", "second")];
    headers.push(*b"x-death", FieldValue::Array(deaths));
    headers.push(*b"x-first-death-queue", text("first"));
    headers.push(*b"x-first-death-reason", text("rejected"));
    let mut properties = Vec::new();
    Properties { headers: Some(headers), ..Properties::default() }.encode(&mut properties);
    let mut batch = PublishBatch::default();
    let route = batch.route_number(&[Arc::clone(queue)].into_iter().collect());
    batch.push(Incoming::borrowed(b"dlx", b"dead", &properties, &[0; 8], None), route, true);
    let mut effects = Effects::default();
    batch.carry_out(&*fixture.journal, &mut effects);
    effects.carry_out();
}

#[test]
fn a_dead_letter_is_revived_as_it_was_published() {
    for reset in [false, true] {
        let fixture = Fixture::new(TestJournal::new(true), &Restored::default());
        let dead = fixture.declare("dead", &FieldTable::default());
        dead_letter(&fixture, &dead);
        let to = MoveTo::Origin { reset };
        let relocated = fixture.vhost.relocate(dead.take(fixture.look(&dead)), &to);
        assert_eq!((relocated.arrived.entries().len(), relocated.refused), (0, 1), "its queue is not there");
        drop(relocated);
        let first = fixture.declare("first", &FieldTable::default());
        let relocated = fixture.vhost.relocate(dead.take(fixture.look(&dead)), &to);
        assert_eq!(relocated.arrived.settle().messages, 1);
        let Got::Message { entry, .. } = first.get(true) else { panic!("it is there") };
        let parts = entry.message.parts();
        assert_eq!((parts.exchange, parts.routing_key), (&b"shop"[..], &b"order.new"[..]));
        let headers = PropertiesRef::from_checked(parts.properties).to_owned().unwrap().headers.unwrap();
        assert!(headers.get(b"own").is_some());
        assert_eq!(headers.0.len(), if reset { 1 } else { 4 });
    }
}
