//! Keeps the store small: moves what is alive out of old journal files, gathers what is left of thin segments, writes
//! checkpoints, and gives back the files that no checkpoint needs any more.
//!
//! Every round is the same: copy, make the copies durable, tell the state, write a checkpoint that knows of them, and only
//! then let go of where they came from. A round that ends early has changed nothing that counts.

mod moves;
mod thin;

use crate::checkpoint;
use crate::error::Error;
use crate::limits::{
    GONE_PART, JOURNAL_LAG_FACTOR, QUIET_LOOKS, ROUND_FILES_MAX, SEGMENTS_DEAD_MAX, SETTLED_BEFORE_THINNING,
    UNWRITTEN_BYTES_MAX,
};
use crate::options::Options;
use crate::segment;
use crate::store::{Status, Store};

/// What the keeper remembers from one round to the next.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// With more files in use than this, a round is due. It grows while most of what is in the files is alive and would only
    /// be copied from one to the next.
    files_max: usize,
    /// What there was after the last round that wrote a checkpoint: the more there is, the more goes before the next is worth
    /// its cost.
    segments: usize,
    messages: u64,
    /// How far the log reached when it was looked at last, and how often in a row it had not moved.
    seen: u64,
    quiet_looks: u32,
    /// Publishers wait until fewer journal files are in use.
    holds_publishers: bool,
}

impl Keeper {
    pub(crate) fn new(options: &Options) -> Self {
        Self { files_max: floor(options), segments: 0, messages: 0, seen: 0, quiet_looks: 0, holds_publishers: false }
    }
}

/// The file that is written and the one before it are never given up: see [`Store::files_waited_for`].
fn floor(options: &Options) -> usize {
    options.journal_files_max.max(2)
}

impl Store {
    /// One round of the keeper, if one is due. False when none was, or there is no room for it on the disk.
    ///
    /// # Errors
    /// When the disk has failed.
    pub fn keep(&self) -> Result<bool, Error> {
        self.unless_broken(|| self.keep_if_due())
    }

    fn keep_if_due(&self) -> Result<bool, Error> {
        let mut keeper = self.keeper.lock();
        self.hold_publishers(&mut keeper);
        let over = self.log.files_in_use().len() > keeper.files_max;
        let (dead, settled) = {
            let core = self.core.lock();
            (core.state.dead_segments.len(), core.state.settled_in_segments)
        };
        let thinning = settled >= SETTLED_BEFORE_THINNING.max(keeper.messages / GONE_PART as u64);
        let dead_max = if self.disk_low() { 1 } else { SEGMENTS_DEAD_MAX.max(keeper.segments / GONE_PART) };
        let burying = dead >= dead_max;
        if !over && !burying {
            // Without anything to rewrite there is nothing to tell a checkpoint.
            if !thinning || !self.has_thin() {
                return Ok(false);
            }
        }
        let done = self.round(&mut keeper, over, thinning).or_else(|error| self.without_room(error, false));
        self.hold_publishers(&mut keeper);
        done
    }

    /// Publishers that are faster than the keeper wait for it: else the journal would grow for as long as they are, and with it
    /// what memory and the next start have to deal with.
    fn hold_publishers(&self, keeper: &mut Keeper) {
        let behind = self.log.files_in_use().len() > JOURNAL_LAG_FACTOR * keeper.files_max;
        match (keeper.holds_publishers, behind) {
            (false, true) => self.room.take(UNWRITTEN_BYTES_MAX + 1),
            (true, false) => self.room.give_back(UNWRITTEN_BYTES_MAX + 1),
            _ => return,
        }
        keeper.holds_publishers = behind;
    }

    /// While nothing goes on, what is left of what went goes too, though it is little.
    ///
    /// # Errors
    /// When the disk has failed.
    pub(crate) fn keep_when_quiet(&self) -> Result<bool, Error> {
        let mut keeper = self.keeper.lock();
        let end = self.appended();
        keeper.quiet_looks = if keeper.seen == end { keeper.quiet_looks.saturating_add(1) } else { 0 };
        keeper.seen = end;
        // Once: if there is waste after that too, it cannot be helped.
        if keeper.quiet_looks != QUIET_LOOKS || !self.has_waste() {
            return Ok(false);
        }
        self.checkpoint(false).or_else(|error| self.without_room(error, ()))?;
        Ok(true)
    }

    /// Writes a checkpoint, and gives back what it does not need. `clean`: nothing will follow.
    pub(crate) fn checkpoint(&self, clean: bool) -> Result<(), Error> {
        self.unless_broken(|| self.write_checkpoint(clean))
    }

