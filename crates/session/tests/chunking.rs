//! The machine as a whole, without sockets: how bytes are cut into reads never matters, and no bytes make it panic.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{FrameKind, begin_frame, end_frame};
use leveret_codec::method::{
    BasicConsume, BasicGet, BasicPublish, BasicQos, ChannelOpen, ConnectionOpen, ConnectionStartOk, ConnectionTuneOk,
    Method, QueueDeclare, QueuePurge,
};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::TableRef;
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::journal::MemoryJournal;
use leveret_engine::names::ConnectionId;
use leveret_session::config::SessionConfig;
use leveret_session::connection::{Connection, Patience};
use leveret_session::outbox::{OutBuffer, Piece};
use proptest::prelude::*;

/// Feeds `stream` to a new connection in reads that end at `cuts`, and gives what it sends.
fn converse(stream: &[u8], cuts: &[usize]) -> (Vec<u8>, Patience) {
    let broker = Arc::new(Broker::new(Arc::new(MemoryJournal::default())));
    let config = Arc::new(SessionConfig::new("rabbit@test", || [7; 16]));
    let mut machine = Connection::new(&broker, &config, ConnectionId(1), true);
    let mut input = BytesMut::new();
    let mut sent = Vec::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        let to = cut.clamp(from, stream.len());
        input.extend_from_slice(&stream[from..to]);
        while machine.feed(&mut input) {}
        drain(&machine, &mut sent);
        from = to;
    }
    let patience = machine.patience();
    machine.disconnected();
    (sent, patience)
}

/// What a writer does.
fn drain(machine: &Connection, sent: &mut Vec<u8>) {
    let mut out = OutBuffer::default();
    let mut context = Context::from_waker(Waker::noop());
    while !matches!(machine.outbox().poll_take(&mut context, &mut out), Poll::Pending) {
        if out.is_empty() {
            return;
        }
        for piece in out.pieces() {
            let Piece::Bytes(bytes) = piece else { panic!("a body that is not in memory") };
            sent.extend_from_slice(bytes);
        }
        machine.outbox().resume_parked(&mut Effects::default());
    }
}

fn method<'m>(out: &mut Vec<u8>, channel: u16, method: impl Into<Method<'m>>) {
    method.into().write_frame(channel, out);
}

fn handshake(out: &mut Vec<u8>) {
    out.extend_from_slice(&PROTOCOL_HEADER);
    let start_ok = ConnectionStartOk {
        client_properties: TableRef::EMPTY,
        mechanism: "PLAIN",
        response: b"\0guest\0guest",
        locale: "en_US",
    };
    method(out, 0, start_ok);
    method(out, 0, ConnectionTuneOk { channel_max: 2047, frame_max: 8192, heartbeat: 0 });
    method(out, 0, ConnectionOpen { virtual_host: "/" });
    method(out, 1, ChannelOpen);
    method(out, 2, ChannelOpen);
}

fn publish(out: &mut Vec<u8>, channel: u16, routing_key: &str, body: &[u8]) {
    let routing_key = routing_key.as_bytes();
    method(out, channel, BasicPublish { exchange: b"", routing_key, mandatory: true, immediate: false });
    let mut properties = Vec::new();
    Properties { delivery_mode: Some(2), ..Properties::default() }.encode(&mut properties);
    let properties = PropertiesRef::parse(&properties).unwrap();
    let header = ContentHeader { class_id: 60, weight: 0, body_size: body.len() as u64, properties };
    header.write_frame(channel, out);
    for piece in body.chunks(3000) {
        let start = begin_frame(out, FrameKind::Body, channel);
        out.extend_from_slice(piece);
        end_frame(out, start);
    }
}

/// Publishes of all sizes, taken by get and by consumer, routable and not.
fn stream(bodies: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    handshake(&mut out);
    let declare = |queue| QueueDeclare { queue, ..QueueDeclare::default() };
    method(&mut out, 1, declare("got"));
    method(&mut out, 2, declare("consumed"));
    method(&mut out, 2, BasicQos { prefetch_size: 0, prefetch_count: 3, global: false });
    method(&mut out, 2, BasicConsume { queue: "consumed", consumer_tag: "c", ..BasicConsume::default() });
    for (number, len) in bodies.iter().enumerate() {
        let body = vec![u8::try_from(number % 251).unwrap(); *len];
        publish(&mut out, 1, "got", &body);
        publish(&mut out, 2, "consumed", &body);
        publish(&mut out, 1, "nowhere", &body);
        method(&mut out, 1, BasicGet { queue: "got", no_ack: number % 2 == 0 });
    }
    method(&mut out, 1, QueuePurge { queue: "got", nowait: false });
    out
}

/// Frames by channel: between channels the order depends on the reads, within one it must not.
fn by_channel(sent: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let mut channels: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    let mut rest = sent;
    while rest.len() >= 8 {
        let channel = u16::from_be_bytes([rest[1], rest[2]]);
        let len = u32::from_be_bytes([rest[3], rest[4], rest[5], rest[6]]) as usize + 8;
        channels.entry(channel).or_default().extend_from_slice(&rest[..len]);
        rest = &rest[len..];
    }
    channels
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn reads_may_end_anywhere(
        bodies in prop::collection::vec(prop_oneof![0usize..40, 2990usize..3010, 4000usize..9000], 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let stream = stream(&bodies);
        let (whole, _) = converse(&stream, &[]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        let (pieces, patience) = converse(&stream, &cuts);
        prop_assert_eq!(by_channel(&pieces), by_channel(&whole));
        prop_assert_eq!(patience, Patience::Endless { heartbeat_s: 0, login_ends_at_ms: None });
    }

    #[test]
    fn no_bytes_make_it_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cuts in prop::collection::vec(0usize..2000, 0..6),
    ) {
        let mut stream = stream(&[0, 16, 5000]);
        for (place, byte) in flips {
            let place = place.index(stream.len());
            stream[place] = byte;
        }
        let mut cuts = cuts;
        cuts.sort_unstable();
        converse(&stream, &cuts);
    }
}

#[test]
fn the_conversation_is_what_it_should_be() {
    let (sent, _) = converse(&stream(&[16, 16]), &[]);
    let channels = by_channel(&sent);
    let count = |channel: u16, ids: [u8; 4]| {
        channels[&channel].windows(11).filter(|bytes| bytes[0] == 1 && bytes[1] == 0 && bytes[7..] == ids).count()
    };
    assert_eq!(count(1, [0, 60, 0, 71]), 2, "get-ok");
    assert_eq!(count(1, [0, 60, 0, 50]), 2, "return");
    assert_eq!(count(2, [0, 60, 0, 60]), 2, "deliver");
    assert_eq!(count(1, [0, 50, 0, 31]), 1, "purge-ok");
}

#[test]
fn garbage_after_a_close_is_not_kept() {
    let broker = Arc::new(Broker::new(Arc::new(MemoryJournal::default())));
    let config = Arc::new(SessionConfig::new("rabbit@test", || [7; 16]));
    let mut machine = Connection::new(&broker, &config, ConnectionId(1), true);
    let mut stream = Vec::new();
    handshake(&mut stream);
    // Opening a channel twice closes the connection; then comes what is no frame.
    method(&mut stream, 1, ChannelOpen);
    stream.extend_from_slice(&[0xff; 64]);
    let mut input = BytesMut::from(&stream[..]);
    while machine.feed(&mut input) {}
    for _ in 0..100 {
        input.extend_from_slice(&[0xff; 4096]);
        while machine.feed(&mut input) {}
        assert!(input.len() <= 4096, "{} bytes are kept", input.len());
    }
}
