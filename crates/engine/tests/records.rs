//! What is written down for which operation: few records, and enough to start again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;

use std::sync::Arc;

use common::{Recorder, TestJournal, consumer};
use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::admin::DefaultUser;
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::journal::Lsn;
use leveret_engine::names::{ConnectionId, QueueId};
use leveret_engine::publish::{PublishBatch, Route};
use leveret_engine::queue::{Got, Queue, Settled};
use leveret_engine::restore::{Restored, RestoredBinding, RestoredExchange, RestoredQueue};
use leveret_engine::user::User;
use leveret_engine::vhost::{BindingKey, ExchangeDeclare, QueueDeclare, Vhost};

const NO_LOG: [&str; 0] = [];
const CONNECTION: ConnectionId = ConnectionId(7);

struct Fixture {
    journal: Arc<TestJournal>,
    broker: Broker,
    vhost: Arc<Vhost>,
    guest: Arc<User>,
    outlet: Arc<Recorder>,
    effects: Effects,
}

impl Fixture {
    fn new() -> Self {
        Self::restored(&Restored::default()).0
    }

    fn restored(restored: &Restored) -> (Self, Vec<String>) {
        let journal = TestJournal::new(true);
        let (broker, problems) = Broker::restore(common::services(&journal, u64::MAX), restored);
        broker.seed(&DefaultUser::default()).unwrap();
        let (vhost, guest) = (broker.vhost("/").unwrap(), broker.user("guest").unwrap());
        let fixture = Self { journal, broker, vhost, guest, outlet: Arc::default(), effects: Effects::default() };
        (fixture, problems)
    }

    fn declare_queue(&self, name: &str, durable: bool) -> (Arc<Queue>, Lsn) {
        let arguments = &FieldTable::default();
        let declare = QueueDeclare { name, durable, exclusive: false, auto_delete: false, arguments, random: [0; 16] };
        let (queue, _, lsn) = self.vhost.declare_queue(&declare, &self.guest, CONNECTION).unwrap();
        (queue, lsn)
    }

    fn declare_exchange(&self, name: &str, durable: bool, auto_delete: bool) -> Lsn {
        let arguments = &FieldTable::default();
        let declare = ExchangeDeclare { name, kind: "fanout", durable, auto_delete, internal: false, arguments };
        self.vhost.declare_exchange(&declare, &self.guest).unwrap()
    }

    fn bind_queue(&self, source: &str, queue: &str) -> Lsn {
        let key = BindingKey { source, routing_key: b"", arguments: &FieldTable::default(), user: "guest" };
        self.vhost.bind_queue(&key, queue, CONNECTION, &mut Effects::default()).unwrap()
    }

    fn delete_queue(&mut self, name: &str) -> Lsn {
        let deleted = self.vhost.delete_queue(name, (false, false), &self.guest, CONNECTION, &mut self.effects);
        deleted.unwrap().lsn
    }

    /// Position of the last record.
    fn end(&self) -> Lsn {
        // What is asked for is there already, so that the answer waits for what was written last.
        self.vhost.unbind_exchange(
            &BindingKey { source: "", routing_key: b"", arguments: &FieldTable::default(), user: "guest" },
            "",
        )
    }

    fn publish(&mut self, queue: &Arc<Queue>, count: u64, persistent: impl Fn(u64) -> bool) -> Lsn {
        let route: Route = [Arc::clone(queue)].into_iter().collect();
        let (_, lsn) = common::publish(&self.journal, &route, 0..count, persistent, &mut self.effects);
        self.effects.carry_out();
        lsn
    }
}

fn settled(consumer: Option<leveret_engine::names::ConsumerKey>, delivered: &common::Delivered) -> Settled {
    Settled::one(consumer, delivered.entry.seq, delivered.entry.stored, 8)
}

