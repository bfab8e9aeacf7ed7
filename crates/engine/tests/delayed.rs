//! Exchanges that delay messages: what goes out when, what is kept where, and what a restart leaves.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;
mod delays;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use delays::{Fixture, START_MS, header, numbers};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::clock::Clock;
use leveret_engine::effects::Effects;
use leveret_engine::journal::{Journal, Lsn};
use leveret_engine::message::Parts;
use leveret_engine::names::QueueId;
use leveret_engine::trace::Tap;

#[test]
fn they_go_out_in_the_order_in_which_they_are_due() {
    for can_page in [true, false] {
        let mut fixture = Fixture::new(can_page);
        for (number, delay_ms) in [(1, 500), (2, 100), (3, 300), (4, 200), (5, 100), (6, 400)] {
            fixture.publish(&[(number, delay_ms)], true);
        }
        assert_eq!((fixture.delay().pending(), fixture.drain().len()), (6, 0));
        fixture.pass(99);
        assert!(fixture.drain().is_empty());
        fixture.pass(1);
        assert_eq!(numbers(&fixture.drain()), [2, 5]);
        fixture.pass(1000);
        let rest = fixture.drain();
        assert_eq!(numbers(&rest), [4, 3, 6, 1]);
        assert_eq!(rest.iter().map(header).collect::<Vec<_>>(), [-200, -300, -400, -500].map(Some));
        assert_eq!((fixture.delay().pending(), fixture.broker.services.timers.next_due_ms()), (0, None));
    }
}

#[test]
fn without_a_delay_they_go_at_once() {
    let mut fixture = Fixture::new(true);
    fixture.publish(&[(1, 0), (2, -5), (3, 4_294_967_296)], true);
    fixture.publish_with(&[4], &FieldTable::default(), true);
    let drained = fixture.drain();
    assert_eq!(numbers(&drained), [1, 2, 3, 4]);
    assert_eq!(drained.iter().map(header).collect::<Vec<_>>(), [Some(0), Some(-5), Some(4_294_967_296), None]);
}

/// The hidden queue is queue 1, the target is queue 2.
#[test]
fn what_goes_out_is_with_its_queue_before_it_is_settled() {
    let mut fixture = Fixture::new(true);
    fixture.journal.take_log();
    let lsn = fixture.publish(&[(1, 50), (2, 50), (3, 60)], true);
    assert!(lsn > Lsn::default());
    assert_eq!(fixture.journal.take_log(), ["3 bodies", "enqueue q1 1+3 24B"]);
    fixture.pass(50);
    assert_eq!(fixture.journal.take_log(), ["2 bodies", "enqueue q2 1+2 16B", "settle q1 1..2 16B"]);
    // Nobody waits for the disk for those that do not survive a restart.
    let lsn = fixture.publish(&[(4, 5)], false);
    assert_eq!(lsn, Lsn::default());
    assert_eq!(fixture.journal.take_log(), ["1 bodies", "enqueue transient q1 4+1 8B"]);
    fixture.pass(5);
    assert_eq!(fixture.journal.take_log(), ["settle transient q1 4..4 8B"]);
    assert_eq!(numbers(&fixture.drain()), [1, 2, 4]);
}

#[test]
fn thousands_that_are_due_at_once_come_in_pages_and_batches() {
    const COUNT: u64 = 20_000;
    let mut fixture = Fixture::new(true);
    // Neighbours are due far from each other.
    let due = |number: u64| (number * 7919) % COUNT + 1;
    for first in (0..COUNT).step_by(100) {
        let batch: Vec<(u64, i64)> = (first..first + 100).map(|n| (n, i64::try_from(due(n)).unwrap())).collect();
        fixture.publish(&batch, true);
    }
    fixture.clock.advance(COUNT + 1);
    fixture.journal.take_log();
    fixture.run();
    let mut expected: Vec<u64> = (0..COUNT).collect();
    expected.sort_by_key(|&number| due(number));
    assert_eq!(numbers(&fixture.drain()), expected);
    assert_eq!(fixture.delay().pending(), 0);
}

