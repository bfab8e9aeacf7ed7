//! Messages that expire, overflow, come back too often, are rejected, have priorities and are paged, all at once, against a naive
//! model: what is ready, in which order it comes out, what died, and why; across restarts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{TestJournal, body_number};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::broker::Broker;
use leveret_engine::clock::ManualClock;
use leveret_engine::effects::Effects;
use leveret_engine::memory::MemoryBudget;
use leveret_engine::message::{Incoming, NEVER_MS};
use leveret_engine::names::ConnectionId;
use leveret_engine::publish::PublishBatch;
use leveret_engine::queue::{Entry, Got, Queue, Settled};
use leveret_engine::services::Services;
use leveret_engine::vhost::QueueDeclare;
use proptest::prelude::*;

const CONNECTION: ConnectionId = ConnectionId(1);

#[derive(Clone, Debug)]
enum Op {
    Publish {
        count: u8,
        persistent: u8,
        priority: Option<u8>,
        expiration_ms: Option<u64>,
    },
    Get,
    Ack(usize),
    Reject(usize),
    Return(usize),
    Pass(u64),
    Purge,
    /// Pages have at most so many messages from now on.
    PageSize(usize),
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let publish = (
        1u8..30,
        any::<u8>(),
        prop::option::of(0u8..12),
        prop::option::of(prop_oneof![Just(0), 1u64..50, Just(10_000)]),
    );
    prop_oneof![
        6 => publish.prop_map(|(count, persistent, priority, expiration_ms)| {
            Op::Publish { count, persistent, priority, expiration_ms }
        }),
        8 => Just(Op::Get),
        2 => any::<usize>().prop_map(Op::Ack),
        2 => any::<usize>().prop_map(Op::Reject),
        5 => any::<usize>().prop_map(Op::Return),
        4 => (1u64..40).prop_map(Op::Pass),
        1 => Just(Op::Purge),
        1 => (1usize..20).prop_map(Op::PageSize),
        1 => Just(Op::Restart),
    ]
}

/// How the queue is declared.
#[derive(Clone, Debug)]
struct Setup {
    quorum: bool,
    max_priority: Option<u8>,
    ttl_ms: Option<u64>,
    max_length: Option<u8>,
    overflow: &'static str,
    delivery_limit: Option<u8>,
    retry_ms: Option<u64>,
    memory_budget_bytes: u64,
}

fn setup() -> impl Strategy<Value = Setup> {
    let overflow = prop::sample::select(vec!["drop-head", "reject-publish", "reject-publish-dlx"]);
    let memory_budget_bytes = prop_oneof![Just(0), Just(3_000), Just(u64::MAX)];
    (
        prop::bool::weighted(0.3),
        prop::option::of(1u8..10),
        prop::option::of(prop_oneof![Just(0), 1u64..60]),
        prop::option::of(0u8..20),
        overflow,
        prop::option::of(0u8..3),
        prop::option::of(1u64..30),
        memory_budget_bytes,
    )
        .prop_map(
            |(quorum, max_priority, ttl_ms, max_length, overflow, delivery_limit, retry_ms, memory_budget_bytes)| {
                let max_priority = max_priority.filter(|_| !quorum);
                let setup = Setup {
                    quorum,
                    max_priority,
                    ttl_ms,
                    max_length,
                    overflow,
                    delivery_limit,
                    retry_ms,
                    memory_budget_bytes,
                };
                let memory_budget_bytes = if setup.drops_by_level() { u64::MAX } else { memory_budget_bytes };
                Setup { memory_budget_bytes, ..setup }
            },
        )
}

impl Setup {
    fn arguments(&self) -> FieldTable {
        let mut table = FieldTable::default();
        let text = |text: &str| FieldValue::LongStr(text.as_bytes().into());
        table.push(*b"x-dead-letter-exchange", text(""));
        table.push(*b"x-dead-letter-routing-key", text("dead"));
        table.push(*b"x-overflow", text(self.overflow));
        if self.quorum {
            table.push(*b"x-queue-type", text("quorum"));
        }
        let numbers = [
            ("x-max-priority", self.max_priority.map(u64::from)),
            ("x-message-ttl", self.ttl_ms),
            ("x-max-length", self.max_length.map(u64::from)),
            ("x-delivery-limit", self.delivery_limit.map(u64::from)),
            ("x-delayed-retry-min", self.retry_ms),
        ];
        for (name, value) in numbers {
            if let Some(value) = value {
                table.push(name.as_bytes(), FieldValue::I64(value.try_into().unwrap()));
            }
        }
        table
    }

