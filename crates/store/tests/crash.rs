//! The store against its model on a disk that loses power after each of its operations.
//!
//! `cargo test -p leveret-store --test crash` takes some thousand crash points. The full run takes 100,000:
//! `cargo test --release -p leveret-store --test crash -- --ignored`, or as many as `LEVERET_CRASH_POINTS` says. A failure
//! prints its seed: `LEVERET_CRASH_SEED` runs that one alone, and a line in `tests/seeds/crash.txt` keeps it for good.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "where they panic, the test fails")]

mod support;

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use leveret_engine::journal::Journal as _;
use leveret_store::options::Options;
use leveret_store::sim::{Random, SimDisk};

use support::driver::{Driver, Possible, start};
use support::small_options;

/// Crash points of the run that is always done.
const POINTS_SHORT: u64 = 4000;
/// Crash points of the full run.
const POINTS_FULL: u64 = 100_000;
/// Threads of a run: it shall not take more than small machines have.
const THREADS: usize = 2;
/// Lives of one store in a run.
const LIVES: u64 = 3;

/// Of what the store logged, so much is told with a failure.
const LOG_LINES: usize = 12;

/// One image in so many is what the end of the process leaves; the others are what a power cut does.
const KILLS: u64 = 4;

/// A disk as it was left, and what may be found on it.
struct Shot {
    image: SimDisk,
    durable: u64,
    /// How many records had been appended.
    steps: usize,
    /// Only the process ended: what was not synced is there, and may still be lost.
    killed: bool,
}

#[test]
fn what_was_durable_is_there_and_nothing_that_never_was() {
    crash(POINTS_SHORT);
}

#[test]
#[ignore = "takes minutes without optimization: `cargo xtask test` runs it with"]
fn what_was_durable_is_there_and_nothing_that_never_was_at_many_points() {
    crash(number("LEVERET_CRASH_POINTS").unwrap_or(POINTS_FULL));
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| u64::from_str(&text).expect("a number"))
}

fn crash(points_wanted: u64) {
    if let Some(seed) = number("LEVERET_CRASH_SEED") {
        println!("seed {seed}: {} crash points", run_or_tell(seed));
        return;
    }
    let kept = include_str!("seeds/crash.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut points: u64 = kept.map(|line| run_or_tell(line.trim().parse().expect("a seed"))).sum();
    points += run_many(points_wanted.saturating_sub(points));
    println!("{points} crash points");
    assert!(points >= points_wanted);
}

fn run_many(points_wanted: u64) -> u64 {
    let (next_seed, points) = (AtomicU64::new(1), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while points.load(Ordering::Relaxed) < points_wanted {
                    let found = run_or_tell(next_seed.fetch_add(1, Ordering::Relaxed));
                    points.fetch_add(found, Ordering::Relaxed);
                }
            });
        }
    });
    println!("seeds 1 to {}", next_seed.into_inner() - 1);
    points.into_inner()
}

/// Says which seed it was before the panic goes on.
struct Tell(u64);

impl Drop for Tell {
    fn drop(&mut self) {
        if thread::panicking() {
            let seed = self.0;
            eprintln!("seed {seed} failed: LEVERET_CRASH_SEED={seed} runs it again, tests/seeds/crash.txt keeps it");
        }
    }
}

fn run_or_tell(seed: u64) -> u64 {
    let _tell = Tell(seed);
    support::log::collect(|| run(seed)).unwrap_or_else(|error| {
        let log = support::log::take();
        let last = log.iter().rev().take(LOG_LINES).rev();
        panic!("seed {seed}: {error}\nlogged last: {:#?}", last.collect::<Vec<_>>())
    })
}

/// The crash points of some lives of one store.
fn run(seed: u64) -> Result<u64, String> {
    let mut random = Random::new(seed);
    let options = small_options(&mut random);
    let mut points = 0;
    let first = start();
    let possible = Possible { steps: vec![first], durable: 0 };
    points += crash_while_opening(&SimDisk::new(), &options, &possible, &mut random, 64)?;
    let mut driver = Driver::new(SimDisk::new(), options, Random::new(random.number()))?;
    for _ in 0..LIVES {
        points += live(&mut driver, &mut random)?;
        driver = driver.restart()?;
        points += 1;
    }
    empty_out(driver)?;
    Ok(points)
}

