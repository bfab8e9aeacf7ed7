//! How many consumers a channel may have, and which need a right.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::sync::Arc;

use leveret_codec::method::{BasicConsume, ConnectionClose, Method, QueueDeclare};
use support::{Host, TestJournal, method};

const CONSUME_OK: (u16, u16) = (60, 21);

#[test]
fn a_channel_has_at_most_so_many_consumers() {
    let mut host = Host::new(TestJournal::default());
    Arc::get_mut(&mut host.config).unwrap().consumers_a_channel_max = 2;
    let mut client = host.client(1);
    client.feed(&method(1, QueueDeclare { queue: "q", ..QueueDeclare::default() }));
    client.take();
    let consume =
        |channel, consumer_tag| method(channel, BasicConsume { queue: "q", consumer_tag, ..BasicConsume::default() });
    client.feed(&[consume(1, "a"), consume(1, "b"), consume(2, "c")].concat());
    assert_eq!(client.take_ids(), [CONSUME_OK; 3]);
    client.feed(&consume(1, "d"));
    let heard = client.take();
    let expected = Method::from(ConnectionClose {
        reply_code: 530,
        reply_text: "NOT_ALLOWED - reached maximum (2) of consumers per channel",
        class_id: 60,
        method_id: 20,
    });
    assert_eq!(Method::decode(&heard[0].payload).unwrap(), expected);
}

#[test]
fn replies_to_oneself_need_no_right() {
    let host = Host::new(TestJournal::default());
    host.broker().set_permissions("guest", "/", ".*", ".*", "^mine", "test").unwrap();
    let mut client = host.client(1);
    let consume = |queue| method(1, BasicConsume { queue, no_ack: true, ..BasicConsume::default() });
    client.feed(&[consume("amq.rabbitmq.reply-to"), consume("amq.rabbitmq.reply-to.of-another")].concat());
    assert_eq!(client.take_ids(), [CONSUME_OK, (20, 40)]);
}
