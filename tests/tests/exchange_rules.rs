//! Rules at the edges of exchanges and bindings: which check comes first, what an alternate may be, names.

use leveret_tests::prelude::*;

#[test]
fn the_checks_of_a_binding_have_their_order() {
    let (owner, channel) = (open_channel(), open_channel());
    let foreign = owner.exclusive_queue();
    let broken = table([("x-match", "nonsense".into())]);
    let bind = |queue: &str, source: &str| methods::queue_bind(queue, source, "", &[], &broken);
    // The source is missing, the queue is somebody else's, the arguments make no sense.
    channel.refuses(bind(&foreign, "leveret-missing"), 404, "no exchange 'leveret-missing' in vhost '/'");
    let text = format!(
        "cannot obtain exclusive access to locked queue '{foreign}' in vhost '/'. It could be originally declared on \
         another connection or the exclusive property value does not match that of the original declaration."
    );
    // 3.10 looks at the arguments first.
    if !peer() {
        channel.refuses(bind(&foreign, "amq.headers"), 405, &text);
    }
    let own = channel.exclusive_queue();
    let text = "Invalid x-match field value <<\"nonsense\">>; expected all, any, all-with-x, or any-with-x";
    channel.refuses(bind(&own, "amq.headers"), 406, text);
}

#[test]
fn the_type_is_judged_before_anything_else_of_a_declare() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("judged");
    channel.exchange(&exchange, "direct", &[], &none());
    for name in [&*exchange, "amq.new", ""] {
        let declare = methods::exchange_declare(name, "leveret", &[Durable], &none());
        if peer() {
            // Before 4.0 this ended the connection.
            open_channel().kills(declare, 503, "unknown exchange type 'leveret'");
        } else {
            channel.refuses(declare, 406, "unknown exchange type 'leveret'");
        }
    }
}

#[test]
fn the_arguments_of_a_type_are_judged_last_and_once() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("judged");
    let unsupported = table([("hash-property", "app_id".into())]);
    let declare = |name: &str, arguments: &Table| methods::exchange_declare(name, "x-consistent-hash", &[], arguments);
    channel.refuses(declare("amq.new", &unsupported), 403, "exchange name 'amq.new' contains reserved prefix 'amq.*'");
    let mut both = unsupported.clone();
    both.0.push(("alternate-exchange".to_owned(), 1.into()));
    let text = format!("invalid type 'signedint' for arg 'alternate-exchange' in exchange '{exchange}' in vhost '/'");
    channel.refuses(declare(&exchange, &both), 406, &text);
    channel.refuses(declare(&exchange, &unsupported), 406, "Unsupported property: app_id");
    // What is there already is compared and not judged again.
    channel.exchange(&exchange, "x-consistent-hash", &[], &none());
    channel.exchange(&exchange, "x-consistent-hash", &[], &unsupported);
}

#[test]
fn the_default_exchange_is_no_alternate() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("to-default");
    channel.exchange(&exchange, "direct", &[], &table([("alternate-exchange", "".into())]));
    let queue = channel.exclusive_queue();
    // Queues are bound to it by their names, but not for those who come this way.
    channel.publish_with(&exchange, &queue, &[Mandatory], &Props::default(), "returned");
    assert_eq!(channel.returned().body, b"returned");
    assert_eq!(channel.drain(&queue), texts(&[]));
}

#[test]
fn an_internal_exchange_may_be_an_alternate() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, internal) = (names.exchange("outer"), names.exchange("internal"));
    channel.exchange(&internal, "fanout", &[Internal], &none());
    channel.exchange(&exchange, "direct", &[], &table([("alternate-exchange", internal.as_str().into())]));
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &internal, "");
    channel.publish(&exchange, "nobody", "caught");
    assert_eq!(channel.drain(&queue), ["caught"]);
    channel.rpc(methods::exchange_delete(&internal, &[])).finish();
}

