//! The frame itself: type, size, end, and streams that stop inside a frame.

use leveret_tests::raw::Stage;
use leveret_tests::raw::ids::NO_METHOD;
use leveret_tests::raw::methods::{self, queue_declare};
use leveret_tests::raw::none;
use leveret_tests::raw::socket::PROTOCOL_HEADER;
use leveret_tests::raw::wire::{
    FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD, frame, frame_announcing,
};

use crate::Case;
use crate::outcome::Outcome;

pub fn cases() -> Vec<Case> {
    [wrong_ends(), too_large(), unknown_types(), short_payloads(), cut_off(), before_login()]
        .into_iter()
        .flatten()
        .collect()
}

fn frame_error(explanation: &str) -> Outcome {
    Outcome::Close(501, explanation.to_owned(), NO_METHOD)
}

fn wrong_ends() -> Vec<Case> {
    let wrong = |name: &str, kind: u8, channel: u16, payload: &[u8], end: u8, text: &str| {
        let bytes = frame_announcing(kind, channel, u32::try_from(payload.len()).unwrap(), payload, end);
        Case::new(name, Stage::Channel, bytes, frame_error(text))
    };
    let long = *b"sixteen octets and then some";
    vec![
        wrong(
            "heartbeat ending in 65",
            FRAME_HEARTBEAT,
            0,
            b"",
            65,
            "type 8, all octets = <<>>: {invalid_frame_end_marker,65}",
        ),
        wrong(
            "method ending in 0",
            FRAME_METHOD,
            1,
            &[0, 20, 0, 20, 1],
            0,
            "type 1, all octets = <<0,20,0,20,1>>: {invalid_frame_end_marker,0}",
        ),
        wrong(
            "body ending in 255",
            FRAME_BODY,
            1,
            b"ab",
            255,
            "type 3, all octets = <<\"ab\">>: {invalid_frame_end_marker,255}",
        ),
        wrong(
            "long body ending in 7",
            FRAME_BODY,
            1,
            &long,
            7,
            "type 3, first 16 octets = <<\"sixteen octets a\">>: {invalid_frame_end_marker,7}",
        ),
        wrong(
            "header ending in 1",
            FRAME_HEADER,
            1,
            &[0, 60],
            1,
            "type 2, all octets = <<0,60>>: {invalid_frame_end_marker,1}",
        ),
        // The size is one too small, so the last octet of the payload stands where the end should be.
        Case::new(
            "announced size one too small",
            Stage::Channel,
            frame_announcing(FRAME_METHOD, 1, 4, &[0, 20, 0, 20, 1], FRAME_END),
            frame_error("type 1, all octets = <<0,20,0,20>>: {invalid_frame_end_marker,1}"),
        ),
    ]
}

/// 131,072 is the negotiated frame_max; as RabbitMQ does, eight octets too many are tolerated.
fn too_large() -> Vec<Case> {
    let announced = |name: &str, kind: u8, size: u32| {
        let text = format!("type {kind}, all octets = <<>>: {{frame_too_large,{size},131064}}");
        let bytes = frame_announcing(kind, 1, size, b"", FRAME_END);
        Case::new(name, Stage::Channel, bytes, Outcome::Close(501, text, NO_METHOD))
    };
    let mut within_tolerance = methods::publish_alone("", "nowhere", &[]).frames(1, 0);
    within_tolerance.extend(crate::content::header(60, 0, 131_072));
    within_tolerance.extend(frame(FRAME_BODY, 1, &vec![b'x'; 131_072]));
    vec![
        announced("body one octet over frame_max", FRAME_BODY, 131_073),
        announced("method of 16 MiB", FRAME_METHOD, 16 << 20),
        announced("header of 2 GiB", FRAME_HEADER, 0x7FFF_FFFF),
        announced("body of 4 GiB", FRAME_BODY, u32::MAX),
        announced("heartbeat of 4 GiB", FRAME_HEARTBEAT, u32::MAX),
        announced("unknown type of 4 GiB", 77, u32::MAX),
        Case::new("body of exactly frame_max", Stage::Channel, within_tolerance, Outcome::Accepted),
    ]
}

