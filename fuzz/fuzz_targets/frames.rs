//! What a peer sends: frames, and what each of them holds.
#![no_main]

use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{Frame, FrameKind, split_frame};
use leveret_codec::method::Method;
use leveret_codec::properties::{Properties, PropertiesRef};

const PAYLOAD_MAX: usize = 131_064;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    loop {
        match split_frame(rest, PAYLOAD_MAX) {
            Ok(Some(frame)) => {
                let _ = frame.describe().to_string();
                look_into(&frame);
                rest = &rest[frame.wire_len()..];
            }
            Ok(None) => return,
            Err(error) => return drop(error.to_string()),
        }
    }
});

fn look_into(frame: &Frame<'_>) {
    match frame.kind {
        FrameKind::Method => match Method::decode(frame.payload) {
            Ok(method) => {
                let mut written = Vec::new();
                method.write_frame(frame.channel, &mut written);
                let again = split_frame(&written, usize::MAX).unwrap().unwrap();
                assert_eq!(Method::decode(again.payload), Ok(method));
            }
            Err(error) => drop(error.explain(frame.payload).to_string()),
        },
        FrameKind::Header => {
            if let Ok(header) = ContentHeader::parse(frame.payload) {
                let mut written = Vec::new();
                header.write_frame(frame.channel, &mut written);
                assert_eq!(split_frame(&written, usize::MAX).unwrap().unwrap().payload, frame.payload);
                if let Ok(owned) = header.properties.to_owned() {
                    same_again(&owned);
                }
            }
        }
        FrameKind::Body | FrameKind::Heartbeat => {}
    }
}

/// Compared as bytes: a float need not be equal to itself.
fn same_again(properties: &Properties) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    properties.encode(&mut first);
    PropertiesRef::parse(&first).unwrap().to_owned().unwrap().encode(&mut second);
    assert_eq!(first, second);
}
