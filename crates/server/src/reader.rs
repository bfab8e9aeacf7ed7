//! The reader of a connection: it owns the machine, and with it the connection's life.

use std::future::{pending, ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use leveret_engine::journal::Waiter;
use leveret_session::connection::{Connection, Patience};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::connection::Connected;
use crate::ticker::Clock;

/// Smallest and largest read.
const READ_BYTES_MIN: usize = 4 * 1024;
const READ_BYTES_MAX: usize = 128 * 1024;

/// A client that does not read its replies is not listened to while so many bytes of them wait.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// How long what a client still sends is thrown away after the last word, so that the last word is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);

/// What clients are told on shutdown.
const SHUTDOWN: &str = "broker forced connection closure with reason 'shutdown'";

pub(crate) struct Reader {
    pub(crate) machine: Connection,
    pub(crate) socket: OwnedReadHalf,
    pub(crate) connection: Arc<Connected>,
    pub(crate) clock: Clock,
    pub(crate) shutdown: CancellationToken,
}

/// What a reader woke up for.
enum Event {
    Read(io::Result<usize>),
    /// There is nothing to read, and the buffer is large.
    Idle,
    /// What had to come about before reading may have.
    GoOn,
    Shutdown,
    /// The client took too long, or its connection is to be dropped.
    Gone,
}

/// Why a reader does not read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Something that was read has to wait. It ends soon.
    Stall,
    /// All that was read is worked off, and no more is wanted for now.
    Rest,
}

impl Reader {
    /// Reads until the connection ends, and cleans up.
    pub(crate) async fn run(mut self) {
        self.serve().await;
        if self.machine.patience() == Patience::Over {
            // All is said, and cleaned up after: the writer finishes.
            self.wait_for_held_replies().await;
            let _ = timeout(LINGER, self.discard()).await;
        }
        self.machine.disconnected();
    }

    async fn serve(&mut self) {
        let mut input = BytesMut::new();
        let mut read_bytes = READ_BYTES_MIN;
        // The input's whole room, of which it shows only the rest.
        let mut room_bytes = 0;
        let mut patience = self.machine.patience();
        let mut deadline = deadline(patience);
        let mut shutting_down = false;
        loop {
            if self.machine.patience() != patience {
                patience = self.machine.patience();
                deadline = self::deadline(patience);
                if let Patience::Endless { heartbeat_s } = patience {
                    self.connection.start_heartbeat(heartbeat_s, self.clock.now_ms());
                }
            }
            if patience == Patience::Over {
                return;
            }
            self.wait_for_room().await;
            let event = match self.held_up() {
                Some(hold) => self.wait_to_go_on(hold, deadline, shutting_down).await,
                None => {
                    let wanted = Connection::wanted_bytes(&input, self.machine.frame_bytes_max());
                    let reserved_bytes = read_bytes.max(wanted.saturating_sub(input.len()));
                    input.reserve(reserved_bytes);
                    room_bytes = reserved_bytes.max(room_bytes);
                    let large = input.is_empty() && room_bytes > READ_BYTES_MIN;
                    self.next_event(&mut input, large, deadline, shutting_down).await
                }
            };
            match event {
                Event::Read(Ok(len @ 1..)) => {
                    self.connection.received_bytes.fetch_add(len as u64, Ordering::Relaxed);
                    read_bytes = (2 * len).next_power_of_two().clamp(READ_BYTES_MIN, READ_BYTES_MAX);
                    self.work_off(&mut input).await;
                }
                Event::Read(_) | Event::Gone => return,
                Event::Idle => {
                    // An idle connection keeps no large buffer: it gets one again when there is something to read.
                    input = BytesMut::new();
                    room_bytes = 0;
                    self.wait_for_bytes(deadline, shutting_down).await;
                }
                Event::GoOn => self.work_off(&mut input).await,
                Event::Shutdown => {
                    shutting_down = true;
                    self.machine.force_close(SHUTDOWN);
                    self.work_off(&mut input).await;
                }
            }
        }
    }

