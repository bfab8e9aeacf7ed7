//! What a connection has to send, and what it remembers of its deliveries: one lock for both.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use leveret_codec::frame::{FrameKind, begin_frame, end_frame};
use leveret_codec::method::Method;
use leveret_codec::table::FieldTable;
use leveret_engine::counters::MessageCounts;
use leveret_engine::effects::Effects;
use leveret_engine::journal::{Journal, Lsn, Waiter};
use leveret_engine::limits::{OUTLET_FULL_BYTES, OUTLET_ROOM_BYTES};
use leveret_engine::names::{ConsumerKey, Name, QueueId};
use leveret_engine::outlet::Parked;
use leveret_engine::queue::Queue;
use parking_lot::{Mutex, MutexGuard};
use slab::Slab;

use crate::about::Owner;
use crate::confirm::{Confirms, Outcome};
use crate::counters::{ChannelTallies, ConnectionTallies};
use crate::direct::{Cork, Pen, Socket};
pub use crate::encode::{BlobFrames, OutBuffer, Piece};
use crate::held::HeldReplies;
use crate::limits::SENT_HERE_BYTES_MAX;
use crate::sent::SentFrames;
use crate::timeout::Watched;
use crate::unacked::{Unacked, UnackedList};

/// The outgoing side of a connection, shared by its reader, its writer and the queues it consumes from.
pub struct Outbox {
    pub(crate) state: Mutex<OutState>,
    /// The weight of the buffer, to be read without the lock.
    pub(crate) waiting_bytes: AtomicUsize,
    /// Bytes of the held replies, likewise.
    held_bytes: AtomicUsize,
    /// Some consumer has a timeout.
    pub(crate) watches: AtomicBool,
    /// The changes of policies that are taken into account.
    pub(crate) policies_seen: AtomicU64,
    frame_max: AtomicUsize,
    pub(crate) cork: Cork,
    pub(crate) writer: AtomicWaker,
    journal: Arc<dyn Journal>,
    pub(crate) tallies: ConnectionTallies,
    /// What is told of the connection's state: see [`crate::report::ConnectionState`].
    pub(crate) told_state: AtomicU8,
    /// Known once the connection is open.
    owner: OnceLock<Owner>,
}

#[derive(Default)]
pub(crate) struct OutState {
    pub(crate) buffer: OutBuffer,
    /// Written buffers with messages that are not acknowledged.
    pub(crate) sent: SentFrames,
    /// An empty buffer with room, left by who wrote last.
    pub(crate) spare: OutBuffer,
    pub(crate) channels: HashMap<u16, OutChannel, RandomState>,
    /// What happened on channels that are gone.
    pub(crate) gone: Option<Box<MessageCounts>>,
    /// Consumers that wait until the buffer is written.
    pub(crate) parked: Vec<Parked>,
    /// Replies that wait for the journal.
    held: HeldReplies,
    /// Channels with confirms to send.
    confirming: Vec<u16>,
    /// The writer is woken when this is durable, and was or will be for all that was waited for before.
    registered: Lsn,
    /// For what little is sent without the writer.
    pub(crate) socket: Option<Arc<dyn Socket>>,
    /// Who writes.
    pub(crate) pen: Pen,
    /// What goes before the buffer: the socket did not take it at once.
    pub(crate) rest: Vec<u8>,
    /// The writer has been woken, or will be at the end of a batch.
    pub(crate) notified: bool,
    /// Nothing comes after what is in the buffer.
    pub(crate) finished: bool,
    /// The socket is gone.
    pub(crate) closed: bool,
}

/// The outgoing side of a channel.
#[derive(Default)]
pub(crate) struct OutChannel {
    /// The last delivery tag given.
    last_tag: u64,
    pub(crate) unacked: UnackedList,
    /// Consumers by tag.
    pub(crate) consumers: HashMap<Name, ConsumerHome, RandomState>,
    /// Queues that unacknowledged deliveries came from.
    queues: Slab<QueueUse>,
    pub(crate) confirms: Confirms,
    confirming: bool,
    /// Consumers that wait for the channel-wide limit.
    pub(crate) parked: Vec<Parked>,
    /// The client wants to hear when the broker ends a consumer.
    pub(crate) cancel_notify: bool,
    /// Consumers whose deliveries have to be acknowledged in time.
    pub(crate) watched: Vec<Watched>,
    /// The timeout that was found to be over.
    pub(crate) overdue: Option<u64>,
    pub(crate) tallies: Arc<ChannelTallies>,
}

/// Where a consumer lives.
#[derive(Clone)]
pub(crate) struct ConsumerHome {
    pub(crate) queue: Arc<Queue>,
    pub(crate) key: ConsumerKey,
    pub(crate) terms: Arc<ConsumerTerms>,
}

