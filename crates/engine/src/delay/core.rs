//! What waits in one exchange and what is to be done about it. Its methods are called with the lock held: no IO, bounded work.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::delay::header::delay_of;
use crate::delay::index::{Index, Waiting};
use crate::journal::{Loaded, Page, SeqRange};
use crate::limits::{DELAY_GAP_MAX, MESSAGES_A_HOLD_MAX, PAGE_MESSAGES_MAX};
use crate::message::{Message, Parts};
use crate::queue::Stored;
use crate::restore::RestoredQueue;

/// The messages of one delayed exchange.
///
/// One thread at a time works on them: `busy` is its token, which a page on its way holds as well. What is due goes from
/// `waiting` through `gathering`, where it is read, to `ready`, and is settled when it was published.
#[derive(Debug, Default)]
pub(super) struct Core {
    pub(super) waiting: Index,
    /// Messages by position, where the journal cannot give them back.
    kept: HashMap<u64, Message>,
    /// All that waits, wherever it is on its way.
    pub(super) count: u64,
    /// Position of the last message taken.
    pub(super) last_seq: u64,
    /// What a restart found and nobody has read yet.
    unread: Option<Unread>,
    /// The last page was one of those.
    read_unread: bool,
    gathering: Option<Gathering>,
    ready: VecDeque<Due>,
    pub(super) busy: bool,
    /// Transient messages were given to the journal.
    pub(super) spilled: bool,
    pub(super) deleted: bool,
    /// When the timer is set.
    pub(super) armed_ms: Option<u64>,
}

/// Messages of which nothing is known but between which positions they lie.
#[derive(Clone, Copy, Debug)]
struct Unread {
    range: SeqRange,
    count: u64,
}

/// Messages that are due and are being read.
#[derive(Debug)]
struct Gathering {
    /// In order of position.
    wanted: VecDeque<Waiting>,
    /// Between which positions they are still to be read.
    runs: VecDeque<SeqRange>,
    found: Vec<Due>,
}

/// A message, and when it is due.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) waiting: Waiting,
    pub(super) message: Message,
}

/// What is to be done next, without the lock.
#[derive(Debug)]
pub(super) enum Step {
    /// These are to be published, and then settled.
    Publish(Vec<Due>),
    /// A page is to be read.
    Read(SeqRange),
    /// Nothing before the first is due.
    Rest,
}

impl Core {
    /// What a restart found.
    pub(super) fn restored(found: &RestoredQueue) -> Self {
        let range = SeqRange { first: found.first_seq, last: found.last_seq };
        let unread = Unread { range, count: found.messages };
        Self {
            count: found.messages,
            last_seq: found.last_seq,
            unread: (found.messages > 0).then_some(unread),
            ..Self::default()
        }
    }

    /// Takes a message; the caller keeps it if the journal cannot give it back.
    pub(super) fn add(&mut self, due_ms: u64, stored: Stored, message: &Parts<'_>) -> u64 {
        self.last_seq += 1;
        self.count += 1;
        self.spilled |= stored == Stored::Transient;
        self.waiting.insert(Waiting::new(due_ms, self.last_seq, stored, message));
        self.last_seq
    }

    pub(super) fn keep(&mut self, seq: u64, message: Message) {
        self.kept.insert(seq, message);
    }

    /// When there is something to do.
    pub(super) fn wants_turn_ms(&self) -> Option<u64> {
        let is_at_hand = !self.ready.is_empty() || self.gathering.is_some() || self.unread.is_some();
        if is_at_hand { Some(0) } else { self.waiting.first_due_ms() }
    }

    /// Whether what a restart found is not known yet.
    pub(super) fn is_reading_back(&self) -> bool {
        self.unread.is_some()
    }

    /// What is to be done next at `now_ms`. `bytes_max` of messages are in memory for it.
    pub(super) fn next_step(&mut self, now_ms: u64, bytes_max: u64) -> Step {
        if self.ready.is_empty() && self.gathering.is_none() {
            let is_due = self.waiting.first_due_ms().is_some_and(|due_ms| due_ms <= now_ms);
            // What is due does not wait until all is read back, nor the other way around.
            let unread = self.unread.filter(|_| !is_due || !self.read_unread);
            if let Some(Unread { range, .. }) = unread {
                self.read_unread = true;
                return Step::Read(range);
            }
            self.read_unread = false;
            self.gather(now_ms, bytes_max);
        }
        if let Some(gathering) = &mut self.gathering {
            if let Some(range) = gathering.runs.front() {
                return Step::Read(*range);
            }
            gathering.found.sort_unstable_by_key(|due| due.waiting);
            self.ready = std::mem::take(&mut gathering.found).into();
            self.gathering = None;
        }
        if self.ready.is_empty() {
            if self.wants_turn_ms().is_some_and(|at_ms| at_ms <= now_ms) {
                // A page told that all of it is gone: on to the next.
                return self.next_step(now_ms, bytes_max);
            }
            self.give_back_room();
            return Step::Rest;
        }
        let count = self.ready.len().min(MESSAGES_A_HOLD_MAX);
        Step::Publish(self.ready.drain(..count).collect())
    }

