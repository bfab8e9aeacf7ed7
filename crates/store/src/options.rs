//! How a store behaves.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::durability::Durability;
use crate::error::Error;
use crate::limits;

/// How a store behaves. The default is for production; tests make things small.
#[derive(Clone)]
pub struct Options {
    /// What a confirm promises.
    pub durability: Durability,
    /// Length of a journal file; a multiple of 512. Positions depend on it: it never changes for a data directory.
    pub journal_file_bytes: u64,
    /// With more journal files than this in use, what is still alive in the oldest is moved out.
    pub journal_files_max: usize,
    /// Length at which a segment is finished.
    pub segment_bytes: u64,
    /// A queue that holds less than this in a journal file has it moved forward in the journal instead of to a segment.
    pub forward_bytes_max: u64,
    /// Length of a block at which the next one is begun.
    pub block_bytes_max: usize,
    /// The file system keeps at least this much free.
    pub disk_free_min_bytes: u64,
    /// Skip what is damaged instead of refusing to start.
    pub recover: bool,
    /// Milliseconds since 1970, by the wall clock.
    pub now_ms: fn() -> u64,
    /// Has the allocator give back what the calling thread has freed: called by each thread of the store that has fallen idle.
    pub release_memory: fn(),
    /// Called once, when the disk has failed: nothing is confirmed from then on.
    pub on_failure: Arc<dyn Fn(&Error) + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            journal_file_bytes: limits::JOURNAL_FILE_BYTES,
            journal_files_max: limits::JOURNAL_FILES_MAX,
            segment_bytes: limits::SEGMENT_BYTES,
            forward_bytes_max: limits::FORWARD_BYTES_MAX,
            block_bytes_max: limits::BLOCK_BYTES_MAX,
            disk_free_min_bytes: limits::DISK_FREE_MIN_BYTES,
            recover: false,
            now_ms: wall_clock_ms,
            release_memory: || {},
            on_failure: Arc::new(|_| {}),
        }
    }
}

impl Options {
    /// Whether the numbers fit each other.
    ///
    /// # Errors
    /// [`Error::Options`] when they do not.
    pub fn check(&self) -> Result<(), Error> {
        let sector_bytes = limits::SECTOR_BYTES as u64;
        if self.journal_file_bytes < limits::JOURNAL_FILE_BYTES_MIN {
            return Err(Error::Options("journal_file_bytes is less than 4096"));
        }
        if self.journal_file_bytes > limits::JOURNAL_FILE_BYTES_MAX {
            return Err(Error::Options("journal_file_bytes is more than 1 GiB"));
        }
        if !self.journal_file_bytes.is_multiple_of(sector_bytes) {
            return Err(Error::Options("journal_file_bytes is not a multiple of 512"));
        }
        if self.block_bytes_max as u64 > self.journal_file_bytes {
            return Err(Error::Options("block_bytes_max is more than journal_file_bytes"));
        }
        Ok(())
    }
}

#[allow(clippy::disallowed_methods, reason = "this is where the wall clock comes in")]
fn wall_clock_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("durability", &self.durability)
            .field("journal_file_bytes", &self.journal_file_bytes)
            .field("journal_files_max", &self.journal_files_max)
            .field("segment_bytes", &self.segment_bytes)
            .field("forward_bytes_max", &self.forward_bytes_max)
            .field("block_bytes_max", &self.block_bytes_max)
            .field("disk_free_min_bytes", &self.disk_free_min_bytes)
            .field("recover", &self.recover)
            .finish_non_exhaustive()
    }
}
