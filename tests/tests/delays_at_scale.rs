//! A million messages that wait: what they take of memory and CPU, and how fast they come and go.
//!
//! Not part of a normal run: `LEVERET_BIN=target/release/leveret cargo test --release -p leveret-tests --test delays_at_scale
//! -- --ignored --nocapture`. `LEVERET_DELAYED` is another number of messages.

#![cfg(target_os = "linux")]

use std::thread;

use leveret_tests::broker::resident_bytes;
use leveret_tests::prelude::*;

/// Resident memory while a million wait, as a goal.
const RESIDENT_BYTES_MAX: u64 = 200 << 20;

/// Hundredths of a second of CPU, in ten seconds in which nothing is due, beyond those of an empty broker.
const IDLE_TICKS_MAX: u64 = 5;

const IDLE: Duration = Duration::from_secs(10);

/// Messages on their way to the broker before their confirms are awaited.
const WINDOW: u64 = 5000;

fn count() -> u64 {
    std::env::var("LEVERET_DELAYED").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000)
}

/// Hundredths of a second that a process has had of the CPU.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the broker runs");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("utime and stime are numbers")).sum()
}

/// What a step cost.
struct Meter {
    what: &'static str,
    pid: u32,
    start: Instant,
    ticks: u64,
}

impl Meter {
    fn start(what: &'static str, pid: u32) -> Meter {
        Meter { what, pid, start: Instant::now(), ticks: cpu_ticks(pid) }
    }

    fn tell(&self, count: u64) -> u64 {
        let (seconds, ticks) = (self.start.elapsed().as_secs_f64(), cpu_ticks(self.pid) - self.ticks);
        println!(
            "{}: {seconds:.1} s, {:.0} a second, {:.2} us of CPU each, {} MiB resident",
            self.what,
            count as f64 / seconds,
            ticks as f64 * 10_000.0 / count as f64,
            resident_bytes(self.pid).expect("the broker runs") >> 20,
        );
        ticks
    }
}

fn durable_fabric(channel: &Channel) {
    channel.exchange("delayed", "x-delayed-message", &[Durable], &table([("x-delayed-type", "direct".into())]));
    channel.declare("queue", &[Durable], &none());
    channel.bind("queue", "delayed", "key");
}

/// Publishes with confirms; `delay_ms` is asked for each number.
fn publish(channel: &Channel, count: u64, delay_ms: impl Fn(u64) -> u32) {
    let body = "x".repeat(100);
    channel.rpc(methods::confirm_select(&[]));
    for first in (0..count).step_by(WINDOW as usize) {
        for number in first..(first + WINDOW).min(count) {
            let headers = table([("x-delay", Value::U32(delay_ms(number)))]);
            let props = Props { delivery_mode: Some(2), ..Props::with_headers(headers) };
            channel.publish_with("delayed", "key", &[], &props, &body);
        }
        channel.confirms(first + 1, (first + WINDOW).min(count));
    }
}

/// Waits until so many are in the queue; gives the time at which the first was.
fn wait_for(channel: &Channel, count: u64) -> Instant {
    let mut first = None;
    let deadline = Instant::now() + Duration::from_secs(600);
    loop {
        let ready = u64::from(channel.counts("queue").0);
        if ready > 0 && first.is_none() {
            first = Some(Instant::now());
        }
        if ready == count {
            return first.unwrap_or_else(Instant::now);
        }
        assert!(Instant::now() < deadline, "{ready} of {count} came");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the broker has nothing to do.
fn wait_for_quiet(pid: u32) {
    let mut before = cpu_ticks(pid);
    loop {
        thread::sleep(Duration::from_secs(2));
        let now = cpu_ticks(pid);
        if now - before <= 1 {
            return;
        }
        before = now;
    }
}

/// A number that looks random.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33
}

#[test]
#[ignore = "takes minutes, and means something on a quiet machine only"]
fn a_million_wait() {
    if skip_without_home("a_million_wait") || peer() {
        return;
    }
    let (count, home) = (count(), Home::new());
    let broker = home.start();
    let pid = broker.pid().expect("a broker of our own");
    let channel = Connection::open(&broker).channel(1);
    durable_fabric(&channel);
    let meter = Meter::start("idle and empty", pid);
    thread::sleep(IDLE);
    let empty_ticks = meter.tell(1);
    let meter = Meter::start("accepted", pid);
    // An hour and more: nothing is due while this runs.
    publish(&channel, count, |number| 3_600_000 + u32::try_from(scattered(number) % 3_600_000).expect("it fits"));
    meter.tell(count);
    wait_for_quiet(pid);
    let resident = resident_bytes(pid).expect("the broker runs");
    let meter = Meter::start("idle", pid);
    thread::sleep(IDLE);
    let idle_ticks = meter.tell(1);
    broker.end(Stop::Kill);
    let start = Instant::now();
    let broker = home.start();
    let pid = broker.pid().expect("a broker of our own");
    println!("started again in {:?}", start.elapsed());
    let meter = Meter::start("read back", pid);
    wait_for_quiet(pid);
    meter.tell(count);
    let resident_max = RESIDENT_BYTES_MAX.max(RESIDENT_BYTES_MAX / 1_000_000 * count);
    assert!(resident < resident_max, "{resident} bytes resident");
    assert!(idle_ticks <= empty_ticks + IDLE_TICKS_MAX, "{idle_ticks} hundredths of a second, {empty_ticks} without");
}

#[test]
#[ignore = "takes minutes, and means something on a quiet machine only"]
fn a_million_go_out() {
    if skip_without_home("a_million_go_out") || peer() {
        return;
    }
    let count = count();
    for (what, spread_ms) in [("all at once", 1), ("scattered over ten seconds", 10_000)] {
        let home = Home::new();
        let broker = home.start();
        let pid = broker.pid().expect("a broker of our own");
        let channel = Connection::open(&broker).channel(1);
        durable_fabric(&channel);
        let start = Instant::now();
        let lead_ms = count / 20 + 5000;
        publish(&channel, count, |number| {
            let due_ms = lead_ms + scattered(number) % spread_ms;
            let passed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            u32::try_from(due_ms.saturating_sub(passed_ms).max(1)).expect("it fits")
        });
        assert_eq!(channel.counts("queue").0, 0, "publishing took too long");
        let meter = Meter::start(what, pid);
        let first = wait_for(&channel, count);
        println!("{what}: {:.1} s from the first to the last", first.elapsed().as_secs_f64());
        meter.tell(count);
    }
}

#[test]
#[ignore = "takes minutes, and means something on a quiet machine only"]
fn a_million_come_while_others_go() {
    const DELAY_MS_MAX: u64 = 5000;
    if skip_without_home("a_million_come_while_others_go") || peer() {
        return;
    }
    let (count, home) = (count(), Home::new());
    let broker = home.start();
    let pid = broker.pid().expect("a broker of our own");
    let channel = Connection::open(&broker).channel(1);
    durable_fabric(&channel);
    let meter = Meter::start("in and out", pid);
    publish(&channel, count, |number| 1 + u32::try_from(scattered(number) % DELAY_MS_MAX).expect("it fits"));
    let published = Instant::now();
    println!("{} of {count} were out when the last came", channel.counts("queue").0);
    wait_for(&channel, count);
    let lag = published.elapsed().saturating_sub(Duration::from_millis(DELAY_MS_MAX));
    println!("the last was out {lag:?} after its time");
    meter.tell(count);
    assert!(lag < Duration::from_secs(2), "{lag:?}");
}
