//! Large bodies: each in a file of its own, `blobs/<id>.blob`, written while it comes in and read in parts.
//!
//! Life of a blob: a writer's pieces queue up; a thread writes them (in tests without that thread: whoever appends), syncing
//! now and then so that the last sync is short; before the journal commits a record that names the blob, [`BlobSync::sync`]
//! sees that all of it is on the disk. It goes when no message in the journal's state refers to it, nobody in memory holds
//! it, and no record that was appended but not applied may still name it. What is left of an earlier run goes at the start.

mod entry;
mod format;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use leveret_engine::journal::{Blob, BlobStore, BlobWriter, StoredBlob};
use parking_lot::{Condvar, Mutex, MutexGuard};

use self::entry::{Entry, State};
use crate::disk::{Disk, File, Mode, Space};
use crate::error::Error;
use crate::journal::{BlobSync, Room};
use crate::limits::BLOB_READERS_MAX;
use crate::options::Options;

/// The directory.
const DIR: &str = "blobs";
const FILE_END: &str = ".blob";

fn path(id: u64) -> String {
    format!("{DIR}/{id:016x}{FILE_END}")
}

fn id_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(FILE_END)?;
    let id = u64::from_str_radix(digits, 16).ok()?;
    // Names that we would not have written are not ours.
    (digits == format!("{id:016x}")).then_some(id)
}

/// What whoever needs a blob is told that could not be written: not to be retried, whatever the reason was.
fn not_written(failure: &Error) -> io::Error {
    io::Error::other(failure.clone())
}

/// All blobs of a store. Clones are the same.
#[derive(Clone, Debug)]
pub struct Blobs(Arc<Shared>);

struct Shared {
    disk: Arc<dyn Disk>,
    space: Arc<Space>,
    room: Arc<Room>,
    on_failure: Arc<dyn Fn(&Error) + Send + Sync>,
    epoch: u32,
    state: Mutex<State>,
    /// Something came to be done, or was done.
    changed: Condvar,
    /// Held from a sync to what is noted of it: a failure is told to one of two who sync a file at once, and the other must not
    /// take the file for safe.
    syncing: Mutex<()>,
    /// Files that were read last, the latest last.
    readers: Mutex<Vec<(u64, Arc<dyn File>)>>,
}

/// What [`Blobs::write_some`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// There was something to do, and it was done.
    Something,
    /// There was nothing to do.
    Nothing,
    /// There is something to do, but no room on the disk: to be tried again later.
    NoRoom,
}

/// How long to wait for a blob to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    WhateverItTakes,
    UntilNoRoom,
}

impl Blobs {
    /// Takes over the blobs that `references` tells of: how many messages refer to each. The others stay until
    /// [`Blobs::remove_others`]. `epoch` must be higher than in any earlier run: ids are made of it.
    ///
    /// # Errors
    /// When the directory cannot be made or listed.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: &Options,
        epoch: u32,
        references: &BTreeMap<u64, u64>,
        space: Arc<Space>,
        room: Arc<Room>,
    ) -> Result<Self, Error> {
        disk.create_dir(DIR).map_err(Error::io("create", DIR))?;
        disk.sync_dir("").map_err(Error::io("sync", "."))?;
        let mut state = State::default();
        for file in disk.list(DIR).map_err(Error::io("list", DIR))? {
            let Some(id) = id_of(&file.name) else { continue };
            if let Some(&count) = references.get(&id) {
                state.entries.insert(id, Entry::restored(file.len, count));
            }
        }
        let on_failure = Arc::clone(&options.on_failure);
        Ok(Self(Arc::new(Shared {
            disk,
            space,
            room,
            on_failure,
            epoch,
            state: Mutex::new(state),
            changed: Condvar::new(),
            syncing: Mutex::default(),
            readers: Mutex::default(),
        })))
    }

    /// Removes what earlier runs left and nobody refers to. To be called when what says that nobody does is on the disk, and
    /// before the first blob is made.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove_others(&self) -> Result<(), Error> {
        let files = self.0.disk.list(DIR).map_err(Error::io("list", DIR))?;
        for id in files.iter().filter_map(|file| id_of(&file.name)) {
            if !self.0.state.lock().entries.contains_key(&id) {
                self.0.disk.remove(&path(id)).map_err(Error::io("remove", path(id)))?;
            }
        }
        Ok(())
    }

    /// The blob `id`, whose body has `len` bytes; none when it is not there, or is not of that length.
    #[must_use]
    pub fn get(&self, id: u64, len: u64) -> Option<Blob> {
        let mut state = self.0.state.lock();
        let entry = state.entries.get_mut(&id).filter(|entry| !entry.gone && entry.finished)?;
        // Of a file that was there at the start only its own length is known.
        if entry.len != len && !(entry.synced && entry.output.is_none() && entry.len == format::file_bytes(len)) {
            return None;
        }
        entry.handles += 1;
        Some(Arc::new(Handle { shared: Arc::clone(&self.0), id, len }))
    }

    /// A record that names these blobs is about to be appended: they stay until a round that begins after they were let go
    /// has ended.
    pub fn named(&self, id: u64) {
        if let Some(entry) = self.0.state.lock().entries.get_mut(&id) {
            entry.named = true;
        }
    }

    /// A message of the journal's state refers to it.
    pub fn referenced(&self, id: u64) {
        if let Some(entry) = self.0.state.lock().entries.get_mut(&id) {
            entry.references += 1;
        }
    }

    /// A message that referred to it is gone from the journal's state.
    pub fn unreferenced(&self, id: u64) {
        let mut state = self.0.state.lock();
        if let Some(entry) = state.entries.get_mut(&id) {
            entry.references = entry.references.saturating_sub(1);
        }
        state.let_go(id);
    }

    /// To be called before a commit takes what was appended; gives what [`Blobs::sweep`] wants.
    #[must_use]
    pub fn round(&self) -> u64 {
        let mut state = self.0.state.lock();
        state.round += 1;
        state.round
    }

    /// What was appended before `round` has been applied: the blobs that were let go before it, and that nobody wants now, go.
    pub fn sweep(&self, round: u64) {
        let mut state = self.0.state.lock();
        if state.doomed.is_empty() {
            return;
        }
        let ripe: Vec<(u64, u64)> = state.doomed.extract_if(.., |(_, doomed)| *doomed < round).collect();
        for (id, _) in ripe {
            let Some(entry) = state.entries.get_mut(&id).filter(|entry| !entry.is_wanted()) else { continue };
            entry.gone = true;
            state.enqueue(id);
        }
        self.0.attend(state);
    }

    /// Whether a [`Blobs::sweep`] might remove something.
    #[must_use]
    pub fn wants_sweep(&self) -> bool {
        !self.0.state.lock().doomed.is_empty()
    }
}

