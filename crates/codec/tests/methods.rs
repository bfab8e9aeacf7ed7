//! Every method there and back with random fields, and what must not decode.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by a panic")]

mod every_method;
mod pool;

use every_method::every_method;
use leveret_codec::frame::{FrameKind, split_frame};
use leveret_codec::method::{Method, MethodError, QueuePurge};
use pool::Pool;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashSet;

const PAYLOAD_MAX: usize = 131_064;

fn pools() -> impl Strategy<Value = Pool> {
    let texts = vec("\\PC{0,60}", 1..5);
    let bytes = vec(vec(any::<u8>(), 0..300), 1..5);
    let tables = vec(vec(any::<u8>(), 0..40), 1..3);
    (vec(any::<u64>(), 1..9), texts, bytes, tables).prop_map(|(numbers, texts, bytes, tables)| Pool {
        numbers,
        texts,
        bytes,
        tables,
        taken: Default::default(),
    })
}

fn one_of_each() -> Pool {
    Pool {
        numbers: vec![1, 0, 0x1234_5678_9abc_def0],
        texts: vec!["first".into(), "second".into()],
        bytes: vec![b"third".into(), b"fourth".into()],
        tables: vec![b"\x01aV".into()],
        taken: Default::default(),
    }
}

fn payload_of(method: &Method<'_>) -> Vec<u8> {
    let mut wire = Vec::new();
    method.write_frame(7, &mut wire);
    split_frame(&wire, PAYLOAD_MAX).unwrap().unwrap().payload.to_vec()
}

proptest! {
    #[test]
    fn every_method_comes_back_from_the_wire(pool in pools()) {
        let mut wire = Vec::new();
        for method in every_method(&pool) {
            wire.clear();
            method.write_frame(7, &mut wire);
            let frame = split_frame(&wire, PAYLOAD_MAX).unwrap().unwrap();
            prop_assert_eq!((frame.kind, frame.channel, frame.wire_len()), (FrameKind::Method, 7, wire.len()));
            prop_assert_eq!(Method::decode(frame.payload), Ok(method));
        }
    }

    #[test]
    fn no_payload_panics(payload in vec(any::<u8>(), 0..200)) {
        let _ = Method::decode(&payload);
    }

    #[test]
    fn no_arguments_of_a_known_method_panic(arguments in vec(any::<u8>(), 0..60)) {
        for method in every_method(&one_of_each()) {
            let (class_id, method_id) = method.ids();
            let payload = [&class_id.to_be_bytes()[..], &method_id.to_be_bytes(), &arguments].concat();
            if let Ok(decoded) = Method::decode(&payload) {
                prop_assert_eq!(decoded.ids(), method.ids());
            }
        }
    }
}

#[test]
fn there_are_66_methods_with_different_numbers_and_names() {
    let pool = one_of_each();
    let methods = every_method(&pool);
    assert_eq!(methods.len(), 66);
    assert_eq!(methods.iter().map(Method::ids).collect::<HashSet<_>>().len(), 66);
    assert_eq!(methods.iter().map(Method::name).collect::<HashSet<_>>().len(), 66);
}

#[test]
fn four_methods_carry_content() {
    let pool = one_of_each();
    let methods = every_method(&pool);
    let names: Vec<_> = methods.iter().filter(|method| method.has_content()).map(Method::name).collect();
    assert_eq!(names, ["basic.publish", "basic.return", "basic.deliver", "basic.get-ok"]);
}

#[test]
fn every_cut_of_every_method_is_malformed() {
    for method in every_method(&one_of_each()) {
        let payload = payload_of(&method);
        for end in 0..payload.len() {
            assert_eq!(Method::decode(&payload[..end]), Err(MethodError::Malformed), "{} at {end}", method.name());
        }
    }
}

#[test]
fn a_byte_too_many_is_malformed_in_every_method() {
    for method in every_method(&one_of_each()) {
        let mut payload = payload_of(&method);
        payload.push(0);
        assert_eq!(Method::decode(&payload), Err(MethodError::Malformed), "{}", method.name());
    }
}

#[test]
fn unknown_numbers_are_named() {
    for (class_id, method_id) in [(60, 99), (40, 41), (50, 0), (70, 10), (0, 0), (0xffff, 0xffff)] {
        let payload = [u16::to_be_bytes(class_id), u16::to_be_bytes(method_id)].concat();
        assert_eq!(Method::decode(&payload), Err(MethodError::Unknown { class_id, method_id }));
    }
}

#[test]
fn utf8_is_asked_of_methods_without_content_only() {
    let purge = b"\x00\x32\x00\x1e\x00\x00\x02\xff\xfe\x00";
    assert_eq!(Method::decode(purge), Err(MethodError::NotUtf8));
    let open = b"\x00\x14\x00\x0a\x01\xff";
    assert_eq!(Method::decode(open), Err(MethodError::NotUtf8), "RabbitMQ looks at reserved fields too");
    let publish = b"\x00\x3c\x00\x28\x00\x00\x00\x02\xff\xfe\x00";
    assert!(matches!(Method::decode(publish), Ok(Method::BasicPublish(publish)) if publish.routing_key == b"\xff\xfe"));
}

#[test]
fn unused_bits_are_ignored() {
    let ack = b"\x00\x3c\x00\x50\x00\x00\x00\x00\x00\x00\x00\x05\xff";
    assert!(matches!(Method::decode(ack), Ok(Method::BasicAck(ack)) if ack.multiple && ack.delivery_tag == 5));
}

#[test]
fn the_ticket_is_ignored() {
    let get = b"\x00\x3c\x00\x46\xab\xcd\x01q\x01";
    assert!(matches!(Method::decode(get), Ok(Method::BasicGet(get)) if get.no_ack && get.queue == "q"));
}

#[test]
fn a_long_short_string_is_cut_at_a_character() {
    let cases = [("x".repeat(300), 255), ("é".repeat(200), 254), ("x".repeat(255), 255), ("€".repeat(85), 255)];
    for (name, expected) in cases {
        let payload = payload_of(&QueuePurge { queue: &name, nowait: false }.into());
        let Ok(Method::QueuePurge(purge)) = Method::decode(&payload) else { panic!("{name} does not come back") };
        assert_eq!(purge.queue, &name[..expected]);
    }
}

#[test]
fn explanations_are_those_of_rabbitmq() {
    let ack = b"\x00\x3c\x00\x50abc";
    let error = Method::decode(ack).unwrap_err();
    assert_eq!(error.explain(ack).to_string(), "cannot decode <<97,98,99>>");
    let purge = b"\x00\x32\x00\x1e\x00\x00\x01\xff\x00";
    let error = Method::decode(purge).unwrap_err();
    assert_eq!(error.explain(purge).to_string(), "Malformed UTF-8 in shortstr");
}

#[test]
fn an_explanation_of_a_long_payload_stays_short() {
    let mut ack = b"\x00\x3c\x00\x50".to_vec();
    ack.resize(100_000, 1);
    let text = MethodError::Malformed.explain(&ack).to_string();
    assert!(text.starts_with("cannot decode <<1,1,1,"));
    assert!((256..1100).contains(&text.len()), "{}", text.len());
}
