//! What can go wrong with the store.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::record::DecodeError;

/// What can go wrong with the store.
#[derive(Clone, Debug, Error)]
pub enum Error {
    /// The file system or the device failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried, as a verb: "open", "write".
        action: &'static str,
        /// The file, as it is called within the data directory.
        path: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// Another broker has the data directory.
    #[error(
        "the data directory {} is in use{}: two brokers must not share one. Stop the other one, or give this one a \
         directory of its own",
        dir.display(),
        pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process that has it, where it is known.
        pid: Option<u32>,
    },
    /// A file does not hold what was written to it.
    #[error("{path} is damaged at byte {offset}: {what}. {remedy}")]
    Corrupt {
        /// The file, as it is called within the data directory.
        path: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: String,
        /// What can be done, and what that would lose.
        remedy: String,
    },
    /// A file was written by a later version.
    #[error("{path} was written in version {version} of its format, of which this broker knows only {known}")]
    Version {
        /// The file, as it is called within the data directory.
        path: String,
        /// The version found.
        version: u32,
        /// The version known.
        known: u32,
    },
    /// The journal's file is no longer there, because what was alive in it lies elsewhere by now: look it up again.
    #[error("journal position {position} has been given up")]
    Gone {
        /// The position asked for.
        position: u64,
    },
    /// A record cannot be read.
    #[error("record at journal position {position}: {source}")]
    Record {
        /// Where it begins.
        position: u64,
        /// What is wrong.
        source: DecodeError,
    },
    /// A record does not fit a journal file.
    #[error("a record of {bytes} bytes does not fit a journal file of {file_bytes} bytes")]
    RecordTooLarge {
        /// Its length.
        bytes: u64,
        /// What would fit.
        file_bytes: u64,
    },
    /// A thread of the store has panicked.
    #[error("the thread {thread} has panicked: this is a bug")]
    Panicked {
        /// What the thread is called.
        thread: String,
    },
    /// Options that cannot be.
    #[error("store options: {0}")]
    Options(&'static str),
}

impl Error {
    /// For `map_err`: what was tried with which file.
    pub fn io(action: &'static str, path: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source: Arc::new(source) }
    }

    /// Whether it came about only for want of room: what was tried may be tried again.
    #[must_use]
    pub fn is_no_room(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_no_room(source))
    }
}

/// Whether a failure is only for want of room.
#[must_use]
pub fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
