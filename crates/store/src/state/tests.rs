use leveret_engine::journal::{BodyAt, Record, StreamSegment};
use proptest::prelude::*;

use super::*;
use crate::record;

/// Every message's body is that long.
const BODY_BYTES: u64 = 10;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// So many messages after leaving out so many.
    Enqueue {
        queue: u64,
        skip: u64,
        count: u64,
        transient: bool,
    },
    /// One that was left out.
    Late {
        queue: u64,
        seq: u64,
        transient: bool,
    },
    Settle {
        queue: u64,
        first: u64,
        more: u64,
    },
    Returned {
        queue: u64,
        seq: u64,
        count: u32,
    },
    Delivered {
        queue: u64,
        last: u64,
    },
    /// The first so many in the journal to a segment, of which some are settled while they are on their way.
    ToSegment {
        queue: u64,
        count: usize,
        settled: u64,
        open: bool,
    },
    Rewrite {
        queue: u64,
    },
    Forward {
        queue: u64,
    },
    /// What came since the last segment of a stream is one.
    StreamSegment {
        queue: u64,
    },
    Deleted {
        queue: u64,
    },
    Started,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let queue = 1..4u64;
    let step = prop_oneof![
        6 => (queue.clone(), 0..4u64, 1..20u64, any::<bool>())
            .prop_map(|(queue, skip, count, transient)| Step::Enqueue { queue, skip, count, transient }),
        2 => (queue.clone(), 0..100u64, any::<bool>())
            .prop_map(|(queue, seq, transient)| Step::Late { queue, seq, transient }),
        4 => (queue.clone(), 0..150u64, 0..15u64).prop_map(|(queue, first, more)| Step::Settle { queue, first, more }),
        1 => (queue.clone(), 0..100u64, 1..9u32).prop_map(|(queue, seq, count)| Step::Returned { queue, seq, count }),
        1 => (queue.clone(), 0..100u64).prop_map(|(queue, last)| Step::Delivered { queue, last }),
        3 => (queue.clone(), 1..30usize, 0..100u64, any::<bool>())
            .prop_map(|(queue, count, settled, open)| Step::ToSegment { queue, count, settled, open }),
        1 => queue.clone().prop_map(|queue| Step::Rewrite { queue }),
        1 => queue.clone().prop_map(|queue| Step::Forward { queue }),
        1 => queue.clone().prop_map(|queue| Step::StreamSegment { queue }),
        1 => queue.prop_map(|queue| Step::Deleted { queue }),
        1 => Just(Step::Started),
    ];
    proptest::collection::vec(step, 0..60)
}

/// What the state should hold: of each queue its messages, whether they are transient, and how often they came back.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) state: State,
    queues: BTreeMap<u64, BTreeMap<u64, (bool, u32)>>,
    delivered: BTreeMap<u64, u64>,
    position: u64,
}

impl Model {
    pub(crate) fn new() -> Self {
        let mut model = Self::default();
        model.declare();
        model
    }

    /// Queues 1 and 2 are durable, 3 is not.
    fn declare(&mut self) {
        for id in [1, 2] {
            let (name, arguments, id) = (format!("q{id}"), FieldTable::default(), QueueId(id));
            self.log(&Record::QueueDeclared { vhost: "/", name: &name, id, auto_delete: false, arguments: &arguments });
        }
    }