#[test]
fn every_type_has_its_alternate() {
    let (channel, mut names) = (open_channel(), Names::new());
    let caught = names.exchange("caught");
    channel.exchange(&caught, "fanout", &[], &none());
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &caught, "");
    let kinds = ["direct", "fanout", "topic", "headers", "x-consistent-hash", "x-modulus-hash", "x-random"];
    for kind in kinds.into_iter().chain(["x-recent-history", "x-jms-topic"]) {
        let exchange = names.exchange(kind);
        channel.exchange(&exchange, kind, &[], &table([("alternate-exchange", caught.as_str().into())]));
        channel.publish(&exchange, "1", kind);
        assert_eq!(channel.drain(&queue), [kind]);
    }
}

#[test]
fn several_keys_of_one_message_choose_once() {
    let (channel, mut names) = (open_channel(), Names::new());
    for kind in ["x-consistent-hash", "x-modulus-hash", "x-random"] {
        let exchange = names.exchange(kind);
        channel.exchange(&exchange, kind, &[], &none());
        let queues = [channel.exclusive_queue(), channel.exclusive_queue(), channel.exclusive_queue()];
        queues.iter().for_each(|queue| channel.bind(queue, &exchange, "1"));
        for number in 0..20 {
            let props = Props::with_headers(table([("CC", ["a", "b", "c", "d"].into())]));
            channel.publish_with(&exchange, &number.to_string(), &[], &props, "text");
        }
        let found: usize = queues.iter().map(|queue| channel.drain(queue).len()).sum();
        assert_eq!(found, 20, "{kind}");
    }
}

#[test]
fn any_name_of_up_to_255_octets_is_an_exchange_s() {
    let channel = open_channel();
    for name in ["a b".to_owned(), "größe/%2f?#".to_owned(), format!("{:x<255}", unique("long"))] {
        channel.exchange(&name, "fanout", &[], &none());
        let queue = channel.exclusive_queue();
        channel.bind(&queue, &name, "");
        channel.publish(&name, "", "arrived");
        let message = channel.get_with(&queue, &[NoAck]).expect("it arrived");
        assert_eq!((&*message.exchange, &*message.text()), (&*name, "arrived"));
        channel.rpc(methods::exchange_delete(&name, &[])).finish();
    }
}

#[test]
fn a_new_binding_is_seen_by_a_publisher_that_knew_the_old_ones() {
    let (channel, mut names) = (open_channel(), Names::new());
    for kind in ["direct", "fanout", "topic", "x-consistent-hash", "x-modulus-hash"] {
        let exchange = names.exchange(kind);
        channel.exchange(&exchange, kind, &[], &none());
        let queues: Vec<String> = (0..8).map(|_| channel.exclusive_queue()).collect();
        let shares_out = kind.starts_with("x-");
        let mut reached = std::collections::BTreeSet::new();
        for (bound, queue) in (1..).zip(&queues) {
            channel.bind(queue, &exchange, "7");
            for number in 0..20 {
                // Whoever shares messages out does so by the key, and gives some keys of many to whoever comes.
                let key = if shares_out { number.to_string() } else { "7".to_owned() };
                channel.publish(&exchange, &key, "text");
            }
            let counts: Vec<usize> = queues.iter().map(|queue| channel.drain(queue).len()).collect();
            assert_eq!(counts.iter().sum::<usize>(), if shares_out { 20 } else { 20 * bound }, "{kind}: {counts:?}");
            reached.extend(queues.iter().zip(&counts).filter(|(_, count)| **count > 0).map(|(queue, _)| queue));
        }
        assert!(reached.len() > 1, "{kind}");
        for queue in &queues {
            channel.rpc(methods::queue_unbind(queue, &exchange, "7", &none())).finish();
        }
        channel.publish_with(&exchange, "7", &[Mandatory], &Props::default(), "returned");
        assert_eq!(channel.returned().body, b"returned");
    }
}
