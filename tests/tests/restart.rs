//! What comes back when a broker is started again on its data directory, and what does not.
//!
//! Each scenario runs twice: the broker is stopped in peace, and it is killed. [`seal`] stands before the end, because
//! acknowledgements and what is sent without confirms may be lost with a process that is killed at once.

use leveret_tests::prelude::*;

/// Does something, ends the broker, starts another one on the same directory and looks at it.
fn across_a_restart(test: &str, before: impl Fn(&Channel), after: impl Fn(&Channel)) {
    if skip_without_home(test) {
        return;
    }
    for stop in [Stop::Term, Stop::Kill] {
        println!("{test}: {stop:?}");
        let home = Home::new();
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        before(&channel);
        seal(&channel);
        broker.end(stop);
        let broker = home.start();
        after(&Connection::open(&broker).channel(1));
    }
}

fn durable(channel: &Channel, queue: &str) {
    channel.declare(queue, &[Durable], &none());
}

/// Publishes persistent messages with these texts.
fn publish(channel: &Channel, queue: &str, texts: &[&str]) {
    for text in texts {
        channel.publish_with("", queue, &[], &Props::persistent(), text);
    }
}

/// Fetches without acknowledging.
fn get(channel: &Channel, queue: &str, count: usize) -> Vec<Delivery> {
    (0..count).map(|_| channel.get(queue).expect("a message is there")).collect()
}

/// Takes everything in a queue and checks text and redelivered flag of each message.
fn assert_marks(channel: &Channel, queue: &str, expected: &[(&str, bool)]) {
    let mut marks = Vec::new();
    while let Some(message) = channel.get_with(queue, &[NoAck]) {
        marks.push((message.text(), message.redelivered));
    }
    let expected: Vec<(String, bool)> = expected.iter().map(|(text, mark)| ((*text).to_owned(), *mark)).collect();
    if peer() {
        // 3.10 marks every message when it was killed.
        for (expected, mark) in expected.iter().zip(&mut marks) {
            mark.1 &= expected.1;
        }
    }
    assert_eq!(marks, expected);
}

// Queues

/// Every argument that says something about a classic queue.
fn queue_arguments() -> Vec<(&'static str, Table)> {
    vec![
        ("plain", none()),
        ("ttl", table([("x-message-ttl", 3_600_000.into()), ("x-expires", Value::I64(7_200_000))])),
        ("length", table([("x-max-length", Value::U16(10)), ("x-max-length-bytes", Value::I64(1 << 40))])),
        ("overflow", table([("x-max-length", 2.into()), ("x-overflow", "reject-publish".into())])),
        ("letters", table([("x-dead-letter-exchange", "".into()), ("x-dead-letter-routing-key", "plain".into())])),
        ("single", table([("x-single-active-consumer", Value::Bool(true))])),
        ("mode", table([("x-queue-mode", "lazy".into()), ("x-queue-type", "classic".into())])),
        ("unknown", table([("x-nobody-knows", table([("deep", ["a", "b"].into())]).into())])),
    ]
}

#[test]
fn durable_queues_come_back_with_their_arguments() {
    across_a_restart(
        "durable_queues_come_back_with_their_arguments",
        |channel| {
            for (queue, arguments) in queue_arguments() {
                channel.declare(queue, &[Durable], &arguments);
            }
        },
        |channel| {
            for (queue, arguments) in queue_arguments() {
                assert!(channel.has_queue(queue), "{queue}");
                // Only an equal declaration is accepted.
                assert_eq!(channel.declare(queue, &[Durable], &arguments).message_count, 0);
            }
            let text = "inequivalent arg 'x-max-length' for queue 'length' in vhost '/': received none but current is the value '10' of type 'unsignedshort'";
            if !peer() {
                channel.refuses(methods::queue_declare("length", &[Durable], &none()), 406, text);
            }
            channel.send(methods::queue_declare("plain", &[], &none()));
            assert_eq!(channel.reply(&[ids::CHANNEL_CLOSE]).args.short(), 406, "it is still durable");
        },
    );
}

