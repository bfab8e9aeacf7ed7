//! Ready messages by priority: strictly the highest first, and in order of position within a level.
//!
//! A queue with `x-max-priority` has its levels from the beginning. A quorum queue has 32 of them, but most use one: it gets the
//! others when the first message comes that is of another level.
//!
//! Each level is a [`ReadyList`] with its own paging. What a restart finds is not sorted: the levels of these messages are known
//! when they were read. Until then only the highest level is served, and new messages join the unsorted ones, so that all are in
//! order. A quorum queue serves them as if they were of the default level, and finds the others as it reads; meanwhile new
//! messages of lower levels, whose turn comes later anyway, join them as well.

use leveret_codec::properties::PropertiesRef;

use crate::journal::{Loaded, SeqRange};
use crate::limits::RESIDENT_MESSAGES_MIN;
use crate::message::{Message, NEVER_MS, Parts};
use crate::queue::arguments::{QueueArguments, QueueType};
use crate::queue::journaling::Settling;
use crate::queue::paged::Paged;
use crate::queue::ready::{Entry, ReadyList, Stored};

/// The priority of a quorum queue's message that has none.
const QUORUM_DEFAULT: u8 = 4;

/// The highest priority that a quorum queue tells from others.
const QUORUM_MAX: u8 = 31;

/// Which levels a queue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    max: u8,
    /// Of messages without a priority.
    default: u8,
    /// There is one level until a message is of another.
    when_seen: bool,
}

/// The ready messages of a queue.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a queue has one of them, and most have the large one")]
pub(super) enum Ready {
    One(ReadyList),
    Levels(Box<Levels>),
}

/// Lists by priority.
#[derive(Debug)]
pub(super) struct Levels {
    scale: Scale,
    /// The lowest first.
    lists: Vec<ReadyList>,
    /// Messages of unknown levels.
    unsorted: Paged,
    /// What is not in memory of the default level, up to this position, may be of any level.
    mixed_to: u64,
}

/// Of what a page is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shelf {
    /// The only list.
    #[default]
    One,
    /// The list of a level.
    Level(u8),
    /// What a restart found.
    Unsorted,
}

impl Scale {
    /// Of a queue with these arguments; none where priorities mean nothing.
    pub(super) fn of(arguments: &QueueArguments) -> Option<Self> {
        match (arguments.queue_type, arguments.max_priority) {
            (QueueType::Quorum, _) => Some(Self { max: QUORUM_MAX, default: QUORUM_DEFAULT, when_seen: true }),
            (QueueType::Classic, Some(max)) if max > 0 => Some(Self { max, default: 0, when_seen: false }),
            _ => None,
        }
    }

    /// The level of a message.
    fn level(&self, parts: &Parts<'_>) -> u8 {
        let priority = PropertiesRef::from_checked(parts.properties).priority();
        priority.map_or(self.default, |priority| priority.min(self.max))
    }

    /// Whether a message is of another level than those without a priority.
    pub(super) fn is_other(&self, parts: &Parts<'_>) -> bool {
        self.level(parts) != self.default
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self::One(ReadyList::default())
    }
}

impl Ready {
    /// An empty list or lists.
    pub(super) fn new(scale: Option<Scale>) -> Self {
        match scale {
            Some(scale) if !scale.when_seen => Self::Levels(Box::new(Levels::new(scale))),
            _ => Self::default(),
        }
    }

    /// There are messages of several levels from now on. What is not in memory up to `restored_to` may be of any of them.
    #[cold]
    pub(super) fn split(&mut self, scale: Scale, restored_to: u64) {
        if let Self::One(list) = self {
            let mut levels = Levels::new(scale);
            let mut list = std::mem::take(list);
            list.be_sparse();
            levels.mixed_to = restored_to;
            if let Some(default) = levels.lists.get_mut(usize::from(scale.default)) {
                *default = list;
            }
            *self = Self::Levels(Box::new(levels));
        }
    }

    /// Whether messages may come out in another order than that of their positions.
    pub(super) fn has_levels(&self) -> bool {
        matches!(self, Self::Levels(_))
    }

