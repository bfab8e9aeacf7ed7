//! basic.consume, basic.cancel and basic.get: who gets which message.

use leveret_tests::prelude::*;

fn publish_numbers(channel: &Channel, queue: &str, count: usize) {
    (0..count).for_each(|number| channel.publish("", queue, &number.to_string()));
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn priority(value: impl Into<Value>) -> Table {
    table([("x-priority", value.into())])
}

// Consuming

#[test]
fn consume_ok_comes_before_the_first_delivery() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish("", &queue, "waiting");
    channel.send(methods::consume(&queue, "tag", &[], &none()));
    assert_eq!(channel.expect(ids::BASIC_CONSUME_OK).args.shortstr(), "tag");
    let message = channel.delivery();
    assert_eq!((message.consumer_tag.as_str(), message.delivery_tag, message.redelivered), ("tag", 1, false));
}

#[test]
fn the_server_gives_a_tag_when_asked() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let (one, other) = (channel.consume(&queue), channel.consume(&queue));
    assert_ne!(one, other);
    for tag in [one, other] {
        assert_eq!(tag.strip_prefix("amq.ctag-").unwrap().len(), 22, "{tag}");
    }
}

#[test]
fn a_consumer_without_reply_gets_its_deliveries() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.send(methods::consume(&queue, "quiet", &[Nowait], &none()));
    channel.publish("", &queue, "x");
    assert_eq!(channel.delivery().consumer_tag, "quiet");
}

#[test]
fn a_tag_cannot_be_used_twice_on_a_channel() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.consume_with(&queue, "tag", &[], &none());
    channel.kills(methods::consume(&queue, "tag", &[], &none()), 530, "attempt to reuse consumer tag 'tag'");
}

#[test]
fn other_channels_may_use_the_same_tag() {
    let connection = open();
    let (one, other) = (connection.channel(1), connection.channel(2));
    let queue = one.exclusive_queue();
    one.consume_with(&queue, "tag", &[], &none());
    other.consume_with(&queue, "tag", &[], &none());
    publish_numbers(&one, &queue, 2);
    assert_eq!(one.delivery().text(), "0");
    assert_eq!(other.delivery().text(), "1");
}

#[test]
fn a_cancelled_tag_is_free_again() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    for _ in 0..3 {
        channel.consume_with(&queue, "tag", &[], &none());
        channel.rpc(methods::cancel("tag", &[]));
    }
}

#[test]
fn consuming_from_a_missing_queue_fails() {
    let text = "no queue 'leveret-missing' in vhost '/'";
    open_channel().refuses(methods::consume("leveret-missing", "", &[], &none()), 404, text);
}

#[test]
fn an_error_of_a_request_without_reply_closes_the_channel_all_the_same() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let no_queue = "no queue 'leveret-missing' in vhost '/'";
    let no_exchange = "no exchange 'leveret-missing' in vhost '/'";
    channel.refuses(methods::consume("leveret-missing", "", &[Nowait], &none()), 404, no_queue);
    channel.refuses(methods::queue_bind(&queue, "leveret-missing", "", &[Nowait], &none()), 404, no_exchange);
    channel.refuses(methods::queue_purge("leveret-missing", &[Nowait]), 404, no_queue);
    channel.rpc(methods::queue_delete(&queue, &[]));
}

#[test]
fn no_local_is_ignored() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.consume_with(&queue, "", &[NoLocal], &none());
    channel.publish("", &queue, "my own");
    assert_eq!(channel.delivery().text(), "my own");
}

#[test]
fn messages_arrive_in_order() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    publish_numbers(&channel, &queue, 1_000);
    channel.consume_with(&queue, "", &[NoAck], &none());
    (1_000..2_000).for_each(|number| channel.publish("", &queue, &number.to_string()));
    assert_eq!(channel.texts(2_000), numbers(0..2_000));
}

#[test]
fn consumers_take_turns() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    for tag in ["a", "b", "c"] {
        channel.consume_with(&queue, tag, &[NoAck], &none());
    }
    publish_numbers(&channel, &queue, 9);
    let tags: Vec<String> = (0..9).map(|_| channel.delivery().consumer_tag).collect();
    let first_round = &tags[..3];
    assert!(["a", "b", "c"].iter().all(|tag| first_round.contains(&(*tag).to_owned())), "{tags:?}");
    assert!(tags.chunks(3).all(|round| round == first_round), "{tags:?}");
}

#[test]
fn consumers_of_many_connections_compete() {
    let mut names = Names::new();
    let queue = names.queue("competing");
    let publisher = open_channel();
    publisher.declare(&queue, &[], &none());
    let consumers: Vec<Channel> = (0..4).map(|_| open_channel()).collect();
    consumers.iter().for_each(|channel| drop(channel.consume_with(&queue, "", &[NoAck], &none())));
    publish_numbers(&publisher, &queue, 400);
    let mut received: Vec<usize> = Vec::new();
    for channel in &consumers {
        received.extend(channel.texts(100).iter().map(|text| text.parse::<usize>().unwrap()));
    }
    received.sort_unstable();
    assert_eq!(received, (0..400).collect::<Vec<_>>(), "everything once, a hundred each");
}

