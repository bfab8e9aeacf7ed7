//! Whole sessions with a few octets changed at random, always in the same way for the same seed.

use std::thread;

use leveret_tests::prelude::*;
use leveret_tests::raw::wire::frame;

const SESSIONS_PER_THREAD: u64 = 1_000;
const THREADS: u64 = 8;

/// A small generator: the changes need not be good randomness, only repeatable.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("a remainder fits")
    }

    fn octet(&mut self) -> u8 {
        // Borders are hit more often than by chance.
        const BORDERS: [u8; 8] = [0, 1, 2, 3, 8, 0x7F, 0xCE, 0xFF];
        let picked = BORDERS.get(self.below(2 * BORDERS.len())).copied();
        picked.unwrap_or_else(|| u8::try_from(self.below(256)).expect("below 256"))
    }
}

/// A session that does a little of everything; the handshake is a part of it.
fn session(login: &Login) -> Vec<u8> {
    let arguments = table([("x-max-length", 5.into()), ("n", table([("a", ["b"].into())]).into())]);
    let props = Props { headers: Some(arguments.clone()), priority: Some(1), ..Props::persistent() };
    let on_connection = [login.start_ok(), login.tune_ok(), methods::connection_open("/")];
    let on_channel = [
        methods::channel_open(),
        methods::exchange_declare("mutated-exchange", "topic", &[AutoDelete], &none()),
        methods::queue_declare("mutated-queue", &[Exclusive], &arguments),
        methods::queue_bind("mutated-queue", "mutated-exchange", "a.*.#", &[], &arguments),
        methods::exchange_bind("mutated-exchange", "amq.headers", "", &[], &arguments),
        methods::confirm_select(&[]),
        methods::qos(0, 10, &[Global]),
        methods::publish("mutated-exchange", "a.b", &[Mandatory], &props, b"the body of a message"),
        methods::consume("mutated-queue", "tag", &[], &none()),
        methods::publish("mutated-exchange", "a.b.c", &[], &props, b""),
        methods::ack(0, &[Multiple]),
        methods::nack(0, &[Multiple, Requeue]),
        methods::recover(&[Requeue]),
        methods::get("mutated-queue", &[]),
        methods::cancel("tag", &[]),
        methods::queue_purge("mutated-queue", &[]),
        methods::queue_delete("mutated-queue", &[]),
        methods::channel_close(),
    ];
    let mut bytes = PROTOCOL_HEADER.to_vec();
    on_connection.iter().for_each(|method| bytes.extend(method.frames(0, 0)));
    on_channel.iter().for_each(|method| bytes.extend(method.frames(1, 0)));
    bytes.extend(frame(8, 0, b""));
    bytes.extend(methods::connection_close().frames(0, 0));
    bytes
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => drop(bytes.drain(at..(at + random.below(16)).min(bytes.len()))),
            1 => bytes.insert(at, random.octet()),
            2 => bytes.truncate(at.max(8)),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|octet| *octet = random.octet()),
        }
        if bytes.is_empty() {
            bytes.push(random.octet());
        }
    }
}

#[test]
fn mutated_sessions_harm_nobody() {
    // What such sessions leave behind on a broker of somebody else could not be cleaned up.
    if skip_without_process("mutated_sessions_harm_nobody") {
        return;
    }
    let mut broker = Broker::start();
    let witness = Connection::open(&broker);
    let channel = witness.channel(1);
    let queue = channel.exclusive_queue();
    let valid = session(&Login::new(&broker));
    thread::scope(|scope| {
        for seed in 1..=THREADS {
            let (broker, valid) = (&broker, &valid);
            scope.spawn(move || {
                let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                for _ in 0..SESSIONS_PER_THREAD {
                    let mut bytes = valid.clone();
                    mutate(&mut bytes, &mut random);
                    let mut socket = Socket::connect(broker);
                    socket.send_while_taken(&bytes, PATIENCE);
                    socket.end_writing();
                    socket.read_to_end(PATIENCE).expect("the broker ends every connection that ended its side");
                }
            });
        }
    });
    channel.publish("", &queue, "still there");
    assert_eq!(channel.drain(&queue), ["still there"]);
    Connection::open(&broker).close();
    witness.close();
    broker.signal("TERM").unwrap();
    let status = broker.wait_for_exit(PATIENCE).unwrap();
    assert!(status.success(), "{status}");
    assert!(!broker.output().contains("panicked"), "{}", broker.output());
}

/// The session as it is must be a good one, or its mutations would all end at the same place.
#[test]
fn the_session_is_valid_before_it_is_mutated() {
    if skip_without_process("the_session_is_valid_before_it_is_mutated") {
        return;
    }
    let broker = Broker::start();
    let mut socket = Socket::connect(&broker);
    socket.send(&session(&Login::new(&broker)));
    let mut last = None;
    while let Event::Frame(frame) = socket.next(PATIENCE) {
        let is_close = matches!(frame.id(), Some(ids::CHANNEL_CLOSE | ids::CONNECTION_CLOSE));
        assert!(!is_close, "refused: {frame:?}");
        last = frame.id();
    }
    assert_eq!(last, Some(ids::CONNECTION_CLOSE_OK));
}
