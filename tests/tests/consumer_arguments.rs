//! What basic.consume may say beside the queue's name, and what the type of the queue makes of it.

use leveret_tests::prelude::*;

fn of_type(queue_type: &str) -> Table {
    table([("x-queue-type", Value::from(queue_type))])
}

fn foreign(argument: &str, queue: &str, queue_type: &str) -> String {
    format!("invalid arg '{argument}' for queue '{queue}' in vhost '/' of queue type rabbit_{queue_type}_queue")
}

#[test]
fn a_priority_is_an_integer_of_any_width() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let numbers = [Value::I8(-1), Value::U8(1), Value::I16(-1), Value::U16(1), Value::I32(-5), Value::I64(1 << 40)];
    for value in numbers {
        channel.consume_with(&queue, "", &[], &table([("x-priority", value)]));
    }
    let text = format!("invalid arg 'x-priority' for queue '{queue}' in vhost '/': \"expected integer, got longstr\"");
    let arguments = table([("x-priority", Value::from("high"))]);
    channel.refuses(methods::consume(&queue, "", &[], &arguments), 406, &text);
}

#[test]
fn unknown_arguments_are_ignored() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let arguments = table([("x-unknown", Value::from("?")), ("priority", Value::Void)]);
    channel.consume_with(&queue, "", &[], &arguments);
    channel.publish("", &queue, "x");
    channel.delivery();
}

#[test]
fn arguments_of_streams_are_refused_elsewhere() {
    let mut names = Names::new();
    let channel = open_channel();
    let classic = channel.exclusive_queue();
    let quorum = names.queue("quorum");
    channel.declare(&quorum, &[Durable], &of_type("quorum"));
    for (queue, queue_type) in [(&classic, "classic"), (&quorum, "quorum")] {
        let arguments = table([("x-stream-offset", Value::from("first"))]);
        let text = foreign("x-stream-offset", queue, queue_type);
        channel.refuses(methods::consume(queue, "", &[], &arguments), 406, &text);
        if peer() {
            println!("not checked: the filters of streams came with RabbitMQ 3.13");
            continue;
        }
        for (argument, value) in
            [("x-stream-filter", Value::from("x")), ("x-stream-match-unfiltered", Value::Bool(true))]
        {
            let text = foreign(argument, queue, queue_type);
            channel.refuses(methods::consume(queue, "", &[], &table([(argument, value)])), 406, &text);
        }
    }
}

#[test]
fn a_timeout_is_no_negative_integer() {
    if peer() {
        return println!("skipped: x-consumer-timeout of consumers came with RabbitMQ 4.3");
    }
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let invalid = |reason: &str| format!("invalid arg 'x-consumer-timeout' for queue '{queue}' in vhost '/': {reason}");
    let consume = |value| methods::consume(&queue, "", &[], &table([("x-consumer-timeout", value)]));
    channel.refuses(consume(Value::I32(-1)), 406, &invalid("{value_negative,-1}"));
    channel.refuses(consume(Value::Bool(true)), 406, &invalid("\"expected integer, got bool\""));
}

// Quorum queues

#[test]
fn quorum_queues_know_of_no_exclusive_consumers() {
    let mut names = Names::new();
    let queue = names.queue("quorum");
    let channel = open_channel();
    channel.declare(&queue, &[Durable], &of_type("quorum"));
    let exclusive = channel.consume_with(&queue, "", &[Exclusive], &none());
    let other = channel.consume_with(&queue, "", &[Exclusive], &none());
    channel.publish("", &queue, "x");
    channel.publish("", &queue, "y");
    let mut tags = [channel.delivery().consumer_tag, channel.delivery().consumer_tag];
    let mut expected = [exclusive, other];
    tags.sort();
    expected.sort();
    assert_eq!(tags, expected);
}

#[test]
fn quorum_queues_are_deleted_without_conditions() {
    let mut names = Names::new();
    let queue = names.queue("quorum");
    open_channel().declare(&queue, &[Durable], &of_type("quorum"));
    for (flags, named) in
        [(&[IfUnused][..], "if-unused"), (&[IfEmpty], "if-empty"), (&[IfUnused, IfEmpty], "if-unused")]
    {
        let text = format!(
            "cannot delete queue '{queue}' in vhost '/'. queue.delete operations with {named} flag set are not \
             supported by quorum queues"
        );
        open_channel().kills(methods::queue_delete(&queue, flags), 540, &text);
    }
    let channel = open_channel();
    assert!(channel.has_queue(&queue));
    channel.rpc(methods::queue_delete(&queue, &[]));
    assert!(!channel.has_queue(&queue));
}

#[test]
fn quorum_queues_take_no_notice_of_the_prefetch_of_a_channel() {
    if peer() {
        return println!("skipped: RabbitMQ refuses quorum queues on such a channel (540)");
    }
    let mut names = Names::new();
    let queue = names.queue("quorum");
    let channel = open_channel();
    let classic = channel.exclusive_queue();
    channel.declare(&queue, &[Durable], &of_type("quorum"));
    channel.rpc(methods::qos(0, 2, &[Global]));
    channel.consume_with(&queue, "quorum", &[], &none());
    channel.consume_with(&classic, "classic", &[], &none());
    for _ in 0..5 {
        channel.publish("", &queue, "x");
    }
    let quorum_tags: Vec<_> = (0..5).map(|_| channel.delivery().delivery_tag).collect();
    // They do not use up what others may have either.
    for _ in 0..5 {
        channel.publish("", &classic, "x");
    }
    let classics: Vec<_> = (0..2).map(|_| channel.delivery().delivery_tag).collect();
    channel.expect_silence();
    channel.send(methods::ack(quorum_tags[4], &[Multiple]));
    channel.expect_silence();
    channel.ack(classics[0]);
    assert_eq!(channel.delivery().consumer_tag, "classic");
    channel.expect_silence();
}

#[test]
fn quorum_queues_keep_to_the_prefetch_of_a_consumer() {
    let mut names = Names::new();
    let queue = names.queue("quorum");
    let channel = open_channel();
    channel.declare(&queue, &[Durable], &of_type("quorum"));
    channel.rpc(methods::qos(0, 2, &[]));
    channel.consume(&queue);
    for _ in 0..5 {
        channel.publish("", &queue, "x");
    }
    let tags: Vec<_> = (0..2).map(|_| channel.delivery().delivery_tag).collect();
    channel.expect_silence();
    channel.ack(tags[0]);
    channel.delivery();
    channel.expect_silence();
}

#[test]
fn an_unlimited_prefetch_of_a_quorum_queue_has_no_hidden_limit() {
    const MESSAGES: u32 = 3_000;
    if peer() {
        return println!("skipped: RabbitMQ takes 0 for 2000");
    }
    let mut names = Names::new();
    let queue = names.queue("quorum");
    let channel = open_channel();
    channel.declare(&queue, &[Durable], &of_type("quorum"));
    channel.consume(&queue);
    for number in 0..MESSAGES {
        channel.publish("", &queue, &number.to_string());
    }
    (0..MESSAGES).for_each(|number| assert_eq!(channel.delivery().text(), number.to_string()));
}
