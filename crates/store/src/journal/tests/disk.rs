//! A disk in memory that fails when told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::disk::{DirEntry, Disk, File, Mode};

type Contents = Arc<Mutex<Vec<u8>>>;

#[derive(Debug)]
pub struct TestDisk {
    files: Mutex<BTreeMap<String, Contents>>,
    pub free_bytes: AtomicU64,
    knobs: Arc<Knobs>,
}

#[derive(Debug, Default)]
struct Knobs {
    syncs: AtomicUsize,
    sync_fails: Mutex<Option<io::ErrorKind>>,
    dir_synced: AtomicBool,
}

#[derive(Debug)]
struct TestFile(Contents, Arc<Knobs>);

impl TestDisk {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { files: Mutex::default(), free_bytes: AtomicU64::new(1 << 40), knobs: Arc::default() })
    }

    /// What is there now, for a broker that starts after a crash.
    pub fn copy(&self) -> Arc<Self> {
        let copy = Self::new();
        for (name, contents) in &*self.files.lock() {
            copy.files.lock().insert(name.clone(), Arc::new(Mutex::new(contents.lock().clone())));
        }
        copy
    }

    pub fn names(&self) -> Vec<String> {
        self.files.lock().keys().cloned().collect()
    }

    pub fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.files.lock()[name].lock());
    }

    pub fn syncs(&self) -> usize {
        self.knobs.syncs.load(Ordering::Relaxed)
    }

    pub fn fail_syncs(&self, kind: Option<io::ErrorKind>) {
        *self.knobs.sync_fails.lock() = kind;
    }

    pub fn take_dir_synced(&self) -> bool {
        self.knobs.dir_synced.swap(false, Ordering::Relaxed)
    }

    fn get(&self, name: &str) -> io::Result<Contents> {
        self.files.lock().get(name).map(Arc::clone).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for TestDisk {
    fn open(&self, path: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
        if mode == Mode::Create {
            self.files.lock().entry(path.to_owned()).or_default();
        }
        Ok(Arc::new(TestFile(self.get(path)?, Arc::clone(&self.knobs))))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<DirEntry>> {
        let files = self.files.lock();
        let entries = files.iter().filter_map(|(path, contents)| {
            let name = path.strip_prefix(dir)?.strip_prefix('/')?;
            Some(DirEntry { name: name.to_owned(), len: contents.lock().len() as u64 })
        });
        Ok(entries.collect())
    }

    fn create_dir(&self, _dir: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let contents = self.files.lock().remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.files.lock().insert(to.to_owned(), contents);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.files.lock().remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.knobs.dir_synced.store(dir == "journal", Ordering::Relaxed);
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.free_bytes.load(Ordering::Relaxed))
    }
}

impl File for TestFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        out.copy_from_slice(self.0.lock().get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        self.0.lock()[from..from + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.lock().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Some(kind) = *self.1.sync_fails.lock() {
            return Err(kind.into());
        }
        self.1.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }
}
