//! What is over must cost nothing any more: the memory of the broker after many things came and went.
#![cfg(target_os = "linux")]

use leveret_tests::broker::resident_bytes;
use leveret_tests::prelude::*;

const MIB: u64 = 1 << 20;

/// Runs `round` a few times to warm up and then through several windows. Buffers grow at one time or another, but what
/// leaks grows in every window: so the least growth is judged.
fn assert_no_leak(broker: &Broker, what: &str, warm_up: usize, rounds: usize, mut round: impl FnMut(usize)) {
    const WINDOWS: usize = 4;
    const GROWTH_MAX: u64 = 4 * MIB;
    let resident = || resident_bytes(broker.pid().expect("a process of our own")).expect("it can be looked at");
    (0..warm_up).for_each(&mut round);
    let mut window = |number: usize| {
        let (first, before) = (warm_up + number * rounds, resident());
        (first..first + rounds).for_each(&mut round);
        resident().saturating_sub(before)
    };
    let growths: Vec<u64> = (0..WINDOWS).map(&mut window).collect();
    println!("{rounds} x {what}: {growths:?} octets more");
    let least = growths.iter().min().copied().unwrap_or_default();
    assert!(least <= GROWTH_MAX, "{what}: {growths:?} octets more");
}

#[test]
fn connections_leave_nothing() {
    if skip_without_process("connections_leave_nothing") {
        return;
    }
    let broker = Broker::start();
    assert_no_leak(&broker, "connection with a queue, a consumer and messages", 300, 1_500, |round| {
        let connection = Connection::open(&broker);
        let channel = connection.channel(1);
        let queue = channel.exclusive_queue();
        channel.bind(&queue, "amq.topic", &format!("round.{round}.#"));
        channel.publish("", &queue, &"x".repeat(1_000));
        channel.consume(&queue);
        channel.delivery();
        // Half of them just vanish.
        if round % 2 == 0 {
            connection.close();
        }
    });
}

#[test]
fn channels_leave_nothing() {
    if skip_without_process("channels_leave_nothing") {
        return;
    }
    let broker = Broker::start();
    let connection = Connection::open(&broker);
    let queue = connection.channel(1).exclusive_queue();
    assert_no_leak(&broker, "channel with a consumer and a transaction", 1_000, 5_000, |round| {
        let channel = connection.channel(2 + u16::try_from(round % 2_000).unwrap());
        channel.rpc(methods::tx_select());
        channel.publish("", &queue, "rolled back");
        channel.consume(&queue);
        channel.close();
    });
}

#[test]
fn entities_leave_nothing() {
    if skip_without_process("entities_leave_nothing") {
        return;
    }
    let broker = Broker::start();
    let channel = Connection::open(&broker).channel(1);
    assert_no_leak(&broker, "queue, exchange and bindings", 2_000, 10_000, |round| {
        let (queue, exchange) = (format!("queue-{round}"), format!("exchange-{round}"));
        channel.send(methods::queue_declare(&queue, &[Nowait], &none()));
        channel.send(methods::exchange_declare(&exchange, "topic", &[Nowait], &none()));
        channel.send(methods::queue_bind(&queue, &exchange, &format!("a.{round}.*"), &[Nowait], &none()));
        channel.send(methods::exchange_bind(&exchange, "amq.topic", &format!("#.{round}"), &[Nowait], &none()));
        channel.publish("amq.topic", &format!("a.{round}"), "unrouted at the second exchange");
        channel.send(methods::queue_delete(&queue, &[Nowait]));
        channel.send(methods::exchange_delete(&exchange, &[Nowait]));
        if round % 100 == 0 {
            channel.sync();
        }
    });
}

/// Whatever the broker remembers of routes must have a bound: clients may use a new key for every message.
#[test]
fn routing_keys_leave_nothing() {
    if skip_without_process("routing_keys_leave_nothing") {
        return;
    }
    let broker = Broker::start();
    let channel = Connection::open(&broker).channel(1);
    let queue = channel.exclusive_queue();
    channel.bind(&queue, "amq.topic", "never.#");
    assert_no_leak(&broker, "new routing key", 50_000, 250_000, |round| {
        channel.publish("amq.topic", &format!("{round}.a.key.that.is.not.used.again"), "x");
        channel.publish("", &format!("{round} is no queue"), "x");
        if round % 1_000 == 0 {
            channel.sync();
        }
    });
}

#[test]
fn messages_leave_nothing() {
    if skip_without_process("messages_leave_nothing") {
        return;
    }
    let broker = Broker::start();
    let channel = Connection::open(&broker).channel(1);
    let queue = channel.exclusive_queue();
    let body = "x".repeat(64 << 10);
    assert_no_leak(&broker, "300 messages of 64 KiB published and purged", 10, 20, |_| {
        (0..300).for_each(|_| channel.publish("", &queue, &body));
        channel.sync();
        assert_eq!(channel.rpc(methods::queue_purge(&queue, &[])).long(), 300);
    });
}

#[test]
fn settled_messages_leave_nothing() {
    if skip_without_process("settled_messages_leave_nothing") {
        return;
    }
    let broker = Broker::start();
    let channel = Connection::open(&broker).channel(1);
    let queue = channel.exclusive_queue();
    channel.rpc(methods::confirm_select(&[]));
    channel.consume(&queue);
    let mut published = 0;
    assert_no_leak(&broker, "1000 messages confirmed, requeued and acknowledged", 10, 100, |_| {
        (0..1_000).for_each(|_| channel.publish("", &queue, "x"));
        let mut deliveries = 0;
        let mut confirmed = published;
        let mut last = 0;
        while deliveries < 1_000 || confirmed < published + 1_000 {
            let mut incoming = channel.next(PATIENCE).expect("confirms and deliveries come");
            match incoming.id {
                ids::BASIC_ACK => {
                    let tag = incoming.args.longlong();
                    confirmed = if incoming.args.octet() == 1 { tag } else { confirmed + 1 };
                }
                ids::BASIC_DELIVER => {
                    incoming.args.shortstr();
                    last = incoming.args.longlong();
                    deliveries += 1;
                }
                other => panic!("unexpected {}", ids::name(other)),
            }
        }
        published += 1_000;
        channel.send(methods::nack(last, &[Requeue]));
        assert!(channel.delivery().redelivered);
        channel.send(methods::ack(0, &[Multiple]));
    });
}
