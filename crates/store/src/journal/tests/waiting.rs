//! Who waits is woken once, and the committer's thread knows when to work.

use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::limits::{COMMIT_NOW_BYTES, UNWRITTEN_BYTES_MAX};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn waiters_are_woken_once_when_their_position_is_durable() {
    let log = open(&TestDisk::new());
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    log.when_durable(mark(&log, 1), Arc::clone(&first) as _);
    let committed = log.commit().unwrap().unwrap();
    assert_eq!(first.get(), 1);
    let lsn = mark(&log, 2);
    log.when_durable(lsn, Arc::clone(&second) as _);
    assert_eq!(second.get(), 0);
    log.recycle_buffers(committed);
    commit(&log);
    assert_eq!((first.get(), second.get()), (1, 1));
    log.when_durable(lsn, Arc::clone(&second) as _);
    assert_eq!(second.get(), 2, "what is durable is not waited for");
}

#[test]
fn many_threads_are_all_confirmed() {
    let log = Arc::new(open_with(
        &TestDisk::new(),
        &Options { journal_file_bytes: 1 << 20, ..options() },
        Tail::fresh(1 << 20),
    ));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let committer = thread::Builder::new()
        .spawn({
            let (log, done) = (Arc::clone(&log), Arc::clone(&done));
            move || {
                while !done.load(Ordering::Acquire) {
                    if log.wait_for_work(LONG) == Work::Commit
                        && let Some(committed) = log.commit().unwrap()
                    {
                        log.recycle_buffers(committed);
                    }
                }
            }
        })
        .unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..200 {
                    let (sender, receiver) = std::sync::mpsc::channel();
                    let lsn = mark(log, thread * 1000 + number);
                    log.when_durable(lsn, Arc::new(Sender(parking_lot::Mutex::new(Some(sender)))));
                    receiver.recv_timeout(LONG).expect("woken");
                    assert!(log.durable() >= lsn);
                }
            });
        }
    });
    done.store(true, Ordering::Release);
    log.nudge();
    committer.join().unwrap();
}

struct Sender(parking_lot::Mutex<Option<std::sync::mpsc::Sender<()>>>);

impl Waiter for Sender {
    fn wake(&self) {
        self.0.lock().take().expect("woken once").send(()).unwrap();
    }
}

#[test]
fn what_is_waited_for_is_due_at_once_and_the_rest_soon() {
    let log = open(&TestDisk::new());
    assert_eq!(log.wait_for_work(Duration::from_millis(1)), Work::Nothing);
    let lsn = mark(&log, 1);
    let begun = Instant::now();
    assert_eq!(log.wait_for_work(LONG), Work::Commit);
    assert!(begun.elapsed() >= Duration::from_millis(9), "nobody is in a hurry");
    log.when_durable(lsn, Arc::new(Count::default()));
    assert_eq!(log.wait_for_work(Duration::ZERO), Work::Commit);
    commit(&log);
    assert_eq!(log.wait_for_work(Duration::ZERO), Work::Nothing);

    let log = open_with(&TestDisk::new(), &Options { journal_file_bytes: 4 << 20, ..options() }, Tail::fresh(4 << 20));
    body(&log, &vec![0; usize::try_from(COMMIT_NOW_BYTES).unwrap()]);
    assert_eq!(log.wait_for_work(Duration::ZERO), Work::Commit);
}

#[test]
fn a_sleeping_committer_is_woken() {
    let log = Arc::new(open(&TestDisk::new()));
    let sleeper = thread::Builder::new().spawn({
        let log = Arc::clone(&log);
        move || log.wait_for_work(LONG)
    });
    // Long enough that it sleeps for long, most of the time; the outcome is the same if it does not.
    thread::park_timeout(Duration::from_millis(40));
    let begun = Instant::now();
    mark(&log, 1);
    assert_eq!(sleeper.unwrap().join().unwrap(), Work::Commit);
    assert!(begun.elapsed() < LONG / 2, "it woke by itself, not because it was woken");

    let log = Arc::new(open(&TestDisk::new()));
    let begun = Instant::now();
    log.nudge();
    assert_eq!(log.wait_for_work(LONG), Work::Nothing);
    assert!(begun.elapsed() < LONG);
}

#[test]
fn interval_asks_for_a_sync() {
    let options = Options { durability: Durability::Interval { ms: 1 }, ..options() };
    let log = open_with(&TestDisk::new(), &options, Tail::fresh(FILE_BYTES));
    mark(&log, 1);
    commit(&log);
    assert_eq!(log.wait_for_work(LONG), Work::Sync);
    log.sync().unwrap();
    assert_eq!(log.wait_for_work(Duration::from_millis(3)), Work::Nothing);
}

#[test]
fn without_room_the_committer_backs_off() {
    let disk = TestDisk::new();
    let log = open(&disk);
    disk.free_bytes.store(0, Ordering::Relaxed);
    log.when_durable(mark(&log, 1), Arc::new(Count::default()));
    assert!(log.commit().unwrap().is_none());
    let begun = Instant::now();
    assert_eq!(log.wait_for_work(LONG), Work::Commit);
    assert!(begun.elapsed() >= Duration::from_millis(90));
}

#[test]
fn too_much_unwritten_is_full_until_it_is_written() {
    let file_bytes = 1 << 20;
    let room = Arc::new(Room::default());
    let disk: Arc<dyn Disk> = TestDisk::new();
    let options = Options { journal_file_bytes: file_bytes, ..options() };
    let space = Arc::new(Space::new(Arc::clone(&disk), 0));
    let log = Log::open(disk, &options, Tail::fresh(file_bytes), Arc::new(NoBlobs), space, Arc::clone(&room)).unwrap();
    let waiter = Arc::new(Count::default());
    log.when_room(Arc::clone(&waiter) as _);
    assert_eq!(waiter.get(), 1);

    room.take(UNWRITTEN_BYTES_MAX - 1000);
    mark(&log, 1);
    assert!(!log.is_full());
    body(&log, &[0; 1000]);
    assert!(log.is_full());
    log.when_room(Arc::clone(&waiter) as _);
    assert_eq!(waiter.get(), 1);
    commit(&log);
    assert_eq!((waiter.get(), log.is_full()), (2, false));
    assert_eq!(room.unwritten_bytes(), UNWRITTEN_BYTES_MAX - 1000);
    commit_nothing_more(&log);
    assert_eq!(waiter.get(), 2);
}

fn commit_nothing_more(log: &Log) {
    assert!(log.commit().unwrap().is_none());
}
