//! From bytes to records. Nothing is believed: every length and count is checked against what is there.

use leveret_codec::table::TableRef;
use leveret_engine::journal::{BodyAt, SeqRange, StreamSegment};
use leveret_engine::names::QueueId;

use super::varint::{Reader, follow};
use super::{DecodeError, Logged, LoggedBinding, LoggedKey, Payload, kind, payload_crc};

/// The record at the beginning of `bytes`, and how many of them it takes.
///
/// # Errors
/// When they are none.
pub fn decode(bytes: &[u8]) -> Result<(Logged<'_>, usize), DecodeError> {
    let (contents, used) = frame(bytes)?;
    Ok((decode_contents(contents)?, used))
}

/// Hands every record of a stream to `each`, with its offset.
///
/// # Errors
/// The offset of the first that is none, and why.
pub fn decode_stream(bytes: &[u8], mut each: impl FnMut(usize, Logged<'_>)) -> Result<(), (usize, DecodeError)> {
    let mut offset = 0;
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let (logged, used) = decode(rest).map_err(|error| (offset, error))?;
        each(offset, logged);
        offset += used;
    }
    Ok(())
}

/// The contents of the record at the beginning of `bytes`, kind first, and the length of the whole record.
fn frame(bytes: &[u8]) -> Result<(&[u8], usize), DecodeError> {
    let mut reader = Reader(bytes);
    let contents = reader.text()?;
    Ok((contents, bytes.len() - reader.0.len()))
}

fn decode_contents(contents: &[u8]) -> Result<Logged<'_>, DecodeError> {
    let mut reader = Reader(contents);
    let reader = &mut reader;
    let logged = match reader.octet()? {
        kind::STARTED => Logged::Started { epoch: u32::try_from(reader.varint()?).map_err(|_| DecodeError::Range)? },
        kind::BODY => return decode_body(*reader),
        kind::ENQUEUE => {
            let (queue, first_seq, bytes) = (QueueId(reader.varint()?), reader.varint()?, reader.varint()?);
            let [transient, _] = flags(reader, 1)?;
            let bodies = Positions(List::checked(reader, 1)?);
            first_seq.checked_add(bodies.len()).ok_or(DecodeError::Range)?;
            return Ok(Logged::Enqueue { queue, first_seq, bodies, bytes, transient });
        }
        kind::SETTLE => {
            let (queue, bytes) = (QueueId(reader.varint()?), reader.varint()?);
            let [transient, _] = flags(reader, 1)?;
            let ranges = Ranges(List::checked(reader, 2)?);
            ranges.check()?;
            return Ok(Logged::Settle { queue, ranges, bytes, transient });
        }
        kind::DELIVERED => Logged::Delivered { queue: QueueId(reader.varint()?), last: reader.varint()? },
        kind::RETURNED => {
            let queue = QueueId(reader.varint()?);
            let counts = Returns(List::checked(reader, 2)?);
            counts.check()?;
            return Ok(Logged::Returned { queue, counts });
        }
        kind::QUEUE_DECLARED => {
            let (id, vhost, name) = (QueueId(reader.varint()?), reader.name()?, reader.name()?);
            let [auto_delete, _] = flags(reader, 1)?;
            Logged::QueueDeclared { vhost, name, id, auto_delete, arguments: table(reader)? }
        }
        kind::QUEUE_DELETED => Logged::QueueDeleted { id: QueueId(reader.varint()?) },
        kind::EXCHANGE_DECLARED => {
            let (vhost, name, kind) = (reader.name()?, reader.name()?, reader.name()?);
            let [auto_delete, internal] = flags(reader, 2)?;
            Logged::ExchangeDeclared { vhost, name, kind, auto_delete, internal, arguments: table(reader)? }
        }
        kind::EXCHANGE_DELETED => Logged::ExchangeDeleted { vhost: reader.name()?, name: reader.name()? },
        kind::BOUND => Logged::Bound { vhost: reader.name()?, binding: binding(reader)? },
        kind::UNBOUND => Logged::Unbound { vhost: reader.name()?, binding: binding(reader)? },
        kind::MOVED => {
            Logged::Moved { queue: QueueId(reader.varint()?), seq: reader.varint()?, at: BodyAt(reader.varint()?) }
        }
        kind::STREAM_SEGMENT => {
            Logged::StreamSegment { queue: QueueId(reader.varint()?), segment: stream_segment(reader)? }
        }
        kind::SETTING => Logged::Setting { key: setting_key(reader)?, value: reader.text()? },
        kind::SETTING_CLEARED => Logged::SettingCleared { key: setting_key(reader)? },
        unknown => return Err(DecodeError::Kind(unknown)),
    };
    reader.finish()?;
    Ok(logged)
}

/// A segment of a stream, as records and checkpoints have it.
pub(crate) fn stream_segment(reader: &mut Reader<'_>) -> Result<StreamSegment, DecodeError> {
    let (first_seq, more) = (reader.varint()?, reader.varint()?);
    Ok(StreamSegment {
        first_seq,
        last_seq: first_seq.checked_add(more).ok_or(DecodeError::Range)?,
        body_bytes: reader.varint()?,
        size_bytes: reader.varint()?,
        last_ms: reader.varint()?,
    })
}

