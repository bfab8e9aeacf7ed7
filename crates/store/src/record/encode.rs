//! From records to bytes.

use leveret_codec::table::FieldTable;
use leveret_engine::journal::{BindingRecord, BodyAt, Record, SettingKey, StreamSegment};
use leveret_engine::message::Parts;
use leveret_engine::names::QueueId;

use super::payload::encode_head;
use super::{kind, varint};
use crate::checksum::{crc32c, crc32c_append};

/// Where a body record's contents name its file: behind kind and checksum.
const BODY_FILE_AT: usize = 5;

/// Bytes of a body record's contents before the payload.
const BODY_HEAD_BYTES: usize = 9;

/// Appends a record.
pub fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    framed(out, |out| encode_contents(record, out));
}

/// Appends the record of a body that lies in journal file `file`.
pub fn encode_body(parts: &Parts<'_>, arrived_ms: u64, file: u32, out: &mut Vec<u8>) {
    let from = out.len();
    let head = BodyHead::encode(parts, arrived_ms, out);
    out.extend_from_slice(head.body(parts));
    if let Some(record) = out.get_mut(from..) {
        stamp_file(record, file);
    }
}

/// Appends the record that a broker has started.
pub fn encode_started(epoch: u32, out: &mut Vec<u8>) {
    framed(out, |out| {
        out.push(kind::STARTED);
        varint::put(out, u64::from(epoch));
    });
}

/// Appends the record of a body that is copied forward to journal file `file`.
pub fn encode_forwarded(payload: &[u8], crc: u32, file: u32, out: &mut Vec<u8>) {
    varint::put(out, (BODY_HEAD_BYTES + payload.len()) as u64);
    put_body_head(out, crc, file);
    out.extend_from_slice(payload);
}

/// Appends the record that a message's body lies elsewhere.
pub fn encode_moved(queue: QueueId, seq: u64, at: BodyAt, out: &mut Vec<u8>) {
    framed(out, |out| {
        out.push(kind::MOVED);
        for value in [queue.0, seq, at.0] {
            varint::put(out, value);
        }
    });
}

/// A body's record but for its file's number, and for a body that can be copied from where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyHead {
    /// Length of what was appended.
    pub head_bytes: usize,
    /// Length of the record.
    pub record_bytes: usize,
}

impl BodyHead {
    /// Appends the head.
    pub(crate) fn encode(parts: &Parts<'_>, arrived_ms: u64, out: &mut Vec<u8>) -> Self {
        let body = inline(parts);
        let from = out.len();
        put_body_head(out, 0, 0);
        encode_head(parts, arrived_ms, out);
        let payload_head = out.get(from + BODY_HEAD_BYTES..).unwrap_or_default();
        let crc = crc32c_append(crc32c(payload_head), body);
        if let Some(place) = out.get_mut(from + 1..from + BODY_FILE_AT) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        let contents_bytes = out.len() - from + body.len();
        prefix_len(out, from, contents_bytes);
        let head_bytes = out.len() - from;
        Self { head_bytes, record_bytes: head_bytes + body.len() }
    }

    /// What follows the head.
    #[allow(clippy::unused_self, reason = "only who has written the head may ask")]
    pub(crate) fn body<'a>(self, parts: &Parts<'a>) -> &'a [u8] {
        inline(parts)
    }
}

fn inline<'a>(parts: &Parts<'a>) -> &'a [u8] {
    if parts.blob.is_some() { &[] } else { parts.body }
}

/// Writes the number of its file into a body record.
pub(crate) fn stamp_file(record: &mut [u8], file: u32) {
    let at = frame_len(record) + BODY_FILE_AT;
    if let Some(place) = record.get_mut(at..at + 4) {
        place.copy_from_slice(&file.to_le_bytes());
    }
}

/// Bytes of the length that a record begins with.
fn frame_len(record: &[u8]) -> usize {
    record.iter().position(|octet| octet & 0x80 == 0).map_or(0, |last| last + 1)
}

fn put_body_head(out: &mut Vec<u8>, crc: u32, file: u32) {
    out.push(kind::BODY);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&file.to_le_bytes());
}

/// Appends what `contents` appends, with its length before it.
fn framed(out: &mut Vec<u8>, contents: impl FnOnce(&mut Vec<u8>)) {
    let from = out.len();
    contents(out);
    let len = out.len() - from;
    prefix_len(out, from, len);
}

/// Puts a length before what begins at `from`.
fn prefix_len(out: &mut Vec<u8>, from: usize, len: usize) {
    let end = out.len();
    varint::put(out, len as u64);
    let prefix_bytes = out.len() - end;
    if let Some(moved) = out.get_mut(from..) {
        moved.rotate_right(prefix_bytes);
    }
}

