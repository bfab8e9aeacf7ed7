//! The bytes of a file, in pages that images of the disk share until one of them writes.

use std::sync::Arc;

use crate::sim::limits::PAGE_BYTES;

type PageBytes = [u8; PAGE_BYTES];

/// The bytes of a file. Cloning it copies no bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// A page that was never written nor allocated reads as zeros and takes no room.
    pages: Vec<Option<Arc<PageBytes>>>,
    len: u64,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Room it takes on the disk.
    pub(super) fn allocated_bytes(&self) -> u64 {
        (self.pages.iter().flatten().count() * PAGE_BYTES) as u64
    }

    /// Room that writing or allocating `offset..end` would take in addition.
    pub(super) fn wanted_bytes(&self, offset: u64, end: u64) -> u64 {
        let (first, last) = (page_of(offset), end.div_ceil(PAGE_BYTES as u64) as usize);
        let missing = (first..last).filter(|&at| self.pages.get(at).is_none_or(Option::is_none)).count();
        (missing * PAGE_BYTES) as u64
    }

    /// Fills `out`; false when the file ends before.
    pub(super) fn read_at(&self, offset: u64, out: &mut [u8]) -> bool {
        let Some(end) = offset.checked_add(out.len() as u64).filter(|&end| end <= self.len) else { return false };
        for_each_page(offset, end, |page, in_page, in_data| {
            let target = out.get_mut(in_data).unwrap_or_default();
            match self.pages.get(page).and_then(Option::as_ref).and_then(|bytes| bytes.get(in_page)) {
                Some(bytes) => target.copy_from_slice(bytes),
                None => target.fill(0),
            }
        });
        true
    }

    /// Writes, and makes the file longer where it must.
    pub(super) fn write_at(&mut self, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        self.reach(end);
        for_each_page(offset, end, |page, in_page, in_data| {
            let Some(slot) = self.pages.get_mut(page) else { return };
            let bytes = Arc::make_mut(slot.get_or_insert_with(|| Arc::new([0; PAGE_BYTES])));
            if let (Some(target), Some(source)) = (bytes.get_mut(in_page), data.get(in_data)) {
                target.copy_from_slice(source);
            }
        });
    }

    /// Takes room for the first `len` bytes, and makes the file that long if it is shorter.
    pub(super) fn allocate(&mut self, len: u64, zeros: &Arc<PageBytes>) {
        self.reach(len);
        for page in self.pages.iter_mut().take(page_count(len)) {
            page.get_or_insert_with(|| Arc::clone(zeros));
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let end = self.len.min((page_count(len) * PAGE_BYTES) as u64);
            self.pages.truncate(page_count(len));
            // What lies behind the end must not come back when the file grows again.
            let gone = vec![0; usize::try_from(end - len).unwrap_or_default()];
            if self.pages.get(page_of(len)).is_some_and(Option::is_some) {
                self.write_at(len, &gone);
            }
            self.len = len;
        } else {
            self.reach(len);
        }
    }

    fn reach(&mut self, len: u64) {
        if len > self.len {
            self.len = len;
            self.pages.resize(page_count(len).max(self.pages.len()), None);
        }
    }
}

fn page_of(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX) / PAGE_BYTES
}

fn page_count(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX).div_ceil(PAGE_BYTES)
}

/// Calls `each` with a page's number, the part of the page and the part of the data that `offset..end` has in common with it.
fn for_each_page(offset: u64, end: u64, mut each: impl FnMut(usize, std::ops::Range<usize>, std::ops::Range<usize>)) {
    let mut at = offset;
    while at < end {
        let page = page_of(at);
        let in_page = usize::try_from(at).unwrap_or(usize::MAX) % PAGE_BYTES;
        let step = (PAGE_BYTES - in_page).min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let in_data = usize::try_from(at - offset).unwrap_or(usize::MAX);
        each(page, in_page..in_page + step, in_data..in_data + step);
        at += step as u64;
    }
}
