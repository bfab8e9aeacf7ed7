//! Exchanges of type x-delayed-message: a message with a header x-delay is routed that many milliseconds later.
//!
//! RabbitMQ has them by a plugin that no distribution brings along: with `LEVERET_PEER` these tests say so and pass.

use std::thread;

use leveret_tests::prelude::*;

const TYPE: &str = "x-delayed-message";

fn skip(test: &str) -> bool {
    if peer() {
        println!("{test}: skipped, RabbitMQ needs a plugin for it");
    }
    peer()
}

fn arguments(inner: &str) -> Table {
    table([("x-delayed-type", inner.into())])
}

fn delayed(delay: impl Into<Value>) -> Props {
    Props { delivery_mode: Some(2), ..Props::with_headers(table([("x-delay", delay.into())])) }
}

/// A delayed exchange of an inner type that goes with its connection's queue, and that queue, bound to it by `key`.
fn fabric(channel: &Channel, names: &mut Names, inner: &str) -> (String, String) {
    let exchange = names.exchange("delayed");
    channel.exchange(&exchange, TYPE, &[AutoDelete], &arguments(inner));
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &exchange, "key");
    (exchange, queue)
}

fn header(delivery: &Delivery) -> Option<Value> {
    delivery.props.headers.as_ref()?.get("x-delay").cloned()
}

// What is due when

#[test]
fn they_come_in_the_order_in_which_they_are_due() {
    if skip("they_come_in_the_order_in_which_they_are_due") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queue) = fabric(&channel, &mut names, "direct");
    channel.consume_with(&queue, "", &[NoAck], &none());
    let start = Instant::now();
    let delays = [1500, 300, 900, 600, 300, 1200];
    let publish = |(number, delay_ms): (usize, i32)| {
        let text = format!("{delay_ms} {number}");
        methods::publish(&exchange, "key", &[], &delayed(delay_ms), text.as_bytes())
    };
    channel.send_together(&delays.into_iter().enumerate().map(publish).collect::<Vec<_>>());
    for (delay_ms, number) in [(300, 1), (300, 4), (600, 3), (900, 2), (1200, 5), (1500, 0)] {
        let delivery = channel.delivery();
        let waited_ms = start.elapsed().as_millis();
        assert_eq!((delivery.text(), delivery.exchange.as_str()), (format!("{delay_ms} {number}"), exchange.as_str()));
        assert_eq!((delivery.routing_key.as_str(), delivery.redelivered), ("key", false));
        // What has waited says so, and how long.
        assert_eq!((header(&delivery), delivery.props.delivery_mode), (Some(Value::I32(-delay_ms)), Some(2)));
        assert!(waited_ms >= u128::from(delay_ms.unsigned_abs()), "{delay_ms} came after {waited_ms}");
    }
}

#[test]
fn any_kind_of_number_is_a_delay() {
    if skip("any_kind_of_number_is_a_delay") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queue) = fabric(&channel, &mut names, "fanout");
    let numbers = [
        Value::I8(101),
        Value::U8(102),
        Value::I16(103),
        Value::U16(104),
        Value::I32(105),
        Value::U32(106),
        Value::I64(107),
        "108".into(),
        Value::F64(109.9),
    ];
    let count = numbers.len();
    for number in numbers {
        channel.publish_with(&exchange, "", &[], &delayed(number), "x");
    }
    channel.consume_with(&queue, "", &[NoAck], &none());
    for expected in (101..).take(count) {
        assert_eq!(header(&channel.delivery()), Some(Value::I32(-expected)));
    }
}

