//! Bodies cut into frames, in both directions.

use leveret_tests::prelude::*;
use leveret_tests::raw::methods::header_payload;
use leveret_tests::raw::wire::{FRAME_BODY, FRAME_END, FRAME_HEADER, frame, frame_announcing};

const SMALL_FRAME_MAX: u32 = 4096;
/// frame_max less the eight octets around a payload.
const PIECE: usize = 4088;

fn small_frames() -> Channel {
    let login = Login { frame_max: SMALL_FRAME_MAX, ..Login::new(Broker::shared()) };
    Connection::open_with(Broker::shared(), &login).channel(1)
}

fn body(length: usize) -> String {
    "0123456789".chars().cycle().take(length).collect()
}

#[test]
fn bodies_are_cut_into_full_frames_and_a_rest() {
    let channel = small_frames();
    let queue = channel.exclusive_queue();
    let cases: [(usize, &[usize]); 7] = [
        (0, &[]),
        (1, &[1]),
        (PIECE - 1, &[PIECE - 1]),
        (PIECE, &[PIECE]),
        (PIECE + 1, &[PIECE, 1]),
        (2 * PIECE, &[PIECE, PIECE]),
        (10_000, &[PIECE, PIECE, 10_000 - 2 * PIECE]),
    ];
    for (length, pieces) in cases {
        channel.publish("", &queue, &body(length));
        let message = channel.get(&queue).unwrap();
        assert_eq!(message.text(), body(length));
        assert_eq!(message.piece_sizes, pieces, "a body of {length}");
    }
}

#[test]
fn deliveries_are_cut_like_fetched_messages() {
    let channel = small_frames();
    let queue = channel.exclusive_queue();
    channel.consume(&queue);
    channel.publish("", &queue, &body(9_000));
    let message = channel.delivery();
    assert_eq!(message.piece_sizes, [PIECE, PIECE, 9_000 - 2 * PIECE]);
    assert_eq!(message.text(), body(9_000));
}

#[test]
fn each_connection_has_its_own_frame_max() {
    let mut names = Names::new();
    let queue = names.queue("frame-max");
    let small = small_frames();
    small.declare(&queue, &[], &none());
    small.publish("", &queue, &body(140_000));
    small.sync();
    let large = open_channel();
    wait_until("the message arrives", || large.counts(&queue).0 == 1);
    let message = large.get(&queue).unwrap();
    assert_eq!(message.piece_sizes, [131_064, 140_000 - 131_064]);
    assert_eq!(message.text(), body(140_000));
}

#[test]
fn a_client_may_cut_its_bodies_as_it_likes() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let text = body(300);
    let mut bytes = methods::publish_alone("", &queue, &[]).frames(1, 0);
    bytes.extend(frame(FRAME_HEADER, 1, &header_payload(&Props::default(), text.len())));
    for octet in text.bytes() {
        bytes.extend(frame(FRAME_BODY, 1, &[octet]));
    }
    channel.connection().socket().send(&bytes);
    assert_eq!(channel.drain(&queue), [text]);
}

#[test]
fn a_stream_may_arrive_octet_by_octet() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    for octet in methods::publish("", &queue, &[], &Props::persistent(), b"drop by drop").frames(1, 0) {
        channel.connection().socket().send(&[octet]);
    }
    assert_eq!(channel.drain(&queue), ["drop by drop"]);
}

#[test]
fn many_messages_may_arrive_in_one_piece() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let message = methods::publish("", &queue, &[], &Props::default(), b"one of many").frames(1, 0);
    channel.connection().socket().send(&message.repeat(5_000));
    channel.sync();
    wait_until("all messages arrive", || channel.counts(&queue).0 == 5_000);
}

#[test]
fn contents_of_several_channels_may_be_interleaved() {
    let connection = open();
    let (first, second) = (connection.channel(1), connection.channel(2));
    let (left, right) = (first.exclusive_queue(), second.exclusive_queue());
    let parts = |channel: u16, queue: &str, text: &[u8]| {
        let (beginning, end) = text.split_at(2);
        [
            methods::publish_alone("", queue, &[]).frames(channel, 0),
            frame(FRAME_HEADER, channel, &header_payload(&Props::default(), text.len())),
            frame(FRAME_BODY, channel, beginning),
            frame(FRAME_BODY, channel, end),
        ]
    };
    for (one, other) in parts(1, &left, b"left").into_iter().zip(parts(2, &right, b"right")) {
        connection.socket().send(&one);
        connection.socket().send(&other);
    }
    assert_eq!(first.drain(&left), ["left"]);
    assert_eq!(second.drain(&right), ["right"]);
}

#[test]
fn a_frame_over_the_negotiated_size_ends_the_connection() {
    let channel = small_frames();
    let bytes = frame_announcing(FRAME_BODY, 1, SMALL_FRAME_MAX + 1, b"", FRAME_END);
    channel.connection().socket().send(&bytes);
    let text = "type 3, all octets = <<>>: {frame_too_large,4097,4088}";
    channel.connection().expect_close(501, text, ids::NO_METHOD);
}

#[test]
fn eight_octets_over_the_payload_are_tolerated() {
    let channel = small_frames();
    let queue = channel.exclusive_queue();
    let text = body(SMALL_FRAME_MAX as usize);
    let mut bytes = methods::publish_alone("", &queue, &[]).frames(1, 0);
    bytes.extend(frame(FRAME_HEADER, 1, &header_payload(&Props::default(), text.len())));
    bytes.extend(frame(FRAME_BODY, 1, text.as_bytes()));
    channel.connection().socket().send(&bytes);
    assert_eq!(channel.drain(&queue), [text]);
}
