//! Reading messages back.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use leveret_engine::journal::{BodyAt, LoadRequest, Loaded, Lsn, Page, SeqRange, Waiter};
use leveret_engine::names::QueueId;
use parking_lot::{Condvar, Mutex};

use crate::error::Error;
use crate::idle::Idle;
use crate::journal::BodyReader;
use crate::limits::{PAGE_ATTEMPTS_MAX, PAGE_READ_BYTES};
use crate::record::Payload;
use crate::segment::{self, Points, SegmentReader};
use crate::state::{Entry, Place, Segment};
use crate::store::Store;

/// Who waits for messages, and what was learned while reading segments.
#[derive(Default)]
pub(crate) struct Pager {
    asked: Mutex<Asked>,
    came: Condvar,
    points: Mutex<BTreeMap<u64, Points>>,
}

#[derive(Default)]
struct Asked {
    requests: VecDeque<Wanted>,
    stopping: bool,
}

/// A request, and how far the log reached when it came: what it asks for is applied when that is.
pub(crate) struct Wanted {
    request: LoadRequest,
    appended: u64,
}

impl Pager {
    pub(crate) fn ask(&self, request: LoadRequest, appended: u64) {
        self.asked.lock().requests.push_back(Wanted { request, appended });
        self.came.notify_one();
    }

    /// The next request; none when the threads shall end.
    pub(crate) fn wait(&self, idle: &mut Idle) -> Option<Wanted> {
        let mut asked = self.asked.lock();
        loop {
            if asked.stopping {
                return None;
            }
            if let Some(wanted) = asked.requests.pop_front() {
                idle.worked();
                return Some(wanted);
            }
            idle.wait(&self.came, &mut asked);
        }
    }

    pub(crate) fn stop(&self) {
        self.asked.lock().stopping = true;
        self.came.notify_all();
    }

    /// Segments are gone.
    pub(crate) fn forget(&self, segments: &[u64]) {
        let mut points = self.points.lock();
        for id in segments {
            points.remove(id);
        }
    }
}

/// Has the committer hurry; who waits looks at something else.
struct Hurry;

impl Waiter for Hurry {
    fn wake(&self) {}
}

/// The messages of a page, as far as they are known without reading them.
struct Plan {
    /// In order.
    entries: Vec<Entry>,
    /// There may be more of them in the range.
    is_full: bool,
}

/// A page that is being read.
struct Reading {
    /// In order.
    found: Vec<(Place, Loaded)>,
    bytes_left: u64,
    /// The first message that did not fit.
    full_at: Option<u64>,
    moved: bool,
}

impl Store {
    /// Reads the first messages in a range: at most `messages_max`, and no more than `bytes_max` of them but for the first.
    ///
    /// # Errors
    /// When the disk has failed. Of a message that is damaged an error is logged, and it is left out.
    pub fn read(&self, queue: QueueId, range: SeqRange, messages_max: usize, bytes_max: usize) -> Result<Page, Error> {
        let plan = self.plan(queue, range, messages_max, bytes_max);
        self.read_from(plan, queue, range, messages_max, bytes_max)
    }

    /// The same, with a plan to begin with.
    fn read_from(
        &self,
        mut plan: Plan,
        queue: QueueId,
        range: SeqRange,
        messages_max: usize,
        bytes_max: usize,
    ) -> Result<Page, Error> {
        for _ in 0..PAGE_ATTEMPTS_MAX {
            let last = plan.entries.last().filter(|_| plan.is_full).map_or(range.last, |entry| entry.seq);
            let reading = self.read_planned(queue, &plan.entries, bytes_max)?;
            if let Some(messages) = self.still_there(queue, reading.found, reading.moved) {
                return Ok(Page { messages, next: reading.full_at.unwrap_or(last.saturating_add(1)) });
            }
            plan = self.plan(queue, range, messages_max, bytes_max);
        }
        // Messages move once in a while: so often in a row they are only said to.
        tracing::error!(queue = queue.0, first = range.first, last = range.last, "messages cannot be read: skipped");
        Ok(Page { messages: Vec::new(), next: range.last.saturating_add(1) })
    }

    /// Serves one request, on a pager's thread.
    pub(crate) fn serve(&self, wanted: Wanted, stopping: &AtomicBool) -> Result<(), Error> {
        let Wanted { request, appended } = wanted;
        let LoadRequest { queue, range, messages_max, bytes_max, reader } = request;
        // A run without gaps cannot grow by what is still to be applied. Otherwise what is missing may be just that.
        let mut plan = self.plan(queue, range, messages_max, bytes_max);
        let whole = plan.entries.iter().zip(range.first..).all(|(entry, seq)| entry.seq == seq)
            && (plan.is_full || plan.entries.last().is_some_and(|entry| entry.seq == range.last));
        if !whole {
            self.log.when_durable(Lsn(appended), Arc::new(Hurry));
            if !self.wait_applied(appended, stopping) {
                return Ok(());
            }
            plan = self.plan(queue, range, messages_max, bytes_max);
        }
        let page = self.read_from(plan, queue, range, messages_max, bytes_max)?;
        reader.loaded(page);
        Ok(())
    }

    fn plan(&self, queue: QueueId, range: SeqRange, messages_max: usize, bytes_max: usize) -> Plan {
        let core = self.core.lock();
        let Some(state) = core.state.queues.get(&queue) else { return Plan { entries: Vec::new(), is_full: false } };
        // No more than fit the page if they are as long as the queue's are in the mean.
        let fitting = (bytes_max as u64).checked_div(state.mean_body_bytes()).unwrap_or(u64::MAX).saturating_add(1);
        let count_max = messages_max.min(usize::try_from(fitting).unwrap_or(usize::MAX)).max(1);
        let entries = state.entries(range, count_max);
        Plan { is_full: entries.len() >= count_max, entries }
    }

