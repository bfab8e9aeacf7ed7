//! Exchanges that choose one destination: x-consistent-hash, x-modulus-hash, x-random, x-local-random.

use std::collections::BTreeMap;

use leveret_tests::prelude::*;

/// Declares an exchange and binds new queues to it, one for each key.
fn bound(channel: &Channel, names: &mut Names, kind: &str, keys: &[&str], arguments: &Table) -> (String, Vec<String>) {
    let exchange = names.exchange(kind);
    channel.exchange(&exchange, kind, &[], arguments);
    let bind = |key: &&str| {
        let queue = channel.exclusive_queue();
        channel.bind(&queue, &exchange, key);
        queue
    };
    let queues = keys.iter().map(bind).collect();
    (exchange, queues)
}

/// Takes everything and says which text was in which queue; no text may be in two.
fn places(channel: &Channel, queues: &[String]) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for (place, queue) in queues.iter().enumerate() {
        for text in channel.drain(queue) {
            assert_eq!(places.insert(text, place), None, "one copy goes to one queue");
        }
    }
    places
}

fn counts(places: &BTreeMap<String, usize>, queues: usize) -> Vec<usize> {
    (0..queues).map(|place| places.values().filter(|there| **there == place).count()).collect()
}

/// Publishes so many messages, each with its number as key and text.
fn publish_numbers(channel: &Channel, exchange: &str, count: usize) {
    (0..count).map(|number| number.to_string()).for_each(|number| channel.publish(exchange, &number, &number));
}

// x-consistent-hash

#[test]
fn a_key_stays_with_its_queue() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queues) = bound(&channel, &mut names, "x-consistent-hash", &["1", "1", "1"], &none());
    publish_numbers(&channel, &exchange, 300);
    let first = places(&channel, &queues);
    assert_eq!(first.len(), 300);
    let other = open_channel();
    publish_numbers(&other, &exchange, 300);
    other.sync();
    wait_until("all messages are there", || queues.iter().map(|queue| channel.counts(queue).0).sum::<u32>() == 300);
    assert_eq!(places(&channel, &queues), first);
}

#[test]
fn weights_share_the_messages_out() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queues) = bound(&channel, &mut names, "x-consistent-hash", &["10", "10", "20", "40"], &none());
    publish_numbers(&channel, &exchange, 4_000);
    let counts = counts(&places(&channel, &queues), 4);
    for (count, expected) in counts.iter().zip([500, 500, 1_000, 2_000]) {
        assert!(count.abs_diff(expected) < 200, "{counts:?}");
    }
}

#[test]
fn few_keys_move_when_a_binding_goes() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queues) = bound(&channel, &mut names, "x-consistent-hash", &["5"; 6], &none());
    publish_numbers(&channel, &exchange, 1_000);
    let before = places(&channel, &queues);
    let gone = 5;
    channel.rpc(methods::queue_unbind(&queues[gone], &exchange, "5", &none())).finish();
    publish_numbers(&channel, &exchange, 1_000);
    let after = places(&channel, &queues);
    assert_eq!(after.len(), 1_000);
    assert!(after.values().all(|place| *place != gone));
    let stayed = before.iter().filter(|(_, place)| **place != gone);
    // RabbitMQ moves none either when the last binding goes, and many when it is another.
    assert!(stayed.clone().all(|(text, place)| after.get(text) == Some(place)));
    assert!((740..=930).contains(&stayed.count()));
}

#[test]
fn a_second_binding_of_a_queue_changes_nothing() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queues) = bound(&channel, &mut names, "x-consistent-hash", &["1", "1"], &none());
    channel.bind(&queues[1], &exchange, "1000");
    publish_numbers(&channel, &exchange, 1_000);
    let counts = counts(&places(&channel, &queues), 2);
    assert!(counts.iter().all(|count| count.abs_diff(500) < 120), "{counts:?}");
}

#[test]
fn a_hash_may_go_by_a_header() {
    let (channel, mut names) = (open_channel(), Names::new());
    let arguments = table([("hash-header", "user".into())]);
    let (exchange, queues) = bound(&channel, &mut names, "x-consistent-hash", &["1", "1", "1"], &arguments);
    let by_user = |user: Value| Props::with_headers(table([("user", user)]));
    for number in 0..300 {
        // The key differs each time and must not matter.
        let text = format!("{}-{number}", number % 10);
        channel.publish_with(&exchange, &text, &[], &by_user(format!("user {}", number % 10).as_str().into()), &text);
    }
    let places = places(&channel, &queues);
    for (text, place) in &places {
        let user = text.split('-').next().unwrap_or_default();
        assert_eq!(places.get(&format!("{user}-{user}")), Some(place), "{text}");
    }
    assert!(counts(&places, 3).iter().filter(|count| **count > 0).count() > 1);
}

