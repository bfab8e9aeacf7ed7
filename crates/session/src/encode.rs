//! Messages as frames.

use bytes::Bytes;
use leveret_codec::frame::{FRAME_END, FrameKind, begin_frame, end_frame};
use leveret_codec::limits::FRAME_OVERHEAD;
use leveret_engine::message::Parts;

use crate::limits::SPLICED_BODY_BYTES_MIN;

/// Bytes to write: a buffer, and large bodies that belong between its parts.
#[derive(Debug, Default)]
pub struct OutBuffer {
    bytes: Vec<u8>,
    splices: Vec<Splice>,
    spliced_bytes: usize,
}

/// A piece of a body that belongs before `at` in the buffer.
#[derive(Debug)]
struct Splice {
    at: usize,
    piece: Bytes,
}

impl OutBuffer {
    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.spliced_bytes
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Empties it, keeping its room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.splices.clear();
        self.spliced_bytes = 0;
    }

    /// Room it keeps.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The pieces in the order they are to be written.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut written = 0;
        let spliced = self.splices.iter().flat_map(move |splice| {
            let before = self.bytes.get(written..splice.at).unwrap_or_default();
            written = splice.at;
            [before, &*splice.piece]
        });
        let rest_from = self.splices.last().map_or(0, |splice| splice.at);
        let rest = self.bytes.get(rest_from..).unwrap_or_default();
        spliced.chain([rest]).filter(|piece| !piece.is_empty())
    }

    /// The buffer, for whole frames.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes the content header and body of a message, in frames of at most `frame_max` bytes.
    pub(crate) fn content(&mut self, channel: u16, parts: &Parts<'_>, frame_max: usize) {
        let start = begin_frame(&mut self.bytes, FrameKind::Header, channel);
        self.bytes.extend_from_slice(&[0, 60, 0, 0]);
        self.bytes.extend_from_slice(&(parts.body.len() as u64).to_be_bytes());
        self.bytes.extend_from_slice(parts.properties);
        end_frame(&mut self.bytes, start);
        let piece_max = frame_max - FRAME_OVERHEAD;
        let mut written = 0;
        for piece in parts.body.chunks(piece_max) {
            match parts.shared_body {
                Some(whole) if piece.len() >= SPLICED_BODY_BYTES_MIN => {
                    self.splice(channel, whole.slice(written..written + piece.len()));
                }
                _ => {
                    let start = begin_frame(&mut self.bytes, FrameKind::Body, channel);
                    self.bytes.extend_from_slice(piece);
                    end_frame(&mut self.bytes, start);
                }
            }
            written += piece.len();
        }
    }

    fn splice(&mut self, channel: u16, piece: Bytes) {
        let [c1, c0] = channel.to_be_bytes();
        // A piece is at most a frame long, so that its length fits.
        let [l3, l2, l1, l0] = u32::try_from(piece.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.bytes.extend_from_slice(&[FrameKind::Body as u8, c1, c0, l3, l2, l1, l0]);
        self.spliced_bytes += piece.len();
        self.splices.push(Splice { at: self.bytes.len(), piece });
        self.bytes.push(FRAME_END);
    }
}

/// Appends a basic.deliver frame.
pub(crate) fn deliver_frame(
    out: &mut Vec<u8>,
    channel: u16,
    consumer_tag: &[u8],
    delivery_tag: u64,
    redelivered: bool,
    parts: &Parts<'_>,
) {
    let start = begin_frame(out, FrameKind::Method, channel);
    out.extend_from_slice(&[0, 60, 0, 60]);
    short(out, consumer_tag);
    out.extend_from_slice(&delivery_tag.to_be_bytes());
    out.push(u8::from(redelivered));
    short(out, parts.exchange);
    short(out, parts.routing_key);
    end_frame(out, start);
}

/// Appends a short string; what the broker writes came out of one, so that its length fits.
fn short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}
