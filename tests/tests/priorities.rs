//! Messages with priorities, in queues that know them.

use leveret_tests::prelude::*;

fn with_levels<const N: usize>(max: i32, more: [(&str, Value); N]) -> Table {
    let mut arguments = table(more);
    arguments.0.push(("x-max-priority".to_owned(), max.into()));
    arguments
}

fn queue_with(channel: &Channel, arguments: &Table) -> String {
    channel.declare("", &[Exclusive], arguments).queue
}

fn publish(channel: &Channel, queue: &str, priority: u8, text: &str) {
    let props = Props { priority: Some(priority), ..Props::default() };
    channel.publish_with("", queue, &[], &props, text);
}

/// Publishes a text for each priority and waits until all are there.
fn publish_all(channel: &Channel, queue: &str, messages: &[(u8, &str)]) {
    messages.iter().for_each(|(priority, text)| publish(channel, queue, *priority, text));
    wait_until("all are there", || channel.counts(queue).0 as usize == messages.len());
}

#[test]
fn higher_priorities_come_first_and_equal_ones_in_order() {
    let channel = open_channel();
    let queue = queue_with(&channel, &with_levels(5, []));
    publish_all(&channel, &queue, &[(1, "1a"), (3, "3a"), (1, "1b"), (5, "5a"), (3, "3b"), (0, "0a"), (5, "5b")]);
    assert_eq!(channel.drain(&queue), ["5a", "5b", "3a", "3b", "1a", "1b", "0a"]);
}

#[test]
fn no_priority_is_the_lowest_and_too_much_the_highest() {
    let channel = open_channel();
    let queue = queue_with(&channel, &with_levels(3, []));
    channel.publish("", &queue, "none");
    for (priority, text) in [(0, "0"), (3, "3"), (200, "200"), (1, "1"), (4, "4")] {
        publish(&channel, &queue, priority, text);
    }
    wait_until("all are there", || channel.counts(&queue).0 == 6);
    assert_eq!(channel.drain(&queue), ["3", "200", "4", "1", "none", "0"]);
}

#[test]
fn the_priority_stays_as_it_was_published() {
    let channel = open_channel();
    let queue = queue_with(&channel, &with_levels(3, []));
    publish(&channel, &queue, 200, "x");
    assert_eq!(channel.get(&queue).unwrap().props.priority, Some(200));
}

#[test]
fn a_queue_without_levels_ignores_priorities() {
    let channel = open_channel();
    for queue in [channel.exclusive_queue(), queue_with(&channel, &with_levels(0, []))] {
        publish_all(&channel, &queue, &[(1, "a"), (9, "b"), (5, "c")]);
        assert_eq!(channel.drain(&queue), ["a", "b", "c"]);
    }
}

#[test]
fn returned_messages_go_back_to_their_level() {
    let channel = open_channel();
    let queue = queue_with(&channel, &with_levels(9, []));
    publish_all(&channel, &queue, &[(1, "1a"), (1, "1b"), (5, "5a"), (5, "5b")]);
    let tags: Vec<u64> = (0..3).map(|_| channel.get(&queue).unwrap().delivery_tag).collect();
    publish(&channel, &queue, 3, "3a");
    for tag in [tags[2], tags[0], tags[1]] {
        channel.send(methods::reject(tag, &[Requeue]));
    }
    wait_until("all are back", || channel.counts(&queue).0 == 5);
    assert_eq!(channel.drain(&queue), ["5a", "5b", "3a", "1a", "1b"]);
}

#[test]
fn consumers_get_the_highest_first_too() {
    let connection = open();
    let (channel, consumer) = (connection.channel(1), connection.channel(2));
    let queue = queue_with(&channel, &with_levels(255, []));
    publish_all(&channel, &queue, &[(1, "1a"), (255, "255a"), (100, "100a"), (255, "255b")]);
    consumer.rpc(methods::qos(0, 1, &[])).finish();
    consumer.consume(&queue);
    let mut texts = Vec::new();
    for _ in 0..4 {
        let delivery = consumer.delivery();
        texts.push(delivery.text());
        consumer.ack(delivery.delivery_tag);
    }
    assert_eq!(texts, ["255a", "255b", "100a", "1a"]);
}

