//! x-single-active-consumer: one consumer is served, the others wait to take its place.

use std::sync::Mutex;

use leveret_tests::prelude::*;

fn single_active() -> Table {
    table([("x-single-active-consumer", Value::Bool(true))])
}

fn quorum() -> Table {
    table([("x-single-active-consumer", Value::Bool(true)), ("x-queue-type", Value::from("quorum"))])
}

fn priority(value: i32) -> Table {
    table([("x-priority", Value::I32(value))])
}

/// A classic queue of this kind that goes with its connection.
fn declare(channel: &Channel) -> String {
    channel.declare("", &[Exclusive], &single_active()).queue
}

/// Names the consumer of each of the next deliveries.
fn consumers(channel: &Channel, count: usize) -> Vec<String> {
    (0..count).map(|_| channel.delivery().consumer_tag).collect()
}

fn publish_numbers(channel: &Channel, queue: &str, numbers: std::ops::Range<u32>) {
    numbers.for_each(|number| channel.publish("", queue, &number.to_string()));
}

#[test]
fn only_the_first_consumer_is_served() {
    let channel = open_channel();
    let queue = declare(&channel);
    channel.consume_with(&queue, "first", &[], &none());
    channel.consume_with(&queue, "more important", &[], &priority(10));
    channel.consume_with(&queue, "third", &[NoAck], &none());
    assert_eq!(channel.counts(&queue), (0, 3), "all are registered");
    publish_numbers(&channel, &queue, 0..10);
    assert_eq!(consumers(&channel, 10), vec!["first"; 10]);
}

#[test]
fn the_one_that_is_served_may_have_reached_its_prefetch() {
    let channel = open_channel();
    let queue = declare(&channel);
    channel.rpc(methods::qos(0, 1, &[]));
    channel.consume_with(&queue, "first", &[], &none());
    channel.consume_with(&queue, "second", &[], &none());
    publish_numbers(&channel, &queue, 0..3);
    let message = channel.delivery();
    channel.expect_silence();
    assert_eq!(channel.counts(&queue).0, 2, "the others wait behind it");
    channel.ack(message.delivery_tag);
    assert_eq!(channel.delivery().consumer_tag, "first");
}

#[test]
fn after_a_cancel_the_next_by_priority_and_then_by_age_is_served() {
    let channel = open_channel();
    let queue = declare(&channel);
    for (tag, of_priority) in [("a", 5), ("b", 0), ("c", 1), ("d", 1), ("e", -1)] {
        channel.consume_with(&queue, tag, &[], &priority(of_priority));
    }
    for expected in ["a", "c", "d", "b", "e"] {
        publish_numbers(&channel, &queue, 0..2);
        assert_eq!(consumers(&channel, 2), [expected, expected]);
        channel.rpc(methods::cancel(expected, &[]));
    }
    publish_numbers(&channel, &queue, 0..2);
    channel.expect_silence();
    assert_eq!(channel.drain(&queue), texts(&["0", "1"]));
    channel.consume_with(&queue, "again", &[], &none());
    channel.publish("", &queue, "x");
    assert_eq!(channel.delivery().consumer_tag, "again");
}

#[test]
fn what_a_cancelled_consumer_has_stays_with_it() {
    let channel = open_channel();
    let queue = declare(&channel);
    channel.consume_with(&queue, "first", &[], &none());
    channel.consume_with(&queue, "second", &[], &none());
    channel.publish("", &queue, "one");
    let message = channel.delivery();
    channel.rpc(methods::cancel("first", &[]));
    channel.publish("", &queue, "two");
    let next = channel.delivery();
    assert_eq!((next.consumer_tag.as_str(), next.text().as_str()), ("second", "two"));
    channel.send(methods::nack(message.delivery_tag, &[Requeue]));
    let returned = channel.delivery();
    assert_eq!((returned.consumer_tag.as_str(), returned.text().as_str()), ("second", "one"));
    assert!(returned.redelivered);
}

