//! Damage to every kind of file: a store starts, and what it holds is true though something may be missing that it says is
//! lost, or it refuses and names the file. Never a panic, never a wrong body.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "where they panic, the test fails")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use leveret_store::options::Options;
use leveret_store::sim::{Random, SimDisk};
use leveret_store::{Error, StdDisk, Store};

use support::content::Content;
use support::driver::{Driver, normal};
use support::inspect::{content_of, readable_of};
use support::log;
use support::{count_failures, small_options};

/// A store at rest, and what it holds.
struct Rest {
    disk: SimDisk,
    options: Options,
    /// What it held after each record; the last is what it should hold.
    steps: Vec<Content>,
}

/// What a start on damaged files came to.
enum Outcome {
    /// It holds all that it should.
    Whole,
    /// Something is missing, and a message or a report says so.
    Less,
    Refused(Error),
}

/// A store with files of every kind, stopped in the way that is asked for.
fn rest(seed: u64, clean: bool) -> Rest {
    let mut random = Random::new(seed);
    let options = Options { forward_bytes_max: 300, ..small_options(&mut random) };
    let mut driver = Driver::new(SimDisk::new(), options, Random::new(seed)).unwrap();
    for _ in 0..3 {
        driver.declare_queue();
    }
    for _ in 0..60 {
        driver.act().unwrap();
    }
    for _ in 0..12 {
        driver.publish();
        driver.commit().unwrap();
    }
    driver.keep().unwrap();
    driver.publish();
    while driver.commit().unwrap() {}
    if clean {
        driver.store.start().unwrap().stop().unwrap();
    }
    at_rest(&driver)
}

fn at_rest(driver: &Driver) -> Rest {
    let steps = driver.history.iter().map(|step| normal(step.content.restarted())).collect();
    Rest { disk: driver.disk.process_kill_image(), options: driver.options.clone(), steps }
}

impl Rest {
    /// Starts on the files with one of them changed.
    fn with(&self, path: &str, bytes: Option<&[u8]>, recover: bool) -> Outcome {
        let disk = self.disk.process_kill_image();
        match bytes {
            Some(bytes) => disk.put(path, bytes),
            None => disk.erase(path),
        }
        let options = Options { recover, ..self.options.clone() };
        log::collect(|| self.start(disk, options, path))
    }

    fn start(&self, disk: SimDisk, options: Options, path: &str) -> Outcome {
        let (store, restored, recovery) = match Store::open(Arc::new(disk), options) {
            Ok(opened) => opened,
            Err(error) => return Outcome::Refused(error),
        };
        let found = match readable_of(&store, &restored) {
            Ok(found) => found,
            Err(error) => {
                // Of a blob it is told by who reads it.
                assert!(error.contains(path), "{path} is damaged, and the error is {error}");
                return Outcome::Less;
            }
        };
        let normal_steps = || self.steps.iter().rev();
        if normal_steps().next() == Some(&found) {
            return Outcome::Whole;
        }
        // A damaged end of the journal cannot be told from one that was being written when the power failed.
        if normal_steps().any(|step| *step == found) {
            return Outcome::Less;
        }
        let told = format!("{recovery:?} {:?}", log::take());
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let truth = self.steps.last().unwrap();
        assert!(told.contains(name), "{path}: {} and all that is said is {told}", truth.difference(&found));
        self.assert_true(&found, path);
        Outcome::Less
    }

    /// Messages that are there are those that were: each byte of them has been looked at.
    fn assert_true(&self, found: &Content, path: &str) {
        for (id, queue) in &found.queues {
            for (seq, message) in &queue.messages {
                let is_it = |step: &Content| {
                    let then = step.queues.get(id).and_then(|queue| queue.messages.get(seq));
                    then.is_some_and(|then| (then.id, then.len) == (message.id, message.len))
                };
                assert!(self.steps.iter().any(is_it), "{path}: queue {id} never had message {seq} as {message:?}");
            }
        }
    }

    fn kinds(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut kinds: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for path in self.disk.files() {
            let kind = match path.as_str() {
                "checkpoint" => "checkpoint",
                _ if path.ends_with(".log") => "journal",
                _ if path.ends_with(".spare") => "spare",
                _ if path.ends_with(".seg") => "segment",
                _ if path.ends_with(".blob") => "blob",
                _ => panic!("{path} is of no known kind"),
            };
            kinds.entry(kind).or_default().push(path);
        }
        kinds
    }
}

/// Two of them, made once: stopped in order and killed.
fn rests() -> &'static [Rest; 2] {
    static RESTS: OnceLock<[Rest; 2]> = OnceLock::new();
    RESTS.get_or_init(|| {
        let all_kinds = |rest: &Rest| {
            ["blob", "checkpoint", "journal", "segment", "spare"].iter().all(|kind| rest.kinds().contains_key(kind))
        };
        [true, false].map(|clean| (1..200).map(|seed| rest(seed, clean)).find(all_kinds).expect("files of all kinds"))
    })
}

