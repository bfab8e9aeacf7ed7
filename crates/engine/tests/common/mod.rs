//! A journal in memory that answers when it is told to, and an outlet that remembers.
#![allow(dead_code, reason = "each test uses some of it")]

mod restart;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, Weak};

use leveret_codec::table::FieldTable;
use leveret_engine::clock::{Clock, ManualClock};
use leveret_engine::effects::Effects;
use leveret_engine::journal::{BlobStore, BodyAt, Journal, LoadRequest, Loaded, Lsn, Page, Record, SeqRange, Waiter};
use leveret_engine::memory::MemoryBudget;
use leveret_engine::message::{Incoming, Message, Parts};
use leveret_engine::names::{ConsumerKey, Name, QueueId};
use leveret_engine::outlet::{ChannelLimit, DeliveryBatch, Outlet, Parked};
use leveret_engine::publish::{PublishBatch, Route};
use leveret_engine::queue::arguments::QueueArguments;
use leveret_engine::queue::{Entry, NewConsumer, NewQueue};
use leveret_engine::restore::RestoredQueue;
use leveret_engine::services::Services;

pub const QUEUE: QueueId = QueueId(1);

/// Keeps what it is given, checks that it makes sense, and answers loads when told to.
pub struct TestJournal {
    can_page: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    end: u64,
    /// So many have said that they append bodies.
    holders: u32,
    bodies: Vec<Message>,
    /// When each body came.
    arrived_ms: Vec<u64>,
    clock: Option<Arc<ManualClock>>,
    topology: restart::Topology,
    /// Somebody looks into queues beside what they read for themselves.
    browsed: bool,
    /// Those who wait for room, while there is none.
    full: Option<Vec<Arc<dyn Waiter>>>,
    queues: BTreeMap<u64, StoredQueue>,
    requests: Vec<LoadRequest>,
    /// The page for the oldest request, and the positions in it that were lost, if it was read already.
    read: Option<(Page, Vec<u64>)>,
    /// What was appended, in words.
    log: Vec<String>,
}

#[derive(Default)]
struct StoredQueue {
    messages: BTreeMap<u64, StoredMessage>,
    /// Messages that cannot be read any more.
    lost: BTreeSet<u64>,
    /// Something was lost: sums of bytes are no longer exact.
    ever_lost: bool,
    last_seq: u64,
    delivered: u64,
    returned: BTreeMap<u64, u32>,
}

struct StoredMessage {
    body: usize,
    transient: bool,
}

impl TestJournal {
    pub fn new(can_page: bool) -> Arc<Self> {
        Arc::new(Self { can_page, state: Mutex::default() })
    }

    /// What comes from now on came at this clock's time.
    pub fn set_clock(&self, clock: &Arc<ManualClock>) {
        self.state.lock().unwrap().clock = Some(Arc::clone(clock));
    }

    /// There is no room, until there is.
    pub fn set_full(&self, is_full: bool) {
        let before = std::mem::replace(&mut self.state.lock().unwrap().full, is_full.then(Vec::new));
        before.into_iter().flatten().for_each(|waiter| waiter.wake());
    }

    /// From now on there may be several requests for a queue at a time.
    pub fn allow_browsing(&self) {
        self.state.lock().unwrap().browsed = true;
    }

    /// What was appended since the last call, in words.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }

    pub fn requests(&self) -> usize {
        self.state.lock().unwrap().requests.len()
    }

    /// The bounds of the oldest request.
    pub fn next_request(&self) -> Option<(SeqRange, usize, usize)> {
        let state = self.state.lock().unwrap();
        state.requests.first().map(|request| (request.range, request.messages_max, request.bytes_max))
    }

    /// Reads the page for the oldest request, of at most so many messages, and keeps it.
    pub fn read(&self, messages_max: usize) {
        let mut state = self.state.lock().unwrap();
        if let (Some(request), None) = (state.requests.first(), &state.read) {
            state.read = Some(state.page(request, messages_max));
        }
    }

    /// Answers the oldest request with at most so many messages, or with what was read before. Returns the positions covered
    /// that were lost.
    pub fn answer(&self, messages_max: usize) -> Vec<u64> {
        self.read(messages_max);
        let (request, page, gone) = {
            let mut state = self.state.lock().unwrap();
            let Some((page, gone)) = state.read.take() else { return Vec::new() };
            let request = state.requests.remove(0);
            if let Some(queue) = state.queues.get_mut(&request.queue.0) {
                queue.messages.retain(|seq, _| !gone.contains(seq));
            }
            (request, page, gone)
        };
        request.reader.loaded(page);
        gone
    }

