//! The writing side: what the blob writer's thread does, in steps that tests can take by themselves.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::MutexGuard;

use super::entry::{Entry, Output, State};
use super::format::Encoder;
use super::{Blobs, DIR, Patience, Shared, Wrote, not_written, path};
use crate::disk::Mode;
use crate::error::{Error, is_no_room};
use crate::idle::Idle;
use crate::limits::{BLOB_SYNC_BYTES, BLOB_UNSYNCED_FILES_MAX, BLOB_WRITE_BYTES_MAX, NO_ROOM_RETRY_MS};

/// What is to be done with one blob, its file taken out of the state.
struct Job {
    id: u64,
    pieces: VecDeque<Bytes>,
    output: Option<Output>,
    /// These pieces are the last.
    ends: bool,
}

impl Blobs {
    /// Does one piece of the work that waits: writes to a blob, ends one, or removes one.
    pub fn write_some(&self) -> Wrote {
        self.0.write_some()
    }

    /// Works until [`Blobs::stop`], which may come first. `release_memory` is called when it has fallen idle.
    pub fn run(&self, release_memory: fn()) {
        let mut idle = Idle::new(release_memory);
        self.0.state.lock().threaded = true;
        loop {
            let wrote = self.0.write_some();
            let mut state = self.0.state.lock();
            match wrote {
                Wrote::Something => idle.worked(),
                // Who stops wants what is written to be kept, but cannot wait for room.
                Wrote::Nothing | Wrote::NoRoom if state.stopping => {
                    state.threaded = false;
                    self.0.changed.notify_all();
                    return;
                }
                Wrote::Nothing if state.queue.is_empty() => idle.wait(&self.0.changed, &mut state),
                Wrote::Nothing => {}
                Wrote::NoRoom => {
                    let pause = Duration::from_millis(NO_ROOM_RETRY_MS);
                    self.0.changed.wait_for(&mut state, pause);
                }
            }
        }
    }

    /// Has [`Blobs::run`] return when nothing is left to be done.
    pub fn stop(&self) {
        self.0.state.lock().stopping = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    pub(super) fn write_some(&self) -> Wrote {
        let mut state = self.state.lock();
        let Some(id) = state.queue.pop_front() else { return Wrote::Nothing };
        let Some(entry) = state.entries.get_mut(&id) else { return Wrote::Something };
        entry.queued = false;
        if entry.busy {
            // Whoever works on it looks again when done.
            return Wrote::Something;
        }
        if entry.gone {
            self.remove(state, id);
            return Wrote::Something;
        }
        if entry.failure.is_some() {
            self.room.give_back(take_all(&mut entry.pending));
            return Wrote::Something;
        }
        if entry.is_written() {
            return Wrote::Something;
        }
        let job = take_job(id, entry);
        drop(state);
        self.carry_out(job)
    }

    fn carry_out(&self, mut job: Job) -> Wrote {
        let bytes: u64 = job.pieces.iter().map(|piece| piece.len() as u64).sum();
        let result = self.write(&mut job);
        let mut state = self.state.lock();
        let mut wrote = Wrote::Something;
        let mut failure = None;
        if let Some(entry) = state.entries.get_mut(&job.id) {
            entry.busy = false;
            match result {
                Ok(()) => self.room.give_back(bytes),
                Err(error) if is_no_room(&error) => {
                    while let Some(piece) = job.pieces.pop_back() {
                        entry.pending.push_front(piece);
                    }
                    wrote = Wrote::NoRoom;
                }
                Err(error) => {
                    let error = Error::io("write", path(job.id))(error);
                    entry.failure = Some(error.clone());
                    self.room.give_back(bytes);
                    failure = Some(error);
                }
            }
            entry.output = job.output;
            let is_whole = entry.output.as_ref().is_some_and(|output| output.whole);
            if !entry.pending.is_empty() || entry.gone || entry.failure.is_some() || (entry.finished && !is_whole) {
                state.enqueue(job.id);
            } else if is_whole {
                state.unsynced.push_back(job.id);
            }
        }
        state.no_room = wrote == Wrote::NoRoom;
        let oldest = if state.unsynced.len() > BLOB_UNSYNCED_FILES_MAX { state.unsynced.pop_front() } else { None };
        drop(state);
        self.changed.notify_all();
        if let Some(error) = failure {
            (self.on_failure)(&error);
        }
        if let Some(oldest) = oldest
            && let Err(error) = self.sync_one(oldest)
        {
            (self.on_failure)(&Error::io("sync", DIR)(error));
        }
        wrote
    }

    /// Writes the pieces of a job, which stay in it.
    fn write(&self, job: &mut Job) -> io::Result<()> {
        let bytes: usize = job.pieces.iter().map(Bytes::len).sum();
        // Too little room stops the publishers; what is here already goes into the reserve.
        if let Err(error) = self.space.ask(bytes as u64)
            && !is_no_room(&error)
        {
            return Err(error);
        }
        let result = self.write_pieces(job, bytes);
        if result.as_ref().is_err_and(is_no_room) {
            self.space.set_low();
        }
        result
    }

    fn write_pieces(&self, job: &mut Job, bytes: usize) -> io::Result<()> {
        let output = match &mut job.output {
            Some(output) => output,
            none => none.insert(self.make(job.id)?),
        };
        let mut out = Vec::with_capacity(bytes + bytes / 1024 + 64);
        // What a failed attempt has encoded is encoded again by the next.
        let mut encoder = output.encoder.clone();
        if output.offset == 0 {
            encoder.header(&mut out);
        }
        job.pieces.iter().for_each(|piece| encoder.piece(piece, &mut out));
        if job.ends {
            encoder.end(&mut out);
        }
        output.file.write_at(output.offset, &out)?;
        output.encoder = encoder;
        output.offset += out.len() as u64;
        output.unsynced_bytes += out.len() as u64;
        output.whole = job.ends;
        if output.unsynced_bytes >= BLOB_SYNC_BYTES {
            output.file.sync_data().map_err(not_to_be_retried)?;
            output.unsynced_bytes = 0;
        }
        Ok(())
    }

    fn make(&self, id: u64) -> io::Result<Output> {
        let file = self.disk.open(&path(id), Mode::Create)?;
        let mut state = self.state.lock();
        state.made += 1;
        let made = state.made;
        if let Some(entry) = state.entries.get_mut(&id) {
            entry.made = made;
        }
        Ok(Output { file, encoder: Encoder::new(id), offset: 0, unsynced_bytes: 0, whole: false })
    }

    fn remove(&self, mut state: MutexGuard<'_, State>, id: u64) {
        let Some(mut entry) = state.entries.remove(&id) else { return };
        drop(state);
        self.room.give_back(take_all(&mut entry.pending));
        self.readers.lock().retain(|(of, _)| *of != id);
        if entry.output.take().is_none() && !entry.synced {
            return;
        }
        match self.disk.remove(&path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                (self.on_failure)(&Error::io("remove", path(id))(error));
            }
            _ => {}
        }
    }

