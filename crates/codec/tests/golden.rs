//! Methods, headers and frames byte by byte, as RabbitMQ and its clients write them.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by a panic")]

use leveret_codec::content::{ContentError, ContentHeader};
use leveret_codec::frame::{FRAME_END, FrameKind, begin_frame, end_frame, split_frame};
use leveret_codec::method::*;
use leveret_codec::properties::{Properties, PropertiesError, PropertiesRef, Property};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::reply_code::ReplyCode;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};

const PAYLOAD_MAX: usize = 131_064;

/// The method is written as these bytes, and these bytes are read as the method.
#[track_caller]
fn same<'a>(channel: u16, method: impl Into<Method<'a>>, payload: &[u8]) {
    let method = method.into();
    let mut written = Vec::new();
    method.write_frame(channel, &mut written);

    let mut wire = vec![1];
    wire.extend_from_slice(&channel.to_be_bytes());
    wire.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    wire.extend_from_slice(payload);
    wire.push(0xCE);
    assert_eq!(written.escape_ascii().to_string(), wire.escape_ascii().to_string());
    assert_eq!(Method::decode(payload), Ok(method));
}

#[test]
fn protocol_header() {
    assert_eq!(&PROTOCOL_HEADER, b"AMQP\x00\x00\x09\x01");
}

#[test]
fn connection_handshake() {
    let properties = b"\x07productS\x00\x00\x00\x08RabbitMQ\x0ccapabilitiesF\x00\x00\x00\x0d\x0abasic.nackt\x01";
    same(
        0,
        ConnectionStart {
            version_major: 0,
            version_minor: 9,
            server_properties: TableRef::from_raw(properties),
            mechanisms: b"PLAIN AMQPLAIN",
            locales: b"en_US",
        },
        &[
            b"\x00\x0a\x00\x0a\x00\x09\x00\x00\x00\x34",
            &properties[..],
            b"\x00\x00\x00\x0ePLAIN AMQPLAIN\x00\x00\x00\x05en_US",
        ]
        .concat(),
    );
    same(
        0,
        ConnectionStartOk {
            client_properties: TableRef::EMPTY,
            mechanism: "PLAIN",
            response: b"\0guest\0guest",
            locale: "en_US",
        },
        b"\x00\x0a\x00\x0b\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x0c\x00guest\x00guest\x05en_US",
    );
    same(0, ConnectionSecure { challenge: b"?" }, b"\x00\x0a\x00\x14\x00\x00\x00\x01?");
    same(0, ConnectionSecureOk { response: b"" }, b"\x00\x0a\x00\x15\x00\x00\x00\x00");
    same(
        0,
        ConnectionTune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 },
        b"\x00\x0a\x00\x1e\x07\xff\x00\x02\x00\x00\x00\x3c",
    );
    same(
        0,
        ConnectionTuneOk { channel_max: 0, frame_max: 4096, heartbeat: 0 },
        b"\x00\x0a\x00\x1f\x00\x00\x00\x00\x10\x00\x00\x00",
    );
    same(0, ConnectionOpen { virtual_host: "/" }, b"\x00\x0a\x00\x28\x01/\x00\x00");
    same(0, ConnectionOpenOk, b"\x00\x0a\x00\x29\x00");
}

#[test]
fn connection_life() {
    same(
        0,
        ConnectionClose { reply_code: 320, reply_text: "CONNECTION_FORCED - bye", class_id: 0, method_id: 0 },
        b"\x00\x0a\x00\x32\x01\x40\x17CONNECTION_FORCED - bye\x00\x00\x00\x00",
    );
    same(0, ConnectionCloseOk, b"\x00\x0a\x00\x33");
    same(0, ConnectionBlocked { reason: "low on memory" }, b"\x00\x0a\x00\x3c\x0dlow on memory");
    same(0, ConnectionUnblocked, b"\x00\x0a\x00\x3d");
    same(
        0,
        ConnectionUpdateSecret { new_secret: b"token", reason: "renewed" },
        b"\x00\x0a\x00\x46\x00\x00\x00\x05token\x07renewed",
    );
    same(0, ConnectionUpdateSecretOk, b"\x00\x0a\x00\x47");
}

