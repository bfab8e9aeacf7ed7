//! What a queue sees of those who consume from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::message::{Message, NEVER_MS, Parts};
use crate::names::{ConnectionId, ConsumerKey, Name, QueueId};
use crate::publish::Publication;
use crate::queue::{Consumers, Entry, Queue, Stored};

/// Where deliveries of one channel go. Implementations take their own lock inside, never a queue's.
pub trait Outlet: Send + Sync {
    /// Bytes that may still be delivered; 0 when full.
    fn room_bytes(&self) -> usize;

    /// Takes deliveries, in order. Says whether [`Outlet::wake`] is due at the end of the batch.
    fn deliver(&self, batch: DeliveryBatch<'_, '_>) -> bool;

    /// The broker ended the consumer (the queue is gone). Says whether a wake is due.
    fn cancelled(&self, tag: &Name) -> bool;

    /// Remembers a consumer that could not take more, to call [`Queue::resume`] when there is room again. False when there
    /// is room already: the caller resumes it.
    fn park(&self, parked: &Parked) -> bool;

    /// Somebody should look at what was delivered. So many outlets are woken at once, this one included: among many the call
    /// must be short.
    fn wake(&self, at_once: usize);

    /// Adds to `found` what its connection got from a queue and has not settled, from position `from` on: the first `max` of
    /// them, in no order. Called without locks.
    fn outstanding(&self, queue: QueueId, from: u64, max: usize, found: &mut Vec<Entry>) {
        let _ = (queue, from, max, found);
    }

    /// Whose channel it is, if it is one.
    fn place(&self) -> Option<OutletPlace> {
        None
    }
}

/// The channel behind an outlet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutletPlace {
    /// The connection.
    pub connection: ConnectionId,
    /// The channel's number.
    pub channel: u16,
}

/// Who is being delivered to.
#[derive(Clone, Copy, Debug)]
pub struct Delivering<'a> {
    /// The consumer in its queue.
    pub key: ConsumerKey,
    /// Its tag on the channel.
    pub tag: &'a Name,
    /// Deliveries need no acknowledgement.
    pub no_ack: bool,
}

/// A consumer that waits for room in its outlet.
#[derive(Clone, Debug)]
pub struct Parked {
    /// The queue it consumes from.
    pub queue: Arc<Queue>,
    /// The consumer.
    pub key: ConsumerKey,
    /// What it waits for.
    pub reason: ParkReason,
}

/// Why a consumer takes no more, when it is not for its own prefetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParkReason {
    /// The channel-wide prefetch limit is reached.
    ChannelLimit,
    /// The outlet holds too many bytes.
    OutletFull,
}

/// Deliveries for the consumers behind one outlet, in the order in which it was their turn.
#[derive(Debug)]
pub struct DeliveryBatch<'b, 'm> {
    pub(crate) queue: &'b Arc<Queue>,
    pub(crate) consumers: &'b Consumers,
    pub(crate) messages: Messages<'b, 'm>,
}

/// Where the messages of a batch come from.
#[derive(Debug)]
pub(crate) enum Messages<'b, 'm> {
    /// Straight from a publisher: `picks` are places in `items`.
    Incoming { items: &'b mut [Publication<'m>], picks: &'b [Pick] },
    /// From the ready list.
    Ready(&'b [Planned]),
    /// From a stream, for one consumer: positions and messages.
    Stream { to: Delivering<'b>, messages: &'b [(u64, Message)] },
}

/// A message of a publisher's batch on its way to a consumer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick {
    /// The consumer's slot.
    pub(crate) slot: u32,
    /// Place in the batch.
    pub(crate) item: u32,
    /// Position in the queue.
    pub(crate) seq: u64,
    pub(crate) stored: Stored,
    pub(crate) expires_ms: u64,
}

/// A message of the ready list on its way to a consumer.
#[derive(Debug)]
pub(crate) struct Planned {
    /// The consumer's slot.
    pub(crate) slot: u32,
    pub(crate) entry: Entry,
}

/// One delivery.
#[derive(Debug)]
pub struct Delivery<'a, 'm> {
    /// The consumer it is for.
    pub to: Delivering<'a>,
    /// Position in the queue: what an acknowledgement gives back.
    pub seq: u64,
    /// How often it was delivered before.
    pub deliveries: u32,
    /// Whether the journal has it.
    pub stored: Stored,
    /// When it expires, should it come back: milliseconds since 1970; [`crate::message::NEVER_MS`] for never.
    pub expires_ms: u64,
    source: Source<'a, 'm>,
}