#[test]
fn delivery_tags_are_in_order_however_busy_the_channel_is() {
    const QUEUES: usize = 5;
    const MESSAGES: usize = 500;
    let mut names = Names::new();
    let consumer = open_channel();
    let queues: Vec<String> = (0..QUEUES).map(|_| names.queue("busy")).collect();
    for queue in &queues {
        consumer.declare(queue, &[], &none());
        consumer.consume(queue);
    }
    std::thread::scope(|scope| {
        for queue in &queues {
            scope.spawn(|| {
                let producer = open_channel();
                publish_numbers(&producer, queue, MESSAGES);
                producer.sync();
            });
        }
        let mut expected = [0; QUEUES];
        for tag in 1..=(QUEUES * MESSAGES) as u64 {
            let delivery = consumer.delivery();
            assert_eq!(delivery.delivery_tag, tag);
            let place = queues.iter().position(|queue| *queue == delivery.routing_key);
            let next = place.and_then(|place| expected.get_mut(place)).expect("a known queue");
            assert_eq!(delivery.text(), next.to_string(), "each queue is in order");
            *next += 1;
        }
    });
    consumer.send(methods::ack(0, &[Multiple]));
    consumer.expect_silence();
}

#[test]
fn a_consumer_that_does_not_read_keeps_nobody_waiting() {
    const MESSAGES: usize = 4_000;
    let mut names = Names::new();
    let (sleeping, awake) = (names.queue("sleeping"), names.queue("awake"));
    let (sleeper, channel) = (open_channel(), open_channel());
    channel.declare(&sleeping, &[], &none());
    channel.declare(&awake, &[], &none());
    sleeper.consume_with(&sleeping, "", &[NoAck], &none());
    let padding = "x".repeat(4_096);
    for number in 0..MESSAGES {
        channel.publish("", &sleeping, &format!("{number} {padding}"));
    }
    channel.publish("", &awake, "not held up");
    assert_eq!(channel.get(&awake).expect("the message arrived").text(), "not held up");
    for number in 0..MESSAGES {
        let text = sleeper.delivery().text();
        assert!(text.starts_with(&format!("{number} ")), "{number} expected");
    }
}

// Priorities

#[test]
fn the_highest_priority_is_served_first() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.rpc(methods::qos(0, 2, &[]));
    for (tag, arguments) in [("low", priority(-5)), ("default", none()), ("high", priority(10))] {
        channel.consume_with(&queue, tag, &[], &arguments);
    }
    publish_numbers(&channel, &queue, 7);
    let tags: Vec<String> = (0..6).map(|_| channel.delivery().consumer_tag).collect();
    assert_eq!(tags, ["high", "high", "default", "default", "low", "low"]);
    channel.ack(3);
    assert_eq!(channel.delivery().consumer_tag, "default");
}

#[test]
fn equal_priorities_take_turns() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    for (tag, arguments) in [("a", priority(3)), ("b", priority(Value::U8(3))), ("idle", none())] {
        channel.consume_with(&queue, tag, &[NoAck], &arguments);
    }
    publish_numbers(&channel, &queue, 6);
    let tags: Vec<String> = (0..6).map(|_| channel.delivery().consumer_tag).collect();
    assert_eq!(tags, ["a", "b", "a", "b", "a", "b"]);
}

#[test]
fn a_priority_is_an_integer() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.send(methods::consume(&queue, "", &[], &priority("high")));
    let mut close = channel.expect(ids::CHANNEL_CLOSE).args;
    let (code, text) = (close.short(), close.shortstr());
    let start = format!("PRECONDITION_FAILED - invalid arg 'x-priority' for queue '{queue}' in vhost '/': ");
    assert!(code == 406 && text.starts_with(&start), "{code} {text}");
}

#[test]
fn unknown_consumer_arguments_are_ignored() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.consume_with(&queue, "", &[], &table([("leveret", Value::Array(vec![Value::Void]))]));
}

// Exclusive consumers

#[test]
fn an_exclusive_consumer_keeps_others_out() {
    let connection = open();
    let (one, other) = (connection.channel(1), connection.channel(2));
    let queue = one.exclusive_queue();
    let text = format!("queue '{queue}' in vhost '/' in exclusive use");
    one.consume_with(&queue, "only", &[Exclusive], &none());
    other.refuses(methods::consume(&queue, "", &[], &none()), 403, &text);
    other.refuses(methods::consume(&queue, "", &[Exclusive], &none()), 403, &text);
    one.rpc(methods::cancel("only", &[]));
    other.consume_with(&queue, "", &[Exclusive], &none());
}

#[test]
fn an_exclusive_consumer_needs_a_queue_without_consumers() {
    let connection = open();
    let (one, other) = (connection.channel(1), connection.channel(2));
    let queue = one.exclusive_queue();
    one.consume(&queue);
    let text = format!("queue '{queue}' in vhost '/' in exclusive use");
    other.refuses(methods::consume(&queue, "", &[Exclusive], &none()), 403, &text);
}

