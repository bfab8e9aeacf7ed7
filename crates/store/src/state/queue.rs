//! What the log says of one queue: which messages it holds and where they lie.

use std::collections::{BTreeMap, VecDeque};

use leveret_engine::journal::{SeqRange, StreamSegment};
use roaring::RoaringTreemap;

use super::list::JournalList;

/// How a durable queue was declared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Declaration {
    pub(crate) vhost: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) auto_delete: bool,
    /// The field table as it was declared.
    pub(crate) arguments: Box<[u8]>,
}

/// A segment file that holds messages of the queue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segment {
    pub(crate) id: u64,
    /// Length of the file as far as it counts.
    pub(crate) len_bytes: u64,
    /// How many messages were written to it.
    pub(crate) count: u64,
    /// The first and the last message that were written to it.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Which of them are still there.
    pub(crate) live: RoaringTreemap,
}

impl Segment {
    fn meets(&self, range: SeqRange) -> bool {
        self.first <= range.last && range.first <= self.last
    }

    pub(crate) fn holds(&self, seq: u64) -> bool {
        self.first <= seq && seq <= self.last && self.live.contains(seq)
    }
}

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the journal, at this position.
    Journal(u64),
    /// In a segment file.
    Segment { id: u64, len_bytes: u64 },
}

/// What is known of a message without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) place: Place,
    pub(crate) transient: bool,
    pub(crate) deliveries: u32,
}

/// How many messages, and how many bytes their bodies have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

impl Totals {
    fn add(&mut self, count: u64, bytes: u64) {
        self.count += count;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Bytes come from the records, counts from what is there: without a message there is no byte.
    fn subtract(&mut self, count: u64, bytes: u64) {
        self.count = self.count.saturating_sub(count);
        self.bytes = if self.count == 0 { 0 } else { self.bytes.saturating_sub(bytes) };
    }
}

/// A queue's messages. Each is in `journal` or in the `live` set of one segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct QueueState {
    /// None for a queue that is not durable, whose messages left memory.
    pub(crate) declaration: Option<Box<Declaration>>,
    pub(crate) journal: JournalList,
    /// In the order in which they were begun. None is without a live message.
    pub(crate) segments: Vec<Segment>,
    /// Which messages are gone after a restart.
    pub(crate) transient: RoaringTreemap,
    pub(crate) durable_totals: Totals,
    pub(crate) transient_totals: Totals,
    /// All messages up to here were delivered at least once.
    pub(crate) delivered: u64,
    /// The highest message that the queue is known to have had.
    pub(crate) last_seq: u64,
    /// How often messages were delivered that came back.
    pub(crate) returned: BTreeMap<u64, u32>,
    /// Blobs of messages that have one.
    pub(crate) blobs: BTreeMap<u64, u64>,
    /// Of a stream: its finished segments, in order.
    pub(crate) stream_segments: VecDeque<StreamSegment>,
}

/// Sorts what was found and keeps the first `count_max`; when there are so many, the last one's position.
fn first_few(found: &mut Vec<(u64, Place)>, count_max: usize) -> Option<u64> {
    if !found.is_sorted_by_key(|&(seq, _)| seq) {
        found.sort_unstable_by_key(|&(seq, _)| seq);
    }
    found.truncate(count_max);
    if found.len() == count_max { found.last().map(|&(seq, _)| seq) } else { None }
}

/// What a settling left over for others to deal with.
#[derive(Debug, Default)]
pub(crate) struct Freed {
    /// Segments without a live message.
    pub(crate) segments: Vec<u64>,
    /// How many messages were in segments.
    pub(crate) from_segments: u64,
    /// Blobs, once for each message that had one.
    pub(crate) blobs: Vec<u64>,
}

impl QueueState {
    /// How many messages there are.
    pub(crate) fn count(&self) -> u64 {
        self.durable_totals.count + self.transient_totals.count
    }

    /// Bytes of a body in the mean.
    pub(crate) fn mean_body_bytes(&self) -> u64 {
        let bytes = self.durable_totals.bytes.saturating_add(self.transient_totals.bytes);
        bytes.checked_div(self.count()).unwrap_or(0)
    }

