//! Looking at the messages of a queue without taking any: what is ready, in memory or not, and what consumers have not settled
//! yet. In order of position, whatever their priority: a position names a message as long as the queue has it.
//!
//! What is in memory is copied during one hold of the lock. What is not is read by the journal, and then it is looked up what
//! has become of it. Of unsettled messages those are found that the journal has, and those whose consumers tell of them
//! ([`Outlet::outstanding`](crate::outlet::Outlet::outstanding)).

use std::sync::Arc;

use parking_lot::Mutex;

use crate::journal::{LoadRequest, Loaded, Page, PageReader, SeqRange};
use crate::limits::BROWSED_MESSAGES_MAX;
use crate::queue::core::QueueCore;
use crate::queue::{Entry, Queue};

/// What is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Browse {
    /// The first position that is wanted.
    pub from: u64,
    /// Most messages: no more than [`BROWSED_MESSAGES_MAX`] come.
    pub messages_max: usize,
    /// Most bytes of bodies; one message comes whatever its size.
    pub bytes_max: u64,
}

/// Where a message of a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageState {
    /// It can be delivered.
    Ready,
    /// Somebody has it and has not settled it.
    Unacked,
    /// It came back, and waits before it is ready again; or it is a dead letter that no queue has taken yet.
    Waiting,
}

/// A message as it was seen in its queue.
#[derive(Clone, Debug)]
pub struct BrowsedMessage {
    /// The message and its position.
    pub entry: Entry,
    /// Where it was.
    pub state: MessageState,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Browsed {
    /// In order of position.
    pub messages: Vec<BrowsedMessage>,
    /// Where to go on; none when nothing follows.
    pub next: Option<u64>,
}

type Done = Box<dyn FnOnce(Browsed) + Send>;

/// What is known from memory.
#[derive(Default)]
struct Seen {
    messages: Vec<BrowsedMessage>,
    /// The last position that they tell of.
    last: u64,
    /// The last position that there is.
    end: u64,
    journaled: bool,
}

/// Waits for what is not in memory.
struct Browser {
    queue: Arc<Queue>,
    browse: Browse,
    rest: Mutex<Option<(Seen, Done)>>,
}

impl Queue {
    /// Looks at messages and calls `done` with them: at once, or when the journal has read them, on a thread of its own. Nothing
    /// changes by it.
    pub fn browse(self: &Arc<Self>, browse: Browse, done: impl FnOnce(Browsed) + Send + 'static) {
        let messages_max = browse.messages_max.clamp(1, BROWSED_MESSAGES_MAX);
        let browse = Browse { from: browse.from.max(1), messages_max, ..browse };
        let seen = match &self.stream {
            Some(stream) => {
                let (loaded, last, end) = stream.browse(browse.from, messages_max);
                let messages = loaded.into_iter().map(|loaded| BrowsedMessage::ready(loaded.into_entry(u64::MAX)));
                Seen { messages: messages.collect(), last, end, journaled: self.pages }
            }
            None => self.see(&browse),
        };
        if !seen.journaled || browse.from > seen.last {
            let nothing = Page { messages: Vec::new(), next: seen.last + 1 };
            return done(seen.merge(nothing, &browse, |_| None));
        }
        let range = SeqRange { first: browse.from, last: seen.last };
        let bytes_max = usize::try_from(browse.bytes_max).unwrap_or(usize::MAX).max(1);
        let reader = Browser { queue: Arc::clone(self), browse, rest: Mutex::new(Some((seen, Box::new(done)))) };
        self.services.journal.load(LoadRequest {
            queue: self.id,
            range,
            messages_max,
            bytes_max,
            reader: Arc::new(reader),
        });
    }

    /// The position of the last message that it ever took.
    #[must_use]
    pub fn last_position(&self) -> u64 {
        match &self.stream {
            Some(stream) => stream.browse(u64::MAX, 0).2,
            None => self.core.lock().last_seq,
        }
    }

