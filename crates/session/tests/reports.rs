//! What is told of connections and channels, and what they count.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use leveret_codec::method::{
    BasicAck, BasicConsume, BasicGet, BasicNack, BasicPublish, BasicQos, ChannelClose, ConfirmSelect, QueueDeclare,
    TxCommit, TxSelect,
};
use leveret_codec::properties::Properties;
use leveret_engine::counters::MessageCounts;
use leveret_session::report::{ChannelReport, ConnectionReport, ConnectionState};
use support::{Client, Host, TestJournal, body, header, method};

fn declare(queue: &str) -> Vec<u8> {
    method(1, QueueDeclare { queue, ..QueueDeclare::default() })
}

fn publish(channel: u16, routing_key: &str, mandatory: bool, content: &[u8]) -> Vec<u8> {
    let routing_key = routing_key.as_bytes();
    let mut frames = method(channel, BasicPublish { exchange: b"", routing_key, mandatory, immediate: false });
    frames.extend(header(channel, &Properties::default(), content.len() as u64));
    frames.extend(body(channel, content, 100_000));
    frames
}

fn ack(channel: u16, delivery_tag: u64) -> Vec<u8> {
    method(channel, BasicAck { delivery_tag, multiple: false })
}

fn report(client: &Client) -> ConnectionReport {
    client.machine.outbox().report(false).unwrap()
}

fn channel(client: &Client, number: u16) -> ChannelReport {
    report(client).channels.into_iter().find(|channel| channel.number == number).unwrap()
}

