//! Queues whose messages leave memory: limits, purge, delete, get and requeue while they are out, when pages are asked for, and
//! what of all this takes memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{QUEUE, Recorder, TestJournal, Wakes, body_number, consumer, new_queue};
use leveret_codec::table::FieldTable;
use leveret_engine::admin::DefaultUser;
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::journal::{BodyAt, Journal, Lsn, Record, SeqRange};
use leveret_engine::limits::{PAGE_BYTES_MAX, PAGE_MESSAGES_MAX, RESIDENT_MESSAGES_MIN, SCARCE_PAGE_BYTES_MAX};
use leveret_engine::message::{Incoming, NEVER_MS};
use leveret_engine::names::{ConnectionId, ConsumerKey, QueueId};
use leveret_engine::publish::{PublishBatch, Route};
use leveret_engine::queue::arguments::{Overflow, QueueArguments, QueueType};
use leveret_engine::queue::{Counts, Got, Queue, Settled, Stored};
use leveret_engine::restore::Restored;
use leveret_engine::services::Services;
use leveret_engine::vhost::QueueDeclare;

const RESIDENT: u64 = RESIDENT_MESSAGES_MIN as u64;

struct Fixture {
    journal: Arc<TestJournal>,
    services: Arc<Services>,
    queue: Arc<Queue>,
    route: Route,
    outlet: Arc<Recorder>,
    effects: Effects,
}

impl Fixture {
    fn new(durable: bool, budget_bytes: u64, settings: QueueArguments) -> Self {
        let journal = TestJournal::new(true);
        let services = Arc::new(common::services(&journal, budget_bytes));
        let queue = Arc::new(Queue::new(new_queue(&services, durable, settings)));
        let route = [Arc::clone(&queue)].into_iter().collect();
        Self { journal, services, queue, route, outlet: Arc::default(), effects: Effects::default() }
    }

    /// No budget, no limits.
    fn scarce(durable: bool) -> Self {
        Self::new(durable, 0, QueueArguments::default())
    }

    fn publish(&mut self, numbers: std::ops::Range<u64>, persistent: bool) -> (Vec<bool>, Lsn) {
        let outcome = common::publish(&self.journal, &self.route, numbers, |_| persistent, &mut self.effects);
        self.effects.carry_out();
        outcome
    }

    fn consume(&mut self, prefetch: u16, no_ack: bool) -> ConsumerKey {
        let key = self.queue.add_consumer(consumer(&self.outlet, prefetch, 0, no_ack)).unwrap();
        self.queue.resume(key, &mut self.effects);
        self.effects.carry_out();
        key
    }

    /// Gets without acknowledgement until nothing is left.
    fn drain(&self) -> Vec<u64> {
        let mut bodies = Vec::new();
        loop {
            match self.queue.get(true) {
                Got::Message { entry, .. } => bodies.push(body_number(&entry.message)),
                Got::Loading => self.journal.answer_all(),
                Got::Empty => return bodies,
            }
        }
    }
}

#[test]
fn memory_holds_a_few_and_the_journal_the_rest() {
    let mut fixture = Fixture::scarce(true);
    fixture.publish(0..100, true);
    assert_eq!(fixture.queue.counts().ready, 100);
    assert_eq!(fixture.journal.take_log(), ["100 bodies", "enqueue q1 1+100 800B"]);
    assert_eq!(fixture.drain(), (0..100).collect::<Vec<u64>>());
    assert!(fixture.journal.seqs(false).is_empty());
    assert_eq!(fixture.services.memory.resident_bytes(), 0);
}

#[test]
fn transient_messages_are_given_to_the_journal_when_they_leave_memory() {
    for durable in [false, true] {
        let mut fixture = Fixture::scarce(durable);
        // A batch is judged as a whole by the budget, and message by message by what is in memory.
        fixture.publish(0..20, false);
        assert_eq!(fixture.journal.take_log(), ["4 bodies", "enqueue transient q1 17+4 32B"]);
        fixture.publish(20..30, false);
        assert_eq!(fixture.journal.take_log(), ["10 bodies", "enqueue transient q1 21+10 80B"]);
        assert_eq!(fixture.drain(), (0..30).collect::<Vec<u64>>());
        assert!(fixture.journal.seqs(true).is_empty());
    }
}

