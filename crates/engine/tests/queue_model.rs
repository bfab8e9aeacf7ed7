//! A queue against a naive model: whatever is published, consumed, settled, returned, got and purged in whatever order, the
//! queue hands out what a sorted list would, to consumers that may have it; whether its messages are in memory or have to be
//! read, and across restarts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{Recorder, TestJournal, Wakes, body_number, consumer, new_queue};
use leveret_engine::effects::Effects;
use leveret_engine::names::ConsumerKey;
use leveret_engine::publish::Route;
use leveret_engine::queue::arguments::QueueArguments;
use leveret_engine::queue::{Entry, Got, Queue, Settled};
use leveret_engine::services::Services;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Publish {
        count: u8,
        persistent: u8,
    },
    Consume {
        prefetch: u16,
        priority: i32,
        no_ack: bool,
    },
    Cancel(usize),
    Ack(usize),
    AckAll,
    Requeue(usize),
    Get {
        no_ack: bool,
    },
    Purge,
    Fill(bool),
    /// A page of at most so many messages is read.
    Read(usize),
    /// A page comes, of at most so many messages, or the one that was read.
    Answer(usize),
    /// A message in the journal cannot be read any more.
    Lose(usize),
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1u8..40, any::<u8>()).prop_map(|(count, persistent)| Op::Publish { count, persistent }),
        2 => (0u16..5, -1i32..2, prop::bool::weighted(0.2))
            .prop_map(|(prefetch, priority, no_ack)| Op::Consume { prefetch, priority, no_ack }),
        1 => any::<usize>().prop_map(Op::Cancel),
        6 => any::<usize>().prop_map(Op::Ack),
        1 => Just(Op::AckAll),
        4 => any::<usize>().prop_map(Op::Requeue),
        3 => any::<bool>().prop_map(|no_ack| Op::Get { no_ack }),
        1 => Just(Op::Purge),
        1 => any::<bool>().prop_map(Op::Fill),
        2 => (1usize..30).prop_map(Op::Read),
        6 => (1usize..30).prop_map(Op::Answer),
        1 => any::<usize>().prop_map(Op::Lose),
        1 => Just(Op::Restart),
    ]
}

/// How a queue is set up.
#[derive(Clone, Copy, Debug)]
struct Setup {
    durable: bool,
    /// Messages may leave memory.
    paging: bool,
    memory_budget_bytes: u64,
}

struct ModelConsumer {
    key: ConsumerKey,
    /// 0 is no limit.
    prefetch: usize,
    priority: i32,
    no_ack: bool,
}

/// The queue under test and what should be true of it.
struct Model {
    setup: Setup,
    journal: Arc<TestJournal>,
    services: Arc<Services>,
    queue: Arc<Queue>,
    route: Route,
    outlet: Arc<Recorder>,
    effects: Effects,
    consumers: Vec<ModelConsumer>,
    /// Bodies in order; a body is its message's place in the order of publishing.
    ready: BTreeSet<u64>,
    /// Delivered or got, not settled: who has it.
    unacked: BTreeMap<u64, (Option<ConsumerKey>, Entry)>,
    returned: BTreeSet<u64>,
    persistent: BTreeSet<u64>,
    /// Positions of what is there.
    seqs: BTreeMap<u64, u64>,
    last_seq: u64,
    waiters: Vec<Arc<Wakes>>,
    published: u64,
    full: bool,
    restarted: bool,
    /// A message was missing among those that a restart found: how many are left is not known exactly.
    inexact: bool,
}

