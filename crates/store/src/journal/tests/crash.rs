//! Ends that are not whole, damage, and going on after both.

use proptest::prelude::*;

use super::*;
use crate::checksum::{crc32c, crc32c_append};

/// A journal of four commits in file 1; where each block begins in it, and the end.
fn four_blocks() -> (Arc<TestDisk>, [usize; 5]) {
    let disk = TestDisk::new();
    let log = open(&disk);
    let mut ends = [0; 5];
    for number in 1..=4u64 {
        mark(&log, number);
        body(&log, &[9; 600]);
        ends[usize::try_from(number).unwrap()] = usize::try_from(commit(&log).position - FILE_BYTES).unwrap();
    }
    (disk, ends)
}

fn marks(disk: &Arc<TestDisk>, options: &Options) -> Result<(Vec<u64>, Replayed), Error> {
    replayed(disk, options)
        .map(|(numbers, replayed)| (numbers.into_iter().filter(|number| *number < 1_000_000).collect(), replayed))
}

#[test]
fn a_last_block_cut_anywhere_is_left_off() {
    let (disk, [.., last, end]) = four_blocks();
    for cut in last..end {
        let torn = disk.copy();
        // What was never written reads as zeros, or the file is shorter.
        torn.change(&files::path(1), |bytes| bytes[cut..end].fill(0));
        let shorter = disk.copy();
        shorter.change(&files::path(1), |bytes| bytes.truncate(cut));
        for torn in [torn, shorter] {
            let (numbers, replayed) = marks(&torn, &options()).unwrap();
            // The block's payload ends before its padding does.
            if numbers.len() == 4 {
                assert!(end - cut < 512);
                continue;
            }
            assert_eq!(numbers, [1, 2, 3], "cut at {cut}");
            assert_eq!(replayed.tail.position, FILE_BYTES + last as u64);
            if cut >= last + block::HEADER_BYTES {
                let cut = replayed.cut.unwrap();
                assert_eq!((&*cut.path, cut.offset), ("journal/0000000001.log", last as u64));
                assert_eq!(cut.bytes, (end - last) as u64);
            }
        }
    }
}

#[test]
fn a_cut_journal_goes_on_where_it_was_cut() {
    let (disk, [.., last, end]) = four_blocks();
    disk.change(&files::path(1), |bytes| bytes[end - 600] ^= 1);
    for start in 2..6u64 {
        let (numbers, replayed) = marks(&disk, &options()).unwrap();
        assert_eq!(numbers.len() as u64, start + 1);
        let log = open_with(&disk, &options(), replayed.tail);
        assert_eq!(u64::from(log.epoch()), start);
        mark(&log, 100 + start);
        commit(&log);
    }
    let (numbers, replayed) = marks(&disk, &options()).unwrap();
    assert_eq!(numbers, [1, 2, 3, 102, 103, 104, 105]);
    assert_eq!(replayed.tail.position, FILE_BYTES + last as u64 + 4 * 512);
}

#[test]
fn a_flipped_bit_before_the_end_refuses() {
    let (disk, ends) = four_blocks();
    for (broken, block) in ends.windows(2).take(3).enumerate() {
        for bit in (8 * block[0]..8 * (block[0] + 670)).step_by(7) {
            let damaged = disk.copy();
            damaged.change(&files::path(1), |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            let error = marks(&damaged, &options()).unwrap_err();
            let Error::Corrupt { path, offset, .. } = &error else { panic!("{error}") };
            assert_eq!((&**path, *offset), ("journal/0000000001.log", block[0] as u64));
            assert!(error.to_string().contains("--recover"), "{error}");

            let (numbers, replayed) = marks(&damaged, &Options { recover: true, ..options() }).unwrap();
            let wanted: Vec<u64> = (1..=4).filter(|number| *number != broken as u64 + 1).collect();
            assert_eq!(numbers, wanted);
            let skipped = &replayed.skipped[0];
            assert_eq!((skipped.offset, skipped.bytes), (block[0] as u64, (block[1] - block[0]) as u64));
            assert_eq!(skipped.until, FILE_BYTES + block[1] as u64);
        }
    }
}

#[test]
fn a_missing_file_refuses() {
    let disk = TestDisk::new();
    let log = open(&disk);
    for number in 0..30 {
        mark(&log, number);
        body(&log, &[0; 800]);
        commit(&log);
    }
    assert!(log.files_in_use().len() >= 4);
    disk.remove(&files::path(2)).unwrap();
    let error = marks(&disk, &options()).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { path, offset: 0, .. } if path == "journal/0000000002.log"), "{error}");
    let (numbers, replayed) = marks(&disk, &Options { recover: true, ..options() }).unwrap();
    assert_eq!((numbers.last(), replayed.skipped.len()), (Some(&29), 1));
    assert_eq!(replayed.tail.position, log.durable().0);
}

