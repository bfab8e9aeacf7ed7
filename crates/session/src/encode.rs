//! Messages as frames.

use std::io;

use bytes::Bytes;
use leveret_codec::frame::{FRAME_END, FrameKind, begin_frame, end_frame};
use leveret_codec::limits::FRAME_OVERHEAD;
use leveret_engine::journal::Blob;
use leveret_engine::message::Parts;

use crate::limits::{BLOB_WEIGHT_BYTES, SPLICED_BODY_BYTES_MIN};

/// What is to be written: a buffer, and large bodies that belong between its parts.
#[derive(Debug, Default)]
pub struct OutBuffer {
    bytes: Vec<u8>,
    splices: Vec<Splice>,
    /// The weight of the splices.
    spliced_bytes: usize,
}

/// Something that belongs before `at` in the buffer.
#[derive(Debug)]
struct Splice {
    at: usize,
    what: Spliced,
}

#[derive(Debug)]
enum Spliced {
    /// The payload of a frame, whose envelope is in the buffer.
    Bytes(Bytes),
    /// All frames of a body.
    Blob(BlobFrames),
}

/// A piece of what is to be written.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// Bytes to write as they are.
    Bytes(&'a [u8]),
    /// Frames that are read while they are written.
    Blob(&'a BlobFrames),
}

/// The frames of a body that is not in memory.
#[derive(Clone, Debug)]
pub struct BlobFrames {
    blob: Blob,
    channel: u16,
    /// Bytes of the body in a frame.
    piece_bytes: usize,
}

impl BlobFrames {
    /// Bytes of the body.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        self.blob.len()
    }

    /// Puts into `out` the frames of the body from `offset` on: as many whole ones as fit into `bytes_max`, and at least one.
    /// Returns the offset after them. Blocks.
    ///
    /// # Errors
    /// When the body cannot be read; `out` is not to be written then.
    pub fn read(&self, offset: u64, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<u64> {
        out.clear();
        let mut at = offset;
        loop {
            let left = self.blob.len().saturating_sub(at);
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(self.piece_bytes);
            let is_enough = !out.is_empty() && out.len() + len + FRAME_OVERHEAD > bytes_max;
            if len == 0 || is_enough {
                return Ok(at);
            }
            let start = begin_frame(out, FrameKind::Body, self.channel);
            let from = out.len();
            out.resize(from + len, 0);
            self.blob.read_at(at, out.get_mut(from..).unwrap_or_default())?;
            end_frame(out, start);
            at += len as u64;
        }
    }
}

impl OutBuffer {
    /// Bytes of memory it takes. Bodies that are not in memory weigh a little too, so that not many of them queue up.
    #[must_use]
    pub fn weight(&self) -> usize {
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
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut written = 0;
        let spliced = self.splices.iter().flat_map(move |splice| {
            let before = self.bytes.get(written..splice.at).unwrap_or_default();
            written = splice.at;
            let piece = match &splice.what {
                Spliced::Bytes(bytes) => Piece::Bytes(bytes),
                Spliced::Blob(frames) => Piece::Blob(frames),
            };
            [Piece::Bytes(before), piece]
        });
        let rest_from = self.splices.last().map_or(0, |splice| splice.at);
        let rest = self.bytes.get(rest_from..).unwrap_or_default();
        spliced.chain([Piece::Bytes(rest)]).filter(|piece| !matches!(piece, Piece::Bytes([])))
    }

    /// The buffer, for whole frames.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes the content header and body of a message, in frames of at most `frame_max` bytes.
    pub(crate) fn content(&mut self, channel: u16, parts: &Parts<'_>, frame_max: usize) {
        let start = begin_frame(&mut self.bytes, FrameKind::Header, channel);
        self.bytes.extend_from_slice(&[0, 60, 0, 0]);
        self.bytes.extend_from_slice(&parts.body_len().to_be_bytes());
        self.bytes.extend_from_slice(parts.properties);
        end_frame(&mut self.bytes, start);
        let piece_max = frame_max - FRAME_OVERHEAD;
        if let Some(blob) = parts.blob {
            self.splice_blob(BlobFrames { blob: Blob::clone(blob), channel, piece_bytes: piece_max });
            return;
        }
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
        self.splices.push(Splice { at: self.bytes.len(), what: Spliced::Bytes(piece) });
        self.bytes.push(FRAME_END);
    }

    fn splice_blob(&mut self, frames: BlobFrames) {
        self.spliced_bytes += BLOB_WEIGHT_BYTES;
        self.splices.push(Splice { at: self.bytes.len(), what: Spliced::Blob(frames) });
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
