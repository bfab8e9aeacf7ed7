//! Messages that may live for a time, and queues that go when nobody uses them.

use leveret_tests::prelude::*;

/// Time enough for anything with a short life to be over, and short enough for what lives long.
const LATER: Duration = Duration::from_millis(400);

fn with_ttl(ttl_ms: i32) -> Table {
    table([("x-message-ttl", Value::I32(ttl_ms))])
}

fn expiring(expiration: &str) -> Props {
    Props { expiration: Some(expiration.to_owned()), ..Props::default() }
}

/// A queue of this connection alone.
fn queue_with(channel: &Channel, arguments: &Table) -> String {
    channel.declare("", &[Exclusive], arguments).queue
}

// Messages

#[test]
fn messages_are_gone_after_the_ttl_of_their_queue() {
    let channel = open_channel();
    let queue = queue_with(&channel, &with_ttl(2000));
    ["a", "b", "c"].iter().for_each(|text| channel.publish("", &queue, text));
    wait_until("the messages are there", || channel.counts(&queue).0 == 3);
    wait_until("the messages expire", || channel.counts(&queue).0 == 0);
    assert_eq!(channel.drain(&queue), texts(&[]));
}

#[test]
fn messages_are_gone_after_their_own_expiration() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish_with("", &queue, &[], &expiring("2000"), "short");
    channel.publish("", &queue, "for ever");
    wait_until("both are there", || channel.counts(&queue).0 == 2);
    wait_until("the message expires", || channel.counts(&queue).0 == 1);
    assert_eq!(channel.drain(&queue), ["for ever"]);
}

#[test]
fn the_shorter_of_both_times_holds() {
    let channel = open_channel();
    let patient = queue_with(&channel, &with_ttl(60_000));
    channel.publish_with("", &patient, &[], &expiring("100"), "own");
    let hasty = queue_with(&channel, &with_ttl(100));
    channel.publish_with("", &hasty, &[], &expiring("60000"), "queue's");
    wait_until("both expire", || channel.counts(&patient).0 + channel.counts(&hasty).0 == 0);
}

#[test]
fn a_message_expires_when_it_is_the_first() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish_with("", &queue, &[], &expiring("60000"), "patient");
    channel.publish_with("", &queue, &[], &expiring("50"), "hasty");
    channel.sync();
    std::thread::sleep(LATER);
    assert_eq!(channel.counts(&queue).0, 2, "the second waits behind the first");
    assert_eq!(channel.get_with(&queue, &[NoAck]).unwrap().text(), "patient");
    assert_eq!(channel.drain(&queue), texts(&[]), "but nobody gets it");
}

#[test]
fn a_message_expires_anywhere_where_that_is_asked_for() {
    if peer() {
        return; // The argument is ours.
    }
    let channel = open_channel();
    let dead = channel.exclusive_queue();
    for levels in [0, 3] {
        let arguments = [
            ("x-message-ttl-anywhere", Value::from(true)),
            ("x-dead-letter-exchange", Value::from("")),
            ("x-dead-letter-routing-key", Value::from(&*dead)),
            ("x-max-priority", Value::from(levels)),
        ];
        let queue = queue_with(&channel, &table(arguments));
        for (expiration, text) in [("60000", "patient"), ("50", "a"), ("100", "b"), ("60000", "too")] {
            channel.publish_with("", &queue, &[], &expiring(expiration), text);
        }
        wait_until("two expire behind the first", || channel.counts(&queue).0 == 2);
        wait_until("they are dead letters", || channel.counts(&dead).0 == 2);
        assert_eq!(channel.drain(&dead), ["a", "b"]);
        // What is returned behind the first expires there as well.
        let taken: Vec<_> = (0..2).map(|_| channel.get_with(&queue, &[]).unwrap()).collect();
        channel.publish_with("", &queue, &[], &expiring("50"), "c");
        taken.iter().for_each(|message| channel.send(methods::nack(message.delivery_tag, &[Requeue])));
        wait_until("the third expires", || channel.counts(&queue).0 == 2);
        assert_eq!(channel.drain(&queue), ["patient", "too"]);
        wait_until("it is a dead letter", || channel.counts(&dead).0 == 1);
        assert_eq!(channel.drain(&dead), ["c"]);
    }
}