    /// Answers until nobody asks any more.
    pub fn answer_all(&self) {
        while self.requests() > 0 {
            self.answer(usize::MAX);
        }
    }

    /// The message at this position of the queue cannot be read any more, if it is there.
    pub fn lose(&self, seq: u64) {
        if let Some(queue) = self.state.lock().unwrap().queues.get_mut(&QUEUE.0)
            && queue.messages.contains_key(&seq)
        {
            queue.lost.insert(seq);
            queue.ever_lost = true;
        }
    }

    /// Positions of the messages of one kind.
    pub fn seqs(&self, transient: bool) -> BTreeSet<u64> {
        let state = self.state.lock().unwrap();
        let messages = state.queues.get(&QUEUE.0).into_iter().flat_map(|queue| &queue.messages);
        messages.filter(|(_, message)| message.transient == transient).map(|(seq, _)| *seq).collect()
    }

    /// The broker starts again: transient messages are gone, nobody waits for pages.
    pub fn restart(&self) -> RestoredQueue {
        let mut state = self.state.lock().unwrap();
        state.requests.clear();
        state.read = None;
        let lens: Vec<u64> = state.bodies.iter().map(Message::body_len).collect();
        let queue = state.queues.entry(QUEUE.0).or_default();
        queue.messages.retain(|_, message| !message.transient);
        RestoredQueue {
            vhost: "/".into(),
            name: "q".into(),
            id: QUEUE,
            auto_delete: false,
            arguments: FieldTable::default(),
            messages: queue.messages.len() as u64,
            bytes: queue.messages.values().map(|message| lens[message.body]).sum(),
            first_seq: queue.messages.keys().next().copied().unwrap_or_default(),
            last_seq: queue.last_seq,
            stream_segments: Vec::new(),
        }
    }
}

impl State {
    fn page(&self, request: &LoadRequest, messages_max: usize) -> (Page, Vec<u64>) {
        let SeqRange { first, last } = request.range;
        assert!(first <= last && request.messages_max > 0 && request.bytes_max > 0);
        let mut page = Page { messages: Vec::new(), next: last + 1 };
        let mut gone = Vec::new();
        let Some(queue) = self.queues.get(&request.queue.0) else { return (page, gone) };
        let mut bytes = 0;
        for (&seq, stored) in queue.messages.range(first..=last) {
            let message = &self.bodies[stored.body];
            if page.messages.len() == messages_max.min(request.messages_max) || bytes > request.bytes_max as u64 {
                page.next = seq;
                break;
            }
            if queue.lost.contains(&seq) {
                gone.push(seq);
                continue;
            }
            bytes += message.body_len();
            let deliveries = queue.returned.get(&seq).copied().unwrap_or(u32::from(seq <= queue.delivered));
            page.messages.push(Loaded {
                seq,
                deliveries,
                transient: stored.transient,
                arrived_ms: self.arrived_ms[stored.body],
                message: message.clone(),
            });
        }
        (page, gone)
    }

    fn apply(&mut self, record: &Record<'_>) {
        self.topology.apply(record);
        match *record {
            Record::Enqueue { queue, first_seq, bodies, bytes, transient } => {
                assert!(!bodies.is_empty());
                let sum: u64 = bodies.iter().map(|at| self.bodies[at.0 as usize].body_len()).sum();
                assert_eq!(bytes, sum, "bytes of an enqueue");
                let queue = self.queues.entry(queue.0).or_default();
                assert!(first_seq > queue.last_seq, "positions rise");
                for (seq, at) in (first_seq..).zip(bodies) {
                    let stored = StoredMessage { body: at.0 as usize, transient };
                    queue.messages.insert(seq, stored);
                    queue.last_seq = seq;
                }
            }
            Record::Settle { queue, ranges, bytes, transient } => self.settle(queue, ranges, bytes, transient),
            Record::Delivered { queue, last } => {
                let queue = self.queues.entry(queue.0).or_default();
                // But for what was taken out of the middle and given back when others had been delivered.
                assert!(last > queue.delivered || self.browsed, "the watermark rises");
                queue.delivered = queue.delivered.max(last);
            }
            Record::Returned { queue, counts } => {
                let queue = self.queues.entry(queue.0).or_default();
                for (seq, count) in counts {
                    assert!(!queue.messages[seq].transient);
                    assert!(*count > queue.returned.get(seq).copied().unwrap_or_default());
                    queue.returned.insert(*seq, *count);
                }
            }
            Record::QueueDeleted { id } => {
                self.queues.remove(&id.0);
            }
            _ => {}
        }
    }

