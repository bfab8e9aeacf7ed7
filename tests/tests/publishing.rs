//! What is checked when a message is published, what comes back, and what a consumer finds in it.

use leveret_tests::prelude::*;

fn publish(exchange: &str, key: &str, flags: &[Flag], props: &Props) -> Method {
    methods::publish(exchange, key, flags, props, b"body")
}

// Checks

#[test]
fn a_missing_exchange_closes_the_channel() {
    let channel = open_channel();
    let text = "no exchange 'leveret-missing' in vhost '/'";
    channel.refuses(publish("leveret-missing", "key", &[], &Props::default()), 404, text);
}

#[test]
fn publishes_behind_a_failed_one_are_dropped() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish("", &queue, "before");
    channel.publish("leveret-missing", "", "failing");
    for _ in 0..10 {
        channel.publish("", &queue, "behind");
    }
    channel.expect_close(404, "no exchange 'leveret-missing' in vhost '/'", ids::BASIC_PUBLISH);
    channel.open();
    assert_eq!(channel.drain(&queue), ["before"]);
}

#[test]
fn an_expiration_must_be_a_number_of_milliseconds() {
    let channel = open_channel();
    let cases = [
        ("abc", "no_integer"),
        ("", "no_integer"),
        ("12foobar", "{leftover_string,\"foobar\"}"),
        ("-1", "{value_negative,-1}"),
        ("315360000001", "{value_too_large,315360000001}"),
    ];
    for (expiration, reason) in cases {
        let props = Props { expiration: Some(expiration.to_owned()), ..Props::default() };
        let text = format!("invalid expiration '{expiration}': {reason}");
        // Unroutable messages are checked like all others.
        channel.refuses(publish("", "leveret-missing", &[], &props), 406, &text);
    }
    for expiration in ["0", "1000", "315360000000"] {
        let props = Props { expiration: Some(expiration.to_owned()), ..Props::default() };
        channel.send(publish("", "leveret-missing", &[], &props));
    }
    channel.sync();
}

#[test]
fn a_user_id_must_be_the_name_of_the_user() {
    let (channel, broker) = (open_channel(), Broker::shared());
    let queue = channel.exclusive_queue();
    let with = |user: &str| Props { user_id: Some(user.to_owned()), ..Props::default() };
    let text = format!("user_id property set to 'leveret-other' but authenticated user was '{}'", broker.user());
    channel.refuses(publish("", &queue, &[], &with("leveret-other")), 406, &text);
    channel.send(publish("", &queue, &[], &with(broker.user())));
    assert_eq!(channel.get(&queue).unwrap().props.user_id.as_deref(), Some(broker.user()));
}

#[test]
fn the_first_failing_check_is_told() {
    let (channel, mut names) = (open_channel(), Names::new());
    let internal = names.exchange("internal");
    channel.exchange(&internal, "fanout", &[Internal], &none());
    let everything_wrong = Props {
        expiration: Some("abc".to_owned()),
        user_id: Some("leveret-other".to_owned()),
        headers: Some(table([("CC", 1.into())])),
        ..Props::default()
    };
    channel.refuses(
        publish("leveret-missing", "", &[], &everything_wrong),
        404,
        "no exchange 'leveret-missing' in vhost '/'",
    );
    let text = format!("cannot publish to internal exchange '{internal}' in vhost '/'");
    channel.refuses(publish(&internal, "", &[], &everything_wrong), 403, &text);
}

#[test]
fn an_exchange_is_looked_for_before_a_reply_consumer() {
    let channel = open_channel();
    let props = Props { reply_to: Some("amq.rabbitmq.reply-to".to_owned()), ..Props::default() };
    let text = "no exchange 'leveret-missing' in vhost '/'";
    channel.refuses(publish("leveret-missing", "", &[], &props), 404, text);
    let props = Props { expiration: Some("abc".to_owned()), ..props };
    channel.refuses(publish("amq.direct", "", &[], &props), 406, "fast reply consumer does not exist");
}

