//! Messages that wait in a queue, in order of position.

use std::collections::{BTreeMap, VecDeque};

use crate::journal::{Loaded, SeqRange};
use crate::limits::{ENTRY_BYTES, PAGE_MESSAGES_MAX};
use crate::message::{Message, NEVER_MS};
use crate::queue::journaling::Settling;
use crate::queue::paged::Paged;

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its position: rises with each message the queue takes.
    pub seq: u64,
    /// How often it was delivered before.
    pub deliveries: u32,
    /// Whether the journal has it.
    pub stored: Stored,
    /// When it expires: milliseconds since 1970; [`NEVER_MS`] for never.
    pub expires_ms: u64,
    /// The message.
    pub message: Message,
}

/// Whether the journal has a message of a queue, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stored {
    /// It is in memory only.
    #[default]
    No,
    /// It survives a restart.
    Persistent,
    /// It left memory for want of room, and is gone after a restart.
    Transient,
}

impl Stored {
    /// How the journal has a message that leaves memory.
    pub(super) fn out_of_memory(self) -> Self {
        if self == Self::No { Self::Transient } else { self }
    }
}

impl Loaded {
    /// The message came out of the journal.
    pub(crate) fn stored(&self) -> Stored {
        if self.transient { Stored::Transient } else { Stored::Persistent }
    }

    pub(super) fn into_entry(self, expires_ms: u64) -> Entry {
        let stored = self.stored();
        let Self { seq, deliveries, message, .. } = self;
        Entry { seq, deliveries, stored, expires_ms, message }
    }

    /// When it expires in a queue whose messages may live for `ttl_ms`.
    pub(super) fn expires_ms(&self, ttl_ms: u64) -> u64 {
        match ttl_ms.min(self.message.parts().expiration_ms()) {
            NEVER_MS => NEVER_MS,
            life_ms => self.arrived_ms.saturating_add(life_ms),
        }
    }
}

impl Entry {
    /// What it takes of the memory budget.
    fn resident_bytes(&self) -> u64 {
        self.message.resident_bytes() + ENTRY_BYTES
    }
}

/// Ready messages. What was delivered and came back always lies before what was never delivered, and that before what is not
/// in memory, so that plain structures keep the order.
///
/// ```text
/// returned  fresh  |  paged  |  recent  |  paged_last
/// in memory        |  not    |  again   |  not
/// ```
/// `recent` came while what was left of `paged` was being read. When it is empty, what is behind it is paged as well; when `paged`
/// is empty, the others move up.
#[derive(Debug, Default)]
pub(super) struct ReadyList {
    returned: BTreeMap<u64, Entry>,
    fresh: VecDeque<Entry>,
    paged: Paged,
    /// Empty unless something is paged.
    recent: VecDeque<Entry>,
    /// Empty unless `recent` is not.
    paged_last: Paged,
    /// What `recent` takes of the memory budget.
    recent_bytes: u64,
    /// Bytes of the bodies in memory.
    body_bytes: u64,
    /// What the messages in memory take of the memory budget.
    resident_bytes: u64,
}

impl ReadyList {
    /// All that is ready, in memory or not.
    pub(super) fn len(&self) -> usize {
        self.front_len() + self.paged.len() + self.recent.len() + self.paged_last.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.is_front_empty() && self.paged.is_empty()
    }

    /// Bytes of all bodies.
    pub(super) fn body_bytes(&self) -> u64 {
        self.body_bytes + self.paged.body_bytes() + self.paged_last.body_bytes()
    }

    /// Messages in memory that nothing has to be read for.
    pub(super) fn front_len(&self) -> usize {
        self.returned.len() + self.fresh.len()
    }

    /// Whether the first message is not in memory, or there is none.
    pub(super) fn is_front_empty(&self) -> bool {
        self.fresh.is_empty() && self.returned.is_empty()
    }

    /// What the messages in memory take of the memory budget.
    pub(super) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    /// The first messages that are not in memory; empty when all are.
    pub(super) fn paged(&self) -> &Paged {
        &self.paged
    }

