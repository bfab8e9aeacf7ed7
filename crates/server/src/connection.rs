//! What the tasks of a connection and the ticker share.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use leveret_engine::counters::Tally;
use leveret_engine::journal::{Journal, Waiter};
use leveret_session::heartbeat::{Beat, Heartbeat};
use leveret_session::outbox::Outbox;
use leveret_session::report::{ConnectionBrief, Traffic};
use parking_lot::Mutex;

use crate::wire::Wire;

/// A connection from outside its tasks.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) wire: Arc<Wire>,
    pub(crate) received_bytes: AtomicU64,
    /// What the reader was told and has not taken note of: bits of [`Signal`].
    signals: AtomicU8,
    reader: AtomicWaker,
    /// The reader wants to be woken when the writer has taken something.
    pub(crate) wants_drained: AtomicBool,
    /// The reader waits for something other than bytes, and does not read.
    pub(crate) not_reading: AtomicBool,
    /// What is rarely wanted.
    state: Mutex<State>,
    /// Reads so far.
    pub(crate) reads: Tally,
}

/// What a reader is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Signal {
    /// The broker ends. It is told once.
    Shutdown = 1,
    /// The connection ends without a word. This stays.
    Gone = 1 << 1,
    /// What it waits for, other than bytes, may have come about.
    GoOn = 1 << 2,
    /// An alarm was raised.
    Alarm = 1 << 3,
    /// Something was not acknowledged in time.
    Overdue = 1 << 4,
    /// Somebody wants the connection closed: [`Connected::take_close_reason`] says why.
    Close = 1 << 5,
}

#[derive(Debug, Default)]
struct State {
    /// Why it is to be closed; in a box, since connections are many.
    #[allow(clippy::box_collection, reason = "one word for what is most often not there")]
    close_reason: Option<Box<String>>,
    heartbeat: Option<Heartbeat>,
    /// Bytes sent and received at the last tick.
    moved_bytes: u64,
}

/// Somebody waits for what the writer takes.
struct WantsDrained<'a>(&'a AtomicBool);

impl Drop for WantsDrained<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Connected {
    pub(crate) fn new(outbox: Arc<Outbox>, wire: Arc<Wire>) -> Self {
        Self {
            outbox,
            wire,
            received_bytes: AtomicU64::new(0),
            signals: AtomicU8::new(0),
            reader: AtomicWaker::new(),
            wants_drained: AtomicBool::new(false),
            not_reading: AtomicBool::new(false),
            state: Mutex::default(),
            reads: Tally::default(),
        }
    }

    /// Closes the connection from the server's side.
    pub(crate) fn close(&self, reason: &str) {
        self.state.lock().close_reason = Some(Box::new(reason.to_owned()));
        self.tell(Signal::Close);
    }

    /// For the reader: why it is to be closed.
    pub(crate) fn take_close_reason(&self) -> String {
        self.state.lock().close_reason.take().map(|reason| *reason).unwrap_or_default()
    }

    /// What was received and sent so far.
    pub(crate) fn traffic(&self) -> (Traffic, Traffic) {
        let received = Traffic { bytes: self.received_bytes.load(Ordering::Relaxed), count: self.reads.get() };
        (received, Traffic { bytes: self.wire.sent_bytes(), count: self.wire.sends() })
    }

    /// Whether it is not read for what others have to write first.
    pub(crate) fn is_held_back(&self, journal: &dyn Journal) -> bool {
        self.not_reading.load(Ordering::Relaxed) && journal.is_full()
    }

    /// Tells the reader.
    pub(crate) fn tell(&self, signal: Signal) {
        self.signals.fetch_or(signal as u8, Ordering::SeqCst);
        self.reader.wake();
    }

    /// For the reader: comes with the first of `wanted` that it was told.
    pub(crate) fn poll_told(&self, context: &Context<'_>, wanted: &[Signal]) -> Poll<Signal> {
        self.reader.register(context.waker());
        match wanted.iter().find(|signal| self.was_told(**signal)) {
            Some(Signal::Gone) => Poll::Ready(Signal::Gone),
            Some(signal) => {
                self.signals.fetch_and(!(*signal as u8), Ordering::SeqCst);
                Poll::Ready(*signal)
            }
            None => Poll::Pending,
        }
    }