    /// What many needed that were due at once is not kept for the next.
    fn give_back_room(&mut self) {
        self.ready = VecDeque::new();
        if self.kept.is_empty() {
            self.kept = HashMap::new();
        }
    }

    /// Takes the first that are due, as many as may be in memory.
    fn gather(&mut self, now_ms: u64, bytes_max: u64) {
        let mut gathering = Gathering { wanted: VecDeque::new(), runs: VecDeque::new(), found: Vec::new() };
        let (mut count, mut bytes) = (0, 0u64);
        while count < PAGE_MESSAGES_MAX && bytes < bytes_max {
            let Some(waiting) = self.waiting.pop_due(now_ms) else { break };
            count += 1;
            bytes = bytes.saturating_add(waiting.resident_bytes());
            match self.kept.remove(&waiting.seq()) {
                Some(message) => gathering.found.push(Due { waiting, message }),
                None => gathering.wanted.push_back(waiting),
            }
        }
        if count == 0 {
            return;
        }
        gathering.wanted.make_contiguous().sort_unstable_by_key(|waiting| waiting.seq());
        for seq in gathering.wanted.iter().map(|waiting| waiting.seq()) {
            match gathering.runs.back_mut().filter(|run| seq - run.last <= DELAY_GAP_MAX) {
                Some(run) => run.last = seq,
                None => gathering.runs.push_back(SeqRange { first: seq, last: seq }),
            }
        }
        self.gathering = Some(gathering);
    }

    /// Whether the page that is on its way has messages that are due.
    pub(super) fn is_gathering(&self) -> bool {
        self.gathering.is_some()
    }

    /// Takes a page of messages that are due.
    pub(super) fn take_gathered(&mut self, page: Page) {
        if let Some(gathering) = &mut self.gathering {
            let gone = gathering.take(page);
            self.count = self.count.saturating_sub(gone);
        }
    }

    /// Takes a page of what a restart found, which ended before `next`: what is due goes on at once, while it is in memory.
    pub(super) fn take_unread(&mut self, found: Vec<Due>, next: u64, now_ms: u64) {
        let Some(unread) = &mut self.unread else { return };
        unread.range.first = next;
        unread.count = unread.count.saturating_sub(found.len() as u64);
        if next > unread.range.last {
            // What was counted and did not come is damaged.
            self.count = self.count.saturating_sub(unread.count);
            self.unread = None;
        }
        let (mut due, later): (Vec<Due>, Vec<Due>) = found.into_iter().partition(|due| due.waiting.due_ms() <= now_ms);
        later.iter().for_each(|later| self.waiting.insert(later.waiting));
        due.sort_unstable_by_key(|due| due.waiting);
        self.ready.extend(due);
    }

    /// These are no longer here.
    pub(super) fn released(&mut self, count: usize) {
        self.count = self.count.saturating_sub(count as u64);
    }

    /// Takes out one that is not yet on its way.
    pub(super) fn remove(&mut self, waiting: Waiting) -> bool {
        let is_there = self.waiting.remove(waiting);
        if is_there {
            self.kept.remove(&waiting.seq());
            self.count -= 1;
        }
        is_there
    }

    /// Drops everything. What is left is to be freed without the lock.
    pub(super) fn close(&mut self) -> Self {
        let (armed_ms, busy, spilled) = (self.armed_ms, self.busy, self.spilled);
        std::mem::replace(self, Self { armed_ms, busy, spilled, deleted: true, ..Self::default() })
    }
}

impl Gathering {
    /// Takes the next page; says how many of those wanted are gone.
    fn take(&mut self, page: Page) -> u64 {
        let mut gone = 0;
        for loaded in page.messages {
            gone += self.skip_to(loaded.seq);
            if let Some(waiting) = self.wanted.pop_front_if(|waiting| waiting.seq() == loaded.seq) {
                self.found.push(Due { waiting, message: loaded.message });
            }
        }
        gone += self.skip_to(page.next);
        if let Some(run) = self.runs.front_mut() {
            run.first = page.next;
            if run.first > run.last {
                self.runs.pop_front();
            }
        }
        gone
    }

    /// Those wanted before `seq` did not come: they are damaged.
    fn skip_to(&mut self, seq: u64) -> u64 {
        let mut gone = 0;
        while self.wanted.pop_front_if(|waiting| waiting.seq() < seq).is_some() {
            gone += 1;
        }
        gone
    }
}

impl From<Loaded> for Due {
    /// A message that was read back, and when it is due. What has lost its delay is due.
    fn from(loaded: Loaded) -> Self {
        let parts = loaded.message.parts();
        let due_ms = loaded.arrived_ms.saturating_add(delay_of(&parts).into());
        let waiting = Waiting::new(due_ms, loaded.seq, loaded.stored(), &parts);
        Self { waiting, message: loaded.message }
    }
}
