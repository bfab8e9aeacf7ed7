//! The appending side: blocks in memory that are filled and wait for a commit.

use std::collections::VecDeque;

use super::block::{HEADER_BYTES, padded};
use crate::limits::BUFFERS_KEPT_MAX;

/// A block in memory: room for the header, records, and zeros up to whole sectors.
#[derive(Debug)]
pub struct Block {
    /// Its position.
    pub start: u64,
    /// All of it.
    pub bytes: Vec<u8>,
    /// Bytes of header and records.
    pub used: usize,
    /// Blobs that its records name.
    pub blobs: Vec<u64>,
}

impl Block {
    /// Bytes of records.
    pub const fn record_bytes(&self) -> u64 {
        (self.used - HEADER_BYTES) as u64
    }

    /// The position after it.
    pub const fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// The block that is being filled, and those that are full.
#[derive(Debug)]
pub struct Front {
    file_bytes: u64,
    block_bytes_max: usize,
    /// Where the active block begins.
    start: u64,
    /// Empty, or a header and records.
    active: Vec<u8>,
    active_blobs: Vec<u64>,
    sealed: VecDeque<Block>,
    /// Bytes of records in all of them.
    record_bytes: u64,
    buffers: Vec<Vec<u8>>,
}

impl Front {
    pub const fn new(start: u64, file_bytes: u64, block_bytes_max: usize) -> Self {
        Self {
            file_bytes,
            block_bytes_max,
            start,
            active: Vec::new(),
            active_blobs: Vec::new(),
            sealed: VecDeque::new(),
            record_bytes: 0,
            buffers: Vec::new(),
        }
    }

    /// Bytes of records that wait for a commit.
    pub const fn record_bytes(&self) -> u64 {
        self.record_bytes
    }

    /// Makes room for a record, in the next block or file if need be. Its position; `None` when no file could hold it.
    pub fn place(&mut self, record_bytes: usize) -> Option<u64> {
        if HEADER_BYTES as u64 + record_bytes as u64 > self.file_bytes {
            return None;
        }
        let end = self.active.len() + record_bytes;
        if !self.active.is_empty() && (end > self.block_bytes_max || !self.fits(end)) {
            self.seal();
        }
        if self.active.is_empty() {
            if !self.fits(HEADER_BYTES + record_bytes) {
                self.start = (self.start / self.file_bytes + 1) * self.file_bytes;
            }
            self.active = self.buffers.pop().unwrap_or_default();
            self.active.resize(HEADER_BYTES, 0);
        }
        self.record_bytes += record_bytes as u64;
        Some(self.start + self.active.len() as u64)
    }

    /// Appends what room was made for.
    pub fn put(&mut self, bytes: &[u8]) {
        self.active.extend_from_slice(bytes);
    }

    /// What was put from a position of the active block on.
    pub fn since(&mut self, position: u64) -> &mut [u8] {
        let at = usize::try_from(position - self.start).unwrap_or(usize::MAX);
        self.active.get_mut(at..).unwrap_or_default()
    }

    /// The active block names a blob.
    pub fn name_blob(&mut self, id: u64) {
        self.active_blobs.push(id);
    }

    /// Moves everything to `pending`.
    pub fn take(&mut self, pending: &mut VecDeque<Block>) {
        if !self.active.is_empty() {
            self.seal();
        }
        pending.append(&mut self.sealed);
        self.record_bytes = 0;
    }

    /// Takes a buffer back.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.buffers.len() < BUFFERS_KEPT_MAX && buffer.capacity() <= 2 * self.block_bytes_max {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    /// Whether a block of this length fits what is left of the file.
    const fn fits(&self, block_bytes: usize) -> bool {
        self.start % self.file_bytes + padded(block_bytes as u64) <= self.file_bytes
    }

    fn seal(&mut self) {
        let mut bytes = std::mem::take(&mut self.active);
        let used = bytes.len();
        bytes.resize(usize::try_from(padded(used as u64)).unwrap_or(used), 0);
        let block = Block { start: self.start, bytes, used, blobs: std::mem::take(&mut self.active_blobs) };
        self.start = block.end();
        self.sealed.push_back(block);
    }
}
