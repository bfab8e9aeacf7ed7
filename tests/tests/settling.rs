//! Acknowledging, rejecting, requeueing and recovering deliveries.

use leveret_tests::prelude::*;

/// A channel with so many unacknowledged messages `0`, `1` … under the tags 1, 2 …, an observer, and the queue.
fn unacknowledged(count: usize) -> (Channel, Channel, String) {
    let connection = open();
    let (channel, observer) = (connection.channel(1), connection.channel(2));
    let queue = channel.exclusive_queue();
    (0..count).for_each(|number| channel.publish("", &queue, &number.to_string()));
    (0..count).for_each(|_| assert!(channel.get(&queue).is_some()));
    (channel, observer, queue)
}

/// Closes the channel and gives what was still unacknowledged.
fn left(channel: &Channel, observer: &Channel, queue: &str) -> Vec<String> {
    channel.close();
    observer.drain(queue)
}

// Which tags are known

#[test]
fn one_message_can_be_acknowledged() {
    let (channel, observer, queue) = unacknowledged(3);
    channel.ack(2);
    assert_eq!(left(&channel, &observer, &queue), ["0", "2"]);
}

#[test]
fn all_up_to_a_tag_can_be_acknowledged() {
    let (channel, observer, queue) = unacknowledged(5);
    channel.send(methods::ack(3, &[Multiple]));
    assert_eq!(left(&channel, &observer, &queue), ["3", "4"]);
}

#[test]
fn messages_may_be_acknowledged_in_any_order() {
    let (channel, observer, queue) = unacknowledged(5);
    for tag in [5, 1, 3] {
        channel.ack(tag);
    }
    channel.send(methods::ack(4, &[Multiple]));
    assert_eq!(left(&channel, &observer, &queue), texts(&[]));
}

#[test]
fn tag_zero_with_multiple_means_everything() {
    let (channel, observer, queue) = unacknowledged(3);
    channel.send(methods::ack(0, &[Multiple]));
    // Nothing outstanding is no error.
    channel.send(methods::ack(0, &[Multiple]));
    channel.send(methods::nack(0, &[Multiple, Requeue]));
    assert_eq!(left(&channel, &observer, &queue), texts(&[]));
}

#[test]
fn tag_zero_alone_is_unknown() {
    let (channel, ..) = unacknowledged(1);
    channel.refuses(methods::ack(0, &[]), 406, "unknown delivery tag 0");
    channel.refuses(methods::nack(0, &[]), 406, "unknown delivery tag 0");
    channel.refuses(methods::reject(0, &[]), 406, "unknown delivery tag 0");
}

#[test]
fn unknown_tags_close_the_channel() {
    let (channel, ..) = unacknowledged(1);
    channel.refuses(methods::ack(42, &[]), 406, "unknown delivery tag 42");
    channel.refuses(methods::nack(42, &[Requeue]), 406, "unknown delivery tag 42");
    channel.refuses(methods::reject(42, &[Requeue]), 406, "unknown delivery tag 42");
    channel.refuses(methods::ack(u64::MAX, &[]), 406, &format!("unknown delivery tag {}", u64::MAX));
}

#[test]
fn a_message_can_be_acknowledged_only_once() {
    let (channel, ..) = unacknowledged(3);
    channel.ack(2);
    channel.refuses(methods::ack(2, &[]), 406, "unknown delivery tag 2");
}

#[test]
fn multiple_needs_an_outstanding_tag_too() {
    let (channel, ..) = unacknowledged(3);
    channel.refuses(methods::ack(9, &[Multiple]), 406, "unknown delivery tag 9");
    let (channel, ..) = unacknowledged(3);
    channel.ack(2);
    channel.refuses(methods::ack(2, &[Multiple]), 406, "unknown delivery tag 2");
}

#[test]
fn messages_without_ack_have_no_known_tag() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.consume_with(&queue, "", &[NoAck], &none());
    channel.publish("", &queue, "x");
    let tag = channel.delivery().delivery_tag;
    channel.refuses(methods::ack(tag, &[]), 406, "unknown delivery tag 1");
}

#[test]
fn only_the_channel_of_a_delivery_knows_its_tag() {
    let (channel, observer, queue) = unacknowledged(1);
    observer.refuses(methods::ack(1, &[]), 406, "unknown delivery tag 1");
    assert_eq!(left(&channel, &observer, &queue), ["0"]);
}

// Requeueing

#[test]
fn requeued_messages_return_to_their_places() {
    let (channel, observer, queue) = unacknowledged(4);
    ["4", "5"].iter().for_each(|text| channel.publish("", &queue, text));
    channel.sync();
    channel.send(methods::reject(3, &[Requeue]));
    channel.send(methods::reject(1, &[Requeue]));
    channel.sync();
    assert_eq!(observer.drain(&queue), ["0", "2", "4", "5"]);
}

