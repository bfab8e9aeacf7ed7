//! Publisher confirms that wait until their messages are durable.

use std::collections::VecDeque;

use leveret_codec::method::{BasicAck, BasicNack, Method};
use leveret_engine::journal::Lsn;

/// Runs of confirms of one channel, in order: all up to a sequence number had the same outcome, and are durable with a journal
/// position.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    runs: VecDeque<Run>,
    /// The last sequence number that the client knows the outcome of.
    told: u64,
    /// So many were told to be taken.
    acked: u64,
}

#[derive(Debug)]
struct Run {
    last: u64,
    lsn: Lsn,
    outcome: Outcome,
}

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All its queues took it, or there were none.
    Acked,
    /// A queue refused it.
    Nacked,
}

impl Confirms {
    /// All publishes up to `last` that are not in an earlier run had this outcome, once `lsn` is durable.
    pub(crate) fn push(&mut self, last: u64, lsn: Lsn, outcome: Outcome) {
        match self.runs.back_mut() {
            Some(run) if run.lsn >= lsn && run.outcome == outcome => run.last = last,
            _ => self.runs.push_back(Run { last, lsn, outcome }),
        }
    }

    /// Tells the outcomes that are durable at `durable`: one method for neighbours of the same outcome.
    pub(crate) fn pop(&mut self, durable: Lsn, mut tell: impl FnMut(Method<'static>)) {
        while let Some(first) = self.runs.pop_front_if(|run| run.lsn <= durable) {
            let mut last = first.last;
            while let Some(next) = self.runs.pop_front_if(|run| run.lsn <= durable && run.outcome == first.outcome) {
                last = next.last;
            }
            // What came before is told already, so that a multiple covers only this run.
            let newly = last - self.told;
            let multiple = newly > 1;
            self.told = last;
            self.acked += if first.outcome == Outcome::Acked { newly } else { 0 };
            tell(match first.outcome {
                Outcome::Acked => BasicAck { delivery_tag: last, multiple }.into(),
                Outcome::Nacked => BasicNack { delivery_tag: last, multiple, requeue: false }.into(),
            });
        }
    }

    /// How many publishes were told to be taken.
    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    /// How many publishes wait to be told of.
    pub(crate) fn pending(&self) -> u64 {
        self.runs.back().map_or(0, |run| run.last - self.told)
    }

    /// Whether all is told.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(confirms: &mut Confirms, durable: u64) -> Vec<(bool, u64, bool)> {
        let mut told = Vec::new();
        confirms.pop(Lsn(durable), |method| match method {
            Method::BasicAck(ack) => told.push((true, ack.delivery_tag, ack.multiple)),
            Method::BasicNack(nack) => told.push((false, nack.delivery_tag, nack.multiple)),
            other => panic!("{other:?}"),
        });
        told
    }

    #[test]
    fn confirms_only_what_is_durable_and_once() {
        let mut confirms = Confirms::default();
        confirms.push(1, Lsn(10), Outcome::Acked);
        confirms.push(5, Lsn(20), Outcome::Acked);
        confirms.push(6, Lsn(0), Outcome::Acked);
        assert_eq!(told(&mut confirms, 9), []);
        assert_eq!(told(&mut confirms, 10), [(true, 1, false)]);
        assert_eq!(told(&mut confirms, 19), []);
        assert!(!confirms.is_empty());
        assert_eq!(told(&mut confirms, 20), [(true, 6, true)]);
        assert!(confirms.is_empty());
        assert_eq!(told(&mut confirms, 99), []);
    }

    #[test]
    fn an_ack_never_covers_what_was_nacked() {
        let mut confirms = Confirms::default();
        confirms.push(2, Lsn(0), Outcome::Acked);
        confirms.push(3, Lsn(0), Outcome::Nacked);
        confirms.push(4, Lsn(0), Outcome::Acked);
        assert_eq!(told(&mut confirms, 0), [(true, 2, true), (false, 3, false), (true, 4, false)]);
    }
}