#[test]
fn a_full_queue_drops_the_first_of_the_highest() {
    let channel = open_channel();
    let queue = queue_with(&channel, &with_levels(5, [("x-max-length", 3.into())]));
    publish_all(&channel, &queue, &[(1, "1a"), (5, "5a"), (5, "5b")]);
    publish(&channel, &queue, 1, "1b");
    publish(&channel, &queue, 1, "1c");
    channel.sync();
    wait_until("the highest go", || channel.get_with(&queue, &[NoAck]).is_some_and(|first| first.text() == "1a"));
    assert_eq!(channel.drain(&queue), ["1b", "1c"]);
}

#[test]
fn each_level_expires_by_itself() {
    if peer() {
        return; // There lower levels wait for the first message of the highest.
    }
    let channel = open_channel();
    let queue = queue_with(&channel, &with_levels(5, []));
    let expiring = |priority, expiration: &str| Props {
        priority: Some(priority),
        expiration: Some(expiration.to_owned()),
        ..Props::default()
    };
    channel.publish_with("", &queue, &[], &expiring(5, "60000"), "patient");
    channel.publish_with("", &queue, &[], &expiring(1, "100"), "hasty");
    channel.publish_with("", &queue, &[], &expiring(0, "60000"), "patient too");
    wait_until("the hasty one goes", || channel.counts(&queue).0 == 2);
    assert_eq!(channel.drain(&queue), ["patient", "patient too"]);
}

#[test]
fn many_messages_of_all_levels_are_in_order() {
    let channel = open_channel();
    let queue = queue_with(&channel, &with_levels(9, []));
    let mut expected: Vec<(u8, u32)> = (0..3000).map(|number: u32| ((number * 7 % 10) as u8, number)).collect();
    for (priority, number) in &expected {
        publish(&channel, &queue, *priority, &number.to_string());
    }
    expected.sort_by_key(|(priority, number)| (std::cmp::Reverse(*priority), *number));
    wait_until("all are there", || channel.counts(&queue).0 == 3000);
    let expected: Vec<String> = expected.into_iter().map(|(_, number)| number.to_string()).collect();
    assert_eq!(channel.drain(&queue), expected);
}

#[test]
fn quorum_queues_have_32_levels_and_a_default_of_4() {
    if peer() {
        return; // Since 4.3.
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = names.queue("quorum");
    channel.declare(&queue, &[Durable], &table([("x-queue-type", "quorum".into())]));
    ["none a", "none b"].iter().for_each(|text| channel.publish("", &queue, text));
    for (priority, text) in [(4, "4"), (3, "3"), (5, "5"), (40, "40"), (31, "31"), (0, "0")] {
        publish(&channel, &queue, priority, text);
    }
    channel.publish("", &queue, "none c");
    wait_until("all are there", || channel.counts(&queue).0 == 9);
    assert_eq!(channel.drain(&queue), ["40", "31", "5", "none a", "none b", "4", "none c", "3", "0"]);
}

#[test]
fn levels_survive_a_restart() {
    if skip_without_home("levels_survive_a_restart") {
        return;
    }
    let home = Home::new();
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    let persistent = |priority| Props { priority: Some(priority), ..Props::persistent() };
    channel.declare("classic", &[Durable], &with_levels(9, []));
    channel.declare("quorum", &[Durable], &table([("x-queue-type", "quorum".into())]));
    channel.rpc(methods::confirm_select(&[])).finish();
    for number in 0..2000u32 {
        let priority = u8::try_from(number % 10).unwrap();
        channel.publish_with("", "classic", &[], &persistent(priority), &number.to_string());
        channel.publish_with("", "quorum", &[], &persistent(priority), &number.to_string());
    }
    assert!(channel.confirms(1, 4000).into_values().all(|is_ack| is_ack));
    seal(&channel);
    broker.end(Stop::Kill);

    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    publish(&channel, "classic", 9, "new");
    publish(&channel, "classic", 0, "last");
    wait_until("all are there", || channel.counts("classic").0 == 2002);
    let mut expected: Vec<(u32, String)> = (0..2000u32).map(|number| (number % 10, number.to_string())).collect();
    expected.extend([(9, "new".to_owned()), (0, "last".to_owned())]);
    expected.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    let classic: Vec<String> = expected.iter().map(|(_, text)| text.clone()).collect();
    assert_eq!(channel.drain("classic"), classic);
    if !peer() {
        // Since 4.3.
        let quorum: Vec<String> = classic.into_iter().filter(|text| !["new", "last"].contains(&&**text)).collect();
        assert_eq!(channel.drain("quorum"), quorum);
    }
}