    /// Whether a new message has to be paged to stay behind others.
    pub(super) fn has_paged_last(&self) -> bool {
        !self.paged_last.is_empty()
    }

    /// Messages in memory behind those that are not.
    pub(super) fn recent_len(&self) -> usize {
        self.recent.len()
    }

    /// What they take of the memory budget.
    pub(super) fn recent_bytes(&self) -> u64 {
        self.recent_bytes
    }

    /// Adds a message in memory after all others; not while [`ReadyList::has_paged_last`].
    #[inline(always)]
    pub(super) fn push_back(&mut self, entry: Entry) {
        self.count_in(&entry);
        if self.paged.is_empty() {
            self.fresh.push_back(entry);
        } else {
            self.recent_bytes += entry.resident_bytes();
            self.recent.push_back(entry);
        }
    }

    pub(super) fn put_back(&mut self, entry: Entry) {
        self.count_in(&entry);
        self.returned.insert(entry.seq, entry);
    }

    /// Adds a message that is not in memory after all others.
    pub(super) fn push_paged(&mut self, seq: u64, bytes: u64, stored: Stored) {
        let paged = if self.recent.is_empty() { &mut self.paged } else { &mut self.paged_last };
        paged.push(seq, bytes, stored);
    }

    /// Adds what a restart found to an empty list.
    pub(super) fn push_restored(&mut self, range: SeqRange, count: usize, bytes: u64) {
        self.paged.push_restored(range, count, bytes);
    }

    /// Adds a message that was read, unless it was dropped meanwhile.
    pub(super) fn push_loaded(&mut self, loaded: Loaded, expires_ms: u64) {
        if self.paged.take(&loaded) {
            let entry = loaded.into_entry(expires_ms);
            self.count_in(&entry);
            self.fresh.push_back(entry);
        }
        self.join();
    }

    /// Takes a message that was read out of those that are not in memory; false when it was dropped meanwhile.
    pub(super) fn take_loaded(&mut self, loaded: &Loaded) -> bool {
        let is_there = self.paged.take(loaded);
        self.join();
        is_there
    }

    /// Whether all of it lies before `seq`.
    pub(super) fn lies_before(&self, seq: u64) -> bool {
        let returned = self.returned.last_key_value().map(|(_, entry)| entry);
        let in_memory = [returned, self.fresh.back(), self.recent.back()];
        let paged = [self.paged.range(), self.paged_last.range()];
        in_memory.into_iter().flatten().all(|entry| entry.seq < seq)
            && paged.into_iter().flatten().all(|range| range.last < seq)
    }

    /// Messages between its own will not be its own.
    pub(super) fn be_sparse(&mut self) {
        self.paged.be_sparse();
        self.paged_last.be_sparse();
    }

    /// What is paged before `seq`, where a page ended, is gone.
    pub(super) fn skip_to(&mut self, seq: u64) {
        self.paged.skip_to(seq);
        self.join();
    }

    /// Lets the others move up when nothing separates what is in memory any more, or what is not.
    fn join(&mut self) {
        if self.recent.is_empty() && !self.paged_last.is_empty() {
            self.paged.append(&mut self.paged_last);
        }
        if self.paged.is_empty() && !self.recent.is_empty() {
            self.fresh.append(&mut std::mem::take(&mut self.recent));
            self.recent_bytes = 0;
            self.paged = self.paged_last.split_off();
        }
    }

    /// The first message, if it is in memory.
    pub(super) fn first(&self) -> Option<&Entry> {
        self.returned.first_key_value().map(|(_, entry)| entry).or_else(|| self.fresh.front())
    }

    /// When the first message expires, as far as it is known.
    pub(super) fn next_expiry_ms(&self) -> u64 {
        self.first().map_or(NEVER_MS, |first| first.expires_ms)
    }

    /// Takes the first message, if it is in memory and has expired.
    pub(super) fn pop_expired(&mut self, now_ms: u64) -> Option<Entry> {
        if self.first()?.expires_ms > now_ms {
            return None;
        }
        self.pop_first()
    }

