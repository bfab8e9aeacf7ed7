//! Each sync that fails, each allocation without room, a disk that is full: nothing is lost, and nothing is said that is not so.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "where they panic, the test fails")]

mod support;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_codec::table::FieldTable;
use leveret_engine::journal::{Journal as _, Record, SeqRange};
use leveret_engine::message::Parts;
use leveret_engine::names::QueueId;
use leveret_store::Store;
use leveret_store::options::Options;
use leveret_store::sim::{Fault, Operation, Random, SimDisk};

use support::driver::{Driver, Possible};
use support::{count_failures, small_options};

/// Things that are done to a store in a run.
const ACTIONS: usize = 50;

fn driver(seed: u64) -> Driver {
    let mut driver = Driver::new(SimDisk::new(), small_options(&mut Random::new(seed)), Random::new(seed)).unwrap();
    driver.declare_queue();
    driver.publish();
    driver.commit().unwrap();
    driver
}

/// What power cuts leave must be what it may be.
fn check_images(driver: &Driver, possible: &Possible) {
    for seed in 0..4 {
        let image = driver.disk.crash_image(seed);
        Driver::open(image, driver.options.clone(), Random::new(seed), possible)
            .unwrap_or_else(|(error, _)| panic!("after a crash: {error}"));
    }
}

#[test]
fn nothing_is_durable_after_a_sync_that_failed() {
    let mut failed = 0;
    for seed in 1..7 {
        for after in 0.. {
            let mut driver = driver(seed);
            let operations = &[Operation::Sync, Operation::SyncDir];
            driver.disk.set_faults(vec![Fault { operations, after, times: 1, kind: io::ErrorKind::Other }]);
            if !(0..ACTIONS).any(|_| driver.act().is_err() || driver.disk.has_failed()) {
                break;
            }
            failed += 1;
            let possible = driver.possible();
            check_images(&driver, &possible);
            // Whatever is tried now, no more may be promised than is kept.
            for _ in 0..5 {
                driver.publish();
                let _ = driver.commit();
                let _ = driver.keep();
            }
            let possible = driver.possible();
            check_images(&driver, &possible);
        }
    }
    assert!(failed > 50, "{failed}");
}

#[test]
fn failure_is_told_by_the_threads_and_nothing_is_durable_any_more() {
    for operations in [&[Operation::Sync][..], &[Operation::Write][..]] {
        let mut options = Options { disk_free_min_bytes: 0, ..Options::default() };
        options.journal_file_bytes = 1 << 16;
        options.block_bytes_max = 1 << 14;
        let failures = count_failures(&mut options);
        let mut driver = Driver::new(SimDisk::new(), options, Random::new(1)).unwrap();
        driver.declare_queue();
        driver.commit().unwrap();
        let durable = driver.store.durable();
        driver.disk.set_faults(vec![Fault { operations, after: 0, times: u64::MAX, kind: io::ErrorKind::Other }]);
        let threads = driver.store.start().unwrap();
        for _ in 0..10 {
            driver.publish();
        }
        let begun = Instant::now();
        while failures.load(Ordering::SeqCst) == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody was told");
            std::thread::park_timeout(Duration::from_millis(1));
        }
        assert_eq!(driver.store.durable(), durable);
        drop(threads);
        assert_eq!(driver.store.durable(), durable);
    }
}

#[test]
fn want_of_room_at_any_operation_loses_nothing() {
    let mut struck = 0;
    for seed in 1..7 {
        for after in 0.. {
            let mut driver = driver(seed);
            let operations = &[Operation::Allocate, Operation::Create, Operation::SetLen];
            driver.disk.set_faults(vec![Fault { operations, after, times: 2, kind: io::ErrorKind::StorageFull }]);
            for _ in 0..ACTIONS {
                driver.act().unwrap_or_else(|error| panic!("seed {seed} operation {after}: {error}"));
            }
            if !driver.disk.has_failed() {
                break;
            }
            struck += 1;
            all_is_well(driver);
        }
    }
    assert!(struck > 20, "{struck}");
}

