//! What of a stream goes, and what stays when the broker ends.

use leveret_tests::prelude::*;
use leveret_tests::raw::wire::FRAME_BODY;
use leveret_tests::stream::*;

// Retention

#[test]
fn whole_segments_go_when_there_is_too_much() {
    let mut ground = Ground::new();
    let limits = of_stream([("x-max-length-bytes", 40_000.into()), ("x-stream-max-segment-size-bytes", 10_000.into())]);
    let (publisher, queue) = ground.stream_with(&limits);
    let body = "x".repeat(1000);
    for number in 1..=200 {
        publisher.publish("", &queue, &body);
        publisher.confirms(number, number);
    }
    let channel = ground.read(2, &queue, 1000, &from("first"));
    let first = offset_of(&channel.delivery());
    // At most what fits, and about a segment more that is not full.
    assert!((150..=195).contains(&first), "{first}");
    if !peer() {
        for offset in first + 1..200 {
            assert_eq!(offset_of(&channel.delivery()), offset);
        }
        assert_eq!(i64::from(publisher.counts(&queue).0), 200 - first);
    }
}

#[test]
fn segments_go_when_they_are_old() {
    if peer() {
        return println!("RabbitMQ looks for what is old when a segment is finished");
    }
    let mut ground = Ground::new();
    let limits = of_stream([("x-max-age", "5s".into()), ("x-stream-max-segment-size-bytes", 5_000.into())]);
    let (publisher, queue) = ground.stream_with(&limits);
    for number in 1..=12 {
        publisher.publish("", &queue, &"x".repeat(1000));
        publisher.confirms(number, number);
    }
    assert_eq!(publisher.counts(&queue).0, 12);
    // The last two are in a segment that still grows.
    wait_until("the old segments are gone", || publisher.counts(&queue).0 == 2);
    let channel = ground.read(2, &queue, 100, &from("first"));
    assert_eq!((offset_of(&channel.delivery()), offset_of(&channel.delivery())), (10, 11));
}

// Restarts

/// Does something, ends the broker in each way, starts it again and looks at what is there.
fn across_a_restart(test: &str, before: impl Fn(&Channel), after: impl Fn(&Connection)) {
    if skip_without_home(test) {
        return;
    }
    for stop in [Stop::Term, Stop::Kill] {
        if peer() && matches!(stop, Stop::Kill) {
            // RabbitMQ does not find the leader of the stream again.
            continue;
        }
        println!("{test}: {stop:?}");
        let home = Home::new();
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        before(&channel);
        broker.end(stop);
        let broker = home.start();
        after(&Connection::open(&broker));
    }
}

#[test]
fn what_is_confirmed_is_there_after_a_restart_with_its_offsets() {
    across_a_restart(
        "what_is_confirmed_is_there_after_a_restart_with_its_offsets",
        |channel| {
            channel.declare("s", &[Durable], &of_stream([]));
            channel.rpc(methods::confirm_select(&[]));
            publish_numbers(channel, "s", 0, 3000);
        },
        |connection| {
            if peer() {
                // A stream takes nothing before its leader is found.
                std::thread::sleep(Duration::from_secs(5));
            }
            let publisher = connection.channel(1);
            publisher.rpc(methods::confirm_select(&[]));
            publisher.publish("", "s", "after");
            publisher.confirms(1, 1);
            let channel = read(connection, 2, "s", 500, &from("first"));
            assert_eq!(take(&channel, 3000), numbers(0..3000));
            let message = channel.delivery();
            assert_eq!((message.text(), offset_of(&message)), ("after".to_owned(), 3000));
            let channel = read(connection, 3, "s", 500, &from(2990));
            assert_eq!(take(&channel, 10), numbers(2990..3000));
        },
    );
}

#[test]
fn a_kill_under_load_leaves_all_that_was_confirmed_and_no_gap() {
    const PUBLISHED: u64 = 50_000;
    let test = "a_kill_under_load_leaves_all_that_was_confirmed_and_no_gap";
    if peer() || skip_without_home(test) {
        return println!("left to this broker");
    }
    let home = Home::new();
    let broker = home.start();
    let connection = Connection::open(&broker);
    let channel = connection.channel(1);
    channel.declare("s", &[Durable], &of_stream([]));
    channel.rpc(methods::confirm_select(&[]));
    let reader = read(&connection, 2, "s", u16::MAX, &none());
    (0..PUBLISHED).for_each(|number| channel.publish("", "s", &number.to_string()));
    let confirmed = loop {
        let mut confirm = channel.expect(ids::BASIC_ACK);
        let tag = confirm.args.longlong();
        if tag > PUBLISHED / 5 {
            break tag;
        }
    };
    let mut seen = 0;
    while seen < confirmed {
        let Event::Frame(frame) = reader.connection().next_on(2, PATIENCE) else { panic!("deliveries come") };
        if frame.kind == FRAME_BODY {
            assert_eq!(frame.payload, seen.to_string().as_bytes());
            seen += 1;
        }
    }
    broker.end(Stop::Kill);
    let broker = home.start();
    let connection = Connection::open(&broker);
    let kept = u64::from(connection.channel(1).declare("s", &[Durable], &of_stream([])).message_count);
    assert!(kept >= confirmed && kept >= seen, "{kept} kept, {confirmed} confirmed, {seen} seen");
    let reader = read(&connection, 2, "s", 1000, &from("first"));
    assert!(take(&reader, usize::try_from(kept).expect("few")) == numbers(0..kept));
}

#[test]
fn retention_goes_on_after_a_restart_where_it_was() {
    if peer() {
        return println!("left to this broker");
    }
    let limits =
        || of_stream([("x-max-length-bytes", 40_000.into()), ("x-stream-max-segment-size-bytes", 10_000.into())]);
    let publish = |channel: &Channel, count: u64| {
        channel.rpc(methods::confirm_select(&[]));
        for number in 1..=count {
            channel.publish("", "s", &"x".repeat(1000));
            channel.confirms(number, number);
        }
    };
    across_a_restart(
        "retention_goes_on_after_a_restart_where_it_was",
        |channel| {
            channel.declare("s", &[Durable], &limits());
            publish(channel, 100);
        },
        |connection| {
            let channel = connection.channel(1);
            let before = channel.declare("s", &[Durable], &limits()).message_count;
            assert!((30..=50).contains(&before), "{before}");
            publish(&channel, 20);
            let after = channel.counts("s").0;
            assert!((30..=50).contains(&after), "{after} after {before}");
        },
    );
}
