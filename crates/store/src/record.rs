//! What the journal's blocks hold: records, one after another.
//!
//! ```text
//! record:   length of what follows (varint) | kind (u8) | fields of that kind
//! varint:   7 bits a byte, the lowest first; the highest bit says that more follow; at most 10 bytes
//! zigzag:   a signed number as a varint: 0, -1, 1, -2 ... as 0, 1, 2, 3 ...
//! text:     length (varint) | bytes
//! flags:    u8
//!
//!  1 Started          epoch
//!  2 Body             crc32c of the payload (u32) | number of the journal file (u32) | payload
//!  3 Enqueue          queue | first seq | bytes | flags: 1 transient | count | zigzag to each body's position from the one before
//!  4 Settle           queue | bytes | flags: 1 transient | count | of each range: zigzag to its first seq from the last of the
//!                     range before | last - first
//!  5 Delivered        queue | last seq
//!  6 Returned         queue | count | of each: zigzag to its seq from the one before | deliveries
//!  7 QueueDeclared    id | vhost (text) | name (text) | flags: 1 auto-delete | arguments (text: a field table's contents)
//!  8 QueueDeleted     id
//!  9 ExchangeDeclared vhost (text) | name (text) | kind (text) | flags: 1 auto-delete, 2 internal | arguments (text)
//! 10 ExchangeDeleted  vhost (text) | name (text)
//! 11 Bound            vhost (text) | source (text) | destination (text) | flags: 1 to a queue | key (text) | arguments (text)
//! 12 Unbound          as Bound
//! 13 Moved            queue | seq | position of the body
//! 14 StreamSegment    queue | first seq | last seq - first seq | bytes of bodies | bytes in all | when its last message came: ms
//!                     since 1970
//! 15 Setting          kind (u8) | scope (text) | name (text) | value (text)
//! 16 SettingCleared   kind (u8) | scope (text) | name (text)
//! ```
//! Fields not marked otherwise are varints; fixed numbers are little endian. A kind's fields never change: others get another
//! kind. A body carries its file's number, so that a position kept too long never finds another body in a file used again.

mod decode;
mod encode;
mod payload;
#[cfg(test)]
mod tests;
pub(crate) mod varint;

use leveret_codec::table::TableRef;
use leveret_engine::journal::{BodyAt, StreamSegment};
use leveret_engine::names::QueueId;
use thiserror::Error;

pub use self::decode::{Positions, Ranges, Returns, decode, decode_stream};
pub(crate) use self::decode::{StoredFrame, stream_segment};
pub(crate) use self::encode::{BodyHead, stamp_file};
pub use self::encode::{encode, encode_body, encode_forwarded, encode_moved, encode_started};
pub use self::payload::{Payload, PayloadBody, encode_payload, payload_crc, payload_message};
pub(crate) use self::varint::{Reader, VARINT_BYTES_MAX};

/// What a record is.
mod kind {
    pub const STARTED: u8 = 1;
    pub const BODY: u8 = 2;
    pub const ENQUEUE: u8 = 3;
    pub const SETTLE: u8 = 4;
    pub const DELIVERED: u8 = 5;
    pub const RETURNED: u8 = 6;
    pub const QUEUE_DECLARED: u8 = 7;
    pub const QUEUE_DELETED: u8 = 8;
    pub const EXCHANGE_DECLARED: u8 = 9;
    pub const EXCHANGE_DELETED: u8 = 10;
    pub const BOUND: u8 = 11;
    pub const UNBOUND: u8 = 12;
    pub const MOVED: u8 = 13;
    pub const STREAM_SEGMENT: u8 = 14;
    pub const SETTING: u8 = 15;
    pub const SETTING_CLEARED: u8 = 16;
}

/// A record as it lies in the journal. Everything borrows, and everything has been checked: its iterators do not end early.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are named as those of the engine's Record")]
pub enum Logged<'a> {
    /// A broker started: what is not durable beyond it is gone.
    Started {
        epoch: u32,
    },
    /// A message's body. `crc` is that of `payload.bytes`.
    Body {
        payload: Payload<'a>,
        crc: u32,
    },
    Enqueue {
        queue: QueueId,
        first_seq: u64,
        bodies: Positions<'a>,
        bytes: u64,
        transient: bool,
    },
    Settle {
        queue: QueueId,
        ranges: Ranges<'a>,
        bytes: u64,
        transient: bool,
    },
    Delivered {
        queue: QueueId,
        last: u64,
    },
    Returned {
        queue: QueueId,
        counts: Returns<'a>,
    },
    QueueDeclared {
        vhost: &'a str,
        name: &'a str,
        id: QueueId,
        auto_delete: bool,
        arguments: TableRef<'a>,
    },
    QueueDeleted {
        id: QueueId,
    },
    ExchangeDeclared {
        vhost: &'a str,
        name: &'a str,
        kind: &'a str,
        auto_delete: bool,
        internal: bool,
        arguments: TableRef<'a>,
    },
    ExchangeDeleted {
        vhost: &'a str,
        name: &'a str,
    },
    Bound {
        vhost: &'a str,
        binding: LoggedBinding<'a>,
    },
    Unbound {
        vhost: &'a str,
        binding: LoggedBinding<'a>,
    },
    /// A body was copied forward: the message is there now, if it is still there at all.
    Moved {
        queue: QueueId,
        seq: u64,
        at: BodyAt,
    },
    StreamSegment {
        queue: QueueId,
        segment: StreamSegment,
    },
    Setting {
        key: LoggedKey<'a>,
        value: &'a [u8],
    },
    SettingCleared {
        key: LoggedKey<'a>,
    },
}

/// What a setting is filed under. Its kind may be one that only a later version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named as those of the engine's SettingKey")]
pub struct LoggedKey<'a> {
    pub kind: u8,
    pub scope: &'a str,
    pub name: &'a str,
}

/// A binding in a record.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "AMQP's own names")]
pub struct LoggedBinding<'a> {
    pub source: &'a str,
    pub destination: &'a str,
    pub destination_is_queue: bool,
    pub routing_key: &'a [u8],
    pub arguments: TableRef<'a>,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It reaches beyond what is there.
    #[error("it ends early")]
    Truncated,
    /// A number does not fit its type, or a list goes where no list can.
    #[error("a number is out of range")]
    Range,
    /// A kind that this version does not know.
    #[error("its kind {0} is unknown: it was written by a later version, or it is damaged")]
    Kind(u8),
    /// Something follows the last field.
    #[error("something follows its last field")]
    Trailing,
    /// A name is not UTF-8.
    #[error("a name is not UTF-8")]
    Text,
    /// Arguments are not a field table.
    #[error("its arguments are not a field table")]
    Table,
    /// The body does not have its checksum.
    #[error("the body does not have its checksum")]
    Checksum,
    /// The body's blob is not there.
    #[error("blobs/{0:016x}.blob is not there, or does not have its length")]
    Blob(u64),
}
