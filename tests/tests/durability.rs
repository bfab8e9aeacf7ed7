//! What the broker has said yes to is there after it was killed, and damaged files are noticed.

use std::fs;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use leveret_tests::broker;
use leveret_tests::prelude::*;

/// A new durable queue for persistent messages on a confirming channel.
fn confirming(broker: &Broker, queue: &str) -> Channel {
    let channel = Connection::open(broker).channel(1);
    channel.declare(queue, &[Durable], &none());
    channel.rpc(methods::confirm_select(&[]));
    channel
}

fn publish(channel: &Channel, queue: &str, text: &str) {
    channel.publish_with("", queue, &[], &Props::persistent(), text);
}

// Yes means kept

/// Something that has a reply, and how to see later that it was done.
struct Deed {
    name: &'static str,
    /// What it needs; done and on disk before.
    prepare: fn(&Channel, &str),
    /// Ends with the reply.
    act: fn(&Channel, &str),
    is_done: fn(&Channel, &str) -> bool,
}

fn durable_pair(channel: &Channel, name: &str) {
    channel.exchange(name, "direct", &[Durable], &none());
    channel.declare(name, &[Durable], &none());
}

fn routes(channel: &Channel, name: &str) -> bool {
    channel.publish(name, "key", "probe");
    channel.get_with(name, &[NoAck]).is_some()
}

const DEEDS: &[Deed] = &[
    Deed {
        name: "publish confirmed",
        prepare: |channel, name| {
            channel.declare(name, &[Durable], &none());
        },
        act: |channel, name| {
            channel.rpc(methods::confirm_select(&[]));
            publish(channel, name, name);
            assert_eq!(channel.confirms(1, 1).get(&1), Some(&true));
        },
        is_done: |channel, name| channel.drain(name) == [name],
    },
    Deed {
        name: "queue.declare-ok",
        prepare: |_, _| (),
        act: |channel, name| {
            channel.declare(name, &[Durable], &none());
        },
        is_done: |channel, name| channel.has_queue(name),
    },
    Deed {
        name: "exchange.declare-ok",
        prepare: |_, _| (),
        act: |channel, name| channel.exchange(name, "topic", &[Durable], &none()),
        is_done: |channel, name| channel.has_exchange(name),
    },
    Deed {
        name: "queue.bind-ok",
        prepare: durable_pair,
        act: |channel, name| channel.bind(name, name, "key"),
        is_done: routes,
    },
    Deed {
        name: "exchange.bind-ok",
        prepare: |channel, name| {
            durable_pair(channel, name);
            channel.exchange(&format!("{name}-behind"), "fanout", &[Durable], &none());
            channel.bind(name, &format!("{name}-behind"), "");
        },
        act: |channel, name| {
            channel.rpc(methods::exchange_bind(&format!("{name}-behind"), name, "key", &[], &none())).finish();
        },
        is_done: routes,
    },
    Deed {
        name: "queue.unbind-ok",
        prepare: |channel, name| {
            durable_pair(channel, name);
            channel.bind(name, name, "key");
        },
        act: |channel, name| channel.rpc(methods::queue_unbind(name, name, "key", &none())).finish(),
        is_done: |channel, name| !routes(channel, name),
    },
    Deed {
        name: "queue.delete-ok",
        prepare: |channel, name| {
            channel.declare(name, &[Durable], &none());
            publish(channel, name, "deleted");
        },
        act: |channel, name| {
            channel.rpc(methods::queue_delete(name, &[]));
        },
        is_done: |channel, name| !channel.has_queue(name),
    },
    Deed {
        name: "exchange.delete-ok",
        prepare: durable_pair,
        act: |channel, name| channel.rpc(methods::exchange_delete(name, &[])).finish(),
        is_done: |channel, name| !channel.has_exchange(name),
    },
    Deed {
        name: "queue.purge-ok",
        prepare: |channel, name| {
            channel.declare(name, &[Durable], &none());
            (0..10).for_each(|_| publish(channel, name, "purged"));
        },
        act: |channel, name| assert_eq!(channel.rpc(methods::queue_purge(name, &[])).long(), 10),
        is_done: |channel, name| channel.drain(name).is_empty(),
    },
    Deed {
        name: "tx.commit-ok",
        prepare: |channel, name| {
            channel.declare(name, &[Durable], &none());
            publish(channel, name, "settled");
        },
        act: |channel, name| {
            channel.rpc(methods::tx_select());
            let held = channel.get(name).expect("the message to settle");
            channel.ack(held.delivery_tag);
            publish(channel, name, "committed");
            channel.rpc(methods::tx_commit());
        },
        is_done: |channel, name| channel.drain(name) == ["committed"],
    },
];