#[test]
fn in_memory_while_there_is_room() {
    let mut fixture = Fixture::new(true, 1_000_000, QueueArguments::default());
    fixture.publish(0..200, false);
    fixture.publish(200..400, true);
    assert_eq!(fixture.journal.take_log(), ["200 bodies", "enqueue q1 201+200 1600B"]);
    // 400 times body, head of 9 bytes and what an entry takes.
    assert_eq!(fixture.services.memory.resident_bytes(), 400 * (8 + 9 + 96));
    fixture.consume(0, true);
    assert_eq!(fixture.outlet.bodies().len(), 400);
    assert_eq!(fixture.services.memory.resident_bytes(), 0);
    assert_eq!(fixture.journal.requests(), 0);
}

/// What one queue piles up does not send the messages of another through the journal, unless they pile up too.
#[test]
fn a_queue_that_takes_little_may_go_beyond_the_budget() {
    let budget_bytes = 1 << 20;
    let mut fixture = Fixture::new(true, budget_bytes, QueueArguments::default());
    let mut other = new_queue(&fixture.services, false, QueueArguments::default());
    other.id = QueueId(2);
    let other = Arc::new(Queue::new(other));
    for from in (0..10_000).step_by(250) {
        fixture.publish(from..from + 250, false);
    }
    let full_bytes = fixture.services.memory.resident_bytes();
    assert!(full_bytes >= budget_bytes && full_bytes < budget_bytes + 250 * (8 + 9 + 96));
    fixture.journal.take_log();
    let route: Route = [Arc::clone(&other)].into_iter().collect();
    common::publish(&fixture.journal, &route, 0..100, |_| false, &mut fixture.effects);
    assert_eq!(fixture.journal.take_log(), Vec::<String>::new());
    for from in (100..200).step_by(10) {
        common::publish(&fixture.journal, &route, from..from + 10, |_| false, &mut fixture.effects);
    }
    // 145 messages are a 64th of the budget: it is judged batch by batch.
    assert_eq!(fixture.journal.take_log().last().unwrap(), "enqueue transient q2 191+10 80B");
    assert!(fixture.services.memory.resident_bytes() < full_bytes + budget_bytes / 64 + 10 * (8 + 9 + 96));
}

#[test]
fn what_came_while_messages_were_out_comes_after_them() {
    let mut fixture = Fixture::new(true, 8192, QueueArguments::default());
    fixture.publish(0..100, true);
    fixture.publish(100..200, true);
    assert!(!matches!(fixture.queue.get(true), Got::Loading));
    // There is room again, but what is out comes first.
    for _ in 0..98 {
        assert!(matches!(fixture.queue.get(true), Got::Message { .. }));
    }
    fixture.publish(200..210, true);
    assert_eq!(fixture.drain(), (99..210).collect::<Vec<u64>>());
    // Nothing is out any more: memory it is.
    fixture.journal.take_log();
    fixture.publish(210..220, false);
    assert_eq!(fixture.journal.take_log(), Vec::<String>::new());
    assert_eq!(fixture.drain(), (210..220).collect::<Vec<u64>>());
}