#[test]
fn fetching_does_not_count_what_has_expired_behind() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish_with("", &queue, &[], &expiring("60000"), "patient");
    (0..3).for_each(|_| channel.publish_with("", &queue, &[], &expiring("50"), "hasty"));
    channel.publish("", &queue, "for ever");
    wait_until("all are there", || channel.counts(&queue).0 == 5);
    std::thread::sleep(LATER);
    assert_eq!(channel.get_with(&queue, &[NoAck]).unwrap().message_count, 1);
}

#[test]
fn what_has_expired_is_not_delivered() {
    let connection = open();
    let (channel, consumer) = (connection.channel(1), connection.channel(2));
    let queue = channel.exclusive_queue();
    channel.publish_with("", &queue, &[], &expiring("60000"), "patient");
    channel.publish_with("", &queue, &[], &expiring("50"), "hasty");
    channel.publish("", &queue, "for ever");
    channel.sync();
    std::thread::sleep(LATER);
    consumer.consume_with(&queue, "", &[NoAck], &none());
    assert_eq!(consumer.texts(2), ["patient", "for ever"]);
    assert_eq!(consumer.try_delivery(SILENCE), None);
}

#[test]
fn a_life_of_nothing_is_enough_for_a_consumer_that_waits() {
    let connection = open();
    let (channel, consumer) = (connection.channel(1), connection.channel(2));
    for queue in [queue_with(&channel, &with_ttl(0)), channel.exclusive_queue()] {
        channel.publish_with("", &queue, &[], &expiring("0"), "nobody waits");
        assert_eq!(channel.get(&queue), None);
        assert_eq!(channel.counts(&queue).0, 0);
        let tag = consumer.consume(&queue);
        channel.publish_with("", &queue, &[], &expiring("0"), "somebody waits");
        let delivery = consumer.delivery();
        assert_eq!(delivery.text(), "somebody waits");
        consumer.ack(delivery.delivery_tag);
        consumer.rpc(methods::cancel(&tag, &[]));
    }
}

#[test]
fn a_mandatory_message_that_expires_at_once_does_not_come_back() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish_with("", &queue, &[Mandatory], &expiring("0"), "nobody waits");
    channel.expect_silence();
    assert_eq!(channel.get(&queue), None);
}

#[test]
fn a_returned_message_keeps_its_time() {
    let channel = open_channel();
    let queue = queue_with(&channel, &with_ttl(2000));
    channel.publish("", &queue, "x");
    let delivery = channel.get(&queue).unwrap();
    // Its time began before this.
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(1000));
    channel.send(methods::reject(delivery.delivery_tag, &[Requeue]));
    std::thread::sleep(Duration::from_millis(2200).saturating_sub(start.elapsed()));
    assert_eq!(channel.get(&queue), None, "its time began again");
}

#[test]
fn a_delivered_message_does_not_expire() {
    let channel = open_channel();
    let queue = queue_with(&channel, &with_ttl(50));
    // Somebody waits, or it could expire before it is delivered.
    channel.consume(&queue);
    channel.publish("", &queue, "x");
    let delivery = channel.delivery();
    std::thread::sleep(LATER);
    channel.ack(delivery.delivery_tag);
    channel.sync();
}

#[test]
fn an_expiration_stays_with_the_message() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.publish_with("", &queue, &[], &expiring("60000"), "x");
    assert_eq!(channel.get(&queue).unwrap().props.expiration.as_deref(), Some("60000"));
}

#[test]
fn a_transaction_s_messages_expire_too() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.rpc(methods::tx_select()).finish();
    channel.publish_with("", &queue, &[], &expiring("100"), "x");
    channel.rpc(methods::tx_commit()).finish();
    wait_until("the message expires", || channel.counts(&queue).0 == 0);
}

#[test]
fn expired_messages_make_room() {
    let channel = open_channel();
    let arguments = table([
        ("x-message-ttl", Value::I32(2000)),
        ("x-max-length", Value::I32(1)),
        ("x-overflow", Value::Str(b"reject-publish".to_vec())),
    ]);
    let queue = queue_with(&channel, &arguments);
    channel.rpc(methods::confirm_select(&[])).finish();
    ["taken", "refused"].iter().for_each(|text| channel.publish("", &queue, text));
    assert_eq!(channel.confirms(1, 2).into_values().collect::<Vec<_>>(), [true, false]);
    let mut published = 2;
    wait_until("another is taken", || {
        published += 1;
        channel.publish("", &queue, "taken again");
        channel.confirms(published, published).into_values().all(|is_taken| is_taken)
    });
}