#[test]
fn without_a_delay_they_go_at_once() {
    if skip("without_a_delay_they_go_at_once") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queue) = fabric(&channel, &mut names, "direct");
    channel.publish(&exchange, "key", "no headers");
    channel.publish_with(&exchange, "key", &[], &Props::with_headers(table([("other", 5000.into())])), "no delay");
    let values = [0.into(), Value::I32(-5000), Value::I64(1 << 32), "soon".into(), Value::Bool(true)];
    for value in &values {
        channel.publish_with(&exchange, "key", &[], &delayed(value.clone()), "at once");
    }
    channel.sync();
    assert_eq!(channel.counts(&queue).0, 2 + 5);
    assert_eq!((header(&channel.get(&queue).unwrap()), header(&channel.get(&queue).unwrap())), (None, None));
    for value in values {
        assert_eq!(header(&channel.get(&queue).unwrap()), Some(value), "it is as it was");
    }
}

#[test]
fn the_longest_delay_is_49_days() {
    if skip("the_longest_delay_is_49_days") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queue) = fabric(&channel, &mut names, "direct");
    channel.publish_with(&exchange, "key", &[], &delayed(Value::U32(u32::MAX)), "later");
    channel.publish_with(&exchange, "key", &[], &delayed(50), "soon");
    channel.consume_with(&queue, "", &[NoAck], &none());
    assert_eq!(channel.delivery().text(), "soon");
    channel.expect_silence();
}

// Routing

#[test]
fn the_inner_type_routes_them() {
    if skip("the_inner_type_routes_them") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let topic = names.exchange("topic");
    channel.exchange(&topic, TYPE, &[AutoDelete], &arguments("topic"));
    let queue = channel.exclusive_queue();
    for pattern in ["a.b.c", "a.*.c", "a.#"] {
        channel.bind(&queue, &topic, pattern);
    }
    for key in ["a.b.c", "b.b.c", "a.j.k"] {
        channel.publish_with(&topic, key, &[], &delayed(50), key);
    }
    let headers = names.exchange("headers");
    channel.exchange(&headers, TYPE, &[AutoDelete], &arguments("headers"));
    let match_colour = table([("x-match", "all".into()), ("colour", "red".into())]);
    channel.rpc(methods::queue_bind(&queue, &headers, "", &[], &match_colour));
    for colour in ["red", "blue"] {
        let props = Props::with_headers(table([("colour", colour.into()), ("x-delay", 100.into())]));
        channel.publish_with(&headers, "", &[], &props, colour);
    }
    channel.consume_with(&queue, "", &[NoAck], &none());
    assert_eq!(channel.texts(3), texts(&["a.b.c", "a.j.k", "red"]));
    channel.expect_silence();
}

#[test]
fn bindings_are_those_of_the_time_when_it_is_due() {
    if skip("bindings_are_those_of_the_time_when_it_is_due") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, before) = fabric(&channel, &mut names, "direct");
    channel.publish_with(&exchange, "key", &[], &delayed(3000), "x");
    let after = channel.exclusive_queue();
    channel.bind(&after, &exchange, "key");
    channel.rpc(methods::queue_unbind(&before, &exchange, "key", &none()));
    channel.consume_with(&after, "", &[NoAck], &none());
    assert_eq!((channel.delivery().text().as_str(), channel.counts(&before).0), ("x", 0));
}

#[test]
fn copies_go_along_and_blind_ones_are_not_seen() {
    if skip("copies_go_along_and_blind_ones_are_not_seen") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, own) = fabric(&channel, &mut names, "direct");
    let (copy, blind) = (channel.exclusive_queue(), channel.exclusive_queue());
    channel.bind(&copy, &exchange, "copy");
    channel.bind(&blind, &exchange, "blind");
    let headers = table([("CC", ["copy"].into()), ("BCC", ["blind"].into()), ("x-delay", 50.into())]);
    channel.publish_with(&exchange, "key", &[], &Props::with_headers(headers), "x");
    for queue in [own, copy, blind] {
        let mut found = None;
        wait_until("the message comes", || {
            found = channel.get(&queue);
            found.is_some()
        });
        let expected = table([("CC", ["copy"].into()), ("x-delay", Value::I32(-50))]);
        assert_eq!(found.unwrap().props.headers, Some(expected));
    }
}

