use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Waker};

use leveret_engine::journal::MemoryJournal;
use leveret_engine::message::Message;
use leveret_engine::queue::Stored;
use proptest::prelude::*;

use super::*;
use crate::encode::{DeliveryHead, is_found_again};
use crate::outbox::{OutState, Outbox};
use crate::unacked::Unacked;

const FRAME_MAX: usize = 131_072;

fn parts(body: &[u8]) -> Parts<'_> {
    Parts { exchange: b"logs", routing_key: b"a.b", properties: &[0x10, 0, 2], body, ..Parts::EMPTY }
}

fn body(tag: u64, len: usize) -> Vec<u8> {
    tag.to_be_bytes().into_iter().cycle().take(len).collect()
}

/// An outbox, and the bodies that are unacknowledged by channel and tag.
struct Fixture {
    outbox: Arc<Outbox>,
    out: OutBuffer,
    expected: BTreeMap<(u16, u64), Vec<u8>>,
}

impl Fixture {
    fn new() -> Self {
        let outbox = Arc::new(Outbox::new(Arc::new(MemoryJournal::default()), FRAME_MAX));
        for channel in 1..=2 {
            outbox.lock().channels.insert(channel, OutChannel::default());
        }
        Self { outbox, out: OutBuffer::default(), expected: BTreeMap::new() }
    }

    /// As an outlet does it.
    fn deliver(&mut self, number: u16, len: usize, no_ack: bool) {
        let mut guard = self.outbox.lock();
        let OutState { channels, sent, buffer, .. } = &mut *guard;
        let channel = channels.get_mut(&number).unwrap();
        let tag = channel.next_tag();
        let body = body(tag, len);
        let parts = parts(&body);
        assert!(is_found_again(&parts, FRAME_MAX));
        let start = buffer.bytes().len();
        let head = DeliveryHead { channel: number, consumer_tag: b"consumer", delivery_tag: tag, redelivered: false };
        buffer.delivery(&head, &parts, FRAME_MAX);
        if no_ack {
            return;
        }
        let at = sent.note((number, tag), (start, buffer.bytes().len()), len).unwrap();
        let kept = Kept::Sent(at);
        let unacked = Unacked {
            queue: 0,
            consumer: None,
            seq: tag,
            deliveries: 0,
            stored: Stored::No,
            expires_ms: u64::MAX,
            kept,
        };
        channel.unacked.push(tag, unacked);
        self.expected.insert((number, tag), body);
    }

    fn write(&mut self) {
        let _ = self.outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut self.out);
    }

    fn ack(&mut self, number: u16, tag: u64) {
        let mut state = self.outbox.lock();
        let Some(unacked) = state.channels.get_mut(&number).unwrap().unacked.take(tag) else { return };
        let body = self.expected.remove(&(number, tag)).unwrap();
        assert_eq!(unacked.kept.body_len(), body.len() as u64);
        if let Kept::Sent(at) = unacked.kept {
            state.sent.let_go(at);
        }
        if state.sent.is_sparse() {
            state.compact();
        }
    }

    fn give_back(&mut self, number: u16, tag: u64) {
        let mut guard = self.outbox.lock();
        let OutState { channels, sent, buffer, .. } = &mut *guard;
        let Some(unacked) = channels.get_mut(&number).unwrap().unacked.take(tag) else { return };
        assert_eq!(unacked.kept.body_len(), self.expected[&(number, tag)].len() as u64);
        check(&sent.take_out(unacked.kept, buffer), &self.expected.remove(&(number, tag)).unwrap());
    }

    /// What is held is in proportion to what is needed, and nothing is counted twice or forgotten.
    fn check_held(&self) {
        let state = self.outbox.lock();
        let SentFrames { chunks, held_bytes, live_bytes, open, free } = &state.sent;
        let sealed = || chunks.iter().filter_map(|(_, chunk)| Some((chunk.frames.as_ref()?, chunk)));
        assert_eq!(*held_bytes, sealed().map(|(frames, _)| frames.capacity()).sum::<usize>());
        assert_eq!(*live_bytes, sealed().map(|(_, chunk)| chunk.live_bytes).sum::<usize>());
        assert!(sealed().all(|(_, chunk)| chunk.live > 0));
        assert_eq!(chunks.len(), sealed().count() + usize::from(open.is_some()));
        assert!(!state.sent.is_sparse(), "{held_bytes} held for {live_bytes}");
        assert!(free.len() <= SENT_BUFFERS_KEPT_MAX);
    }
}

