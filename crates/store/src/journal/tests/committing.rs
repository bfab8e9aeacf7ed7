//! Appending, committing, reading back, changing files.

use std::io::ErrorKind;

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_committed_is_replayed() {
    let disk = TestDisk::new();
    let log = open(&disk);
    log.append_started();
    let first = mark(&log, 1);
    assert!(log.durable() < first);
    let at = body(&log, b"hello");
    commit(&log);
    assert!(log.durable() >= first);
    mark(&log, 2);
    let tail = commit(&log);
    assert!(log.commit().unwrap().is_none(), "nothing is left to do");

    let (numbers, replayed) = replayed(&disk, &options()).unwrap();
    assert_eq!(numbers, [1, 1_000_005, 2]);
    assert_eq!((replayed.tail, replayed.cut, replayed.skipped), (tail, None, Vec::new()));
    assert_eq!(replayed.records, 4);
    let stored = log.read_body(at).unwrap();
    assert_eq!((stored.arrived_ms, Payload::decode(&stored.payload).unwrap().body_len()), (5, 5));
}

#[test]
fn a_commit_is_one_sync_and_tells_its_records() {
    let disk = TestDisk::new();
    let log = open(&disk);
    mark(&log, 1);
    commit(&log);
    let before = disk.syncs();
    let lsn: Vec<Lsn> = (2..50).map(|number| mark(&log, number)).collect();
    let committed = log.commit().unwrap().unwrap();
    assert_eq!(disk.syncs(), before + 1);
    let records: Vec<(u64, Result<Logged<'_>, DecodeError>)> = committed.records().collect();
    assert_eq!(records.len(), 48);
    for ((at, logged), (number, lsn)) in records.into_iter().zip((2..50).zip(lsn)) {
        assert_eq!(logged.unwrap(), Logged::Delivered { queue: QueueId(1), last: number });
        assert!(at < lsn.0 && lsn.0 <= committed.tail().position);
    }
}

#[test]
fn blocks_fill_files_and_go_on_in_the_next() {
    let disk = TestDisk::new();
    let log = open(&disk);
    let mut at = Vec::new();
    for round in 0..40 {
        mark(&log, round);
        at.push(body(&log, &vec![7; 100 * usize::try_from(round).unwrap()]));
        if round % 3 == 1 {
            commit(&log);
        }
    }
    let tail = commit(&log);
    assert!(log.files_in_use().len() > 5);
    assert!(disk.take_dir_synced(), "a new file's name has to survive");

    let (numbers, replayed) = replayed(&disk, &options()).unwrap();
    assert_eq!(numbers, (0..40).flat_map(|round| [round, 1_000_000 + 100 * round]).collect::<Vec<_>>());
    assert_eq!(replayed.tail, tail);
    let mut reader = BodyReader::new(&log);
    for (round, at) in at.into_iter().enumerate() {
        let payload = Payload::decode(reader.read(at).unwrap().payload).unwrap();
        assert_eq!(payload.body, crate::record::PayloadBody::Inline(&vec![7; 100 * round]));
    }
}

#[test]
fn a_record_beyond_a_block_gets_one_of_its_own_and_beyond_a_file_ends_the_log() {
    let disk = TestDisk::new();
    let log = open(&disk);
    mark(&log, 1);
    let at = body(&log, &[3; 6000]);
    mark(&log, 2);
    commit(&log);
    assert_eq!(replayed(&disk, &options()).unwrap().0, [1, 1_006_000, 2]);
    assert_eq!(log.read_body(at).unwrap().payload.len(), 6000 + 19);
    body(&log, &[3; 9000]);
    assert!(matches!(log.commit(), Err(Error::RecordTooLarge { .. })));
}

#[test]
fn old_contents_of_a_recycled_file_are_not_taken_for_new() {
    let disk = TestDisk::new();
    let log = open(&disk);
    let mut numbers = 0..;
    let mut fill = |log: &Log, files: usize| {
        let end = log.files_in_use().last().unwrap_or(&0) + files as u64;
        while log.files_in_use().last().is_none_or(|last| *last < end) {
            mark(log, numbers.next().unwrap());
            body(log, &[1; 450]);
            commit(log);
        }
    };
    fill(&log, 4);
    let stale = BodyAt(FILE_BYTES + 40 + 5);
    log.release_through(2).unwrap();
    assert_eq!((log.oldest_file(), log.files_in_use()), (3, vec![3, 4]));
    assert!(disk.names().iter().filter(|name| name.ends_with(".spare")).count() == 2);
    assert!(matches!(log.read_body(stale), Err(Error::Gone { .. })));
    fill(&log, 2);
    assert!(!disk.names().iter().any(|name| name.ends_with(".spare")), "{:?}", disk.names());

    // A replay from where file 3 begins finds the end, though an old block lies behind it.
    let from = Tail { position: 3 * FILE_BYTES, chain: chain_before(&disk, 3), epoch: 1 };
    let dyn_disk: Arc<dyn Disk> = Arc::clone(&disk) as _;
    let mut count = 0;
    let replayed = replay(&dyn_disk, &options(), from, 0, &mut |_, _| {
        count += 1;
        Ok(())
    });
    let replayed = replayed.unwrap();
    assert_eq!((replayed.tail.position, replayed.cut), (log.durable().0, None));
    assert!(count > 20);
}

fn chain_before(disk: &Arc<TestDisk>, file: u64) -> u32 {
    let mut chain = 0;
    disk.change(&files::path(file), |bytes| chain = block::Header::parse(bytes).unwrap().previous);
    chain
}

#[test]
fn a_reader_that_is_overtaken_by_recycling_finds_no_other_body() {
    let disk = TestDisk::new();
    let log = open(&disk);
    let at = body(&log, &[1; 450]);
    commit(&log);
    let mut reader = BodyReader::new(&log);
    reader.read(at).unwrap();
    // The file is given up and written again, with bodies at the same places, while the reader has it open.
    for _ in 0..60 {
        body(&log, &[2; 450]);
        commit(&log);
    }
    log.release_through(1).unwrap();
    for _ in 0..60 {
        body(&log, &[2; 450]);
        commit(&log);
    }
    let mut late = BodyReader::new(&log);
    assert!(matches!(late.read(at), Err(Error::Gone { .. })));
    // From its window it still reads what it asked for, or it is told that the file is gone.
    match reader.read(at) {
        Ok(body) => assert!(body.payload.ends_with(&[1; 450])),
        Err(error) => assert!(matches!(error, Error::Gone { .. }), "{error}"),
    }
}

#[test]
fn uncommitted_bodies_are_not_read() {
    let log = open(&TestDisk::new());
    let at = body(&log, b"x");
    assert!(matches!(log.read_body(at), Err(Error::Gone { .. })));
}

#[test]
fn a_damaged_body_is_never_handed_out() {
    let disk = TestDisk::new();
    let log = open(&disk);
    let at = body(&log, b"a body of some length");
    mark(&log, 1);
    commit(&log);
    let from = usize::try_from(at.0 - FILE_BYTES).unwrap();
    let record_bytes = 1 + 9 + 19 + 21;
    for bit in 8 * from..8 * (from + record_bytes) {
        disk.change(&files::path(1), |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        match log.read_body(at) {
            Err(Error::Corrupt { path, .. }) => assert_eq!(path, "journal/0000000001.log"),
            other => panic!("bit {bit}: {other:?}"),
        }
        disk.change(&files::path(1), |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
    }
    assert!(log.read_body(at).is_ok());
}

#[test]
fn a_failed_sync_is_the_end() {
    let disk = TestDisk::new();
    let log = open(&disk);
    mark(&log, 1);
    commit(&log);
    let durable = log.durable();
    let waiter = Arc::new(Count::default());
    log.when_durable(mark(&log, 2), Arc::clone(&waiter) as _);
    disk.fail_syncs(Some(ErrorKind::Other));
    let error = log.commit().unwrap_err();
    assert!(error.to_string().contains("sync journal/0000000001.log"), "{error}");
    disk.fail_syncs(None);
    mark(&log, 3);
    assert!(log.commit().is_err(), "what the first failure left behind is unknown");
    assert_eq!((log.durable(), waiter.get()), (durable, 0));
}

#[test]
fn a_full_disk_stops_nothing_for_good() {
    let disk = TestDisk::new();
    let log = open(&disk);
    mark(&log, 0);
    commit(&log);
    assert!(log.prepare_spare().unwrap());
    assert!(!log.prepare_spare().unwrap(), "one is enough");
    disk.free_bytes.store(500, Ordering::Relaxed);
    assert!(!log.prepare_spare().unwrap());
    assert!(log.disk_low());

    // The current file is filled to its end: publishers wait from the first commit in the last one on.
    let mut appended = 1;
    while log.files_in_use() == [1] {
        assert!(!log.is_full());
        mark(&log, appended);
        body(&log, &[0; 400]);
        appended += 1;
        commit(&log);
    }
    assert!(log.is_full());
    let publisher = Arc::new(Count::default());
    log.when_room(Arc::clone(&publisher) as _);

    // Those who need not wait use it up.
    loop {
        mark(&log, appended);
        body(&log, &[0; 400]);
        appended += 1;
        if log.commit().unwrap().is_none() {
            break;
        }
    }
    assert!(log.disk_low());
    assert!(log.commit().unwrap().is_none());
    assert_eq!(log.files_in_use(), [1, 2]);
    let waiter = Arc::new(Count::default());
    log.when_durable(mark(&log, appended), Arc::clone(&waiter) as _);
    assert_eq!(waiter.get(), 0);

    disk.free_bytes.store(1 << 30, Ordering::Relaxed);
    commit(&log);
    assert_eq!(waiter.get(), 1);
    assert!(!log.prepare_spare().unwrap() || !log.disk_low());
    assert!(!log.disk_low() && !log.is_full());
    assert_eq!(publisher.get(), 1);
    let (numbers, _) = replayed(&disk, &options()).unwrap();
    let marks: Vec<u64> = numbers.into_iter().filter(|number| *number < 1_000_000).collect();
    assert_eq!(marks, (0..=appended).collect::<Vec<_>>(), "nothing is lost");
}

#[test]
fn a_sync_without_room_is_done_again() {
    let disk = TestDisk::new();
    let log = open(&disk);
    mark(&log, 1);
    disk.fail_syncs(Some(ErrorKind::StorageFull));
    assert!(log.commit().unwrap().is_none());
    assert!(log.disk_low());
    mark(&log, 2);
    disk.fail_syncs(None);
    commit(&log);
    assert_eq!(replayed(&disk, &options()).unwrap().0, [1, 2]);
}

#[test]
fn a_full_disk_at_the_first_start_is_waited_out() {
    let disk = TestDisk::new();
    disk.free_bytes.store(0, Ordering::Relaxed);
    let log = open(&disk);
    log.append_started();
    assert!(log.commit().unwrap().is_none());
    assert!(log.disk_low());
    disk.free_bytes.store(1 << 30, Ordering::Relaxed);
    commit(&log);
    assert_eq!(replayed(&disk, &options()).unwrap().1.records, 1);
}

#[test]
fn weaker_modes_sync_less() {
    for (durability, at_sync) in [(Durability::Interval { ms: 5 }, 1), (Durability::Os, 1)] {
        let disk = TestDisk::new();
        let log = open_with(&disk, &Options { durability, ..options() }, Tail::fresh(FILE_BYTES));
        let lsn = mark(&log, 1);
        commit(&log);
        mark(&log, 2);
        commit(&log);
        assert!(log.durable() >= lsn);
        assert_eq!(disk.syncs(), 0);
        log.sync().unwrap();
        log.sync().unwrap();
        assert_eq!(disk.syncs(), at_sync);
        // A file is synced before the next one is begun.
        body(&log, &[0; 4000]);
        commit(&log);
        body(&log, &[0; 4000]);
        commit(&log);
        assert_eq!((log.files_in_use().len(), disk.syncs()), (2, at_sync + 1));
    }
}

#[test]
fn a_real_directory_keeps_the_log_across_starts() {
    let dir = tempfile::tempdir().unwrap();
    let options = options();
    let mut from = Tail::fresh(FILE_BYTES);
    for start in 1..5u64 {
        let disk: Arc<dyn Disk> = Arc::new(crate::disk::StdDisk::open(dir.path()).unwrap());
        let mut numbers = Vec::new();
        let replayed = replay(&disk, &options, Tail::fresh(FILE_BYTES), from.position, &mut |_, logged| {
            if let Logged::Delivered { last, .. } = logged {
                numbers.push(last);
            }
            Ok(())
        });
        let replayed = replayed.unwrap();
        assert_eq!(numbers, (1..start).collect::<Vec<_>>());
        assert_eq!((replayed.tail, replayed.cut), (from, None));
        let space = Arc::new(Space::new(Arc::clone(&disk), 0));
        let log = Log::open(disk, &options, replayed.tail, Arc::new(NoBlobs), space, Arc::default()).unwrap();
        log.append_started();
        for _ in 0..20 {
            body(&log, &[5; 700]);
            commit(&log);
            log.prepare_spare().unwrap();
        }
        mark(&log, start);
        from = commit(&log);
    }
}

#[derive(Debug, Default)]
struct Blobs(parking_lot::Mutex<Vec<u64>>);

impl BlobSync for Blobs {
    fn sync(&self, ids: &[u64]) -> std::io::Result<()> {
        self.0.lock().extend(ids);
        Ok(())
    }
}

#[derive(Debug)]
struct Named(u64);

impl leveret_engine::journal::StoredBlob for Named {
    fn id(&self) -> u64 {
        self.0
    }

    fn len(&self) -> u64 {
        3
    }

    fn read_at(&self, _offset: u64, _out: &mut [u8]) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn blobs_are_synced_before_the_block_that_names_them() {
    let disk: Arc<dyn Disk> = TestDisk::new();
    let (space, blobs) = (Arc::new(Space::new(Arc::clone(&disk), 0)), Arc::new(Blobs::default()));
    let log =
        Log::open(disk, &options(), Tail::fresh(FILE_BYTES), Arc::clone(&blobs) as _, space, Arc::default()).unwrap();
    let blob: leveret_engine::journal::Blob = Arc::new(Named(9));
    log.append_bodies(&[Parts { blob: Some(&blob), ..parts(b"") }], 0, &mut Vec::new());
    assert!(blobs.0.lock().is_empty());
    commit(&log);
    assert_eq!(*blobs.0.lock(), [9]);
}

#[test]
fn moved_bodies_are_read_where_they_went() {
    let disk = TestDisk::new();
    let log = open(&disk);
    let at = body(&log, b"keep me");
    commit(&log);
    let stored = log.read_body(at).unwrap();
    let (moved, _) = log.append_moved(QueueId(4), 17, &stored.payload, stored.crc);
    let committed = log.commit().unwrap().unwrap();
    let last = committed.records().last().unwrap().1.unwrap();
    assert_eq!(last, Logged::Moved { queue: QueueId(4), seq: 17, at: moved });
    assert_eq!(log.read_body(moved).unwrap(), stored);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_mix_of_sizes_and_commits_is_replayed(steps in proptest::collection::vec((0usize..7000, any::<bool>()), 1..60)) {
        let disk = TestDisk::new();
        let log = open(&disk);
        let mut at = Vec::new();
        for (bytes, commit_now) in &steps {
            at.push(body(&log, &vec![1; *bytes]));
            if *commit_now {
                commit(&log);
            }
        }
        mark(&log, 1);
        let tail = commit(&log);
        let (numbers, replayed) = replayed(&disk, &options()).unwrap();
        let wanted: Vec<u64> = steps.iter().map(|(bytes, _)| 1_000_000 + *bytes as u64).chain([1]).collect();
        prop_assert_eq!(numbers, wanted);
        prop_assert_eq!(replayed.tail, tail);
        let mut reader = BodyReader::new(&log);
        for (at, (bytes, _)) in at.into_iter().zip(steps) {
            prop_assert_eq!(reader.read(at).unwrap().payload.len(), bytes + 19);
        }
    }
}