#[test]
fn exchanges_bound_to_others_delay_too() {
    if skip("exchanges_bound_to_others_delay_too") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, late) = fabric(&channel, &mut names, "direct");
    let source = names.exchange("source");
    channel.exchange(&source, "fanout", &[AutoDelete], &none());
    channel.rpc(methods::exchange_bind(&exchange, &source, "", &[], &none()));
    let early = channel.exclusive_queue();
    channel.bind(&early, &source, "");
    let publish =
        |delay_ms: i32| methods::publish(&source, "key", &[], &delayed(delay_ms), delay_ms.to_string().as_bytes());
    channel.send_together(&[publish(4000), publish(3000)]);
    channel.sync();
    assert_eq!((channel.drain(&early), channel.counts(&late).0), (texts(&["4000", "3000"]), 0));
    channel.consume_with(&late, "", &[NoAck], &none());
    let first = channel.delivery();
    assert_eq!((first.text().as_str(), first.exchange.as_str()), ("3000", source.as_str()));
    assert_eq!(channel.delivery().text(), "4000");
}

#[test]
fn each_exchange_has_its_own() {
    if skip("each_exchange_has_its_own") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (one, queue) = fabric(&channel, &mut names, "direct");
    let (two, _) = fabric(&channel, &mut names, "direct");
    channel.bind(&queue, &two, "key");
    let publish = |exchange: &str, delay_ms: i32, text: &str| {
        methods::publish(exchange, "key", &[], &delayed(delay_ms), text.as_bytes())
    };
    channel.send_together(&[publish(&one, 1000, "one"), publish(&two, 300, "two"), publish(&two, 1700, "two again")]);
    channel.consume_with(&queue, "", &[NoAck], &none());
    assert_eq!(channel.texts(3), texts(&["two", "one", "two again"]));
}

#[test]
fn any_other_type_may_be_the_inner_one() {
    if skip("any_other_type_may_be_the_inner_one") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    for inner in ["x-consistent-hash", "x-modulus-hash", "x-random", "x-recent-history"] {
        let exchange = names.exchange(inner);
        channel.exchange(&exchange, TYPE, &[AutoDelete], &arguments(inner));
        let queue = channel.exclusive_queue();
        channel.bind(&queue, &exchange, "1");
        channel.publish_with(&exchange, "key", &[], &delayed(100), inner);
        wait_until("it comes", || channel.counts(&queue).0 == 1);
        let message = channel.get_with(&queue, &[NoAck]).unwrap();
        assert_eq!((message.text().as_str(), header(&message)), (inner, Some(Value::I32(-100))), "it has waited");
    }
}

// With other features

#[test]
fn a_message_s_own_life_begins_when_it_has_waited() {
    if skip("a_message_s_own_life_begins_when_it_has_waited") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queue) = fabric(&channel, &mut names, "direct");
    let props = Props { expiration: Some("2000".to_owned()), ..delayed(2500) };
    channel.publish_with(&exchange, "key", &[], &props, "x");
    wait_until("it is there after its life", || channel.counts(&queue).0 == 1);
    wait_until("it goes", || channel.counts(&queue).0 == 0);
}

#[test]
fn dead_letters_wait_as_well() {
    if skip("dead_letters_wait_as_well") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queue) = fabric(&channel, &mut names, "fanout");
    let source = names.queue("source");
    let letters = table([("x-dead-letter-exchange", exchange.as_str().into())]);
    channel.declare(&source, &[Exclusive], &letters);
    channel.publish_with("", &source, &[], &delayed(300), "x");
    let message = channel.get(&source).unwrap();
    assert_eq!(header(&message), Some(Value::I32(300)), "other exchanges do not mind it");
    let start = Instant::now();
    channel.send(methods::reject(message.delivery_tag, &[]));
    channel.consume_with(&queue, "", &[NoAck], &none());
    let late = channel.delivery();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(header(&late), Some(Value::I32(-300)));
    assert!(late.props.headers.unwrap().get("x-death").is_some());
}

// Mandatory, confirms, transactions

