//! x-consumer-timeout: what is not acknowledged in time goes back, and the channel ends.

use leveret_tests::prelude::*;

/// The broker looks four times a second.
const TIMEOUT_MS: i32 = 700;
/// For who must not be late.
const GENEROUS_MS: i32 = 2_500;
const LONG: Duration = Duration::from_secs(30);

fn timeout(ms: i32) -> Table {
    table([("x-consumer-timeout", Value::I32(ms))])
}

fn text(channel: u16, ms: i32) -> String {
    format!(
        "delivery acknowledgement on channel {channel} timed out. Timeout value used: {ms} ms. This timeout value can \
         be configured, see consumers doc guide to learn more"
    )
}

/// Waits for the close, which blames no method.
fn expect_timeout(channel: &Channel, ms: i32) -> Duration {
    let start = Instant::now();
    channel.expect_close(406, &text(channel.number(), ms), (0, 0));
    start.elapsed()
}

#[test]
fn a_delivery_that_is_not_acknowledged_in_time_ends_the_channel() {
    if peer() {
        return println!("skipped: the timeout of a consumer came with RabbitMQ 4.3, that of a queue with 3.12");
    }
    let connection = open();
    let (slow, other) = (connection.channel(3), connection.channel(1));
    let queue = slow.exclusive_queue();
    slow.consume_with(&queue, "", &[], &timeout(TIMEOUT_MS));
    slow.publish("", &queue, "x");
    let published = Instant::now();
    slow.delivery();
    expect_timeout(&slow, TIMEOUT_MS);
    let limit = Duration::from_millis(TIMEOUT_MS.unsigned_abs().into());
    assert!(published.elapsed() >= limit, "{:?}", published.elapsed());
    assert!(published.elapsed() < limit + LONG, "{:?}", published.elapsed());
    // The message is back, the consumer gone, and nobody else is concerned.
    let message = other.get(&queue).unwrap();
    assert_eq!((message.text().as_str(), message.redelivered), ("x", true));
    assert_eq!(other.counts(&queue), (0, 0));
    slow.open();
    slow.sync();
}

#[test]
fn the_timeout_of_a_queue_holds_for_its_consumers() {
    if peer() {
        return println!("skipped: the timeout of a queue came with RabbitMQ 3.12");
    }
    let channel = open_channel();
    let queue = channel.declare("", &[Exclusive], &timeout(TIMEOUT_MS)).queue;
    let patient = channel.connection().channel(2);
    patient.consume_with(&queue, "patient", &[], &timeout(60_000));
    channel.publish("", &queue, "x");
    patient.delivery();
    // Its own argument comes before that of its queue.
    assert!(patient.try_delivery(Duration::from_millis(2_000)).is_none());
    patient.sync();
    channel.consume(&queue);
    channel.publish("", &queue, "y");
    channel.publish("", &queue, "z");
    channel.delivery();
    expect_timeout(&channel, TIMEOUT_MS);
}

#[test]
fn whoever_acknowledges_in_time_goes_on() {
    if peer() {
        return println!("skipped: the timeout of a consumer came with RabbitMQ 4.3, that of a queue with 3.12");
    }
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.consume_with(&queue, "", &[], &timeout(GENEROUS_MS));
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(4_000) {
        for _ in 0..3 {
            channel.publish("", &queue, "x");
        }
        let tags: Vec<_> = (0..3).map(|_| channel.delivery().delivery_tag).collect();
        std::thread::sleep(Duration::from_millis(200));
        channel.ack(tags[1]);
        channel.send(methods::ack(tags[2], &[Multiple]));
    }
    // An idle consumer has nothing to be late with.
    std::thread::sleep(Duration::from_millis(3_500));
    channel.sync();
}

#[test]
fn the_oldest_delivery_counts_however_many_follow() {
    if peer() {
        return println!("skipped: the timeout of a consumer came with RabbitMQ 4.3, that of a queue with 3.12");
    }
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.consume_with(&queue, "", &[], &timeout(TIMEOUT_MS));
    channel.publish("", &queue, "forgotten");
    channel.delivery();
    let start = Instant::now();
    let closed = loop {
        channel.send(methods::publish("", &queue, &[], &Props::default(), b"x"));
        let mut incoming = channel.next(LONG).expect("a delivery or the close");
        if incoming.id == ids::CHANNEL_CLOSE {
            break incoming;
        }
        let (_tag, delivery_tag) = (incoming.args.shortstr(), incoming.args.longlong());
        channel.ack(delivery_tag);
        assert!(start.elapsed() < LONG, "never closed");
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut args = closed.args;
    assert_eq!(args.short(), 406);
    assert_eq!(args.shortstr(), format!("PRECONDITION_FAILED - {}", text(channel.number(), TIMEOUT_MS)));
}

#[test]
fn cancelling_does_not_stop_the_clock() {
    if peer() {
        return println!("skipped: the timeout of a consumer came with RabbitMQ 4.3, that of a queue with 3.12");
    }
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let tag = channel.consume_with(&queue, "", &[], &timeout(TIMEOUT_MS));
    channel.publish("", &queue, "x");
    channel.delivery();
    channel.rpc(methods::cancel(&tag, &[]));
    expect_timeout(&channel, TIMEOUT_MS);
}

#[test]
fn what_was_fetched_has_the_timeout_of_its_queue() {
    if peer() {
        return println!("skipped: the timeout of a queue came with RabbitMQ 3.12");
    }
    let channel = open_channel();
    let queue = channel.declare("", &[Exclusive], &timeout(GENEROUS_MS)).queue;
    for body in ["x", "y"] {
        channel.publish("", &queue, body);
        let message = channel.get(&queue).unwrap();
        std::thread::sleep(Duration::from_millis(1_400));
        channel.ack(message.delivery_tag);
    }
    channel.publish("", &queue, "z");
    channel.get(&queue).unwrap();
    expect_timeout(&channel, GENEROUS_MS);
}

#[test]
fn others_on_the_channel_are_judged_by_their_own_timeouts() {
    if peer() {
        return println!("skipped: the timeout of a consumer came with RabbitMQ 4.3, that of a queue with 3.12");
    }
    let channel = open_channel();
    let (patient, hurried) = (channel.exclusive_queue(), channel.exclusive_queue());
    channel.consume_with(&patient, "", &[], &none());
    channel.consume_with(&hurried, "", &[], &timeout(GENEROUS_MS));
    channel.consume_with(&hurried, "quick", &[NoAck], &timeout(GENEROUS_MS));
    channel.publish("", &patient, "held for long");
    channel.delivery();
    channel.publish("", &patient, "fetched");
    channel.delivery();
    channel.publish("", &hurried, "x");
    let message = channel.delivery();
    if message.consumer_tag != "quick" {
        channel.ack(message.delivery_tag);
    }
    std::thread::sleep(Duration::from_millis(4_000));
    channel.sync();
}