#[test]
fn a_batch_is_one_append_of_bodies_and_one_record() {
    let mut fixture = Fixture::new();
    let (queue, _) = fixture.declare_queue("q", true);
    fixture.journal.take_log();
    let lsn = fixture.publish(&queue, 100, |_| true);
    assert_eq!(fixture.journal.take_log(), ["100 bodies", "enqueue q1 1+100 800B"]);
    assert!(lsn > Lsn::default());
    // A transient message between persistent ones ends their run.
    fixture.publish(&queue, 5, |body| body != 2);
    assert_eq!(fixture.journal.take_log(), ["4 bodies", "enqueue q1 101+2 16B", "enqueue q1 104+2 16B"]);
    assert_eq!(fixture.publish(&queue, 5, |_| false), Lsn::default());
    let (transient, _) = fixture.declare_queue("t", false);
    assert_eq!(fixture.publish(&transient, 5, |_| true), Lsn::default());
    assert_eq!(fixture.journal.take_log(), NO_LOG);
}

#[test]
fn a_large_batch_takes_several_holds() {
    let mut fixture = Fixture::new();
    let (queue, _) = fixture.declare_queue("q", true);
    fixture.journal.take_log();
    fixture.publish(&queue, 300, |_| true);
    assert_eq!(fixture.journal.take_log(), ["300 bodies", "enqueue q1 1+256 2048B", "enqueue q1 257+44 352B"]);
}

#[test]
fn queues_share_the_bodies_of_a_batch() {
    let mut fixture = Fixture::new();
    let (a, _) = fixture.declare_queue("a", true);
    let (b, _) = fixture.declare_queue("b", true);
    let (c, _) = fixture.declare_queue("c", false);
    fixture.journal.take_log();
    let all: Route = [Arc::clone(&a), b, Arc::clone(&c)].into_iter().collect();
    let one: Route = [c].into_iter().collect();
    let mut batch = PublishBatch::default();
    for (route, body) in [(&all, b"1"), (&one, b"2"), (&all, b"3")] {
        let route = batch.route_number(route);
        batch.push(leveret_engine::message::Incoming::borrowed(b"", b"", &[0, 0], body, None), route, true);
    }
    let lsn = batch.carry_out(&*fixture.journal, &mut fixture.effects);
    assert_eq!(fixture.journal.take_log(), ["2 bodies", "enqueue q1 1+2 2B", "enqueue q2 1+2 2B"]);
    assert_eq!(lsn, Lsn(5), "the last of both, after two declarations and the bodies");
}

#[test]
fn deliveries_and_acknowledgements_are_a_record_a_hold() {
    let mut fixture = Fixture::new();
    let (queue, _) = fixture.declare_queue("q", true);
    let key = queue.add_consumer(consumer(&fixture.outlet, 0, 0, false)).unwrap();
    queue.resume(key, &mut fixture.effects);
    fixture.journal.take_log();
    fixture.publish(&queue, 10, |body| body < 8);
    assert_eq!(fixture.journal.take_log(), ["8 bodies", "enqueue q1 1+8 64B", "delivered q1 8"]);
    let delivered = fixture.outlet.take();
    let settle =
        |places: &[usize]| places.iter().map(|&place| settled(Some(key), &delivered[place])).collect::<Vec<_>>();
    // The declaration, bodies, enqueue and delivered came before.
    assert_eq!(queue.settle(&settle(&[0, 1, 2, 4]), &mut fixture.effects), Lsn(5));
    assert_eq!(fixture.journal.take_log(), ["settle q1 1..3,5..5 32B"]);
    queue.settle(&settle(&[7, 3, 6, 5, 8]), &mut fixture.effects);
    assert_eq!(fixture.journal.take_log(), ["settle q1 4..4,6..8 32B"]);
    assert_eq!(queue.settle(&settle(&[9]), &mut fixture.effects), Lsn::default());
    assert_eq!(fixture.journal.take_log(), NO_LOG);
}

#[test]
fn what_needs_no_acknowledgement_is_settled_at_once() {
    let mut fixture = Fixture::new();
    let (queue, _) = fixture.declare_queue("q", true);
    fixture.publish(&queue, 4, |_| true);
    fixture.journal.take_log();
    assert!(matches!(queue.get(true), Got::Message { left: 3, .. }));
    assert_eq!(fixture.journal.take_log(), ["settle q1 1..1 8B"]);
    let key = queue.add_consumer(consumer(&fixture.outlet, 0, 0, true)).unwrap();
    queue.resume(key, &mut fixture.effects);
    assert_eq!(fixture.journal.take_log(), ["settle q1 2..4 24B"]);
    fixture.publish(&queue, 2, |_| true);
    assert_eq!(fixture.journal.take_log(), ["2 bodies", "enqueue q1 5+2 16B", "settle q1 5..6 16B"]);
}