impl Model {
    fn new(setup: Setup) -> Self {
        let journal = TestJournal::new(setup.paging);
        let services = Arc::new(common::services(&journal, setup.memory_budget_bytes));
        let queue = Arc::new(Queue::new(new_queue(&services, setup.durable, QueueArguments::default())));
        Self {
            setup,
            journal,
            services,
            route: [Arc::clone(&queue)].into_iter().collect(),
            queue,
            outlet: Arc::default(),
            effects: Effects::default(),
            consumers: Vec::new(),
            ready: BTreeSet::new(),
            unacked: BTreeMap::new(),
            returned: BTreeSet::new(),
            persistent: BTreeSet::new(),
            seqs: BTreeMap::new(),
            last_seq: 0,
            waiters: Vec::new(),
            published: 0,
            full: false,
            restarted: false,
            inexact: false,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Publish { count, persistent } => self.publish(*count, *persistent),
            Op::Consume { prefetch, priority, no_ack } => self.consume(*prefetch, *priority, *no_ack),
            Op::Cancel(pick) if !self.consumers.is_empty() => {
                let consumer = self.consumers.remove(pick % self.consumers.len());
                self.queue.remove_consumer(consumer.key, &mut self.effects);
            }
            Op::Ack(pick) => {
                let settled: Vec<Settled> = self.take_unacked(*pick).into_iter().map(settled).collect();
                self.queue.settle(&settled, &mut self.effects);
            }
            Op::AckAll => {
                // Backwards, so that there are positions to put in order.
                let unacked = std::mem::take(&mut self.unacked);
                let settled: Vec<Settled> = unacked.into_iter().rev().map(settled).collect();
                self.queue.settle(&settled, &mut self.effects);
            }
            Op::Requeue(pick) => {
                if let Some((body, returned)) = self.take_unacked(*pick) {
                    self.ready.insert(body);
                    self.returned.insert(body);
                    self.queue.requeue([returned], &mut self.effects);
                }
            }
            Op::Get { no_ack } => self.get(*no_ack),
            Op::Purge => {
                let purged = self.queue.purge().messages;
                self.check_count(purged);
                self.ready.clear();
            }
            Op::Fill(full) => self.fill(*full),
            Op::Read(messages_max) => self.journal.read(*messages_max),
            Op::Answer(messages_max) => self.answer(*messages_max),
            Op::Lose(pick) => {
                let body = self.ready.iter().nth(pick % self.ready.len().max(1)).copied();
                self.journal.lose(body.map_or(0, |body| self.seqs[&body]));
            }
            Op::Restart => self.restart(),
            Op::Cancel(_) => {}
        }
        self.effects.carry_out();
        self.check_deliveries();
        self.check_rest();
        self.waiters.retain(|waiter| {
            assert!(waiter.count() <= 1, "woken twice");
            waiter.count() == 0
        });
        assert!(self.waiters.is_empty() || self.journal.requests() == 1, "nobody reads what is waited for");
    }

    fn publish(&mut self, count: u8, persistent: u8) {
        let bodies = self.published..self.published + u64::from(count);
        self.published = bodies.end;
        self.ready.extend(bodies.clone());
        let is_persistent = |body: u64| persistent >> (body % 8) & 1 == 1;
        for body in bodies.clone() {
            self.last_seq += 1;
            self.seqs.insert(body, self.last_seq);
            if is_persistent(body) && self.setup.durable {
                self.persistent.insert(body);
            }
        }
        let (rejected, _) = common::publish(&self.journal, &self.route, bodies, is_persistent, &mut self.effects);
        assert!(!rejected.contains(&true));
    }

    fn consume(&mut self, prefetch: u16, priority: i32, no_ack: bool) {
        let key = self.queue.add_consumer(consumer(&self.outlet, prefetch, priority, no_ack)).unwrap();
        self.consumers.push(ModelConsumer { key, prefetch: prefetch.into(), priority, no_ack });
        self.queue.resume(key, &mut self.effects);
    }

    fn get(&mut self, no_ack: bool) {
        match self.queue.get(no_ack) {
            Got::Empty => assert!(self.ready.is_empty()),
            Got::Loading => {
                assert_eq!(self.journal.requests(), 1, "nobody reads what is got");
                assert!(!self.ready.is_empty() || self.inexact);
                let waiter = Arc::<Wakes>::default();
                self.queue.when_loaded(Arc::<Wakes>::clone(&waiter));
                assert_eq!(waiter.count(), 0);
                self.waiters.push(waiter);
            }
            Got::Message { entry, left } => {
                let body = self.ready.pop_first().expect("a message from nowhere");
                assert_eq!(body_number(&entry.message), body);
                assert_eq!(entry.deliveries > 0, self.returned.contains(&body));
                self.check_count(left);
                if !no_ack {
                    self.unacked.insert(body, (None, entry));
                }
            }
        }
    }

    fn fill(&mut self, full: bool) {
        self.full = full;
        *self.outlet.full.lock().unwrap() = full;
        if !full {
            for parked in std::mem::take(&mut *self.outlet.parked.lock().unwrap()) {
                parked.queue.resume(parked.key, &mut self.effects);
            }
        }
    }

    fn answer(&mut self, messages_max: usize) {
        for seq in self.journal.answer(messages_max) {
            self.ready.retain(|body| self.seqs[body] != seq);
            self.inexact |= self.restarted;
        }
    }

    /// Persistent messages are ready again, as redelivered if they were delivered.
    fn restart(&mut self) {
        let restored = self.journal.restart();
        self.restarted = true;
        self.inexact = false;
        self.returned.extend(std::mem::take(&mut self.unacked).into_keys().inspect(|body| {
            self.ready.insert(*body);
        }));
        self.ready.retain(|body| self.persistent.contains(body));
        assert_eq!(restored.messages, self.ready.len() as u64);
        self.last_seq = restored.last_seq;
        self.services = Arc::new(common::services(&self.journal, self.setup.memory_budget_bytes));
        let new = new_queue(&self.services, self.setup.durable, QueueArguments::default());
        self.queue = Arc::new(Queue::restored(new, &restored));
        self.route = [Arc::clone(&self.queue)].into_iter().collect();
        self.consumers.clear();
        self.waiters.clear();
        self.outlet.parked.lock().unwrap().clear();
    }