/// What a consumer asked for.
#[derive(Debug, Default)]
pub(crate) struct ConsumerTerms {
    pub(crate) no_ack: bool,
    pub(crate) exclusive: bool,
    pub(crate) prefetch: u16,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) arguments: FieldTable,
}

/// A queue and how many unacknowledged deliveries came from it.
struct QueueUse {
    queue: Arc<Queue>,
    uses: usize,
}

impl OutChannel {
    pub(crate) fn new(cancel_notify: bool, tallies: Arc<ChannelTallies>) -> Self {
        Self { cancel_notify, tallies, ..Self::default() }
    }

    /// Where a delivery came from.
    pub(crate) fn queue_of(&self, unacked: &Unacked) -> Option<&Arc<Queue>> {
        self.queues.get(unacked.queue as usize).map(|known| &known.queue)
    }

    pub(crate) fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// The last delivery tag given.
    pub(crate) fn last_tag(&self) -> u64 {
        self.last_tag
    }

    /// Whether `place` in the list is that of queue `id`.
    pub(crate) fn is_place_of(&self, place: u32, id: QueueId) -> bool {
        self.queues.get(place as usize).is_some_and(|known| known.queue.id == id)
    }

    /// The place of `queue` in the list, for `uses` more deliveries.
    pub(crate) fn use_queue(&mut self, queue: &Arc<Queue>, uses: usize) -> u32 {
        // By address: to look into each queue would cost a cache miss each.
        let known = self.queues.iter_mut().find(|(_, known)| Arc::ptr_eq(&known.queue, queue));
        let place = match known {
            Some((place, known)) => {
                known.uses += uses;
                place
            }
            None => self.queues.insert(QueueUse { queue: Arc::clone(queue), uses }),
        };
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Gives `take` the queue that `unacked` came from, which is used once less.
    pub(crate) fn release_queue(&mut self, unacked: Unacked, take: impl FnOnce(&Arc<Queue>, Unacked)) {
        let place = unacked.queue as usize;
        let Some(found) = self.queues.get_mut(place) else { return };
        take(&found.queue, unacked);
        found.uses -= 1;
        if found.uses == 0 {
            self.queues.try_remove(place);
        }
    }
}

impl OutState {
    /// The buffer is not added to any more: what is unacknowledged in it can still be found.
    pub(crate) fn seal(&mut self) {
        self.sent.seal(&mut self.buffer);
    }

