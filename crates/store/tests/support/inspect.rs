//! Reads back all that a store holds, and says when a byte of it is not what was written.

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::journal::{Loaded, SeqRange, StreamSegment};
use leveret_engine::names::QueueId;
use leveret_engine::restore::Restored;
use leveret_store::Store;

use super::NOW_MS;
use super::content::{Content, Msg, Queue, body_of, key_of, properties_of};

/// A queue's or exchange's arguments.
pub fn arguments(number: u64) -> FieldTable {
    let mut table = FieldTable::default();
    table.push(b"x-number".as_slice(), FieldValue::I64(number as i64));
    table
}

fn number_of(arguments: &FieldTable) -> Result<u64, String> {
    match arguments.get(b"x-number") {
        Some(FieldValue::I64(number)) if arguments.0.len() == 1 => Ok(*number as u64),
        _ => Err(format!("arguments {arguments:?}")),
    }
}

/// First and last of a segment of a stream; all else that is known of it follows from these.
fn segment_of(segment: &StreamSegment) -> Result<(u64, u64), String> {
    let (first, last) = (segment.first_seq, segment.last_seq);
    if *segment != stream_segment(first, last) {
        return Err(format!("a segment that was never written: {segment:?}"));
    }
    Ok((first, last))
}

/// A segment of a stream.
pub fn stream_segment(first_seq: u64, last_seq: u64) -> StreamSegment {
    let body_bytes = 7 * (last_seq - first_seq);
    StreamSegment { first_seq, last_seq, body_bytes, size_bytes: 100 + body_bytes, last_ms: NOW_MS + last_seq }
}

/// What a store holds after a start, which must be what it says that it holds.
pub fn content_of(store: &Store, restored: &Restored) -> Result<Content, String> {
    let content = readable_of(store, restored)?;
    for queue in &restored.queues {
        let messages = &content.queues[&queue.id.0].messages;
        let bytes: u64 = messages.values().map(|message| message.len).sum();
        let found = (messages.len() as u64, bytes, messages.keys().next().copied().unwrap_or(0));
        let said = (queue.messages, queue.bytes, queue.first_seq);
        if said != found {
            return Err(format!("queue {} says (count, bytes, first) {said:?} and holds {found:?}", queue.id.0));
        }
    }
    Ok(content)
}

/// What of it can be read.
pub fn readable_of(store: &Store, restored: &Restored) -> Result<Content, String> {
    let mut content = Content::default();
    let exchanges = Arc::make_mut(&mut content.exchanges);
    for exchange in &restored.exchanges {
        number_of(&exchange.arguments)?;
        let known = (exchange.kind.clone(), exchange.auto_delete, exchange.internal);
        if exchanges.insert(exchange.name.clone(), known).is_some() {
            return Err(format!("exchange {} is there twice", exchange.name));
        }
    }
    let bindings = Arc::make_mut(&mut content.bindings);
    for binding in &restored.bindings {
        number_of(&binding.arguments)?;
        let (source, destination) = (binding.source.clone(), binding.destination.clone());
        if !bindings.insert((source, destination, binding.destination_is_queue, binding.routing_key.clone())) {
            return Err(format!("binding {binding:?} is there twice"));
        }
    }
    let settings = Arc::make_mut(&mut content.settings);
    for setting in &restored.settings {
        let key = (setting.kind, setting.scope.clone(), setting.name.clone());
        if settings.insert(key, setting.value.clone()).is_some() {
            return Err(format!("setting {setting:?} is there twice"));
        }
    }
    for restored_queue in &restored.queues {
        let id = restored_queue.id.0;
        let messages = messages_of(store, id)?;
        if id > restored.last_queue_id {
            return Err(format!("queue {id} is above the last id {}", restored.last_queue_id));
        }
        let queue = Queue {
            name: Some(restored_queue.name.clone()),
            auto_delete: restored_queue.auto_delete,
            argument: number_of(&restored_queue.arguments)?,
            messages,
            last_seq: restored_queue.last_seq,
            delivered: 0,
            stream_segments: restored_queue.stream_segments.iter().map(segment_of).collect::<Result<_, _>>()?,
        };
        if content.queues.insert(id, Arc::new(queue)).is_some() {
            return Err(format!("queue {id} is there twice"));
        }
    }
    Ok(content)
}

/// The messages of a queue, read in pages.
pub fn messages_of(store: &Store, queue: u64) -> Result<BTreeMap<u64, Msg>, String> {
    let mut messages = BTreeMap::new();
    let mut first = 0;
    loop {
        let range = SeqRange { first, last: u64::MAX - 1 };
        let page = store.read(QueueId(queue), range, 7, 3000).map_err(|error| format!("read: {error}"))?;
        for loaded in &page.messages {
            if loaded.seq < first || loaded.seq >= page.next {
                return Err(format!("queue {queue}: message {} out of the page {first}..{}", loaded.seq, page.next));
            }
            let message = check_message(loaded).map_err(|error| format!("queue {queue} {}: {error}", loaded.seq))?;
            if messages.insert(loaded.seq, message).is_some() {
                return Err(format!("queue {queue}: message {} twice", loaded.seq));
            }
        }
        if page.next <= first {
            return Err(format!("queue {queue}: page {first}..{} goes nowhere", page.next));
        }
        first = page.next;
        if first >= u64::MAX - 1 {
            return Ok(messages);
        }
    }
}

/// Which message it is; an error when a byte of it is wrong.
fn check_message(loaded: &Loaded) -> Result<Msg, String> {
    let parts = loaded.message.parts();
    let number = |from: usize| {
        let octets = parts.properties.get(from..from + 8).and_then(|octets| octets.try_into().ok());
        octets.map(u64::from_le_bytes).ok_or("its properties are wrong")
    };
    let (id, len) = (number(2)?, number(10)?);
    if parts.properties != properties_of(id, len) || parts.exchange != b"amq.topic" || parts.routing_key != key_of(id) {
        return Err("its head is wrong".to_owned());
    }
    let blob = parts.blob.map(|blob| blob.id());
    let read;
    let body = match parts.blob {
        None => parts.body,
        Some(blob) => {
            let mut out = vec![0; usize::try_from(blob.len()).unwrap()];
            blob.read_at(0, &mut out).map_err(|error| format!("its blob: {error}"))?;
            read = out;
            &read
        }
    };
    if body != body_of(id, len) {
        return Err("its body is wrong".to_owned());
    }
    if loaded.arrived_ms != NOW_MS {
        return Err("its time of arrival is wrong".to_owned());
    }
    Ok(Msg { id, len, deliveries: loaded.deliveries, transient: loaded.transient, blob })
}
