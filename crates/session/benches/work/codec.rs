//! Frames of a publish in, frames of a delivery out.

use std::hint::black_box;

use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{FrameKind, begin_frame, end_frame, split_frame};
use leveret_codec::method::{BasicDeliver, BasicPublish, Method};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue, TableRef};

use super::Case;

const PAYLOAD_BYTES_MAX: usize = 131_064;
const BODY_BYTES: usize = 16;

pub fn decoding() -> Vec<Case> {
    let mut cases = vec![
        decode("persistent", || Properties { delivery_mode: Some(2), ..Properties::default() }),
        decode("typical", typical_properties),
        decode("every_property", every_property),
    ];
    cases.extend([
        headers("find_last_key", |table| {
            black_box(table.get_raw(black_box(b"attempts")));
        }),
        headers("check", |table| {
            let _ = black_box(table.check());
        }),
        headers("decode", |table| {
            let _ = black_box(table.decode());
        }),
    ]);
    cases
}

/// Method, header and body frame from one buffer, as a broker's reader does it.
fn decode(name: &str, properties: fn() -> Properties) -> Case {
    Case::repeated(format!("decode_publish/{name}"), move || {
        let wire = publish_frames(&properties());
        assert!(decode_publish(&wire).is_some(), "the benchmark's own frames do not decode");
        move || {
            black_box(decode_publish(black_box(&wire)));
        }
    })
}

fn headers(name: &str, look: fn(TableRef<'_>)) -> Case {
    Case::repeated(format!("headers/{name}"), move || {
        let mut encoded = Vec::new();
        message_headers().encode(&mut encoded);
        move || look(black_box(TableRef::from_raw(&encoded)))
    })
}

pub fn encoding() -> Vec<Case> {
    let encode = Case::repeated("encode_delivery", || {
        let mut encoded = Vec::new();
        typical_properties().encode(&mut encoded);
        let mut out = Vec::with_capacity(512);
        move || {
            out.clear();
            encode_delivery(black_box(&encoded), &mut out);
            black_box(out.len());
        }
    });
    vec![encode]
}

/// Looks at every field where it lies, as a reader does; nothing is collected into one large result.
#[inline(never)]
fn decode_publish(wire: &[u8]) -> Option<&[u8]> {
    let method = split_frame(wire, PAYLOAD_BYTES_MAX).ok()??;
    let wire = wire.get(method.wire_len()..)?;
    let header = split_frame(wire, PAYLOAD_BYTES_MAX).ok()??;
    let wire = wire.get(header.wire_len()..)?;
    let body = split_frame(wire, PAYLOAD_BYTES_MAX).ok()??;
    if (method.kind, header.kind, body.kind) != (FrameKind::Method, FrameKind::Header, FrameKind::Body) {
        return None;
    }
    let Ok(Method::BasicPublish(publish)) = Method::decode(method.payload) else { return None };
    black_box((publish.exchange, publish.routing_key));
    black_box((publish.mandatory, publish.immediate));
    let header = ContentHeader::parse(header.payload).ok()?;
    black_box((header.class_id, header.weight, header.body_size));
    black_box(header.properties.as_bytes());
    Some(body.payload)
}

fn encode_delivery(properties: &[u8], out: &mut Vec<u8>) {
    let deliver = BasicDeliver {
        consumer_tag: b"ctag1.1",
        delivery_tag: 71,
        redelivered: false,
        exchange: b"orders",
        routing_key: b"order.created.eu",
    };
    deliver.write_frame(1, out);
    content(properties, &[7; BODY_BYTES], out);
}

fn publish_frames(properties: &Properties) -> Vec<u8> {
    let mut encoded = Vec::new();
    properties.encode(&mut encoded);
    let mut out = Vec::new();
    let publish =
        BasicPublish { exchange: b"orders", routing_key: b"order.created.eu", mandatory: true, immediate: false };
    publish.write_frame(1, &mut out);
    content(&encoded, &[7; BODY_BYTES], &mut out);
    out
}

/// Appends a content header and a body of one frame.
pub fn content(properties: &[u8], body: &[u8], out: &mut Vec<u8>) {
    let properties = PropertiesRef::parse(properties).expect("the benchmark's own properties parse");
    let body_size = body.len() as u64;
    ContentHeader { class_id: 60, weight: 0, body_size, properties }.write_frame(1, out);
    let start = begin_frame(out, FrameKind::Body, 1);
    out.extend_from_slice(body);
    end_frame(out, start);
}

fn typical_properties() -> Properties {
    Properties {
        content_type: Some((*b"application/json").into()),
        delivery_mode: Some(2),
        message_id: Some((*b"6f1f6c1e-1b1a-4b8e-9d1a-0d7a3f5f9a11").into()),
        timestamp: Some(1_770_000_000),
        ..Properties::default()
    }
}

fn every_property() -> Properties {
    Properties {
        content_encoding: Some((*b"identity").into()),
        headers: Some(message_headers()),
        priority: Some(5),
        correlation_id: Some((*b"42").into()),
        reply_to: Some((*b"amq.rabbitmq.reply-to").into()),
        expiration: Some((*b"60000").into()),
        type_: Some((*b"order").into()),
        user_id: Some((*b"guest").into()),
        app_id: Some((*b"shop").into()),
        cluster_id: Some((*b"").into()),
        ..typical_properties()
    }
}

fn message_headers() -> FieldTable {
    let mut headers = FieldTable::default();
    headers.push(*b"tenant", FieldValue::LongStr((*b"acme").into()));
    headers.push(*b"sampled", FieldValue::Bool(true));
    headers.push(*b"attempts", FieldValue::I32(3));
    headers
}
