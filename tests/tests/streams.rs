//! Streams over AMQP 0-9-1: where consumers begin and what they get.

use std::time::{SystemTime, UNIX_EPOCH};

use leveret_tests::prelude::*;
use leveret_tests::stream::*;

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_secs()
}

// Offsets

#[test]
fn a_consumer_begins_where_it_says() {
    let mut ground = Ground::new();
    let (_, queue) = ground.stream_of(10);
    let ints = [Value::I8(4), Value::I16(4), Value::I32(4), Value::U32(4), Value::I64(4)];
    for (number, offset) in (2..).zip(ints) {
        let channel = ground.read(number, &queue, 100, &from(offset));
        assert_eq!(take(&channel, 6), numbers(4..10));
        channel.expect_silence();
    }
    let first = ground.read(20, &queue, 100, &from("first"));
    assert_eq!(take(&first, 10), numbers(0..10));
}

#[test]
fn last_is_at_most_the_last_batch() {
    let mut ground = Ground::new();
    let (publisher, queue) = ground.stream_of(5);
    for number in 5..8 {
        publish_numbers(&publisher, &queue, number, 1);
    }
    let channel = ground.read(2, &queue, 100, &from("last"));
    assert_eq!(take(&channel, 1), ["7"]);
    channel.expect_silence();
}

#[test]
fn next_is_what_a_consumer_gets_that_says_nothing() {
    let mut ground = Ground::new();
    let (publisher, queue) = ground.stream_of(5);
    let consumers = [ground.read(2, &queue, 100, &none()), ground.read(3, &queue, 100, &from("next"))];
    publish_numbers(&publisher, &queue, 5, 3);
    for channel in consumers {
        assert_eq!(take(&channel, 3), numbers(5..8));
        channel.expect_silence();
    }
}

#[test]
fn a_negative_offset_is_so_many_of_the_last() {
    if peer() {
        return println!("RabbitMQ gives negative offsets no meaning");
    }
    let mut ground = Ground::new();
    let (_, queue) = ground.stream_of(10);
    let channel = ground.read(2, &queue, 100, &from(Value::I32(-3)));
    assert_eq!(take(&channel, 3), numbers(7..10));
    let channel = ground.read(3, &queue, 100, &from(Value::I64(-1000)));
    assert_eq!(take(&channel, 10), numbers(0..10));
}

#[test]
fn a_time_is_the_first_message_since() {
    let mut ground = Ground::new();
    let (publisher, queue) = ground.stream_of(3);
    std::thread::sleep(Duration::from_millis(6100));
    let between_s = now_s();
    publish_numbers(&publisher, &queue, 3, 3);
    for (number, offset, first) in [
        // First the one that depends on the time of the question.
        (2, "5s".into(), 3),
        (3, Value::Time(between_s), 3),
        (4, Value::Time(between_s - 3600), 0),
        (5, "1h".into(), 0),
        (6, "7D".into(), 0),
    ] {
        let channel = ground.read(number, &queue, 100, &from(offset.clone()));
        let wanted = numbers(first..6);
        assert_eq!(take(&channel, wanted.len()), wanted, "{offset:?}");
        channel.expect_silence();
    }
    // Nothing has come since: what comes next.
    let channel = ground.read(7, &queue, 100, &from(Value::Time(now_s() + 3600)));
    publish_numbers(&publisher, &queue, 6, 1);
    assert_eq!(take(&channel, 1), ["6"]);
}

#[test]
fn an_offset_to_come_is_waited_for() {
    let mut ground = Ground::new();
    let (publisher, queue) = ground.stream_of(2);
    if peer() {
        return println!("RabbitMQ 3.10 ends the channel's process");
    }
    let channel = ground.read(2, &queue, 100, &from(5));
    publish_numbers(&publisher, &queue, 2, 5);
    assert_eq!(take(&channel, 2), numbers(5..7));
}

// Deliveries

