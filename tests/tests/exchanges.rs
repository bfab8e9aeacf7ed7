//! Declaring and deleting exchanges, and their lives.

use leveret_tests::prelude::*;

/// What a redeclare with another property is told.
fn inequivalent(property: &str, exchange: &str, received: &str, current: &str) -> String {
    format!(
        "inequivalent arg '{property}' for exchange '{exchange}' in vhost '/': \
         received '{received}' but current is '{current}'"
    )
}

fn declare(exchange: &str, kind: &str, flags: &[Flag], arguments: &Table) -> Method {
    methods::exchange_declare(exchange, kind, flags, arguments)
}

// Declaring

#[test]
fn an_exchange_can_be_declared_again_with_the_same_properties() {
    let (channel, mut names) = (open_channel(), Names::new());
    for kind in ["direct", "fanout", "topic", "headers"] {
        let exchange = names.exchange(kind);
        for _ in 0..2 {
            channel.exchange(&exchange, kind, &[Durable, AutoDelete, Internal], &none());
        }
    }
}

#[test]
fn each_property_is_compared_in_its_turn() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("compared");
    let other = table([("alternate-exchange", "elsewhere".into())]);
    channel.exchange(&exchange, "direct", &[], &none());
    // Everything differs: the type is told first, then durable, auto_delete, internal and the arguments.
    let text = inequivalent("type", &exchange, "fanout", "direct");
    channel.refuses(declare(&exchange, "fanout", &[Durable, AutoDelete, Internal], &other), 406, &text);
    let text = inequivalent("durable", &exchange, "true", "false");
    channel.refuses(declare(&exchange, "direct", &[Durable, AutoDelete, Internal], &other), 406, &text);
    let text = inequivalent("auto_delete", &exchange, "true", "false");
    channel.refuses(declare(&exchange, "direct", &[AutoDelete, Internal], &other), 406, &text);
    let text = inequivalent("internal", &exchange, "true", "false");
    channel.refuses(declare(&exchange, "direct", &[Internal], &other), 406, &text);
    let text = format!(
        "inequivalent arg 'alternate-exchange' for exchange '{exchange}' in vhost '/': \
         received the value 'elsewhere' of type 'longstr' but current is none"
    );
    channel.refuses(declare(&exchange, "direct", &[], &other), 406, &text);
}

#[test]
fn an_alternate_exchange_must_be_named_again() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("alternate");
    let alternate = |name: &str| table([("alternate-exchange", name.into())]);
    channel.exchange(&exchange, "direct", &[], &alternate("one"));
    channel.exchange(&exchange, "direct", &[], &alternate("one"));
    let text = format!(
        "inequivalent arg 'alternate-exchange' for exchange '{exchange}' in vhost '/': \
         received none but current is the value 'one' of type 'longstr'"
    );
    channel.refuses(declare(&exchange, "direct", &[], &none()), 406, &text);
    let text = inequivalent("alternate-exchange", &exchange, "two", "one");
    channel.refuses(declare(&exchange, "direct", &[], &alternate("two")), 406, &text);
}

#[test]
fn other_arguments_are_not_compared() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("arguments");
    channel.exchange(&exchange, "direct", &[], &table([("colour", "red".into())]));
    channel.exchange(&exchange, "direct", &[], &table([("colour", 7.into())]));
    channel.exchange(&exchange, "direct", &[], &none());
}

#[test]
fn an_alternate_exchange_must_be_a_string() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("typed");
    let text = format!("invalid type 'signedint' for arg 'alternate-exchange' in exchange '{exchange}' in vhost '/'");
    channel.refuses(declare(&exchange, "direct", &[], &table([("alternate-exchange", 1.into())])), 406, &text);
    assert!(!channel.has_exchange(&exchange));
}

#[test]
fn an_alternate_exchange_need_not_exist() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("ahead");
    channel.exchange(&exchange, "direct", &[], &table([("alternate-exchange", "leveret-missing".into())]));
}

#[test]
fn an_unknown_type_is_refused() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("unknown");
    if peer() {
        // Before 4.0 this ended the connection.
        return channel.kills(declare(&exchange, "leveret", &[], &none()), 503, "unknown exchange type 'leveret'");
    }
    channel.refuses(declare(&exchange, "leveret", &[], &none()), 406, "unknown exchange type 'leveret'");
}