#[test]
fn pages_are_bounded_and_read_ahead() {
    let mut fixture = Fixture::new(true, 1 << 20, QueueArguments::default());
    let per_message = 8 + 9 + 96;
    for from in (0..30_000).step_by(250) {
        fixture.publish(from..from + 250, true);
    }
    assert_eq!(fixture.journal.requests(), 0, "nobody wants them");
    let key = fixture.consume(1000, false);
    // Nothing is read while there is half a page in memory; the budget is still used up as the first leave.
    let mut delivered = fixture.outlet.take();
    assert_eq!((delivered.len(), fixture.journal.requests()), (1000, 0));
    let mut bodies: Vec<u64> = Vec::new();
    let mut asked = Vec::new();
    while !delivered.is_empty() {
        let settled =
            delivered.iter().map(|delivered| Settled::one(Some(key), delivered.entry.seq, delivered.entry.stored, 8));
        let settled: Vec<Settled> = settled.collect();
        bodies.extend(delivered.iter().map(|delivered| delivered.body));
        fixture.queue.settle(&settled, &mut fixture.effects);
        fixture.effects.carry_out();
        if let Some((_, messages_max, bytes_max)) = fixture.journal.next_request() {
            asked.push((messages_max, bytes_max));
            // There is still something to deliver when the page is asked for.
            assert!(fixture.outlet.deliveries.lock().unwrap().len() == 1000 || bodies.len() > 28_000);
            fixture.journal.answer(usize::MAX);
        }
        assert!(fixture.services.memory.resident_bytes() < (1 << 20) + 256 * per_message);
        delivered = fixture.outlet.take();
    }
    assert_eq!(bodies, (0..30_000).collect::<Vec<u64>>());
    assert!(asked.iter().all(|asked| *asked == (PAGE_MESSAGES_MAX, PAGE_BYTES_MAX)));
    assert!(asked.len() < 10, "{}", asked.len());
}

#[test]
fn pages_are_small_while_memory_is_scarce() {
    let mut fixture = Fixture::scarce(true);
    fixture.publish(0..20, true);
    fixture.consume(0, true);
    assert_eq!(
        fixture.journal.next_request(),
        Some((SeqRange { first: 17, last: 20 }, PAGE_MESSAGES_MAX, SCARCE_PAGE_BYTES_MAX))
    );
}

#[test]
fn a_consumer_that_waits_gets_what_is_read() {
    let mut fixture = Fixture::scarce(true);
    fixture.publish(0..100, true);
    fixture.consume(0, true);
    assert_eq!(fixture.outlet.bodies().len(), 16);
    // While the page is on its way, nobody asks again, and nothing overtakes.
    fixture.publish(100..110, true);
    assert_eq!((fixture.journal.requests(), fixture.outlet.bodies().len()), (1, 0));
    fixture.journal.answer(50);
    assert_eq!(fixture.outlet.bodies(), (16..66).collect::<Vec<u64>>());
    fixture.journal.answer_all();
    assert_eq!(fixture.outlet.bodies(), (66..110).collect::<Vec<u64>>());
    // Nothing is out: the next goes straight to the consumer.
    fixture.publish(110..111, true);
    assert_eq!(fixture.outlet.bodies(), [110]);
}

/// Who has almost caught up is not sent through the journal any longer.
#[test]
fn what_comes_while_the_last_page_is_read_stays_in_memory() {
    let mut fixture = Fixture::new(true, 8192, QueueArguments::default());
    fixture.publish(0..100, false);
    fixture.publish(100..200, false);
    let key = fixture.consume(0, true);
    assert_eq!((fixture.outlet.bodies().len(), fixture.journal.requests()), (100, 1));
    fixture.journal.take_log();
    fixture.publish(200..250, false);
    assert_eq!(fixture.journal.take_log(), Vec::<String>::new());
    // They wait behind what is read.
    assert_eq!(fixture.outlet.bodies(), Vec::<u64>::new());
    assert_eq!(fixture.queue.counts().ready, 150);
    fixture.journal.answer(60);
    assert_eq!(fixture.outlet.bodies(), (100..160).collect::<Vec<u64>>());
    // Once they are too many, what follows is paged behind them.
    fixture.publish(250..350, false);
    fixture.publish(350..450, false);
    assert_eq!(fixture.journal.take_log().last().unwrap(), "enqueue transient q1 351+100 800B");
    // What is paged behind others stays last.
    fixture.queue.remove_consumer(key, &mut fixture.effects);
    fixture.journal.answer_all();
    fixture.publish(450..451, false);
    assert_eq!(fixture.queue.counts().ready, 291);
    assert_eq!(fixture.drain(), (160..451).collect::<Vec<u64>>());
    assert!(fixture.journal.seqs(true).is_empty());
}