impl Shared {
    /// Has the work in the queue done: by the thread, or here when there is none.
    fn attend(&self, state: MutexGuard<'_, State>) {
        if state.threaded {
            drop(state);
            self.changed.notify_all();
            return;
        }
        drop(state);
        while self.write_some() == Wrote::Something {}
    }

    fn append(&self, id: u64, piece: Bytes) {
        self.room.take(piece.len() as u64);
        let mut state = self.state.lock();
        if let Some(entry) = state.entries.get_mut(&id) {
            entry.len += piece.len() as u64;
            entry.pending.push_back(piece);
        }
        state.enqueue(id);
        self.attend(state);
    }

    fn finish(&self, id: u64) -> u64 {
        let mut state = self.state.lock();
        let len = state.entries.get_mut(&id).map_or(0, |entry| {
            entry.finished = true;
            entry.len
        });
        state.enqueue(id);
        self.attend(state);
        len
    }

    fn drop_handle(&self, id: u64) {
        let mut state = self.state.lock();
        if let Some(entry) = state.entries.get_mut(&id) {
            entry.handles = entry.handles.saturating_sub(1);
        }
        if state.let_go(id) {
            self.attend(state);
        }
    }

    fn create(&self) -> u64 {
        let mut state = self.state.lock();
        // Numbers come again after four billion bodies in one run, but for those that are still taken.
        let id = loop {
            state.next_number = state.next_number.wrapping_add(1);
            let id = (u64::from(self.epoch) << 32) | u64::from(state.next_number);
            if !state.entries.contains_key(&id) {
                break id;
            }
        };
        state.entries.insert(id, Entry { handles: 1, ..Entry::default() });
        id
    }

    /// Waits until all of a blob is in its file.
    fn wait_until_written(&self, id: u64, patience: Patience) -> io::Result<()> {
        let mut state = self.state.lock();
        loop {
            let Some(entry) = state.entries.get(&id) else { return Err(io::ErrorKind::NotFound.into()) };
            if let Some(failure) = &entry.failure {
                return Err(not_written(failure));
            }
            if entry.is_written() {
                return Ok(());
            }
            if state.threaded && state.no_room && patience == Patience::UntilNoRoom {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if state.threaded || entry.busy {
                self.changed.wait(&mut state);
                continue;
            }
            drop(state);
            if self.write_some() == Wrote::NoRoom {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state = self.state.lock();
        }
    }

    fn reader(&self, id: u64) -> io::Result<Arc<dyn File>> {
        let mut readers = self.readers.lock();
        if let Some(at) = readers.iter().position(|(of, _)| *of == id) {
            let found = readers.remove(at);
            let file = Arc::clone(&found.1);
            readers.push(found);
            return Ok(file);
        }
        drop(readers);
        let file = self.disk.open(&path(id), Mode::Read)?;
        format::check_header(&*file, id)?;
        let mut readers = self.readers.lock();
        if readers.len() >= BLOB_READERS_MAX {
            readers.remove(0);
        }
        readers.push((id, Arc::clone(&file)));
        Ok(file)
    }
}

impl BlobStore for Blobs {
    fn create(&self) -> Box<dyn BlobWriter> {
        Box::new(Writer { shared: Arc::clone(&self.0), id: self.0.create(), finished: false })
    }
}

/// A blob that is being written.
struct Writer {
    shared: Arc<Shared>,
    id: u64,
    finished: bool,
}

impl BlobWriter for Writer {
    fn append(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.shared.append(self.id, piece);
        }
    }

    fn finish(mut self: Box<Self>) -> Blob {
        self.finished = true;
        let len = self.shared.finish(self.id);
        // The writer's place among the handles is the reader's now.
        Arc::new(Handle { shared: Arc::clone(&self.shared), id: self.id, len })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.drop_handle(self.id);
        }
    }
}

/// A blob that can be read.
struct Handle {
    shared: Arc<Shared>,
    id: u64,
    len: u64,
}

impl StoredBlob for Handle {
    fn id(&self) -> u64 {
        self.id
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.shared.wait_until_written(self.id, Patience::WhateverItTakes)?;
        format::read(&*self.shared.reader(self.id)?, self.id, self.len, offset, out)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.drop_handle(self.id);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("id", &self.id).field("len", &self.len).finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blobs").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl BlobSync for Blobs {
    fn sync(&self, ids: &[u64]) -> io::Result<()> {
        ids.iter().try_for_each(|&id| self.0.sync_one(id))?;
        self.0.sync_names(ids)
    }
}

#[cfg(test)]
mod tests;
