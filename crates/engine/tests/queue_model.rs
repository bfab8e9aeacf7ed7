//! A queue against a naive model: whatever is published, consumed, settled, returned, got and purged in whatever order, the
//! queue hands out what a sorted list would, to consumers that may have it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use leveret_codec::table::FieldTable;
use leveret_engine::effects::Effects;
use leveret_engine::journal::MemoryJournal;
use leveret_engine::message::Incoming;
use leveret_engine::names::{ConsumerKey, Name, QueueId};
use leveret_engine::outlet::{ChannelLimit, DeliveryBatch, Outlet, Parked};
use leveret_engine::publish::{PublishBatch, Route};
use leveret_engine::queue::arguments::QueueArguments;
use leveret_engine::queue::{Entry, NewConsumer, NewQueue, Queue, Settled};
use proptest::prelude::*;

/// Remembers deliveries; full when told to be.
#[derive(Default)]
struct Recorder {
    deliveries: Mutex<Vec<Delivered>>,
    full: Mutex<bool>,
    parked: Mutex<Vec<Parked>>,
}

struct Delivered {
    consumer: ConsumerKey,
    no_ack: bool,
    body: u64,
    entry: Entry,
}

impl Outlet for Recorder {
    fn room_bytes(&self) -> usize {
        if *self.full.lock().unwrap() { 0 } else { usize::MAX }
    }

    fn deliver(&self, batch: DeliveryBatch<'_, '_>) -> bool {
        batch.for_each(|delivery| {
            let to = delivery.to;
            let (seq, redelivered) = (delivery.seq, delivery.redelivered);
            let message = delivery.keep();
            let body = u64::from_be_bytes(message.parts().body.try_into().unwrap());
            let entry = Entry { seq, redelivered, message };
            let delivered = Delivered { consumer: to.key, no_ack: to.no_ack, body, entry };
            self.deliveries.lock().unwrap().push(delivered);
        });
        false
    }

    fn cancelled(&self, _tag: &Name) -> bool {
        false
    }

    fn park(&self, parked: &Parked) -> bool {
        if !*self.full.lock().unwrap() {
            return false;
        }
        self.parked.lock().unwrap().push(parked.clone());
        true
    }

    fn wake(&self) {}
}

#[derive(Clone, Debug)]
enum Op {
    Publish(u8),
    Consume { prefetch: u16, priority: i32, no_ack: bool },
    Cancel(usize),
    Ack(usize),
    Requeue(usize),
    Get,
    Purge,
    Fill(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1u8..20).prop_map(Op::Publish),
        2 => (0u16..5, -1i32..2, prop::bool::weighted(0.2))
            .prop_map(|(prefetch, priority, no_ack)| Op::Consume { prefetch, priority, no_ack }),
        1 => any::<usize>().prop_map(Op::Cancel),
        6 => any::<usize>().prop_map(Op::Ack),
        4 => any::<usize>().prop_map(Op::Requeue),
        2 => Just(Op::Get),
        1 => Just(Op::Purge),
        1 => any::<bool>().prop_map(Op::Fill),
    ]
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
    published: u64,
    full: bool,
}

impl Model {
    fn new() -> Self {
        let queue = Arc::new(Queue::new(NewQueue {
            id: QueueId(1),
            name: "q".into(),
            vhost: "/".into(),
            durable: false,
            auto_delete: false,
            owner: None,
            arguments: FieldTable::default(),
            settings: QueueArguments::default(),
            journal: Arc::new(MemoryJournal::default()),
        }));
        Self {
            route: [Arc::clone(&queue)].into_iter().collect(),
            queue,
            outlet: Arc::default(),
            effects: Effects::default(),
            consumers: Vec::new(),
            ready: BTreeSet::new(),
            unacked: BTreeMap::new(),
            returned: BTreeSet::new(),
            published: 0,
            full: false,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Publish(count) => self.publish(*count),
            Op::Consume { prefetch, priority, no_ack } => self.consume(*prefetch, *priority, *no_ack),
            Op::Cancel(pick) if !self.consumers.is_empty() => {
                let consumer = self.consumers.remove(pick % self.consumers.len());
                self.queue.remove_consumer(consumer.key, &mut self.effects);
            }
            Op::Ack(pick) => {
                if let Some((_, (consumer, entry))) = self.take_unacked(*pick) {
                    let settled = [Settled { consumer, seq: entry.seq }];
                    self.queue.settle(&settled, &mut self.effects);
                }
            }
            Op::Requeue(pick) => {
                if let Some((body, returned)) = self.take_unacked(*pick) {
                    self.ready.insert(body);
                    self.returned.insert(body);
                    self.queue.requeue([returned], &mut self.effects);
                }
            }
            Op::Get => self.get(),
            Op::Purge => {
                assert_eq!(self.queue.purge(), self.ready.len());
                self.ready.clear();
            }
            Op::Fill(full) => self.fill(*full),
            Op::Cancel(_) => {}
        }
        self.effects.carry_out();
        self.check_deliveries();
        self.check_rest();
    }

