//! Publisher confirms.

use leveret_tests::prelude::*;

fn confirming() -> Channel {
    let channel = open_channel();
    channel.rpc(methods::confirm_select(&[])).finish();
    channel
}

/// Whether all of these were confirmed by an ack.
fn assert_acked(channel: &Channel, first: u64, last: u64) {
    let confirmed = channel.confirms(first, last);
    assert!(confirmed.values().all(|is_ack| *is_ack), "{confirmed:?}");
}

#[test]
fn publishes_are_numbered_from_one() {
    let channel = confirming();
    let queue = channel.exclusive_queue();
    for number in 1..=3 {
        channel.publish("", &queue, "x");
        let mut ack = channel.expect(ids::BASIC_ACK).args;
        assert_eq!(ack.longlong(), number);
    }
}

#[test]
fn what_was_published_before_is_not_counted() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish("", &queue, "before");
    channel.rpc(methods::confirm_select(&[]));
    channel.publish("", &queue, "first");
    assert_acked(&channel, 1, 1);
    channel.expect_silence();
}

#[test]
fn selecting_again_changes_nothing() {
    let channel = confirming();
    channel.publish("", "leveret-missing", "x");
    assert_acked(&channel, 1, 1);
    channel.rpc(methods::confirm_select(&[])).finish();
    channel.publish("", "leveret-missing", "x");
    assert_acked(&channel, 2, 2);
}

#[test]
fn selecting_without_reply_works() {
    let channel = open_channel();
    channel.send(methods::confirm_select(&[Nowait]));
    channel.publish("", "leveret-missing", "x");
    assert_acked(&channel, 1, 1);
    channel.expect_silence();
}

#[test]
fn without_select_nothing_is_confirmed() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish("", &queue, "x");
    channel.expect_silence();
}

#[test]
fn every_publish_is_confirmed_once() {
    const COUNT: u64 = 3_000;
    let channel = confirming();
    let queue = channel.exclusive_queue();
    for _ in 0..COUNT {
        channel.publish("", &queue, "x");
    }
    assert_acked(&channel, 1, COUNT);
    channel.expect_silence();
    assert_eq!(channel.counts(&queue).0, 3_000);
}

#[test]
fn unroutable_publishes_are_confirmed() {
    let channel = confirming();
    channel.publish("", "leveret-missing", "dropped");
    channel.publish("amq.fanout", "", "dropped");
    assert_acked(&channel, 1, 2);
}

#[test]
fn the_return_comes_before_the_confirm() {
    let channel = confirming();
    for number in 1..=50 {
        channel.publish_with("", "leveret-missing", &[Mandatory], &Props::persistent(), &number.to_string());
    }
    let mut returned = 0;
    let mut confirmed = 0;
    while confirmed < 50 {
        let mut incoming = channel.next(PATIENCE).unwrap();
        match incoming.id {
            ids::BASIC_RETURN => returned += 1,
            ids::BASIC_ACK => {
                let (tag, is_multiple) = (incoming.args.longlong(), incoming.args.octet() & 1 == 1);
                assert!(returned >= tag, "{tag} was confirmed before it came back");
                confirmed = if is_multiple { tag } else { confirmed + 1 };
            }
            other => panic!("unexpected {}", ids::name(other)),
        }
    }
    assert_eq!(returned, 50);
}

#[test]
fn persistent_messages_in_durable_queues_are_confirmed() {
    let (channel, mut names) = (confirming(), Names::new());
    let queue = names.queue("durable");
    channel.declare(&queue, &[Durable], &none());
    for _ in 0..20 {
        channel.publish_with("", &queue, &[], &Props::persistent(), "safe");
    }
    assert_acked(&channel, 1, 20);
    assert_eq!(channel.counts(&queue).0, 20);
}

#[test]
fn messages_for_several_queues_are_confirmed_once() {
    let (channel, key) = (confirming(), unique("key"));
    for _ in 0..3 {
        let queue = channel.exclusive_queue();
        channel.bind(&queue, "amq.direct", &key);
    }
    channel.publish("amq.direct", &key, "three");
    assert_acked(&channel, 1, 1);
    channel.expect_silence();
}

#[test]
fn messages_that_are_consumed_at_once_are_confirmed() {
    let channel = confirming();
    let queue = channel.exclusive_queue();
    channel.consume_with(&queue, "", &[NoAck], &none());
    channel.publish_with("", &queue, &[], &Props::persistent(), "consumed");
    let mut seen = [channel.next(PATIENCE).unwrap().id, channel.next(PATIENCE).unwrap().id];
    seen.sort_unstable();
    assert_eq!(seen, [ids::BASIC_DELIVER, ids::BASIC_ACK]);
}

#[test]
fn publishes_of_deleted_and_purged_queues_are_confirmed() {
    let (channel, mut names) = (confirming(), Names::new());
    let queue = names.queue("deleted");
    channel.declare(&queue, &[Durable], &none());
    for _ in 0..100 {
        channel.publish_with("", &queue, &[], &Props::persistent(), "x");
    }
    channel.rpc(methods::queue_purge(&queue, &[]));
    for _ in 0..100 {
        channel.publish_with("", &queue, &[], &Props::persistent(), "x");
    }
    channel.rpc(methods::queue_delete(&queue, &[]));
    assert_acked(&channel, 1, 200);
}

#[test]
fn a_rejected_publish_is_nacked() {
    let channel = confirming();
    let arguments = table([("x-max-length", 2.into()), ("x-overflow", "reject-publish".into())]);
    let queue = channel.declare("", &[Exclusive], &arguments).queue;
    for _ in 0..2 {
        channel.publish("", &queue, "fits");
    }
    assert_acked(&channel, 1, 2);
    channel.publish("", &queue, "does not fit");
    assert_eq!(channel.confirms(3, 3).get(&3), Some(&false));
    channel.get_with(&queue, &[NoAck]);
    channel.publish("", &queue, "fits again");
    assert_acked(&channel, 4, 4);
}

#[test]
fn a_publish_that_one_queue_rejects_stays_in_the_other() {
    let (channel, key) = (confirming(), unique("key"));
    let arguments = table([("x-max-length", 0.into()), ("x-overflow", "reject-publish".into())]);
    let full = channel.declare("", &[Exclusive], &arguments).queue;
    let free = channel.exclusive_queue();
    channel.bind(&full, "amq.direct", &key);
    channel.bind(&free, "amq.direct", &key);
    channel.publish_with("amq.direct", &key, &[Mandatory], &Props::default(), "half");
    assert_eq!(channel.confirms(1, 1).get(&1), Some(&false), "nacked and not returned");
    assert_eq!(channel.drain(&free), ["half"]);
}

#[test]
fn a_reopened_channel_confirms_nothing_and_counts_anew() {
    let channel = confirming();
    channel.publish("", "leveret-missing", "x");
    assert_acked(&channel, 1, 1);
    channel.close();
    channel.open();
    channel.publish("", "leveret-missing", "not confirmed");
    channel.expect_silence();
    channel.rpc(methods::confirm_select(&[]));
    channel.publish("", "leveret-missing", "x");
    assert_acked(&channel, 1, 1);
}

#[test]
fn confirms_and_transactions_exclude_each_other() {
    let channel = confirming();
    channel.refuses(methods::tx_select(), 406, "cannot switch from confirm to tx mode");
    channel.rpc(methods::tx_select());
    channel.refuses(methods::confirm_select(&[]), 406, "cannot switch from tx to confirm mode");
}
