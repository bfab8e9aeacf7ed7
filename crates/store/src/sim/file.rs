//! One file of the simulated disk: what a power cut leaves of it, and what was written since.

use std::sync::Arc;

use crate::sim::content::Content;
use crate::sim::limits::{PAGE_BYTES, SECTOR_BYTES};
use crate::sim::random::Random;

/// A change that no sync has made durable.
#[derive(Clone, Debug)]
struct Change {
    kind: ChangeKind,
    /// A sync that covered it failed: the kernel believes it clean, and no later sync will write it.
    forgotten: bool,
}

#[derive(Clone, Debug)]
enum ChangeKind {
    Write { offset: u64, data: Arc<[u8]> },
    Allocate { len: u64 },
    SetLen { len: u64 },
}

/// A file, whatever its names are.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What is seen while the machine runs.
    pub(super) seen: Content,
    /// What a power cut leaves for certain.
    durable: Content,
    /// What came since, in order.
    changes: Vec<Change>,
}

impl Inode {
    /// A file on a disk on which everything is durable.
    pub(super) fn durable(content: Content) -> Self {
        Self { durable: content.clone(), seen: content, changes: Vec::new() }
    }

    pub(super) fn write_at(&mut self, offset: u64, data: &[u8]) {
        self.seen.write_at(offset, data);
        self.changed(ChangeKind::Write { offset, data: data.into() });
    }

    pub(super) fn allocate(&mut self, len: u64, zeros: &Arc<[u8; PAGE_BYTES]>) {
        self.seen.allocate(len, zeros);
        self.changed(ChangeKind::Allocate { len });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.seen.set_len(len);
        self.changed(ChangeKind::SetLen { len });
    }

    fn changed(&mut self, kind: ChangeKind) {
        self.changes.push(Change { kind, forgotten: false });
    }

    /// All changes are durable, but those that a failed sync left behind.
    pub(super) fn sync(&mut self, zeros: &Arc<[u8; PAGE_BYTES]>) {
        if self.changes.iter().all(|change| !change.forgotten) {
            self.changes.clear();
            self.durable = self.seen.clone();
            return;
        }
        for change in self.changes.extract_if(.., |change| !change.forgotten) {
            apply(&mut self.durable, &change.kind, zeros);
        }
    }

    pub(super) fn sync_failed(&mut self) {
        self.changes.iter_mut().for_each(|change| change.forgotten = true);
    }

    /// What a power cut leaves: of the changes any subset, some sectors half done.
    pub(super) fn after_power_cut(&self, random: &mut Random, zeros: &Arc<[u8; PAGE_BYTES]>) -> Content {
        let mut content = self.durable.clone();
        // Everything in between, but also the two ends: nothing got through, or all but a few sectors did.
        let kept_of_16 = match random.below(4) {
            0 => 0,
            1 => 15,
            2 => 16,
            _ => random.below(17),
        };
        for change in &self.changes {
            match &change.kind {
                ChangeKind::Write { offset, data } => keep_sectors(&mut content, *offset, data, kept_of_16, random),
                other if random.chance(kept_of_16, 16) => apply(&mut content, other, zeros),
                _ => {}
            }
        }
        content
    }
}

fn apply(content: &mut Content, kind: &ChangeKind, zeros: &Arc<[u8; PAGE_BYTES]>) {
    match kind {
        ChangeKind::Write { offset, data } => content.write_at(*offset, data),
        ChangeKind::Allocate { len } => content.allocate(*len, zeros),
        ChangeKind::SetLen { len } => content.set_len(*len),
    }
}

/// Keeps or loses each sector of a write by itself; one in a while is torn or full of garbage.
fn keep_sectors(content: &mut Content, offset: u64, data: &[u8], kept_of_16: u64, random: &mut Random) {
    let end = offset + data.len() as u64;
    let mut at = offset;
    while at < end {
        let sector_end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
        let stop = sector_end.min(end);
        let part = |from: u64, to: u64| {
            let index = |position: u64| usize::try_from(position - offset).unwrap_or(usize::MAX);
            data.get(index(from)..index(to)).unwrap_or_default()
        };
        if random.chance(kept_of_16, 16) {
            content.write_at(at, part(at, stop));
        } else if kept_of_16 > 0 && random.chance(1, 16) {
            // Torn: the first bytes of it are new.
            let cut = at + random.below(stop - at);
            content.write_at(at, part(at, cut));
        } else if kept_of_16 > 0 && random.chance(1, 16) {
            let garbage: Vec<u8> = (at..stop).map(|_| random.number().to_le_bytes()[0]).collect();
            content.write_at(at, &garbage);
        }
        at = stop;
    }
}