#[test]
fn nothing_overtakes_what_is_paged_last() {
    let mut fixture = Fixture::new(true, 8192, QueueArguments::default());
    let mut other = new_queue(&fixture.services, false, QueueArguments::default());
    other.id = QueueId(2);
    let other = Arc::new(Queue::new(other));
    fixture.publish(0..100, false);
    fixture.publish(100..200, false);
    fixture.consume(0, true);
    assert_eq!(fixture.outlet.bodies().len(), 100);
    fixture.publish(200..250, false);
    // Another queue takes all the memory there is, and gives it back.
    let route: Route = [Arc::clone(&other)].into_iter().collect();
    common::publish(&fixture.journal, &route, 0..100, |_| false, &mut fixture.effects);
    fixture.publish(250..260, false);
    assert_eq!(other.purge().messages, 100);
    fixture.journal.take_log();
    fixture.publish(260..270, false);
    assert_eq!(fixture.journal.take_log(), ["10 bodies", "enqueue transient q1 261+10 80B"]);
    fixture.journal.answer_all();
    assert_eq!(fixture.outlet.bodies(), (100..270).collect::<Vec<u64>>());
}

#[test]
fn purge_settles_what_is_paged_last() {
    let mut fixture = Fixture::new(true, 8192, QueueArguments::default());
    fixture.publish(0..100, false);
    fixture.publish(100..200, false);
    fixture.consume(0, true);
    fixture.publish(200..350, false);
    fixture.publish(350..400, false);
    fixture.journal.take_log();
    assert_eq!(fixture.queue.purge().messages, 300);
    // 201 to 350 were in memory.
    assert_eq!(fixture.journal.take_log(), ["settle transient q1 101..200,351..400 1200B"]);
    assert_eq!((fixture.services.memory.resident_bytes(), fixture.journal.seqs(true).len()), (0, 0));
}

/// Without anybody who wants them, what is paged stays so, and what follows it is paged too.
#[test]
fn what_comes_while_nobody_reads_is_paged() {
    let (journal, broker) = broker_with(5, u64::MAX);
    let queue = broker.vhost("/").unwrap().queue("q").unwrap();
    let route: Route = [queue].into_iter().collect();
    common::publish(&journal, &route, 5..10, |_| false, &mut Effects::default());
    assert_eq!(journal.take_log(), ["5 bodies", "enqueue transient q1 6+5 40B"]);
    assert_eq!((journal.requests(), broker.services.memory.resident_bytes()), (0, 0));
}

#[test]
fn get_waits_for_its_page() {
    let mut fixture = Fixture::scarce(false);
    fixture.publish(0..20, false);
    for body in 0..RESIDENT {
        let Got::Message { entry, left } = fixture.queue.get(false) else { panic!("in memory") };
        assert_eq!((body_number(&entry.message), left as u64), (body, 19 - body));
    }
    assert!(matches!(fixture.queue.get(false), Got::Loading));
    let waiter = Arc::<Wakes>::default();
    fixture.queue.when_loaded(Arc::<Wakes>::clone(&waiter));
    assert_eq!((waiter.count(), fixture.journal.requests()), (0, 1));
    fixture.journal.answer_all();
    assert_eq!(waiter.count(), 1);
    let Got::Message { entry, left: 3 } = fixture.queue.get(false) else { panic!("read") };
    assert_eq!((body_number(&entry.message), entry.stored), (16, Stored::Transient));
    // It is there: no reason to wait.
    fixture.queue.when_loaded(Arc::<Wakes>::clone(&waiter));
    assert_eq!(waiter.count(), 2);
}

