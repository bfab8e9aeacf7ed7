//! A disk in memory that tells what a power cut would have left of it.
//!
//! Life of a change: it is seen at once, becomes durable with the next sync of its file or directory, and until then a
//! [`SimDisk::crash_image`] keeps or loses it by chance: writes by sector, some of them torn or garbled, lengths, and names
//! each by itself. An image is a disk of its own; the one it was taken of goes on. Taking one copies no contents.
//!
//! Harsher than most file systems: a new file's name needs a sync of its directory though the file was synced, renames are
//! kept in any order, and after a failed sync no later sync makes durable what the failed one did not.

mod content;
mod fault;
mod file;
pub mod fuzz;
mod limits;
mod names;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

pub use self::fault::{Fault, Operation};
pub use self::random::Random;

use self::content::Content;
use self::fault::Faults;
use self::file::Inode;
use self::names::{InodeId, Names};
use crate::disk::{DirEntry, Disk, File, Mode};

/// Called after each operation that changed the disk, with none of its locks held.
pub type Hook = Arc<dyn Fn(&SimDisk, Operation) + Send + Sync>;

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    hook: RwLock<Option<Hook>>,
}

struct State {
    inodes: BTreeMap<InodeId, Arc<Inode>>,
    names: Names,
    /// How often each file is open.
    open: BTreeMap<InodeId, u32>,
    next_inode: u64,
    capacity_bytes: u64,
    used_bytes: u64,
    operations: u64,
    faults: Faults,
    zeros: Arc<[u8; limits::PAGE_BYTES]>,
}

struct SimFile {
    disk: SimDisk,
    inode: InodeId,
    writable: bool,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::of(State {
            inodes: BTreeMap::new(),
            names: Names::default(),
            open: BTreeMap::new(),
            next_inode: 0,
            capacity_bytes: limits::CAPACITY_BYTES,
            used_bytes: 0,
            operations: 0,
            faults: Faults::default(),
            zeros: Arc::new([0; limits::PAGE_BYTES]),
        })
    }

    fn of(state: State) -> Self {
        Self(Arc::new(Shared { state: Mutex::new(state), hook: RwLock::new(None) }))
    }

    /// What a power cut at this moment leaves; each seed tells another story.
    #[must_use]
    pub fn crash_image(&self, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let state = self.0.state.lock();
        let names = state.names.after_power_cut(&mut random);
        state.image(names, |inode| Inode::durable(inode.after_power_cut(&mut random, &state.zeros)))
    }

    /// What the end of the process at this moment leaves: all that was written, of which a power cut may still take what no sync
    /// has covered.
    #[must_use]
    pub fn process_kill_image(&self) -> Self {
        let state = self.0.state.lock();
        state.image(state.names.clone(), Inode::clone)
    }

    /// Calls `hook` after each operation that changes this disk; its images have none.
    pub fn set_hook(&self, hook: Option<Hook>) {
        *self.0.hook.write() = hook;
    }

    /// Operations that changed the disk, or tried to.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.0.state.lock().operations
    }

    /// Makes the disk as large as `bytes`; it may be smaller than what is on it.
    pub fn set_capacity(&self, bytes: u64) {
        self.0.state.lock().capacity_bytes = bytes;
    }

    /// Room taken by what is on the disk.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.0.state.lock().used_bytes
    }

    /// Lets operations fail, in place of the faults set before.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.0.state.lock().faults = Faults::new(faults);
    }

    /// Whether an operation has failed by [`SimDisk::set_faults`].
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.state.lock().faults.struck()
    }

    /// Paths of all files.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        self.0.state.lock().names.files().map(|(path, _)| path.to_string()).collect()
    }

    /// What a file holds, if there is one.
    #[must_use]
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.0.state.lock();
        let content = &state.inodes.get(&state.names.find(path)?)?.seen;
        let mut bytes = vec![0; usize::try_from(content.len()).ok()?];
        content.read_at(0, &mut bytes).then_some(bytes)
    }

    /// Puts a durable file there, in place of what has that name: for tests that damage files.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let mut state = self.0.state.lock();
        let mut content = Content::default();
        content.write_at(0, bytes);
        state.used_bytes += content.allocated_bytes();
        let inode = state.new_inode(Inode::durable(content));
        if let Some(replaced) = state.names.put(path, inode) {
            state.forget_unnamed(replaced);
        }
    }

    /// Removes a file for good: for tests that damage files.
    pub fn erase(&self, path: &str) {
        let mut state = self.0.state.lock();
        if let Some(erased) = state.names.erase(path) {
            state.forget_unnamed(erased);
        }
    }

    /// Carries out one operation, which may fail, and tells the hook of it.
    fn operate<T>(&self, operation: Operation, work: impl FnOnce(&mut State, bool) -> io::Result<T>) -> io::Result<T> {
        let result = {
            let mut state = self.0.state.lock();
            state.operations += 1;
            let struck = state.faults.strike(operation);
            let result = work(&mut state, struck.is_some());
            struck.map_or(result, |kind| Err(kind.into()))
        };
        let hook = self.0.hook.read().clone();
        if let Some(hook) = hook {
            hook(self, operation);
        }
        result
    }
}

impl State {
    /// A disk of its own with these names.
    fn image(&self, names: Names, mut inode_of: impl FnMut(&Inode) -> Inode) -> SimDisk {
        let named: BTreeSet<InodeId> = names.files().map(|(_, id)| id).collect();
        let mut inodes = BTreeMap::new();
        let mut used_bytes = 0;
        for (&id, inode) in &self.inodes {
            let is_named = named.contains(&id);
            if is_named || names.may_come_back(id) {
                let inode = inode_of(inode);
                used_bytes += if is_named { inode.seen.allocated_bytes() } else { 0 };
                inodes.insert(id, Arc::new(inode));
            }
        }
        SimDisk::of(State {
            inodes,
            names,
            open: BTreeMap::new(),
            next_inode: self.next_inode,
            capacity_bytes: self.capacity_bytes,
            used_bytes,
            operations: 0,
            faults: Faults::default(),
            zeros: Arc::clone(&self.zeros),
        })
    }

