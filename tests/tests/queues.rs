//! Declaring, purging and deleting queues, and their lives.

use leveret_tests::prelude::*;

fn declare(queue: &str, flags: &[Flag], arguments: &Table) -> Method {
    methods::queue_declare(queue, flags, arguments)
}

fn no_queue(queue: &str) -> String {
    format!("no queue '{queue}' in vhost '/'")
}

/// An exclusive queue with a name of the client, which may be declared again.
fn exclusive(channel: &Channel) -> String {
    channel.declare(&unique("exclusive"), &[Exclusive], &none()).queue
}

// Declaring

#[test]
fn a_new_queue_is_empty_and_unused() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("new");
    let declared = channel.declare(&queue, &[], &none());
    assert_eq!((declared.queue, declared.message_count, declared.consumer_count), (queue, 0, 0));
}

#[test]
fn a_declare_counts_ready_messages_and_consumers() {
    let channel = open_channel();
    let queue = exclusive(&channel);
    for text in ["a", "b", "c"] {
        channel.publish("", &queue, text);
    }
    channel.get(&queue);
    assert_eq!(channel.counts(&queue), (2, 0), "what is unacknowledged is not ready");
    channel.rpc(methods::qos(0, 1, &[]));
    channel.consume(&queue);
    channel.consume(&queue);
    channel.delivery();
    channel.delivery();
    assert_eq!(channel.counts(&queue), (0, 2));
    assert_eq!(channel.declare(&queue, &[Exclusive], &none()).consumer_count, 2);
}

#[test]
fn every_server_name_is_another_one() {
    let channel = open_channel();
    let (one, other) = (channel.exclusive_queue(), channel.exclusive_queue());
    assert_ne!(one, other);
    for name in [one, other] {
        let random = name.strip_prefix("amq.gen-").unwrap();
        assert_eq!(random.len(), 22, "{name}");
        assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{name}");
    }
}

#[test]
fn a_declare_without_reply_is_in_force_for_what_follows() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("nowait");
    channel.send(declare(&queue, &[Nowait], &none()));
    channel.publish("", &queue, "arrived");
    channel.send(declare(&queue, &[Nowait, Passive], &none()));
    assert_eq!(channel.drain(&queue), ["arrived"]);
    channel.send(methods::queue_delete(&queue, &[Nowait]));
    assert!(!channel.has_queue(&queue));
    channel.refuses(declare(&queue, &[Nowait, Passive], &none()), 404, &no_queue(&queue));
}

#[test]
fn a_passive_declare_of_a_missing_queue_fails() {
    let channel = open_channel();
    channel.refuses(declare("leveret-missing", &[Passive], &none()), 404, &no_queue("leveret-missing"));
}

#[test]
fn a_passive_declare_compares_nothing() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("passive");
    channel.declare(&queue, &[AutoDelete], &table([("x-max-length", 5.into())]));
    channel.declare(&queue, &[Passive, Durable], &table([("x-max-length", "no number".into())]));
}

#[test]
fn reserved_names_cannot_be_taken() {
    let channel = open_channel();
    for queue in ["amq.leveret", "amq.gen-leveret"] {
        let text = format!("queue name '{queue}' contains reserved prefix 'amq.*'");
        channel.refuses(declare(queue, &[], &none()), 403, &text);
        channel.refuses(declare(queue, &[Passive], &none()), 404, &no_queue(queue));
    }
}

#[test]
fn a_server_named_queue_can_be_declared_again() {
    // RabbitMQ minds the reserved prefix of queues even when it gave the name.
    if peer() {
        return;
    }
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    assert_eq!(channel.declare(&queue, &[Exclusive], &none()).queue, queue);
}

#[test]
fn any_name_of_up_to_255_octets_is_a_name() {
    let channel = open_channel();
    for name in ["ü".repeat(127), "x".repeat(255), " ".to_owned(), "a/b?c#d*e<f>".to_owned(), "~p%n{}".to_owned()] {
        assert_eq!(channel.declare(&name, &[Exclusive], &none()).queue, name);
        channel.publish("", &name, "here");
        assert_eq!(channel.drain(&name), ["here"]);
    }
}

#[test]
fn line_breaks_are_stripped_from_names() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("crlf");
    let broken = format!("{queue}\r\n");
    assert_eq!(channel.declare(&broken, &[], &none()).queue, queue);
    channel.bind(&format!("\n{queue}"), "amq.fanout\r", "");
    channel.rpc(methods::queue_unbind(&broken, "amq.\nfanout", "", &none())).finish();
    // Fetching, consuming and purging take the name as it is.
    channel.refuses(methods::get(&broken, &[]), 404, &no_queue(&broken));
    channel.refuses(methods::consume(&broken, "", &[], &none()), 404, &no_queue(&broken));
    channel.refuses(methods::queue_purge(&broken, &[]), 404, &no_queue(&broken));
    channel.rpc(methods::queue_delete(&broken, &[]));
    assert!(!channel.has_queue(&queue));
}

