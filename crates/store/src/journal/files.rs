//! The journal's files: `journal/NNNNNNNNNN.log`, and `journal/NNNNNNNNNN.spare` to be used again.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, File, Mode, Space};
use crate::error::{Error, is_no_room};
use crate::limits::{JOURNAL_FILE_NUMBER_MAX, JOURNAL_SPARES_MAX, ZERO_FILL_BYTES};

/// The directory.
pub const DIR: &str = "journal";

const LOG_END: &str = ".log";
const SPARE_END: &str = ".spare";
/// A spare that is not finished.
const UNFINISHED: &str = "journal/spare.tmp";

/// The path of a journal file within the data directory.
pub fn path(number: u64) -> String {
    format!("{DIR}/{number:010}{LOG_END}")
}

fn spare_path(number: u64) -> String {
    format!("{DIR}/{number:010}{SPARE_END}")
}

fn number(name: &str, end: &str) -> Option<u64> {
    let digits = name.strip_suffix(end)?;
    let number = digits.parse().ok()?;
    // Names that we would not have written, such as +5, are not ours.
    (number <= JOURNAL_FILE_NUMBER_MAX && digits == format!("{number:010}")).then_some(number)
}

/// Numbers of the files that there are, ascending.
pub fn list(disk: &dyn Disk) -> Result<Vec<u64>, Error> {
    numbers(disk, LOG_END)
}

