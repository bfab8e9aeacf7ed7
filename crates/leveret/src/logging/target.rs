//! The log's file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

/// A file that can be opened again.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: RwLock<Arc<File>>,
}

impl LogFile {
    /// Opens the file to add to it; its folder is made if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(Self { path: path.to_owned(), file: RwLock::new(Arc::new(append(path)?)) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it again by its path.
    pub(super) fn reopen(&self) -> io::Result<()> {
        *self.file.write() = Arc::new(append(&self.path)?);
        Ok(())
    }

    /// To write one line to.
    pub(super) fn writer(&self) -> LogWriter {
        LogWriter(Arc::clone(&self.file.read()))
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Writes to the file as it was opened last.
#[derive(Debug)]
pub(super) struct LogWriter(Arc<File>);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/a.log");
        let file = LogFile::open(&path).unwrap();
        file.writer().write_all(b"one\n").unwrap();
        let moved = folder.path().join("logs/a.log.1");
        std::fs::rename(&path, &moved).unwrap();
        file.writer().write_all(b"two\n").unwrap();
        file.reopen().unwrap();
        file.writer().write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "three\n");
    }
}
