//! What is refused of streams: declarations, consumers, and what only queues can do.

use leveret_tests::prelude::*;
use leveret_tests::stream::{from, of_stream};

fn declared() -> (Channel, Names, String) {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("stream");
    channel.declare(&queue, &[Durable], &of_stream([]));
    (channel, names, queue)
}

// Declarations

#[test]
fn a_stream_is_durable_and_for_everybody() {
    let channel = open_channel();
    let queue = unique("stream");
    for (flags, property) in
        [(&[Durable, AutoDelete][..], "auto-delete"), (&[Durable, Exclusive], "exclusive-owner"), (&[], "non-durable")]
    {
        let text = format!("invalid property '{property}' for queue '{queue}' in vhost '/'");
        channel.refuses(methods::queue_declare(&queue, flags, &of_stream([])), 406, &text);
    }
    let text = "Cannot declare a server-named queue for type rabbit_stream_queue";
    channel.refuses(methods::queue_declare("", &[Durable], &of_stream([])), 406, text);
}

#[test]
fn arguments_of_streams_are_judged() {
    let channel = open_channel();
    let queue = unique("stream");
    let refused = |argument: &str, value: Value, reason: &str| {
        let text = format!("invalid arg '{argument}' for queue '{queue}' in vhost '/': {reason}");
        channel.refuses(methods::queue_declare(&queue, &[Durable], &of_stream([(argument, value)])), 406, &text);
    };
    // Others end the channel's process of RabbitMQ 3.10.
    let ages = if peer() { &["5w"][..] } else { &["12", "h", "5w", "", "-1h"] };
    for &age in ages {
        refused("x-max-age", age.into(), "invalid_max_age");
    }
    refused("x-max-length-bytes", (-1).into(), "{value_negative,-1}");
    refused("x-stream-max-segment-size-bytes", (-1).into(), "{value_negative,-1}");
    refused("x-initial-cluster-size", 0.into(), "{value_zero,0}");
    if peer() {
        return println!("RabbitMQ has filters since 3.13");
    }
    for size in [15, 256] {
        let arguments = of_stream([("x-stream-filter-size-bytes", Value::I32(size))]);
        let text = "Invalid value for x-stream-filter-size-bytes";
        channel.refuses(methods::queue_declare(&queue, &[Durable], &arguments), 406, text);
    }
}

#[test]
fn arguments_of_queues_are_refused() {
    let channel = open_channel();
    let queue = unique("stream");
    for (argument, value) in [
        ("x-expires", Value::I32(1000)),
        ("x-message-ttl", 1000.into()),
        ("x-max-length", 10.into()),
        ("x-overflow", "drop-head".into()),
        ("x-dead-letter-exchange", "".into()),
        ("x-max-priority", 5.into()),
        ("x-single-active-consumer", Value::Bool(true)),
        ("x-delivery-limit", 5.into()),
    ] {
        let text =
            format!("invalid arg '{argument}' for queue '{queue}' in vhost '/' of queue type rabbit_stream_queue");
        channel.refuses(methods::queue_declare(&queue, &[Durable], &of_stream([(argument, value)])), 406, &text);
    }
}

#[test]
fn a_stream_may_be_declared_again_as_it_is() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("stream");
    let arguments = |age: &str| {
        of_stream([
            ("x-max-age", age.into()),
            ("x-max-length-bytes", Value::I64(1 << 40)),
            ("x-stream-max-segment-size-bytes", 1_000_000.into()),
        ])
    };
    for _ in 0..2 {
        assert_eq!(channel.declare(&queue, &[Durable], &arguments("1h")).message_count, 0);
    }
    let text =
        format!("inequivalent arg 'x-max-age' for queue '{queue}' in vhost '/': received '2h' but current is '1h'");
    channel.refuses(methods::queue_declare(&queue, &[Durable], &arguments("2h")), 406, &text);
    channel.send(methods::queue_declare(&queue, &[Durable], &none()));
    assert_eq!(channel.reply(&[ids::CHANNEL_CLOSE]).args.short(), 406, "it is no classic queue");
}

// Consumers

#[test]
fn a_consumer_needs_a_prefetch() {
    let (channel, _names, queue) = declared();
    let text = match peer() {
        true => format!("consumer prefetch count is not set for 'queue '{queue}' in vhost '/''"),
        false => format!("consumer prefetch count is not set for stream queue '{queue}' in vhost '/'"),
    };
    channel.refuses(methods::consume(&queue, "", &[], &none()), 406, &text);
}

#[test]
fn a_consumer_must_acknowledge() {
    let (channel, _names, queue) = declared();
    channel.rpc(methods::qos(0, 10, &[]));
    let stream = if peer() { "stream queues" } else { "stream" };
    let text = format!("automatic acknowledgement not supported by {stream} queue '{queue}' in vhost '/'");
    channel.kills(methods::consume(&queue, "", &[NoAck], &none()), 540, &text);
}

#[test]
fn a_limit_for_the_whole_channel_is_refused() {
    let (channel, _names, queue) = declared();
    channel.rpc(methods::qos(0, 10, &[]));
    channel.rpc(methods::qos(0, 10, &[Global]));
    let text = format!("queue '{queue}' in vhost '/' does not support global qos");
    channel.kills(methods::consume(&queue, "", &[], &none()), 540, &text);
}

#[test]
fn get_and_purge_are_refused() {
    let (channel, _names, queue) = declared();
    let text = format!("queue.purge not supported by stream queues queue '{queue}' in vhost '/'");
    channel.kills(methods::queue_purge(&queue, &[]), 540, &text);
    let channel = open_channel();
    let text = format!("basic.get not supported by stream queues queue '{queue}' in vhost '/'");
    channel.kills(methods::get(&queue, &[]), 540, &text);
}

#[test]
fn an_offset_that_means_nothing_is_refused() {
    if peer() {
        return println!("RabbitMQ 3.10 says it otherwise, or ends the channel's process");
    }
    let (channel, _names, queue) = declared();
    for (offset, term) in [
        (Value::from("foo"), "{longstr,<<\"foo\">>}"),
        ("".into(), "{longstr,<<>>}"),
        ("0h".into(), "{longstr,<<\"0h\">>}"),
        (Value::Bool(true), "{bool,true}"),
        (Value::F64(1.5), "{double,1.5}"),
    ] {
        channel.rpc(methods::qos(0, 10, &[]));
        let text = format!(
            "invalid arg 'x-stream-offset' for queue '{queue}' in vhost '/': {{invalid_stream_offset_arg,{term}}}"
        );
        channel.refuses(methods::consume(&queue, "", &[], &from(offset)), 406, &text);
    }
}
