//! Memory does not grow with what clients announce, with the size of a message, or with how many wait.
#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use leveret_tests::broker::resident_bytes;
use leveret_tests::prelude::*;
use leveret_tests::raw::wire::{FRAME_BODY, FRAME_HEADER, FRAME_OVERHEAD_BYTES, frame};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const FRAME_MAX: usize = 131_072;

/// True when the tests that take minutes and gigabytes are asked for.
fn is_long() -> bool {
    std::env::var_os("LEVERET_LONG").is_some()
}

fn resident(broker: &Broker) -> u64 {
    resident_bytes(broker.pid().expect("a process of our own")).expect("the process can be looked at")
}

/// The most memory that the broker has in RAM while the work is done.
fn resident_max<T>(broker: &Broker, work: impl FnOnce() -> T) -> (u64, T) {
    const LOOK_INTERVAL: Duration = Duration::from_millis(10);
    let (max, is_over) = (AtomicU64::new(resident(broker)), AtomicBool::new(false));
    let pid = broker.pid().expect("a process of our own");
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                max.fetch_max(resident_bytes(pid).unwrap_or(0), Ordering::Relaxed);
                thread::sleep(LOOK_INTERVAL);
            }
        });
        // The watcher must end whatever becomes of the work.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        is_over.store(true, Ordering::Relaxed);
        result
    });
    match result {
        Ok(result) => (max.into_inner(), result),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

// Announced and not sent

#[test]
fn bodies_announced_on_five_hundred_channels_cost_no_memory() {
    const CHANNELS: u16 = 500;
    const ANNOUNCED_BYTES: usize = 128 << 20;
    const SENT_BYTES: usize = 4_096;
    const GROWTH_MAX: u64 = 16 * MIB;
    if skip_without_process("bodies_announced_on_five_hundred_channels_cost_no_memory") {
        return;
    }
    let home = Home::new();
    let broker = home.start_with(&["--max-message-size", &ANNOUNCED_BYTES.to_string()]);
    let mut socket = Socket::at(&broker, Stage::Channel);
    socket.send_method(1, &methods::queue_declare("announced", &[Durable], &none()));
    socket.expect(1, ids::QUEUE_DECLARE_OK);
    let before = resident(&broker);
    let header = methods::header_payload(&Props::persistent(), ANNOUNCED_BYTES);
    for channel in 2..CHANNELS + 2 {
        socket.send_method(channel, &methods::channel_open());
        socket.expect(channel, ids::CHANNEL_OPEN_OK);
        socket.send_method(channel, &methods::publish_alone("", "announced", &[]));
        socket.send(&frame(FRAME_HEADER, channel, &header));
        socket.send(&frame(FRAME_BODY, channel, &[7; SENT_BYTES]));
    }
    socket.send_method(1, &methods::flow(true));
    socket.expect(1, ids::CHANNEL_FLOW_OK);
    let growth = resident(&broker).saturating_sub(before);
    println!("{CHANNELS} announcements of {ANNOUNCED_BYTES} bytes: {} KiB more memory", growth / 1024);
    assert!(growth <= GROWTH_MAX, "{growth} bytes more");
    // Nor do they leave anything on the disk when their connection goes.
    drop(socket);
    wait_until("unfinished bodies are gone from the disk", || home.files_in("blobs").is_empty());
    assert_eq!(Connection::open(&broker).channel(1).counts("announced").0, 0);
}

// One large message

/// A body in which a lost, doubled or swapped piece shows: its period, a prime number, fits no size of a frame.
struct Pattern(Vec<u8>);

impl Pattern {
    const PERIOD: usize = 65_521;

    fn new() -> Pattern {
        let period: Vec<u8> = (0..Self::PERIOD as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        // Long enough that any piece of a frame's size is one slice of it.
        Pattern(period.repeat(FRAME_MAX / Self::PERIOD + 2))
    }

    fn piece(&self, offset: usize, length: usize) -> &[u8] {
        let start = offset % Self::PERIOD;
        self.0.get(start..start + length).expect("a piece is no larger than a frame")
    }
}

/// Publishes a body of this length and waits for its confirm.
fn publish_large(broker: &Broker, queue: &str, props: &Props, length: usize) {
    let pattern = Pattern::new();
    let mut socket = Socket::at(broker, Stage::Channel);
    socket.send_method(1, &methods::confirm_select(&[]));
    socket.expect(1, ids::CONFIRM_SELECT_OK);
    socket.send_method(1, &methods::publish_alone("", queue, &[]));
    socket.send(&frame(FRAME_HEADER, 1, &methods::header_payload(props, length)));
    let mut offset = 0;
    while offset < length {
        let count = (length - offset).min(FRAME_MAX - FRAME_OVERHEAD_BYTES);
        socket.send(&frame(FRAME_BODY, 1, pattern.piece(offset, count)));
        offset += count;
    }
    socket.expect(1, ids::BASIC_ACK);
}

/// Fetches the message and checks its body piece by piece.
fn take_large(broker: &Broker, queue: &str, length: usize) {
    let pattern = Pattern::new();
    let mut socket = Socket::at(broker, Stage::Channel);
    socket.send_method(1, &methods::get(queue, &[]));
    let mut got = socket.expect(1, ids::BASIC_GET_OK);
    let tag = got.longlong();
    let Event::Frame(header) = socket.next_but_heartbeats(PATIENCE) else { panic!("no content header") };
    let mut args = Args::new(&header.payload);
    assert_eq!((header.kind, args.long(), args.longlong()), (FRAME_HEADER, 60 << 16, length as u64));
    let mut offset = 0;
    while offset < length {
        let Event::Frame(piece) = socket.next_but_heartbeats(PATIENCE) else { panic!("no more body at {offset}") };
        assert_eq!(piece.kind, FRAME_BODY);
        let expected = pattern.piece(offset, piece.payload.len());
        assert!(piece.payload == expected, "the body is damaged between {offset} and {}", offset + expected.len());
        offset += piece.payload.len();
    }
    assert_eq!(offset, length);
    socket.send_method(1, &methods::ack(tag, &[]));
    socket.send_method(1, &methods::flow(true));
    socket.expect(1, ids::CHANNEL_FLOW_OK);
}

fn large_message_passes(length: u64) {
    const RESIDENT_MAX: u64 = 150 * MIB;
    let home = Home::new();
    let size_max = GIB.to_string();
    let args = ["--max-message-size", &size_max];
    let length = length as usize;
    for (props, stop) in
        [(Props::default(), None), (Props::persistent(), None), (Props::persistent(), Some(Stop::Kill))]
    {
        let mut broker = home.start_with(&args);
        Connection::open(&broker).channel(1).declare("large", &[Durable], &none());
        let begin = Instant::now();
        let (max_in, ()) = resident_max(&broker, || publish_large(&broker, "large", &props, length));
        if let Some(stop) = stop {
            broker.end(stop);
            broker = home.start_with(&args);
        }
        let (max_out, ()) = resident_max(&broker, || take_large(&broker, "large", length));
        println!(
            "{} MiB, mode {:?}, {stop:?}: {:?}, at most {} MiB resident coming in, {} MiB going out",
            length as u64 / MIB,
            props.delivery_mode,
            begin.elapsed(),
            max_in / MIB,
            max_out / MIB
        );
        assert!(max_in.max(max_out) <= RESIDENT_MAX, "{} MiB resident", max_in.max(max_out) / MIB);
        wait_until("the body is gone from the disk", || home.files_in("blobs").is_empty());
        broker.end(Stop::Term);
    }
}

#[test]
fn a_message_of_200_mib_passes_through_little_memory() {
    if skip_without_process("a_message_of_200_mib_passes_through_little_memory") {
        return;
    }
    large_message_passes(200 * MIB + 1);
}

#[test]
fn a_message_of_a_gib_passes_through_little_memory() {
    if !is_long() || skip_without_process("a_message_of_a_gib_passes_through_little_memory") {
        println!("only with LEVERET_LONG=1");
        return;
    }
    large_message_passes(GIB);
}

#[test]
fn large_bodies_reach_every_queue_and_stay_while_one_has_them() {
    const LENGTH: usize = 3 << 20;
    if skip_without_process("large_bodies_reach_every_queue_and_stay_while_one_has_them") {
        return;
    }
    let home = Home::new();
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    for queue in ["one", "two"] {
        channel.declare(queue, &[Durable], &none());
        channel.bind(queue, "amq.fanout", "large");
    }
    let body: Vec<u8> = (0..LENGTH).map(|index| (index * 7 + index / 1_000) as u8).collect();
    channel.send(methods::publish("amq.fanout", "large", &[], &Props::persistent(), &body));
    channel.sync();
    assert!(channel.get_with("one", &[NoAck]).unwrap().body == body);
    // Refused and given back it is still there.
    let held = channel.get("two").unwrap();
    channel.send(methods::reject(held.delivery_tag, &[Requeue]));
    seal(&channel);
    broker.end(Stop::Kill);
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    assert!(channel.get("one").is_none());
    let message = channel.get_with("two", &[NoAck]).unwrap();
    assert!(message.redelivered && message.body == body);
    wait_until("the body is gone from the disk", || home.files_in("blobs").is_empty());
}

// Many messages

const BACKLOG: u64 = 300_000;
const BACKLOG_BODY_BYTES: usize = 1_024;
const MEMORY_BUDGET: u64 = 64 * MIB;
/// The budget is for messages; the program, its buffers and a queue's bookkeeping come on top.
const BACKLOG_RESIDENT_MAX: u64 = MEMORY_BUDGET + 96 * MIB;

/// The body of the n-th message begins with its number.
fn numbered(number: u64) -> Vec<u8> {
    let mut body = format!("{number:016}").into_bytes();
    body.resize(BACKLOG_BODY_BYTES, b'a' + (number % 26) as u8);
    body
}

fn fill(broker: &Broker, props: &Props) {
    const BATCH: u64 = 1_000;
    let mut socket = Socket::at(broker, Stage::Channel);
    for first in (0..BACKLOG).step_by(BATCH as usize) {
        let mut bytes = Vec::new();
        for number in first..first + BATCH {
            bytes.extend(methods::publish("", "backlog", &[], props, &numbered(number)).frames(1, 0));
        }
        socket.send(&bytes);
    }
    socket.send_method(1, &methods::flow(true));
    socket.expect(1, ids::CHANNEL_FLOW_OK);
}

/// Consumes everything in order, acknowledging as it goes.
fn drain(broker: &Broker) {
    const ACK_EVERY: u64 = 200;
    let mut socket = Socket::at(broker, Stage::Channel);
    socket.send_method(1, &methods::qos(0, 1_000, &[]));
    socket.expect(1, ids::BASIC_QOS_OK);
    socket.send_method(1, &methods::consume("backlog", "", &[], &none()));
    socket.expect(1, ids::BASIC_CONSUME_OK);
    for number in 0..BACKLOG {
        for kind in [None, Some(FRAME_HEADER)] {
            let Event::Frame(frame) = socket.next_but_heartbeats(PATIENCE) else { panic!("no delivery {number}") };
            assert!(kind.map_or(frame.id() == Some(ids::BASIC_DELIVER), |kind| frame.kind == kind));
        }
        let Event::Frame(piece) = socket.next_but_heartbeats(PATIENCE) else { panic!("no body of {number}") };
        assert!(piece.payload == numbered(number), "message {number} is damaged or not in its place");
        if (number + 1) % ACK_EVERY == 0 {
            socket.send_method(1, &methods::ack(number + 1, &[Multiple]));
        }
    }
    socket.send_method(1, &methods::flow(true));
    socket.expect(1, ids::CHANNEL_FLOW_OK);
}

fn backlog_stays_out_of_memory(props: &Props) {
    const LEFT_MAX: u64 = 32 * MIB;
    let home = Home::new();
    let broker = home.start_with(&["--memory-budget", &MEMORY_BUDGET.to_string()]);
    let channel = Connection::open(&broker).channel(1);
    channel.declare("backlog", &[Durable], &none());
    let idle = resident(&broker);
    let begin = Instant::now();
    let (max_filling, ()) = resident_max(&broker, || fill(&broker, props));
    let filled = begin.elapsed();
    assert_eq!(u64::from(channel.counts("backlog").0), BACKLOG);
    let begin = Instant::now();
    let (max_draining, ()) = resident_max(&broker, || drain(&broker));
    println!(
        "{BACKLOG} messages in within {filled:?}, out within {:?}; resident: {} MiB idle, at most {} filling, {} draining",
        begin.elapsed(),
        idle / MIB,
        max_filling / MIB,
        max_draining / MIB
    );
    assert!(max_filling <= BACKLOG_RESIDENT_MAX, "{} MiB while filling", max_filling / MIB);
    assert!(max_draining <= BACKLOG_RESIDENT_MAX, "{} MiB while draining", max_draining / MIB);
    wait_until("the queue is empty", || channel.counts("backlog").0 == 0);
    let begin = Instant::now();
    while resident(&broker) > idle + LEFT_MAX {
        let left = resident(&broker) / MIB;
        assert!(begin.elapsed() < PATIENCE, "{left} MiB are still resident, {} before", idle / MIB);
        thread::sleep(Duration::from_millis(50));
    }
    println!("memory fell back to {} MiB after {:?}", resident(&broker) / MIB, begin.elapsed());
    wait_until("the files of what is gone are gone", || home.files_in("segments").len() <= 4);
    broker.end(Stop::Term);
}

#[test]
fn a_backlog_of_persistent_messages_stays_out_of_memory() {
    if skip_without_process("a_backlog_of_persistent_messages_stays_out_of_memory") {
        return;
    }
    backlog_stays_out_of_memory(&Props::persistent());
}

#[test]
fn a_backlog_of_transient_messages_stays_out_of_memory() {
    if skip_without_process("a_backlog_of_transient_messages_stays_out_of_memory") {
        return;
    }
    backlog_stays_out_of_memory(&Props::default());
}
