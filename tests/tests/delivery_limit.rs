//! Messages that come back: how often is counted, limited, and may make them wait.

use leveret_tests::prelude::*;

const QUORUM: (&str, &str) = ("x-queue-type", "quorum");

fn arguments<const N: usize>(entries: [(&str, Value); N]) -> Table {
    table(entries)
}

fn declare(channel: &Channel, names: &mut Names, arguments: &Table) -> String {
    let queue = names.queue("limited");
    channel.declare(&queue, &[Durable], arguments);
    queue
}

fn quorum<const N: usize>(more: [(&str, Value); N]) -> Table {
    let mut arguments = table(more);
    arguments.0.push((QUORUM.0.to_owned(), QUORUM.1.into()));
    arguments
}

fn dead_lettering(mut arguments: Table, dead: &str) -> Table {
    arguments.0.push(("x-dead-letter-exchange".to_owned(), "".into()));
    arguments.0.push(("x-dead-letter-routing-key".to_owned(), dead.into()));
    arguments
}

fn fetch(channel: &Channel, queue: &str) -> Delivery {
    wait_until("a message is ready", || channel.counts(queue).0 > 0);
    channel.get(queue).expect("a message is there")
}

/// What the header says.
fn count(delivery: &Delivery) -> Option<i64> {
    match delivery.props.headers.as_ref()?.get("x-delivery-count")? {
        Value::I64(count) => Some(*count),
        other => panic!("x-delivery-count is {other:?}"),
    }
}

fn requeue(channel: &Channel, delivery: &Delivery) {
    channel.send(methods::reject(delivery.delivery_tag, &[Requeue]));
}

fn last_reason(delivery: &Delivery) -> Value {
    let headers = delivery.props.headers.as_ref().expect("headers");
    let Some(Value::Array(deaths)) = headers.get("x-death") else { panic!("no x-death: {headers:?}") };
    let Some(Value::Table(entry)) = deaths.first() else { panic!("no entry: {deaths:?}") };
    entry.get("reason").cloned().unwrap_or(Value::Void)
}

#[test]
fn returns_are_counted_in_a_header() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = declare(&channel, &mut names, &quorum([]));
    let headers = Some(table([("own", Value::I32(7))]));
    let props = Props { headers, message_id: Some("id".to_owned()), ..Props::default() };
    channel.publish_with("", &queue, &[], &props, "body");
    let first = fetch(&channel, &queue);
    // 3.10 counts from the beginning.
    assert_eq!((count(&first), first.redelivered), (peer().then_some(0), false));
    requeue(&channel, &first);
    let second = fetch(&channel, &queue);
    assert_eq!((count(&second), second.redelivered), (Some(1), true));
    assert_eq!(second.props.headers.as_ref().unwrap().get("own"), Some(&Value::I32(7)));
    assert_eq!((second.text().as_str(), second.props.message_id.as_deref()), ("body", Some("id")));
    channel.send(methods::nack(second.delivery_tag, &[Requeue]));
    assert_eq!(count(&fetch(&channel, &queue)), Some(2));
    // A lost channel counts as well.
    channel.close();
    let channel = open_channel();
    channel.consume(&queue);
    let fourth = channel.delivery();
    assert_eq!((count(&fourth), fourth.text().as_str()), (Some(3), "body"));
    requeue(&channel, &fourth);
    assert_eq!(count(&channel.delivery()), Some(4));
}

#[test]
fn who_comes_back_too_often_is_dead_lettered() {
    let (channel, mut names) = (open_channel(), Names::new());
    let dead = channel.exclusive_queue();
    let arguments = dead_lettering(quorum([("x-delivery-limit", 2.into())]), &dead);
    let queue = declare(&channel, &mut names, &arguments);
    ["poison", "sound"].iter().for_each(|text| channel.publish("", &queue, text));
    for _ in 0..3 {
        let delivery = fetch(&channel, &queue);
        assert_eq!(delivery.text(), "poison");
        requeue(&channel, &delivery);
    }
    wait_until("it is dead", || channel.counts(&dead).0 == 1);
    let letter = channel.get_with(&dead, &[NoAck]).unwrap();
    assert_eq!((letter.text().as_str(), last_reason(&letter)), ("poison", "delivery_limit".into()));
    assert_eq!(fetch(&channel, &queue).text(), "sound");
}

#[test]
fn who_comes_back_too_often_is_dropped_without_an_exchange() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = declare(&channel, &mut names, &quorum([("x-delivery-limit", 0.into())]));
    ["poison", "sound"].iter().for_each(|text| channel.publish("", &queue, text));
    requeue(&channel, &fetch(&channel, &queue));
    assert_eq!(fetch(&channel, &queue).text(), "sound");
}