#[test]
fn a_get_and_what_comes_back() {
    let mut fixture = Fixture::new();
    let (queue, _) = fixture.declare_queue("q", true);
    fixture.publish(&queue, 3, |body| body < 2);
    fixture.journal.take_log();
    let mut got = Vec::new();
    while let Got::Message { entry, .. } = queue.get(false) {
        got.push((None, entry));
    }
    // The third is not in the journal.
    assert_eq!(fixture.journal.take_log(), ["delivered q1 1", "delivered q1 2"]);
    queue.requeue(got, &mut fixture.effects);
    assert_eq!(fixture.journal.take_log(), ["returned q1 [(1, 1), (2, 1)]"]);
    let Got::Message { entry, .. } = queue.get(false) else { panic!("it came back") };
    assert_eq!(entry.deliveries, 1);
    assert_eq!(fixture.journal.take_log(), NO_LOG, "it is known to have been delivered");
    queue.requeue([(None, entry)], &mut fixture.effects);
    assert_eq!(fixture.journal.take_log(), ["returned q1 [(1, 2)]"]);
    assert_eq!(queue.purge().messages, 3);
    assert_eq!(fixture.journal.take_log(), ["settle q1 1..2 16B"]);
}

#[test]
fn the_answer_to_a_change_waits_for_its_last_record() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.declare_exchange("e", true, false), Lsn(1));
    assert_eq!(fixture.declare_exchange("auto", true, true), Lsn(2));
    assert_eq!(fixture.declare_queue("q", true).1, Lsn(3));
    assert_eq!(fixture.bind_queue("e", "q"), Lsn(4));
    assert_eq!(fixture.bind_queue("auto", "q"), Lsn(5));
    // It may not be durable yet that these are there already.
    assert_eq!(fixture.declare_queue("q", true).1, Lsn(5));
    assert_eq!(fixture.declare_exchange("e", true, false), Lsn(5));
    assert_eq!(fixture.bind_queue("e", "q"), Lsn(5));
    // Nothing of this is durable.
    assert_eq!(fixture.declare_queue("t", false).1, Lsn::default());
    assert_eq!(fixture.declare_exchange("te", false, false), Lsn::default());
    assert_eq!(fixture.bind_queue("te", "q"), Lsn::default());
    assert_eq!(fixture.declare_exchange("te", false, false), Lsn::default());
    assert_eq!(fixture.delete_queue("t"), Lsn::default());
    fixture.journal.take_log();
    let deleted = fixture.delete_queue("q");
    let log = fixture.journal.take_log();
    assert_eq!(log.last().unwrap(), "deleted q1");
    assert!(log.contains(&"unbound q from e".to_owned()) && log.contains(&"no exchange auto".to_owned()), "{log:?}");
    assert_eq!((deleted, log.len()), (Lsn(9), 4));
    assert_eq!(fixture.delete_queue("q"), Lsn(9), "it may not be durable yet that it is gone");
    assert_eq!(fixture.end(), Lsn(9));
}

#[test]
fn an_exchange_goes_with_its_bindings() {
    let fixture = Fixture::new();
    for name in ["a", "b"] {
        fixture.declare_exchange(name, true, false);
    }
    fixture.declare_exchange("auto", true, true);
    let empty = FieldTable::default();
    let bind = |source, destination: &str| {
        let key = BindingKey { source, routing_key: b"", arguments: &empty, user: "guest" };
        fixture.vhost.bind_exchange(&key, destination, &mut Effects::default()).unwrap()
    };
    bind("auto", "a");
    bind("a", "b");
    fixture.journal.take_log();
    let lsn = fixture.vhost.delete_exchange("a", false, &fixture.guest).unwrap();
    assert_eq!(
        fixture.journal.take_log(),
        ["unbound b from a", "unbound a from auto", "no exchange a", "no exchange auto"]
    );
    assert_eq!(lsn, fixture.end());
    fixture.declare_exchange("auto", true, true);
    bind("auto", "b");
    fixture.journal.take_log();
    let key = BindingKey { source: "auto", routing_key: b"", arguments: &empty, user: "guest" };
    let lsn = fixture.vhost.unbind_exchange(&key, "b");
    assert_eq!(fixture.journal.take_log(), ["unbound b from auto", "no exchange auto"]);
    assert_eq!(lsn, fixture.end());
}