#[test]
fn those_who_wait_hear_of_a_purge_and_of_the_end() {
    for delete in [false, true] {
        let (journal, broker) = broker_with(5, 0);
        let vhost = broker.vhost("/").unwrap();
        let queue = vhost.queue("q").unwrap();
        assert!(matches!(queue.get(true), Got::Loading));
        let waiter = Arc::<Wakes>::default();
        queue.when_loaded(Arc::<Wakes>::clone(&waiter));
        if delete {
            let mut effects = Effects::default();
            vhost.delete_owned_queue(&queue, &mut effects);
            effects.carry_out();
        } else {
            assert_eq!(queue.purge().messages, 5);
        }
        assert_eq!(waiter.count(), 1);
        journal.answer_all();
        assert!(matches!(queue.get(true), Got::Empty));
        assert_eq!(waiter.count(), 1);
    }
}

/// A broker that found durable queue `q` with so many messages when it started.
fn broker_with(messages: u64, budget_bytes: u64) -> (Arc<TestJournal>, Broker) {
    let mut before = Fixture::scarce(true);
    before.publish(0..messages, true);
    before.journal.take_log();
    let queues = vec![before.journal.restart()];
    let restored = Restored { queues, last_queue_id: 1, ..Restored::default() };
    let (broker, problems) = Broker::restore(common::services(&before.journal, budget_bytes), &restored);
    assert_eq!(problems, Vec::<String>::new());
    broker.seed(&DefaultUser::default()).unwrap();
    (before.journal, broker)
}

#[test]
fn purge_settles_what_is_out_and_a_late_page_changes_nothing() {
    let mut fixture = Fixture::scarce(true);
    fixture.publish(0..20, true);
    fixture.publish(20..30, false);
    fixture.publish(30..40, true);
    let Got::Message { .. } = fixture.queue.get(false) else { panic!("in memory") };
    assert_eq!(fixture.journal.requests(), 1, "reads ahead");
    fixture.journal.take_log();
    fixture.journal.read(usize::MAX);
    assert_eq!(fixture.queue.purge().messages, 39);
    assert_eq!(fixture.journal.take_log(), ["settle q1 2..40 232B", "settle transient q1 17..40 80B"]);
    fixture.publish(40..60, true);
    fixture.journal.answer_all();
    assert_eq!(fixture.drain(), (40..60).collect::<Vec<u64>>());
}

#[test]
fn length_limits_count_what_is_out() {
    let settings =
        QueueArguments { max_length: Some(30), overflow: Overflow::RejectPublish, ..QueueArguments::default() };
    let mut fixture = Fixture::new(true, 0, settings);
    let (rejected, _) = fixture.publish(0..40, true);
    assert_eq!(rejected.iter().filter(|rejected| **rejected).count(), 10);
    let settings = QueueArguments {
        max_length_bytes: Some(8 * 25),
        overflow: Overflow::RejectPublish,
        ..QueueArguments::default()
    };
    let mut fixture = Fixture::new(false, 0, settings);
    let (rejected, _) = fixture.publish(0..40, false);
    assert_eq!(rejected.iter().filter(|rejected| **rejected).count(), 15);
    assert_eq!(fixture.drain(), (0..25).collect::<Vec<u64>>());
    let (rejected, _) = fixture.publish(40..41, false);
    assert_eq!(rejected, [false]);
}

#[test]
fn the_head_is_dropped_when_it_was_read() {
    let settings = QueueArguments { max_length: Some(30), ..QueueArguments::default() };
    let mut fixture = Fixture::new(true, 0, settings);
    fixture.publish(0..30, true);
    fixture.publish(30..60, true);
    // All in memory is gone, the rest of the surplus is read first.
    assert_eq!((fixture.queue.counts().ready, fixture.journal.requests()), (60 - 16, 1));
    fixture.journal.answer(5);
    assert_eq!((fixture.queue.counts().ready, fixture.journal.requests()), (60 - 21, 1));
    fixture.journal.answer_all();
    assert_eq!(fixture.queue.counts().ready, 30);
    assert_eq!(fixture.drain(), (30..60).collect::<Vec<u64>>());
    assert!(fixture.journal.seqs(false).is_empty());
}

