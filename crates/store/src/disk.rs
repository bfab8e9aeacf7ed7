//! All access to files, so that tests can put a disk of their own under the store.

mod space;
mod std;

use ::std::fmt::Debug;
use ::std::io;
use ::std::sync::Arc;

pub use self::space::Space;
pub use self::std::StdDisk;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To be read; it must exist.
    Read,
    /// To be read and written; it must exist.
    Write,
    /// To be read and written; made when it does not exist. What it holds stays.
    Create,
}

/// A file in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name within the directory.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
}

/// A directory with files. Paths are relative to it, with `/` between their parts. What was created, renamed or removed
/// survives a power cut only after [`Disk::sync_dir`].
#[allow(clippy::missing_errors_doc, reason = "all fail as the operating system does")]
pub trait Disk: Send + Sync + Debug {
    /// Opens a file.
    fn open(&self, path: &str, mode: Mode) -> io::Result<Arc<dyn File>>;

    /// The files of a directory in no order, its directories left out; none when it does not exist.
    fn list(&self, dir: &str) -> io::Result<Vec<DirEntry>>;

    /// Makes a directory, and those above it. Not an error when it exists.
    fn create_dir(&self, dir: &str) -> io::Result<()>;

    /// Gives a file another name; a file that has that name goes.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a directory survive; `""` is the data directory itself.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// Bytes that may still be written.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file.
#[allow(clippy::missing_errors_doc, reason = "all fail as the operating system does")]
#[allow(clippy::len_without_is_empty, reason = "nobody asks")]
pub trait File: Send + Sync + Debug {
    /// Fills `out` with the bytes from `offset` on; `UnexpectedEof` when the file ends before.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// The `len` bytes from `offset` on; `UnexpectedEof` when the file ends before.
    fn read_vec(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the file at least `len` bytes long, with room on the disk for all of them; what is new reads as zeros.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Cuts the file, or lengthens it without taking room.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns when what was written is on the disk, and all that is needed to read it again.
    fn sync_data(&self) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
}