    fn settle(&mut self, queue: QueueId, ranges: &[SeqRange], bytes: u64, transient: bool) {
        assert!(ranges.is_sorted_by(|a, b| a.last + 1 < b.first), "ranges in order, neighbours joined: {ranges:?}");
        let stored = self.queues.get_mut(&queue.0).expect("a queue with messages");
        let (mut count, mut sum) = (0, 0);
        for range in ranges {
            assert!(range.first <= range.last);
            let of_kind = stored.messages.range(range.first..=range.last).filter(|(_, m)| m.transient == transient);
            let seqs: Vec<u64> = of_kind.map(|(seq, _)| *seq).collect();
            for seq in seqs {
                count += 1;
                sum += self.bodies[stored.messages.remove(&seq).unwrap().body].body_len();
            }
        }
        assert!(count > 0, "settled what is not there");
        if !stored.ever_lost {
            assert_eq!(bytes, sum, "bytes of a settle");
        }
    }
}

/// A record in words.
fn in_words(record: &Record<'_>) -> String {
    let kind = |transient| if transient { " transient" } else { "" };
    match record {
        Record::Enqueue { queue, first_seq, bodies, bytes, transient } => {
            format!("enqueue{} q{} {first_seq}+{} {bytes}B", kind(*transient), queue.0, bodies.len())
        }
        Record::Settle { queue, ranges, bytes, transient } => {
            let ranges: Vec<String> = ranges.iter().map(|range| format!("{}..{}", range.first, range.last)).collect();
            format!("settle{} q{} {} {bytes}B", kind(*transient), queue.0, ranges.join(","))
        }
        Record::Delivered { queue, last } => format!("delivered q{} {last}", queue.0),
        Record::Returned { queue, counts } => format!("returned q{} {counts:?}", queue.0),
        Record::QueueDeclared { name, .. } => format!("declared {name}"),
        Record::QueueDeleted { id } => format!("deleted q{}", id.0),
        Record::StreamSegment { queue, segment } => {
            format!("segment q{} {}..{}", queue.0, segment.first_seq, segment.last_seq)
        }
        Record::ExchangeDeclared { name, .. } => format!("exchange {name}"),
        Record::ExchangeDeleted { name, .. } => format!("no exchange {name}"),
        Record::Bound { binding, .. } => format!("bound {} to {}", binding.destination, binding.source),
        Record::Unbound { binding, .. } => format!("unbound {} from {}", binding.destination, binding.source),
        Record::Setting { key, .. } => format!("set {:?} {} {}", key.kind, key.scope, key.name),
        Record::SettingCleared { key } => format!("cleared {:?} {} {}", key.kind, key.scope, key.name),
    }
}

impl Journal for TestJournal {
    fn append(&self, record: &Record<'_>) -> Lsn {
        let mut state = self.state.lock().unwrap();
        let enqueues = matches!(record, Record::Enqueue { .. });
        assert!(!enqueues || state.holders > 0, "bodies that nobody holds any more");
        state.apply(record);
        // What a broker begins with is of no interest here, and positions are told without it.
        if !matches!(record, Record::Setting { .. }) {
            state.log.push(in_words(record));
            state.end += 1;
        }
        Lsn(state.end)
    }

    fn append_bodies(&self, bodies: &[Parts<'_>], at: &mut Vec<BodyAt>) {
        assert!(!bodies.is_empty());
        let mut state = self.state.lock().unwrap();
        assert!(state.holders > 0, "bodies that nobody holds");
        for parts in bodies {
            at.push(BodyAt(state.bodies.len() as u64));
            state.bodies.push(Message::copy_of(parts));
            let now_ms = state.clock.as_ref().map_or(0, |clock| clock.now_ms());
            state.arrived_ms.push(now_ms);
        }
        state.log.push(format!("{} bodies", bodies.len()));
        state.end += 1;
    }

    fn hold(&self) -> Lsn {
        let mut state = self.state.lock().unwrap();
        state.holders += 1;
        Lsn(state.end)
    }

    fn let_go(&self, _held: Lsn) {
        self.state.lock().unwrap().holders -= 1;
    }

    fn durable(&self) -> Lsn {
        Lsn(u64::MAX)
    }

    fn when_durable(&self, _lsn: Lsn, waiter: Arc<dyn Waiter>) {
        waiter.wake();
    }

    fn can_page(&self) -> bool {
        self.can_page
    }

    fn load(&self, request: LoadRequest) {
        let mut state = self.state.lock().unwrap();
        let same = state.requests.iter().filter(|other| other.queue == request.queue).count();
        assert!(same == 0 || state.browsed, "one request at a time");
        state.requests.push(request);
    }

    fn is_full(&self) -> bool {
        self.state.lock().unwrap().full.is_some()
    }

    fn when_room(&self, waiter: Arc<dyn Waiter>) {
        let mut state = self.state.lock().unwrap();
        match &mut state.full {
            Some(waiters) => waiters.push(waiter),
            None => {
                drop(state);
                waiter.wake();
            }
        }
    }

    fn blobs(&self) -> Option<Arc<dyn BlobStore>> {
        None
    }
}

/// Remembers deliveries; full when told to be.
#[derive(Default)]
pub struct Recorder {
    pub deliveries: Mutex<Vec<Delivered>>,
    pub full: Mutex<bool>,
    pub parked: Mutex<Vec<Parked>>,
}

pub struct Delivered {
    pub consumer: ConsumerKey,
    pub no_ack: bool,
    pub body: u64,
    pub entry: Entry,
}

impl Recorder {
    pub fn take(&self) -> Vec<Delivered> {
        std::mem::take(&mut *self.deliveries.lock().unwrap())
    }

