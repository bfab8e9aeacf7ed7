//! Room on the disk: asked for before anything is allocated.

use ::std::io;
use ::std::sync::Arc;
use ::std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Disk;

/// Watches that the file system keeps a reserve.
#[derive(Debug)]
pub struct Space {
    disk: Arc<dyn Disk>,
    free_min_bytes: AtomicU64,
    low: AtomicBool,
}

impl Space {
    /// Watches over `disk`, of which `free_min_bytes` shall stay free.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, free_min_bytes: u64) -> Self {
        Self { disk, free_min_bytes: AtomicU64::new(free_min_bytes), low: AtomicBool::new(false) }
    }

    /// From now on so much shall stay free.
    pub fn set_free_min(&self, bytes: u64) {
        self.free_min_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Asks for room before `wanted_bytes` are allocated.
    ///
    /// # Errors
    /// `StorageFull` when the reserve would be touched: the disk then counts as low until [`Space::look`] finds otherwise. Or
    /// when the disk does not tell.
    pub fn ask(&self, wanted_bytes: u64) -> io::Result<()> {
        if self.has(wanted_bytes)? {
            return Ok(());
        }
        self.set_low();
        Err(io::Error::new(io::ErrorKind::StorageFull, "too little room is free on the disk"))
    }

    /// Looks again whether the disk is low, given that `wanted_bytes` are about to be needed.
    ///
    /// # Errors
    /// When the disk does not tell.
    pub fn look(&self, wanted_bytes: u64) -> io::Result<bool> {
        let low = !self.has(wanted_bytes)?;
        self.low.store(low, Ordering::Release);
        Ok(low)
    }

    /// An allocation failed for want of room.
    pub fn set_low(&self) {
        self.low.store(true, Ordering::Release);
    }

    /// Whether publishers should be stopped.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.low.load(Ordering::Acquire)
    }

    fn has(&self, wanted_bytes: u64) -> io::Result<bool> {
        Ok(self.disk.free_bytes()? >= self.free_min_bytes.load(Ordering::Relaxed).saturating_add(wanted_bytes))
    }
}
