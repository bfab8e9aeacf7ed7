//! Queues: a pure core behind a short lock.

pub mod arguments;
mod browse;
mod consumers;
mod core;
mod dead_letter;
mod deaths;
mod expiry;
mod facts;
mod journaling;
mod levels;
mod paged;
mod paging;
mod pause;
mod ready;
mod report;
mod rules;
mod single_active;
mod take;
mod waiting;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use leveret_codec::table::FieldTable;
use parking_lot::Mutex;

use crate::delay::Delay;
use crate::effects::Effects;
use crate::error::Error;
use crate::journal::{Lsn, Waiter};
use crate::names::{ConnectionId, ConsumerKey, Name, QueueId};
use crate::publish::{Publication, copy_together};
use crate::queue::arguments::{QueueArguments, QueueType};
pub use crate::queue::browse::{Browse, Browsed, BrowsedMessage, MessageState};
pub(crate) use crate::queue::consumers::Consumers;
pub use crate::queue::consumers::NewConsumer;
use crate::queue::core::QueueCore;
pub use crate::queue::core::{ConsumeRefused, Settled};
pub(crate) use crate::queue::dead_letter::Dying;
pub(crate) use crate::queue::deaths::{DeadLetter, DeathReason};
use crate::queue::facts::Persistent;
pub use crate::queue::facts::QueueFacts;
pub(crate) use crate::queue::journaling::{EnqueueScratch, Settling, append_bodies};
pub(crate) use crate::queue::paging::Load;
pub use crate::queue::ready::{Entry, Stored};
pub use crate::queue::report::{QueueConsumer, QueueReport};
use crate::queue::rules::{ReturnKind, Rules};
pub use crate::queue::take::InHand;
use crate::restore::RestoredQueue;
use crate::services::Services;
use crate::stream::{Stream, StreamSpec};
use crate::vhost::Vhost;

/// What a queue is declared as.
pub struct Queue {
    /// Unique in the broker.
    pub id: QueueId,
    /// Its name.
    pub name: Name,
    /// Its vhost's name.
    pub vhost: Name,
    /// Survives a restart. Never set for an exclusive queue.
    pub durable: bool,
    /// Goes when its last consumer goes.
    pub auto_delete: bool,
    /// The connection that may use it, and with which it goes.
    pub owner: Option<ConnectionId>,
    /// Its arguments as declared.
    pub arguments: FieldTable,
    /// The same, understood. Queues without arguments share theirs.
    pub settings: Arc<QueueArguments>,
    /// Set before the core is emptied, so that cached routes to it are seen to be dead without the lock.
    deleted: AtomicBool,
    /// How long deliveries may stay unacknowledged; `u64::MAX` for ever.
    consumer_timeout_ms: AtomicU64,
    /// Policies act on it.
    under_policy: AtomicBool,
    /// Where its dead letters are routed.
    pub(crate) home: Weak<Vhost>,
    pub(crate) services: Arc<Services>,
    /// Messages may leave memory.
    pages: bool,
    /// At the end of the last hold messages waited in memory, so that those who bring more had better be ready to leave them here.
    waits: AtomicBool,
    /// All messages survive a restart, whatever their delivery-mode.
    keeps_all: bool,
    /// There is a dead-letter exchange.
    dead_letters: AtomicBool,
    /// Messages that come back tell how often.
    counts_deliveries: AtomicBool,
    /// What waits here, where this is the hidden queue of a delayed exchange: nothing gets to the core then.
    pub(crate) delay: Option<Arc<Delay>>,
    core: Mutex<QueueCore>,
    persistent: Persistent,
    /// Set for a stream: then all is there, and nothing in the core.
    pub(crate) stream: Option<Arc<Stream>>,
}

