//! A socket that takes as much as the test says, and a writer that counts its wakes.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};

use leveret_engine::journal::MemoryJournal;
use parking_lot::Mutex;

use super::*;
use crate::encode::Piece;
use crate::outbox::Next;

struct Fake {
    taken: Mutex<Vec<Vec<u8>>>,
    room_bytes: AtomicUsize,
    /// Called once, in the middle of a write.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Socket for Fake {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(meanwhile) = self.meanwhile.lock().take() {
            meanwhile();
        }
        match bytes.len().min(self.room_bytes.load(Ordering::SeqCst)) {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => {
                self.taken.lock().push(bytes.iter().take(len).copied().collect());
                Ok(len)
            }
        }
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// An outbox whose writer waits.
struct Fixture {
    outbox: Arc<Outbox>,
    socket: Arc<Fake>,
    writer: Arc<Wakes>,
    out: OutBuffer,
}

impl Fixture {
    fn new() -> Self {
        let outbox = Arc::new(Outbox::new(Arc::new(MemoryJournal::default()), 4096));
        let (taken, meanwhile) = (Mutex::default(), Mutex::default());
        let socket = Arc::new(Fake { taken, room_bytes: AtomicUsize::new(usize::MAX), meanwhile });
        outbox.send_through(Arc::<Fake>::clone(&socket));
        let mut fixture = Self { outbox, socket, writer: Arc::default(), out: OutBuffer::default() };
        assert_eq!(fixture.take(), None);
        fixture
    }

    fn send(&self, bytes: &[u8]) {
        self.outbox.send(|out| out.extend_from_slice(bytes));
    }

    /// What the writer gets.
    fn take(&mut self) -> Option<Vec<u8>> {
        let waker = Waker::from(Arc::clone(&self.writer));
        match self.outbox.poll_take(&mut Context::from_waker(&waker), &mut self.out) {
            Poll::Ready(Next::More) => Some(
                self.out
                    .pieces()
                    .flat_map(|piece| match piece {
                        Piece::Bytes(bytes) => bytes.to_vec(),
                        Piece::Blob(_) => panic!("no large bodies here"),
                    })
                    .collect(),
            ),
            _ => None,
        }
    }

    fn wakes(&self) -> usize {
        self.writer.0.load(Ordering::SeqCst)
    }

    fn taken(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.socket.taken.lock())
    }
}

#[test]
fn little_is_sent_on_the_spot_and_much_by_the_writer() {
    let mut fixture = Fixture::new();
    fixture.send(b"one");
    fixture.send(b"two");
    assert_eq!((fixture.taken(), fixture.wakes()), (vec![b"one".to_vec(), b"two".to_vec()], 0));
    let much = vec![7; SENT_HERE_BYTES_MAX + 1];
    fixture.send(&much);
    assert_eq!((fixture.taken(), fixture.wakes()), (vec![], 1));
    assert_eq!(fixture.take(), Some(much));
}

#[test]
fn what_the_socket_does_not_take_is_the_writers_and_goes_first() {
    let mut fixture = Fixture::new();
    fixture.socket.room_bytes.store(2, Ordering::SeqCst);
    fixture.send(b"abc");
    assert_eq!((fixture.taken(), fixture.wakes()), (vec![b"ab".to_vec()], 1));
    fixture.socket.room_bytes.store(usize::MAX, Ordering::SeqCst);
    fixture.send(b"def");
    assert_eq!(fixture.taken(), [] as [Vec<u8>; 0], "nothing overtakes the rest");
    assert_eq!(fixture.take(), Some(b"c".to_vec()));
    assert_eq!(fixture.take(), Some(b"def".to_vec()));
    assert_eq!(fixture.take(), None);
    fixture.send(b"ghi");
    assert_eq!(fixture.taken(), [b"ghi"]);
}

#[test]
fn a_full_socket_leaves_all_of_it_to_the_writer() {
    let mut fixture = Fixture::new();
    fixture.socket.room_bytes.store(0, Ordering::SeqCst);
    fixture.send(b"abc");
    assert_eq!((fixture.taken(), fixture.wakes()), (vec![], 1));
    assert_eq!(fixture.take(), Some(b"abc".to_vec()));
}

#[test]
fn while_the_writer_writes_nobody_else_does() {
    let mut fixture = Fixture::new();
    fixture.socket.room_bytes.store(0, Ordering::SeqCst);
    fixture.send(b"abc");
    assert_eq!(fixture.take(), Some(b"abc".to_vec()));
    fixture.socket.room_bytes.store(usize::MAX, Ordering::SeqCst);
    fixture.send(b"def");
    assert_eq!((fixture.taken(), fixture.wakes()), (vec![], 1), "it comes for more by itself");
    assert_eq!(fixture.take(), Some(b"def".to_vec()));
    assert_eq!(fixture.take(), None);
}

#[test]
fn what_is_added_while_somebody_writes_is_sent_after_it() {
    let mut fixture = Fixture::new();
    let outbox = Arc::clone(&fixture.outbox);
    *fixture.socket.meanwhile.lock() = Some(Box::new(move || {
        outbox.send(|out| out.extend_from_slice(b"second"));
        let mut out = OutBuffer::default();
        assert!(outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut out).is_pending(), "one at a time");
    }));
    fixture.send(b"first");
    assert_eq!(fixture.taken(), [b"first"]);
    assert_eq!(fixture.take(), Some(b"second".to_vec()));
}

#[test]
fn an_end_that_comes_while_somebody_writes_is_not_lost() {
    let mut fixture = Fixture::new();
    let outbox = Arc::clone(&fixture.outbox);
    *fixture.socket.meanwhile.lock() = Some(Box::new(move || outbox.finish()));
    fixture.send(b"bye");
    assert!(fixture.wakes() > 0);
    let waker = Waker::from(Arc::clone(&fixture.writer));
    let ended = fixture.outbox.poll_take(&mut Context::from_waker(&waker), &mut fixture.out);
    assert_eq!(ended, Poll::Ready(Next::Finish));
}

#[test]
fn a_batch_is_sent_in_one_write_at_its_end() {
    let mut fixture = Fixture::new();
    fixture.outbox.cork();
    fixture.send(b"one");
    fixture.send(b"two");
    assert_eq!((fixture.taken(), fixture.wakes()), (vec![], 0));
    fixture.outbox.uncork();
    assert_eq!((fixture.taken(), fixture.wakes()), (vec![b"onetwo".to_vec()], 0));
    fixture.outbox.cork();
    fixture.send(&[7; SENT_HERE_BYTES_MAX + 1]);
    assert_eq!(fixture.wakes(), 1, "the writer need not wait for the end of the batch");
    assert!(fixture.take().is_some());
    fixture.outbox.uncork();
}

#[test]
fn who_makes_things_durable_never_waits_for_the_outbox() {
    let fixture = Fixture::new();
    let state = fixture.outbox.lock();
    Waiter::wake(&*fixture.outbox);
    drop(state);
    assert_eq!(fixture.wakes(), 1, "the writer does it");
}
