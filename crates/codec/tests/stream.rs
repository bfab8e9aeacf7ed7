//! The codec of the feature `tokio`.
#![cfg(feature = "tokio")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by a panic")]

use bytes::{Bytes, BytesMut};
use leveret_codec::frame::{FrameError, FrameKind};
use leveret_codec::stream::{FrameCodec, OwnedFrame, StreamError};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder};

const PAYLOAD_MAX: usize = 4088;

fn body(payload: Vec<u8>) -> OwnedFrame {
    OwnedFrame { kind: FrameKind::Body, channel: 3, payload: payload.into() }
}

proptest! {
    #[test]
    fn frames_there_and_back_in_pieces(payloads in vec(vec(any::<u8>(), 0..50), 0..6), piece in 1usize..40) {
        let mut codec = FrameCodec::new(PAYLOAD_MAX);
        let frames: Vec<_> = payloads.into_iter().map(body).collect();
        let mut wire = BytesMut::new();
        for frame in &frames {
            codec.encode(frame.clone(), &mut wire).unwrap();
        }
        let mut input = BytesMut::new();
        let mut seen = Vec::new();
        for piece in wire.chunks(piece) {
            input.extend_from_slice(piece);
            while let Some(frame) = codec.decode(&mut input).unwrap() {
                seen.push(frame);
            }
        }
        prop_assert!(input.is_empty());
        prop_assert_eq!(seen, frames);
    }
}

#[test]
fn a_frame_is_written_as_on_the_wire() {
    let mut out = BytesMut::from(&b"before"[..]);
    let frame = OwnedFrame { kind: FrameKind::Heartbeat, channel: 0, payload: Bytes::new() };
    assert_eq!(frame.as_frame().wire_len(), 8);
    FrameCodec::new(PAYLOAD_MAX).encode(frame, &mut out).unwrap();
    assert_eq!(&out[..], b"before\x08\x00\x00\x00\x00\x00\x00\xce");
}

#[test]
fn the_limit_holds_both_ways_and_can_be_changed() {
    let too_large = FrameError::TooLarge { kind: 3, size: 5000, allowed: PAYLOAD_MAX };
    let mut codec = FrameCodec::new(PAYLOAD_MAX);
    let mut out = BytesMut::new();
    let refused = codec.encode(body(vec![0; 5000]), &mut out);
    assert!(matches!(refused, Err(StreamError::Frame(error)) if error == too_large));
    assert!(out.is_empty());
    let refused = codec.decode(&mut BytesMut::from(&b"\x03\x00\x01\x00\x00\x13\x88"[..]));
    assert!(matches!(refused, Err(StreamError::Frame(error)) if error == too_large));

    codec.set_payload_max(5000);
    codec.encode(body(vec![0; 5000]), &mut out).unwrap();
    assert_eq!(codec.decode(&mut out).unwrap(), Some(body(vec![0; 5000])));
}
