//! What the tasks of a connection and the ticker share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use leveret_engine::journal::Waiter;
use leveret_session::heartbeat::{Beat, Heartbeat};
use leveret_session::outbox::Outbox;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A connection from outside its tasks.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    /// The writer has taken something.
    pub(crate) drained: Notify,
    /// What the reader waits for, other than bytes, may have come about.
    pub(crate) may_go_on: Notify,
    /// The reader waits for that and does not read.
    pub(crate) not_reading: AtomicBool,
    /// Ends the connection without a word.
    pub(crate) gone: CancellationToken,
    beat: Mutex<Beating>,
}

#[derive(Debug, Default)]
struct Beating {
    heartbeat: Option<Heartbeat>,
    /// Bytes sent and received at the last tick.
    moved_bytes: u64,
}

impl Connected {
    pub(crate) fn new(outbox: Arc<Outbox>, gone: CancellationToken) -> Self {
        Self {
            outbox,
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            drained: Notify::new(),
            may_go_on: Notify::new(),
            not_reading: AtomicBool::new(false),
            gone,
            beat: Mutex::default(),
        }
    }

    /// Tuning is done: heartbeats begin.
    pub(crate) fn start_heartbeat(&self, interval_s: u16, now_ms: u64) {
        let sent = self.sent_bytes.load(Ordering::Relaxed);
        let received = self.received_bytes.load(Ordering::Relaxed);
        self.beat.lock().heartbeat = Heartbeat::new(interval_s, now_ms, sent, received);
    }

    /// What the ticker does for each connection.
    pub(crate) fn tick(&self, now_ms: u64) {
        let sent = self.sent_bytes.load(Ordering::Relaxed);
        let received = self.received_bytes.load(Ordering::Relaxed);
        let mut beating = self.beat.lock();
        let idle = beating.moved_bytes == sent.wrapping_add(received);
        beating.moved_bytes = sent.wrapping_add(received);
        if self.not_reading.load(Ordering::Relaxed)
            && let Some(heartbeat) = &mut beating.heartbeat
        {
            heartbeat.not_listening();
        }
        let beat = beating.heartbeat.as_mut().map_or(Beat::Nothing, |beat| beat.tick(now_ms, sent, received));
        drop(beating);
        match beat {
            Beat::Send => self.outbox.send_heartbeat(),
            Beat::PeerGone => {
                tracing::warn!("missed heartbeats from client");
                self.gone.cancel();
            }
            Beat::Nothing if idle => self.outbox.shrink(),
            Beat::Nothing => {}
        }
    }
}

impl Waiter for Connected {
    fn wake(&self) {
        self.may_go_on.notify_one();
    }
}