    async fn work_off(&mut self, input: &mut BytesMut) {
        while self.machine.feed(input) {
            if input.len() < READ_BYTES_MIN {
                continue;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Why nothing may be read now, if so: the connection is woken when that may be over.
    fn held_up(&mut self) -> Option<Hold> {
        let waiter: Arc<dyn Waiter> = Arc::<Connected>::clone(&self.connection);
        if let Some(stall) = self.machine.stall() {
            self.machine.when_stall_over(stall, waiter);
            return Some(Hold::Stall);
        }
        let rest = self.machine.rest()?;
        self.machine.when_rest_over(rest, waiter);
        Some(Hold::Rest)
    }

    /// Waits until what held the connection up may be over.
    async fn wait_to_go_on(&mut self, hold: Hold, deadline: Option<Instant>, shutting_down: bool) -> Event {
        self.connection.not_reading.store(true, Ordering::Relaxed);
        let event = tokio::select! {
            () = self.shutdown.cancelled(), if !shutting_down => Event::Shutdown,
            () = self.connection.gone.cancelled() => Event::Gone,
            () = too_late(deadline) => Event::Gone,
            () = self.connection.may_go_on.notified() => Event::GoOn,
            () = hung_up(&mut self.socket), if hold == Hold::Rest => Event::Gone,
        };
        self.connection.not_reading.store(false, Ordering::Relaxed);
        event
    }

    async fn next_event(
        &mut self,
        input: &mut BytesMut,
        large: bool,
        deadline: Option<Instant>,
        shutting_down: bool,
    ) -> Event {
        tokio::select! {
            // A client that never stops sending must not keep the others from being heard.
            biased;
            () = self.shutdown.cancelled(), if !shutting_down => Event::Shutdown,
            () = self.connection.gone.cancelled() => Event::Gone,
            () = too_late(deadline) => Event::Gone,
            read = self.socket.read_buf(input) => Event::Read(read),
            () = ready(()), if large => Event::Idle,
        }
    }

    /// Waits, without a buffer, for whatever [`Reader::next_event`] will find.
    async fn wait_for_bytes(&self, deadline: Option<Instant>, shutting_down: bool) {
        tokio::select! {
            _ = self.socket.readable() => {}
            () = self.shutdown.cancelled(), if !shutting_down => {}
            () = self.connection.gone.cancelled() => {}
            () = too_late(deadline) => {}
        }
    }

    /// Waits while too many replies wait for the client to read them.
    async fn wait_for_room(&self) {
        while self.connection.outbox.waiting_bytes() > REPLY_BYTES_MAX {
            tokio::select! {
                () = self.connection.drained.notified() => {}
                () = self.connection.gone.cancelled() => return,
                () = self.shutdown.cancelled() => return,
            }
        }
    }

    /// Waits until the last word is no longer held back by the journal.
    async fn wait_for_held_replies(&self) {
        while self.connection.outbox.is_holding() {
            tokio::select! {
                () = self.connection.drained.notified() => {}
                () = self.connection.gone.cancelled() => return,
            }
        }
    }

    /// Reads on until the client is done too.
    async fn discard(&mut self) {
        let mut scrap = BytesMut::with_capacity(READ_BYTES_MIN);
        while let Ok(1..) = self.socket.read_buf(&mut scrap).await {
            scrap.clear();
        }
    }
}

/// Comes when the deadline is over; never without one.
async fn too_late(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// Comes when the client has closed its side and all that it sent was read. What was not read yet is not thrown away.
async fn hung_up(socket: &mut OwnedReadHalf) {
    if let Ok(1..) = socket.peek(&mut [0]).await {
        pending().await
    }
}

fn deadline(patience: Patience) -> Option<Instant> {
    match patience {
        Patience::Endless { .. } => None,
        Patience::Until(time) => Some(Instant::now() + time),
        Patience::Over => Some(Instant::now()),
    }
}

#[cfg(test)]
mod tests;