    /// All that is ready, in memory or not.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(list) => list.len(),
            Self::Levels(levels) => levels.len(),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::One(list) => list.is_empty(),
            Self::Levels(levels) => levels.is_empty(),
        }
    }

    /// Bytes of all bodies.
    #[inline]
    pub(super) fn body_bytes(&self) -> u64 {
        match self {
            Self::One(list) => list.body_bytes(),
            Self::Levels(levels) => levels.body_bytes(),
        }
    }

    /// What the messages in memory take of the memory budget.
    #[inline]
    pub(super) fn resident_bytes(&self) -> u64 {
        match self {
            Self::One(list) => list.resident_bytes(),
            Self::Levels(levels) => levels.resident_bytes(),
        }
    }

    /// Whether the first message is not in memory, or there is none.
    #[inline]
    pub(super) fn is_front_empty(&self) -> bool {
        match self {
            Self::One(list) => list.is_front_empty(),
            Self::Levels(levels) => levels.first().is_none(),
        }
    }

    /// Whether some messages are not in memory.
    #[inline]
    pub(super) fn has_paged(&self) -> bool {
        match self {
            Self::One(list) => !list.paged().is_empty(),
            Self::Levels(levels) => levels.has_paged(),
        }
    }

    /// Puts a message that was delivered to its place.
    pub(super) fn put_back(&mut self, entry: Entry) {
        match self {
            Self::One(list) => list.put_back(entry),
            Self::Levels(levels) => levels.of(&entry.message).put_back(entry),
        }
    }

    /// Adds what a restart found to an empty list.
    pub(super) fn push_restored(&mut self, range: SeqRange, count: usize, bytes: u64) {
        match self {
            Self::One(list) => list.push_restored(range, count, bytes),
            Self::Levels(levels) => levels.unsorted.push_restored(range, count, bytes),
        }
    }

    /// The first message, if it is in memory.
    #[inline]
    pub(super) fn first(&self) -> Option<&Entry> {
        match self {
            Self::One(list) => list.first(),
            Self::Levels(levels) => levels.first(),
        }
    }

    /// Takes the first message, if it is in memory.
    #[inline]
    pub(super) fn pop_first(&mut self) -> Option<Entry> {
        match self {
            Self::One(list) => list.pop_first(),
            Self::Levels(levels) => levels.pop_first(),
        }
    }

    /// When the first message expires, as far as it is known; of each level the first.
    pub(super) fn next_expiry_ms(&self) -> u64 {
        match self {
            Self::One(list) => list.next_expiry_ms(),
            Self::Levels(levels) => levels.lists.iter().map(ReadyList::next_expiry_ms).min().unwrap_or(NEVER_MS),
        }
    }

    /// Takes the first message, if it is in memory and has expired; the first of any level.
    pub(super) fn pop_expired(&mut self, now_ms: u64) -> Option<Entry> {
        match self {
            Self::One(list) => list.pop_expired(now_ms),
            Self::Levels(levels) => levels.lists.iter_mut().rev().find_map(|list| list.pop_expired(now_ms)),
        }
    }

    /// Takes what is in memory and has expired, at most so many. Says when the next of the others expires.
    pub(super) fn take_expired(&mut self, now_ms: u64, expired: &mut Vec<Entry>, max: usize) -> u64 {
        match self {
            Self::One(list) => list.take_expired(now_ms, expired, max),
            Self::Levels(levels) => {
                let lists = levels.lists.iter_mut();
                lists.map(|list| list.take_expired(now_ms, expired, max)).min().unwrap_or(NEVER_MS)
            }
        }
    }

    /// Adds the first messages in memory of each level from position `from` on, at most so many, to `found`.
    pub(super) fn browse(&self, from: u64, max: usize, found: &mut Vec<Entry>) {
        match self {
            Self::One(list) => list.browse(from, max, found),
            Self::Levels(levels) => levels.lists.iter().for_each(|list| list.browse(from, max, found)),
        }
    }

    /// Whether the message at `seq` is one of these, if there is any.
    pub(super) fn holds(&self, seq: u64) -> bool {
        match self {
            Self::One(list) => list.holds(seq),
            Self::Levels(levels) => levels.unsorted.holds(seq) || levels.lists.iter().any(|list| list.holds(seq)),
        }
    }

    /// Takes out the messages at `seqs`, which is in order, as far as they are in memory.
    pub(super) fn remove(&mut self, seqs: &[u64]) -> Vec<Entry> {
        match self {
            Self::One(list) => list.remove(seqs),
            Self::Levels(levels) => levels.lists.iter_mut().flat_map(|list| list.remove(seqs)).collect(),
        }
    }

    /// Takes out one message that is not in memory, wherever it is; false when it is none of these.
    pub(super) fn remove_paged(&mut self, seq: u64, bytes: u64, stored: Stored) -> bool {
        match self {
            Self::One(list) => list.remove_paged(seq, bytes, stored),
            Self::Levels(levels) => {
                levels.unsorted.remove(seq, bytes, stored)
                    || levels.lists.iter_mut().any(|list| list.remove_paged(seq, bytes, stored))
            }
        }
    }

    /// Puts a message that was taken out to its place again. Where messages are not sorted yet, it is served before its turn.
    pub(super) fn put_in_place(&mut self, entry: Entry, loading: bool) {
        match self {
            Self::One(list) => list.put_in_place(entry, loading),
            Self::Levels(levels) => {
                let loading = loading || !levels.unsorted.is_empty();
                levels.of(&entry.message).put_in_place(entry, loading);
            }
        }
    }

    /// How many are in memory.
    pub(super) fn resident_len(&self) -> usize {
        match self {
            Self::One(list) => list.front_len() + list.recent_len(),
            Self::Levels(levels) => levels.lists.iter().map(|list| list.front_len() + list.recent_len()).sum(),
        }
    }

    /// Drops everything; what the journal has to know of it goes into `settling`.
    pub(super) fn clear(&mut self, settling: &mut Settling) {
        match self {
            Self::One(list) => list.clear(settling),
            Self::Levels(levels) => {
                levels.lists.iter_mut().for_each(|list| list.clear(settling));
                levels.unsorted.clear(settling);
            }
        }
    }

    /// Adds a message that was read, unless it was dropped meanwhile. Where it is to stay out of memory, only its level is noted.
    pub(super) fn push_loaded(&mut self, shelf: Shelf, loaded: Loaded, expires_ms: u64, stays: bool) {
        match self {
            Self::One(list) => list.push_loaded(loaded, expires_ms),
            Self::Levels(levels) => levels.push_loaded(shelf, loaded, expires_ms, stays),
        }
    }

    /// What is not in memory before `seq`, where a page ended, is gone.
    pub(super) fn skip_to(&mut self, shelf: Shelf, seq: u64) {
        match self {
            Self::One(list) => list.skip_to(seq),
            Self::Levels(levels) => match levels.shelf(shelf) {
                Some(list) => list.skip_to(seq),
                None => levels.unsorted.skip_to(seq),
            },
        }
    }
}

