//! A stream on a journal that becomes durable and answers when it is told to, and an outlet that remembers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use leveret_codec::properties::Properties;
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::clock::{Clock, ManualClock};
use leveret_engine::effects::Effects;
use leveret_engine::journal::{
    BlobStore, BodyAt, Journal, LoadRequest, Loaded, Lsn, Page, Record, SeqRange, StreamSegment, Waiter,
};
use leveret_engine::memory::MemoryBudget;
use leveret_engine::message::{Incoming, Message, Parts};
use leveret_engine::names::{ConsumerKey, Name, QueueId};
use leveret_engine::outlet::{ChannelLimit, DeliveryBatch, Outlet, Parked};
use leveret_engine::publish::{PublishBatch, Route};
use leveret_engine::queue::arguments::{QueueArguments, QueueType};
use leveret_engine::queue::{NewConsumer, NewQueue, Queue, Settled, Stored};
use leveret_engine::restore::RestoredQueue;
use leveret_engine::services::Services;
use leveret_engine::stream::{StreamFilter, StreamOffset, StreamSpec};

const QUEUE: QueueId = QueueId(7);

/// Bytes of a body.
pub const BODY_BYTES: u64 = 8;

/// What a record did to the stream.
#[derive(Clone, Debug)]
enum Done {
    Enqueued { first_seq: u64, bodies: Vec<usize> },
    Settled(SeqRange),
    Finished(StreamSegment),
}

/// Keeps records of one stream.
pub struct StreamJournal {
    can_page: bool,
    clock: Arc<ManualClock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bodies: Vec<(u64, Message)>,
    /// A record's place is its position, less one.
    records: Vec<Done>,
    durable: usize,
    waiters: Vec<(u64, Arc<dyn Waiter>)>,
    requests: Vec<LoadRequest>,
    messages: BTreeMap<u64, usize>,
    segments: Vec<StreamSegment>,
    last_seq: u64,
}

impl State {
    fn apply(&mut self, done: &Done) {
        match done {
            Done::Enqueued { first_seq, bodies } => {
                assert_eq!(*first_seq, self.last_seq + 1, "no position is left out or given twice");
                self.last_seq += bodies.len() as u64;
                self.messages.extend((*first_seq..).zip(bodies.iter().copied()));
            }
            Done::Settled(range) => {
                assert!(self.messages.keys().next() == Some(&range.first), "the oldest go first");
                self.messages.retain(|seq, _| *seq > range.last);
                self.segments.retain(|segment| segment.last_seq > range.last);
                let next = self.segments.first().map_or(self.last_seq + 1, |segment| segment.first_seq);
                assert!(next > range.last, "only whole segments go");
            }
            Done::Finished(segment) => {
                let bytes = self.messages.range(segment.first_seq..=segment.last_seq).count() as u64 * BODY_BYTES;
                assert_eq!((segment.last_seq, segment.body_bytes), (self.last_seq, bytes));
                self.segments.push(*segment);
            }
        }
    }
}

impl StreamJournal {
    /// Everything is durable from now on.
    pub fn sync(&self) {
        let woken = {
            let mut state = self.state.lock().unwrap();
            state.durable = state.records.len();
            std::mem::take(&mut state.waiters)
        };
        woken.into_iter().for_each(|(_, waiter)| waiter.wake());
    }

    pub fn requests(&self) -> usize {
        self.state.lock().unwrap().requests.len()
    }

    /// Answers a request with at most so many messages.
    pub fn answer(&self, place: usize, messages_max: usize) {
        let (request, page) = {
            let mut state = self.state.lock().unwrap();
            if state.requests.is_empty() {
                return;
            }
            let place = place % state.requests.len();
            let request = state.requests.remove(place);
            let SeqRange { first, last } = request.range;
            assert!(first <= last && last <= state.last_seq, "{:?} was never there", request.range);
            let mut page = Page { messages: Vec::new(), next: last + 1 };
            for (&seq, &body) in state.messages.range(first..=last) {
                if page.messages.len() == messages_max.min(request.messages_max) {
                    page.next = seq;
                    break;
                }
                let (arrived_ms, message) = state.bodies[body].clone();
                page.messages.push(Loaded { seq, deliveries: 0, transient: false, arrived_ms, message });
            }
            (request, page)
        };
        request.reader.loaded(page);
    }

    /// Positions that are there.
    pub fn seqs(&self) -> Vec<u64> {
        self.state.lock().unwrap().messages.keys().copied().collect()
    }

    /// The broker starts again; `crash`: without what was not durable.
    fn restart(&self, crash: bool) -> RestoredQueue {
        let mut guard = self.state.lock().unwrap();
        let state = &mut *guard;
        let kept = if crash { state.durable } else { state.records.len() };
        let records = state.records[..kept].to_vec();
        *state = State { bodies: std::mem::take(&mut state.bodies), durable: kept, ..State::default() };
        for done in &records {
            state.apply(done);
        }
        state.records = records;
        RestoredQueue {
            vhost: "/".into(),
            name: "s".into(),
            id: QUEUE,
            auto_delete: false,
            arguments: FieldTable::default(),
            messages: state.messages.len() as u64,
            bytes: state.messages.len() as u64 * BODY_BYTES,
            first_seq: state.messages.keys().next().copied().unwrap_or_default(),
            last_seq: state.last_seq,
            stream_segments: state.segments.clone(),
        }
    }
}