/// Starts on each file changed in some ways, with and without `recover`.
fn damage(each: impl Fn(&str, &[u8], &mut Random) -> Vec<Option<Vec<u8>>>) {
    let mut random = Random::new(7);
    let (mut whole, mut less, mut refused) = (0, 0, 0);
    for rest in rests() {
        for path in rest.kinds().into_values().flatten() {
            let bytes = rest.disk.contents(&path).unwrap();
            for changed in each(&path, &bytes, &mut random) {
                match rest.with(&path, changed.as_deref(), false) {
                    Outcome::Whole => whole += 1,
                    Outcome::Less => less += 1,
                    Outcome::Refused(error) => {
                        refused += 1;
                        assert!(error.to_string().contains(&path), "{path} is damaged, and the error is {error}");
                        recover(rest, &path, changed.as_deref());
                    }
                }
            }
        }
    }
    println!("{whole} whole, {less} less, {refused} refused");
    assert!(whole + less + refused > 0);
}

/// What refuses to start starts when it is told to skip; only a checkpoint tells what nothing else does.
fn recover(rest: &Rest, path: &str, changed: Option<&[u8]>) {
    if let Outcome::Refused(error) = rest.with(path, changed, true) {
        assert_eq!(path, "checkpoint", "with recover: {error}");
    }
}

fn flipped(bytes: &[u8], bit: u64) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    bytes[bit as usize / 8] ^= 1 << (bit % 8);
    Some(bytes)
}

#[test]
fn flipped_bits_are_found() {
    damage(|_, bytes, random| (0..60).map(|_| flipped(bytes, random.below(bytes.len() as u64 * 8))).collect());
}

#[test]
fn every_flipped_bit_of_a_small_store_is_found() {
    let mut driver = Driver::new(SimDisk::new(), small_options(&mut Random::new(3)), Random::new(3)).unwrap();
    driver.declare_queue();
    driver.publish();
    driver.commit().unwrap();
    driver.store.start().unwrap().stop().unwrap();
    let rest = at_rest(&driver);
    for path in rest.disk.files() {
        let bytes = rest.disk.contents(&path).unwrap();
        let used = bytes.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
        for bit in 0..used as u64 * 8 {
            if let Outcome::Refused(error) = rest.with(&path, flipped(&bytes, bit).as_deref(), false) {
                assert!(error.to_string().contains(&path), "{path} bit {bit}: {error}");
            }
        }
    }
}

#[test]
fn cut_tails_are_found() {
    damage(|_, bytes, random| {
        let lengths = (0..40).map(|_| random.below(bytes.len() as u64)).chain([0, 1, bytes.len() as u64 - 1]);
        lengths.map(|len| Some(bytes[..len as usize].to_vec())).collect()
    });
}

#[test]
fn every_cut_of_a_checkpoint_is_found() {
    damage(|path, bytes, _| {
        if path != "checkpoint" {
            return Vec::new();
        }
        (0..bytes.len()).map(|len| Some(bytes[..len].to_vec())).collect()
    });
}

#[test]
fn garbage_is_found() {
    damage(|_, bytes, random| {
        let mut garbage = |len: usize| (0..len).map(|_| random.number() as u8).collect::<Vec<u8>>();
        let mut part = bytes.to_vec();
        let at = part.len() / 3;
        let len = 700.min(part.len() - at);
        part[at..at + len].copy_from_slice(&garbage(len));
        vec![Some(garbage(bytes.len())), Some(garbage(100)), Some(part), Some(vec![0; bytes.len()]), Some(Vec::new())]
    });
}

#[test]
fn missing_files_are_found() {
    damage(|_, _, _| vec![None]);
}

#[test]
fn a_journal_that_ends_before_the_checkpoint_is_found() {
    let mut driver = Driver::new(SimDisk::new(), small_options(&mut Random::new(3)), Random::new(3)).unwrap();
    driver.declare_queue();
    driver.store.close().unwrap();
    let mut driver =
        Driver::open(driver.disk.clone(), driver.options.clone(), Random::new(4), &driver.possible()).unwrap();
    driver.declare_queue();
    driver.commit().unwrap();
    let rest = at_rest(&driver);
    let path = "journal/0000000001.log";
    // With all of the file what came after the checkpoint would be gone, and nothing else says that there was anything.
    for bytes in [None, Some(&b""[..])] {
        let Outcome::Refused(error) = rest.with(path, bytes, false) else { panic!("it starts without {path}") };
        assert!(error.to_string().contains(path), "{error}");
        assert!(!matches!(rest.with(path, bytes, true), Outcome::Refused(_)));
    }
}

#[test]
fn lock_keeps_others_out_whatever_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    for garbage in [&b""[..], b"garbage\xff\xfe", b"99999999999999999999", &[0; 5000]] {
        std::fs::write(dir.path().join("lock"), garbage).unwrap();
        let disk = StdDisk::open(dir.path()).unwrap();
        let error = StdDisk::open(dir.path()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Locked { .. }), "{text}");
        assert!(text.contains(&dir.path().display().to_string()), "{text}");
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        drop(disk);
    }
    std::fs::remove_file(dir.path().join("lock")).unwrap();
    drop(StdDisk::open(dir.path()).unwrap());
}

#[test]
fn store_on_a_real_directory_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut options = small_options(&mut Random::new(5));
        let failures = count_failures(&mut options);
        let disk = Arc::new(StdDisk::open(dir.path()).unwrap());
        let (store, restored, _) = Store::open(disk, options).unwrap();
        content_of(&store, &restored).unwrap();
        store.start().unwrap().stop().unwrap();
        assert_eq!(failures.load(std::sync::atomic::Ordering::SeqCst), 0);
    }
}
