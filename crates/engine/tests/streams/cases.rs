//! One behaviour at a time.

use std::sync::Arc;

use leveret_engine::limits::{MESSAGES_A_HOLD_MAX, STREAM_MESSAGE_BYTES};
use leveret_engine::stream::{StreamOffset, StreamSpec};

use super::bench::{BODY_BYTES, Bench, Recorder, Seen, Setup, at, filter};

fn offsets(seen: &[Seen]) -> Vec<u64> {
    seen.iter().map(|seen| seen.offset).collect()
}

/// What a message counts for: it has a routing key of one byte, and a table without entries.
const SIZE_BYTES: u64 = STREAM_MESSAGE_BYTES + BODY_BYTES + 1 + 6;

#[test]
fn nothing_is_seen_before_it_is_durable() {
    let mut bench = Bench::new(Setup::default());
    let outlet = Arc::<Recorder>::default();
    bench.consume(&outlet, 100, at(StreamOffset::First));
    bench.publish(3, None);
    bench.run_timers();
    assert_eq!(outlet.take(), []);
    bench.sync();
    assert_eq!(offsets(&outlet.take()), [0, 1, 2]);
    assert_eq!(bench.journal.requests(), 0, "what is new comes out of memory");
}

#[test]
fn messages_stay_and_are_read_by_each_consumer() {
    let mut bench = Bench::new(Setup::default());
    bench.publish(5, None);
    bench.sync();
    for _ in 0..2 {
        let outlet = Arc::<Recorder>::default();
        let key = bench.consume(&outlet, 100, at(StreamOffset::First));
        bench.answer_all();
        let seen = outlet.take();
        assert_eq!(offsets(&seen), [0, 1, 2, 3, 4]);
        bench.ack(key, &seen);
        assert_eq!(bench.queue.counts().ready, 5);
    }
}

#[test]
fn credit_bounds_what_is_unacknowledged() {
    for in_memory in [false, true] {
        let mut bench = Bench::new(Setup { in_memory, ..Setup::default() });
        bench.publish(10, None);
        bench.sync();
        let outlet = Arc::<Recorder>::default();
        let key = bench.consume(&outlet, 3, at(StreamOffset::First));
        bench.answer_all();
        let seen = outlet.take();
        assert_eq!(offsets(&seen), [0, 1, 2]);
        bench.ack(key, &seen[..2]);
        bench.answer_all();
        assert_eq!(offsets(&outlet.take()), [3, 4]);
    }
}

#[test]
fn a_consumer_that_stands_still_holds_a_page_at_most() {
    let mut bench = Bench::new(Setup::default());
    for _ in 0..40 {
        bench.publish(200, None);
    }
    bench.sync();
    let outlet = Arc::<Recorder>::default();
    bench.consume(&outlet, 1, at(StreamOffset::First));
    let mut pages = 0;
    while bench.journal.requests() > 0 {
        bench.journal.answer(0, 1000);
        pages += 1;
    }
    // One is being delivered; the second was asked for while there was credit.
    assert_eq!((pages, outlet.take().len()), (1, 1));
}

#[test]
fn a_consumer_without_credit_reads_ahead_unless_memory_is_scarce() {
    for scarce in [false, true] {
        let mut bench = Bench::new(Setup { scarce, ..Setup::default() });
        bench.publish(3, None);
        bench.sync();
        let outlet = Arc::<Recorder>::default();
        let key = bench.consume(&outlet, 1, at(StreamOffset::First));
        bench.journal.answer(0, 1);
        let seen = outlet.take();
        assert_eq!((offsets(&seen), bench.journal.requests()), (vec![0], usize::from(!scarce)));
        bench.ack(key, &seen);
        bench.answer_all();
        assert_eq!(offsets(&outlet.take()), [1]);
    }
}

#[test]
fn a_page_waits_for_room_and_is_delivered_in_several_steps() {
    let mut bench = Bench::new(Setup::default());
    let count = 4 * MESSAGES_A_HOLD_MAX as u64;
    bench.publish(count, None);
    bench.sync();
    let outlet = Arc::<Recorder>::default();
    bench.fill(&outlet, true);
    bench.consume(&outlet, u16::MAX, at(StreamOffset::First));
    bench.answer_all();
    assert_eq!(outlet.take(), []);
    bench.fill(&outlet, false);
    bench.answer_all();
    assert_eq!(outlet.take().len() as u64, count);
}

#[test]
fn a_time_is_looked_for_by_halves() {
    let mut bench = Bench::new(Setup::default());
    let start_ms = bench.now_ms();
    for _ in 0..100 {
        bench.publish(1, None);
        bench.clock.advance(10);
    }
    bench.sync();
    for (at_ms, first) in [(0, 0), (start_ms, 0), (start_ms + 501, 51), (start_ms + 510, 51), (start_ms + 990, 99)] {
        let outlet = Arc::<Recorder>::default();
        let key = bench.consume(&outlet, 1, at(StreamOffset::Since(at_ms)));
        let mut reads = 0;
        while bench.journal.requests() > 0 {
            bench.journal.answer(0, usize::MAX);
            reads += 1;
        }
        assert_eq!(offsets(&outlet.take()), [first]);
        assert!(reads <= 9, "{reads} reads");
        bench.cancel(key);
    }
    let outlet = Arc::<Recorder>::default();
    bench.consume(&outlet, 10, at(StreamOffset::Since(start_ms + 1000)));
    bench.answer_all();
    assert_eq!(outlet.take(), []);
    bench.publish(1, None);
    bench.sync();
    assert_eq!(offsets(&outlet.take()), [100]);
}