#[test]
fn mandatory_holds_only_for_those_that_go_at_once() {
    if skip("mandatory_holds_only_for_those_that_go_at_once") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queue) = fabric(&channel, &mut names, "direct");
    channel.publish_with(&exchange, "nobody", &[Mandatory], &delayed(50), "late");
    channel.publish_with(&exchange, "nobody", &[Mandatory], &delayed(0), "at once");
    let returned = channel.returned();
    assert_eq!((returned.code, returned.body.as_slice()), (312, &b"at once"[..]));
    channel.expect_silence();
    assert_eq!(channel.counts(&queue).0, 0);
}

#[test]
fn they_are_confirmed_when_they_are_accepted() {
    if skip("they_are_confirmed_when_they_are_accepted") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("durable");
    channel.exchange(&exchange, TYPE, &[Durable], &arguments("direct"));
    channel.rpc(methods::confirm_select(&[]));
    let start = Instant::now();
    for number in 0..100 {
        let props = Props { delivery_mode: Some(1 + number % 2), ..delayed(60_000) };
        channel.publish_with(&exchange, "nobody", &[], &props, "x");
    }
    assert!(channel.confirms(1, 100).values().all(|is_ack| *is_ack));
    assert!(start.elapsed() < Duration::from_secs(30));
    channel.rpc(methods::exchange_delete(&exchange, &[]));
}

#[test]
fn a_transaction_delays_from_its_commit_on() {
    if skip("a_transaction_delays_from_its_commit_on") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queue) = fabric(&channel, &mut names, "direct");
    let consumer = channel.connection().channel(2);
    consumer.consume_with(&queue, "", &[NoAck], &none());
    channel.rpc(methods::tx_select());
    channel.publish_with(&exchange, "key", &[], &delayed(50), "rolled back");
    channel.rpc(methods::tx_rollback());
    channel.publish_with(&exchange, "key", &[], &delayed(50), "committed");
    consumer.expect_silence();
    let start = Instant::now();
    channel.rpc(methods::tx_commit());
    assert_eq!(consumer.delivery().text(), "committed");
    assert!(start.elapsed() >= Duration::from_millis(50));
    consumer.expect_silence();
}

// Declaring and deleting

#[test]
fn the_inner_type_must_exist() {
    if skip("the_inner_type_must_exist") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("refused");
    let declare = |arguments: &Table| methods::exchange_declare(&exchange, TYPE, &[], arguments);
    let missing = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    channel.refuses(declare(&none()), 406, missing);
    channel.refuses(declare(&table([("x-delayed-type", 1.into())])), 406, missing);
    let itself = "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'";
    channel.refuses(declare(&arguments(TYPE)), 406, itself);
    channel.refuses(declare(&arguments("leveret")), 406, "unknown exchange type 'leveret'");
    assert!(!channel.has_exchange(&exchange));
}

#[test]
fn the_inner_type_is_compared() {
    if skip("the_inner_type_is_compared") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("compared");
    let declare = |kind: &str, arguments: &Table| methods::exchange_declare(&exchange, kind, &[AutoDelete], arguments);
    channel.rpc(declare(TYPE, &arguments("topic")));
    channel.rpc(declare(TYPE, &arguments("topic")));
    let text = |property: &str, received: &str, current: &str| {
        format!(
            "inequivalent arg '{property}' for exchange '{exchange}' in vhost '/': \
             received {received} but current is {current}"
        )
    };
    let told = text("x-delayed-type", "'direct'", "'topic'");
    channel.refuses(declare(TYPE, &arguments("direct")), 406, &told);
    let told = text("x-delayed-type", "none", "the value 'topic' of type 'longstr'");
    channel.refuses(declare(TYPE, &none()), 406, &told);
    // Quoted twice, as RabbitMQ does it with names that have a hyphen.
    channel.refuses(declare("topic", &arguments("topic")), 406, &text("type", "'topic'", &format!("''{TYPE}''")));
    channel.rpc(methods::exchange_declare(&exchange, TYPE, &[Passive], &none()));
}

