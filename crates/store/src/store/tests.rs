use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leveret_codec::table::FieldTable;
use leveret_engine::journal::{Loaded, Page, PageReader, SeqRange};
use leveret_engine::names::QueueId;
use tempfile::TempDir;

use super::*;
use crate::disk::StdDisk;
use crate::durability::Durability;

fn small() -> Options {
    Options {
        durability: Durability::Os,
        journal_file_bytes: 64 * 1024,
        segment_bytes: 32 * 1024,
        forward_bytes_max: 1024,
        block_bytes_max: 16 * 1024,
        disk_free_min_bytes: 0,
        on_failure: Arc::new(|error| panic!("{error}")),
        ..Options::default()
    }
}

fn open(dir: &TempDir) -> (Arc<Store>, Restored, Recovery) {
    Store::open(Arc::new(StdDisk::open(dir.path()).unwrap()), small()).unwrap()
}

fn body(queue: u64, seq: u64, len: usize) -> Vec<u8> {
    let mut body = format!("{queue}/{seq} ").into_bytes();
    body.resize(body.len().max(len), b'.');
    body
}

fn declare(store: &Store, queue: u64) {
    let (name, arguments) = (format!("q{queue}"), FieldTable::default());
    let id = QueueId(queue);
    store.append(&Record::QueueDeclared { vhost: "/", name: &name, id, auto_delete: false, arguments: &arguments });
}

fn enqueue(store: &Store, queue: u64, first: u64, count: u64, len: usize, transient: bool) -> Lsn {
    let bodies: Vec<_> = (first..first + count).map(|seq| body(queue, seq, len)).collect();
    let parts: Vec<_> =
        bodies.iter().map(|body| Parts { routing_key: b"key", properties: &[0, 0], body, ..Parts::EMPTY }).collect();
    let mut at = Vec::new();
    store.append_bodies(&parts, &mut at);
    let bytes = bodies.iter().map(|body| body.len() as u64).sum();
    store.append(&Record::Enqueue { queue: QueueId(queue), first_seq: first, bodies: &at, bytes, transient })
}

fn settle(store: &Store, queue: u64, first: u64, last: u64, bytes: u64) {
    let ranges = [SeqRange { first, last }];
    store.append(&Record::Settle { queue: QueueId(queue), ranges: &ranges, bytes, transient: false });
}

fn all(store: &Store, queue: u64) -> Vec<Loaded> {
    let mut messages = Vec::new();
    let mut first = 0;
    while first < 1_000_000 {
        let page = store.read(QueueId(queue), SeqRange { first, last: 999_999 }, 50, 20_000).unwrap();
        messages.extend(page.messages);
        assert!(page.next > first);
        first = page.next;
    }
    messages
}

fn keep_all(store: &Store) {
    while store.commit().unwrap() {}
    while store.keep().unwrap() {}
}

/// Checks that a queue holds these messages and no other, in order.
fn expect(store: &Store, queue: u64, len: usize, seqs: impl Iterator<Item = u64>) {
    let got: Vec<_> =
        all(store, queue).into_iter().map(|loaded| (loaded.seq, loaded.message.parts().body.to_vec())).collect();
    let expected: Vec<_> = seqs.map(|seq| (seq, body(queue, seq, len))).collect();
    assert_eq!(got.len(), expected.len());
    assert!(got == expected);
}

#[test]
fn what_was_committed_is_read_and_survives() {
    let dir = TempDir::new().unwrap();
    let (store, restored, _) = open(&dir);
    assert_eq!(restored, Restored::default());
    declare(&store, 1);
    enqueue(&store, 1, 1, 10, 0, false);
    assert!(store.commit().unwrap());
    assert!(!store.commit().unwrap());
    settle(&store, 1, 1, 3, 12);
    store.append(&Record::Delivered { queue: QueueId(1), last: 5 });
    store.append(&Record::Returned { queue: QueueId(1), counts: &[(4, 7)] });
    enqueue(&store, 2, 1, 5, 0, false);
    enqueue(&store, 1, 11, 1, 0, true);
    store.commit().unwrap();
    let deliveries: Vec<_> = all(&store, 1).iter().map(|loaded| loaded.deliveries).collect();
    assert_eq!(deliveries, [7, 1, 0, 0, 0, 0, 0, 0]);
    assert!(all(&store, 1).last().unwrap().transient);
    drop(store);
    let (store, restored, recovery) = open(&dir);
    assert!(!recovery.clean);
    assert_eq!(restored.queues.len(), 1);
    let queue = &restored.queues[0];
    assert_eq!((queue.messages, queue.bytes, queue.first_seq, queue.last_seq), (7, 29, 4, 11));
    expect(&store, 1, 0, 4..=10);
    assert!(all(&store, 2).is_empty());
}