#[test]
fn expiration_then_copies_then_user_are_checked() {
    // 3.10 checks the user before the rest.
    if peer() {
        return;
    }
    let channel = open_channel();
    let expiration = Some("abc".to_owned());
    let user_id = Some("leveret-other".to_owned());
    let headers = Some(table([("CC", 1.into())]));
    let mut props = Props { expiration, user_id, headers, ..Props::default() };
    channel.refuses(publish("", "", &[], &props), 406, "invalid expiration 'abc': no_integer");
    props.expiration = None;
    let text = "invalid message: {unacceptable_type_in_header,\"CC\",signedint}";
    channel.refuses(publish("", "", &[], &props), 406, text);
    props.headers = None;
    let text = "user_id property set to 'leveret-other' but authenticated user was 'guest'";
    channel.refuses(publish("", "", &[], &props), 406, text);
}

// Mandatory

#[test]
fn a_mandatory_message_without_a_queue_comes_back_whole() {
    let channel = open_channel();
    let props = Props {
        content_type: Some("text/plain".to_owned()),
        headers: Some(table([("n", 1.into())])),
        message_id: Some("m-1".to_owned()),
        ..Props::persistent()
    };
    channel.publish_with("amq.direct", "leveret-missing", &[Mandatory], &props, "come back");
    let returned = channel.returned();
    assert_eq!((returned.code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
    assert_eq!((returned.exchange.as_str(), returned.routing_key.as_str()), ("amq.direct", "leveret-missing"));
    assert_eq!((returned.props, returned.body), (props, b"come back".to_vec()));
}

#[test]
fn an_empty_mandatory_message_comes_back_empty() {
    let channel = open_channel();
    channel.publish_with("", "leveret-missing", &[Mandatory], &Props::default(), "");
    assert_eq!(channel.returned().body, b"");
}

#[test]
fn a_message_that_is_not_mandatory_is_dropped_silently() {
    let channel = open_channel();
    channel.publish("", "leveret-missing", "dropped");
    channel.publish("amq.fanout", "", "dropped");
    channel.expect_silence();
}

#[test]
fn a_routed_mandatory_message_does_not_come_back() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish_with("", &queue, &[Mandatory], &Props::default(), "kept");
    channel.expect_silence();
    assert_eq!(channel.drain(&queue), ["kept"]);
}

#[test]
fn a_returned_message_names_only_the_key_of_the_publish() {
    let channel = open_channel();
    let headers = table([("CC", ["leveret-missing-too"].into()), ("BCC", ["leveret-secret"].into())]);
    channel.publish_with("", "leveret-missing", &[Mandatory], &Props::with_headers(headers), "x");
    let returned = channel.returned();
    assert_eq!(returned.routing_key, "leveret-missing");
    let headers = returned.props.headers.unwrap();
    assert_eq!(headers.get("CC"), Some(&["leveret-missing-too"].into()));
    assert_eq!(headers.get("BCC"), None, "nobody sees who got a blind copy");
}

#[test]
fn returns_come_in_the_order_of_the_publishes() {
    let channel = open_channel();
    for number in 0..100 {
        channel.publish_with("", "leveret-missing", &[Mandatory], &Props::default(), &number.to_string());
    }
    for number in 0..100 {
        assert_eq!(channel.returned().body, number.to_string().into_bytes());
    }
}

// What gets through

#[test]
fn all_properties_arrive_as_they_were() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let props = Props {
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("gzip".to_owned()),
        headers: Some(table([("a", "b".into())])),
        delivery_mode: Some(2),
        priority: Some(9),
        correlation_id: Some("correlation".to_owned()),
        reply_to: Some("reply".to_owned()),
        expiration: Some("60000".to_owned()),
        message_id: Some("message".to_owned()),
        timestamp: Some(u64::MAX),
        type_: Some("type".to_owned()),
        user_id: Some(Broker::shared().user().to_owned()),
        app_id: Some("app".to_owned()),
        cluster_id: Some("cluster".to_owned()),
    };
    channel.publish_with("", &queue, &[], &props, "everything");
    assert_eq!(channel.get(&queue).unwrap().props, props);
    channel.consume(&queue);
    channel.publish_with("", &queue, &[], &props, "everything");
    assert_eq!(channel.delivery().props, props);
}

