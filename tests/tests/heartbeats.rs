//! Heartbeats: sent, expected, and switched off.

use std::thread;

use leveret_tests::prelude::*;
use leveret_tests::raw::wire::FRAME_HEARTBEAT;

fn connect(heartbeat_seconds: u16) -> Socket {
    let login = Login { heartbeat_seconds, ..Login::new(Broker::shared()) };
    Socket::at_with(Broker::shared(), Stage::Open, &login)
}

/// The next heartbeat and how long it took.
fn expect_heartbeat(socket: &mut Socket) -> Duration {
    let begin = Instant::now();
    let Event::Frame(frame) = socket.next(PATIENCE) else { panic!("a heartbeat expected") };
    assert_eq!((frame.kind, frame.channel, frame.payload), (FRAME_HEARTBEAT, 0, Vec::new()));
    begin.elapsed()
}

#[test]
fn the_broker_sends_heartbeats_at_half_the_interval() {
    let mut socket = connect(2);
    expect_heartbeat(&mut socket);
    let mut pauses = [(); 4].map(|()| {
        socket.send_heartbeat();
        expect_heartbeat(&mut socket)
    });
    // On a busy machine some come late, and the pause after a late one is short: the second shortest says what is meant.
    pauses.sort_unstable();
    assert!(pauses[1] < Duration::from_millis(1_700), "{pauses:?} between two heartbeats");
}

#[test]
fn a_client_that_stays_silent_is_dropped_without_a_close() {
    let begin = Instant::now();
    let mut socket = connect(1);
    socket.expect_end();
    let elapsed = begin.elapsed();
    assert!(elapsed > Duration::from_millis(1_500), "dropped after {elapsed:?}");
    assert!(elapsed < Duration::from_secs(30), "dropped only after {elapsed:?}");
}

#[test]
fn a_client_that_sends_heartbeats_stays() {
    let mut socket = connect(3);
    // Twice the interval without a sign of life would be too long.
    for _ in 0..8 {
        thread::sleep(Duration::from_millis(1_000));
        socket.send_heartbeat();
    }
    socket.send_method(1, &methods::channel_open());
    socket.expect(1, ids::CHANNEL_OPEN_OK);
}

#[test]
fn any_traffic_counts_as_a_heartbeat() {
    let mut socket = connect(3);
    for channel in 1..9 {
        thread::sleep(Duration::from_millis(1_000));
        socket.send_method(channel, &methods::channel_open());
        socket.expect(channel, ids::CHANNEL_OPEN_OK);
    }
}

#[test]
fn a_heartbeat_of_zero_switches_both_directions_off() {
    let mut socket = connect(0);
    assert_eq!(socket.next(Duration::from_secs(4)), Event::Silence);
    socket.send_method(1, &methods::channel_open());
    socket.expect(1, ids::CHANNEL_OPEN_OK);
}

#[test]
fn heartbeats_do_not_disturb_content() {
    let login = Login { heartbeat_seconds: 30, ..Login::new(Broker::shared()) };
    let connection = Connection::open_with(Broker::shared(), &login);
    let channel = connection.channel(1);
    let queue = channel.exclusive_queue();
    let frames = methods::publish("", &queue, &[], &Props::default(), b"around a heartbeat").frames(1, 0);
    // A heartbeat between the method, the header and the body of a message belongs to none of them.
    let mut rest = frames.as_slice();
    while let Some(size) = rest.get(3..7) {
        let whole = u32::from_be_bytes(size.try_into().unwrap()) as usize + 8;
        let (frame, tail) = rest.split_at(whole);
        connection.socket().send(frame);
        connection.socket().send_heartbeat();
        rest = tail;
    }
    assert_eq!(channel.drain(&queue), ["around a heartbeat"]);
}
