//! Small messages that were delivered and may have to come back. They are not copied to be kept: they are found again in the
//! frames that were written for them.
//!
//! ```text
//! unacked -> (chunk, offset) -> | deliver | header | body | deliver | header | body | ...
//! ```
//! A chunk is what the writer took at a time. It stays until the last message in it is settled, and its room is used again.
//! So that a few messages do not hold much: a chunk that is hardly filled is cut to its size, and messages are copied out of
//! chunks of which little is left.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use leveret_engine::message::{Message, Parts};
use slab::Slab;
use smallvec::SmallVec;

use crate::encode::{OutBuffer, delivered_parts};
use crate::limits::{SENT_BUFFERS_KEPT_MAX, SENT_SLACK_BYTES};
use crate::outbox::OutChannel;

/// Where a message lies that was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentAt {
    chunk: u32,
    at: u32,
    /// Bytes of its frames.
    bytes: u32,
    /// Bytes of its body.
    body_bytes: u32,
}

/// A delivered message, where it is kept.
#[derive(Debug)]
pub(crate) enum Kept {
    /// In the frames that were written for it.
    Sent(SentAt),
    /// By itself.
    Own(Message),
    /// Nowhere here: it lies in a stream, and does not come back.
    Nothing,
}

/// The written frames of a connection that are still needed.
#[derive(Debug, Default)]
pub(crate) struct SentFrames {
    chunks: Slab<Chunk>,
    /// What the buffer that is being filled will be.
    open: Option<u32>,
    /// Room of all chunks but the open one.
    held_bytes: usize,
    /// Frames of messages in them that are not settled.
    live_bytes: usize,
    /// Room to use again.
    free: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Chunk {
    /// None while it is being filled.
    frames: Option<Arc<Vec<u8>>>,
    /// Messages that are not settled.
    live: usize,
    /// Bytes of their frames.
    live_bytes: usize,
    /// Where they are found in the lists of their channels.
    runs: SmallVec<[TagRun; 1]>,
}

#[derive(Clone, Copy, Debug)]
struct TagRun {
    channel: u16,
    first: u64,
    last: u64,
}

/// A chunk of which less than one in so many bytes is needed is given up.
const SPARSE_FACTOR: usize = 4;

impl SentFrames {
    /// Notes that the frames of a delivery lie between two places of the buffer that is being filled.
    #[inline(always)]
    pub(crate) fn note(
        &mut self,
        (channel, tag): (u16, u64),
        (at, end): (usize, usize),
        body_len: usize,
    ) -> Option<SentAt> {
        let bytes = end - at;
        let key = self.open_chunk()?;
        let chunk = self.chunks.get_mut(key as usize)?;
        let sent = SentAt {
            chunk: key,
            at: u32::try_from(at).ok()?,
            bytes: u32::try_from(bytes).ok()?,
            body_bytes: u32::try_from(body_len).ok()?,
        };
        chunk.live += 1;
        chunk.live_bytes += bytes;
        match chunk.runs.last_mut() {
            Some(run) if run.channel == channel => run.last = tag,
            _ => chunk.runs.push(TagRun { channel, first: tag, last: tag }),
        }
        Some(sent)
    }

    fn open_chunk(&mut self) -> Option<u32> {
        if self.open.is_none() {
            self.open = u32::try_from(self.chunks.insert(Chunk::default())).ok();
        }
        self.open
    }

    /// The buffer is about to be written: what lies in it is kept as long as it is needed.
    pub(crate) fn seal(&mut self, buffer: &mut OutBuffer) {
        let Some(key) = self.open.take() else { return };
        let Some(chunk) = self.chunks.get_mut(key as usize) else { return };
        if chunk.live == 0 {
            self.chunks.try_remove(key as usize);
            return;
        }
        let frames = buffer.share();
        self.held_bytes += frames.capacity();
        self.live_bytes += chunk.live_bytes;
        chunk.frames = Some(frames);
    }

