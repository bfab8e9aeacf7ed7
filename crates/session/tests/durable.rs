//! Nothing is said that is not durable, and nothing that is said overtakes what it belongs behind.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::sync::Arc;
use std::task::Poll;

use leveret_codec::method::{
    BasicAck, BasicConsume, BasicGet, BasicPublish, BasicQos, ChannelClose, ConfirmSelect, ConnectionClose, Method,
    QueueBind, QueueDeclare, QueueDelete, QueuePurge, TxCommit, TxSelect,
};
use leveret_codec::properties::Properties;
use leveret_engine::journal::Waiter;
use leveret_session::outbox::Next;
use leveret_session::stall::Stall;
use support::{Client, Host, TestJournal, Woken, body, header, method, persistent};

const DECLARE_OK: (u16, u16) = (50, 11);
const BIND_OK: (u16, u16) = (50, 21);
const DELETE_OK: (u16, u16) = (50, 41);
const PURGE_OK: (u16, u16) = (50, 31);
const CONSUME_OK: (u16, u16) = (60, 21);
const DELIVER: (u16, u16) = (60, 60);
const GET_EMPTY: (u16, u16) = (60, 72);
const ACK: (u16, u16) = (60, 80);
const QOS_OK: (u16, u16) = (60, 11);
const SELECT_OK: (u16, u16) = (85, 11);
const COMMIT_OK: (u16, u16) = (90, 21);
const CHANNEL_CLOSE: (u16, u16) = (20, 40);
const CLOSE_OK: (u16, u16) = (10, 51);

fn declare(queue: &str, durable: bool) -> Vec<u8> {
    method(1, QueueDeclare { queue, durable, ..QueueDeclare::default() })
}

fn publish(channel: u16, queue: &str, properties: &Properties) -> Vec<u8> {
    let head = BasicPublish { exchange: b"", routing_key: queue.as_bytes(), mandatory: false, immediate: false };
    [method(channel, head), header(channel, properties, 2), body(channel, b"hi", 2)].concat()
}

fn consume(channel: u16, queue: &str) -> Vec<u8> {
    method(channel, BasicConsume { queue, consumer_tag: "c", no_ack: true, ..BasicConsume::default() })
}

fn host() -> Host {
    Host::new(TestJournal::default())
}

/// Waits as a reader does, while the journal commits, and goes on.
fn sit_out_stall(host: &Host, client: &mut Client) {
    let stall = client.machine.stall().expect("a stall").clone();
    let woken = Arc::new(Woken::default());
    let waiter: Arc<dyn Waiter> = Arc::<Woken>::clone(&woken);
    client.machine.when_stall_over(&stall, waiter);
    assert_eq!(woken.times(), 0, "nothing to wait for");
    host.journal.commit();
    assert_eq!(woken.times(), 1);
    client.feed(b"");
}

#[test]
fn a_reply_waits_until_what_it_tells_is_durable() {
    let host = host();
    let mut client = host.client(1);
    client.feed(&declare("kept", true));
    assert_eq!(client.take_ids(), []);
    let woken = client.writer.times();
    host.journal.commit();
    assert_eq!(client.writer.times(), woken + 1, "the writer is woken");
    assert_eq!(client.take_ids(), [DECLARE_OK]);
    client.feed(&method(1, QueueDelete { queue: "kept", ..QueueDelete::default() }));
    assert_eq!(client.take_ids(), []);
    host.journal.commit();
    assert_eq!(client.take_ids(), [DELETE_OK]);
}

#[test]
fn a_purge_is_told_when_it_is_durable() {
    let host = host();
    let mut client = host.client(1);
    client.feed(&[declare("kept", true), publish(1, "kept", &persistent())].concat());
    host.journal.commit();
    assert_eq!(client.take_ids(), [DECLARE_OK]);
    client.feed(&method(1, QueuePurge { queue: "kept", nowait: false }));
    assert_eq!(client.take_ids(), []);
    host.journal.commit();
    assert_eq!(client.take_ids(), [PURGE_OK]);
}