#[test]
fn the_next_gets_first_what_a_lost_channel_had() {
    let connection = open();
    let (one, other) = (connection.channel(1), connection.channel(2));
    let queue = declare(&one);
    one.consume_with(&queue, "first", &[], &none());
    other.consume_with(&queue, "second", &[], &none());
    publish_numbers(&other, &queue, 0..5);
    one.texts(5);
    one.close();
    publish_numbers(&other, &queue, 5..8);
    let got: Vec<_> = (0..8).map(|_| other.delivery()).map(|message| (message.text(), message.redelivered)).collect();
    let expected: Vec<_> = (0..8).map(|number| (number.to_string(), number < 5)).collect();
    assert_eq!(got, expected);
}

#[test]
fn the_next_gets_first_what_a_lost_connection_had() {
    let mut names = Names::new();
    let queue = names.queue("single-active");
    let (one, other) = (open_channel(), open_channel());
    one.declare(&queue, &[], &single_active());
    one.consume(&queue);
    other.consume(&queue);
    publish_numbers(&one, &queue, 0..5);
    one.texts(5);
    one.connection().socket().end_writing();
    assert_eq!(other.texts(5), texts(&["0", "1", "2", "3", "4"]));
}

#[test]
fn fetching_competes_with_the_consumer() {
    let channel = open_channel();
    let queue = declare(&channel);
    channel.rpc(methods::qos(0, 1, &[]));
    channel.consume(&queue);
    publish_numbers(&channel, &queue, 0..2);
    assert_eq!(channel.delivery().text(), "0");
    assert_eq!(channel.get(&queue).unwrap().text(), "1");
}

#[test]
fn an_exclusive_consumer_is_refused() {
    let channel = open_channel();
    let queue = declare(&channel);
    let text = format!("queue '{queue}' in vhost '/' in exclusive use");
    channel.refuses(methods::consume(&queue, "", &[Exclusive], &none()), 403, &text);
    channel.consume(&queue);
    channel.refuses(methods::consume(&queue, "", &[Exclusive], &none()), 403, &text);
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() {
    let channel = open_channel();
    let queue = channel.declare("", &[AutoDelete], &single_active()).queue;
    for tag in ["first", "second"] {
        channel.consume_with(&queue, tag, &[], &none());
    }
    channel.rpc(methods::cancel("first", &[]));
    assert!(channel.has_queue(&queue));
    channel.rpc(methods::cancel("second", &[]));
    wait_until("the queue is gone", || !channel.has_queue(&queue));
}

#[test]
fn consumers_that_come_and_go_leave_one_that_is_served() {
    let channel = open_channel();
    let queue = declare(&channel);
    for round in 0..50 {
        let tags = [format!("a{round}"), format!("b{round}")];
        tags.iter().for_each(|tag| drop(channel.consume_with(&queue, tag, &[NoAck], &none())));
        publish_numbers(&channel, &queue, 0..3);
        assert_eq!(consumers(&channel, 3), vec![&*tags[0]; 3]);
        tags.iter().for_each(|tag| drop(channel.rpc(methods::cancel(tag, &[]))));
    }
}

#[test]
fn order_is_kept_while_consumers_of_many_connections_come_and_go() {
    const MESSAGES: u32 = 2_000;
    const CONNECTIONS: u32 = 4;
    let mut names = Names::new();
    let queue = names.queue("single-active");
    let channel = open_channel();
    channel.declare(&queue, &[], &single_active());
    // Who was served with what, in this order; and whether it was acknowledged.
    let served = Mutex::new(Vec::<(u32, u32, bool)>::new());
    let is_done = || served.lock().unwrap().iter().filter(|(_, _, is_acked)| *is_acked).count() == MESSAGES as usize;
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (queue, served, is_done) = (&queue, &served, &is_done);
            scope.spawn(move || {
                for life in 0.. {
                    if is_done() {
                        return;
                    }
                    let channel = open_channel();
                    channel.rpc(methods::qos(0, 20, &[]));
                    channel.consume(queue);
                    for count in 0..30 + 7 * connection + life % 5 {
                        let Some(message) = channel.try_delivery(SILENCE) else { break };
                        // What it does not acknowledge is the next one's first.
                        let is_acked = count < 25;
                        let number = message.text().parse().unwrap();
                        served.lock().unwrap().push((connection, number, is_acked));
                        if is_acked {
                            channel.ack(message.delivery_tag);
                        }
                    }
                    if life % 2 == 0 { channel.close() } else { channel.connection().close() }
                }
            });
        }
        publish_numbers(&channel, &queue, 0..MESSAGES);
    });
    let served = served.into_inner().unwrap();
    let mut expected = 0;
    for pair in served.windows(2) {
        let [(who, number, is_acked), (next, following, _)] = pair else { unreachable!() };
        if *is_acked {
            assert_eq!(*number, expected, "acknowledged out of order");
            expected += 1;
        }
        let goes_on = *following == number + 1;
        assert!(goes_on || (*following == expected && (!is_acked || who != next)), "{pair:?} after {expected}");
    }
    assert_eq!(channel.counts(&queue).0, 0);
}

