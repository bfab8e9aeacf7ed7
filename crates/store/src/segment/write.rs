//! Writing segments.

use std::sync::Arc;

use super::{FILE_HEAD_BYTES, HEAD_BYTES, Head, MAGIC, path};
use crate::disk::{Disk, File, Mode, Space};
use crate::error::Error;
use crate::limits::SEGMENT_WRITE_BYTES;

/// Appends messages to a segment. What it wrote counts when the state knows of it.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    id: u64,
    file: Arc<dyn File>,
    space: Arc<Space>,
    /// Bytes in the file.
    written_bytes: u64,
    buffer: Vec<u8>,
}

impl SegmentWriter {
    /// A new segment. Its name lasts once its directory was synced.
    pub(crate) fn create(disk: &Arc<dyn Disk>, space: &Arc<Space>, id: u64) -> Result<Self, Error> {
        let file = disk.open(&path(id), Mode::Create).map_err(Error::io("create", path(id)))?;
        file.set_len(0).map_err(Error::io("cut", path(id)))?;
        let mut buffer = Vec::new();
        buffer.extend_from_slice(&MAGIC);
        buffer.extend_from_slice(&id.to_le_bytes());
        debug_assert_eq!(buffer.len() as u64, FILE_HEAD_BYTES);
        Ok(Self { id, file, space: Arc::clone(space), written_bytes: 0, buffer })
    }

    /// A segment to which more is appended, `len_bytes` long as far as it counts.
    pub(crate) fn reopen(disk: &Arc<dyn Disk>, space: &Arc<Space>, id: u64, len_bytes: u64) -> Result<Self, Error> {
        let file = disk.open(&path(id), Mode::Write).map_err(Error::io("open", path(id)))?;
        Ok(Self { id, file, space: Arc::clone(space), written_bytes: len_bytes, buffer: Vec::new() })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Length with all that was appended.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.written_bytes + self.buffer.len() as u64
    }

    /// Appends a message; its seq is higher than that of the one before.
    pub(crate) fn append(&mut self, seq: u64, payload: &[u8], crc: u32) -> Result<(), Error> {
        let len = u32::try_from(payload.len())
            .map_err(|_| Error::RecordTooLarge { bytes: payload.len() as u64, file_bytes: u64::from(u32::MAX) })?;
        if self.buffer.len() + HEAD_BYTES + payload.len() > SEGMENT_WRITE_BYTES {
            self.flush()?;
        }
        self.buffer.extend_from_slice(&Head { len, seq, crc }.encode(self.id));
        self.buffer.extend_from_slice(payload);
        Ok(())
    }

    /// Returns when all that was appended is on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.file.sync_data().map_err(Error::io("sync", path(self.id)))
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.space.ask(self.buffer.len() as u64).map_err(Error::io("write", path(self.id)))?;
        self.file.write_at(self.written_bytes, &self.buffer).map_err(Error::io("write", path(self.id)))?;
        self.written_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