#[test]
fn what_a_restart_found_is_there_again() {
    let mut arguments = FieldTable::default();
    arguments.push(*b"x-max-length", FieldValue::I64(3));
    let mut wrong = FieldTable::default();
    wrong.push(*b"x-max-length", FieldValue::I64(-3));
    let queue = |name: &str, id, arguments: &FieldTable| RestoredQueue {
        vhost: "/".into(),
        name: name.into(),
        id: QueueId(id),
        auto_delete: false,
        arguments: arguments.clone(),
        messages: 0,
        bytes: 0,
        first_seq: 0,
        last_seq: 41,
        stream_segments: Vec::new(),
    };
    let exchange = |vhost: &str, name: &str, kind: &str| RestoredExchange {
        vhost: vhost.into(),
        name: name.into(),
        kind: kind.into(),
        auto_delete: false,
        internal: true,
        arguments: FieldTable::default(),
    };
    let binding = |source: &str, destination: &str, destination_is_queue| RestoredBinding {
        vhost: "/".into(),
        source: source.into(),
        destination: destination.into(),
        destination_is_queue,
        routing_key: b"k".to_vec(),
        arguments: FieldTable::default(),
    };
    let restored = Restored {
        exchanges: vec![
            exchange("/", "amq.direct", "fanout"),
            exchange("/", "e", "topic"),
            exchange("/", "odd", "x-odd"),
            exchange("other", "e", "direct"),
        ],
        queues: vec![queue("q", 12, &arguments), queue("wrong", 5, &wrong)],
        bindings: vec![
            binding("amq.direct", "e", false),
            binding("e", "q", true),
            binding("odd", "q", true),
            binding("e", "none", true),
        ],
        last_queue_id: 9,
        settings: Vec::new(),
    };
    let (fixture, problems) = Fixture::restored(&restored);
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems[0].contains("'odd'") && problems[0].contains("x-odd"), "{problems:?}");
    assert!(problems[1].contains("'wrong'") && problems[2].contains("'odd'") && problems[3].contains("'none'"));
    assert_eq!(fixture.journal.take_log(), NO_LOG, "nothing is written again");
    assert!(fixture.broker.vhost("other").unwrap().exchange("e").is_ok());

    let direct = fixture.vhost.exchange("amq.direct").unwrap();
    assert!(!direct.internal, "predeclared ones are as ever");
    let routed = fixture.vhost.route(&direct, &[b"k"], PropertiesRef::from_checked(&[0, 0]));
    let [found] = &*routed.queues else { panic!("one queue by two bindings") };
    assert_eq!((found.id, found.durable, found.settings.max_length), (QueueId(12), true, Some(3)));
    assert_eq!(fixture.vhost.queue("wrong").unwrap().settings.max_length, None);
    let (new, _) = fixture.declare_queue("new", true);
    assert_eq!(new.id, QueueId(13));
}

#[test]
fn positions_go_on_where_they_ended() {
    let restored = Restored {
        queues: vec![RestoredQueue {
            vhost: "/".into(),
            name: "q".into(),
            id: QueueId(1),
            auto_delete: false,
            arguments: FieldTable::default(),
            messages: 0,
            bytes: 0,
            first_seq: 0,
            last_seq: 41,
            stream_segments: Vec::new(),
        }],
        ..Restored::default()
    };
    let (mut fixture, problems) = Fixture::restored(&restored);
    assert!(problems.is_empty());
    let queue = fixture.vhost.queue("q").unwrap();
    fixture.publish(&queue, 2, |_| true);
    assert_eq!(fixture.journal.take_log(), ["2 bodies", "enqueue q1 42+2 16B"]);
    assert!(fixture.broker.services.journal.can_page());
}
