//! What the system says of the process: its memory, the disk, its open files. Memory and disk are measured every second and
//! remembered, so that asking costs nothing; open files are counted when somebody asks.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::limits_in_force::{DiskLimit, Watermark};
use crate::memory;

/// Memory of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What the process has in memory (its resident set).
    pub used_bytes: u64,
    /// How much that may be before publishers are blocked.
    pub limit_bytes: u64,
    /// What the container or the machine has.
    pub available_bytes: u64,
}

/// File descriptors of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fds {
    /// Open ones.
    pub used: u64,
    /// How many there may be.
    pub total: u64,
}

/// An alarm is cleared only when so many of a hundred parts of the limit are free again, so that it does not flutter.
const CLEARED_BELOW_PERCENT: u64 = 97;

/// What is not known.
const UNKNOWN: u64 = u64::MAX;

/// The last measurements, and what they are held against.
#[derive(Debug)]
pub(crate) struct Readings {
    /// Where the disk is that counts.
    directory: PathBuf,
    available_bytes: u64,
    used_bytes: AtomicU64,
    free_bytes: AtomicU64,
    limits: Mutex<(Watermark, DiskLimit)>,
}

impl Readings {
    /// Of the disk below `directory`; `available_bytes` stand for the memory of the machine, if they are given.
    pub(crate) fn new(directory: PathBuf, available_bytes: Option<u64>, watermark: Watermark, disk: DiskLimit) -> Self {
        let readings = Self {
            directory,
            available_bytes: available_bytes.unwrap_or_else(memory::available_bytes),
            used_bytes: AtomicU64::new(0),
            free_bytes: AtomicU64::new(UNKNOWN),
            limits: Mutex::new((watermark, disk)),
        };
        readings.measure();
        readings
    }

    /// Measures.
    pub(crate) fn measure(&self) {
        if let Some(bytes) = memory::resident_bytes() {
            self.used_bytes.store(bytes, Ordering::Relaxed);
        }
        let free = rustix::fs::statvfs(&self.directory).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        self.free_bytes.store(free.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory {
            used_bytes: self.used_bytes.load(Ordering::Relaxed),
            limit_bytes: self.watermark().bytes(self.available_bytes),
            available_bytes: self.available_bytes,
        }
    }

    pub(crate) fn watermark(&self) -> Watermark {
        self.limits.lock().0
    }

    pub(crate) fn set_watermark(&self, watermark: Watermark) {
        self.limits.lock().0 = watermark;
    }

    /// Whether the memory alarm is to be there, if it is there now or not.
    pub(crate) fn is_memory_short(&self, is_raised: bool) -> bool {
        let Memory { used_bytes, limit_bytes, .. } = self.memory();
        let limit_bytes = if is_raised { limit_bytes / 100 * CLEARED_BELOW_PERCENT } else { limit_bytes };
        used_bytes > limit_bytes
    }

    pub(crate) fn disk_free_bytes(&self) -> Option<u64> {
        Some(self.free_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes != UNKNOWN)
    }

    pub(crate) fn disk_limit(&self) -> DiskLimit {
        self.limits.lock().1
    }

    pub(crate) fn disk_limit_bytes(&self) -> u64 {
        self.disk_limit().bytes(self.available_bytes)
    }

    pub(crate) fn set_disk_limit(&self, limit: DiskLimit) {
        self.limits.lock().1 = limit;
    }

    /// Whether less is free than should be. A disk that does not say it is not held against the limit.
    pub(crate) fn is_disk_short(&self) -> bool {
        self.disk_free_bytes().is_some_and(|free| free < self.disk_limit_bytes())
    }

    pub(crate) fn fds(&self) -> Fds {
        let used = fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1)) as u64;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Fds { used, total: limit.unwrap_or(u64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn readings(watermark: Watermark) -> Readings {
        Readings::new(PathBuf::from("/"), Some(1 << 40), watermark, DiskLimit::Absolute(0))
    }

    #[test]
    fn the_system_is_asked() {
        let readings = readings(Watermark::default());
        let memory = readings.memory();
        assert!((1 << 20..1 << 36).contains(&memory.used_bytes), "{memory:?}");
        assert_eq!(memory.available_bytes, 1 << 40);
        assert!(readings.disk_free_bytes().unwrap() > 0);
        let fds = readings.fds();
        assert!(fds.used >= 3 && fds.total >= fds.used, "{fds:?}");
    }

    #[test]
    fn memory_is_short_at_once_without_any_and_enough_again_only_well_below_the_limit() {
        let none = readings(Watermark::Absolute(0));
        assert!(none.is_memory_short(false) && none.is_memory_short(true));
        let used = none.memory().used_bytes;
        none.set_watermark(Watermark::Absolute(used + used / 100));
        assert!(!none.is_memory_short(false) && none.is_memory_short(true));
        none.set_watermark(Watermark::Absolute(2 * used));
        assert!(!none.is_memory_short(true));
    }

    #[test]
    fn a_disk_is_short_by_its_limit() {
        let readings = readings(Watermark::default());
        assert!(!readings.is_disk_short());
        readings.set_disk_limit(DiskLimit::Absolute(u64::MAX));
        assert!(readings.is_disk_short());
    }
}
