//! A consumer of a stream: it has a place of its own in it, and takes nothing from others.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::effects::Effects;
use crate::journal::{Loaded, Lsn, Page, PageReader, SeqRange};
use crate::limits::{MESSAGES_A_HOLD_MAX, PAGE_MESSAGES_MAX};
use crate::message::Message;
use crate::names::{ConsumerKey, Name};
use crate::outlet::{Delivering, DeliveryBatch, Messages, Outlet, ParkReason, Parked};
use crate::queue::{Consumers, NewConsumer, Queue, QueueConsumer};
use crate::stream::Stream;
use crate::stream::filter::StreamFilter;
use crate::stream::log::{Next, Start};
use crate::stream::seek::Seek;

/// Its lock comes before the stream's and before the outlet's.
pub(super) struct Reader {
    pub(super) key: ConsumerKey,
    tag: Name,
    prefetch: u16,
    priority: i32,
    outlet: Arc<dyn Outlet>,
    filter: Option<StreamFilter>,
    state: Mutex<ReaderState>,
}

struct ReaderState {
    /// Where it reads, once it was let go on for the first time; none also after its end.
    home: Option<Weak<Queue>>,
    /// Deliveries it may still get.
    credit: usize,
    /// It still looks for its first message.
    seek: Option<Seek>,
    /// What was read and not delivered yet.
    pages: VecDeque<std::vec::IntoIter<Loaded>>,
    /// Position after all that was read.
    next: u64,
    /// A page was asked for.
    loading: bool,
    /// It has read everything; the stream wakes it.
    asleep: bool,
    /// It waits for its outlet.
    parked: bool,
    /// Room for a batch.
    batch: Vec<(u64, Message)>,
}

