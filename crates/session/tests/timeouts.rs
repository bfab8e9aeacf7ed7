//! Timeouts of consumers against a model that knows the time of each delivery: never early, and not late by more than the
//! notes allow.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::collections::BTreeMap;

use leveret_codec::method::{
    BasicAck, BasicCancel, BasicConsume, BasicNack, BasicPublish, ChannelClose, Method, QueueDeclare,
};
use leveret_codec::properties::Properties;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use leveret_session::limits::TIMEOUT_NOTES_MAX;
use proptest::prelude::*;
use support::{Client, Host, TestJournal, header, method};

/// How often somebody looks.
const TICK_MS: u64 = 250;

const DELIVER: (u16, u16) = (60, 60);
const CLOSE: (u16, u16) = (20, 40);

/// A client with a consumer on `q`, and one without a timeout on `patient`, on the same channel.
fn client(host: &Host, timeout_ms: u64) -> Client {
    let mut client = host.client(1);
    let mut arguments = FieldTable::default();
    arguments.push(&b"x-consumer-timeout"[..], FieldValue::I64(timeout_ms.try_into().unwrap()));
    let mut encoded = Vec::new();
    arguments.encode(&mut encoded);
    let arguments = TableRef::from_raw(&encoded);
    let mut frames = Vec::new();
    for queue in ["q", "patient"] {
        frames.extend(method(1, QueueDeclare { queue, ..QueueDeclare::default() }));
    }
    frames.extend(method(1, BasicConsume { queue: "q", consumer_tag: "c", arguments, ..BasicConsume::default() }));
    frames.extend(method(1, BasicConsume { queue: "patient", consumer_tag: "p", ..BasicConsume::default() }));
    client.feed(&frames);
    client.take();
    client
}

fn publish(client: &mut Client, queue: &str, count: usize) {
    let head = BasicPublish { exchange: b"", routing_key: queue.as_bytes(), mandatory: false, immediate: false };
    let one = [method(2, head), header(2, &Properties::default(), 0)].concat();
    client.feed(&one.repeat(count));
    let delivered = client.take_ids();
    assert_eq!(delivered, vec![DELIVER; count]);
}

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    PublishPatient(usize),
    /// Acknowledges the nth that is outstanding, or all up to it.
    Ack(usize, bool),
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1usize..4).prop_map(Step::Publish),
        1 => (1usize..3).prop_map(Step::PublishPatient),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(pick, multiple)| Step::Ack(pick, multiple)),
        6 => (1u64..6).prop_map(Step::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_overdue_is_found_in_time(
        timeout_ms in prop_oneof![Just(0u64), 1u64..2_000, 2_000u64..60_000],
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let host = Host::new(TestJournal::default());
        let mut client = client(&host, timeout_ms);
        let (mut now_ms, mut last_tag) = (1_000_000, 0);
        // Tag to the time of its delivery; none where nobody minds.
        let mut unacked: BTreeMap<u64, Option<u64>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Publish(count) | Step::PublishPatient(count) => {
                    let is_patient = matches!(step, Step::PublishPatient(_));
                    publish(&mut client, if is_patient { "patient" } else { "q" }, count);
                    for _ in 0..count {
                        last_tag += 1;
                        unacked.insert(last_tag, (!is_patient).then_some(now_ms));
                    }
                }
                Step::Ack(pick, multiple) => {
                    let Some(tag) = unacked.keys().nth(pick % unacked.len().max(1)).copied() else { continue };
                    client.feed(&method(1, BasicAck { delivery_tag: tag, multiple }));
                    unacked.retain(|own, _| if multiple { *own > tag } else { *own != tag });
                }
                Step::Tick(ticks) => {
                    for _ in 0..ticks {
                        now_ms += TICK_MS;
                        let is_found = client.machine.outbox().look_for_overdue(now_ms, 0);
                        let age_ms = unacked.values().flatten().map(|since| now_ms - since).max();
                        let surely_ms = timeout_ms + timeout_ms / TIMEOUT_NOTES_MAX + 2 * TICK_MS;
                        if is_found {
                            prop_assert!(age_ms.is_some_and(|age_ms| age_ms >= timeout_ms), "early: {age_ms:?}");
                            client.machine.close_overdue();
                            prop_assert_eq!(client.take_ids(), [CLOSE]);
                            return Ok(());
                        }
                        prop_assert!(age_ms.is_none_or(|age_ms| age_ms < surely_ms), "late: {age_ms:?} of {timeout_ms}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_close_says_which_timeout_it_was() {
    let host = Host::new(TestJournal::default());
    let mut client = client(&host, 1_000);
    publish(&mut client, "q", 1);
    let look = |client: &Client, now_ms| client.machine.outbox().look_for_overdue(now_ms, 0);
    assert!(!look(&client, 0) && !look(&client, 999));
    assert!(look(&client, 1_000));
    client.machine.close_overdue();
    let heard = client.take();
    let expected = Method::from(ChannelClose {
        reply_code: 406,
        reply_text: "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1000 ms. This \
                     timeout value can be configured, see consumers doc guide to learn more",
        class_id: 0,
        method_id: 0,
    });
    assert_eq!(Method::decode(&heard[0].payload).unwrap(), expected);
    // It is said once, and the channel has nothing to be late with any more.
    client.machine.close_overdue();
    assert!(!look(&client, 10_000));
    assert_eq!(client.take_ids(), []);
}

#[test]
fn a_cancelled_consumer_is_watched_until_it_has_settled_all() {
    let host = Host::new(TestJournal::default());
    let mut client = client(&host, 1_000);
    publish(&mut client, "q", 2);
    client.feed(&method(1, BasicCancel { consumer_tag: "c", nowait: true }));
    publish(&mut client, "patient", 1);
    let look = |client: &Client, now_ms| client.machine.outbox().look_for_overdue(now_ms, 0);
    assert!(!look(&client, 0));
    client.feed(&method(1, BasicNack { delivery_tag: 2, multiple: true, requeue: false }));
    assert!(!look(&client, 5_000) && !look(&client, 10_000), "the others have no timeout");
}