#[test]
fn a_passive_declare_asks_only_for_existence() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("passive");
    let text = format!("no exchange '{exchange}' in vhost '/'");
    channel.refuses(declare(&exchange, "direct", &[Passive], &none()), 404, &text);
    channel.exchange(&exchange, "direct", &[], &none());
    channel.exchange(&exchange, "fanout", &[Passive, Durable, Internal], &none());
    channel.exchange(&exchange, "no such type", &[Passive], &none());
}

#[test]
fn a_declare_without_reply_is_in_force_for_what_follows() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("nowait");
    let queue = channel.exclusive_queue();
    channel.send(declare(&exchange, "fanout", &[Nowait], &none()));
    channel.send(methods::queue_bind(&queue, &exchange, "", &[Nowait], &none()));
    channel.publish(&exchange, "", "arrived");
    assert_eq!(channel.drain(&queue), ["arrived"]);
    channel.send(methods::exchange_delete(&exchange, &[Nowait]));
    assert!(!channel.has_exchange(&exchange));
}

#[test]
fn an_error_of_a_declare_without_reply_closes_the_channel_all_the_same() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("nowait-error");
    channel.exchange(&exchange, "direct", &[], &none());
    let text = inequivalent("type", &exchange, "fanout", "direct");
    channel.refuses(declare(&exchange, "fanout", &[Nowait], &none()), 406, &text);
}

// Predeclared exchanges and reserved names

#[test]
fn the_exchanges_of_amqp_are_there() {
    let channel = open_channel();
    let exchanges = [
        ("amq.direct", "direct"),
        ("amq.fanout", "fanout"),
        ("amq.topic", "topic"),
        ("amq.headers", "headers"),
        ("amq.match", "headers"),
    ];
    for (exchange, kind) in exchanges {
        channel.exchange(exchange, kind, &[Passive], &none());
        channel.exchange(exchange, kind, &[Durable], &none());
    }
    channel.exchange("amq.rabbitmq.trace", "topic", &[Durable, Internal], &none());
}

#[test]
fn the_exchanges_of_amqp_keep_their_properties() {
    let channel = open_channel();
    let text = inequivalent("durable", "amq.direct", "false", "true");
    channel.refuses(declare("amq.direct", "direct", &[], &none()), 406, &text);
    let text = inequivalent("type", "amq.direct", "fanout", "direct");
    channel.refuses(declare("amq.direct", "fanout", &[Durable], &none()), 406, &text);
}

#[test]
fn reserved_names_cannot_be_taken() {
    let channel = open_channel();
    for exchange in ["amq.leveret", "amq."] {
        let text = format!("exchange name '{exchange}' contains reserved prefix 'amq.*'");
        channel.refuses(declare(exchange, "direct", &[], &none()), 403, &text);
        let text = format!("no exchange '{exchange}' in vhost '/'");
        channel.refuses(declare(exchange, "direct", &[Passive], &none()), 404, &text);
    }
}

#[test]
fn names_that_only_look_reserved_are_free() {
    let (channel, mut names) = (open_channel(), Names::new());
    for prefix in ["amqp.", "AMQ.", "amq-"] {
        let exchange = format!("{prefix}{}", names.exchange("free"));
        channel.exchange(&exchange, "direct", &[], &none());
        channel.rpc(methods::exchange_delete(&exchange, &[])).finish();
    }
}

#[test]
fn system_exchanges_cannot_be_deleted() {
    let channel = open_channel();
    for exchange in ["amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match", "amq.rabbitmq.trace"] {
        let text = format!("deletion of system exchange '{exchange}' in vhost '/' not allowed");
        channel.refuses(methods::exchange_delete(exchange, &[]), 403, &text);
    }
}