#[test]
fn whatever_was_answered_survives_a_kill_right_after() {
    const ROUNDS_EACH: usize = 5;
    if skip_without_home("whatever_was_answered_survives_a_kill_right_after") {
        return;
    }
    let rounds_each = if peer() { 1 } else { ROUNDS_EACH };
    let home = Home::new();
    let mut broker = home.start();
    for round in 0..rounds_each {
        for (number, deed) in DEEDS.iter().enumerate() {
            let name = format!("deed-{number}-{round}");
            let channel = Connection::open(&broker).channel(1);
            (deed.prepare)(&channel, &name);
            (deed.act)(&channel, &name);
            broker.end(Stop::Kill);
            broker = home.start();
            let channel = Connection::open(&broker).channel(1);
            assert!((deed.is_done)(&channel, &name), "{} is undone by a kill, round {round}", deed.name);
        }
    }
}

/// Publishes this many numbered texts, not waiting for any reply.
fn publish_numbers(channel: &Channel, queue: &str, count: usize) {
    for number in 0..count {
        publish(channel, queue, &number.to_string());
    }
}

/// The numbers of a queue must be consecutive from 0; gives how many they are.
fn assert_prefix(texts: &[String]) -> usize {
    let expected: Vec<String> = (0..texts.len()).map(|number| number.to_string()).collect();
    assert_eq!(texts, expected, "no gap and no other order");
    texts.len()
}

#[test]
fn what_was_not_confirmed_comes_back_without_gaps() {
    const ROUNDS: usize = 12;
    const MESSAGES: usize = 3_000;
    if skip_without_process("what_was_not_confirmed_comes_back_without_gaps") {
        return;
    }
    let home = Home::new();
    for round in 0..ROUNDS {
        let queue = format!("stream-{round}");
        let broker = home.start();
        let channel = confirming(&broker, &queue);
        publish_numbers(&channel, &queue, MESSAGES);
        // Later in each round, so that more and more of them are on disk.
        let mut confirmed = 0;
        let wanted = (round * MESSAGES / ROUNDS) as u64;
        while confirmed < wanted {
            let mut ack = channel.expect(ids::BASIC_ACK).args;
            let (tag, is_multiple) = (ack.longlong(), ack.octet() & 1 == 1);
            confirmed = if is_multiple { confirmed.max(tag) } else { confirmed + 1 };
        }
        broker.end(Stop::Kill);
        let broker = home.start();
        let kept = assert_prefix(&Connection::open(&broker).channel(1).drain(&queue));
        println!("round {round}: {confirmed} of {MESSAGES} were confirmed, {kept} came back");
        assert!(kept as u64 >= confirmed);
        broker.end(Stop::Term);
    }
}

#[test]
fn a_kill_loses_nothing_confirmed_in_any_durability() {
    const MESSAGES: u64 = 200;
    if skip_without_process("a_kill_loses_nothing_confirmed_in_any_durability") {
        return;
    }
    for durability in ["fsync", "interval=1000", "os"] {
        let home = Home::new();
        for round in 1..=3 {
            let broker = home.start_with(&["--durability", durability]);
            let channel = confirming(&broker, "kept");
            publish_numbers(&channel, "kept", MESSAGES as usize);
            assert!(channel.confirms(1, MESSAGES).values().all(|is_ack| *is_ack));
            broker.end(Stop::Kill);
            let broker = home.start_with(&["--durability", durability]);
            let channel = Connection::open(&broker).channel(1);
            let kept = assert_prefix(&channel.drain("kept"));
            assert_eq!(kept as u64, MESSAGES, "{durability}, round {round}");
            seal(&channel);
            broker.end(Stop::Kill);
        }
    }
}

