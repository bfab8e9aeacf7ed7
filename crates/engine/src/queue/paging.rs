//! When a queue asks for messages that are not in memory, and what it does with them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::effects::Effects;
use crate::journal::{LoadRequest, Loaded, Page, PageReader, SeqRange, Waiter};
use crate::limits::{
    BUDGET_LUMP_BYTES, MESSAGES_A_HOLD_MAX, PAGE_BYTES_MAX, PAGE_MESSAGES_MAX, RESIDENT_MESSAGES_MIN,
    SCARCE_PAGE_BYTES_MAX,
};
use crate::message::NEVER_MS;
use crate::queue::Queue;
use crate::queue::core::QueueCore;
use crate::queue::levels::{Ready, Shelf};
use crate::queue::ready::ReadyList;
use crate::queue::rules::Rules;
use crate::restore::RestoredQueue;

/// What a queue knows about reading.
#[derive(Default)]
pub(super) struct Paging {
    /// A page was asked for and has not come, or not wholly been taken: the last position that it may reach.
    loading: Option<u64>,
    /// Of what that page is.
    shelf: Shelf,
    /// Those who want the first message.
    waiters: Vec<Arc<dyn Waiter>>,
    /// What the memory budget was told.
    told_bytes: u64,
    /// How long messages up to a position may live, where others came after a change of that, in order of position.
    former_ttls: Box<[(u64, u64)]>,
    /// The last position of what a restart found.
    restored_to: u64,
}

/// Whether more messages may be wanted soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Appetite {
    /// Nothing was taken from the head.
    Idle,
    /// Something was: it is time to read ahead when little is left.
    Taking,
    /// Somebody wants the first message.
    Starving,
}

/// A page that a queue needs.
pub(crate) struct Load {
    queue: Arc<Queue>,
    range: SeqRange,
    bytes_max: usize,
}

impl std::fmt::Debug for Paging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paging").field("loading", &self.loading).finish_non_exhaustive()
    }
}

impl Load {
    pub(crate) fn carry_out(self) {
        let Self { queue, range, bytes_max } = self;
        let journal = Arc::clone(&queue.services.journal);
        let messages_max = PAGE_MESSAGES_MAX;
        journal.load(LoadRequest { queue: queue.id, range, messages_max, bytes_max, reader: queue });
    }
}

impl Paging {
    /// Whether a page is on its way, or not wholly taken.
    pub(super) fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// The last position of what a restart found.
    pub(super) fn restored_to(&self) -> u64 {
        self.restored_to
    }

    /// Whether a new message is kept in memory. Once some are paged, the following are paged too; but when the last of them are
    /// on their way back, there is no reason to write and read those that come meanwhile, as long as they are few.
    #[inline]
    pub(super) fn keeps(&self, list: &ReadyList, scarce: bool) -> bool {
        let paged = list.paged();
        let Some(range) = paged.range() else {
            return !scarce || list.front_len() < RESIDENT_MESSAGES_MIN;
        };
        let is_page = |messages: usize, bytes: u64| messages < PAGE_MESSAGES_MAX && bytes < PAGE_BYTES_MAX as u64;
        if scarce || list.has_paged_last() {
            return false;
        }
        let last_page_comes = self.loading >= Some(range.last) && is_page(paged.len(), paged.body_bytes());
        last_page_comes && is_page(list.recent_len(), list.recent_bytes())
    }
}

impl QueueCore {
    /// Takes over what a restart found.
    pub(super) fn restore(&mut self, found: &RestoredQueue) {
        self.last_seq = found.last_seq;
        self.paging.restored_to = found.last_seq;
        if found.messages > 0 {
            let range = SeqRange { first: found.first_seq, last: found.last_seq };
            let count = usize::try_from(found.messages).unwrap_or(usize::MAX);
            self.ready.push_restored(range, count, found.bytes);
        }
        self.watch_paged();
    }

    /// What a restart found is under other rules than those of its declaration.
    pub(super) fn begin_under(&mut self, rules: Rules) {
        self.rules = rules;
        self.watch_paged();
    }

    /// Where it matters to others that a message expires, the first ones are looked at.
    pub(super) fn watch_paged(&mut self) {
        let matters = self.rules.ttl_ms != NEVER_MS || self.rules.dead_letters.is_some();
        self.expiring |= matters && self.ready.has_paged();
    }

    /// Messages could live for `ttl_ms`, and those that are there still can: when they came is known, and not when they expire.
    pub(super) fn keep_former_ttl(&mut self, ttl_ms: u64) {
        let former = &mut self.paging.former_ttls;
        if !self.ready.has_paged() {
            *former = Box::default();
        } else if ttl_ms != self.rules.ttl_ms && former.last().is_none_or(|(last, _)| *last < self.last_seq) {
            *former = former.iter().copied().chain([(self.last_seq, ttl_ms)]).collect();
        }
    }