// Queues

#[test]
fn an_unused_queue_goes() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("unused");
    let start = Instant::now();
    channel.declare(&queue, &[], &table([("x-expires", Value::I32(300))]));
    channel.publish("", &queue, "does not count");
    wait_until("it goes", || !channel.has_queue_quietly(&queue));
    assert!(start.elapsed() >= Duration::from_millis(290), "too early");
}

#[test]
fn a_queue_with_a_consumer_stays() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("used");
    channel.declare(&queue, &[], &table([("x-expires", Value::I32(1500))]));
    let tag = channel.consume(&queue);
    std::thread::sleep(Duration::from_millis(2000));
    assert!(channel.has_queue_quietly(&queue));
    channel.rpc(methods::cancel(&tag, &[]));
    assert!(channel.has_queue_quietly(&queue), "its time begins when the consumer goes");
    wait_until("it goes", || !channel.has_queue_quietly(&queue));
}

#[test]
fn fetching_and_declaring_renew_the_time_of_a_queue() {
    let (channel, mut names) = (open_channel(), Names::new());
    let arguments = table([("x-expires", Value::I32(3000))]);
    let (fetched, declared) = (names.queue("fetched"), names.queue("declared"));
    for queue in [&fetched, &declared] {
        channel.declare(queue, &[], &arguments);
    }
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(900));
        assert_eq!(channel.get(&fetched), None);
        channel.declare(&declared, &[], &arguments);
    }
    let both_are = |there| [&fetched, &declared].iter().all(|queue| channel.has_queue_quietly(queue) == there);
    assert!(both_are(true));
    wait_until("both go", || both_are(false));
}

#[test]
fn declaring_does_not_renew_the_time_of_a_quorum_queue() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("quorum");
    let arguments = table([("x-queue-type", "quorum".into()), ("x-expires", Value::I32(600))]);
    channel.declare(&queue, &[Durable], &arguments);
    let start = Instant::now();
    while channel.has_queue_quietly(&queue) {
        assert!(start.elapsed() < PATIENCE, "it stays");
        std::thread::sleep(Duration::from_millis(100));
        channel.send(methods::queue_declare(&queue, &[Passive], &none()));
        if channel.reply(&[ids::QUEUE_DECLARE_OK, ids::CHANNEL_CLOSE]).id == ids::CHANNEL_CLOSE {
            channel.send(Method::new(ids::CHANNEL_CLOSE_OK));
            channel.open();
        }
    }
}

#[test]
fn messages_of_a_queue_that_expires_are_not_dead_lettered() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (queue, dead) = (names.queue("unused"), channel.exclusive_queue());
    let arguments = table([
        ("x-expires", Value::I32(1000)),
        ("x-dead-letter-exchange", Value::Str(Vec::new())),
        ("x-dead-letter-routing-key", Value::Str(dead.clone().into_bytes())),
    ]);
    channel.declare(&queue, &[], &arguments);
    channel.publish("", &queue, "x");
    wait_until("it goes", || !channel.has_queue_quietly(&queue));
    std::thread::sleep(SILENCE);
    assert_eq!(channel.drain(&dead), texts(&[]));
}

/// Looks for queues without using them.
trait Quietly {
    fn has_queue_quietly(&self, queue: &str) -> bool;
}

impl Quietly for Channel {
    /// A binding asks for the queue, and renews nothing.
    fn has_queue_quietly(&self, queue: &str) -> bool {
        self.send(methods::queue_bind(queue, "amq.direct", "quietly", &[], &none()));
        let incoming = self.reply(&[ids::QUEUE_BIND_OK, ids::CHANNEL_CLOSE]);
        if incoming.id == ids::QUEUE_BIND_OK {
            return true;
        }
        self.send(Method::new(ids::CHANNEL_CLOSE_OK));
        self.open();
        false
    }
}
