use std::sync::Arc;

use bytes::Bytes;
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::journal::{
    BindingRecord, Blob, BodyAt, Record, SeqRange, SettingKey, SettingKind, StoredBlob, StreamSegment,
};
use leveret_engine::message::{Marks, Parts};
use leveret_engine::names::QueueId;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Debug)]
struct NamedBlob(u64, u64);

impl StoredBlob for NamedBlob {
    fn id(&self) -> u64 {
        self.0
    }

    fn len(&self) -> u64 {
        self.1
    }

    fn read_at(&self, _offset: u64, _out: &mut [u8]) -> std::io::Result<()> {
        Ok(())
    }
}

fn parts<'a>(exchange: &'a [u8], properties: &'a [u8], body: &'a [u8]) -> Parts<'a> {
    Parts { exchange, routing_key: b"key", properties, body, ..Parts::EMPTY }
}

fn encoded(record: &Record<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(record, &mut out);
    out
}

/// Decodes the one record in `bytes`.
fn decoded(bytes: &[u8]) -> Logged<'_> {
    let (logged, used) = decode(bytes).unwrap();
    assert_eq!(used, bytes.len());
    logged
}

fn arguments() -> FieldTable {
    let mut table = FieldTable::default();
    table.push(*b"x-max-length", FieldValue::I64(7));
    table.push(*b"x-bytes", FieldValue::LongStr((*b"\xff\x00").into()));
    table
}

#[test]
fn settings_round_trip() {
    let key = SettingKey { kind: SettingKind::Policy, scope: "/", name: "märz" };
    let logged = LoggedKey { kind: 7, scope: "/", name: "märz" };
    let bytes = encoded(&Record::Setting { key, value: b"{}" });
    assert_eq!(decoded(&bytes), Logged::Setting { key: logged, value: b"{}" });
    let bytes = encoded(&Record::SettingCleared { key });
    assert_eq!(decoded(&bytes), Logged::SettingCleared { key: logged });
}

#[test]
fn topology_round_trips() {
    let arguments = arguments();
    let bytes = encoded(&Record::QueueDeclared {
        vhost: "/",
        name: "wörk",
        id: QueueId(300),
        auto_delete: true,
        arguments: &arguments,
    });
    let Logged::QueueDeclared { vhost, name, id, auto_delete, arguments: got } = decoded(&bytes) else { panic!() };
    assert_eq!((vhost, name, id, auto_delete), ("/", "wörk", QueueId(300), true));
    assert_eq!(got.decode().unwrap(), arguments);

    for (auto_delete, internal) in [(false, false), (true, false), (false, true), (true, true)] {
        let bytes = encoded(&Record::ExchangeDeclared {
            vhost: "v",
            name: "e",
            kind: "topic",
            auto_delete,
            internal,
            arguments: &arguments,
        });
        let Logged::ExchangeDeclared { vhost, name, kind, auto_delete: a, internal: i, arguments: got } =
            decoded(&bytes)
        else {
            panic!()
        };
        assert_eq!((vhost, name, kind, a, i), ("v", "e", "topic", auto_delete, internal));
        assert_eq!(got.decode().unwrap(), arguments);
    }

    assert_eq!(decoded(&encoded(&Record::QueueDeleted { id: QueueId(9) })), Logged::QueueDeleted { id: QueueId(9) });
    assert_eq!(
        decoded(&encoded(&Record::ExchangeDeleted { vhost: "v", name: "" })),
        Logged::ExchangeDeleted { vhost: "v", name: "" }
    );
}

