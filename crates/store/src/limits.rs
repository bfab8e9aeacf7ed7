//! Every bound of the store, by name.

use std::time::Duration;

/// Blocks of the journal begin at multiples of this: no two commits write the same sector.
pub const SECTOR_BYTES: usize = 512;

/// Length of a journal file. Positions depend on it: it never changes for a data directory.
pub const JOURNAL_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The shortest journal file that tests may ask for.
pub const JOURNAL_FILE_BYTES_MIN: u64 = 4096;

/// The longest: with the highest file number, positions still fit 64 bits.
pub const JOURNAL_FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The highest number of a journal file: names have ten digits.
pub const JOURNAL_FILE_NUMBER_MAX: u64 = 9_999_999_999;

/// With more journal files than this in use, what is still alive in the oldest is moved out.
pub const JOURNAL_FILES_MAX: usize = 4;

/// Most journal files that are kept to be used again.
pub const JOURNAL_SPARES_MAX: usize = 2;

/// Length of a block, with its header, at which the next one is begun.
pub const BLOCK_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Length at which a segment is finished.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// A queue that holds less than this in a journal file has it moved forward in the journal instead of to a segment.
pub const FORWARD_BYTES_MAX: u64 = 16 * 1024;

/// The file system keeps at least this much free.
pub const DISK_FREE_MIN_BYTES: u64 = 50 * 1000 * 1000;

/// With more than this waiting to be written, publishers wait.
pub const UNWRITTEN_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// With more than this appended, it is committed though nobody waits for it.
pub const COMMIT_NOW_BYTES: u64 = 1024 * 1024;

/// What nobody waits for is committed after this many milliseconds.
pub const COMMIT_LAZY_MS: u64 = 10;

/// After a commit that found no room, the next attempt comes this many milliseconds later.
pub const NO_ROOM_RETRY_MS: u64 = 100;

/// Most block buffers that are kept to be used again.
pub const BUFFERS_KEPT_MAX: usize = 4;

/// A buffer in which a thread puts records together is given back when it has grown beyond this.
pub const SCRATCH_BYTES_MAX: usize = 256 * 1024;

/// Bytes read at once of messages that are handed out: as long as one of them is somewhere, all of them are in memory. Of larger
/// messages a few.
pub const PAGE_READ_BYTES: usize = 32 * 1024;

/// Bytes read at once when the journal is replayed.
pub const REPLAY_WINDOW_BYTES: usize = 1024 * 1024;

/// Bytes read at once for one message...
pub const READ_WINDOW_BYTES_MIN: usize = 8 * 1024;

/// ...and at most, while messages that are asked for lie close together.
pub const READ_WINDOW_BYTES_MAX: usize = 256 * 1024;

/// Bytes written at once when a journal file is filled with zeros: all of a spare one after the other, or ahead of the commits
/// where no spare was ready.
pub const ZERO_FILL_BYTES: usize = 1024 * 1024;

/// A blob is synced each time that so many bytes were written to it, so that the last sync is short.
pub const BLOB_SYNC_BYTES: u64 = 4 * 1024 * 1024;

/// Most bytes that are written to a blob at once, but for the rest of the last piece.
pub const BLOB_WRITE_BYTES_MAX: usize = 1024 * 1024;

/// Most blobs that are written, not synced, and kept open for a sync that may come.
pub const BLOB_UNSYNCED_FILES_MAX: usize = 64;

/// Most blobs that are kept open to be read on.
pub const BLOB_READERS_MAX: usize = 64;

/// Bytes gathered before they are written to a segment.
pub const SEGMENT_WRITE_BYTES: usize = 256 * 1024;

/// Bytes of a segment read at once.
pub const SEGMENT_READ_BYTES: usize = 256 * 1024;

/// How far apart the places are that a reader of a segment remembers.
pub const SEGMENT_POINT_BYTES: u64 = 512 * 1024;

/// A segment that has less than one of so many messages left is rewritten.
pub const SEGMENT_THIN_PART: u64 = 4;

/// With so many segments to be removed, and no fewer than one of `GONE_PART`, a checkpoint is written.
pub const SEGMENTS_DEAD_MAX: usize = 8;

/// Segments are looked through for thin ones after so many messages went, and no fewer than one of `GONE_PART`.
pub const SETTLED_BEFORE_THINNING: u64 = 4096;

/// The part of what a store holds that has to go before the keeper clears up after it.
pub const GONE_PART: usize = 16;

/// Queues looked at under one hold of the state's lock by the keeper.
pub const KEEPER_QUEUES_MAX: usize = 1024;

/// Bytes that the keeper appends to the journal before it has them committed.
pub const KEEPER_FORWARD_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A thread that has had nothing to do for this long gives back its memory.
pub const IDLE_AFTER: Duration = Duration::from_secs(1);

/// How often the keeper looks whether there is something for it to do, in milliseconds.
pub const KEEPER_PAUSE_MS: u64 = 200;

/// Most journal files that one round of the keeper clears.
pub const ROUND_FILES_MAX: usize = 8;

/// With so many times the journal files in use that the keeper leaves there, publishers wait for it.
pub const JOURNAL_LAG_FACTOR: usize = 3;

/// The keeper takes the store to be quiet after it found it unchanged so often.
pub const QUIET_LOOKS: u32 = 5;

/// Threads that read messages back.
pub const PAGERS: usize = 2;

/// How often a page is read again because its messages moved while it was read.
pub const PAGE_ATTEMPTS_MAX: usize = 16;