#[test]
fn many_messages_are_requeued_in_order() {
    let (channel, observer, queue) = unacknowledged(100);
    channel.send(methods::nack(100, &[Multiple, Requeue]));
    channel.sync();
    assert_eq!(observer.drain(&queue), (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn requeued_messages_are_marked_redelivered() {
    let (channel, observer, queue) = unacknowledged(1);
    channel.publish("", &queue, "new");
    channel.send(methods::nack(1, &[Requeue]));
    channel.sync();
    let (again, new) = (observer.get(&queue).unwrap(), observer.get(&queue).unwrap());
    assert_eq!((again.text(), again.redelivered), ("0".to_owned(), true));
    assert_eq!((new.text(), new.redelivered), ("new".to_owned(), false));
}

#[test]
fn rejected_messages_are_gone() {
    let (channel, observer, queue) = unacknowledged(4);
    channel.send(methods::reject(1, &[]));
    channel.send(methods::nack(3, &[Multiple]));
    channel.sync();
    assert_eq!(observer.counts(&queue).0, 0);
    assert_eq!(left(&channel, &observer, &queue), ["3"]);
}

#[test]
fn a_consumer_may_get_again_what_it_requeued() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.consume(&queue);
    channel.publish("", &queue, "boomerang");
    let first = channel.delivery();
    channel.send(methods::nack(first.delivery_tag, &[Requeue]));
    let second = channel.delivery();
    assert_eq!((second.text(), second.redelivered), ("boomerang".to_owned(), true));
    assert_eq!(second.delivery_tag, first.delivery_tag + 1);
}

#[test]
fn a_requeued_message_can_go_to_another_consumer() {
    let connection = open();
    let (one, other) = (connection.channel(1), connection.channel(2));
    let queue = one.exclusive_queue();
    let tag = one.consume(&queue);
    one.publish("", &queue, "x");
    let message = one.delivery();
    one.rpc(methods::cancel(&tag, &[]));
    other.consume(&queue);
    one.send(methods::reject(message.delivery_tag, &[Requeue]));
    assert!(other.delivery().redelivered);
}

// Recovering

#[test]
fn recovering_requeues_everything_of_the_channel() {
    let (channel, observer, queue) = unacknowledged(3);
    channel.rpc(methods::recover(&[Requeue])).finish();
    let again: Vec<Delivery> = (0..3).map(|_| observer.get(&queue).unwrap()).collect();
    assert!(again.iter().all(|message| message.redelivered));
    assert_eq!(again.iter().map(Delivery::text).collect::<Vec<_>>(), ["0", "1", "2"]);
    channel.refuses(methods::ack(1, &[]), 406, "unknown delivery tag 1");
}

#[test]
fn recovering_nothing_is_fine() {
    open_channel().rpc(methods::recover(&[Requeue])).finish();
}

#[test]
fn recovering_without_reply_does_the_same() {
    let (channel, observer, queue) = unacknowledged(2);
    channel.send(methods::recover_async(&[Requeue]));
    channel.expect_silence();
    assert_eq!(observer.drain(&queue), ["0", "1"]);
}

#[test]
fn recovering_leaves_other_channels_alone() {
    let (channel, observer, queue) = unacknowledged(1);
    observer.rpc(methods::recover(&[Requeue]));
    assert_eq!(observer.counts(&queue).0, 0);
    channel.ack(1);
    channel.sync();
}

#[test]
fn redelivery_to_the_same_consumer_is_not_implemented() {
    open_channel().kills(methods::recover(&[]), 540, "requeue=false");
    open_channel().kills(methods::recover_async(&[]), 540, "requeue=false");
}

#[test]
fn what_was_on_its_way_counts_as_delivered() {
    let (observer, mut names) = (open_channel(), Names::new());
    let queue = names.queue("on-its-way");
    observer.declare(&queue, &[], &none());
    (0..3).for_each(|number| observer.publish("", &queue, &number.to_string()));
    wait_until("the messages arrive", || observer.counts(&queue).0 == 3);
    let lost = open_channel();
    lost.send(methods::consume(&queue, "", &[], &none()));
    // The client goes away and has read none of them.
    wait_until("they are on their way", || observer.counts(&queue).0 == 0);
    drop(lost);
    wait_until("they are back", || observer.counts(&queue).0 == 3);
    for number in 0..3 {
        let message = observer.get(&queue).unwrap();
        assert_eq!((message.text(), message.redelivered), (number.to_string(), true));
    }
}

#[test]
fn requeueing_into_a_full_queue_drops_from_its_head() {
    let channel = open_channel();
    let queue = channel.declare("", &[Exclusive], &table([("x-max-length", 2.into())])).queue;
    channel.publish("", &queue, "old");
    let old = channel.get(&queue).unwrap();
    channel.publish("", &queue, "new");
    channel.publish("", &queue, "newest");
    wait_until("the queue is full", || channel.counts(&queue).0 == 2);
    channel.send(methods::reject(old.delivery_tag, &[Requeue]));
    channel.sync();
    assert_eq!(channel.drain(&queue), ["new", "newest"], "the returned one is the head");
}
