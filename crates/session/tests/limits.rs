//! What counts towards limits, and what a client may make the broker hold for it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::sync::Arc;

use leveret_codec::method::{
    BasicGet, BasicPublish, ChannelOpen, ConnectionClose, ConnectionOpen, ConnectionStartOk, ConnectionTuneOk, Method,
    QueueDeclare, QueuePurge,
};
use leveret_codec::properties::Properties;
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::TableRef;
use leveret_engine::admin::{UserLimit, VhostLimit};
use leveret_session::limits::REPLY_BYTES_MAX;
use leveret_session::stall::Stall;
use support::{Client, Host, TestJournal, body, header, method};

const CLOSE: (u16, u16) = (10, 50);
const CLOSE_OK: (u16, u16) = (10, 51);
const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
const CHANNEL_CLOSE: (u16, u16) = (20, 40);
const GET_OK: (u16, u16) = (60, 71);

fn publish(content: &[u8], frame_bytes: usize) -> Vec<u8> {
    let head = BasicPublish { exchange: b"", routing_key: b"q", mandatory: false, immediate: false };
    [method(1, head), header(1, &Properties::default(), content.len() as u64), body(1, content, frame_bytes)].concat()
}

#[test]
fn who_has_said_goodbye_counts_no_more() {
    let host = Host::new(TestJournal::default());
    let node = &host.broker().services.node;
    let mut first = host.client(1);
    assert_eq!((node.connections(), node.channels()), (1, 2));
    host.broker().set_vhost_limit("/", VhostLimit::MaxConnections, Some(1), "test").unwrap();
    // The last of it is still to be read, and its socket may stay for a while.
    first.feed(&method(0, ConnectionClose { reply_code: 200, reply_text: "", class_id: 0, method_id: 0 }));
    assert_eq!((node.connections(), node.channels()), (0, 0));
    let mut second = host.client(2);
    second.feed(&method(3, ChannelOpen));
    assert_eq!((first.take_ids(), second.take_ids()), (vec![CLOSE_OK], vec![CHANNEL_OPEN_OK]));
    // So is one that the server closes, or whose socket goes.
    second.machine.force_close("enough");
    assert_eq!(second.take_ids(), [CLOSE]);
    let mut third = host.client(3);
    assert_eq!((node.connections(), node.channels()), (1, 2));
    third.machine.disconnected();
    drop((first, second, third));
    assert_eq!((node.connections(), node.channels()), (0, 0));
}

#[test]
fn a_channel_that_the_server_has_closed_counts_no_more() {
    let host = Host::new(TestJournal::default());
    let mut client = host.client(1);
    host.broker().set_user_limit("guest", UserLimit::MaxChannels, Some(2), "test").unwrap();
    client.feed(&method(1, QueuePurge { queue: "missing", nowait: false }));
    // Its close-ok is on the way.
    client.feed(&method(3, ChannelOpen));
    assert_eq!(client.take_ids(), [CHANNEL_CLOSE, CHANNEL_OPEN_OK]);
    client.feed(&method(4, ChannelOpen));
    assert_eq!(client.take_ids(), [CLOSE], "that is one too many");
}

#[test]
fn messages_are_not_got_faster_than_they_are_read() {
    const MESSAGES: usize = 40;
    let host = Host::new(TestJournal::default());
    let mut client = host.client(1);
    client.feed(&method(1, QueueDeclare { queue: "q", ..QueueDeclare::default() }));
    for _ in 0..MESSAGES {
        client.feed(&publish(&[7; 200_000], 100_000));
    }
    client.take();
    client.feed(&method(1, BasicGet { queue: "q", no_ack: true }).repeat(MESSAGES));
    let mut got = 0;
    while got < MESSAGES {
        let waiting_bytes = client.machine.outbox().waiting_bytes();
        assert!(waiting_bytes < REPLY_BYTES_MAX + 250_000, "{waiting_bytes} bytes wait");
        assert_eq!(client.machine.stall().is_some(), matches!(client.machine.stall(), Some(Stall::Unwritten)));
        let more = client.take_ids();
        assert!(!more.is_empty() && more.iter().all(|ids| *ids == GET_OK), "{more:?}");
        got += more.len();
        client.feed(b"");
    }
    assert_eq!((got, client.machine.stall().is_some()), (MESSAGES, false));
}

#[test]
fn frames_may_be_without_limit() {
    let mut host = Host::new(TestJournal::default());
    Arc::get_mut(&mut host.config).unwrap().frame_max = 0;
    let start_ok = ConnectionStartOk {
        client_properties: TableRef::EMPTY,
        mechanism: "PLAIN",
        response: b"\0guest\0guest",
        locale: "en_US",
    };
    let hello = [
        PROTOCOL_HEADER.to_vec(),
        method(0, start_ok),
        method(0, ConnectionTuneOk { channel_max: 2047, frame_max: 0, heartbeat: 0 }),
        method(0, ConnectionOpen { virtual_host: "/" }),
        method(1, ChannelOpen),
        method(1, QueueDeclare { queue: "q", ..QueueDeclare::default() }),
    ];
    let mut client = Client::of(host.machine(1));
    client.feed(&hello.concat());
    let content = vec![7; 1_000_000];
    client.feed(&[publish(&content, content.len()), method(1, BasicGet { queue: "q", no_ack: true })].concat());
    let heard = client.take();
    assert_eq!(heard.last().unwrap().payload, content, "in one frame");
    assert_eq!(client.machine.outbox().report(false).unwrap().frame_max, 0);
    let tune = heard.iter().find_map(|frame| match Method::decode(&frame.payload) {
        Ok(Method::ConnectionTune(tune)) => Some(tune.frame_max),
        _ => None,
    });
    assert_eq!(tune, Some(0));
}