    fn new_inode(&mut self, inode: Inode) -> InodeId {
        self.next_inode += 1;
        let id = InodeId(self.next_inode);
        self.inodes.insert(id, Arc::new(inode));
        id
    }

    /// Gives back the room of a file without a name that nobody has open. Its bytes stay while a power cut could bring it back.
    fn forget_unnamed(&mut self, id: InodeId) {
        if self.open.contains_key(&id) || self.names.files().any(|(_, named)| named == id) {
            return;
        }
        if let Some(inode) = self.inodes.get(&id) {
            self.used_bytes = self.used_bytes.saturating_sub(inode.seen.allocated_bytes());
        }
        if !self.names.may_come_back(id) {
            self.inodes.remove(&id);
        }
    }

    /// Changes a file, if there is room for `offset..end` of it.
    fn change(&mut self, id: InodeId, offset: u64, end: u64, change: impl FnOnce(&mut Inode)) -> io::Result<()> {
        let free_bytes = self.free_bytes();
        let Some(inode) = self.inodes.get_mut(&id) else { return Err(io::ErrorKind::NotFound.into()) };
        if inode.seen.wanted_bytes(offset, end) > free_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let before = inode.seen.allocated_bytes();
        let inode = Arc::make_mut(inode);
        change(inode);
        self.used_bytes = (self.used_bytes + inode.seen.allocated_bytes()).saturating_sub(before);
        Ok(())
    }

    fn free_bytes(&self) -> u64 {
        self.capacity_bytes.saturating_sub(self.used_bytes)
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        let found = self.0.state.lock().names.find(path);
        let inode = match (found, mode) {
            (Some(inode), _) => inode,
            (None, Mode::Read | Mode::Write) => return Err(io::ErrorKind::NotFound.into()),
            (None, Mode::Create) => self.operate(Operation::Create, |state, failed| {
                if failed {
                    return Ok(InodeId(0));
                }
                if !state.names.has_dir_of(path) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let inode = state.new_inode(Inode::default());
                state.names.create(path, inode);
                Ok(inode)
            })?,
        };
        *self.0.state.lock().open.entry(inode).or_default() += 1;
        Ok(Arc::new(SimFile { disk: self.clone(), inode, writable: mode != Mode::Read }))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<DirEntry>> {
        let state = self.0.state.lock();
        let entry = |(path, id): (&Arc<str>, InodeId)| {
            let name = names::name_in(dir, path)?;
            Some(DirEntry { name: name.to_owned(), len: state.inodes.get(&id)?.seen.len() })
        };
        Ok(state.names.files().filter_map(entry).collect())
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.operate(Operation::CreateDir, |state, failed| {
            if !failed {
                state.names.create_dir(dir);
            }
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.operate(Operation::Rename, |state, failed| {
            if failed {
                return Ok(());
            }
            if !state.names.has_dir_of(to) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let replaced = state.names.rename(from, to)?;
            if let Some(replaced) = replaced {
                state.forget_unnamed(replaced);
            }
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.operate(Operation::Remove, |state, failed| {
            if !failed {
                let removed = state.names.remove(path)?;
                state.forget_unnamed(removed);
            }
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.operate(Operation::SyncDir, |state, failed| {
            if failed {
                return Ok(());
            }
            for gone in state.names.sync(dir) {
                if !state.open.contains_key(&gone) && !state.names.files().any(|(_, named)| named == gone) {
                    state.inodes.remove(&gone);
                }
            }
            Ok(())
        })
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.0.state.lock().free_bytes())
    }
}

impl SimFile {
    fn operate(&self, operation: Operation, work: impl FnOnce(&mut State, bool) -> io::Result<()>) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.disk.operate(operation, work)
    }
}

impl File for SimFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.disk.0.state.lock();
        let read = state.inodes.get(&self.inode).is_some_and(|inode| inode.seen.read_at(offset, out));
        if read { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        self.operate(Operation::Write, |state, failed| {
            // A write that fails may have written some of it, which the next power cut may or may not find.
            let part = if failed { bytes.len() / 2 } else { bytes.len() };
            let bytes = bytes.get(..part).unwrap_or_default();
            state.change(self.inode, offset, end, |inode| inode.write_at(offset, bytes))
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.operate(Operation::Allocate, |state, failed| {
            let zeros = Arc::clone(&state.zeros);
            if failed { Ok(()) } else { state.change(self.inode, 0, len, |inode| inode.allocate(len, &zeros)) }
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate(Operation::SetLen, |state, failed| {
            if failed { Ok(()) } else { state.change(self.inode, 0, 0, |inode| inode.set_len(len)) }
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.operate(Operation::Sync, |state, failed| {
            let zeros = Arc::clone(&state.zeros);
            state.change(self.inode, 0, 0, |inode| if failed { inode.sync_failed() } else { inode.sync(&zeros) })
        })
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.0.state.lock();
        state.inodes.get(&self.inode).map(|inode| inode.seen.len()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.0.state.lock();
        if let Some(count) = state.open.get_mut(&self.inode) {
            *count -= 1;
            if *count == 0 {
                state.open.remove(&self.inode);
                state.forget_unnamed(self.inode);
            }
        }
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        f.debug_struct("SimDisk")
            .field("files", &state.names.files().count())
            .field("used_bytes", &state.used_bytes)
            .field("operations", &state.operations)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("inode", &self.inode).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