    /// The level of a message in the order in which levels are served, and in which they are told apart.
    fn level(&self, priority: Option<u8>) -> Reverse<u8> {
        Reverse(match (self.quorum, self.max_priority) {
            (true, _) => priority.unwrap_or(4),
            (false, Some(max)) => priority.unwrap_or(0).min(max),
            (false, None) => 0,
        })
    }

    /// Whether the first of the highest level make room for others.
    fn drops_by_level(&self) -> bool {
        let has_levels = self.quorum || self.max_priority.is_some();
        has_levels && self.max_length.is_some() && self.overflow == "drop-head"
    }

    fn delivery_limit(&self) -> u32 {
        self.delivery_limit.map_or(if self.quorum { 20 } else { u32::MAX }, u32::from)
    }
}

/// A message as the model knows it.
#[derive(Clone, Debug)]
struct Known {
    level: Reverse<u8>,
    expires_ms: u64,
    persistent: bool,
    redelivered: bool,
}

type Death = (u64, &'static str);

struct Model {
    setup: Setup,
    clock: Arc<ManualClock>,
    now_ms: u64,
    journal: Arc<TestJournal>,
    broker: Broker,
    queue: Arc<Queue>,
    dead: Arc<Queue>,
    effects: Effects,
    page_messages: usize,
    published: u64,
    /// All that were ever published.
    known: BTreeMap<u64, Known>,
    /// In the order in which they come out.
    ready: BTreeSet<(Reverse<u8>, u64)>,
    unacked: BTreeMap<u64, Entry>,
    /// When a returned message is ready again.
    delayed: BTreeMap<u64, u64>,
    deaths: Vec<Death>,
    /// There was a restart.
    restored: bool,
}

impl Model {
    fn new(setup: Setup) -> Self {
        let journal = TestJournal::new(true);
        let clock = Arc::new(ManualClock::at(1_000_000));
        journal.set_clock(&clock);
        let broker = Broker::with_guest(services(&setup, &journal, &clock));
        declare(&broker, "q", &setup.arguments());
        declare(&broker, "dead", &FieldTable::default());
        let (queue, dead) = queues(&broker);
        Self {
            setup,
            clock,
            now_ms: 1_000_000,
            journal,
            broker,
            queue,
            dead,
            effects: Effects::default(),
            page_messages: 20,
            published: 0,
            known: BTreeMap::new(),
            ready: BTreeSet::new(),
            unacked: BTreeMap::new(),
            delayed: BTreeMap::new(),
            deaths: Vec::new(),
            restored: false,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Publish { count, persistent, priority, expiration_ms } => {
                self.publish(*count, *persistent, *priority, *expiration_ms);
            }
            Op::Get => self.get(),
            Op::Ack(pick) => {
                if let Some((_, entry)) = self.take_unacked(*pick) {
                    let bytes = entry.message.body_len();
                    let settled = Settled::one(None, entry.seq, entry.stored, bytes);
                    self.queue.settle(&[settled], &mut self.effects);
                }
            }
            Op::Reject(pick) => {
                if let Some((body, entry)) = self.take_unacked(*pick) {
                    self.deaths.push((body, "rejected"));
                    self.queue.reject([(None, entry)], &mut self.effects);
                }
            }
            Op::Return(pick) => self.bring_back(*pick),
            Op::Pass(ms) => {
                self.now_ms += ms;
                self.clock.advance(*ms);
            }
            Op::Purge => {
                assert_eq!(self.queue.purge().messages, self.ready.len());
                self.ready.clear();
            }
            Op::PageSize(messages) => self.page_messages = *messages,
            // A quorum queue finds levels only as it reads, so that it need not read all before it begins.
            Op::Restart if self.setup.quorum && self.known.values().any(|known| known.level != Reverse(4)) => {}
            // What makes room while the rest is still read depends on what was read.
            Op::Restart if self.setup.drops_by_level() => {}
            Op::Restart => self.restart(),
        }
        self.effects.carry_out();
        self.settle_down();
        self.end_waits();
        self.shed();
        self.check();
    }

    fn publish(&mut self, count: u8, persistent: u8, priority: Option<u8>, expiration_ms: Option<u64>) {
        let expires = expiration_ms.is_some() || self.setup.ttl_ms.is_some();
        // What a quorum queue has of lower levels than it found after a restart waits behind that, and may expire unseen.
        let is_unseen = |priority: &u8| self.setup.quorum && self.restored && expires && *priority < 4;
        let priority = priority.filter(|priority| !is_unseen(priority));
        let expiration = expiration_ms.map(|ms| ms.to_string().into_bytes().into());
        let mut properties = Vec::new();
        Properties { priority, expiration, ..Properties::default() }.encode(&mut properties);
        let bodies: Vec<[u8; 8]> = (0..u64::from(count)).map(|n| (self.published + n).to_be_bytes()).collect();
        let mut batch = PublishBatch::default();
        let route = batch.route_number(&[Arc::clone(&self.queue)].into_iter().collect());
        for (place, body) in bodies.iter().enumerate() {
            let is_persistent = persistent >> (place % 8) & 1 == 1;
            let message = Incoming::borrowed(b"", b"q", &properties, body, None);
            batch.push_expiring(message, route, is_persistent, expiration_ms.is_some());
        }
        batch.carry_out(&*self.journal, &mut self.effects);
        let life_ms = expiration_ms.unwrap_or(NEVER_MS).min(self.setup.ttl_ms.unwrap_or(NEVER_MS));
        let expires_ms = if life_ms == NEVER_MS { NEVER_MS } else { self.now_ms + life_ms };
        for (place, item) in batch.items.iter().enumerate() {
            let body = self.published + place as u64;
            let level = self.setup.level(priority);
            let persistent = self.setup.quorum || item.persistent;
            let is_full = self.setup.max_length.is_some_and(|max| self.ready.len() >= usize::from(max));
            let refused = is_full && self.setup.overflow != "drop-head";
            assert_eq!(item.rejected, refused);
            if !refused {
                self.known.insert(body, Known { level, expires_ms, persistent, redelivered: false });
                self.ready.insert((level, body));
            } else if self.setup.overflow == "reject-publish-dlx" {
                self.deaths.push((body, "maxlen"));
            }
        }
        self.published += u64::from(count);
        self.shed();
    }

    /// Step by step the first of a level that has expired goes, or the first of all while there are too many.
    fn shed(&mut self) {
        let drops = self.setup.overflow == "drop-head";
        let max = self.setup.max_length.filter(|_| drops).map_or(usize::MAX, usize::from);
        loop {
            let mut levels = BTreeSet::new();
            let mut firsts = self.ready.iter().filter(|(level, _)| levels.insert(*level));
            let expired = firsts.find(|(_, body)| self.known[body].expires_ms <= self.now_ms).copied();
            let (gone, reason) = match expired {
                Some(expired) => (expired, "expired"),
                None if self.ready.len() > max => (*self.ready.first().unwrap(), "maxlen"),
                None => return,
            };
            self.ready.remove(&gone);
            self.deaths.push((gone.1, reason));
        }
    }

    fn get(&mut self) {
        loop {
            match self.queue.get(false) {
                Got::Loading => assert!(self.answer(), "nobody reads what is got"),
                Got::Empty => {
                    assert!(self.ready.is_empty(), "{:?} are not there", self.ready);
                    return;
                }
                Got::Message { entry, left } => {
                    let (_, body) = self.ready.pop_first().expect("a message from nowhere");
                    assert_eq!(body_number(&entry.message), body);
                    let with_expired = self.ready.len();
                    self.shed();
                    // Of what is not in memory nobody knows yet that it has expired.
                    assert!((self.ready.len()..=with_expired).contains(&left), "{left} are left");
                    let known = &self.known[&body];
                    assert_eq!(entry.expires_ms, known.expires_ms, "its time is fixed");
                    assert!(entry.deliveries > 0 || !known.redelivered);
                    self.unacked.insert(body, entry);
                    return;
                }
            }
        }
    }

    fn bring_back(&mut self, pick: usize) {
        let Some((body, entry)) = self.take_unacked(pick) else { return };
        let count = entry.deliveries + 1;
        let known = self.known.get_mut(&body).unwrap();
        known.redelivered = true;
        if count > self.setup.delivery_limit() {
            self.deaths.push((body, "delivery_limit"));
        } else if let Some(retry_ms) = self.setup.retry_ms {
            self.delayed.insert(body, self.now_ms + retry_ms * u64::from(count));
        } else {
            self.ready.insert((known.level, body));
        }
        self.queue.requeue([(None, entry)], &mut self.effects);
        self.shed();
    }

    fn take_unacked(&mut self, pick: usize) -> Option<(u64, Entry)> {
        let body = *self.unacked.keys().nth(pick % self.unacked.len().max(1))?;
        self.unacked.remove_entry(&body)
    }

    fn restart(&mut self) {
        let restored = self.journal.restart_broker();
        let (broker, problems) = Broker::restore(services(&self.setup, &self.journal, &self.clock), &restored);
        assert!(problems.is_empty(), "{problems:?}");
        self.broker = broker;
        self.restored = true;
        (self.queue, self.dead) = queues(&self.broker);
        self.effects = Effects::default();
        let back = std::mem::take(&mut self.unacked).into_keys().chain(std::mem::take(&mut self.delayed).into_keys());
        for body in back {
            let known = self.known.get_mut(&body).unwrap();
            known.redelivered = true;
            self.ready.insert((known.level, body));
        }
        let known = &self.known;
        self.ready.retain(|(_, body)| known[body].persistent);
    }

    /// Returned messages that have waited long enough are ready.
    fn end_waits(&mut self) {
        let (known, ready, now_ms) = (&self.known, &mut self.ready, self.now_ms);
        self.delayed.retain(|body, due_ms| {
            let waits = *due_ms > now_ms;
            if !waits {
                ready.insert((known[body].level, *body));
            }
            waits
        });
    }

    /// A page comes, if one was asked for.
    fn answer(&mut self) -> bool {
        let asked = self.journal.requests() > 0;
        self.journal.answer(self.page_messages);
        asked
    }

    /// All is done that is due, and all pages are read that somebody wants.
    fn settle_down(&mut self) {
        for _ in 0..10_000 {
            let timers = &self.broker.services.timers;
            let is_due = timers.next_due_ms().is_some_and(|due_ms| due_ms <= self.now_ms);
            timers.run(self.now_ms, &mut self.effects);
            if !is_due && self.journal.requests() == 0 {
                return;
            }
            self.answer();
        }
        panic!("it never ends");
    }

    fn check(&mut self) {
        let counts = self.queue.counts();
        assert_eq!(counts.ready, self.ready.len(), "ready: {:?}", self.ready);
        assert_eq!(counts.unacked, self.unacked.len());
        let mut died = Vec::new();
        loop {
            match self.dead.get(true) {
                Got::Loading => assert!(self.answer()),
                Got::Empty => break,
                Got::Message { entry, .. } => died.push((body_number(&entry.message), reason(&entry))),
            }
        }
        let mut expected = std::mem::take(&mut self.deaths);
        if self.setup.max_priority.is_some() || self.setup.quorum {
            // Levels die side by side.
            expected.sort_unstable();
            died.sort_unstable();
        }
        let expected: Vec<(u64, String)> = expected.into_iter().map(|(body, why)| (body, why.to_owned())).collect();
        assert_eq!(died, expected, "dead letters");
        let stays = |body: &&u64| self.known[*body].persistent;
        let ready: BTreeSet<u64> = self.ready.iter().map(|(_, body)| *body).collect();
        let there: BTreeSet<u64> =
            ready.iter().chain(self.unacked.keys()).chain(self.delayed.keys()).filter(stays).copied().collect();
        assert_eq!(self.journal.seqs(false).len(), there.len(), "persistent messages");
    }
}

fn reason(entry: &Entry) -> String {
    let properties = PropertiesRef::from_checked(entry.message.parts().properties);
    let headers = properties.headers().unwrap().decode().unwrap();
    let Some(FieldValue::LongStr(reason)) = headers.get(b"x-last-death-reason") else { panic!("{headers:?}") };
    String::from_utf8(reason.to_vec()).unwrap()
}

fn services(setup: &Setup, journal: &Arc<TestJournal>, clock: &Arc<ManualClock>) -> Services {
    let memory = MemoryBudget::new(setup.memory_budget_bytes);
    Services::new(Arc::<TestJournal>::clone(journal), memory, Arc::<ManualClock>::clone(clock), 0)
}

fn declare(broker: &Broker, name: &str, arguments: &FieldTable) {
    let declare =
        QueueDeclare { name, durable: true, exclusive: false, auto_delete: false, arguments, random: [0; 16] };
    let vhost = broker.vhost("/").unwrap();
    vhost.declare_queue(&declare, &broker.user("guest").unwrap(), CONNECTION).unwrap();
}

fn queues(broker: &Broker) -> (Arc<Queue>, Arc<Queue>) {
    let vhost = broker.vhost("/").unwrap();
    (vhost.queue("q").unwrap(), vhost.queue("dead").unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn behaves_like_a_sorted_list(setup in setup(), ops in prop::collection::vec(op(), 1..80)) {
        let mut model = Model::new(setup);
        for op in &ops {
            model.apply(op);
        }
    }
}

#[test]
fn a_lower_priority_expires_behind_a_backlog_that_is_not_in_memory() {
    let mut model = Model::new(Setup {
        quorum: true,
        max_priority: None,
        ttl_ms: None,
        max_length: None,
        overflow: "drop-head",
        delivery_limit: None,
        retry_ms: None,
        memory_budget_bytes: 0,
    });
    model.apply(&Op::Publish { count: 29, persistent: 0, priority: None, expiration_ms: None });
    assert_eq!(model.journal.requests(), 0, "nobody reads the backlog");
    model.apply(&Op::Publish { count: 1, persistent: 0, priority: Some(0), expiration_ms: Some(0) });
    assert_eq!(model.queue.counts().ready, 29);
}
