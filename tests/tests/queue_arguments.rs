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
