//! Messages as frames, and back.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{FRAME_END, FrameKind, begin_frame, end_frame, split_frame};
use leveret_codec::limits::FRAME_OVERHEAD;
use leveret_codec::properties::{PropertiesEdit, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use leveret_engine::journal::Blob;
use leveret_engine::message::{Marks, Parts};

use crate::carbon_copy::BCC;
use crate::limits::{BLOB_WEIGHT_BYTES, SPLICED_BODY_BYTES_MIN};

/// Bytes of a basic.deliver without its names: class and method, lengths of three names, delivery tag, redelivered.
const DELIVER_FIXED_BYTES: usize = 4 + 3 + 8 + 1;

/// Bytes of a content header without its properties: class, weight, length of the body.
const HEADER_FIXED_BYTES: usize = 2 + 2 + 8;

/// Bytes of the header that counts deliveries, and of a table around it.
const DELIVERY_COUNT_BYTES: usize = 4 + 1 + 16 + 1 + 8;

/// What a delivery says besides its message.
pub(crate) struct DeliveryHead<'a> {
    pub(crate) channel: u16,
    pub(crate) consumer_tag: &'a [u8],
    pub(crate) delivery_tag: u64,
    pub(crate) redelivered: bool,
}

/// What is to be written: a buffer, and large bodies that belong between its parts.
#[derive(Debug, Default)]
pub struct OutBuffer {
    bytes: Vec<u8>,
    /// The bytes, once they are kept by somebody else too: then `bytes` is empty.
    shared: Option<Arc<Vec<u8>>>,
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
        self.bytes().is_empty()
    }

    /// Empties it, keeping its room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.shared = None;
        self.splices.clear();
        self.spliced_bytes = 0;
    }

    /// Takes room for an empty buffer.
    pub(crate) fn set_room(&mut self, room: Vec<u8>) {
        self.bytes = room;
        self.bytes.clear();
    }

    /// What is in the buffer, splices left out.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.shared.as_deref().unwrap_or(&self.bytes)
    }

    /// What is in the buffer, splices left out, for somebody who keeps it; nothing is added to it from now on.
    pub(crate) fn share(&mut self) -> Arc<Vec<u8>> {
        if self.bytes.len() < self.bytes.capacity() / 2 {
            // To keep so much room for so little would be a waste.
            return Arc::new(self.bytes.as_slice().to_vec());
        }
        let shared = Arc::new(std::mem::take(&mut self.bytes));
        self.shared = Some(Arc::clone(&shared));
        shared
    }

    /// All there is to write, if it is in one piece.
    pub(crate) fn plain(&self) -> Option<&[u8]> {
        self.splices.is_empty().then_some(self.bytes())
    }

    /// Room it keeps.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The pieces in the order they are to be written.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut written = 0;
        let bytes = self.bytes();
        let spliced = self.splices.iter().flat_map(move |splice| {
            let before = bytes.get(written..splice.at).unwrap_or_default();
            written = splice.at;
            let piece = match &splice.what {
                Spliced::Bytes(bytes) => Piece::Bytes(bytes),
                Spliced::Blob(frames) => Piece::Blob(frames),
            };
            [Piece::Bytes(before), piece]
        });
        let rest_from = self.splices.last().map_or(0, |splice| splice.at);
        let rest = bytes.get(rest_from..).unwrap_or_default();
        spliced.chain([Piece::Bytes(rest)]).filter(|piece| !matches!(piece, Piece::Bytes([])))
    }

    /// The buffer, for whole frames.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes a delivery.
    #[inline(always)]
    pub(crate) fn delivery(&mut self, head: &DeliveryHead<'_>, parts: &Parts<'_>, frame_max: usize) {
        if is_found_again(parts, frame_max) && !parts.body.is_empty() {
            return delivery_in_one_go(&mut self.bytes, head, parts);
        }
        deliver_frame(&mut self.bytes, head, parts);
        self.content(head.channel, parts, frame_max);
    }

    /// Writes the content header and body of a message, in frames of at most `frame_max` bytes.
    pub(crate) fn content(&mut self, channel: u16, parts: &Parts<'_>, frame_max: usize) {
        let start = begin_frame(&mut self.bytes, FrameKind::Header, channel);
        self.bytes.extend_from_slice(&[0, 60, 0, 0]);
        self.bytes.extend_from_slice(&parts.body_len().to_be_bytes());
        if parts.marks.has(Marks::BLIND_COPIES) {
            let edit = PropertiesEdit { remove: &[BCC], ..PropertiesEdit::default() };
            PropertiesRef::from_checked(parts.properties).write_edited(&edit, &mut self.bytes);
        } else {
            self.bytes.extend_from_slice(parts.properties);
        }
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
fn deliver_frame(out: &mut Vec<u8>, head: &DeliveryHead<'_>, parts: &Parts<'_>) {
    let start = begin_frame(out, FrameKind::Method, head.channel);
    out.extend_from_slice(&[0, 60, 0, 60]);
    short(out, head.consumer_tag);
    out.extend_from_slice(&head.delivery_tag.to_be_bytes());
    out.push(u8::from(head.redelivered));
    short(out, parts.exchange);
    short(out, parts.routing_key);
    end_frame(out, start);
}

/// Appends the frames of a delivery whose body fits into one. With all lengths known nothing is patched afterwards, and what
/// lies between the parts goes out in one piece each.
#[inline(always)]
fn delivery_in_one_go(out: &mut Vec<u8>, head: &DeliveryHead<'_>, parts: &Parts<'_>) {
    let Parts { exchange, routing_key, properties, body, .. } = *parts;
    let [c1, c0] = head.channel.to_be_bytes();
    let method_len = DELIVER_FIXED_BYTES + head.consumer_tag.len() + exchange.len() + routing_key.len();
    let header_len = HEADER_FIXED_BYTES + properties.len();
    out.reserve(method_len + header_len + body.len() + 3 * FRAME_OVERHEAD);
    let [l3, l2, l1, l0] = size(method_len);
    let tag_len = short_len(head.consumer_tag);
    out.extend_from_slice(&[FrameKind::Method as u8, c1, c0, l3, l2, l1, l0, 0, 60, 0, 60, tag_len]);
    out.extend_from_slice(head.consumer_tag);
    let [t7, t6, t5, t4, t3, t2, t1, t0] = head.delivery_tag.to_be_bytes();
    let redelivered = u8::from(head.redelivered);
    out.extend_from_slice(&[t7, t6, t5, t4, t3, t2, t1, t0, redelivered, short_len(exchange)]);
    out.extend_from_slice(exchange);
    out.push(short_len(routing_key));
    out.extend_from_slice(routing_key);
    let [l3, l2, l1, l0] = size(header_len);
    let [b3, b2, b1, b0] = size(body.len());
    let header = FrameKind::Header as u8;
    out.extend_from_slice(&[FRAME_END, header, c1, c0, l3, l2, l1, l0, 0, 60, 0, 0, 0, 0, 0, 0, b3, b2, b1, b0]);
    out.extend_from_slice(properties);
    out.extend_from_slice(&[FRAME_END, FrameKind::Body as u8, c1, c0, b3, b2, b1, b0]);
    out.extend_from_slice(body);
    out.push(FRAME_END);
}

/// The size of a payload; a frame is at most as long as fits.
fn size(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

/// Whether [`delivered_parts`] finds a message again: it is small, in memory and in one frame, and the frames say all of it.
pub(crate) fn is_found_again(parts: &Parts<'_>, frame_max: usize) -> bool {
    let is_small = parts.body.len() < SPLICED_BODY_BYTES_MIN.min(frame_max - FRAME_OVERHEAD);
    // What is marked cannot be seen in frames.
    is_small && parts.blob.is_none() && parts.marks.is_none()
}

/// The properties of a message that came back so often, with a header that says it.
#[cold]
pub(crate) fn with_delivery_count(properties: &[u8], deliveries: u32) -> Vec<u8> {
    let mut count = FieldTable::default();
    count.push(*b"x-delivery-count", FieldValue::I64(deliveries.into()));
    let (mut set, mut counted) = (Vec::new(), Vec::with_capacity(properties.len() + DELIVERY_COUNT_BYTES));
    count.encode(&mut set);
    let edit = PropertiesEdit { set: TableRef::from_raw(&set), ..PropertiesEdit::default() };
    PropertiesRef::from_checked(properties).write_edited(&edit, &mut counted);
    counted
}

/// The message in the frames of its delivery: what [`OutBuffer::delivery`] wrote.
pub(crate) fn delivered_parts(frames: &[u8]) -> Option<Parts<'_>> {
    let (deliver, rest) = split_payload(frames)?;
    let (header, rest) = split_payload(rest)?;
    let body = split_payload(rest).map_or(&[][..], |(body, _)| body);
    let (_consumer_tag, deliver) = split_short(deliver.get(4..)?)?;
    let (exchange, names) = split_short(deliver.get(9..)?)?;
    let (routing_key, _) = split_short(names)?;
    let properties = ContentHeader::parse_prefix(header).ok()?.properties_raw;
    Some(Parts { exchange, routing_key, properties, body, ..Parts::EMPTY })
}

/// The payload of the first frame, and what follows the frame.
fn split_payload(frames: &[u8]) -> Option<(&[u8], &[u8])> {
    let frame = split_frame(frames, usize::MAX).ok()??;
    Some((frame.payload, frames.get(frame.wire_len()..)?))
}

fn split_short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

/// Appends a short string; what the broker writes came out of one, so that its length fits.
fn short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(short_len(bytes));
    out.extend_from_slice(bytes);
}

fn short_len(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_in_one_go_is_the_same_as_field_by_field() {
        let head =
            DeliveryHead { channel: 0x0102, consumer_tag: b"ctag", delivery_tag: u64::MAX - 7, redelivered: true };
        for (exchange, body) in [(&b""[..], &b"x"[..]), (b"logs", &[7; 300])] {
            let properties = &[0x80, 0, 3, b'a', b'/', b'b'];
            let parts = Parts { exchange, routing_key: b"a.b.c", properties, body, ..Parts::EMPTY };
            let (mut at_once, mut by_field) = (OutBuffer::default(), OutBuffer::default());
            delivery_in_one_go(at_once.buffer(), &head, &parts);
            deliver_frame(by_field.buffer(), &head, &parts);
            by_field.content(head.channel, &parts, 4096);
            assert_eq!(at_once.bytes(), by_field.bytes());
        }
    }
}
