//! Publishers wait for alarms and for the journal; nobody else does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::sync::Arc;

use leveret_codec::method::{BasicConsume, BasicPublish, ConfirmSelect, ConnectionBlocked, Method, QueueDeclare};
use leveret_codec::properties::Properties;
use leveret_engine::journal::Waiter;
use leveret_session::alarms::Alarm;
use leveret_session::stall::Rest;
use support::{Host, TestJournal, Woken, body, header, method, persistent};

const BLOCKED: (u16, u16) = (10, 60);
const UNBLOCKED: (u16, u16) = (10, 61);
const DELIVER: (u16, u16) = (60, 60);
const BASIC_ACK: (u16, u16) = (60, 80);

fn publish_method() -> Vec<u8> {
    method(1, BasicPublish { exchange: b"", routing_key: b"q", mandatory: false, immediate: false })
}

fn publish() -> Vec<u8> {
    [publish_method(), header(1, &Properties::default(), 2), body(1, b"hi", 2)].concat()
}

fn host() -> Host {
    Host::new(TestJournal::default())
}

fn waiter() -> (Arc<Woken>, Arc<dyn Waiter>) {
    let woken = Arc::new(Woken::default());
    (Arc::clone(&woken), woken)
}

#[test]
fn a_publisher_is_told_once_and_rests() {
    let host = host();
    let mut client = host.client(1);
    client.feed(&publish());
    host.config.alarms.set(Alarm::Disk, true);
    assert_eq!((client.machine.rest(), client.take_ids()), (None, vec![]), "it does not publish now");
    client.feed(&publish());
    let heard = client.take();
    assert_eq!(heard.len(), 1);
    let blocked: Method<'_> = ConnectionBlocked { reason: "low on disk" }.into();
    assert_eq!(Method::decode(&heard[0].payload).unwrap(), blocked);
    assert_eq!(client.machine.rest(), Some(Rest::Blocked));
    // What was read already is worked off, and nothing is told again.
    host.config.alarms.set(Alarm::Memory, true);
    client.feed(&publish());
    assert_eq!(client.take_ids(), []);
    let (woken, waiter) = waiter();
    client.machine.when_rest_over(Rest::Blocked, waiter);
    host.config.alarms.set(Alarm::Disk, false);
    assert_eq!((woken.times(), client.machine.rest()), (0, Some(Rest::Blocked)));
    host.config.alarms.set(Alarm::Memory, false);
    assert_eq!((woken.times(), client.machine.rest()), (1, None));
    assert_eq!(client.take_ids(), [UNBLOCKED]);
    host.config.alarms.set(Alarm::Memory, true);
    client.feed(&publish());
    assert_eq!(client.take_ids(), [BLOCKED]);
}

#[test]
fn a_publisher_that_waits_for_confirms_is_told_when_the_alarm_comes() {
    let host = host();
    let mut client = host.client(1);
    let declare = method(1, QueueDeclare { queue: "q", durable: true, ..QueueDeclare::default() });
    client.feed(&[method(1, ConfirmSelect::default()), declare].concat());
    host.journal.commit();
    client.take();
    let kept = [publish_method(), header(1, &persistent(), 2), body(1, b"hi", 2)].concat();
    client.feed(&kept);
    host.config.alarms.set(Alarm::Disk, true);
    // The disk may be so full that the confirm never comes, and the client waits for it before it publishes again.
    client.machine.note_alarm();
    assert_eq!((client.take_ids(), client.machine.rest()), (vec![BLOCKED], Some(Rest::Blocked)));
    client.machine.note_alarm();
    assert_eq!(client.take_ids(), []);
    host.config.alarms.set(Alarm::Disk, false);
    host.journal.commit();
    assert_eq!((client.machine.rest(), client.take_ids()), (None, vec![UNBLOCKED, BASIC_ACK]));
    host.config.alarms.set(Alarm::Disk, true);
    client.machine.note_alarm();
    assert_eq!((client.machine.rest(), client.take_ids()), (None, vec![]), "it waits for nothing");
}

#[test]
fn consumers_are_left_alone() {
    let host = host();
    let mut consumer = host.client(1);
    let declare = method(1, QueueDeclare { queue: "q", ..QueueDeclare::default() });
    let consume = method(1, BasicConsume { queue: "q", no_ack: true, ..BasicConsume::default() });
    consumer.feed(&[declare, consume].concat());
    consumer.take();
    host.config.alarms.set(Alarm::Memory, true);
    host.journal.set_full(true);
    // Accepted during the alarm, blocked when it publishes, and what it published is taken in.
    let mut publisher = host.client(2);
    publisher.feed(&publish());
    assert_eq!(publisher.take_ids(), [BLOCKED]);
    assert_eq!(consumer.take_ids(), [DELIVER]);
    assert_eq!(consumer.machine.rest(), None);
}

#[test]
fn a_client_that_cannot_be_told_rests_all_the_same() {
    let host = host();
    let mut client = host.client_with(1, &[]);
    host.config.alarms.set(Alarm::Disk, true);
    client.feed(&publish());
    assert_eq!((client.take_ids(), client.machine.rest()), (vec![], Some(Rest::Blocked)));
    host.config.alarms.set(Alarm::Disk, false);
    assert_eq!((client.machine.rest(), client.take_ids()), (None, vec![]));
}

#[test]
fn a_closing_connection_is_read_for_its_last_word() {
    let host = host();
    let mut client = host.client(1);
    host.config.alarms.set(Alarm::Disk, true);
    client.feed(&publish());
    assert_eq!(client.machine.rest(), Some(Rest::Blocked));
    client.machine.force_close("shutdown");
    assert_eq!(client.machine.rest(), None);
}

#[test]
fn a_publisher_waits_for_room_in_the_journal() {
    let host = host();
    let mut client = host.client(1);
    host.journal.set_full(true);
    assert_eq!(client.machine.rest(), None);
    client.feed(&publish());
    assert_eq!((client.machine.rest(), client.take_ids()), (Some(Rest::JournalFull), vec![]));
    let (woken, waiter) = waiter();
    client.machine.when_rest_over(Rest::JournalFull, waiter);
    assert_eq!(woken.times(), 0);
    host.journal.set_full(false);
    assert_eq!((woken.times(), client.machine.rest()), (1, None));
}