#[test]
fn arguments_are_in_force_after_a_restart() {
    across_a_restart(
        "arguments_are_in_force_after_a_restart",
        |channel| {
            let limit = |overflow: &str| table([("x-max-length", 2.into()), ("x-overflow", overflow.into())]);
            channel.declare("rejecting", &[Durable], &limit("reject-publish"));
            channel.declare("dropping", &[Durable], &limit("drop-head"));
            for queue in ["rejecting", "dropping"] {
                publish(channel, queue, &["1", "2"]);
            }
            channel.sync();
        },
        |channel| {
            channel.rpc(methods::confirm_select(&[]));
            publish(channel, "rejecting", &["3"]);
            assert_eq!(channel.confirms(1, 1).get(&1), Some(&false), "the queue is still full");
            publish(channel, "dropping", &["3"]);
            assert_eq!(channel.confirms(2, 2).get(&2), Some(&true));
            assert_eq!(channel.drain("rejecting"), ["1", "2"]);
            assert_eq!(channel.drain("dropping"), ["2", "3"]);
        },
    );
}

#[test]
fn what_is_not_durable_is_gone() {
    across_a_restart(
        "what_is_not_durable_is_gone",
        |channel| {
            channel.declare("passing", &[], &none());
            channel.declare("mine", &[Durable, Exclusive], &none());
            channel.exchange("passing", "fanout", &[], &none());
            channel.exchange("staying", "fanout", &[Durable], &none());
            channel.bind("passing", "staying", "");
            channel.bind("mine", "staying", "");
            durable(channel, "kept");
            channel.bind("kept", "passing", "");
            publish(channel, "passing", &["lost"]);
            publish(channel, "mine", &["lost"]);
            channel.sync();
        },
        |channel| {
            for queue in ["passing", "mine"] {
                assert!(!channel.has_queue(queue), "{queue}");
            }
            assert!(!channel.has_exchange("passing"));
            assert!(channel.has_exchange("staying"));
            // The bindings are gone with one of their ends, also when that end is made anew.
            channel.declare("passing", &[], &none());
            channel.exchange("passing", "fanout", &[], &none());
            channel.publish("staying", "", "to nobody");
            channel.publish("passing", "", "to nobody");
            assert_eq!(channel.counts("passing"), (0, 0));
            assert_eq!(channel.counts("kept"), (0, 0));
        },
    );
}

#[test]
fn durable_auto_delete_entities_come_back() {
    across_a_restart(
        "durable_auto_delete_entities_come_back",
        |channel| {
            for queue in ["unused", "used"] {
                channel.declare(queue, &[Durable, AutoDelete], &none());
            }
            for exchange in ["unused", "used"] {
                channel.exchange(exchange, "direct", &[Durable, AutoDelete], &none());
            }
            let tag = channel.consume("used");
            channel.rpc(methods::cancel(&tag, &[]));
            channel.bind("unused", "used", "key");
            channel.rpc(methods::queue_unbind("unused", "used", "key", &none()));
            channel.bind("unused", "unused", "key");
            publish(channel, "unused", &["kept"]);
            channel.sync();
        },
        |channel| {
            assert!(!channel.has_queue("used") && !channel.has_exchange("used"));
            channel.publish("unused", "key", "routed");
            assert_eq!(channel.drain("unused"), ["kept", "routed"]);
            // They are auto-delete still.
            let tag = channel.consume("unused");
            channel.rpc(methods::cancel(&tag, &[]));
            assert!(!channel.has_queue("unused") && !channel.has_exchange("unused"));
        },
    );
}