#[test]
fn the_head_of_what_a_restart_found_is_dropped_too() {
    let mut before = Fixture::scarce(true);
    before.publish(0..5, true);
    let found = before.journal.restart();
    let settings = QueueArguments { max_length: Some(5), ..QueueArguments::default() };
    let mut fixture = Fixture { journal: Arc::clone(&before.journal), ..Fixture::scarce(true) };
    fixture.services = Arc::new(common::services(&fixture.journal, 0));
    let new = new_queue(&fixture.services, true, settings);
    fixture.queue = Arc::new(Queue::restored(new, &found));
    fixture.route = [Arc::clone(&fixture.queue)].into_iter().collect();
    fixture.publish(5..7, true);
    assert_eq!((fixture.queue.counts().ready, fixture.journal.requests()), (7, 1));
    fixture.journal.answer_all();
    assert_eq!(fixture.drain(), (2..7).collect::<Vec<u64>>());
}

#[test]
fn what_comes_back_is_first_whatever_is_out() {
    let mut fixture = Fixture::scarce(true);
    fixture.publish(0..40, true);
    let key = fixture.consume(20, false);
    fixture.journal.answer(4);
    let delivered = fixture.outlet.take();
    assert_eq!(delivered.len(), 20);
    fixture.journal.take_log();
    fixture.queue.remove_consumer(key, &mut fixture.effects);
    let back = delivered.into_iter().rev().map(|delivered| (Some(key), delivered.entry));
    fixture.queue.requeue(back, &mut fixture.effects);
    fixture.effects.carry_out();
    let [returned] = &*fixture.journal.take_log() else { panic!("one record") };
    assert!(returned.starts_with("returned q1 [(20, 1), (19, 1)"), "{returned}");
    assert_eq!(fixture.queue.counts().ready, 40);
    assert_eq!(fixture.drain(), (0..40).collect::<Vec<u64>>());
}

#[test]
fn a_queue_that_gave_messages_away_says_that_it_is_gone() {
    let (journal, broker) = broker_with(0, 0);
    let (vhost, guest) = (broker.vhost("/").unwrap(), broker.user("guest").unwrap());
    let mut effects = Effects::default();
    for (count, log) in [(RESIDENT, vec![]), (RESIDENT + 1, vec!["deleted q3"])] {
        let declare = QueueDeclare {
            name: "t",
            durable: false,
            exclusive: false,
            auto_delete: false,
            arguments: &FieldTable::default(),
            random: [0; 16],
        };
        let (queue, ..) = vhost.declare_queue(&declare, &guest, ConnectionId(1)).unwrap();
        let route: Route = [queue].into_iter().collect();
        common::publish(&journal, &route, 0..count, |_| false, &mut effects);
        journal.take_log();
        let deleted = vhost.delete_queue("t", (false, false), &guest, ConnectionId(1), &mut effects).unwrap();
        assert_eq!((deleted.messages as u64, deleted.lsn == Lsn::default()), (count, log.is_empty()));
        assert_eq!(journal.take_log(), log);
        common::publish(&journal, &route, 0..20, |_| false, &mut effects);
        assert_eq!(journal.take_log(), Vec::<String>::new());
    }
}

