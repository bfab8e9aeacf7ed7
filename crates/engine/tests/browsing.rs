//! Looking into queues, taking messages out of their middle, moving and pausing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use common::{Recorder, TestJournal, body_number, consumer, new_queue};
use leveret_engine::effects::Effects;
use leveret_engine::message::Incoming;
use leveret_engine::publish::{PublishBatch, Route};
use leveret_engine::queue::arguments::QueueArguments;
use leveret_engine::queue::{Browse, Browsed, Counts, Entry, Got, InHand, MessageState, Queue, Settled, Stored};
use proptest::prelude::*;

struct Fixture {
    journal: Arc<TestJournal>,
    queue: Arc<Queue>,
    route: Route,
    effects: Effects,
}

impl Fixture {
    fn new(durable: bool, budget_bytes: u64, settings: QueueArguments) -> Self {
        let journal = TestJournal::new(true);
        journal.allow_browsing();
        let services = Arc::new(common::services(&journal, budget_bytes));
        let queue = Arc::new(Queue::new(new_queue(&services, durable, settings)));
        let route = [Arc::clone(&queue)].into_iter().collect();
        Self { journal, queue, route, effects: Effects::default() }
    }

    fn publish(&mut self, numbers: std::ops::Range<u64>, persistent: bool) {
        common::publish(&self.journal, &self.route, numbers, |_| persistent, &mut self.effects);
        self.effects.carry_out();
    }

    /// Publishes one message of a priority.
    fn publish_one(&mut self, number: u64, persistent: bool, priority: u8) {
        let (body, properties) = (number.to_be_bytes(), [0x08, 0, priority]);
        let mut batch = PublishBatch::default();
        let route = batch.route_number(&self.route);
        batch.push(Incoming::borrowed(b"", b"q", &properties, &body, None), route, persistent);
        batch.carry_out(&*self.journal, &mut self.effects);
        self.effects.carry_out();
    }

    fn look(&self, from: u64, messages_max: usize) -> Browsed {
        let seen = Arc::new(Mutex::new(None));
        let told = Arc::clone(&seen);
        let browse = Browse { from, messages_max, bytes_max: u64::MAX };
        self.queue.browse(browse, move |browsed| *told.lock().unwrap() = Some(browsed));
        self.journal.answer_all();
        let seen = seen.lock().unwrap().take();
        seen.expect("an answer")
    }