#[test]
fn channel() {
    same(1, ChannelOpen, b"\x00\x14\x00\x0a\x00");
    same(1, ChannelOpenOk, b"\x00\x14\x00\x0b\x00\x00\x00\x00");
    same(1, ChannelFlow { active: true }, b"\x00\x14\x00\x14\x01");
    same(1, ChannelFlowOk { active: false }, b"\x00\x14\x00\x15\x00");
    same(
        2047,
        ChannelClose { reply_code: 404, reply_text: "NOT_FOUND - no queue 'q'", class_id: 50, method_id: 10 },
        b"\x00\x14\x00\x28\x01\x94\x18NOT_FOUND - no queue 'q'\x00\x32\x00\x0a",
    );
    same(65535, ChannelCloseOk, b"\x00\x14\x00\x29");
}

#[test]
fn access() {
    same(
        1,
        AccessRequest { realm: "/data", exclusive: false, passive: true, active: true, write: false, read: true },
        b"\x00\x1e\x00\x0a\x05/data\x16",
    );
    same(1, AccessRequestOk { ticket: 1 }, b"\x00\x1e\x00\x0b\x00\x01");
}

#[test]
fn exchange() {
    let arguments = b"\x12alternate-exchangeS\x00\x00\x00\x02ae";
    same(
        1,
        ExchangeDeclare {
            exchange: "orders",
            type_: "topic",
            passive: false,
            durable: true,
            auto_delete: false,
            internal: true,
            nowait: false,
            arguments: TableRef::from_raw(arguments),
        },
        &[&b"\x00\x28\x00\x0a\x00\x00\x06orders\x05topic\x0a\x00\x00\x00\x1a"[..], arguments].concat(),
    );
    same(1, ExchangeDeclareOk, b"\x00\x28\x00\x0b");
    same(
        1,
        ExchangeDelete { exchange: "orders", if_unused: true, nowait: true },
        b"\x00\x28\x00\x14\x00\x00\x06orders\x03",
    );
    same(
        1,
        ExchangeBind { destination: "to", source: "from", routing_key: "#", nowait: true, arguments: TableRef::EMPTY },
        b"\x00\x28\x00\x1e\x00\x00\x02to\x04from\x01#\x01\x00\x00\x00\x00",
    );
    same(
        1,
        ExchangeUnbind { destination: "to", source: "from", ..ExchangeUnbind::default() },
        b"\x00\x28\x00\x28\x00\x00\x02to\x04from\x00\x00\x00\x00\x00\x00",
    );
    same(1, ExchangeUnbindOk, b"\x00\x28\x00\x33");
}

#[test]
fn queue() {
    same(
        1,
        QueueDeclare {
            queue: "",
            passive: false,
            durable: false,
            exclusive: true,
            auto_delete: true,
            nowait: false,
            arguments: TableRef::from_raw(b"\x0dx-message-ttlI\x00\x00\xea\x60"),
        },
        b"\x00\x32\x00\x0a\x00\x00\x00\x0c\x00\x00\x00\x13\x0dx-message-ttlI\x00\x00\xea\x60",
    );
    same(
        1,
        QueueDeclareOk { queue: "amq.gen-1", message_count: 3, consumer_count: 258 },
        b"\x00\x32\x00\x0b\x09amq.gen-1\x00\x00\x00\x03\x00\x00\x01\x02",
    );
    same(
        1,
        QueueBind { queue: "q", exchange: "x", routing_key: "a.*", nowait: false, arguments: TableRef::EMPTY },
        b"\x00\x32\x00\x14\x00\x00\x01q\x01x\x03a.*\x00\x00\x00\x00\x00",
    );
    same(1, QueuePurge { queue: "q", nowait: true }, b"\x00\x32\x00\x1e\x00\x00\x01q\x01");
    same(1, QueuePurgeOk { message_count: 9 }, b"\x00\x32\x00\x1f\x00\x00\x00\x09");
    same(
        1,
        QueueDelete { queue: "q", if_unused: false, if_empty: true, nowait: false },
        b"\x00\x32\x00\x28\x00\x00\x01q\x02",
    );
    same(
        1,
        QueueUnbind { queue: "q", exchange: "x", routing_key: "k", arguments: TableRef::EMPTY },
        b"\x00\x32\x00\x32\x00\x00\x01q\x01x\x01k\x00\x00\x00\x00",
    );
}