impl Levels {
    fn new(scale: Scale) -> Self {
        let list = || {
            let mut list = ReadyList::default();
            list.be_sparse();
            list
        };
        let lists = (0..=scale.max).map(|_| list()).collect();
        Self { scale, lists, unsorted: Paged::default(), mixed_to: 0 }
    }

    /// The list for a message.
    fn of(&mut self, message: &Message) -> &mut ReadyList {
        let level = self.scale.level(&message.parts());
        self.at(level)
    }

    fn at(&mut self, level: u8) -> &mut ReadyList {
        let last = self.lists.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "there is always a list, and the last is the highest level")]
        &mut self.lists[usize::from(level).min(last)]
    }

    /// The level of a message.
    pub(super) fn level(&self, parts: &Parts<'_>) -> u8 {
        self.scale.level(parts)
    }

    /// Whether a new message of `level` is kept in memory.
    pub(super) fn keeps(&self, level: u8, scarce: bool) -> bool {
        let has_room = |list: &ReadyList| !scarce || list.front_len() < RESIDENT_MESSAGES_MIN;
        let list = self.lists.get(usize::from(level));
        self.unsorted.is_empty()
            && list.is_some_and(|list| list.paged().is_empty() && has_room(list))
            && !self.joins_mixed(level)
    }

    /// Whether a new message of `level` comes after some of its level that have not been found yet.
    fn joins_mixed(&self, level: u8) -> bool {
        let mixed = self.lists.get(usize::from(self.scale.default)).and_then(|list| list.paged().range());
        level < self.scale.default && mixed.is_some_and(|mixed| mixed.first <= self.mixed_to)
    }

    /// Adds a new message in memory.
    pub(super) fn push_back(&mut self, level: u8, entry: Entry) {
        self.at(level).push_back(entry);
    }

    /// Adds a new message that is not in memory.
    pub(super) fn push_paged(&mut self, level: u8, seq: u64, bytes: u64, stored: Stored) {
        if !self.unsorted.is_empty() {
            self.unsorted.push(seq, bytes, stored);
        } else if self.joins_mixed(level) {
            self.mixed_to = seq;
            self.at(self.scale.default).push_paged(seq, bytes, stored);
        } else {
            self.at(level).push_paged(seq, bytes, stored);
        }
    }

    #[cold]
    fn len(&self) -> usize {
        self.lists.iter().map(ReadyList::len).sum::<usize>() + self.unsorted.len()
    }

    #[cold]
    fn is_empty(&self) -> bool {
        self.unsorted.is_empty() && self.lists.iter().all(ReadyList::is_empty)
    }

    #[cold]
    fn body_bytes(&self) -> u64 {
        self.lists.iter().map(ReadyList::body_bytes).sum::<u64>() + self.unsorted.body_bytes()
    }

    #[cold]
    fn resident_bytes(&self) -> u64 {
        self.lists.iter().map(ReadyList::resident_bytes).sum()
    }

    #[cold]
    fn has_paged(&self) -> bool {
        !self.unsorted.is_empty() || self.lists.iter().any(|list| !list.paged().is_empty())
    }

    #[cold]
    fn first(&self) -> Option<&Entry> {
        self.first_list()?.first()
    }

    #[cold]
    fn pop_first(&mut self) -> Option<Entry> {
        let place = self.first_place()?;
        self.lists.get_mut(place)?.pop_first()
    }

    /// Where the first message is, if it can be known.
    fn first_place(&self) -> Option<usize> {
        let place = self.lists.iter().rposition(|list| !list.is_empty())?;
        (self.unsorted.is_empty() || place + 1 == self.lists.len()).then_some(place)
    }

    fn first_list(&self) -> Option<&ReadyList> {
        self.lists.get(self.first_place()?)
    }

    /// The list of a shelf, if it is one.
    fn shelf(&mut self, shelf: Shelf) -> Option<&mut ReadyList> {
        match shelf {
            // It was the only list when the page was asked for.
            Shelf::One => Some(self.at(self.scale.default)),
            Shelf::Level(level) => Some(self.at(level)),
            Shelf::Unsorted => None,
        }
    }

    fn push_loaded(&mut self, shelf: Shelf, loaded: Loaded, expires_ms: u64, stays: bool) {
        let level = self.scale.level(&loaded.message.parts());
        let from = match shelf {
            Shelf::One => Some(self.scale.default),
            Shelf::Level(level) => Some(level),
            Shelf::Unsorted => None,
        };
        // Its neighbours of other levels may be gone long before it: it does not keep them in memory.
        let alone = |loaded: Loaded| Loaded { message: loaded.message.alone(), ..loaded };
        let is_there = match from {
            Some(from) if from == level => return self.at(level).push_loaded(alone(loaded), expires_ms),
            // Nobody knew of its priority before a restart.
            Some(from) => self.at(from).take_loaded(&loaded),
            None => self.unsorted.take(&loaded),
        };
        if !is_there {
            return;
        }
        let list = self.at(level);
        if !list.lies_before(loaded.seq) {
            list.put_back(alone(loaded).into_entry(expires_ms));
        } else if stays && list.paged().is_empty() {
            list.push_back(alone(loaded).into_entry(expires_ms));
        } else {
            list.push_paged(loaded.seq, loaded.message.body_len(), loaded.stored());
        }
    }

    /// The next messages to read, and how many of their level are in memory. Where `expiring`, the first message of every level
    /// is wanted.
    pub(super) fn to_read(&self, expiring: bool) -> Option<(Shelf, SeqRange, usize)> {
        if let Some(range) = self.unsorted.range() {
            return Some((Shelf::Unsorted, range, 0));
        }
        let at = |place: usize| {
            let list = self.lists.get(place)?;
            let range = list.paged().first_run()?;
            Some((Shelf::Level(u8::try_from(place).unwrap_or(u8::MAX)), range, list.front_len()))
        };
        let first = self.first_place().and_then(at);
        let later = || {
            let is_unread = |list: &ReadyList| list.is_front_empty() && !list.paged().is_empty();
            self.lists.iter().rposition(is_unread).and_then(at)
        };
        match first {
            Some((_, _, 0)) => first,
            _ if expiring => later().or(first),
            _ => first,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// A message with a priority, as a part of a page.
    fn loaded(seq: u64, priority: u8) -> Loaded {
        let page = Bytes::from([&[0, 1, 3, 0, 0, 0][..], b"q", &[0x08, 0, priority], b"x", &[0; 64]].concat());
        let message = Message::part_of(page.slice(..11)).unwrap();
        assert!(message.is_part());
        Loaded { seq, deliveries: 0, transient: false, arrived_ms: 0, message }
    }

    fn classic() -> Option<Scale> {
        Some(Scale { max: 9, default: 0, when_seen: false })
    }

    #[test]
    fn a_message_of_a_level_keeps_no_page_in_memory() {
        let mut ready = Ready::new(classic());
        ready.push_restored(SeqRange { first: 1, last: 3 }, 3, 3);
        for (seq, priority) in [(1, 0), (2, 5)] {
            ready.push_loaded(Shelf::Unsorted, loaded(seq, priority), NEVER_MS, true);
        }
        // What was sorted without room for it is read again.
        ready.push_loaded(Shelf::Unsorted, loaded(3, 7), NEVER_MS, false);
        ready.push_loaded(Shelf::Level(7), loaded(3, 7), NEVER_MS, true);
        let mut order = Vec::new();
        while let Some(entry) = ready.pop_first() {
            assert!(!entry.message.is_part(), "{}", entry.seq);
            order.push(entry.seq);
        }
        assert_eq!(order, [3, 2, 1]);
    }
}