#[test]
fn bindings_round_trip() {
    let arguments = arguments();
    for destination_is_queue in [false, true] {
        let binding = BindingRecord {
            source: "logs",
            destination: "q",
            destination_is_queue,
            routing_key: b"\xff.#",
            arguments: &arguments,
        };
        let check = |logged: LoggedBinding<'_>| {
            assert_eq!((logged.source, logged.destination), ("logs", "q"));
            assert_eq!((logged.destination_is_queue, logged.routing_key), (destination_is_queue, &b"\xff.#"[..]));
            assert_eq!(logged.arguments.decode().unwrap(), arguments);
        };
        match decoded(&encoded(&Record::Bound { vhost: "/", binding })) {
            Logged::Bound { vhost: "/", binding } => check(binding),
            other => panic!("{other:?}"),
        }
        match decoded(&encoded(&Record::Unbound { vhost: "/", binding })) {
            Logged::Unbound { vhost: "/", binding } => check(binding),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn own_records_round_trip() {
    let mut out = Vec::new();
    encode_started(u32::MAX, &mut out);
    assert_eq!(decoded(&out), Logged::Started { epoch: u32::MAX });
    out.clear();
    encode_moved(QueueId(u64::MAX), 5, BodyAt(1 << 40), &mut out);
    assert_eq!(decoded(&out), Logged::Moved { queue: QueueId(u64::MAX), seq: 5, at: BodyAt(1 << 40) });
}

#[test]
fn blob_body_round_trips() {
    let blob: Blob = Arc::new(NamedBlob(77, 1 << 33));
    let mut out = Vec::new();
    encode_body(&Parts { blob: Some(&blob), ..parts(b"e", &[0, 0], b"") }, 12, 3, &mut out);
    let Logged::Body { payload, crc } = decoded(&out) else { panic!() };
    assert_eq!((payload.blob(), payload.body_len(), payload.arrived_ms), (Some(77), 1 << 33, 12));
    assert_eq!(payload_crc(payload.bytes), crc);

    let (arrived_ms, message) = payload_message(payload.bytes, &|id, len| Some(Arc::new(NamedBlob(id, len)))).unwrap();
    assert_eq!((arrived_ms, message.body_len()), (12, 1 << 33));
    assert_eq!(message.parts().blob.unwrap().id(), 77);
    assert_eq!(payload_message(payload.bytes, &|_, _| None).unwrap_err(), DecodeError::Blob(77));
}

#[test]
fn body_is_found_only_in_its_file() {
    let mut out = Vec::new();
    encode_body(&parts(b"", &[0, 0], b"body"), 0, 8, &mut out);
    let frame = StoredFrame::parse(&out).unwrap();
    assert!(frame.checked(8).is_ok());
    assert_eq!(frame.checked(9).unwrap_err(), DecodeError::Checksum);
}

#[test]
fn a_forwarded_body_keeps_payload_and_checksum() {
    let mut payload = Vec::new();
    encode_payload(&parts(b"e", &[0, 0], b"body"), 99, &mut payload);
    let mut out = Vec::new();
    encode_forwarded(&payload, payload_crc(&payload), 4, &mut out);
    let mut direct = Vec::new();
    encode_body(&parts(b"e", &[0, 0], b"body"), 99, 4, &mut direct);
    assert_eq!(out, direct);
}

#[test]
fn unknown_kinds_and_leftovers_are_refused() {
    assert_eq!(decode(&[1, 200]).unwrap_err(), DecodeError::Kind(200));
    assert_eq!(decode(&[3, 8, 1, 1]).unwrap_err(), DecodeError::Trailing);
    assert_eq!(decode(&[2, 8]).unwrap_err(), DecodeError::Truncated);
    assert_eq!(decode(&[]).unwrap_err(), DecodeError::Truncated);
    assert_eq!(decode(&[0]).unwrap_err(), DecodeError::Truncated);
    assert_eq!(decode(&[0xff; 11]).unwrap_err(), DecodeError::Range);
    // A list that announces more than is there.
    assert_eq!(decode(&[7, 3, 1, 1, 1, 0, 0x7f, 0]).unwrap_err(), DecodeError::Truncated);
    // A flag that nobody knows.
    assert_eq!(decode(&[6, 3, 1, 1, 1, 2, 0]).unwrap_err(), DecodeError::Range);
}

fn ranges() -> impl Strategy<Value = Vec<SeqRange>> {
    let range = (any::<u64>(), any::<u64>()).prop_map(|(a, b)| SeqRange { first: a.min(b), last: a.max(b) });
    vec(range, 0..20)
}

proptest! {
    #[test]
    fn numbers_round_trip(value: u64, from: u64) {
        let mut out = Vec::new();
        varint::put(&mut out, value);
        prop_assert!(out.len() <= VARINT_BYTES_MAX);
        prop_assert_eq!(Reader(&out).varint(), Ok(value));
        prop_assert_eq!(varint::follow(from, varint::way(from, value)), value);
    }

    #[test]
    fn enqueue_round_trips(queue: u64, seq in 0..u64::MAX - 100, at in vec(any::<u64>(), 0..50), sum: u64, fleeting: bool) {
        let at: Vec<BodyAt> = at.into_iter().map(BodyAt).collect();
        let bytes = encoded(&Record::Enqueue {
            queue: QueueId(queue), first_seq: seq, bodies: &at, bytes: sum, transient: fleeting,
        });
        let Logged::Enqueue { queue: q, first_seq, bodies, bytes, transient } = decoded(&bytes) else { panic!() };
        prop_assert_eq!((q.0, first_seq, bytes, transient), (queue, seq, sum, fleeting));
        prop_assert_eq!(bodies.len(), at.len() as u64);
        prop_assert_eq!(bodies.collect::<Vec<_>>(), at);
    }

    #[test]
    fn settle_round_trips(queue: u64, wanted in ranges(), sum: u64, fleeting: bool) {
        let bytes = encoded(&Record::Settle { queue: QueueId(queue), ranges: &wanted, bytes: sum, transient: fleeting });
        let Logged::Settle { queue: q, ranges, bytes, transient } = decoded(&bytes) else { panic!() };
        prop_assert_eq!((q.0, bytes, transient), (queue, sum, fleeting));
        prop_assert_eq!(ranges.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn deliveries_round_trip(queue: u64, seq: u64, wanted in vec(any::<(u64, u32)>(), 0..20)) {
        let bytes = encoded(&Record::Delivered { queue: QueueId(queue), last: seq });
        prop_assert_eq!(decoded(&bytes), Logged::Delivered { queue: QueueId(queue), last: seq });
        let bytes = encoded(&Record::Returned { queue: QueueId(queue), counts: &wanted });
        let Logged::Returned { queue: q, counts } = decoded(&bytes) else { panic!() };
        prop_assert_eq!(q.0, queue);
        prop_assert_eq!(counts.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn segments_of_streams_round_trip(queue: u64, first_seq: u64, more: u64, sums: (u64, u64), last_ms: u64) {
        let last_seq = first_seq.saturating_add(more);
        let segment = StreamSegment { first_seq, last_seq, body_bytes: sums.0, size_bytes: sums.1, last_ms };
        let bytes = encoded(&Record::StreamSegment { queue: QueueId(queue), segment });
        prop_assert_eq!(decoded(&bytes), Logged::StreamSegment { queue: QueueId(queue), segment });
    }

    #[test]
    fn bodies_round_trip(
        exchange in vec(any::<u8>(), 0..256),
        properties in vec(any::<u8>(), 0..400),
        body in vec(any::<u8>(), 0..9000),
        ms: u64,
        dead_lettered: bool,
        blind_copies: bool,
    ) {
        let shared = Bytes::from(body.clone());
        let mut out = Vec::new();
        let mut marks = if dead_lettered { Marks::DEAD_LETTERED } else { Marks::NONE };
        marks = if blind_copies { marks.with(Marks::BLIND_COPIES) } else { marks };
        let parts = Parts { shared_body: Some(&shared), marks, ..parts(&exchange, &properties, &body) };
        encode_body(&parts, ms, 1, &mut out);
        let Logged::Body { payload, crc } = decoded(&out) else { panic!() };
        prop_assert_eq!(payload_crc(payload.bytes), crc);
        let (arrived_ms, message) = payload_message(payload.bytes, &|_, _| None).unwrap();
        let got = message.parts();
        prop_assert_eq!(arrived_ms, ms);
        prop_assert_eq!((got.exchange, got.routing_key), (&exchange[..], &b"key"[..]));
        prop_assert_eq!((got.properties, got.body), (&properties[..], &body[..]));
        prop_assert_eq!(got.marks, marks);
    }

    #[test]
    fn any_bytes_are_records_or_an_error(kind in 0u8..16, mut bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_stream(&bytes, |_, _| {});
        let _ = Payload::decode(&bytes);
        // The same with a frame and a kind that make sense.
        bytes.insert(0, kind);
        let mut framed = Vec::new();
        varint::put(&mut framed, bytes.len() as u64);
        framed.extend_from_slice(&bytes);
        if let Ok((logged, used)) = decode(&framed) {
            prop_assert_eq!(used, framed.len());
            match logged {
                Logged::Enqueue { bodies, .. } => prop_assert_eq!(bodies.count() as u64, bodies.len()),
                Logged::Settle { ranges, .. } => prop_assert_eq!(ranges.count(), ranges.size_hint().0),
                Logged::Returned { counts, .. } => prop_assert_eq!(counts.count(), counts.size_hint().0),
                _ => {}
            }
        }
    }

    #[test]
    fn cut_records_are_refused(cut in 0usize..100) {
        let mut out = Vec::new();
        encode_body(&parts(b"exchange", &[1, 2, 3], b"body"), 1, 1, &mut out);
        let cut = cut % out.len();
        prop_assert_eq!(decode(&out[..cut]).unwrap_err(), DecodeError::Truncated);
    }
}