    /// Lets go of written buffers of which little is needed.
    pub(crate) fn compact(&mut self) {
        self.sent.compact(&mut self.channels);
    }
}

/// What the writer has to do after writing what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Come again.
    More,
    /// Close the socket.
    Finish,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("waiting_bytes", &self.waiting_bytes).finish_non_exhaustive()
    }
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, frame_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            waiting_bytes: AtomicUsize::new(0),
            held_bytes: AtomicUsize::new(0),
            watches: AtomicBool::new(false),
            policies_seen: AtomicU64::new(0),
            frame_max: AtomicUsize::new(frame_max),
            cork: Cork::default(),
            writer: AtomicWaker::new(),
            journal,
            tallies: ConnectionTallies::default(),
            told_state: AtomicU8::new(0),
            owner: OnceLock::new(),
        }
    }

    pub(crate) fn set_frame_max(&self, bytes: usize) {
        self.frame_max.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn frame_max(&self) -> usize {
        self.frame_max.load(Ordering::Relaxed)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, OutState> {
        self.state.lock()
    }

    /// The connection is open, and this one's.
    pub(crate) fn set_owner(&self, owner: Owner) {
        self.owner.get_or_init(|| owner);
    }

    /// Whose connection it is, once it is open.
    pub(crate) fn owner(&self) -> Option<&Owner> {
        self.owner.get()
    }

    /// Publishes the state's size, and says whether [`Outbox::wake`] is due for what was added.
    pub(crate) fn added(&self, state: &mut OutState) -> bool {
        let weight = state.buffer.weight();
        self.waiting_bytes.store(weight, Ordering::Relaxed);
        // Who writes looks again when that is done; the reader looks at the end of its batch, which may be too late for much.
        if state.pen != Pen::Free || (weight <= SENT_HERE_BYTES_MAX && self.cork.added()) {
            return false;
        }
        !std::mem::replace(&mut state.notified, true)
    }

    /// Changes the state, and sees to it that what was added is sent.
    pub(crate) fn update(&self, change: impl FnOnce(&mut OutState)) {
        let mut state = self.lock();
        change(&mut state);
        let wake = self.added(&mut state);
        drop(state);
        if wake {
            self.wake();
        }
    }

    /// Appends frames made by `write`.
    pub(crate) fn send(&self, write: impl FnOnce(&mut Vec<u8>)) {
        self.update(|state| write(state.buffer.buffer()));
    }

    /// Appends a method that tells of nothing durable. It stays behind the replies that are held.
    pub(crate) fn send_method<'m>(self: &Arc<Self>, channel: u16, method: impl Into<Method<'m>>) {
        self.send_when_durable(Lsn::default(), channel, &method.into());
    }

    /// Appends a method once `lsn` is durable and the replies before it are out.
    pub(crate) fn send_when_durable(self: &Arc<Self>, lsn: Lsn, channel: u16, method: &Method<'_>) {
        let mut state = self.lock();
        if state.held.is_empty() && self.is_durable(lsn) {
            method.write_frame(channel, state.buffer.buffer());
            let wake = self.added(&mut state);
            drop(state);
            if wake {
                self.wake();
            }
            return;
        }
        state.held.push(lsn, channel, method);
        self.held_bytes.store(state.held.bytes(), Ordering::Relaxed);
        self.register(&mut state, lsn);
    }

    /// Lets a method go behind the replies that are held, if there are any: it may be the consequence of what the last of them
    /// tells. False when there are none.
    pub(crate) fn holds(&self, state: &mut OutState, channel: u16, method: &Method<'_>) -> bool {
        let is_holding = !state.held.is_empty();
        if is_holding {
            state.held.push(Lsn::default(), channel, method);
            self.held_bytes.store(state.held.bytes(), Ordering::Relaxed);
        }
        is_holding
    }

    /// Whether replies are held by now; then the position with which the last of them goes.
    pub(crate) fn held_until(self: &Arc<Self>) -> Option<Lsn> {
        let mut state = self.lock();
        let last = state.held.last()?;
        let durable = self.journal.durable();
        self.release_held(&mut state, durable);
        let (is_held, wake) = (!state.held.is_empty(), self.added(&mut state));
        drop(state);
        if wake {
            self.wake();
        }
        is_held.then_some(last)
    }

    fn is_durable(&self, lsn: Lsn) -> bool {
        lsn == Lsn::default() || lsn <= self.journal.durable()
    }

    /// Has the writer woken when `lsn` is durable. From then on the journal is in a hurry.
    fn register(self: &Arc<Self>, state: &mut OutState, lsn: Lsn) {
        if lsn > state.registered {
            state.registered = lsn;
            let waiter: Arc<dyn Waiter> = Arc::<Self>::clone(self);
            self.journal.when_durable(lsn, waiter);
        }
    }

    /// Appends a heartbeat.
    pub fn send_heartbeat(&self) {
        self.send(|out| {
            let start = begin_frame(out, FrameKind::Heartbeat, 0);
            end_frame(out, start);
        });
    }

    /// Bytes of memory that wait to be written, held replies included.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes.load(Ordering::Relaxed) + self.held_bytes.load(Ordering::Relaxed)
    }

    /// Whether replies are held, also after [`Outbox::finish`].
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.held_bytes.load(Ordering::Relaxed) > 0
    }

    /// Whether all that was to be written is in the socket.
    #[must_use]
    pub fn is_written(&self) -> bool {
        let state = self.lock();
        state.pen == Pen::Free && state.rest.is_empty() && state.buffer.is_empty() && state.held.is_empty()
    }

    /// Whether publishes wait for their confirms.
    pub(crate) fn is_confirming(&self) -> bool {
        !self.lock().confirming.is_empty()
    }

    /// Bytes that deliveries may still take.
    pub(crate) fn room_bytes(&self) -> usize {
        OUTLET_FULL_BYTES.saturating_sub(self.waiting_bytes.load(Ordering::Relaxed))
    }

    /// Keeps a consumer that found the outbox full; false when there is room by now.
    pub(crate) fn park_until_written(&self, parked: &Parked) -> bool {
        let mut state = self.lock();
        if state.closed {
            return true;
        }
        if state.buffer.weight() < OUTLET_ROOM_BYTES {
            return false;
        }
        state.parked.push(parked.clone());
        true
    }

    /// All publishes of a channel up to `seq` had this outcome, durable at `lsn`.
    pub(crate) fn confirm(self: &Arc<Self>, channel: u16, seq: u64, lsn: Lsn, outcome: Outcome) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(out) = state.channels.get_mut(&channel) else { return };
        out.confirms.push(seq, lsn, outcome);
        if !std::mem::replace(&mut out.confirming, true) {
            state.confirming.push(channel);
        }
        if !self.is_durable(lsn) {
            // The writer has nothing to do before the journal wakes it.
            self.register(state, lsn);
            return;
        }
        let wake = self.added(state);
        drop(guard);
        if wake {
            self.wake();
        }
    }

    /// Forgets a channel; confirms that are durable go out before.
    pub(crate) fn end_channel(self: &Arc<Self>, channel: u16) {
        self.update(|state| {
            let durable = self.journal.durable();
            self.add_confirms(state, durable);
            if let Some(gone) = state.channels.remove(&channel) {
                state.gone.get_or_insert_default().add(&gone.counts());
            }
        });
    }

    /// Nothing will be added: the writer closes the socket after what is there, held replies included.
    pub fn finish(&self) {
        let mut state = self.lock();
        state.finished = true;
        state.notified = true;
        drop(state);
        self.wake();
    }

    /// The socket is gone: what is there is dropped, parked consumers are forgotten.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.finished = true;
        state.seal();
        state.buffer = OutBuffer::default();
        state.spare = OutBuffer::default();
        state.parked = Vec::new();
        state.held = HeldReplies::default();
        state.socket = None;
        state.rest = Vec::new();
        self.held_bytes.store(0, Ordering::Relaxed);
        drop(state);
        self.wake();
    }

    /// For the writer. Swaps what is to be written into `out`, whose content was written. Ready when there is something to write or
    /// the outbox is finished; else the context's task is woken later.
    pub fn poll_take(self: &Arc<Self>, context: &mut Context<'_>, out: &mut OutBuffer) -> Poll<Next> {
        out.clear();
        self.writer.register(context.waker());
        let mut state = self.lock();
        if state.pen == Pen::Here {
            return Poll::Pending;
        }
        if !state.rest.is_empty() {
            state.pen = Pen::Writer;
            out.buffer().append(&mut state.rest);
            return Poll::Ready(Next::More);
        }
        self.collect(&mut state);
        state.notified = false;
        state.pen = Pen::Free;
        let finished = state.finished && state.held.is_empty();
        if state.buffer.is_empty() {
            if finished {
                return Poll::Ready(Next::Finish);
            }
            if state.spare.capacity() == 0 {
                std::mem::swap(&mut state.spare, out);
            }
            return Poll::Pending;
        }
        state.seal();
        if out.capacity() == 0 {
            std::mem::swap(&mut state.spare, out);
        }
        if out.capacity() == 0
            && let Some(room) = state.sent.take_free()
        {
            out.set_room(room);
        }
        std::mem::swap(&mut state.buffer, out);
        state.pen = Pen::Writer;
        self.waiting_bytes.store(0, Ordering::Relaxed);
        Poll::Ready(if finished { Next::Finish } else { Next::More })
    }

    /// For the writer: what it was given last is written, and it does not come again.
    pub fn writer_is_done(&self) {
        self.lock().pen = Pen::Free;
    }

    /// Consumers that had found the outbox full are let go on. The writer calls it after it took what was there.
    pub fn resume_parked(&self, effects: &mut Effects) {
        let parked = {
            let mut state = self.lock();
            if state.parked.is_empty() {
                return;
            }
            std::mem::take(&mut state.parked)
        };
        for parked in parked {
            parked.queue.resume(parked.key, effects);
        }
        effects.carry_out();
    }

    /// Adds what has become durable.
    pub(crate) fn collect(&self, state: &mut OutState) {
        if state.confirming.is_empty() && state.held.is_empty() {
            return;
        }
        let durable = self.journal.durable();
        self.add_confirms(state, durable);
        self.release_held(state, durable);
    }

    /// Adds the confirms that are durable.
    fn add_confirms(&self, state: &mut OutState, durable: Lsn) {
        for channel in std::mem::take(&mut state.confirming) {
            let Some(out) = state.channels.get_mut(&channel) else { continue };
            out.confirms.pop(durable, |method| method.write_frame(channel, state.buffer.buffer()));
            out.confirming = !out.confirms.is_empty();
            if out.confirming {
                state.confirming.push(channel);
            }
        }
    }

    /// Adds the held replies that may go.
    fn release_held(&self, state: &mut OutState, durable: Lsn) {
        state.held.release(durable, state.buffer.buffer());
        self.held_bytes.store(state.held.bytes(), Ordering::Relaxed);
    }

    /// Gives back room that an idle connection does not need. Called now and then.
    pub fn shrink(&self) {
        if let Some(mut state) = self.state.try_lock() {
            state.spare = OutBuffer::default();
            state.compact();
            state.sent.shrink();
            if state.buffer.is_empty() {
                state.buffer = OutBuffer::default();
            }
        }
    }
}
