//! What fuzzing calls: each takes any bytes and must neither panic, hang, nor take memory out of proportion.

use std::ops::ControlFlow;
use std::sync::Arc;

use leveret_engine::journal::SeqRange;
use leveret_engine::names::QueueId;

use super::SimDisk;
use crate::checkpoint;
use crate::disk::Disk;
use crate::journal;
use crate::limits::SEGMENT_READ_BYTES;
use crate::options::Options;
use crate::record;
use crate::segment::{self, Points, SegmentReader};
use crate::store::Store;

/// Journal files are that long here.
pub const JOURNAL_FILE_BYTES: u64 = 8192;

/// Messages that are asked for.
const MESSAGES: u64 = 64;

/// Decodes records that follow each other.
pub fn records(bytes: &[u8]) {
    let _ = record::decode_stream(bytes, |_, _| {});
}

/// Decodes a checkpoint, as it is and with the right checksum.
pub fn checkpoint(bytes: &[u8]) {
    let _ = checkpoint::decode(bytes);
    let Some((contents, _)) = bytes.split_last_chunk::<4>() else { return };
    let mut sealed = contents.to_vec();
    checkpoint::seal(&mut sealed);
    let _ = checkpoint::decode(&sealed);
}

/// Reads messages out of a segment file.
pub fn segment(bytes: &[u8]) {
    let sim = SimDisk::new();
    sim.put(&segment::path(1), bytes);
    let disk: Arc<dyn Disk> = Arc::new(sim);
    let Ok(mut reader) = SegmentReader::open(&disk, 1, bytes.len() as u64, SEGMENT_READ_BYTES) else { return };
    let wanted: Vec<u64> = (0..MESSAGES).collect();
    let mut points = Points::default();
    for _ in 0..2 {
        let _ = reader.read(&wanted, &mut points, |_, _, _, _| Ok(ControlFlow::Continue(())));
    }
}

/// Opens a store on a journal file, refusing damage and skipping it, and reads what queues hold.
pub fn journal(bytes: &[u8]) {
    for recover in [false, true] {
        let disk = SimDisk::new();
        disk.put(&format!("{}/0000000001.log", journal::DIR), bytes);
        open(disk, recover);
    }
}

/// Opens a store on a journal file with one good block that holds any records.
pub fn block(bytes: &[u8]) {
    let payload = bytes.get(..bytes.len().min(JOURNAL_FILE_BYTES as usize / 2)).unwrap_or_default();
    let disk = SimDisk::new();
    disk.put(&format!("{}/0000000001.log", journal::DIR), &journal::sealed_block(payload, JOURNAL_FILE_BYTES));
    open(disk, true);
}

fn open(disk: SimDisk, recover: bool) {
    let options = Options {
        journal_file_bytes: JOURNAL_FILE_BYTES,
        block_bytes_max: JOURNAL_FILE_BYTES as usize,
        disk_free_min_bytes: 0,
        recover,
        ..Options::default()
    };
    let Ok((store, restored, _)) = Store::open(Arc::new(disk), options) else { return };
    let range = SeqRange { first: 0, last: u64::MAX - 1 };
    for id in restored.queues.iter().map(|queue| queue.id).chain((0..4).map(QueueId)) {
        let _ = store.read(id, range, MESSAGES as usize, 1 << 20);
    }
    let _ = store.commit();
    let _ = store.tend();
    let _ = store.close();
}