// Quorum queues

#[test]
fn on_quorum_queues_a_higher_priority_takes_over_once_all_is_settled() {
    if peer() {
        return println!("skipped: priorities of single active consumers came with RabbitMQ 4.0");
    }
    let mut names = Names::new();
    let queue = names.queue("quorum-single-active");
    let channel = open_channel();
    channel.declare(&queue, &[Durable], &quorum());
    channel.consume_with(&queue, "first", &[], &none());
    publish_numbers(&channel, &queue, 0..2);
    let first: Vec<_> = (0..2).map(|_| channel.delivery()).collect();
    assert!(first.iter().all(|message| message.consumer_tag == "first"));
    channel.consume_with(&queue, "equal", &[], &none());
    channel.consume_with(&queue, "more important", &[], &priority(1));
    publish_numbers(&channel, &queue, 2..4);
    channel.expect_silence();
    channel.ack(first[0].delivery_tag);
    channel.expect_silence();
    channel.send(methods::nack(first[1].delivery_tag, &[Requeue]));
    let messages: Vec<_> = (0..3).map(|_| channel.delivery()).collect();
    assert!(messages.iter().all(|message| message.consumer_tag == "more important"));
    let bodies: Vec<_> = messages.iter().map(|message| message.text()).collect();
    assert_eq!(bodies, ["1", "2", "3"]);
    // An idle one makes way at once.
    channel.send(methods::ack(0, &[Multiple]));
    channel.consume_with(&queue, "most important", &[], &priority(2));
    channel.publish("", &queue, "x");
    assert_eq!(channel.delivery().consumer_tag, "most important");
}

#[test]
fn a_challenger_that_goes_leaves_the_place() {
    if peer() {
        return println!("skipped: priorities of single active consumers came with RabbitMQ 4.0");
    }
    let mut names = Names::new();
    let queue = names.queue("quorum-single-active");
    let channel = open_channel();
    channel.declare(&queue, &[Durable], &quorum());
    channel.consume_with(&queue, "first", &[], &none());
    channel.publish("", &queue, "x");
    channel.delivery();
    channel.consume_with(&queue, "more important", &[], &priority(1));
    channel.publish("", &queue, "y");
    channel.expect_silence();
    channel.rpc(methods::cancel("more important", &[]));
    channel.publish("", &queue, "z");
    assert_eq!(consumers(&channel, 2), ["first", "first"]);
}

#[test]
fn fetching_from_a_quorum_queue_is_refused() {
    let mut names = Names::new();
    let queue = names.queue("quorum-single-active");
    let channel = open_channel();
    channel.declare(&queue, &[Durable], &quorum());
    let text = format!(
        "cannot obtain access to locked queue '{queue}' in vhost '/'. basic.get operations are not supported by quorum \
         queues with single active consumer"
    );
    channel.refuses(methods::get(&queue, &[]), 405, &text);
}
