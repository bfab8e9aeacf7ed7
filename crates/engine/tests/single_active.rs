//! A queue with a single active consumer against a naive model: whoever comes, goes, settles or loses its channel, the one
//! that should be served gets the first ready messages, and nobody else gets any.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{Recorder, TestJournal, consumer, new_queue};
use leveret_engine::effects::Effects;
use leveret_engine::names::ConsumerKey;
use leveret_engine::publish::Route;
use leveret_engine::queue::arguments::{QueueArguments, QueueType};
use leveret_engine::queue::{ConsumeRefused, Entry, Queue, Settled};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Publish(u8),
    Consume {
        prefetch: u16,
        priority: i32,
        no_ack: bool,
    },
    /// What the consumer has stays with it.
    Cancel(usize),
    /// What the consumer has comes back.
    Lose(usize),
    Ack(usize),
    Requeue(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1u8..30).prop_map(Op::Publish),
        4 => (0u16..4, -1i32..3, prop::bool::weighted(0.2))
            .prop_map(|(prefetch, priority, no_ack)| Op::Consume { prefetch, priority, no_ack }),
        1 => any::<usize>().prop_map(Op::Cancel),
        1 => any::<usize>().prop_map(Op::Lose),
        6 => any::<usize>().prop_map(Op::Ack),
        2 => any::<usize>().prop_map(Op::Requeue),
    ]
}

struct Member {
    key: ConsumerKey,
    prefetch: usize,
    priority: i32,
    no_ack: bool,
}

struct Model {
    by_priority: bool,
    journal: Arc<TestJournal>,
    queue: Arc<Queue>,
    route: Route,
    outlet: Arc<Recorder>,
    effects: Effects,
    published: u64,
    /// In the order they came.
    members: Vec<Member>,
    active: Option<ConsumerKey>,
    ready: BTreeSet<u64>,
    returned: BTreeSet<u64>,
    unacked: BTreeMap<u64, (ConsumerKey, Entry)>,
}

impl Model {
    fn new(queue_type: QueueType, paging: bool) -> Self {
        let journal = TestJournal::new(paging);
        let services = Arc::new(common::services(&journal, 0));
        let settings = QueueArguments {
            single_active_consumer: true,
            queue_type,
            // However often they come back.
            delivery_limit: Some(-1),
            ..QueueArguments::default()
        };
        let queue = Arc::new(Queue::new(new_queue(&services, false, settings)));
        Self {
            by_priority: queue_type == QueueType::Quorum,
            journal,
            route: [Arc::clone(&queue)].into_iter().collect(),
            queue,
            outlet: Arc::default(),
            effects: Effects::default(),
            published: 0,
            members: Vec::new(),
            active: None,
            ready: BTreeSet::new(),
            returned: BTreeSet::new(),
            unacked: BTreeMap::new(),
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Publish(count) => {
                let bodies = self.published..self.published + u64::from(count);
                self.published = bodies.end;
                self.ready.extend(bodies.clone());
                common::publish(&self.journal, &self.route, bodies, |_| false, &mut self.effects);
            }
            Op::Consume { prefetch, priority, no_ack } => {
                let key = self.queue.add_consumer(consumer(&self.outlet, prefetch, priority, no_ack)).unwrap();
                self.members.push(Member { key, prefetch: prefetch.into(), priority, no_ack });
                assert!(self.outlet.take().is_empty(), "served before the client knows of it");
                self.queue.resume(key, &mut self.effects);
            }
            Op::Cancel(pick) => {
                self.remove(pick);
            }
            Op::Lose(pick) => {
                if let Some(key) = self.remove(pick) {
                    let bodies: Vec<u64> =
                        self.unacked.iter().filter(|(_, (by, _))| *by == key).map(|(b, _)| *b).collect();
                    let returned: Vec<_> = bodies.into_iter().filter_map(|body| self.give_back(body)).collect();
                    self.queue.requeue(returned, &mut self.effects);
                    let is_early = self.active == Some(key) && !self.outlet.deliveries.lock().unwrap().is_empty();
                    assert!(!is_early, "the next is served before all is back");
                }
            }
            Op::Ack(pick) => {
                if let Some(body) = self.unacked.keys().nth(pick % self.unacked.len().max(1)).copied() {
                    let (key, entry) = self.unacked.remove(&body).unwrap();
                    let settled = Settled::one(Some(key), entry.seq, entry.stored, entry.message.body_len());
                    self.queue.settle(&[settled], &mut self.effects);
                }
            }
            Op::Requeue(pick) => {
                let body = self.unacked.keys().nth(pick % self.unacked.len().max(1)).copied();
                let returned = body.and_then(|body| self.give_back(body));
                self.queue.requeue(returned, &mut self.effects);
            }
        }
        self.effects.carry_out();
        self.journal.answer_all();
        self.elect();
        self.check_deliveries();
        assert_eq!(self.queue.counts().consumers, self.members.len());
        assert_eq!(self.queue.counts().ready, self.ready.len());
    }

