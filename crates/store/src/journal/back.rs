//! The committing side: blocks on their way to the disk.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::block::{self, HEADER_BYTES};
use super::files::{self, Files};
use super::front::Block;
use super::{BlobSync, Tail};
use crate::disk::File;
use crate::durability::Durability;
use crate::error::Error;
use crate::limits::ZERO_FILL_BYTES;
use crate::record::{DecodeError, Logged, decode};

/// What a commit works on.
#[derive(Debug)]
pub struct Back {
    /// Blocks that are not durable. They stay until they are, so that a commit without room can be done again.
    pub pending: VecDeque<Block>,
    /// The file that was written last.
    current: Option<Current>,
    /// The current file holds what no sync has covered.
    pub unsynced: bool,
    /// Where the log goes on after what was committed.
    tail: Tail,
    /// Everything before this is on the disk, whatever was promised.
    synced: u64,
    blobs: Arc<dyn BlobSync>,
}

#[derive(Debug)]
struct Current {
    number: u64,
    file: Arc<dyn File>,
    /// Up to here every byte of the file was written at some time. Beyond, a sync has to write the file's metadata too, to say
    /// that there is data at all.
    filled_until: u64,
}

/// Why a commit did not come about.
#[derive(Debug)]
pub enum Failure {
    /// It may be tried again.
    NoRoom,
    /// It may not: what is on the disk is unknown.
    Fatal(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if error.is_no_room() { Self::NoRoom } else { Self::Fatal(error) }
    }
}

impl Back {
    pub fn new(tail: Tail, blobs: Arc<dyn BlobSync>) -> Self {
        Self { pending: VecDeque::new(), current: None, unsynced: false, tail, synced: tail.position, blobs }
    }

    /// Writes the pending blocks, as many as there is room for, and makes them as durable as is promised.
    pub fn commit(
        &mut self,
        files: &Files,
        file_bytes: u64,
        durability: Durability,
    ) -> Result<Option<Committed>, Failure> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let mut pending = std::mem::take(&mut self.pending);
        let written = self.write(&mut pending, files, file_bytes, durability);
        let written = match written {
            Ok(written) => written,
            Err(failure) => {
                self.pending = pending;
                return Err(failure);
            }
        };
        self.pending = pending.split_off(written.blocks);
        self.tail = written.tail;
        if durability == Durability::Fsync {
            self.synced = written.tail.position;
        }
        Ok(Some(Committed { blocks: pending, tail: written.tail }))
    }

    fn write(
        &mut self,
        pending: &mut VecDeque<Block>,
        files: &Files,
        file_bytes: u64,
        durability: Durability,
    ) -> Result<Written, Failure> {
        let mut written = Written { blocks: 0, tail: self.tail };
        for block in pending {
            if self.current.as_ref().is_some_and(|current| current.number != block.start / file_bytes) {
                self.sync_for(durability)?;
                // A commit that syncs at its end may be written again, and its blocks must not claim what they say themselves.
                if durability != Durability::Fsync {
                    self.synced = written.tail.position;
                }
            }
            match self.write_block(block, files, file_bytes, written.tail) {
                Ok(tail) => written = Written { blocks: written.blocks + 1, tail },
                // What fitted is good.
                Err(Failure::NoRoom) if written.blocks > 0 => break,
                Err(failure) => return Err(failure),
            }
        }
        if durability == Durability::Fsync {
            self.sync_for(durability)?;
        }
        Ok(written)
    }

    fn write_block(&mut self, block: &mut Block, files: &Files, file_bytes: u64, after: Tail) -> Result<Tail, Failure> {
        if !block.blobs.is_empty() {
            self.blobs.sync(&block.blobs).map_err(Error::io("sync", "blobs"))?;
        }
        let number = block.start / file_bytes;
        let current = match self.current.take() {
            Some(current) if current.number == number => current,
            _ => {
                let (file, filled) = files.writable(number)?;
                Current { number, file, filled_until: if filled { file_bytes } else { 0 } }
            }
        };
        let current = self.current.insert(current);
        let filled = block.bytes.get_mut(..block.used).unwrap_or_default();
        let chain = block::seal(filled, after.epoch, block.start, self.synced, after.chain);
        self.unsynced = true;
        current
            .write(block.start % file_bytes, &block.bytes, file_bytes)
            .map_err(|error| Error::io("write", files::path(number))(error))?;
        Ok(Tail { position: block.end(), chain, epoch: after.epoch })
    }

    /// Syncs what a commit has written so far. Without room it may only be done again if all of it is written again.
    fn sync_for(&mut self, durability: Durability) -> Result<(), Failure> {
        self.sync_file().map_err(|error| match durability {
            Durability::Fsync => Failure::from(error),
            Durability::Interval { .. } | Durability::Os => Failure::Fatal(error),
        })
    }

    /// Syncs what was committed.
    pub fn sync(&mut self) -> Result<(), Error> {
        // Blocks that found no room may have been written in part: they are written again, and nobody was told of them.
        self.sync_file()?;
        self.synced = self.tail.position;
        Ok(())
    }

    fn sync_file(&mut self) -> Result<(), Error> {
        if let (true, Some(current)) = (self.unsynced, &self.current) {
            current.file.sync_data().map_err(|error| Error::io("sync", files::path(current.number))(error))?;
            self.unsynced = false;
        }
        Ok(())
    }
}

