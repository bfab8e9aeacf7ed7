//! Messages that wait in a queue, in order of position.

use std::collections::{BTreeMap, VecDeque};

use crate::message::Message;

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its position: rises with each message the queue takes.
    pub seq: u64,
    /// How often it was delivered before.
    pub deliveries: u32,
    /// Whether the journal has it.
    pub stored: Stored,
    /// The message.
    pub message: Message,
}

/// Whether the journal has a message of a queue, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stored {
    /// It is in memory only.
    #[default]
    No,
    /// It survives a restart.
    Persistent,
    /// It left memory for want of room, and is gone after a restart.
    Transient,
}

/// Ready messages. What was delivered and came back always lies before what was never delivered, so that two plain
/// structures keep the order.
#[derive(Debug, Default)]
pub(super) struct ReadyList {
    returned: BTreeMap<u64, Entry>,
    fresh: VecDeque<Entry>,
    body_bytes: usize,
}

impl ReadyList {
    pub(super) fn len(&self) -> usize {
        self.returned.len() + self.fresh.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.returned.is_empty()
    }

    /// Bytes of all bodies.
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    pub(super) fn push_back(&mut self, entry: Entry) {
        self.body_bytes += entry.message.body_len() as usize;
        self.fresh.push_back(entry);
    }

    pub(super) fn put_back(&mut self, entry: Entry) {
        self.body_bytes += entry.message.body_len() as usize;
        self.returned.insert(entry.seq, entry);
    }

    pub(super) fn first(&self) -> Option<&Entry> {
        self.returned.first_key_value().map(|(_, entry)| entry).or_else(|| self.fresh.front())
    }

    pub(super) fn pop_first(&mut self) -> Option<Entry> {
        let entry = match self.returned.pop_first() {
            Some((_, entry)) => Some(entry),
            None => self.fresh.pop_front(),
        };
        self.body_bytes -= entry.as_ref().map_or(0, |entry| entry.message.body_len() as usize);
        // A backlog that was worked off gives its memory back.
        if self.fresh.is_empty() && self.fresh.capacity() > KEPT_CAPACITY {
            self.fresh = VecDeque::new();
        }
        entry
    }

    pub(super) fn clear(&mut self) -> impl Iterator<Item = Entry> + use<> {
        self.body_bytes = 0;
        let returned = std::mem::take(&mut self.returned);
        let fresh = std::mem::take(&mut self.fresh);
        returned.into_values().chain(fresh)
    }
}

/// Entries that an emptied list keeps room for.
const KEPT_CAPACITY: usize = 1024;
