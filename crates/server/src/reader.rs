//! The reader of a connection: it owns the machine, and with it the connection's life.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use leveret_engine::journal::Waiter;
use leveret_session::connection::{Connection, Patience};
use leveret_session::limits::REPLY_BYTES_MAX;
use leveret_session::outbox::Outbox;
use tokio::io::{AsyncReadExt as _, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::io::poll_read_buf;

use crate::connection::{Connected, Signal};
use crate::ticker::Clock;

/// Smallest and largest read.
const READ_BYTES_MIN: usize = 4 * 1024;
const READ_BYTES_MAX: usize = 128 * 1024;

/// How long a client may take to read the last word...
const LAST_WORD: Duration = Duration::from_secs(30);

/// ...and how long what it still sends is thrown away then, so that the last word is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);

/// What clients are told on shutdown.
const SHUTDOWN: &str = "broker forced connection closure with reason 'shutdown'";

/// What a reader hears of while it reads...
const TOLD_WHILE_READING: [Signal; 5] = [Signal::Shutdown, Signal::Gone, Signal::Close, Signal::Alarm, Signal::Overdue];

/// ...while it waits for a client that does not read what is sent to it...
const TOLD_WHILE_FULL: [Signal; 4] = [Signal::Gone, Signal::Shutdown, Signal::Close, Signal::Overdue];

/// ...and while it waits for something else.
const TOLD_WHILE_HELD: [Signal; 6] =
    [Signal::Shutdown, Signal::Gone, Signal::Close, Signal::GoOn, Signal::Alarm, Signal::Overdue];

pub(crate) struct Reader {
    // In a box, since the tasks of connections are many and moved about before they run.
    machine: Box<Connection>,
    socket: OwnedReadHalf,
    connection: Arc<Connected>,
    clock: Clock,
    /// What was read and is not worked off.
    input: BytesMut,
    /// Bytes to be read at a time.
    read_bytes: usize,
    patience: Patience,
    /// When patience is over.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What a reader woke up for.
enum Event {
    Read(io::Result<usize>),
    Told(Signal),
    /// The client took too long.
    Late,
    /// The client has closed its side.
    Over,
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
    pub(crate) fn new(
        machine: Box<Connection>,
        socket: OwnedReadHalf,
        connection: Arc<Connected>,
        clock: Clock,
    ) -> Self {
        let patience = machine.patience();
        Self {
            machine,
            socket,
            connection,
            clock,
            input: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
            patience,
            deadline: deadline(patience),
        }
    }

    /// Reads until the connection ends, and cleans up.
    pub(crate) async fn run(mut self) {
        self.serve().await;
        if self.machine.patience() == Patience::Over {
            Box::pin(self.say_goodbye()).await;
        }
        self.machine.disconnected();
        // The writer must not go on waiting for a client that does not read: nothing else would end it.
        self.connection.wire.end();
    }

    /// All is said, and cleaned up after: gives the client time to read it.
    async fn say_goodbye(&mut self) {
        let connection = Arc::clone(&self.connection);
        connection.wait_while(Outbox::is_holding, &[Signal::Gone]).await;
        let written = connection.wait_while(|outbox| !outbox.is_written(), &[Signal::Gone]);
        let written = timeout(LAST_WORD, written);
        tokio::pin!(written);
        let hears_no_more = tokio::select! {
            biased;
            _ = &mut written => false,
            () = self.discard() => true,
        };
        let _ = match hears_no_more {
            // The client has closed its side, and may read on.
            true => written.await,
            false => timeout(LINGER, self.discard()).await,
        };
    }

    async fn serve(&mut self) {
        loop {
            self.note_patience();
            if self.patience == Patience::Over {
                return;
            }
            match self.next_event().await {
                Event::Read(Ok(len @ 1..)) => {
                    self.connection.received_bytes.fetch_add(len as u64, Ordering::Relaxed);
                    self.connection.reads.add(1);
                    self.read_bytes = (2 * len).next_power_of_two().clamp(READ_BYTES_MIN, READ_BYTES_MAX);
                }
                Event::Late if self.machine.time_is_up() => {}
                Event::Read(_) | Event::Late | Event::Over | Event::Told(Signal::Gone) => return,
                Event::Told(Signal::GoOn) => {}
                Event::Told(Signal::Alarm) => self.machine.note_alarm(),
                Event::Told(Signal::Overdue) => self.machine.close_overdue(),
                Event::Told(Signal::Shutdown) => self.machine.force_close(SHUTDOWN),
                Event::Told(Signal::Close) => self.machine.force_close(&self.connection.take_close_reason()),
            }
            self.work_off().await;
        }
    }

    async fn next_event(&mut self) -> Event {
        if too_many_replies(&self.connection.outbox)
            && let Some(event) = Box::pin(self.wait_for_writer()).await
        {
            return event;
        }
        let Some(hold) = self.held_up() else { return poll_fn(|context| self.poll_read(context)).await };
        self.connection.not_reading.store(true, Ordering::Relaxed);
        let event = poll_fn(|context| self.poll_go_on(context, hold)).await;
        self.connection.not_reading.store(false, Ordering::Relaxed);
        event
    }

    /// Waits until the client has taken enough of what is sent to it, unless there is something else to do before that.
    async fn wait_for_writer(&mut self) -> Option<Event> {
        let connection = Arc::clone(&self.connection);
        let _waiting = connection.wait_for_drain();
        poll_fn(|context| match self.poll_end(context, &TOLD_WHILE_FULL) {
            Poll::Ready(event) => Poll::Ready(Some(event)),
            Poll::Pending => connection.poll_drained(context, too_many_replies).map(|()| None),
        })
        .await
    }

    /// Follows how long the client may take from now on.
    fn note_patience(&mut self) {
        let patience = self.machine.patience();
        if patience == self.patience {
            return;
        }
        self.patience = patience;
        self.deadline = deadline(patience);
        if let Patience::Endless { heartbeat_s, .. } = patience {
            self.deadline = self.machine.until_login_ends().map(|time| Box::pin(sleep(time)));
            self.connection.start_heartbeat(heartbeat_s, self.clock.now_ms());
        }
    }

    async fn work_off(&mut self) {
        while self.machine.feed(&mut self.input) {
            if self.input.len() < READ_BYTES_MIN {
                continue;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Why nothing may be read now, if so: the connection is woken when that may be over.
    fn held_up(&mut self) -> Option<Hold> {
        let waiter = || Arc::<Connected>::clone(&self.connection) as Arc<dyn Waiter>;
        if let Some(stall) = self.machine.stall() {
            self.machine.when_stall_over(stall, waiter());
            return Some(Hold::Stall);
        }
        let rest = self.machine.rest()?;
        self.machine.when_rest_over(rest, waiter());
        Some(Hold::Rest)
    }

    /// Comes when what held the connection up may be over.
    fn poll_go_on(&mut self, context: &mut Context<'_>, hold: Hold) -> Poll<Event> {
        if let Poll::Ready(event) = self.poll_end(context, &TOLD_WHILE_HELD) {
            return Poll::Ready(event);
        }
        match hold {
            Hold::Stall => Poll::Pending,
            Hold::Rest => self.poll_hung_up(context),
        }
    }

    /// Comes when the client has closed its side and all that it sent was read. What was not read yet is not thrown away.
    fn poll_hung_up(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        match ready!(self.socket.poll_peek(context, &mut ReadBuf::new(&mut [0]))) {
            Ok(1..) => Poll::Pending,
            _ => Poll::Ready(Event::Over),
        }
    }

    /// Comes with bytes. A client that never stops sending must not keep the others from being heard: they come first.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(event) = self.poll_end(context, &TOLD_WHILE_READING) {
            return Poll::Ready(event);
        }
        if self.input.is_empty() {
            // Connections are many and most of them idle: there is room for bytes only once there are some.
            match self.socket.as_ref().poll_read_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Event::Read(Err(error))),
                Poll::Pending => {
                    self.input = BytesMut::new();
                    return Poll::Pending;
                }
            }
        }
        let wanted = Connection::wanted_bytes(&self.input, self.machine.frame_bytes_max());
        self.input.reserve(self.read_bytes.max(wanted.saturating_sub(self.input.len())));
        poll_read_buf(Pin::new(&mut self.socket), context, &mut self.input).map(Event::Read)
    }

    /// Comes with one of `signals`, or with the end of patience.
    fn poll_end(&mut self, context: &mut Context<'_>, signals: &[Signal]) -> Poll<Event> {
        if let Poll::Ready(signal) = self.connection.poll_told(context, signals) {
            return Poll::Ready(Event::Told(signal));
        }
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().poll(context).map(|()| Event::Late),
            None => Poll::Pending,
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

/// Whether more replies wait for the client than it may be left behind with.
fn too_many_replies(outbox: &Outbox) -> bool {
    outbox.waiting_bytes() > REPLY_BYTES_MAX
}

fn deadline(patience: Patience) -> Option<Pin<Box<Sleep>>> {
    match patience {
        Patience::Endless { .. } => None,
        Patience::Until(time) => Some(Box::pin(sleep(time))),
        Patience::Over => Some(Box::pin(sleep(Duration::ZERO))),
    }
}

#[cfg(test)]
mod tests;
