//! The process: how it starts, what it prints, how it ends.

use std::net::TcpListener;
use std::process::ExitStatus;
use std::thread;

use leveret_tests::broker;
use leveret_tests::prelude::*;

const SHUTDOWN: &str = "broker forced connection closure with reason 'shutdown'";

fn run(args: &[&str]) -> (ExitStatus, String, String) {
    broker::run(args, PATIENCE).expect("the broker ends by itself")
}

fn assert_ends_cleanly(broker: &mut Broker) {
    let status = broker.wait_for_exit(PATIENCE).expect("the broker ends");
    assert!(status.success(), "{status}\n{}", broker.output());
}

// Starting

#[test]
fn the_startup_lines_are_printed_on_stdout() {
    if skip_without_process("the_startup_lines_are_printed_on_stdout") {
        return;
    }
    let broker = Broker::start();
    let output = broker.output();
    let lines: Vec<&str> = output.lines().collect();
    let listening = format!("listening on {}", broker.addr());
    let listening = lines.iter().position(|line| *line == listening).expect("the listener is printed");
    let complete = lines.iter().position(|line| *line == "Server startup complete; 0 plugins started.");
    assert!(listening < complete.expect("the startup line is printed"), "{output}");
}

#[test]
fn the_broker_is_up_at_once() {
    const STARTUP_MAX: Duration = Duration::from_millis(50);
    if skip_without_process("the_broker_is_up_at_once") {
        return;
    }
    assert_within(STARTUP_MAX, "the broker is up", || {
        let watch = Stopwatch::new();
        let broker = Broker::start();
        let elapsed = watch.until(&broker);
        Connection::open(&broker).close();
        elapsed
    });
}

#[test]
fn two_brokers_know_nothing_of_each_other() {
    if skip_without_process("two_brokers_know_nothing_of_each_other") {
        return;
    }
    let (one, other) = (Broker::start(), Broker::start());
    let (here, there) = (Connection::open(&one).channel(1), Connection::open(&other).channel(1));
    here.declare("leveret-process", &[], &none());
    assert!(!there.has_queue("leveret-process"));
}

