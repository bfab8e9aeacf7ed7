//! The disk's own limit: what a journal on it could do at best.
//!
//! A file is written once from end to end, so that its blocks are there, and is then written again and again as a journal
//! recycles its files: so many records in one write, then fdatasync.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::latency::{Latency, Recorder};
use crate::progress::Progress;
use crate::report::grouped;

/// Bytes of the file, a journal file's size.
const FILE_BYTES: u64 = 64 << 20;
/// Bytes of one write while the file is made.
const FILL_BYTES: usize = 1 << 20;
/// Name of the file.
const FILE_NAME: &str = "leveret-bench-disk";

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct DiskArgs {
    /// A directory on the disk to measure
    #[arg(long)]
    dir: PathBuf,
    /// Records that are written before each sync
    #[arg(long, value_delimiter = ',', default_value = "1,32,128,512", value_parser = clap::value_parser!(u64).range(1..=65_536))]
    records: Vec<u64>,
    /// Bytes of a record
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    size: u64,
    /// Seconds for each number of records
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

/// What the disk did with one number of records a sync.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DiskPoint {
    /// Records in each write.
    pub records_per_sync: u64,
    /// Syncs a second.
    pub syncs_per_second: f64,
    /// Records a second.
    pub records_per_second: f64,
    /// Megabytes (10^6) a second.
    pub megabytes_per_second: f64,
    /// How long fdatasync alone took.
    pub fdatasync: Latency,
}

impl DiskArgs {
    /// Measures and prints.
    ///
    /// # Errors
    /// When the disk does not take the file.
    pub fn run(&self) -> Result<()> {
        let points = self.measure()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&points)?);
            return Ok(());
        }
        println!(
            "{:>12} {:>10} {:>12} {:>9} {:>14} {:>14}",
            "records", "syncs/s", "records/s", "MB/s", "p50 us", "p99 us"
        );
        for point in points {
            println!(
                "{:>12} {:>10.0} {:>12.0} {:>9.1} {:>14.1} {:>14.1}",
                point.records_per_sync,
                point.syncs_per_second,
                point.records_per_second,
                point.megabytes_per_second,
                point.fdatasync.p50_us,
                point.fdatasync.p99_us
            );
        }
        Ok(())
    }

    /// Measures each number of records.
    ///
    /// # Errors
    /// When the disk does not take the file.
    pub fn measure(&self) -> Result<Vec<DiskPoint>> {
        let path = self.dir.join(FILE_NAME);
        let mut progress = Progress::new(self.quiet);
        let points = prepare(&path)
            .and_then(|file| self.records.iter().map(|&count| self.point(&file, count, &mut progress)).collect());
        fs::remove_file(&path).with_context(|| path.display().to_string())?;
        points
    }

    fn point(&self, file: &File, records: u64, progress: &mut Progress) -> Result<DiskPoint> {
        let bytes = vec![0x5A; usize::try_from(records * self.size)?];
        let (mut offset, mut syncs, mut latencies) = (0, 0_u64, Recorder::default());
        let begin = Instant::now();
        let window = Duration::from_secs_f64(self.seconds);
        while begin.elapsed() < window || syncs == 0 {
            if offset + bytes.len() as u64 > FILE_BYTES {
                offset = 0;
            }
            file.write_all_at(&bytes, offset)?;
            offset += bytes.len() as u64;
            let before = Instant::now();
            file.sync_data()?;
            latencies.record(before.elapsed());
            syncs += 1;
            progress.show(|_| format!("records {records:>6}  syncs {:>10}", grouped(syncs as f64)));
        }
        let seconds = begin.elapsed().as_secs_f64();
        let records_per_second = (syncs * records) as f64 / seconds;
        Ok(DiskPoint {
            records_per_sync: records,
            syncs_per_second: syncs as f64 / seconds,
            records_per_second,
            megabytes_per_second: records_per_second * self.size as f64 / 1e6,
            fdatasync: latencies.summary().context("nothing was synced")?,
        })
    }
}

/// A file whose every block has been written.
fn prepare(path: &std::path::Path) -> Result<File> {
    let file = File::options().create(true).truncate(true).write(true).open(path);
    let file = file.with_context(|| path.display().to_string())?;
    let piece = vec![0x11; FILL_BYTES];
    for offset in (0..FILE_BYTES).step_by(FILL_BYTES) {
        file.write_all_at(&piece, offset)?;
    }
    file.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_measured_and_nothing_is_left() {
        let dir = std::env::temp_dir().join(format!("leveret-bench-disk-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let args =
            DiskArgs { dir: dir.clone(), records: vec![1, 512], size: 1024, seconds: 0.02, json: false, quiet: true };
        let points = args.measure().unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir(&dir).unwrap();
        let [one, many] = points[..] else { panic!("{points:?}") };
        assert_eq!((one.records_per_sync, many.records_per_sync), (1, 512));
        assert!(one.records_per_second > 0.0 && many.records_per_second > one.records_per_second);
        assert!(one.fdatasync.p50_us <= one.fdatasync.p99_us);
    }
}
