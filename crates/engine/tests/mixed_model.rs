//! A queue whose messages expire, are limited in number, have priorities, are served to a single active consumer, and are
//! dead-lettered, all at once, against a naive model.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Recorder, consumer};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::broker::Broker;
use leveret_engine::clock::{Clock, ManualClock};
use leveret_engine::effects::Effects;
use leveret_engine::journal::MemoryJournal;
use leveret_engine::memory::MemoryBudget;
use leveret_engine::message::Incoming;
use leveret_engine::names::{ConnectionId, ConsumerKey};
use leveret_engine::publish::{PublishBatch, Route};
use leveret_engine::queue::Settled;
use leveret_engine::queue::{Entry, Got, Queue};
use leveret_engine::services::Services;
use leveret_engine::vhost::QueueDeclare;
use proptest::prelude::*;

const NEVER: u64 = u64::MAX;

#[derive(Clone, Debug)]
struct Setup {
    ttl_ms: Option<u64>,
    max_length: Option<usize>,
    overflow: &'static str,
    max_priority: Option<u8>,
    delivery_limit: Option<u32>,
    single_active: bool,
    dead_letters: bool,
}

fn setup() -> impl Strategy<Value = Setup> {
    let overflow = prop_oneof![Just("drop-head"), Just("reject-publish"), Just("reject-publish-dlx")];
    (
        prop::option::of(1u64..60),
        prop::option::of(0usize..8),
        overflow,
        prop::option::of(1u8..4),
        prop::option::of(0u32..4),
        any::<bool>(),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(ttl_ms, max_length, overflow, max_priority, delivery_limit, single_active, dead_letters)| {
            Setup { ttl_ms, max_length, overflow, max_priority, delivery_limit, single_active, dead_letters }
        })
}

#[derive(Clone, Debug)]
enum Op {
    Publish {
        priority: Option<u8>,
        expiration_ms: Option<u64>,
    },
    Consume {
        prefetch: u16,
        priority: i32,
    },
    /// What the consumer has stays with it.
    Cancel(usize),
    /// What the consumer has comes back.
    Lose(usize),
    Ack(usize),
    Reject(usize),
    Requeue(usize),
    Get,
    Advance(u64),
    Purge,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (prop::option::of(0u8..6), prop::option::of(1u64..60))
            .prop_map(|(priority, expiration_ms)| Op::Publish { priority, expiration_ms }),
        2 => (1u16..4, -1i32..2).prop_map(|(prefetch, priority)| Op::Consume { prefetch, priority }),
        1 => any::<usize>().prop_map(Op::Cancel),
        1 => any::<usize>().prop_map(Op::Lose),
        3 => any::<usize>().prop_map(Op::Ack),
        2 => any::<usize>().prop_map(Op::Reject),
        4 => any::<usize>().prop_map(Op::Requeue),
        1 => Just(Op::Get),
        4 => (1u64..30).prop_map(Op::Advance),
        1 => Just(Op::Purge),
    ]
}

/// A message as the model knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    body: u64,
    level: u8,
    expires_ms: u64,
    returns: u32,
}

struct Member {
    key: ConsumerKey,
    prefetch: usize,
    priority: i32,
}