#[test]
fn a_turn_is_bounded_in_messages_and_in_memory() {
    let mut fixture = Fixture::new(false);
    let batch: Vec<(u64, i64)> = (0..5000).map(|number| (number, 10)).collect();
    fixture.publish(&batch, true);
    fixture.clock.advance(10);
    fixture.broker.services.timers.run(fixture.clock.now_ms(), &mut fixture.effects);
    assert_eq!((fixture.drain().len(), fixture.delay().pending()), (1024, 3976));
    let mut fixture = Fixture::new(true);
    let mut headers = FieldTable::default();
    headers.push(*b"x-delay", FieldValue::I32(10));
    headers.push(*b"large", FieldValue::LongStr(vec![b'x'; 60_000].into()));
    fixture.publish_with(&(0..100).collect::<Vec<u64>>(), &headers, true);
    fixture.clock.advance(10);
    fixture.run_timers();
    // A MiB of 64 KiB each.
    let (range, ..) = fixture.journal.next_request().unwrap();
    assert_eq!((range.first, range.last), (1, 16));
    fixture.run();
    assert_eq!(numbers(&fixture.drain()), (0..100).collect::<Vec<u64>>());
}

#[test]
fn a_restart_finds_what_waits_and_when_it_is_due() {
    let mut fixture = Fixture::new(true);
    fixture.publish(&[(1, 1000), (2, 300), (3, 300), (4, 20)], true);
    fixture.publish(&[(5, 300)], false);
    fixture.pass(10);
    fixture.publish(&[(6, 10)], true);
    fixture.clock.advance(290);
    fixture.restart();
    // Nothing goes out before the bindings are back and the timers run.
    assert_eq!((fixture.journal.requests(), fixture.delay().pending()), (0, 5));
    assert!(fixture.delay().is_reading_back());
    fixture.run();
    assert_eq!((numbers(&fixture.drain()), fixture.delay().pending()), (vec![4, 6, 2, 3], 1));
    assert!(!fixture.delay().is_reading_back());
    fixture.publish(&[(7, 700)], true);
    fixture.pass(699);
    assert!(fixture.drain().is_empty());
    fixture.pass(1);
    assert_eq!(numbers(&fixture.drain()), [1, 7]);
}

#[test]
fn a_large_backlog_is_read_back_while_others_come_and_go() {
    let mut fixture = Fixture::new(true);
    let late: Vec<(u64, i64)> = (0..1000).map(|n| (n, 100_000)).collect();
    fixture.publish(&late, true);
    fixture.restart();
    fixture.run_timers();
    fixture.publish(&[(5000, 10)], true);
    fixture.clock.advance(10);
    let mut answers = 0;
    while numbers(&fixture.drain()) != [5000] {
        fixture.run_timers();
        fixture.journal.answer(10);
        answers += 1;
        assert!(answers < 10, "it waits for all the others");
    }
    assert!(fixture.delay().is_reading_back());
    assert_eq!(fixture.delay().pending(), 1000);
    fixture.run();
    assert!(!fixture.delay().is_reading_back());
    fixture.pass(100_000);
    assert_eq!(numbers(&fixture.drain()), (0..1000).collect::<Vec<u64>>());
}

#[test]
fn deletion_drops_what_waits() {
    for durable in [true, false] {
        let mut fixture = Fixture::with_exchange(true, durable, "direct");
        fixture.publish(&[(1, 100), (2, 200)], true);
        // A page of it is on its way.
        fixture.clock.advance(100);
        fixture.run_timers();
        assert_eq!(fixture.journal.requests(), 1);
        fixture.journal.take_log();
        let delay = fixture.delay();
        fixture.delete_exchange();
        let log = fixture.journal.take_log();
        assert!(log.contains(&"deleted q1".to_owned()), "{log:?}");
        assert_eq!((delay.pending(), delay.list(None, 10)), (0, vec![]));
        fixture.pass(1000);
        assert!(fixture.drain().is_empty());
        assert_eq!((fixture.broker.services.timers.next_due_ms(), fixture.journal.take_log()), (None, vec![]));
        fixture.declare_exchange(durable, "direct");
        fixture.publish(&[(3, 100)], true);
        fixture.pass(100);
        assert_eq!(numbers(&fixture.drain()), [3]);
    }
}

