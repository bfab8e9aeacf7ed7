//! A publishing connection: one thread writes, another listens to what the broker has to say about it.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use leveret_codec::method::{ConfirmSelect, ConfirmSelectOk};

use crate::args::BenchArgs;
use crate::batch::{Batch, MessageShape};
use crate::client::{Client, alarm, unexpected, write_patiently};
use crate::confirm::Confirms;
use crate::latency::Recorder;
use crate::pace::{Pace, SLEEP_MAX, sleep_precisely};
use crate::plan::Plan;
use crate::shared::Shared;
use crate::url::Target;
use crate::walk::{Event, FrameReader, Received};

/// Bytes of one write: large enough that the system call costs little for each message.
const BATCH_BYTES_MAX: usize = 96 * 1024;
/// Bytes of one write when there are very many producers.
const BATCH_BYTES_MIN: usize = 8 * 1024;
/// Bytes that the batches of all producers may take together.
const BATCHES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Read buffer for confirms.
const READ_BYTES: usize = 32 * 1024;
/// How long a producer without room waits before it looks again. A confirm wakes it sooner.
const ROOM_POLL: Duration = Duration::from_micros(500);

/// A connection that publishes.
pub struct Producer {
    stream: TcpStream,
    batch: Batch,
    copies: u64,
    backlog_max: u64,
    /// Most publishes that may be unconfirmed, when confirms are asked for.
    window: Option<u64>,
    /// The least room that is worth a write, unless it is all there can be.
    room_min: u64,
    /// How many it publishes at most.
    count_max: u64,
    /// The schedule to keep to, if there is one.
    pace: Option<Pace>,
    is_timed: bool,
    /// When the schedule began, by the clock of the run.
    begin_ns: u64,
    /// How much later than due messages were sent.
    delays: Recorder,
}

impl Producer {
    /// Connects producer number `index` and encodes what it will send.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn connect(args: &BenchArgs, target: &Target, plan: &Plan, index: u32) -> Result<Self> {
        let mut client = Client::connect(target)?;
        if args.confirms.is_some() {
            client.call(ConfirmSelect { nowait: false }, ConfirmSelectOk::NAME)?;
        }
        let shape = MessageShape {
            size: usize::try_from(args.size)?,
            persistent: args.persistent,
            frame_max: client.frame_max() as usize,
        };
        let bytes_max = (BATCHES_BYTES_MAX / args.producers as usize).clamp(BATCH_BYTES_MIN, BATCH_BYTES_MAX);
        let batch = Batch::encode(&plan.routes(index, args.producers), &shape, bytes_max)?;
        // Without consumers the backlog only grows, and what bounds the producer is the window.
        let backlog_max = if args.consumers == 0 { u64::MAX } else { args.backlog_max };
        let most = batch.len().min(backlog_max.div_ceil(plan.copies())).min(args.confirms.unwrap_or(u64::MAX));
        Ok(Self {
            stream: client.into_stream()?,
            batch,
            copies: plan.copies(),
            backlog_max,
            window: args.confirms,
            room_min: most.div_ceil(2),
            count_max: u64::MAX,
            pace: args.rate.map(|rate| Pace::share(rate, index, args.producers)),
            is_timed: args.is_timed(),
            begin_ns: 0,
            delays: Recorder::default(),
        })
    }

    /// Lets it publish so many messages and no more.
    pub fn limit_to(&mut self, count_max: u64) {
        self.count_max = count_max;
    }

    /// The connection's socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Publishes until told to stop, and listens until the run is over.
    ///
    /// # Errors
    /// When the broker closes the connection or breaks the protocol.
    pub fn run(mut self, shared: &Shared) -> Result<()> {
        if self.pace.is_some() {
            sleep_precisely();
        }
        self.begin_ns = shared.now_ns();
        if self.window == Some(1) { self.publish_one_by_one(shared) } else { self.publish_beside(shared) }
    }

    /// One thread writes a message and waits for its confirm, so that the time between is the broker's and not that of
    /// waking another thread.
    fn publish_one_by_one(&mut self, shared: &Shared) -> Result<()> {
        let mut reader = FrameReader::with_capacity(READ_BYTES);
        let mut confirms = Confirms::default();
        let mut latencies = Recorder::default();
        let mut sent = 0;
        while shared.is_loading() && sent < self.count_max {
            if self.wait_until_due(sent, shared) == 0 {
                continue;
            }
            if self.room(0, shared) == 0 {
                thread::sleep(ROOM_POLL);
                continue;
            }
            self.stamp(sent, 1, shared);
            let (bytes, count) = self.batch.take(1);
            sent += count;
            shared.published.fetch_add(count, Ordering::Relaxed);
            let begin = Instant::now();
            if !write_patiently(&mut self.stream, bytes, || shared.is_over())? {
                break;
            }
            while confirms.count() < sent && !shared.is_over() {
                read_confirms(&mut self.stream, &mut reader, &mut confirms, shared)?;
            }
            if shared.is_measuring() {
                latencies.record(begin.elapsed());
            }
        }
        self.note_schedule(sent, shared);
        shared.note_confirm_latencies(&latencies);
        Ok(())
    }

    /// Publishes while another thread listens.
    fn publish_beside(&mut self, shared: &Shared) -> Result<()> {
        let confirmed = AtomicU64::new(0);
        let mut listener = self.stream.try_clone()?;
        let writer = thread::current();
        thread::scope(|scope| {
            scope.spawn(|| {
                shared.end_on_error(listen(&mut listener, &confirmed, &writer, shared));
            });
            self.publish(&confirmed, shared)
        })
    }

    fn publish(&mut self, confirmed: &AtomicU64, shared: &Shared) -> Result<()> {
        let mut sent = 0;
        while shared.is_loading() && sent < self.count_max {
            let left = self.wait_until_due(sent, shared).min(self.count_max - sent);
            if left == 0 {
                continue;
            }
            let room = self.room(sent - confirmed.load(Ordering::Relaxed), shared).min(left);
            if room < self.room_min.min(left) {
                thread::park_timeout(ROOM_POLL);
                continue;
            }
            self.stamp(sent, room, shared);
            let (bytes, count) = self.batch.take(room);
            sent += count;
            // Counted first: a consumer may see them before the write returns.
            shared.published.fetch_add(count, Ordering::Relaxed);
            if !write_patiently(&mut self.stream, bytes, || shared.is_over())? {
                // A message was cut: nothing that follows would be understood.
                self.stream.shutdown(Shutdown::Both)?;
                break;
            }
        }
        self.note_schedule(sent, shared);
        Ok(())
    }

    /// Tells how well it has kept to the schedule.
    fn note_schedule(&self, sent: u64, shared: &Shared) {
        if let Some(pace) = &self.pace {
            let due = pace.count_due(shared.producers_end_ns().saturating_sub(self.begin_ns));
            shared.note_send_delays(&self.delays, due.saturating_sub(sent));
        }
    }

    /// How many messages are due and not sent. When there are none, sleeps until the next is, or the run may be over.
    fn wait_until_due(&mut self, sent: u64, shared: &Shared) -> u64 {
        let Some(pace) = &self.pace else {
            return u64::MAX;
        };
        let elapsed_ns = shared.now_ns() - self.begin_ns;
        let due = pace.count_due(elapsed_ns).saturating_sub(sent);
        let next_ns = pace.due_ns(sent);
        if due == 0 {
            thread::sleep(Duration::from_nanos(next_ns.saturating_sub(elapsed_ns)).min(SLEEP_MAX));
        } else if shared.is_measuring() {
            self.delays.record_ns(elapsed_ns.saturating_sub(next_ns));
        }
        due
    }

    /// Writes into the next messages when they are due, or that they are sent now.
    fn stamp(&mut self, sent: u64, count: u64, shared: &Shared) {
        if !self.is_timed {
            return;
        }
        let begin_ns = self.begin_ns;
        match &self.pace {
            Some(pace) => self.batch.stamp(count, |index| begin_ns + pace.due_ns(sent + index)),
            None => {
                let now_ns = shared.now_ns();
                self.batch.stamp(count, |_| now_ns);
            }
        }
    }

    /// How many messages may go out now.
    fn room(&self, unconfirmed: u64, shared: &Shared) -> u64 {
        let backlog = shared.accepted(self.copies).saturating_sub(shared.consumed.load(Ordering::Relaxed));
        let room = self.backlog_max.saturating_sub(backlog).div_ceil(self.copies);
        match self.window {
            Some(window) => room.min(window.saturating_sub(unconfirmed)),
            None => room,
        }
    }
}