#[test]
fn an_offset_to_come_is_waited_for() {
    let mut bench = Bench::new(Setup::default());
    let outlet = Arc::<Recorder>::default();
    bench.consume(&outlet, 10, at(StreamOffset::At(3)));
    bench.publish(5, None);
    bench.sync();
    assert_eq!(offsets(&outlet.take()), [3, 4]);
}

#[test]
fn a_filter_takes_credit_for_what_it_lets_through_only() {
    let mut bench = Bench::new(Setup::default());
    for _ in 0..10 {
        bench.publish(1, Some("a"));
        bench.publish(1, Some("b"));
        bench.publish(1, None);
    }
    bench.sync();
    for (spec, expected) in [
        (filter(&["b"], false), [1, 4, 7]),
        (filter(&["b", "a"], false), [0, 1, 3]),
        (filter(&["b"], true), [1, 2, 4]),
        (filter(&[], true), [2, 5, 8]),
    ] {
        let outlet = Arc::<Recorder>::default();
        bench.consume(&outlet, 3, StreamSpec { offset: StreamOffset::First, filter: Some(spec) });
        bench.answer_all();
        assert_eq!(offsets(&outlet.take()), expected);
    }
}

#[test]
fn whole_segments_go_when_there_is_too_much() {
    let (segment_bytes, bytes_max) = (Some(10 * SIZE_BYTES), Some(32 * SIZE_BYTES));
    let mut bench = Bench::new(Setup { segment_bytes, bytes_max, ..Setup::default() });
    for _ in 0..34 {
        bench.publish(1, None);
    }
    assert_eq!(bench.journal.seqs().len(), 34, "looked at when a segment is finished");
    for _ in 34..45 {
        bench.publish(1, None);
    }
    assert_eq!(bench.journal.seqs().first(), Some(&11));
    // The same segments after a restart; the size of the unfinished one is known without its headers only.
    bench.restart(false);
    assert_eq!(bench.queue.counts().ready, 35);
    for _ in 45..51 {
        bench.publish(1, None);
    }
    assert_eq!(bench.journal.seqs().first(), Some(&21));
    let outlet = Arc::<Recorder>::default();
    bench.sync();
    bench.consume(&outlet, 2, at(StreamOffset::At(3)));
    bench.answer_all();
    assert_eq!(offsets(&outlet.take()), [20, 21]);
}

#[test]
fn a_segment_too_large_for_the_limit_stays_alone() {
    let mut bench = Bench::new(Setup { segment_bytes: Some(1), bytes_max: Some(1), ..Setup::default() });
    for _ in 0..5 {
        bench.publish(3, None);
    }
    assert_eq!(bench.journal.seqs(), [13, 14, 15]);
}

#[test]
fn segments_go_when_they_are_old() {
    for in_memory in [false, true] {
        let setup = Setup { in_memory, segment_bytes: Some(1), age_ms_max: Some(1000), ..Setup::default() };
        let mut bench = Bench::new(setup);
        for _ in 0..4 {
            bench.publish(2, None);
            bench.clock.advance(100);
        }
        bench.run_timers();
        assert_eq!(bench.queue.counts().ready, 8);
        bench.clock.advance(600);
        bench.run_timers();
        assert_eq!(bench.journal.seqs(), [3, 4, 5, 6, 7, 8]);
        if !in_memory {
            bench.restart(false);
        }
        bench.clock.advance(100);
        bench.run_timers();
        assert_eq!(bench.journal.seqs(), [5, 6, 7, 8]);
        bench.clock.advance(10_000);
        bench.run_timers();
        assert_eq!(bench.journal.seqs(), [7, 8], "the newest stays, however old");
        let outlet = Arc::<Recorder>::default();
        bench.sync();
        bench.consume(&outlet, 9, at(StreamOffset::First));
        bench.answer_all();
        assert_eq!(offsets(&outlet.take()), [6, 7]);
    }
}

#[test]
fn a_crash_gives_no_offset_twice_to_anybody() {
    let mut bench = Bench::new(Setup::default());
    bench.publish(3, None);
    bench.sync();
    let outlet = Arc::<Recorder>::default();
    bench.consume(&outlet, 9, at(StreamOffset::First));
    bench.answer_all();
    bench.publish(2, None);
    bench.restart(true);
    assert_eq!(offsets(&outlet.take()), [0, 1, 2]);
    bench.publish(1, None);
    bench.sync();
    bench.consume(&outlet, 9, at(StreamOffset::First));
    bench.answer_all();
    assert_eq!(outlet.take()[3], Seen { offset: 3, body: 5 });
}

#[test]
fn who_is_cancelled_gets_nothing_more() {
    let mut bench = Bench::new(Setup::default());
    let (one, other) = (Arc::<Recorder>::default(), Arc::<Recorder>::default());
    let key = bench.consume(&one, 9, at(StreamOffset::First));
    bench.consume(&other, 9, at(StreamOffset::First));
    bench.cancel(key);
    assert_eq!(bench.queue.counts().consumers, 1);
    bench.publish(2, None);
    bench.sync();
    bench.answer_all();
    assert_eq!((one.take().len(), other.take().len()), (0, 2));
}
