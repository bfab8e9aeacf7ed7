//! The store: what the log says of it, and the steps that its threads take.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use leveret_engine::journal::{BlobStore, BodyAt, Journal, LoadRequest, Lsn, Record, Waiter};
use leveret_engine::message::Parts;
use leveret_engine::restore::Restored;
use parking_lot::{Condvar, Mutex};

use crate::blob::Blobs;
use crate::disk::{Disk, Space};
use crate::error::Error;
use crate::idle::Idle;
use crate::journal::{Committed, Log, Room, Tail, Work};
use crate::keeper::Keeper;
use crate::limits::IDLE_AFTER;
use crate::options::Options;
use crate::pager::Pager;
use crate::recovery::{self, Recovery};
use crate::state::{BlobChange, State};

/// A data directory that is open. See the [crate] for what it does.
pub struct Store {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: Options,
    pub(crate) space: Arc<Space>,
    pub(crate) log: Log,
    pub(crate) blobs: Blobs,
    pub(crate) room: Arc<Room>,
    pub(crate) core: Mutex<Core>,
    /// Held from the commit of records until they are applied, so that they are in the order of the log.
    committing: Mutex<()>,
    /// Everything that was appended ends here or before.
    appended: AtomicU64,
    /// Positions from which on bodies lie that somebody takes long to enqueue.
    holds: Mutex<Vec<u64>>,
    applied: Mutex<u64>,
    applied_rose: Condvar,
    pub(crate) keeper: Mutex<Keeper>,
    pub(crate) pager: Pager,
    failed: AtomicBool,
    /// The first failure of the disk: what it left behind is not known, so that nothing is tried after it.
    broken: OnceLock<Error>,
}

/// What was applied, and how far.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) state: State,
    /// Where the log goes on after what was applied.
    pub(crate) tail: Tail,
}

/// How the store is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Journal files in use.
    pub journal_files: usize,
    /// Segment files with messages.
    pub segments: usize,
    /// Messages, transient ones included.
    pub messages: u64,
    /// Bytes that wait to be written.
    pub unwritten_bytes: u64,
    /// The disk has too little room.
    pub disk_low: bool,
}

impl Store {
    /// Opens a data directory: reads the checkpoint, replays the journal from there, and goes on where it ends.
    ///
    /// # Errors
    /// When the disk fails, or what is there is damaged other than by a crash: see [`Options::recover`].
    pub fn open(disk: Arc<dyn Disk>, mut options: Options) -> Result<(Arc<Self>, Restored, Recovery), Error> {
        options.on_failure = told_once(options.on_failure);
        let recovered = recovery::recover(&disk, &options)?;
        let space = Arc::new(Space::new(Arc::clone(&disk), options.disk_free_min_bytes));
        let room = Arc::new(Room::default());
        let (state, tail) = (recovered.state, recovered.tail);
        let epoch = tail.epoch.saturating_add(1);
        let references = state.blob_references();
        let blobs =
            Blobs::open(Arc::clone(&disk), &options, epoch, &references, Arc::clone(&space), Arc::clone(&room))?;
        let syncer = Arc::new(blobs.clone());
        let log = Log::open(Arc::clone(&disk), &options, tail, syncer, Arc::clone(&space), Arc::clone(&room))?;
        // The log is on the disk now: a power cut does not bring back who referred to them.
        blobs.remove_others()?;
        recovery::check_journal(&state, &log, tail, &options)?;
        log.append_started();
        let restored = state.restored();
        let store = Arc::new(Self {
            disk,
            space,
            log,
            blobs,
            room,
            core: Mutex::new(Core { state, tail }),
            committing: Mutex::default(),
            appended: AtomicU64::new(tail.position),
            holds: Mutex::default(),
            applied: Mutex::new(tail.position),
            applied_rose: Condvar::new(),
            keeper: Mutex::new(Keeper::new(&options)),
            pager: Pager::default(),
            failed: AtomicBool::new(false),
            broken: OnceLock::new(),
            options,
        });
        if !recovered.report.skipped.is_empty() {
            // Until there is a checkpoint behind it, every start finds the damage again.
            store.checkpoint(false)?;
        }
        Ok((store, restored, recovered.report))
    }

    /// One group commit: what was appended becomes durable and is applied. False when there was nothing to do, or no room to
    /// do it in.
    ///
    /// # Errors
    /// When the disk has failed.
    pub fn commit(&self) -> Result<bool, Error> {
        self.unless_broken(|| {
            let _in_order = self.committing.lock();
            let round = self.blobs.round();
            let appended = self.appended.load(Ordering::Acquire);
            let committed = self.log.commit()?;
            let did = committed.is_some();
            if let Some(committed) = committed {
                self.apply(committed)?;
            }
            if *self.applied.lock() >= appended {
                self.blobs.sweep(round);
            }
            Ok(did)
        })
    }