#[test]
fn what_was_deleted_stays_deleted() {
    across_a_restart(
        "what_was_deleted_stays_deleted",
        |channel| {
            for queue in ["deleted", "remade", "kept"] {
                durable(channel, queue);
                publish(channel, queue, &["old"]);
            }
            channel.exchange("deleted", "fanout", &[Durable], &none());
            channel.exchange("kept", "fanout", &[Durable], &none());
            for queue in ["deleted", "remade", "kept"] {
                channel.bind(queue, "kept", "");
            }
            channel.rpc(methods::queue_unbind("kept", "kept", "", &none()));
            channel.rpc(methods::exchange_delete("deleted", &[]));
            for queue in ["deleted", "remade"] {
                channel.rpc(methods::queue_delete(queue, &[]));
            }
            durable(channel, "remade");
            publish(channel, "remade", &["new"]);
            channel.sync();
        },
        |channel| {
            assert!(!channel.has_queue("deleted") && !channel.has_exchange("deleted"));
            channel.publish("kept", "", "to nobody");
            assert_eq!(channel.drain("remade"), ["new"]);
            assert_eq!(channel.drain("kept"), ["old"]);
        },
    );
}

// Exchanges and bindings

#[test]
fn durable_exchanges_come_back_with_type_flags_and_arguments() {
    across_a_restart(
        "durable_exchanges_come_back_with_type_flags_and_arguments",
        |channel| {
            for kind in ["direct", "fanout", "topic", "headers"] {
                channel.exchange(kind, kind, &[Durable], &none());
            }
            channel.exchange("internal", "direct", &[Durable, Internal], &none());
            channel.exchange("alternate", "direct", &[Durable], &table([("alternate-exchange", "fanout".into())]));
            durable(channel, "unrouted");
            channel.bind("unrouted", "fanout", "");
        },
        |channel| {
            for kind in ["direct", "fanout", "topic", "headers"] {
                channel.exchange(kind, kind, &[Durable], &none());
                let other = if kind == "direct" { "fanout" } else { "direct" };
                let text = format!(
                    "inequivalent arg 'type' for exchange '{kind}' in vhost '/': received '{other}' but current is '{kind}'"
                );
                channel.refuses(methods::exchange_declare(kind, other, &[Durable], &none()), 406, &text);
            }
            channel.exchange("internal", "direct", &[Durable, Internal], &none());
            channel.exchange("alternate", "direct", &[Durable], &table([("alternate-exchange", "fanout".into())]));
            channel.publish("alternate", "no such key", "unrouted");
            assert_eq!(channel.drain("unrouted"), ["unrouted"]);
        },
    );
}

#[test]
fn every_exchange_type_routes_as_before() {
    let any = table([("x-match", "any".into()), ("a", 1.into()), ("b", "two".into())]);
    across_a_restart(
        "every_exchange_type_routes_as_before",
        |channel| {
            for kind in ["direct", "fanout", "topic", "headers"] {
                channel.exchange(&format!("x-{kind}"), kind, &[Durable], &none());
                durable(channel, &format!("q-{kind}"));
            }
            channel.bind("q-direct", "x-direct", "one");
            channel.bind("q-direct", "x-direct", "two");
            channel.bind("q-fanout", "x-fanout", "");
            channel.bind("q-topic", "x-topic", "a.*.c.#");
            channel.rpc(methods::queue_bind("q-headers", "x-headers", "", &[], &any)).finish();
            channel.bind("q-direct", "amq.topic", "#.end");
        },
        |channel| {
            for (exchange, key, reaches) in [
                ("x-direct", "one", Some("q-direct")),
                ("x-direct", "two", Some("q-direct")),
                ("x-direct", "three", None),
                ("x-fanout", "whatever", Some("q-fanout")),
                ("x-topic", "a.b.c", Some("q-topic")),
                ("x-topic", "a.b.c.d.e", Some("q-topic")),
                ("x-topic", "a.c", None),
                ("amq.topic", "the.end", Some("q-direct")),
            ] {
                channel.publish(exchange, key, key);
                for queue in ["q-direct", "q-fanout", "q-topic", "q-headers"] {
                    let expected: &[&str] = if reaches == Some(queue) { &[key] } else { &[] };
                    assert_eq!(channel.drain(queue), expected, "{exchange} {key} {queue}");
                }
            }
            for (headers, is_match) in [
                (table([("a", 1.into())]), true),
                (table([("b", "two".into()), ("a", 7.into())]), true),
                (table([("a", 2.into())]), false),
            ] {
                channel.publish_with("x-headers", "", &[], &Props::with_headers(headers), "x");
                assert_eq!(channel.drain("q-headers").len(), usize::from(is_match));
            }
        },
    );
}

