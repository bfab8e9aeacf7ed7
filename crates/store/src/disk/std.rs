//! A directory of the operating system.

use ::std::fs::{self, OpenOptions, TryLockError};
use ::std::io::{self, Read as _, Seek as _, Write as _};
use ::std::os::unix::fs::FileExt as _;
use ::std::path::{Path, PathBuf};
use ::std::sync::Arc;

use super::{DirEntry, Disk, File, Mode};
use crate::error::Error;

/// Who has the data directory: locked while a broker runs, and holding its process id.
const LOCK_FILE: &str = "lock";

/// A directory of the operating system that belongs to this process alone.
#[derive(Debug)]
pub struct StdDisk {
    dir: PathBuf,
    /// The lock goes with it.
    _lock: fs::File,
}

#[derive(Debug)]
struct StdFile(fs::File);

impl StdDisk {
    /// Takes a directory, which is made when it does not exist.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, [`Error::Io`] when it cannot be made or written.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let dir = dir.into();
        make_dir(&dir).map_err(Error::io("create", dir.display().to_string()))?;
        let lock = take_lock(&dir)?;
        Ok(Self { dir, _lock: lock })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.dir.clone() } else { self.dir.join(path) }
    }
}

/// Makes a directory, and those above it, all of which survive a power cut: else it would take everything in them along.
fn make_dir(dir: &Path) -> io::Result<()> {
    let missing = dir.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
    let missing: Vec<&Path> = missing.collect();
    fs::create_dir_all(dir)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match fs::File::open(parent).and_then(|parent| parent.sync_all()) {
            // Who may make something in a directory need not be one who may look into it.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The lock is one of the operating system: it goes with the process, so that a file left behind stops nobody.
fn take_lock(dir: &Path) -> Result<fs::File, Error> {
    let path = dir.join(LOCK_FILE);
    let shown = || path.display().to_string();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).map_err(Error::io("open", shown()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Who it is makes the message better; that it is held is what matters.
            let _ = file.read_to_string(&mut holder);
            return Err(Error::Locked { dir: dir.to_owned(), pid: holder.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(Error::io("lock", shown())(error)),
    }
    match write_holder(&mut file) {
        Err(error) if !crate::error::is_no_room(&error) => Err(Error::io("write", shown())(error)),
        // On a full disk the lock holds without a name on it.
        _ => Ok(file),
    }
}

fn write_holder(file: &mut fs::File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", ::std::process::id())
}

impl Disk for StdDisk {
    fn open(&self, path: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(mode != Mode::Read).create(mode == Mode::Create).truncate(false);
        Ok(Arc::new(StdFile(options.open(self.path(path))?)))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<DirEntry>> {
        let entries = match fs::read_dir(self.path(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let metadata = entry.metadata()?;
            // A name that is no text is none of ours.
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                found.push(DirEntry { name, len: metadata.len() });
            }
        }
        Ok(found)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(dir))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        fs::File::open(self.path(dir))?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let found = rustix::fs::statvfs(&self.dir)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

impl File for StdFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    /// Without zeros that are written over at once.
    #[cfg(unix)]
    fn read_vec(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = offset + bytes.len() as u64;
            match rustix::io::pread(&self.0, rustix::buffer::spare_capacity(&mut bytes), at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if self.0.metadata()?.len() >= len {
            return Ok(());
        }
        reserve(&self.0, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// File systems that cannot reserve take the length alone.
#[cfg(target_os = "linux")]
fn reserve(file: &fs::File, len: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(len),
        result => Ok(result?),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(file: &fs::File, len: u64) -> io::Result<()> {
    file.set_len(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_what_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let disk = StdDisk::open(dir.path().join("data")).unwrap();
        assert_eq!(disk.list("journal").unwrap(), []);
        disk.create_dir("journal").unwrap();
        assert_eq!(disk.open("journal/a", Mode::Write).unwrap_err().kind(), io::ErrorKind::NotFound);
        let file = disk.open("journal/a", Mode::Create).unwrap();
        file.allocate(4096).unwrap();
        file.write_at(4000, b"hello").unwrap();
        file.allocate(100).unwrap();
        assert_eq!(file.len().unwrap(), 4096);
        file.sync_data().unwrap();
        disk.sync_dir("journal").unwrap();
        disk.sync_dir("").unwrap();

        disk.rename("journal/a", "journal/b").unwrap();
        let file = disk.open("journal/b", Mode::Create).unwrap();
        let mut got = [0; 7];
        file.read_at(3999, &mut got).unwrap();
        assert_eq!(&got, b"\0hello\0");
        assert_eq!(file.read_at(4095, &mut got).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        file.set_len(4002).unwrap();
        assert_eq!(disk.list("journal").unwrap(), [DirEntry { name: "b".into(), len: 4002 }]);
        assert!(disk.open("journal/b", Mode::Read).unwrap().write_at(0, b"x").is_err());
        disk.remove("journal/b").unwrap();
        assert_eq!(disk.list("journal").unwrap(), []);
        assert!(disk.free_bytes().unwrap() > 0);
    }

    #[test]
    fn a_directory_belongs_to_one() {
        let dir = tempfile::tempdir().unwrap();
        let held = StdDisk::open(dir.path()).unwrap();
        let error = StdDisk::open(dir.path()).unwrap_err();
        assert!(matches!(&error, Error::Locked { pid, .. } if *pid == Some(::std::process::id())));
        let text = error.to_string();
        for part in [&dir.path().display().to_string(), &::std::process::id().to_string(), "directory of its own"] {
            assert!(text.contains(part), "{text}");
        }
        drop(held);
        StdDisk::open(dir.path()).unwrap();
    }

    #[test]
    fn directories_are_made_on_the_way() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/b/c", "a/b/d", "a/b"] {
            drop(StdDisk::open(dir.path().join(path)).unwrap());
            assert!(dir.path().join(path).join(LOCK_FILE).is_file());
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let text = StdDisk::open(path.join("data")).unwrap_err().to_string();
        assert!(text.contains("file/data"), "{text}");
    }
}