#[test]
fn basic_consuming() {
    same(
        1,
        BasicQos { prefetch_size: 0, prefetch_count: 250, global: true },
        b"\x00\x3c\x00\x0a\x00\x00\x00\x00\x00\xfa\x01",
    );
    same(
        1,
        BasicConsume {
            queue: "q",
            consumer_tag: "c",
            no_local: true,
            no_ack: false,
            exclusive: true,
            nowait: true,
            arguments: TableRef::EMPTY,
        },
        b"\x00\x3c\x00\x14\x00\x00\x01q\x01c\x0d\x00\x00\x00\x00",
    );
    same(1, BasicConsumeOk { consumer_tag: "amq.ctag-1" }, b"\x00\x3c\x00\x15\x0aamq.ctag-1");
    same(1, BasicCancel { consumer_tag: "c", nowait: true }, b"\x00\x3c\x00\x1e\x01c\x01");
    same(1, BasicGet { queue: "q", no_ack: true }, b"\x00\x3c\x00\x46\x00\x00\x01q\x01");
    same(1, BasicGetEmpty, b"\x00\x3c\x00\x48\x00");
    same(
        1,
        BasicAck { delivery_tag: 0x0102_0304_0506_0708, multiple: true },
        b"\x00\x3c\x00\x50\x01\x02\x03\x04\x05\x06\x07\x08\x01",
    );
    same(1, BasicReject { delivery_tag: 1, requeue: true }, b"\x00\x3c\x00\x5a\x00\x00\x00\x00\x00\x00\x00\x01\x01");
    same(1, BasicRecoverAsync { requeue: true }, b"\x00\x3c\x00\x64\x01");
    same(1, BasicRecover { requeue: false }, b"\x00\x3c\x00\x6e\x00");
    same(1, BasicRecoverOk, b"\x00\x3c\x00\x6f");
    same(
        1,
        BasicNack { delivery_tag: 2, multiple: false, requeue: true },
        b"\x00\x3c\x00\x78\x00\x00\x00\x00\x00\x00\x00\x02\x02",
    );
}

#[test]
fn basic_with_content() {
    same(
        3,
        BasicPublish { exchange: b"", routing_key: b"hello", mandatory: false, immediate: true },
        b"\x00\x3c\x00\x28\x00\x00\x00\x05hello\x02",
    );
    same(
        3,
        BasicReturn { reply_code: 312, reply_text: b"NO_ROUTE", exchange: b"x", routing_key: b"\xff" },
        b"\x00\x3c\x00\x32\x01\x38\x08NO_ROUTE\x01x\x01\xff",
    );
    same(
        3,
        BasicDeliver { consumer_tag: b"c", delivery_tag: 513, redelivered: true, exchange: b"", routing_key: b"hello" },
        b"\x00\x3c\x00\x3c\x01c\x00\x00\x00\x00\x00\x00\x02\x01\x01\x00\x05hello",
    );
    same(
        3,
        BasicGetOk { delivery_tag: 1, redelivered: false, exchange: b"x", routing_key: b"k", message_count: 65536 },
        b"\x00\x3c\x00\x47\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01x\x01k\x00\x01\x00\x00",
    );
}

#[test]
fn confirm_and_tx() {
    same(1, ConfirmSelect { nowait: true }, b"\x00\x55\x00\x0a\x01");
    same(1, ConfirmSelectOk, b"\x00\x55\x00\x0b");
    same(1, TxSelect, b"\x00\x5a\x00\x0a");
    same(1, TxCommitOk, b"\x00\x5a\x00\x15");
    same(1, TxRollback, b"\x00\x5a\x00\x1e");
}

#[test]
fn content_header_of_a_persistent_message() {
    let wire = b"\x02\x00\x01\x00\x00\x00\x0f\x00\x3c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x10\x00\x02\xce";
    let frame = split_frame(wire, PAYLOAD_MAX).unwrap().unwrap();
    assert_eq!((frame.kind, frame.channel, frame.wire_len()), (FrameKind::Header, 1, wire.len()));
    let header = ContentHeader::parse(frame.payload).unwrap();
    assert_eq!((header.class_id, header.weight, header.body_size), (60, 0, 5));
    assert_eq!(header.properties.delivery_mode(), Some(2));
    assert_eq!(header.properties.priority(), None);
    let mut written = Vec::new();
    header.write_frame(1, &mut written);
    assert_eq!(written, wire);
}

/// All fourteen, in wire order.
const EVERY_PROPERTY: &[u8] = b"\xff\xfc\x0atext/plain\x04gzip\x00\x00\x00\x03\x01aV\x02\x09\x02id\x05reply\x0560000\
    \x03m-1\x00\x00\x00\x00\x65\x53\xf1\x00\x04kind\x05guest\x03app\x01c";

