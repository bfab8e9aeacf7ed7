//! Ready messages that are not in memory: runs of positions, and what is in them.

use std::collections::{BTreeSet, VecDeque};

use crate::journal::{Loaded, SeqRange};
use crate::limits::{PAGE_BYTES_MAX, PAGE_MESSAGES_MAX};
use crate::queue::journaling::Settling;
use crate::queue::ready::Stored;

/// Runs in order of position. All that is in them lies behind what is in memory.
#[derive(Debug, Default)]
pub(super) struct Paged {
    /// What comes between its messages may be others'.
    sparse: bool,
    runs: VecDeque<Run>,
    /// Positions in runs without members whose messages were taken out of their middle: the journal may still have them.
    holes: BTreeSet<u64>,
    count: usize,
    bytes: u64,
}

/// At least one message somewhere between two positions. What was paged while the broker ran has no holes, and about a page;
/// what a restart found is one run, however large. The positions between that have no message are gone; but where messages of
/// others lie between, a run says which are its own.
#[derive(Debug)]
struct Run {
    first: u64,
    last: u64,
    count: usize,
    persistent: Kind,
    transient: Kind,
    members: Option<Box<Members>>,
}

/// The messages of one kind in a run.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    /// The position of the last of them, which may be taken out by now.
    last: Option<u64>,
    /// How many they are.
    count: u64,
    /// Bytes of their bodies.
    bytes: u64,
}

impl Paged {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the bodies.
    pub(super) fn body_bytes(&self) -> u64 {
        self.bytes
    }

    /// Messages that will be added have others between them.
    pub(super) fn be_sparse(&mut self) {
        self.sparse = true;
    }

    /// Takes all out, and leaves an empty one.
    pub(super) fn split_off(&mut self) -> Self {
        let sparse = self.sparse;
        std::mem::replace(self, Self { sparse, ..Self::default() })
    }

    /// Adds all of another, which lies behind, and leaves that empty.
    pub(super) fn append(&mut self, behind: &mut Self) {
        let Self { runs, mut holes, count, bytes, .. } = behind.split_off();
        self.runs.extend(runs);
        self.holes.append(&mut holes);
        self.count += count;
        self.bytes += bytes;
    }

    /// The positions between which the first run lies.
    pub(super) fn first_run(&self) -> Option<SeqRange> {
        self.runs.front().map(|run| SeqRange { first: run.first, last: run.last })
    }

    /// The positions between which all lies.
    pub(super) fn range(&self) -> Option<SeqRange> {
        Some(SeqRange { first: self.runs.front()?.first, last: self.runs.back()?.last })
    }

    /// Adds the message after all others.
    pub(super) fn push(&mut self, seq: u64, bytes: u64, stored: Stored) {
        self.count += 1;
        self.bytes += bytes;
        let open = self.runs.back_mut().filter(|run| run.takes(seq));
        match open {
            Some(run) => run.add(seq, bytes, stored),
            None => {
                self.runs.push_back(Run::of_one(seq, bytes, stored, self.sparse));
            }
        }
    }

    /// Adds what a restart found: so many persistent messages between two positions.
    pub(super) fn push_restored(&mut self, range: SeqRange, count: usize, bytes: u64) {
        self.count += count;
        self.bytes += bytes;
        let persistent = Kind { last: Some(range.last), count: count as u64, bytes };
        self.runs.push_back(Run {
            first: range.first,
            last: range.last,
            count,
            persistent,
            transient: Kind::default(),
            members: None,
        });
    }

    /// Takes out a message that was read; false when it is not among these any more. What lies before it is gone.
    pub(super) fn take(&mut self, loaded: &Loaded) -> bool {
        self.skip_to(loaded.seq);
        if !self.holes.is_empty() && self.holes.contains(&loaded.seq) {
            return false;
        }
        let Some(run) = self.runs.front_mut().filter(|run| run.first == loaded.seq) else { return false };
        let (count, bytes) = (run.count, run.bytes());
        run.take(loaded.message.body_len(), loaded.stored());
        self.count -= count - run.count;
        self.bytes -= bytes - run.bytes();
        self.drop_empty();
        true
    }