    /// The first message.
    pub(crate) fn first_seq(&self) -> Option<u64> {
        self.segments.iter().filter_map(|segment| segment.live.min()).chain(self.journal.first()).min()
    }

    /// A message came whose body is in the journal. False when it is there already.
    pub(crate) fn enqueue(&mut self, seq: u64, at: u64, transient: bool) -> bool {
        if seq <= self.last_seq && self.holds(seq) {
            return false;
        }
        self.journal.insert(seq, at);
        self.last_seq = self.last_seq.max(seq);
        if transient {
            self.transient.insert(seq);
        }
        let totals = if transient { &mut self.transient_totals } else { &mut self.durable_totals };
        totals.add(1, 0);
        true
    }

    /// The bodies of what was enqueued have so many bytes.
    pub(crate) fn add_bytes(&mut self, bytes: u64, transient: bool) {
        let totals = if transient { &mut self.transient_totals } else { &mut self.durable_totals };
        totals.add(0, bytes);
    }

    /// Messages are gone, those that were there.
    pub(crate) fn settle(
        &mut self,
        ranges: impl Iterator<Item = SeqRange>,
        bytes: u64,
        transient: bool,
        freed: &mut Freed,
    ) {
        let (mut durable_count, mut transient_count) = (0, 0);
        for range in ranges {
            let mut removed = self.journal.remove_range(range.first, range.last);
            for segment in self.segments.iter_mut().filter(|segment| segment.meets(range)) {
                let from_segment = segment.live.remove_range(range.first..=range.last);
                removed += from_segment;
                freed.from_segments += from_segment;
            }
            let transients = self.transient.remove_range(range.first..=range.last);
            remove_range(&mut self.returned, range, |_| {});
            remove_range(&mut self.blobs, range, |blob| freed.blobs.push(blob));
            transient_count += transients;
            durable_count += removed.saturating_sub(transients);
        }
        self.durable_totals.subtract(durable_count, if transient { 0 } else { bytes });
        self.transient_totals.subtract(transient_count, if transient { bytes } else { 0 });
        self.drop_dead_segments(freed);
        self.drop_stream_segments();
    }

    /// The process started anew: transient messages are gone.
    pub(crate) fn drop_transient(&mut self, freed: &mut Freed) {
        if self.transient.is_empty() {
            return;
        }
        let transient = std::mem::take(&mut self.transient);
        for segment in &mut self.segments {
            segment.live -= &transient;
        }
        for seq in &transient {
            self.journal.remove_range(seq, seq);
            self.returned.remove(&seq);
            freed.blobs.extend(self.blobs.remove(&seq));
        }
        self.transient_totals = Totals::default();
        self.drop_dead_segments(freed);
        self.drop_stream_segments();
    }

    /// The queue is gone.
    pub(crate) fn drop_all(self, freed: &mut Freed) {
        freed.segments.extend(self.segments.iter().map(|segment| segment.id));
        freed.blobs.extend(self.blobs.into_values());
    }

    /// Messages that lay in the journal were written to a segment as well: those that lie where they did when they were read
    /// lie there now, the others are gone or went elsewhere. `moved` is ascending.
    pub(crate) fn move_to_segment(&mut self, id: u64, len_bytes: u64, moved: &[(u64, u64)], freed: &mut Freed) {
        let index = self.segments.iter().position(|segment| segment.id == id).unwrap_or_else(|| {
            self.segments.push(Segment {
                id,
                len_bytes,
                count: 0,
                first: u64::MAX,
                last: 0,
                live: RoaringTreemap::new(),
            });
            self.segments.len() - 1
        });
        let Some(segment) = self.segments.get_mut(index) else { return };
        segment.len_bytes = len_bytes;
        for &(seq, at) in moved {
            segment.count += 1;
            segment.first = segment.first.min(seq);
            segment.last = segment.last.max(seq);
            if self.journal.remove_at(seq, at) {
                segment.live.insert(seq);
            }
        }
        segment.live.optimize();
        self.drop_dead_segments(freed);
    }