#[test]
fn fetching_beside_an_exclusive_consumer_is_allowed() {
    let connection = open();
    let (one, other) = (connection.channel(1), connection.channel(2));
    let queue = one.exclusive_queue();
    one.consume_with(&queue, "", &[Exclusive], &none());
    assert!(other.get(&queue).is_none());
}

// Cancelling

#[test]
fn a_cancelled_consumer_gets_nothing_more() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let tag = channel.consume(&queue);
    let mut cancel_ok = channel.rpc(methods::cancel(&tag, &[]));
    assert_eq!(cancel_ok.shortstr(), tag);
    channel.publish("", &queue, "too late");
    channel.expect_silence();
    assert_eq!(channel.counts(&queue), (1, 0));
}

#[test]
fn cancelling_an_unknown_tag_succeeds() {
    let channel = open_channel();
    assert_eq!(channel.rpc(methods::cancel("leveret-missing", &[])).shortstr(), "leveret-missing");
}

#[test]
fn cancelling_without_reply_works() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let tag = channel.consume(&queue);
    channel.send(methods::cancel(&tag, &[Nowait]));
    assert_eq!(channel.counts(&queue).1, 0);
}

#[test]
fn cancelling_keeps_what_is_unacknowledged() {
    let connection = open();
    let (channel, observer) = (connection.channel(1), connection.channel(2));
    let queue = channel.exclusive_queue();
    publish_numbers(&channel, &queue, 3);
    let tag = channel.consume(&queue);
    assert_eq!(channel.texts(3), numbers(0..3));
    channel.rpc(methods::cancel(&tag, &[]));
    assert_eq!(observer.counts(&queue), (0, 0), "nothing is requeued");
    channel.ack(1);
    channel.sync();
    channel.close();
    assert_eq!(observer.drain(&queue), ["1", "2"]);
}

#[test]
fn nothing_is_delivered_after_cancel_ok() {
    const MESSAGES: u32 = 3_000;
    let connection = open();
    let (channel, observer) = (connection.channel(1), connection.channel(2));
    let queue = channel.exclusive_queue();
    (0..MESSAGES).for_each(|_| observer.publish("", &queue, "x"));
    observer.sync();
    channel.consume_with(&queue, "tag", &[], &none());
    channel.send(methods::cancel("tag", &[]));
    let mut delivered = 0;
    loop {
        let incoming = channel.next(PATIENCE).expect("cancel-ok comes");
        match incoming.id {
            ids::BASIC_DELIVER => delivered += 1,
            ids::BASIC_CANCEL_OK => break,
            _ => panic!("unexpected {}", incoming.describe()),
        }
    }
    channel.expect_silence();
    assert_eq!(observer.counts(&queue), (MESSAGES - delivered, 0));
}

#[test]
fn consume_and_cancel_may_be_sent_at_once() {
    // The channel process of RabbitMQ 3.10 crashes when a cancel comes this early.
    if peer() {
        return;
    }
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish("", &queue, "x");
    channel.send(methods::consume(&queue, "tag", &[NoAck], &none()));
    channel.send(methods::cancel("tag", &[]));
    channel.expect(ids::BASIC_CONSUME_OK);
    channel.reply(&[ids::BASIC_CANCEL_OK]);
    let delivered = channel.next(SILENCE).is_some();
    assert_eq!(channel.counts(&queue), (u32::from(!delivered), 0));
}

#[test]
fn a_client_cancel_is_not_answered_by_a_server_cancel() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let tag = channel.consume(&queue);
    channel.rpc(methods::cancel(&tag, &[]));
    channel.rpc(methods::queue_delete(&queue, &[]));
    channel.expect_silence();
}

// Fetching

#[test]
fn fetching_tells_how_many_remain() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    publish_numbers(&channel, &queue, 3);
    for remaining in [2, 1, 0] {
        assert_eq!(channel.get(&queue).unwrap().message_count, remaining);
    }
    assert!(channel.get(&queue).is_none());
}

#[test]
fn fetching_without_ack_removes_at_once() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish("", &queue, "a");
    let message = channel.get_with(&queue, &[NoAck]).unwrap();
    channel.close();
    channel.open();
    assert!(channel.get(&queue).is_none());
    channel.refuses(methods::ack(message.delivery_tag, &[]), 406, "unknown delivery tag 1");
}

#[test]
fn fetching_from_a_missing_queue_fails() {
    open_channel().refuses(methods::get("leveret-missing", &[]), 404, "no queue 'leveret-missing' in vhost '/'");
}

#[test]
fn fetching_competes_with_consumers() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.rpc(methods::qos(0, 1, &[]));
    channel.consume(&queue);
    publish_numbers(&channel, &queue, 2);
    assert_eq!(channel.delivery().text(), "0");
    assert_eq!(channel.get(&queue).unwrap().text(), "1");
}
