//! The log: records are appended in memory under one short lock and become durable together.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use leveret_engine::journal::{BodyAt, Lsn, Record, Waiter};
use leveret_engine::message::Parts;
use leveret_engine::names::QueueId;
use parking_lot::Mutex;

use super::back::{Back, Committed, Failure};
use super::files::{self, Files};
use super::front::Front;
use super::waiters::{Waiters, after_ms};
use super::{BlobSync, Room, Tail};
use crate::disk::{Disk, Space};
use crate::durability::Durability;
use crate::error::Error;
use crate::limits::{COMMIT_LAZY_MS, COMMIT_NOW_BYTES, NO_ROOM_RETRY_MS, SCRATCH_BYTES_MAX, UNWRITTEN_BYTES_MAX};
use crate::options::Options;
use crate::record::{BodyHead, encode, encode_forwarded, encode_moved, encode_started, stamp_file};

/// What a record gets that no file could hold: nobody is ever told that it is durable.
const NEVER: u64 = u64::MAX;

/// A log of records in files, for as long as a broker runs.
///
/// Any thread appends. One at a time commits, most often the committer's thread. Lock order: commit, waiters, append; none of
/// them is held while a waiter is woken.
#[derive(Debug)]
pub struct Log {
    pub(super) files: Files,
    pub(super) file_bytes: u64,
    space: Arc<Space>,
    room: Arc<Room>,
    durability: Durability,
    epoch: u32,
    front: Mutex<Front>,
    back: Mutex<Back>,
    waiters: Waiters,
    /// Everything before this is as durable as it was promised to be.
    durable: AtomicU64,
    /// Files hold what no `fdatasync` has covered yet.
    unsynced: AtomicBool,
    last_sync: Mutex<Instant>,
    /// Publishers wait, as acknowledgements shall have what is left of the last file.
    holds_publishers: Mutex<bool>,
    /// The last commit found no room.
    stuck: AtomicBool,
    /// Why nothing becomes durable any more.
    failure: OnceLock<Error>,
}

/// What the committer's thread shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Call [`Log::commit`].
    Commit,
    /// Call [`Log::sync`].
    Sync,
    /// Nothing came in the time given, or [`Log::nudge`] was called.
    Nothing,
}

thread_local! {
    /// Where a thread puts its records together before it takes the lock.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    bytes: Vec<u8>,
    heads: Vec<BodyHead>,
}

impl Log {
    /// Goes on at `tail`, as [`replay`](super::replay()) gives it, in a new epoch. Files beyond the tail's become spares.
    ///
    /// # Errors
    /// When the options are refused or the files cannot be opened. A full disk is none: see [`Log::commit`].
    pub fn open(
        disk: Arc<dyn Disk>,
        options: &Options,
        tail: Tail,
        blobs: Arc<dyn BlobSync>,
        space: Arc<Space>,
        room: Arc<Room>,
    ) -> Result<Self, Error> {
        options.check()?;
        let file_bytes = options.journal_file_bytes;
        let epoch = tail.epoch.checked_add(1).ok_or(Error::Options("the last epoch has been used"))?;
        let files = Files::open(disk, Arc::clone(&space), file_bytes, tail.position / file_bytes)?;
        // What was read back may never have been synced, if only the process died. Blocks are about to claim that it was.
        for number in [tail.position.saturating_sub(1) / file_bytes, tail.position / file_bytes] {
            if let Some(file) = files.get(number) {
                file.sync_data().map_err(Error::io("sync", files::path(number)))?;
            }
        }
        let tail = Tail { epoch, ..tail };
        Ok(Self {
            files,
            file_bytes,
            space,
            room,
            durability: options.durability,
            epoch,
            front: Mutex::new(Front::new(tail.position, file_bytes, options.block_bytes_max)),
            back: Mutex::new(Back::new(tail, blobs)),
            waiters: Waiters::default(),
            durable: AtomicU64::new(tail.position),
            unsynced: AtomicBool::new(false),
            last_sync: Mutex::new(Instant::now()),
            holds_publishers: Mutex::new(false),
            stuck: AtomicBool::new(false),
            failure: OnceLock::new(),
        })
    }