#[test]
fn a_quorum_queue_has_a_limit_of_twenty_unless_it_says_otherwise() {
    if peer() {
        return; // Since 4.0.
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = declare(&channel, &mut names, &quorum([]));
    let unlimited = declare(&channel, &mut names, &quorum([("x-delivery-limit", Value::I32(-1))]));
    [&queue, &unlimited].iter().for_each(|queue| channel.publish("", queue, "x"));
    for _ in 0..21 {
        requeue(&channel, &fetch(&channel, &queue));
        requeue(&channel, &fetch(&channel, &unlimited));
    }
    assert_eq!(channel.counts(&queue).0, 0);
    assert_eq!(count(&fetch(&channel, &unlimited)), Some(21));
}

#[test]
fn a_classic_queue_may_have_a_limit_too() {
    if peer() {
        return; // Quorum queues alone have it there.
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let dead = channel.exclusive_queue();
    let limited = arguments([("x-delivery-limit", 1.into())]);
    let queue = declare(&channel, &mut names, &dead_lettering(limited, &dead));
    let plain = channel.exclusive_queue();
    [&queue, &plain].iter().for_each(|queue| channel.publish("", queue, "x"));
    for (expected, queue) in [(Some(1), &queue), (None, &plain)] {
        requeue(&channel, &fetch(&channel, queue));
        let delivery = fetch(&channel, queue);
        assert_eq!((count(&delivery), delivery.redelivered), (expected, true));
        requeue(&channel, &delivery);
    }
    wait_until("it is dead", || channel.counts(&dead).0 == 1);
    assert_eq!((channel.counts(&queue).0, channel.counts(&plain).0), (0, 1));
}

#[test]
fn returned_messages_may_have_to_wait_longer_each_time() {
    if peer() {
        return; // Since 4.3.
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let retries = [
        ("x-delayed-retry-type", "all".into()),
        ("x-delayed-retry-min", 800.into()),
        ("x-delayed-retry-max", 1200.into()),
    ];
    let queue = declare(&channel, &mut names, &quorum(retries));
    ["first", "second"].iter().for_each(|text| channel.publish("", &queue, text));
    let mut delivery = fetch(&channel, &queue);
    for wait_ms in [800, 1200, 1200] {
        let start = Instant::now();
        requeue(&channel, &delivery);
        let other = fetch(&channel, &queue);
        assert_eq!(other.text(), "second", "others are not held up");
        assert_eq!(channel.get(&queue), None);
        delivery = fetch(&channel, &queue);
        assert_eq!(delivery.text(), "first");
        let (waited, least) = (start.elapsed(), Duration::from_millis(wait_ms));
        assert!(waited >= least - Duration::from_millis(5), "{waited:?}");
        assert!(waited < least + Duration::from_secs(20), "{waited:?}");
        channel.send(methods::nack(other.delivery_tag, &[]));
        channel.publish("", &queue, "second");
    }
}

#[test]
fn only_some_returns_wait_where_the_queue_says_so() {
    if peer() {
        return; // Since 4.3.
    }
    let (channel, mut names) = (open_channel(), Names::new());
    for (kind, rejected_waits) in [("failed", true), ("returned", false)] {
        let retries = [("x-delayed-retry-type", kind.into()), ("x-delayed-retry-min", 1500.into())];
        let queue = declare(&channel, &mut names, &arguments(retries));
        for (is_rejected, flags) in [(true, &[Requeue]), (false, &[Requeue])] {
            channel.publish("", &queue, "x");
            let tag = fetch(&channel, &queue).delivery_tag;
            let settling = if is_rejected { methods::reject(tag, flags) } else { methods::nack(tag, flags) };
            channel.send(settling);
            let ready = channel.counts(&queue).0;
            assert_eq!(ready == 0, is_rejected == rejected_waits, "{kind}, rejected: {is_rejected}");
            let again = fetch(&channel, &queue);
            channel.ack(again.delivery_tag);
        }
    }
}

#[test]
fn a_dead_letter_stays_until_it_has_arrived() {
    if peer() {
        return; // It tries again after minutes.
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, dead) = (names.exchange("dlx"), channel.exclusive_queue());
    let sure = quorum([
        ("x-dead-letter-exchange", exchange.as_str().into()),
        ("x-dead-letter-strategy", "at-least-once".into()),
        ("x-overflow", "reject-publish".into()),
    ]);
    let queue = declare(&channel, &mut names, &sure);
    for number in 0..50 {
        channel.publish("", &queue, &number.to_string());
        channel.send(methods::reject(fetch(&channel, &queue).delivery_tag, &[]));
    }
    channel.sync();
    channel.exchange(&exchange, "fanout", &[], &none());
    std::thread::sleep(Duration::from_millis(1200));
    channel.bind(&dead, &exchange, "");
    wait_until("all arrive", || channel.counts(&dead).0 == 50);
    let expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(channel.drain(&dead), expected);
    // And at once, when there is a way.
    channel.publish("", &queue, "late");
    channel.send(methods::reject(fetch(&channel, &queue).delivery_tag, &[]));
    wait_until("it arrives", || channel.counts(&dead).0 == 1);
}

#[test]
fn a_dead_letter_that_is_refused_is_tried_again() {
    if peer() {
        return; // It tries again after minutes.
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let full = table([("x-max-length", 1.into()), ("x-overflow", "reject-publish".into())]);
    let dead = channel.declare("", &[Exclusive], &full).queue;
    let sure = quorum([("x-dead-letter-strategy", "at-least-once".into()), ("x-overflow", "reject-publish".into())]);
    let queue = declare(&channel, &mut names, &dead_lettering(sure, &dead));
    for number in 0..3 {
        channel.publish("", &queue, &number.to_string());
        channel.send(methods::reject(fetch(&channel, &queue).delivery_tag, &[]));
    }
    for number in 0..3 {
        let letter = fetch(&channel, &dead);
        assert_eq!(letter.text(), number.to_string());
        channel.ack(letter.delivery_tag);
    }
}
