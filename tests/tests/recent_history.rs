//! x-recent-history: the last messages for whoever comes late.

use leveret_tests::prelude::*;

const KIND: &str = "x-recent-history";

fn history(channel: &Channel, names: &mut Names, arguments: &Table) -> String {
    let exchange = names.exchange("history");
    channel.exchange(&exchange, KIND, &[], arguments);
    exchange
}

/// What a queue that is bound now gets.
fn late(channel: &Channel, exchange: &str) -> Vec<String> {
    let queue = channel.exclusive_queue();
    channel.bind(&queue, exchange, "any key");
    channel.drain(&queue)
}

fn publish(channel: &Channel, exchange: &str, numbers: std::ops::Range<u32>) {
    numbers.for_each(|number| channel.publish(exchange, &format!("key {number}"), &number.to_string()));
}

fn numbers(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[test]
fn a_late_queue_gets_the_last_twenty_oldest_first() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = history(&channel, &mut names, &none());
    assert_eq!(late(&channel, &exchange), texts(&[]));
    publish(&channel, &exchange, 0..3);
    assert_eq!(late(&channel, &exchange), numbers(0..3));
    publish(&channel, &exchange, 3..30);
    assert_eq!(late(&channel, &exchange), numbers(10..30));
}

#[test]
fn the_length_is_an_argument() {
    let (channel, mut names) = (open_channel(), Names::new());
    for length in [Value::I8(2), Value::I16(2), Value::I32(2), Value::I64(2)] {
        let exchange = history(&channel, &mut names, &table([("x-recent-history-length", length)]));
        publish(&channel, &exchange, 0..5);
        assert_eq!(late(&channel, &exchange), numbers(3..5));
    }
}

#[test]
fn the_length_is_a_positive_integer() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("refused");
    let refused =
        [(Value::I32(0), "0"), (Value::I64(-7), "-7"), (Value::from("5"), "<<\"5\">>"), (Value::Bool(true), "true")];
    for (value, shown) in refused {
        let declare = methods::exchange_declare(&exchange, KIND, &[], &table([("x-recent-history-length", value)]));
        let text = format!("Invalid argument {shown}, 'x-recent-history-length' must be a positive integer");
        channel.refuses(declare, 406, &text);
    }
    assert!(!channel.has_exchange(&exchange));
}

#[test]
fn it_is_a_fanout_for_who_is_there() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = history(&channel, &mut names, &none());
    let queues = [channel.exclusive_queue(), channel.exclusive_queue()];
    for queue in &queues {
        channel.bind(queue, &exchange, queue);
    }
    publish(&channel, &exchange, 0..3);
    for queue in &queues {
        assert_eq!(channel.drain(queue), numbers(0..3));
    }
}

#[test]
fn messages_come_late_as_they_were() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = history(&channel, &mut names, &none());
    let headers = Some(table([("colour", "red".into()), ("BCC", ["nobody"].into())]));
    let props = Props { message_id: Some("id".into()), delivery_mode: Some(2), headers, ..Props::default() };
    channel.publish_with(&exchange, "the key", &[], &props, "text");
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &exchange, "");
    let message = channel.get(&queue).expect("it was kept");
    assert_eq!((&*message.exchange, &*message.routing_key, &*message.text()), (&*exchange, "the key", "text"));
    assert!(!message.redelivered);
    let headers = Some(table([("colour", "red".into())]));
    assert_eq!(message.props, Props { headers, ..props });
}

#[test]
fn large_messages_are_kept_too() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = history(&channel, &mut names, &table([("x-recent-history-length", 3.into())]));
    let bodies: Vec<String> = ["a", "b", "c"].map(|letter| letter.repeat(300_000)).into();
    bodies.iter().for_each(|body| channel.publish(&exchange, "", body));
    assert_eq!(late(&channel, &exchange), bodies);
    assert_eq!(late(&channel, &exchange), bodies);
}

