//! Prefetch limits, for each consumer and for a whole channel.

use leveret_tests::prelude::*;

/// A channel and a queue with so many messages.
fn filled(count: usize) -> (Channel, String) {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    fill(&channel, &queue, count);
    (channel, queue)
}

fn fill(channel: &Channel, queue: &str, count: usize) {
    (0..count).for_each(|number| channel.publish("", queue, &number.to_string()));
    wait_until("the messages arrive", || channel.counts(queue).0 as usize == count);
}

fn limit(channel: &Channel, count: u16, flags: &[Flag]) {
    channel.rpc(methods::qos(0, count, flags)).finish();
}

/// Takes so many deliveries and checks that they are all.
fn only(channel: &Channel, count: usize) -> Vec<Delivery> {
    let deliveries = (0..count).map(|_| channel.delivery()).collect();
    channel.expect_silence();
    deliveries
}

#[test]
fn a_prefetch_size_is_not_implemented() {
    open_channel().kills(methods::qos(1_000, 0, &[]), 540, "prefetch_size!=0 (1000)");
}

#[test]
fn without_a_limit_everything_is_delivered() {
    let (channel, queue) = filled(300);
    channel.consume(&queue);
    only(&channel, 300);
}

#[test]
fn a_consumer_gets_no_more_than_its_limit() {
    let (channel, queue) = filled(5);
    limit(&channel, 2, &[]);
    channel.consume(&queue);
    let first = only(&channel, 2);
    channel.ack(first[1].delivery_tag);
    assert_eq!(only(&channel, 1)[0].text(), "2");
    channel.send(methods::ack(0, &[Multiple]));
    only(&channel, 2);
}

#[test]
fn rejecting_makes_room_too() {
    let (channel, queue) = filled(4);
    limit(&channel, 1, &[]);
    channel.consume(&queue);
    channel.send(methods::reject(only(&channel, 1)[0].delivery_tag, &[]));
    channel.send(methods::nack(only(&channel, 1)[0].delivery_tag, &[]));
    channel.send(methods::nack(only(&channel, 1)[0].delivery_tag, &[Requeue]));
    assert_eq!(only(&channel, 1)[0].text(), "2", "the requeued one again");
}

#[test]
fn each_consumer_has_its_own_limit() {
    let (channel, queue) = filled(10);
    limit(&channel, 2, &[]);
    channel.consume_with(&queue, "a", &[], &none());
    channel.consume_with(&queue, "b", &[], &none());
    let tags: Vec<String> = only(&channel, 4).into_iter().map(|delivery| delivery.consumer_tag).collect();
    assert_eq!(tags.iter().filter(|tag| *tag == "a").count(), 2);
}

#[test]
fn a_limit_is_for_consumers_started_later() {
    let (channel, queue) = filled(10);
    limit(&channel, 1, &[]);
    channel.consume_with(&queue, "early", &[], &none());
    limit(&channel, 3, &[]);
    channel.consume_with(&queue, "late", &[], &none());
    let tags: Vec<String> = only(&channel, 4).into_iter().map(|delivery| delivery.consumer_tag).collect();
    assert_eq!(tags.iter().filter(|tag| *tag == "early").count(), 1);
}

#[test]
fn a_blocked_consumer_does_not_hold_up_others() {
    let connection = open();
    let (slow, fast) = (connection.channel(1), connection.channel(2));
    let queue = slow.exclusive_queue();
    limit(&slow, 1, &[]);
    slow.consume(&queue);
    fast.consume_with(&queue, "", &[NoAck], &none());
    for number in 0..20 {
        slow.publish("", &queue, &number.to_string());
    }
    only(&slow, 1);
    only(&fast, 19);
}

#[test]
fn consumers_without_ack_have_no_limit() {
    let (channel, queue) = filled(20);
    limit(&channel, 1, &[]);
    channel.consume_with(&queue, "", &[NoAck], &none());
    only(&channel, 20);
}

#[test]
fn fetched_messages_do_not_count() {
    let (channel, queue) = filled(5);
    limit(&channel, 1, &[]);
    limit(&channel, 1, &[Global]);
    channel.get(&queue);
    channel.get(&queue);
    channel.consume(&queue);
    only(&channel, 1);
}

