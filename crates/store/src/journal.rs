//! The journal: one log of records for all queues.
//!
//! ```text
//! journal/0000000001.log    | block | block | block ... | unused, because the next block did not fit |
//! journal/0000000002.log    | block | block | zeros, or what the file held when it had another number
//! journal/0000000007.spare  a file to be used again
//! ```
//! Files have one length, and a position counts through them: number of the file times that length, and the offset in it.
//! Blocks begin at multiples of 512 bytes, follow each other without gaps but for the end of a file, and each carries its
//! position and the checksum of the one before: that is how the end is found, and how old contents are told from new.
//!
//! The life of a record: [`Log::append`] copies it into the block that is being filled, so that its position is known at once;
//! [`Log::commit`] takes all blocks, writes them and calls `fdatasync` once, while the next blocks fill; then everything up to
//! there is durable and who waits for it is woken. The batch is what arrived during the last commit. After a stop [`replay()`]
//! reads the records again, from a checkpoint's [`Tail`] on.
//!
//! Invariants
//! - A block says that what is before `durable` was on the disk. Hence a block that is not whole is the end of the log only if
//!   no later block says that it had been there; otherwise the log is damaged.
//! - No two starts write with one epoch, whatever of an earlier start's last blocks reached the disk.
//! - A block is never written over once it is durable, until its file is given up.
//! - A commit that finds no room changes nothing: its blocks stay in memory, and the next commit writes them again.

mod back;
mod block;
mod files;
mod front;
mod log;
mod read;
mod replay;
mod room;
mod survey;
#[cfg(test)]
mod tests;
mod waiters;
mod window;

use std::io;

pub use self::back::Committed;
pub use self::log::{Log, Work};
pub use self::read::{BodyReader, BodyRef, StoredBody};
pub use self::replay::{Cut, Replayed, Skipped, replay};
pub use self::room::Room;
pub(crate) use self::window::Window;

/// The directory of the journal's files.
#[cfg(any(test, feature = "sim"))]
pub(crate) const DIR: &str = files::DIR;

/// The first block of a journal, with any payload.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn sealed_block(payload: &[u8], journal_file_bytes: u64) -> Vec<u8> {
    let mut block = vec![0; block::HEADER_BYTES];
    block.extend_from_slice(payload);
    block::seal(&mut block, 1, journal_file_bytes, 0, 0);
    block
}

/// Where the next block goes, and what it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Position of the next block.
    pub position: u64,
    /// Checksum of the last block.
    pub chain: u32,
    /// The highest epoch there was.
    pub epoch: u32,
}

impl Tail {
    /// The tail of a journal in which nothing was ever written.
    #[must_use]
    pub const fn fresh(journal_file_bytes: u64) -> Self {
        Self { position: journal_file_bytes, chain: 0, epoch: 0 }
    }
}

/// Makes blobs durable.
pub trait BlobSync: Send + Sync + std::fmt::Debug {
    /// Returns when these blobs, and their names, are on the disk. Called before a block that names them is written; may be
    /// called again with the same.
    ///
    /// # Errors
    /// `StorageFull` to be asked again later; anything else is the end.
    fn sync(&self, ids: &[u64]) -> io::Result<()>;
}

/// For who has no blobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBlobs;

impl BlobSync for NoBlobs {
    fn sync(&self, _ids: &[u64]) -> io::Result<()> {
        Ok(())
    }
}