#[test]
fn a_header_keeps_a_message_out() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = history(&channel, &mut names, &none());
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &exchange, "");
    for (text, value) in [("no", Value::Bool(true)), ("false", Value::Bool(false)), ("text", "true".into())] {
        let props = Props::with_headers(table([("x-recent-history-no-store", value)]));
        channel.publish_with(&exchange, "", &[], &props, text);
    }
    assert_eq!(channel.drain(&queue), ["no", "false", "text"]);
    assert_eq!(late(&channel, &exchange), ["false", "text"]);
}

#[test]
fn binding_again_brings_nothing_again() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = history(&channel, &mut names, &none());
    publish(&channel, &exchange, 0..2);
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &exchange, "one");
    channel.bind(&queue, &exchange, "one");
    assert_eq!(channel.drain(&queue), numbers(0..2));
    // Another binding is new.
    channel.bind(&queue, &exchange, "two");
    assert_eq!(channel.drain(&queue), numbers(0..2));
    channel.rpc(methods::queue_unbind(&queue, &exchange, "one", &none())).finish();
    channel.bind(&queue, &exchange, "one");
    assert_eq!(channel.drain(&queue), numbers(0..2));
}

#[test]
fn a_waiting_consumer_gets_the_history() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = history(&channel, &mut names, &none());
    publish(&channel, &exchange, 0..3);
    let queue = channel.exclusive_queue();
    channel.consume_with(&queue, "", &[NoAck], &none());
    let other = open_channel();
    let shared = names.queue("shared");
    other.declare(&shared, &[], &none());
    other.consume_with(&shared, "", &[NoAck], &none());
    channel.bind(&shared, &exchange, "");
    assert_eq!(other.texts(3), numbers(0..3));
}

#[test]
fn an_exchange_bound_late_gets_the_history() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = history(&channel, &mut names, &none());
    let inner = names.exchange("inner");
    channel.exchange(&inner, "direct", &[], &none());
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &inner, "key 1");
    publish(&channel, &exchange, 1..2);
    channel.rpc(methods::exchange_bind(&inner, &exchange, "", &[], &none())).finish();
    assert_eq!(channel.drain(&queue), numbers(1..2));
    publish(&channel, &exchange, 1..3);
    assert_eq!(channel.drain(&queue), numbers(1..2));
}

#[test]
fn what_comes_from_another_exchange_is_kept() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = history(&channel, &mut names, &none());
    let outer = names.exchange("outer");
    channel.exchange(&outer, "direct", &[], &none());
    channel.rpc(methods::exchange_bind(&exchange, &outer, "key 0", &[], &none())).finish();
    // The same publish twice: how it is routed may not be remembered in place of the message.
    for _ in 0..2 {
        publish(&channel, &outer, 0..2);
    }
    assert_eq!(late(&channel, &exchange), ["0", "0"]);
}

#[test]
fn the_history_goes_with_its_exchange() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = history(&channel, &mut names, &none());
    publish(&channel, &exchange, 0..2);
    channel.rpc(methods::exchange_delete(&exchange, &[])).finish();
    channel.exchange(&exchange, KIND, &[], &none());
    assert_eq!(late(&channel, &exchange), texts(&[]));
}

#[test]
fn what_a_durable_queue_got_late_survives_from_bind_ok_on() {
    const TEST: &str = "what_a_durable_queue_got_late_survives_from_bind_ok_on";
    // The RabbitMQ that tests start has no such type.
    if peer() || skip_without_home(TEST) {
        return;
    }
    let home = Home::new();
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    channel.exchange(TEST, KIND, &[Durable], &none());
    let bodies = ["small".to_owned(), "large".repeat(120_000), "last".to_owned()];
    for body in &bodies {
        channel.publish_with(TEST, "", &[], &Props::persistent(), body);
    }
    channel.declare(TEST, &[Durable], &none());
    channel.bind(TEST, TEST, "");
    broker.end(Stop::Kill);
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    assert_eq!(channel.drain(TEST), bodies);
    // The history itself is in memory alone.
    assert_eq!(late(&channel, TEST), texts(&[]));
}
