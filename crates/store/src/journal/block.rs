//! A block: what one commit, or a part of a large one, writes.
//!
//! ```text
//!  0  "LVRJ"                                                       36  crc32c of bytes 0..36 and the payload (u32)
//!  4  version of the format: 1 (u16)                               40  payload: whole records, one after another
//!  6  zero (u16)                                                       zeros up to a multiple of 512 bytes
//!  8  epoch: rises with each start of a broker (u32)
//! 12  length of the payload (u32)
//! 16  position: where in the journal the block begins (u64)
//! 24  durable: everything before this position was on the disk when the block was written (u64)
//! 32  checksum of the block before (u32)
//! ```
//! Numbers are little endian. Later versions keep these 40 bytes as they are, so that a broker knows a block that it cannot
//! read from one that is damaged.

use crate::checksum::{crc32c, crc32c_append};
use crate::limits::SECTOR_BYTES;
use crate::record::Reader;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 40;

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"LVRJ";
const CRC_AT: usize = 36;

/// What stands before a block's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub version: u16,
    pub epoch: u32,
    pub payload_bytes: u32,
    pub position: u64,
    pub durable: u64,
    /// Checksum of the block before.
    pub previous: u32,
    pub crc: u32,
}

impl Header {
    /// Reads the beginning of a block; `None` when it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes.strip_prefix(&MAGIC)?);
        let [v0, v1, _, _] = reader.array().ok()?;
        Some(Self {
            version: u16::from_le_bytes([v0, v1]),
            epoch: reader.u32().ok()?,
            payload_bytes: reader.u32().ok()?,
            position: reader.u64().ok()?,
            durable: reader.u64().ok()?,
            previous: reader.u32().ok()?,
            crc: reader.u32().ok()?,
        })
    }

    /// Bytes of header and payload.
    pub fn block_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.payload_bytes)
    }

    /// Whether `block`, header and payload, is what was written.
    pub fn is_whole(&self, block: &[u8]) -> bool {
        checksum(block) == Some(self.crc) && self.durable <= self.position
    }
}

/// Writes the header of `block`, which is header and payload, and gives its checksum.
pub fn seal(block: &mut [u8], epoch: u32, position: u64, durable: u64, previous: u32) -> u32 {
    let [l0, l1, l2, l3, ..] = (block.len().saturating_sub(HEADER_BYTES) as u64).to_le_bytes();
    let mut header = [0; HEADER_BYTES];
    let fields: [&[u8]; 7] = [
        &MAGIC,
        &u32::from(VERSION).to_le_bytes(),
        &epoch.to_le_bytes(),
        &[l0, l1, l2, l3],
        &position.to_le_bytes(),
        &durable.to_le_bytes(),
        &previous.to_le_bytes(),
    ];
    for (place, octet) in header.iter_mut().zip(fields.into_iter().flatten()) {
        *place = *octet;
    }
    if let Some(place) = block.first_chunk_mut() {
        *place = header;
    }
    let crc = checksum(block).unwrap_or_default();
    if let Some(place) = block.get_mut(CRC_AT..HEADER_BYTES) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
    crc
}

fn checksum(block: &[u8]) -> Option<u32> {
    Some(crc32c_append(crc32c(block.get(..CRC_AT)?), block.get(HEADER_BYTES..)?))
}

/// The length rounded up to whole sectors.
pub const fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(SECTOR_BYTES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(payload: &[u8]) -> Vec<u8> {
        let mut block = vec![0; HEADER_BYTES];
        block.extend_from_slice(payload);
        block
    }

    #[test]
    fn header_round_trips() {
        let mut block = block(b"records");
        let crc = seal(&mut block, 3, 4096, 512, 77);
        let header = Header::parse(&block).unwrap();
        let wanted = Header { version: 1, epoch: 3, payload_bytes: 7, position: 4096, durable: 512, previous: 77, crc };
        assert_eq!(header, wanted);
        assert!(header.is_whole(&block));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let mut block = block(b"records");
        seal(&mut block, 3, 4096, 512, 77);
        for bit in 0..block.len() * 8 {
            let mut flipped = block.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&flipped).is_none_or(|header| !header.is_whole(&flipped)), "bit {bit}");
        }
    }
}