    fn see(&self, browse: &Browse) -> Seen {
        let (mut seen, outlets) = {
            let core = self.core.lock();
            (core.see(self, browse), core.consumers.outlets())
        };
        let mut unacked = Vec::new();
        for outlet in outlets {
            outlet.outstanding(self.id, browse.from, browse.messages_max, &mut unacked);
        }
        seen.messages.sort_by_key(|message| message.entry.seq);
        unacked.retain(|entry: &Entry| {
            seen.messages.binary_search_by_key(&entry.seq, |message| message.entry.seq).is_err()
        });
        seen.messages.extend(unacked.into_iter().map(|entry| BrowsedMessage { entry, state: MessageState::Unacked }));
        seen.messages.sort_by_key(|message| message.entry.seq);
        seen.messages.dedup_by_key(|message| message.entry.seq);
        if seen.messages.len() >= browse.messages_max {
            seen.messages.truncate(browse.messages_max);
            seen.last = seen.messages.last().map_or(seen.last, |message| message.entry.seq);
        }
        seen
    }
}

impl QueueCore {
    fn see(&self, queue: &Queue, browse: &Browse) -> Seen {
        if self.deleted {
            return Seen::default();
        }
        let mut ready = Vec::new();
        self.ready.browse(browse.from, browse.messages_max, &mut ready);
        // They are in no order, and may be very many.
        let mut waiting: Vec<&Entry> = self.waiting.entries().filter(|entry| entry.seq >= browse.from).collect();
        if waiting.len() > browse.messages_max {
            waiting.select_nth_unstable_by_key(browse.messages_max, |entry| entry.seq);
            waiting.truncate(browse.messages_max);
        }
        let waiting = waiting
            .into_iter()
            .map(|entry| BrowsedMessage { entry: Entry::clone(entry), state: MessageState::Waiting });
        let messages = ready.into_iter().map(BrowsedMessage::ready).chain(waiting).collect();
        let journaled = queue.pages && (queue.durable || self.spilled);
        Seen { messages, last: self.last_seq, end: self.last_seq, journaled }
    }

    /// Where a message is that the journal had just now, and is not in memory. The journal may lag behind: what nobody can have is
    /// gone.
    fn whereabouts(&self, seq: u64) -> Option<MessageState> {
        match self.ready.holds(seq) {
            true => Some(MessageState::Ready),
            false => (self.unacked > 0).then_some(MessageState::Unacked),
        }
    }
}

impl BrowsedMessage {
    fn ready(entry: Entry) -> Self {
        Self { entry, state: MessageState::Ready }
    }
}

impl Seen {
    /// What is in memory, and what of a page is not, within the limits. `state` judges what the page brings.
    fn merge(
        mut self,
        page: Page,
        browse: &Browse,
        mut judged: impl FnMut(Loaded) -> Option<BrowsedMessage>,
    ) -> Browsed {
        let covered = self.last.min(page.next.saturating_sub(1));
        self.messages.retain(|message| message.entry.seq <= covered);
        let known: Vec<u64> = self.messages.iter().map(|message| message.entry.seq).collect();
        let others = page.messages.into_iter().filter(|loaded| {
            loaded.seq >= browse.from && loaded.seq <= covered && known.binary_search(&loaded.seq).is_err()
        });
        self.messages.extend(others.filter_map(&mut judged));
        self.messages.sort_by_key(|message| message.entry.seq);
        let mut bytes = 0u64;
        let fitting = self.messages.iter().take(browse.messages_max).take_while(|message| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(message.entry.message.body_len().max(1));
            is_first || bytes <= browse.bytes_max
        });
        let count = fitting.count();
        let left_out = self.messages.get(count).map(|message| message.entry.seq);
        self.messages.truncate(count);
        let next = left_out.or_else(|| (covered < self.end).then_some(covered + 1));
        Browsed { messages: self.messages, next }
    }
}

impl PageReader for Browser {
    fn loaded(self: Arc<Self>, page: Page) {
        let Some((seen, done)) = self.rest.lock().take() else { return };
        let queue = &*self.queue;
        let browsed = match &queue.stream {
            Some(_) => {
                seen.merge(page, &self.browse, |loaded| Some(BrowsedMessage::ready(loaded.into_entry(u64::MAX))))
            }
            None => {
                let core = queue.core.lock();
                seen.merge(page, &self.browse, |loaded| {
                    let state = core.whereabouts(loaded.seq)?;
                    let expires_ms = core.loaded_expires_ms(&loaded);
                    Some(BrowsedMessage { entry: loaded.into_entry(expires_ms), state })
                })
            }
        };
        done(browsed);
    }
}