fn encode_contents(record: &Record<'_>, out: &mut Vec<u8>) {
    match *record {
        Record::Enqueue { queue, first_seq, bodies, bytes, transient } => {
            put_numbers(out, kind::ENQUEUE, &[queue.0, first_seq, bytes]);
            out.push(u8::from(transient));
            varint::put(out, bodies.len() as u64);
            let mut previous = 0;
            for &BodyAt(at) in bodies {
                varint::put(out, varint::way(previous, at));
                previous = at;
            }
        }
        Record::Settle { queue, ranges, bytes, transient } => {
            put_numbers(out, kind::SETTLE, &[queue.0, bytes]);
            out.push(u8::from(transient));
            varint::put(out, ranges.len() as u64);
            let mut previous = 0;
            for range in ranges {
                varint::put(out, varint::way(previous, range.first));
                varint::put(out, range.last.saturating_sub(range.first));
                previous = range.last.max(range.first);
            }
        }
        Record::Delivered { queue, last } => put_numbers(out, kind::DELIVERED, &[queue.0, last]),
        Record::Returned { queue, counts } => {
            put_numbers(out, kind::RETURNED, &[queue.0, counts.len() as u64]);
            let mut previous = 0;
            for &(seq, deliveries) in counts {
                varint::put(out, varint::way(previous, seq));
                varint::put(out, u64::from(deliveries));
                previous = seq;
            }
        }
        Record::StreamSegment { queue, segment } => {
            let StreamSegment { first_seq, last_seq, body_bytes, size_bytes, last_ms } = segment;
            let more = last_seq.saturating_sub(first_seq);
            put_numbers(out, kind::STREAM_SEGMENT, &[queue.0, first_seq, more, body_bytes, size_bytes, last_ms]);
        }
        Record::QueueDeclared { vhost, name, id, auto_delete, arguments } => {
            put_numbers(out, kind::QUEUE_DECLARED, &[id.0]);
            put_texts(out, &[vhost.as_bytes(), name.as_bytes()]);
            out.push(u8::from(auto_delete));
            put_table(out, arguments);
        }
        Record::QueueDeleted { id } => put_numbers(out, kind::QUEUE_DELETED, &[id.0]),
        Record::ExchangeDeclared { vhost, name, kind: exchange_kind, auto_delete, internal, arguments } => {
            out.push(kind::EXCHANGE_DECLARED);
            put_texts(out, &[vhost.as_bytes(), name.as_bytes(), exchange_kind.as_bytes()]);
            out.push(u8::from(auto_delete) | u8::from(internal) << 1);
            put_table(out, arguments);
        }
        Record::ExchangeDeleted { vhost, name } => {
            out.push(kind::EXCHANGE_DELETED);
            put_texts(out, &[vhost.as_bytes(), name.as_bytes()]);
        }
        Record::Bound { vhost, binding } => put_binding(out, kind::BOUND, vhost, &binding),
        Record::Unbound { vhost, binding } => put_binding(out, kind::UNBOUND, vhost, &binding),
        Record::Setting { key, value } => {
            put_key(out, kind::SETTING, &key);
            put_texts(out, &[value]);
        }
        Record::SettingCleared { key } => put_key(out, kind::SETTING_CLEARED, &key),
    }
}

fn put_key(out: &mut Vec<u8>, kind: u8, key: &SettingKey<'_>) {
    out.extend_from_slice(&[kind, key.kind.number()]);
    put_texts(out, &[key.scope.as_bytes(), key.name.as_bytes()]);
}

fn put_numbers(out: &mut Vec<u8>, kind: u8, numbers: &[u64]) {
    out.push(kind);
    for &number in numbers {
        varint::put(out, number);
    }
}

fn put_texts(out: &mut Vec<u8>, texts: &[&[u8]]) {
    for text in texts {
        varint::put(out, text.len() as u64);
        out.extend_from_slice(text);
    }
}

fn put_table(out: &mut Vec<u8>, table: &FieldTable) {
    framed(out, |out| table.encode(out));
}

fn put_binding(out: &mut Vec<u8>, kind: u8, vhost: &str, binding: &BindingRecord<'_>) {
    out.push(kind);
    put_texts(out, &[vhost.as_bytes(), binding.source.as_bytes(), binding.destination.as_bytes()]);
    out.push(u8::from(binding.destination_is_queue));
    put_texts(out, &[binding.routing_key]);
    put_table(out, binding.arguments);
}
