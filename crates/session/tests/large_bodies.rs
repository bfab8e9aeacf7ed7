//! Large bodies go to the blob store frame by frame, and come back whole.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use leveret_codec::method::{
    BasicAck, BasicConsume, BasicGet, BasicNack, BasicPublish, ChannelClose, ChannelOpen, QueueDeclare, TxCommit,
    TxSelect,
};
use leveret_codec::properties::Properties;
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::effects::Effects;
use leveret_session::outbox::{OutBuffer, Piece};
use support::{Client, FRAME_MAX, Host, TestJournal, body, header, method, persistent};

const IN_MEMORY_MAX: usize = 256 * 1024;
const PIECE_MAX: usize = FRAME_MAX - 8;

/// Bytes that repeat nowhere near a frame's length.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ (at / 65_521) as u8).collect()
}

fn head(routing_key: &str) -> BasicPublish<'_> {
    BasicPublish { exchange: b"", routing_key: routing_key.as_bytes(), mandatory: true, immediate: false }
}

fn publish(queue: &str, properties: &Properties, content: &[u8], frame_bytes: usize) -> Vec<u8> {
    let header = header(1, properties, content.len() as u64);
    [method(1, head(queue)), header, body(1, content, frame_bytes)].concat()
}

fn get(client: &mut Client, queue: &str, no_ack: bool) -> Vec<Vec<u8>> {
    client.feed(&method(1, BasicGet { queue, no_ack }));
    client.take_bodies()
}

fn host() -> (Host, Client) {
    let host = Host::new(TestJournal::with_blobs());
    let mut client = host.client(1);
    client.feed(&method(1, QueueDeclare { queue: "q", ..QueueDeclare::default() }));
    client.take();
    (host, client)
}

#[test]
fn bodies_of_all_sizes_come_back_as_they_were() {
    let (host, mut client) = host();
    let blobs = host.journal.memory_blobs();
    let edges = [IN_MEMORY_MAX, 2 * PIECE_MAX, 3 * PIECE_MAX, 4 * PIECE_MAX];
    let sizes = edges.iter().flat_map(|edge| [edge - 1, *edge, edge + 1]).chain([5 << 20]);
    for (len, frame_bytes) in sizes.flat_map(|len| [(len, PIECE_MAX), (len, 40_000), (len, 4_088), (len, 70_001)]) {
        let content = bytes(len);
        let created = blobs.created();
        client.feed(&publish("q", &persistent(), &content, frame_bytes));
        assert_eq!(blobs.created() - created, usize::from(len > IN_MEMORY_MAX), "{len}");
        assert!(get(&mut client, "q", true) == [content], "{len} bytes in frames of {frame_bytes}");
        client.take();
        assert_eq!(blobs.alive(), 0, "{len}");
    }
}

#[test]
fn small_and_large_pieces_keep_their_order() {
    let (_host, mut client) = host();
    let content = bytes(600_000);
    let mut frames = [method(1, head("q")), header(1, &persistent(), 600_000)].concat();
    let mut rest = &content[..];
    for len in [10, 100_000, 20_000, 20_000, 32_768, 1, 32_767, 60_000].into_iter().cycle() {
        let (piece, left) = rest.split_at(len.min(rest.len()));
        frames.extend(body(1, piece, len));
        rest = left;
        if rest.is_empty() {
            break;
        }
    }
    // In reads of any length.
    for read in frames.chunks(77_777) {
        client.feed(read);
    }
    assert!(get(&mut client, "q", true) == [content]);
}

#[test]
fn a_body_is_shared_by_all_who_have_it_and_goes_with_the_last() {
    let (host, mut client) = host();
    let blobs = host.journal.memory_blobs();
    let content = bytes(400_000);
    client.feed(&publish("q", &persistent(), &content, PIECE_MAX));
    assert!(get(&mut client, "q", false) == [content.clone()]);
    client.feed(&method(1, BasicNack { delivery_tag: 1, multiple: false, requeue: true }));
    client.feed(&method(1, BasicConsume { queue: "q", consumer_tag: "c", ..BasicConsume::default() }));
    assert!(client.take_bodies() == [content]);
    assert_eq!((blobs.created(), blobs.alive()), (1, 1));
    client.feed(&method(1, BasicAck { delivery_tag: 2, multiple: false }));
    client.take();
    assert_eq!(blobs.alive(), 0);
}