#[test]
fn messages_without_the_header_stay_together() {
    let (channel, mut names) = (open_channel(), Names::new());
    let arguments = table([("hash-header", "user".into())]);
    let (exchange, queues) = bound(&channel, &mut names, "x-consistent-hash", &["1", "1", "1"], &arguments);
    publish_numbers(&channel, &exchange, 100);
    let other = Props::with_headers(table([("other", 1.into())]));
    channel.publish_with(&exchange, "", &[], &other, "other");
    let counts = counts(&places(&channel, &queues), 3);
    assert!(counts.contains(&101), "{counts:?}");
}

#[test]
fn a_hash_may_go_by_a_property() {
    type Set = fn(&mut Props, u64);
    let by: [(&str, Set); 3] = [
        ("message_id", |props, id| props.message_id = Some(id.to_string())),
        ("correlation_id", |props, id| props.correlation_id = Some(id.to_string())),
        ("timestamp", |props, id| props.timestamp = Some(id)),
    ];
    let (channel, mut names) = (open_channel(), Names::new());
    for (property, set) in by {
        let arguments = table([("hash-property", property.into())]);
        let (exchange, queues) = bound(&channel, &mut names, "x-consistent-hash", &["1", "1", "1"], &arguments);
        for number in 0..200_u64 {
            let mut props = Props::default();
            set(&mut props, number % 20);
            channel.publish_with(&exchange, &number.to_string(), &[], &props, &format!("{}-{number}", number % 20));
        }
        let places = places(&channel, &queues);
        assert_eq!(places.len(), 200);
        for (text, place) in &places {
            let id = text.split('-').next().unwrap_or_default();
            assert_eq!(places.get(&format!("{id}-{id}")), Some(place), "{property} {text}");
        }
        assert!(counts(&places, 3).iter().filter(|count| **count > 0).count() > 1, "{property}");
    }
}

#[test]
fn a_hash_goes_by_one_thing_that_is_known() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("refused");
    let declare = |arguments: Table| methods::exchange_declare(&exchange, "x-consistent-hash", &[], &arguments);
    let both = table([("hash-header", "a".into()), ("hash-property", "message_id".into())]);
    channel.refuses(declare(both), 406, "hash-header and hash-property are mutually exclusive");
    let unknown = table([("hash-property", "app_id".into())]);
    channel.refuses(declare(unknown), 406, "Unsupported property: app_id");
    assert!(!channel.has_exchange(&exchange));
    if !peer() {
        // The type of the argument is nothing that RabbitMQ survives.
        let text = "invalid type 'signedint' for arg 'hash-header': expected longstr";
        channel.refuses(declare(table([("hash-header", 1.into())])), 406, text);
    }
}

#[test]
fn a_weight_is_a_positive_integer() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queues) = bound(&channel, &mut names, "x-consistent-hash", &["+3"], &none());
    let bind = |key: &str| methods::queue_bind(&queues[0], &exchange, key, &[], &none());
    for (key, shown) in [("a", "<<\"a\">>"), ("", "<<>>"), ("1.5", "<<\"1.5\">>"), ("1 ", "<<\"1 \">>")] {
        let key = if key.is_empty() { methods::queue_bind(&queues[0], &exchange, "", &[], &none()) } else { bind(key) };
        channel.refuses(key, 406, &format!("The binding key must be an integer: {shown}"));
    }
    for key in ["0", "-1"] {
        channel.refuses(bind(key), 406, "The binding key must be greater than 0");
    }
    let elsewhere = names.exchange("elsewhere");
    channel.exchange(&elsewhere, "fanout", &[], &none());
    let text = "The binding key must be an integer: <<\"x\">>";
    channel.refuses(methods::exchange_bind(&elsewhere, &exchange, "x", &[], &none()), 406, text);
}

#[test]
fn a_hash_may_lead_to_an_exchange() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, mut queues) = bound(&channel, &mut names, "x-consistent-hash", &["1"], &none());
    let (inner, more) = bound(&channel, &mut names, "fanout", &[""], &none());
    queues.extend(more);
    channel.rpc(methods::exchange_bind(&inner, &exchange, "1", &[], &none())).finish();
    publish_numbers(&channel, &exchange, 400);
    let counts = counts(&places(&channel, &queues), 2);
    assert!(counts.iter().sum::<usize>() == 400 && counts.iter().all(|count| *count > 100), "{counts:?}");
}

// x-modulus-hash

#[test]
fn a_modulus_shares_keys_out_evenly() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queues) = bound(&channel, &mut names, "x-modulus-hash", &["", "any", "key"], &none());
    publish_numbers(&channel, &exchange, 1_200);
    let first = places(&channel, &queues);
    let counts = counts(&first, 3);
    assert!(counts.iter().all(|count| count.abs_diff(400) < 120), "{counts:?}");
    publish_numbers(&channel, &exchange, 1_200);
    assert_eq!(places(&channel, &queues), first);
}