#[derive(Debug)]
enum Source<'a, 'm> {
    Incoming(&'a mut Publication<'m>),
    Kept(&'a Message),
    Stream(&'a Message),
}

impl Delivery<'_, '_> {
    /// The message's parts, for encoding.
    #[inline(always)]
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        match &self.source {
            Source::Incoming(item) => item.message.parts(),
            Source::Kept(message) | Source::Stream(message) => message.parts(),
        }
    }

    /// Where the message lies in the stream that it comes from: it says so in header `x-stream-offset`, and it stays there, so
    /// that it need not be kept until it is acknowledged.
    #[must_use]
    pub fn stream_offset(&self) -> Option<u64> {
        matches!(self.source, Source::Stream(_)).then(|| self.seq.saturating_sub(1))
    }

    /// Whether others may keep the message too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match &self.source {
            Source::Incoming(item) => !item.is_sole(),
            Source::Kept(message) | Source::Stream(message) => message.is_shared(),
        }
    }

    /// The message in the form to keep until it is acknowledged. Its parts may not be asked for any more.
    pub fn keep(self) -> Message {
        match self.source {
            Source::Incoming(item) => item.keep(),
            Source::Kept(message) | Source::Stream(message) => message.alone(),
        }
    }
}

impl Messages<'_, '_> {
    /// The consumer of the first one.
    pub(crate) fn first_slot(&self) -> Option<u32> {
        match self {
            Self::Incoming { picks, .. } => picks.first().map(|pick| pick.slot),
            Self::Ready(planned) => planned.first().map(|planned| planned.slot),
            Self::Stream { to, .. } => Some(to.key.slot),
        }
    }
}

impl<'b> DeliveryBatch<'b, '_> {
    /// The queue the messages come from.
    #[must_use]
    pub fn queue(&self) -> &'b Arc<Queue> {
        self.queue
    }

    /// How many deliveries they are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.messages {
            Messages::Incoming { picks, .. } => picks.len(),
            Messages::Ready(planned) => planned.len(),
            Messages::Stream { messages, .. } => messages.len(),
        }
    }

    /// Whether they are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the messages lie in a stream: see [`Delivery::stream_offset`].
    #[must_use]
    pub fn is_of_stream(&self) -> bool {
        matches!(self.messages, Messages::Stream { .. })
    }

    /// Calls `each` with every delivery, in order.
    pub fn for_each(self, mut each: impl FnMut(Delivery<'_, '_>)) {
        match self.messages {
            Messages::Incoming { items, picks } => {
                for pick in picks {
                    let to = self.consumers.delivering(pick.slot);
                    if let (Some(to), Some(item)) = (to, items.get_mut(pick.item as usize)) {
                        let Pick { seq, stored, expires_ms, .. } = *pick;
                        let source = Source::Incoming(item);
                        each(Delivery { to, seq, deliveries: 0, stored, expires_ms, source });
                    }
                }
            }
            Messages::Ready(planned) => {
                for Planned { slot, entry } in planned {
                    if let Some(to) = self.consumers.delivering(*slot) {
                        let source = Source::Kept(&entry.message);
                        let Entry { seq, deliveries, stored, expires_ms, .. } = *entry;
                        each(Delivery { to, seq, deliveries, stored, expires_ms, source });
                    }
                }
            }
            Messages::Stream { to, messages } => {
                for (seq, message) in messages {
                    let (stored, expires_ms, source) = (Stored::No, NEVER_MS, Source::Stream(message));
                    each(Delivery { to, seq: *seq, deliveries: 0, stored, expires_ms, source });
                }
            }
        }
    }
}

/// The prefetch limit that all consumers of a channel share (basic.qos with global set), and what counts towards it.
#[derive(Debug, Default)]
pub struct ChannelLimit {
    /// 0 is no limit.
    limit: AtomicU32,
    in_flight: AtomicU32,
}

impl ChannelLimit {
    /// Sets the limit; 0 removes it.
    pub fn set(&self, limit: u32) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    /// The limit; 0 when there is none.
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::SeqCst)
    }

    /// Counts one more delivery in flight, unless the limit is reached.
    pub fn try_take(&self) -> bool {
        let limit = self.limit();
        if limit == 0 {
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        self.in_flight
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| if n < limit { Some(n + 1) } else { None })
            .is_ok()
    }

    /// Whether one more could be taken.
    pub fn has_room(&self) -> bool {
        let limit = self.limit();
        limit == 0 || self.in_flight.load(Ordering::SeqCst) < limit
    }

    /// Counts `n` deliveries as settled.
    pub fn release(&self, n: u32) {
        self.in_flight.fetch_sub(n, Ordering::SeqCst);
    }
}
