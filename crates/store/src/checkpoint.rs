//! The checkpoint: everything the journal said up to some position, so that what lies before it need not be read again.
//!
//! ```text
//! file `checkpoint`, written as `checkpoint.tmp` and renamed:
//!   magic "LVRTCKPT" | version (u32) | contents | crc32c of all before it (u32)
//! contents:
//!   flags: 1 clean | tail: position, chain, epoch | length of a journal file | last queue id | next segment id
//!   exchanges: count, each: vhost (text) | name (text) | kind (text) | flags: 1 auto-delete, 2 internal | arguments (text)
//!   sources of bindings: count, each: vhost (text) | name (text) | count, each binding:
//!     destination (text) | flags: 1 to a queue | routing key (text) | arguments (text)
//!   blobs of bodies: count, each: zigzag to the body's position from the one before | blob
//!   queues: count, each:
//!     zigzag to its id from the one before | flags: 1 declared, 2 auto-delete, 4 a stream with finished segments
//!     declared: vhost (text) | name (text) | arguments (text)
//!     durable messages, their bytes | transient messages, their bytes | delivered | last seq
//!     in the journal: count, each: zigzag to its seq from the one before | zigzag to its position from the one before
//!     segments: count, each: id | length | count | first seq | last seq | live (text: a roaring treemap)
//!     transient (text: a roaring treemap, or nothing)
//!     returned: count, each: zigzag to its seq from the one before | deliveries
//!     blobs: count, each: zigzag to its seq from the one before | blob
//!     segments of a stream: count, each: first seq | last seq - first seq | bytes of bodies | bytes in all | when its last came
//!   since version 2: settings: count, each: kind (u8) | scope (text) | name (text) | value (text)
//! ```
//! Numbers are varints, texts have a length before them, as in [records](crate::record).

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::checksum::crc32c;
use crate::disk::{Disk, Mode};
use crate::error::Error;
use crate::journal::Tail;
use crate::state::State;

const MAGIC: [u8; 8] = *b"LVRTCKPT";
const VERSION: u32 = 2;

/// The first version that has settings.
const VERSION_WITH_SETTINGS: u32 = 2;

/// The first version of all.
const VERSION_MIN: u32 = 1;
const PATH: &str = "checkpoint";
const PATH_TMP: &str = "checkpoint.tmp";

/// Magic and version.
const HEAD_BYTES: usize = 12;
const CRC_BYTES: usize = 4;

/// What a checkpoint says.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    /// Where the journal goes on after it.
    pub(crate) tail: Tail,
    /// The broker stopped in order: the journal has nothing after it.
    pub(crate) clean: bool,
    /// The length of journal files, on which positions depend.
    pub(crate) journal_file_bytes: u64,
    /// What the journal said.
    pub(crate) state: State,
}

/// The bytes of a checkpoint.
pub(crate) fn encode(state: &State, tail: Tail, clean: bool, journal_file_bytes: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    encode::contents(state, tail, clean, journal_file_bytes, &mut out);
    // The checksum comes with `seal`, outside the lock that the state is under.
    out
}

/// Appends the checksum.
pub(crate) fn seal(bytes: &mut Vec<u8>) {
    let crc = crc32c(bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
}

/// Puts a sealed checkpoint in the place of the last one. When this returns, it is the one that counts.
///
/// # Errors
/// When the disk fails, or has no room: then the last one counts.
pub(crate) fn write(disk: &Arc<dyn Disk>, bytes: &[u8]) -> Result<(), Error> {
    let file = disk.open(PATH_TMP, Mode::Create).map_err(Error::io("create", PATH_TMP))?;
    file.set_len(0).map_err(Error::io("cut", PATH_TMP))?;
    file.write_at(0, bytes).map_err(Error::io("write", PATH_TMP))?;
    file.sync_data().map_err(Error::io("sync", PATH_TMP))?;
    disk.rename(PATH_TMP, PATH).map_err(Error::io("rename", PATH_TMP))?;
    disk.sync_dir("").map_err(Error::io("sync the directory of", PATH))
}

/// Reads the checkpoint, if there is one.
///
/// # Errors
/// When it cannot be read, or is not what was written.
pub(crate) fn read(disk: &Arc<dyn Disk>) -> Result<Option<Checkpoint>, Error> {
    let file = match disk.open(PATH, Mode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", PATH)(error)),
    };
    let len = file.len().map_err(Error::io("read the length of", PATH))?;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    file.read_at(0, &mut bytes).map_err(Error::io("read", PATH))?;
    decode(&bytes).map(Some)
}

/// What the bytes of a checkpoint say. Never panics, and takes no more memory than some times what is there.
///
/// # Errors
/// When they are none.
pub(crate) fn decode(bytes: &[u8]) -> Result<Checkpoint, Error> {
    let (head, contents, crc) = split(bytes).ok_or_else(|| damaged(0, "it is too short"))?;
    if !head.starts_with(&MAGIC) {
        return Err(damaged(0, "it does not begin as one"));
    }
    let version = head.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let covered = bytes.len() - CRC_BYTES;
    if crc32c(bytes.get(..covered).unwrap_or_default()) != crc {
        return Err(damaged(0, "it does not have its checksum"));
    }
    if !(VERSION_MIN..=VERSION).contains(&version) {
        return Err(Error::Version { path: PATH.into(), version, known: VERSION });
    }
    decode::contents(contents, version >= VERSION_WITH_SETTINGS)
        .map_err(|(left, error)| damaged(covered.saturating_sub(left) as u64, &error.to_string()))
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], u32)> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let (contents, crc) = rest.split_last_chunk::<CRC_BYTES>()?;
    Some((head, contents, u32::from_le_bytes(*crc)))
}

fn damaged(offset: u64, what: &str) -> Error {
    Error::Corrupt {
        path: PATH.into(),
        offset,
        what: what.into(),
        remedy: "It tells where every message lies, so that nothing can be read without it: restore the data directory from \
                 a copy, or move it away to start empty"
            .into(),
    }
}
