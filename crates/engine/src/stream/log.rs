//! What a stream holds: which positions, which of them consumers may see, and the newest messages, as far as they are in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::journal::{BodyAt, Journal, Loaded, Lsn, Record, SeqRange};
use crate::limits::{MESSAGES_A_HOLD_MAX, STREAM_RECENT_BYTES_MAX, STREAM_RECENT_MESSAGES_MAX};
use crate::message::Message;
use crate::names::QueueId;
use crate::publish::Publication;
use crate::restore::RestoredQueue;
use crate::stream::offset::StreamOffset;
use crate::stream::reader::Reader;
use crate::stream::seek::Seek;
use crate::stream::segments::{Retention, Segments, size_bytes};

/// Called with the stream's lock held: bounded work, no waiting.
#[derive(Debug)]
pub(super) struct StreamLog {
    queue: QueueId,
    pub(super) segments: Segments,
    /// Position of the last message taken.
    last_seq: u64,
    /// Position of the last message that is durable. No consumer sees more: it would have seen what a crash undoes, and the offset
    /// would be given again.
    visible: u64,
    /// When what follows will be durable: journal positions with the last message that each covers.
    pending: VecDeque<(Lsn, u64)>,
    recent: Recent,
    /// Messages can be read back: those in memory are a part of them.
    pages: bool,
    readers: usize,
    /// Consumers that have read everything.
    sleepers: Vec<Arc<Reader>>,
    /// Somebody will look after the first of `pending`.
    registered: bool,
    pub(super) deleted: bool,
}

/// The newest messages, or all.
#[derive(Debug, Default)]
struct Recent {
    messages: VecDeque<(u64, Message)>,
    /// Position of the first.
    first: u64,
    bytes: u64,
}

/// Where a consumer begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    At(u64),
    /// It has to be looked for.
    Seek(Seek),
}

/// What comes next for a consumer.
#[derive(Debug)]
pub(super) enum Next {
    /// Messages, and the position after them.
    Messages(Vec<Loaded>, u64),
    /// They have to be read.
    Load(SeqRange),
    /// Nothing: the consumer sleeps from now on.
    Sleep,
    /// Something that the consumer has no credit for.
    Idle,
}