/// Lets a store do some things, and the power fail, or the process end, after each operation of its disk.
fn live(driver: &mut Driver, random: &mut Random) -> Result<u64, String> {
    let shots = Arc::new(Mutex::new(Vec::new()));
    let (store, taken) = (Arc::downgrade(&driver.store), Arc::clone(&shots));
    let seeds = AtomicU64::new(random.number());
    driver.disk.set_hook(Some(Arc::new(move |disk, _| {
        let Some(store) = store.upgrade() else { return };
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        let killed = seed.is_multiple_of(KILLS);
        let image = if killed { disk.process_kill_image() } else { disk.crash_image(seed) };
        taken.lock().unwrap().push((image, store.durable().0, killed));
    })));
    let mut points = 0;
    for _ in 0..20 + random.below(30) {
        let steps = driver.history.len();
        driver.act()?;
        for (image, durable, killed) in std::mem::take(&mut *shots.lock().unwrap()) {
            points += verify(driver, Shot { image, durable, steps, killed }, random)?;
        }
    }
    driver.disk.set_hook(None);
    Ok(points)
}

/// Starts on what is left, which must be what it may be; and now and then goes on there, and crashes again.
fn verify(driver: &Driver, shot: Shot, random: &mut Random) -> Result<u64, String> {
    let possible = Possible { steps: driver.history[..shot.steps].to_vec(), durable: shot.durable };
    let options = &driver.options;
    let mut points = 1;
    if random.chance(1, if shot.killed { 4 } else { 16 }) {
        points += crash_while_opening(&shot.image, options, &possible, random, 6)?;
    }
    let mut after = Driver::open(shot.image, options.clone(), Random::new(random.number()), &possible)
        .map_err(|(error, _)| format!("after a crash: {error}"))?;
    if random.chance(1, if shot.killed { 1 } else { 4 }) {
        for _ in 0..random.below(8) {
            after.act().map_err(|error| format!("going on after a crash: {error}"))?;
        }
        let (possible, image) = (after.possible(), after.disk.crash_image(random.number()));
        Driver::open(image, options.clone(), Random::new(random.number()), &possible)
            .map_err(|(error, _)| format!("after a crash after a crash: {error}"))?;
        points += 1;
    }
    Ok(points)
}

/// The power fails while a store is opened: it must hold what it may all the same.
fn crash_while_opening(
    disk: &SimDisk,
    options: &Options,
    possible: &Possible,
    random: &mut Random,
    points_max: usize,
) -> Result<u64, String> {
    let disk = disk.process_kill_image();
    let images = Arc::new(Mutex::new(Vec::new()));
    let (taken, seeds) = (Arc::clone(&images), AtomicU64::new(random.number()));
    disk.set_hook(Some(Arc::new(move |disk, _| {
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        let mut taken = taken.lock().unwrap();
        if taken.len() < points_max {
            taken.push(disk.crash_image(seed));
        }
    })));
    let opened = Driver::open(disk.clone(), options.clone(), Random::new(1), possible);
    let mut driver = opened.map_err(|(error, _)| format!("to be crashed: {error}"))?;
    driver.commit()?;
    disk.set_hook(None);
    let images = std::mem::take(&mut *images.lock().unwrap());
    let points = images.len() as u64;
    for image in images {
        Driver::open(image, options.clone(), Random::new(random.number()), possible)
            .map_err(|(error, _)| format!("after a crash while it was opened: {error}"))?;
    }
    Ok(points)
}

/// A store that holds nothing any more takes no room for what it held.
fn empty_out(mut driver: Driver) -> Result<(), String> {
    driver.delete_all();
    for _ in 0..20 {
        driver.commit()?;
        driver.keep()?;
    }
    let restarted = driver.restart()?;
    let left: Vec<_> = restarted.disk.files().into_iter().filter(|path| path.starts_with("blobs/")).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("{left:?} is left of an empty store")) }
}