// x-random, x-local-random

/// Publishes with one key and expects that chance alone chooses.
fn assert_random(kind: &str, key: &str) {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queues) = bound(&channel, &mut names, kind, &[key; 3], &none());
    (0..1_200).for_each(|number| channel.publish(&exchange, "same", &number.to_string()));
    let places = places(&channel, &queues);
    let counts = counts(&places, 3);
    assert!(counts.iter().all(|count| count.abs_diff(400) < 120), "{counts:?}");
    // Taking turns would be even, too.
    let turns = (0..1_197).filter(|n: &usize| places.get(&n.to_string()) == places.get(&(n + 3).to_string())).count();
    assert!((280..520).contains(&turns), "{turns}");
}

#[test]
fn random_goes_to_any_queue() {
    assert_random("x-random", "ignored");
}

#[test]
fn local_random_goes_to_any_queue() {
    // Newer than 3.10.
    if !peer() {
        assert_random("x-local-random", "");
    }
}

#[test]
fn local_random_binds_classic_queues_without_a_key() {
    if peer() {
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queues) = bound(&channel, &mut names, "x-local-random", &[""], &none());
    let bind = |queue: &str, key: &str| methods::queue_bind(queue, &exchange, key, &[], &none());
    channel.refuses(bind(&queues[0], "k"), 406, "Non empty binding 'k' key not permitted");
    for kind in ["quorum", "stream"] {
        let queue = names.queue(kind);
        channel.declare(&queue, &[Durable], &table([("x-queue-type", kind.into())]));
        let text = format!("Queue type rabbit_{kind}_queue not valid for this exchange type");
        channel.refuses(bind(&queue, ""), 406, &text);
    }
    let (inner, _) = bound(&channel, &mut names, "fanout", &[""], &none());
    let to_exchange = methods::exchange_bind(&inner, &exchange, "", &[], &none());
    channel.refuses(to_exchange, 406, "Destination not found");
}

#[test]
fn a_message_for_nobody_is_returned() {
    let (channel, mut names) = (open_channel(), Names::new());
    for kind in ["x-consistent-hash", "x-modulus-hash", "x-random", "x-recent-history"] {
        let exchange = names.exchange(kind);
        channel.exchange(&exchange, kind, &[], &none());
        channel.publish_with(&exchange, "1", &[Mandatory], &Props::default(), kind);
        assert_eq!(channel.returned().body, kind.as_bytes());
    }
}

// What they have in common with the others

#[test]
fn a_type_that_chooses_can_be_declared_again() {
    let (channel, mut names) = (open_channel(), Names::new());
    for kind in ["x-consistent-hash", "x-modulus-hash", "x-random", "x-recent-history", "x-jms-topic"] {
        let exchange = names.exchange(kind);
        channel.exchange(&exchange, kind, &[Durable, AutoDelete], &table([("hash-header", "a".into())]));
        // Only the alternate exchange is compared of all arguments.
        channel.exchange(&exchange, kind, &[Durable, AutoDelete], &none());
        let text = format!(
            "inequivalent arg 'type' for exchange '{exchange}' in vhost '/': \
             received 'direct' but current is ''{kind}''"
        );
        channel.refuses(methods::exchange_declare(&exchange, "direct", &[], &none()), 406, &text);
    }
}

#[test]
fn types_that_choose_come_back_after_a_restart() {
    const TEST: &str = "types_that_choose_come_back_after_a_restart";
    // The RabbitMQ that tests start has none of these types.
    if peer() || skip_without_home(TEST) {
        return;
    }
    let home = Home::new();
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    let queues: Vec<String> = (0..4).map(|number| format!("{TEST}-{number}")).collect();
    let kinds = ["x-consistent-hash", "x-modulus-hash"];
    for queue in &queues {
        channel.declare(queue, &[Durable], &none());
    }
    let publish = |channel: &Channel| {
        kinds.map(|kind| {
            publish_numbers(channel, kind, 200);
            places(channel, &queues)
        })
    };
    for kind in kinds {
        channel.exchange(kind, kind, &[Durable], &none());
        for (weight, queue) in queues.iter().enumerate() {
            channel.bind(queue, kind, &(weight + 1).to_string());
        }
    }
    let before = publish(&channel);
    seal(&channel);
    broker.end(Stop::Kill);
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    assert_eq!(publish(&channel), before);
    let text = "inequivalent arg 'type' for exchange 'x-modulus-hash' in vhost '/': \
                received 'fanout' but current is ''x-modulus-hash''";
    channel.refuses(methods::exchange_declare("x-modulus-hash", "fanout", &[Durable], &none()), 406, text);
}