    /// The epoch of this start.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Appends a record. Never blocks on a file.
    pub fn append(&self, record: &Record<'_>) -> Lsn {
        self.append_with(|out| encode(record, out))
    }

    /// Appends the record that this start begins with.
    pub fn append_started(&self) -> Lsn {
        self.append_with(|out| encode_started(self.epoch, out))
    }

    /// Appends a body for each message, and pushes where each lies. Never blocks on a file.
    pub fn append_bodies(&self, bodies: &[Parts<'_>], now_ms: u64, at: &mut Vec<BodyAt>) {
        with_scratch(|scratch| {
            scratch.heads.extend(bodies.iter().map(|parts| BodyHead::encode(parts, now_ms, &mut scratch.bytes)));
            let mut heads = &*scratch.bytes;
            let bytes = scratch.heads.iter().map(|head| head.record_bytes as u64).sum();
            self.room.take(bytes);
            let mut front = self.front.lock();
            let before = front.record_bytes();
            for (parts, head) in bodies.iter().zip(&scratch.heads) {
                let (head_bytes, rest) = heads.split_at_checked(head.head_bytes).unwrap_or((heads, &[]));
                heads = rest;
                let Some(position) = front.place(head.record_bytes) else {
                    self.refuse(head.record_bytes);
                    at.push(BodyAt(NEVER));
                    continue;
                };
                front.put(head_bytes);
                stamp_file(front.since(position), self.stamp(position));
                front.put(head.body(parts));
                if let Some(blob) = parts.blob {
                    front.name_blob(blob.id());
                }
                at.push(BodyAt(position));
            }
            drop(front);
            self.arrived(before, bytes);
        });
    }

    /// Appends a copy of a payload, and the record that the message's body is there now.
    pub fn append_moved(&self, queue: QueueId, seq: u64, payload: &[u8], crc: u32) -> (BodyAt, Lsn) {
        let at = with_scratch(|scratch| {
            encode_forwarded(payload, crc, 0, &mut scratch.bytes);
            self.room.take(scratch.bytes.len() as u64);
            let mut front = self.front.lock();
            let before = front.record_bytes();
            let Some(position) = front.place(scratch.bytes.len()) else {
                self.refuse(scratch.bytes.len());
                return NEVER;
            };
            front.put(&scratch.bytes);
            stamp_file(front.since(position), self.stamp(position));
            drop(front);
            self.arrived(before, scratch.bytes.len() as u64);
            position
        });
        (BodyAt(at), self.append_with(|out| encode_moved(queue, seq, BodyAt(at), out)))
    }

    fn append_with(&self, encode: impl FnOnce(&mut Vec<u8>)) -> Lsn {
        with_scratch(|scratch| {
            encode(&mut scratch.bytes);
            let record_bytes = scratch.bytes.len();
            self.room.take(record_bytes as u64);
            let mut front = self.front.lock();
            let before = front.record_bytes();
            let Some(position) = front.place(record_bytes) else {
                self.refuse(record_bytes);
                return Lsn(NEVER);
            };
            front.put(&scratch.bytes);
            drop(front);
            self.arrived(before, record_bytes as u64);
            Lsn(position + record_bytes as u64)
        })
    }

    /// What a body record of this position carries of its file's number.
    pub(super) fn stamp(&self, position: u64) -> u32 {
        let [b0, b1, b2, b3, ..] = self.file_of(position).to_le_bytes();
        u32::from_le_bytes([b0, b1, b2, b3])
    }

    fn refuse(&self, record_bytes: usize) {
        self.fail(Error::RecordTooLarge { bytes: record_bytes as u64, file_bytes: self.file_bytes });
        self.waiters.appended(true);
    }

    /// After so many bytes were put. That they take room was said before they were: a commit may give it back at once.
    fn arrived(&self, before: u64, bytes: u64) {
        let much = before <= COMMIT_NOW_BYTES && before + bytes > COMMIT_NOW_BYTES;
        if before == 0 || much {
            self.waiters.appended(much);
        }
    }

    /// Writes what was appended, makes it durable as promised and wakes those who wait for it. `None` when there was nothing to
    /// do, or no room to do it in: then [`Log::disk_low`] says so, nothing is lost, and the next call tries again.
    ///
    /// # Errors
    /// When the disk failed, now or earlier: nothing becomes durable any more.
    pub fn commit(&self) -> Result<Option<Committed>, Error> {
        let mut back = self.back.lock();
        if let Some(error) = self.failure.get() {
            return Err(error.clone());
        }
        self.front.lock().take(&mut back.pending);
        let committed = match back.commit(&self.files, self.file_bytes, self.durability) {
            Ok(committed) => committed,
            Err(Failure::NoRoom) => {
                self.space.set_low();
                self.stuck.store(true, Ordering::Release);
                self.hold_publishers();
                return Ok(None);
            }
            Err(Failure::Fatal(error)) => return Err(self.fail(error)),
        };
        let Some(committed) = committed else { return Ok(None) };
        let stuck = !back.pending.is_empty();
        if stuck {
            self.space.set_low();
        }
        self.stuck.store(stuck, Ordering::Release);
        self.unsynced.store(back.unsynced, Ordering::Release);
        let durable = committed.tail().position;
        let before = self.durable.swap(durable, Ordering::AcqRel);
        drop(back);
        if self.file_of(before.saturating_sub(1)) != self.file_of(durable.saturating_sub(1)) {
            self.hold_publishers();
        }
        self.room.give_back(committed.record_bytes());
        self.waiters.wake_through(durable);
        Ok(Some(committed))
    }

    /// In the last file that there is room for, publishers wait at once: an alarm takes a while to reach them, in which they could
    /// fill it, and then no acknowledgement could make room any more.
    fn hold_publishers(&self) {
        // A disk that does not tell will fail elsewhere.
        let is_last = self.files.is_last().unwrap_or_default();
        let mut holds = self.holds_publishers.lock();
        match (*holds, is_last) {
            (false, true) => self.room.take(UNWRITTEN_BYTES_MAX + 1),
            (true, false) => self.room.give_back(UNWRITTEN_BYTES_MAX + 1),
            _ => return,
        }
        *holds = is_last;
    }

    /// Makes what was committed survive a power cut: [`Durability::Interval`] wants it every so often, the others at the end.
    ///
    /// # Errors
    /// When the disk failed, now or earlier.
    pub fn sync(&self) -> Result<(), Error> {
        let mut back = self.back.lock();
        if let Some(error) = self.failure.get() {
            return Err(error.clone());
        }
        back.sync().map_err(|error| self.fail(error))?;
        self.unsynced.store(false, Ordering::Release);
        *self.last_sync.lock() = Instant::now();
        Ok(())
    }

    /// Nothing becomes durable any more. The first failure counts.
    fn fail(&self, error: Error) -> Error {
        self.failure.get_or_init(|| error).clone()
    }

    /// Gives the buffers of a commit back.
    pub fn recycle_buffers(&self, committed: Committed) {
        let mut front = self.front.lock();
        for block in committed.into_blocks() {
            front.recycle(block.bytes);
        }
    }

    /// Everything at or before this position is as durable as was promised.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// Wakes `waiter` once, when `lsn` is durable; at once if it is already.
    pub fn when_durable(&self, lsn: Lsn, waiter: Arc<dyn Waiter>) {
        self.waiters.register(lsn.0, waiter, || self.durable().0);
    }

    /// Whether publishers should wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.room.is_full()
    }