    /// What lies before `seq` is gone.
    pub(super) fn skip_to(&mut self, seq: u64) {
        if !self.holes.is_empty() {
            self.holes = self.holes.split_off(&seq);
        }
        while let Some(run) = self.runs.front_mut().filter(|run| run.first < seq) {
            let before = run.count;
            run.skip_to(seq);
            if !self.holes.is_empty() && run.first <= run.last && run.members.is_none() {
                let known = self.holes.range(run.first..=run.last).count();
                run.count = run.count.min(usize::try_from(run.last - run.first + 1).unwrap_or(usize::MAX) - known);
            }
            self.count -= before - run.count;
            self.drop_empty();
        }
    }

    /// Lets go of a first run that nothing is left of.
    fn drop_empty(&mut self) {
        let Some(run) = self.runs.pop_front_if(|run| run.count == 0) else { return };
        self.bytes -= run.bytes();
        if self.runs.is_empty() {
            self.runs = VecDeque::new();
        }
    }

    /// Whether the message at `seq` is one of these, if the journal has it.
    pub(super) fn holds(&self, seq: u64) -> bool {
        let place = self.runs.partition_point(|run| run.last < seq);
        self.runs.get(place).is_some_and(|run| run.holds(seq)) && !self.holes.contains(&seq)
    }

    /// Takes out one message, wherever it is; false when it is none of these.
    pub(super) fn remove(&mut self, seq: u64, bytes: u64, stored: Stored) -> bool {
        if !self.holds(seq) {
            return false;
        }
        let place = self.runs.partition_point(|run| run.last < seq);
        let Some(run) = self.runs.get_mut(place) else { return false };
        let before = run.bytes();
        run.count -= 1;
        run.kind(stored).take(bytes);
        self.count -= 1;
        self.bytes -= before - run.bytes();
        match &mut run.members {
            Some(members) => {
                members.remove(seq);
                run.first = members.first().unwrap_or(run.first);
            }
            None => {
                self.holes.insert(seq);
                while run.first < run.last && self.holes.remove(&run.first) {
                    run.first += 1;
                }
            }
        }
        if run.count == 0 {
            let (first, last, left) = (run.first, run.last, run.bytes());
            self.bytes -= left;
            self.runs.remove(place);
            self.holes.retain(|hole| *hole < first || *hole > last);
        }
        true
    }

    /// Puts a message back that was taken out, to its place.
    pub(super) fn insert(&mut self, seq: u64, bytes: u64, stored: Stored) {
        self.count += 1;
        self.bytes += bytes;
        let place = self.runs.partition_point(|run| run.last < seq);
        self.holes.remove(&seq);
        match self.runs.get_mut(place).filter(|run| run.first <= seq) {
            Some(run) => run.add_within(seq, bytes, stored),
            None => self.runs.insert(place, Run::of_one(seq, bytes, stored, self.sparse)),
        }
    }

    /// Drops everything; what the journal has to know of it goes into `settling`.
    pub(super) fn clear(&mut self, settling: &mut Settling) {
        let Self { runs, holes, .. } = self.split_off();
        for run in runs {
            let kinds = [(run.persistent, Stored::Persistent), (run.transient, Stored::Transient)];
            if let Some(members) = &run.members {
                members.add_to(settling, kinds);
                continue;
            }
            for (kind, stored) in kinds {
                if kind.last.is_some_and(|last| last >= run.first) {
                    let range = SeqRange { first: run.first, last: run.last };
                    settling.add_without(range, &holes, (kind.count, kind.bytes), stored);
                }
            }
        }
    }
}

