//! A disk without room: publishers wait, everybody else goes on, and nothing that was confirmed is lost.
//!
//! The tests mount a small file system in memory where they may (root); what needs none runs everywhere.

use leveret_tests::disk::SmallDisk;
use leveret_tests::prelude::*;

const MIB: u64 = 1 << 20;
const DISK_BYTES: u64 = 400 * MIB;
const BODY_BYTES: usize = 64 * 1024;
/// Publishes that wait for their confirm at any time.
const WINDOW: u64 = 32;
/// How soon a publisher is told that there is no room: the best of some attempts, since the machine may be busy.
const TOLD_MAX: Duration = Duration::from_secs(1);
/// How soon after there is room again it must be told that, on any machine.
const RELIEVED_MAX: Duration = Duration::from_secs(30);
/// More than enough for acknowledgements to be in their file, which is all that a killed broker needs: they are written
/// 10 ms after they came at the latest.
const WRITTEN: Duration = Duration::from_secs(3);

/// A publisher that looks at everything it is told, in confirm mode.
struct Publisher {
    socket: Socket,
    queue: String,
    sent: u64,
    confirmed: u64,
    nacked: u64,
    blocked: Option<String>,
}

impl Publisher {
    fn new(broker: &Broker, queue: &str) -> Publisher {
        let mut socket = Socket::at(broker, Stage::Channel);
        socket.send_method(1, &methods::queue_declare(queue, &[Durable], &none()));
        socket.expect(1, ids::QUEUE_DECLARE_OK);
        socket.send_method(1, &methods::confirm_select(&[]));
        socket.expect(1, ids::CONFIRM_SELECT_OK);
        Publisher { socket, queue: queue.to_owned(), sent: 0, confirmed: 0, nacked: 0, blocked: None }
    }

    /// Publishes one message as far as the broker takes it.
    fn publish(&mut self) {
        self.sent += 1;
        let method = methods::publish("", &self.queue, &[], &Props::persistent(), &body(self.sent));
        let frames = method.frames(1, 131_072);
        // A broker that reads no more takes a part; the rest must follow before anything else, so it is only sent while
        // it is taken.
        let taken = self.socket.send_while_taken(&frames, PATIENCE);
        assert_eq!(taken, frames.len(), "the broker stopped reading before it said that it is blocked");
    }

    /// Reads what the broker says for at most `patience`; false when it said nothing.
    fn listen(&mut self, patience: Duration) -> bool {
        let event = self.socket.next_but_heartbeats(patience);
        self.hear(event)
    }

    fn hear(&mut self, event: Event) -> bool {
        let frame = match event {
            Event::Frame(frame) => frame,
            Event::Silence => return false,
            Event::Closed => panic!("the broker closed the publisher's connection"),
        };
        let mut args = frame.args();
        match frame.id() {
            Some(ids::CONNECTION_BLOCKED) => self.blocked = Some(args.shortstr()),
            Some(ids::CONNECTION_UNBLOCKED) => self.blocked = None,
            Some(ids::BASIC_ACK) => {
                let (tag, is_multiple) = (args.longlong(), args.octet() & 1 == 1);
                self.confirmed = if is_multiple { tag } else { self.confirmed + 1 };
            }
            Some(ids::BASIC_NACK) => self.nacked += 1,
            _ => panic!("unexpected {frame:?}"),
        }
        true
    }