#[test]
fn absent_properties_stay_absent() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish("", &queue, "bare");
    assert_eq!(channel.get(&queue).unwrap().props, Props::default());
}

#[test]
fn odd_property_values_are_not_judged() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let odd = Props {
        // 3.10 knows only the modes 1 and 2.
        delivery_mode: Some(if peer() { 1 } else { 7 }),
        priority: Some(255),
        timestamp: Some(0),
        content_type: Some(String::new()),
        type_: Some("x".repeat(255)),
        headers: Some(none()),
        ..Props::default()
    };
    channel.publish_with("", &queue, &[], &odd, "odd");
    assert_eq!(channel.get(&queue).unwrap().props, odd);
}

#[test]
fn header_values_of_every_type_arrive_as_they_were() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let headers = table([
        ("A", Value::Array(vec![1.into(), "two".into(), Value::Void, Value::Array(vec![])])),
        ("B", Value::U8(255)),
        ("D", Value::Decimal(2, 31_415)),
        ("F", table([("inner", table([("innermost", true.into())]).into())]).into()),
        ("I", Value::I32(i32::MIN)),
        ("S", Value::Str(vec![0, 0xFF, b'x'])),
        ("T", Value::Time(1_700_000_000)),
        ("V", Value::Void),
        ("b", Value::I8(-128)),
        ("d", Value::F64(-0.1)),
        ("f", Value::F32(0.5)),
        ("i", Value::U32(u32::MAX)),
        ("l", Value::I64(i64::MIN)),
        ("s", Value::I16(i16::MIN)),
        ("t", Value::Bool(true)),
        ("u", Value::U16(u16::MAX)),
        ("x", Value::Bytes(vec![0, 1, 2, 255])),
    ]);
    channel.publish_with("", &queue, &[], &Props::with_headers(headers.clone()), "types");
    assert_eq!(channel.get(&queue).unwrap().props.headers, Some(headers));
}

/// RabbitMQ 4 sorts them and keeps the first of each name; 3.10 leaves them alone, too.
#[test]
fn headers_keep_their_order_and_their_doubles() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let headers = table([("z", 1.into()), ("a", 2.into()), ("z", 3.into()), ("", 4.into())]);
    channel.publish_with("", &queue, &[], &Props::with_headers(headers.clone()), "in order");
    assert_eq!(channel.get(&queue).unwrap().props.headers, Some(headers));
}

#[test]
fn bodies_of_any_octets_arrive_as_they_were() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let every_octet: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for body in [Vec::new(), vec![0], vec![0xCE; 300], every_octet] {
        channel.send(methods::publish("", &queue, &[], &Props::default(), &body));
        assert_eq!(channel.get(&queue).unwrap().body, body);
    }
}

#[test]
fn a_large_message_arrives_whole() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let body: Vec<u8> = (0..=250).cycle().take(20 << 20).collect();
    channel.send(methods::publish("", &queue, &[], &Props::default(), &body));
    let message = channel.get(&queue).unwrap();
    assert!(message.body == body, "20 MiB differ");
    channel.ack(message.delivery_tag);
}

#[test]
fn each_queue_has_its_messages_in_the_order_of_the_publishes() {
    let channel = open_channel();
    let (one, other) = (channel.exclusive_queue(), channel.exclusive_queue());
    let key = unique("order");
    channel.bind(&one, "amq.direct", &key);
    channel.bind(&other, "amq.direct", &key);
    let expected: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    expected.iter().for_each(|text| channel.publish("amq.direct", &key, text));
    assert_eq!(channel.drain(&one), expected);
    assert_eq!(channel.drain(&other), expected);
}
