//! Which messages of a queue lie in the journal, and where: 16 bytes a message.

use std::collections::{BTreeMap, VecDeque};

/// Stands in the place of a position when the message went before its neighbours did.
const GONE: u64 = u64::MAX;

/// Below this many entries nobody minds what the list holds on to.
const SHRINK_ENTRIES_MIN: usize = 256;

/// Positions of messages in the journal, ascending by sequence number.
#[derive(Clone, Debug, Default)]
pub(crate) struct JournalList {
    /// Ascending by sequence number. The first and the last are there; between them some may be [`GONE`].
    run: VecDeque<(u64, u64)>,
    /// How many of `run` are [`GONE`].
    gone: usize,
    /// Messages that came when the run had passed them already: transient ones leave memory later than their durable
    /// neighbours are written. None of them is in the run.
    late: BTreeMap<u64, u64>,
}

impl JournalList {
    /// How many messages there are.
    pub(crate) fn len(&self) -> usize {
        self.run.len() - self.gone + self.late.len()
    }

    /// Where a message lies.
    pub(crate) fn get(&self, seq: u64) -> Option<u64> {
        self.place(seq).map(|(_, at)| at).or_else(|| self.late.get(&seq).copied())
    }

    /// Notes where a message lies, whether it was here already or not.
    pub(crate) fn insert(&mut self, seq: u64, at: u64) {
        if self.run.back().is_none_or(|&(last, _)| last < seq) && !self.late.contains_key(&seq) {
            self.run.push_back((seq, at));
        } else if !self.replace(seq, at) {
            self.late.insert(seq, at);
        }
    }

    /// Notes that a message lies elsewhere now; false when it is not here.
    pub(crate) fn replace(&mut self, seq: u64, at: u64) -> bool {
        if let Some((index, _)) = self.place(seq) {
            if let Some(entry) = self.run.get_mut(index) {
                entry.1 = at;
            }
            return true;
        }
        self.late.get_mut(&seq).map(|old| *old = at).is_some()
    }

    /// Takes out the messages in `first..=last`, and says how many there were.
    pub(crate) fn remove_range(&mut self, first: u64, last: u64) -> u64 {
        let mut removed = 0;
        while let Some((&seq, _)) = self.late.range(first..=last).next() {
            self.late.remove(&seq);
            removed += 1;
        }
        let start = self.find(first).unwrap_or_else(|start| start);
        if start == 0 {
            while let Some(&(seq, at)) = self.run.front()
                && seq <= last
            {
                self.run.pop_front();
                removed += self.count_out(at);
            }
        } else {
            for entry in self.run.range_mut(start..).take_while(|entry| entry.0 <= last) {
                if entry.1 != GONE {
                    entry.1 = GONE;
                    self.gone += 1;
                    removed += 1;
                }
            }
        }
        self.trim();
        removed
    }

    /// Takes a message out, if it lies at `at`.
    pub(crate) fn remove_at(&mut self, seq: u64, at: u64) -> bool {
        self.get(seq) == Some(at) && self.remove_range(seq, seq) == 1
    }

    /// The messages from `first` on.
    pub(crate) fn iter_from(&self, first: u64) -> impl Iterator<Item = (u64, u64)> {
        let start = self.find(first).unwrap_or_else(|start| start);
        let mut run = self.run.range(start..).copied().filter(|&(_, at)| at != GONE).peekable();
        let mut late = self.late.range(first..).map(|(&seq, &at)| (seq, at)).peekable();
        std::iter::from_fn(move || match (run.peek(), late.peek()) {
            (Some(in_run), Some(in_late)) if in_late.0 < in_run.0 => late.next(),
            (Some(_), _) => run.next(),
            (None, _) => late.next(),
        })
    }

    /// The first message.
    pub(crate) fn first(&self) -> Option<u64> {
        self.iter_from(0).next().map(|(seq, _)| seq)
    }

    /// Where in the run a sequence number is, or would be.
    fn find(&self, seq: u64) -> Result<usize, usize> {
        // As a rule none is missing: it lies as far behind the first as it is higher.
        let guess = self.run.front().and_then(|&(first, _)| usize::try_from(seq.checked_sub(first)?).ok());
        match guess.and_then(|index| Some((index, self.run.get(index)?.0))) {
            Some((index, found)) if found == seq => Ok(index),
            _ => self.run.binary_search_by_key(&seq, |&(seq, _)| seq),
        }
    }

    /// A message of the run: its index and position.
    fn place(&self, seq: u64) -> Option<(usize, u64)> {
        let index = self.find(seq).ok()?;
        self.run.get(index).filter(|entry| entry.1 != GONE).map(|entry| (index, entry.1))
    }

    /// An entry left the run: 1 when it was a message.
    fn count_out(&mut self, at: u64) -> u64 {
        if at == GONE {
            self.gone -= 1;
            return 0;
        }
        1
    }

    /// Lets go of what is gone at both ends, of what is gone between when it is most, and of memory.
    fn trim(&mut self) {
        while self.run.front().is_some_and(|entry| entry.1 == GONE) {
            self.run.pop_front();
            self.gone -= 1;
        }
        while self.run.back().is_some_and(|entry| entry.1 == GONE) {
            self.run.pop_back();
            self.gone -= 1;
        }
        if self.gone > SHRINK_ENTRIES_MIN && self.gone > self.run.len() / 2 {
            self.run.retain(|entry| entry.1 != GONE);
            self.gone = 0;
        }
        if self.run.capacity() > SHRINK_ENTRIES_MIN && self.run.len() < self.run.capacity() / 4 {
            self.run.shrink_to(self.run.len() * 2);
        }
    }
}

impl PartialEq for JournalList {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter_from(0).eq(other.iter_from(0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Remove(u64, u64),
        Replace(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..200u64).prop_map(Step::Insert),
            2 => (0..200u64, 0..12u64).prop_map(|(first, more)| Step::Remove(first, first + more)),
            1 => (0..200u64).prop_map(Step::Replace),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_a_sorted_map(steps in proptest::collection::vec(step(), 0..400)) {
            let mut list = JournalList::default();
            let mut model = BTreeMap::new();
            for (at, step) in steps.into_iter().enumerate() {
                let at = at as u64;
                match step {
                    Step::Insert(seq) => {
                        list.insert(seq, at);
                        model.insert(seq, at);
                    }
                    Step::Remove(first, last) => {
                        let gone = model.extract_if(first..=last, |_, _| true).count() as u64;
                        prop_assert_eq!(list.remove_range(first, last), gone);
                    }
                    Step::Replace(seq) => {
                        let had = model.get_mut(&seq).map(|old| *old = at).is_some();
                        prop_assert_eq!(list.replace(seq, at), had);
                    }
                }
                prop_assert_eq!(list.len(), model.len());
            }
            for first in [0, 50, 199] {
                let expected: Vec<_> = model.range(first..).map(|(&seq, &at)| (seq, at)).collect();
                prop_assert_eq!(list.iter_from(first).collect::<Vec<_>>(), expected);
            }
            for seq in 0..200 {
                prop_assert_eq!(list.get(seq), model.get(&seq).copied());
            }
        }
    }

    #[test]
    fn a_drained_list_gives_its_memory_back() {
        let mut list = JournalList::default();
        for seq in 0..100_000 {
            list.insert(seq, seq);
        }
        for seq in (0..100_000).filter(|seq| seq % 1000 != 7) {
            list.remove_range(seq, seq);
        }
        assert_eq!(list.len(), 100);
        assert!(list.run.capacity() < 2000, "{}", list.run.capacity());
    }
}
