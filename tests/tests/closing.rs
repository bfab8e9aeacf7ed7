//! What happens around channel.close and connection.close, from either side.

use std::thread;

use leveret_tests::prelude::*;

/// Makes the broker close the channel and leaves its channel.close unanswered.
fn provoke_close(channel: &Channel) {
    channel.send(methods::queue_purge("leveret-missing", &[]));
    channel.expect(ids::CHANNEL_CLOSE);
}

fn close_ok() -> Method {
    Method::new(ids::CHANNEL_CLOSE_OK)
}

// The broker closes a channel

#[test]
fn frames_after_a_close_are_discarded_until_close_ok() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    provoke_close(&channel);
    channel.publish("", &queue, "discarded");
    channel.send(methods::queue_delete(&queue, &[]));
    channel.send(methods::ack(77, &[]));
    channel.send(methods::tx_commit());
    channel.send(close_ok());
    channel.open();
    assert_eq!(channel.counts(&queue), (0, 0), "the queue was not deleted and nothing was published");
}

#[test]
fn settlements_for_a_closed_channel_do_not_end_the_connection() {
    let connection = open();
    let (closed, other) = (connection.channel(1), connection.channel(2));
    provoke_close(&closed);
    for tag in 1..50 {
        closed.ack(tag);
    }
    closed.send(methods::nack(1, &[Requeue]));
    closed.send(methods::reject(1, &[]));
    other.sync();
    closed.send(close_ok());
    closed.open();
}

#[test]
fn the_rest_of_a_message_after_a_close_is_discarded() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    provoke_close(&channel);
    let publish = methods::publish("", &queue, &[], &Props::default(), b"0123456789").frames(1, 0);
    channel.connection().socket().send(&publish);
    channel.send(close_ok());
    channel.open();
    assert_eq!(channel.counts(&queue).0, 0);
}

#[test]
fn a_crossing_channel_close_is_answered() {
    let channel = open_channel();
    provoke_close(&channel);
    channel.send(methods::channel_close());
    channel.expect(ids::CHANNEL_CLOSE_OK);
    channel.send(close_ok());
    channel.open();
    channel.sync();
}

#[test]
fn other_channels_do_not_notice() {
    let connection = open();
    let (closed, other) = (connection.channel(1), connection.channel(2));
    let queue = other.exclusive_queue();
    other.consume(&queue);
    provoke_close(&closed);
    other.publish("", &queue, "still here");
    assert_eq!(other.delivery().text(), "still here");
}

#[test]
fn unacknowledged_messages_are_back_before_the_close_arrives() {
    let connection = open();
    let (closed, other) = (connection.channel(1), connection.channel(2));
    let queue = other.exclusive_queue();
    other.publish("", &queue, "a");
    other.publish("", &queue, "b");
    other.sync();
    closed.consume(&queue);
    assert_eq!(closed.texts(2), ["a", "b"]);
    provoke_close(&closed);
    assert_eq!(other.counts(&queue), (2, 0));
    assert!(other.get(&queue).unwrap().redelivered);
}

#[test]
fn an_auto_delete_queue_goes_with_the_consumers_of_a_closed_channel() {
    let mut names = Names::new();
    let queue = names.queue("auto-delete");
    let connection = open();
    let (closed, other) = (connection.channel(1), connection.channel(2));
    closed.declare(&queue, &[AutoDelete], &none());
    closed.consume(&queue);
    provoke_close(&closed);
    wait_until("the queue is deleted", || !other.has_queue(&queue));
}

#[test]
fn a_long_text_is_cut_to_255_octets() {
    let channel = open_channel();
    let exchange = "x".repeat(255);
    channel.send(methods::publish(&exchange, "", &[], &Props::default(), b""));
    let mut close = channel.expect(ids::CHANNEL_CLOSE).args;
    let (code, text) = (close.short(), close.shortstr());
    assert_eq!((code, text.len()), (404, 255));
    let start = "NOT_FOUND - no exchange 'x";
    assert!(text.starts_with(start) && text.ends_with("x..."), "{text}");
}

// The client closes a channel

#[test]
fn closing_a_channel_requeues_and_cancels_before_close_ok() {
    let connection = open();
    let (closing, other) = (connection.channel(1), connection.channel(2));
    let queue = other.exclusive_queue();
    for text in ["a", "b", "c"] {
        other.publish("", &queue, text);
    }
    other.sync();
    closing.consume(&queue);
    assert_eq!(closing.texts(3), ["a", "b", "c"]);
    assert_eq!(other.counts(&queue), (0, 1));
    closing.close();
    assert_eq!(other.counts(&queue), (3, 0));
    assert_eq!(other.drain(&queue), ["a", "b", "c"], "in their old order");
}

#[test]
fn closing_a_channel_rolls_its_transaction_back() {
    let connection = open();
    let (closing, other) = (connection.channel(1), connection.channel(2));
    let queue = other.exclusive_queue();
    closing.rpc(methods::tx_select());
    closing.publish("", &queue, "never committed");
    closing.close();
    assert_eq!(other.counts(&queue).0, 0);
}

