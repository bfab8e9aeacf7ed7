//! Reading ahead.

use std::io;

use bytes::Bytes;

use crate::disk::File;

/// A stretch of a file in memory.
#[derive(Debug, Default)]
pub struct Window {
    bytes: Bytes,
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
            let len = need.max(ahead).min(left);
            // Used again, unless somebody keeps a part of it.
            self.bytes = match std::mem::take(&mut self.bytes).try_into_mut() {
                Ok(mut bytes) if bytes.len() >= len => {
                    bytes.truncate(len);
                    file.read_at(offset, &mut bytes)?;
                    bytes.freeze()
                }
                _ => file.read_vec(offset, len)?.into(),
            };
            self.start = offset;
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

    /// What is in memory, to keep a part of it.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What is in memory from `offset` on.
    pub fn held(&self, offset: u64) -> Option<&[u8]> {
        let skip = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(skip..)
    }
}
