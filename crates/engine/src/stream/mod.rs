//! Streams: queues that keep what was read.
//!
//! A stream is a durable queue whose messages are never settled until they are too old or too much: the journal has all of them,
//! memory a few of the newest at most. An offset is a position less one. Each consumer is a reader with its own place:
//!
//! ```text
//! publish -> journal -> durable -> recent -> readers that are close -> outlets
//!                          \----- pages ---> readers that are behind -/
//! ```
//! Readers see durable messages only, so that no offset is ever seen with two messages. Whoever makes something readable, or
//! gives a reader credit or room, lets it take steps (`Stream::pump`) until it sleeps, waits for its outlet, or for a page.
//!
//! Order of locks: a reader, then the stream's log, then the list of readers or the journal; a reader, then its outlet.

mod browse;
mod filter;
mod log;
mod offset;
mod reader;
mod refused;
mod seek;
mod segments;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use leveret_codec::table::{FieldTable, FieldValue};
use parking_lot::{Mutex, RwLock};
use slab::Slab;

use crate::counters::MessageCounts;
use crate::effects::Effects;
use crate::journal::{LoadRequest, Lsn, PageReader, Waiter};
use crate::limits::{SCARCE_PAGE_BYTES_MAX, STREAM_PAGE_BYTES_MAX};
use crate::names::{ConsumerKey, QueueId};
use crate::publish::{Publication, copy_together};
use crate::queue::arguments::{QueueArguments, QueueType};
use crate::queue::{ConsumeRefused, Counts, NewConsumer, Queue, QueueConsumer, QueueReport, Settled, append_bodies};
use crate::restore::RestoredQueue;
use crate::services::Services;
use crate::timers::Timed;

pub use self::filter::StreamFilter;
use self::log::StreamLog;
pub use self::offset::StreamOffset;
use self::reader::Reader;
pub use self::refused::StreamRefused;
use self::segments::Retention;

/// What a consumer of a stream asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StreamSpec {
    /// Where it begins.
    pub offset: StreamOffset,
    /// What it wants; none for all.
    pub filter: Option<StreamFilter>,
}

impl StreamSpec {
    /// Understands the arguments of a consumer.
    ///
    /// # Errors
    /// When `x-stream-offset` means nothing.
    pub fn parse(queue: &Queue, arguments: &FieldTable) -> Result<Self, StreamRefused> {
        let offset = arguments.get(b"x-stream-offset");
        let refused = || StreamRefused::offset(queue, offset.unwrap_or(&FieldValue::Void));
        let offset = StreamOffset::parse(offset, queue.services.clock.now_ms()).ok_or_else(refused)?;
        Ok(Self { offset, filter: StreamFilter::parse(arguments) })
    }
}

/// What a queue has that is a stream.
pub(crate) struct Stream {
    me: Weak<Self>,
    id: QueueId,
    services: Arc<Services>,
    /// Messages can be read back from the journal.
    pages: bool,
    log: Mutex<StreamLog>,
    /// New messages are kept in memory, so that those who bring them had better be ready to leave them here.
    keeps: AtomicBool,
    readers: RwLock<Readers>,
    /// When it is due.
    due_ms: Mutex<Option<u64>>,
    /// Nothing is delivered.
    paused: AtomicBool,
    pub(crate) happened: Happened,
}

/// What happened in a stream, told a batch at a time.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    publish: AtomicU64,
    deliver: AtomicU64,
    ack: AtomicU64,
}