    /// Takes what is in memory and has expired, until `expired` holds so many. Says when the next of the others expires.
    pub(super) fn take_expired(&mut self, now_ms: u64, expired: &mut Vec<Entry>, max: usize) -> u64 {
        let mut next_ms = NEVER_MS;
        let before = expired.len();
        let mut stays = |entry: &Entry, taken: usize| {
            let stays = entry.expires_ms > now_ms || taken >= max;
            if stays {
                next_ms = next_ms.min(entry.expires_ms);
            }
            stays
        };
        let mut sort = |entry: Entry| {
            if stays(&entry, expired.len()) {
                return Some(entry);
            }
            expired.push(entry);
            None
        };
        self.returned =
            std::mem::take(&mut self.returned).into_values().filter_map(&mut sort).map(|e| (e.seq, e)).collect();
        self.fresh = std::mem::take(&mut self.fresh).into_iter().filter_map(&mut sort).collect();
        self.recent = std::mem::take(&mut self.recent).into_iter().filter_map(&mut sort).collect();
        self.recent_bytes = self.recent.iter().map(Entry::resident_bytes).sum();
        self.join();
        for entry in expired.get(before..).unwrap_or_default() {
            self.count_out(entry);
        }
        next_ms
    }

    /// Takes the first message, if it is in memory.
    pub(super) fn pop_first(&mut self) -> Option<Entry> {
        let entry = match self.returned.pop_first() {
            Some((_, entry)) => entry,
            None => self.fresh.pop_front()?,
        };
        self.count_out(&entry);
        self.give_back_room();
        Some(entry)
    }

    /// A backlog that was worked off gives its memory back, and one that is read page by page does not keep the room it once
    /// had.
    fn give_back_room(&mut self) {
        let capacity = self.fresh.capacity();
        if capacity <= KEPT_CAPACITY {
            return;
        }
        if self.fresh.is_empty() {
            self.fresh = VecDeque::new();
        } else if capacity > 4 * PAGE_MESSAGES_MAX && self.fresh.len() < capacity / 8 {
            self.fresh.shrink_to(capacity / 4);
        }
    }

    /// Adds the first messages in memory from position `from` on, at most so many, to `found`.
    pub(super) fn browse(&self, from: u64, max: usize, found: &mut Vec<Entry>) {
        found.extend(self.returned.range(from..).map(|(_, entry)| entry).take(max).cloned());
        for list in [&self.fresh, &self.recent] {
            let first = list.partition_point(|entry| entry.seq < from);
            found.extend(list.range(first..).take(max).cloned());
        }
    }

    /// Whether the message at `seq` is one of these, if there is any.
    pub(super) fn holds(&self, seq: u64) -> bool {
        self.returned.contains_key(&seq)
            || [&self.fresh, &self.recent].into_iter().any(|list| place_of(list, seq).is_ok())
            || self.paged.holds(seq)
            || self.paged_last.holds(seq)
    }

    /// Takes out the messages at `seqs`, which is in order, as far as they are in memory.
    pub(super) fn remove(&mut self, seqs: &[u64]) -> Vec<Entry> {
        let mut removed: Vec<Entry> = seqs.iter().filter_map(|seq| self.returned.remove(seq)).collect();
        remove_from(&mut self.fresh, seqs, &mut removed);
        let before = removed.len();
        remove_from(&mut self.recent, seqs, &mut removed);
        self.recent_bytes -= removed.iter().skip(before).map(Entry::resident_bytes).sum::<u64>();
        self.join();
        for entry in &removed {
            self.count_out(entry);
        }
        self.give_back_room();
        removed
    }

    /// Takes out one message that is not in memory, wherever it is; false when it is none of these.
    pub(super) fn remove_paged(&mut self, seq: u64, bytes: u64, stored: Stored) -> bool {
        let is_removed = self.paged.remove(seq, bytes, stored) || self.paged_last.remove(seq, bytes, stored);
        self.join();
        is_removed
    }