fn numbers(disk: &dyn Disk, end: &str) -> Result<Vec<u64>, Error> {
    let entries = disk.list(DIR).map_err(Error::io("list", DIR))?;
    let mut numbers: Vec<u64> = entries.iter().filter_map(|entry| number(&entry.name, end)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The files in use, and the spares.
#[derive(Debug)]
pub struct Files {
    disk: Arc<dyn Disk>,
    space: Arc<Space>,
    file_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: BTreeMap<u64, Arc<dyn File>>,
    spares: Vec<u64>,
    /// No spare has this number, or a higher one.
    spare_next: u64,
}

impl Files {
    /// Takes over the files up to number `last`; what lies beyond was never finished and is used again.
    pub fn open(disk: Arc<dyn Disk>, space: Arc<Space>, file_bytes: u64, last: u64) -> Result<Self, Error> {
        disk.create_dir(DIR).map_err(Error::io("create", DIR))?;
        disk.sync_dir("").map_err(Error::io("sync", "."))?;
        let spares = numbers(&*disk, SPARE_END)?;
        let spare_next = spares.last().map_or(0, |last| last + 1);
        let files = Self { disk, space, file_bytes, state: Mutex::new(State { spare_next, ..State::default() }) };
        for number in spares {
            files.adopt(spare_path(number), Some(number))?;
        }
        for number in list(&*files.disk)? {
            if number <= last {
                let file = files.disk.open(&path(number), Mode::Write).map_err(Error::io("open", path(number)))?;
                files.state.lock().open.insert(number, file);
            } else {
                files.adopt(path(number), None)?;
            }
        }
        match files.disk.remove(UNFINISHED) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("remove", UNFINISHED)(error)),
            _ => {}
        }
        // The last run may have ended between making the last file and making its name survive.
        files.disk.sync_dir(DIR).map_err(Error::io("sync", DIR))?;
        Ok(files)
    }

    /// Keeps a file that is no longer in use as a spare, if it is good for one. `spare` is its number if it is named as one.
    fn adopt(&self, path: String, spare: Option<u64>) -> Result<(), Error> {
        let file = self.disk.open(&path, Mode::Read).map_err(Error::io("open", &*path))?;
        let whole = file.len().map_err(Error::io("look at", &*path))? >= self.file_bytes;
        drop(file);
        let mut state = self.state.lock();
        if !whole || state.spares.len() >= JOURNAL_SPARES_MAX {
            drop(state);
            return self.disk.remove(&path).map_err(Error::io("remove", path));
        }
        let number = spare.unwrap_or(state.spare_next);
        state.spare_next = state.spare_next.max(number + 1);
        drop(state);
        if spare.is_none() {
            self.disk.rename(&path, &spare_path(number)).map_err(Error::io("rename", path))?;
        }
        self.state.lock().spares.push(number);
        Ok(())
    }

    /// A file in use.
    pub fn get(&self, number: u64) -> Option<Arc<dyn File>> {
        self.state.lock().open.get(&number).map(Arc::clone)
    }

    /// Numbers of the files in use, ascending.
    pub fn in_use(&self) -> Vec<u64> {
        self.state.lock().open.keys().copied().collect()
    }

    /// The file of this number with all its room, made from a spare if it is not there; and whether every byte of it is known to
    /// have been written at some time. Its name survives.
    pub fn writable(&self, number: u64) -> Result<(Arc<dyn File>, bool), Error> {
        if let Some(file) = self.get(number) {
            self.fill_up(&*file, &path(number))?;
            return Ok((file, false));
        }
        let path = path(number);
        // A statement of its own: the lock is not held while files are renamed and made.
        let spare = self.state.lock().spares.pop();
        if let Some(spare) = spare
            && let Err(error) = self.disk.rename(&spare_path(spare), &path)
        {
            self.state.lock().spares.push(spare);
            return Err(Error::io("rename", spare_path(spare))(error));
        }
        let file = self.make(&path)?;
        self.disk.sync_dir(DIR).map_err(Error::io("sync", DIR))?;
        self.state.lock().open.insert(number, Arc::clone(&file));
        Ok((file, spare.is_some()))
    }

    fn make(&self, path: &str) -> Result<Arc<dyn File>, Error> {
        let file = self.disk.open(path, Mode::Create).map_err(Error::io("make", path))?;
        self.fill_up(&*file, path)?;
        Ok(file)
    }

    /// Sees that a file has its whole length.
    fn fill_up(&self, file: &dyn File, path: &str) -> Result<(), Error> {
        let missing = self.file_bytes.saturating_sub(file.len().map_err(Error::io("look at", path))?);
        if missing == 0 {
            return Ok(());
        }
        self.space.ask(missing).map_err(Error::io("make room for", path))?;
        file.allocate(self.file_bytes).map_err(Error::io("make room for", path))
    }

    /// Whether the file in use is the last: there is no spare, and no room for one. Looks at the room on the disk.
    pub fn is_last(&self) -> std::io::Result<bool> {
        let has_spare = !self.state.lock().spares.is_empty();
        Ok(!has_spare && self.space.look(self.file_bytes)?)
    }

    /// Looks at the room on the disk; makes a spare when there is none, and room for one. Whether one was made.
    pub fn prepare_spare(&self) -> Result<bool, Error> {
        let has_spare = !self.state.lock().spares.is_empty();
        let wanted_bytes = if has_spare { 0 } else { self.file_bytes };
        let low = self.space.look(wanted_bytes).map_err(Error::io("look at", "the data directory"))?;
        if has_spare || low {
            return Ok(false);
        }
        let made = self.write_zeros();
        match made {
            Err(error) if is_no_room(&error) => {
                self.space.set_low();
                return match self.disk.remove(UNFINISHED) {
                    // There was not even room for its name.
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
                    removed => removed.map(|()| false).map_err(Error::io("remove", UNFINISHED)),
                };
            }
            made => made.map_err(Error::io("write", UNFINISHED))?,
        }
        let number = self.next_spare();
        self.disk.rename(UNFINISHED, &spare_path(number)).map_err(Error::io("rename", UNFINISHED))?;
        self.state.lock().spares.push(number);
        Ok(true)
    }

    /// Writes to every byte once: from then on a commit changes nothing but data.
    fn write_zeros(&self) -> std::io::Result<()> {
        let file = self.disk.open(UNFINISHED, Mode::Create)?;
        file.allocate(self.file_bytes)?;
        let zeros = vec![0; ZERO_FILL_BYTES.min(usize::try_from(self.file_bytes).unwrap_or(ZERO_FILL_BYTES))];
        let mut offset = 0;
        while offset < self.file_bytes {
            let left = usize::try_from(self.file_bytes - offset).unwrap_or(usize::MAX);
            let piece = zeros.get(..left).unwrap_or(&zeros);
            file.write_at(offset, piece)?;
            offset += piece.len() as u64;
        }
        file.sync_data()
    }

    fn next_spare(&self) -> u64 {
        let mut state = self.state.lock();
        let number = state.spare_next;
        state.spare_next += 1;
        number
    }

    /// Gives up the files up to number `last`: nobody finds them any more, and some become spares.
    pub fn release_through(&self, last: u64) -> Result<(), Error> {
        loop {
            // Out of the map first: who reads now is told to look the message up again.
            let released = {
                let mut state = self.state.lock();
                let Some(first) = state.open.first_entry().filter(|first| *first.key() <= last) else { return Ok(()) };
                first.remove_entry().0
            };
            self.adopt(path(released), None)?;
        }
    }
}
