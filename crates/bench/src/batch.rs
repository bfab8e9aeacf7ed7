//! Publishes that are encoded once and written again and again.

use std::ops::Range;

use anyhow::Result;
use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{FrameKind, begin_frame, end_frame};
use leveret_codec::limits::{FRAME_HEADER_SIZE, FRAME_OVERHEAD};
use leveret_codec::method::{BasicPublish, Method};
use leveret_codec::properties::{Properties, PropertiesRef};

use crate::client::CHANNEL;
use crate::plan::Route;

/// Class of `basic`, which content headers repeat.
const BASIC: u16 = 60;
/// Delivery mode of a message that outlives a restart.
const PERSISTENT: u8 = 2;

/// Bytes that a time takes at the beginning of a body.
pub const STAMP_BYTES: usize = 8;

/// A ring of encoded messages, given out in pieces that end where a message ends.
pub struct Batch {
    bytes: Vec<u8>,
    /// Where the body of each message begins, behind the envelope of its first frame.
    bodies: Vec<usize>,
    /// Where each message ends.
    ends: Vec<usize>,
    /// Index of the message that goes out next.
    next: usize,
}

/// What the messages of a batch look like.
pub struct MessageShape {
    /// Bytes of body.
    pub size: usize,
    /// Delivery mode 2 or none.
    pub persistent: bool,
    /// The largest frame that the broker takes.
    pub frame_max: usize,
}

impl Batch {
    /// Encodes messages to each of `routes` in turn until they come near `bytes_max`, but one for each at least.
    ///
    /// # Errors
    /// When a message cannot be encoded, which is a bug.
    pub fn encode(routes: &[Route], shape: &MessageShape, bytes_max: usize) -> Result<Self> {
        let body: Vec<u8> = (0..shape.size).map(|index| b'a' + (index % 26) as u8).collect();
        let mut batch = Self { bytes: Vec::new(), bodies: Vec::new(), ends: Vec::new(), next: 0 };
        let mut round_len = 0;
        while !routes.is_empty() && (round_len == 0 || batch.bytes.len() + round_len <= bytes_max) {
            for route in routes {
                let body_start = encode_message(route, shape, &body, &mut batch.bytes)?;
                batch.bodies.push(body_start);
                batch.ends.push(batch.bytes.len());
            }
            if round_len == 0 {
                round_len = batch.bytes.len();
            }
        }
        Ok(batch)
    }

    /// How many messages the ring has.
    pub fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Writes a time into the body of each of the next `count` messages, no further than the ring's end: that of message
    /// number 0 and on, as `stamp` tells them.
    pub fn stamp(&mut self, count: u64, stamp: impl Fn(u64) -> u64) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        for (index, body) in self.bodies.iter().skip(self.next).take(count).enumerate() {
            if let Some(place) = self.bytes.get_mut(*body..).and_then(|bytes| bytes.first_chunk_mut::<STAMP_BYTES>()) {
                *place = stamp(index as u64).to_be_bytes();
            }
        }
    }

    /// The bytes of the next messages, at most `count_max` of them and no further than the ring's end, and how many
    /// they are.
    pub fn take(&mut self, count_max: u64) -> (&[u8], u64) {
        let first = self.next;
        let wanted = usize::try_from(count_max).unwrap_or(usize::MAX);
        let last = first.saturating_add(wanted).min(self.ends.len());
        self.next = if last == self.ends.len() { 0 } else { last };
        let span = Range { start: self.end_of(first), end: self.end_of(last) };
        (self.bytes.get(span).unwrap_or_default(), (last - first) as u64)
    }

    /// Where the first `count` messages end.
    fn end_of(&self, count: usize) -> usize {
        count.checked_sub(1).and_then(|index| self.ends.get(index)).copied().unwrap_or(0)
    }
}