#[test]
fn closing_a_channel_leaves_its_queues() {
    let connection = open();
    let closing = connection.channel(1);
    let queue = closing.exclusive_queue();
    closing.close();
    assert!(connection.channel(2).has_queue(&queue), "exclusive queues belong to the connection");
}

#[test]
fn nothing_is_delivered_after_close_ok() {
    let connection = open();
    let (closing, observer) = (connection.channel(1), connection.channel(2));
    let queue = observer.exclusive_queue();
    for _ in 0..5 {
        (0..2_000).for_each(|_| observer.publish("", &queue, "x"));
        observer.sync();
        closing.consume(&queue);
        // The close overtakes the deliveries that are being written.
        closing.close();
        closing.open();
        closing.expect_silence();
        assert_eq!(observer.rpc(methods::queue_purge(&queue, &[])).long(), 2_000);
    }
}

// Connections

#[test]
fn closing_a_connection_deletes_its_exclusive_queues_first() {
    let observer = open_channel();
    for _ in 0..5 {
        let connection = open();
        let queue = connection.channel(1).exclusive_queue();
        connection.close();
        assert!(!observer.has_queue(&queue));
    }
}

#[test]
fn closing_a_connection_requeues() {
    let mut names = Names::new();
    let queue = names.queue("requeue");
    let observer = open_channel();
    observer.declare(&queue, &[], &none());
    observer.publish("", &queue, "a");
    observer.sync();
    let connection = open();
    assert_eq!(wait_for_message(&connection.channel(1), &queue).text(), "a");
    connection.close();
    assert_eq!(observer.counts(&queue).0, 1);
}

#[test]
fn losing_a_connection_cleans_up_as_closing_does() {
    let mut names = Names::new();
    let queue = names.queue("lost");
    let observer = open_channel();
    observer.declare(&queue, &[], &none());
    observer.publish("", &queue, "a");
    let lost = open();
    let channel = lost.channel(1);
    let exclusive = channel.exclusive_queue();
    assert_eq!(wait_for_message(&channel, &queue).text(), "a");
    drop((lost, channel));
    wait_until("the message is back", || observer.counts(&queue).0 == 1);
    wait_until("the exclusive queue is deleted", || !exists(&observer, &exclusive));
    assert!(observer.get(&queue).unwrap().redelivered);
}

/// Whether another connection's exclusive queue exists: then it is locked.
fn exists(channel: &Channel, queue: &str) -> bool {
    channel.send(methods::queue_declare(queue, &[Passive], &none()));
    let mut close = channel.expect(ids::CHANNEL_CLOSE).args;
    channel.send(close_ok());
    channel.open();
    close.short() == 405
}

fn wait_for_message(channel: &Channel, queue: &str) -> Delivery {
    let mut message = None;
    wait_until("a message is there", || {
        message = channel.get(queue);
        message.is_some()
    });
    message.expect("a message was fetched")
}

#[test]
fn after_a_close_everything_but_close_ok_is_ignored() {
    let connection = open();
    let channel = connection.channel(1);
    let queue = channel.exclusive_queue();
    channel.send(methods::flow(false));
    channel.publish("", &queue, "ignored");
    channel.send(methods::queue_delete(&queue, &[]));
    connection.send(7, &methods::queue_delete("never opened", &[]));
    connection.expect_close(540, "active=false", ids::CHANNEL_FLOW);
}

#[test]
fn a_crossing_connection_close_is_answered() {
    let mut socket = Socket::at(Broker::shared(), Stage::Channel);
    socket.send_method(1, &methods::flow(false));
    socket.expect(0, ids::CONNECTION_CLOSE);
    socket.send_method(0, &methods::connection_close());
    socket.expect(0, ids::CONNECTION_CLOSE_OK);
    socket.finish_close();
}

#[test]
fn a_client_that_never_answers_a_close_is_dropped() {
    let login = Login { heartbeat_seconds: 2, ..Login::new(Broker::shared()) };
    let mut socket = Socket::at_with(Broker::shared(), Stage::Channel, &login);
    socket.send_method(1, &methods::flow(false));
    socket.expect(0, ids::CONNECTION_CLOSE);
    socket.expect_end();
}

#[test]
fn a_connection_may_be_closed_with_work_under_way() {
    let observer = open_channel();
    for _ in 0..20 {
        let connection = open();
        let channel = connection.channel(1);
        let queue = channel.exclusive_queue();
        channel.send(methods::consume(&queue, "", &[], &none()));
        for _ in 0..100 {
            channel.publish("", &queue, "x");
        }
        connection.send(0, &methods::connection_close());
        while let Event::Frame(frame) = connection.next_on(0, PATIENCE) {
            if frame.id() == Some(ids::CONNECTION_CLOSE_OK) {
                break;
            }
        }
    }
    observer.sync();
}

#[test]
fn connections_can_come_and_go_at_once() {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let connection = open();
                    let channel = connection.channel(1);
                    let queue = channel.exclusive_queue();
                    channel.publish("", &queue, "mine");
                    assert_eq!(channel.drain(&queue), ["mine"]);
                    connection.close();
                }
            });
        }
    });
}