impl Kind {
    fn take(&mut self, bytes: u64) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn add(&mut self, seq: u64, bytes: u64) {
        self.last = self.last.max(Some(seq));
        self.count += 1;
        self.bytes += bytes;
    }
}

impl Run {
    fn of_one(seq: u64, bytes: u64, stored: Stored, sparse: bool) -> Self {
        let kind = Kind::default();
        let members = sparse.then(|| Box::new(Members::from(seq)));
        let mut run = Self { first: seq, last: seq, count: 0, persistent: kind, transient: kind, members };
        run.add(seq, bytes, stored);
        run
    }

    /// Whether `seq` is between its ends, and not known to be no member.
    fn holds(&self, seq: u64) -> bool {
        self.first <= seq && seq <= self.last && self.members.as_ref().is_none_or(|members| members.holds(seq))
    }

    fn bytes(&self) -> u64 {
        self.persistent.bytes + self.transient.bytes
    }

    fn is_open(&self) -> bool {
        self.count < PAGE_MESSAGES_MAX && self.bytes() < PAGE_BYTES_MAX as u64
    }

    fn kind(&mut self, stored: Stored) -> &mut Kind {
        if stored == Stored::Transient { &mut self.transient } else { &mut self.persistent }
    }

    /// Whether the message at `seq`, behind its last, may be added to it.
    fn takes(&self, seq: u64) -> bool {
        self.is_open()
            && match &self.members {
                None => self.last + 1 == seq,
                Some(members) => members.has_place(seq),
            }
    }

    /// What lies before `seq` is gone.
    fn skip_to(&mut self, seq: u64) {
        if self.last < seq {
            self.count = 0;
            return;
        }
        self.first = seq;
        match &mut self.members {
            None => self.count = self.count.min(usize::try_from(self.last - seq + 1).unwrap_or(usize::MAX)),
            Some(members) => {
                self.count = members.skip_to(seq);
                self.first = members.first().unwrap_or(seq);
            }
        }
    }

    fn add(&mut self, seq: u64, bytes: u64, stored: Stored) {
        self.last = seq;
        self.count += 1;
        if let Some(members) = &mut self.members {
            members.insert(seq, stored);
        }
        self.kind(stored).add(seq, bytes);
    }

    /// Adds a message between its ends.
    fn add_within(&mut self, seq: u64, bytes: u64, stored: Stored) {
        self.count += 1;
        if let Some(members) = &mut self.members {
            members.insert(seq, stored);
        }
        self.kind(stored).add(seq, bytes);
    }

    /// Takes its first message out.
    fn take(&mut self, bytes: u64, stored: Stored) {
        let left = self.count - 1;
        self.skip_to(self.first + 1);
        self.count = self.count.min(left);
        self.kind(stored).take(bytes);
    }
}

/// Which of [`PAGE_MESSAGES_MAX`] positions have messages: a bit each, by kind.
#[derive(Debug)]
struct Members {
    base: u64,
    persistent: [u64; WORDS],
    transient: [u64; WORDS],
}

const WORD_BITS: u64 = u64::BITS as u64;
const WORDS: usize = PAGE_MESSAGES_MAX / u64::BITS as usize;

impl Members {
    /// None yet, from position `base` on.
    fn from(base: u64) -> Self {
        Self { base, persistent: [0; WORDS], transient: [0; WORDS] }
    }

    fn has_place(&self, seq: u64) -> bool {
        seq >= self.base && seq - self.base < PAGE_MESSAGES_MAX as u64
    }

    fn insert(&mut self, seq: u64, stored: Stored) {
        let at = seq - self.base;
        let words = if stored == Stored::Transient { &mut self.transient } else { &mut self.persistent };
        if let Some(word) = usize::try_from(at / WORD_BITS).ok().and_then(|word| words.get_mut(word)) {
            *word |= 1 << (at % WORD_BITS);
        }
    }

