//! Exclusive and auto-delete queues, purging and deleting.

use leveret_tests::prelude::*;

fn declare(queue: &str, flags: &[Flag], arguments: &Table) -> Method {
    methods::queue_declare(queue, flags, arguments)
}

fn no_queue(queue: &str) -> String {
    format!("no queue '{queue}' in vhost '/'")
}

/// An exclusive queue with a name of the client, which may be declared again.
fn exclusive(channel: &Channel) -> String {
    channel.declare(&unique("exclusive"), &[Exclusive], &none()).queue
}

// Exclusive queues

#[test]
fn an_exclusive_queue_is_locked_for_other_connections() {
    let (owner, other) = (open_channel(), open_channel());
    let queue = exclusive(&owner);
    let text = format!(
        "cannot obtain exclusive access to locked queue '{queue}' in vhost '/'. It could be originally declared on \
         another connection or the exclusive property value does not match that of the original declaration."
    );
    let touches = [
        declare(&queue, &[Exclusive], &none()),
        declare(&queue, &[], &none()),
        declare(&queue, &[Passive], &none()),
        methods::queue_bind(&queue, "amq.fanout", "", &[], &none()),
        methods::consume(&queue, "", &[], &none()),
        methods::get(&queue, &[]),
        methods::queue_purge(&queue, &[]),
        methods::queue_delete(&queue, &[]),
    ];
    for touch in touches {
        other.refuses(touch, 405, &text);
    }
    other.publish("", &queue, "everybody may publish");
    other.sync();
    wait_until("the message arrives", || owner.counts(&queue).0 == 1);
}

#[test]
fn every_channel_of_the_owner_may_use_an_exclusive_queue() {
    let connection = open();
    let queue = exclusive(&connection.channel(1));
    let channel = connection.channel(2);
    channel.declare(&queue, &[Exclusive], &none());
    channel.publish("", &queue, "mine");
    assert_eq!(channel.drain(&queue), ["mine"]);
}

#[test]
fn exclusiveness_cannot_change() {
    let (channel, mut names) = (open_channel(), Names::new());
    let shared = names.queue("shared");
    let exclusive = exclusive(&channel);
    channel.declare(&shared, &[], &none());
    let text = |queue: &str| {
        format!(
            "cannot obtain exclusive access to locked queue '{queue}' in vhost '/'. It could be originally declared \
             on another connection or the exclusive property value does not match that of the original declaration."
        )
    };
    channel.refuses(declare(&shared, &[Exclusive], &none()), 405, &text(&shared));
    if peer() {
        // 3.10 minds only the exclusive redeclare of a shared queue from the owner's connection.
        return;
    }
    channel.refuses(declare(&exclusive, &[], &none()), 405, &text(&exclusive));
}

// Auto-delete

#[test]
fn an_auto_delete_queue_waits_for_its_first_consumer() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("waiting");
    channel.declare(&queue, &[AutoDelete], &none());
    channel.publish("", &queue, "fetched");
    assert_eq!(channel.drain(&queue), ["fetched"], "basic.get is no consumer");
    channel.close();
    channel.open();
    assert!(channel.has_queue(&queue));
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("last");
    channel.declare(&queue, &[AutoDelete], &none());
    let (one, other) = (channel.consume(&queue), channel.consume(&queue));
    channel.rpc(methods::cancel(&one, &[]));
    assert_eq!(channel.counts(&queue), (0, 1));
    channel.rpc(methods::cancel(&other, &[]));
    assert!(!channel.has_queue(&queue));
}

#[test]
fn an_auto_delete_queue_goes_with_the_channel_of_its_consumer() {
    let mut names = Names::new();
    let queue = names.queue("channel");
    let connection = open();
    let (closing, observer) = (connection.channel(1), connection.channel(2));
    closing.declare(&queue, &[AutoDelete], &none());
    closing.consume(&queue);
    closing.close();
    assert!(!observer.has_queue(&queue));
}

#[test]
fn an_auto_delete_queue_goes_with_a_lost_connection() {
    let (observer, mut names) = (open_channel(), Names::new());
    let queue = names.queue("connection");
    {
        let channel = open_channel();
        channel.declare(&queue, &[AutoDelete], &none());
        channel.consume(&queue);
    }
    wait_until("the queue is deleted", || !observer.has_queue(&queue));
}

// Purging and deleting

#[test]
fn purging_removes_what_is_ready() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    for text in ["a", "b", "c"] {
        channel.publish("", &queue, text);
    }
    let unacknowledged = channel.get(&queue).unwrap();
    assert_eq!(channel.rpc(methods::queue_purge(&queue, &[])).long(), 2);
    assert_eq!(channel.rpc(methods::queue_purge(&queue, &[])).long(), 0);
    channel.send(methods::reject(unacknowledged.delivery_tag, &[Requeue]));
    assert_eq!(channel.drain(&queue), ["a"]);
    channel.publish("", &queue, "d");
    channel.send(methods::queue_purge(&queue, &[Nowait]));
    assert_eq!(channel.counts(&queue).0, 0);
}

