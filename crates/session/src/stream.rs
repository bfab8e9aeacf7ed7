//! What is special about streams: what their consumers must and may say, and how a message of theirs is delivered.

use std::sync::Arc;

use leveret_codec::properties::{PropertiesEdit, PropertiesRef};
use leveret_codec::table::{FieldTable, TableRef};
use leveret_engine::message::Parts;
use leveret_engine::outlet::DeliveryBatch;
use leveret_engine::queue::{Queue, Stored};
use leveret_engine::stream::{StreamRefused, StreamSpec};

use crate::channel::Channel;
use crate::encode::DeliveryHead;
use crate::outlet::ChannelOutlet;
use crate::sent::Kept;
use crate::unacked::Unacked;

/// An entry of a field table: the length of its key, the key, `l`, eight bytes.
const OFFSET_ENTRY_BYTES: usize = 1 + OFFSET_KEY.len() + 1 + 8;

const OFFSET_KEY: &[u8; 15] = b"x-stream-offset";

/// Bits of the first property flags.
const CONTENT_TYPE: u8 = 0x80;
const CONTENT_ENCODING: u8 = 0x40;
const HEADERS: u8 = 0x20;

/// What a consumer asks for, when the queue is a stream. Checks in RabbitMQ's order; the channel's prefetch will be its credit.
pub(crate) fn stream_spec(
    queue: &Queue,
    channel: &Channel,
    no_ack: bool,
    arguments: &FieldTable,
) -> Result<Option<StreamSpec>, StreamRefused> {
    if !queue.is_stream() {
        return Ok(None);
    }
    if channel.prefetch == 0 {
        return Err(StreamRefused::without_prefetch(queue));
    }
    if no_ack {
        return Err(StreamRefused::no_ack(queue));
    }
    if channel.limit().limit() > 0 {
        return Err(StreamRefused::global_qos(queue));
    }
    StreamSpec::parse(queue, arguments).map(Some)
}

impl ChannelOutlet {
    /// Delivers messages of a stream, each with its offset. They stay where they are, so that nothing of them is kept here.
    pub(crate) fn deliver_stream(&self, batch: DeliveryBatch<'_, '_>) -> bool {
        let frame_max = self.outbox.frame_max();
        let mut state = self.outbox.lock();
        let state = &mut *state;
        let Some(channel) = state.channels.get_mut(&self.channel) else { return false };
        let from = Arc::clone(batch.queue());
        let queue = channel.use_queue(&from, 0);
        let mut properties = Vec::new();
        let mut uses = 0;
        let traced = from.traced_in();
        batch.for_each(|delivery| {
            let parts = delivery.parts();
            if let (Some(vhost), Some(owner)) = (&traced, self.outbox.owner()) {
                owner.trace(vhost, self.channel, &parts, &from, false);
            }
            properties.clear();
            put_offset(parts.properties, delivery.stream_offset().unwrap_or_default(), &mut properties);
            let (consumer_tag, delivery_tag) = (delivery.to.tag.as_bytes(), channel.next_tag());
            let head = DeliveryHead { channel: self.channel, consumer_tag, delivery_tag, redelivered: false };
            state.buffer.delivery(&head, &Parts { properties: &properties, ..parts }, frame_max);
            let (consumer, seq) = (Some(delivery.to.key), delivery.seq);
            let (stored, kept) = (Stored::No, Kept::Nothing);
            channel.unacked.push(
                delivery_tag,
                Unacked { queue, consumer, seq, deliveries: 0, stored, expires_ms: u64::MAX, kept },
            );
            uses += 1;
        });
        channel.use_queue(&from, uses);
        self.tallies.delivered(uses, uses, 0);
        self.outbox.added(state)
    }
}

/// Appends `properties` with header `x-stream-offset`, in the place of any that is there.
fn put_offset(properties: &[u8], offset: u64, out: &mut Vec<u8>) {
    let mut entry = [0; OFFSET_ENTRY_BYTES];
    let (head, value) = entry.split_at_mut(OFFSET_ENTRY_BYTES - 8);
    head.copy_from_slice(b"\x0fx-stream-offsetl");
    value.copy_from_slice(&offset.to_be_bytes());
    if put_first_header(properties, &entry, out).is_none() {
        let edit = PropertiesEdit { set: TableRef::from_raw(&entry), ..PropertiesEdit::default() };
        PropertiesRef::from_checked(properties).write_edited(&edit, out);
    }
}

/// Appends properties without any headers with a table of one. None when there are headers, or more flags than usual.
fn put_first_header(properties: &[u8], entry: &[u8; OFFSET_ENTRY_BYTES], out: &mut Vec<u8>) -> Option<()> {
    let (&[high, low], fields) = properties.split_first_chunk()?;
    if high & HEADERS != 0 || low & 1 != 0 {
        return None;
    }
    let mut before = 0;
    for flag in [CONTENT_TYPE, CONTENT_ENCODING] {
        if high & flag != 0 {
            before += 1 + usize::from(*fields.get(before)?);
        }
    }
    let (before, after) = fields.split_at_checked(before)?;
    out.extend_from_slice(&[high | HEADERS, low]);
    out.extend_from_slice(before);
    out.extend_from_slice(&[0, 0, 0, OFFSET_ENTRY_BYTES.to_le_bytes()[0]]);
    out.extend_from_slice(entry);
    out.extend_from_slice(after);
    Some(())
}

#[cfg(test)]
mod tests {
    use leveret_codec::properties::Properties;
    use leveret_codec::table::FieldValue;

    use super::*;

    fn headers(entries: &[(&[u8], FieldValue)]) -> Option<FieldTable> {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.push(*key, value.clone());
        }
        Some(table)
    }

    #[test]
    fn the_offset_is_put_into_whatever_properties() {
        let offset = (&OFFSET_KEY[..], FieldValue::I64(0x0102_0304_0506));
        let (old, other) = ((&OFFSET_KEY[..], FieldValue::I32(7)), (&b"a"[..], FieldValue::Bool(true)));
        let only = headers(std::slice::from_ref(&offset));
        let text = |text: &str| Some(text.as_bytes().into());
        let plain = Properties {
            content_type: text("text/plain"),
            content_encoding: text("gzip"),
            delivery_mode: Some(1),
            message_id: text("m"),
            ..Properties::default()
        };
        for (before, after) in [
            (Properties::default(), only.clone()),
            (plain.clone(), only.clone()),
            (Properties { content_encoding: None, ..plain.clone() }, only.clone()),
            (Properties { headers: headers(&[]), ..plain.clone() }, only),
            (Properties { headers: headers(&[old, other.clone()]), ..plain }, headers(&[other, offset])),
        ] {
            let (mut raw, mut out) = (Vec::new(), Vec::new());
            before.encode(&mut raw);
            put_offset(&raw, 0x0102_0304_0506, &mut out);
            let got = PropertiesRef::parse(&out).unwrap().to_owned().unwrap();
            assert_eq!(got, Properties { headers: after, ..before });
        }
    }

    #[test]
    fn properties_that_end_early_are_left_to_others() {
        let entry = [0; OFFSET_ENTRY_BYTES];
        for raw in [&[][..], &[0x80], &[0x80, 0], &[0x80, 0, 5, b'x'], &[0xc0, 0, 0], &[0x20, 0], &[0, 1, 0, 0]] {
            let mut out = Vec::new();
            assert_eq!((put_first_header(raw, &entry, &mut out), &*out), (None, &[][..]), "{raw:?}");
        }
    }
}