/// There is room again: everything that was appended becomes durable, and is there after a crash.
fn all_is_well(mut driver: Driver) {
    driver.disk.set_faults(Vec::new());
    for _ in 0..10 {
        driver.commit().unwrap();
        driver.keep().unwrap();
    }
    driver.check_now().unwrap();
    let possible = driver.possible();
    assert!(possible.durable >= possible.steps.last().unwrap().lsn, "all of it is durable");
    check_images(&driver, &possible);
}

#[test]
fn full_disk_stops_nothing_for_good() {
    for seed in 1..60 {
        let mut driver = driver(seed);
        for _ in 0..20 + seed {
            driver.act().unwrap();
        }
        // Not a byte is free; and now and then even less.
        driver.disk.set_capacity(driver.disk.used_bytes());
        for _ in 0..30 {
            driver.act().unwrap_or_else(|error| panic!("seed {seed}, on a full disk: {error}"));
        }
        let possible = driver.possible();
        for image in [driver.disk.process_kill_image(), driver.disk.crash_image(seed)] {
            image.set_capacity(image.used_bytes());
            let mut after = Driver::open(image, driver.options.clone(), Random::new(seed), &possible)
                .unwrap_or_else(|(error, _)| panic!("seed {seed}, started on a full disk: {error}"));
            for _ in 0..10 {
                after.act().unwrap_or_else(|error| panic!("seed {seed}, after a start on a full disk: {error}"));
            }
            after.disk.set_capacity(1 << 30);
            all_is_well(after);
        }
        driver.disk.set_capacity(1 << 30);
        all_is_well(driver);
    }
}

#[test]
fn a_blob_stays_until_the_disk_knows_that_nobody_refers_to_it() {
    let disk = SimDisk::new();
    let options = small_options(&mut Random::new(1));
    let (store, ..) = Store::open(Arc::new(disk.clone()), options.clone()).unwrap();
    let (queue, arguments) = (QueueId(1), FieldTable::default());
    store.append(&Record::QueueDeclared {
        vhost: "/",
        name: "q",
        id: queue,
        auto_delete: false,
        arguments: &arguments,
    });
    let mut writer = store.blobs().unwrap().create();
    writer.append(Bytes::from_static(&[7; 3000]));
    let blob = writer.finish();
    let mut at = Vec::new();
    store.append_bodies(&[Parts { properties: &[0, 0], blob: Some(&blob), ..Parts::EMPTY }], &mut at);
    store.append(&Record::Enqueue { queue, first_seq: 1, bodies: &at, bytes: 3000, transient: false });
    while store.commit().unwrap() {}
    drop(blob);
    // The process dies when the acknowledgement was written, and not synced.
    let ranges = [SeqRange { first: 1, last: 1 }];
    store.append(&Record::Settle { queue, ranges: &ranges, bytes: 3000, transient: false });
    let left = Arc::new(Mutex::new(None));
    let taken = Arc::clone(&left);
    disk.set_hook(Some(Arc::new(move |disk, operation| {
        if operation == Operation::Write {
            taken.lock().unwrap().get_or_insert_with(|| disk.process_kill_image());
        }
    })));
    store.commit().unwrap();
    let left = left.lock().unwrap().take().unwrap();
    // The next one has read it, and the power fails while it starts.
    let (images, seeds) = (Arc::new(Mutex::new(Vec::new())), AtomicU64::new(0));
    let taken = Arc::clone(&images);
    left.set_hook(Some(Arc::new(move |disk, _| {
        let some = (0..16).map(|_| disk.crash_image(seeds.fetch_add(1, Ordering::Relaxed)));
        taken.lock().unwrap().extend(some);
    })));
    let (_store, restored, _) = Store::open(Arc::new(left.clone()), options.clone()).unwrap();
    assert_eq!(restored.queues[0].messages, 0);
    left.set_hook(None);
    let images = std::mem::take(&mut *images.lock().unwrap());
    let mut back = 0;
    for image in images {
        let (store, restored, _) = Store::open(Arc::new(image), options.clone()).unwrap();
        let page = store.read(queue, SeqRange { first: 0, last: 9 }, 10, 1 << 20).unwrap();
        assert_eq!(page.messages.len() as u64, restored.queues[0].messages, "it is there, and its blob is not");
        back += restored.queues[0].messages;
    }
    assert!(back > 0, "the acknowledgement was never lost");
}
