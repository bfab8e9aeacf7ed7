//! What one publish costs to decode: method, header and body frame from one buffer, as a broker's reader does it.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{FrameKind, begin_frame, end_frame, split_frame};
use leveret_codec::method::{BasicDeliver, BasicPublish, Method};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use std::hint::black_box;

const PAYLOAD_MAX: usize = 131_064;
const BODY_SIZE: usize = 16;

fn publish(criterion: &mut Criterion) {
    let cases = [
        ("persistent", Properties { delivery_mode: Some(2), ..Properties::default() }),
        ("typical", typical_properties()),
        ("every_property", every_property()),
    ];
    for (name, properties) in cases {
        let wire = publish_frames(&properties);
        let mut group = criterion.benchmark_group("decode_publish");
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{name}_{}_bytes", wire.len()), |bencher| {
            assert!(decode_publish(&wire).is_some(), "the benchmark's own frames do not decode");
            bencher.iter(|| decode_publish(black_box(&wire)));
        });
        group.finish();
    }
}

fn headers(criterion: &mut Criterion) {
    let Some(headers) = every_property().headers else { panic!("the benchmark's own message has no headers") };
    let mut encoded = Vec::new();
    headers.encode(&mut encoded);
    let table = TableRef::from_raw(&encoded);
    criterion.bench_function("headers_find_last_key", |bencher| {
        bencher.iter(|| black_box(table).get_raw(black_box(b"attempts")));
    });
    criterion.bench_function("headers_check", |bencher| {
        bencher.iter(|| black_box(table).check());
    });
    criterion.bench_function("headers_decode", |bencher| {
        bencher.iter(|| black_box(table).decode());
    });
}

fn deliver(criterion: &mut Criterion) {
    let mut encoded = Vec::new();
    typical_properties().encode(&mut encoded);
    let Ok(properties) = PropertiesRef::parse(&encoded) else { panic!("the benchmark's own properties do not parse") };
    let mut out = Vec::with_capacity(512);
    criterion.bench_function("encode_deliver", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_deliver(black_box(properties), &mut out);
            black_box(out.len())
        });
    });
}

/// Looks at every field where it lies, as a reader does; nothing is collected into one large result.
#[inline(never)]
fn decode_publish(wire: &[u8]) -> Option<&[u8]> {
    let method = split_frame(wire, PAYLOAD_MAX).ok()??;
    let wire = wire.get(method.wire_len()..)?;
    let header = split_frame(wire, PAYLOAD_MAX).ok()??;
    let wire = wire.get(header.wire_len()..)?;
    let body = split_frame(wire, PAYLOAD_MAX).ok()??;
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

fn encode_deliver(properties: PropertiesRef<'_>, out: &mut Vec<u8>) {
    let deliver = BasicDeliver {
        consumer_tag: b"ctag1.1",
        delivery_tag: 71,
        redelivered: false,
        exchange: b"orders",
        routing_key: b"order.created.eu",
    };
    deliver.write_frame(1, out);
    ContentHeader { class_id: 60, weight: 0, body_size: BODY_SIZE as u64, properties }.write_frame(1, out);
    let start = begin_frame(out, FrameKind::Body, 1);
    out.extend_from_slice(&[7; BODY_SIZE]);
    end_frame(out, start);
}

fn publish_frames(properties: &Properties) -> Vec<u8> {
    let mut encoded = Vec::new();
    properties.encode(&mut encoded);
    let Ok(properties) = PropertiesRef::parse(&encoded) else { panic!("the benchmark's own properties do not parse") };
    let mut out = Vec::new();
    let publish =
        BasicPublish { exchange: b"orders", routing_key: b"order.created.eu", mandatory: true, immediate: false };
    publish.write_frame(1, &mut out);
    ContentHeader { class_id: 60, weight: 0, body_size: BODY_SIZE as u64, properties }.write_frame(1, &mut out);
    let start = begin_frame(&mut out, FrameKind::Body, 1);
    out.extend_from_slice(&[7; BODY_SIZE]);
    end_frame(&mut out, start);
    out
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
    let mut headers = FieldTable::default();
    headers.push(*b"tenant", FieldValue::LongStr((*b"acme").into()));
    headers.push(*b"sampled", FieldValue::Bool(true));
    headers.push(*b"attempts", FieldValue::I32(3));
    Properties {
        content_encoding: Some((*b"identity").into()),
        headers: Some(headers),
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

criterion_group!(benches, publish, headers, deliver);
criterion_main!(benches);
