//! What a queue writes down of its messages: gathered during one hold of its lock, so that it is a few records a hold and none
//! a message.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use crate::journal::{BodyAt, Journal, Lsn, Record, SeqRange};
use crate::message::Parts;
use crate::names::QueueId;
use crate::publish::Publication;
use crate::queue::Queue;
use crate::queue::ready::{Entry, Stored};

/// Ranges or counts in one record.
const RECORD_ITEMS_MAX: usize = 4096;

/// A message of a publisher's batch that a queue writes down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Enqueued {
    seq: u64,
    /// Place in the batch.
    item: u32,
    /// Of its body: whoever takes the message leaves none to be asked.
    bytes: u64,
    transient: bool,
}

/// Buffers for [`write_enqueued`], kept from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct EnqueueScratch {
    list: Vec<Enqueued>,
    pub(crate) bodies: Vec<BodyAt>,
}

impl EnqueueScratch {
    /// Notes the message at place `item` of the batch, in order of `seq`.
    pub(crate) fn add(&mut self, seq: u64, item: u32, bytes: u64, stored: Stored) {
        if stored != Stored::No {
            self.list.push(Enqueued { seq, item, bytes, transient: stored == Stored::Transient });
        }
    }

    /// Writes down what was noted: bodies that are nowhere in the journal yet, then a record for each run of positions. Returns
    /// the position of the last one that a confirm has to wait for.
    pub(crate) fn write(&mut self, queue: &Queue, items: &mut [Publication<'_>]) -> Lsn {
        let mut end = Lsn::default();
        if self.list.is_empty() {
            return end;
        }
        append_bodies(
            &*queue.services.journal,
            items,
            self.list.iter().map(|enqueued| enqueued.item),
            &mut self.bodies,
        );
        let follows = |a: &Enqueued, b: &Enqueued| a.seq + 1 == b.seq && a.transient == b.transient;
        for run in self.list.chunk_by(follows) {
            let Some(&Enqueued { seq, transient, .. }) = run.first() else { continue };
            self.bodies.clear();
            self.bodies.extend(run.iter().filter_map(|enqueued| items.get(enqueued.item as usize)?.body_at));
            let bytes = run.iter().map(|enqueued| enqueued.bytes).sum();
            let bodies = &*self.bodies;
            let lsn = queue.services.journal.append(&Record::Enqueue {
                queue: queue.id,
                first_seq: seq,
                bodies,
                bytes,
                transient,
            });
            if !transient {
                end = lsn;
                queue.persistent.add(run.len() as u64, bytes);
            }
        }
        self.bodies.clear();
        self.list.clear();
        end
    }
}

/// Appends the bodies of those of `picks` that the journal does not have yet, all at once.
pub(crate) fn append_bodies(
    journal: &dyn Journal,
    items: &mut [Publication<'_>],
    picks: impl Iterator<Item = u32>,
    at: &mut Vec<BodyAt>,
) {
    let lacking: SmallVec<[u32; 64]> =
        picks.filter(|&pick| items.get(pick as usize).is_some_and(|item| item.body_at.is_none())).collect();
    if lacking.is_empty() {
        return;
    }
    let found = lacking.iter().filter_map(|&pick| items.get(pick as usize));
    let parts: SmallVec<[Parts<'_>; 8]> = found.map(|item| item.message.parts()).collect();
    at.clear();
    journal.append_bodies(&parts, at);
    drop(parts);
    for (pick, at) in lacking.into_iter().zip(at.drain(..)) {
        if let Some(item) = items.get_mut(pick as usize) {
            item.body_at = Some(at);
        }
    }
}

/// Messages that are gone from a queue.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    persistent: Gone,
    transient: Gone,
}

#[derive(Debug, Default)]
struct Gone {
    ranges: SmallVec<[SeqRange; 4]>,
    /// How many messages.
    count: u64,
    /// Of all bodies.
    bytes: u64,
}

impl Settling {
    /// Notes a message, if the journal has it.
    pub(crate) fn add(&mut self, seq: u64, bytes: u64, stored: Stored) {
        self.add_range(SeqRange { first: seq, last: seq }, bytes, stored);
    }

    /// Notes all messages of one kind in a range: there is one at each position.
    pub(super) fn add_range(&mut self, range: SeqRange, bytes: u64, stored: Stored) {
        self.add_counted(range, (range.last + 1 - range.first, bytes), stored);
    }

    /// Notes all messages of one kind in a range but those at `holes`: how many, and bytes of their bodies.
    pub(super) fn add_without(&mut self, range: SeqRange, holes: &BTreeSet<u64>, mut sums: (u64, u64), stored: Stored) {
        let mut first = range.first;
        for &hole in holes.range(range.first..=range.last) {
            if first < hole {
                self.add_counted(SeqRange { first, last: hole - 1 }, std::mem::take(&mut sums), stored);
            }
            first = hole + 1;
        }
        if first <= range.last {
            self.add_counted(SeqRange { first, last: range.last }, sums, stored);
        }
    }

    fn add_counted(&mut self, range: SeqRange, (count, bytes): (u64, u64), stored: Stored) {
        let gone = match stored {
            Stored::No => return,
            Stored::Persistent => &mut self.persistent,
            Stored::Transient => &mut self.transient,
        };
        gone.count += count;
        gone.bytes += bytes;
        match gone.ranges.last_mut() {
            Some(last) if last.last + 1 == range.first => last.last = range.last,
            _ => gone.ranges.push(range),
        }
    }

    /// Writes down what was noted. Returns the position of the last record.
    pub(crate) fn write(mut self, queue: &Queue) -> Lsn {
        let mut end = Lsn::default();
        queue.persistent.remove(self.persistent.count, self.persistent.bytes);
        for (gone, transient) in [(&mut self.persistent, false), (&mut self.transient, true)] {
            gone.merge();
            let mut bytes = gone.bytes;
            for ranges in gone.ranges.chunks(RECORD_ITEMS_MAX) {
                let lsn = queue.services.journal.append(&Record::Settle { queue: queue.id, ranges, bytes, transient });
                // Transient messages do not outlive a stop anyway: nobody has to wait for their end.
                if !transient {
                    end = lsn;
                }
                bytes = 0;
            }
        }
        end
    }
}

impl Gone {
    /// Puts the ranges in order and joins neighbours, where they were not added in order.
    fn merge(&mut self) {
        if self.ranges.is_sorted_by_key(|range| range.first) {
            return;
        }
        self.ranges.sort_unstable_by_key(|range| range.first);
        self.ranges.dedup_by(|next, kept| {
            let joins = kept.last + 1 == next.first;
            if joins {
                kept.last = next.last;
            }
            joins
        });
    }
}

/// Deliveries of one hold.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    settling: Settling,
    /// The last persistent message that was delivered for the first time and waits for its acknowledgement.
    last: u64,
    /// All of these, where messages are not delivered in order of position.
    singly: Option<SmallVec<[(u64, u32); 8]>>,
}

impl Delivered {
    /// Nothing yet. Messages of several levels are noted one by one.
    pub(super) fn from_levels(levels: bool) -> Self {
        Self { singly: levels.then(SmallVec::new), ..Self::default() }
    }

