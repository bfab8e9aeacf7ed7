//! Opening a data directory: from checkpoint and journal to the state.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;

use crate::checkpoint::{self, Checkpoint};
use crate::disk::{Disk, Mode};
use crate::error::Error;
use crate::journal::{Cut, Log, Replayed, Skipped, Tail, replay};
use crate::options::Options;
use crate::record::Logged;
use crate::segment;
use crate::state::State;

/// Where the journal's files are.
const JOURNAL_DIR: &str = "journal";

/// What was found at the start, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The last run stopped in order.
    pub clean: bool,
    /// Records that the journal had after the checkpoint.
    pub records: u64,
    /// What was not whole at the journal's end.
    pub cut: Option<Cut>,
    /// What was left out because it is damaged and [`Options::recover`] said so.
    pub skipped: Vec<Skipped>,
    /// Segment files of which no checkpoint knew.
    pub segments_removed: u64,
}

#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) state: State,
    pub(crate) tail: Tail,
    pub(crate) report: Recovery,
}

pub(crate) fn recover(disk: &Arc<dyn Disk>, options: &Options) -> Result<Recovered, Error> {
    options.check()?;
    for dir in [JOURNAL_DIR, segment::DIR] {
        disk.create_dir(dir).map_err(Error::io("create", dir))?;
    }
    disk.sync_dir("").map_err(Error::io("sync", "."))?;
    let (mut state, from, clean) = match checkpoint::read(disk)? {
        Some(Checkpoint { tail, clean, journal_file_bytes, state }) => {
            if journal_file_bytes != options.journal_file_bytes {
                return Err(Error::Options("journal_file_bytes is not what the data directory was made with"));
            }
            check_end(disk, options, tail)?;
            (state, tail, clean)
        }
        None => (State { next_segment_id: 1, ..State::default() }, first_tail(disk, options)?, false),
    };
    let replayed = replay(disk, options, from, from.position, &mut |position, record| {
        state.apply(position, &record);
        Ok(())
    })?;
    // The record that says so is the first that this run appends; nothing else will come before it.
    state.apply(replayed.tail.position, &Logged::Started { epoch: replayed.tail.epoch.saturating_add(1) });
    state.take_blob_changes();
    let segments_removed = sort_out_segments(disk, &mut state, options)?;
    let Replayed { tail, records, cut, skipped } = replayed;
    let clean = clean && records == 0;
    Ok(Recovered { state, tail, report: Recovery { clean, records, cut, skipped, segments_removed } })
}

/// The file in which the journal stood when the checkpoint was written must be there: without it all that came afterwards would
/// be missing, and nothing would tell.
fn check_end(disk: &Arc<dyn Disk>, options: &Options, tail: Tail) -> Result<(), Error> {
    let file_bytes = options.journal_file_bytes;
    // Before the first file nothing was ever written.
    let Some(last) = tail.position.checked_sub(1).filter(|&last| last >= file_bytes) else { return Ok(()) };
    let path = format!("{JOURNAL_DIR}/{:010}.log", last / file_bytes);
    let wanted_bytes = last % file_bytes + 1;
    let len = match disk.open(&path, Mode::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        file => file.and_then(|file| file.len()).map_err(Error::io("look at", &*path))?,
    };
    if len >= wanted_bytes {
        return Ok(());
    }
    if options.recover {
        tracing::error!(
            file = path,
            len,
            wanted_bytes,
            "the journal's last file is cut: what came after the checkpoint is lost"
        );
        return Ok(());
    }
    Err(Error::Corrupt {
        path,
        offset: len,
        what: format!("it ends here or is not there, and the checkpoint says that the journal had come to byte {wanted_bytes}"),
        remedy: "Restore the data directory from a copy, or start with --recover: the broker then starts without what the file held"
            .into(),
    })
}

/// What messages refer to must be there.
pub(crate) fn check_journal(state: &State, log: &Log, tail: Tail, options: &Options) -> Result<(), Error> {
    let Some(lowest) = state.lowest_position() else { return Ok(()) };
    let (first, files) = (log.file_of(lowest), log.files_in_use());
    let last = log.file_of(tail.position.saturating_sub(1).max(lowest));
    for file in (first..=last).filter(|file| !files.contains(file)) {
        let path = format!("{JOURNAL_DIR}/{file:010}.log");
        if options.recover {
            tracing::error!(file = path, "journal file is not there: the messages that lay in it are lost");
            continue;
        }
        return Err(Error::Corrupt {
            path,
            offset: 0,
            what: "the file is not there, and messages lie in it or before it".into(),
            remedy: "With --recover the broker starts without those".into(),
        });
    }
    Ok(())
}

/// Where a journal begins that no checkpoint knows of.
fn first_tail(disk: &Arc<dyn Disk>, options: &Options) -> Result<Tail, Error> {
    let fresh = Tail::fresh(options.journal_file_bytes);
    let first = fresh.position / options.journal_file_bytes;
    let files = disk.list(JOURNAL_DIR).map_err(Error::io("list", JOURNAL_DIR))?;
    let numbers = files.iter().filter_map(|file| file.name.strip_suffix(".log")?.parse::<u64>().ok());
    match numbers.min() {
        Some(lowest) if lowest > first => Err(Error::Corrupt {
            path: "checkpoint".into(),
            offset: 0,
            what: format!("it is not there, though the journal begins only with its file {lowest}"),
            remedy:
                "It tells where every message lies: restore the data directory from a copy, or move it away to start \
                     empty"
                    .into(),
        }),
        _ => Ok(fresh),
    }
}

/// Removes segments that do not count, and sees that the others are there.
fn sort_out_segments(disk: &Arc<dyn Disk>, state: &mut State, options: &Options) -> Result<u64, Error> {
    let files = disk.list(segment::DIR).map_err(Error::io("list", segment::DIR))?;
    let lengths: BTreeMap<u64, u64> =
        files.iter().filter_map(|file| Some((segment::id_of(&file.name)?, file.len))).collect();
    let segments = || state.queues.values().flat_map(|queue| &queue.segments);
    for segment in segments() {
        let len = lengths.get(&segment.id).copied();
        if len.is_some_and(|len| len >= segment.len_bytes) || options.recover {
            continue;
        }
        return Err(Error::Corrupt {
            path: segment::path(segment.id),
            offset: len.unwrap_or(0),
            what: format!("it should be {} bytes long, with {} messages", segment.len_bytes, segment.live.len()),
            remedy: "With --recover the broker starts without what is missing".into(),
        });
    }
    // The last checkpoint may name dead ones still, should this run die before it writes another: they stay until then.
    let kept: BTreeSet<u64> = segments().map(|segment| segment.id).chain(state.dead_segments.iter().copied()).collect();
    let unknown: Vec<u64> = lengths.into_keys().filter(|id| !kept.contains(id)).collect();
    for &id in &unknown {
        disk.remove(&segment::path(id)).map_err(Error::io("remove", segment::path(id)))?;
    }
    Ok(unknown.len() as u64)
}
