//! The validation of queue arguments.

use leveret_tests::prelude::*;

const TEN_YEARS_MS: i64 = 315_360_000_000;

fn refused(argument: &str, value: Value, reason: &str) {
    refused_with(table([(argument, value)]), argument, reason);
}

fn refused_with(arguments: Table, argument: &str, reason: &str) {
    let (channel, queue) = (open_channel(), unique("argument"));
    let text = format!("invalid arg '{argument}' for queue '{queue}' in vhost '/': {reason}");
    channel.refuses(methods::queue_declare(&queue, &[Exclusive], &arguments), 406, &text);
    assert!(!channel.has_queue(&queue));
}

fn accepted(arguments: Table) {
    let (channel, queue) = (open_channel(), unique("argument"));
    channel.declare(&queue, &[Exclusive], &arguments);
}

fn not_an_integer(kind: &str) -> String {
    format!("\"expected integer, got {kind}\"")
}

#[test]
fn expires_is_a_positive_integer() {
    refused("x-expires", "soon".into(), &not_an_integer("longstr"));
    refused("x-expires", Value::Bool(true), &not_an_integer("bool"));
    refused("x-expires", 0.into(), "{value_zero,0}");
    refused("x-expires", (-10).into(), "{value_negative,-10}");
    let too_large = TEN_YEARS_MS + 1;
    refused("x-expires", Value::I64(too_large), &format!("{{value_too_large,{too_large}}}"));
    accepted(table([("x-expires", Value::I64(TEN_YEARS_MS))]));
}

#[test]
fn expires_may_have_any_integer_type() {
    for value in [Value::I8(100), Value::U8(200), Value::I16(20_000), Value::U16(60_000), Value::U32(60_000)] {
        accepted(table([("x-expires", value)]));
    }
    accepted(table([("x-expires", Value::I32(60_000))]));
    accepted(table([("x-expires", Value::I64(60_000))]));
}

#[test]
fn message_ttl_is_no_negative_integer() {
    refused("x-message-ttl", "soon".into(), &not_an_integer("longstr"));
    refused("x-message-ttl", (-1).into(), "{value_negative,-1}");
    let too_large = TEN_YEARS_MS + 1;
    refused("x-message-ttl", Value::I64(too_large), &format!("{{value_too_large,{too_large}}}"));
    accepted(table([("x-message-ttl", 0.into())]));
    accepted(table([("x-message-ttl", Value::I64(TEN_YEARS_MS))]));
}

#[test]
fn lengths_are_no_negative_integers() {
    for argument in ["x-max-length", "x-max-length-bytes"] {
        refused(argument, "many".into(), &not_an_integer("longstr"));
        refused(argument, (-1).into(), "{value_negative,-1}");
        accepted(table([(argument, 0.into())]));
        accepted(table([(argument, Value::I64(i64::MAX))]));
    }
}

#[test]
fn max_priority_is_between_0_and_255() {
    refused("x-max-priority", "high".into(), &not_an_integer("longstr"));
    refused("x-max-priority", (-1).into(), "{value_negative,-1}");
    refused("x-max-priority", 256.into(), "{max_value_exceeded,256}");
    accepted(table([("x-max-priority", 255.into())]));
    accepted(table([("x-max-priority", Value::U8(0))]));
}

#[test]
fn dead_letter_exchange_is_a_string() {
    let (channel, queue) = (open_channel(), unique("argument"));
    let arguments = table([("x-dead-letter-exchange", 1.into())]);
    let text = format!("invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue '{queue}' in vhost '/'");
    channel.refuses(methods::queue_declare(&queue, &[Exclusive], &arguments), 406, &text);
    accepted(table([("x-dead-letter-exchange", "leveret-missing".into())]));
}

#[test]
fn dead_letter_routing_key_is_a_string_beside_an_exchange() {
    let with = |key: Value| table([("x-dead-letter-exchange", "x".into()), ("x-dead-letter-routing-key", key)]);
    refused_with(with(1.into()), "x-dead-letter-routing-key", "{unacceptable_type,signedint}");
    refused("x-dead-letter-routing-key", "key".into(), "routing_key_but_no_dlx_defined");
    accepted(with("key".into()));
}

#[test]
fn overflow_is_one_of_three() {
    refused("x-overflow", "explode".into(), "invalid_overflow");
    for overflow in ["drop-head", "reject-publish", "reject-publish-dlx"] {
        accepted(table([("x-overflow", overflow.into())]));
    }
}

#[test]
fn single_active_consumer_is_a_bool() {
    refused("x-single-active-consumer", "true".into(), "{unacceptable_type,longstr}");
    accepted(table([("x-single-active-consumer", true.into())]));
}

#[test]
fn queue_type_is_known() {
    let (channel, queue) = (open_channel(), unique("type"));
    let declare = methods::queue_declare(&queue, &[Exclusive], &table([("x-queue-type", "leveret".into())]));
    let text =
        format!("invalid arg 'x-queue-type' for queue '{queue}' in vhost '/': \"unsupported queue type 'leveret'\"");
    channel.refuses(declare, 406, &text);
}

