//! Reading the log from a checkpoint on: what happened, where it ends, and whether it ends where it should.

use std::sync::Arc;

use super::Tail;
use super::back::Records;
use super::block::{HEADER_BYTES, Header, VERSION, padded};
use super::files;
use super::survey::{Evidence, survey};
use super::window::Window;
use crate::disk::{Disk, File, Mode};
use crate::error::Error;
use crate::limits::{JOURNAL_FILE_NUMBER_MAX, REPLAY_WINDOW_BYTES, SECTOR_BYTES};
use crate::options::Options;
use crate::record::Logged;

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Where the log goes on.
    pub tail: Tail,
    /// Records handed over.
    pub records: u64,
    /// What was not whole at the end.
    pub cut: Option<Cut>,
    /// What was left out because of [`Options::recover`]. If anything was, a checkpoint has to be written before the store is
    /// used: the next replay would meet the damage again.
    pub skipped: Vec<Skipped>,
}

/// What was not whole at the end of the journal: it was being written when the broker or the machine stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub path: String,
    /// Where in it the journal ends.
    pub offset: u64,
    /// How many bytes claim to have been written beyond.
    pub bytes: u64,
}

/// What was left out though the journal goes on after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: String,
    /// Where in it.
    pub offset: u64,
    /// Position at which the journal goes on.
    pub until: u64,
    /// Bytes left out.
    pub bytes: u64,
}