    /// Does something that writes, unless the disk has failed before; want of room is no failure.
    pub(crate) fn unless_broken<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        if let Some(error) = self.broken.get() {
            return Err(error.clone());
        }
        work().inspect_err(|error| {
            if !error.is_no_room() {
                let _ = self.broken.set(error.clone());
            }
        })
    }

    /// Whether publishers should be stopped because the disk is nearly full.
    #[must_use]
    pub fn disk_low(&self) -> bool {
        self.log.disk_low()
    }

    /// From now on so many bytes of the disk stay free: nothing is written beyond.
    pub fn set_disk_free_min(&self, bytes: u64) {
        self.space.set_free_min(bytes);
    }

    /// How the store is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let (segments, messages) = {
            let core = self.core.lock();
            let queues = core.state.queues.values();
            queues
                .fold((0, 0), |(segments, messages), queue| (segments + queue.segments.len(), messages + queue.count()))
        };
        Status {
            journal_files: self.log.files_in_use().len(),
            segments,
            messages,
            unwritten_bytes: self.room.unwritten_bytes(),
            disk_low: self.disk_low(),
        }
    }

    /// Commits until everything is applied that was appended before the call. False when there is no room for it.
    pub(crate) fn commit_all(&self) -> Result<bool, Error> {
        let appended = self.appended.load(Ordering::Acquire);
        while *self.applied.lock() < appended {
            if !self.commit()? && *self.applied.lock() < appended {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Everything appended so far ends at or before this position.
    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    /// Notes how far something reaches that was appended.
    pub(crate) fn note_appended(&self, end: u64) {
        self.appended.fetch_max(end, Ordering::AcqRel);
    }

    /// The lowest position that somebody holds.
    pub(crate) fn lowest_held(&self) -> Option<u64> {
        self.holds.lock().iter().copied().min()
    }

    /// Waits until what ends at `position` is applied; false when that will not come about.
    pub(crate) fn wait_applied(&self, position: u64, stopping: &AtomicBool) -> bool {
        let mut applied = self.applied.lock();
        while *applied < position {
            if self.has_failed() || stopping.load(Ordering::Acquire) {
                return false;
            }
            self.applied_rose.wait(&mut applied);
        }
        true
    }

    /// Wakes those in [`Store::wait_applied`], to look whether they should go on waiting.
    pub(crate) fn wake_waiting(&self) {
        let _applied = self.applied.lock();
        self.applied_rose.notify_all();
    }

    /// What the committer's thread does: one piece of work, or waits for it until it has been idle for a while.
    pub(crate) fn work(&self, idle: &mut Idle) -> Result<(), Error> {
        match self.log.wait_for_work(IDLE_AFTER) {
            Work::Nothing => {
                idle.passed();
                return Ok(());
            }
            Work::Commit => drop(self.commit()?),
            Work::Sync => self.log.sync()?,
        }
        idle.worked();
        Ok(())
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The disk has failed: says so once.
    pub(crate) fn fail(&self, error: &Error) {
        self.failed.store(true, Ordering::Release);
        (self.options.on_failure)(error);
        self.wake_waiting();
    }

    /// One of the threads has panicked: what it left half done is not known.
    pub(crate) fn thread_panicked(&self, thread: &str) {
        let error = Error::Panicked { thread: thread.to_owned() };
        let _ = self.broken.set(error.clone());
        self.fail(&error);
    }

    fn apply(&self, committed: Committed) -> Result<(), Error> {
        let changes = {
            let mut core = self.core.lock();
            for (position, record) in committed.records() {
                let record = record.map_err(|source| Error::Record { position, source })?;
                core.state.apply(position, &record);
            }
            core.tail = committed.tail();
            core.state.take_blob_changes()
        };
        self.tell_blobs(changes);
        let position = committed.tail().position;
        self.log.recycle_buffers(committed);
        *self.applied.lock() = position;
        self.applied_rose.notify_all();
        Ok(())
    }

    pub(crate) fn tell_blobs(&self, changes: Vec<BlobChange>) {
        for change in changes {
            match change {
                BlobChange::Referenced(id) => self.blobs.referenced(id),
                BlobChange::Unreferenced(id) => self.blobs.unreferenced(id),
            }
        }
    }
}

/// The disk's failures are found in several places.
fn told_once(on_failure: Arc<dyn Fn(&Error) + Send + Sync>) -> Arc<dyn Fn(&Error) + Send + Sync> {
    let told = AtomicBool::new(false);
    Arc::new(move |error| {
        if !told.swap(true, Ordering::AcqRel) {
            on_failure(error);
        }
    })
}

impl Journal for Store {
    fn append(&self, record: &Record<'_>) -> Lsn {
        let lsn = self.log.append(record);
        self.note_appended(lsn.0);
        lsn
    }

    fn append_bodies(&self, bodies: &[Parts<'_>], at: &mut Vec<BodyAt>) {
        for blob in bodies.iter().filter_map(|parts| parts.blob) {
            self.blobs.named(blob.id());
        }
        self.log.append_bodies(bodies, (self.options.now_ms)(), at);
    }

    fn hold(&self) -> Lsn {
        let mut holds = self.holds.lock();
        let from = self.log.durable();
        holds.push(from.0);
        from
    }

    fn let_go(&self, held: Lsn) {
        let mut holds = self.holds.lock();
        if let Some(at) = holds.iter().position(|&from| from == held.0) {
            holds.swap_remove(at);
        }
    }

    fn durable(&self) -> Lsn {
        self.log.durable()
    }

    fn when_durable(&self, lsn: Lsn, waiter: Arc<dyn Waiter>) {
        self.log.when_durable(lsn, waiter);
    }

    fn can_page(&self) -> bool {
        true
    }

    fn load(&self, request: LoadRequest) {
        self.pager.ask(request, self.appended());
    }

    fn is_full(&self) -> bool {
        self.log.is_full()
    }

    fn when_room(&self, waiter: Arc<dyn Waiter>) {
        self.log.when_room(waiter);
    }

    fn blobs(&self) -> Option<Arc<dyn BlobStore>> {
        Some(Arc::new(self.blobs.clone()))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("log", &self.log).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
