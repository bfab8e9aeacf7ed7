//! A consuming connection: reads as much as there is, counts it, acknowledges in batches.

use std::net::TcpStream;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use leveret_codec::limits::FRAME_OVERHEAD;
use leveret_codec::method::BasicAck;

use crate::args::BenchArgs;
use crate::client::{CHANNEL, Client, FRAME_MAX, alarm, unexpected, write_patiently};
use crate::latency::Recorder;
use crate::plan::Plan;
use crate::shared::Shared;
use crate::url::Target;
use crate::walk::{Event, FrameReader, Received};

/// Bytes of one read.
const READ_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one read when there are very many consumers.
const READ_BYTES_MIN: usize = 16 * 1024;
/// Bytes that the read buffers of all consumers may take together.
const READ_BYTES_TOTAL: usize = 16 * 1024 * 1024;

/// A connection that consumes.
pub struct Consumer {
    stream: TcpStream,
    reader: FrameReader,
    acks: Acks,
    /// How long deliveries took, when they tell since when.
    latencies: Option<Recorder>,
}

impl Consumer {
    /// Connects consumer number `index` and subscribes it.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn connect(args: &BenchArgs, target: &Target, plan: &Plan, index: u32) -> Result<Self> {
        let mut client = Client::connect(target)?;
        plan.consume(&mut client, index, args)?;
        let read_bytes = (READ_BYTES_TOTAL / args.consumers as usize).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        let reader = match args.is_timed() {
            // Of memory that is not used, none is taken.
            true => FrameReader::timed(read_bytes.max(FRAME_MAX as usize + FRAME_OVERHEAD)),
            false => FrameReader::with_capacity(read_bytes),
        };
        Ok(Self {
            stream: client.into_stream()?,
            reader,
            acks: Acks::every(args.ack_batch),
            latencies: args.is_timed().then(Recorder::default),
        })
    }

    /// The connection's socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Consumes until the run is over.
    ///
    /// # Errors
    /// When the broker closes the connection or breaks the protocol.
    pub fn run(mut self, shared: &Shared) -> Result<()> {
        while !shared.is_over() {
            let mut count = 0;
            let (acks, latencies) = (&mut self.acks, &mut self.latencies);
            // One look at the clock serves all that one read has brought.
            let mut now = None;
            let received = self.reader.read(&mut self.stream, |event| {
                match event {
                    Event::Delivered(tag) => {
                        count += 1;
                        acks.delivered(tag);
                    }
                    Event::Stamp(stamp_ns) => {
                        let (now_ns, window) = now.get_or_insert_with(|| (shared.now_ns(), shared.window()));
                        if let Some(latencies) = latencies.as_mut().filter(|_| window.contains(&stamp_ns)) {
                            latencies.record_ns(now_ns.saturating_sub(stamp_ns));
                        }
                    }
                    Event::Other(payload) => match alarm(payload) {
                        Some(alarm) => shared.note_alarm(alarm),
                        None => return Err(unexpected(payload)),
                    },
                    other => bail!("the broker sent a consumer {other:?}"),
                }
                Ok(())
            })?;
            if received == Received::End && !shared.is_over() {
                bail!("the broker closed a consumer's connection");
            }
            if count > 0 {
                shared.consumed.fetch_add(count, Ordering::Relaxed);
            }
            if !self.acks.pending.is_empty() {
                write_patiently(&mut self.stream, &self.acks.pending, || shared.is_over())?;
                self.acks.pending.clear();
            }
        }
        if let Some(latencies) = &self.latencies {
            shared.note_latencies(latencies);
        }
        Ok(())
    }
}

/// One `basic.ack` for every so many deliveries, encoded as they come and written once a read.
struct Acks {
    /// Deliveries a `basic.ack` covers; `None` when they need none.
    every: Option<u64>,
    since_last: u64,
    pending: Vec<u8>,
}

impl Acks {
    fn every(every: Option<u64>) -> Self {
        Self { every, since_last: 0, pending: Vec::new() }
    }

    #[inline]
    fn delivered(&mut self, delivery_tag: u64) {
        let Some(every) = self.every else {
            return;
        };
        self.since_last += 1;
        if self.since_last == every {
            self.since_last = 0;
            BasicAck { delivery_tag, multiple: every > 1 }.write_frame(CHANNEL, &mut self.pending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_codec::frame::split_frame;
    use leveret_codec::limits::FRAME_OVERHEAD;
    use leveret_codec::method::Method;

    fn acked(every: Option<u64>, deliveries: u64) -> Vec<BasicAck> {
        let mut acks = Acks::every(every);
        for tag in 1..=deliveries {
            acks.delivered(tag);
        }
        let mut rest = acks.pending.as_slice();
        let mut found = Vec::new();
        while let Some(frame) = split_frame(rest, 4096).unwrap() {
            let Ok(Method::BasicAck(ack)) = Method::decode(frame.payload) else {
                panic!("not an ack");
            };
            found.push(ack);
            rest = &rest[frame.payload.len() + FRAME_OVERHEAD..];
        }
        found
    }

    #[test]
    fn one_ack_covers_each_batch() {
        let tags: Vec<u64> = acked(Some(10), 35).iter().map(|ack| ack.delivery_tag).collect();
        assert_eq!(tags, [10, 20, 30]);
        assert!(acked(Some(10), 35).iter().all(|ack| ack.multiple));
        assert!(acked(Some(1), 2).iter().all(|ack| !ack.multiple));
        assert!(acked(None, 35).is_empty());
    }
}
