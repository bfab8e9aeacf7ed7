//! How long deliveries may stay unacknowledged (x-consumer-timeout), without a time for each of them.
//!
//! Now and then the time is noted together with the delivery tag that comes next. A delivery with a lower tag is at least as
//! old as the note: when the note is older than the timeout, whoever still has such a delivery is overdue. That is found late
//! by at most one note, never early.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashSet;
use leveret_codec::reply_code::ReplyCode;
use leveret_engine::names::{ConsumerKey, Name, QueueId};
use leveret_engine::queue::Queue;

use crate::connection::Connection;
use crate::error::Failure;
use crate::limits::TIMEOUT_NOTES_MAX;
use crate::outbox::{ConsumerHome, OutChannel, Outbox};
use crate::unacked::UnackedList;

/// Somebody whose deliveries have to be acknowledged in time.
#[derive(Debug)]
pub(crate) struct Watched {
    who: Who,
    queue: Arc<Queue>,
    /// Its own argument; else its queue's counts.
    own_ms: Option<u64>,
    /// Oldest first.
    notes: VecDeque<Note>,
    /// Where there is nobody to come any more: a delivery tag of the channel after which it got nothing. What it had before is
    /// still watched.
    ended_at: Option<u64>,
}

/// Who has deliveries.
#[derive(Debug)]
enum Who {
    /// A consumer.
    Consumer {
        /// Its tag.
        tag: Name,
        /// Itself in its queue.
        key: ConsumerKey,
    },
    /// Whoever fetched them by basic.get.
    Getter,
}

/// At this time deliveries had been given all tags below this one.
#[derive(Clone, Copy, Debug)]
struct Note {
    now_ms: u64,
    next_tag: u64,
}

impl Watched {
    fn key(&self) -> Option<ConsumerKey> {
        match self.who {
            Who::Consumer { key, .. } => Some(key),
            Who::Getter => None,
        }
    }

    fn limit_ms(&self) -> Option<u64> {
        self.own_ms.or_else(|| self.queue.consumer_timeout_ms())
    }

    /// All deliveries with a lower tag are older than `limit_ms`.
    fn overdue_below(&mut self, now_ms: u64, limit_ms: u64) -> Option<u64> {
        let is_old = |note: &&Note| now_ms.saturating_sub(note.now_ms) >= limit_ms;
        let old = self.notes.iter().take_while(is_old).count();
        // The last of them says it all.
        self.notes.drain(..old.saturating_sub(1));
        self.notes.front().filter(is_old).map(|note| note.next_tag)
    }

    /// Forgets notes about deliveries that are all settled, and notes the time if there are new ones and it is worth it.
    fn note(&mut self, now_ms: u64, limit_ms: u64, unacked: &UnackedList, last_tag: u64) {
        let Some(first) = unacked.first_tag() else {
            self.notes.clear();
            return;
        };
        while self.notes.front().is_some_and(|note| note.next_tag <= first) {
            self.notes.pop_front();
        }
        let note = Note { now_ms, next_tag: last_tag + 1 };
        let is_due = self.notes.back().is_none_or(|last| {
            last.next_tag < note.next_tag && now_ms.saturating_sub(last.now_ms) >= limit_ms / TIMEOUT_NOTES_MAX
        });
        if is_due {
            self.notes.push_back(note);
        }
    }
}

impl OutChannel {
    /// A consumer is there whose deliveries may have to be acknowledged in time. Says whether they have to.
    pub(crate) fn watch(&mut self, tag: &Name, home: &ConsumerHome, own_ms: Option<u64>) -> bool {
        if own_ms.or_else(|| home.queue.consumer_timeout_ms()).is_none() {
            return false;
        }
        let (who, queue) = (Who::Consumer { tag: Name::clone(tag), key: home.key }, Arc::clone(&home.queue));
        self.watched.push(Watched { who, queue, own_ms, notes: VecDeque::new(), ended_at: None });
        true
    }