#[test]
fn every_property() {
    let properties = PropertiesRef::parse(EVERY_PROPERTY).unwrap();
    assert_eq!(properties.flags(), 0xfffc);
    assert_eq!(properties.content_type(), Some(&b"text/plain"[..]));
    assert_eq!(properties.content_encoding(), Some(&b"gzip"[..]));
    assert_eq!(properties.headers(), Some(TableRef::from_raw(b"\x01aV")));
    assert_eq!(properties.delivery_mode(), Some(2));
    assert_eq!(properties.priority(), Some(9));
    assert_eq!(properties.correlation_id(), Some(&b"id"[..]));
    assert_eq!(properties.reply_to(), Some(&b"reply"[..]));
    assert_eq!(properties.expiration(), Some(&b"60000"[..]));
    assert_eq!(properties.message_id(), Some(&b"m-1"[..]));
    assert_eq!(properties.timestamp(), Some(1_700_000_000));
    assert_eq!(properties.type_(), Some(&b"kind"[..]));
    assert_eq!(properties.user_id(), Some(&b"guest"[..]));
    assert_eq!(properties.app_id(), Some(&b"app"[..]));
    assert_eq!(properties.cluster_id(), Some(&b"c"[..]));

    let owned = properties.to_owned().unwrap();
    assert_eq!(owned.headers, Some(FieldTable(vec![((*b"a").into(), FieldValue::Void)])));
    let mut written = Vec::new();
    owned.encode(&mut written);
    assert_eq!(written, EVERY_PROPERTY);
}

#[test]
fn no_properties() {
    let properties = PropertiesRef::parse(b"\x00\x00").unwrap();
    assert_eq!(properties, PropertiesRef::EMPTY);
    assert_eq!(properties.to_owned(), Ok(Properties::default()));
    assert!(!properties.has(Property::DeliveryMode));
    assert_eq!(properties.app_id(), None);
}

#[test]
fn properties_are_strict() {
    assert_eq!(PropertiesRef::parse(b""), Err(PropertiesError::Truncated));
    assert_eq!(PropertiesRef::parse(b"\x10"), Err(PropertiesError::Truncated));
    assert_eq!(PropertiesRef::parse(b"\x00\x01"), Err(PropertiesError::ReservedFlags));
    assert_eq!(PropertiesRef::parse(b"\x00\x02"), Err(PropertiesError::ReservedFlags));
    assert_eq!(PropertiesRef::parse(b"\x00\x00\x00"), Err(PropertiesError::TrailingBytes));
    for end in 0..EVERY_PROPERTY.len() {
        assert_eq!(PropertiesRef::parse(&EVERY_PROPERTY[..end]), Err(PropertiesError::Truncated), "at {end}");
    }
}

#[test]
fn the_fixed_fields_of_a_header_survive_bad_properties() {
    let payload = b"\x00\x3c\x00\x01\x00\x00\x00\x00\x00\x00\x02\x00\x80\x00";
    let prefix = ContentHeader::parse_prefix(payload).unwrap();
    assert_eq!((prefix.class_id, prefix.weight, prefix.body_size), (60, 1, 512));
    assert_eq!(prefix.parse_properties(), Err(PropertiesError::Truncated));
    assert_eq!(ContentHeader::parse(payload), Err(ContentError::Properties(PropertiesError::Truncated)));
    assert_eq!(ContentHeader::parse_prefix(&payload[..11]), Err(ContentError::Truncated));
}

#[test]
fn body_and_heartbeat_frames() {
    let mut wire = Vec::new();
    let start = begin_frame(&mut wire, FrameKind::Body, 258);
    wire.extend_from_slice(b"hello");
    end_frame(&mut wire, start);
    let start = begin_frame(&mut wire, FrameKind::Heartbeat, 0);
    end_frame(&mut wire, start);
    assert_eq!(wire, b"\x03\x01\x02\x00\x00\x00\x05hello\xce\x08\x00\x00\x00\x00\x00\x00\xce");
    assert_eq!(wire.last(), Some(&FRAME_END));
}

#[test]
fn reply_codes() {
    let hard = [320, 402, 501, 502, 503, 504, 505, 506, 530, 540, 541];
    let soft = [311, 312, 313, 403, 404, 405, 406];
    for number in 0..=u16::MAX {
        let code = ReplyCode::from_code(number);
        assert_eq!(code.is_some(), hard.contains(&number) || soft.contains(&number) || number == 200, "{number}");
        if let Some(code) = code {
            assert_eq!((code.code(), code.is_hard()), (number, hard.contains(&number)));
        }
    }
    assert_eq!(ReplyCode::NotFound.name(), "NOT_FOUND");
    assert_eq!(ReplyCode::PreconditionFailed.name(), "PRECONDITION_FAILED");
    assert_eq!(ReplyCode::ReplySuccess.name(), "REPLY_SUCCESS");
}