// What is said about it

#[test]
fn help_and_start_up_tell_the_durability() {
    if skip_without_process("help_and_start_up_tell_the_durability") {
        return;
    }
    let (status, help, _) = broker::run(&["serve", "--help"], PATIENCE).unwrap();
    assert!(status.success());
    for word in ["--durability", "fsync", "interval=", "os", "--recover", "--memory-budget", "--disk-free-limit"] {
        assert!(help.contains(word), "{word}:\n{help}");
    }
    for durability in ["fsync", "interval=250", "os"] {
        let home = Home::new();
        let broker = home.start_with(&["--durability", durability]);
        broker.expect_line("tells it", |line| line.contains("durability") && line.contains(durability));
    }
    let home = Home::new();
    let broker = home.start();
    broker.expect_line("tells the default", |line| line.contains("durability") && line.contains("fsync"));
}

#[test]
fn a_durability_that_is_none_is_refused() {
    if skip_without_process("a_durability_that_is_none_is_refused") {
        return;
    }
    for wrong in ["sometimes", "interval", "interval=", "interval=soon", "fsync "] {
        let (status, _, stderr) = broker::run(&["serve", "--durability", wrong], PATIENCE).unwrap();
        assert!(!status.success(), "{wrong:?}");
        assert!(stderr.contains(&format!("invalid value '{wrong}' for '--durability")), "{stderr}");
    }
}