    /// Reads what has come already.
    fn hear_all(&mut self) {
        loop {
            let event = self.socket.poll();
            if !self.hear(event) {
                return;
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.blocked.is_some() || self.nacked > 0
    }

    /// Publishes until the broker says that it has no room, at most `bytes_max`.
    fn publish_until_stopped(&mut self, bytes_max: u64) {
        let first = self.sent;
        while !self.is_stopped() {
            let is_over = (self.sent - first) * BODY_BYTES as u64 > bytes_max;
            assert!(!is_over, "{} messages and still neither blocked nor refused", self.sent - first);
            if self.sent - self.confirmed - self.nacked < WINDOW {
                self.publish();
                self.hear_all();
            } else {
                assert!(self.listen(PATIENCE), "nothing is heard with {} of {} confirmed", self.confirmed, self.sent);
            }
        }
        println!("stopped after {} messages, {} of them confirmed: {:?}", self.sent, self.confirmed, self.blocked);
    }

    /// Waits until it may publish and one message is confirmed.
    fn publish_again(&mut self, patience: Duration) {
        let begin = Instant::now();
        while self.blocked.is_some() {
            let left = patience.saturating_sub(begin.elapsed());
            assert!(!left.is_zero(), "still blocked after {patience:?}");
            self.listen(left);
        }
        println!("unblocked after {:?}", begin.elapsed());
        self.nacked = 0;
        let before = self.confirmed;
        self.publish();
        while self.confirmed == before {
            assert!(self.listen(PATIENCE), "no confirm after the relief");
        }
    }
}

/// The body of a publisher's n-th message.
fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_string().into_bytes();
    body.resize(BODY_BYTES, b'a' + (number % 26) as u8);
    body
}

/// Takes and acknowledges so many messages, checking order and bodies from the n-th on.
fn take(channel: &Channel, queue: &str, first: u64, count: u64) {
    channel.rpc(methods::qos(0, 100, &[]));
    let tag = channel.consume(queue);
    for number in first..first + count {
        let delivery = channel.delivery();
        assert!(delivery.body == body(number), "message {number} is damaged or not in its place");
        channel.ack(delivery.delivery_tag);
    }
    channel.rpc(methods::cancel(&tag, &[]));
    channel.sync();
}

/// A small disk, or `None` with the reason on stdout.
fn small_disk(test: &str) -> Option<SmallDisk> {
    if skip_without_process(test) {
        return None;
    }
    match SmallDisk::mount(DISK_BYTES) {
        Ok(disk) => Some(disk),
        Err(error) => {
            println!("{test}: skipped, no small file system can be mounted: {error:#}");
            None
        }
    }
}

#[test]
fn publishers_that_fill_the_disk_are_stopped_and_others_go_on() {
    let Some(disk) = small_disk("publishers_that_fill_the_disk_are_stopped_and_others_go_on") else { return };
    let home = Home::at(&disk.path().join("data"));
    let broker = home.start();
    let mut publisher = Publisher::new(&broker, "filling");
    publisher.publish_until_stopped(2 * DISK_BYTES);
    let free_bytes = disk.free_bytes().unwrap();
    println!("{} MiB are free", free_bytes / MIB);
    assert!(free_bytes > MIB, "it was said before the disk was full");
    // Everything that makes room, or takes none, still works.
    let begin = Instant::now();
    let channel = Connection::open(&broker).channel(1);
    take(&channel, "filling", 1, 200);
    channel.declare("beside", &[], &none());
    channel.rpc(methods::queue_delete("beside", &[]));
    println!("200 messages were taken in {:?}", begin.elapsed());
    // Room comes back by itself when the messages are gone.
    channel.rpc(methods::queue_purge("filling", &[]));
    publisher.publish_again(PATIENCE);
    channel.rpc(methods::queue_delete("filling", &[]));
    assert!(!broker.output().contains("panicked"), "{}", broker.output());
    broker.end(Stop::Term);
}

#[test]
fn a_disk_filled_by_others_stops_publishers_within_a_second() {
    let Some(disk) = small_disk("a_disk_filled_by_others_stops_publishers_within_a_second") else { return };
    let home = Home::at(&disk.path().join("data"));
    let broker = home.start();
    let mut publisher = Publisher::new(&broker, "waiting");
    for _ in 0..20 {
        publisher.publish();
    }
    while publisher.confirmed < 20 {
        assert!(publisher.listen(PATIENCE));
    }
    let channel = Connection::open(&broker).channel(1);
    let mut taken = 0;
    assert_within(TOLD_MAX, "the publisher is told", || {
        let ballast = disk.fill(8 * MIB).unwrap();
        let begin = Instant::now();
        publisher.publish_until_stopped(2 * DISK_BYTES);
        let told = begin.elapsed();
        // Whoever takes goes on, and finds what was there before.
        take(&channel, "waiting", taken + 1, 5);
        taken += 5;
        channel.close();
        channel.open();
        drop(ballast);
        publisher.publish_again(RELIEVED_MAX);
        told
    });
    broker.end(Stop::Term);
}

#[test]
fn a_restart_on_a_completely_full_disk_works() {
    const TAKEN: u64 = 300;
    let Some(disk) = small_disk("a_restart_on_a_completely_full_disk_works") else { return };
    let home = Home::at(&disk.path().join("data"));
    for stop in [Stop::Kill, Stop::Term] {
        let broker = home.start();
        let mut publisher = Publisher::new(&broker, "full");
        publisher.publish_until_stopped(2 * DISK_BYTES);
        // Again and again: the broker may give a file back meanwhile.
        let mut ballast = Vec::new();
        wait_until("the disk is full", || {
            ballast.push(disk.fill(0).unwrap());
            disk.free_bytes().unwrap() == 0
        });
        // From the reserve.
        let channel = Connection::open(&broker).channel(1);
        take(&channel, "full", 1, TAKEN);
        std::thread::sleep(WRITTEN);
        while publisher.listen(SILENCE) {}
        let confirmed = publisher.confirmed;
        broker.end(stop);

        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        let left = u64::from(channel.counts("full").0);
        println!("{stop:?}: {left} messages after the restart, {confirmed} were confirmed, {TAKEN} taken");
        assert!(left + TAKEN >= confirmed, "confirmed messages are lost");
        assert!(left + TAKEN <= publisher.sent, "messages came back that were acknowledged");
        take(&channel, "full", TAKEN + 1, left);
        assert_eq!(channel.counts("full").0, 0);
        drop(ballast);
        let mut publisher = Publisher::new(&broker, "relief");
        publisher.publish_again(RELIEVED_MAX);
        channel.rpc(methods::queue_delete("full", &[]));
        channel.rpc(methods::queue_delete("relief", &[]));
        broker.end(Stop::Term);
    }
}

/// Needs no file system of its own: a limit above what any disk has free makes every disk look full.
#[test]
fn a_limit_above_the_free_space_stops_publishers_only() {
    const BEYOND_ANY_DISK: &str = "1125899906842624";
    if skip_without_process("a_limit_above_the_free_space_stops_publishers_only") {
        return;
    }
    let home = Home::new();
    let broker = home.start();
    let mut publisher = Publisher::new(&broker, "kept");
    for _ in 0..50 {
        publisher.publish();
    }
    while publisher.confirmed < 50 {
        assert!(publisher.listen(PATIENCE));
    }
    broker.end(Stop::Kill);

    let mut limited = None;
    assert_within(TOLD_MAX, "the publisher is told", || {
        drop(limited.take());
        let broker = limited.insert(home.start_with(&["--disk-free-limit", BEYOND_ANY_DISK]));
        let mut publisher = Publisher::new(broker, "kept");
        let begin = Instant::now();
        publisher.publish_until_stopped(64 * MIB);
        begin.elapsed()
    });
    let broker = limited.expect("it was started");
    let channel = Connection::open(&broker).channel(1);
    take(&channel, "kept", 1, 30);
    std::thread::sleep(WRITTEN);
    broker.end(Stop::Kill);

    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    take(&channel, "kept", 31, 20);
    broker.end(Stop::Term);
}
