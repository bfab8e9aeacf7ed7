//! Sending without the writer: what little there is to send is written to the socket by whoever added it, or by whoever made
//! it durable. That spares waking a task, which takes longer than the write.
//!
//! One at a time writes: it has the `Pen`, and looks for more before it puts it down. The outbox's lock is not held meanwhile.
//! What the socket does not take at once is left to the writer, which waits for the socket.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use leveret_engine::journal::Waiter;

use crate::encode::OutBuffer;
use crate::limits::SENT_HERE_BYTES_MAX;
use crate::outbox::{OutState, Outbox};

/// The sending side of a socket.
pub trait Socket: Send + Sync {
    /// Writes what the socket takes at once, and says how much that was. Must not block.
    ///
    /// # Errors
    /// `WouldBlock` when that is nothing; anything else when the socket is gone, which the writer will find out too.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

/// Who writes to the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pen {
    /// Nobody.
    #[default]
    Free,
    /// The writer, until it comes for more.
    Writer,
    /// Somebody who sends without the writer.
    Here,
}

/// Whether the connection's reader is at work. It sends at the end of it what was added meanwhile, in one write.
#[derive(Debug, Default)]
pub(crate) struct Cork(AtomicU8);

const OPEN: u8 = 0;
const CORKED: u8 = 1;
/// Corked, and something was added.
const ADDED: u8 = 2;

impl Cork {
    /// Something was added, under the outbox's lock. Says whether the reader will send it.
    pub(crate) fn added(&self) -> bool {
        self.0.compare_exchange(CORKED, ADDED, Ordering::AcqRel, Ordering::Acquire) != Err(OPEN)
    }
}

impl Outbox {
    /// Gives it the socket, for what little is sent without the writer. It is let go of when the outbox is closed.
    pub fn send_through(&self, socket: Arc<dyn Socket>) {
        self.lock().socket = Some(socket);
    }

    /// The reader begins a batch.
    pub(crate) fn cork(&self) {
        self.cork.0.store(CORKED, Ordering::Release);
    }

    /// The reader's batch is done.
    pub(crate) fn uncork(&self) {
        if self.cork.0.swap(OPEN, Ordering::AcqRel) == ADDED {
            self.wake();
        }
    }

    /// Sends what was added: on the spot if it is little and nobody is at it, else the writer is woken for it. Never blocks.
    pub fn wake(&self) {
        if !self.send_here() {
            self.writer.wake();
        }
    }

    /// Leaves it to the writer to send what was added.
    pub(crate) fn wake_writer(&self) {
        self.writer.wake();
    }

    /// Sends without the writer. False when the writer has to see to it.
    fn send_here(&self) -> bool {
        if self.waiting_bytes() > SENT_HERE_BYTES_MAX {
            return false;
        }
        // Who has the lock may be waking itself as a waiter of the journal.
        let Some(mut state) = self.state.try_lock() else { return false };
        if state.pen != Pen::Free {
            return true;
        }
        let Some(socket) = self.socket_here(&mut state) else { return false };
        if state.buffer.is_empty() {
            state.notified = false;
            return true;
        }
        state.seal();
        let spare = std::mem::take(&mut state.spare);
        let out = std::mem::replace(&mut state.buffer, spare);
        self.waiting_bytes.store(0, Ordering::Relaxed);
        state.pen = Pen::Here;
        drop(state);
        // An error is found again by the writer, which ends the connection.
        let written = socket.try_write(out.plain().unwrap_or_default()).unwrap_or_default();
        self.put_pen_down(out, written)
    }

    /// Where to send what there is by now, if that need not be left to the writer.
    fn socket_here(&self, state: &mut OutState) -> Option<Arc<dyn Socket>> {
        let socket = state.socket.clone()?;
        if state.finished || !state.rest.is_empty() || !state.parked.is_empty() {
            return None;
        }
        self.collect(state);
        state.buffer.plain().filter(|bytes| bytes.len() <= SENT_HERE_BYTES_MAX)?;
        Some(socket)
    }

    /// `written` bytes of `out` were sent. False when the writer has to see to the rest, or to what was added meanwhile.
    fn put_pen_down(&self, mut out: OutBuffer, written: usize) -> bool {
        let mut state = self.lock();
        state.pen = Pen::Free;
        let rest = out.plain().and_then(|bytes| bytes.get(written..)).unwrap_or_default();
        if !rest.is_empty() && !state.closed {
            state.rest = rest.to_vec();
        }
        out.clear();
        state.spare = out;
        self.collect(&mut state);
        self.waiting_bytes.store(state.buffer.weight(), Ordering::Relaxed);
        // A writer that came meanwhile to end the connection was sent away.
        state.notified = state.finished || !state.rest.is_empty() || !state.buffer.is_empty();
        !state.notified
    }
}

impl Waiter for Outbox {
    fn wake(&self) {
        Self::wake(self);
    }
}

#[cfg(test)]
mod tests;
