mod committing;
mod crash;
mod disk;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use leveret_engine::journal::{BodyAt, Lsn, Record, Waiter};
use leveret_engine::message::Parts;
use leveret_engine::names::QueueId;

use self::disk::TestDisk;
use super::*;
use crate::disk::{Disk, Space};
use crate::durability::Durability;
use crate::error::Error;
use crate::options::Options;
use crate::record::{DecodeError, Logged, Payload};

const FILE_BYTES: u64 = 8192;

fn options() -> Options {
    Options { journal_file_bytes: FILE_BYTES, block_bytes_max: 4096, disk_free_min_bytes: 1000, ..Options::default() }
}

fn open_with(disk: &Arc<TestDisk>, options: &Options, tail: Tail) -> Log {
    let disk: Arc<dyn Disk> = Arc::clone(disk) as _;
    let space = Arc::new(Space::new(Arc::clone(&disk), options.disk_free_min_bytes));
    Log::open(disk, options, tail, Arc::new(NoBlobs), space, Arc::default()).unwrap()
}

fn open(disk: &Arc<TestDisk>) -> Log {
    open_with(disk, &options(), Tail::fresh(FILE_BYTES))
}

/// A record that carries a number and is easily told from others.
fn mark(log: &Log, number: u64) -> Lsn {
    log.append(&Record::Delivered { queue: QueueId(1), last: number })
}

fn body(log: &Log, bytes: &[u8]) -> BodyAt {
    let mut at = Vec::new();
    log.append_bodies(&[parts(bytes)], 5, &mut at);
    at[0]
}

fn parts(body: &[u8]) -> Parts<'_> {
    Parts { exchange: b"e", routing_key: b"k", properties: &[0, 0], body, ..Parts::EMPTY }
}

fn commit(log: &Log) -> Tail {
    let committed = log.commit().unwrap().expect("something was appended");
    let tail = committed.tail();
    log.recycle_buffers(committed);
    tail
}

/// What a replay from the beginning gives: numbers of marks, and lengths of bodies from 1,000,000 up.
fn replayed(disk: &Arc<TestDisk>, options: &Options) -> Result<(Vec<u64>, Replayed), Error> {
    let mut numbers = Vec::new();
    let disk: Arc<dyn Disk> = Arc::clone(disk) as _;
    let replayed = replay(&disk, options, Tail::fresh(FILE_BYTES), 0, &mut |_, logged| {
        match logged {
            Logged::Delivered { last, .. } => numbers.push(last),
            Logged::Body { payload, .. } => numbers.push(1_000_000 + payload.body_len()),
            _ => {}
        }
        Ok(())
    })?;
    Ok((numbers, replayed))
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Waiter for Count {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