#[test]
fn bindings_between_exchanges_come_back() {
    across_a_restart(
        "bindings_between_exchanges_come_back",
        |channel| {
            for exchange in ["first", "second", "third"] {
                channel.exchange(exchange, "topic", &[Durable], &none());
            }
            channel.rpc(methods::exchange_bind("second", "first", "a.#", &[], &none())).finish();
            channel.rpc(methods::exchange_bind("third", "second", "#.z", &[], &none())).finish();
            channel.rpc(methods::exchange_bind("third", "first", "gone", &[], &none())).finish();
            channel.rpc(methods::exchange_unbind("third", "first", "gone", &[], &none())).finish();
            durable(channel, "end");
            channel.bind("end", "third", "#");
        },
        |channel| {
            for key in ["a.z", "a.y", "b.z", "gone"] {
                channel.publish("first", key, key);
            }
            assert_eq!(channel.drain("end"), ["a.z"]);
        },
    );
}

// Messages

/// Properties of which every field says something, and headers of every type.
fn rich_properties() -> Props {
    let list = Value::Array(vec![Value::Void, Value::Time(1), Value::from("deep"), Value::Array(Vec::new())]);
    let headers = table([
        ("array", list),
        ("bool", Value::Bool(true)),
        ("bytes", Value::Bytes(vec![0, 1, 255])),
        ("decimal", Value::Decimal(3, 314_159)),
        ("double", Value::F64(-0.1)),
        ("float", Value::F32(0.5)),
        ("i16", Value::I16(-2)),
        ("i32", Value::I32(-3)),
        ("i64", Value::I64(i64::MIN)),
        ("i8", Value::I8(-1)),
        ("str", Value::Str(vec![0xFF, 0xFE, 0])),
        ("table", table([("nested", table([("x", 1.into())]).into())]).into()),
        ("time", Value::Time(u64::from(u32::MAX))),
        ("void", Value::Void),
    ]);
    Props {
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("gzip".to_owned()),
        headers: Some(headers),
        delivery_mode: Some(2),
        priority: Some(9),
        correlation_id: Some("correlation".to_owned()),
        reply_to: Some("reply".to_owned()),
        expiration: Some("86400000".to_owned()),
        message_id: Some(String::new()),
        timestamp: Some(1_900_000_000),
        type_: Some("type".to_owned()),
        user_id: Some("guest".to_owned()),
        app_id: Some("ä€".to_owned()),
        cluster_id: Some("cluster".to_owned()),
    }
}

/// Bodies of many sizes: none, one octet, around a frame, above what is kept in memory as one piece.
fn bodies() -> Vec<Vec<u8>> {
    let pattern = |length: usize| (0..length).map(|index| (index * 31 + index / 251) as u8).collect();
    [0, 1, 511, 4_096, 131_064, 131_065, 262_144, 262_145, 1_500_000].into_iter().map(pattern).collect()
}

