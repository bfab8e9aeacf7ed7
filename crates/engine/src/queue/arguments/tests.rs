//! Texts are as RabbitMQ 3.10 sends them, except where 4.2 is known to differ.

use leveret_codec::table::{FieldTable, FieldValue};

use super::*;

fn text(text: &str) -> FieldValue {
    FieldValue::LongStr(text.as_bytes().into())
}

fn table(entries: &[(&str, FieldValue)]) -> FieldTable {
    FieldTable(entries.iter().map(|(name, value)| (name.as_bytes().into(), value.clone())).collect())
}

fn parse(entries: &[(&str, FieldValue)]) -> Result<QueueArguments, String> {
    QueueArguments::parse("q", "/", &table(entries)).map_err(|error| error.to_string())
}

fn of_type(queue_type: &str, name: &str, value: FieldValue) -> Result<QueueArguments, String> {
    parse(&[("x-queue-type", text(queue_type)), (name, value)])
}

#[test]
fn nothing_is_the_default() {
    assert_eq!(parse(&[]), Ok(QueueArguments::default()));
    assert_eq!(parse(&[("x-unknown", FieldValue::Void), ("foo", text("bar"))]), Ok(QueueArguments::default()));
}

#[test]
fn every_kept_argument_is_understood() {
    let classic = parse(&[
        ("x-queue-type", text("classic")),
        ("x-expires", FieldValue::U8(1)),
        ("x-message-ttl", FieldValue::I64(315_360_000_000)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
        ("x-max-length", FieldValue::U32(4_000_000_000)),
        ("x-max-length-bytes", FieldValue::I16(0)),
        ("x-overflow", text("reject-publish-dlx")),
        ("x-max-priority", FieldValue::U16(255)),
        ("x-single-active-consumer", FieldValue::Bool(true)),
        ("x-delivery-limit", FieldValue::I8(-1)),
        ("x-consumer-timeout", FieldValue::I32(60_000)),
        ("x-queue-mode", text("lazy")),
        ("x-queue-version", FieldValue::I32(1)),
        ("x-queue-master-locator", text("min-masters")),
        ("x-queue-leader-locator", text("balanced")),
    ]);
    let expected = QueueArguments {
        queue_type: QueueType::Classic,
        expires_ms: Some(1),
        message_ttl_ms: Some(315_360_000_000),
        dead_letter_exchange: Some("".into()),
        dead_letter_routing_key: Some((*b"dead").into()),
        max_length: Some(4_000_000_000),
        max_length_bytes: Some(0),
        overflow: Overflow::RejectPublishDlx,
        max_priority: Some(255),
        single_active_consumer: true,
        delivery_limit: Some(-1),
        consumer_timeout_ms: Some(60_000),
        ..QueueArguments::default()
    };
    assert_eq!(classic, Ok(expected));

    let quorum = of_type("quorum", "x-dead-letter-strategy", text("at-least-once")).unwrap();
    assert_eq!(quorum.queue_type, QueueType::Quorum);
    assert_eq!(quorum.dead_letter_strategy, DeadLetterStrategy::AtLeastOnce);

    let stream = parse(&[
        ("x-queue-type", text("stream")),
        ("x-max-age", text("2h")),
        ("x-stream-max-segment-size-bytes", FieldValue::I32(1000)),
        ("x-stream-filter-size-bytes", FieldValue::I32(16)),
    ])
    .unwrap();
    assert_eq!(stream.max_age_ms, Some(7_200_000));
    assert_eq!(stream.stream_max_segment_size_bytes, Some(1000));
    assert_eq!(stream.stream_filter_size_bytes, Some(16));
}

#[test]
fn refused_values() {
    let examples = [
        ("x-expires", text("foo"), "\"expected integer, got longstr\""),
        ("x-expires", FieldValue::F64(1.0), "\"expected integer, got double\""),
        ("x-expires", FieldValue::Timestamp(5), "\"expected integer, got timestamp\""),
        ("x-expires", FieldValue::Decimal { scale: 1, value: 15 }, "\"expected integer, got decimal\""),
        ("x-expires", FieldValue::I32(0), "{value_zero,0}"),
        ("x-expires", FieldValue::I32(-10), "{value_negative,-10}"),
        ("x-expires", FieldValue::I64(315_360_000_001), "{value_too_large,315360000001}"),
        ("x-message-ttl", FieldValue::I32(-10), "{value_negative,-10}"),
        ("x-message-ttl", FieldValue::I64(315_360_000_001), "{value_too_large,315360000001}"),
        ("x-max-length", FieldValue::Void, "\"expected integer, got void\""),
        ("x-max-length-bytes", FieldValue::I8(-1), "{value_negative,-1}"),
        ("x-max-priority", FieldValue::I64(300), "{max_value_exceeded,300}"),
        ("x-max-priority", FieldValue::I32(-10), "{value_negative,-10}"),
        ("x-dead-letter-routing-key", text("foo"), "routing_key_but_no_dlx_defined"),
        ("x-dead-letter-routing-key", FieldValue::I32(0), "{unacceptable_type,signedint}"),
        ("x-overflow", text("foo"), "invalid_overflow"),
        ("x-overflow", FieldValue::ByteArray((*b"drop-head").into()), "{unacceptable_type,binary}"),
        ("x-single-active-consumer", FieldValue::I32(7), "{unacceptable_type,signedint}"),
        ("x-queue-version", FieldValue::I32(0), "\"unsupported queue version '0'\""),
        ("x-queue-version", FieldValue::I32(-10), "{value_negative,-10}"),
        ("x-queue-mode", text("foo"), "\"unsupported queue mode 'foo'\""),
        ("x-queue-mode", FieldValue::Array(vec![]), "{unacceptable_type,array}"),
        ("x-queue-type", text("foo"), "\"unsupported queue type 'foo'\""),
        ("x-queue-type", FieldValue::Bool(true), "{unacceptable_type,bool}"),
        ("x-queue-leader-locator", text("foo"), "invalid_queue_locator_arg"),
    ];
    for (name, value, reason) in examples {
        let expected = format!("invalid arg '{name}' for queue 'q' in vhost '/': {reason}");
        assert_eq!(parse(&[(name, value)]), Err(expected));
    }
}

#[test]
fn refused_values_of_one_type() {
    let examples = [
        ("quorum", "x-quorum-initial-group-size", FieldValue::I32(0), "{value_zero,0}"),
        ("quorum", "x-quorum-initial-group-size", FieldValue::I32(-1), "{value_negative,-1}"),
        ("quorum", "x-max-in-memory-length", text("a"), "\"expected integer, got longstr\""),
        ("quorum", "x-dead-letter-strategy", text("foo"), "invalid_dlx_strategy"),
        ("quorum", "x-dead-letter-strategy", FieldValue::I32(1), "{unacceptable_type,signedint}"),
        ("stream", "x-initial-cluster-size", FieldValue::I32(0), "{value_zero,0}"),
        ("stream", "x-stream-max-segment-size-bytes", FieldValue::I32(-1), "{value_negative,-1}"),
        ("stream", "x-max-age", FieldValue::I32(1), "{unacceptable_type,signedint}"),
        ("stream", "x-max-age", text("0D"), "invalid_max_age"),
        ("stream", "x-max-age", text("12"), "invalid_max_age"),
        ("stream", "x-max-age", text("12d"), "invalid_max_age"),
        ("stream", "x-max-age", text("D"), "invalid_max_age"),
        ("stream", "x-max-age", text(""), "invalid_max_age"),
    ];
    for (queue_type, name, value, reason) in examples {
        let expected = format!("invalid arg '{name}' for queue 'q' in vhost '/': {reason}");
        assert_eq!(of_type(queue_type, name, value), Err(expected));
    }
    let size = of_type("stream", "x-stream-filter-size-bytes", FieldValue::I32(256));
    assert_eq!(size, Err("Invalid value for x-stream-filter-size-bytes".to_owned()));
}

#[test]
fn a_dead_letter_exchange_has_a_text_of_its_own() {
    let expected = "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'";
    let refused = parse(&[("x-queue-type", text("foo")), ("x-dead-letter-exchange", FieldValue::I32(1))]);
    assert_eq!(refused, Err(expected.to_owned()), "and goes before the queue's type");
}

#[test]
fn arguments_of_other_types() {
    let examples = [
        ("quorum", "x-max-priority", FieldValue::I32(1000)),
        ("quorum", "x-queue-mode", text("lazy")),
        ("quorum", "x-queue-version", FieldValue::I32(2)),
        ("quorum", "x-max-age", text("1D")),
        ("classic", "x-dead-letter-strategy", text("at-least-once")),
        ("classic", "x-max-age", text("1D")),
        ("stream", "x-message-ttl", FieldValue::I32(1)),
        ("stream", "x-single-active-consumer", FieldValue::Bool(true)),
    ];
    for (queue_type, name, value) in examples {
        let expected =
            format!("invalid arg '{name}' for queue 'q' in vhost '/' of queue type rabbit_{queue_type}_queue");
        assert_eq!(of_type(queue_type, name, value), Err(expected));
    }
}

#[test]
fn order_of_checks() {
    let type_first = parse(&[("x-expires", FieldValue::I32(0)), ("x-queue-type", text("foo"))]);
    assert!(type_first.unwrap_err().contains("x-queue-type"));
    let value_before_foreign = parse(&[("x-max-age", text("1D")), ("x-expires", FieldValue::I32(0))]);
    assert!(value_before_foreign.unwrap_err().contains("x-expires"));
    let in_their_own_order = parse(&[("x-max-priority", FieldValue::I32(300)), ("x-expires", FieldValue::I32(0))]);
    assert!(in_their_own_order.unwrap_err().contains("x-expires"));
    let foreign_as_sent = parse(&[("x-max-age", text("1D")), ("x-dead-letter-strategy", text("at-most-once"))]);
    assert!(foreign_as_sent.unwrap_err().contains("x-max-age"));
}

#[test]
fn properties_that_a_type_cannot_have() {
    let properties =
        |durable, exclusive, auto_delete| QueueProperties { durable, exclusive, auto_delete, server_named: false };
    let refusal = |queue_type: &str, properties: &QueueProperties| {
        let arguments = parse(&[("x-queue-type", text(queue_type))]).unwrap();
        arguments.check_properties("q", "/", properties).map_err(|error| error.to_string())
    };
    for queue_type in ["quorum", "stream"] {
        let property = |name| Err(format!("invalid property '{name}' for queue 'q' in vhost '/'"));
        assert_eq!(refusal(queue_type, &properties(true, false, false)), Ok(()));
        assert_eq!(refusal(queue_type, &properties(false, false, false)), property("non-durable"));
        assert_eq!(refusal(queue_type, &properties(false, true, false)), property("exclusive-owner"));
        assert_eq!(refusal(queue_type, &properties(false, true, true)), property("auto-delete"));
        let server_named = QueueProperties { server_named: true, ..properties(false, false, false) };
        let text = format!("Cannot declare a server-named queue for type rabbit_{queue_type}_queue");
        assert_eq!(refusal(queue_type, &server_named), Err(text));
    }
    let anything = QueueProperties { server_named: true, ..properties(false, true, true) };
    assert_eq!(refusal("classic", &anything), Ok(()));
}

fn redeclared(current: &[(&str, FieldValue)], received: &[(&str, FieldValue)]) -> Result<(), String> {
    check_equivalent_queue("q", "/", &table(current), &table(received), false).map_err(|error| error.to_string())
}

#[test]
fn the_type_may_be_left_out_of_the_comparison() {
    let text = |text: &str| FieldValue::LongStr(text.as_bytes().into());
    let mut quorum = FieldTable::default();
    quorum.push(&b"x-queue-type"[..], text("quorum"));
    let mut other = FieldTable::default();
    other.push(&b"x-queue-type"[..], text("classic"));
    assert!(check_equivalent_queue("q", "/", &quorum, &other, false).is_err());
    assert_eq!(check_equivalent_queue("q", "/", &quorum, &other, true), Ok(()));
    other.push(&b"x-max-length"[..], FieldValue::I32(5));
    assert!(check_equivalent_queue("q", "/", &quorum, &other, true).is_err());
}

#[test]
fn inequivalent_arguments() {
    let (none, max) = (&[][..], |value| [("x-max-length", value)]);
    let dlx = |name| [("x-dead-letter-exchange", text(name))];
    let nested = FieldValue::Table(table(&[("a", FieldValue::I32(1))]));
    let array = FieldValue::Array(vec![FieldValue::I32(1), text("x")]);
    let fifteen = max(FieldValue::I32(15));
    let examples = [
        (none, &max(FieldValue::I32(1000))[..], "received the value '1000' of type 'signedint' but current is none"),
        (&max(FieldValue::I64(1000)), none, "received none but current is the value '1000' of type 'long'"),
        (&max(FieldValue::I32(1000)), &max(FieldValue::I32(2000)), "received '2000' but current is '1000'"),
        (&fifteen, &max(FieldValue::F64(15.0)), "received '15.0' but current is '15'"),
        (&fifteen, &max(FieldValue::F64(1e20)), "received '1.0e20' but current is '15'"),
        (&fifteen, &max(text("15")), "received '15' but current is '15'"),
        (&fifteen, &max(FieldValue::Void), "received none but current is '15'"),
        (&fifteen, &max(nested.clone()), "received '[{<<\"a\">>,signedint,1}]' but current is '15'"),
        (&fifteen, &max(FieldValue::Bool(true)), "received 'true' but current is '15'"),
        (none, &max(FieldValue::Void), "received the value 'undefined' of type 'void' but current is none"),
        (none, &max(nested), "received the value '[{<<\"a\">>,signedint,1}]' of type 'table' but current is none"),
        (
            none,
            &max(array),
            "received the value '[{signedint,1},{longstr,<<\"x\">>}]' of type 'array' but current is none",
        ),
        (
            none,
            &max(FieldValue::Decimal { scale: 1, value: 15 }),
            "received the value '{1,15}' of type 'decimal' but current is none",
        ),
        (none, &max(FieldValue::F32(1.5)), "received the value '1.5' of type 'float' but current is none"),
        (&dlx("é"), &dlx("b"), "received 'b' but current is 'é'"),
    ];
    for (current, received, expected) in examples {
        let name = current.first().or(received.first()).unwrap().0;
        let expected = format!("inequivalent arg '{name}' for queue 'q' in vhost '/': {expected}");
        assert_eq!(redeclared(current, received), Err(expected));
    }
}

#[test]
fn the_first_inequivalent_argument_is_by_the_type_s_own_order() {
    let received = [("x-max-length", FieldValue::I32(1)), ("x-expires", FieldValue::I32(10))];
    assert!(redeclared(&[], &received).unwrap_err().contains("x-expires"));
}

#[test]
fn equivalent_arguments() {
    let max = |value| [("x-max-length", value)];
    let dlx = |value| [("x-dead-letter-exchange", value)];
    let unknown = [("foo", text("bar")), ("x-foo", FieldValue::Void), ("x-max-age", text("1D"))];
    assert_eq!(redeclared(&max(FieldValue::I32(100)), &max(FieldValue::I64(100))), Ok(()));
    assert_eq!(redeclared(&max(FieldValue::I32(100)), &max(FieldValue::U8(100))), Ok(()));
    assert_eq!(redeclared(&max(FieldValue::I32(15)), &max(FieldValue::Timestamp(15))), Ok(()));
    assert_eq!(redeclared(&max(FieldValue::F32(1.5)), &max(FieldValue::F64(1.5))), Ok(()));
    assert_eq!(redeclared(&dlx(text("a")), &dlx(FieldValue::ByteArray((*b"a").into()))), Ok(()));
    assert_eq!(redeclared(&[], &unknown), Ok(()));
    assert_eq!(redeclared(&unknown, &[]), Ok(()));
    assert_eq!(redeclared(&[], &[("x-queue-type", text("classic"))]), Ok(()));
    assert_eq!(redeclared(&[("x-queue-type", text("classic"))], &[]), Ok(()));
}

/// RabbitMQ 4 adds the default type to every declaration, so that both sides have one; 3.10 says that there is none.
#[test]
fn the_type_left_out_is_the_default_one() {
    let quorum = [("x-queue-type", text("quorum"))];
    let start = "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': ";
    assert_eq!(redeclared(&[], &quorum), Err(format!("{start}received 'quorum' but current is 'classic'")));
    assert_eq!(redeclared(&quorum, &[]), Err(format!("{start}received 'classic' but current is 'quorum'")));
}

#[test]
fn properties_and_arguments_of_exchanges() {
    let refusal = |result: Result<(), ArgumentError>| result.map_err(|error| error.to_string());
    let kind = check_same("exchange", "x", "/", "type", "direct", "topic");
    let expected = "inequivalent arg 'type' for exchange 'x' in vhost '/': received 'topic' but current is 'direct'";
    assert_eq!(refusal(kind), Err(expected.to_owned()));
    assert_eq!(refusal(check_same("exchange", "x", "/", "durable", "true", "true")), Ok(()));

    let keys: &[&[u8]] = &[b"alternate-exchange"];
    let foo = table(&[("alternate-exchange", text("foo")), ("other", FieldValue::Void)]);
    let changed = check_equivalent("exchange", "x", "/", keys, &foo, &FieldTable::default());
    let expected = "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received none but current is \
                    the value 'foo' of type 'longstr'";
    assert_eq!(refusal(changed), Err(expected.to_owned()));

    assert_eq!(refusal(check_alternate_exchange("x", "/", &foo)), Ok(()));
    let number = check_alternate_exchange("x", "/", &table(&[("alternate-exchange", FieldValue::I32(1))]));
    let expected = "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '/'";
    assert_eq!(refusal(number), Err(expected.to_owned()));
}

#[test]
fn bytes_that_are_no_text_are_shown_as_well_as_can_be() {
    let name = FieldValue::LongStr([0xff, b'a'].into());
    let refused = redeclared(&[], &[("x-dead-letter-exchange", name)]).unwrap_err();
    assert!(refused.ends_with("received the value '\u{fffd}a' of type 'longstr' but current is none"), "{refused}");
}

#[test]
fn a_minimum_or_a_type_delays_what_comes_back() {
    let retry =
        |entries: &[(&str, FieldValue)]| QueueArguments::parse("q", "/", &table(entries)).unwrap().delayed_retry;
    let (min, max) = (("x-delayed-retry-min", FieldValue::I32(5)), ("x-delayed-retry-max", FieldValue::I32(9)));
    let of_type = |name: &str| ("x-delayed-retry-type", text(name));
    let delayed = |retry_type, min_ms, max_ms| Some(DelayedRetry { retry_type, min_ms, max_ms });
    assert_eq!(retry(&[]), None);
    assert_eq!(retry(std::slice::from_ref(&max)), None);
    assert_eq!(retry(&[min.clone(), of_type("disabled")]), None);
    assert_eq!(retry(std::slice::from_ref(&min)), delayed(RetryType::All, 5, u64::MAX));
    assert_eq!(retry(&[min, max, of_type("failed")]), delayed(RetryType::Failed, 5, 9));
    assert_eq!(retry(&[of_type("returned")]), delayed(RetryType::Returned, RETRY_MIN_MS, u64::MAX));
    let refused = QueueArguments::parse("q", "/", &table(&[of_type("sometimes")])).unwrap_err().to_string();
    assert_eq!(refused, "invalid arg 'x-delayed-retry-type' for queue 'q' in vhost '/': invalid_delayed_retry_type");
}