#[test]
fn a_queue_that_is_deleted_drops_its_page_and_gives_its_memory_back() {
    let (journal, broker) = broker_with(0, 1000);
    let vhost = broker.vhost("/").unwrap();
    let queue = vhost.queue("q").unwrap();
    let route: Route = [Arc::clone(&queue)].into_iter().collect();
    let mut effects = Effects::default();
    for from in [0, 100] {
        common::publish(&journal, &route, from..from + 100, |_| true, &mut effects);
    }
    assert!(broker.services.memory.resident_bytes() > 4096);
    assert!(matches!(queue.get(false), Got::Message { .. }));
    assert_eq!(journal.requests(), 1);
    vhost.delete_owned_queue(&queue, &mut effects);
    effects.carry_out();
    assert_eq!(broker.services.memory.resident_bytes(), 0);
    journal.take_log();
    journal.answer_all();
    assert_eq!(queue.counts(), Counts::default());
    queue.settle(&[Settled::one(None, 1, Stored::Persistent, 8)], &mut effects);
    assert_eq!(journal.take_log(), Vec::<String>::new());
}

#[test]
fn missing_messages_are_no_longer_counted() {
    let mut fixture = Fixture::scarce(true);
    fixture.publish(0..40, true);
    for seq in [20, 21, 40] {
        fixture.journal.lose(seq);
    }
    fixture.consume(0, false);
    fixture.outlet.take();
    fixture.journal.answer(4);
    assert_eq!(fixture.outlet.bodies(), [16, 17, 18, 21]);
    assert_eq!(fixture.queue.counts().ready, 18);
    fixture.journal.answer_all();
    assert_eq!(fixture.outlet.bodies(), (22..39).collect::<Vec<u64>>());
    assert_eq!(fixture.queue.counts().ready, 0);
}

#[test]
fn nothing_expires_by_a_time_to_live_that_came_after_it() {
    let mut fixture = Fixture::scarce(true);
    let with_ttl = |message_ttl_ms| QueueArguments { message_ttl_ms, ..QueueArguments::default() };
    fixture.publish(0..20, true);
    for (ttl_ms, numbers) in [(Some(10), 20..30), (Some(7), 30..30), (None, 30..40)] {
        fixture.queue.set_effective(&with_ttl(ttl_ms), &mut fixture.effects);
        fixture.publish(numbers, true);
    }
    let expire_ms = |number: u64| if (20..30).contains(&number) { 10 } else { NEVER_MS };
    for number in 0..40 {
        let entry = loop {
            match fixture.queue.get(true) {
                Got::Message { entry, .. } => break entry,
                Got::Loading => fixture.journal.answer_all(),
                Got::Empty => panic!("{number} is there"),
            }
        };
        assert_eq!((body_number(&entry.message), entry.expires_ms), (number, expire_ms(number)));
    }
}

/// Messages of several levels are told apart as they are read: those whose turn is later do not pile up in memory meanwhile.
#[test]
fn a_quorum_queue_finds_its_levels_without_holding_them_in_memory() {
    const BUDGET_BYTES: u64 = 50_000;
    let quorum = || QueueArguments { queue_type: QueueType::Quorum, ..QueueArguments::default() };
    let mut before = Fixture::new(true, BUDGET_BYTES, quorum());
    let publish = |fixture: &mut Fixture, numbers: std::ops::Range<u64>, priority: u8| {
        for number in numbers {
            let (body, properties) = (number.to_be_bytes(), [0x08, 0, priority]);
            let mut batch = PublishBatch::default();
            let route = batch.route_number(&fixture.route);
            batch.push(Incoming::borrowed(b"", b"q", &properties, &body, None), route, true);
            batch.carry_out(&*fixture.journal, &mut fixture.effects);
            fixture.effects.carry_out();
        }
    };
    publish(&mut before, 0..3000, 0);
    let found = before.journal.restart();
    let mut fixture = Fixture::new(true, BUDGET_BYTES, quorum());
    fixture.services = Arc::new(common::services(&before.journal, BUDGET_BYTES));
    fixture.journal = Arc::clone(&before.journal);
    fixture.queue = Arc::new(Queue::restored(new_queue(&fixture.services, true, quorum()), &found));
    fixture.route = [Arc::clone(&fixture.queue)].into_iter().collect();
    publish(&mut fixture, 3000..3020, 0);
    publish(&mut fixture, 3020..3021, 4);
    publish(&mut fixture, 3021..3022, 9);
    publish(&mut fixture, 3022..3030, 0);
    assert_eq!(fixture.queue.counts().ready, 3030);
    let (mut bodies, mut most_bytes) = (Vec::new(), 0);
    loop {
        most_bytes = most_bytes.max(fixture.services.memory.resident_bytes());
        match fixture.queue.get(true) {
            Got::Message { entry, .. } => bodies.push(body_number(&entry.message)),
            Got::Loading => drop(fixture.journal.answer(500)),
            Got::Empty => break,
        }
    }
    assert_eq!(bodies, [3021, 3020].into_iter().chain(0..3020).chain(3022..3030).collect::<Vec<u64>>());
    assert!(most_bytes < 2 * BUDGET_BYTES, "{most_bytes} bytes were in memory");
    assert_eq!(fixture.services.memory.resident_bytes(), 0);
    assert!(fixture.journal.seqs(false).is_empty());
}