#[test]
fn persistent_messages_come_back_in_order_byte_for_byte() {
    across_a_restart(
        "persistent_messages_come_back_in_order_byte_for_byte",
        |channel| {
            channel.exchange("source", "topic", &[Durable], &none());
            durable(channel, "kept");
            channel.bind("kept", "source", "key.#");
            for (number, body) in bodies().iter().enumerate() {
                let props = if number % 2 == 0 { rich_properties() } else { Props::persistent() };
                channel.send(methods::publish("source", &format!("key.{number}"), &[], &props, body));
            }
            channel.sync();
        },
        |channel| {
            let expected = bodies();
            assert_eq!(channel.counts("kept").0 as usize, expected.len());
            for (number, body) in expected.into_iter().enumerate() {
                let message = channel.get_with("kept", &[NoAck]).expect("the message is there");
                let props = if number % 2 == 0 { rich_properties() } else { Props::persistent() };
                assert_eq!((&*message.exchange, &*message.routing_key), ("source", &*format!("key.{number}")));
                assert_eq!(message.props, props, "message {number}");
                assert!(message.body == body, "the body of message {number}, {} octets, is damaged", body.len());
                assert!(peer() || !message.redelivered);
            }
            assert!(channel.get("kept").is_none());
        },
    );
}

#[test]
fn transient_messages_are_gone_from_durable_queues() {
    across_a_restart(
        "transient_messages_are_gone_from_durable_queues",
        |channel| {
            durable(channel, "mixed");
            for number in 0..100 {
                let props = match number % 3 {
                    0 => Props::persistent(),
                    1 => Props { delivery_mode: Some(1), ..Props::default() },
                    _ => Props::default(),
                };
                channel.publish_with("", "mixed", &[], &props, &number.to_string());
            }
            channel.sync();
        },
        |channel| {
            let expected: Vec<String> = (0..100).step_by(3).map(|number| number.to_string()).collect();
            assert_eq!(channel.drain("mixed"), expected);
        },
    );
}

#[test]
fn unacknowledged_messages_come_back_redelivered_and_others_do_not() {
    across_a_restart(
        "unacknowledged_messages_come_back_redelivered_and_others_do_not",
        |channel| {
            durable(channel, "held");
            publish(channel, "held", &["1", "2", "3", "4", "5"]);
            get(channel, "held", 2);
            channel.rpc(methods::qos(0, 1, &[]));
            channel.consume("held");
            assert_eq!(channel.delivery().text(), "3");
        },
        |channel| {
            assert_marks(channel, "held", &[("1", true), ("2", true), ("3", true), ("4", false), ("5", false)]);
        },
    );
}

#[test]
fn requeued_messages_come_back_in_their_places() {
    across_a_restart(
        "requeued_messages_come_back_in_their_places",
        |channel| {
            durable(channel, "returned");
            publish(channel, "returned", &["1", "2", "3", "4"]);
            let held = get(channel, "returned", 3);
            channel.send(methods::reject(held[1].delivery_tag, &[Requeue]));
            channel.ack(held[0].delivery_tag);
            channel.sync();
        },
        |channel| {
            assert_marks(channel, "returned", &[("2", true), ("3", true), ("4", false)]);
        },
    );
}

#[test]
fn settled_messages_are_gone() {
    across_a_restart(
        "settled_messages_are_gone",
        |channel| {
            durable(channel, "settled");
            let texts: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
            publish(channel, "settled", &texts.iter().map(String::as_str).collect::<Vec<_>>());
            let held = get(channel, "settled", 12);
            let tag = |number: usize| held[number - 1].delivery_tag;
            channel.send(methods::ack(tag(5), &[Multiple]));
            channel.ack(tag(7));
            channel.send(methods::reject(tag(9), &[]));
            channel.send(methods::nack(tag(11), &[]));
            assert_eq!(channel.get_with("settled", &[NoAck]).unwrap().text(), "13");
            channel.sync();
        },
        |channel| {
            let redelivered = ["6", "8", "10", "12"].map(|text| (text, true));
            let fresh = ["14", "15", "16", "17", "18", "19", "20"].map(|text| (text, false));
            assert_marks(channel, "settled", &[&redelivered[..], &fresh[..]].concat());
        },
    );
}