impl StreamLog {
    pub(super) fn new(queue: QueueId, retention: Retention, pages: bool, found: Option<&RestoredQueue>) -> Self {
        let last_seq = found.map_or(0, |found| found.last_seq);
        Self {
            queue,
            segments: Segments::new(retention, found),
            last_seq,
            visible: last_seq,
            pending: VecDeque::new(),
            recent: Recent::default(),
            pages,
            readers: 0,
            sleepers: Vec::new(),
            registered: false,
            deleted: false,
        }
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> u64 {
        (self.last_seq + 1).saturating_sub(self.segments.first())
    }

    /// Bytes of the bodies of all messages.
    pub(super) fn body_bytes(&self) -> u64 {
        self.segments.body_bytes()
    }

    /// Whether messages are kept in memory.
    pub(super) fn keeps(&self) -> bool {
        !self.pages || self.readers > 0
    }

    /// Takes messages whose bodies are in the journal. Returns the position of the last record.
    pub(super) fn take(
        &mut self,
        items: &mut [Publication<'_>],
        picks: &[u32],
        now_ms: u64,
        journal: &dyn Journal,
        bodies: &mut Vec<BodyAt>,
    ) -> Lsn {
        let first_seq = self.last_seq + 1;
        let mut bytes = 0;
        bodies.clear();
        for item in picks.iter().filter_map(|&pick| items.get(pick as usize)) {
            let body_bytes = item.bytes() as u64;
            bytes += body_bytes;
            self.segments.add(body_bytes, size_bytes(&item.message.parts()));
            bodies.extend(item.body_at);
        }
        self.last_seq += bodies.len() as u64;
        let end = journal.append(&Record::Enqueue { queue: self.queue, first_seq, bodies, bytes, transient: false });
        if self.keeps() {
            for (seq, &pick) in (first_seq..).zip(picks) {
                if let Some(item) = items.get_mut(pick as usize) {
                    self.recent.push(seq, now_ms, item.keep());
                }
            }
            self.bound_recent();
        }
        if self.segments.finish_if_full(self.last_seq, now_ms, journal, self.queue) {
            self.retain(now_ms, journal);
        }
        if self.readers == 0 {
            self.pending.clear();
        }
        self.pending.push_back((end, self.last_seq));
        end
    }

    /// Lets go of what is too old or too much.
    pub(super) fn retain(&mut self, now_ms: u64, journal: &dyn Journal) {
        if self.segments.retain(self.last_seq, now_ms, journal, self.queue) && !self.pages {
            self.recent.drop_before(self.segments.first());
        }
    }

    /// When the oldest segment will be too old.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.segments.due_ms(self.last_seq)
    }

    fn bound_recent(&mut self) {
        while self.pages
            && (self.recent.messages.len() > STREAM_RECENT_MESSAGES_MAX || self.recent.bytes > STREAM_RECENT_BYTES_MAX)
        {
            self.recent.pop();
        }
    }

    /// Everything up to `durable` is durable: returns the consumers that slept, if there is something for them.
    pub(super) fn advance(&mut self, durable: Lsn) -> Vec<Arc<Reader>> {
        let before = self.visible;
        while let Some((_, last)) = self.pending.pop_front_if(|(lsn, _)| *lsn <= durable) {
            self.visible = last;
        }
        if self.visible == before { Vec::new() } else { std::mem::take(&mut self.sleepers) }
    }

    /// The journal position that somebody has to wait for on behalf of consumers, once.
    pub(super) fn register(&mut self) -> Option<Lsn> {
        let (lsn, _) = *self.pending.front().filter(|_| self.readers > 0 && !self.registered)?;
        self.registered = true;
        Some(lsn)
    }

    /// Who waited is here.
    pub(super) fn registered_came(&mut self) {
        self.registered = false;
    }

    /// One consumer more, that begins at `offset`.
    pub(super) fn add_reader(&mut self, offset: StreamOffset) -> Start {
        self.readers += 1;
        let (first, next) = (self.segments.first(), self.last_seq + 1);
        let newest = |n: u64| next.saturating_sub(n).max(first);
        Start::At(match offset {
            StreamOffset::First => first,
            StreamOffset::Last => newest(1),
            StreamOffset::Next => next,
            StreamOffset::Newest(n) => newest(n),
            StreamOffset::At(offset) => offset.saturating_add(1).max(first),
            StreamOffset::Since(at_ms) if !self.pages => self.recent.since(at_ms).unwrap_or(next),
            StreamOffset::Since(at_ms) => return Start::Seek(Seek::new(at_ms, first, next)),
        })
    }

    /// One consumer less.
    pub(super) fn remove_reader(&mut self, reader: &Arc<Reader>) {
        self.readers = self.readers.saturating_sub(1);
        self.sleepers.retain(|sleeper| !Arc::ptr_eq(sleeper, reader));
        if !self.keeps() {
            self.recent = Recent::default();
        }
    }

    /// What comes next for a consumer that has read everything before `from`, and can take `credit` messages.
    pub(super) fn next(&mut self, reader: &Arc<Reader>, from: u64, credit: usize) -> Next {
        let from = from.max(self.segments.first());
        if from > self.visible {
            self.sleepers.push(Arc::clone(reader));
            if self.pages && self.sleepers.len() == self.readers {
                // Nobody is behind: nobody needs them any more.
                self.recent.drop_before(self.visible + 1);
            }
            return Next::Sleep;
        }
        let in_memory = self.recent.first().filter(|first| *first <= self.visible);
        match in_memory {
            Some(first) if first <= from && credit == 0 => Next::Idle,
            Some(first) if first <= from => {
                let messages = self.recent.copy(from, self.visible, credit.min(MESSAGES_A_HOLD_MAX));
                let next = from + messages.len() as u64;
                Next::Messages(messages, next)
            }
            Some(first) => Next::Load(SeqRange { first: from, last: first - 1 }),
            None => Next::Load(SeqRange { first: from, last: self.visible }),
        }
    }

    /// The first messages from position `from` on, as far as they are in memory and nowhere else; up to which position they tell
    /// all; and the last position that there is.
    pub(super) fn browse(&self, from: u64, max: usize) -> (Vec<Loaded>, u64, u64) {
        let from = from.max(self.segments.first());
        let end = self.last_seq;
        if self.pages || from > end {
            return (Vec::new(), end, end);
        }
        let messages = self.recent.copy(from, end, max);
        let last = messages.last().map_or(end, |loaded| loaded.seq);
        (messages, last, end)
    }

    /// Nothing is left of it.
    pub(super) fn close(&mut self) {
        self.deleted = true;
        self.recent = Recent::default();
        self.pending = VecDeque::new();
        self.sleepers = Vec::new();
        self.readers = 0;
    }
}

impl Recent {
    fn first(&self) -> Option<u64> {
        (!self.messages.is_empty()).then_some(self.first)
    }

    fn push(&mut self, seq: u64, arrived_ms: u64, message: Message) {
        if self.messages.is_empty() {
            self.first = seq;
        }
        self.bytes += message.resident_bytes();
        self.messages.push_back((arrived_ms, message));
    }

    fn pop(&mut self) {
        if let Some((_, message)) = self.messages.pop_front() {
            self.first += 1;
            self.bytes -= message.resident_bytes();
        }
    }

    fn drop_before(&mut self, seq: u64) {
        while self.first().is_some_and(|first| first < seq) {
            self.pop();
        }
        if self.messages.is_empty() {
            *self = Self::default();
        }
    }

    /// The first message that came at `at_ms` or later.
    fn since(&self, at_ms: u64) -> Option<u64> {
        let place = self.messages.partition_point(|(arrived_ms, _)| *arrived_ms < at_ms);
        (place < self.messages.len()).then_some(self.first + place as u64)
    }

    /// At most `count` messages between two positions, the first of which is there.
    fn copy(&self, from: u64, last: u64, count: usize) -> Vec<Loaded> {
        let skip = usize::try_from(from - self.first).unwrap_or(usize::MAX).min(self.messages.len());
        let left = usize::try_from(last + 1 - from).unwrap_or(usize::MAX);
        let messages = self.messages.range(skip..).take(count.min(left));
        let loaded = |(seq, (arrived_ms, message)): (u64, &(u64, Message))| {
            let (arrived_ms, message) = (*arrived_ms, message.clone());
            Loaded { seq, deliveries: 0, transient: false, arrived_ms, message }
        };
        (from..).zip(messages).map(loaded).collect()
    }
}
