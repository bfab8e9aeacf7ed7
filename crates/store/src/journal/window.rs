//! Reading ahead.

use std::io;

use crate::disk::File;

/// A stretch of a file in memory.
#[derive(Debug, Default)]
pub struct Window {
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    /// What is in memory from `offset` on: at least `need` bytes, read together with up to `ahead` when they are not there
    /// yet. `None` when the file, `file_bytes` long, ends before.
    pub fn get(
        &mut self,
        file: &dyn File,
        file_bytes: u64,
        offset: u64,
        need: usize,
        ahead: usize,
    ) -> io::Result<Option<&[u8]>> {
        if file_bytes.checked_sub(offset).is_none_or(|left| left < need as u64) {
            return Ok(None);
        }
        if self.held(offset).is_none_or(|held| held.len() < need) {
            let left = usize::try_from(file_bytes - offset).unwrap_or(usize::MAX);
            self.bytes.resize(need.max(ahead).min(left), 0);
            self.start = offset;
            if let Err(error) = file.read_at(offset, &mut self.bytes) {
                self.forget();
                return Err(error);
            }
        }
        Ok(self.held(offset))
    }

    /// Whether `offset` is in memory.
    pub fn holds(&self, offset: u64) -> bool {
        self.held(offset).is_some_and(|held| !held.is_empty())
    }

    /// Whether `offset` is in memory, or comes so soon after that reading on would have met it.
    pub fn is_near(&self, offset: u64) -> bool {
        let len = self.bytes.len() as u64;
        len > 0 && offset >= self.start && offset - self.start < 2 * len
    }

    /// What is in memory counts no longer.
    pub fn forget(&mut self) {
        self.bytes.clear();
    }

    fn held(&self, offset: u64) -> Option<&[u8]> {
        let skip = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(skip..)
    }
}
