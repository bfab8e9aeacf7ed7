//! The durable store: what the engine's [`Journal`](leveret_engine::journal::Journal) promises, kept in files.
//!
//! The life of a message here: [`Journal::append_bodies`](leveret_engine::journal::Journal::append_bodies) copies it into the
//! [log](journal)'s buffer and says where in the journal it will lie; the record that enqueues it follows. The committer's
//! thread writes the buffer, makes it durable with one `fdatasync` for all that gathered meanwhile, wakes who waits for that,
//! and applies the records to the state: which messages each queue holds, and where they lie. A page of a queue
//! is read back by [`Store::read`]. Most messages are settled while their journal file is young and are never touched again. What
//! outlives it the keeper moves, to a segment of its queue or forward in the journal; then a checkpoint is written, which is the
//! whole state, and the file is used again. A segment without a message left is removed. Bodies too large for all this are
//! [blobs](blob).
//!
//! Invariants
//! - The state is what the records up to a position say, applied in their order, and nothing else: the keeper changes where a
//!   message lies, never whether it is there (but for one that turns out to be damaged, which is logged).
//! - Recovery is the checkpoint and the records after it. A segment, or a part of one, that no checkpoint knows of does not count.
//! - A file goes only when a checkpoint that does not need it is durable.
//! - A message that is read back has the checksum it was written with, and lay where the state said when the read ended.
//! - Lock order: keeper, commit, state; the log's own locks come last. None is held while a [`PageReader`] is called, nor while
//!   the keeper or a pager reads files.
//! - Whatever has no room on the disk waits and is tried again. Whatever else fails on the disk is the end: see
//!   [`Options::on_failure`].
//!
//! Must not depend on: tokio, sessions, frames. Payloads are opaque to all but [`record`].
//!
//! [`PageReader`]: leveret_engine::journal::PageReader
#![forbid(unsafe_code)]

pub mod blob;
mod checkpoint;
mod checksum;
pub mod disk;
pub mod durability;
pub mod error;
mod idle;
pub mod journal;
mod keeper;
pub mod limits;
pub mod options;
mod pager;
pub mod record;
pub mod recovery;
mod segment;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod state;
mod store;
mod threads;

pub use disk::{Disk, File, StdDisk};
pub use durability::Durability;
pub use error::Error;
pub use options::Options;
pub use recovery::Recovery;
pub use store::{Status, Store};
pub use threads::Threads;
