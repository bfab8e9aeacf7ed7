use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::checksum::crc32c;
use crate::disk::{Disk, Mode, Space, StdDisk};
use crate::limits::SEGMENT_READ_BYTES;

struct Made {
    disk: Arc<dyn Disk>,
    len_bytes: u64,
    _dir: TempDir,
}

fn payload(seq: u64) -> Vec<u8> {
    vec![seq.to_le_bytes()[0]; 100 + usize::try_from(seq % 50).unwrap()]
}

/// A segment with messages 10, 12, 14...
fn made(count: u64) -> Made {
    let dir = TempDir::new().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::open(dir.path()).unwrap());
    disk.create_dir(DIR).unwrap();
    let space = Arc::new(Space::new(Arc::clone(&disk), 0));
    let half = 10 + count;
    let seqs = (10..10 + 2 * count).step_by(2);
    let mut writer = SegmentWriter::create(&disk, &space, 7).unwrap();
    for seq in seqs.clone().filter(|&seq| seq < half) {
        writer.append(seq, &payload(seq), crc32c(&payload(seq))).unwrap();
    }
    writer.sync().unwrap();
    let mut writer = SegmentWriter::reopen(&disk, &space, 7, writer.len_bytes()).unwrap();
    for seq in seqs.filter(|&seq| seq >= half) {
        writer.append(seq, &payload(seq), crc32c(&payload(seq))).unwrap();
    }
    writer.sync().unwrap();
    Made { disk, len_bytes: writer.len_bytes(), _dir: dir }
}

fn read(made: &Made, wanted: &[u64], points: &mut Points) -> Vec<u64> {
    let mut got = Vec::new();
    let mut reader = SegmentReader::open(&made.disk, 7, made.len_bytes, SEGMENT_READ_BYTES).unwrap();
    let take = |seq, bytes: &[u8], _, _: &Bytes| {
        assert_eq!(bytes, payload(seq));
        got.push(seq);
        Ok(ControlFlow::Continue(()))
    };
    reader.read(wanted, points, take).unwrap();
    got
}

#[test]
fn messages_come_back_in_any_pages() {
    let made = made(20_000);
    let all: Vec<u64> = (10..10 + 40_000).step_by(2).collect();
    let mut points = Points::default();
    for page in all.chunks(777) {
        assert_eq!(read(&made, page, &mut points), page);
    }
    for first in [5000, 0, 19_990, 12_345] {
        let page: Vec<u64> = all[first..].iter().copied().step_by(3).take(20).collect();
        assert_eq!(read(&made, &page, &mut points), page);
    }
}

#[test]
fn what_was_never_written_is_left_out() {
    let made = made(10);
    assert_eq!(read(&made, &[9, 10, 11, 28, 29, 30], &mut Points::default()), [10, 28]);
}

#[test]
fn damage_takes_only_what_it_hit() {
    let made = made(20);
    let file = made.disk.open(&path(7), Mode::Write).unwrap();
    let all: Vec<u64> = (10..50).step_by(2).collect();
    for offset in FILE_HEAD_BYTES..made.len_bytes {
        let mut octet = [0];
        file.read_at(offset, &mut octet).unwrap();
        file.write_at(offset, &[octet[0] ^ 0x10]).unwrap();
        assert_eq!(read(&made, &all, &mut Points::default()).len(), all.len() - 1, "at {offset}");
        file.write_at(offset, &octet).unwrap();
    }
}

#[test]
fn a_cut_segment_gives_what_is_left() {
    let made = made(20);
    let file = made.disk.open(&path(7), Mode::Write).unwrap();
    let all: Vec<u64> = (10..50).step_by(2).collect();
    for len in (0..made.len_bytes).rev().step_by(3) {
        file.set_len(len).unwrap();
        let got = read(&made, &all, &mut Points::default());
        assert_eq!(got, all[..got.len()]);
    }
}