#[test]
fn messages_taken_without_acks_are_gone() {
    across_a_restart(
        "messages_taken_without_acks_are_gone",
        |channel| {
            durable(channel, "taken");
            publish(channel, "taken", &["1", "2", "3"]);
            let tag = channel.consume_with("taken", "", &[NoAck], &none());
            (0..3).for_each(|_| assert!(!channel.delivery().redelivered));
            channel.rpc(methods::cancel(&tag, &[]));
            publish(channel, "taken", &["4"]);
        },
        |channel| assert_marks(channel, "taken", &[("4", false)]),
    );
}

#[test]
fn purged_and_dropped_messages_are_gone() {
    across_a_restart(
        "purged_and_dropped_messages_are_gone",
        |channel| {
            durable(channel, "purged");
            publish(channel, "purged", &["1", "2", "3", "4"]);
            get(channel, "purged", 1);
            assert_eq!(channel.rpc(methods::queue_purge("purged", &[])).long(), 3);
            publish(channel, "purged", &["5"]);
            channel.declare("short", &[Durable], &table([("x-max-length", 2.into())]));
            publish(channel, "short", &["1", "2", "3", "4", "5"]);
            channel.sync();
        },
        |channel| {
            assert_marks(channel, "purged", &[("1", true), ("5", false)]);
            assert_eq!(channel.drain("short"), ["4", "5"]);
        },
    );
}

#[test]
fn each_queue_of_a_message_keeps_its_own_copy() {
    across_a_restart(
        "each_queue_of_a_message_keeps_its_own_copy",
        |channel| {
            for queue in ["one", "two", "three"] {
                durable(channel, queue);
                channel.bind(queue, "amq.fanout", "");
            }
            for number in 0..10 {
                channel.publish_with("amq.fanout", "", &[], &Props::persistent(), &number.to_string());
            }
            (0..10).for_each(|_| assert!(channel.get_with("one", &[NoAck]).is_some()));
            let held = get(channel, "two", 5);
            channel.send(methods::ack(held[4].delivery_tag, &[Multiple]));
            channel.sync();
        },
        |channel| {
            assert!(channel.drain("one").is_empty());
            assert_eq!(channel.drain("two"), ["5", "6", "7", "8", "9"]);
            assert_eq!(channel.drain("three").len(), 10);
        },
    );
}

#[test]
fn what_was_committed_comes_back_and_nothing_else() {
    across_a_restart(
        "what_was_committed_comes_back_and_nothing_else",
        |confirming| {
            let channel = confirming.connection().channel(2);
            durable(&channel, "ledger");
            publish(&channel, "ledger", &["before"]);
            channel.rpc(methods::tx_select());
            let held = channel.get("ledger").unwrap();
            channel.ack(held.delivery_tag);
            publish(&channel, "ledger", &["committed 1", "committed 2"]);
            channel.rpc(methods::tx_commit());
            publish(&channel, "ledger", &["never committed"]);
            channel.sync();
            // The channel stays open: what it did since the commit ends with the broker.
        },
        |channel| {
            assert_eq!(channel.drain("ledger"), ["committed 1", "committed 2"]);
        },
    );
}

// Many and again

#[test]
fn ten_thousand_queues_with_a_message_each_come_back_from_few_files() {
    const QUEUES: usize = 10_000;
    const FILES_MAX: usize = 100;
    const BATCH: usize = 500;
    let test = "ten_thousand_queues_with_a_message_each_come_back_from_few_files";
    if skip_without_process(test) {
        return;
    }
    for stop in [Stop::Term, Stop::Kill] {
        let home = Home::new();
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        for number in 0..QUEUES {
            let queue = format!("many-{number}");
            channel.send(methods::queue_declare(&queue, &[Durable, Nowait], &none()));
            publish(&channel, &queue, &[&queue]);
            if number % BATCH == 0 {
                channel.sync();
            }
        }
        seal(&channel);
        let files = home.files().unwrap().len();
        assert!(files <= FILES_MAX, "{files} files for {QUEUES} queues");
        broker.end(stop);
        let begin = Instant::now();
        let broker = home.start();
        println!("{stop:?}: {files} files, started again in {:?}", begin.elapsed());
        let channel = Connection::open(&broker).channel(1);
        for number in 0..QUEUES {
            let queue = format!("many-{number}");
            assert_eq!(channel.drain(&queue), [&*queue]);
        }
        let files = home.files().unwrap().len();
        assert!(files <= FILES_MAX, "{files} files after the restart");
    }
}