#[test]
fn the_default_exchange_cannot_be_touched() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let text = "operation not permitted on the default exchange";
    channel.refuses(declare("", "direct", &[Durable], &none()), 403, text);
    channel.refuses(declare("", "direct", &[Passive], &none()), 403, text);
    channel.refuses(methods::exchange_delete("", &[]), 403, text);
    channel.refuses(methods::queue_bind(&queue, "", "key", &[], &none()), 403, text);
    channel.refuses(methods::queue_unbind(&queue, "", &queue, &none()), 403, text);
    channel.refuses(methods::exchange_bind("", "amq.direct", "key", &[], &none()), 403, text);
    channel.refuses(methods::exchange_bind("amq.direct", "", "key", &[], &none()), 403, text);
    channel.refuses(methods::exchange_unbind("amq.direct", "", "key", &[], &none()), 403, text);
}

#[test]
fn line_breaks_are_stripped_from_names() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, other) = (names.exchange("crlf"), names.exchange("crlf-to"));
    let broken = format!("\r{}\n", exchange.replacen('-', "\r\n-", 1));
    channel.exchange(&broken, "fanout", &[], &none());
    channel.exchange(&format!("{other}\n"), "fanout", &[], &none());
    channel.exchange(&exchange, "fanout", &[Passive], &none());
    channel.rpc(methods::exchange_bind(&format!("{other}\r"), &broken, "", &[], &none())).finish();
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &format!("{other}\r\n"), "");
    channel.publish(&exchange, "", "through");
    assert_eq!(channel.drain(&queue), ["through"]);
    // A publish takes the name as it is.
    channel.publish(&broken, "", "lost");
    channel.expect_close(404, &format!("no exchange '{broken}' in vhost '/'"), ids::BASIC_PUBLISH);
    channel.open();
    channel.rpc(methods::exchange_delete(&broken, &[])).finish();
    assert!(!channel.has_exchange(&exchange));
}

// Deleting

#[test]
fn deleting_a_missing_exchange_succeeds() {
    let channel = open_channel();
    channel.rpc(methods::exchange_delete("leveret-missing", &[])).finish();
    channel.rpc(methods::exchange_delete("leveret-missing", &[IfUnused])).finish();
}

#[test]
fn an_exchange_in_use_is_kept_when_asked() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, target) = (names.exchange("used"), names.exchange("target"));
    channel.exchange(&exchange, "fanout", &[], &none());
    channel.exchange(&target, "fanout", &[], &none());
    channel.rpc(methods::exchange_bind(&target, &exchange, "", &[], &none()));
    let text = format!("exchange '{exchange}' in vhost '/' in use");
    channel.refuses(methods::exchange_delete(&exchange, &[IfUnused]), 406, &text);
    // Being a destination is no use.
    channel.rpc(methods::exchange_delete(&target, &[IfUnused])).finish();
    channel.rpc(methods::exchange_delete(&exchange, &[IfUnused])).finish();
}

#[test]
fn bindings_go_with_their_exchange() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("bindings");
    let queue = channel.exclusive_queue();
    channel.exchange(&exchange, "fanout", &[], &none());
    channel.bind(&queue, &exchange, "");
    channel.rpc(methods::exchange_delete(&exchange, &[]));
    channel.exchange(&exchange, "fanout", &[], &none());
    channel.publish(&exchange, "", "lost");
    assert_eq!(channel.counts(&queue).0, 0);
}

// Auto-delete

fn auto_delete(channel: &Channel, exchange: &str) {
    channel.exchange(exchange, "fanout", &[AutoDelete], &none());
}

#[test]
fn an_auto_delete_exchange_waits_for_its_first_binding() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, source) = (names.exchange("waiting"), names.exchange("source"));
    auto_delete(&channel, &exchange);
    // Bindings to it do not count.
    channel.exchange(&source, "fanout", &[], &none());
    channel.rpc(methods::exchange_bind(&exchange, &source, "", &[], &none()));
    channel.rpc(methods::exchange_unbind(&exchange, &source, "", &[], &none()));
    assert!(channel.has_exchange(&exchange));
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("last");
    let queue = channel.exclusive_queue();
    auto_delete(&channel, &exchange);
    channel.bind(&queue, &exchange, "a");
    channel.bind(&queue, &exchange, "b");
    channel.rpc(methods::queue_unbind(&queue, &exchange, "a", &none()));
    assert!(channel.has_exchange(&exchange));
    channel.rpc(methods::queue_unbind(&queue, &exchange, "b", &none()));
    assert!(!channel.has_exchange(&exchange));
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_queue() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("queue");
    let queue = channel.exclusive_queue();
    auto_delete(&channel, &exchange);
    channel.bind(&queue, &exchange, "");
    channel.rpc(methods::queue_delete(&queue, &[]));
    assert!(!channel.has_exchange(&exchange));
}

