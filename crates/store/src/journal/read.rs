//! Reading bodies back.

use std::sync::Arc;

use bytes::Bytes;
use leveret_engine::journal::BodyAt;

use super::Log;
use super::files;
use super::window::Window;
use crate::disk::File;
use crate::error::Error;
use crate::limits::{PAGE_READ_BYTES, READ_WINDOW_BYTES_MAX, READ_WINDOW_BYTES_MIN};
use crate::record::{DecodeError, Payload, StoredFrame, VARINT_BYTES_MAX};

/// A body read back; its checksum was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBody {
    /// See [`Payload`].
    pub payload: Vec<u8>,
    /// When it came to the broker: milliseconds since 1970.
    pub arrived_ms: u64,
    /// The payload's checksum.
    pub crc: u32,
}

/// The same, borrowed from a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRef<'a> {
    /// See [`Payload::decode`].
    pub payload: &'a [u8],
    /// The payload's checksum.
    pub crc: u32,
    /// What was read together with it, and of which it is a part.
    pub within: &'a Bytes,
}

/// Reads bodies; in ascending order it reads ahead, further and further while they lie close together.
#[derive(Debug)]
pub struct BodyReader<'a> {
    log: &'a Log,
    file: Option<OpenFile>,
    window: Window,
    ahead_bytes: usize,
    ahead_bytes_max: usize,
}

#[derive(Debug)]
struct OpenFile {
    number: u64,
    file: Arc<dyn File>,
    bytes: u64,
}

impl Log {
    /// Reads one body.
    ///
    /// # Errors
    /// As [`BodyReader::read`].
    pub fn read_body(&self, at: BodyAt) -> Result<StoredBody, Error> {
        let mut reader = BodyReader::new(self);
        let body = reader.read(at)?;
        let payload = Payload::decode(body.payload).map_err(|source| Error::Record { position: at.0, source })?;
        Ok(StoredBody { arrived_ms: payload.arrived_ms, crc: body.crc, payload: body.payload.to_vec() })
    }
}

impl<'a> BodyReader<'a> {
    /// Reads what `log` has committed.
    #[must_use]
    pub fn new(log: &'a Log) -> Self {
        Self::reading_ahead(log, READ_WINDOW_BYTES_MAX)
    }

    /// The same for who keeps parts of what was read.
    pub(crate) fn for_page(log: &'a Log) -> Self {
        Self::reading_ahead(log, PAGE_READ_BYTES)
    }

    fn reading_ahead(log: &'a Log, ahead_bytes_max: usize) -> Self {
        Self { log, file: None, window: Window::default(), ahead_bytes: READ_WINDOW_BYTES_MIN, ahead_bytes_max }
    }

    /// Reads a body and compares its checksum.
    ///
    /// # Errors
    /// [`Error::Gone`] when the file has been given up meanwhile, or the body is not committed: look it up again.
    /// [`Error::Corrupt`] when another is there, or none. [`Error::Io`] when it cannot be read.
    pub fn read(&mut self, at: BodyAt) -> Result<BodyRef<'_>, Error> {
        let BodyAt(position) = at;
        if position >= self.log.durable().0 {
            return Err(Error::Gone { position });
        }
        let number = self.log.file_of(position);
        self.open(number, position)?;
        let stamp = self.log.stamp(position);
        let log = self.log;
        let failed = |error| if log.files.get(number).is_some() { error } else { Error::Gone { position } };
        let offset = position % self.log.file_bytes;
        let record_bytes = self.read_record(offset, number).map_err(failed)?;
        let record = self.window.held(offset).and_then(|held| held.get(..record_bytes)).unwrap_or_default();
        match StoredFrame::parse(record).and_then(|frame| frame.checked(stamp)) {
            Ok(frame) => Ok(BodyRef { payload: frame.payload, crc: frame.crc, within: self.window.bytes() }),
            Err(source) => Err(failed(corrupt(number, offset, source))),
        }
    }

    fn open(&mut self, number: u64, position: u64) -> Result<(), Error> {
        if self.file.as_ref().is_some_and(|open| open.number == number) {
            return Ok(());
        }
        let file = self.log.files.get(number).ok_or(Error::Gone { position })?;
        let bytes = file.len().map_err(Error::io("look at", files::path(number)))?.min(self.log.file_bytes);
        self.file = Some(OpenFile { number, file, bytes });
        self.window.forget();
        Ok(())
    }

    /// Has the record at `offset` in the window. Its length: believed as far as the file reaches.
    fn read_record(&mut self, offset: u64, number: u64) -> Result<usize, Error> {
        let Some(open) = &self.file else { return Ok(0) };
        let failed = |error| Error::io("read", files::path(number))(error);
        // Close to what was read last: it pays to read further. Far from it: it does not.
        self.ahead_bytes = if self.window.is_near(offset) {
            if self.window.holds(offset) { self.ahead_bytes } else { (2 * self.ahead_bytes).min(self.ahead_bytes_max) }
        } else {
            READ_WINDOW_BYTES_MIN
        };
        let left = usize::try_from(open.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let need = VARINT_BYTES_MAX.min(left);
        let head = self.window.get(&*open.file, open.bytes, offset, need, self.ahead_bytes).map_err(failed)?;
        let record_bytes = head
            .map_or(Err(DecodeError::Truncated), StoredFrame::record_bytes)
            .map_err(|source| corrupt(number, offset, source))?;
        let record =
            self.window.get(&*open.file, open.bytes, offset, record_bytes, self.ahead_bytes).map_err(failed)?;
        record.map(|_| record_bytes).ok_or_else(|| corrupt(number, offset, DecodeError::Truncated))
    }
}

fn corrupt(number: u64, offset: u64, source: DecodeError) -> Error {
    Error::Corrupt {
        path: files::path(number),
        offset,
        what: format!("no message can be read: {source}"),
        remedy: "The message is lost; the others are not touched".to_owned(),
    }
}
