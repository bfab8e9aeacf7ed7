//! Queues that are paused: until they are resumed, whenever the broker is started again, and no longer than they are there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;

use std::sync::Arc;

use common::{Recorder, TestJournal, consumer};
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::error::Error;
use leveret_engine::journal::{Journal, Lsn, SettingKind};
use leveret_engine::names::ConnectionId;
use leveret_engine::publish::Route;
use leveret_engine::queue::Queue;
use leveret_engine::restore::RestoredSetting;
use leveret_engine::vhost::{QueueDeclare, Vhost};

const CONNECTION: ConnectionId = ConnectionId(1);

struct Fixture {
    journal: Arc<TestJournal>,
    broker: Broker,
    vhost: Arc<Vhost>,
}

impl Fixture {
    fn new() -> Self {
        let journal = TestJournal::new(true);
        let broker = Broker::with_guest(common::services(&journal, u64::MAX));
        let vhost = broker.vhost("/").unwrap();
        Self { journal, broker, vhost }
    }

    fn restart(self) -> Self {
        let found = self.journal.restart_broker();
        let (broker, problems) = Broker::restore(common::services(&self.journal, u64::MAX), &found);
        assert_eq!(problems, Vec::<String>::new());
        let vhost = broker.vhost("/").unwrap();
        Self { journal: self.journal, broker, vhost }
    }

    fn declare(&self, name: &str, durable: bool, queue_type: &str) -> Arc<Queue> {
        let mut arguments = FieldTable::default();
        arguments.push(*b"x-queue-type", FieldValue::LongStr(queue_type.as_bytes().into()));
        let (exclusive, auto_delete, random) = (false, false, [0; 16]);
        let declare = QueueDeclare { name, durable, exclusive, auto_delete, arguments: &arguments, random };
        let guest = self.broker.user("guest").unwrap();
        self.vhost.declare_queue(&declare, &guest, CONNECTION).unwrap().0
    }

    fn delete(&self, name: &str) {
        let guest = self.broker.user("guest").unwrap();
        self.vhost.delete_queue(name, (false, false), &guest, CONNECTION, &mut Effects::default()).unwrap();
    }

    /// Names of the queues that the journal knows to be paused.
    fn settings(&self) -> Vec<String> {
        let is_pause = |setting: &RestoredSetting| setting.kind == SettingKind::PausedQueue.number();
        let settings = self.journal.restart_broker().settings.into_iter();
        settings.filter(is_pause).map(|setting| setting.name).collect()
    }
}

#[test]
fn a_paused_queue_is_paused_after_a_restart() {
    for queue_type in ["classic", "quorum", "stream"] {
        let fixture = Fixture::new();
        let queue = fixture.declare("q", true, queue_type);
        let lsn = fixture.vhost.pause_queue(&queue).unwrap();
        assert!(queue.is_paused() && lsn <= fixture.journal.durable());
        fixture.vhost.pause_queue(&queue).expect("it is paused already");
        assert_eq!(fixture.settings(), ["q"]);

        let fixture = fixture.restart();
        let queue = fixture.vhost.queue("q").unwrap();
        assert!(queue.is_paused(), "{queue_type}");
        let route: Route = [Arc::clone(&queue)].into_iter().collect();
        let (outlet, mut effects) = (Arc::<Recorder>::default(), Effects::default());
        let key = queue.add_consumer(consumer(&outlet, 10, 0, false)).unwrap();
        queue.resume(key, &mut effects);
        common::publish(&fixture.journal, &route, 0..3, |_| true, &mut effects);
        effects.carry_out();
        fixture.journal.answer_all();
        assert!(outlet.bodies().is_empty(), "{queue_type}");
        fixture.vhost.resume_queue(&queue).unwrap();
        fixture.journal.answer_all();
        assert_eq!(outlet.bodies(), [0, 1, 2], "{queue_type}");
        fixture.vhost.resume_queue(&queue).expect("it is not paused already");
        assert_eq!(fixture.settings(), Vec::<String>::new());

        let fixture = fixture.restart();
        assert!(!fixture.vhost.queue("q").unwrap().is_paused(), "{queue_type}");
    }
}

#[test]
fn a_pause_goes_with_its_queue() {
    let fixture = Fixture::new();
    for _ in 0..2 {
        let queue = fixture.declare("q", true, "classic");
        assert!(!queue.is_paused());
        fixture.vhost.pause_queue(&queue).unwrap();
        fixture.delete("q");
        assert_eq!(fixture.settings(), Vec::<String>::new());
        for late in [fixture.vhost.pause_queue(&queue), fixture.vhost.resume_queue(&queue)] {
            assert!(matches!(late, Err(Error::NoQueue { .. })), "{late:?}");
        }
    }
    // One that does not survive takes it along anyway.
    let queue = fixture.declare("t", false, "classic");
    assert_eq!(fixture.vhost.pause_queue(&queue), Ok(Lsn::default()));
    assert!(queue.is_paused() && fixture.settings().is_empty());
    // And so does a vhost.
    let queue = fixture.declare("q", true, "classic");
    fixture.vhost.pause_queue(&queue).unwrap();
    fixture.broker.delete_vhost("/", "admin").unwrap();
    assert_eq!(fixture.settings(), Vec::<String>::new());
}

/// The broker ended between the records of a deletion.
#[test]
fn what_is_left_of_a_pause_means_nothing_to_the_next_queue() {
    let fixture = Fixture::new();
    let old = fixture.declare("q", true, "classic");
    fixture.vhost.pause_queue(&old).unwrap();
    let left: Vec<RestoredSetting> = fixture.journal.restart_broker().settings;
    fixture.delete("q");
    fixture.declare("q", true, "classic");
    let mut found = fixture.journal.restart_broker();
    found.settings = left;
    fixture.journal.take_log();
    let (broker, problems) = Broker::restore(common::services(&fixture.journal, u64::MAX), &found);
    assert_eq!(problems, Vec::<String>::new());
    assert!(!broker.vhost("/").unwrap().queue("q").unwrap().is_paused());
    assert_eq!(fixture.journal.take_log(), ["cleared PausedQueue / q"]);
}