struct Model {
    setup: Setup,
    clock: Arc<ManualClock>,
    broker: Broker,
    queue: Arc<Queue>,
    dead: Arc<Queue>,
    route: Route,
    outlet: Arc<Recorder>,
    effects: Effects,
    published: u64,
    members: Vec<Member>,
    active: Option<ConsumerKey>,
    /// In order of delivery.
    ready: Vec<Known>,
    unacked: BTreeMap<u64, (Option<ConsumerKey>, Known, Entry)>,
    /// What should be dead-lettered by this operation.
    dying: Vec<(u64, &'static str)>,
}

fn text(text: &str) -> FieldValue {
    FieldValue::LongStr(text.as_bytes().into())
}

impl Setup {
    fn arguments(&self) -> FieldTable {
        let mut table = FieldTable::default();
        let mut put = |name: &str, value: Option<FieldValue>| {
            if let Some(value) = value {
                table.push(name.as_bytes(), value);
            }
        };
        put("x-message-ttl", self.ttl_ms.map(|ms| FieldValue::I64(ms.try_into().unwrap())));
        put("x-max-length", self.max_length.map(|max| FieldValue::I64(max.try_into().unwrap())));
        put("x-overflow", Some(text(self.overflow)));
        put("x-max-priority", self.max_priority.map(FieldValue::U8));
        put("x-delivery-limit", self.delivery_limit.map(FieldValue::U32));
        put("x-single-active-consumer", Some(FieldValue::Bool(self.single_active)));
        put("x-dead-letter-exchange", self.dead_letters.then(|| text("")));
        put("x-dead-letter-routing-key", self.dead_letters.then(|| text("dead")));
        table
    }
}

impl Model {
    fn new(setup: Setup) -> Self {
        let clock = Arc::new(ManualClock::at(1_000_000));
        let services = Services::new(
            Arc::new(MemoryJournal::default()),
            MemoryBudget::default(),
            Arc::<ManualClock>::clone(&clock),
            0,
        );
        let broker = Broker::with_guest(services);
        let (vhost, guest) = (broker.vhost("/").unwrap(), broker.user("guest").unwrap());
        let declare = |name: &str, arguments: &FieldTable| {
            let (durable, exclusive, auto_delete, random) = (false, false, false, [0; 16]);
            let declare = QueueDeclare { name, durable, exclusive, auto_delete, arguments, random };
            vhost.declare_queue(&declare, &guest, ConnectionId(1)).unwrap().0
        };
        let dead = declare("dead", &FieldTable::default());
        let queue = declare("work", &setup.arguments());
        Self {
            setup,
            clock,
            broker,
            route: [Arc::clone(&queue)].into_iter().collect(),
            queue,
            dead,
            outlet: Arc::default(),
            effects: Effects::default(),
            published: 0,
            members: Vec::new(),
            active: None,
            ready: Vec::new(),
            unacked: BTreeMap::new(),
            dying: Vec::new(),
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Publish { priority, expiration_ms } => self.publish(priority, expiration_ms),
            // Where all are served, one is enough to know who gets what.
            Op::Consume { prefetch, priority } if self.setup.single_active || self.members.is_empty() => {
                let key = self.queue.add_consumer(consumer(&self.outlet, prefetch, priority, false)).unwrap();
                self.members.push(Member { key, prefetch: prefetch.into(), priority });
                self.queue.resume(key, &mut self.effects);
            }
            Op::Consume { .. } => {}
            Op::Cancel(pick) => {
                self.remove(pick);
            }
            Op::Lose(pick) => {
                if let Some(key) = self.remove(pick) {
                    let bodies: Vec<u64> =
                        self.unacked.iter().filter(|(_, u)| u.0 == Some(key)).map(|(b, _)| *b).collect();
                    self.requeue(&bodies);
                }
            }
            Op::Ack(pick) => {
                if let Some((key, _, entry)) = self.take_unacked(pick) {
                    let settled = Settled::one(key, entry.seq, entry.stored, entry.message.body_len());
                    self.queue.settle(&[settled], &mut self.effects);
                }
            }
            Op::Reject(pick) => self.reject(pick),
            Op::Requeue(pick) => {
                let body = self.unacked.keys().nth(pick % self.unacked.len().max(1)).copied();
                self.requeue(body.as_slice());
            }
            Op::Get => self.get(),
            Op::Advance(ms) => self.clock.advance(ms),
            Op::Purge => {
                assert_eq!(self.queue.purge().messages, self.ready.len());
                self.ready.clear();
            }
        }
        self.effects.carry_out();
        let services = Arc::clone(&self.broker.services);
        while services.timers.run(self.clock.now_ms(), &mut self.effects) {}
        self.expire();
        self.elect();
        self.check_deliveries();
        self.check_dead();
        let counts = self.queue.counts();
        assert_eq!((counts.ready, counts.unacked), (self.ready.len(), self.unacked.len()));
    }

    fn publish(&mut self, priority: Option<u8>, expiration_ms: Option<u64>) {
        let body = self.published;
        self.published += 1;
        let expiration = expiration_ms.map(|ms| ms.to_string().into_bytes().into());
        let mut properties = Vec::new();
        Properties { priority, expiration, ..Properties::default() }.encode(&mut properties);
        let bytes = body.to_be_bytes();
        let mut batch = PublishBatch::default();
        let route = batch.route_number(&self.route);
        let life_ms = expiration_ms.unwrap_or(NEVER);
        batch.push_expiring(
            Incoming::borrowed(b"", b"work", &properties, &bytes, None),
            route,
            false,
            expiration_ms.is_some(),
        );
        batch.carry_out(&*self.broker.services.journal, &mut self.effects);

        let is_refused =
            self.setup.overflow != "drop-head" && self.setup.max_length.is_some_and(|max| self.ready.len() + 1 > max);
        assert_eq!(batch.items[0].rejected, is_refused);
        if is_refused {
            if self.setup.overflow == "reject-publish-dlx" {
                self.dying.push((body, "maxlen"));
            }
            return;
        }
        let life_ms = life_ms.min(self.setup.ttl_ms.unwrap_or(NEVER));
        let expires_ms = if life_ms == NEVER { NEVER } else { self.clock.now_ms() + life_ms };
        let level = self.setup.max_priority.map_or(0, |max| priority.unwrap_or(0).min(max));
        self.put(Known { body, level, expires_ms, returns: 0 });
        let has_taker = self.served().is_some_and(|served| self.held_by(served.key) < served.prefetch);
        if !has_taker {
            self.drop_head();
        }
    }

    fn put(&mut self, known: Known) {
        self.ready.push(known);
        self.ready.sort_by_key(|known| (Reverse(known.level), known.body));
    }