/// What came of a step.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Positions to be read, and how many messages are wanted.
    pub(super) load: Option<(SeqRange, usize)>,
    /// Somebody has to wait for this position of the journal.
    pub(super) register: Option<Lsn>,
    /// Another step may do something.
    pub(super) more: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Reader {
    /// A consumer that takes part only after [`Reader::let_go`].
    pub(super) fn new(key: ConsumerKey, new: NewConsumer, start: Start, filter: Option<StreamFilter>) -> Self {
        let (next, seek) = match start {
            Start::At(next) => (next, None),
            Start::Seek(seek) => (seek.found(), seek.probe().map(|_| seek)),
        };
        let state = ReaderState {
            home: None,
            credit: new.prefetch.into(),
            seek,
            pages: VecDeque::new(),
            next,
            loading: false,
            asleep: false,
            parked: false,
            batch: Vec::new(),
        };
        let (prefetch, priority) = (new.prefetch, new.priority);
        Self { key, tag: new.tag, prefetch, priority, outlet: new.outlet, filter, state: Mutex::new(state) }
    }

    /// What there is to tell of it.
    pub(super) fn report(&self) -> QueueConsumer {
        QueueConsumer {
            key: self.key,
            tag: Name::clone(&self.tag),
            place: self.outlet.place(),
            no_ack: false,
            prefetch: self.prefetch,
            priority: self.priority,
            exclusive: false,
            active: true,
        }
    }

    /// Lets it begin, or go on after it waited for its outlet.
    pub(super) fn let_go(&self, queue: &Arc<Queue>) {
        let mut state = self.state.lock();
        state.home = Some(Arc::downgrade(queue));
        state.parked = false;
    }

    /// There is something for it again.
    pub(super) fn wake(&self) -> Option<Arc<Queue>> {
        let mut state = self.state.lock();
        state.asleep = false;
        state.home.as_ref()?.upgrade()
    }

    /// So many deliveries were acknowledged.
    pub(super) fn give(&self, credit: u64) {
        let mut state = self.state.lock();
        state.credit = state.credit.saturating_add(usize::try_from(credit).unwrap_or(usize::MAX));
    }

    /// It gets nothing any more.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.home = None;
        state.credit = 0;
        state.pages = VecDeque::new();
    }

    /// The stream is gone: ends it, and says so.
    pub(super) fn cancel(&self, effects: &mut Effects) {
        self.end();
        effects.cancels.push((Arc::clone(&self.outlet), Name::clone(&self.tag)));
    }

    /// Delivers what is at hand, at most a hold's worth, and says what has to be read.
    pub(super) fn step(self: &Arc<Self>, stream: &Stream, queue: &Arc<Queue>, effects: &mut Effects) -> Step {
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.home.is_none() || state.parked {
            return Step::default();
        }
        if let Some(seek) = state.seek {
            let probe = seek.probe().filter(|_| !state.loading);
            state.loading |= probe.is_some();
            return Step { load: probe.map(|range| (range, 1)), ..Step::default() };
        }
        let mut step = Step { more: self.deliver(state, queue, effects), ..Step::default() };
        if !state.loading && !state.asleep && state.pages.len() < stream.pages_wanted(state.credit > 0) {
            self.fetch(state, stream, &mut step);
        }
        step
    }

    /// Sees to it that there is something to deliver.
    fn fetch(self: &Arc<Self>, state: &mut ReaderState, stream: &Stream, step: &mut Step) {
        let mut log = stream.log.lock();
        match log.next(self, state.next, state.credit) {
            Next::Messages(messages, next) => {
                state.pages.push_back(messages.into_iter());
                state.next = next;
                step.more |= !state.parked;
            }
            Next::Load(range) => {
                state.loading = true;
                step.load = Some((range, PAGE_MESSAGES_MAX));
            }
            Next::Sleep => {
                state.asleep = true;
                step.register = log.register();
            }
            Next::Idle => {}
        }
    }

    /// True when something was delivered, or passed over.
    fn deliver(&self, state: &mut ReaderState, queue: &Arc<Queue>, effects: &mut Effects) -> bool {
        if state.credit == 0 || state.pages.is_empty() {
            return false;
        }
        let mut room_bytes = self.outlet.room_bytes();
        let mut batch = std::mem::take(&mut state.batch);
        while let Some(page) = state.pages.front_mut() {
            if page.as_slice().is_empty() {
                state.pages.pop_front();
                continue;
            }
            if state.credit == 0 || room_bytes == 0 || batch.len() == MESSAGES_A_HOLD_MAX {
                break;
            }
            let Some(loaded) = page.next() else { continue };
            if self.filter.as_ref().is_none_or(|filter| filter.wants(&loaded.message)) {
                state.credit -= 1;
                let bytes = usize::try_from(loaded.message.body_len()).unwrap_or(usize::MAX);
                room_bytes = room_bytes.saturating_sub(bytes);
                batch.push((loaded.seq, loaded.message));
            }
        }
        if room_bytes == 0 && batch.is_empty() {
            state.parked = true;
            let parked = Parked { queue: Arc::clone(queue), key: self.key, reason: ParkReason::OutletFull };
            effects.parked.push((Arc::clone(&self.outlet), parked));
        }
        if !batch.is_empty() {
            if let Some(stream) = &queue.stream {
                stream.happened.deliver.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
            let to = Delivering { key: self.key, tag: &self.tag, no_ack: false };
            let messages = Messages::Stream { to, messages: &batch };
            let wake = self.outlet.deliver(DeliveryBatch { queue, consumers: &Consumers::default(), messages });
            if wake {
                effects.wakes.push(Arc::clone(&self.outlet));
            }
            batch.clear();
        }
        state.batch = batch;
        !state.parked
    }
}

impl PageReader for Reader {
    fn loaded(self: Arc<Self>, page: Page) {
        let queue = {
            let mut state = self.state.lock();
            state.loading = false;
            let Some(queue) = state.home.as_ref().and_then(Weak::upgrade) else { return };
            if let Some(seek) = &mut state.seek {
                seek.take(&page);
                if seek.probe().is_none() {
                    state.next = seek.found();
                    state.seek = None;
                }
            } else {
                state.next = page.next;
                if !page.messages.is_empty() {
                    state.pages.push_back(page.messages.into_iter());
                }
            }
            queue
        };
        let mut effects = Effects::default();
        if let Some(stream) = &queue.stream {
            stream.pump(&queue, &self, &mut effects);
        }
        effects.carry_out();
    }
}
