use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::sim::{Fault, Operation, Random, SimDisk};

struct Bench {
    disk: SimDisk,
    room: Arc<Room>,
    space: Arc<Space>,
    failures: Arc<AtomicUsize>,
    blobs: Blobs,
}

fn bench_on(disk: SimDisk, epoch: u32, references: &[(u64, u64)]) -> Bench {
    let failures = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&failures);
    let on_failure = Arc::new(move |_: &Error| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let options = Options { on_failure, ..Options::default() };
    let space = Arc::new(Space::new(Arc::new(disk.clone()), 0));
    let room = Arc::new(Room::default());
    let references = references.iter().copied().collect();
    let (disk_too, space_too, room_too) = (Arc::new(disk.clone()), Arc::clone(&space), Arc::clone(&room));
    let blobs = Blobs::open(disk_too, &options, epoch, &references, space_too, room_too).unwrap();
    blobs.remove_others().unwrap();
    Bench { disk, room, space, failures, blobs }
}

fn bench() -> Bench {
    bench_on(SimDisk::new(), 1, &[])
}

fn body(len: usize) -> Vec<u8> {
    let mut random = Random::new(len as u64);
    (0..len).map(|_| random.number().to_le_bytes()[0]).collect()
}

fn store(blobs: &Blobs, body: &[u8], piece: usize) -> Blob {
    let mut writer = blobs.create();
    for piece in body.chunks(piece) {
        writer.append(Bytes::copy_from_slice(piece));
    }
    writer.finish()
}

fn read_all(blob: &Blob) -> io::Result<Vec<u8>> {
    let mut out = vec![0; usize::try_from(blob.len()).unwrap()];
    blob.read_at(0, &mut out)?;
    Ok(out)
}

#[test]
fn bodies_of_every_length_round_trip_in_any_pieces() {
    let bench = bench();
    let page = 65536;
    for len in [0, 1, 100, page - 1, page, page + 1, 3 * page, 20 * page + 17] {
        for piece in [7777, page, 131_064] {
            let body = body(len);
            let blob = store(&bench.blobs, &body, piece);
            assert_eq!(blob.len(), len as u64);
            assert_eq!(read_all(&blob).unwrap(), body, "{len} in {piece}");
            assert_eq!(bench.disk.contents(&path(blob.id())).unwrap().len() as u64, format::file_bytes(len as u64));
        }
    }
    assert_eq!(bench.room.unwritten_bytes(), 0);
}

