//! Binding and unbinding, of queues and of exchanges.

use leveret_tests::prelude::*;

fn bind(queue: &str, exchange: &str, key: &str, arguments: &Table) -> Method {
    methods::queue_bind(queue, exchange, key, &[], arguments)
}

#[test]
fn binding_twice_is_binding_once() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.bind(&queue, "amq.direct", &queue);
    channel.bind(&queue, "amq.direct", &queue);
    channel.publish("amq.direct", &queue, "once");
    assert_eq!(channel.drain(&queue), ["once"]);
    channel.rpc(methods::queue_unbind(&queue, "amq.direct", &queue, &none()));
    channel.publish("amq.direct", &queue, "never");
    assert_eq!(channel.drain(&queue), texts(&[]));
}

#[test]
fn the_key_and_the_arguments_make_a_binding() {
    let (channel, key) = (open_channel(), unique("key"));
    let queue = channel.exclusive_queue();
    let (one, other) = (table([("n", 1.into())]), table([("n", 2.into())]));
    channel.rpc(bind(&queue, "amq.direct", &key, &one));
    channel.rpc(bind(&queue, "amq.direct", &key, &other));
    // Unbinding something else is no error and changes nothing.
    channel.rpc(methods::queue_unbind(&queue, "amq.direct", &key, &none())).finish();
    channel.rpc(methods::queue_unbind(&queue, "amq.direct", "another key", &one)).finish();
    channel.rpc(methods::queue_unbind(&queue, "amq.direct", &key, &one)).finish();
    channel.publish("amq.direct", &key, "still bound");
    channel.rpc(methods::queue_unbind(&queue, "amq.direct", &key, &other)).finish();
    channel.publish("amq.direct", &key, "unbound");
    assert_eq!(channel.drain(&queue), ["still bound"]);
}

#[test]
fn the_order_of_arguments_does_not_matter() {
    let (channel, key) = (open_channel(), unique("key"));
    let queue = channel.exclusive_queue();
    channel.rpc(bind(&queue, "amq.direct", &key, &table([("a", 1.into()), ("b", 2.into())])));
    channel.rpc(methods::queue_unbind(&queue, "amq.direct", &key, &table([("b", 2.into()), ("a", 1.into())])));
    channel.publish("amq.direct", &key, "lost");
    assert_eq!(channel.drain(&queue), texts(&[]));
}

#[test]
fn unbinding_what_is_not_there_succeeds() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.rpc(methods::queue_unbind(&queue, "amq.direct", "never bound", &none())).finish();
    channel.rpc(methods::queue_unbind(&queue, "leveret-missing", "key", &none())).finish();
    channel.rpc(methods::queue_unbind("leveret-missing", "amq.direct", "key", &none())).finish();
    channel.rpc(methods::queue_unbind("leveret-missing", "leveret-missing", "key", &none())).finish();
    channel.rpc(methods::exchange_unbind("amq.direct", "amq.topic", "never bound", &[], &none())).finish();
    channel.rpc(methods::exchange_unbind("leveret-missing", "amq.topic", "key", &[], &none())).finish();
    channel.rpc(methods::exchange_unbind("amq.topic", "leveret-missing", "key", &[], &none())).finish();
}

#[test]
fn both_ends_of_a_binding_must_exist() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let (no_queue, no_exchange) =
        ("no queue 'leveret-missing' in vhost '/'", "no exchange 'leveret-missing' in vhost '/'");
    channel.refuses(bind(&queue, "leveret-missing", "key", &none()), 404, no_exchange);
    channel.refuses(bind("leveret-missing", "amq.direct", "key", &none()), 404, no_queue);
    channel.refuses(methods::exchange_bind("leveret-missing", "amq.direct", "", &[], &none()), 404, no_exchange);
    channel.refuses(methods::exchange_bind("amq.direct", "leveret-missing", "", &[], &none()), 404, no_exchange);
}

#[test]
fn a_missing_source_is_told_before_a_missing_destination() {
    let channel = open_channel();
    if peer() {
        // 3.10 looks at both ends and tells the queue.
        return;
    }
    let text = "no exchange 'leveret-missing-source' in vhost '/'";
    channel.refuses(bind("leveret-missing", "leveret-missing-source", "key", &none()), 404, text);
    channel.refuses(methods::exchange_bind("leveret-missing", "leveret-missing-source", "", &[], &none()), 404, text);
}

#[test]
fn a_binding_without_reply_is_in_force_for_what_follows() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (source, target) = (names.exchange("source"), names.exchange("target"));
    let queue = channel.exclusive_queue();
    channel.exchange(&source, "fanout", &[], &none());
    channel.exchange(&target, "fanout", &[], &none());
    channel.send(methods::exchange_bind(&target, &source, "", &[Nowait], &none()));
    channel.send(methods::queue_bind(&queue, &target, "", &[Nowait], &none()));
    channel.publish(&source, "", "through");
    channel.send(methods::exchange_unbind(&target, &source, "", &[Nowait], &none()));
    channel.publish(&source, "", "lost");
    assert_eq!(channel.drain(&queue), ["through"]);
}