/// Appends a message and tells where its body begins.
fn encode_message(route: &Route, shape: &MessageShape, body: &[u8], out: &mut Vec<u8>) -> Result<usize> {
    let publish = BasicPublish {
        exchange: route.exchange.as_bytes(),
        routing_key: route.routing_key.as_bytes(),
        mandatory: false,
        immediate: false,
    };
    Method::from(publish).write_frame(CHANNEL, out);
    let properties = Properties {
        delivery_mode: shape.persistent.then_some(PERSISTENT),
        headers: route.headers.clone(),
        ..Properties::default()
    };
    let mut encoded = Vec::new();
    properties.encode(&mut encoded);
    let header = ContentHeader {
        class_id: BASIC,
        weight: 0,
        body_size: body.len() as u64,
        properties: PropertiesRef::parse(&encoded)?,
    };
    header.write_frame(CHANNEL, out);
    let body_start = out.len() + FRAME_HEADER_SIZE;
    for part in body.chunks(shape.frame_max - FRAME_OVERHEAD) {
        let start = begin_frame(out, FrameKind::Body, CHANNEL);
        out.extend_from_slice(part);
        end_frame(out, start);
    }
    Ok(body_start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_codec::frame::{Frame, split_frame};
    use leveret_codec::table::{FieldTable, FieldValue};

    const SHAPE: MessageShape = MessageShape { size: 16, persistent: false, frame_max: 131_072 };

    fn route(routing_key: &str) -> Route {
        Route { exchange: "x".into(), routing_key: routing_key.into(), headers: None }
    }

    fn frames(mut bytes: &[u8]) -> Vec<Frame<'_>> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let frame = split_frame(bytes, 1 << 20).unwrap().unwrap();
            bytes = &bytes[frame.payload.len() + FRAME_OVERHEAD..];
            frames.push(frame);
        }
        frames
    }

    #[test]
    fn a_message_is_a_publish_a_header_and_its_body() {
        let mut headers = FieldTable::default();
        headers.push(*b"queue", FieldValue::Bool(true));
        let route = Route { headers: Some(headers.clone()), ..route("key") };
        let shape = MessageShape { persistent: true, ..SHAPE };
        let mut batch = Batch::encode(&[route], &shape, 0).unwrap();
        let (bytes, count) = batch.take(10);
        let frames = frames(bytes);
        assert_eq!((count, frames.len()), (1, 3));
        assert!(frames.iter().all(|frame| frame.channel == CHANNEL));
        let Ok(Method::BasicPublish(publish)) = Method::decode(frames[0].payload) else {
            panic!("not a publish");
        };
        assert_eq!((publish.exchange, publish.routing_key), (&b"x"[..], &b"key"[..]));
        let header = ContentHeader::parse(frames[1].payload).unwrap();
        assert_eq!((header.class_id, header.body_size), (BASIC, 16));
        assert_eq!(header.properties.delivery_mode(), Some(PERSISTENT));
        assert_eq!(header.properties.headers().unwrap().decode().unwrap(), headers);
        assert_eq!(frames[2].payload, b"abcdefghijklmnop");
    }

    #[test]
    fn a_large_body_is_cut_to_the_frame_size_and_an_empty_one_has_no_frame() {
        let shape = MessageShape { size: 10_000, frame_max: 4096, ..SHAPE };
        let mut batch = Batch::encode(&[route("k")], &shape, 0).unwrap();
        let sizes: Vec<usize> = frames(batch.take(1).0).iter().skip(2).map(|frame| frame.payload.len()).collect();
        assert_eq!(sizes, [4088, 4088, 1824]);
        let mut batch = Batch::encode(&[route("k")], &MessageShape { size: 0, ..SHAPE }, 0).unwrap();
        assert_eq!(frames(batch.take(1).0).len(), 2);
    }

    #[test]
    fn a_batch_fills_its_bytes_with_equal_turns() {
        let routes = [route("a"), route("b"), route("long-name")];
        let mut batch = Batch::encode(&routes, &SHAPE, 65_536).unwrap();
        assert_eq!(batch.len() % 3, 0);
        let len = batch.take(u64::MAX).0.len();
        assert!((65_000..=65_536).contains(&len), "{len}");
    }

    #[test]
    fn pieces_end_between_messages_and_come_round() {
        let routes = [route("a"), route("bb"), route("ccc")];
        let mut batch = Batch::encode(&routes, &SHAPE, 0).unwrap();
        assert_eq!(batch.len(), 3);
        let whole = batch.take(3).0.to_vec();
        let mut pieces = Vec::new();
        let counts = [2, 9, 1, 1, 1].map(|count_max| {
            let (bytes, count) = batch.take(count_max);
            pieces.extend_from_slice(bytes);
            count
        });
        assert_eq!(counts, [2, 1, 1, 1, 1]);
        assert_eq!(pieces, [whole.clone(), whole].concat());
        assert_eq!(batch.take(0), (&[][..], 0));
    }

    #[test]
    fn times_are_written_into_the_bodies_that_go_out_next() {
        let mut batch = Batch::encode(&[route("a"), route("bb"), route("ccc")], &SHAPE, 0).unwrap();
        batch.take(1);
        batch.stamp(9, |index| 1_000 + index);
        let bodies: Vec<u64> = frames(batch.take(9).0)
            .iter()
            .filter(|frame| frame.kind == FrameKind::Body)
            .map(|frame| u64::from_be_bytes(*frame.payload.first_chunk().unwrap()))
            .collect();
        assert_eq!(bodies, [1_000, 1_001]);
        let first = frames(batch.take(1).0)[2].payload.to_vec();
        assert_eq!(first, b"abcdefghijklmnop");
    }
}
