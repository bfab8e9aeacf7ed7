//! A delayed exchange against a list that is gone through from end to end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;
mod delays;

use delays::{Fixture, START_MS, numbers};
use leveret_engine::clock::Clock;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A batch with these delays.
    Publish(Vec<i64>, bool),
    /// So much time passes, and all happens that is due.
    Pass(u64),
    /// So much time passes, and only so many messages come with the first page.
    PassPartly(u64, usize),
    /// The broker ends at once, starts again after so long, and does what is due; only so many come with the first page.
    Restart(u64, usize),
    /// The n-th of those that wait is dropped.
    Cancel(prop::sample::Index),
    /// The exchange is deleted, and declared again.
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop::collection::vec(-2..200i64, 1..40), any::<bool>()).prop_map(|(delays, kept)| Step::Publish(delays, kept)),
        6 => (0..60u64).prop_map(Step::Pass),
        2 => (0..60u64, 1..8usize).prop_map(|(by_ms, count)| Step::PassPartly(by_ms, count)),
        1 => (0..150u64, 1..50usize).prop_map(|(by_ms, count)| Step::Restart(by_ms, count)),
        2 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        1 => Just(Step::Delete),
    ]
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq)]
struct Waiting {
    due_ms: u64,
    /// How many came before it, since the exchange is there.
    number: u64,
    persistent: bool,
    body: u64,
}

#[derive(Default)]
struct Model {
    waiting: Vec<Waiting>,
    last_number: u64,
    last_body: u64,
}

impl Model {
    /// Takes those that are due, in the order in which they go out.
    fn release(&mut self, now_ms: u64) -> Vec<u64> {
        let mut due: Vec<Waiting> = self.waiting.extract_if(.., |waiting| waiting.due_ms <= now_ms).collect();
        due.sort_by_key(|waiting| (waiting.due_ms, waiting.number));
        due.into_iter().map(|waiting| waiting.body).collect()
    }
}

struct Pair {
    fixture: Fixture,
    model: Model,
    durable: bool,
}

impl Pair {
    fn publish(&mut self, delays: &[i64], persistent: bool) -> Result<(), TestCaseError> {
        let now_ms = self.fixture.clock.now_ms();
        let (mut batch, mut at_once) = (Vec::new(), Vec::new());
        for &delay_ms in delays {
            let model = &mut self.model;
            model.last_body += 1;
            batch.push((model.last_body, delay_ms));
            match u64::try_from(delay_ms) {
                Ok(delay_ms) if delay_ms > 0 => {
                    model.last_number += 1;
                    let (number, body) = (model.last_number, model.last_body);
                    model.waiting.push(Waiting { due_ms: now_ms + delay_ms, number, persistent, body });
                }
                _ => at_once.push(model.last_body),
            }
        }
        self.fixture.publish(&batch, persistent);
        prop_assert_eq!(numbers(&self.fixture.drain()), at_once);
        Ok(())
    }

    fn restart(&mut self, by_ms: u64, count: usize) -> Result<(), TestCaseError> {
        self.fixture.clock.advance(by_ms);
        self.fixture.restart();
        if !self.durable {
            self.model.waiting.clear();
            self.fixture.declare_exchange(false, "direct");
            self.model.last_number = 0;
        }
        self.model.waiting.retain(|waiting| waiting.persistent);
        self.fixture.run_timers();
        self.fixture.journal.answer(count);
        self.fixture.run();
        let mut due = numbers(&self.fixture.drain());
        let mut expected = self.model.release(self.fixture.clock.now_ms());
        // What is due goes out as it is found.
        due.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(due, expected);
        Ok(())
    }

    fn cancel(&mut self, which: &prop::sample::Index) -> Result<(), TestCaseError> {
        let delay = self.fixture.delay();
        let listed = delay.list(None, usize::MAX);
        prop_assert_eq!(listed.len(), self.model.waiting.len());
        if listed.is_empty() {
            prop_assert_eq!(delay.cancel(1), None);
            return Ok(());
        }
        let place = which.index(listed.len());
        self.model.waiting.sort_by_key(|waiting| (waiting.due_ms, waiting.number));
        let dropped = self.model.waiting.remove(place);
        prop_assert_eq!(listed[place].due_ms, dropped.due_ms);
        prop_assert!(delay.cancel(listed[place].number).is_some());
        prop_assert_eq!(delay.cancel(listed[place].number), None);
        Ok(())
    }

    fn run(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Publish(delays, persistent) => self.publish(delays, *persistent)?,
            Step::Pass(by_ms) => self.fixture.pass(*by_ms),
            Step::PassPartly(by_ms, count) => {
                self.fixture.clock.advance(*by_ms);
                self.fixture.run_timers();
                self.fixture.journal.answer(*count);
                self.fixture.run();
            }
            Step::Restart(by_ms, count) => self.restart(*by_ms, *count)?,
            Step::Cancel(which) => self.cancel(which)?,
            Step::Delete => {
                self.fixture.delete_exchange();
                self.fixture.declare_exchange(self.durable, "direct");
                self.model.waiting.clear();
            }
        }
        prop_assert_eq!(numbers(&self.fixture.drain()), self.model.release(self.fixture.clock.now_ms()));
        prop_assert_eq!(self.fixture.delay().pending(), self.model.waiting.len() as u64);
        let first_ms = self.model.waiting.iter().map(|waiting| waiting.due_ms).min();
        prop_assert_eq!(self.fixture.broker.services.timers.next_due_ms(), first_ms);
        Ok(())
    }
}

proptest! {
    #[test]
    fn behaves_as_a_sorted_list(
        can_page in prop::bool::weighted(0.8),
        durable in prop::bool::weighted(0.8),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut pair = Pair { fixture: Fixture::with_exchange(can_page, durable, "direct"), model: Model::default(), durable };
        prop_assert_eq!(pair.fixture.clock.now_ms(), START_MS);
        for step in &steps {
            // What cannot be read back has nothing to restart from.
            if can_page || !matches!(step, Step::Restart(..)) {
                pair.run(step)?;
            }
        }
        pair.run(&Step::Pass(1000))?;
        prop_assert_eq!(pair.fixture.delay().pending(), 0);
    }
}
