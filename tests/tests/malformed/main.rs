//! Malformed and misplaced frames of every kind, at every stage of a connection.
//!
//! Each case has a connection of its own. After each the broker must still take new connections, and a connection that
//! was open all the time must not have noticed anything.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers are test code too")]

mod content;
mod envelope;
mod method_args;
mod outcome;
mod placement;
mod tables;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use leveret_tests::Broker;
use leveret_tests::raw::{Connection, Socket, Stage, methods};
use outcome::Outcome;

/// What the issue of this broker asks for at least.
const KINDS_MIN: usize = 60;
/// RabbitMQ holds a connection for three seconds after a fatal error, so cases run side by side.
const THREADS: usize = 24;

/// One thing a client must not send.
struct Case {
    name: String,
    stage: Stage,
    bytes: Vec<u8>,
    /// Whether the client stops writing after the bytes.
    is_cut_off: bool,
    outcome: Outcome,
}

impl Case {
    fn new(name: impl Into<String>, stage: Stage, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Case {
        Case { name: name.into(), stage, bytes: bytes.into(), is_cut_off: false, outcome }
    }

    /// The client goes away in the middle.
    fn cut_off(name: &str, stage: Stage, bytes: impl Into<Vec<u8>>) -> Case {
        Case { is_cut_off: true, ..Case::new(name, stage, bytes, Outcome::Dropped) }
    }

    fn run(&self, broker: &Broker) {
        let mut socket = Socket::at(broker, self.stage);
        socket.send(&self.bytes);
        if self.is_cut_off {
            socket.end_writing();
        }
        self.outcome.check(&mut socket, self.stage);
    }
}

#[test]
fn every_malformed_input_ends_at_most_its_own_connection() {
    let cases: Vec<Case> =
        [envelope::cases(), placement::cases(), content::cases(), method_args::cases(), tables::cases()]
            .into_iter()
            .flatten()
            .collect();
    assert!(cases.len() >= KINDS_MIN, "only {} kinds", cases.len());
    let failures = Mutex::new(Vec::new());
    let remaining = Mutex::new(cases.iter());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(case) = { remaining.lock().unwrap().next() } {
                    if let Err(reason) = run_with_witness(case) {
                        failures.lock().unwrap().push(format!("{}: {reason}", case.name));
                    }
                }
            });
        }
    });
    assert!(!Broker::shared().output().contains("panicked"), "{}", Broker::shared().output());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn run_with_witness(case: &Case) -> Result<(), String> {
    let run = || {
        let broker = Broker::shared();
        let witness = Connection::open(broker);
        let witness_channel = witness.channel(1);
        let queue = witness_channel.exclusive_queue();
        case.run(broker);
        witness_channel.publish("", &queue, &case.name);
        let got = witness_channel.get(&queue).map(|message| message.text());
        assert_eq!(got.as_deref(), Some(case.name.as_str()), "another connection was harmed");
        let fresh = Connection::open(broker);
        fresh.channel(1).sync();
        fresh.close();
        witness.close();
    };
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// A connection that floods the broker with one malformed frame after the other does not keep it from others.
#[test]
fn reconnecting_again_and_again_with_garbage_harms_nobody() {
    const ROUNDS: usize = 200;
    let broker = Broker::shared();
    let witness = Connection::open(broker);
    let witness_channel = witness.channel(1);
    for round in 0..ROUNDS {
        let mut socket = Socket::at(broker, Stage::Channel);
        let byte = u8::try_from(round % 256).unwrap();
        socket.send(&[byte; 64]);
    }
    witness_channel.sync();
    witness.close();
}

/// A body that never becomes complete is forgotten with its connection.
#[test]
fn a_body_that_never_ends_is_dropped_with_its_channel() {
    let broker = Broker::shared();
    let connection = Connection::open(broker);
    let channel = connection.channel(1);
    let queue = channel.exclusive_queue();
    let publish = methods::publish_alone("", &queue, &[]);
    let mut bytes = publish.frames(1, 0);
    bytes.extend(content::header(60, 0, 1_000));
    bytes.extend(leveret_tests::raw::wire::frame(leveret_tests::raw::wire::FRAME_BODY, 1, b"a beginning"));
    connection.socket().send(&bytes);
    let other = connection.channel(2);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(other.counts(&queue), (0, 0));
    connection.close();
}
