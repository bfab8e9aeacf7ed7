//! basic.publish with immediate, as AMQP 0-9-1 has it and RabbitMQ does not any more: to a consumer at once, or back.

use leveret_tests::prelude::*;

fn skip() -> bool {
    if peer() {
        println!("skipped: RabbitMQ has not implemented it since 3.0");
    }
    peer()
}

fn publish(channel: &Channel, exchange: &str, key: &str, flags: &[Flag], body: &str) {
    channel.publish_with(exchange, key, flags, &Props::persistent(), body);
}

fn expect_return(channel: &Channel, code: u16, text: &str, body: &str) {
    let returned = channel.returned();
    assert_eq!((returned.code, returned.reply_text.as_str()), (code, text));
    assert_eq!((returned.body, returned.props), (body.as_bytes().to_vec(), Props::persistent()));
}

#[test]
fn a_waiting_consumer_gets_the_message() {
    if skip() {
        return;
    }
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.consume(&queue);
    publish(&channel, "", &queue, &[Immediate], "x");
    let message = channel.delivery();
    assert_eq!((message.text().as_str(), message.redelivered), ("x", false));
    channel.send(methods::nack(message.delivery_tag, &[Requeue]));
    assert!(channel.delivery().redelivered, "once delivered it is a message like others");
    channel.expect_silence();
}

#[test]
fn without_a_consumer_it_comes_back_and_is_not_kept() {
    if skip() {
        return;
    }
    let mut names = Names::new();
    let durable = names.queue("immediate");
    let channel = open_channel();
    channel.declare(&durable, &[Durable], &none());
    for queue in [channel.exclusive_queue(), durable] {
        publish(&channel, "", &queue, &[Immediate], "x");
        expect_return(&channel, 313, "NO_CONSUMERS", "x");
        publish(&channel, "", &queue, &[Immediate, Mandatory], "y");
        expect_return(&channel, 313, "NO_CONSUMERS", "y");
        assert_eq!(channel.counts(&queue), (0, 0));
        // What comes after it has its place.
        publish(&channel, "", &queue, &[], "z");
        assert_eq!(channel.drain(&queue), ["z"]);
    }
}

#[test]
fn a_consumer_that_has_enough_is_none() {
    if skip() {
        return;
    }
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.rpc(methods::qos(0, 1, &[]));
    channel.consume(&queue);
    publish(&channel, "", &queue, &[Immediate], "taken");
    let message = channel.delivery();
    publish(&channel, "", &queue, &[Immediate], "too many");
    expect_return(&channel, 313, "NO_CONSUMERS", "too many");
    channel.ack(message.delivery_tag);
    publish(&channel, "", &queue, &[Immediate], "taken again");
    assert_eq!(channel.delivery().text(), "taken again");
}

#[test]
fn one_queue_with_a_consumer_is_enough() {
    if skip() {
        return;
    }
    let channel = open_channel();
    let (with, without) = (channel.exclusive_queue(), channel.exclusive_queue());
    let key = unique("immediate");
    for queue in [&with, &without] {
        channel.bind(queue, "amq.direct", &key);
    }
    publish(&channel, "amq.direct", &key, &[Immediate], "to nobody");
    expect_return(&channel, 313, "NO_CONSUMERS", "to nobody");
    channel.consume(&with);
    publish(&channel, "amq.direct", &key, &[Immediate], "to one");
    assert_eq!(channel.delivery().text(), "to one");
    channel.expect_silence();
    assert_eq!(channel.counts(&without).0, 0, "it does not wait where nobody is");
}

#[test]
fn without_a_queue_there_is_no_consumer() {
    if skip() {
        return;
    }
    let channel = open_channel();
    publish(&channel, "", "leveret-missing", &[Immediate], "x");
    expect_return(&channel, 313, "NO_CONSUMERS", "x");
    publish(&channel, "", "leveret-missing", &[Immediate, Mandatory], "y");
    expect_return(&channel, 312, "NO_ROUTE", "y");
}

#[test]
fn the_return_comes_before_the_confirm() {
    if skip() {
        return;
    }
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.rpc(methods::confirm_select(&[]));
    publish(&channel, "", &queue, &[Immediate], "x");
    expect_return(&channel, 313, "NO_CONSUMERS", "x");
    assert_eq!(channel.confirms(1, 1).values().collect::<Vec<_>>(), [&true]);
}

#[test]
fn in_a_transaction_it_counts_at_the_commit() {
    if skip() {
        return;
    }
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.rpc(methods::tx_select());
    publish(&channel, "", &queue, &[Immediate], "x");
    channel.expect_silence();
    channel.send(methods::tx_commit());
    expect_return(&channel, 313, "NO_CONSUMERS", "x");
    channel.expect(ids::TX_COMMIT_OK);
    publish(&channel, "", &queue, &[Immediate], "y");
    channel.consume(&queue);
    channel.rpc(methods::tx_commit());
    assert_eq!(channel.delivery().text(), "y");
}

#[test]
fn a_message_in_pieces_is_no_different() {
    if skip() {
        return;
    }
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let body = "b".repeat(300_000);
    publish(&channel, "", &queue, &[Immediate], &body);
    expect_return(&channel, 313, "NO_CONSUMERS", &body);
    channel.consume(&queue);
    publish(&channel, "", &queue, &[Immediate], &body);
    assert_eq!(channel.delivery().text(), body);
}
