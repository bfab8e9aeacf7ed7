//! Deliveries of a channel that are not settled yet, by delivery tag.

use std::collections::VecDeque;

use leveret_engine::names::ConsumerKey;
use leveret_engine::queue::Stored;

use crate::sent::Kept;

/// A delivery that waits for its acknowledgement.
#[derive(Debug)]
pub(crate) struct Unacked {
    /// Place in the channel's list of queues.
    pub(crate) queue: u32,
    /// Who got it; none for a get.
    pub(crate) consumer: Option<ConsumerKey>,
    /// Its position in the queue.
    pub(crate) seq: u64,
    /// How often it was delivered before.
    pub(crate) deliveries: u32,
    /// Whether the journal has it.
    pub(crate) stored: Stored,
    /// When it expires, should it come back.
    pub(crate) expires_ms: u64,
    /// The message.
    pub(crate) kept: Kept,
}

/// Deliveries in order of their tags. Tags rise by one, but not each delivery needs an acknowledgement, so that there are
/// gaps; what was settled out of order leaves a hole until the holes are as many as the rest.
#[derive(Debug, Default)]
pub(crate) struct UnackedList {
    slots: VecDeque<(u64, Option<Unacked>)>,
    holes: usize,
}

/// Holes that are not worth a compaction.
const HOLES_KEPT_MAX: usize = 64;

impl UnackedList {
    pub(crate) fn push(&mut self, tag: u64, unacked: Unacked) {
        self.slots.push_back((tag, Some(unacked)));
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.holes
    }

    /// Takes the delivery with exactly this tag.
    pub(crate) fn take(&mut self, tag: u64) -> Option<Unacked> {
        let place = match self.slots.front() {
            Some((first, _)) if *first == tag => 0,
            _ => self.slots.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?,
        };
        let taken = self.slots.get_mut(place)?.1.take()?;
        self.holes += 1;
        self.trim();
        Some(taken)
    }

    /// Whether the delivery with exactly this tag is there.
    pub(crate) fn contains(&self, tag: u64) -> bool {
        let place = self.slots.binary_search_by_key(&tag, |(tag, _)| *tag);
        place.ok().and_then(|place| self.slots.get(place)).is_some_and(|(_, unacked)| unacked.is_some())
    }

    /// Takes all deliveries up to and including `tag`, in order.
    pub(crate) fn take_to(&mut self, tag: u64, mut each: impl FnMut(u64, Unacked)) {
        while let Some((first, _)) = self.slots.front() {
            if *first > tag {
                break;
            }
            match self.slots.pop_front() {
                Some((tag, Some(unacked))) => each(tag, unacked),
                _ => self.holes = self.holes.saturating_sub(1),
            }
        }
        self.trim();
    }

    /// The lowest tag that is there.
    pub(crate) fn first_tag(&self) -> Option<u64> {
        self.slots.front().map(|(tag, _)| *tag)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Unacked> {
        self.slots.iter().filter_map(|(_, unacked)| unacked.as_ref())
    }

    /// The deliveries with tags below `tag`.
    pub(crate) fn before(&self, tag: u64) -> impl Iterator<Item = &Unacked> {
        self.slots.iter().take_while(move |(own, _)| *own < tag).filter_map(|(_, unacked)| unacked.as_ref())
    }

    /// The deliveries from tag `first` to tag `last`.
    pub(crate) fn range_mut(&mut self, first: u64, last: u64) -> impl Iterator<Item = &mut Unacked> {
        let from = self.slots.partition_point(|(tag, _)| *tag < first);
        let to = self.slots.partition_point(|(tag, _)| *tag <= last);
        self.slots.range_mut(from..to.max(from)).filter_map(|(_, unacked)| unacked.as_mut())
    }

    /// Puts back a delivery that was taken, as a rollback does.
    pub(crate) fn put_back(&mut self, tag: u64, unacked: Unacked) {
        match self.slots.binary_search_by_key(&tag, |(tag, _)| *tag) {
            Ok(place) => {
                if let Some((_, slot)) = self.slots.get_mut(place) {
                    self.holes = self.holes.saturating_sub(usize::from(slot.is_none()));
                    *slot = Some(unacked);
                }
            }
            Err(place) => self.slots.insert(place, (tag, Some(unacked))),
        }
    }

    fn trim(&mut self) {
        while let Some((_, None)) = self.slots.front() {
            self.slots.pop_front();
            self.holes = self.holes.saturating_sub(1);
        }
        if self.holes > HOLES_KEPT_MAX && self.holes > self.slots.len() / 2 {
            self.slots.retain(|(_, unacked)| unacked.is_some());
            self.holes = 0;
        }
        if self.slots.is_empty() && self.slots.capacity() > KEPT_CAPACITY {
            self.slots = VecDeque::new();
        }
    }
}

/// Slots that an empty list keeps room for.
const KEPT_CAPACITY: usize = 1024;

#[cfg(test)]
mod tests {
    use leveret_engine::message::{Incoming, NEVER_MS};
    use proptest::prelude::*;

    use super::*;

    fn unacked(seq: u64) -> Unacked {
        let kept = Kept::Own(Incoming::borrowed(b"", b"q", &[0, 0], b"", None).take());
        Unacked { queue: 0, consumer: None, seq, deliveries: 0, stored: Stored::No, expires_ms: NEVER_MS, kept }
    }

    proptest! {
        /// Whatever is taken in whatever order, the list holds what a plain map would.
        #[test]
        fn behaves_like_a_map(ops in prop::collection::vec((0u8..4, 0u64..200), 0..400)) {
            let mut list = UnackedList::default();
            let mut model = std::collections::BTreeMap::new();
            let mut next = 1;
            for (op, tag) in ops {
                match op {
                    0 => {
                        list.push(next, unacked(next));
                        model.insert(next, next);
                        next += 1 + tag % 3;
                    }
                    1 => prop_assert_eq!(list.take(tag).map(|unacked| unacked.seq), model.remove(&tag)),
                    2 => {
                        let mut taken = Vec::new();
                        list.take_to(tag, |tag, _| taken.push(tag));
                        let rest = model.split_off(&(tag + 1));
                        prop_assert_eq!(taken, model.into_keys().collect::<Vec<_>>());
                        model = rest;
                    }
                    _ => if let Some(taken) = list.take(tag) { list.put_back(tag, taken) },
                }
                prop_assert_eq!(list.len(), model.len());
                prop_assert_eq!(list.contains(tag), model.contains_key(&tag));
                prop_assert_eq!(list.first_tag(), model.keys().next().copied());
                prop_assert!(list.before(tag).map(|unacked| unacked.seq).eq(model.range(..tag).map(|(_, seq)| *seq)));
            }
        }
    }
}
