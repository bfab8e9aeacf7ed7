//! Ready messages that are not in memory: runs of positions, and what is in them.

use std::collections::VecDeque;

use crate::journal::{Loaded, SeqRange};
use crate::limits::{PAGE_BYTES_MAX, PAGE_MESSAGES_MAX};
use crate::queue::journaling::Settling;
use crate::queue::ready::Stored;

/// Runs in order of position. All that is in them lies behind what is in memory.
#[derive(Debug, Default)]
pub(super) struct Paged {
    runs: VecDeque<Run>,
    count: usize,
    bytes: u64,
}

/// At least one message somewhere between two positions. What was paged while the broker ran has no holes, and about a page;
/// what a restart found is one run, however large and sparse.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    last: u64,
    count: usize,
    persistent: Kind,
    transient: Kind,
}

/// The messages of one kind in a run.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    /// The position of the last of them, which may be taken out by now.
    last: Option<u64>,
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

    /// The positions between which all lies.
    pub(super) fn range(&self) -> Option<SeqRange> {
        Some(SeqRange { first: self.runs.front()?.first, last: self.runs.back()?.last })
    }

    /// Adds the message after all others.
    pub(super) fn push(&mut self, seq: u64, bytes: u64, stored: Stored) {
        self.count += 1;
        self.bytes += bytes;
        let open = self.runs.back_mut().filter(|run| run.last + 1 == seq && run.is_open());
        match open {
            Some(run) => run.add(seq, bytes, stored),
            None => {
                let kind = Kind::default();
                let mut run = Run { first: seq, last: seq, count: 0, persistent: kind, transient: kind };
                run.add(seq, bytes, stored);
                self.runs.push_back(run);
            }
        }
    }

    /// Adds what a restart found: so many persistent messages between two positions.
    pub(super) fn push_restored(&mut self, range: SeqRange, count: usize, bytes: u64) {
        self.count += count;
        self.bytes += bytes;
        let persistent = Kind { last: Some(range.last), bytes };
        self.runs.push_back(Run {
            first: range.first,
            last: range.last,
            count,
            persistent,
            transient: Kind::default(),
        });
    }

    /// Takes out a message that was read; false when it is not among these any more. What lies before it is gone.
    pub(super) fn take(&mut self, loaded: &Loaded) -> bool {
        self.skip_to(loaded.seq);
        let Some(run) = self.runs.front_mut().filter(|run| run.first == loaded.seq) else { return false };
        let before = *run;
        run.take(loaded.message.body_len(), loaded.stored());
        self.count -= before.count - run.count;
        self.bytes -= before.bytes() - run.bytes();
        self.drop_empty();
        true
    }

    /// What lies before `seq` is gone.
    pub(super) fn skip_to(&mut self, seq: u64) {
        while let Some(run) = self.runs.front_mut().filter(|run| run.first < seq) {
            let before = run.count;
            if run.last < seq {
                run.count = 0;
            } else {
                run.first = seq;
                run.count = run.count.min(usize::try_from(run.last - seq + 1).unwrap_or(usize::MAX));
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

    /// Drops everything; what the journal has to know of it goes into `settling`.
    pub(super) fn clear(&mut self, settling: &mut Settling) {
        for run in std::mem::take(self).runs {
            let range = SeqRange { first: run.first, last: run.last };
            for (kind, stored) in [(run.persistent, Stored::Persistent), (run.transient, Stored::Transient)] {
                if kind.last.is_some_and(|last| last >= run.first) {
                    settling.add_range(range, kind.bytes, stored);
                }
            }
        }
    }
}

impl Run {
    fn bytes(&self) -> u64 {
        self.persistent.bytes + self.transient.bytes
    }

    fn is_open(&self) -> bool {
        self.count < PAGE_MESSAGES_MAX && self.bytes() < PAGE_BYTES_MAX as u64
    }

    fn kind(&mut self, stored: Stored) -> &mut Kind {
        if stored == Stored::Transient { &mut self.transient } else { &mut self.persistent }
    }

    fn add(&mut self, seq: u64, bytes: u64, stored: Stored) {
        self.last = seq;
        self.count += 1;
        let kind = self.kind(stored);
        kind.last = Some(seq);
        kind.bytes += bytes;
    }

    /// Takes its first message out.
    fn take(&mut self, bytes: u64, stored: Stored) {
        self.first += 1;
        self.count = if self.first > self.last { 0 } else { self.count - 1 };
        let kind = self.kind(stored);
        kind.bytes = kind.bytes.saturating_sub(bytes);
    }
}