    /// Wakes `waiter` once, when there is room; at once if there is.
    pub fn when_room(&self, waiter: Arc<dyn Waiter>) {
        self.room.when_room(waiter);
    }

    /// Waits, on the committer's thread, until there is something for it to do, but no longer than `timeout`.
    ///
    /// What somebody waits for, and anything above a megabyte, is due at once; the rest after some milliseconds.
    #[must_use]
    pub fn wait_for_work(&self, timeout: Duration) -> Work {
        let begun = Instant::now();
        let end = begun.checked_add(timeout).unwrap_or_else(|| after_ms(begun, u64::MAX));
        let lazy_end = after_ms(begun, COMMIT_LAZY_MS);
        let retry_at = after_ms(begun, NO_ROOM_RETRY_MS);
        let mut state = self.waiters.lock();
        loop {
            if state.take_nudge() {
                return Work::Nothing;
            }
            let now = Instant::now();
            let sync_at = self.sync_at();
            if sync_at.is_some_and(|at| at <= now) {
                return Work::Sync;
            }
            let stuck = self.stuck.load(Ordering::Acquire);
            // Set before the look at what was appended, so that either the look finds it or who appends finds this.
            let sleeps_long = !stuck && now >= lazy_end;
            self.waiters.set_asleep(sleeps_long);
            let bytes = self.front.lock().record_bytes();
            let due = if stuck {
                now >= retry_at
            } else {
                bytes > 0 && (state.is_waited_for() || bytes > COMMIT_NOW_BYTES || now >= lazy_end)
            };
            if due || self.failure.get().is_some() {
                self.waiters.set_asleep(false);
                return Work::Commit;
            }
            if now >= end {
                self.waiters.set_asleep(false);
                return Work::Nothing;
            }
            let next = if stuck {
                retry_at
            } else if now < lazy_end {
                lazy_end
            } else {
                end
            };
            self.waiters.sleep(&mut state, next.min(end).min(sync_at.unwrap_or(end)));
        }
    }

