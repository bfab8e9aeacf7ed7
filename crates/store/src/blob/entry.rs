//! What is known of the blobs: who refers to them, and how far each is written.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::format::Encoder;
use crate::disk::File;
use crate::error::Error;

/// A blob's file while it is written, and until it is synced.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) file: Arc<dyn File>,
    pub(super) encoder: Encoder,
    /// Where the next byte goes.
    pub(super) offset: u64,
    pub(super) unsynced_bytes: u64,
    /// Nothing more will be written.
    pub(super) whole: bool,
}

/// One blob.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Writers and readers in memory.
    pub(super) handles: u32,
    /// Messages in the journal's state.
    pub(super) references: u64,
    /// A record that names it was appended: it stays until that has been applied.
    pub(super) named: bool,
    /// Bytes of the body.
    pub(super) len: u64,
    pub(super) finished: bool,
    /// Nobody wants it any more.
    pub(super) gone: bool,
    /// Why it can never be trusted.
    pub(super) failure: Option<Error>,
    pub(super) synced: bool,
    /// How many files had been made when its own was: tells whether the directory was synced since.
    pub(super) made: u64,
    pub(super) pending: VecDeque<Bytes>,
    /// It is in the queue of those to be worked on.
    pub(super) queued: bool,
    /// Somebody works on its file, without the lock.
    pub(super) busy: bool,
    pub(super) output: Option<Output>,
}

impl Entry {
    /// A blob that was there at the start.
    pub(super) fn restored(len: u64, references: u64) -> Self {
        Self { references, named: true, len, finished: true, synced: true, ..Self::default() }
    }

    /// All its bytes are in its file.
    pub(super) fn is_written(&self) -> bool {
        self.finished && !self.busy && (self.synced || self.output.as_ref().is_some_and(|output| output.whole))
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.handles > 0 || self.references > 0
    }
}

/// All blobs.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) entries: BTreeMap<u64, Entry>,
    /// Those to be worked on, each once.
    pub(super) queue: VecDeque<u64>,
    /// Whole, but not synced, and open; oldest first. Holds some that were synced since.
    pub(super) unsynced: VecDeque<u64>,
    /// Named, and wanted by nobody: with the round in which that came about.
    pub(super) doomed: Vec<(u64, u64)>,
    pub(super) round: u64,
    pub(super) next_number: u32,
    /// Files made, and how many of their names are durable.
    pub(super) made: u64,
    pub(super) made_synced: u64,
    /// A thread writes: who appends need not.
    pub(super) threaded: bool,
    pub(super) stopping: bool,
    /// The last write found no room.
    pub(super) no_room: bool,
}

impl State {
    pub(super) fn enqueue(&mut self, id: u64) {
        if let Some(entry) = self.entries.get_mut(&id)
            && !entry.queued
        {
            entry.queued = true;
            self.queue.push_back(id);
        }
    }

    /// Sees to it that a blob that nobody wants goes. True: there is work to do.
    pub(super) fn let_go(&mut self, id: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.is_wanted() && !entry.gone) else {
            return false;
        };
        if entry.named {
            self.doomed.push((id, self.round));
            return false;
        }
        entry.gone = true;
        self.enqueue(id);
        true
    }
}
