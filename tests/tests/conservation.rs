//! Many clients that come, go, requeue and vanish: every message is settled exactly once all the same.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use leveret_tests::prelude::*;

const PRODUCERS: usize = 2;
const CONSUMERS: usize = 4;
const MESSAGES_PER_PRODUCER: usize = 1_500;
const MESSAGES: usize = PRODUCERS * MESSAGES_PER_PRODUCER;

#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<HashMap<String, usize>>,
    seen: Mutex<HashSet<String>>,
    settled: AtomicUsize,
}

impl Ledger {
    /// Notes a delivery; whoever saw the message before must be told that it comes again.
    fn note_delivery(&self, delivery: &Delivery) {
        let is_new = self.seen.lock().expect("no panic").insert(delivery.text());
        assert!(is_new || delivery.redelivered, "{} came twice and was not marked", delivery.text());
    }

    fn note_ack(&self, text: String) {
        *self.acknowledged.lock().expect("no panic").entry(text).or_default() += 1;
        self.settled.fetch_add(1, Ordering::SeqCst);
    }

    fn is_complete(&self) -> bool {
        self.settled.load(Ordering::SeqCst) >= MESSAGES
    }
}

fn produce(queue: &str, producer: usize) {
    let channel = open_channel();
    channel.rpc(methods::confirm_select(&[]));
    for number in 0..MESSAGES_PER_PRODUCER {
        channel.publish("", queue, &format!("{producer}.{number}"));
    }
    let confirmed = channel.confirms(1, MESSAGES_PER_PRODUCER as u64);
    assert!(confirmed.values().all(|is_ack| *is_ack));
    channel.connection().close();
}

/// Consumes until everything is settled, and behaves in every way a consumer may.
fn consume(queue: &str, consumer: usize, ledger: &Ledger) {
    const ROUNDS_PER_CONNECTION: usize = 150;
    let mut turn = consumer;
    while !ledger.is_complete() {
        let channel = open_channel();
        channel.rpc(methods::qos(0, 7, &[]));
        channel.consume(queue);
        for _ in 0..ROUNDS_PER_CONNECTION {
            let Some(delivery) = channel.try_delivery(Duration::from_millis(100)) else { break };
            ledger.note_delivery(&delivery);
            turn += 1;
            match turn % 11 {
                0 => channel.send(methods::nack(delivery.delivery_tag, &[Requeue])),
                3 => channel.send(methods::reject(delivery.delivery_tag, &[Requeue])),
                // Kept until the channel or the connection ends.
                7 => (),
                _ => {
                    channel.ack(delivery.delivery_tag);
                    // Only what the broker has handled counts: the connection may be dropped at any time.
                    channel.sync();
                    ledger.note_ack(delivery.text());
                }
            }
        }
        // Some consumers say goodbye and some do not; what they held goes back either way.
        if turn.is_multiple_of(2) {
            channel.connection().close();
        }
    }
}

#[test]
fn messages_are_neither_lost_nor_doubled() {
    let mut names = Names::new();
    let queue = names.queue("conservation");
    let channel = open_channel();
    channel.declare(&queue, &[], &none());
    let ledger = Ledger::default();
    thread::scope(|scope| {
        let (queue, ledger) = (&queue, &ledger);
        for producer in 0..PRODUCERS {
            scope.spawn(move || produce(queue, producer));
        }
        for consumer in 0..CONSUMERS {
            scope.spawn(move || consume(queue, consumer, ledger));
        }
    });
    let acknowledged = ledger.acknowledged.into_inner().expect("no panic");
    assert_eq!(acknowledged.len(), MESSAGES, "every message is acknowledged");
    assert!(acknowledged.values().all(|times| *times == 1), "none of them twice");
    wait_until("all consumers are gone", || channel.counts(&queue) == (0, 0));
}