#[derive(Default)]
struct Readers {
    slots: Slab<Arc<Reader>>,
    serial: u32,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Stream {
    /// What a queue of these settings has, if it is a stream; `found` is what a restart found of it.
    pub(crate) fn of(
        id: QueueId,
        settings: &QueueArguments,
        services: &Arc<Services>,
        found: Option<&RestoredQueue>,
    ) -> Option<Arc<Self>> {
        if settings.queue_type != QueueType::Stream {
            return None;
        }
        let pages = services.journal.can_page();
        let log = StreamLog::new(id, Retention::of(settings), pages, found);
        let due_ms = log.due_ms();
        let stream = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            id,
            services: Arc::clone(services),
            pages,
            keeps: AtomicBool::new(log.keeps()),
            log: Mutex::new(log),
            readers: RwLock::default(),
            due_ms: Mutex::new(None),
            paused: AtomicBool::new(false),
            happened: Happened::default(),
        });
        stream.be_due(due_ms);
        Some(stream)
    }

    /// How long messages stay has changed.
    pub(crate) fn set_retention(&self, settings: &QueueArguments) {
        let now_ms = self.services.clock.now_ms();
        let due_ms = {
            let mut log = self.log.lock();
            if log.deleted {
                return;
            }
            log.segments.retention = Retention::of(settings);
            log.retain(now_ms, &*self.services.journal);
            log.due_ms()
        };
        self.be_due(due_ms);
    }

    pub(crate) fn counts(&self) -> Counts {
        let ready = usize::try_from(self.log.lock().len()).unwrap_or(usize::MAX);
        Counts { ready, unacked: 0, consumers: self.readers.read().slots.len() }
    }

    /// What there is to tell of it now. What its consumers have not settled is in it still.
    pub(crate) fn report(&self) -> QueueReport {
        let counts = self.counts();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (publish, deliver, ack) =
            (read(&self.happened.publish), read(&self.happened.deliver), read(&self.happened.ack));
        QueueReport {
            counts,
            ready_bytes: self.log.lock().body_bytes(),
            is_paged: self.pages,
            is_used: publish + deliver + ack > 0,
            happened: MessageCounts { publish, deliver, ack, ..MessageCounts::default() },
            is_awaited: counts.consumers > 0,
            ..QueueReport::default()
        }
    }

    /// Its consumers.
    pub(crate) fn consumers(&self) -> Vec<QueueConsumer> {
        self.readers.read().slots.iter().map(|(_, reader)| reader.report()).collect()
    }

    /// Takes the messages of a publisher's batch that `picks` names. Returns the position with which they are durable.
    pub(crate) fn publish(&self, items: &mut [Publication<'_>], picks: &[u32], effects: &mut Effects) -> Lsn {
        let journal = &*self.services.journal;
        // A stream keeps everything, whatever its delivery mode.
        append_bodies(journal, items, picks.iter().copied(), &mut effects.enqueue.bodies);
        if self.keeps.load(Ordering::Relaxed) {
            copy_together(items, picks);
        }
        let now_ms = self.services.clock.now_ms();
        let mut log = self.log.lock();
        if log.deleted {
            return Lsn::default();
        }
        let end = log.take(items, picks, now_ms, journal, &mut effects.enqueue.bodies);
        self.happened.publish.fetch_add(picks.len() as u64, Ordering::Relaxed);
        let awake = log.advance(journal.durable());
        let (register, due_ms) = (log.register(), log.due_ms());
        drop(log);
        self.wait_for(register);
        self.be_due(due_ms);
        self.go_on(awake, effects);
        end
    }

    /// Adds a consumer. Deliveries start with [`Stream::resume`].
    pub(crate) fn add_reader(&self, new: NewConsumer, spec: StreamSpec) -> Result<ConsumerKey, ConsumeRefused> {
        let mut log = self.log.lock();
        if log.deleted {
            return Err(ConsumeRefused::Deleted);
        }
        let start = log.add_reader(spec.offset);
        self.keeps.store(log.keeps(), Ordering::Relaxed);
        let mut readers = self.readers.write();
        readers.serial = readers.serial.wrapping_add(1);
        let serial = readers.serial;
        let slot = readers.slots.vacant_entry();
        let key = ConsumerKey { slot: u32::try_from(slot.key()).unwrap_or(u32::MAX), serial };
        slot.insert(Arc::new(Reader::new(key, new, start, spec.filter)));
        Ok(key)
    }

    /// Lets a consumer begin, or go on after it waited for its outlet.
    pub(crate) fn resume(&self, queue: &Arc<Queue>, key: ConsumerKey, effects: &mut Effects) {
        if let Some(reader) = self.reader(key) {
            // While there was no consumer nobody looked what has become durable.
            let awake = self.log.lock().advance(self.services.journal.durable());
            self.go_on(awake, effects);
            reader.let_go(queue);
            self.pump(queue, &reader, effects);
        }
    }

    /// Removes a consumer, if it is still there.
    pub(crate) fn remove_reader(&self, key: ConsumerKey) {
        let mut readers = self.readers.write();
        if readers.slots.get(key.slot as usize).is_some_and(|reader| reader.key == key)
            && let Some(reader) = readers.slots.try_remove(key.slot as usize)
        {
            drop(readers);
            reader.end();
            let mut log = self.log.lock();
            log.remove_reader(&reader);
            self.keeps.store(log.keeps(), Ordering::Relaxed);
        }
    }

    /// Deliveries were acknowledged, in whatever way: their consumers get credit back, and go on.
    pub(crate) fn settle(&self, queue: &Arc<Queue>, settled: &[Settled], effects: &mut Effects) {
        for run in settled.chunk_by(|a, b| a.consumer == b.consumer) {
            let consumer = run.first().and_then(|settled| settled.consumer);
            let acked = run.iter().filter(|settled| settled.acked).map(Settled::count).sum();
            self.happened.ack.fetch_add(acked, Ordering::Relaxed);
            if let Some(reader) = consumer.and_then(|key| self.reader(key)) {
                reader.give(run.iter().map(Settled::count).sum());
                self.pump(queue, &reader, effects);
            }
        }
    }

    /// Nothing comes in or goes out any more; consumers are told.
    pub(crate) fn close(&self, effects: &mut Effects) {
        self.log.lock().close();
        let armed_ms = self.due_ms.lock().take();
        self.services.timers.arm(self.id.0, armed_ms, None, || -> Weak<dyn Timed> { Weak::<Self>::clone(&self.me) });
        let readers = std::mem::take(&mut self.readers.write().slots);
        for (_, reader) in readers {
            reader.cancel(effects);
        }
    }

    fn reader(&self, key: ConsumerKey) -> Option<Arc<Reader>> {
        self.readers.read().slots.get(key.slot as usize).filter(|reader| reader.key == key).cloned()
    }

    /// How many pages a consumer may hold or wait for.
    fn pages_wanted(&self, has_credit: bool) -> usize {
        1 + usize::from(has_credit) - usize::from(self.is_scarce())
    }

    fn is_scarce(&self) -> bool {
        self.pages && self.services.memory.is_used_up(0)
    }

    /// Lets a consumer do what it can.
    fn pump(&self, queue: &Arc<Queue>, reader: &Arc<Reader>, effects: &mut Effects) {
        while !self.is_paused() {
            let step = reader.step(self, queue, effects);
            self.wait_for(step.register);
            if let Some((range, messages_max)) = step.load {
                let bytes_max = if self.is_scarce() { SCARCE_PAGE_BYTES_MAX } else { STREAM_PAGE_BYTES_MAX };
                let reader: Arc<dyn PageReader> = Arc::<Reader>::clone(reader);
                self.services.journal.load(LoadRequest { queue: self.id, range, messages_max, bytes_max, reader });
            }
            if !step.more {
                return;
            }
        }
    }

    /// There is something to read for consumers that slept.
    fn go_on(&self, readers: Vec<Arc<Reader>>, effects: &mut Effects) {
        for reader in readers {
            if let Some(queue) = reader.wake() {
                self.pump(&queue, &reader, effects);
            }
        }
    }

    fn wait_for(&self, register: Option<Lsn>) {
        if let (Some(lsn), Some(me)) = (register, self.me.upgrade()) {
            self.services.journal.when_durable(lsn, me);
        }
    }

    /// Has [`Timed::due`] called at `due_ms`, if it is not called earlier anyway.
    fn be_due(&self, due_ms: Option<u64>) {
        let Some(due_ms) = due_ms else { return };
        let mut armed = self.due_ms.lock();
        if armed.is_none_or(|armed_ms| due_ms < armed_ms) {
            let timed = || -> Weak<dyn Timed> { Weak::<Self>::clone(&self.me) };
            self.services.timers.arm(self.id.0, *armed, Some(due_ms), timed);
            *armed = Some(due_ms);
        }
    }
}

/// Woken when something is durable that consumers wait for. Whoever wakes has other things to do than to deliver it: that is done
/// as if it were due.
impl Waiter for Stream {
    fn wake(&self) {
        self.be_due(Some(0));
    }
}

impl Timed for Stream {
    fn due(self: Arc<Self>, now_ms: u64, effects: &mut Effects) {
        *self.due_ms.lock() = None;
        let journal = &*self.services.journal;
        let mut log = self.log.lock();
        if log.deleted {
            return;
        }
        log.registered_came();
        let awake = log.advance(journal.durable());
        log.retain(now_ms, journal);
        let (register, due_ms) = (log.register(), log.due_ms());
        drop(log);
        self.wait_for(register);
        self.be_due(due_ms);
        self.go_on(awake, effects);
    }
}