impl Journal for StreamJournal {
    fn append(&self, record: &Record<'_>) -> Lsn {
        let mut state = self.state.lock().unwrap();
        let done = match *record {
            Record::Enqueue { queue, first_seq, bodies, bytes, transient } => {
                assert_eq!((queue, transient, bytes), (QUEUE, false, bodies.len() as u64 * BODY_BYTES));
                Done::Enqueued { first_seq, bodies: bodies.iter().map(|at| usize::try_from(at.0).unwrap()).collect() }
            }
            Record::Settle { queue, ranges: &[range], bytes, transient } => {
                let count = state.messages.range(range.first..=range.last).count() as u64;
                assert_eq!((queue, transient, bytes), (QUEUE, false, count * BODY_BYTES));
                Done::Settled(range)
            }
            Record::StreamSegment { queue, segment } => {
                assert_eq!(queue, QUEUE);
                Done::Finished(segment)
            }
            ref other => panic!("{other:?}"),
        };
        state.apply(&done);
        state.records.push(done);
        Lsn(state.records.len() as u64)
    }

    fn append_bodies(&self, bodies: &[Parts<'_>], at: &mut Vec<BodyAt>) {
        let mut state = self.state.lock().unwrap();
        for parts in bodies {
            at.push(BodyAt(state.bodies.len() as u64));
            state.bodies.push((self.clock.now_ms(), Message::copy_of(parts)));
        }
    }

    fn durable(&self) -> Lsn {
        if self.can_page { Lsn(self.state.lock().unwrap().durable as u64) } else { Lsn(u64::MAX) }
    }

    fn when_durable(&self, lsn: Lsn, waiter: Arc<dyn Waiter>) {
        if lsn <= self.durable() {
            return waiter.wake();
        }
        self.state.lock().unwrap().waiters.push((lsn.0, waiter));
    }

    fn can_page(&self) -> bool {
        self.can_page
    }

    fn load(&self, request: LoadRequest) {
        assert!(self.can_page && request.messages_max > 0 && request.bytes_max > 0);
        self.state.lock().unwrap().requests.push(request);
    }

    fn is_full(&self) -> bool {
        false
    }

    fn when_room(&self, waiter: Arc<dyn Waiter>) {
        waiter.wake();
    }

    fn blobs(&self) -> Option<Arc<dyn BlobStore>> {
        None
    }
}

/// A delivery: offset, and the number that is its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub offset: u64,
    pub body: u64,
}

/// Remembers deliveries; full when told to be.
#[derive(Default)]
pub struct Recorder {
    pub seen: Mutex<Vec<Seen>>,
    full: Mutex<bool>,
    parked: Mutex<Vec<Parked>>,
}

impl Recorder {
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Outlet for Recorder {
    fn room_bytes(&self) -> usize {
        if *self.full.lock().unwrap() { 0 } else { usize::MAX }
    }

    fn deliver(&self, batch: DeliveryBatch<'_, '_>) -> bool {
        assert!(batch.is_of_stream());
        batch.for_each(|delivery| {
            assert_eq!((delivery.deliveries, delivery.stored), (0, Stored::No));
            let offset = delivery.stream_offset().unwrap();
            assert_eq!(offset + 1, delivery.seq);
            let body = u64::from_be_bytes(delivery.parts().body.try_into().unwrap());
            self.seen.lock().unwrap().push(Seen { offset, body });
        });
        false
    }

    fn cancelled(&self, _tag: &Name) -> bool {
        false
    }

    fn park(&self, parked: &Parked) -> bool {
        if !*self.full.lock().unwrap() {
            return false;
        }
        self.parked.lock().unwrap().push(parked.clone());
        true
    }

    fn wake(&self, _: usize) {}
}

/// What a stream is set up as.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    pub in_memory: bool,
    /// Nothing is left of the memory budget.
    pub scarce: bool,
    pub segment_bytes: Option<u64>,
    pub bytes_max: Option<u64>,
    pub age_ms_max: Option<u64>,
}

/// A stream and what it stands on.
pub struct Bench {
    pub setup: Setup,
    pub clock: Arc<ManualClock>,
    pub journal: Arc<StreamJournal>,
    pub queue: Arc<Queue>,
    pub effects: Effects,
    services: Arc<Services>,
    published: u64,
}

