//! A blob's file: the body in pages, each with a checksum, so that any part of it can be read alone and be trusted.
//!
//! ```text
//!  0  "LVRB"
//!  4  version of the format: 1 (u16)
//!  6  zero (u16)
//!  8  the blob's id (u64)
//! 16  crc32c of bytes 0..16 (u32)
//! 20  page 0: 65,536 bytes of the body | crc32c of id (u64), page number (u64) and those bytes (u32)
//!     page 1: ...
//!     the last page is as long as what is left of the body
//! ```
//! Numbers are little endian. The length of the body stands in the journal's record: a file of another length is damaged.
//! A checksum follows its page so that a body is written from front to back as it comes in, and none of it is kept.

use std::io;

use bytes::Bytes;

use crate::checksum::{crc32c, crc32c_append};
use crate::disk::File;

/// Bytes before the first page.
const HEADER_BYTES: u64 = 20;
/// Bytes of the body in a page.
pub(super) const PAGE_BYTES: u64 = 64 * 1024;
const CRC_BYTES: u64 = 4;
const MAGIC: [u8; 4] = *b"LVRB";
const VERSION: u16 = 1;
/// Pages read at once.
const PAGES_READ_MAX: u64 = 16;

/// Length of the file of a body of `len` bytes.
pub(super) fn file_bytes(len: u64) -> u64 {
    HEADER_BYTES.saturating_add(len).saturating_add(len.div_ceil(PAGE_BYTES).saturating_mul(CRC_BYTES))
}

/// Turns a body into the bytes of its file, piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    id: u64,
    page: u64,
    /// Bytes of the page that were written.
    filled_bytes: u64,
    crc: u32,
}

impl Encoder {
    pub(super) fn new(id: u64) -> Self {
        Self { id, page: 0, filled_bytes: 0, crc: page_seed(id, 0) }
    }

    /// Appends what stands before the first page.
    pub(super) fn header(&self, out: &mut Vec<u8>) {
        let mut header = Vec::with_capacity(HEADER_BYTES as usize);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&[0, 0]);
        header.extend_from_slice(&self.id.to_le_bytes());
        let crc = crc32c(&header);
        out.extend_from_slice(&header);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    pub(super) fn piece(&mut self, piece: &Bytes, out: &mut Vec<u8>) {
        let mut rest: &[u8] = piece;
        while !rest.is_empty() {
            let room = usize::try_from(PAGE_BYTES - self.filled_bytes).unwrap_or(usize::MAX);
            let (part, after) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            out.extend_from_slice(part);
            self.crc = crc32c_append(self.crc, part);
            self.filled_bytes += part.len() as u64;
            rest = after;
            if self.filled_bytes == PAGE_BYTES {
                self.close_page(out);
            }
        }
    }

    /// Appends what stands after the last piece.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if self.filled_bytes > 0 {
            self.close_page(out);
        }
    }

    fn close_page(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.crc.to_le_bytes());
        self.page += 1;
        self.filled_bytes = 0;
        self.crc = page_seed(self.id, self.page);
    }
}

/// A checksum that knows its place: a page of another blob, or another page, does not pass.
fn page_seed(id: u64, page: u64) -> u32 {
    crc32c_append(crc32c(&id.to_le_bytes()), &page.to_le_bytes())
}

/// Whether the file begins as that of the blob `id`.
pub(super) fn check_header(file: &dyn File, id: u64) -> io::Result<()> {
    let mut found = [0; HEADER_BYTES as usize];
    file.read_at(0, &mut found)?;
    let mut wanted = Vec::with_capacity(found.len());
    Encoder::new(id).header(&mut wanted);
    if found == *wanted { Ok(()) } else { Err(damaged(id, 0)) }
}

/// Fills `out` with the bytes from `offset` on of a body of `len` bytes.
pub(super) fn read(file: &dyn File, id: u64, len: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
    let end = offset.checked_add(out.len() as u64).filter(|&end| end <= len);
    let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut out = out;
    let mut at = offset;
    let mut bytes = Vec::new();
    while at < end {
        let first = at / PAGE_BYTES;
        let last = (end.div_ceil(PAGE_BYTES)).min(first + PAGES_READ_MAX);
        read_pages(file, id, len, first..last, &mut bytes)?;
        let skipped = usize::try_from(at - first * PAGE_BYTES).unwrap_or(usize::MAX);
        let found = bytes.get(skipped..).unwrap_or_default();
        let taken = found.len().min(out.len());
        if taken == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (target, rest) = out.split_at_mut(taken);
        target.copy_from_slice(found.get(..taken).unwrap_or_default());
        out = rest;
        at += taken as u64;
    }
    Ok(())
}

/// Reads whole pages, and leaves the parts of the body in `bytes`.
fn read_pages(file: &dyn File, id: u64, len: u64, pages: std::ops::Range<u64>, bytes: &mut Vec<u8>) -> io::Result<()> {
    let start = pages.start * PAGE_BYTES;
    let end = (pages.end * PAGE_BYTES).min(len);
    let stored = (end - start) + (pages.end - pages.start) * CRC_BYTES;
    bytes.clear();
    bytes.resize(usize::try_from(stored).map_err(|_| io::ErrorKind::UnexpectedEof)?, 0);
    file.read_at(HEADER_BYTES + pages.start * (PAGE_BYTES + CRC_BYTES), bytes)?;
    let (mut from, mut to) = (0, 0);
    for page in pages {
        let in_page = usize::try_from(PAGE_BYTES.min(len - page * PAGE_BYTES)).unwrap_or(usize::MAX);
        let data = bytes.get(from..from + in_page).unwrap_or_default();
        let crc = bytes.get(from + in_page..).and_then(|rest| rest.first_chunk()).copied().map(u32::from_le_bytes);
        if crc != Some(crc32c_append(page_seed(id, page), data)) {
            return Err(damaged(id, HEADER_BYTES + page * (PAGE_BYTES + CRC_BYTES)));
        }
        bytes.copy_within(from..from + in_page, to);
        from += in_page + CRC_BYTES as usize;
        to += in_page;
    }
    bytes.truncate(to);
    Ok(())
}

fn damaged(id: u64, offset: u64) -> io::Error {
    let text = format!("{} is damaged at byte {offset}: its checksum is wrong", super::path(id));
    io::Error::new(io::ErrorKind::InvalidData, text)
}