impl Current {
    /// Writes a block, and zeros ahead of the blocks to come where nothing was ever written.
    fn write(&mut self, offset: u64, bytes: &[u8], file_bytes: u64) -> io::Result<()> {
        self.file.write_at(offset, bytes)?;
        let end = offset + bytes.len() as u64;
        if end > self.filled_until {
            let ahead_bytes = (file_bytes - end).min(ZERO_FILL_BYTES as u64);
            self.file.write_at(end, &vec![0; usize::try_from(ahead_bytes).unwrap_or_default()])?;
            self.filled_until = end + ahead_bytes;
        }
        Ok(())
    }
}

/// How far a commit came.
struct Written {
    blocks: usize,
    tail: Tail,
}

/// What became durable in one commit.
#[derive(Debug)]
pub struct Committed {
    blocks: VecDeque<Block>,
    tail: Tail,
}

impl Committed {
    /// The records in order: where each begins, and what it is. None of them fails unless memory has gone bad.
    pub fn records(&self) -> impl Iterator<Item = (u64, Result<Logged<'_>, DecodeError>)> {
        self.blocks.iter().flat_map(|block| {
            let records = block.bytes.get(HEADER_BYTES..block.used).unwrap_or_default();
            Records { rest: records, position: block.start + HEADER_BYTES as u64 }
        })
    }

    /// Where the log goes on after them: what a checkpoint begins at that covers them.
    #[must_use]
    pub const fn tail(&self) -> Tail {
        self.tail
    }

    /// Bytes of the records.
    #[must_use]
    pub fn record_bytes(&self) -> u64 {
        self.blocks.iter().map(Block::record_bytes).sum()
    }

    pub(super) fn into_blocks(self) -> impl Iterator<Item = Block> {
        self.blocks.into_iter()
    }
}

/// The records of a block.
pub(super) struct Records<'a> {
    pub rest: &'a [u8],
    pub position: u64,
}

impl<'a> Iterator for Records<'a> {
    type Item = (u64, Result<Logged<'a>, DecodeError>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let position = self.position;
        match decode(self.rest) {
            Ok((logged, used)) => {
                self.rest = self.rest.get(used..).unwrap_or_default();
                self.position += used as u64;
                Some((position, Ok(logged)))
            }
            Err(error) => {
                self.rest = &[];
                Some((position, Err(error)))
            }
        }
    }
}