    /// Puts a message that was taken out to its place again. One that belongs among those that are not in memory is served before
    /// its turn while a page is being read: nobody knows whether the page has it.
    pub(super) fn put_in_place(&mut self, entry: Entry, loading: bool) {
        let (seq, bytes, stored) = (entry.seq, entry.message.body_len(), entry.stored);
        let can_be_paged = !loading && stored != Stored::No;
        match self.paged.range() {
            Some(paged) if seq > paged.last && !self.recent.is_empty() => {
                let is_last = self.recent.back().is_some_and(|last| last.seq < seq) && self.has_paged_last();
                match is_last {
                    true if can_be_paged => self.paged_last.insert(seq, bytes, stored),
                    true => self.put_back(entry),
                    false => {
                        self.count_in(&entry);
                        self.recent_bytes += entry.resident_bytes();
                        insert_in_order(&mut self.recent, entry);
                    }
                }
            }
            Some(paged) if seq > paged.first => match can_be_paged {
                true => self.paged.insert(seq, bytes, stored),
                false => self.put_back(entry),
            },
            // Who came back may lie behind it.
            _ if self.fresh.front().is_none_or(|first| first.seq > seq) => self.put_back(entry),
            _ => {
                self.count_in(&entry);
                insert_in_order(&mut self.fresh, entry);
            }
        }
    }

    /// Drops everything; what the journal has to know of it goes into `settling`.
    pub(super) fn clear(&mut self, settling: &mut Settling) {
        let ReadyList { returned, fresh, mut paged, recent, mut paged_last, .. } = std::mem::take(self);
        let mut add = |entry: Entry| settling.add(entry.seq, entry.message.body_len(), entry.stored);
        returned.into_values().chain(fresh).for_each(&mut add);
        recent.into_iter().for_each(add);
        paged.clear(settling);
        paged_last.clear(settling);
    }

    fn count_in(&mut self, entry: &Entry) {
        self.body_bytes += entry.message.body_len();
        self.resident_bytes += entry.resident_bytes();
    }

    fn count_out(&mut self, entry: &Entry) {
        self.body_bytes -= entry.message.body_len();
        self.resident_bytes -= entry.resident_bytes();
    }
}

/// Where the message at `seq` is in a list in order, or would be.
fn place_of(list: &VecDeque<Entry>, seq: u64) -> Result<usize, usize> {
    list.binary_search_by_key(&seq, |entry| entry.seq)
}

/// Takes the messages at `seqs` out of a list, one by one, or in one go where that is less work.
fn remove_from(list: &mut VecDeque<Entry>, seqs: &[u64], removed: &mut Vec<Entry>) {
    let places: Vec<usize> = seqs.iter().filter_map(|seq| place_of(list, *seq).ok()).collect();
    let one_by_one: usize = places.iter().map(|place| (*place).min(list.len() - place)).sum();
    if one_by_one <= list.len() {
        let found = places.into_iter().enumerate();
        removed.extend(found.filter_map(|(before, place)| list.remove(place - before)));
        return;
    }
    let mut kept = VecDeque::with_capacity(list.len());
    for entry in list.drain(..) {
        if seqs.binary_search(&entry.seq).is_ok() { removed.push(entry) } else { kept.push_back(entry) }
    }
    *list = kept;
}

fn insert_in_order(list: &mut VecDeque<Entry>, entry: Entry) {
    let place = list.partition_point(|other| other.seq < entry.seq);
    list.insert(place, entry);
}