// Equivalence

#[test]
fn properties_must_be_the_same_again() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("equivalence");
    channel.declare(&queue, &[], &none());
    channel.declare(&queue, &[], &none());
    let text = |property: &str| {
        format!(
            "inequivalent arg '{property}' for queue '{queue}' in vhost '/': received 'true' but current is 'false'"
        )
    };
    channel.refuses(declare(&queue, &[Durable, AutoDelete], &none()), 406, &text("durable"));
    channel.refuses(declare(&queue, &[AutoDelete], &table([("x-expires", 9_999.into())])), 406, &text("auto_delete"));
}

#[test]
fn an_exclusive_queue_is_never_durable() {
    let channel = open_channel();
    let queue = exclusive(&channel);
    channel.declare(&queue, &[Exclusive, Durable], &none());
    channel.declare(&queue, &[Exclusive], &none());
}

#[test]
fn known_arguments_must_be_the_same_again() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("arguments");
    channel.declare(&queue, &[], &table([("x-max-length", 2_000.into())]));
    let prefix = |argument: &str| format!("inequivalent arg '{argument}' for queue '{queue}' in vhost '/': ");
    let text = prefix("x-max-length") + "received '1000' but current is '2000'";
    channel.refuses(declare(&queue, &[], &table([("x-max-length", 1_000.into())])), 406, &text);
    let text = prefix("x-max-length") + "received none but current is the value '2000' of type 'signedint'";
    channel.refuses(declare(&queue, &[], &none()), 406, &text);
    let arguments = table([("x-max-length", 2_000.into()), ("x-message-ttl", 60_000.into())]);
    let text = prefix("x-message-ttl") + "received the value '60000' of type 'signedint' but current is none";
    channel.refuses(declare(&queue, &[], &arguments), 406, &text);
}

#[test]
fn integers_of_any_width_are_compared_by_value() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("widths");
    let values = [
        Value::I8(100),
        Value::U8(100),
        Value::I16(100),
        Value::U16(100),
        Value::I32(100),
        Value::U32(100),
        Value::I64(100),
    ];
    for value in values {
        channel.declare(&queue, &[], &table([("x-max-length", value)]));
    }
}

#[test]
fn every_known_argument_is_compared() {
    let (channel, mut names) = (open_channel(), Names::new());
    let argument_values: [(&str, Value, Value); 9] = [
        ("x-expires", 60_000.into(), 60_001.into()),
        ("x-message-ttl", 60_000.into(), 60_001.into()),
        ("x-dead-letter-exchange", "one".into(), "two".into()),
        ("x-max-length", 1.into(), 2.into()),
        ("x-max-length-bytes", 1.into(), 2.into()),
        ("x-max-priority", 1.into(), 2.into()),
        ("x-overflow", "drop-head".into(), "reject-publish".into()),
        ("x-single-active-consumer", true.into(), false.into()),
        ("x-queue-mode", "default".into(), "lazy".into()),
    ];
    for (argument, one, other) in argument_values {
        let queue = names.queue("known");
        channel.declare(&queue, &[], &table([(argument, one.clone())]));
        channel.declare(&queue, &[], &table([(argument, one)]));
        channel.send(declare(&queue, &[], &table([(argument, other)])));
        let mut close = channel.expect(ids::CHANNEL_CLOSE).args;
        let (code, text) = (close.short(), close.shortstr());
        channel.send(Method::new(ids::CHANNEL_CLOSE_OK));
        channel.open();
        let start = format!("PRECONDITION_FAILED - inequivalent arg '{argument}' for queue '{queue}' in vhost '/': ");
        assert!(code == 406 && text.starts_with(&start), "{code} {text}");
    }
}

#[test]
fn unknown_arguments_are_not_compared() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("unknown");
    channel.declare(&queue, &[], &table([("foo", "bar".into())]));
    channel.declare(&queue, &[], &table([("foo", 7.into()), ("x-unheard-of", Value::Void)]));
    channel.declare(&queue, &[], &none());
}

#[test]
fn the_classic_type_may_be_named_or_left_out() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (named, unnamed) = (names.queue("named"), names.queue("unnamed"));
    let classic = table([("x-queue-type", "classic".into())]);
    channel.declare(&named, &[], &classic);
    channel.declare(&named, &[], &none());
    channel.declare(&unnamed, &[], &none());
    channel.declare(&unnamed, &[], &classic);
}
