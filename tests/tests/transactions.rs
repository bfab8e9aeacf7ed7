//! tx.select, tx.commit and tx.rollback.

use leveret_tests::prelude::*;

/// A transactional channel and a plain one of the same connection, and a queue.
fn fixture() -> (Channel, Channel, String) {
    let connection = open();
    let (tx, plain) = (connection.channel(1), connection.channel(2));
    tx.rpc(methods::tx_select()).finish();
    let queue = plain.exclusive_queue();
    (tx, plain, queue)
}

fn commit(channel: &Channel) {
    channel.rpc(methods::tx_commit()).finish();
}

fn rollback(channel: &Channel) {
    channel.rpc(methods::tx_rollback()).finish();
}

/// Fills the queue and fetches everything on the channel.
fn fetch(channel: &Channel, plain: &Channel, queue: &str, messages: &[&str]) -> Vec<u64> {
    messages.iter().for_each(|text| plain.publish("", queue, text));
    plain.sync();
    wait_until("the messages arrive", || plain.counts(queue).0 as usize == messages.len());
    messages.iter().map(|_| channel.get(queue).expect("a message is there").delivery_tag).collect()
}

#[test]
fn nothing_is_seen_before_the_commit() {
    let (tx, plain, queue) = fixture();
    tx.publish("", &queue, "a");
    tx.publish("", &queue, "b");
    tx.sync();
    assert_eq!(plain.counts(&queue).0, 0);
    commit(&tx);
    assert_eq!(plain.drain(&queue), ["a", "b"]);
}

#[test]
fn a_rollback_drops_the_publishes() {
    let (tx, plain, queue) = fixture();
    tx.publish("", &queue, "dropped");
    rollback(&tx);
    commit(&tx);
    assert_eq!(plain.counts(&queue).0, 0);
    tx.publish("", &queue, "kept");
    commit(&tx);
    assert_eq!(plain.drain(&queue), ["kept"]);
}

#[test]
fn selecting_again_is_allowed() {
    let (tx, plain, queue) = fixture();
    tx.publish("", &queue, "a");
    tx.rpc(methods::tx_select()).finish();
    commit(&tx);
    assert_eq!(plain.drain(&queue), ["a"]);
}

#[test]
fn without_select_there_is_nothing_to_end() {
    let channel = open_channel();
    channel.refuses(methods::tx_commit(), 406, "channel is not transactional");
    channel.refuses(methods::tx_rollback(), 406, "channel is not transactional");
}

#[test]
fn the_checks_of_a_publish_come_at_once() {
    let (tx, ..) = fixture();
    let publish = methods::publish("leveret-missing", "", &[], &Props::default(), b"x");
    tx.refuses(publish, 404, "no exchange 'leveret-missing' in vhost '/'");
}

#[test]
fn the_bindings_at_the_publish_count() {
    let (tx, plain, queue) = fixture();
    let key = unique("key");
    plain.bind(&queue, "amq.direct", &key);
    tx.publish("amq.direct", &key, "routed");
    tx.sync();
    plain.rpc(methods::queue_unbind(&queue, "amq.direct", &key, &none()));
    tx.publish("amq.direct", &key, "unroutable");
    commit(&tx);
    assert_eq!(plain.drain(&queue), ["routed"]);
}

#[test]
fn mandatory_messages_come_back_before_commit_ok() {
    let (tx, ..) = fixture();
    tx.publish_with("", "leveret-missing", &[Mandatory], &Props::default(), "come back");
    tx.expect_silence();
    tx.send(methods::tx_commit());
    assert_eq!(tx.returned().body, b"come back");
    tx.expect(ids::TX_COMMIT_OK);
}

#[test]
fn acknowledgements_take_effect_with_the_commit() {
    let (tx, plain, queue) = fixture();
    let tags = fetch(&tx, &plain, &queue, &["a", "b", "c", "d"]);
    tx.ack(tags[0]);
    tx.send(methods::reject(tags[1], &[Requeue]));
    tx.send(methods::nack(tags[2], &[Requeue]));
    tx.sync();
    assert_eq!(plain.counts(&queue).0, 0, "nothing is requeued yet");
    commit(&tx);
    wait_until("two messages are back", || plain.counts(&queue).0 == 2);
    assert_eq!(plain.drain(&queue), ["b", "c"]);
    tx.close();
    assert_eq!(plain.drain(&queue), ["d"], "what was acknowledged is gone, what was not is back");
}