#[test]
fn a_taken_port_is_refused_with_one_clear_line() {
    if skip_without_process("a_taken_port_is_refused_with_one_clear_line") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (status, stdout, stderr) = run(&["serve", "--ephemeral", "--bind", "127.0.0.1", "--port", &port]);
    assert!(!status.success(), "{status}");
    assert!(!stdout.contains("Server startup complete"), "{stdout}");
    let told: Vec<&str> = stderr.lines().filter(|line| line.contains(&format!("127.0.0.1:{port}"))).collect();
    assert_eq!(told.len(), 1, "one line names the address:\n{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_data_directory_that_is_none_is_refused_with_one_clear_line() {
    if skip_without_process("a_data_directory_that_is_none_is_refused_with_one_clear_line") {
        return;
    }
    // A file is in the way, which not even root can use as a directory.
    let path = std::env::temp_dir().join(unique("no-directory"));
    std::fs::write(&path, "a file").unwrap();
    let text = path.to_str().unwrap();
    let (status, stdout, stderr) = run(&["serve", "--bind", "127.0.0.1", "--port", "0", "--data-dir", text]);
    std::fs::remove_file(&path).unwrap();
    assert!(!status.success(), "{status}");
    assert!(!stdout.contains("Server startup complete"), "{stdout}");
    assert_eq!(stderr.lines().filter(|line| line.contains(text)).count(), 1, "one line names the directory:\n{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn help_tells_every_option() {
    if skip_without_process("help_tells_every_option") {
        return;
    }
    let (status, stdout, _) = run(&["--help"]);
    assert!(status.success() && stdout.contains("serve"), "{stdout}");
    let (status, stdout, _) = run(&["serve", "--help"]);
    assert!(status.success());
    for option in ["--data-dir", "--bind", "--port", "--ephemeral"] {
        assert!(stdout.contains(option), "{option}:\n{stdout}");
    }
}

#[test]
fn an_unknown_option_is_refused() {
    if skip_without_process("an_unknown_option_is_refused") {
        return;
    }
    let (status, _, stderr) = run(&["serve", "--no-such-option"]);
    assert!(!status.success());
    assert!(stderr.contains("--no-such-option"), "{stderr}");
}

#[test]
fn clients_that_only_look_are_not_worth_a_line() {
    if skip_without_process("clients_that_only_look_are_not_worth_a_line") {
        return;
    }
    let broker = Broker::start();
    // The last of what it says at its start.
    broker.expect_line("tells that nothing is kept", |line| line.contains("nothing is kept on disk"));
    let before = broker.output();
    for _ in 0..3 {
        drop(Socket::connect(&broker));
    }
    // One that speaks comes behind them, and what is logged may be read later than that.
    Connection::open(&broker).close();
    thread::sleep(SILENCE);
    assert_eq!(broker.output(), before);
}

// Ending

fn clients_are_told(signal: &str) {
    let mut broker = Broker::start();
    let idle = Connection::open(&broker);
    let busy = Connection::open(&broker).channel(1);
    let queue = busy.exclusive_queue();
    busy.consume(&queue);
    busy.send(methods::publish_alone("", &queue, &[]));
    let handshaking = Socket::at(&broker, Stage::Started);
    broker.signal(signal).expect("the broker can be signalled");
    idle.expect_close(320, SHUTDOWN, ids::NO_METHOD);
    busy.connection().expect_close(320, SHUTDOWN, ids::NO_METHOD);
    drop(handshaking);
    assert_ends_cleanly(&mut broker);
}

#[test]
fn sigterm_closes_connections_and_ends_with_success() {
    if skip_without_process("sigterm_closes_connections_and_ends_with_success") {
        return;
    }
    clients_are_told("TERM");
}

#[test]
fn sigint_does_the_same() {
    if skip_without_process("sigint_does_the_same") {
        return;
    }
    clients_are_told("INT");
}

#[test]
fn a_broker_without_clients_ends_at_once() {
    // Less than any client is given.
    const END_MAX: Duration = Duration::from_millis(900);
    if skip_without_process("a_broker_without_clients_ends_at_once") {
        return;
    }
    assert_within(END_MAX, "the broker has ended", || {
        let mut broker = Broker::start();
        let begin = Instant::now();
        broker.signal("TERM").unwrap();
        assert_ends_cleanly(&mut broker);
        begin.elapsed()
    });
}

#[test]
fn clients_that_never_answer_do_not_keep_the_broker() {
    // Less than who still has something to read is given.
    const ANSWER_MAX: Duration = Duration::from_millis(2_500);
    if skip_without_process("clients_that_never_answer_do_not_keep_the_broker") {
        return;
    }
    assert_within(ANSWER_MAX, "the broker has ended", || {
        let mut broker = Broker::start();
        let silent: Vec<Socket> = (0..5).map(|_| Socket::at(&broker, Stage::Channel)).collect();
        let unknown = Socket::connect(&broker);
        let begin = Instant::now();
        broker.signal("TERM").unwrap();
        assert_ends_cleanly(&mut broker);
        let elapsed = begin.elapsed();
        drop((silent, unknown));
        elapsed
    });
}

#[test]
fn a_client_that_does_not_read_does_not_keep_the_broker() {
    if skip_without_process("a_client_that_does_not_read_does_not_keep_the_broker") {
        return;
    }
    let mut broker = Broker::start();
    let (sleeper, publisher) = (Connection::open(&broker).channel(1), Connection::open(&broker).channel(1));
    publisher.declare("shutdown", &[], &none());
    sleeper.consume_with("shutdown", "", &[NoAck], &none());
    let body = "x".repeat(1 << 20);
    (0..64).for_each(|_| publisher.publish("", "shutdown", &body));
    publisher.sync();
    broker.signal("TERM").unwrap();
    assert_ends_cleanly(&mut broker);
}

#[test]
fn publishers_at_full_speed_do_not_keep_the_broker() {
    const PUBLISHERS: usize = 4;
    if skip_without_process("publishers_at_full_speed_do_not_keep_the_broker") {
        return;
    }
    let mut broker = Broker::start();
    let frames = methods::publish("", "nowhere", &[], &Props::default(), b"again and again").frames(1, 0).repeat(1_000);
    let mut sockets: Vec<Socket> = (0..PUBLISHERS).map(|_| Socket::at(&broker, Stage::Channel)).collect();
    let begin = Instant::now();
    thread::scope(|scope| {
        for socket in &mut sockets {
            // Until the broker takes no more, which it says by closing.
            scope.spawn(|| while socket.send_while_taken(&frames, SILENCE) == frames.len() {});
        }
        thread::sleep(Duration::from_millis(300));
        broker.signal("TERM").unwrap();
        assert_ends_cleanly(&mut broker);
    });
    println!("ended {:?} after the start of the load", begin.elapsed());
}
