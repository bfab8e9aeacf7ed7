//! Looking for the first message that came at some time or later: by halves, a message read for each.

use crate::journal::{Page, SeqRange};

/// A search. What lies before `low` came before the time; what lies at `high` or behind it did not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Seek {
    at_ms: u64,
    low: u64,
    high: u64,
}

impl Seek {
    pub(super) fn new(at_ms: u64, low: u64, high: u64) -> Self {
        Self { at_ms, low, high: high.max(low) }
    }

    fn middle(&self) -> u64 {
        self.low + (self.high - self.low) / 2
    }

    /// Whose first message decides how it goes on. None when it is over.
    pub(super) fn probe(&self) -> Option<SeqRange> {
        (self.low < self.high).then(|| SeqRange { first: self.middle(), last: self.high - 1 })
    }

    /// Goes on with the first message of the last probe.
    pub(super) fn take(&mut self, page: &Page) {
        match page.messages.first() {
            Some(loaded) if loaded.arrived_ms < self.at_ms => self.low = loaded.seq + 1,
            // What is not there any more might as well have come later.
            _ => self.high = self.middle(),
        }
    }

    /// Where it ends, once it is over.
    pub(super) fn found(&self) -> u64 {
        self.low
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::journal::Loaded;
    use crate::message::Incoming;

    proptest! {
        /// Some positions are gone, some times come more than once.
        #[test]
        fn finds_what_a_scan_finds(
            steps in prop::collection::vec((0u64..3, any::<bool>()), 0..60), at_ms in 0u64..100,
        ) {
            let mut now_ms = 0;
            let times: Vec<(u64, u64)> = (10u64..)
                .zip(steps)
                .filter_map(|(seq, (pause_ms, is_there))| {
                    now_ms += pause_ms;
                    is_there.then_some((seq, now_ms))
                })
                .collect();
            let end = times.last().map_or(10, |(seq, _)| seq + 1);
            let mut seek = Seek::new(at_ms, 10, end);
            let mut probes = 0;
            while let Some(range) = seek.probe() {
                let found = times.iter().find(|(seq, _)| (range.first..=range.last).contains(seq));
                let message = Incoming::borrowed(b"", b"q", &[0, 0], b"x", None).take();
                let loaded = |&(seq, arrived_ms)| {
                    Loaded { seq, deliveries: 0, transient: false, arrived_ms, message }
                };
                seek.take(&Page { messages: found.map(loaded).into_iter().collect(), next: range.last + 1 });
                probes += 1;
            }
            let wanted = times.iter().find(|(_, arrived_ms)| *arrived_ms >= at_ms).map_or(end, |(seq, _)| *seq);
            // Gaps before the message that is wanted do not matter.
            let met = times.iter().find(|(seq, _)| *seq >= seek.found()).map_or(end, |(seq, _)| *seq);
            prop_assert_eq!(met, wanted);
            prop_assert!(probes <= 7);
        }
    }
}
