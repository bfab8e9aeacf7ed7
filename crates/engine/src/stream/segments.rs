//! What a stream consists of when it comes to letting go of the oldest: segments of about the same size. They exist in the books
//! only; where messages lie is the journal's business.

use std::collections::VecDeque;

use crate::journal::{Journal, Record, SeqRange, StreamSegment};
use crate::limits::{STREAM_MESSAGE_BYTES, STREAM_SEGMENT_BYTES};
use crate::message::Parts;
use crate::names::QueueId;
use crate::queue::arguments::QueueArguments;
use crate::restore::RestoredQueue;

/// How long messages stay, at least: the newest segment stays however old and large.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Retention {
    /// `x-stream-max-segment-size-bytes`: a segment of this size is finished.
    segment_bytes: u64,
    /// `x-max-length-bytes`
    bytes_max: Option<u64>,
    /// `x-max-age`
    age_ms_max: Option<u64>,
}

impl Retention {
    pub(super) fn of(settings: &QueueArguments) -> Self {
        Self {
            segment_bytes: settings.stream_max_segment_size_bytes.unwrap_or(STREAM_SEGMENT_BYTES),
            bytes_max: settings.max_length_bytes,
            age_ms_max: settings.max_age_ms,
        }
    }
}

/// Neighbours in a stream.
#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    /// Position of the first message.
    first: u64,
    /// Bytes of the bodies.
    body_bytes: u64,
    /// Bytes with all that is kept beside the bodies.
    size_bytes: u64,
    /// When the last message came; not known before the segment is finished.
    last_ms: u64,
}

/// The segments of a stream, the oldest first. The last is the one that grows.
#[derive(Debug)]
pub(super) struct Segments {
    finished: VecDeque<Segment>,
    /// Of the finished ones.
    size_bytes: u64,
    /// Of the finished ones.
    body_bytes: u64,
    open: Segment,
    pub(super) retention: Retention,
}

/// The bytes that a message counts for.
pub(super) fn size_bytes(parts: &Parts<'_>) -> u64 {
    let head_bytes = parts.exchange.len() + parts.routing_key.len() + parts.properties.len();
    STREAM_MESSAGE_BYTES + head_bytes as u64 + parts.body_len()
}

impl Segments {
    /// Of a stream without a message, or of what a restart found. How large the segment is that grew when the broker stopped is
    /// estimated where headers are concerned.
    pub(super) fn new(retention: Retention, found: Option<&RestoredQueue>) -> Self {
        let Some(found) = found else {
            let open = Segment { first: 1, ..Segment::default() };
            return Self { finished: VecDeque::new(), size_bytes: 0, body_bytes: 0, open, retention };
        };
        let finished: VecDeque<Segment> = found
            .stream_segments
            .iter()
            .map(|&StreamSegment { first_seq, body_bytes, size_bytes, last_ms, .. }| Segment {
                first: first_seq,
                body_bytes,
                size_bytes,
                last_ms,
            })
            .collect();
        let first = match (found.stream_segments.last(), found.messages) {
            (Some(last), _) => last.last_seq + 1,
            (None, 0) => found.last_seq + 1,
            (None, _) => found.first_seq,
        };
        let body_bytes = finished.iter().map(|segment| segment.body_bytes).sum();
        let open_bytes = found.bytes.saturating_sub(body_bytes);
        let count = (found.last_seq + 1).saturating_sub(first);
        let size_bytes = open_bytes + count * STREAM_MESSAGE_BYTES;
        let open = Segment { first, body_bytes: open_bytes, size_bytes, last_ms: 0 };
        let size_bytes = finished.iter().map(|segment| segment.size_bytes).sum();
        Self { finished, size_bytes, body_bytes, open, retention }
    }

    /// Position of the oldest message, should there be one.
    pub(super) fn first(&self) -> u64 {
        self.finished.front().unwrap_or(&self.open).first
    }

    /// Bytes of the bodies of all messages.
    pub(super) fn body_bytes(&self) -> u64 {
        self.body_bytes + self.open.body_bytes
    }

    /// Adds a message to the segment that grows.
    pub(super) fn add(&mut self, body_bytes: u64, size_bytes: u64) {
        self.open.body_bytes += body_bytes;
        self.open.size_bytes += size_bytes;
    }

    /// Finishes the segment that grows if it has its size: `last` is its last message, which came at `now_ms` and was journaled.
    /// Says whether it did.
    pub(super) fn finish_if_full(&mut self, last: u64, now_ms: u64, journal: &dyn Journal, queue: QueueId) -> bool {
        if self.is_open_empty(last) || self.open.size_bytes < self.retention.segment_bytes {
            return false;
        }
        let next = Segment { first: last + 1, ..Segment::default() };
        let finished = Segment { last_ms: now_ms, ..std::mem::replace(&mut self.open, next) };
        let Segment { first, body_bytes, size_bytes, last_ms } = finished;
        let segment = StreamSegment { first_seq: first, last_seq: last, body_bytes, size_bytes, last_ms };
        journal.append(&Record::StreamSegment { queue, segment });
        self.size_bytes += size_bytes;
        self.body_bytes += body_bytes;
        self.finished.push_back(finished);
        true
    }

    /// Whether nothing was added to the segment that grows; `last` is the last message of all.
    fn is_open_empty(&self, last: u64) -> bool {
        self.open.first > last
    }

    /// Whether the oldest segment is not the newest too, so that it may go.
    fn expendable(&self, last: u64) -> Option<&Segment> {
        self.finished.front().filter(|_| self.finished.len() > usize::from(self.is_open_empty(last)))
    }

    /// Lets go of segments that are too old or too much; `last` is the last message of all. Says whether any went.
    pub(super) fn retain(&mut self, last: u64, now_ms: u64, journal: &dyn Journal, queue: QueueId) -> bool {
        let first = self.first();
        let mut bytes = 0;
        while let Some(&oldest) = self.expendable(last) {
            let is_old = self.retention.age_ms_max.is_some_and(|max| oldest.last_ms.saturating_add(max) <= now_ms);
            let is_much = self.retention.bytes_max.is_some_and(|max| self.size_bytes + self.open.size_bytes > max);
            if !is_old && !is_much {
                break;
            }
            self.finished.pop_front();
            self.size_bytes -= oldest.size_bytes;
            self.body_bytes -= oldest.body_bytes;
            bytes += oldest.body_bytes;
        }
        let is_less = self.first() > first;
        if is_less {
            let ranges = [SeqRange { first, last: self.first() - 1 }];
            journal.append(&Record::Settle { queue, ranges: &ranges, bytes, transient: false });
        }
        is_less
    }

    /// When the oldest segment will be too old.
    pub(super) fn due_ms(&self, last: u64) -> Option<u64> {
        Some(self.expendable(last)?.last_ms.saturating_add(self.retention.age_ms_max?))
    }
}