    /// All that can be seen, in steps of `step` messages.
    fn look_at_all(&self, step: usize) -> Vec<(Entry, MessageState)> {
        let mut all: Vec<(Entry, MessageState)> = Vec::new();
        let mut from = Some(1);
        while let Some(next) = from {
            let browsed = self.look(next, step);
            assert!(browsed.messages.len() <= step && browsed.next.is_none_or(|after| after > next));
            all.extend(browsed.messages.into_iter().map(|message| (message.entry, message.state)));
            from = browsed.next;
        }
        assert!(all.is_sorted_by(|(a, _), (b, _)| a.seq < b.seq), "each once, in order");
        all
    }

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

fn bodies(seen: &[(Entry, MessageState)]) -> Vec<u64> {
    seen.iter().map(|(entry, _)| body_number(&entry.message)).collect()
}

fn at(seen: &[(Entry, MessageState)], numbers: &[u64]) -> Vec<Entry> {
    let wanted = seen.iter().filter(|(entry, _)| numbers.contains(&body_number(&entry.message)));
    wanted.map(|(entry, _)| entry.clone()).collect()
}

#[test]
fn what_is_paged_and_what_is_not_settled_is_seen_and_nothing_changes() {
    for budget_bytes in [0, u64::MAX] {
        let mut fixture = Fixture::new(true, budget_bytes, QueueArguments::default());
        fixture.publish(0..300, true);
        for _ in 0..5 {
            assert!(matches!(fixture.queue.get(false), Got::Message { .. }));
        }
        fixture.journal.answer_all();
        fixture.journal.take_log();
        let (counts, facts) = (fixture.queue.counts(), fixture.queue.facts());
        assert_eq!((facts.persistent, facts.persistent_bytes), (300, 2400));
        for step in [7, 300, 1000] {
            let seen = fixture.look_at_all(step);
            assert_eq!(bodies(&seen), (0..300).collect::<Vec<_>>());
            let unacked = seen.iter().filter(|(_, state)| *state == MessageState::Unacked);
            assert_eq!(unacked.map(|(entry, _)| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        }
        assert_eq!((fixture.queue.counts(), fixture.queue.facts()), (counts, facts));
        assert_eq!(fixture.journal.take_log(), Vec::<String>::new());
        assert_eq!(fixture.drain(), (5..300).collect::<Vec<_>>());
    }
}

#[test]
fn bytes_are_limited_and_one_message_always_comes() {
    let mut fixture = Fixture::new(true, 0, QueueArguments::default());
    fixture.publish(0..100, true);
    let seen = Arc::new(Mutex::new(None));
    let told = Arc::clone(&seen);
    let browse = Browse { from: 1, messages_max: 50, bytes_max: 24 };
    fixture.queue.browse(browse, move |browsed| *told.lock().unwrap() = Some(browsed));
    fixture.journal.answer_all();
    let browsed = seen.lock().unwrap().take().unwrap();
    assert_eq!((browsed.messages.len(), browsed.next), (3, Some(4)));
    let one = Browse { from: 50, messages_max: 1, bytes_max: 0 };
    let told = Arc::clone(&seen);
    fixture.queue.browse(one, move |browsed| *told.lock().unwrap() = Some(browsed));
    fixture.journal.answer_all();
    let browsed = seen.lock().unwrap().take().unwrap();
    assert_eq!((browsed.messages.len(), browsed.messages[0].entry.seq, browsed.next), (1, 50, Some(51)));
}

#[test]
fn a_message_is_deleted_wherever_it_is() {
    for (durable, budget_bytes) in [(true, 0), (true, u64::MAX), (false, 0), (false, u64::MAX)] {
        let mut fixture = Fixture::new(durable, budget_bytes, QueueArguments::default());
        fixture.publish(0..100, durable);
        let seen = fixture.look_at_all(1000);
        for number in [0, 10, 50, 99] {
            assert_eq!(fixture.queue.take(at(&seen, &[number])).settle().messages, 1);
            assert_eq!(fixture.queue.take(at(&seen, &[number])).settle().messages, 0, "it is gone");
        }
        assert_eq!(fixture.queue.counts(), Counts { ready: 96, unacked: 0, consumers: 0 });
        let rest: Vec<u64> = (0..100).filter(|number| ![0, 10, 50, 99].contains(number)).collect();
        assert_eq!(bodies(&fixture.look_at_all(9)), rest);
        assert_eq!(fixture.drain(), rest);
        assert!(fixture.journal.seqs(false).is_empty() && fixture.journal.seqs(true).is_empty());
        assert_eq!(fixture.queue.facts().persistent, 0);
    }
}

#[test]
fn what_is_given_back_is_in_its_place() {
    for (durable, budget_bytes) in [(true, 0), (true, u64::MAX), (false, 0)] {
        let mut fixture = Fixture::new(durable, budget_bytes, QueueArguments::default());
        fixture.publish(0..100, durable);
        let seen = fixture.look_at_all(1000);
        let in_hand = fixture.queue.take(at(&seen, &[0, 1, 17, 40, 41, 99]));
        assert_eq!(fixture.queue.counts(), Counts { ready: 94, unacked: 6, consumers: 0 });
        assert_eq!(fixture.queue.report().unacked_bytes, 48);
        drop(in_hand);
        assert_eq!(fixture.queue.counts(), Counts { ready: 100, unacked: 0, consumers: 0 });
        assert_eq!(fixture.drain(), (0..100).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_given_back_when_others_were_delivered_is_first() {
    let mut fixture = Fixture::new(true, u64::MAX, QueueArguments::default());
    fixture.publish(0..4, true);
    let seen = fixture.look_at_all(1000);
    let in_hand = fixture.queue.take(at(&seen, &[0, 2]));
    let Got::Message { entry, .. } = fixture.queue.get(false) else { panic!("it is there") };
    assert_eq!(body_number(&entry.message), 1);
    drop(in_hand);
    fixture.queue.requeue([(None, entry)], &mut fixture.effects);
    assert_eq!(fixture.drain(), [0, 1, 2, 3]);
    assert!(fixture.journal.seqs(false).is_empty());
}

#[test]
fn what_is_given_back_is_delivered_after_those_that_came_later() {
    let mut fixture = Fixture::new(true, u64::MAX, QueueArguments::default());
    fixture.publish(0..3, true);
    let in_hand = fixture.queue.take(at(&fixture.look_at_all(1000), &[0]));
    let Got::Message { .. } = fixture.queue.get(false) else { panic!("it is there") };
    drop(in_hand);
    let mut numbers = Vec::new();
    while let Got::Message { entry, .. } = fixture.queue.get(false) {
        numbers.push((body_number(&entry.message), entry.deliveries));
    }
    assert_eq!(numbers, [(0, 0), (2, 0)]);
}

#[test]
fn a_purge_leaves_alone_what_is_in_hand() {
    let mut fixture = Fixture::new(true, 0, QueueArguments::default());
    fixture.publish(0..100, true);
    let seen = fixture.look_at_all(1000);
    let in_hand = fixture.queue.take(at(&seen, &[3, 50, 60]));
    assert_eq!(fixture.queue.purge().messages, 97);
    assert_eq!(fixture.journal.seqs(false), BTreeSet::from([4, 51, 61]));
    drop(in_hand);
    assert_eq!(fixture.journal.restart().messages, 3);
    assert_eq!(fixture.drain(), [3, 50, 60]);
}

#[test]
fn a_paused_queue_takes_and_settles_but_delivers_nothing() {
    let mut fixture = Fixture::new(true, u64::MAX, QueueArguments::default());
    let outlet = Arc::<Recorder>::default();
    let key = fixture.queue.add_consumer(consumer(&outlet, 2, 0, false)).unwrap();
    fixture.queue.resume(key, &mut fixture.effects);
    fixture.publish(0..3, true);
    let first = outlet.take();
    assert_eq!(first.len(), 2);
    fixture.queue.pause();
    assert!(fixture.queue.is_paused() && fixture.queue.facts().paused);
    let settled = first.iter().map(|d| Settled::one(Some(d.consumer), d.entry.seq, d.entry.stored, 8));
    fixture.queue.settle(&settled.collect::<Vec<_>>(), &mut fixture.effects);
    fixture.publish(3..6, true);
    let late = fixture.queue.add_consumer(consumer(&outlet, 0, 0, true)).unwrap();
    fixture.queue.resume(late, &mut fixture.effects);
    fixture.effects.carry_out();
    assert!(outlet.take().is_empty() && matches!(fixture.queue.get(true), Got::Empty));
    assert_eq!(fixture.queue.counts(), Counts { ready: 4, unacked: 0, consumers: 2 });
    fixture.queue.unpause();
    assert_eq!(outlet.bodies().len(), 4);
    fixture.publish(6..8, true);
    assert_eq!(outlet.bodies(), [6, 7]);
}

/// What a message does in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Ready,
    Got,
    InHand,
}

#[derive(Clone, Debug)]
enum Op {
    Publish { count: u64, persistent: bool, priority: u8 },
    Get,
    Settle(usize),
    Requeue(usize),
    Page(usize),
    Look(usize),
    Take { first: usize, every: usize, count: usize },
    LetGo(usize),
    GiveBack(usize),
    Keep(usize),
    Purge,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (1u64..40, any::<bool>(), 0u8..4)
            .prop_map(|(count, persistent, priority)| Op::Publish { count, persistent, priority }),
        2 => Just(Op::Get),
        1 => (0usize..5).prop_map(Op::Settle),
        1 => (0usize..5).prop_map(Op::Requeue),
        2 => (1usize..20).prop_map(Op::Page),
        1 => (1usize..30).prop_map(Op::Look),
        3 => (0usize..60, 1usize..5, 1usize..30).prop_map(|(first, every, count)| Op::Take { first, every, count }),
        1 => (0usize..3).prop_map(Op::LetGo),
        1 => (0usize..3).prop_map(Op::GiveBack),
        1 => (0usize..3).prop_map(Op::Keep),
        1 => Just(Op::Purge),
    ];
    prop::collection::vec(op, 1..40)
}

/// The queue under test, and what it should hold.
struct Model {
    fixture: Fixture,
    is: BTreeMap<u64, (Is, bool)>,
    next: u64,
    got: Vec<Entry>,
    hands: Vec<InHand>,
    /// What was seen the last time, which may not be true any more.
    seen: Vec<Entry>,
}

impl Model {
    fn numbers(&self, state: Is) -> BTreeSet<u64> {
        self.is.iter().filter(|(_, (is, _))| *is == state).map(|(number, _)| *number).collect()
    }

    fn set(&mut self, entries: &[Entry], state: Is) {
        for entry in entries {
            self.is.get_mut(&body_number(&entry.message)).unwrap().0 = state;
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Publish { count, persistent, priority } => {
                for number in self.next..self.next + count {
                    self.fixture.publish_one(number, persistent, priority);
                    self.is.insert(number, (Is::Ready, persistent && self.fixture.queue.durable));
                }
                self.next += count;
            }
            Op::Get => {
                if let Got::Message { entry, .. } = self.fixture.queue.get(false) {
                    assert_eq!(self.is[&body_number(&entry.message)].0, Is::Ready);
                    self.set(std::slice::from_ref(&entry), Is::Got);
                    self.got.push(entry);
                }
            }
            Op::Settle(place) if place < self.got.len() => {
                let entry = self.got.remove(place);
                self.fixture.queue.settle(&[Settled::one(None, entry.seq, entry.stored, 8)], &mut self.fixture.effects);
                self.is.remove(&body_number(&entry.message));
            }
            Op::Requeue(place) if place < self.got.len() => {
                let entry = self.got.remove(place);
                self.set(std::slice::from_ref(&entry), Is::Ready);
                self.fixture.queue.requeue([(None, entry)], &mut self.fixture.effects);
            }
            Op::Page(messages_max) => {
                self.fixture.journal.answer(messages_max);
            }
            Op::Look(step) => self.look(step),
            Op::Take { first, every, count } => {
                let wanted = self.seen.iter().skip(first).step_by(every).take(count).cloned().collect();
                let in_hand = self.fixture.queue.take(wanted);
                for entry in in_hand.entries() {
                    assert_eq!(self.is[&body_number(&entry.message)].0, Is::Ready, "taken once");
                }
                self.set(in_hand.entries(), Is::InHand);
                self.hands.push(in_hand);
            }
            Op::LetGo(place) if place < self.hands.len() => {
                let in_hand = self.hands.remove(place);
                for entry in in_hand.entries() {
                    self.is.remove(&body_number(&entry.message));
                }
                in_hand.settle();
            }
            Op::GiveBack(place) if place < self.hands.len() => {
                let in_hand = self.hands.remove(place);
                self.set(in_hand.entries(), Is::Ready);
                drop(in_hand);
            }
            Op::Keep(place) if place < self.hands.len() => {
                let given: Vec<Entry> = self.hands[place].entries().iter().step_by(2).cloned().collect();
                let kept: Vec<usize> = (0..self.hands[place].entries().len()).filter(|place| place % 2 == 1).collect();
                self.hands[place].keep(&kept);
                self.set(&given, Is::Ready);
            }
            Op::Purge => {
                assert_eq!(self.fixture.queue.purge().messages, self.numbers(Is::Ready).len());
                self.is.retain(|_, (is, _)| *is != Is::Ready);
            }
            _ => {}
        }
        self.fixture.effects.carry_out();
        self.check();
    }

    /// Looks at everything, which must change nothing.
    fn look(&mut self, step: usize) {
        // Pages that the queue asked for itself come first.
        self.fixture.journal.answer_all();
        let before = (self.fixture.queue.counts(), self.fixture.queue.facts(), self.fixture.queue.report());
        self.fixture.journal.take_log();
        let seen = self.fixture.look_at_all(step);
        assert_eq!(self.fixture.journal.take_log(), Vec::<String>::new());
        let after = (self.fixture.queue.counts(), self.fixture.queue.facts(), self.fixture.queue.report());
        assert_eq!(before, after, "nothing has changed");
        let of = |state| -> BTreeSet<u64> {
            seen.iter().filter(|(_, is)| *is == state).map(|(entry, _)| body_number(&entry.message)).collect()
        };
        assert_eq!(of(MessageState::Ready), self.numbers(Is::Ready));
        let mut others = self.numbers(Is::Got);
        others.extend(self.numbers(Is::InHand));
        // What only its holder has is seen by asking him.
        let journaled: BTreeSet<u64> = others.iter().filter(|number| self.is[*number].1).copied().collect();
        let unacked = of(MessageState::Unacked);
        assert!(unacked.is_superset(&journaled) && unacked.is_subset(&others), "{unacked:?} {others:?}");
        self.seen = seen.into_iter().map(|(entry, _)| entry).collect();
    }

    fn check(&self) {
        let (ready, got, in_hand) = (self.numbers(Is::Ready), self.numbers(Is::Got), self.numbers(Is::InHand));
        let counts = Counts { ready: ready.len(), unacked: got.len() + in_hand.len(), consumers: 0 };
        assert_eq!(self.fixture.queue.counts(), counts);
        let report = self.fixture.queue.report();
        assert_eq!((report.ready_bytes, report.unacked_bytes), (8 * ready.len() as u64, 8 * counts.unacked as u64));
        let persistent = self.is.values().filter(|(_, persistent)| *persistent).count() as u64;
        let facts = self.fixture.queue.facts();
        assert_eq!((facts.persistent, facts.persistent_bytes), (persistent, 8 * persistent));
        assert_eq!(self.fixture.journal.seqs(false).len() as u64, persistent, "what is not settled survives");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is looked at, taken, dropped and given back, at whatever moment of paging: each message is in one place, is
    /// delivered once, and what is persistent survives until it is settled.
    #[test]
    fn each_message_is_in_one_place(
        durable in any::<bool>(),
        budget_bytes in prop_oneof![Just(0), Just(5_000), Just(u64::MAX)],
        max_priority in prop::option::of(Just(3u8)),
        ops in ops(),
    ) {
        let settings = QueueArguments { max_priority, ..QueueArguments::default() };
        let fixture = Fixture::new(durable, budget_bytes, settings);
        let (got, hands, seen) = (Vec::new(), Vec::new(), Vec::new());
        let mut model = Model { fixture, is: BTreeMap::new(), next: 0, got, hands, seen };
        for op in &ops {
            model.apply(op);
        }
        model.look(10);
        let survivors = model.is.values().filter(|(_, persistent)| *persistent).count() as u64;
        let ready = model.numbers(Is::Ready);
        let drained: Vec<u64> = model.fixture.drain();
        prop_assert_eq!(drained.len(), ready.len(), "none twice");
        prop_assert_eq!(&drained.into_iter().collect::<BTreeSet<_>>(), &ready);
        let gone = ready.iter().filter(|number| model.is[*number].1).count() as u64;
        // A stop now: what is in somebody's hands is in its queue again.
        prop_assert_eq!(model.fixture.journal.restart().messages, survivors - gone);
        std::mem::forget(model.hands);
    }
}

#[test]
fn entries_of_a_queue_that_is_gone_go_nowhere() {
    let mut fixture = Fixture::new(false, u64::MAX, QueueArguments::default());
    fixture.publish(0..3, false);
    let seen = fixture.look_at_all(10);
    assert!(seen.iter().all(|(entry, state)| entry.stored == Stored::No && *state == MessageState::Ready));
    let in_hand = fixture.queue.take(at(&seen, &[1]));
    assert_eq!(in_hand.entries().len(), 1);
    assert_eq!(in_hand.settle().messages, 1);
    assert_eq!(fixture.drain(), [0, 2]);
}