    fn write_checkpoint(&self, clean: bool) -> Result<(), Error> {
        let waited_for = self.files_waited_for();
        // Who has let go of bodies has enqueued them: that is to be known before it is said which files are needed.
        self.commit_all()?;
        let (mut bytes, dead, lowest) = {
            let core = self.core.lock();
            let state = &core.state;
            let bytes = checkpoint::encode(state, core.tail, clean, self.options.journal_file_bytes);
            // The last position counts, not the next: a file may be full to its end.
            let end = core.tail.position.saturating_sub(1);
            (bytes, state.dead_segments.clone(), state.lowest_position().unwrap_or(end).min(end))
        };
        checkpoint::seal(&mut bytes);
        // A checkpoint must not know of what the disk does not have; with `Fsync` it has everything.
        self.log.sync()?;
        checkpoint::write(&self.disk, &bytes)?;
        self.bury(&dead)?;
        let needed = self.log.file_of(lowest).min(waited_for);
        if let Some(last) = needed.checked_sub(1).filter(|&last| last >= self.log.oldest_file()) {
            self.core.lock().state.forget_bodies_below(self.log.end_of_file(last));
            self.log.release_through(last)?;
        }
        Ok(())
    }

    /// The first file that may not go: where what somebody holds begins, who is about to enqueue it. The last two stay in any
    /// case.
    fn files_waited_for(&self) -> u64 {
        // In this order: who holds after this look finds the journal at least as far.
        let end = self.log.durable().0;
        let held = self.lowest_held().map_or(u64::MAX, |held| self.log.file_of(held));
        self.log.file_of(end.saturating_sub(1)).saturating_sub(1).min(held)
    }

    fn round(&self, keeper: &mut Keeper, over: bool, thinning: bool) -> Result<bool, Error> {
        let mut forwarded_bytes = Some(0);
        let oldest = self.log.oldest_file();
        let before = self.log.files_in_use().len();
        // At least one; the last two are never among them.
        let surplus = before.saturating_sub(keeper.files_max).clamp(1, ROUND_FILES_MAX) as u64;
        if over {
            // What was appended before is applied: what waits to be enqueued is held.
            let ready = self.commit_all()?;
            let moved = if ready { self.move_out(oldest + surplus - 1) } else { Ok(None) };
            forwarded_bytes = moved.or_else(|error| self.without_room(error, None))?;
        }
        let Some(forwarded_bytes) = forwarded_bytes else {
            // Nothing could be moved for want of room. What nobody needs any more makes some.
            if self.has_waste() {
                self.checkpoint(false)?;
            }
            return Ok(false);
        };
        if thinning {
            self.thin()?;
        }
        self.checkpoint(false)?;
        let Status { segments, messages, .. } = self.status();
        (keeper.segments, keeper.messages) = (segments, messages);
        let after = self.log.files_in_use().len();
        if over && forwarded_bytes * 2 > surplus * self.options.journal_file_bytes {
            keeper.files_max = keeper.files_max.max(after + after / 2);
        } else if over && (self.log.oldest_file() == oldest || forwarded_bytes > 0 && after >= before) {
            // A round in vain would be due again at once, for ever: what went forward, in blocks that are padded, takes as much as
            // it took before. The next is due when there is one more.
            keeper.files_max = keeper.files_max.max(after);
        } else if over {
            keeper.files_max = keeper.files_max.saturating_sub(1).max(floor(&self.options));
        }
        Ok(true)
    }

    /// Want of room is no failure: the next round tries again.
    fn without_room<T>(&self, error: Error, instead: T) -> Result<T, Error> {
        if !error.is_no_room() {
            return Err(error);
        }
        tracing::warn!(%error, "no room on the disk to clear up");
        self.space.set_low();
        Ok(instead)
    }

    /// Whether a checkpoint would let files go.
    fn has_waste(&self) -> bool {
        let (dead, lowest) = {
            let core = self.core.lock();
            (core.state.dead_segments.len(), core.state.lowest_position().unwrap_or(core.tail.position))
        };
        dead > 0 || self.log.file_of(lowest) > self.log.oldest_file()
    }

    /// Removes segments that no checkpoint names any more.
    fn bury(&self, dead: &[u64]) -> Result<(), Error> {
        for &id in dead {
            match self.disk.remove(&segment::path(id)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", segment::path(id))(error));
                }
                _ => {}
            }
        }
        self.pager.forget(dead);
        self.core.lock().state.dead_segments.retain(|id| !dead.contains(id));
        Ok(())
    }

    /// The id of a new segment.
    fn new_segment(&self) -> Result<segment::SegmentWriter, Error> {
        let id = {
            let mut core = self.core.lock();
            let id = core.state.next_segment_id;
            core.state.next_segment_id += 1;
            id
        };
        segment::SegmentWriter::create(&self.disk, &self.space, id)
    }

    /// Takes back a segment that the state does not know of yet.
    fn discard(&self, segment: &segment::SegmentWriter) {
        // Should this fail, the next start removes it.
        let _ = self.disk.remove(&segment::path(segment.id()));
    }

    fn sync_segment_names(&self) -> Result<(), Error> {
        self.disk.sync_dir(segment::DIR).map_err(Error::io("sync", segment::DIR))
    }
}