    fn take_unacked(&mut self, pick: usize) -> Option<(u64, (Option<ConsumerKey>, Entry))> {
        let body = *self.unacked.keys().nth(pick % self.unacked.len().max(1))?;
        self.unacked.remove_entry(&body)
    }

    fn credit(&self, consumer: &ModelConsumer) -> bool {
        let held = self.unacked.values().filter(|(who, _)| *who == Some(consumer.key)).count();
        consumer.no_ack || consumer.prefetch == 0 || held < consumer.prefetch
    }

    /// Each consumer got, in order, messages that were the first ready ones, within its credit.
    fn check_deliveries(&mut self) {
        let deliveries = self.outlet.take();
        let bodies: BTreeSet<u64> = deliveries.iter().map(|delivered| delivered.body).collect();
        assert_eq!(bodies.len(), deliveries.len(), "delivered twice");
        let first_ready: BTreeSet<u64> = self.ready.iter().copied().take(bodies.len()).collect();
        assert_eq!(bodies, first_ready, "not the first ready messages");
        for consumer in &self.consumers {
            let of_one = deliveries.iter().filter(|delivered| delivered.consumer == consumer.key);
            assert!(of_one.is_sorted_by_key(|delivered| delivered.body), "out of order");
        }
        for delivered in deliveries {
            let consumer = self.consumers.iter().find(|consumer| consumer.key == delivered.consumer).unwrap();
            assert_eq!(delivered.no_ack, consumer.no_ack);
            assert!(self.credit(consumer), "more than the prefetch");
            assert_eq!(delivered.entry.deliveries > 0, self.returned.contains(&delivered.body));
            self.ready.remove(&delivered.body);
            if !delivered.no_ack {
                self.unacked.insert(delivered.body, (Some(delivered.consumer), delivered.entry));
            }
        }
    }

    fn check_count(&self, ready: usize) {
        assert!(ready == self.ready.len() || (self.inexact && ready > self.ready.len()));
    }

    /// Counts are right, nobody who could take a message is kept waiting for anything but a page, lower priorities are served
    /// only when higher ones could take no more, and the journal has what it has to have.
    fn check_rest(&self) {
        let counts = self.queue.counts();
        self.check_count(counts.ready);
        assert_eq!(counts.unacked, self.unacked.len());
        assert_eq!(counts.consumers, self.consumers.len());
        if !self.ready.is_empty() && !self.full && self.journal.requests() == 0 {
            for consumer in &self.consumers {
                assert!(!self.credit(consumer), "a consumer of priority {} waits", consumer.priority);
            }
        }
        if counts.ready == 0 {
            assert_eq!(self.services.memory.resident_bytes(), 0);
        }
        let there: BTreeSet<u64> = self.ready.iter().chain(self.unacked.keys()).copied().collect();
        let seqs_of = |bodies: BTreeSet<u64>| bodies.iter().map(|body| self.seqs[body]).collect::<BTreeSet<u64>>();
        assert!(self.journal.seqs(true).is_subset(&seqs_of(&there - &self.persistent)), "transient messages stay");
        let persistent = seqs_of(&there & &self.persistent);
        assert_eq!(self.journal.seqs(false), persistent, "persistent messages");
    }

    /// All pages come; then nobody has a reason to wait.
    fn settle_down(&mut self) {
        while self.journal.requests() > 0 {
            self.apply(&Op::Answer(usize::MAX));
        }
    }
}

fn settled((_, (consumer, entry)): (u64, (Option<ConsumerKey>, Entry))) -> Settled {
    Settled::one(consumer, entry.seq, entry.stored, entry.message.body_len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn behaves_like_a_sorted_list(
        durable in any::<bool>(),
        paging in prop::bool::weighted(0.75),
        memory_budget_bytes in prop_oneof![Just(0), Just(5_000), Just(20_000)],
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut model = Model::new(Setup { durable, paging, memory_budget_bytes });
        for op in &ops {
            // Without paging nothing is read, so that nothing restored could be.
            if paging || !matches!(op, Op::Restart) {
                model.apply(op);
            }
        }
        model.settle_down();
    }
}

#[test]
fn higher_priority_first_then_round_robin() {
    let mut model = Model::new(Setup { durable: false, paging: false, memory_budget_bytes: 0 });
    model.consume(1, 5, false);
    model.consume(10, 0, false);
    model.consume(10, 0, false);
    model.publish(5, 0);
    let deliveries = model.outlet.take();
    // One outlet: also on the wire it is one consumer after the other.
    let in_order: Vec<(u64, u32)> = deliveries.iter().map(|d| (d.body, d.consumer.slot)).collect();
    assert_eq!(in_order, [(0, 0), (1, 1), (2, 2), (3, 1), (4, 2)]);
}