    fn log(&mut self, record: &Record<'_>) {
        let mut bytes = Vec::new();
        record::encode(record, &mut bytes);
        let (logged, used) = record::decode(&bytes).unwrap();
        assert_eq!(used, bytes.len());
        self.position += 100;
        self.state.apply(self.position, &logged);
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match *step {
            Step::Enqueue { queue, skip, count, transient } => {
                let last = self.state.queues.get(&QueueId(queue)).map_or(0, |state| state.last_seq);
                self.enqueue(queue, last + 1 + skip, count, transient);
            }
            Step::Late { queue, seq, transient } => {
                if !self.queues.get(&queue).is_some_and(|messages| messages.contains_key(&seq)) {
                    self.enqueue(queue, seq, 1, transient);
                }
            }
            Step::Settle { queue, first, more } => self.settle(queue, first, first + more),
            Step::Returned { queue, seq, count } => {
                if let Some(message) = self.queues.get_mut(&queue).and_then(|messages| messages.get_mut(&seq)) {
                    message.1 = count;
                }
                self.log(&Record::Returned { queue: QueueId(queue), counts: &[(seq, count)] });
            }
            Step::Delivered { queue, last } => {
                if self.state.queues.contains_key(&QueueId(queue)) {
                    let delivered = self.delivered.entry(queue).or_default();
                    *delivered = last.max(*delivered);
                }
                self.log(&Record::Delivered { queue: QueueId(queue), last });
            }
            Step::ToSegment { queue, count, settled, open } => self.fill_segment(queue, count, settled, open),
            Step::Rewrite { queue } => self.rewrite(queue),
            Step::Forward { queue } => self.forward(queue),
            Step::StreamSegment { queue } => self.finish_stream_segment(queue),
            Step::Deleted { queue } => {
                self.log(&Record::QueueDeleted { id: QueueId(queue) });
                self.queues.remove(&queue);
                self.delivered.remove(&queue);
                self.declare();
            }
            Step::Started => {
                self.state.apply(self.position, &Logged::Started { epoch: 1 });
                self.queues.remove(&3);
                for messages in self.queues.values_mut() {
                    messages.retain(|_, message| !message.0);
                }
            }
        }
        self.forget_ended();
    }

    /// A queue that was never declared ends with its last message.
    fn forget_ended(&mut self) {
        if !self.state.queues.contains_key(&QueueId(3)) {
            self.delivered.remove(&3);
        }
    }

    fn enqueue(&mut self, queue: u64, first_seq: u64, count: u64, transient: bool) {
        let bodies: Vec<_> = (0..count).map(|i| BodyAt(self.position + i)).collect();
        let (id, bytes) = (QueueId(queue), count * BODY_BYTES);
        self.log(&Record::Enqueue { queue: id, first_seq, bodies: &bodies, bytes, transient });
        self.queues.entry(queue).or_default().extend((first_seq..first_seq + count).map(|seq| (seq, (transient, 0))));
    }

    /// Durable messages by one record, transient ones by another, as the engine does.
    fn settle(&mut self, queue: u64, first: u64, last: u64) {
        let messages = self.queues.entry(queue).or_default();
        let gone: Vec<_> = messages.extract_if(first..=last, |_, _| true).collect();
        for transient in [false, true] {
            let bytes = gone.iter().filter(|(_, message)| message.0 == transient).count() as u64 * BODY_BYTES;
            let ranges = [leveret_engine::journal::SeqRange { first, last }];
            self.log(&Record::Settle { queue: QueueId(queue), ranges: &ranges, bytes, transient });
        }
    }

    fn fill_segment(&mut self, queue: u64, count: usize, settled: u64, open: bool) {
        let Some(state) = self.state.queues.get(&QueueId(queue)) else { return };
        let moved: Vec<_> = state.journal.iter_from(0).take(count).collect();
        let Some(&(first, _)) = moved.first() else { return };
        let last = state.segments.last().filter(|segment| open && segment.last < first);
        let id = last.map_or(self.state.next_segment_id, |segment| segment.id);
        self.state.next_segment_id += 1;
        self.settle(queue, settled, settled + 5);
        self.state.move_to_segment(QueueId(queue), id, 1000, &moved);
    }

    fn rewrite(&mut self, queue: u64) {
        let Some(state) = self.state.queues.get(&QueueId(queue)) else { return };
        let old: Vec<u64> = state.segments.iter().take(2).map(|segment| segment.id).collect();
        let written = state.segments.iter().take(2).fold(RoaringTreemap::new(), |all, segment| all | &segment.live);
        let (Some(first), id) = (written.min(), self.state.next_segment_id) else { return };
        self.state.next_segment_id += 1;
        self.settle(queue, first, first + 3);
        self.state.rewrite(QueueId(queue), &old, id, 1000, &written);
    }

    fn forward(&mut self, queue: u64) {
        let Some(state) = self.state.queues.get(&QueueId(queue)) else { return };
        let Some((seq, _)) = state.journal.iter_from(0).next() else { return };
        self.position += 100;
        let at = BodyAt(self.position);
        self.state.apply(self.position, &Logged::Moved { queue: QueueId(queue), seq, at });
        assert_eq!(self.state.queues[&QueueId(queue)].journal.get(seq), Some(at.0));
    }

