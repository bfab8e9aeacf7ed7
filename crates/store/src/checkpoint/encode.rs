//! From the state to bytes.

use leveret_engine::journal::StreamSegment;
use leveret_engine::names::QueueId;
use roaring::RoaringTreemap;

use crate::journal::Tail;
use crate::record::varint::{put, way};
use crate::state::{Binding, QueueState, Segment, Settings, State};

pub(super) fn contents(state: &State, tail: Tail, clean: bool, journal_file_bytes: u64, out: &mut Vec<u8>) {
    out.push(u8::from(clean));
    for number in [
        tail.position,
        u64::from(tail.chain),
        u64::from(tail.epoch),
        journal_file_bytes,
        state.last_queue_id,
        state.next_segment_id,
    ] {
        put(out, number);
    }
    put(out, state.topology.exchanges().len() as u64);
    for ((vhost, name), exchange) in state.topology.exchanges() {
        for field in [vhost, name, &exchange.kind] {
            text(field.as_bytes(), out);
        }
        out.push(u8::from(exchange.auto_delete) | u8::from(exchange.internal) << 1);
        text(&exchange.arguments, out);
    }
    put(out, state.topology.bindings().len() as u64);
    for ((vhost, source), bindings) in state.topology.bindings() {
        text(vhost.as_bytes(), out);
        text(source.as_bytes(), out);
        put(out, bindings.len() as u64);
        for binding in bindings {
            encode_binding(binding, out);
        }
    }
    pairs(state.body_blobs.iter().map(|(&at, &blob)| (at, blob)), state.body_blobs.len(), out);
    put(out, state.queues.len() as u64);
    let mut previous = 0;
    for (&QueueId(id), queue) in &state.queues {
        put(out, way(previous, id));
        previous = id;
        encode_queue(queue, out);
    }
    encode_settings(&state.settings, out);
}

fn encode_settings(settings: &Settings, out: &mut Vec<u8>) {
    put(out, settings.all().len() as u64);
    for (key, value) in settings.all() {
        out.push(key.kind);
        for field in [key.scope.as_bytes(), key.name.as_bytes(), value] {
            text(field, out);
        }
    }
}

fn encode_binding(binding: &Binding, out: &mut Vec<u8>) {
    text(binding.destination.name.as_bytes(), out);
    out.push(u8::from(binding.destination.is_queue));
    text(&binding.routing_key, out);
    text(&binding.arguments, out);
}

fn encode_queue(queue: &QueueState, out: &mut Vec<u8>) {
    let is_stream = u8::from(!queue.stream_segments.is_empty()) << 2;
    match &queue.declaration {
        None => out.push(is_stream),
        Some(declaration) => {
            out.push(1 | u8::from(declaration.auto_delete) << 1 | is_stream);
            text(declaration.vhost.as_bytes(), out);
            text(declaration.name.as_bytes(), out);
            text(&declaration.arguments, out);
        }
    }
    for number in [
        queue.durable_totals.count,
        queue.durable_totals.bytes,
        queue.transient_totals.count,
        queue.transient_totals.bytes,
        queue.delivered,
        queue.last_seq,
    ] {
        put(out, number);
    }
    put(out, queue.journal.len() as u64);
    let (mut seq_before, mut at_before) = (0, 0);
    for (seq, at) in queue.journal.iter_from(0) {
        put(out, way(seq_before, seq));
        put(out, way(at_before, at));
        (seq_before, at_before) = (seq, at);
    }
    put(out, queue.segments.len() as u64);
    for segment in &queue.segments {
        encode_segment(segment, out);
    }
    set(&queue.transient, out);
    pairs(queue.returned.iter().map(|(&seq, &count)| (seq, u64::from(count))), queue.returned.len(), out);
    pairs(queue.blobs.iter().map(|(&seq, &blob)| (seq, blob)), queue.blobs.len(), out);
    if !queue.stream_segments.is_empty() {
        put(out, queue.stream_segments.len() as u64);
        for &StreamSegment { first_seq, last_seq, body_bytes, size_bytes, last_ms } in &queue.stream_segments {
            for number in [first_seq, last_seq.saturating_sub(first_seq), body_bytes, size_bytes, last_ms] {
                put(out, number);
            }
        }
    }
}

fn encode_segment(segment: &Segment, out: &mut Vec<u8>) {
    for number in [segment.id, segment.len_bytes, segment.count, segment.first, segment.last] {
        put(out, number);
    }
    set(&segment.live, out);
}

fn set(set: &RoaringTreemap, out: &mut Vec<u8>) {
    if set.is_empty() {
        return put(out, 0);
    }
    let len = set.serialized_size();
    put(out, len as u64);
    // A vector takes whatever is written to it.
    let _ = set.serialize_into(&mut *out);
}

/// Numbers that rise, each with another.
fn pairs(items: impl Iterator<Item = (u64, u64)>, count: usize, out: &mut Vec<u8>) {
    put(out, count as u64);
    let mut previous = 0;
    for (key, value) in items {
        put(out, way(previous, key));
        put(out, value);
        previous = key;
    }
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