#[test]
fn a_large_message_can_be_returned_rewritten_and_held_by_a_transaction() {
    let (host, mut client) = host();
    let content = bytes(300_000);
    client.feed(&publish("nowhere", &persistent(), &content, PIECE_MAX));
    assert!(client.take_bodies() == [content.clone()], "returned");
    let mut headers = FieldTable::default();
    headers.push(&b"BCC"[..], FieldValue::Array(vec![FieldValue::LongStr(b"q"[..].into())]));
    let blind = Properties { headers: Some(headers), ..Properties::default() };
    client.feed(&publish("elsewhere", &blind, &content, PIECE_MAX));
    assert!(get(&mut client, "q", true) == [content.clone()], "without its BCC header");
    client.feed(&[method(1, TxSelect), publish("q", &persistent(), &content, PIECE_MAX)].concat());
    client.take();
    assert!(get(&mut client, "q", true).is_empty());
    client.feed(&method(1, TxCommit));
    client.take();
    assert!(get(&mut client, "q", true) == [content], "committed");
    client.take();
    assert_eq!(host.journal.memory_blobs().alive(), 0);
}

#[test]
fn an_aborted_body_leaves_nothing() {
    let (host, mut client) = host();
    let blobs = host.journal.memory_blobs();
    let begun = |channel| {
        let header = header(channel, &persistent(), 10_000_000);
        [method(channel, head("q")), header, body(channel, &bytes(500_000), PIECE_MAX)].concat()
    };
    client.feed(&begun(2));
    assert_eq!(blobs.alive(), 1);
    // A method in the middle of a body is an error of the connection.
    client.feed(&method(2, ChannelClose::default()));
    assert_eq!(blobs.alive(), 0);
    let mut client = host.client(2);
    client.feed(&[begun(1), begun(2)].concat());
    assert_eq!(blobs.alive(), 2);
    client.machine.disconnected();
    assert_eq!(blobs.alive(), 0);
    let mut client = host.client(3);
    client.feed(&[begun(1), body(1, &bytes(130_000), PIECE_MAX).repeat(80)].concat());
    assert_eq!(blobs.alive(), 0, "more came than was announced");
}

#[test]
fn what_is_announced_takes_nothing() {
    let (host, mut client) = host();
    for channel in 3..503 {
        client.feed(&method(channel, ChannelOpen));
        client.feed(&[method(channel, head("q")), header(channel, &persistent(), 128 << 20)].concat());
    }
    assert_eq!(host.journal.memory_blobs().created(), 0);
}

#[test]
fn few_bodies_queue_up_for_one_consumer() {
    let (host, mut client) = host();
    let content = bytes(300_000);
    for _ in 0..40 {
        client.feed(&publish("q", &persistent(), &content, PIECE_MAX));
    }
    let mut consumer = host.client(2);
    consumer.feed(&method(1, BasicConsume { queue: "q", no_ack: true, ..BasicConsume::default() }));
    let mut out = OutBuffer::default();
    let mut delivered = 0;
    let outbox = Arc::clone(consumer.machine.outbox());
    while outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut out).is_ready() {
        let bodies = out.pieces().filter(|piece| matches!(piece, Piece::Blob(_))).count();
        assert!(bodies <= 8, "{bodies} at once");
        assert!(out.weight() <= 8 * 40_000);
        delivered += bodies;
        outbox.resume_parked(&mut Effects::default());
    }
    assert_eq!(delivered, 40);
}

#[test]
fn a_body_that_cannot_be_read_gives_no_bytes() {
    let (host, mut client) = host();
    client.feed(&publish("q", &persistent(), &bytes(300_000), PIECE_MAX));
    client.take();
    client.feed(&method(1, BasicGet { queue: "q", no_ack: true }));
    let mut out = OutBuffer::default();
    let outbox = Arc::clone(client.machine.outbox());
    assert!(outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut out).is_ready());
    let frames = out.pieces().find_map(|piece| match piece {
        Piece::Blob(frames) => Some(frames),
        Piece::Bytes(_) => None,
    });
    let frames = frames.expect("a body");
    let mut read = Vec::new();
    assert_eq!(frames.read(0, PIECE_MAX + 8, &mut read).unwrap(), PIECE_MAX as u64);
    host.journal.memory_blobs().is_broken.store(true, Ordering::SeqCst);
    assert!(frames.read(PIECE_MAX as u64, PIECE_MAX + 8, &mut read).is_err());
}

#[test]
fn without_a_blob_store_large_bodies_stay_in_memory() {
    let host = Host::new(TestJournal::default());
    let mut client = host.client(1);
    client.feed(&method(1, QueueDeclare { queue: "q", ..QueueDeclare::default() }));
    client.take();
    let content = bytes(1_000_000);
    client.feed(&publish("q", &persistent(), &content, PIECE_MAX));
    assert!(get(&mut client, "q", true) == [content]);
}