    /// The message in the form to keep; it is not looked for here again.
    pub(crate) fn take_out(&mut self, kept: Kept, buffer: &OutBuffer) -> Message {
        match kept {
            Kept::Own(message) => message,
            Kept::Nothing => Message::copy_of(&Parts::EMPTY),
            Kept::Sent(at) => {
                let message = self.copy_of(at, buffer);
                self.let_go(at);
                message
            }
        }
    }

    /// A copy of a message; `buffer` is the one that is being filled.
    pub(crate) fn copy_of(&self, at: SentAt, buffer: &OutBuffer) -> Message {
        let Some(chunk) = self.chunks.get(at.chunk as usize) else { return Message::copy_of(&Parts::EMPTY) };
        let frames = chunk.frames.as_deref().map_or(buffer.bytes(), Vec::as_slice);
        let from = at.at as usize;
        let frames = frames.get(from..from + at.bytes as usize).unwrap_or_default();
        // The broker wrote the frames: they decode.
        Message::copy_of(&delivered_parts(frames).unwrap_or(Parts::EMPTY))
    }

    /// A message is settled.
    pub(crate) fn let_go(&mut self, at: SentAt) {
        let Some(chunk) = self.chunks.get_mut(at.chunk as usize) else { return };
        chunk.live -= 1;
        chunk.live_bytes -= at.bytes as usize;
        if chunk.frames.is_none() {
            return;
        }
        self.live_bytes -= at.bytes as usize;
        if chunk.live == 0
            && let Some(frames) = self.chunks.remove(at.chunk as usize).frames
        {
            self.held_bytes -= frames.capacity();
            // The writer may not be done with it yet.
            if let Ok(room) = Arc::try_unwrap(frames)
                && self.free.len() < SENT_BUFFERS_KEPT_MAX
            {
                self.free.push(room);
            }
        }
    }

    /// Room that was used before.
    pub(crate) fn take_free(&mut self) -> Option<Vec<u8>> {
        self.free.pop()
    }

    /// Whether chunks hold much more than is needed of them.
    pub(crate) fn is_sparse(&self) -> bool {
        self.held_bytes > SPARSE_FACTOR * self.live_bytes + SENT_SLACK_BYTES
    }

    /// Copies messages out of the chunks of which little is left.
    pub(crate) fn compact(&mut self, channels: &mut HashMap<u16, OutChannel, RandomState>) {
        let is_sparse = |chunk: &Chunk| {
            let held_bytes = chunk.frames.as_ref().map_or(0, |frames| frames.capacity());
            held_bytes > SPARSE_FACTOR * chunk.live_bytes
        };
        let sparse = self.chunks.iter().filter(|(_, chunk)| is_sparse(chunk));
        let sparse: Vec<(usize, SmallVec<[TagRun; 1]>)> =
            sparse.map(|(key, chunk)| (key, chunk.runs.clone())).collect();
        for (key, runs) in sparse {
            for TagRun { channel, first, last } in runs {
                let Some(channel) = channels.get_mut(&channel) else { continue };
                for unacked in channel.unacked.range_mut(first, last) {
                    if let Kept::Sent(at) = unacked.kept
                        && at.chunk as usize == key
                    {
                        // None of these lies in the buffer that is being filled.
                        unacked.kept = Kept::Own(self.copy_of(at, &OutBuffer::default()));
                        self.let_go(at);
                    }
                }
            }
        }
    }

    /// Gives back room that is not used.
    pub(crate) fn shrink(&mut self) {
        self.free = Vec::new();
    }
}

impl Kept {
    /// Bytes of the body.
    pub(crate) fn body_len(&self) -> u64 {
        match self {
            Self::Sent(at) => at.body_bytes.into(),
            Self::Own(message) => message.body_len(),
            Self::Nothing => 0,
        }
    }
}

#[cfg(test)]
mod tests;