    /// Notes the delivery of a ready message; one without acknowledgement is settled by it.
    pub(super) fn add(&mut self, entry: &Entry, no_ack: bool) {
        // What was delivered before is known to have been.
        if entry.stored != Stored::No && (no_ack || entry.deliveries == 0) {
            self.add_first(entry.seq, entry.message.body_len(), entry.stored, no_ack);
        }
    }

    /// Notes the delivery of a message that was never delivered before.
    pub(super) fn add_first(&mut self, seq: u64, bytes: u64, stored: Stored, no_ack: bool) {
        match (stored, no_ack) {
            (Stored::No, _) | (Stored::Transient, false) => {}
            (_, true) => self.settling.add(seq, bytes, stored),
            (Stored::Persistent, false) => match &mut self.singly {
                None => self.last = self.last.max(seq),
                Some(singly) => singly.push((seq, 1)),
            },
        }
    }

    /// Writes down what was noted.
    pub(super) fn write(self, queue: &Queue) {
        if self.last > 0 {
            queue.services.journal.append(&Record::Delivered { queue: queue.id, last: self.last });
        }
        if let Some(singly) = &self.singly {
            write_returned(&*queue.services.journal, queue.id, singly);
        }
        self.settling.write(queue);
    }
}

/// Writes down how often messages that came back were delivered.
pub(super) fn write_returned(journal: &dyn Journal, queue: QueueId, counts: &[(u64, u32)]) {
    for counts in counts.chunks(RECORD_ITEMS_MAX) {
        journal.append(&Record::Returned { queue, counts });
    }
}
