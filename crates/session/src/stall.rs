//! Why a connection has to wait before it goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use leveret_codec::frame::FrameError;
use leveret_codec::method::{ConnectionBlocked, ConnectionUnblocked, Method};
use leveret_engine::journal::{Lsn, Waiter};
use leveret_engine::queue::Queue;

use crate::connection::{Connection, FrameSpan, State};
use crate::report::{TOLD_BLOCKED, TOLD_RUNNING};

/// What a frame that was read waits for. Its reply belongs with deliveries, which are in order with it and do not wait, so
/// that nothing after it may be worked off.
#[derive(Clone, Debug)]
pub enum Stall {
    /// Replies that it must not overtake are held until this is durable.
    Durable(Lsn),
    /// The message for a basic.get is being read.
    Loading(Arc<Queue>),
    /// The client has to take what waits for it, before a basic.get adds to it.
    Unwritten,
}

/// Why a connection that publishes is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The journal has enough to write.
    JournalFull,
    /// There is an alarm.
    Blocked,
}

/// Frames that were read and are not worked off: those of a read, from the one that stalls.
pub(crate) struct Stalled {
    pub(crate) work: Work,
    pub(crate) stall: Stall,
}

/// The frames of a read.
pub(crate) struct Work {
    pub(crate) chunk: Bytes,
    pub(crate) spans: Vec<FrameSpan>,
    pub(crate) next: usize,
    /// What follows is no frame.
    pub(crate) error: Option<FrameError>,
}

impl Connection {
    /// What has to come about before [`Connection::feed`] can go on. [`Connection::when_stall_over`] tells when to try again.
    #[must_use]
    pub fn stall(&self) -> Option<&Stall> {
        self.stalled.as_ref().map(|stalled| &stalled.stall).filter(|_| self.state == State::Running)
    }

    /// Wakes `waiter` when `stall` may be over.
    pub fn when_stall_over(&self, stall: &Stall, waiter: Arc<dyn Waiter>) {
        match stall {
            Stall::Durable(lsn) => self.broker.services.journal.when_durable(*lsn, waiter),
            Stall::Loading(queue) => queue.when_loaded(waiter),
            // Who reads waits for the writer first, whatever else there is to wait for.
            Stall::Unwritten => waiter.wake(),
        }
    }

    /// Whether the connection should not be read now. Consumers are always read: their acknowledgements make room. A client
    /// that was told of an alarm hears here that it is over.
    pub fn rest(&mut self) -> Option<Rest> {
        if self.state != State::Running || !self.publishes {
            return None;
        }
        if self.blocked {
            if self.config.alarms.is_raised() {
                return Some(Rest::Blocked);
            }
            self.unblock();
        }
        self.broker.services.journal.is_full().then_some(Rest::JournalFull)
    }

    /// Wakes `waiter` when `rest` may be over.
    pub fn when_rest_over(&self, rest: Rest, waiter: Arc<dyn Waiter>) {
        match rest {
            Rest::JournalFull => self.broker.services.journal.when_room(waiter),
            Rest::Blocked => self.config.alarms.when_clear(&waiter),
        }
    }

    /// It has published: that has consequences when there is an alarm.
    pub(crate) fn note_publishing(&mut self) {
        self.published = false;
        self.publishes = true;
        self.block();
    }

    /// An alarm was raised. A client that waits for confirms is told now: there may be no room for what it published, and it
    /// may wait for that before it publishes again. So is one that has published and is not read.
    pub fn note_alarm(&mut self) {
        let is_waiting = self.outbox.is_confirming() || self.broker.services.journal.is_full();
        if self.publishes && is_waiting {
            self.block();
        }
    }

    /// Tells the client of an alarm, if there is one and it does not know.
    fn block(&mut self) {
        if self.state != State::Running || self.blocked {
            return;
        }
        if let Some(reason) = self.config.alarms.reason() {
            self.blocked = true;
            self.outbox.told_state.store(TOLD_BLOCKED, Ordering::Relaxed);
            if self.client.connection_blocked {
                self.send_at_once(ConnectionBlocked { reason });
            }
        }
    }

    /// The alarm is over.
    fn unblock(&mut self) {
        self.blocked = false;
        self.outbox.told_state.store(TOLD_RUNNING, Ordering::Relaxed);
        if self.client.connection_blocked {
            self.send_at_once(ConnectionUnblocked);
        }
    }

    /// Sends a method that is no reply, past the replies that are held.
    fn send_at_once<'m>(&self, method: impl Into<Method<'m>>) {
        self.outbox.send(|out| method.into().write_frame(0, out));
    }
}