#[test]
fn purging_a_missing_queue_fails() {
    open_channel().refuses(methods::queue_purge("leveret-missing", &[]), 404, &no_queue("leveret-missing"));
}

#[test]
fn deleting_tells_how_many_messages_were_ready() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    for text in ["a", "b", "c"] {
        channel.publish("", &queue, text);
    }
    channel.get(&queue);
    let mut delete_ok = channel.rpc(methods::queue_delete(&queue, &[]));
    assert_eq!(delete_ok.long(), 2);
    delete_ok.finish();
}

#[test]
fn deleting_a_missing_queue_succeeds() {
    let channel = open_channel();
    for flags in [&[][..], &[IfUnused], &[IfEmpty], &[IfUnused, IfEmpty]] {
        assert_eq!(channel.rpc(methods::queue_delete("leveret-missing", flags)).long(), 0);
    }
}

#[test]
fn a_queue_in_use_is_kept_when_asked() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let tag = channel.consume(&queue);
    let in_use = format!("queue '{queue}' in vhost '/' in use");
    channel.send(methods::queue_delete(&queue, &[IfUnused]));
    channel.expect_close(406, &in_use, ids::QUEUE_DELETE);
    channel.open();
    // The consumer went with the channel.
    channel.consume_with(&queue, &tag, &[], &none());
    channel.rpc(methods::cancel(&tag, &[]));
    channel.rpc(methods::queue_delete(&queue, &[IfUnused]));
    assert!(!channel.has_queue(&queue));
}

#[test]
fn a_queue_with_messages_is_kept_when_asked() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish("", &queue, "a");
    let not_empty = format!("queue '{queue}' in vhost '/' not empty");
    channel.refuses(methods::queue_delete(&queue, &[IfEmpty]), 406, &not_empty);
    let message = channel.get(&queue).unwrap();
    // What is unacknowledged does not keep it.
    channel.rpc(methods::queue_delete(&queue, &[IfEmpty]));
    assert!(!channel.connection().channel(2).has_queue(&queue));
    channel.ack(message.delivery_tag);
    channel.sync();
}

#[test]
fn consumers_are_told_that_their_queue_is_deleted() {
    let connection = open();
    let (consumer, deleter) = (connection.channel(1), connection.channel(2));
    let queue = consumer.exclusive_queue();
    let tag = consumer.consume(&queue);
    deleter.rpc(methods::queue_delete(&queue, &[]));
    let mut cancel = consumer.expect(ids::BASIC_CANCEL).args;
    assert_eq!((cancel.shortstr(), cancel.octet()), (tag.clone(), 1), "nowait is set");
    cancel.finish();
    // An answer is allowed (RabbitMQ 3.10 minds it), and so is cancelling what is gone.
    if !peer() {
        consumer.send(Method::new(ids::BASIC_CANCEL_OK).shortstr(&tag));
    }
    consumer.rpc(methods::cancel(&tag, &[]));
    consumer.expect_silence();
}

#[test]
fn a_consumer_that_deletes_its_own_queue_is_told_too() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let tag = channel.consume(&queue);
    channel.rpc(methods::queue_delete(&queue, &[]));
    assert_eq!(channel.expect(ids::BASIC_CANCEL).args.shortstr(), tag);
}

#[test]
fn the_reply_to_a_deletion_comes_before_the_end_of_one_s_own_consumers() {
    for (queue, flags) in [("reply.first.exclusive", &[Exclusive][..]), ("reply.first.durable", &[Durable])] {
        let mut socket = Socket::at(Broker::shared(), Stage::Channel);
        socket.send_method(1, &methods::queue_declare(queue, flags, &none()));
        socket.expect(1, ids::QUEUE_DECLARE_OK);
        socket.send_method(1, &methods::consume(queue, "mine", &[], &none()));
        socket.expect(1, ids::BASIC_CONSUME_OK);
        socket.send_method(1, &methods::queue_delete(queue, &[]));
        socket.expect(1, ids::QUEUE_DELETE_OK);
        assert_eq!(socket.expect(1, ids::BASIC_CANCEL).shortstr(), "mine");
    }
}

#[test]
fn consumers_without_the_capability_just_end() {
    let broker = Broker::shared();
    let connection = Connection::open_with(broker, &Login::without_capabilities(broker));
    let channel = connection.channel(1);
    let queue = channel.exclusive_queue();
    channel.consume(&queue);
    channel.rpc(methods::queue_delete(&queue, &[]));
    channel.expect_silence();
}

#[test]
fn settling_messages_of_a_deleted_queue_is_no_error() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    for text in ["a", "b", "c"] {
        channel.publish("", &queue, text);
    }
    let tags: Vec<u64> = (0..3).map(|_| channel.get(&queue).unwrap().delivery_tag).collect();
    channel.rpc(methods::queue_delete(&queue, &[]));
    channel.ack(tags[0]);
    channel.send(methods::reject(tags[1], &[Requeue]));
    channel.send(methods::nack(tags[2], &[]));
    channel.sync();
}