fn unknown_types() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in [0, 4, 5, 6, 7, 9, 0x41, 255] {
        for channel in [0, 1] {
            let text = format!("type {kind}, all octets = <<>>: unknown_frame");
            let name = format!("frame of type {kind} on channel {channel}");
            let bytes = frame(kind, channel, b"");
            cases.push(Case::new(name, Stage::Channel, bytes, Outcome::Close(501, text, NO_METHOD)));
        }
    }
    cases.push(Case::new(
        "heartbeat with a payload",
        Stage::Channel,
        frame(FRAME_HEARTBEAT, 0, b"x"),
        frame_error("type 8, all octets = <<\"x\">>: unknown_frame"),
    ));
    cases
}

/// Payloads that cannot even hold ids or a header.
fn short_payloads() -> Vec<Case> {
    let mut cases = Vec::new();
    for length in 0..4_u8 {
        let payload = vec![0; usize::from(length)];
        let zeros = vec!["0"; usize::from(length)].join(",");
        let text = format!("type 1, all octets = <<{zeros}>>: unknown_frame");
        let name = format!("method of {length} octets");
        cases.push(Case::new(name, Stage::Channel, frame(FRAME_METHOD, 1, &payload), frame_error(&text)));
    }
    let mut cut_header = methods::publish_alone("", "nowhere", &[]).frames(1, 0);
    cut_header.extend(frame(FRAME_HEADER, 1, &[0, 60, 0, 0, 0, 0, 0]));
    let text = "type 2, all octets = <<0,60,0,0,0,0,0>>: unknown_frame";
    cases.push(Case::new("content header of 7 octets", Stage::Channel, cut_header, frame_error(text)));
    cases
}

fn cut_off() -> Vec<Case> {
    let declare = queue_declare("leveret-never-declared", &[], &none()).frames(1, 0);
    let half = &declare[..declare.len() / 2];
    let without_end = &declare[..declare.len() - 1];
    let mut unfinished_content = methods::publish_alone("", "nowhere", &[]).frames(1, 0);
    unfinished_content.extend(crate::content::header(60, 0, 100));
    vec![
        Case::cut_off("nothing at all", Stage::Connected, b""),
        Case::cut_off("half a protocol header", Stage::Connected, b"AMQP"),
        Case::cut_off("the protocol header alone", Stage::Started, b""),
        Case::cut_off("half a frame head", Stage::Channel, &declare[..3]),
        Case::cut_off("half a method", Stage::Channel, half),
        Case::cut_off("a method without its end", Stage::Channel, without_end),
        Case::cut_off("a publish without content", Stage::Channel, unfinished_content),
        Case::cut_off("going away while tuning", Stage::Tuning, b""),
        Case::cut_off("going away while opening", Stage::Opening, b""),
        Case::cut_off("going away without a close", Stage::Channel, b""),
    ]
}

/// While nobody is logged in errors have no words: the connection just ends.
fn before_login() -> Vec<Case> {
    let announced = |size| frame_announcing(FRAME_METHOD, 0, size, b"", FRAME_END);
    let mut twice = PROTOCOL_HEADER.to_vec();
    twice.extend(PROTOCOL_HEADER);
    vec![
        Case::new("4 GiB before login", Stage::Started, announced(u32::MAX), Outcome::Dropped),
        Case::new("64 KiB before login", Stage::Started, announced(64 << 10), Outcome::Dropped),
        Case::new("wrong end before login", Stage::Started, frame_announcing(1, 0, 1, b"x", 0), Outcome::Dropped),
        Case::new("unknown type before login", Stage::Started, frame(9, 0, b""), Outcome::Dropped),
        Case::new("empty method before login", Stage::Started, frame(FRAME_METHOD, 0, b""), Outcome::Dropped),
        Case::new("content before login", Stage::Started, frame(FRAME_BODY, 1, b"x"), Outcome::Dropped),
        Case::new("protocol header before login", Stage::Started, PROTOCOL_HEADER, Outcome::Dropped),
        Case::new("protocol header while running", Stage::Open, PROTOCOL_HEADER, Outcome::CloseWith(&[501])),
    ]
}