    fn was_told(&self, signal: Signal) -> bool {
        self.signals.load(Ordering::SeqCst) & signal as u8 != 0
    }

    /// Whether the reader has nothing to take note of, and all that the client is to read is in the socket.
    pub(crate) fn was_told_all(&self) -> bool {
        !self.was_told(Signal::Shutdown) && self.outbox.is_written()
    }

    /// For the reader: waits while `holds`, which ends with what the writer takes, but not after it was told one of `or`.
    pub(crate) async fn wait_while(&self, holds: impl Fn(&Outbox) -> bool, or: &[Signal]) {
        let _waiting = self.wait_for_drain();
        poll_fn(|context| match or.iter().any(|signal| self.was_told(*signal)) {
            true => Poll::Ready(()),
            false => self.poll_drained(context, &holds),
        })
        .await;
    }

    /// For the reader: it is woken by what the writer takes until this is dropped.
    pub(crate) fn wait_for_drain(&self) -> impl Drop + use<'_> {
        self.wants_drained.store(true, Ordering::SeqCst);
        WantsDrained(&self.wants_drained)
    }

    /// For the reader: comes when `holds` does not hold any more.
    pub(crate) fn poll_drained(&self, context: &Context<'_>, holds: impl Fn(&Outbox) -> bool) -> Poll<()> {
        self.reader.register(context.waker());
        fence(Ordering::SeqCst);
        if holds(&self.outbox) { Poll::Pending } else { Poll::Ready(()) }
    }

    /// The writer has taken something.
    pub(crate) fn drained(&self) {
        // Either the reader finds that it was taken, or this finds that the reader waits.
        fence(Ordering::SeqCst);
        if self.wants_drained.load(Ordering::SeqCst) {
            self.reader.wake();
        }
    }

    /// Tuning is done: heartbeats begin.
    pub(crate) fn start_heartbeat(&self, interval_s: u16, now_ms: u64) {
        let received = self.received_bytes.load(Ordering::Relaxed);
        self.state.lock().heartbeat = Heartbeat::new(interval_s, now_ms, self.wire.sent_bytes(), received);
    }

    /// What the ticker does for each connection. `policies` rises with each change of policies.
    pub(crate) fn tick(&self, now_ms: u64, policies: u64) {
        if self.outbox.look_for_overdue(now_ms, policies) {
            self.tell(Signal::Overdue);
        }
        let sent = self.wire.sent_bytes();
        let received = self.received_bytes.load(Ordering::Relaxed);
        let mut state = self.state.lock();
        let idle = state.moved_bytes == sent.wrapping_add(received);
        state.moved_bytes = sent.wrapping_add(received);
        // Who waits for the writer does not hear the client either; but that the client takes what is sent shows that it is there.
        let is_deaf = self.not_reading.load(Ordering::Relaxed) || (!idle && self.wants_drained.load(Ordering::Relaxed));
        if is_deaf && let Some(heartbeat) = &mut state.heartbeat {
            heartbeat.not_listening();
        }
        let interval_s = state.heartbeat.as_ref().map_or(0, Heartbeat::interval_s);
        let beat = state.heartbeat.as_mut().map_or(Beat::Nothing, |beat| beat.tick(now_ms, sent, received));
        drop(state);
        match beat {
            Beat::Send => self.outbox.send_heartbeat(),
            Beat::PeerGone => {
                if let Some(ConnectionBrief { id, name, .. }) = self.outbox.brief() {
                    tracing::error!(
                        "closing AMQP connection <0.{}.0> ({name}):\nmissed heartbeats from client, timeout: {interval_s}s",
                        id.0
                    );
                }
                self.tell(Signal::Gone);
            }
            Beat::Nothing if idle => self.outbox.shrink(),
            Beat::Nothing => {}
        }
    }
}

impl Waiter for Connected {
    fn wake(&self) {
        self.tell(Signal::GoOn);
    }
}