#[test]
fn every_consumer_gets_everything() {
    let mut ground = Ground::new();
    let (publisher, queue) = ground.stream_of(20);
    let consumers: Vec<Channel> = (2..7).map(|number| ground.read(number, &queue, 7, &from("first"))).collect();
    publish_numbers(&publisher, &queue, 20, 20);
    for channel in &consumers {
        assert_eq!(take(channel, 40), numbers(0..40));
        channel.expect_silence();
    }
    wait_until("the stream still has all of them", || publisher.counts(&queue).0 == 40);
}

#[test]
fn a_consumer_gets_no_more_than_its_credit() {
    let mut ground = Ground::new();
    let queue = ground.stream_one_by_one(10);
    let channel = ground.read(2, &queue, 3, &from("first"));
    assert_eq!(channel.texts(3), numbers(0..3));
    channel.expect_silence();
    channel.send(methods::ack(2, &[Multiple]));
    assert_eq!(channel.texts(2), numbers(3..5));
    channel.expect_silence();
}

#[test]
fn whatever_the_outcome_it_gives_credit_only() {
    if peer() {
        return println!("RabbitMQ 3.10 does not support basic.nack and basic.reject here");
    }
    let mut ground = Ground::new();
    let (_, queue) = ground.stream_of(10);
    let channel = ground.read(2, &queue, 2, &from("first"));
    assert_eq!(channel.texts(2), numbers(0..2));
    channel.send(methods::nack(1, &[Requeue]));
    channel.send(methods::reject(2, &[]));
    assert_eq!(channel.texts(2), numbers(2..4));
    channel.send(methods::reject(3, &[Requeue]));
    channel.send(methods::nack(4, &[]));
    let message = channel.delivery();
    assert_eq!((message.text(), message.redelivered), ("4".to_owned(), false));
    channel.rpc(methods::recover(&[Requeue]));
    assert_eq!(channel.texts(3), numbers(5..8));
    assert_eq!(ground.channel(3).counts(&queue).0, 10);
}

#[test]
fn a_transaction_gives_credit_when_it_is_committed() {
    if peer() {
        return println!("left to this broker");
    }
    let mut ground = Ground::new();
    let (_, queue) = ground.stream_of(6);
    let channel = ground.read(2, &queue, 2, &from("first"));
    channel.rpc(methods::tx_select());
    assert_eq!(channel.texts(2), numbers(0..2));
    channel.send(methods::ack(2, &[Multiple]));
    channel.expect_silence();
    channel.rpc(methods::tx_rollback());
    channel.send(methods::ack(1, &[]));
    channel.rpc(methods::tx_commit());
    assert_eq!(channel.texts(1), numbers(2..3));
    channel.expect_silence();
}

#[test]
fn properties_arrive_with_the_offset_among_the_headers() {
    let mut ground = Ground::new();
    let (publisher, queue) = ground.stream();
    let plain = Props { content_type: Some("text/plain".into()), message_id: Some("m".into()), ..Props::default() };
    let headers = table([("x-stream-offset", Value::I64(99)), ("a", "b".into())]);
    publisher.publish_with("", &queue, &[], &plain, "plain");
    publisher.publish_with("", &queue, &[], &Props { headers: Some(headers), ..plain.clone() }, "headers");
    publisher.confirms(1, 2);
    let channel = ground.read(2, &queue, 10, &from("first"));
    let (one, other) = (channel.delivery(), channel.delivery());
    assert_eq!((offset_of(&one), offset_of(&other)), (0, 1));
    for message in [&one, &other] {
        assert_eq!((&message.props.content_type, &message.props.message_id), (&plain.content_type, &plain.message_id));
        assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("", queue.as_str()));
    }
    assert_eq!(other.props.headers.as_ref().and_then(|headers| headers.get("a")), Some(&"b".into()));
    assert_eq!(other.props.headers.map(|headers| headers.0.len()), Some(2));
}