    /// What lives in `old` segments was written to the new one `id`. What went meanwhile is gone there too.
    pub(crate) fn rewrite(
        &mut self,
        old: &[u64],
        id: u64,
        len_bytes: u64,
        written: &RoaringTreemap,
        freed: &mut Freed,
    ) {
        let mut live = RoaringTreemap::new();
        for segment in self.segments.iter_mut().filter(|segment| old.contains(&segment.id)) {
            let stays = &segment.live & written;
            segment.live -= &stays;
            live |= stays;
        }
        let (first, last) = (written.min().unwrap_or(u64::MAX), written.max().unwrap_or(0));
        let segment = Segment { id, len_bytes, count: written.len(), first, last, live };
        let before = self.segments.iter().position(|segment| old.contains(&segment.id)).unwrap_or(self.segments.len());
        self.segments.insert(before, segment);
        self.drop_dead_segments(freed);
    }

    /// What is known of the first `count_max` messages in the range.
    pub(crate) fn entries(&self, range: SeqRange, count_max: usize) -> Vec<Entry> {
        let mut found: Vec<(u64, Place)> = Vec::new();
        // Segments rarely overlap: a page is mostly found in the first one or two.
        let mut last = range.last;
        let mut segments: Vec<&Segment> = self.segments.iter().filter(|segment| segment.meets(range)).collect();
        segments.sort_unstable_by_key(|segment| segment.first);
        for segment in segments {
            if segment.first > last {
                break;
            }
            let mut live = segment.live.iter();
            live.advance_to(range.first);
            let place = Place::Segment { id: segment.id, len_bytes: segment.len_bytes };
            found.extend(live.take_while(|&seq| seq <= last).take(count_max).map(|seq| (seq, place)));
            last = first_few(&mut found, count_max).unwrap_or(last);
        }
        let in_journal = self.journal.iter_from(range.first).take_while(|&(seq, _)| seq <= last).take(count_max);
        found.extend(in_journal.map(|(seq, at)| (seq, Place::Journal(at))));
        first_few(&mut found, count_max);
        found.into_iter().map(|(seq, place)| self.entry(seq, place)).collect()
    }

    /// Whether a message still lies where it was found.
    pub(crate) fn lies_at(&self, seq: u64, place: Place) -> bool {
        match place {
            Place::Journal(at) => self.journal.get(seq) == Some(at),
            Place::Segment { id, .. } => self.segment(id).is_some_and(|segment| segment.holds(seq)),
        }
    }

    /// A segment by its id.
    pub(crate) fn segment(&self, id: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.id == id)
    }

    /// Whether the message is there.
    pub(crate) fn holds(&self, seq: u64) -> bool {
        self.journal.get(seq).is_some() || self.segments.iter().any(|segment| segment.holds(seq))
    }

    fn entry(&self, seq: u64, place: Place) -> Entry {
        let known = self.returned.get(&seq).copied().unwrap_or(0);
        let deliveries = known.max(u32::from(seq <= self.delivered));
        // Most queues have none, and a look at it is dear.
        let transient = self.transient_totals.count > 0 && self.transient.contains(seq);
        Entry { seq, place, transient, deliveries }
    }

    /// Forgets the oldest segments of a stream that no message is left of.
    fn drop_stream_segments(&mut self) {
        if self.stream_segments.is_empty() {
            return;
        }
        let first = self.first_seq().unwrap_or(u64::MAX);
        while self.stream_segments.pop_front_if(|segment| segment.last_seq < first).is_some() {}
    }

    fn drop_dead_segments(&mut self, freed: &mut Freed) {
        self.segments.retain(|segment| {
            let dead = segment.live.is_empty();
            if dead {
                freed.segments.push(segment.id);
            }
            !dead
        });
        if self.segments.capacity() > 16 && self.segments.len() < self.segments.capacity() / 4 {
            self.segments.shrink_to(self.segments.len() * 2);
        }
    }
}

/// Takes what lies in the range out of a map.
fn remove_range<V>(map: &mut BTreeMap<u64, V>, range: SeqRange, mut each: impl FnMut(V)) {
    while let Some((&seq, _)) = map.range(range.first..=range.last).next() {
        if let Some(value) = map.remove(&seq) {
            each(value);
        }
    }
}
