//! Messages that a queue gives up: what is told of them on their way, what they count for while nobody takes them, and by
//! which policies they die after a restart.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;

use std::sync::Arc;

use common::{TestJournal, body_number, new_queue};
use leveret_codec::table::FieldTable;
use leveret_engine::broker::Broker;
use leveret_engine::clock::{Clock, ManualClock};
use leveret_engine::effects::Effects;
use leveret_engine::memory::MemoryBudget;
use leveret_engine::names::ConnectionId;
use leveret_engine::policy::{NewPolicy, PolicyKind};
use leveret_engine::publish::Route;
use leveret_engine::queue::arguments::{DeadLetterStrategy, Overflow, QueueArguments, QueueType};
use leveret_engine::queue::{Entry, Got, Queue};
use leveret_engine::services::Services;
use leveret_engine::vhost::QueueDeclare;

/// A queue alone, whose dead letters find no exchange.
struct Fixture {
    journal: Arc<TestJournal>,
    queue: Arc<Queue>,
    route: Route,
}

impl Fixture {
    fn new(settings: QueueArguments) -> Self {
        let journal = TestJournal::new(true);
        let services = Arc::new(common::services(&journal, u64::MAX));
        let queue = Arc::new(Queue::new(new_queue(&services, true, settings)));
        Self { journal, route: [Arc::clone(&queue)].into_iter().collect(), queue }
    }

    /// Publishes persistent messages, and says which were refused.
    fn publish(&self, numbers: std::ops::Range<u64>) -> Vec<bool> {
        let mut effects = Effects::default();
        let (refused, _) = common::publish(&self.journal, &self.route, numbers, |_| true, &mut effects);
        effects.carry_out();
        refused
    }

    fn get(&self) -> Entry {
        match self.queue.get(false) {
            Got::Message { entry, .. } => entry,
            other => panic!("{other:?}"),
        }
    }
}

fn dead_lettered() -> QueueArguments {
    QueueArguments { dead_letter_exchange: Some("nowhere".into()), ..QueueArguments::default() }
}

#[test]
fn who_asks_while_a_message_dies_changes_no_count() {
    let fixture = Fixture::new(dead_lettered());
    fixture.publish(0..1);
    let entry = fixture.get();
    let mut dying = Effects::default();
    fixture.queue.reject([(None, entry)], &mut dying);
    // The journal still has it.
    assert_eq!(fixture.queue.facts().persistent, 1);
    fixture.publish(1..3);
    dying.carry_out();
    let facts = fixture.queue.facts();
    assert_eq!((facts.persistent, facts.persistent_bytes), (2, 16));
    assert_eq!(fixture.journal.seqs(false).len(), 2);
}

#[test]
fn dead_letters_that_nobody_takes_need_room() {
    let limits = [(Some(3), None), (None, Some(3 * 8))];
    for (max_length, max_length_bytes) in limits {
        let fixture = Fixture::new(QueueArguments {
            queue_type: QueueType::Quorum,
            dead_letter_strategy: DeadLetterStrategy::AtLeastOnce,
            overflow: Overflow::RejectPublish,
            max_length,
            max_length_bytes,
            ..dead_lettered()
        });
        assert_eq!(fixture.publish(0..4), [false, false, false, true]);
        let mut effects = Effects::default();
        let rejected = [(None, fixture.get()), (None, fixture.get())];
        fixture.queue.reject(rejected, &mut effects);
        effects.carry_out();
        assert_eq!((fixture.queue.facts().waiting, fixture.queue.counts().ready), (2, 1));
        assert_eq!(fixture.publish(4..5), [true]);
        assert_eq!(fixture.queue.purge().messages, 1);
        assert_eq!(fixture.publish(5..7), [false, true]);
    }
}

fn services(journal: &Arc<TestJournal>, clock: &Arc<ManualClock>) -> Services {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Services::new(Arc::<TestJournal>::clone(journal), MemoryBudget::default(), clock, 0)
}

/// By the policies that there are nobody has to read the queue first.
#[test]
fn messages_die_by_a_policy_after_a_restart() {
    let (journal, clock) = (TestJournal::new(true), Arc::new(ManualClock::at(1_000_000)));
    journal.set_clock(&clock);
    let before = Broker::with_guest(services(&journal, &clock));
    let vhost = before.vhost("/").unwrap();
    let user = before.user("guest").unwrap();
    for name in ["q", "dead"] {
        let (durable, exclusive, auto_delete, random) = (true, false, false, [0; 16]);
        let arguments = &FieldTable::default();
        let declare = QueueDeclare { name, durable, exclusive, auto_delete, arguments, random };
        vhost.declare_queue(&declare, &user, ConnectionId(1)).unwrap();
    }
    let policy = NewPolicy::new("retry", "^q$").number("message-ttl", 100);
    let policy = policy.text("dead-letter-exchange", "").text("dead-letter-routing-key", "dead");
    before.set_policy("/", PolicyKind::User, policy, "guest").unwrap();
    let route: Route = [vhost.queue("q").unwrap()].into_iter().collect();
    common::publish(&journal, &route, 0..5, |_| true, &mut Effects::default());

    let (after, problems) = Broker::restore(services(&journal, &clock), &journal.restart_broker());
    assert_eq!(problems, Vec::<String>::new());
    let queue = |name| after.vhost("/").unwrap().queue(name).unwrap();
    let pass = |ms| {
        clock.advance(ms);
        while after.services.timers.next_due_ms().is_some_and(|due_ms| due_ms <= clock.now_ms())
            || journal.requests() > 0
        {
            after.services.timers.run(clock.now_ms(), &mut Effects::default());
            journal.answer_all();
        }
    };
    pass(99);
    assert_eq!((queue("q").counts().ready, queue("dead").counts().ready), (5, 0));
    pass(1);
    assert_eq!((queue("q").counts().ready, queue("dead").counts().ready), (0, 5));
    let Got::Message { entry, .. } = queue("dead").get(true) else { panic!("it is there") };
    assert_eq!(body_number(&entry.message), 0);
}