#[test]
fn what_waits_goes_with_its_exchange() {
    if skip("what_waits_goes_with_its_exchange") {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("deleted");
    let queue = channel.exclusive_queue();
    let declare = || {
        channel.exchange(&exchange, TYPE, &[AutoDelete], &arguments("direct"));
        channel.bind(&queue, &exchange, "key");
    };
    channel.consume_with(&queue, "", &[NoAck], &none());
    declare();
    channel.publish_with(&exchange, "key", &[], &delayed(3000), "dropped");
    channel.rpc(methods::exchange_delete(&exchange, &[]));
    declare();
    channel.publish_with(&exchange, "key", &[], &delayed(3000), "dropped with the last binding");
    channel.rpc(methods::queue_unbind(&queue, &exchange, "key", &none()));
    declare();
    channel.publish_with(&exchange, "key", &[], &delayed(3500), "delivered");
    assert_eq!(channel.delivery().text(), "delivered");
    channel.expect_silence();
}

// What survives

/// A durable delayed exchange and a durable queue bound to it.
fn durable_fabric(channel: &Channel) {
    channel.exchange("delayed", TYPE, &[Durable], &arguments("topic"));
    channel.declare("queue", &[Durable], &none());
    channel.bind("queue", "delayed", "key.#");
}

#[test]
fn persistent_ones_survive_the_end_of_the_broker() {
    const TEST: &str = "persistent_ones_survive_the_end_of_the_broker";
    if skip(TEST) || skip_without_home(TEST) {
        return;
    }
    for stop in [Stop::Term, Stop::Kill] {
        let home = Home::new();
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        durable_fabric(&channel);
        channel.exchange("transient", TYPE, &[], &arguments("fanout"));
        channel.rpc(methods::exchange_bind("transient", "delayed", "#", &[], &none()));
        channel.rpc(methods::confirm_select(&[]));
        let start = Instant::now();
        let large = "large ".repeat(100_000);
        for (delay_ms, text) in [(4000, "late"), (1500, "b"), (1000, "a"), (4100, &*large), (1500, "c")] {
            channel.publish_with("delayed", "key.1", &[], &delayed(delay_ms), text);
        }
        let transient = Props { delivery_mode: None, ..delayed(1200) };
        channel.publish_with("delayed", "key.1", &[], &transient, "transient");
        channel.publish_with("transient", "key.1", &[], &delayed(1200), "with a transient exchange");
        channel.confirms(1, 7);
        broker.end(stop);
        // What becomes due meanwhile goes out at the start.
        thread::sleep(Duration::from_millis(1600).saturating_sub(start.elapsed()));
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        assert!(channel.has_exchange("delayed") && !channel.has_exchange("transient"));
        channel.consume_with("queue", "", &[NoAck], &none());
        assert_eq!(channel.texts(3), texts(&["a", "b", "c"]));
        let late = channel.delivery();
        assert_eq!((late.text().as_str(), header(&late)), ("late", Some(Value::I32(-4000))));
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(3990), "it waits from its publishing on, not {waited:?}");
        assert!(channel.delivery().text() == large);
        channel.expect_silence();
    }
}

#[test]
fn what_went_out_or_was_dropped_does_not_come_back() {
    const TEST: &str = "what_went_out_or_was_dropped_does_not_come_back";
    if skip(TEST) || skip_without_home(TEST) {
        return;
    }
    for stop in [Stop::Term, Stop::Kill] {
        let home = Home::new();
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        durable_fabric(&channel);
        channel.consume_with("queue", "", &[NoAck], &none());
        channel.publish_with("delayed", "key", &[], &delayed(20), "gone out");
        assert_eq!(channel.delivery().text(), "gone out");
        channel.exchange("dropped", TYPE, &[Durable], &arguments("direct"));
        channel.publish_with("dropped", "key", &[], &delayed(100), "dropped");
        channel.rpc(methods::exchange_delete("dropped", &[]));
        seal(&channel);
        broker.end(stop);
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        assert!(!channel.has_exchange("dropped"));
        channel.exchange("dropped", TYPE, &[Durable], &arguments("direct"));
        channel.bind("queue", "dropped", "key");
        channel.consume_with("queue", "", &[NoAck], &none());
        channel.expect_silence();
        // Both go on as before.
        for exchange in ["delayed", "dropped"] {
            channel.publish_with(exchange, "key", &[], &delayed(20), exchange);
            assert_eq!(channel.delivery().text(), exchange);
        }
    }
}