#[test]
fn one_can_be_dropped_by_its_number() {
    for can_page in [true, false] {
        let mut fixture = Fixture::new(can_page);
        fixture.publish(&[(1, 300), (2, 100), (3, 200)], true);
        fixture.publish(&[(4, 150)], false);
        let delay = fixture.delay();
        let first = delay.list(None, 2);
        let told: Vec<_> =
            first.iter().map(|delayed| (delayed.number, delayed.due_ms - START_MS, delayed.bytes)).collect();
        assert_eq!(told, [(2, 100, 8), (4, 150, 8)]);
        let rest = delay.list(Some(first[1]), 10);
        assert_eq!(rest.iter().map(|delayed| delayed.number).collect::<Vec<_>>(), [3, 1]);
        fixture.journal.take_log();
        assert!(delay.cancel(3) > Some(Lsn::default()));
        assert_eq!(fixture.journal.take_log(), ["settle q1 3..3 8B"]);
        assert_eq!((delay.cancel(3), delay.cancel(9), delay.pending()), (None, None, 3));
        assert!(delay.cancel(4).is_some());
        fixture.pass(1000);
        assert_eq!(numbers(&fixture.drain()), [2, 1]);
        assert_eq!((delay.cancel(1), delay.pending()), (None, 0));
    }
}

#[test]
fn a_full_journal_holds_them_back_without_spinning() {
    let mut fixture = Fixture::new(true);
    fixture.publish(&[(1, 10), (2, 20)], true);
    fixture.journal.set_full(true);
    fixture.pass(10);
    // The timers have nothing to do until there is room.
    assert_eq!((fixture.drain().len(), fixture.broker.services.timers.next_due_ms()), (0, None));
    fixture.pass(20);
    assert_eq!(fixture.broker.services.timers.next_due_ms(), None);
    fixture.journal.set_full(false);
    fixture.run();
    assert_eq!(numbers(&fixture.drain()), [1, 2]);
}

#[test]
fn damaged_ones_are_left_out() {
    let mut fixture = Fixture::new(true);
    fixture.publish(&[(1, 10), (2, 10), (3, 10), (4, 500), (5, 500)], true);
    fixture.journal.lose(2);
    fixture.pass(10);
    assert_eq!((numbers(&fixture.drain()), fixture.delay().pending()), (vec![1, 3], 2));
    fixture.journal.lose(4);
    fixture.restart();
    fixture.run();
    assert_eq!(fixture.delay().pending(), 1);
    fixture.pass(500);
    assert_eq!((numbers(&fixture.drain()), fixture.delay().pending()), (vec![5], 0));
}

#[test]
fn what_the_end_of_a_broker_left_half_done_is_put_in_order() {
    let fixture = Fixture::new(true);
    let whole = fixture.journal.restart_broker();
    // The exchange was deleted, its queue was not yet.
    let mut orphaned = whole.clone();
    orphaned.exchanges.clear();
    fixture.journal.take_log();
    fixture.start_with(&orphaned);
    assert_eq!(fixture.journal.take_log(), ["deleted q1"]);
    // An exchange of a type that is not known any more keeps what waits in it.
    let mut unknown = whole.clone();
    unknown.exchanges[0].arguments = FieldTable::default();
    fixture.start_with(&unknown);
    assert_eq!(fixture.journal.take_log(), Vec::<String>::new());
    // The exchange was put down, its queue is not there.
    let mut lacking = whole;
    lacking.queues.retain(|queue| queue.name == "q");
    let vhost = fixture.start_with(&lacking);
    assert_eq!(fixture.journal.take_log(), ["declared \nd"]);
    assert!(vhost.exchange("d").unwrap().delay().is_some());
    assert!(vhost.queue("\nd").is_err(), "nobody else reaches it");
    // The exchange could not be put back once, and was declared anew.
    let twice = fixture.journal.restart_broker();
    assert_eq!(
        twice.queues.iter().filter(|queue| queue.name == "\nd").map(|queue| queue.id.0).collect::<Vec<_>>(),
        [3]
    );
    let mut doubled = twice.clone();
    let mut older = twice.queues.iter().find(|queue| queue.name == "\nd").unwrap().clone();
    older.id = QueueId(1);
    doubled.queues.push(older);
    fixture.start_with(&doubled);
    assert_eq!(fixture.journal.take_log(), ["deleted q1"]);
}

