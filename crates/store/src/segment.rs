//! Segment files: where messages go that outlive their journal file, each file with messages of one queue.
//!
//! ```text
//! file `segments/<id, 10 digits>.seg`:
//!   magic "LVRTSEG1" | id (u64) | messages, ascending by seq
//! message:
//!   crc32c of id and the next 16 bytes (u32) | payload's length (u32) | seq (u64) | payload's crc32c (u32) | payload
//! ```
//! Numbers are little endian; payload and checksum are those of the [journal](crate::record). There is no footer: the
//! checkpoint says how long a segment is and what in it is alive, and what lies beyond that length does not count.

mod read;
#[cfg(test)]
mod tests;
mod write;

use crate::checksum::crc32c;

pub(crate) use self::read::{Points, SegmentReader};
pub(crate) use self::write::SegmentWriter;

/// Where segments are.
pub(crate) const DIR: &str = "segments";

const MAGIC: [u8; 8] = *b"LVRTSEG1";

/// Magic and id.
const FILE_HEAD_BYTES: u64 = 16;

/// What stands before a payload.
const HEAD_BYTES: usize = 20;

/// The path of a segment's file.
pub(crate) fn path(id: u64) -> String {
    format!("{DIR}/{id:010}.seg")
}

/// The id in a file's name, if it is a segment's.
pub(crate) fn id_of(name: &str) -> Option<u64> {
    let id = name.strip_suffix(".seg")?.parse().ok()?;
    // Names that we would not have written are not ours.
    (path(id).strip_prefix(DIR)?.strip_prefix('/')? == name).then_some(id)
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    len: u32,
    seq: u64,
    crc: u32,
}

impl Head {
    fn encode(self, id: u64) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let (own_crc, rest) = bytes.split_at_mut(4);
        let (len, rest) = rest.split_at_mut(4);
        let (seq, crc) = rest.split_at_mut(8);
        len.copy_from_slice(&self.len.to_le_bytes());
        seq.copy_from_slice(&self.seq.to_le_bytes());
        crc.copy_from_slice(&self.crc.to_le_bytes());
        own_crc.copy_from_slice(&Self::checksum(id, self).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEAD_BYTES], id: u64) -> Option<Self> {
        let (own_crc, rest) = bytes.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let crc = rest.first_chunk()?;
        let (len, crc) = (u32::from_le_bytes(*len), u32::from_le_bytes(*crc));
        let head = Self { len, seq: u64::from_le_bytes(*seq), crc };
        (Self::checksum(id, head) == u32::from_le_bytes(*own_crc)).then_some(head)
    }

    /// The id is in it, so that what another segment left on the disk is not taken for a message of this one.
    fn checksum(id: u64, head: Self) -> u32 {
        let mut bytes = [0; 8 + HEAD_BYTES - 4];
        let (id_part, rest) = bytes.split_at_mut(8);
        let (len, rest) = rest.split_at_mut(4);
        let (seq, crc) = rest.split_at_mut(8);
        id_part.copy_from_slice(&id.to_le_bytes());
        len.copy_from_slice(&head.len.to_le_bytes());
        seq.copy_from_slice(&head.seq.to_le_bytes());
        crc.copy_from_slice(&head.crc.to_le_bytes());
        crc32c(&bytes)
    }
}