#[test]
fn a_connection_is_told_of_once_it_is_open() {
    let host = Host::new(TestJournal::default());
    let client = host.client(7);
    let report = report(&client);
    assert_eq!((report.id.0, &*report.user, &*report.vhost), (7, "guest", "/"));
    assert_eq!((&*report.auth_mechanism, report.protocol), ("PLAIN", "AMQP 0-9-1"));
    assert_eq!((report.frame_max, report.channel_max, report.timeout_s), (131_072, 2047, 0));
    assert_eq!(report.state, ConnectionState::Running);
    assert!(report.client_properties.get(b"capabilities").is_some());
    let numbers: Vec<u16> = report.channels.iter().map(|channel| channel.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(report.channels[1].name, format!("{} (2)", report.name));
    let outbox = client.machine.outbox();
    assert!(outbox.is_named(&report.name) && !outbox.is_named("x"));
    let brief = outbox.brief().unwrap();
    assert_eq!((brief.id, brief.name), (report.id, report.name));
}

#[test]
fn a_publisher_counts_what_becomes_of_its_messages() {
    let host = Host::new(TestJournal::default());
    let mut client = host.client(1);
    client.feed(&[declare("q"), method(1, ConfirmSelect { nowait: true })].concat());
    let some = [(1, "q", false), (1, "q", false), (1, "none", false), (1, "none", true), (2, "q", false)];
    let sizes: [&[u8]; 5] = [b"", &[7; 100], &[7; 101], &[7; 20_000], &[7; 1000]];
    for ((number, key, mandatory), content) in some.into_iter().zip(sizes) {
        client.feed(&publish(number, key, mandatory, content));
    }
    client.take();
    let publisher = channel(&client, 1);
    let expected =
        MessageCounts { publish: 4, confirm: 4, return_unroutable: 1, drop_unroutable: 1, ..MessageCounts::default() };
    assert_eq!((publisher.counts, publisher.confirm, publisher.messages_unconfirmed), (expected, true, 0));
    let counts = report(&client).counts;
    assert_eq!((counts.messages.publish, counts.received_confirm, counts.routed), (5, 4, 3));
    assert_eq!(counts.sizes.counts, [2, 2, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(counts.sizes.bytes, 21_201);
    let exchange = host.broker().vhost("/").unwrap().exchange("").unwrap();
    assert_eq!((exchange.through.counts().publish_in, exchange.through.counts().publish_out), (5, 3));
}

#[test]
fn a_consumer_counts_what_it_gets_and_its_queue_counts_along() {
    let host = Host::new(TestJournal::default());
    let mut client = host.client(1);
    client.feed(&declare("q"));
    for _ in 0..6 {
        client.feed(&publish(1, "q", false, b"hello"));
    }
    client.feed(
        &[method(1, BasicGet { queue: "q", no_ack: true }), method(1, BasicGet { queue: "q", no_ack: false })].concat(),
    );
    client.feed(&method(2, BasicQos { prefetch_size: 0, prefetch_count: 3, global: false }));
    client.feed(&method(2, BasicConsume { queue: "q", consumer_tag: "c", ..BasicConsume::default() }));
    client.take();
    let queue = host.broker().vhost("/").unwrap().queue("q").unwrap();
    assert_eq!((queue.report().ready_bytes, queue.report().unacked_bytes), (5, 20));
    client.feed(&[ack(2, 1), method(2, BasicNack { delivery_tag: 2, multiple: false, requeue: true })].concat());
    client.feed(&method(2, BasicNack { delivery_tag: 4, multiple: false, requeue: false }));
    client.take();
    let got = channel(&client, 1).counts;
    assert_eq!((got.publish, got.get, got.get_no_ack, got.get_empty), (6, 1, 1, 0));
    let consumer = channel(&client, 2);
    assert_eq!((consumer.messages_unacknowledged, consumer.prefetch_count, consumer.consumer_count()), (2, 3, 1));
    let counts = consumer.counts;
    assert_eq!((counts.deliver, counts.deliver_no_ack, counts.redeliver, counts.ack), (5, 0, 1, 1));
    let of_queue = queue.report().happened;
    assert_eq!((of_queue.publish, of_queue.get, of_queue.get_no_ack, of_queue.ack), (6, 1, 1, 1));
    assert_eq!((of_queue.deliver, of_queue.redeliver), (5, 1));
    assert_eq!((queue.report().ready_bytes, queue.report().unacked_bytes), (0, 15));
    let listed = &consumer.consumers[0];
    assert_eq!((&*listed.tag, &*listed.queue, listed.ack_required, listed.active), ("c", "q", true, true));
    assert_eq!((listed.prefetch_count, listed.activity_status()), (3, "up"));
    let known = &queue.consumers()[0];
    assert_eq!((known.place.unwrap().connection.0, known.place.unwrap().channel, known.key), (1, 2, listed.key));
}

#[test]
fn what_a_channel_counted_stays_with_its_connection() {
    let host = Host::new(TestJournal::default());
    let mut client = host.client(1);
    client.feed(&[declare("q"), publish(2, "q", false, b"x")].concat());
    let close = ChannelClose { reply_code: 200, reply_text: "", class_id: 0, method_id: 0 };
    client.feed(&[method(2, close), method(1, BasicGet { queue: "none-yet", no_ack: true })].concat());
    assert_eq!(report(&client).channels.len(), 0, "the last get was refused");
    assert_eq!(report(&client).counts.messages.publish, 1);
    let churn = host.broker().services.churn.counts();
    assert_eq!((churn.connection_created, churn.channel_created, churn.channel_closed), (1, 2, 2));
    assert_eq!((churn.queue_declared, churn.queue_created, churn.queue_deleted), (1, 1, 0));
    client.machine.disconnected();
    assert_eq!(host.broker().services.churn.counts().connection_closed, 1);
}

#[test]
fn what_a_transaction_holds_back_is_told() {
    let host = Host::new(TestJournal::default());
    let mut client = host.client(1);
    client.feed(&[declare("q"), publish(1, "q", false, b"x"), publish(1, "q", false, b"y")].concat());
    client.feed(&[method(2, TxSelect), method(2, BasicGet { queue: "q", no_ack: false })].concat());
    client.feed(&[ack(2, 1), publish(2, "q", false, b"z"), publish(2, "q", false, b"z")].concat());
    let held = channel(&client, 2);
    assert_eq!((held.transactional, held.messages_uncommitted, held.acks_uncommitted), (true, 2, 1));
    assert_eq!(held.counts.ack, 0);
    client.feed(&method(2, TxCommit));
    let done = channel(&client, 2);
    assert_eq!((done.messages_uncommitted, done.acks_uncommitted, done.counts.ack), (0, 0, 1));
}

#[test]
fn an_alarm_is_seen_in_the_state() {
    let host = Host::new(TestJournal::default());
    let mut client = host.client(1);
    let state = |client: &Client| client.machine.outbox().report(host.config.alarms.is_raised()).unwrap().state;
    host.config.alarms.set(leveret_session::alarms::Alarm::Memory, true);
    assert_eq!(state(&client).as_str(), "blocking");
    client.feed(&publish(1, "q", false, b"x"));
    assert_eq!(state(&client).as_str(), "blocked");
    host.config.alarms.set(leveret_session::alarms::Alarm::Memory, false);
    assert!(client.machine.rest().is_none());
    assert_eq!(state(&client).as_str(), "running");
    client.machine.force_close("bye");
    assert_eq!(state(&client).as_str(), "closing");
}