#[test]
fn a_rollback_undoes_acknowledgements_without_redelivery() {
    let (tx, plain, queue) = fixture();
    let tags = fetch(&tx, &plain, &queue, &["a", "b"]);
    tx.send(methods::ack(tags[1], &[Multiple]));
    rollback(&tx);
    assert_eq!(plain.counts(&queue).0, 0, "the messages are unacknowledged again");
    tx.send(methods::nack(tags[1], &[Multiple, Requeue]));
    commit(&tx);
    assert_eq!(plain.drain(&queue), ["a", "b"]);
}

#[test]
fn a_message_can_be_settled_only_once_in_a_transaction() {
    let (tx, plain, queue) = fixture();
    let tags = fetch(&tx, &plain, &queue, &["a"]);
    tx.ack(tags[0]);
    tx.refuses(methods::ack(tags[0], &[]), 406, "unknown delivery tag 1");
    assert_eq!(plain.drain(&queue), ["a"]);
}

#[test]
fn closing_the_channel_requeues_even_what_was_acknowledged() {
    let (tx, plain, queue) = fixture();
    let tags = fetch(&tx, &plain, &queue, &["a", "b", "c"]);
    tx.ack(tags[0]);
    tx.send(methods::reject(tags[2], &[]));
    tx.close();
    assert_eq!(plain.drain(&queue), ["a", "b", "c"]);
}

#[test]
fn prefetch_is_not_freed_before_the_commit() {
    let (tx, plain, queue) = fixture();
    ["a", "b"].iter().for_each(|text| plain.publish("", &queue, text));
    plain.sync();
    tx.rpc(methods::qos(0, 1, &[]));
    tx.consume(&queue);
    tx.ack(tx.delivery().delivery_tag);
    tx.expect_silence();
    commit(&tx);
    assert_eq!(tx.delivery().text(), "b");
}

#[test]
fn recover_takes_only_what_was_not_settled() {
    let (tx, plain, queue) = fixture();
    let tags = fetch(&tx, &plain, &queue, &["a", "b"]);
    tx.ack(tags[0]);
    tx.rpc(methods::recover(&[Requeue]));
    assert_eq!(plain.drain(&queue), ["b"]);
    commit(&tx);
    assert_eq!(plain.counts(&queue).0, 0);
}

#[test]
fn a_rejected_publish_fails_the_commit() {
    let (tx, plain, _) = fixture();
    let arguments = table([("x-max-length", 0.into()), ("x-overflow", "reject-publish".into())]);
    let full = plain.declare("", &[Exclusive], &arguments).queue;
    tx.publish("", &full, "refused");
    tx.refuses(methods::tx_commit(), 406, "partial tx completion");
}

/// RabbitMQ ends the connection (504) when a request comes while the commit waits for its queues.
#[test]
fn requests_behind_a_commit_wait_for_it() {
    if peer() {
        return;
    }
    let (tx, plain, _) = fixture();
    let mut names = Names::new();
    let queue = names.queue("durable");
    plain.declare(&queue, &[Durable], &none());
    for number in 0..50 {
        tx.publish_with("", &queue, &[], &Props::persistent(), &number.to_string());
        tx.send(methods::tx_commit());
    }
    tx.send(methods::queue_declare(&queue, &[Passive], &none()));
    (0..50).for_each(|_| drop(tx.expect(ids::TX_COMMIT_OK)));
    let mut declare_ok = tx.expect(ids::QUEUE_DECLARE_OK).args;
    assert_eq!((declare_ok.shortstr(), declare_ok.long()), (queue, 50));
}

#[test]
fn settlements_of_a_transaction_are_carried_out_in_the_order_of_their_tags() {
    let (tx, plain, queue) = fixture();
    let tags = fetch(&tx, &plain, &queue, &["a", "b", "c"]);
    for tag in [tags[2], tags[0], tags[1]] {
        tx.send(methods::nack(tag, &[Requeue]));
    }
    commit(&tx);
    wait_until("all are back", || plain.counts(&queue).0 == 3);
    assert_eq!(plain.drain(&queue), ["a", "b", "c"]);
}

#[test]
fn many_transactions_follow_each_other() {
    let (tx, plain, queue) = fixture();
    for round in 0..50 {
        for number in 0..10 {
            tx.publish("", &queue, &format!("{round}.{number}"));
        }
        if round % 2 == 0 {
            commit(&tx);
        } else {
            rollback(&tx);
        }
    }
    assert_eq!(plain.counts(&queue).0, 250);
}