    fn finish_stream_segment(&mut self, queue: u64) {
        let Some(state) = self.state.queues.get(&QueueId(queue)) else { return };
        let first_seq = state.stream_segments.back().map_or(1, |segment| segment.last_seq + 1);
        let last_seq = state.last_seq;
        if first_seq <= last_seq {
            let segment = StreamSegment { first_seq, last_seq, body_bytes: 3, size_bytes: 5, last_ms: last_seq };
            self.log(&Record::StreamSegment { queue: QueueId(queue), segment });
            assert_eq!(self.state.queues[&QueueId(queue)].stream_segments.back(), Some(&segment));
        }
    }

    fn check(&self) {
        for queue in 1..4 {
            let empty = BTreeMap::new();
            let messages = self.queues.get(&queue).unwrap_or(&empty);
            let Some(state) = self.state.queues.get(&QueueId(queue)) else {
                assert!(messages.is_empty(), "queue {queue} has gone");
                continue;
            };
            let delivered = self.delivered.get(&queue).copied().unwrap_or(0);
            let known = |(&seq, &(transient, count)): (&u64, &(bool, u32))| {
                (seq, transient, count.max(u32::from(seq <= delivered)))
            };
            let expected: Vec<_> = messages.iter().map(known).collect();
            let all = SeqRange { first: 0, last: u64::MAX };
            let got: Vec<_> = state.entries(all, usize::MAX / 4).into_iter().collect();
            for entry in &got {
                assert!(state.lies_at(entry.seq, entry.place) && state.holds(entry.seq));
            }
            assert_eq!(got.iter().map(|got| (got.seq, got.transient, got.deliveries)).collect::<Vec<_>>(), expected);
            let first: Vec<_> = state.entries(all, 5).iter().map(|entry| entry.seq).collect();
            assert_eq!(first, messages.keys().copied().take(5).collect::<Vec<_>>());
            assert_eq!(state.first_seq(), messages.keys().next().copied());
            for (totals, transient) in [(state.durable_totals, false), (state.transient_totals, true)] {
                let count = messages.values().filter(|message| message.0 == transient).count() as u64;
                assert_eq!(totals, Totals { count, bytes: count * BODY_BYTES });
            }
            assert!(state.segments.iter().all(|segment| !segment.live.is_empty()));
            let dead = |id: &u64| self.state.dead_segments.contains(id);
            assert!(!state.segments.iter().any(|segment| dead(&segment.id)));
        }
    }
}

proptest! {
    #[test]
    fn holds_what_a_naive_model_holds(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.take(step);
            model.check();
        }
    }
}

#[test]
fn a_drained_queue_is_small() {
    let mut model = Model::new();
    for _ in 0..100 {
        model.enqueue(1, 1 + model.state.queues[&QueueId(1)].last_seq, 1000, false);
    }
    let before = model.state.queues[&QueueId(1)].journal.len();
    model.settle(1, 0, u64::MAX);
    assert_eq!((before, model.state.queues[&QueueId(1)].journal.len()), (100_000, 0));
    assert_eq!(model.state.lowest_position(), None);
}

#[test]
fn a_segment_of_a_stream_is_known_until_its_last_message_goes() {
    let mut model = Model::new();
    for _ in 0..3 {
        model.take(&Step::Enqueue { queue: 1, skip: 0, count: 10, transient: false });
        model.take(&Step::StreamSegment { queue: 1 });
    }
    let firsts = |model: &Model| {
        let found = &model.state.restored().queues[0].stream_segments;
        found.iter().map(|segment| (segment.first_seq, segment.last_seq)).collect::<Vec<_>>()
    };
    for (first, last, left) in [
        (1, 9, vec![(1, 10), (11, 20), (21, 30)]),
        (12, 25, vec![(1, 10), (11, 20), (21, 30)]),
        (10, 10, vec![(11, 20), (21, 30)]),
        (11, 11, vec![(21, 30)]),
        (26, 30, vec![]),
    ] {
        model.settle(1, first, last);
        assert_eq!(firsts(&model), left);
    }
}
