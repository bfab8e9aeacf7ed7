//! Many clients that make and unmake the same entities at once: every request is answered, whoever was first.

use std::thread;

use leveret_tests::prelude::*;

const THREADS: usize = 8;
const ROUNDS: usize = 150;

/// What can be refused because somebody else was faster.
const REFUSALS: [u16; 3] = [404, 405, 406];

/// Sends a request and takes its answer, whichever of the allowed ones it is.
fn ask(channel: &Channel, method: Method) {
    let reply = ids::reply_to(method.id);
    channel.send(method);
    let incoming = channel.reply(&[reply, ids::CHANNEL_CLOSE]);
    if incoming.id == ids::CHANNEL_CLOSE {
        let code = incoming.args.clone().short();
        assert!(REFUSALS.contains(&code), "{}", incoming.describe());
        channel.send(Method::new(ids::CHANNEL_CLOSE_OK));
        channel.open();
    }
}

/// Runs the same rounds on many channels and checks that the broker answers afterwards.
fn contend(round: impl Fn(&Channel, usize) + Sync) {
    thread::scope(|scope| {
        for number in 0..THREADS {
            let round = &round;
            scope.spawn(move || {
                let channel = open_channel();
                (0..ROUNDS).for_each(|turn| round(&channel, number + turn));
                channel.connection().close();
            });
        }
    });
    open_channel().sync();
}

#[test]
fn one_queue_declared_and_deleted_by_many() {
    let mut names = Names::new();
    let queue = names.queue("contended");
    contend(|channel, turn| match turn % 5 {
        0 => ask(channel, methods::queue_declare(&queue, &[], &none())),
        1 => ask(channel, methods::queue_delete(&queue, &[])),
        2 => ask(channel, methods::queue_bind(&queue, "amq.topic", "a.#", &[], &none())),
        3 => {
            channel.publish("amq.topic", "a.b", "x");
            ask(channel, methods::queue_purge(&queue, &[]));
        }
        _ => ask(channel, methods::consume(&queue, "", &[NoAck], &none())),
    });
}

#[test]
fn one_auto_delete_queue_consumed_by_many() {
    let mut names = Names::new();
    let queue = names.queue("contended");
    contend(|channel, turn| {
        ask(channel, methods::queue_declare(&queue, &[AutoDelete], &none()));
        ask(channel, methods::consume(&queue, "tag", &[], &none()));
        channel.publish("", &queue, "x");
        if turn % 3 == 0 {
            channel.close();
            channel.open();
        } else {
            channel.rpc(methods::cancel("tag", &[]));
        }
    });
    let channel = open_channel();
    wait_until("the queue is gone with its last consumer", || {
        // A declare that came last, with nobody to consume, keeps the queue: a consumer decides it.
        channel.declare(&queue, &[AutoDelete], &none());
        let tag = channel.consume(&queue);
        channel.rpc(methods::cancel(&tag, &[]));
        !channel.has_queue(&queue)
    });
}

#[test]
fn a_ring_of_auto_delete_exchanges_bound_and_unbound_by_many() {
    let mut names = Names::new();
    let ring: Vec<String> = (0..4).map(|_| names.exchange("ring")).collect();
    contend(|channel, turn| {
        let (from, to) = (&ring[turn % 4], &ring[(turn + 1) % 4]);
        match turn % 7 {
            0 | 1 => ask(channel, methods::exchange_declare(from, "fanout", &[AutoDelete], &none())),
            2 | 3 => ask(channel, methods::exchange_bind(to, from, "", &[], &none())),
            4 => ask(channel, methods::exchange_unbind(to, from, "", &[], &none())),
            5 => ask(channel, methods::exchange_delete(from, &[])),
            _ => {
                let queue = channel.exclusive_queue();
                ask(channel, methods::queue_bind(&queue, from, "", &[], &none()));
                channel.rpc(methods::queue_delete(&queue, &[]));
            }
        }
    });
}

#[test]
fn exclusive_queues_of_one_name_wanted_by_many() {
    let name = unique("wanted");
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..30 {
                    let channel = open_channel();
                    ask(&channel, methods::queue_declare(&name, &[Exclusive], &none()));
                    channel.connection().close();
                }
            });
        }
    });
    assert!(!open_channel().has_queue(&name));
}
