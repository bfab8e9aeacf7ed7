//! Limits of the length of a queue, where they meet consumers, returns and large messages.

use leveret_tests::prelude::*;

/// A queue of this connection alone with such limits.
fn limited<const N: usize>(channel: &Channel, limits: [(&str, Value); N]) -> String {
    channel.declare("", &[Exclusive], &table(limits)).queue
}

fn refusing() -> (&'static str, Value) {
    ("x-overflow", "reject-publish".into())
}

fn confirming() -> Channel {
    let channel = open_channel();
    channel.rpc(methods::confirm_select(&[])).finish();
    channel
}

#[test]
fn with_a_length_of_nothing_only_a_consumer_that_waits_gets_messages() {
    let channel = open_channel();
    let queue = limited(&channel, [("x-max-length", 0.into())]);
    channel.publish("", &queue, "nobody waits");
    assert_eq!(channel.get(&queue), None);
    channel.consume_with(&queue, "", &[NoAck], &none());
    channel.publish("", &queue, "somebody waits");
    assert_eq!(channel.delivery().text(), "somebody waits");
}

#[test]
fn a_full_queue_refuses_whoever_waits() {
    let channel = confirming();
    let queue = limited(&channel, [("x-max-length", 0.into()), refusing()]);
    channel.consume_with(&queue, "", &[NoAck], &none());
    channel.publish("", &queue, "refused");
    assert_eq!(channel.confirms(1, 1).get(&1), Some(&false));
    channel.expect_silence();
}

#[test]
fn a_message_larger_than_the_limit_is_dropped_or_refused() {
    let channel = confirming();
    let dropping = limited(&channel, [("x-max-length-bytes", 5.into())]);
    channel.publish("", &dropping, "fits");
    channel.publish("", &dropping, "too large");
    let confirmed = channel.confirms(1, 2);
    assert!(confirmed.values().all(|is_ack| *is_ack), "{confirmed:?}");
    assert_eq!(channel.drain(&dropping), texts(&[]), "it pushes out all before it, and then itself");
    let refusing = limited(&channel, [("x-max-length-bytes", 5.into()), refusing()]);
    channel.publish("", &refusing, "fits");
    channel.publish("", &refusing, "too large");
    assert_eq!(channel.confirms(3, 4).into_values().collect::<Vec<_>>(), [true, false]);
    assert_eq!(channel.drain(&refusing), ["fits"]);
}

#[test]
fn the_limit_in_octets_counts_bodies_only() {
    let channel = open_channel();
    let queue = limited(&channel, [("x-max-length-bytes", 6.into())]);
    let headers = table([("large", "x".repeat(1_000).as_str().into())]);
    for text in ["aaa", "bb", "c", "", ""] {
        channel.publish_with("", &queue, &[], &Props::with_headers(headers.clone()), text);
    }
    assert_eq!(channel.drain(&queue), ["aaa", "bb", "c", "", ""]);
    ["aaa", "bbb", "c"].iter().for_each(|text| channel.publish("", &queue, text));
    assert_eq!(channel.drain(&queue), ["bbb", "c"]);
}

#[test]
fn returned_messages_are_never_refused() {
    let channel = confirming();
    let queue = limited(&channel, [("x-max-length", 1.into()), refusing()]);
    channel.publish("", &queue, "first");
    channel.confirms(1, 1);
    let first = channel.get(&queue).unwrap();
    channel.publish("", &queue, "second");
    assert_eq!(channel.confirms(2, 2).get(&2), Some(&true), "what is delivered does not count");
    channel.send(methods::reject(first.delivery_tag, &[Requeue]));
    channel.publish("", &queue, "third");
    assert_eq!(channel.confirms(3, 3).get(&3), Some(&false));
    assert_eq!(channel.drain(&queue), ["first", "second"]);
}

#[test]
fn dead_letters_are_refused_like_all_others() {
    let channel = open_channel();
    let full = limited(&channel, [("x-max-length", 1.into()), refusing()]);
    let to_full = [("x-dead-letter-exchange", "".into()), ("x-dead-letter-routing-key", full.as_str().into())];
    let queue = limited(&channel, to_full);
    for text in ["kept", "refused"] {
        channel.publish("", &queue, text);
        let message = channel.get(&queue).unwrap();
        channel.send(methods::reject(message.delivery_tag, &[]));
        channel.sync();
        wait_until("the first has arrived", || channel.counts(&full).0 == 1);
    }
    assert_eq!(channel.drain(&full), ["kept"]);
}