#[test]
fn large_bodies_are_read_like_all_others() {
    let mut ground = Ground::new();
    let (publisher, queue) = ground.stream();
    let bodies: Vec<String> = [10, 5_000, 200_000, 1_000_000, 3].iter().map(|bytes| "x".repeat(*bytes)).collect();
    for body in &bodies {
        publisher.publish("", &queue, body);
    }
    publisher.confirms(1, 5);
    for number in 2..4 {
        let channel = ground.read(number, &queue, 2, &from("first"));
        assert!(take(&channel, 5) == bodies);
    }
}

#[test]
fn cancelling_ends_the_deliveries_and_acks_still_count() {
    let mut ground = Ground::new();
    let queue = ground.stream_one_by_one(4);
    let channel = ground.channel(2);
    channel.rpc(methods::qos(0, 2, &[]));
    channel.consume_with(&queue, "tag", &[], &from("first"));
    assert_eq!(channel.texts(2), numbers(0..2));
    channel.rpc(methods::cancel("tag", &[]));
    channel.ack(1);
    channel.ack(2);
    channel.expect_silence();
    let other = ground.channel(3);
    wait_until("the consumer is gone", || other.counts(&queue).1 == 0);
}

#[test]
fn deleting_a_stream_cancels_its_consumers_whatever_the_conditions() {
    let mut ground = Ground::new();
    let (_, queue) = ground.stream_of(4);
    let channel = ground.read(2, &queue, 10, &from("first"));
    assert_eq!(channel.texts(4), numbers(0..4));
    let deleter = ground.channel(3);
    let mut args = deleter.rpc(methods::queue_delete(&queue, &[IfUnused, IfEmpty]));
    assert_eq!(args.long(), 0);
    if !peer() {
        // Its word reaches RabbitMQ's clients some time later, or never.
        channel.expect(ids::BASIC_CANCEL);
    }
    assert!(!deleter.has_queue(&queue));
}

#[test]
fn without_a_data_directory_streams_are_in_memory() {
    let (connection, mut names) = (open(), Names::new());
    let (publisher, queue) = (connection.channel(1), names.queue("stream"));
    publisher.declare(&queue, &[Durable], &of_stream([]));
    publisher.rpc(methods::confirm_select(&[]));
    publish_numbers(&publisher, &queue, 0, 1000);
    for number in 2..4 {
        let channel = read(&connection, number, &queue, 30, &from(100));
        assert_eq!(take(&channel, 900), numbers(100..1000));
    }
    let channel = read(&connection, 4, &queue, 30, &from("1h"));
    assert_eq!(take(&channel, 1000), numbers(0..1000));
}

// Filters

#[test]
fn a_filter_lets_its_values_through_exactly() {
    if peer() {
        return println!("RabbitMQ has filters since 3.13");
    }
    let mut ground = Ground::new();
    let (publisher, queue) = ground.stream();
    for number in 0..30u64 {
        let value = |value: &str| Props::with_headers(table([("x-stream-filter-value", value.into())]));
        let props = match number % 3 {
            0 => value("europe"),
            1 => value("asia"),
            _ => Props::default(),
        };
        publisher.publish_with("", &queue, &[], &props, &number.to_string());
    }
    publisher.confirms(1, 30);
    let list = |values: &[&str]| Value::Array(values.iter().map(|value| (*value).into()).collect());
    for (number, filter, unfiltered, wanted) in [
        (2, "europe".into(), false, &[0][..]),
        (3, list(&["europe", "asia"]), false, &[0, 1]),
        (4, list(&["asia"]), true, &[1, 2]),
        (5, list(&["nowhere"]), true, &[2]),
    ] {
        let unfiltered = Value::Bool(unfiltered);
        let arguments = table([
            ("x-stream-offset", "first".into()),
            ("x-stream-filter", filter),
            ("x-stream-match-unfiltered", unfiltered),
        ]);
        let channel = ground.read(number, &queue, 4, &arguments);
        for text in (0..30u64).filter(|number| wanted.contains(&(number % 3))).map(|number| number.to_string()) {
            let message = channel.delivery();
            assert_eq!((message.text(), offset_of(&message).to_string()), (text.clone(), text));
            channel.ack(message.delivery_tag);
        }
        channel.expect_silence();
    }
}
