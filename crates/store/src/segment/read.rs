//! Reading segments.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::{FILE_HEAD_BYTES, HEAD_BYTES, Head, path};
use crate::checksum::crc32c;
use crate::disk::{Disk, File, Mode};
use crate::error::Error;
use crate::journal::Window;
use crate::limits::SEGMENT_POINT_BYTES;

/// Where to begin in a segment to find a message, learned while it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Points {
    /// Ascending: all messages from this seq on lie at this offset or behind it.
    marks: Vec<(u64, u64)>,
    /// The same, where the last reader left off.
    cursor: Option<(u64, u64)>,
}

impl Points {
    /// Where to begin to find `seq`.
    fn start(&self, seq: u64) -> u64 {
        let index = self.marks.partition_point(|&(first, _)| first <= seq);
        let mark = index.checked_sub(1).and_then(|index| self.marks.get(index)).map_or(FILE_HEAD_BYTES, |mark| mark.1);
        self.cursor.filter(|cursor| cursor.0 <= seq).map_or(mark, |cursor| cursor.1.max(mark))
    }

    fn pass(&mut self, seq: u64, offset: u64) {
        let last = self.marks.last().map_or(FILE_HEAD_BYTES, |mark| mark.1);
        if offset >= last + SEGMENT_POINT_BYTES && self.marks.last().is_none_or(|mark| mark.0 < seq) {
            self.marks.push((seq, offset));
        }
    }
}

/// Reads messages of a segment.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    id: u64,
    file: Arc<dyn File>,
    len_bytes: u64,
    window: Window,
    ahead_bytes: usize,
}

impl SegmentReader {
    /// A segment, `len_bytes` long as far as it counts, to be read in pieces of `ahead_bytes`. [`Error::Gone`] when the file is
    /// gone: what was alive in it lies elsewhere by now.
    pub(crate) fn open(disk: &Arc<dyn Disk>, id: u64, len_bytes: u64, ahead_bytes: usize) -> Result<Self, Error> {
        let file = disk.open(&path(id), Mode::Read).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Gone { position: id },
            _ => Error::io("open", path(id))(error),
        })?;
        // Shorter than it should be only when damaged, and that was not a reason not to start.
        let len_bytes = file.len().map_err(Error::io("look at", path(id)))?.min(len_bytes);
        Ok(Self { id, file, len_bytes, window: Window::default(), ahead_bytes })
    }

    /// Hands over the messages `wanted` (ascending) with their checksums, and what each is a part of. What is damaged is
    /// reported and left out.
    pub(crate) fn read(
        &mut self,
        wanted: &[u64],
        points: &mut Points,
        mut each: impl FnMut(u64, &[u8], u32, &Bytes) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let mut wanted = wanted.iter().copied().peekable();
        let Some(&first) = wanted.peek() else { return Ok(()) };
        let mut offset = points.start(first);
        let mut seq_before = None;
        while let Some(&want) = wanted.peek() {
            let Some(head) = self.head(offset)? else {
                let Some(found) = self.find_head(offset, seq_before)? else {
                    let messages = wanted.count();
                    tracing::error!(file = path(self.id), offset, messages, "segment ends before messages: skipped");
                    return Ok(());
                };
                offset = found;
                continue;
            };
            points.pass(head.seq, offset);
            seq_before = Some(head.seq);
            if head.seq > want {
                tracing::error!(file = path(self.id), offset, seq = want, "message is not in its segment: skipped");
                wanted.next();
                continue;
            }
            let body_at = offset + HEAD_BYTES as u64;
            let next = body_at + u64::from(head.len);
            if head.seq == want {
                wanted.next();
                self.bytes(body_at, head.len as usize)?;
                let payload =
                    self.window.held(body_at).and_then(|held| held.get(..head.len as usize)).unwrap_or_default();
                if crc32c(payload) != head.crc {
                    tracing::error!(file = path(self.id), offset, seq = want, "message is damaged: skipped");
                } else if each(want, payload, head.crc, self.window.bytes())?.is_break() {
                    points.cursor = Some((want, offset));
                    return Ok(());
                }
                points.cursor = Some((want.saturating_add(1), next));
            }
            offset = next;
        }
        Ok(())
    }

    /// The head at an offset, if there is one.
    fn head(&mut self, offset: u64) -> Result<Option<Head>, Error> {
        if offset + HEAD_BYTES as u64 > self.len_bytes {
            return Ok(None);
        }
        let (id, end) = (self.id, self.len_bytes);
        let head = self.bytes(offset, HEAD_BYTES)?.first_chunk().and_then(|bytes| Head::decode(bytes, id));
        Ok(head.filter(|head| offset + HEAD_BYTES as u64 + u64::from(head.len) <= end))
    }

    /// The next head after damage: only its checksum tells it.
    fn find_head(&mut self, damaged_at: u64, seq_before: Option<u64>) -> Result<Option<u64>, Error> {
        let mut offset = damaged_at + 1;
        while offset + HEAD_BYTES as u64 <= self.len_bytes {
            if let Some(head) = self.head(offset)?
                && seq_before.is_none_or(|before| head.seq > before)
            {
                tracing::error!(
                    file = path(self.id),
                    offset = damaged_at,
                    until = offset,
                    "segment is damaged: skipped"
                );
                return Ok(Some(offset));
            }
            offset += 1;
        }
        Ok(None)
    }

    /// Bytes that lie before `len_bytes`.
    fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8], Error> {
        let ahead_bytes = self.ahead_bytes.max(4 * len);
        let held = self.window.get(&*self.file, self.len_bytes, offset, len, ahead_bytes);
        let held = held.map_err(|error| Error::io("read", path(self.id))(error))?;
        Ok(held.and_then(|held| held.get(..len)).unwrap_or_default())
    }
}