/// Pages come on another thread while messages are published: all arrive, in order, and in the end directly.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test of two threads, that must end")]
fn pages_come_whenever_they_like() {
    const MESSAGES: u64 = 20_000;
    let mut fixture = Fixture::new(true, 8192, QueueArguments::default());
    fixture.publish(0..500, true);
    let journal = Arc::clone(&fixture.journal);
    let stop = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::SeqCst) {
                journal.answer(100);
                std::thread::yield_now();
            }
        }
    });
    let key = fixture.consume(0, true);
    for from in (500..MESSAGES).step_by(50) {
        fixture.publish(from..from + 50, from % 100 == 0);
        if from % 1000 == 0 {
            // An outlet that is full for a while.
            *fixture.outlet.full.lock().unwrap() = true;
        } else if from % 1000 == 300 {
            *fixture.outlet.full.lock().unwrap() = false;
            fixture.queue.resume(key, &mut fixture.effects);
            fixture.effects.carry_out();
        }
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while fixture.queue.counts().ready > 0 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    stop.store(true, Ordering::SeqCst);
    reader.join().unwrap();
    assert_eq!(fixture.queue.counts().ready, 0, "nobody reads what is left");
    assert_eq!(fixture.outlet.bodies(), (0..MESSAGES).collect::<Vec<u64>>());
    assert_eq!(fixture.services.memory.resident_bytes(), 0);
    assert!(fixture.journal.seqs(false).is_empty() && fixture.journal.seqs(true).is_empty());
}

/// Queues share a body that the journal has.
#[test]
fn one_body_for_all_queues() {
    let mut fixture = Fixture::scarce(true);
    let mut other = new_queue(&fixture.services, false, QueueArguments::default());
    other.id = QueueId(2);
    fixture.route = [Arc::clone(&fixture.queue), Arc::new(Queue::new(other))].into_iter().collect();
    fixture.publish(0..20, true);
    assert_eq!(fixture.journal.take_log(), ["20 bodies", "enqueue q1 1+20 160B", "enqueue transient q2 17+4 32B"]);
    fixture.publish(20..25, false);
    assert_eq!(
        fixture.journal.take_log(),
        ["5 bodies", "enqueue transient q1 21+5 40B", "enqueue transient q2 21+5 40B"]
    );
}

/// The double itself: a settle of nothing is a mistake of the queue's that it finds.
#[test]
#[should_panic(expected = "settled what is not there")]
fn the_journal_under_test_finds_mistakes() {
    let journal = TestJournal::new(true);
    let bodies = [BodyAt(0)];
    let ranges = [SeqRange { first: 2, last: 2 }];
    let message = Incoming::borrowed(b"", b"q", &[0, 0], b"x", None);
    journal.hold();
    journal.append_bodies(&[message.parts()], &mut Vec::new());
    journal.append(&Record::Enqueue { queue: QUEUE, first_seq: 1, bodies: &bodies, bytes: 1, transient: false });
    journal.append(&Record::Settle { queue: QUEUE, ranges: &ranges, bytes: 1, transient: false });
}
