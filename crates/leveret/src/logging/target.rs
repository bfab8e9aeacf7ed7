//! The log's files.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leveret_config::settings::Rotation;
use parking_lot::Mutex;

use super::rotation;
use super::time::Moment;

/// A file that is begun anew from time to time, and can be opened again.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    rotation: Rotation,
    bytes: u64,
    /// When it was last looked at whether it is time for a new file.
    looked_at_s: u64,
}

impl LogFile {
    /// Opens the file to add to it; its folder is made if it is not there.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if rotation.is_on() {
            rotation::remove_beyond(path, rotation.count);
        }
        Ok(Self { path: path.to_owned(), open: Mutex::new(Open::append(path, rotation)?) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it again by its path.
    pub(super) fn reopen(&self) -> io::Result<()> {
        let mut open = self.open.lock();
        *open = Open::append(&self.path, open.rotation)?;
        Ok(())
    }

    /// Begins it anew at other times from now on.
    pub(super) fn set_rotation(&self, rotation: Rotation) {
        self.open.lock().rotation = rotation;
        if rotation.is_on() {
            rotation::remove_beyond(&self.path, rotation.count);
        }
    }

    /// To write lines to.
    pub(super) fn writer(self: &Arc<Self>) -> LogWriter {
        LogWriter(Arc::clone(self))
    }

    fn add(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock();
        open.file.write_all(line)?;
        open.bytes += line.len() as u64;
        let now = Moment::now();
        let is_due = rotation::is_due(&open.rotation, open.bytes, open.looked_at_s, now.seconds());
        open.looked_at_s = now.seconds();
        if is_due && let Err(error) = open.begin_anew(&self.path) {
            // Nothing can be logged from within the log. The next try is as far away as if it had been done.
            open.bytes = 0;
            writeln!(open.file, "{now} [error] <0.1.0> no new log file can be begun: {error}")?;
        }
        Ok(())
    }
}

impl Open {
    fn append(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, rotation, bytes, looked_at_s: Moment::now().seconds() })
    }

    fn begin_anew(&mut self, path: &Path) -> io::Result<()> {
        rotation::move_away(path, self.rotation.count)?;
        *self = Self::append(path, self.rotation)?;
        Ok(())
    }
}

/// Writes to the file as it is at the moment.
#[derive(Debug)]
pub(super) struct LogWriter(Arc<LogFile>);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.add(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/a.log");
        let file = Arc::new(LogFile::open(&path, Rotation::default()).unwrap());
        file.writer().write_all(b"one\n").unwrap();
        let moved = folder.path().join("logs/a.log.1");
        std::fs::rename(&path, &moved).unwrap();
        file.writer().write_all(b"two\n").unwrap();
        file.reopen().unwrap();
        file.writer().write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "three\n");
    }

    #[test]
    fn a_large_file_is_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(folder.path().join("a.log.2"), "too many").unwrap();
        let rotation = Rotation { size_bytes: 6, count: 2, ..Rotation::default() };
        let file = Arc::new(LogFile::open(&path, rotation).unwrap());
        for line in ["one\n", "two\n", "three\n", "more than that\n", "end\n"] {
            file.writer().write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).ok();
        assert_eq!(read("a.log").as_deref(), Some("end\n"));
        assert_eq!(read("a.log.0").as_deref(), Some("three\nmore than that\n"));
        assert_eq!(read("a.log.1").as_deref(), Some("one\ntwo\n"));
        assert_eq!(read("a.log.2"), None);
        // A restart goes on with what is there.
        let file = Arc::new(LogFile::open(&path, rotation).unwrap());
        file.writer().write_all(b"and\n").unwrap();
        assert_eq!(read("a.log.0").as_deref(), Some("end\nand\n"));
        file.set_rotation(Rotation::default());
        file.writer().write_all(b"more than that\n").unwrap();
        assert_eq!(read("a.log").as_deref(), Some("more than that\n"));
    }

    #[test]
    fn a_file_that_cannot_be_moved_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        // No file takes the place of a folder.
        std::fs::create_dir_all(folder.path().join("a.log.0/x")).unwrap();
        let file = Arc::new(LogFile::open(&path, Rotation { size_bytes: 1, count: 1, ..Rotation::default() }).unwrap());
        file.writer().write_all(b"one\n").unwrap();
        file.writer().write_all(b"two\n").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("one\n") && text.contains("no new log file can be begun"), "{text}");
        assert!(text.contains("\ntwo\n"), "{text}");
    }
}