#[test]
fn the_inner_type_routes_by_all_keys() {
    let mut fixture = Fixture::with_exchange(true, true, "topic");
    for (pattern, queue) in [("a.*", "one"), ("#.z", "two"), ("copy", "three"), ("blind", "four")] {
        fixture.declare_queue(queue);
        fixture.bind("d", pattern, queue);
    }
    let text = |key: &str| FieldValue::LongStr(key.as_bytes().into());
    let mut headers = FieldTable::default();
    headers.push(*b"x-delay", text("100"));
    headers.push(*b"CC", FieldValue::Array(vec![text("copy")]));
    headers.push(*b"BCC", FieldValue::Array(vec![text("blind"), text("a.c")]));
    fixture.key = "a.z".into();
    fixture.publish_with(&[1], &headers, true);
    fixture.pass(100);
    for queue in ["one", "two", "three", "four"] {
        let got = fixture.drain_queue(queue);
        assert_eq!(numbers(&got), [1], "{queue}");
        let parts = got[0].parts();
        assert_eq!((parts.exchange, parts.routing_key), (&b"d"[..], &b"a.z"[..]));
        let headers = delays::headers_of(&got[0]);
        assert_eq!((headers.get(b"BCC"), headers.get(b"CC").is_some(), header(&got[0])), (None, true, Some(-100)));
    }
}

/// A message is delayed wherever it comes to a delayed exchange, and once.
#[test]
fn exchanges_bound_to_others_delay_as_well() {
    let mut fixture = Fixture::new(true);
    fixture.declare_exchange_named("second", "x-delayed-message", true, "fanout");
    fixture.declare_exchange_named("first", "fanout", true, "");
    for queue in ["plain", "late"] {
        fixture.declare_queue(queue);
    }
    fixture.bind("first", "", "plain");
    fixture.bind("second", "", "late");
    for (source, destination) in [("first", "second"), ("first", "d"), ("d", "second")] {
        fixture.bind_exchange(source, destination);
    }
    fixture.publish_to("first", &[(1, 100)], true);
    assert_eq!(numbers(&fixture.drain_queue("plain")), [1]);
    fixture.pass(99);
    assert!(fixture.drain().is_empty() && fixture.drain_queue("late").is_empty());
    fixture.pass(1);
    assert_eq!(numbers(&fixture.drain()), [1]);
    // By itself, and by way of the other, where it does not wait again.
    assert_eq!(numbers(&fixture.drain_queue("late")), [1, 1]);
}

#[test]
fn the_hidden_queue_is_not_told_of() {
    let mut fixture = Fixture::new(true);
    fixture.declare_queue("ear");
    fixture.bind("amq.rabbitmq.trace", "#", "ear");
    fixture.vhost.set_tracing(true);
    let exchange = fixture.vhost.exchange("d").unwrap();
    let tap = Tap { connection: "c", channel: 1, user: "guest" };
    for delay_ms in [100, 0] {
        let mut headers = FieldTable::default();
        headers.push(*b"x-delay", FieldValue::I32(delay_ms));
        let mut properties = Vec::new();
        Properties { headers: Some(headers), ..Properties::default() }.encode(&mut properties);
        let routed = fixture.vhost.route(&exchange, &[b"k"], PropertiesRef::from_checked(&properties));
        assert_eq!((routed.queues.len(), routed.only_waits()), (1, delay_ms > 0));
        let parts = Parts { exchange: b"d", routing_key: b"k", properties: &properties, ..Parts::EMPTY };
        fixture.vhost.trace_publish(&tap, &parts, &[b"k"], &routed.queues);
    }
    fixture.broker.services.notices.publish(&mut fixture.effects);
    fixture.effects.carry_out();
    let told = fixture.drain_queue("ear").iter().map(delays::headers_of).collect::<Vec<_>>();
    let queues = |queues: &[&str]| {
        let names = queues.iter().map(|name| FieldValue::LongStr(name.as_bytes().into()));
        FieldValue::Array(names.collect())
    };
    assert_eq!(told[0].get(b"routed_queues"), Some(&queues(&[])));
    assert_eq!(told[1].get(b"routed_queues"), Some(&queues(&["q"])));
}