    /// What has expired goes before anything has to make room.
    fn drop_head(&mut self) {
        let max = if self.setup.overflow == "drop-head" { self.setup.max_length } else { None };
        self.expire();
        while max.is_some_and(|max| self.ready.len() > max) {
            let head = self.ready.remove(0);
            self.dying.push((head.body, "maxlen"));
            self.expire();
        }
    }

    /// What has expired goes, if it is the first of its level.
    fn expire(&mut self) {
        let now_ms = self.clock.now_ms();
        let is_gone = |ready: &[Known], place: usize| {
            let known: &Known = &ready[place];
            let is_first = ready[..place].iter().all(|before| before.level != known.level);
            is_first && known.expires_ms <= now_ms
        };
        while let Some(place) = (0..self.ready.len()).find(|place| is_gone(&self.ready, *place)) {
            let gone = self.ready.remove(place);
            self.dying.push((gone.body, "expired"));
        }
    }

    fn remove(&mut self, pick: usize) -> Option<ConsumerKey> {
        if self.members.is_empty() {
            return None;
        }
        let key = self.members.remove(pick % self.members.len()).key;
        self.queue.remove_consumer(key, &mut self.effects);
        Some(key)
    }

    fn take_unacked(&mut self, pick: usize) -> Option<(Option<ConsumerKey>, Known, Entry)> {
        let body = *self.unacked.keys().nth(pick % self.unacked.len().max(1))?;
        self.unacked.remove(&body)
    }

    fn reject(&mut self, pick: usize) {
        let Some((key, known, entry)) = self.take_unacked(pick) else { return };
        self.dying.push((known.body, "rejected"));
        self.queue.reject([(key, entry)], &mut self.effects);
    }

    fn requeue(&mut self, bodies: &[u64]) {
        let mut returned = Vec::new();
        for body in bodies {
            let (key, mut known, entry) = self.unacked.remove(body).unwrap();
            returned.push((key, entry));
            known.returns += 1;
            if self.setup.delivery_limit.is_some_and(|limit| known.returns > limit) {
                self.dying.push((*body, "delivery_limit"));
            } else {
                self.put(known);
            }
        }
        self.queue.requeue(returned, &mut self.effects);
        self.drop_head();
    }

    fn get(&mut self) {
        match self.queue.get(false) {
            Got::Message { entry, left } => {
                let known = self.ready.remove(0);
                assert_eq!(common::body_number(&entry.message), known.body);
                // What has expired behind it is not told of any more.
                self.expire();
                assert_eq!((entry.deliveries, left), (known.returns, self.ready.len()));
                self.unacked.insert(known.body, (None, known, entry));
            }
            Got::Empty => assert!(self.ready.is_empty()),
            Got::Loading => panic!("all is in memory"),
        }
    }

    fn held_by(&self, key: ConsumerKey) -> usize {
        self.unacked.values().filter(|(by, _, _)| *by == Some(key)).count()
    }

    fn served(&self) -> Option<&Member> {
        self.members.iter().find(|member| Some(member.key) == self.active)
    }

    fn elect(&mut self) {
        if self.served().is_none() {
            // The first of equals.
            self.active = self.members.iter().min_by_key(|member| Reverse(member.priority)).map(|member| member.key);
        }
    }

    fn check_deliveries(&mut self) {
        let delivered = self.outlet.take();
        let room = self.served().map_or(0, |served| served.prefetch - self.held_by(served.key));
        let mut expected = Vec::new();
        while expected.len() < room && !self.ready.is_empty() {
            expected.push(self.ready.remove(0));
            // What comes to the head by that may have expired.
            self.expire();
        }
        let bodies: Vec<u64> = delivered.iter().map(|delivered| delivered.body).collect();
        assert_eq!(bodies, expected.iter().map(|known| known.body).collect::<Vec<_>>());
        for (delivered, known) in delivered.into_iter().zip(expected) {
            assert_eq!(Some(delivered.consumer), self.active);
            assert_eq!(delivered.entry.deliveries, known.returns);
            self.unacked.insert(known.body, (Some(delivered.consumer), known, delivered.entry));
        }
    }

    /// The dead letters of this operation are there, each with its reason.
    fn check_dead(&mut self) {
        let mut expected: Vec<(u64, Vec<u8>)> = Vec::new();
        for (body, reason) in self.dying.drain(..).filter(|_| self.setup.dead_letters) {
            expected.push((body, reason.as_bytes().to_vec()));
        }
        let mut dead = Vec::new();
        while let Got::Message { entry, .. } = self.dead.get(true) {
            let parts = entry.message.parts();
            let properties = PropertiesRef::from_checked(parts.properties);
            assert!(properties.expiration().is_none());
            let headers = properties.headers().unwrap().decode().unwrap();
            let Some(FieldValue::LongStr(reason)) = headers.get(b"x-first-death-reason") else { panic!("no reason") };
            dead.push((common::body_number(&entry.message), reason.to_vec()));
        }
        expected.sort();
        dead.sort();
        assert_eq!(dead, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn everything_at_once(setup in setup(), ops in prop::collection::vec(op(), 1..120)) {
        let mut model = Model::new(setup);
        ops.iter().for_each(|op| model.apply(op));
    }
}