#[test]
fn the_destination_of_an_exchange_binding_comes_first() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (source, target) = (names.exchange("source"), names.exchange("target"));
    let queue = channel.exclusive_queue();
    channel.exchange(&source, "direct", &[], &none());
    channel.exchange(&target, "fanout", &[], &none());
    channel.rpc(methods::exchange_bind(&target, &source, "key", &[], &none()));
    channel.bind(&queue, &target, "");
    channel.publish(&source, "key", "right");
    channel.publish(&source, "another key", "wrong");
    assert_eq!(channel.drain(&queue), ["right"]);
}

#[test]
fn exchange_bindings_are_told_apart_by_key_and_arguments() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (source, target) = (names.exchange("source"), names.exchange("target"));
    let queue = channel.exclusive_queue();
    channel.exchange(&source, "direct", &[], &none());
    channel.exchange(&target, "fanout", &[], &none());
    channel.bind(&queue, &target, "");
    let arguments = table([("n", 1.into())]);
    channel.rpc(methods::exchange_bind(&target, &source, "key", &[], &arguments));
    channel.rpc(methods::exchange_unbind(&target, &source, "key", &[], &none()));
    channel.publish(&source, "key", "still bound");
    channel.rpc(methods::exchange_unbind(&target, &source, "key", &[], &arguments));
    channel.publish(&source, "key", "unbound");
    assert_eq!(channel.drain(&queue), ["still bound"]);
}

#[test]
fn a_deleted_queue_leaves_no_binding_behind() {
    let channel = open_channel();
    let (queue, key) = (unique("reborn"), unique("key"));
    channel.declare(&queue, &[Exclusive], &none());
    channel.bind(&queue, "amq.direct", &key);
    channel.rpc(methods::queue_delete(&queue, &[]));
    channel.declare(&queue, &[Exclusive], &none());
    channel.publish("amq.direct", &key, "lost");
    assert_eq!(channel.drain(&queue), texts(&[]));
}

#[test]
fn a_durable_queue_may_be_bound_to_a_transient_exchange() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, queue) = (names.exchange("transient"), names.queue("durable"));
    channel.exchange(&exchange, "fanout", &[], &none());
    channel.declare(&queue, &[Durable], &none());
    channel.bind(&queue, &exchange, "");
    channel.publish(&exchange, "", "arrived");
    assert_eq!(channel.drain(&queue), ["arrived"]);
}

#[test]
fn a_headers_binding_needs_a_known_x_match() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let bad_value = table([("x-match", "foo".into())]);
    let bad_type = table([("x-match", 23.into())]);
    let text = "Invalid x-match field value <<\"foo\">>; expected all, any, all-with-x, or any-with-x";
    channel.refuses(bind(&queue, "amq.headers", "", &bad_value), 406, text);
    let text = "Invalid x-match field type signedint (value 23); expected longstr";
    channel.refuses(bind(&queue, "amq.headers", "", &bad_type), 406, text);
}

#[test]
fn a_locked_queue_cannot_be_bound_or_unbound() {
    let (owner, other) = (open_channel(), open_channel());
    let queue = owner.exclusive_queue();
    let text = format!(
        "cannot obtain exclusive access to locked queue '{queue}' in vhost '/'. It could be originally declared on \
         another connection or the exclusive property value does not match that of the original declaration."
    );
    let bad_value = table([("x-match", "foo".into())]);
    // 3.10 judges the arguments first.
    if !peer() {
        other.refuses(bind(&queue, "amq.headers", "", &bad_value), 405, &text);
    }
    other.refuses(bind(&queue, "amq.headers", "", &none()), 405, &text);
    // Where there is nothing to unbind it does not matter whose queue it is.
    other.rpc(methods::queue_unbind(&queue, "amq.direct", "key", &none())).finish();
    owner.bind(&queue, "amq.direct", "key");
    other.refuses(methods::queue_unbind(&queue, "amq.direct", "key", &none()), 405, &text);
}

#[test]
fn an_exchange_may_be_bound_to_itself() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("self");
    let queue = channel.exclusive_queue();
    channel.exchange(&exchange, "fanout", &[], &none());
    channel.rpc(methods::exchange_bind(&exchange, &exchange, "", &[], &none())).finish();
    channel.bind(&queue, &exchange, "");
    channel.publish(&exchange, "", "once");
    assert_eq!(channel.drain(&queue), ["once"]);
    channel.rpc(methods::exchange_unbind(&exchange, &exchange, "", &[], &none())).finish();
}