#[test]
fn any_part_can_be_read() {
    let bench = bench();
    let body = body(300_000);
    let blob = store(&bench.blobs, &body, 10_000);
    let mut random = Random::new(5);
    for _ in 0..200 {
        let from = random.below(300_000) as usize;
        let len = random.below((300_000 - from) as u64 + 1) as usize;
        let mut out = vec![0; len];
        blob.read_at(from as u64, &mut out).unwrap();
        assert_eq!(out, body[from..from + len]);
    }
    assert_eq!(blob.read_at(300_000, &mut [0]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(blob.read_at(u64::MAX, &mut [0]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn damaged_blob_is_never_read_as_something_else() {
    let bench = bench();
    let body = body(70_000);
    let blob = store(&bench.blobs, &body, 70_000);
    let (name, len) = (path(blob.id()), blob.len());
    let whole = bench.disk.contents(&name).unwrap();
    for bit in (0..whole.len() * 8).step_by(1009) {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let disk = bench.disk.process_kill_image();
        disk.put(&name, &damaged);
        let after = bench_on(disk, 2, &[(blob.id(), 1)]);
        let error = read_all(&after.blobs.get(blob.id(), len).unwrap()).unwrap_err();
        assert!(error.to_string().contains(&name), "{error}");
    }
    for len_cut in [0, 1, 19, 20, 65_556, whole.len() - 1] {
        let disk = bench.disk.process_kill_image();
        disk.put(&name, &whole[..len_cut]);
        assert!(bench_on(disk, 2, &[(blob.id(), 1)]).blobs.get(blob.id(), len).is_none());
    }
}

#[test]
fn unfinished_blob_leaves_nothing() {
    let bench = bench();
    let mut writer = bench.blobs.create();
    writer.append(Bytes::from_static(b"half"));
    assert_eq!(bench.disk.files().len(), 1);
    drop(writer);
    assert!(bench.disk.files().is_empty());
}

#[test]
fn blob_goes_with_its_last_handle_unless_the_state_refers_to_it() {
    let bench = bench();
    let transient = store(&bench.blobs, b"transient", 4);
    let other = Blob::clone(&transient);
    drop(transient);
    assert_eq!(read_all(&other).unwrap(), b"transient");
    drop(other);
    assert!(bench.disk.files().is_empty());

    let kept = store(&bench.blobs, b"kept", 4);
    let id = kept.id();
    bench.blobs.named(id);
    let round = bench.blobs.round();
    bench.blobs.referenced(id);
    bench.blobs.referenced(id);
    drop(kept);
    bench.blobs.sweep(round);
    bench.blobs.unreferenced(id);
    bench.blobs.sweep(bench.blobs.round());
    assert_eq!(read_all(&bench.blobs.get(id, 4).unwrap()).unwrap(), b"kept");
    bench.blobs.unreferenced(id);
    bench.blobs.sweep(bench.blobs.round());
    assert!(bench.disk.files().is_empty());
    assert!(bench.blobs.get(id, 4).is_none());
}

#[test]
fn named_blob_waits_for_the_round_after_the_one_in_which_it_was_let_go() {
    let bench = bench();
    let blob = store(&bench.blobs, b"named", 5);
    bench.blobs.named(blob.id());
    let round = bench.blobs.round();
    drop(blob);
    bench.blobs.sweep(round);
    assert_eq!(bench.disk.files().len(), 1);
    assert!(bench.blobs.wants_sweep());
    bench.blobs.sweep(bench.blobs.round());
    assert!(bench.disk.files().is_empty() && !bench.blobs.wants_sweep());
}

#[test]
fn start_removes_what_nobody_refers_to() {
    let first = bench();
    let kept = store(&first.blobs, b"kept", 4);
    let lost = store(&first.blobs, b"lost", 4);
    let after = bench_on(first.disk.process_kill_image(), 2, &[(kept.id(), 1)]);
    assert_eq!(after.disk.files(), [path(kept.id())]);
    assert!(after.blobs.get(lost.id(), 4).is_none());
    assert!(after.blobs.get(kept.id(), 5).is_none());
    assert_eq!(read_all(&after.blobs.get(kept.id(), 4).unwrap()).unwrap(), b"kept");
    assert!(!after.blobs.create().finish().id().eq(&kept.id()));
}

#[test]
fn synced_blob_survives_every_power_cut() {
    let bench = bench();
    let body = body(100_000);
    let blob = store(&bench.blobs, &body, 30_000);
    bench.blobs.sync(&[blob.id()]).unwrap();
    for seed in 0..50 {
        let after = bench_on(bench.disk.crash_image(seed), 2, &[(blob.id(), 1)]);
        assert_eq!(read_all(&after.blobs.get(blob.id(), blob.len()).unwrap()).unwrap(), body);
    }
    let operations = bench.disk.operations();
    bench.blobs.sync(&[blob.id()]).unwrap();
    assert_eq!(bench.disk.operations(), operations);
}

#[test]
fn full_disk_keeps_pieces_until_there_is_room() {
    let bench = bench();
    bench.disk.set_capacity(4096);
    let body = body(50_000);
    let blob = store(&bench.blobs, &body, 20_000);
    assert!(bench.space.is_low());
    assert_eq!(bench.room.unwritten_bytes(), 50_000);
    assert_eq!(bench.blobs.sync(&[blob.id()]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    bench.disk.set_capacity(1 << 20);
    bench.blobs.sync(&[blob.id()]).unwrap();
    assert_eq!(read_all(&blob).unwrap(), body);
    assert_eq!((bench.room.unwritten_bytes(), bench.failures.load(Ordering::SeqCst)), (0, 0));
}

#[test]
fn failed_write_is_told_and_failed_sync_is_never_taken_back() {
    let bench = bench();
    let fault = |operations| vec![Fault { operations, after: 0, times: 1, kind: io::ErrorKind::Other }];
    bench.disk.set_faults(fault(&[Operation::Write]));
    let blob = store(&bench.blobs, b"lost", 4);
    assert_eq!(bench.failures.load(Ordering::SeqCst), 1);
    // Everybody is told the reason.
    let told = |error: io::Error, action: &str, id: u64| {
        let (text, begin) = (error.to_string(), format!("{action} {}: ", path(id)));
        assert!(text.starts_with(&begin) && text.len() > begin.len(), "{text}");
    };
    told(read_all(&blob).unwrap_err(), "write", blob.id());
    told(bench.blobs.sync(&[blob.id()]).unwrap_err(), "write", blob.id());

    let blob = store(&bench.blobs, b"lost", 4);
    bench.disk.set_faults(fault(&[Operation::Sync]));
    told(bench.blobs.sync(&[blob.id()]).unwrap_err(), "sync", blob.id());
    told(bench.blobs.sync(&[blob.id()]).unwrap_err(), "sync", blob.id());
    assert_eq!(bench.room.unwritten_bytes(), 0);
}

#[test]
fn thread_writes_what_many_append() {
    let bench = bench();
    let runner = bench.blobs.clone();
    let thread = thread::Builder::new().spawn(move || runner.run(|| {})).unwrap();
    let appenders: Vec<_> = (0..4_usize)
        .map(|at| {
            let blobs = bench.blobs.clone();
            thread::Builder::new()
                .spawn(move || {
                    for round in 0..20 {
                        let body = body(at * 40_000 + round);
                        let blob = store(&blobs, &body, 3000);
                        blobs.sync(&[blob.id()]).unwrap();
                        assert_eq!(read_all(&blob).unwrap(), body);
                    }
                })
                .unwrap()
        })
        .collect();
    appenders.into_iter().for_each(|appender| appender.join().unwrap());
    bench.blobs.stop();
    thread.join().unwrap();
    assert_eq!((bench.room.unwritten_bytes(), bench.disk.files().len()), (0, 0));
}

#[test]
fn few_files_stay_open_however_many_wait_for_a_sync() {
    let bench = bench();
    let blobs: Vec<Blob> = (0..200).map(|_| store(&bench.blobs, b"x", 1)).collect();
    let open = bench.blobs.0.state.lock().entries.values().filter(|entry| entry.output.is_some()).count();
    assert!(open <= crate::limits::BLOB_UNSYNCED_FILES_MAX, "{open}");
    for blob in &blobs {
        assert_eq!(read_all(blob).unwrap(), b"x");
    }
    assert!(bench.blobs.0.readers.lock().len() <= BLOB_READERS_MAX);
}

#[test]
fn failed_sync_is_a_failure_for_all_who_wait_for_it() {
    let bench = bench();
    let blob = store(&bench.blobs, b"lost", 4);
    let id = blob.id();
    let fault = Fault { operations: &[Operation::Sync], after: 0, times: 1, kind: io::ErrorKind::Other };
    bench.disk.set_faults(vec![fault]);
    // As the operating system does, the disk tells the first of them, and the second that all is well.
    let (blobs, second) = (bench.blobs.clone(), Arc::new(Mutex::new(None)));
    let second_too = Arc::clone(&second);
    bench.disk.set_hook(Some(Arc::new(move |disk, operation| {
        if operation == Operation::Sync {
            disk.set_hook(None);
            let blobs = blobs.clone();
            let thread = thread::Builder::new().spawn(move || blobs.sync(&[id])).unwrap();
            // It has time to go wrong.
            for _ in 0..100 {
                if !thread.is_finished() {
                    thread::park_timeout(std::time::Duration::from_millis(2));
                }
            }
            *second_too.lock() = Some(thread);
        }
    })));
    bench.blobs.sync(&[id]).unwrap_err();
    let second = second.lock().take().unwrap();
    second.join().unwrap().unwrap_err();
}

#[test]
fn numbers_that_come_again_find_no_blob_in_use() {
    let bench = bench();
    let first = store(&bench.blobs, b"first", 5);
    let (first_number, last) = (bench.blobs.0.state.lock().next_number, u32::MAX);
    bench.blobs.0.state.lock().next_number = last;
    let zero = store(&bench.blobs, b"zero", 4);
    bench.blobs.0.state.lock().next_number = first_number - 1;
    let other = store(&bench.blobs, b"other", 5);
    assert!(first.id() != other.id() && first.id() != zero.id() && other.id() != zero.id());
    assert_eq!((read_all(&first).unwrap(), read_all(&other).unwrap()), (b"first".to_vec(), b"other".to_vec()));
}