fn decode_body(reader: Reader<'_>) -> Result<Logged<'_>, DecodeError> {
    let frame = StoredFrame::read(reader)?;
    Ok(Logged::Body { payload: Payload::decode(frame.payload)?, crc: frame.crc })
}

/// A body's record when it is read alone, without the checksum of its block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredFrame<'a> {
    pub crc: u32,
    /// Number of the file for which it was written.
    file: u32,
    pub payload: &'a [u8],
}

impl<'a> StoredFrame<'a> {
    /// Length of the record at the beginning of `bytes`, which need not hold all of it.
    pub(crate) fn record_bytes(bytes: &[u8]) -> Result<usize, DecodeError> {
        let mut reader = Reader(bytes);
        let contents_bytes = usize::try_from(reader.varint()?).map_err(|_| DecodeError::Range)?;
        contents_bytes.checked_add(bytes.len() - reader.0.len()).ok_or(DecodeError::Range)
    }

    /// Takes a whole record apart.
    pub(crate) fn parse(record: &'a [u8]) -> Result<Self, DecodeError> {
        let (contents, _) = frame(record)?;
        let mut reader = Reader(contents);
        match reader.octet()? {
            kind::BODY => Self::read(reader),
            other => Err(DecodeError::Kind(other)),
        }
    }

    fn read(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { crc: reader.u32()?, file: reader.u32()?, payload: reader.0 })
    }

    /// Itself, if it was written for this file and has its checksum.
    pub(crate) fn checked(self, file: u32) -> Result<Self, DecodeError> {
        if self.file == file && payload_crc(self.payload) == self.crc { Ok(self) } else { Err(DecodeError::Checksum) }
    }
}

fn setting_key<'a>(reader: &mut Reader<'a>) -> Result<LoggedKey<'a>, DecodeError> {
    Ok(LoggedKey { kind: reader.octet()?, scope: reader.name()?, name: reader.name()? })
}

fn binding<'a>(reader: &mut Reader<'a>) -> Result<LoggedBinding<'a>, DecodeError> {
    let (source, destination) = (reader.name()?, reader.name()?);
    let [destination_is_queue, _] = flags(reader, 1)?;
    let routing_key = reader.text()?;
    Ok(LoggedBinding { source, destination, destination_is_queue, routing_key, arguments: table(reader)? })
}

fn table<'a>(reader: &mut Reader<'a>) -> Result<TableRef<'a>, DecodeError> {
    let table = TableRef::from_raw(reader.text()?);
    table.check().map_err(|_| DecodeError::Table)?;
    Ok(table)
}

/// The lowest two flags, of which `known` may be set and no other.
fn flags(reader: &mut Reader<'_>, known: u32) -> Result<[bool; 2], DecodeError> {
    let flags = reader.octet()?;
    if u32::from(flags) >> known != 0 {
        return Err(DecodeError::Range);
    }
    Ok([flags & 1 != 0, flags & 2 != 0])
}

/// A list at the end of a record: that so many numbers are there has been checked, and that nothing follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct List<'a> {
    count: u64,
    left: u64,
    previous: u64,
    reader: Reader<'a>,
}

impl<'a> List<'a> {
    fn checked(reader: &mut Reader<'a>, numbers_an_item: u64) -> Result<Self, DecodeError> {
        let count = reader.varint()?;
        let list = Self { count, left: count, previous: 0, reader: *reader };
        let numbers = count.checked_mul(numbers_an_item).ok_or(DecodeError::Range)?;
        // Each takes at least a byte.
        if numbers > reader.0.len() as u64 {
            return Err(DecodeError::Truncated);
        }
        for _ in 0..numbers {
            reader.varint()?;
        }
        reader.finish()?;
        Ok(list)
    }

    /// Begins the next item: where the way in its first number leads.
    fn step(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        self.previous = follow(self.previous, self.reader.varint().ok()?);
        Some(self.previous)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

/// Positions of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions<'a>(List<'a>);

/// Ranges of positions in a queue: in each the last is not before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges<'a>(List<'a>);

/// Positions in a queue, and how often each was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returns<'a>(List<'a>);

impl Positions<'_> {
    /// How many there are in all.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.0.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.count == 0
    }
}

impl Ranges<'_> {
    fn check(self) -> Result<(), DecodeError> {
        let mut list = self.0;
        while let Some(first) = list.step() {
            let more = list.reader.varint()?;
            list.previous = first.checked_add(more).ok_or(DecodeError::Range)?;
        }
        Ok(())
    }
}

impl Returns<'_> {
    fn check(self) -> Result<(), DecodeError> {
        let mut list = self.0;
        while list.step().is_some() {
            u32::try_from(list.reader.varint()?).map_err(|_| DecodeError::Range)?;
        }
        Ok(())
    }
}

impl Iterator for Positions<'_> {
    type Item = BodyAt;

    fn next(&mut self) -> Option<BodyAt> {
        self.0.step().map(BodyAt)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl Iterator for Ranges<'_> {
    type Item = SeqRange;

    fn next(&mut self) -> Option<SeqRange> {
        let first = self.0.step()?;
        let last = first.checked_add(self.0.reader.varint().ok()?)?;
        self.0.previous = last;
        Some(SeqRange { first, last })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl Iterator for Returns<'_> {
    type Item = (u64, u32);

    fn next(&mut self) -> Option<(u64, u32)> {
        let seq = self.0.step()?;
        Some((seq, u32::try_from(self.0.reader.varint().ok()?).ok()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}