#[test]
fn survivors_leave_the_journal_and_survive_again() {
    let dir = TempDir::new().unwrap();
    let (store, ..) = open(&dir);
    for queue in 1..=20 {
        declare(&store, queue);
    }
    // Queue 1 holds much, the others little.
    for round in 0..200u64 {
        enqueue(&store, 1, 1 + round * 10, 10, 300, false);
        enqueue(&store, 2 + round % 19, 1 + round, 1, 40, false);
        store.commit().unwrap();
        store.keep().unwrap();
    }
    keep_all(&store);
    let status = store.status();
    assert!(status.journal_files <= 8, "{status:?}");
    assert!(status.segments >= 10, "{status:?}");
    let check = |store: &Store| {
        expect(store, 1, 300, 1..=2000);
        for queue in 2..=20 {
            expect(store, queue, 40, (queue - 1..=200).step_by(19));
        }
    };
    check(&store);
    let queues = store.core.lock().state.queues.clone();
    drop(store);
    let (store, restored, recovery) = open(&dir);
    assert_eq!(recovery.cut, None);
    check(&store);
    assert_eq!(restored.queues.iter().map(|queue| queue.messages).sum::<u64>(), 2200);
    assert!(store.core.lock().state.queues == queues);
}

#[test]
fn a_drained_store_gives_its_files_back() {
    let dir = TempDir::new().unwrap();
    let (store, ..) = open(&dir);
    declare(&store, 1);
    for round in 0..200u64 {
        enqueue(&store, 1, 1 + round * 10, 10, 300, false);
        keep_all(&store);
    }
    let before = store.status().segments;
    // Every tenth stays: all segments are thin then.
    for seq in (1..=2000u64).filter(|seq| seq % 10 != 0) {
        settle(&store, 1, seq, seq, 300);
    }
    keep_all(&store);
    store.core.lock().state.settled_in_segments = crate::limits::SETTLED_BEFORE_THINNING;
    keep_all(&store);
    assert!(store.status().segments <= before / 4, "{:?} of {before}", store.status());
    expect(&store, 1, 300, (10..=2000).step_by(10));
    settle(&store, 1, 1, 2000, 200 * 300);
    keep_all(&store);
    store.checkpoint(false).unwrap();
    assert_eq!((store.status().segments, store.status().messages), (0, 0));
    assert_eq!(store.disk.list("segments").unwrap().len(), 0);
}

#[test]
fn late_transient_messages_find_their_place() {
    let dir = TempDir::new().unwrap();
    let (store, ..) = open(&dir);
    declare(&store, 1);
    for round in 0..100u64 {
        for even in 0..10 {
            enqueue(&store, 1, round * 20 + even * 2, 1, 300, false);
        }
        keep_all(&store);
    }
    for round in 0..100u64 {
        for odd in 0..10 {
            enqueue(&store, 1, round * 20 + odd * 2 + 1, 1, 300, true);
        }
        keep_all(&store);
    }
    expect(&store, 1, 300, 0..2000);
    drop(store);
    let (store, restored, _) = open(&dir);
    assert_eq!((restored.queues[0].messages, restored.queues[0].bytes), (1000, 300_000));
    expect(&store, 1, 300, (0..2000).step_by(2));
}

#[test]
fn a_deleted_queue_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let (store, ..) = open(&dir);
    declare(&store, 1);
    for round in 0..100u64 {
        enqueue(&store, 1, 1 + round * 10, 10, 300, false);
        keep_all(&store);
    }
    store.append(&Record::QueueDeleted { id: QueueId(1) });
    keep_all(&store);
    store.checkpoint(false).unwrap();
    assert_eq!(store.disk.list("segments").unwrap().len(), 0);
    drop(store);
    let (_store, restored, _) = open(&dir);
    assert!(restored.queues.is_empty());
    assert_eq!(restored.last_queue_id, 1);
}

