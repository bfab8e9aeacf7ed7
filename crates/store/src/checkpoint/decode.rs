//! From bytes to the state. Nothing is believed: counts only say how often to go on reading.

use leveret_engine::names::QueueId;
use roaring::RoaringTreemap;

use super::Checkpoint;
use crate::journal::Tail;
use crate::record::varint::{Reader, follow};
use crate::record::{DecodeError, stream_segment};
use crate::state::{
    Binding, Declaration, Destination, Exchange, JournalList, Key, QueueState, Segment, Settings, State, Topology,
    Totals,
};

/// What the contents say, or how many bytes were left when they stopped making sense.
pub(super) fn contents(bytes: &[u8], with_settings: bool) -> Result<Checkpoint, (usize, DecodeError)> {
    let mut reader = Reader(bytes);
    let checkpoint = checkpoint(&mut reader, with_settings).map_err(|error| (reader.0.len(), error))?;
    let left = reader.0.len();
    reader.finish().map_err(|error| (left, error))?;
    Ok(checkpoint)
}

fn checkpoint(reader: &mut Reader<'_>, with_settings: bool) -> Result<Checkpoint, DecodeError> {
    let [clean, _] = flags(reader)?;
    let tail = Tail { position: reader.varint()?, chain: number32(reader)?, epoch: number32(reader)? };
    let journal_file_bytes = reader.varint()?;
    let mut state = State { last_queue_id: reader.varint()?, next_segment_id: reader.varint()?, ..State::default() };
    read_topology(reader, &mut state.topology)?;
    pairs(reader, |at, blob| {
        state.body_blobs.insert(at, blob);
        Ok(())
    })?;
    let mut id = 0;
    for _ in 0..reader.varint()? {
        id = follow(id, reader.varint()?);
        state.queues.insert(QueueId(id), Box::new(queue(reader)?));
    }
    if with_settings {
        read_settings(reader, &mut state.settings)?;
    }
    Ok(Checkpoint { tail, clean, journal_file_bytes, state })
}

fn read_settings(reader: &mut Reader<'_>, settings: &mut Settings) -> Result<(), DecodeError> {
    for _ in 0..reader.varint()? {
        let key = Key { kind: reader.octet()?, scope: reader.name()?.into(), name: reader.name()?.into() };
        settings.set(key, reader.text()?);
    }
    Ok(())
}

fn read_topology(reader: &mut Reader<'_>, topology: &mut Topology) -> Result<(), DecodeError> {
    for _ in 0..reader.varint()? {
        let name = (reader.name()?.into(), reader.name()?.into());
        let kind = reader.name()?.into();
        let [auto_delete, internal] = flags(reader)?;
        topology.declare_exchange(name, Exchange { kind, auto_delete, internal, arguments: reader.text()?.into() });
    }
    for _ in 0..reader.varint()? {
        let (vhost, source) = (reader.name()?, reader.name()?);
        for _ in 0..reader.varint()? {
            let name = reader.name()?.into();
            let [is_queue, _] = flags(reader)?;
            let (routing_key, arguments) = (reader.text()?.into(), reader.text()?.into());
            let destination = Destination { name, is_queue };
            topology.bind((vhost.into(), source.into()), Binding { destination, routing_key, arguments });
        }
    }
    Ok(())
}

fn queue(reader: &mut Reader<'_>) -> Result<QueueState, DecodeError> {
    let flags = reader.octet()?;
    let [declared, auto_delete, is_stream] = [1, 2, 4].map(|flag| flags & flag != 0);
    let mut queue = QueueState::default();
    if declared {
        let (vhost, name) = (reader.name()?.into(), reader.name()?.into());
        let arguments = reader.text()?.into();
        queue.declaration = Some(Box::new(Declaration { vhost, name, auto_delete, arguments }));
    }
    queue.durable_totals = Totals { count: reader.varint()?, bytes: reader.varint()? };
    queue.transient_totals = Totals { count: reader.varint()?, bytes: reader.varint()? };
    (queue.delivered, queue.last_seq) = (reader.varint()?, reader.varint()?);
    queue.journal = journal(reader)?;
    for _ in 0..reader.varint()? {
        queue.segments.push(segment(reader)?);
    }
    queue.transient = set(reader)?;
    pairs(reader, |seq, count| {
        queue.returned.insert(seq, u32::try_from(count).map_err(|_| DecodeError::Range)?);
        Ok(())
    })?;
    pairs(reader, |seq, blob| {
        queue.blobs.insert(seq, blob);
        Ok(())
    })?;
    if is_stream {
        for _ in 0..reader.varint()? {
            queue.stream_segments.push_back(stream_segment(reader)?);
        }
    }
    Ok(queue)
}

fn journal(reader: &mut Reader<'_>) -> Result<JournalList, DecodeError> {
    let mut list = JournalList::default();
    let (mut seq, mut at) = (0, 0);
    for _ in 0..reader.varint()? {
        seq = follow(seq, reader.varint()?);
        at = follow(at, reader.varint()?);
        list.insert(seq, at);
    }
    Ok(list)
}

fn segment(reader: &mut Reader<'_>) -> Result<Segment, DecodeError> {
    Ok(Segment {
        id: reader.varint()?,
        len_bytes: reader.varint()?,
        count: reader.varint()?,
        first: reader.varint()?,
        last: reader.varint()?,
        live: set(reader)?,
    })
}

fn set(reader: &mut Reader<'_>) -> Result<RoaringTreemap, DecodeError> {
    let bytes = reader.text()?;
    if bytes.is_empty() {
        return Ok(RoaringTreemap::new());
    }
    RoaringTreemap::deserialize_from(bytes).map_err(|_| DecodeError::Range)
}

fn pairs(
    reader: &mut Reader<'_>,
    mut each: impl FnMut(u64, u64) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut key = 0;
    for _ in 0..reader.varint()? {
        key = follow(key, reader.varint()?);
        each(key, reader.varint()?)?;
    }
    Ok(())
}

fn number32(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    u32::try_from(reader.varint()?).map_err(|_| DecodeError::Range)
}

fn flags(reader: &mut Reader<'_>) -> Result<[bool; 2], DecodeError> {
    let flags = reader.octet()?;
    Ok([flags & 1 != 0, flags & 2 != 0])
}
