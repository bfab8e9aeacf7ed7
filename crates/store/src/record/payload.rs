//! A message as it is kept: in the journal's body records and in segments, the same bytes with the same checksum.
//!
//! ```text
//! kind: 0 body follows, 1 body is a blob (u8)
//! when it came to the broker: milliseconds since 1970 (u64)
//! length of the exchange's name (u8) | of the routing key (u8) | of the properties (u32; its two highest bits: marks)
//! exchange | routing key | properties
//! kind 0: the body | kind 1: the blob's id (u64), its length (u64)
//! ```
//! Numbers are little endian.

use bytes::Bytes;
use leveret_engine::journal::Blob;
use leveret_engine::limits::SHARED_BODY_BYTES_MIN;
use leveret_engine::message::{Marks, Message, Parts};

use super::DecodeError;
use super::varint::Reader;
use crate::checksum::crc32c;

const INLINE: u8 = 0;
const BLOB: u8 = 1;

/// Bytes before what a message is in memory too: from the lengths on.
const MESSAGE_AT: usize = 9;

/// A message as it is kept, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// When it came to the broker: milliseconds since 1970.
    pub arrived_ms: u64,
    /// Name of the exchange it was published to.
    pub exchange: &'a [u8],
    /// The publisher's routing key.
    pub routing_key: &'a [u8],
    /// Property flags and fields, as on the wire.
    pub properties: &'a [u8],
    /// The body.
    pub body: PayloadBody<'a>,
    /// What the broker knows of its headers.
    pub marks: Marks,
}

/// Where the body of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they say it")]
pub enum PayloadBody<'a> {
    Inline(&'a [u8]),
    Blob { id: u64, len: u64 },
}

impl<'a> Payload<'a> {
    /// Takes a payload apart.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        let kind = reader.octet()?;
        let arrived_ms = reader.u64()?;
        let exchange_len = usize::from(reader.octet()?);
        let routing_key_len = usize::from(reader.octet()?);
        let (properties_len, marks) = Marks::split(reader.u32()?);
        let exchange = reader.bytes(exchange_len)?;
        let routing_key = reader.bytes(routing_key_len)?;
        let properties = reader.bytes(properties_len as usize)?;
        let body = match kind {
            INLINE => PayloadBody::Inline(reader.0),
            BLOB => {
                let body = PayloadBody::Blob { id: reader.u64()?, len: reader.u64()? };
                reader.finish()?;
                body
            }
            _ => return Err(DecodeError::Range),
        };
        Ok(Self { bytes, arrived_ms, exchange, routing_key, properties, body, marks })
    }

    /// Bytes of the body, wherever it is.
    #[must_use]
    pub const fn body_len(&self) -> u64 {
        match self.body {
            PayloadBody::Inline(body) => body.len() as u64,
            PayloadBody::Blob { len, .. } => len,
        }
    }

    /// The blob that is the body, if one is.
    #[must_use]
    pub const fn blob(&self) -> Option<u64> {
        match self.body {
            PayloadBody::Inline(_) => None,
            PayloadBody::Blob { id, .. } => Some(id),
        }
    }

    /// The message, as a part of `within`, which the payload must be a part of. `blobs` gives the blob of an id and length.
    ///
    /// # Errors
    /// When the blob is not there.
    pub fn message(&self, within: &Bytes, blobs: &dyn Fn(u64, u64) -> Option<Blob>) -> Result<Message, DecodeError> {
        let (shared, blob);
        let (body, shared_body, blob) = match self.body {
            PayloadBody::Inline(body) if body.len() < SHARED_BODY_BYTES_MIN => {
                let whole = self.bytes.get(MESSAGE_AT..).unwrap_or_default();
                return Message::part_of(within.slice_ref(whole)).ok_or(DecodeError::Truncated);
            }
            PayloadBody::Inline(body) => {
                shared = within.slice_ref(body);
                (body, Some(&shared), None)
            }
            PayloadBody::Blob { id, len } => {
                blob = blobs(id, len).ok_or(DecodeError::Blob(id))?;
                (&[][..], None, Some(&blob))
            }
        };
        let (exchange, routing_key, properties) = (self.exchange, self.routing_key, self.properties);
        let marks = self.marks;
        Ok(Message::copy_of(&Parts { exchange, routing_key, properties, body, shared_body, blob, marks }))
    }
}

/// The message in a payload, and when it came to the broker.
///
/// # Errors
/// When the bytes are no payload, or the blob is not there.
pub fn payload_message(bytes: &[u8], blobs: &dyn Fn(u64, u64) -> Option<Blob>) -> Result<(u64, Message), DecodeError> {
    let bytes = Bytes::copy_from_slice(bytes);
    let payload = Payload::decode(&bytes)?;
    Ok((payload.arrived_ms, payload.message(&bytes, blobs)?))
}

/// Appends the payload of a message.
pub fn encode_payload(parts: &Parts<'_>, arrived_ms: u64, out: &mut Vec<u8>) {
    encode_head(parts, arrived_ms, out);
    if parts.blob.is_none() {
        out.extend_from_slice(parts.body);
    }
}

/// The checksum of a payload.
#[must_use]
pub fn payload_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes)
}

/// Appends the payload without a body that lies in memory.
pub(super) fn encode_head(parts: &Parts<'_>, arrived_ms: u64, out: &mut Vec<u8>) {
    // Names come out of short strings: nothing is cut here, but a length must never say what is not true.
    let exchange = cut(parts.exchange, usize::from(u8::MAX));
    let routing_key = cut(parts.routing_key, usize::from(u8::MAX));
    let properties = cut(parts.properties, Marks::split(u32::MAX).0 as usize);
    out.push(if parts.blob.is_some() { BLOB } else { INLINE });
    out.extend_from_slice(&arrived_ms.to_le_bytes());
    out.push(exchange.len().to_le_bytes()[0]);
    out.push(routing_key.len().to_le_bytes()[0]);
    out.extend_from_slice(&parts.marks.join(properties.len()).to_le_bytes());
    for piece in [exchange, routing_key, properties] {
        out.extend_from_slice(piece);
    }
    if let Some(blob) = parts.blob {
        out.extend_from_slice(&blob.id().to_le_bytes());
        out.extend_from_slice(&blob.len().to_le_bytes());
    }
}

fn cut(bytes: &[u8], len_max: usize) -> &[u8] {
    bytes.get(..len_max).unwrap_or(bytes)
}