    /// When the next [`Log::sync`] is due, if one is.
    fn sync_at(&self) -> Option<Instant> {
        let Durability::Interval { ms } = self.durability else { return None };
        self.unsynced.load(Ordering::Acquire).then(|| after_ms(*self.last_sync.lock(), ms))
    }

    /// Lets [`Log::wait_for_work`] return.
    pub fn nudge(&self) {
        self.waiters.nudge();
    }

    /// Numbers of the files in use, ascending.
    #[must_use]
    pub fn files_in_use(&self) -> Vec<u64> {
        self.files.in_use()
    }

    /// Number of the oldest file in use; of the current one when there is none yet.
    #[must_use]
    pub fn oldest_file(&self) -> u64 {
        self.files.in_use().first().copied().unwrap_or_else(|| self.file_of(self.durable().0))
    }

    /// The position after a file.
    #[must_use]
    pub const fn end_of_file(&self, file: u64) -> u64 {
        file.saturating_add(1).saturating_mul(self.file_bytes)
    }

    /// The file in which a position lies.
    #[must_use]
    pub const fn file_of(&self, position: u64) -> u64 {
        position / self.file_bytes
    }

    /// Gives up the files up to number `file`, short of the one that is written: nothing alive may be in them, and no checkpoint
    /// may begin in them. They are used again.
    ///
    /// # Errors
    /// When they cannot be renamed or removed.
    pub fn release_through(&self, file: u64) -> Result<(), Error> {
        let current = self.file_of(self.durable().0.saturating_sub(1));
        self.files.release_through(file.min(current.saturating_sub(1)))
    }

    /// Looks at the room on the disk, and makes a spare file when there is none; whether it did. Takes long: for the keeper's
    /// thread, several times a second.
    ///
    /// # Errors
    /// When the disk failed. A full disk is none.
    pub fn prepare_spare(&self) -> Result<bool, Error> {
        let made = self.files.prepare_spare()?;
        self.hold_publishers();
        Ok(made)
    }

    /// Whether the disk has too little room: publishers should be stopped.
    #[must_use]
    pub fn disk_low(&self) -> bool {
        self.stuck.load(Ordering::Acquire) || self.space.is_low()
    }
}

fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.bytes.clear();
        scratch.heads.clear();
        let result = work(scratch);
        if scratch.bytes.capacity() > SCRATCH_BYTES_MAX {
            *scratch = Scratch::default();
        }
        result
    })
}