#[test]
fn a_queue_lives_through_many_restarts() {
    const ROUNDS: usize = 8;
    const ADDED: usize = 30;
    const TAKEN: usize = 20;
    if skip_without_home("a_queue_lives_through_many_restarts") {
        return;
    }
    let home = Home::new();
    let (mut published, mut taken) = (0, 0);
    let rounds = if peer() { 3 } else { ROUNDS };
    for round in 0..rounds {
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        durable(&channel, "long");
        let count = channel.counts("long").0 as usize;
        assert_eq!(count, published - taken, "at the start of round {round}");
        for _ in 0..ADDED {
            publish(&channel, "long", &[&published.to_string()]);
            published += 1;
        }
        for _ in 0..TAKEN {
            let message = channel.get("long").expect("a message is there");
            assert_eq!(message.text(), taken.to_string(), "in round {round}");
            channel.ack(message.delivery_tag);
            taken += 1;
        }
        seal(&channel);
        broker.end(if round % 2 == 0 { Stop::Kill } else { Stop::Term });
    }
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    let expected: Vec<String> = (taken..published).map(|number| number.to_string()).collect();
    assert_eq!(channel.drain("long"), expected);
}

#[test]
fn a_backlog_of_100_mib_is_open_for_business_at_once() {
    const BATCHES: usize = 100;
    const BATCH_BYTES: usize = 1 << 20;
    const STARTUP_MAX: Duration = Duration::from_millis(100);
    if skip_without_process("a_backlog_of_100_mib_is_open_for_business_at_once") {
        return;
    }
    for body_bytes in [BATCH_BYTES, 1_024] {
        let messages = BATCHES * BATCH_BYTES / body_bytes;
        let home = Home::new();
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        durable(&channel, "backlog");
        let message = methods::publish("", "backlog", &[], &Props::persistent(), &vec![7; body_bytes]);
        let frames = message.frames(1, 131_072).repeat(messages / BATCHES);
        (0..BATCHES).for_each(|_| channel.connection().socket().send(&frames));
        seal(&channel);
        let mut broker = Some(broker);
        for stop in [Stop::Kill, Stop::Term] {
            let what = format!("up with {messages} messages of {body_bytes} bytes after {stop:?}");
            assert_within(STARTUP_MAX, &what, || {
                broker.take().expect("a broker runs").end(stop);
                let watch = Stopwatch::new();
                watch.until(broker.insert(home.start()))
            });
            let channel = Connection::open(broker.as_ref().unwrap()).channel(1);
            assert_eq!(channel.counts("backlog").0 as usize, messages);
        }
    }
}

#[test]
fn a_restart_without_any_change_changes_nothing() {
    if skip_without_home("a_restart_without_any_change_changes_nothing") {
        return;
    }
    let home = Home::new();
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    durable(&channel, "still");
    publish(&channel, "still", &["1", "2", "3"]);
    seal(&channel);
    broker.end(Stop::Kill);
    for stop in [Stop::Term, Stop::Kill, Stop::Kill, Stop::Term, Stop::Term] {
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        assert_eq!(channel.counts("still").0, 3);
        broker.end(stop);
    }
    let broker = home.start();
    assert_marks(&Connection::open(&broker).channel(1), "still", &[("1", false), ("2", false), ("3", false)]);
}