fn check(message: &Message, body: &[u8]) {
    let (got, expected) = (message.parts(), parts(body));
    assert_eq!((got.exchange, got.routing_key), (expected.exchange, expected.routing_key));
    assert_eq!((got.properties, got.body), (expected.properties, expected.body));
}

proptest! {
    /// Whatever is delivered, written, acknowledged and given back in whatever order: each message is found as it was, and
    /// written frames are held in proportion to what is unacknowledged in them.
    #[test]
    fn messages_are_found_again(
        ops in prop::collection::vec((0u8..12, 1u16..3, 0usize..4000, 1u64..400), 0..150),
    ) {
        let mut fixture = Fixture::new();
        for (op, channel, len, tag) in ops {
            match op {
                0..5 => (0..6).for_each(|_| fixture.deliver(channel, len, false)),
                5 => fixture.deliver(channel, len, true),
                6..8 => fixture.write(),
                8..10 => fixture.ack(channel, tag),
                10 => fixture.give_back(channel, tag),
                _ => (tag..tag + 40).for_each(|tag| fixture.ack(channel, tag)),
            }
            fixture.check_held();
        }
        fixture.outbox.close();
        for (channel, tag) in fixture.expected.keys().copied().collect::<Vec<_>>() {
            fixture.give_back(channel, tag);
        }
        fixture.write();
        fixture.check_held();
        prop_assert_eq!(fixture.outbox.lock().sent.held_bytes, 0);
    }
}

#[test]
fn a_message_does_not_hold_a_buffer_that_is_mostly_done_with() {
    let mut fixture = Fixture::new();
    for _ in 0..20 {
        (0..200).for_each(|_| fixture.deliver(1, 1000, false));
        fixture.write();
    }
    let before = fixture.outbox.lock().sent.held_bytes;
    assert!(before > 20 * 200 * 1000);
    // One of each buffer stays.
    for tag in (1..=4000).filter(|tag| tag % 200 != 7) {
        fixture.ack(1, tag);
        fixture.check_held();
    }
    assert!(fixture.outbox.lock().sent.held_bytes <= SENT_SLACK_BYTES + 20 * 5000);
    fixture.outbox.shrink();
    assert_eq!(fixture.outbox.lock().sent.held_bytes, 0);
    for tag in (1..=4000).filter(|tag| tag % 200 == 7) {
        fixture.give_back(1, tag);
    }
    assert!(fixture.expected.is_empty());
}

#[test]
fn a_small_write_does_not_hold_a_large_buffer() {
    let mut fixture = Fixture::new();
    fixture.deliver(1, 10, false);
    (0..300).for_each(|_| fixture.deliver(1, 1000, true));
    fixture.write();
    fixture.ack(1, 1);
    // Two large buffers by now, none of them held.
    (0..300).for_each(|_| fixture.deliver(1, 1000, true));
    fixture.write();
    for tag in 602..700 {
        fixture.deliver(1, 10, false);
        fixture.write();
        assert!(fixture.outbox.lock().sent.held_bytes < (tag - 601) * 200);
    }
    fixture.check_held();
}

#[test]
fn room_is_used_again() {
    let mut fixture = Fixture::new();
    for round in 0..50 {
        (0..100).for_each(|_| fixture.deliver(1, 1000, false));
        fixture.write();
        // The writer is done with it when it comes for more.
        fixture.write();
        (0..100).for_each(|nth| fixture.ack(1, round * 100 + nth + 1));
        assert_eq!(fixture.outbox.lock().sent.free.len(), 1, "round {round}");
        assert!(round < 3 || fixture.outbox.lock().buffer.capacity() >= 100_000, "round {round}");
    }
}
