//! What idle connections and idle queues cost the broker's process.
#![cfg(target_os = "linux")]

use std::thread;

use leveret_tests::broker::{allow_open_files, resident_bytes};
use leveret_tests::prelude::*;

const KIB: u64 = 1024;

/// The memory for each of `count` things that `make` creates, after a few were created to warm up.
fn cost(broker: &Broker, name: &str, count: u64, make: impl FnOnce()) -> u64 {
    let pid = broker.pid().expect("a process of our own");
    let resident = || resident_bytes(pid).expect("the process can be looked at");
    let before = resident();
    let begin = Instant::now();
    make();
    let elapsed = begin.elapsed();
    let after = resident();
    let each = after.saturating_sub(before) / count;
    println!(
        "{count} {name}: {each} bytes each, {} KiB more than {} KiB, made in {elapsed:?}",
        after.saturating_sub(before) / KIB,
        before / KIB
    );
    each
}

#[test]
fn ten_thousand_idle_connections_cost_at_most_16_kib_each() {
    const CONNECTIONS: usize = 10_000;
    const WARM_UP: usize = 100;
    const THREADS: usize = 4;
    const OPEN_FILES: u64 = 11_000;
    if skip_without_process("ten_thousand_idle_connections_cost_at_most_16_kib_each") {
        return;
    }
    allow_open_files(std::process::id(), OPEN_FILES).unwrap();
    let broker = Broker::start();
    allow_open_files(broker.pid().unwrap(), OPEN_FILES).unwrap();
    let open_many = |count: usize| -> Vec<Socket> {
        thread::scope(|scope| {
            let open = || (0..count / THREADS).map(|_| Socket::at(&broker, Stage::Channel)).collect::<Vec<_>>();
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(open)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        })
    };
    let mut sockets = open_many(WARM_UP);
    let each = cost(&broker, "idle connections with a channel", 10_000, || sockets.extend(open_many(CONNECTIONS)));
    assert_eq!(sockets.len(), CONNECTIONS + WARM_UP);
    assert!(each <= 16 * KIB, "{each} bytes for a connection");
    // All of them still work.
    for socket in sockets.iter_mut().step_by(97) {
        socket.send_method(1, &methods::flow(true));
        socket.expect(1, ids::CHANNEL_FLOW_OK);
    }
}

/// A connection that had much to say costs no more afterwards than one that never said anything.
#[test]
fn connections_that_were_busy_cost_no_more_when_idle() {
    const CONNECTIONS: usize = 500;
    const OPEN_FILES: u64 = 4_000;
    const HEARTBEATS: usize = 64 * 1024;
    if skip_without_process("connections_that_were_busy_cost_no_more_when_idle") {
        return;
    }
    allow_open_files(std::process::id(), OPEN_FILES).unwrap();
    let broker = Broker::start();
    allow_open_files(broker.pid().unwrap(), OPEN_FILES).unwrap();
    let burst = [8, 0, 0, 0, 0, 0, 0, 0xCE].repeat(HEARTBEATS);
    let make_busy = |count: usize| -> Vec<Socket> {
        let mut sockets: Vec<Socket> = (0..count).map(|_| Socket::at(&broker, Stage::Channel)).collect();
        for socket in &mut sockets {
            socket.send(&burst);
            socket.send_method(1, &methods::flow(true));
            socket.expect(1, ids::CHANNEL_FLOW_OK);
        }
        sockets
    };
    let pid = broker.pid().unwrap();
    let mut sockets = make_busy(CONNECTIONS);
    let before = resident_bytes(pid).unwrap();
    sockets.extend(make_busy(CONNECTIONS));
    // The allocator keeps some MiB at hand for a while, whatever the number of connections.
    wait_until("idle connections cost at most 16 KiB", || {
        Connection::open(&broker).channel(1).sync();
        let each = resident_bytes(pid).unwrap().saturating_sub(before) / CONNECTIONS as u64;
        println!("{CONNECTIONS} connections that were busy: {each} bytes each");
        each <= 16 * KIB
    });
}

#[test]
fn a_hundred_thousand_idle_queues_cost_at_most_2_kib_each() {
    const QUEUES: u64 = 100_000;
    const WARM_UP: u64 = 1_000;
    const BATCH: u64 = 1_000;
    if skip_without_process("a_hundred_thousand_idle_queues_cost_at_most_2_kib_each") {
        return;
    }
    let broker = Broker::start();
    let channel = Connection::open(&broker).channel(1);
    let declare = |from: u64, to: u64| {
        for number in from..to {
            channel.send(methods::queue_declare(&format!("idle-queue-{number}"), &[Nowait], &none()));
            if number % BATCH == 0 {
                channel.sync();
            }
        }
        channel.sync();
    };
    declare(0, WARM_UP);
    let each = cost(&broker, "idle queues", QUEUES, || declare(WARM_UP, WARM_UP + QUEUES));
    assert_eq!(channel.counts(&format!("idle-queue-{}", WARM_UP + QUEUES - 1)), (0, 0));
    assert!(each <= 2 * KIB, "{each} bytes for a queue");
}

/// Announced sizes are only promises: no memory is set aside for them.
#[test]
fn announced_sizes_cost_nothing() {
    const CONNECTIONS: u64 = 200;
    if skip_without_process("announced_sizes_cost_nothing") {
        return;
    }
    let broker = Broker::start();
    let mut sockets: Vec<Socket> = (0..CONNECTIONS).map(|_| Socket::at(&broker, Stage::Channel)).collect();
    let each = cost(&broker, "announced bodies of 128 MiB", CONNECTIONS, || {
        for socket in &mut sockets {
            socket.send_method(1, &methods::publish_alone("", "nowhere", &[]));
            let payload = methods::header_payload(&Props::default(), 128 << 20);
            socket.send(&leveret_tests::raw::wire::frame(leveret_tests::raw::wire::FRAME_HEADER, 1, &payload));
            socket.send_method(2, &methods::channel_open());
            socket.expect(2, ids::CHANNEL_OPEN_OK);
        }
    });
    assert!(each <= 64 * KIB, "{each} bytes for a promise");
}

/// Replies that nobody reads must stop the reading of requests, or the memory of the broker belongs to any client.
#[test]
fn replies_that_nobody_reads_are_bounded() {
    const REQUESTS: usize = 10_000_000;
    const GROWTH_MAX: u64 = 64 << 20;
    if skip_without_process("replies_that_nobody_reads_are_bounded") {
        return;
    }
    let broker = Broker::start();
    let pid = broker.pid().unwrap();
    let mut socket = Socket::at(&broker, Stage::Channel);
    let before = resident_bytes(pid).unwrap();
    let requests = methods::flow(true).frames(1, 0).repeat(REQUESTS);
    let taken = socket.send_while_taken(&requests, Duration::from_secs(2));
    let growth = resident_bytes(pid).unwrap().saturating_sub(before);
    println!("{taken} of {} octets of requests taken, {} KiB more memory", requests.len(), growth / KIB);
    assert!(growth <= GROWTH_MAX, "{growth} octets more for replies nobody reads");
    Connection::open(&broker).channel(1).sync();
}