    /// When a message expires that was read.
    pub(super) fn loaded_expires_ms(&self, loaded: &Loaded) -> u64 {
        let former = &self.paging.former_ttls;
        let place = former.partition_point(|(last, _)| *last < loaded.seq);
        loaded.expires_ms(former.get(place).map_or(self.rules.ttl_ms, |(_, ttl_ms)| *ttl_ms))
    }

    /// What is due at the end of each hold that changed the ready messages: the memory budget hears of it, a page is asked for if
    /// one is needed, and those who waited for the first message are told if it is there.
    pub(super) fn end_hold(&mut self, queue: &Arc<Queue>, appetite: Appetite, effects: &mut Effects) {
        self.tell_budget(queue);
        self.wind(queue);
        let has_paged = self.ready.has_paged();
        // Of several levels some go long before others: what is copied together would stay with the last of them.
        let waits = !has_paged && !self.ready.has_levels() && !self.ready.is_front_empty();
        if queue.waits.load(Ordering::Relaxed) != waits {
            queue.waits.store(waits, Ordering::Relaxed);
        }
        if has_paged {
            effects.loads.extend(self.next_load(queue, appetite));
        }
        if !self.paging.waiters.is_empty() && !self.is_first_paged() {
            effects.waiters.append(&mut self.paging.waiters);
        }
    }

    fn tell_budget(&mut self, queue: &Queue) {
        let told = &mut self.paging.told_bytes;
        let now = self.ready.resident_bytes();
        if now.abs_diff(*told) >= BUDGET_LUMP_BYTES || (now == 0 && *told > 0) {
            queue.services.memory.shift(*told, now);
            *told = now;
        }
    }

    /// Whether there is a first message that has to be read.
    fn is_first_paged(&self) -> bool {
        self.ready.is_front_empty() && self.ready.has_paged()
    }

    /// The page to ask for now, one at a time.
    fn next_load(&mut self, queue: &Arc<Queue>, appetite: Appetite) -> Option<Load> {
        if self.paging.loading.is_some() || self.deleted {
            return None;
        }
        let (shelf, range, front_len) = match &self.ready {
            Ready::One(list) => (Shelf::One, list.paged().range()?, list.front_len()),
            Ready::Levels(levels) => levels.to_read(self.expiring)?,
        };
        let scarce = queue.services.memory.is_used_up(self.ready.resident_bytes());
        let bytes_max = if scarce { SCARCE_PAGE_BYTES_MAX } else { PAGE_BYTES_MAX };
        let is_low = || front_len < PAGE_MESSAGES_MAX / 2 && self.ready.resident_bytes() < bytes_max as u64 / 2;
        let is_wanted = || {
            appetite == Appetite::Starving
                || self.consumers.any_waits()
                || !self.paging.waiters.is_empty()
                || self.expiring
                || self.is_over_limit()
        };
        let due = (appetite == Appetite::Taking && is_low()) || (front_len == 0 && is_wanted());
        self.paging.loading = due.then_some(range.last);
        self.paging.shelf = shelf;
        due.then(|| Load { queue: Arc::clone(queue), range, bytes_max })
    }

    /// Lets `waiter` know when the first message is in memory; gives it back when there is nothing to wait for.
    pub(super) fn wait_for_first(
        &mut self,
        queue: &Arc<Queue>,
        waiter: Arc<dyn Waiter>,
        effects: &mut Effects,
    ) -> Option<Arc<dyn Waiter>> {
        if !self.is_first_paged() {
            return Some(waiter);
        }
        self.paging.waiters.push(waiter);
        effects.loads.extend(self.next_load(queue, Appetite::Starving));
        None
    }

    /// Takes the next of the messages that were read, at most a hold's worth; true when there are more. What is not in memory
    /// before `next` after the last of them is gone.
    fn take_loaded(
        &mut self,
        queue: &Arc<Queue>,
        messages: &mut std::vec::IntoIter<Loaded>,
        next: u64,
        effects: &mut Effects,
    ) -> bool {
        let shelf = self.paging.shelf;
        let scarce = queue.services.memory.is_used_up(self.ready.resident_bytes());
        for loaded in messages.by_ref().take(MESSAGES_A_HOLD_MAX) {
            let expires_ms = self.loaded_expires_ms(&loaded);
            self.note_expiry(expires_ms);
            self.split_for(&loaded.message.parts());
            self.ready.push_loaded(shelf, loaded, expires_ms, !scarce);
        }
        let more = messages.len() > 0;
        if !more {
            self.ready.skip_to(shelf, next);
            self.paging.loading = None;
        }
        let shed = self.shed(queue, effects);
        self.end_hold(queue, shed, effects);
        more
    }
}

impl PageReader for Queue {
    fn loaded(self: Arc<Self>, page: Page) {
        let mut effects = Effects::default();
        let mut messages = page.messages.into_iter();
        loop {
            let more = self.core.lock().take_loaded(&self, &mut messages, page.next, &mut effects);
            self.deliver(&mut effects);
            if !more {
                break;
            }
        }
        effects.carry_out();
    }
}