    fn remove(&mut self, pick: usize) -> Option<ConsumerKey> {
        if self.members.is_empty() {
            return None;
        }
        let key = self.members.remove(pick % self.members.len()).key;
        self.queue.remove_consumer(key, &mut self.effects);
        Some(key)
    }

    fn give_back(&mut self, body: u64) -> Option<(Option<ConsumerKey>, Entry)> {
        let (key, entry) = self.unacked.remove(&body)?;
        self.ready.insert(body);
        self.returned.insert(body);
        Some((Some(key), entry))
    }

    fn held_by(&self, key: ConsumerKey) -> usize {
        self.unacked.values().filter(|(by, _)| *by == key).count()
    }

    fn best(&self) -> Option<&Member> {
        // The first of equals.
        self.members.iter().min_by_key(|member| Reverse(member.priority))
    }

    /// Who should be served now: the active one, unless somebody waits for it to be done.
    fn elect(&mut self) {
        let active = self.members.iter().find(|member| Some(member.key) == self.active);
        let best = self.best();
        let is_over = match (active, best) {
            (Some(active), Some(best)) => {
                self.by_priority && best.priority > active.priority && self.held_by(active.key) == 0
            }
            _ => true,
        };
        if is_over {
            self.active = best.map(|best| best.key);
        }
    }

    fn check_deliveries(&mut self) {
        let delivered = self.outlet.take();
        let best = self.best().map_or(0, |best| best.priority);
        let active = self.members.iter().find(|member| Some(member.key) == self.active);
        let active = active.filter(|active| !self.by_priority || active.priority == best);
        let Some(active) = active else {
            assert!(delivered.is_empty(), "delivered to nobody");
            return;
        };
        let room = match active.prefetch {
            prefetch @ 1.. if !active.no_ack => prefetch - self.held_by(active.key),
            _ => usize::MAX,
        };
        let expected: Vec<u64> = self.ready.iter().copied().take(room).collect();
        let bodies: Vec<u64> = delivered.iter().map(|delivered| delivered.body).collect();
        assert_eq!(bodies, expected);
        for delivered in delivered {
            assert_eq!(delivered.consumer, active.key);
            assert_eq!(delivered.entry.deliveries > 0, self.returned.contains(&delivered.body));
            self.ready.remove(&delivered.body);
            if !delivered.no_ack {
                self.unacked.insert(delivered.body, (delivered.consumer, delivered.entry));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_right_one_is_served(
        by_priority in any::<bool>(),
        paging in any::<bool>(),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let mut model = Model::new(if by_priority { QueueType::Quorum } else { QueueType::Classic }, paging);
        ops.iter().for_each(|op| model.apply(op));
    }
}

#[test]
fn nobody_is_exclusive_among_those_who_wait() {
    let mut model = Model::new(QueueType::Classic, false);
    let mut exclusive = consumer(&model.outlet, 0, 0, false);
    exclusive.exclusive = true;
    assert_eq!(model.queue.add_consumer(exclusive), Err(ConsumeRefused::ExclusiveUse));
    model.apply(&Op::Consume { prefetch: 0, priority: 0, no_ack: false });
    model.apply(&Op::Publish(1));
}