#[test]
fn what_nobody_wants_goes_to_the_alternate_exchange_in_its_time() {
    let mut fixture = Fixture::new(true);
    let mut arguments = FieldTable::default();
    arguments.push(*b"x-delayed-type", FieldValue::LongStr((*b"direct").into()));
    arguments.push(*b"alternate-exchange", FieldValue::LongStr((*b"rest").into()));
    fixture.declare_exchange_with("late", "x-delayed-message", true, &arguments);
    fixture.declare_exchange_named("rest", "fanout", true, "");
    fixture.bind("rest", "", "q");
    fixture.publish_to("late", &[(1, 100), (2, 0)], true);
    assert_eq!(numbers(&fixture.drain()), [2]);
    fixture.pass(100);
    assert_eq!(numbers(&fixture.drain()), [1]);
}

#[test]
fn a_journal_that_cannot_page_has_nothing_to_read() {
    let mut fixture = Fixture::new(false);
    fixture.publish(&[(1, 10)], false);
    fixture.pass(10);
    assert_eq!((numbers(&fixture.drain()), fixture.journal.requests()), (vec![1], 0));
    assert!(fixture.journal.durable() > Lsn::default());
}

/// Publishers, timers, pages and somebody who administers, each on a thread of its own.
#[test]
fn many_threads_lose_nothing_and_double_nothing() {
    const PUBLISHERS: u64 = 3;
    const EACH: u64 = 2000;
    for can_page in [true, false] {
        let mut fixture = Fixture::new(can_page);
        let (exchange, delay) = (fixture.vhost.exchange("d").unwrap(), fixture.delay());
        let (clock, journal, services) = (&fixture.clock, &fixture.journal, &fixture.broker.services);
        let over = AtomicBool::new(false);
        let cancelled = thread::scope(|scope| {
            let publishers: Vec<_> = (0..PUBLISHERS)
                .map(|publisher| {
                    let (vhost, exchange) = (&fixture.vhost, &exchange);
                    scope.spawn(move || {
                        for first in (0..EACH).step_by(10) {
                            let numbers = publisher * EACH + first..publisher * EACH + first + 10;
                            let batch: Vec<(u64, i64)> =
                                numbers.map(|n| (n, i64::try_from(n % 7).unwrap() + 1)).collect();
                            delays::publish(vhost, exchange, &**journal, &batch);
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    clock.advance(1);
                    services.timers.run(clock.now_ms(), &mut Effects::default());
                }
            });
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    journal.answer(3);
                }
            });
            let mut cancelled = 0;
            while publishers.iter().any(|publisher| !publisher.is_finished()) || delay.pending() > 0 {
                let waiting = delay.list(None, 5);
                cancelled += waiting.last().and_then(|last| delay.cancel(last.number)).map_or(0, |_| 1);
                thread::yield_now();
            }
            over.store(true, Ordering::SeqCst);
            cancelled
        });
        let mut found = numbers(&fixture.drain());
        assert_eq!(found.len() as u64 + cancelled, PUBLISHERS * EACH);
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len() as u64 + cancelled, PUBLISHERS * EACH, "none comes twice");
        assert_eq!(fixture.broker.services.timers.next_due_ms(), None);
    }
}