#[test]
fn what_is_not_durable_does_not_wait() {
    let host = host();
    let mut client = host.client(1);
    client.feed(&[declare("passing", false), consume(1, "passing")].concat());
    assert_eq!(client.take_ids(), [DECLARE_OK, CONSUME_OK]);
    assert_eq!(host.journal.registrations(), 0);
}

#[test]
fn pipelined_declarations_share_a_commit() {
    let host = host();
    let mut client = host.client(1);
    let bind = QueueBind { queue: "b", exchange: "amq.direct", routing_key: "k", ..QueueBind::default() };
    let qos = BasicQos { prefetch_size: 0, prefetch_count: 1, global: false };
    let pipelined =
        [declare("a", true), declare("passing", false), declare("b", true), method(1, bind), method(2, qos)];
    client.feed(&pipelined.concat());
    assert!(client.machine.stall().is_none());
    assert_eq!(client.take_ids(), []);
    host.journal.commit();
    assert_eq!(client.take_ids(), [DECLARE_OK, DECLARE_OK, DECLARE_OK, BIND_OK, QOS_OK]);
    assert!(!client.machine.outbox().is_holding());
}

#[test]
fn replies_that_belong_with_deliveries_wait_for_those_that_are_held() {
    let host = host();
    let mut client = host.client(1);
    client.feed(&[declare("q", false), publish(1, "q", &Properties::default())].concat());
    client.take();
    client.feed(&[declare("kept", true), consume(2, "q"), declare("more", false)].concat());
    assert!(matches!(client.machine.stall(), Some(Stall::Durable(_))));
    assert_eq!(client.take_ids(), []);
    // Nothing overtakes the stall, whatever comes; nor is it over by itself.
    client.feed(&method(1, BasicQos { prefetch_size: 0, prefetch_count: 1, global: false }));
    assert_eq!(client.take_ids(), []);
    sit_out_stall(&host, &mut client);
    assert!(client.machine.stall().is_none());
    assert_eq!(client.take_ids(), [DECLARE_OK, CONSUME_OK, DELIVER, DECLARE_OK, QOS_OK]);
}

#[test]
fn a_stall_may_follow_a_stall() {
    let host = host();
    let mut client = host.client(1);
    let get = method(1, BasicGet { queue: "a", no_ack: true });
    client.feed(&[declare("a", true), get.clone(), declare("b", true), get].concat());
    sit_out_stall(&host, &mut client);
    assert_eq!(client.take_ids(), [DECLARE_OK, GET_EMPTY]);
    sit_out_stall(&host, &mut client);
    assert_eq!(client.take_ids(), [DECLARE_OK, GET_EMPTY]);
    assert!(client.machine.stall().is_none());
}

#[test]
fn deliveries_and_confirms_do_not_wait_behind_held_replies() {
    let host = host();
    let mut client = host.client(1);
    client.feed(&[declare("q", false), consume(1, "q"), method(2, ConfirmSelect { nowait: false })].concat());
    client.take();
    client.feed(&[declare("kept", true), publish(2, "q", &Properties::default())].concat());
    assert_eq!(client.take_ids(), [DELIVER, ACK]);
    host.journal.commit();
    assert_eq!(client.take_ids(), [DECLARE_OK]);
}

#[test]
fn confirms_start_behind_the_reply_to_confirm_select() {
    let host = host();
    let mut client = host.client(1);
    let select = method(1, ConfirmSelect { nowait: false });
    client.feed(&[declare("kept", true), select, publish(1, "nowhere", &Properties::default())].concat());
    assert_eq!(client.take_ids(), []);
    sit_out_stall(&host, &mut client);
    assert_eq!(client.take_ids(), [DECLARE_OK, SELECT_OK, ACK]);
}

