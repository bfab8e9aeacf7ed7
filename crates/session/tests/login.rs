//! Who may log in from where.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::BytesMut;
use leveret_codec::method::{ConnectionStartOk, Method};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use leveret_engine::broker::Broker;
use leveret_engine::journal::MemoryJournal;
use leveret_engine::names::ConnectionId;
use leveret_session::config::SessionConfig;
use leveret_session::connection::Connection;
use leveret_session::outbox::{OutBuffer, Piece};

/// The last thing that guest hears when it logs in.
fn answer_to_guest(broker: Broker, from_this_machine: bool, mechanism: &str) -> Vec<u8> {
    let config = Arc::new(SessionConfig::new("rabbit@test", || [7; 16]));
    let mut machine = Connection::new(&Arc::new(broker), &config, ConnectionId(1), from_this_machine);
    let mut capabilities = FieldTable::default();
    capabilities.push(&b"authentication_failure_close"[..], FieldValue::Bool(true));
    let mut properties = FieldTable::default();
    properties.push(&b"capabilities"[..], FieldValue::Table(capabilities));
    let mut encoded = Vec::new();
    properties.encode(&mut encoded);
    let start_ok = ConnectionStartOk {
        client_properties: TableRef::from_raw(&encoded),
        mechanism,
        response: b"\0guest\0guest",
        locale: "en_US",
    };
    let mut hello = Vec::new();
    Method::from(start_ok).write_frame(0, &mut hello);
    let mut input = BytesMut::from(&PROTOCOL_HEADER[..]);
    let mut out = OutBuffer::default();
    let mut context = Context::from_waker(Waker::noop());
    for bytes in [&[][..], &hello] {
        input.extend_from_slice(bytes);
        while machine.feed(&mut input) {}
        assert!(machine.outbox().poll_take(&mut context, &mut out).is_ready());
    }
    let bytes = |piece| match piece {
        Piece::Bytes(bytes) => bytes,
        Piece::Blob(_) => panic!("a body"),
    };
    out.pieces().map(bytes).collect::<Vec<_>>().concat()
}

fn is_method(frame: &[u8], ids: [u8; 4]) -> bool {
    frame.get(7..11) == Some(&ids)
}

const TUNE: [u8; 4] = [0, 10, 0, 30];
const CLOSE: [u8; 4] = [0, 10, 0, 50];

fn broker() -> Broker {
    Broker::new(Arc::new(MemoryJournal::default()))
}

#[test]
fn guest_may_log_in_from_this_machine_only() {
    for mechanism in ["PLAIN", "ANONYMOUS"] {
        assert!(is_method(&answer_to_guest(broker(), true, mechanism), TUNE));
        let refusal = answer_to_guest(broker(), false, mechanism);
        assert!(is_method(&refusal, CLOSE));
        let text = String::from_utf8_lossy(&refusal).into_owned();
        assert!(text.contains("ACCESS_REFUSED - Login was refused using authentication mechanism"), "{text}");
    }
}

#[test]
fn guest_may_be_let_in_from_elsewhere() {
    let broker = broker();
    broker.allow_remote_guest();
    assert!(is_method(&answer_to_guest(broker, false, "PLAIN"), TUNE));
}