/// What a new queue is made of.
#[allow(missing_docs, reason = "as in Queue")]
pub struct NewQueue {
    pub id: QueueId,
    pub name: Name,
    pub vhost: Name,
    pub durable: bool,
    pub auto_delete: bool,
    pub owner: Option<ConnectionId>,
    pub arguments: FieldTable,
    pub settings: QueueArguments,
    /// The vhost itself, as long as it is there.
    pub home: Weak<Vhost>,
    pub services: Arc<Services>,
}

/// The outcome of a get.
#[derive(Debug)]
pub enum Got {
    /// The first ready message, and how many are left after it.
    Message {
        /// The message.
        entry: Entry,
        /// Ready messages left.
        left: usize,
    },
    /// There is none.
    Empty,
    /// There is one, and it has to be read first: [`Queue::when_loaded`] tells when to try again.
    Loading,
}

/// The outcome of a purge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Messages that were dropped.
    pub messages: usize,
    /// When it is durable that they are gone.
    pub lsn: Lsn,
}

/// Counts of a queue at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages ready for delivery.
    pub ready: usize,
    /// Messages delivered or got, not yet settled.
    pub unacked: usize,
    /// Consumers.
    pub consumers: usize,
}

/// What was in a queue that is closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    /// Ready messages.
    pub(crate) ready: usize,
    /// The journal knows of the queue.
    pub(crate) journaled: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(new: NewQueue) -> Self {
        let stream = Stream::of(new.id, &new.settings, &new.services, None);
        Self::with(new, stream)
    }

    fn with(new: NewQueue, stream: Option<Arc<Stream>>) -> Self {
        Self {
            id: new.id,
            name: new.name,
            vhost: new.vhost,
            durable: new.durable,
            auto_delete: new.auto_delete,
            owner: new.owner,
            arguments: new.arguments,
            under_policy: AtomicBool::new(false),
            consumer_timeout_ms: AtomicU64::new(new.settings.consumer_timeout_ms.unwrap_or(u64::MAX)),
            deleted: AtomicBool::new(false),
            pages: new.services.journal.can_page(),
            waits: AtomicBool::new(false),
            home: new.home,
            services: new.services,
            keeps_all: new.settings.queue_type != QueueType::Classic,
            delay: None,
            core: Mutex::new(QueueCore::new(&new.settings)),
            persistent: Persistent::default(),
            stream,
            dead_letters: AtomicBool::new(new.settings.dead_letter_exchange.is_some()),
            counts_deliveries: AtomicBool::new(counts_deliveries(&new.settings)),
            settings: new.settings.shared(),
        }
    }

    /// A queue that a restart found, with its messages.
    #[must_use]
    pub fn restored(new: NewQueue, found: &RestoredQueue) -> Self {
        let stream = Stream::of(new.id, &new.settings, &new.services, Some(found));
        let mut queue = Self::with(new, stream);
        if queue.stream.is_none() {
            queue.core.get_mut().restore(found);
            queue.persistent.add(found.messages, found.bytes);
        }
        queue
    }

    /// Other arguments than those of its declaration are in force from the beginning of the broker on.
    pub(crate) fn begin_under(&self, effective: &QueueArguments) {
        self.core.lock().begin_under(Rules::new(effective));
    }

    /// Whether it was deleted; who still holds it then holds nothing.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Whether what its consumers have counts towards the prefetch limit that consumers of a channel share.
    #[must_use]
    pub fn counts_towards_channel_limit(&self) -> bool {
        self.settings.queue_type == QueueType::Classic
    }

    /// How long deliveries may stay unacknowledged, where the consumer does not say it; none for ever.
    #[must_use]
    pub fn consumer_timeout_ms(&self) -> Option<u64> {
        let own_ms = Some(self.consumer_timeout_ms.load(Ordering::Relaxed)).filter(|limit| *limit != u64::MAX);
        own_ms.or_else(|| self.services.consumer_timeout_ms())
    }

    /// Notes whether policies act on it from now on. Says whether anything can have changed by it.
    pub(crate) fn note_policy(&self, acts: bool) -> bool {
        self.under_policy.swap(acts, Ordering::Relaxed) || acts
    }

    /// Other arguments are in force from now on: a policy has come, changed or gone. What was declared stays in `settings`.
    pub fn set_effective(self: &Arc<Self>, effective: &QueueArguments, effects: &mut Effects) {
        if self.stream.is_some() {
            self.set_stream_retention(effective);
            return;
        }
        self.consumer_timeout_ms.store(effective.consumer_timeout_ms.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.dead_letters.store(effective.dead_letter_exchange.is_some(), Ordering::Relaxed);
        self.counts_deliveries.store(counts_deliveries(effective), Ordering::Relaxed);
        self.core.lock().set_effective(self, effective, effects);
        self.deliver(effects);
    }

    /// Whether messages that come back tell how often, in header x-delivery-count.
    #[must_use]
    pub fn counts_deliveries(&self) -> bool {
        self.counts_deliveries.load(Ordering::Relaxed)
    }

    /// Whether somebody wants the messages that are rejected for good.
    #[must_use]
    pub fn has_dead_letters(&self) -> bool {
        self.dead_letters.load(Ordering::Relaxed)
    }

    /// Its counts now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        if let Some(stream) = &self.stream {
            return stream.counts();
        }
        self.core.lock().counts()
    }

    /// Whether it is a stream.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// What a policy says of how long the messages of a stream stay has changed; nothing happens to any other queue.
    pub fn set_stream_retention(&self, settings: &QueueArguments) {
        if let Some(stream) = &self.stream {
            stream.set_retention(settings);
        }
    }

    /// Takes the messages of a publisher's batch that `picks` names, in that order: to consumers that wait, and the rest to
    /// the ready list. Returns the position of the last record written for them.
    pub(crate) fn publish(
        self: &Arc<Self>,
        items: &mut [Publication<'_>],
        picks: &[u32],
        effects: &mut Effects,
    ) -> Lsn {
        if let Some(delay) = &self.delay {
            return delay.publish(self, items, picks, effects);
        }
        if let Some(stream) = &self.stream {
            return stream.publish(items, picks, effects);
        }
        if self.waits.load(Ordering::Relaxed) {
            copy_together(items, picks);
        }
        let mut core = self.core.lock();
        core.publish(self, items, picks, effects)
    }

    /// Adds a consumer. Deliveries start with [`Queue::resume`], after the caller has told the client of the consumer.
    ///
    /// # Errors
    /// When an exclusive consumer is there, or this one wants to be exclusive and others are there or could be.
    pub fn add_consumer(&self, new: NewConsumer) -> Result<ConsumerKey, ConsumeRefused> {
        if self.is_stream() {
            return self.add_reader(new, StreamSpec::default());
        }
        self.core.lock().add_consumer(&self.settings, new)
    }

    /// Adds a consumer of a stream. As [`Queue::add_consumer`], but that it gets what it asks for.
    ///
    /// # Errors
    /// When the stream was deleted meanwhile.
    pub fn add_reader(&self, new: NewConsumer, spec: StreamSpec) -> Result<ConsumerKey, ConsumeRefused> {
        match &self.stream {
            Some(stream) => stream.add_reader(new, spec),
            None => self.add_consumer(new),
        }
    }

    /// Lets a consumer take part again, and delivers what is ready.
    pub fn resume(self: &Arc<Self>, key: ConsumerKey, effects: &mut Effects) {
        if let Some(stream) = &self.stream {
            return stream.resume(self, key, effects);
        }
        self.core.lock().resume(key);
        self.deliver(effects);
    }

    /// Delivers ready messages while consumers take them, at most a batch a hold of the lock.
    fn deliver(self: &Arc<Self>, effects: &mut Effects) {
        loop {
            let more = self.core.lock().deliver(self, effects);
            // What nobody needs any more is freed without the lock.
            effects.planned.clear();
            if !more {
                return;
            }
        }
    }

    /// Removes a consumer, if it is still there. An auto-delete queue without consumers is noted for deletion.
    pub fn remove_consumer(self: &Arc<Self>, key: ConsumerKey, effects: &mut Effects) {
        if let Some(stream) = &self.stream {
            return stream.remove_reader(key);
        }
        let removed = {
            let mut core = self.core.lock();
            let removed = core.remove_consumer(key);
            if removed.last {
                core.touch(self);
            }
            removed
        };
        if removed.succeeded {
            effects.promotions.push(Arc::clone(self));
        }
        if removed.last && self.auto_delete {
            effects.deletions.push(Arc::clone(self));
        }
    }

    /// Where one consumer is served at a time, and from now on it is another.
    pub(crate) fn promote(self: &Arc<Self>, effects: &mut Effects) {
        self.core.lock().consumers.promote();
        self.deliver(effects);
    }

    /// Takes the first ready message.
    #[must_use]
    pub fn get(self: &Arc<Self>, no_ack: bool) -> Got {
        let mut effects = Effects::default();
        let got = self.core.lock().get(self, no_ack, &mut effects);
        effects.carry_out();
        got
    }

    /// Wakes `waiter` once, when a get that found [`Got::Loading`] may be tried again.
    pub fn when_loaded(self: &Arc<Self>, waiter: Arc<dyn Waiter>) {
        let mut effects = Effects::default();
        let waiter = self.core.lock().wait_for_first(self, waiter, &mut effects);
        effects.waiters.extend(waiter);
        effects.carry_out();
    }

    /// Deliveries are settled for good: their consumers get credit back and what is ready goes out. Returns the journal
    /// position with which that is durable.
    pub fn settle(self: &Arc<Self>, settled: &[Settled], effects: &mut Effects) -> Lsn {
        if let Some(stream) = &self.stream {
            stream.settle(self, settled, effects);
            return Lsn::default();
        }
        let (more, end) = self.core.lock().settle(self, settled);
        if more {
            self.deliver(effects);
        }
        end
    }

    /// Deliveries come back by somebody's failure: each to its place, to be delivered again as redelivered.
    pub fn requeue(
        self: &Arc<Self>,
        returned: impl IntoIterator<Item = (Option<ConsumerKey>, Entry)>,
        effects: &mut Effects,
    ) {
        self.core.lock().requeue(self, returned, ReturnKind::Failed, effects);
        self.deliver(effects);
    }

    /// The same of deliveries that were handed back without any failure.
    pub fn hand_back(
        self: &Arc<Self>,
        returned: impl IntoIterator<Item = (Option<ConsumerKey>, Entry)>,
        effects: &mut Effects,
    ) {
        self.core.lock().requeue(self, returned, ReturnKind::HandedBack, effects);
        self.deliver(effects);
    }

    /// Drops all ready messages.
    #[must_use]
    pub fn purge(self: &Arc<Self>) -> Purged {
        let mut effects = Effects::default();
        let purged = self.core.lock().purge(self, &mut effects);
        effects.carry_out();
        purged
    }

    /// Marks the queue deleted and empties it, if `allowed` agrees to its counts; consumers are told.
    pub(crate) fn close(
        self: &Arc<Self>,
        allowed: impl FnOnce(Counts) -> Result<(), Error>,
        effects: &mut Effects,
    ) -> Result<Closed, Error> {
        if let Some(stream) = &self.stream {
            // Conditions mean nothing to a stream (behaviour: RabbitMQ).
            self.deleted.store(true, Ordering::Release);
            stream.close(effects);
            return Ok(Closed { ready: 0, journaled: true });
        }
        let mut core = self.core.lock();
        let counts = core.counts();
        allowed(counts)?;
        self.deleted.store(true, Ordering::Release);
        core.close(self, effects);
        Ok(Closed { ready: counts.ready, journaled: self.durable || core.spilled })
    }
}

fn counts_deliveries(arguments: &QueueArguments) -> bool {
    arguments.queue_type == QueueType::Quorum || arguments.delivery_limit.is_some()
}