#[test]
fn arguments_of_other_queue_types_are_refused() {
    let (channel, queue) = (open_channel(), unique("foreign"));
    for (argument, value) in [("x-max-age", Value::from("1D")), ("x-stream-max-segment-size-bytes", 1_000.into())] {
        let declare = methods::queue_declare(&queue, &[Exclusive], &table([(argument, value)]));
        let text =
            format!("invalid arg '{argument}' for queue '{queue}' in vhost '/' of queue type rabbit_classic_queue");
        channel.refuses(declare, 406, &text);
    }
}

/// The arguments of each type, as 4.2 knows them, with a value that they may have.
fn arguments_by_types() -> Vec<(&'static str, Value, &'static [&'static str])> {
    const ALL: &[&str] = &["classic", "quorum", "stream"];
    const QUEUES: &[&str] = &["classic", "quorum"];
    vec![
        ("x-expires", 60_000.into(), QUEUES),
        ("x-message-ttl", 60_000.into(), QUEUES),
        ("x-dead-letter-exchange", "dlx".into(), QUEUES),
        ("x-max-length", 1.into(), QUEUES),
        ("x-overflow", "drop-head".into(), QUEUES),
        ("x-single-active-consumer", true.into(), QUEUES),
        ("x-max-length-bytes", 1.into(), ALL),
        ("x-queue-leader-locator", "client-local".into(), ALL),
        ("x-max-priority", 1.into(), &["classic"]),
        ("x-queue-mode", "lazy".into(), &["classic"]),
        ("x-queue-version", 2.into(), &["classic"]),
        ("x-queue-master-locator", "min-masters".into(), &["classic"]),
        ("x-dead-letter-strategy", "at-most-once".into(), &["quorum"]),
        ("x-quorum-initial-group-size", 1.into(), &["quorum"]),
        ("x-max-in-memory-length", 1.into(), &["quorum"]),
        ("x-max-in-memory-bytes", 1.into(), &["quorum"]),
        ("x-max-age", "1D".into(), &["stream"]),
        ("x-stream-max-segment-size-bytes", 1_000_000.into(), &["stream"]),
        ("x-stream-filter-size-bytes", 16.into(), &["stream"]),
        ("x-initial-cluster-size", 1.into(), &["stream"]),
        // RabbitMQ has these for quorum queues only.
        ("x-delivery-limit", 5.into(), QUEUES),
        ("x-consumer-timeout", 60_000.into(), QUEUES),
        ("x-consumer-disconnected-timeout", 60_000.into(), QUEUES),
        ("x-delayed-retry-type", "all".into(), QUEUES),
        ("x-delayed-retry-min", 1.into(), QUEUES),
        ("x-delayed-retry-max", 1.into(), QUEUES),
        ("x-member-placement-tag", "tag".into(), &["quorum"]),
    ]
}

/// RabbitMQ 3.10 does not know some of them, and takes them for nothing at all.
fn is_known_to_peer(argument: &str, queue_type: &str) -> bool {
    const NEWER: [&str; 4] = ["x-consumer-", "x-delayed-retry", "x-member-placement", "x-stream-filter-size"];
    let is_older = argument == "x-queue-master-locator";
    let is_extension = ["x-delivery-limit", "x-queue-leader-locator"].contains(&argument) && queue_type == "classic";
    !is_older && !is_extension && !NEWER.iter().any(|prefix| argument.starts_with(prefix))
}

#[test]
fn each_type_knows_its_own_arguments() {
    let (channel, mut names) = (open_channel(), Names::new());
    for (argument, value, types) in arguments_by_types() {
        for queue_type in ["classic", "quorum", "stream"] {
            if peer() && !is_known_to_peer(argument, queue_type) {
                continue;
            }
            let queue = names.queue(argument);
            let arguments = table([("x-queue-type", queue_type.into()), (argument, value.clone())]);
            let declare = methods::queue_declare(&queue, &[Durable], &arguments);
            if types.contains(&queue_type) {
                channel.rpc(declare);
                channel.rpc(methods::queue_delete(&queue, &[]));
                continue;
            }
            let text = format!(
                "invalid arg '{argument}' for queue '{queue}' in vhost '/' of queue type rabbit_{queue_type}_queue"
            );
            channel.refuses(declare, 406, &text);
        }
    }
}

#[test]
fn values_of_quorum_queues_and_streams_are_judged() {
    let (channel, mut names) = (open_channel(), Names::new());
    let cases: [(&str, &str, Value, &str); 12] = [
        ("quorum", "x-dead-letter-strategy", "exactly-once".into(), "invalid_dlx_strategy"),
        ("quorum", "x-dead-letter-strategy", 1.into(), "{unacceptable_type,signedint}"),
        ("quorum", "x-delivery-limit", "few".into(), "\"expected integer, got longstr\""),
        ("quorum", "x-quorum-initial-group-size", 0.into(), "{value_zero,0}"),
        ("quorum", "x-max-in-memory-length", (-1).into(), "{value_negative,-1}"),
        ("quorum", "x-queue-leader-locator", "nowhere".into(), "invalid_queue_locator_arg"),
        ("classic", "x-queue-version", 3.into(), "\"unsupported queue version '3'\""),
        ("stream", "x-max-age", "1 day".into(), "invalid_max_age"),
        ("stream", "x-max-age", "D".into(), "invalid_max_age"),
        ("stream", "x-max-age", "12".into(), "invalid_max_age"),
        ("stream", "x-stream-max-segment-size-bytes", (-1).into(), "{value_negative,-1}"),
        ("stream", "x-initial-cluster-size", 0.into(), "{value_zero,0}"),
    ];
    for (queue_type, argument, value, reason) in cases {
        // 3.10 takes any delivery limit, and its channel crashes over an age without a number.
        if peer() && (argument == "x-delivery-limit" || value == Value::from("D")) {
            continue;
        }
        let queue = names.queue(argument);
        let arguments = table([("x-queue-type", queue_type.into()), (argument, value)]);
        let text = format!("invalid arg '{argument}' for queue '{queue}' in vhost '/': {reason}");
        channel.refuses(methods::queue_declare(&queue, &[Durable], &arguments), 406, &text);
    }
    for age in ["1Y", "2M", "30D", "12h", "5m", "10s"] {
        let queue = names.queue("aged");
        channel.declare(&queue, &[Durable], &table([("x-queue-type", "stream".into()), ("x-max-age", age.into())]));
    }
}

#[test]
fn the_filter_of_a_stream_has_16_to_255_octets() {
    if peer() {
        return println!("skipped: RabbitMQ 3.10 has no filters");
    }
    let (channel, mut names) = (open_channel(), Names::new());
    for (size, is_right) in [(15, false), (16, true), (255, true), (256, false)] {
        let queue = names.queue("filter");
        let arguments = table([("x-queue-type", "stream".into()), ("x-stream-filter-size-bytes", size.into())]);
        let declare = methods::queue_declare(&queue, &[Durable], &arguments);
        match is_right {
            true => drop(channel.rpc(declare)),
            false => channel.refuses(declare, 406, "Invalid value for x-stream-filter-size-bytes"),
        }
    }
}

#[test]
fn quorum_queues_and_streams_are_durable_shared_and_named() {
    let (channel, mut names) = (open_channel(), Names::new());
    for queue_type in ["quorum", "stream"] {
        let arguments = table([("x-queue-type", queue_type.into())]);
        let text = format!("Cannot declare a server-named queue for type rabbit_{queue_type}_queue");
        channel.refuses(methods::queue_declare("", &[Durable], &arguments), 406, &text);
        let refused: [(&[Flag], &str); 3] =
            [(&[Durable, AutoDelete], "auto-delete"), (&[Durable, Exclusive], "exclusive-owner"), (&[], "non-durable")];
        for (flags, property) in refused {
            let queue = names.queue("property");
            let text = format!("invalid property '{property}' for queue '{queue}' in vhost '/'");
            channel.refuses(methods::queue_declare(&queue, flags, &arguments), 406, &text);
        }
    }
}

#[test]
fn of_two_arguments_of_one_name_the_first_counts() {
    let channel = open_channel();
    let arguments = table([("x-max-length", 1.into()), ("x-max-length", 5.into())]);
    let queue = channel.declare("", &[Exclusive], &arguments).queue;
    (0..3).for_each(|_| channel.publish("", &queue, "x"));
    wait_until("two are dropped", || channel.counts(&queue).0 == 1);
    channel.declare(&unique("first"), &[Exclusive], &table([("x-expires", 60_000.into()), ("x-expires", 0.into())]));
}

#[test]
fn values_are_judged_before_arguments_of_other_types() {
    let arguments = table([("x-max-age", "1D".into()), ("x-max-length", (-1).into())]);
    refused_with(arguments, "x-max-length", "{value_negative,-1}");
}

#[test]
fn arguments_of_older_versions_are_accepted() {
    accepted(table([("x-queue-mode", "lazy".into())]));
    accepted(table([("x-queue-mode", "default".into())]));
    accepted(table([("x-queue-version", 2.into())]));
}

#[test]
fn unknown_arguments_are_accepted() {
    let odd = Value::Array(vec![Value::Void, table([("deep", Value::F64(0.5))]).into()]);
    accepted(table([("leveret", odd), ("", "nameless".into())]));
}

#[test]
fn arguments_of_an_existing_queue_are_compared_and_not_judged() {
    let (channel, queue) = (open_channel(), unique("existing"));
    channel.declare(&queue, &[Exclusive], &none());
    let text = format!(
        "inequivalent arg 'x-max-length' for queue '{queue}' in vhost '/': \
         received the value '-1' of type 'signedint' but current is none"
    );
    let arguments = table([("x-max-length", (-1).into())]);
    channel.refuses(methods::queue_declare(&queue, &[Exclusive], &arguments), 406, &text);
}