#[test]
fn confirms_wait_in_the_order_of_their_channel() {
    let host = host();
    let mut client = host.client(1);
    client.feed(&[declare("kept", true), declare("passing", false)].concat());
    host.journal.commit();
    client.feed(&[method(1, ConfirmSelect { nowait: true }), method(2, ConfirmSelect { nowait: true })].concat());
    client.take();
    let registered = host.journal.registrations();
    client.feed(&publish(1, "kept", &persistent()));
    // The journal is in a hurry before any writer runs, and is not asked again.
    assert_eq!(host.journal.registrations(), registered + 1);
    assert_eq!(client.take_ids(), []);
    assert_eq!(host.journal.registrations(), registered + 1);
    client.feed(&publish(1, "passing", &Properties::default()));
    assert_eq!(client.take_ids(), [], "the second confirm stays behind the first");
    client.feed(&publish(2, "passing", &Properties::default()));
    assert_eq!(client.take_ids(), [ACK], "another channel does not wait");
    host.journal.commit();
    let heard = client.take();
    let acks: Vec<_> = heard.iter().map(|frame| (frame.channel, Method::decode(&frame.payload).unwrap())).collect();
    assert_eq!(acks, [(1, BasicAck { delivery_tag: 2, multiple: true }.into())]);
}

#[test]
fn a_commit_is_told_when_it_is_durable() {
    let host = host();
    let mut client = host.client(1);
    client.feed(&declare("kept", true));
    host.journal.commit();
    client.feed(&[method(1, TxSelect), publish(1, "kept", &persistent())].concat());
    client.take();
    client.feed(&method(1, TxCommit));
    assert_eq!(client.take_ids(), []);
    host.journal.commit();
    assert_eq!(client.take_ids(), [COMMIT_OK]);
}

#[test]
fn acknowledgements_in_a_transaction_are_durable_with_it() {
    let host = host();
    let mut client = host.client(1);
    client.feed(&[declare("kept", true), publish(1, "kept", &persistent())].concat());
    host.journal.commit();
    client.feed(&[method(1, TxSelect), method(1, BasicGet { queue: "kept", no_ack: false })].concat());
    client.take();
    // What the get itself wrote does not matter.
    host.journal.commit();
    client.feed(&[method(1, BasicAck { delivery_tag: 1, multiple: false }), method(1, TxCommit)].concat());
    assert_eq!(client.take_ids(), []);
    host.journal.commit();
    assert_eq!(client.take_ids(), [COMMIT_OK]);
}

#[test]
fn a_failure_is_told_behind_held_replies() {
    let host = host();
    let mut client = host.client(1);
    let passive = QueueDeclare { queue: "nowhere", passive: true, ..QueueDeclare::default() };
    client.feed(&[declare("kept", true), method(1, passive)].concat());
    assert_eq!(client.take_ids(), []);
    host.journal.commit();
    assert_eq!(client.take_ids(), [DECLARE_OK, CHANNEL_CLOSE]);
}

#[test]
fn the_socket_is_closed_behind_held_replies() {
    let host = host();
    let mut client = host.client(1);
    let close = ConnectionClose { reply_code: 200, reply_text: "bye", class_id: 0, method_id: 0 };
    client.feed(&[declare("kept", true), method(0, close)].concat());
    assert_eq!(client.poll(), Poll::Pending);
    assert!(client.machine.outbox().is_holding());
    host.journal.commit();
    let Poll::Ready((_, Next::Finish)) = client.poll() else { panic!("not finished") };
    assert!(!client.machine.outbox().is_holding());
    let mut other = host.client(2);
    other.feed(&[declare("other", true), method(1, ChannelClose::default()), method(0, close)].concat());
    host.journal.commit();
    assert_eq!(other.take_ids(), [DECLARE_OK, (20, 41), CLOSE_OK]);
}

#[test]
fn a_shutdown_ends_a_stall() {
    let host = host();
    let mut client = host.client(1);
    client.feed(&[declare("kept", true), consume(1, "kept")].concat());
    assert!(client.machine.stall().is_some());
    client.machine.force_close("shutdown");
    assert!(client.machine.stall().is_none());
    client.feed(&method(0, leveret_codec::method::ConnectionCloseOk));
    host.journal.commit();
    assert_eq!(client.take_ids(), [DECLARE_OK, (10, 50)]);
}
