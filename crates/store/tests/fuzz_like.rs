//! The fuzz targets' entry functions on seeded mutations of valid files: `fuzz/` does the same without end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "where they panic, the test fails")]

mod support;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use leveret_store::options::Options;
use leveret_store::sim::{Random, SimDisk, fuzz};

use support::driver::Driver;
use support::small_options;

/// Executions of the entry functions that only decode.
const EXECUTIONS: u64 = 45_000;
/// Executions of those that need a disk, or a store.
const EXECUTIONS_SLOW: u64 = 3_000;

/// Valid files by the end of their names.
fn files() -> &'static BTreeMap<String, Vec<Vec<u8>>> {
    static FILES: OnceLock<BTreeMap<String, Vec<Vec<u8>>>> = OnceLock::new();
    FILES.get_or_init(write_files)
}

fn write_files() -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut files: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for seed in 1..8 {
        let options = Options {
            journal_file_bytes: fuzz::JOURNAL_FILE_BYTES,
            block_bytes_max: 2048,
            forward_bytes_max: 300,
            ..small_options(&mut Random::new(seed))
        };
        let mut driver = Driver::new(SimDisk::new(), options, Random::new(seed)).unwrap();
        for _ in 0..100 {
            driver.act().unwrap();
        }
        driver.store.close().unwrap();
        for path in driver.disk.files() {
            let end = path.rsplit(['.', '/']).next().unwrap().to_owned();
            files.entry(end).or_default().push(driver.disk.contents(&path).unwrap());
        }
    }
    files
}

/// Changes a few bytes, or many, or the length.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(6) {
        let len = bytes.len() as u64;
        if len == 0 {
            return bytes.push(random.number() as u8);
        }
        let at = random.below(len) as usize;
        let until = (at + 1 + random.below(40) as usize).min(bytes.len());
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.number() as u8,
            2 => bytes[at..until].fill([0, 0xff, 0x7f, 0x80][random.below(4) as usize]),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..until)),
            5 => {
                let copy = bytes[at..until].to_vec();
                let to = random.below(bytes.len() as u64) as usize;
                bytes.splice(to..to, copy);
            }
            _ => bytes[at..until].iter_mut().for_each(|octet| *octet = random.number() as u8),
        }
    }
}

fn exercise(seeds: &[Vec<u8>], executions: u64, entry: fn(&[u8])) {
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| entry(seed));
    for execution in 0..executions {
        let mut random = Random::new(execution);
        let mut bytes = seeds[random.below(seeds.len() as u64) as usize].clone();
        mutate(&mut bytes, &mut random);
        let outcome = std::panic::catch_unwind(|| entry(&bytes));
        assert!(outcome.is_ok(), "execution {execution} panicked");
    }
}

/// The records of journal files, without the heads of their blocks.
fn payloads(journals: &[Vec<u8>]) -> Vec<Vec<u8>> {
    const HEADER_BYTES: usize = 40;
    let mut payloads = Vec::new();
    for journal in journals {
        for block in journal.chunks(512).filter(|block| block.starts_with(b"LVRJ")) {
            payloads.push(block[HEADER_BYTES..].to_vec());
        }
    }
    payloads
}

#[test]
fn records_take_any_bytes() {
    exercise(&payloads(&files()["log"]), EXECUTIONS, fuzz::records);
}

#[test]
fn blocks_take_any_records() {
    exercise(&payloads(&files()["log"]), EXECUTIONS_SLOW, fuzz::block);
}

#[test]
fn journal_takes_any_bytes() {
    exercise(&files()["log"], EXECUTIONS_SLOW, fuzz::journal);
}

#[test]
fn segment_takes_any_bytes() {
    exercise(&files()["seg"], EXECUTIONS_SLOW, fuzz::segment);
}

#[test]
fn checkpoint_takes_any_bytes() {
    exercise(&files()["checkpoint"], EXECUTIONS, fuzz::checkpoint);
}