struct Got {
    pages: Mutex<Vec<Page>>,
    came: Condvar,
}

impl PageReader for Got {
    fn loaded(self: Arc<Self>, page: Page) {
        self.pages.lock().push(page);
        self.came.notify_all();
    }
}

#[test]
fn threads_commit_page_and_stop_in_order() {
    static CONFIRMED: AtomicU64 = AtomicU64::new(0);
    struct Confirm;
    impl Waiter for Confirm {
        fn wake(&self) {
            CONFIRMED.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dir = TempDir::new().unwrap();
    let (store, ..) = open(&dir);
    let threads = store.start().unwrap();
    declare(&store, 1);
    let got = Arc::new(Got { pages: Mutex::default(), came: Condvar::new() });
    for round in 0..300u64 {
        let lsn = enqueue(&store, 1, 1 + round * 10, 10, 300, false);
        store.when_durable(lsn, Arc::new(Confirm));
        // What was just appended is asked for at once.
        let range = SeqRange { first: 1 + round * 10, last: 10 + round * 10 };
        let reader = Arc::clone(&got) as Arc<dyn PageReader>;
        store.load(LoadRequest { queue: QueueId(1), range, messages_max: 10, bytes_max: 1 << 20, reader });
    }
    {
        let mut pages = got.pages.lock();
        while pages.len() < 300 {
            assert!(!got.came.wait_for(&mut pages, Duration::from_secs(30)).timed_out());
        }
        assert!(pages.iter().all(|page| page.messages.len() == 10));
    }
    threads.stop().unwrap();
    assert_eq!(CONFIRMED.load(Ordering::Relaxed), 300);
    drop(store);
    let (store, restored, recovery) = open(&dir);
    assert!(recovery.clean, "{recovery:?}");
    assert_eq!(restored.queues[0].messages, 3000);
    expect(&store, 1, 300, 1..=3000);
}

#[test]
fn publishers_wait_while_the_keeper_is_far_behind() {
    let dir = TempDir::new().unwrap();
    let (store, ..) = open(&dir);
    declare(&store, 1);
    // A block of 16 KiB a commit, four to a file: thirty files where four should be.
    let mut seq = 1;
    while store.log.files_in_use().len() < 30 {
        enqueue(&store, 1, seq, 10, 1000, false);
        seq += 10;
        store.commit().unwrap();
    }
    assert!(!store.is_full(), "what is committed does not wait to be written");
    assert!(store.keep().unwrap());
    assert!(store.log.files_in_use().len() > 12 && store.is_full(), "one round is not enough");
    let woken = Arc::new(Woken::default());
    let waiter: Arc<dyn Waiter> = Arc::<Woken>::clone(&woken);
    store.when_room(waiter);
    keep_all(&store);
    assert!(!store.is_full());
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    expect(&store, 1, 1000, 1..seq);
}

#[derive(Default)]
struct Woken(AtomicU64);

impl Waiter for Woken {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn bodies_that_are_held_stay_until_they_are_enqueued() {
    let dir = TempDir::new().unwrap();
    let (store, ..) = open(&dir);
    declare(&store, 1);
    declare(&store, 2);
    let held = store.hold();
    let late = body(2, 1, 100);
    let mut at = Vec::new();
    store.append_bodies(&[Parts { routing_key: b"key", properties: &[0, 0], body: &late, ..Parts::EMPTY }], &mut at);
    // Others fill one file after another, and all of it is settled: nothing else needs the first file.
    for round in 0..60u64 {
        enqueue(&store, 1, 1 + round * 10, 10, 1000, false);
        settle(&store, 1, 1 + round * 10, 10 + round * 10, 10_000);
        keep_all(&store);
    }
    let bytes = late.len() as u64;
    store.append(&Record::Enqueue { queue: QueueId(2), first_seq: 1, bodies: &at, bytes, transient: false });
    store.let_go(held);
    keep_all(&store);
    expect(&store, 2, 100, 1..=1);
    drop(store);
    let (store, ..) = open(&dir);
    expect(&store, 2, 100, 1..=1);
    settle(&store, 2, 1, 1, bytes);
    keep_all(&store);
    store.checkpoint(false).unwrap();
    assert!(store.log.files_in_use().len() <= 2, "{:?}", store.log.files_in_use());
}
