//! One queue without a session: messages in, to a consumer that only looks at them, and their settling.

use std::hint::black_box;
use std::sync::{Arc, Weak};

use leveret_codec::table::FieldTable;
use leveret_engine::clock::ManualClock;
use leveret_engine::effects::Effects;
use leveret_engine::journal::{Journal, MemoryJournal};
use leveret_engine::limits::OUTLET_FULL_BYTES;
use leveret_engine::memory::MemoryBudget;
use leveret_engine::message::Incoming;
use leveret_engine::names::{ConsumerKey, Name, QueueId};
use leveret_engine::outlet::{ChannelLimit, DeliveryBatch, Outlet, Parked};
use leveret_engine::publish::{PublishBatch, Route};
use leveret_engine::queue::arguments::QueueArguments;
use leveret_engine::queue::{NewConsumer, NewQueue, Queue, Settled, Stored};
use leveret_engine::services::Services;

use super::{Case, OPERATIONS, Work};

/// Property flags of a message with nothing but delivery-mode 1.
const PROPERTIES: &[u8] = &[0x10, 0, 1];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for size_bytes in [16, 1024] {
        cases.push(Case::new(format!("enqueue/{size_bytes}"), move || Box::new(Enqueue(Bench::new(size_bytes)))));
    }
    // To one who waits, and to one who comes when the messages are there: nothing here depends on their size.
    cases.push(Case::new("deliver/waiting_consumer", || Box::new(DeliverAtOnce::new())));
    cases.push(Case::new("deliver/waiting_messages", || Box::new(DeliverReady::new())));
    cases.push(Case::new("settle", || Box::new(Settle::new())));
    cases
}

/// A queue and a publisher.
struct Bench {
    queue: Arc<Queue>,
    route: Route,
    journal: Arc<dyn Journal>,
    body: Vec<u8>,
    effects: Effects,
}

impl Bench {
    fn new(size_bytes: usize) -> Self {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let clock = Arc::<ManualClock>::default();
        let services = Arc::new(Services::new(Arc::clone(&journal), MemoryBudget::default(), clock, 0));
        let queue = Arc::new(Queue::new(NewQueue {
            id: QueueId(1),
            name: "q".into(),
            vhost: "/".into(),
            durable: false,
            auto_delete: false,
            owner: None,
            arguments: FieldTable::default(),
            settings: QueueArguments::default(),
            home: Weak::new(),
            services,
        }));
        let route: Route = Arc::new([Arc::clone(&queue)]);
        Self { queue, route, journal, body: vec![7; size_bytes], effects: Effects::default() }
    }

    fn publish(&mut self) {
        let mut batch = PublishBatch::default();
        let route = batch.route_number(&self.route);
        for _ in 0..OPERATIONS {
            batch.push(Incoming::borrowed(b"", b"q", PROPERTIES, black_box(&self.body), None), route, false);
        }
        batch.carry_out(&*self.journal, &mut self.effects);
        self.effects.carry_out();
    }

    /// A consumer that gets nothing before it is resumed.
    fn add_consumer(&self) -> ConsumerKey {
        let consumer = NewConsumer {
            tag: "c".into(),
            outlet: Arc::new(Looker),
            channel_limit: Arc::new(ChannelLimit::default()),
            no_ack: true,
            prefetch: 0,
            priority: 0,
            exclusive: false,
        };
        self.queue.add_consumer(consumer).expect("nobody else is there")
    }

    fn resume(&mut self, consumer: ConsumerKey) {
        self.queue.resume(consumer, &mut self.effects);
        self.effects.carry_out();
    }
}

/// Messages into a queue without consumers.
struct Enqueue(Bench);

impl Work for Enqueue {
    fn run(&mut self) {
        self.0.publish();
    }

    fn reset(&mut self) {
        let _ = self.0.queue.purge();
    }
}

/// Messages through a queue whose consumer waits.
struct DeliverAtOnce(Bench);

impl DeliverAtOnce {
    fn new() -> Self {
        let mut bench = Bench::new(16);
        let consumer = bench.add_consumer();
        bench.resume(consumer);
        Self(bench)
    }
}

impl Work for DeliverAtOnce {
    fn run(&mut self) {
        self.0.publish();
    }
}

/// A consumer for a queue that has messages.
struct DeliverReady {
    bench: Bench,
    consumer: ConsumerKey,
}

impl DeliverReady {
    fn new() -> Self {
        let mut bench = Bench::new(16);
        bench.publish();
        let consumer = bench.add_consumer();
        Self { bench, consumer }
    }
}

impl Work for DeliverReady {
    fn run(&mut self) {
        self.bench.resume(self.consumer);
    }

    fn reset(&mut self) {
        let Bench { queue, effects, .. } = &mut self.bench;
        assert_eq!(queue.counts().ready, 0, "the run delivered everything");
        queue.remove_consumer(self.consumer, effects);
        self.bench.publish();
        self.consumer = self.bench.add_consumer();
    }
}

/// Deliveries that a queue hears of for the last time.
struct Settle {
    bench: Bench,
    settled: Vec<Settled>,
}

impl Settle {
    fn new() -> Self {
        let bench = Bench::new(16);
        let consumer = Some(bench.add_consumer());
        let settled = |seq| Settled::one(consumer, seq, Stored::No, 16);
        Self { settled: (1..=OPERATIONS.into()).map(settled).collect(), bench }
    }
}

impl Work for Settle {
    fn run(&mut self) {
        self.bench.queue.settle(black_box(&self.settled), &mut self.bench.effects);
    }
}

/// Sees every delivery, and always has room.
struct Looker;

impl Outlet for Looker {
    fn room_bytes(&self) -> usize {
        OUTLET_FULL_BYTES
    }

    fn deliver(&self, batch: DeliveryBatch<'_, '_>) -> bool {
        batch.for_each(|delivery| {
            black_box(delivery.parts());
        });
        false
    }

    fn cancelled(&self, _tag: &Name) -> bool {
        false
    }

    fn park(&self, _parked: &Parked) -> bool {
        false
    }

    fn wake(&self, _: usize) {}
}