#[test]
fn a_second_broker_on_the_same_directory_is_refused() {
    if skip_without_process("a_second_broker_on_the_same_directory_is_refused") {
        return;
    }
    let home = Home::new();
    let first = home.start();
    let channel = confirming(&first, "kept");
    publish(&channel, "kept", "1");
    channel.confirms(1, 1);
    let directory = home.path().to_str().unwrap();
    let (status, stdout, stderr) =
        broker::run(&["serve", "--bind", "127.0.0.1", "--port", "0", "--data-dir", directory], PATIENCE).unwrap();
    assert!(!status.success(), "{status}");
    assert!(!stdout.contains("Server startup complete"), "{stdout}");
    assert!(stderr.contains(directory), "the directory is named:\n{stderr}");
    assert!(stderr.contains(&first.pid().unwrap().to_string()), "the process that has it is named:\n{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    // The first one has not noticed.
    publish(&channel, "kept", "2");
    channel.confirms(2, 2);
    assert_eq!(channel.counts("kept").0, 2);
    // What a killed broker held is free at once.
    first.end(Stop::Kill);
    let heir = home.start();
    assert_eq!(Connection::open(&heir).channel(1).drain("kept"), ["1", "2"]);
}

// Damaged files

const DAMAGE_MESSAGES: usize = 2_000;
const DAMAGE_BODY_BYTES: usize = 1_024;

/// The body of a message: its number and what follows from it.
fn damage_body(number: usize) -> String {
    let mut body = format!("{number}:");
    while body.len() < DAMAGE_BODY_BYTES {
        body.push(char::from(b'a' + ((number + body.len()) % 26) as u8));
    }
    body
}

/// Leaves a directory with confirmed messages, in many commits, behind a broker that ended so.
fn home_with_messages(stop: Stop) -> Home {
    const COMMITS: usize = 50;
    let home = Home::new();
    let broker = home.start();
    let channel = confirming(&broker, "damaged");
    let batch = DAMAGE_MESSAGES / COMMITS;
    for commit in 0..COMMITS {
        for number in commit * batch..(commit + 1) * batch {
            publish(&channel, "damaged", &damage_body(number));
        }
        channel.confirms((commit * batch + 1) as u64, ((commit + 1) * batch) as u64);
    }
    broker.end(stop);
    home
}

/// The journal file in use and where its contents end; zeros follow there.
fn journal_end(home: &Home) -> (PathBuf, u64) {
    let files = home.files_in("journal");
    let ends = files.iter().map(|file| {
        let path = home.path().join(file);
        let bytes = fs::read(&path).expect("the journal can be read");
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
        (path, end)
    });
    ends.max_by_key(|(_, end)| *end).expect("there is a journal file")
}

/// Where a message's body lies in a file. Damage there is damage to a block: between blocks there are zeros, which nobody reads.
fn place_of_body(path: &Path, number: usize) -> u64 {
    let (bytes, body) = (fs::read(path).expect("the journal can be read"), damage_body(number));
    let place = bytes.windows(body.len()).position(|window| window == body.as_bytes());
    place.expect("the body is in the journal") as u64
}

fn flip(path: &Path, offset: u64) {
    let file = fs::File::options().read(true).write(true).open(path).expect("the file is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("the file has this byte");
    file.write_all_at(&byte.map(|byte| byte ^ 0x10), offset).expect("the file takes it");
}

/// Takes what the broker gives until it has no more, or breaks off. Every body must be one that was published.
fn drain_undamaged(broker: &Broker) -> Vec<usize> {
    let mut numbers = Vec::new();
    let taking = AssertUnwindSafe(|| {
        let channel = Connection::open(broker).channel(1);
        while let Some(message) = channel.get_with("damaged", &[NoAck]) {
            numbers.push(message);
        }
    });
    if catch_unwind(taking).is_err() {
        println!("the broker broke off after {} messages", numbers.len());
    }
    let number = |message: Delivery| {
        let text = message.text();
        let number: usize = text.split(':').next().unwrap_or_default().parse().expect("a body begins with its number");
        assert!(text == damage_body(number), "the body of {number} is damaged");
        number
    };
    numbers.into_iter().map(number).collect()
}

/// Runs on the directory, where the broker must end by itself, and gives what it wrote.
fn refusal(home: &Home, args: &[&str]) -> String {
    let directory = home.path().to_str().expect("a path in UTF-8");
    let mut arguments = vec!["serve", "--bind", "127.0.0.1", "--port", "0", "--data-dir", directory];
    arguments.extend_from_slice(args);
    let (status, stdout, stderr) = broker::run(&arguments, PATIENCE).expect("the broker ends by itself");
    assert!(!status.success(), "{stdout}\n{stderr}");
    assert!(!stdout.contains("Server startup complete"), "{stdout}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

#[test]
fn a_break_in_the_middle_of_the_journal_is_refused_and_recovered_on_demand() {
    if skip_without_process("a_break_in_the_middle_of_the_journal_is_refused_and_recovered_on_demand") {
        return;
    }
    let home = home_with_messages(Stop::Kill);
    let (journal, end) = journal_end(&home);
    assert!(end as usize > DAMAGE_MESSAGES * DAMAGE_BODY_BYTES, "the messages are in the journal: {end} bytes");
    flip(&journal, place_of_body(&journal, DAMAGE_MESSAGES / 2));
    let name = journal.file_name().unwrap().to_str().unwrap().to_owned();
    // Twice: looking at the files has not changed them.
    for _ in 0..2 {
        let stderr = refusal(&home, &[]);
        assert!(stderr.contains(&name), "the file is named:\n{stderr}");
        assert!(stderr.contains("--recover"), "what to do is said:\n{stderr}");
    }
    let broker = home.start_with(&["--recover"]);
    broker.expect_line("tells the gap", |line| line.contains(&name) && line.contains("left out"));
    let numbers = drain_undamaged(&broker);
    println!("{} of {DAMAGE_MESSAGES} messages are left", numbers.len());
    assert!(numbers.is_sorted(), "the order is kept");
    assert!(numbers.len() < DAMAGE_MESSAGES, "something was lost");
    assert!(numbers.len() > DAMAGE_MESSAGES / 2, "only what was damaged is lost");
    assert_eq!(numbers.first(), Some(&0));
    assert_eq!(numbers.last(), Some(&(DAMAGE_MESSAGES - 1)), "what lies behind the gap is there");
    seal(&Connection::open(&broker).channel(1));
    broker.end(Stop::Kill);
    // From now on everything is in order without the option.
    home.start().end(Stop::Term);
}

#[test]
fn a_cut_tail_is_cut_off_and_told() {
    const CUT_BYTES: u64 = 700;
    if skip_without_process("a_cut_tail_is_cut_off_and_told") {
        return;
    }
    for is_truncated in [false, true] {
        let home = home_with_messages(Stop::Kill);
        let (journal, end) = journal_end(&home);
        let file = fs::File::options().write(true).open(&journal).unwrap();
        if is_truncated {
            file.set_len(end - CUT_BYTES).unwrap();
        } else {
            file.write_all_at(&vec![0; CUT_BYTES as usize], end - CUT_BYTES).unwrap();
        }
        let broker = home.start();
        let name = journal.file_name().unwrap().to_str().unwrap().to_owned();
        broker.expect_line("tells the cut", |line| line.contains(&name));
        let numbers = drain_undamaged(&broker);
        println!("{} of {DAMAGE_MESSAGES} messages are left", numbers.len());
        assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "what is left is the beginning");
        assert!(numbers.len() >= DAMAGE_MESSAGES - DAMAGE_MESSAGES / 20, "only the tail is lost");
        let channel = confirming(&broker, "damaged");
        publish(&channel, "damaged", &damage_body(7));
        channel.confirms(1, 1);
        broker.end(Stop::Kill);
        assert_eq!(drain_undamaged(&home.start()), [7]);
    }
}

#[test]
fn flipped_bits_never_become_a_wrong_body() {
    const PLACES: u64 = 6;
    if skip_without_process("flipped_bits_never_become_a_wrong_body") {
        return;
    }
    for place in 1..=PLACES {
        let home = home_with_messages(Stop::Term);
        let (journal, end) = journal_end(&home);
        flip(&journal, end * place / (PLACES + 1));
        match home.try_start_with(&[]) {
            Ok(broker) => {
                let numbers = drain_undamaged(&broker);
                println!("place {place}: started, {} messages", numbers.len());
                assert!(numbers.is_sorted());
                assert!(!broker.output().contains("panicked"), "{}", broker.output());
            }
            Err(error) => {
                let text = format!("{error:#}");
                println!("place {place}: refused");
                assert!(text.contains(journal.file_name().unwrap().to_str().unwrap()), "{text}");
                assert!(!text.contains("panicked"), "{text}");
            }
        }
    }
}

#[test]
fn garbage_in_any_file_is_refused_by_name_or_harmless() {
    if skip_without_process("garbage_in_any_file_is_refused_by_name_or_harmless") {
        return;
    }
    let names: Vec<PathBuf> =
        home_with_messages(Stop::Term).files().unwrap().into_iter().map(|(path, _)| path).collect();
    assert!(names.iter().any(|name| name.starts_with("journal")), "{names:?}");
    for name in names.iter().filter(|name| !name.ends_with("lock")) {
        for (kind, contents) in [("empty", Vec::new()), ("garbage", b"garbage! ".repeat(1_000))] {
            let home = home_with_messages(Stop::Term);
            fs::write(home.path().join(name), contents).unwrap();
            match home.try_start_with(&[]) {
                Ok(broker) => {
                    let numbers = drain_undamaged(&broker);
                    println!("{}, {kind}: started, {} messages", name.display(), numbers.len());
                    if numbers.len() < DAMAGE_MESSAGES {
                        let file = name.file_name().unwrap().to_str().unwrap();
                        broker.expect_line("names what is damaged", |line| line.contains(file));
                    }
                    assert!(!broker.output().contains("panicked"), "{}", broker.output());
                }
                Err(error) => {
                    let text = format!("{error:#}");
                    println!("{}, {kind}: refused", name.display());
                    let file = name.file_name().unwrap().to_str().unwrap();
                    assert!(text.contains(file), "{} is not named: {text}", name.display());
                    assert!(!text.contains("panicked"), "{text}");
                }
            }
        }
    }
}