/// Entries that an emptied list keeps room for.
const KEPT_CAPACITY: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Incoming;

    fn entry(seq: u64) -> Entry {
        let message = Incoming::borrowed(b"", b"q", &[0, 0], b"x", None).take();
        Entry { seq, deliveries: 0, stored: Stored::No, expires_ms: NEVER_MS, message }
    }

    #[test]
    fn what_is_behind_moves_up() {
        let mut list = ReadyList::default();
        list.push_paged(1, 1, Stored::Persistent);
        list.push_back(entry(2));
        list.push_paged(3, 1, Stored::Persistent);
        assert_eq!((list.len(), list.front_len(), list.recent_len(), list.has_paged_last()), (3, 0, 1, true));
        list.skip_to(2);
        assert_eq!((list.len(), list.front_len(), list.recent_len(), list.has_paged_last()), (2, 1, 0, false));
        assert_eq!((list.recent_bytes(), list.resident_bytes()), (0, 1 + 9 + ENTRY_BYTES));
        assert_eq!(list.paged().range(), Some(SeqRange { first: 3, last: 3 }));
    }

    /// `paged | recent | paged_last`, of a message each.
    fn with_all_behind(recent: Entry) -> ReadyList {
        let mut list = ReadyList::default();
        list.push_paged(1, 1, Stored::Persistent);
        list.push_back(recent);
        list.push_paged(3, 1, Stored::Persistent);
        assert_eq!((list.recent_len(), list.has_paged_last()), (1, true));
        list
    }

    #[test]
    fn what_is_behind_stays_when_what_came_before_it_is_gone() {
        let mut taken = with_all_behind(entry(2));
        assert_eq!(taken.remove(&[2]).len(), 1);
        let mut swept = with_all_behind(Entry { expires_ms: 5, ..entry(2) });
        swept.take_expired(5, &mut Vec::new(), usize::MAX);
        for mut list in [taken, swept] {
            assert_eq!((list.len(), list.recent_len(), list.has_paged_last()), (2, 0, false));
            list.push_paged(4, 1, Stored::Persistent);
            assert_eq!(list.paged().range(), Some(SeqRange { first: 1, last: 4 }));
            list.skip_to(3);
            assert_eq!((list.len(), list.is_empty(), list.body_bytes()), (2, false, 2));
            list.skip_to(5);
            assert_eq!((list.len(), list.is_empty(), list.body_bytes()), (0, true, 0));
        }
    }

    #[test]
    fn what_is_put_in_its_place_comes_before_what_came_back_and_lies_behind() {
        let mut list = ReadyList::default();
        list.put_back(entry(3));
        list.put_in_place(entry(2), false);
        assert_eq!([list.pop_first().unwrap().seq, list.pop_first().unwrap().seq], [2, 3]);
    }

    #[test]
    fn what_has_expired_is_found_anywhere() {
        let mut list = ReadyList::default();
        let expiring = |seq, expires_ms| Entry { expires_ms, ..entry(seq) };
        list.put_back(expiring(1, 50));
        list.put_back(expiring(2, 10));
        list.push_back(expiring(3, NEVER_MS));
        list.push_back(expiring(4, 20));
        list.push_paged(5, 1, Stored::Persistent);
        list.push_back(expiring(6, 10));
        list.push_back(expiring(7, 30));
        let mut expired = Vec::new();
        assert_eq!(list.take_expired(20, &mut expired, 2), 10, "the third is left for the next time");
        assert_eq!(list.take_expired(20, &mut expired, usize::MAX), 30);
        assert_eq!(expired.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2, 4, 6]);
        assert_eq!((list.len(), list.front_len(), list.recent_len()), (4, 2, 1));
        assert_eq!(list.resident_bytes(), 3 * (1 + 9 + ENTRY_BYTES));
        assert_eq!((list.recent_bytes(), list.body_bytes()), (1 + 9 + ENTRY_BYTES, 4));
        assert_eq!((list.pop_first().unwrap().seq, list.pop_first().unwrap().seq), (1, 3));
    }

    #[test]
    fn room_is_given_back_before_the_last_message_goes() {
        let mut list = ReadyList::default();
        for seq in 1..=100_000 {
            list.push_back(entry(seq));
        }
        assert!(list.fresh.capacity() >= 100_000);
        while list.len() > PAGE_MESSAGES_MAX {
            list.pop_first();
        }
        assert!(list.fresh.capacity() <= 8 * PAGE_MESSAGES_MAX);
        assert_eq!(list.resident_bytes(), list.len() as u64 * (1 + 9 + ENTRY_BYTES));
    }
}
