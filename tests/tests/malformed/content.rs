//! Content that is missing, misplaced, too long or undecodable.

use leveret_tests::raw::ids::{self, NO_METHOD};
use leveret_tests::raw::methods::{self, header_payload};
use leveret_tests::raw::wire::{FRAME_BODY, FRAME_HEADER, frame};
use leveret_tests::raw::{Props, Stage};

use crate::Case;
use crate::outcome::Outcome;

/// A content header frame on channel 1 without properties.
pub fn header(class: u16, weight: u16, body_size: u64) -> Vec<u8> {
    header_with(class, weight, body_size, &[0, 0])
}

fn header_with(class: u16, weight: u16, body_size: u64, properties: &[u8]) -> Vec<u8> {
    let payload = [&class.to_be_bytes()[..], &weight.to_be_bytes(), &body_size.to_be_bytes(), properties].concat();
    frame(FRAME_HEADER, 1, &payload)
}

/// basic.publish to nowhere, followed by other frames.
fn after_publish(name: &str, frames: &[&[u8]], outcome: Outcome) -> Case {
    let mut bytes = methods::publish_alone("", "nowhere", &[]).frames(1, 0);
    bytes.extend(frames.concat());
    Case::new(name, Stage::Channel, bytes, outcome)
}

pub fn cases() -> Vec<Case> {
    [out_of_order(), wrong_sizes(), wrong_properties()].into_iter().flatten().collect()
}

fn unexpected(explanation: &str) -> Outcome {
    Outcome::Close(505, explanation.to_owned(), ids::BASIC_PUBLISH)
}

fn out_of_order() -> Vec<Case> {
    let no_method = |text: &str| Outcome::Close(505, text.to_owned(), NO_METHOD);
    let not_a_method = "expected method frame, got non method frame instead";
    let not_a_header = "expected content header for class 60, got non content header frame instead";
    let not_a_body = "expected content body, got non content body frame instead";
    let ack = methods::ack(1, &[]).frames(1, 0);
    let body = frame(FRAME_BODY, 1, b"x");
    let publish = methods::publish_alone("", "nowhere", &[]).frames(1, 0);
    let close = methods::channel_close().frames(1, 0);
    vec![
        Case::new("header without publish", Stage::Channel, header(60, 0, 1), no_method(not_a_method)),
        Case::new("body without publish", Stage::Channel, body.clone(), no_method(not_a_method)),
        after_publish("method instead of the header", &[&ack], unexpected(not_a_header)),
        after_publish("publish instead of the header", &[&publish], unexpected(not_a_header)),
        after_publish("channel.close instead of the header", &[&close], unexpected(not_a_header)),
        after_publish("body instead of the header", &[&body], unexpected(not_a_header)),
        after_publish(
            "header of class queue",
            &[&header(50, 0, 1)],
            unexpected("expected content header for class 60, got one for class 50 instead"),
        ),
        after_publish(
            "header of class 0",
            &[&header(0, 0, 0)],
            unexpected("expected content header for class 60, got one for class 0 instead"),
        ),
        after_publish("header with a weight", &[&header(60, 1, 1)], unexpected(not_a_header)),
        after_publish("method instead of the body", &[&header(60, 0, 5), &ack], unexpected(not_a_body)),
        after_publish("second header", &[&header(60, 0, 5), &header(60, 0, 5)], unexpected(not_a_body)),
        after_publish("method inside the body", &[&header(60, 0, 5), &body, &ack], unexpected(not_a_body)),
        after_publish("body after an empty body", &[&header(60, 0, 0), &body], no_method(not_a_method)),
        after_publish("body after a complete body", &[&header(60, 0, 1), &body, &body], no_method(not_a_method)),
    ]
}

/// Sizes are judged where they are announced. RabbitMQ 3.10 did that only when a body was complete.
fn wrong_sizes() -> Vec<Case> {
    let cap = |size: u64| {
        let text = format!("content body size {size} exceeds maximum allowed size 536870912");
        Outcome::CloseText(501, text).but_on_peer(Outcome::Accepted)
    };
    let configured = |size: u64| {
        let text = format!("message size {size} is larger than configured max size 134217728");
        Outcome::ChannelClose(406, text, ids::BASIC_PUBLISH).but_on_peer(Outcome::Accepted)
    };
    let exceeding = Outcome::CloseText(501, "content body frame exceeds remaining content size".to_owned());
    let (two, empty) = (frame(FRAME_BODY, 1, b"ab"), frame(FRAME_BODY, 1, b""));
    vec![
        after_publish("body of 2^64-1 octets", &[&header(60, 0, u64::MAX)], cap(u64::MAX)),
        after_publish("body of 2^63 octets", &[&header(60, 0, 1 << 63)], cap(1 << 63)),
        after_publish("body one octet over the cap", &[&header(60, 0, (512 << 20) + 1)], cap((512 << 20) + 1)),
        after_publish(
            "body one octet over max_message_size",
            &[&header(60, 0, (128 << 20) + 1)],
            configured((128 << 20) + 1),
        ),
        after_publish(
            "body frame longer than announced",
            &[&header(60, 0, 1), &two],
            exceeding.clone().but_on_peer(Outcome::Accepted),
        ),
        after_publish(
            "last body frame longer than what remains",
            &[&header(60, 0, 3), &two, &two],
            exceeding.but_on_peer(Outcome::Accepted),
        ),
        after_publish("empty body frames", &[&header(60, 0, 2), &empty, &empty, &two], Outcome::Accepted),
    ]
}

fn wrong_properties() -> Vec<Case> {
    // RabbitMQ finds these in the channel process, which it ends with an internal error; they are frame errors.
    let refused = || Outcome::CloseWith(&[501, 502, 541]);
    let with = |name: &str, properties: &[u8]| after_publish(name, &[&header_with(60, 0, 0, properties)], refused());
    let everything = Props {
        content_type: Some("text/plain".to_owned()),
        headers: Some(leveret_tests::raw::none()),
        timestamp: Some(1),
        cluster_id: Some("c".to_owned()),
        ..Props::default()
    };
    let whole = header_payload(&everything, 0);
    let cut = frame(FRAME_HEADER, 1, &whole[..whole.len() - 1]);
    let trailing = frame(FRAME_HEADER, 1, &[&whole[..], b"x"].concat());
    vec![
        with("no property flags", &[]),
        with("half the property flags", &[0]),
        with("content-type announced and absent", &[0x80, 0]),
        with("content-type longer than the frame", &[0x80, 0, 200, b'a']),
        with("timestamp cut", &[0, 0x40, 0, 0, 0]),
        with("headers cut", &[0x20, 0, 0, 0, 0, 9, 1]),
        with("headers of 4 GiB", &[0x20, 0, 255, 255, 255, 255]),
        with("delivery-mode absent", &[0x10, 0]),
        with("never used continuation flag", &[0, 1, 0, 0]),
        after_publish("properties cut at the end", &[&cut], refused()),
        after_publish("octets after the properties", &[&trailing], refused()),
    ]
}