fn listen(stream: &mut TcpStream, confirmed: &AtomicU64, writer: &Thread, shared: &Shared) -> Result<()> {
    let mut reader = FrameReader::with_capacity(READ_BYTES);
    let mut confirms = Confirms::default();
    while !shared.is_over() {
        let before = confirms.count();
        read_confirms(stream, &mut reader, &mut confirms, shared)?;
        let count = confirms.count();
        if count > before {
            confirmed.store(count, Ordering::Relaxed);
            writer.unpark();
        }
    }
    Ok(())
}

/// Reads once and takes the confirms that came.
fn read_confirms(
    stream: &mut TcpStream,
    reader: &mut FrameReader,
    confirms: &mut Confirms,
    shared: &Shared,
) -> Result<()> {
    let before = confirms.count();
    let mut refused = 0;
    let received = reader.read(stream, |event| {
        match event {
            Event::Confirmed { tag, multiple } => confirms.confirm(tag, multiple),
            Event::Refused { tag, multiple } => {
                let settled = confirms.count();
                confirms.confirm(tag, multiple);
                refused += confirms.count() - settled;
            }
            Event::Returned => bail!("the broker returned a message"),
            Event::Delivered(_) | Event::Stamp(_) => bail!("the broker delivered to a producer"),
            Event::Other(payload) => match alarm(payload) {
                Some(alarm) => shared.note_alarm(alarm),
                None => return Err(unexpected(payload)),
            },
        }
        Ok(())
    })?;
    if received == Received::End && !shared.is_over() {
        bail!("the broker closed a producer's connection");
    }
    let settled = confirms.count() - before;
    if settled > 0 {
        shared.refused.fetch_add(refused, Ordering::Relaxed);
        shared.confirmed.fetch_add(settled - refused, Ordering::Relaxed);
    }
    Ok(())
}