#[test]
fn thousands_are_found_again_and_go_out_in_order() {
    const TEST: &str = "thousands_are_found_again_and_go_out_in_order";
    const COUNT: u64 = 20_000;
    if skip(TEST) || skip_without_home(TEST) {
        return;
    }
    // All of them are to be due once the broker is back, which depends on the machine.
    let waiting = |least_ms: u32| {
        let home = Home::new();
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        durable_fabric(&channel);
        channel.rpc(methods::confirm_select(&[]));
        let start = Instant::now();
        for number in 0..COUNT {
            // Neighbours are due far from each other.
            let delay_ms = least_ms + u32::try_from((number * 7919) % 100).expect("below 100") * 10;
            channel.publish_with("delayed", "key", &[], &delayed(Value::U32(delay_ms)), &number.to_string());
        }
        channel.confirms(1, COUNT);
        broker.end(Stop::Kill);
        println!("published with a delay of {least_ms} ms and more in {:?}", start.elapsed());
        (start.elapsed() < Duration::from_millis(least_ms.into())).then_some(home)
    };
    let home =
        [6_000, 30_000, 120_000].into_iter().find_map(waiting).expect("they can be published within two minutes");
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    channel.consume_with("queue", "", &[NoAck], &none());
    let mut seen = vec![false; COUNT as usize];
    let (mut last, mut out_of_order) = (Vec::from([0; 100]), 0);
    for _ in 0..COUNT {
        let delivery = channel.try_delivery(PATIENCE).expect("all come");
        let number: u64 = delivery.text().parse().expect("a number");
        assert!(!std::mem::replace(&mut seen[number as usize], true), "{number} comes twice");
        // Those of one delay come in the order in which they were published.
        let of_delay = &mut last[(number * 7919 % 100) as usize];
        out_of_order += u64::from(*of_delay > number);
        *of_delay = number;
    }
    assert_eq!(out_of_order, 0);
    channel.expect_silence();
}

#[test]
fn a_kill_while_they_go_out_loses_none() {
    const TEST: &str = "a_kill_while_they_go_out_loses_none";
    const COUNT: u64 = 5000;
    if skip(TEST) || skip_without_home(TEST) {
        return;
    }
    for kill_after_ms in [100, 300, 600] {
        let home = Home::new();
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        durable_fabric(&channel);
        channel.rpc(methods::confirm_select(&[]));
        for number in 0..COUNT {
            let delay_ms = 1 + u32::try_from((number * 7919) % 700).expect("below 700");
            channel.publish_with("delayed", "key", &[], &delayed(Value::U32(delay_ms)), &number.to_string());
        }
        channel.confirms(1, COUNT);
        thread::sleep(Duration::from_millis(kill_after_ms));
        broker.end(Stop::Kill);
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        channel.consume_with("queue", "", &[NoAck], &none());
        let (mut seen, mut doubled) = (vec![false; COUNT as usize], 0);
        while seen.contains(&false) {
            let delivery = channel.try_delivery(PATIENCE).expect("all that was confirmed comes");
            let number: usize = delivery.text().parse().expect("a number");
            doubled += u64::from(std::mem::replace(&mut seen[number], true));
        }
        while channel.try_delivery(SILENCE).is_some() {
            doubled += 1;
        }
        println!("killed after {kill_after_ms} ms: {doubled} came twice");
        assert!(doubled <= COUNT / 2, "{doubled} of {COUNT} came twice");
    }
}