    /// Returns when a blob's bytes are on the disk.
    pub(super) fn sync_one(&self, id: u64) -> io::Result<()> {
        match self.wait_until_written(id, Patience::UntilNoRoom) {
            // It is gone, and nobody refers to it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result?,
        }
        let _one_at_a_time = self.syncing.lock();
        let file = {
            let state = self.state.lock();
            let Some(entry) = state.entries.get(&id).filter(|entry| !entry.synced) else { return Ok(()) };
            if let Some(failure) = &entry.failure {
                return Err(not_written(failure));
            }
            let Some(output) = &entry.output else { return Ok(()) };
            Arc::clone(&output.file)
        };
        let result = file.sync_data().map_err(Error::io("sync", path(id)));
        if let Some(entry) = self.state.lock().entries.get_mut(&id) {
            match &result {
                Ok(()) => {
                    entry.synced = true;
                    entry.output = None;
                }
                Err(failure) => entry.failure = Some(failure.clone()),
            }
        }
        result.map_err(|failure| not_written(&failure))
    }

    /// Returns when the names of these blobs are on the disk.
    pub(super) fn sync_names(&self, ids: &[u64]) -> io::Result<()> {
        let made = {
            let state = self.state.lock();
            let made = ids.iter().filter_map(|id| state.entries.get(id)).map(|entry| entry.made).max();
            if made.is_none_or(|made| made <= state.made_synced) {
                return Ok(());
            }
            state.made
        };
        self.disk.sync_dir(DIR).map_err(not_to_be_retried)?;
        let mut state = self.state.lock();
        state.made_synced = state.made_synced.max(made);
        Ok(())
    }
}

/// After a failed sync nobody knows what is on the disk, whatever the reason was.
fn not_to_be_retried(error: io::Error) -> io::Error {
    io::Error::other(error)
}

/// Takes what can be written at once. The blob counts as busy until the job is done.
fn take_job(id: u64, entry: &mut Entry) -> Job {
    let mut pieces = VecDeque::new();
    let mut bytes = 0;
    while bytes < BLOB_WRITE_BYTES_MAX {
        let Some(piece) = entry.pending.pop_front() else { break };
        bytes += piece.len();
        pieces.push_back(piece);
    }
    entry.busy = true;
    Job { id, pieces, output: entry.output.take(), ends: entry.finished && entry.pending.is_empty() }
}

fn take_all(pending: &mut VecDeque<Bytes>) -> u64 {
    pending.drain(..).map(|piece| piece.len() as u64).sum()
}