impl Bench {
    pub fn new(setup: Setup) -> Self {
        let clock = Arc::new(ManualClock::at(1_000_000));
        let journal =
            Arc::new(StreamJournal { can_page: !setup.in_memory, clock: Arc::clone(&clock), state: Mutex::default() });
        let services = services(&journal, setup);
        let queue = Arc::new(Queue::new(new_queue(setup, &services)));
        Self { setup, clock, journal, queue, effects: Effects::default(), services, published: 0 }
    }

    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Publishes so many messages in one batch, each with this filter value; a body is its number in the order of publishing.
    pub fn publish(&mut self, count: u64, value: Option<&str>) -> Lsn {
        let bodies: Vec<[u8; 8]> = (self.published..self.published + count).map(u64::to_be_bytes).collect();
        self.published += count;
        let mut properties = Vec::new();
        let mut headers = FieldTable::default();
        if let Some(value) = value {
            headers.push(&b"x-stream-filter-value"[..], FieldValue::LongStr(value.as_bytes().into()));
        }
        Properties { headers: Some(headers), ..Properties::default() }.encode(&mut properties);
        let route: Route = [Arc::clone(&self.queue)].into();
        let mut batch = PublishBatch::default();
        let number = batch.route_number(&route);
        for body in &bodies {
            batch.push(Incoming::borrowed(b"", b"s", &properties, body, None), number, false);
        }
        let lsn = batch.carry_out(&*self.journal, &mut self.effects);
        self.effects.carry_out();
        lsn
    }

    /// All is durable, and consumers hear of it.
    pub fn sync(&mut self) {
        self.journal.sync();
        self.run_timers();
    }

    pub fn run_timers(&mut self) {
        while self.services.timers.run(self.now_ms(), &mut self.effects) {}
    }

    /// Starts a consumer.
    pub fn consume(&mut self, outlet: &Arc<Recorder>, prefetch: u16, spec: StreamSpec) -> ConsumerKey {
        let new = NewConsumer {
            tag: "c".into(),
            outlet: Arc::<Recorder>::clone(outlet),
            channel_limit: Arc::<ChannelLimit>::default(),
            no_ack: false,
            prefetch,
            priority: 0,
            exclusive: false,
        };
        let key = self.queue.add_reader(new, spec).unwrap();
        self.queue.resume(key, &mut self.effects);
        self.effects.carry_out();
        key
    }

    pub fn ack(&mut self, key: ConsumerKey, seen: &[Seen]) {
        let one = |seen: &Seen| Settled::one(Some(key), seen.offset + 1, Stored::No, 0);
        let settled: Vec<Settled> = seen.iter().map(one).collect();
        self.queue.settle(&settled, &mut self.effects);
        self.effects.carry_out();
    }

    pub fn cancel(&mut self, key: ConsumerKey) {
        self.queue.remove_consumer(key, &mut self.effects);
        self.effects.carry_out();
    }

    pub fn fill(&mut self, outlet: &Recorder, full: bool) {
        *outlet.full.lock().unwrap() = full;
        if !full {
            for parked in std::mem::take(&mut *outlet.parked.lock().unwrap()) {
                parked.queue.resume(parked.key, &mut self.effects);
            }
            self.effects.carry_out();
        }
    }

    /// Answers until nobody asks, and has due whoever is.
    pub fn come_to_rest(&mut self) {
        self.run_timers();
        while self.journal.requests() > 0 {
            self.answer_all();
            self.run_timers();
        }
    }

    /// Answers until nobody asks.
    pub fn answer_all(&self) {
        while self.journal.requests() > 0 {
            self.journal.answer(0, usize::MAX);
        }
    }

    /// The broker starts again; in memory nothing is left.
    pub fn restart(&mut self, crash: bool) {
        let found = self.journal.restart(crash);
        self.services = services(&self.journal, self.setup);
        self.queue = Arc::new(Queue::restored(new_queue(self.setup, &self.services), &found));
    }
}

fn services(journal: &Arc<StreamJournal>, setup: Setup) -> Arc<Services> {
    let clock = Arc::clone(&journal.clock);
    let budget = MemoryBudget::new(if setup.scarce { 0 } else { u64::MAX });
    Arc::new(Services::new(Arc::<StreamJournal>::clone(journal), budget, clock, 0))
}

fn new_queue(setup: Setup, services: &Arc<Services>) -> NewQueue {
    let settings = QueueArguments {
        queue_type: QueueType::Stream,
        max_length_bytes: setup.bytes_max,
        max_age_ms: setup.age_ms_max,
        stream_max_segment_size_bytes: setup.segment_bytes,
        ..QueueArguments::default()
    };
    NewQueue {
        id: QUEUE,
        name: "s".into(),
        vhost: "/".into(),
        durable: true,
        auto_delete: false,
        owner: None,
        arguments: FieldTable::default(),
        settings,
        home: Weak::new(),
        services: Arc::clone(services),
    }
}

/// A consumer that begins here and wants all.
pub fn at(offset: StreamOffset) -> StreamSpec {
    StreamSpec { offset, filter: None }
}

/// A filter for these values.
pub fn filter(values: &[&str], match_unfiltered: bool) -> StreamFilter {
    let values = values.iter().map(|value| FieldValue::LongStr(value.as_bytes().into())).collect();
    let mut arguments = FieldTable::default();
    arguments.push(&b"x-stream-filter"[..], FieldValue::Array(values));
    arguments.push(&b"x-stream-match-unfiltered"[..], FieldValue::Bool(match_unfiltered));
    StreamFilter::parse(&arguments).unwrap()
}
