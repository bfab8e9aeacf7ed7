//! What clients see of quorum queues beside counting and limits: they are durable queues that keep everything.

use leveret_tests::prelude::*;

fn quorum(channel: &Channel, names: &mut Names) -> String {
    let queue = names.queue("quorum");
    channel.declare(&queue, &[Durable], &table([("x-queue-type", "quorum".into())]));
    queue
}

#[test]
fn the_delivery_mode_stays_as_it_was_published() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = quorum(&channel, &mut names);
    // 3.10 knows only the modes 1 and 2, and makes up a missing one.
    let modes: &[Option<u8>] = if peer() { &[Some(1), Some(2)] } else { &[None, Some(1), Some(2), Some(7)] };
    for delivery_mode in modes {
        let props = Props { delivery_mode: *delivery_mode, ..Props::default() };
        channel.publish_with("", &queue, &[], &props, "x");
    }
    for delivery_mode in modes {
        let mut got = None;
        wait_until("the message is there", || {
            got = channel.get_with(&queue, &[NoAck]);
            got.is_some()
        });
        assert_eq!(got.unwrap().props.delivery_mode, *delivery_mode);
    }
}

#[test]
fn a_declare_counts_messages_and_consumers() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = quorum(&channel, &mut names);
    channel.publish("", &queue, "x");
    wait_until("the message is counted", || channel.counts(&queue).0 == 1);
    channel.rpc(methods::qos(0, 1, &[]));
    channel.consume(&queue);
    channel.consume(&queue);
    // RabbitMQ counted the consumers of quorum queues wrongly before 4.3.
    wait_until("both consumers are counted", || peer() || channel.counts(&queue) == (0, 2));
}

#[test]
fn confirms_come_for_transient_messages_too() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = quorum(&channel, &mut names);
    channel.rpc(methods::confirm_select(&[]));
    for _ in 0..20 {
        channel.publish("", &queue, "x");
    }
    let confirmed = channel.confirms(1, 20);
    assert!(confirmed.values().all(|is_ack| *is_ack), "{confirmed:?}");
    wait_until("all are counted", || channel.counts(&queue).0 == 20);
}

#[test]
fn whatever_was_delivered_before_is_redelivered() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = quorum(&channel, &mut names);
    channel.publish("", &queue, "x");
    wait_until("the message is there", || channel.counts(&queue).0 == 1);
    let first = channel.get(&queue).unwrap();
    assert!(!first.redelivered);
    channel.send(methods::nack(first.delivery_tag, &[Requeue]));
    let mut second = None;
    wait_until("it is back", || {
        second = channel.get(&queue);
        second.is_some()
    });
    assert!(second.unwrap().redelivered);
    channel.close();
    channel.open();
    let mut third = None;
    wait_until("it is back once more", || {
        third = channel.get_with(&queue, &[NoAck]);
        third.is_some()
    });
    assert!(third.unwrap().redelivered);
}
