//! What waits, by the time at which it is due: 16 bytes a message beside the tree's own.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;

use crate::message::Parts;
use crate::queue::Stored;

/// A message that waits: from the highest bits on its time (43 of them: until the year 2248), its position in the hidden queue
/// (47), whether the journal has it (2), the length of its body (33), and what else it takes, roughly (3).
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Waiting(u128);

const HEAD_BITS: u32 = 3;
const BYTES_BITS: u32 = 33;
const STORED_BITS: u32 = 2;
const SEQ_BITS: u32 = 47;
const DUE_BITS: u32 = 43;

const HEAD_AT: u32 = 0;
const BYTES_AT: u32 = HEAD_AT + HEAD_BITS;
const STORED_AT: u32 = BYTES_AT + BYTES_BITS;
const SEQ_AT: u32 = STORED_AT + STORED_BITS;
const DUE_AT: u32 = SEQ_AT + SEQ_BITS;

/// Names and properties of no more than this are the first class of them; each other has four times as much as the one before.
const HEAD_BYTES_MIN: u64 = 256;

impl Waiting {
    /// `message` is due at `due_ms`. What does not fit its bits is taken for the highest that does.
    pub(super) fn new(due_ms: u64, seq: u64, stored: Stored, message: &Parts<'_>) -> Self {
        let head_bytes = (message.exchange.len() + message.routing_key.len() + message.properties.len()) as u64;
        let head_class = (0..1 << HEAD_BITS).find(|class| head_bytes <= HEAD_BYTES_MIN << (2 * class));
        let stored = match stored {
            Stored::No => 0,
            Stored::Persistent => 1,
            Stored::Transient => 2,
        };
        let place = |value: u64, bits: u32, at: u32| u128::from(value.min((1 << bits) - 1)) << at;
        Self(
            place(due_ms, DUE_BITS, DUE_AT)
                | place(seq, SEQ_BITS, SEQ_AT)
                | place(stored, STORED_BITS, STORED_AT)
                | place(message.body_len(), BYTES_BITS, BYTES_AT)
                | place(head_class.unwrap_or(u64::MAX), HEAD_BITS, HEAD_AT),
        )
    }

    /// The highest that waits for this time in this place, whatever else there is to it.
    pub(super) fn highest_at(due_ms: u64, seq: u64) -> Self {
        Self(Self::new(due_ms, seq, Stored::No, &Parts::EMPTY).0 | ((1 << SEQ_AT) - 1))
    }

    fn part(self, bits: u32, at: u32) -> u64 {
        let mask = (1u128 << bits) - 1;
        u64::try_from((self.0 >> at) & mask).unwrap_or(u64::MAX)
    }

    /// When it is due: milliseconds since 1970.
    pub(super) fn due_ms(self) -> u64 {
        self.part(DUE_BITS, DUE_AT)
    }

    /// Its position in the hidden queue.
    pub(super) fn seq(self) -> u64 {
        self.part(SEQ_BITS, SEQ_AT)
    }

    /// Whether the journal has it.
    pub(super) fn stored(self) -> Stored {
        match self.part(STORED_BITS, STORED_AT) {
            0 => Stored::No,
            1 => Stored::Persistent,
            _ => Stored::Transient,
        }
    }

    /// Bytes of its body.
    pub(super) fn bytes(self) -> u64 {
        self.part(BYTES_BITS, BYTES_AT)
    }

    /// What it takes in memory, at most.
    pub(super) fn resident_bytes(self) -> u64 {
        self.bytes() + (HEAD_BYTES_MIN << (2 * self.part(HEAD_BITS, HEAD_AT)))
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} at {} ms", self.seq(), self.due_ms())
    }
}

/// All that waits, in the order in which it is due; those of one time in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Index(BTreeSet<Waiting>);

impl Index {
    pub(super) fn insert(&mut self, waiting: Waiting) {
        self.0.insert(waiting);
    }

    pub(super) fn remove(&mut self, waiting: Waiting) -> bool {
        self.0.remove(&waiting)
    }

    /// When the first is due.
    pub(super) fn first_due_ms(&self) -> Option<u64> {
        self.0.first().map(|waiting| waiting.due_ms())
    }

    /// Takes the first, if it is due at `now_ms`.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<Waiting> {
        let first = *self.0.first()?;
        if first.due_ms() > now_ms { None } else { self.0.pop_first() }
    }

    /// Those after `after`, or from the first on.
    pub(super) fn after(&self, after: Option<Waiting>) -> impl Iterator<Item = Waiting> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.range((from, Bound::Unbounded)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(due_ms: u64, seq: u64, stored: Stored, body: &[u8]) -> Waiting {
        Waiting::new(due_ms, seq, stored, &Parts { body, ..Parts::EMPTY })
    }

    #[test]
    fn nothing_is_lost_by_the_packing() {
        let examples = [
            (0, 1, Stored::No, 0),
            (1_700_000_000_000 + u64::from(u32::MAX), 3_000_000_000, Stored::Persistent, 70_000),
            ((1 << DUE_BITS) - 1, (1 << SEQ_BITS) - 1, Stored::Transient, 5),
        ];
        for (due_ms, seq, stored, bytes) in examples {
            let waiting = waiting(due_ms, seq, stored, &vec![0; bytes]);
            assert_eq!((waiting.due_ms(), waiting.seq(), waiting.stored()), (due_ms, seq, stored));
            assert_eq!((waiting.bytes(), waiting.resident_bytes()), (bytes as u64, bytes as u64 + 256));
            assert!(Waiting::highest_at(due_ms, seq) > waiting);
        }
        let beyond = waiting(u64::MAX, u64::MAX, Stored::No, b"");
        assert_eq!((beyond.due_ms(), beyond.seq(), beyond.stored()), ((1 << 43) - 1, (1 << 47) - 1, Stored::No));
        assert_eq!(HEAD_BITS + BYTES_BITS + STORED_BITS + SEQ_BITS + DUE_BITS, u128::BITS);
    }

    #[test]
    fn heads_are_known_to_a_factor_of_four() {
        for (head_bytes, most) in [(0, 256), (256, 256), (257, 1024), (5000, 16_384), (131_072, 262_144)] {
            let properties = vec![0; head_bytes];
            let parts = Parts { properties: &properties, body: b"body", ..Parts::EMPTY };
            assert_eq!(Waiting::new(1, 1, Stored::No, &parts).resident_bytes(), 4 + most);
        }
    }

    #[test]
    fn the_order_is_by_time_and_then_by_position() {
        let mut index = Index::default();
        for (due_ms, seq, body) in [(20, 1, &b"a long body"[..]), (10, 3, b""), (10, 2, b"body"), (5, 4, b"x")] {
            index.insert(waiting(due_ms, seq, Stored::Transient, body));
        }
        assert_eq!((index.first_due_ms(), index.pop_due(4)), (Some(5), None));
        let seqs = |index: &Index, after| index.after(after).map(Waiting::seq).collect::<Vec<_>>();
        assert_eq!(seqs(&index, None), [4, 2, 3, 1]);
        assert_eq!(seqs(&index, index.after(None).nth(1)), [3, 1]);
        assert_eq!(seqs(&index, Some(Waiting::highest_at(10, 2))), [3, 1]);
        assert_eq!(index.pop_due(10).map(Waiting::seq), Some(4));
        assert!(index.remove(waiting(10, 3, Stored::Transient, b"")));
        assert_eq!(seqs(&index, None), [2, 1]);
    }
}