    fn publish(&mut self, count: u8) {
        let bodies: Vec<[u8; 8]> = (0..u64::from(count)).map(|n| (self.published + n).to_be_bytes()).collect();
        self.ready.extend(bodies.iter().map(|body| u64::from_be_bytes(*body)));
        self.published += u64::from(count);
        let mut batch = PublishBatch::default();
        let route = batch.route_number(&self.route);
        for body in &bodies {
            let message = Incoming::borrowed(b"", b"q", &[0, 0], body, None);
            batch.push(message, route, false);
        }
        batch.carry_out(&MemoryJournal::default(), &mut self.effects);
    }

    fn consume(&mut self, prefetch: u16, priority: i32, no_ack: bool) {
        let outlet: Arc<dyn Outlet> = Arc::<Recorder>::clone(&self.outlet);
        let key = self
            .queue
            .add_consumer(NewConsumer {
                tag: "c".into(),
                outlet,
                channel_limit: Arc::<ChannelLimit>::default(),
                no_ack,
                prefetch,
                priority,
                exclusive: false,
            })
            .unwrap();
        self.consumers.push(ModelConsumer { key, prefetch: prefetch.into(), priority, no_ack });
        self.queue.resume(key, &mut self.effects);
    }

    fn get(&mut self) {
        let got = self.queue.get(false);
        let first = self.ready.pop_first();
        assert_eq!(got.is_some(), first.is_some());
        if let (Some((entry, left)), Some(body)) = (got, first) {
            assert_eq!(entry.message.parts().body, body.to_be_bytes());
            assert_eq!(entry.redelivered, self.returned.contains(&body));
            assert_eq!(left, self.ready.len());
            self.unacked.insert(body, (None, entry));
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
        let deliveries = std::mem::take(&mut *self.outlet.deliveries.lock().unwrap());
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
            assert_eq!(delivered.entry.redelivered, self.returned.contains(&delivered.body));
            self.ready.remove(&delivered.body);
            if !delivered.no_ack {
                self.unacked.insert(delivered.body, (Some(delivered.consumer), delivered.entry));
            }
        }
    }

    /// Counts are right, nobody who could take a message is kept waiting, and lower priorities are served only when higher
    /// ones could take no more.
    fn check_rest(&self) {
        let counts = self.queue.counts();
        assert_eq!(counts.ready, self.ready.len());
        assert_eq!(counts.unacked, self.unacked.len());
        assert_eq!(counts.consumers, self.consumers.len());
        if !self.ready.is_empty() && !self.full {
            for consumer in &self.consumers {
                assert!(!self.credit(consumer), "a consumer of priority {} waits", consumer.priority);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn behaves_like_a_sorted_list(ops in prop::collection::vec(op(), 1..120)) {
        let mut model = Model::new();
        for op in &ops {
            model.apply(op);
        }
    }
}

#[test]
fn higher_priority_first_then_round_robin() {
    let mut model = Model::new();
    model.consume(1, 5, false);
    model.consume(10, 0, false);
    model.consume(10, 0, false);
    model.publish(5);
    let deliveries = std::mem::take(&mut *model.outlet.deliveries.lock().unwrap());
    // One outlet: also on the wire it is one consumer after the other.
    let in_order: Vec<(u64, u32)> = deliveries.iter().map(|d| (d.body, d.consumer.slot)).collect();
    assert_eq!(in_order, [(0, 0), (1, 1), (2, 2), (3, 1), (4, 2)]);
}
