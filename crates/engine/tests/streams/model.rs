//! A stream against a naive model: whatever is published, made durable, read, acknowledged, dropped and restarted in whatever
//! order, each consumer gets, from where it began, what a list of messages would give it.

use std::sync::Arc;

use leveret_engine::names::ConsumerKey;
use leveret_engine::stream::{StreamOffset, StreamSpec};
use proptest::prelude::*;

use super::bench::{Bench, Recorder, Seen, Setup, filter};

/// Values of messages and filters; the first stands for none.
const VALUES: [&str; 3] = ["", "a", "b"];

#[derive(Clone, Debug)]
enum Op {
    Publish { count: u64, value: usize },
    Pass { ms: u64 },
    Sync,
    Timers,
    Consume { prefetch: u16, offset: StreamOffset, filter: Option<(usize, bool)> },
    Ack { reader: usize, count: usize },
    Cancel(usize),
    Fill { reader: usize, full: bool },
    Answer { place: usize, messages_max: usize },
    Restart { crash: bool },
}

fn offset() -> impl Strategy<Value = StreamOffset> {
    prop_oneof![
        Just(StreamOffset::First),
        Just(StreamOffset::Last),
        Just(StreamOffset::Next),
        (0u64..400).prop_map(StreamOffset::At),
        (0u64..100).prop_map(StreamOffset::Newest),
        (0u64..300).prop_map(|ms| StreamOffset::Since(1_000_000 + ms)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let filter = prop::option::weighted(0.4, (1usize..3, any::<bool>()));
    prop_oneof![
        6 => (1u64..40, 0usize..3).prop_map(|(count, value)| Op::Publish { count, value }),
        2 => (0u64..30).prop_map(|ms| Op::Pass { ms }),
        4 => Just(Op::Sync),
        2 => Just(Op::Timers),
        3 => (1u16..50, offset(), filter).prop_map(|(prefetch, offset, filter)| Op::Consume { prefetch, offset, filter }),
        6 => (any::<usize>(), 1usize..40).prop_map(|(reader, count)| Op::Ack { reader, count }),
        1 => any::<usize>().prop_map(Op::Cancel),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(reader, full)| Op::Fill { reader, full }),
        8 => (any::<usize>(), 1usize..30).prop_map(|(place, messages_max)| Op::Answer { place, messages_max }),
        1 => any::<bool>().prop_map(|crash| Op::Restart { crash }),
    ]
}

struct Reader {
    key: ConsumerKey,
    outlet: Arc<Recorder>,
    prefetch: usize,
    filter: Option<(usize, bool)>,
    /// The first position that it has not been given, nor ever will be for its filter.
    next: u64,
    unacked: Vec<Seen>,
}

/// A message: its number, when it came, which value it has.
#[derive(Clone, Copy)]
struct Published {
    body: u64,
    at_ms: u64,
    value: usize,
}

struct Model {
    bench: Bench,
    /// All that was ever published and not undone: position 1 first.
    messages: Vec<Published>,
    bodies: u64,
    durable: usize,
    readers: Vec<Reader>,
}

impl Model {
    fn new(setup: Setup) -> Self {
        Self { bench: Bench::new(setup), messages: Vec::new(), bodies: 0, durable: 0, readers: Vec::new() }
    }

    fn take(&mut self, op: &Op) {
        match *op {
            Op::Publish { count, value } => {
                let at_ms = self.bench.now_ms();
                self.bench.publish(count, Some(VALUES[value]).filter(|value| !value.is_empty()));
                let bodies = self.bodies..self.bodies + count;
                self.messages.extend(bodies.map(|body| Published { body, at_ms, value }));
                self.bodies += count;
                if self.bench.setup.in_memory {
                    self.durable = self.messages.len();
                }
            }
            Op::Pass { ms } => self.bench.clock.advance(ms),
            Op::Sync => {
                self.durable = self.messages.len();
                self.bench.sync();
            }
            Op::Timers => self.bench.run_timers(),
            Op::Consume { prefetch, offset, filter } => self.consume(prefetch, offset, filter),
            Op::Ack { reader, count } => {
                if let Some(place) = reader.checked_rem(self.readers.len()) {
                    self.ack(place, count);
                }
            }
            Op::Cancel(reader) => {
                if let Some(place) = reader.checked_rem(self.readers.len()) {
                    self.bench.cancel(self.readers.remove(place).key);
                }
            }
            Op::Fill { reader, full } => {
                if let Some(place) = reader.checked_rem(self.readers.len()) {
                    self.bench.fill(&self.readers[place].outlet, full);
                }
            }
            Op::Answer { place, messages_max } => self.bench.journal.answer(place, messages_max),
            Op::Restart { crash } => self.restart(crash),
        }
    }

    fn restart(&mut self, crash: bool) {
        if self.bench.setup.in_memory {
            return;
        }
        self.readers.clear();
        self.bench.restart(crash);
        if crash {
            self.messages.truncate(self.durable);
        }
        self.durable = self.messages.len();
    }

    fn consume(&mut self, prefetch: u16, offset: StreamOffset, wanted: Option<(usize, bool)>) {
        let (first, end) = (self.first(), self.messages.len() as u64 + 1);
        let next = match offset {
            StreamOffset::First => first,
            StreamOffset::Last => first.max(end - 1),
            StreamOffset::Next => end,
            StreamOffset::At(offset) => first.max(offset + 1),
            StreamOffset::Newest(n) => first.max(end.saturating_sub(n)),
            StreamOffset::Since(at_ms) => (first..end).find(|seq| self.message(*seq).at_ms >= at_ms).unwrap_or(end),
        };
        let filter = wanted.map(|(value, unfiltered)| filter(&[VALUES[value]], unfiltered));
        let outlet = Arc::<Recorder>::default();
        let key = self.bench.consume(&outlet, prefetch, StreamSpec { offset, filter });
        let prefetch = prefetch.into();
        self.readers.push(Reader { key, outlet, prefetch, filter: wanted, next, unacked: Vec::new() });
    }

    fn ack(&mut self, place: usize, count: usize) {
        let reader = &mut self.readers[place];
        let acked: Vec<Seen> = reader.unacked.drain(..count.min(reader.unacked.len())).collect();
        let key = reader.key;
        self.bench.ack(key, &acked);
    }

    fn message(&self, seq: u64) -> &Published {
        &self.messages[usize::try_from(seq).unwrap() - 1]
    }

    /// The first position that is there.
    fn first(&self) -> u64 {
        self.bench.journal.seqs().first().copied().unwrap_or(self.messages.len() as u64 + 1)
    }

    fn check(&mut self) {
        let seqs = self.bench.journal.seqs();
        assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        let counts = self.bench.queue.counts();
        assert_eq!((counts.ready, counts.unacked, counts.consumers), (seqs.len(), 0, self.readers.len()));
        let first = self.first();
        for place in 0..self.readers.len() {
            for seen in self.readers[place].outlet.take() {
                let reader = &self.readers[place];
                let seq = seen.offset + 1;
                assert!(seq <= self.durable as u64, "{seq} is not durable");
                assert_eq!(seen.body, self.message(seq).body, "position {seq}");
                assert!(seq >= reader.next && wants(reader.filter, self.message(seq)), "{seq} was not wanted");
                let passed = (reader.next.max(first)..seq).find(|seq| wants(reader.filter, self.message(*seq)));
                assert_eq!(passed, None, "left out before {seq}");
                self.readers[place].next = seq + 1;
                self.readers[place].unacked.push(seen);
            }
            let reader = &self.readers[place];
            assert!(reader.unacked.len() <= reader.prefetch);
        }
    }

    /// Once everything is durable, read and acknowledged, everybody has everything.
    fn finish(&mut self) {
        for place in 0..self.readers.len() {
            self.bench.fill(&self.readers[place].outlet, false);
        }
        self.take(&Op::Sync);
        loop {
            self.bench.come_to_rest();
            self.check();
            if self.readers.iter().all(|reader| reader.unacked.is_empty()) {
                break;
            }
            for place in 0..self.readers.len() {
                self.ack(place, usize::MAX);
            }
        }
        let (first, end) = (self.first(), self.messages.len() as u64 + 1);
        for reader in &self.readers {
            let missing = (reader.next.max(first)..end).find(|seq| wants(reader.filter, self.message(*seq)));
            assert_eq!(missing, None, "a consumer has waited in vain");
        }
    }
}

fn wants(filter: Option<(usize, bool)>, message: &Published) -> bool {
    filter.is_none_or(|(value, unfiltered)| message.value == value || (unfiltered && message.value == 0))
}

fn setup() -> impl Strategy<Value = Setup> {
    let limit = |range: std::ops::Range<u64>| prop::option::of(range);
    (any::<(bool, bool)>(), limit(50..3000), limit(100..8000), limit(1..200)).prop_map(
        |((in_memory, scarce), segment_bytes, bytes_max, age_ms_max)| Setup {
            in_memory,
            scarce,
            segment_bytes,
            bytes_max,
            age_ms_max,
        },
    )
}

proptest! {
    #[test]
    fn gives_what_a_list_would(setup in setup(), ops in prop::collection::vec(op(), 0..120)) {
        let mut model = Model::new(setup);
        for op in &ops {
            model.take(op);
            model.check();
        }
        model.finish();
    }
}