/// Hands every record from `from` on to `each`, with the position at which it begins, and finds the end.
///
/// The end is where no block follows that is whole and continues the chain. If a later block says that what should be there was
/// on the disk, or if the end comes before `durable_at_least`, the journal is damaged.
///
/// # Errors
/// [`Error::Corrupt`] when it is damaged and [`Options::recover`] is not set; what `each` returns; [`Error::Version`];
/// [`Error::Io`].
pub fn replay(
    disk: &Arc<dyn Disk>,
    options: &Options,
    from: Tail,
    durable_at_least: u64,
    each: &mut dyn FnMut(u64, Logged<'_>) -> Result<(), Error>,
) -> Result<Replayed, Error> {
    options.check()?;
    let position_max = JOURNAL_FILE_NUMBER_MAX * options.journal_file_bytes;
    if from.position.max(durable_at_least) > position_max || !from.position.is_multiple_of(SECTOR_BYTES as u64) {
        return Err(Error::Options("a journal cannot begin where the checkpoint says"));
    }
    let blocks = Blocks::new(Arc::clone(disk), options.journal_file_bytes);
    let replayed = Replayed { tail: from, records: 0, cut: None, skipped: Vec::new() };
    let mut replay = Replay { blocks, recover: options.recover, epoch: from.epoch, replayed };
    loop {
        while let Some(header) = replay.next_block()? {
            replay.hand_over(&header, each)?;
        }
        if !replay.goes_on(durable_at_least)? {
            return Ok(replay.replayed);
        }
    }
}

struct Replay {
    blocks: Blocks,
    recover: bool,
    /// That of the last good block.
    epoch: u32,
    replayed: Replayed,
}

impl Replay {
    /// The block that continues the chain, here or at the beginning of the next file.
    fn next_block(&mut self) -> Result<Option<Header>, Error> {
        let Tail { position, chain, .. } = self.replayed.tail;
        let file_bytes = self.blocks.file_bytes;
        let next_file = position.checked_next_multiple_of(file_bytes).filter(|next| *next != position);
        for place in [Some(position), next_file].into_iter().flatten() {
            if let Some(Found { header, whole: true }) = self.blocks.look(place)?
                && header.previous == chain
                && header.epoch >= self.epoch
            {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    fn hand_over(
        &mut self,
        header: &Header,
        each: &mut dyn FnMut(u64, Logged<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.blocks.check_version(header)?;
        let (mut records, mut broken) = (0, None);
        let payload = self.blocks.payload(header)?;
        for (position, logged) in (Records { rest: payload, position: header.position + HEADER_BYTES as u64 }) {
            match logged {
                Ok(logged) => each(position, logged)?,
                Err(error) => {
                    broken = Some((position, error));
                    break;
                }
            }
            records += 1;
        }
        self.replayed.records += records;
        self.epoch = header.epoch;
        let until = header.position + padded(header.block_bytes());
        self.replayed.tail =
            Tail { position: until, chain: header.crc, epoch: self.replayed.tail.epoch.max(header.epoch) };
        match broken {
            None => Ok(()),
            Some((position, error)) => self.leave_out(position, until, &format!("a record cannot be read: {error}")),
        }
    }

    /// Whether there is more after a place at which no block continues the chain.
    fn goes_on(&mut self, durable_at_least: u64) -> Result<bool, Error> {
        let at = self.replayed.tail.position;
        let found = survey(&mut self.blocks, at, self.epoch)?;
        self.replayed.tail.epoch = self.replayed.tail.epoch.max(found.epoch_max);
        if let Some(Evidence { header }) = found.evidence {
            let (path, offset) = self.blocks.place(header.position);
            let what = format!(
                "the block that begins here is not whole, but {path} goes on at byte {offset} and says that it was on the disk"
            );
            self.leave_out(at, header.position, &what)?;
            self.replayed.tail = Tail { position: header.position, chain: header.previous, ..self.replayed.tail };
            return Ok(true);
        }
        if at < durable_at_least {
            let until = padded(durable_at_least);
            self.leave_out(at, until, "the journal ends here, but the checkpoint says that more was on the disk")?;
            self.replayed.tail.position = until;
        }
        if let Some(end) = found.claimed_until {
            let (path, offset) = self.blocks.place(at);
            self.replayed.cut = Some(Cut { path, offset, bytes: end - at });
        }
        Ok(false)
    }

    /// Damage: the end, or a gap.
    fn leave_out(&mut self, at: u64, until: u64, what: &str) -> Result<(), Error> {
        let (path, offset) = self.blocks.place(at);
        let bytes = until.saturating_sub(at);
        if self.recover {
            self.replayed.skipped.push(Skipped { path, offset, until, bytes });
            return Ok(());
        }
        let remedy = format!(
            "Restore the data directory from a copy, or start with --recover: the broker then leaves out {bytes} bytes of the \
             journal from here on. Messages and declarations in them are lost, and messages that they acknowledged come back"
        );
        Err(Error::Corrupt { path, offset, what: what.to_owned(), remedy })
    }
}

/// Something that looks like a block and lies where it says that it does.
pub(super) struct Found {
    pub header: Header,
    /// Its checksum is right.
    pub whole: bool,
}

/// The blocks of the journal's files.
pub(super) struct Blocks {
    disk: Arc<dyn Disk>,
    pub file_bytes: u64,
    open: Option<OpenFile>,
    window: Window,
}

struct OpenFile {
    number: u64,
    /// `None`: it does not exist.
    file: Option<Arc<dyn File>>,
    bytes: u64,
}

impl Blocks {
    fn new(disk: Arc<dyn Disk>, file_bytes: u64) -> Self {
        Self { disk, file_bytes, open: None, window: Window::default() }
    }

    /// Path and offset of a position.
    pub fn place(&self, position: u64) -> (String, u64) {
        (files::path(position / self.file_bytes), position % self.file_bytes)
    }

    /// Numbers of the files that there are, ascending.
    pub fn files(&self) -> Result<Vec<u64>, Error> {
        files::list(&*self.disk)
    }

    /// Bytes of a file that can be read; none when it does not exist.
    pub fn readable_bytes(&mut self, number: u64) -> Result<u64, Error> {
        if let Some(open) = self.open.as_ref().filter(|open| open.number == number) {
            return Ok(open.bytes);
        }
        let path = files::path(number);
        let file = match self.disk.open(&path, Mode::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            file => Some(file.map_err(Error::io("open", &*path))?),
        };
        let bytes = file.as_ref().map_or(Ok(0), |file| file.len()).map_err(Error::io("look at", path))?;
        let bytes = bytes.min(self.file_bytes);
        self.open = Some(OpenFile { number, file, bytes });
        self.window.forget();
        Ok(bytes)
    }

    /// What lies at a position, if it claims to be a block that belongs there.
    pub fn look(&mut self, position: u64) -> Result<Option<Found>, Error> {
        let Some(header) = self.bytes(position, HEADER_BYTES as u64)?.and_then(Header::parse) else { return Ok(None) };
        if header.position != position {
            return Ok(None);
        }
        // A length that reaches beyond the file finds nothing; nothing is allocated by it.
        let block = self.bytes(position, header.block_bytes())?;
        let whole = usize::try_from(header.block_bytes())
            .ok()
            .and_then(|len| block?.get(..len))
            .is_some_and(|block| header.is_whole(block));
        Ok(Some(Found { header, whole }))
    }

    fn payload(&mut self, header: &Header) -> Result<&[u8], Error> {
        let block = self.bytes(header.position, header.block_bytes())?.unwrap_or_default();
        let end = usize::try_from(header.block_bytes()).unwrap_or(usize::MAX);
        Ok(block.get(HEADER_BYTES..end).unwrap_or_default())
    }

    /// Only for a block that is whole.
    pub fn check_version(&self, header: &Header) -> Result<(), Error> {
        if header.version == VERSION {
            return Ok(());
        }
        let (path, _) = self.place(header.position);
        Err(Error::Version { path, version: u32::from(header.version), known: u32::from(VERSION) })
    }

    /// At least `need` bytes from a position on; `None` when its file ends before.
    fn bytes(&mut self, position: u64, need: u64) -> Result<Option<&[u8]>, Error> {
        let number = position / self.file_bytes;
        let bytes = self.readable_bytes(number)?;
        let Some(file) = self.open.as_ref().and_then(|open| open.file.as_ref()) else { return Ok(None) };
        let need = usize::try_from(need).unwrap_or(usize::MAX);
        let offset = position % self.file_bytes;
        self.window
            .get(&**file, bytes, offset, need, REPLAY_WINDOW_BYTES)
            .map_err(Error::io("read", files::path(number)))
    }
}