    /// The last delivery was fetched from `queue`, and may have to be acknowledged in time. Says whether it has to.
    pub(crate) fn watch_fetched(&mut self, queue: &Arc<Queue>) -> bool {
        if queue.consumer_timeout_ms().is_none() {
            return false;
        }
        let ended_at = Some(self.last_tag());
        let known = |watched: &&mut Watched| watched.key().is_none() && watched.queue.id == queue.id;
        match self.watched.iter_mut().find(known) {
            Some(watched) => watched.ended_at = ended_at,
            None => {
                let (who, queue) = (Who::Getter, Arc::clone(queue));
                self.watched.push(Watched { who, queue, own_ms: None, notes: VecDeque::new(), ended_at });
            }
        }
        true
    }

    /// Watches the consumers that were not watched yet, and have to be now.
    fn watch_all(&mut self) {
        let known: HashSet<(QueueId, Option<ConsumerKey>)> =
            self.watched.iter().map(|watched| (watched.queue.id, watched.key())).collect();
        let consumers = std::mem::take(&mut self.consumers);
        for (tag, home) in consumers.iter().filter(|(_, home)| !known.contains(&(home.queue.id, Some(home.key)))) {
            self.watch(tag, home, None);
        }
        self.consumers = consumers;
    }

    /// The timeout of which a delivery is overdue, if one is.
    fn find_overdue(&mut self, now_ms: u64) -> Option<u64> {
        let mut watched = std::mem::take(&mut self.watched);
        let mut overdue = None;
        watched.retain_mut(|watched| {
            let Some(limit_ms) = watched.limit_ms() else { return false };
            if overdue.is_none()
                && let Some(below) = watched.overdue_below(now_ms, limit_ms)
                && self.has_unacked(watched, below)
            {
                overdue = Some(limit_ms);
            }
            watched.note(now_ms, limit_ms, &self.unacked, self.last_tag());
            self.is_worth_watching(watched)
        });
        self.watched = watched;
        overdue
    }

    fn has_unacked(&self, watched: &Watched, below: u64) -> bool {
        let is_its = |queue: u32, consumer| consumer == watched.key() && self.is_place_of(queue, watched.queue.id);
        self.unacked.before(below).any(|unacked| is_its(unacked.queue, unacked.consumer))
    }

    /// Whether the consumer is there, or has something to settle still.
    fn is_worth_watching(&self, watched: &mut Watched) -> bool {
        if watched.ended_at.is_none() {
            let is_it = |home: &&ConsumerHome| Some(home.key) == watched.key() && home.queue.id == watched.queue.id;
            let is_there = match &watched.who {
                Who::Consumer { tag, .. } => self.consumers.get(tag).filter(is_it).is_some(),
                Who::Getter => false,
            };
            watched.ended_at = (!is_there).then_some(self.last_tag());
        }
        watched.ended_at.is_none_or(|last| self.unacked.first_tag().is_some_and(|first| first <= last))
    }
}

impl Outbox {
    /// Called now and then: whether some delivery was not acknowledged in time. [`Connection::close_overdue`] does what has to
    /// be done then. `now_ms` counts from any moment; `policies` rises with each change of the broker's policies.
    pub fn look_for_overdue(&self, now_ms: u64, policies: u64) -> bool {
        let is_news = self.policies_seen.load(Ordering::Relaxed) != policies;
        if !is_news && !self.watches.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.lock();
        self.policies_seen.store(policies, Ordering::Relaxed);
        let (mut watches, mut found) = (false, false);
        for channel in state.channels.values_mut() {
            if is_news {
                channel.watch_all();
            }
            channel.overdue = channel.find_overdue(now_ms);
            found |= channel.overdue.is_some();
            watches |= !channel.watched.is_empty();
        }
        self.watches.store(watches, Ordering::Relaxed);
        found
    }
}

impl Connection {
    /// Closes the channels of which [`Outbox::look_for_overdue`] has found a delivery that was not acknowledged in time.
    pub fn close_overdue(&mut self) {
        let overdue: Vec<(u16, u64)> = {
            let mut state = self.outbox.lock();
            let channels = state.channels.iter_mut();
            channels.filter_map(|(number, channel)| Some((*number, channel.overdue.take()?))).collect()
        };
        for (number, limit_ms) in overdue {
            let text = format!(
                "delivery acknowledgement on channel {number} timed out. Timeout value used: {limit_ms} ms. \
                 This timeout value can be configured, see consumers doc guide to learn more"
            );
            self.fail(number, Failure::frame(ReplyCode::PreconditionFailed, text));
        }
    }
}