#[test]
fn an_end_before_what_the_checkpoint_says_refuses() {
    let (disk, [.., end]) = four_blocks();
    let disk: Arc<dyn Disk> = disk;
    let at_least = FILE_BYTES + end as u64;
    let mut each = |_: u64, _: Logged<'_>| Ok(());
    replay(&disk, &options(), Tail::fresh(FILE_BYTES), at_least, &mut each).unwrap();
    let more = at_least + 512;
    let error = replay(&disk, &options(), Tail::fresh(FILE_BYTES), more, &mut each).unwrap_err();
    assert!(matches!(error, Error::Corrupt { offset, .. } if offset == end as u64), "{error}");
    let recover = Options { recover: true, ..options() };
    let replayed = replay(&disk, &recover, Tail::fresh(FILE_BYTES), more, &mut each).unwrap();
    assert_eq!((replayed.tail.position, replayed.skipped.len()), (more, 1));
}

#[test]
fn a_later_version_refuses() {
    let (disk, [_, first, ..]) = four_blocks();
    disk.change(&files::path(1), |bytes| {
        bytes[4] = 2;
        let header = block::Header::parse(bytes).unwrap();
        let len = usize::try_from(header.block_bytes()).unwrap();
        let crc = crc32c_append(crc32c(&bytes[..36]), &bytes[40..len]);
        bytes[36..40].copy_from_slice(&crc.to_le_bytes());
        // The chain goes on.
        bytes[first + 32..first + 36].copy_from_slice(&crc.to_le_bytes());
    });
    assert!(matches!(marks(&disk, &options()), Err(Error::Version { version: 2, known: 1, .. })));
}

#[test]
fn an_epoch_that_was_begun_in_vain_is_not_used_again() {
    let disk = TestDisk::new();
    let log = open(&disk);
    mark(&log, 1);
    let tail = commit(&log);
    // The second start writes two blocks in one commit; only the second of them reaches the disk.
    let log = open_with(&disk, &options(), tail);
    body(&log, &[1; 3000]);
    body(&log, &[1; 3000]);
    commit(&log);
    let from = usize::try_from(tail.position - FILE_BYTES).unwrap();
    disk.change(&files::path(1), |bytes| bytes[from..from + 512].fill(0));
    let (numbers, replayed) = marks(&disk, &options()).unwrap();
    assert_eq!((numbers, replayed.tail.position), (vec![1], tail.position));
    assert_eq!(open_with(&disk, &options(), replayed.tail).epoch(), 3);
}

#[test]
fn files_beyond_the_end_become_spares() {
    let (disk, _) = four_blocks();
    disk.open(&files::path(2), crate::disk::Mode::Create).unwrap().allocate(FILE_BYTES).unwrap();
    disk.open(&files::path(3), crate::disk::Mode::Create).unwrap();
    disk.open("journal/spare.tmp", crate::disk::Mode::Create).unwrap();
    let (_, replayed) = marks(&disk, &options()).unwrap();
    let log = open_with(&disk, &options(), replayed.tail);
    assert_eq!(log.files_in_use(), [1]);
    assert_eq!(disk.names(), ["journal/0000000000.spare", "journal/0000000001.log"]);
    assert!(!log.prepare_spare().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn garbage_anywhere_is_never_a_panic_or_a_wrong_record(
        at in 0usize..8192, garbage in proptest::collection::vec(any::<u8>(), 1..600), recover: bool,
    ) {
        let (disk, [.., end]) = four_blocks();
        disk.change(&files::path(1), |bytes| {
            let until = (at + garbage.len()).min(bytes.len());
            bytes[at..until].copy_from_slice(&garbage[..until - at]);
        });
        match marks(&disk, &Options { recover, ..options() }) {
            Ok((numbers, _)) => {
                prop_assert!(numbers.iter().all(|number| (1..=4).contains(number)) && numbers.is_sorted());
                prop_assert!(recover || at < end || numbers.len() == 4);
            }
            Err(error) => prop_assert!(!recover, "{}", error),
        }
    }
}