    /// Reads what was planned, in order, until the page is full.
    fn read_planned(&self, queue: QueueId, plan: &[Entry], bytes_max: usize) -> Result<Reading, Error> {
        let found = Vec::with_capacity(plan.len());
        let mut reading = Reading { found, bytes_left: bytes_max as u64, full_at: None, moved: false };
        let mut bodies = BodyReader::for_page(&self.log);
        for run in plan.chunk_by(|a, b| segment_of(a) == segment_of(b)) {
            if reading.full_at.is_some() || reading.moved {
                break;
            }
            match run.first().map(|entry| entry.place) {
                Some(Place::Segment { id, len_bytes }) => {
                    self.read_segment(queue, (id, len_bytes), run, &mut reading)?
                }
                Some(Place::Journal(_)) => self.read_bodies(queue, &mut bodies, run, &mut reading)?,
                None => {}
            }
        }
        Ok(reading)
    }

    fn read_bodies(
        &self,
        queue: QueueId,
        bodies: &mut BodyReader<'_>,
        run: &[Entry],
        reading: &mut Reading,
    ) -> Result<(), Error> {
        for entry in run {
            let Place::Journal(at) = entry.place else { continue };
            let flow = match bodies.read(BodyAt(at)) {
                Ok(body) => self.take(entry, body.payload, body.within, reading),
                Err(Error::Gone { .. }) if !self.lies_at(queue, entry) => {
                    reading.moved = true;
                    ControlFlow::Break(())
                }
                Err(error @ (Error::Gone { .. } | Error::Corrupt { .. } | Error::Record { .. })) => {
                    tracing::error!(%error, seq = entry.seq, "message is damaged: skipped");
                    ControlFlow::Continue(())
                }
                Err(error) => return Err(error),
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn read_segment(
        &self,
        queue: QueueId,
        (id, len_bytes): (u64, u64),
        run: &[Entry],
        reading: &mut Reading,
    ) -> Result<(), Error> {
        let mut segment = match SegmentReader::open(&self.disk, id, len_bytes, PAGE_READ_BYTES) {
            Ok(segment) => segment,
            Err(Error::Gone { .. }) => {
                let missing = run.first().is_some_and(|entry| self.lies_at(queue, entry));
                if missing {
                    tracing::error!(file = segment::path(id), messages = run.len(), "segment is not there: skipped");
                }
                reading.moved |= !missing;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let wanted: Vec<u64> = run.iter().map(|entry| entry.seq).collect();
        let mut points = self.pager.points.lock().get(&id).cloned().unwrap_or_default();
        let mut entries = run.iter();
        segment.read(&wanted, &mut points, |seq, payload, _, within| {
            // What was damaged was passed over.
            Ok(match entries.find(|entry| entry.seq == seq) {
                Some(entry) => self.take(entry, payload, within, reading),
                None => ControlFlow::Continue(()),
            })
        })?;
        self.pager.points.lock().insert(id, points);
        Ok(())
    }

    /// Adds a message to the page, if it fits.
    fn take(&self, entry: &Entry, payload: &[u8], within: &Bytes, reading: &mut Reading) -> ControlFlow<()> {
        let bytes = payload.len() as u64;
        if bytes > reading.bytes_left && !reading.found.is_empty() {
            reading.full_at = Some(entry.seq);
            return ControlFlow::Break(());
        }
        let message = Payload::decode(payload)
            .and_then(|payload| Ok((payload.arrived_ms, payload.message(within, &|id, len| self.blobs.get(id, len))?)));
        match message {
            Ok((arrived_ms, message)) => {
                reading.bytes_left = reading.bytes_left.saturating_sub(bytes);
                let Entry { seq, transient, deliveries, place } = *entry;
                reading.found.push((place, Loaded { seq, deliveries, transient, arrived_ms, message }));
            }
            Err(error) => tracing::error!(%error, seq = entry.seq, place = ?entry.place, "message is damaged: skipped"),
        }
        ControlFlow::Continue(())
    }

    /// Whether a message still lies where it was found: files go only after that has changed.
    fn lies_at(&self, queue: QueueId, entry: &Entry) -> bool {
        self.core.lock().state.queues.get(&queue).is_some_and(|state| state.lies_at(entry.seq, entry.place))
    }

    /// The messages that still lie where they were read, or nothing when some lie elsewhere by now. Those that are gone are
    /// left out.
    fn still_there(&self, queue: QueueId, found: Vec<(Place, Loaded)>, moved: bool) -> Option<Vec<Loaded>> {
        let core = self.core.lock();
        let Some(state) = core.state.queues.get(&queue) else { return Some(Vec::new()) };
        if moved {
            return None;
        }
        let mut messages = Vec::with_capacity(found.len());
        // Neighbours lie in one segment most often.
        let mut segment: Option<&Segment> = None;
        for (place, loaded) in found {
            let lies_there = match place {
                Place::Segment { id, .. } => {
                    segment = segment.filter(|segment| segment.id == id).or_else(|| state.segment(id));
                    segment.is_some_and(|segment| segment.holds(loaded.seq))
                }
                Place::Journal(_) => state.lies_at(loaded.seq, place),
            };
            if lies_there {
                messages.push(loaded);
            } else if state.holds(loaded.seq) {
                return None;
            }
        }
        Some(messages)
    }
}

fn segment_of(entry: &Entry) -> Option<u64> {
    match entry.place {
        Place::Segment { id, .. } => Some(id),
        Place::Journal(_) => None,
    }
}

impl std::fmt::Debug for Pager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pager").finish_non_exhaustive()
    }
}
