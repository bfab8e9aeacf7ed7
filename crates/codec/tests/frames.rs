//! The envelope, and the texts of its errors. The texts were read from RabbitMQ 3.10.8, line breaks included.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by a panic")]

use leveret_codec::erlang::{Binary, Octets};
use leveret_codec::frame::{Frame, FrameError, FrameKind, split_frame};
use proptest::collection::vec;
use proptest::prelude::*;

const PAYLOAD_MAX: usize = 8184;

fn wire(kind: u8, payload: &[u8], end: u8) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 0, 1][..], &size, payload, &[end]].concat()
}

#[track_caller]
fn refused(wire: &[u8], text: &str) {
    let error = split_frame(wire, PAYLOAD_MAX).unwrap_err();
    assert_eq!(error.to_string(), text);
}

#[test]
fn every_beginning_of_a_frame_waits_for_more() {
    let wire = wire(3, b"hello", 0xCE);
    for end in 0..wire.len() {
        assert_eq!(split_frame(&wire[..end], PAYLOAD_MAX), Ok(None));
    }
    let whole = Frame { kind: FrameKind::Body, channel: 1, payload: b"hello" };
    assert_eq!(split_frame(&wire, PAYLOAD_MAX), Ok(Some(whole)));
    assert_eq!(split_frame(&[&wire[..], b"more"].concat(), PAYLOAD_MAX), Ok(Some(whole)));
}

#[test]
fn a_large_frame_is_refused_by_its_header() {
    refused(b"\x03\x00\x01\x00\x00\x40\x00", "type 3, all octets = <<>>: {frame_too_large,16384,8184}");
    refused(b"GET / H", "type 71, all octets = <<>>: {frame_too_large,539959368,8184}");
}

#[test]
fn eight_bytes_more_than_allowed_are_forgiven() {
    let size = u32::try_from(PAYLOAD_MAX).unwrap() + 8;
    let header = [&b"\x03\x00\x01"[..], &size.to_be_bytes()].concat();
    assert_eq!(split_frame(&header, PAYLOAD_MAX), Ok(None));
    let header = [&b"\x03\x00\x01"[..], &(size + 1).to_be_bytes()].concat();
    refused(&header, "type 3, all octets = <<>>: {frame_too_large,8193,8184}");
}

#[test]
fn no_limit_takes_every_size() {
    assert_eq!(split_frame(b"\x03\x00\x01\xff\xff\xff\xff", usize::MAX), Ok(None));
}

#[test]
fn a_wrong_end_octet() {
    refused(&wire(3, b"", 65), "type 3, all octets = <<>>: {invalid_frame_end_marker,65}");
    refused(&wire(3, b"ab\x7f", 65), "type 3, all octets = <<97,98,127>>: {invalid_frame_end_marker,65}");
    refused(
        &wire(3, b"ab\"\\\n\t\r\x0b\x0c\x08\x1b", 65),
        r#"type 3, all octets = <<"ab\"\\\n\t\r\v\f\b\e">>: {invalid_frame_end_marker,65}"#,
    );
    refused(&wire(3, &[b'x'; 16], 65), "type 3, all octets = <<\"xxxxxxxxxxxxxxxx\">>: {invalid_frame_end_marker,65}");
    let error = split_frame(&wire(9, b"ab", 0), PAYLOAD_MAX).unwrap_err();
    assert!(matches!(error, FrameError::BadEnd { kind: 9, payload, found: 0 } if payload.as_bytes() == b"ab"));
}

#[test]
fn the_line_breaks_are_erlangs() {
    refused(
        &wire(3, &[b'x'; 17], 65),
        "type 3, first 16 octets = <<\"xxxxxxxxxxxxxxxx\">>: {invalid_frame_end_marker,\n\
         \x20                                                  65}",
    );
    refused(
        &wire(3, &[b'"'; 16], 65),
        "type 3, all octets = <<\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\">>: \
         {invalid_frame_end_marker,\n\
         \x20                                                             65}",
    );
    refused(
        &wire(3, &[128; 14], 65),
        "type 3, all octets = <<128,128,128,128,128,128,128,128,128,128,128,128,128,128>>: \
         {invalid_frame_end_marker,\n\
         \x20                                                                                  65}",
    );
    refused(
        &wire(3, &[128; 16], 65),
        "type 3, all octets = <<128,128,128,128,128,128,128,128,128,128,128,128,128,128,\n\
         \x20                      128,128>>: {invalid_frame_end_marker,65}",
    );
    refused(
        &wire(3, b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x01\x01", 65),
        "type 3, all octets = <<128,128,128,128,128,128,128,128,128,128,128,128,128,1,1,\n\
         \x20                      1>>: {invalid_frame_end_marker,65}",
    );
    refused(
        &wire(255, &[128; 17], 0xCE),
        "type 255, first 16 octets = <<128,128,128,128,128,128,128,128,128,128,128,128,\n\
         \x20                             128,128,128,128>>: unknown_frame",
    );
}

#[test]
fn an_unknown_frame() {
    refused(&wire(7, b"abc", 0xCE), "type 7, all octets = <<\"abc\">>: unknown_frame");
    refused(&wire(0, b"", 0xCE), "type 0, all octets = <<>>: unknown_frame");
    refused(&wire(8, b"abc", 0xCE), "type 8, all octets = <<\"abc\">>: unknown_frame");
    refused(&wire(1, b"abc", 0xCE), "type 1, all octets = <<\"abc\">>: unknown_frame");
    refused(&wire(2, b"abc", 0xCE), "type 2, all octets = <<\"abc\">>: unknown_frame");
    for kind in 0..=u8::MAX {
        let is_known = matches!(kind, 1..=3);
        assert_eq!(split_frame(&wire(kind, &[0; 12], 0xCE), PAYLOAD_MAX).is_ok(), is_known, "{kind}");
    }
}

#[test]
fn a_frame_describes_itself() {
    let frame = Frame { kind: FrameKind::Heartbeat, channel: 1, payload: b"" };
    assert_eq!(frame.describe().to_string(), "type 8, all octets = <<>>");
    let frame = Frame { kind: FrameKind::Body, channel: 0, payload: b"more than sixteen" };
    assert_eq!(frame.describe().to_string(), "type 3, first 16 octets = <<\"more than sixtee\">>");
}

#[test]
fn erlang_binaries() {
    assert_eq!(Binary(b"").to_string(), "<<>>");
    assert_eq!(Binary(b"text").to_string(), "<<\"text\">>");
    assert_eq!(Binary(b"ab\x9f").to_string(), "<<97,98,159>>");
    assert_eq!(Binary(b"ab\xe9").to_string(), "<<\"ab\u{e9}\">>");
    assert_eq!(Octets(b"text").to_string(), "<<116,101,120,116>>");
}

proptest! {
    #[test]
    fn no_input_panics(input in vec(any::<u8>(), 0..64), payload_max in 0usize..64) {
        if let Err(error) = split_frame(&input, payload_max) {
            prop_assert!(error.to_string().starts_with("type "));
        }
    }

    #[test]
    fn frames_that_follow_each_other_come_out_in_order(payloads in vec(vec(any::<u8>(), 0..100), 0..8)) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| wire(3, payload, 0xCE)).collect();
        let mut rest = &stream[..];
        let mut seen = Vec::new();
        while let Some(frame) = split_frame(rest, PAYLOAD_MAX).unwrap() {
            seen.push(frame.payload.to_vec());
            rest = &rest[frame.wire_len()..];
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(seen, payloads);
    }
}
