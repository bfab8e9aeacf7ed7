//! Sizes of the simulated disk.

/// Pages in which content is shared and room is counted.
pub(super) const PAGE_BYTES: usize = 4096;

/// What a disk writes as a whole, or not.
pub(super) const SECTOR_BYTES: u64 = 512;

/// Room on a disk for which no limit was set.
pub(super) const CAPACITY_BYTES: u64 = 1 << 40;