    /// The bodies delivered since the last call.
    pub fn bodies(&self) -> Vec<u64> {
        self.take().iter().map(|delivered| delivered.body).collect()
    }
}

impl Outlet for Recorder {
    fn room_bytes(&self) -> usize {
        if *self.full.lock().unwrap() { 0 } else { usize::MAX }
    }

    fn deliver(&self, batch: DeliveryBatch<'_, '_>) -> bool {
        batch.for_each(|delivery| {
            let to = delivery.to;
            let (seq, deliveries, stored) = (delivery.seq, delivery.deliveries, delivery.stored);
            let expires_ms = delivery.expires_ms;
            let message = delivery.keep();
            let body = body_number(&message);
            let entry = Entry { seq, deliveries, stored, expires_ms, message };
            let delivered = Delivered { consumer: to.key, no_ack: to.no_ack, body, entry };
            self.deliveries.lock().unwrap().push(delivered);
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

/// Counts its wakes.
#[derive(Default)]
pub struct Wakes(pub std::sync::atomic::AtomicUsize);

impl Waiter for Wakes {
    fn wake(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Wakes {
    pub fn count(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// Bodies are numbers of 8 bytes.
pub fn body_number(message: &Message) -> u64 {
    u64::from_be_bytes(message.parts().body.try_into().unwrap())
}

/// What a broker over `journal` has, at the beginning of time.
pub fn services(journal: &Arc<TestJournal>, budget_bytes: u64) -> Services {
    let clock = Arc::<ManualClock>::default();
    Services::new(Arc::<TestJournal>::clone(journal), MemoryBudget::new(budget_bytes), clock, 0)
}

/// What queue `q` is made of.
pub fn new_queue(services: &Arc<Services>, durable: bool, settings: QueueArguments) -> NewQueue {
    NewQueue {
        id: QUEUE,
        name: "q".into(),
        vhost: "/".into(),
        durable,
        auto_delete: false,
        owner: None,
        arguments: FieldTable::default(),
        settings,
        home: Weak::new(),
        services: Arc::clone(services),
    }
}

/// A consumer of prefetch `prefetch`; 0 is no limit.
pub fn consumer(outlet: &Arc<Recorder>, prefetch: u16, priority: i32, no_ack: bool) -> NewConsumer {
    let outlet: Arc<dyn Outlet> = Arc::<Recorder>::clone(outlet);
    let channel_limit = Arc::<ChannelLimit>::default();
    NewConsumer { tag: "c".into(), outlet, channel_limit, no_ack, prefetch, priority, exclusive: false }
}

/// Publishes bodies `numbers` in one batch; says which were rejected, and until when a confirm waits.
pub fn publish(
    journal: &TestJournal,
    route: &Route,
    numbers: impl IntoIterator<Item = u64>,
    persistent: impl Fn(u64) -> bool,
    effects: &mut Effects,
) -> (Vec<bool>, Lsn) {
    let bodies: Vec<[u8; 8]> = numbers.into_iter().map(u64::to_be_bytes).collect();
    let mut batch = PublishBatch::default();
    let number = batch.route_number(route);
    for body in &bodies {
        let mut message = Incoming::borrowed(b"", b"q", &[0, 0], body, None);
        // Every third is not in a read buffer.
        if u64::from_be_bytes(*body) % 3 == 0 {
            message = Incoming::kept(message.take());
        }
        batch.push(message, number, persistent(u64::from_be_bytes(*body)));
    }
    let lsn = batch.carry_out(journal, effects);
    (batch.items.iter().map(|item| item.rejected).collect(), lsn)
}