#[test]
fn auto_deletes_cascade_from_exchange_to_exchange() {
    let (channel, mut names) = (open_channel(), Names::new());
    let chain: Vec<String> = (0..3).map(|_| names.exchange("chain")).collect();
    let queue = channel.exclusive_queue();
    chain.iter().for_each(|exchange| auto_delete(&channel, exchange));
    for pair in chain.windows(2) {
        channel.rpc(methods::exchange_bind(&pair[1], &pair[0], "", &[], &none()));
    }
    channel.bind(&queue, &chain[2], "");
    channel.publish(&chain[0], "", "through");
    assert_eq!(channel.drain(&queue), ["through"]);
    channel.rpc(methods::queue_delete(&queue, &[]));
    assert!(chain.iter().all(|exchange| !channel.has_exchange(exchange)));
}

#[test]
fn auto_deletes_cascade_around_a_loop() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (one, other) = (names.exchange("loop"), names.exchange("loop"));
    auto_delete(&channel, &one);
    auto_delete(&channel, &other);
    channel.rpc(methods::exchange_bind(&one, &other, "", &[], &none()));
    channel.rpc(methods::exchange_bind(&other, &one, "", &[], &none()));
    channel.rpc(methods::exchange_unbind(&other, &one, "", &[], &none()));
    assert!(!channel.has_exchange(&one));
    assert!(!channel.has_exchange(&other));
}

#[test]
fn an_exchange_without_auto_delete_stays() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("stays");
    let queue = channel.exclusive_queue();
    channel.exchange(&exchange, "fanout", &[], &none());
    channel.bind(&queue, &exchange, "");
    channel.rpc(methods::queue_delete(&queue, &[]));
    assert!(channel.has_exchange(&exchange));
}

// Internal

#[test]
fn an_internal_exchange_takes_no_publishes() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (internal, source) = (names.exchange("internal"), names.exchange("source"));
    let queue = channel.exclusive_queue();
    channel.exchange(&internal, "fanout", &[Internal], &none());
    let publish = methods::publish(&internal, "", &[], &Props::default(), b"refused");
    channel.refuses(publish, 403, &format!("cannot publish to internal exchange '{internal}' in vhost '/'"));
    channel.exchange(&source, "fanout", &[], &none());
    channel.rpc(methods::exchange_bind(&internal, &source, "", &[], &none()));
    channel.bind(&queue, &internal, "");
    channel.publish(&source, "", "by a binding");
    assert_eq!(channel.drain(&queue), ["by a binding"]);
}

#[test]
fn an_internal_exchange_is_bound_and_deleted_like_any_other() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (outer, internal) = (names.exchange("outer"), names.exchange("internal"));
    let queue = channel.exclusive_queue();
    channel.exchange(&outer, "fanout", &[], &none());
    channel.exchange(&internal, "fanout", &[Internal], &none());
    channel.rpc(methods::exchange_bind(&internal, &outer, "", &[], &none()));
    channel.bind(&queue, &internal, "");
    channel.publish(&outer, "", "through");
    assert_eq!(channel.drain(&queue), ["through"]);
    channel.rpc(methods::exchange_delete(&internal, &[]));
    assert!(!channel.has_exchange(&internal));
}

#[test]
fn bindings_to_a_deleted_exchange_go_too() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (source, target) = (names.exchange("source"), names.exchange("target"));
    channel.exchange(&source, "fanout", &[], &none());
    channel.exchange(&target, "fanout", &[], &none());
    channel.rpc(methods::exchange_bind(&target, &source, "", &[], &none()));
    channel.rpc(methods::exchange_delete(&target, &[]));
    channel.exchange(&target, "fanout", &[], &none());
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &target, "");
    channel.publish(&source, "", "lost");
    assert_eq!(channel.counts(&queue).0, 0);
    channel.rpc(methods::exchange_delete(&source, &[IfUnused])).finish();
}