    fn remove(&mut self, seq: u64) {
        let at = seq - self.base;
        for words in [&mut self.persistent, &mut self.transient] {
            if let Some(word) = usize::try_from(at / WORD_BITS).ok().and_then(|word| words.get_mut(word)) {
                *word &= !(1 << (at % WORD_BITS));
            }
        }
    }

    fn holds(&self, seq: u64) -> bool {
        let Some(at) = seq.checked_sub(self.base) else { return false };
        let is_set = |words: &[u64; WORDS]| {
            let word = usize::try_from(at / WORD_BITS).ok().and_then(|word| words.get(word));
            word.is_some_and(|word| word & (1 << (at % WORD_BITS)) != 0)
        };
        is_set(&self.persistent) || is_set(&self.transient)
    }

    /// The first position that has a message.
    fn first(&self) -> Option<u64> {
        let words = self.persistent.iter().zip(&self.transient).map(|(a, b)| a | b);
        let (place, word) = words.enumerate().find(|(_, word)| *word != 0)?;
        Some(self.base + place as u64 * WORD_BITS + u64::from(word.trailing_zeros()))
    }

    /// Takes out what lies before `seq`; says how many are left.
    fn skip_to(&mut self, seq: u64) -> usize {
        let gone = seq.saturating_sub(self.base);
        let mut left = 0;
        for words in [&mut self.persistent, &mut self.transient] {
            for (from, word) in (0..).step_by(u64::BITS as usize).zip(words) {
                *word &= match gone.saturating_sub(from) {
                    0 => u64::MAX,
                    before if before >= WORD_BITS => 0,
                    before => u64::MAX << before,
                };
                left += word.count_ones() as usize;
            }
        }
        left
    }

    /// Notes all as gone, kind by kind.
    fn add_to(&self, settling: &mut Settling, kinds: [(Kind, Stored); 2]) {
        for (words, (kind, stored)) in [&self.persistent, &self.transient].into_iter().zip(kinds) {
            let mut bytes = kind.bytes;
            for (from, word) in (self.base..).step_by(u64::BITS as usize).zip(words) {
                let mut word = *word;
                while word != 0 {
                    let seq = from + u64::from(word.trailing_zeros());
                    settling.add(seq, std::mem::take(&mut bytes), stored);
                    word &= word - 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::message::Incoming;

    fn loaded(seq: u64, transient: bool) -> Loaded {
        let message = Incoming::borrowed(b"", b"q", &[0, 0], b"x", None).take();
        Loaded { seq, deliveries: 0, transient, arrived_ms: 0, message }
    }

    proptest! {
        /// Messages with others between them: whatever is taken and skipped, it holds what a plain map would.
        #[test]
        fn sparse_runs_behave_like_a_map(
            gaps in prop::collection::vec((1u64..5000, any::<bool>()), 1..60),
            ops in prop::collection::vec((any::<bool>(), 0usize..20, 0u64..3), 0..40),
        ) {
            let mut paged = Paged::default();
            paged.be_sparse();
            let mut model = BTreeMap::new();
            let mut seq = 0;
            for (gap, transient) in gaps {
                seq += gap;
                paged.push(seq, 1, if transient { Stored::Transient } else { Stored::Persistent });
                model.insert(seq, transient);
            }
            for (takes, ahead, off) in ops {
                let Some((&at, &transient)) = model.iter().nth(ahead) else { break };
                if takes {
                    let known = model.contains_key(&(at + off));
                    prop_assert_eq!(paged.take(&loaded(at + off, transient)), known);
                    model = model.split_off(&(at + off));
                    model.remove(&(at + off));
                } else {
                    paged.skip_to(at + off);
                    model = model.split_off(&(at + off));
                }
                prop_assert_eq!(paged.len(), model.len());
                prop_assert_eq!(paged.first_run().map(|run| run.first), model.keys().next().copied());
                prop_assert_eq!(paged.range().is_none(), model.is_empty());
            }
        }
    }
}