#[test]
fn messages_kept_from_a_cancelled_consumer_do_not_limit_a_new_one() {
    let (channel, queue) = filled(5);
    limit(&channel, 1, &[]);
    let tag = channel.consume(&queue);
    only(&channel, 1);
    channel.rpc(methods::cancel(&tag, &[]));
    channel.consume(&queue);
    only(&channel, 1);
}

// The limit of the channel

#[test]
fn a_global_limit_is_shared_by_all_consumers() {
    let (channel, queue) = filled(10);
    limit(&channel, 3, &[Global]);
    channel.consume(&queue);
    channel.consume(&queue);
    let deliveries = only(&channel, 3);
    channel.ack(deliveries[0].delivery_tag);
    only(&channel, 1);
}

#[test]
fn a_global_limit_holds_over_several_queues() {
    let channel = open_channel();
    let (one, other) = (channel.exclusive_queue(), channel.exclusive_queue());
    fill(&channel, &one, 5);
    fill(&channel, &other, 5);
    limit(&channel, 3, &[Global]);
    channel.consume(&one);
    channel.consume(&other);
    only(&channel, 3);
    channel.send(methods::ack(0, &[Multiple]));
    only(&channel, 3);
    channel.send(methods::ack(0, &[Multiple]));
    only(&channel, 3);
    channel.send(methods::ack(0, &[Multiple]));
    only(&channel, 1);
}

#[test]
fn a_global_limit_is_for_running_consumers_too() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.consume(&queue);
    limit(&channel, 2, &[Global]);
    (0..5).for_each(|_| channel.publish("", &queue, "x"));
    only(&channel, 2);
}

#[test]
fn both_limits_hold_together() {
    let (channel, queue) = filled(10);
    limit(&channel, 2, &[]);
    limit(&channel, 3, &[Global]);
    channel.consume_with(&queue, "a", &[], &none());
    let first = only(&channel, 2);
    assert!(first.iter().all(|delivery| delivery.consumer_tag == "a"));
    channel.consume_with(&queue, "b", &[], &none());
    assert_eq!(only(&channel, 1)[0].consumer_tag, "b");
}

#[test]
fn a_limit_for_consumers_takes_that_of_the_channel_away() {
    let (channel, queue) = filled(10);
    limit(&channel, 1, &[Global]);
    channel.consume(&queue);
    only(&channel, 1);
    limit(&channel, 0, &[]);
    only(&channel, 9);
}

#[test]
fn a_raised_global_limit_lets_more_through() {
    let (channel, queue) = filled(10);
    limit(&channel, 1, &[Global]);
    channel.consume(&queue);
    only(&channel, 1);
    limit(&channel, 4, &[Global]);
    only(&channel, 3);
    limit(&channel, 0, &[Global]);
    only(&channel, 6);
}

#[test]
fn a_lowered_global_limit_waits_until_there_is_room() {
    let (channel, queue) = filled(10);
    limit(&channel, 4, &[Global]);
    channel.consume(&queue);
    let deliveries = only(&channel, 4);
    limit(&channel, 2, &[Global]);
    channel.ack(deliveries[0].delivery_tag);
    channel.ack(deliveries[1].delivery_tag);
    channel.expect_silence();
    channel.ack(deliveries[2].delivery_tag);
    only(&channel, 1);
}

#[test]
fn each_channel_has_its_own_global_limit() {
    let connection = open();
    let (one, other) = (connection.channel(1), connection.channel(2));
    let queue = one.exclusive_queue();
    fill(&one, &queue, 10);
    for channel in [&one, &other] {
        limit(channel, 2, &[Global]);
        channel.consume(&queue);
    }
    only(&one, 2);
    only(&other, 2);
}

#[test]
fn an_exhausted_global_limit_holds_back_consumers_without_ack() {
    let channel = open_channel();
    let (acked, unacked) = (channel.exclusive_queue(), channel.exclusive_queue());
    fill(&channel, &acked, 1);
    limit(&channel, 1, &[Global]);
    channel.consume(&acked);
    let first = only(&channel, 1);
    channel.consume_with(&unacked, "", &[NoAck], &none());
    (0..5).for_each(|_| channel.publish("", &unacked, "held back"));
    channel.expect_silence();
    channel.ack(first[0].delivery_tag);
    // Without acknowledgements they use nothing of the limit themselves.
    only(&channel, 5);
}
