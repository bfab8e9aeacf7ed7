//! Where messages go that a queue gives up, and what they tell of it.

use leveret_tests::prelude::*;

fn text(value: &str) -> Value {
    Value::Str(value.as_bytes().to_vec())
}

/// Arguments of a queue whose dead letters go to `exchange`, with `more` of them.
fn to<const N: usize>(exchange: &str, more: [(&str, Value); N]) -> Table {
    let mut arguments = table(more);
    arguments.0.push(("x-dead-letter-exchange".to_owned(), text(exchange)));
    arguments
}

/// Arguments of a queue whose dead letters go to `queue`.
fn to_queue<const N: usize>(queue: &str, more: [(&str, Value); N]) -> Table {
    let mut arguments = to("", more);
    arguments.0.push(("x-dead-letter-routing-key".to_owned(), text(queue)));
    arguments
}

fn queue_with(channel: &Channel, arguments: &Table) -> String {
    channel.declare("", &[Exclusive], arguments).queue
}

/// Waits for a message.
fn await_message(channel: &Channel, queue: &str) -> Delivery {
    wait_until("a dead letter comes", || channel.counts(queue).0 > 0);
    channel.get_with(queue, &[NoAck]).expect("a dead letter is there")
}

fn header<'d>(delivery: &'d Delivery, name: &str) -> Option<&'d Value> {
    delivery.props.headers.as_ref()?.get(name)
}

fn deaths(delivery: &Delivery) -> Vec<Table> {
    let Some(Value::Array(entries)) = header(delivery, "x-death") else { panic!("no x-death: {:?}", delivery.props) };
    let table = |entry: &Value| match entry {
        Value::Table(table) => table.clone(),
        other => panic!("not a table: {other:?}"),
    };
    entries.iter().map(table).collect()
}

/// Queue, reason and count of each death, the most recent first.
fn told(delivery: &Delivery) -> Vec<(String, String, i64)> {
    let field = |entry: &Table, name: &str| match entry.get(name) {
        Some(Value::Str(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("{name}: {other:?}"),
    };
    let count = |entry: &Table| match entry.get("count") {
        Some(Value::I64(count)) => *count,
        other => panic!("count: {other:?}"),
    };
    deaths(delivery).iter().map(|entry| (field(entry, "queue"), field(entry, "reason"), count(entry))).collect()
}

fn reject(channel: &Channel, queue: &str) {
    let delivery = channel.get(queue).expect("a message to reject");
    channel.send(methods::reject(delivery.delivery_tag, &[]));
    channel.sync();
}

// Why messages die

#[test]
fn rejected_messages_are_dead_lettered() {
    let channel = open_channel();
    let dead = channel.exclusive_queue();
    let queue = queue_with(&channel, &to_queue(&dead, []));
    (0..4).for_each(|number| channel.publish("", &queue, &number.to_string()));
    reject(&channel, &queue);
    let tags = [0; 3].map(|_| channel.get(&queue).unwrap().delivery_tag);
    let last = tags[2];
    channel.send(methods::nack(last, &[Multiple]));
    wait_until("all are dead", || channel.counts(&dead).0 == 4);
    assert_eq!(channel.drain(&dead), ["0", "1", "2", "3"], "in their order");
}

#[test]
fn expired_messages_are_dead_lettered_in_order() {
    let channel = open_channel();
    let dead = channel.exclusive_queue();
    let queue = queue_with(&channel, &to_queue(&dead, [("x-message-ttl", Value::I32(100))]));
    let expected: Vec<String> = (0..600).map(|number| number.to_string()).collect();
    expected.iter().for_each(|text| channel.publish("", &queue, text));
    wait_until("all are dead", || channel.counts(&dead).0 == 600);
    assert_eq!(channel.drain(&dead), expected);
    assert_eq!(channel.counts(&queue).0, 0);
}

#[test]
fn what_overflows_is_dead_lettered() {
    let channel = open_channel();
    let dead = channel.exclusive_queue();
    let queue = queue_with(&channel, &to_queue(&dead, [("x-max-length", Value::I32(2))]));
    (0..5).for_each(|number| channel.publish("", &queue, &number.to_string()));
    wait_until("the oldest are dead", || channel.counts(&dead).0 == 3);
    let first = channel.get_with(&dead, &[NoAck]).unwrap();
    assert_eq!(told(&first), [(queue.clone(), "maxlen".to_owned(), 1)]);
    assert_eq!(channel.drain(&dead), ["1", "2"]);
    assert_eq!(channel.drain(&queue), ["3", "4"]);
}

#[test]
fn what_is_refused_may_be_dead_lettered() {
    let channel = open_channel();
    let dead = channel.exclusive_queue();
    let refusing = [("x-max-length", Value::I32(1)), ("x-overflow", text("reject-publish-dlx"))];
    let queue = queue_with(&channel, &to_queue(&dead, refusing));
    channel.rpc(methods::confirm_select(&[])).finish();
    (0..3).for_each(|number| channel.publish("", &queue, &number.to_string()));
    let confirms: Vec<bool> = channel.confirms(1, 3).into_values().collect();
    assert_eq!(confirms, [true, false, false]);
    wait_until("the refused are dead", || channel.counts(&dead).0 == 2);
    let first = channel.get_with(&dead, &[NoAck]).unwrap();
    assert_eq!((first.text().as_str(), told(&first)), ("1", vec![(queue.clone(), "maxlen".to_owned(), 1)]));
    assert_eq!(channel.drain(&queue), ["0"]);
}

#[test]
fn purging_deleting_and_refusing_kill_nothing() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (dead, queue) = (channel.exclusive_queue(), names.queue("killed"));
    let refusing = [("x-max-length", Value::I32(2)), ("x-overflow", text("reject-publish"))];
    channel.declare(&queue, &[], &to_queue(&dead, refusing));
    (0..3).for_each(|number| channel.publish("", &queue, &number.to_string()));
    channel.rpc(methods::queue_purge(&queue, &[])).long();
    channel.publish("", &queue, "x");
    channel.rpc(methods::queue_delete(&queue, &[])).long();
    std::thread::sleep(SILENCE);
    assert_eq!(channel.counts(&dead).0, 0);
}

// Where they go

#[test]
fn dead_letters_keep_their_routing_keys() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("dlx");
    channel.exchange(&exchange, "direct", &[], &none());
    let (queue, own, copy) =
        (queue_with(&channel, &to(&exchange, [])), channel.exclusive_queue(), channel.exclusive_queue());
    channel.bind(&own, &exchange, &queue);
    channel.bind(&copy, &exchange, "copy");
    let copies = Value::Array(vec![text("copy")]);
    let props = Props::with_headers(table([("CC", copies.clone())]));
    channel.publish_with("", &queue, &[], &props, "x");
    reject(&channel, &queue);
    for to in [&own, &copy] {
        let letter = await_message(&channel, to);
        assert_eq!((&letter.exchange, &letter.routing_key), (&exchange, &queue));
        assert_eq!(header(&letter, "CC"), Some(&copies));
        let keys = deaths(&letter)[0].get("routing-keys").cloned();
        assert_eq!(keys, Some(Value::Array(vec![text(&queue), text("copy")])));
        assert!(!letter.redelivered);
    }
}

#[test]
fn a_routing_key_of_the_queue_takes_the_place_of_all_others() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("dlx");
    channel.exchange(&exchange, "direct", &[], &none());
    let arguments = to(&exchange, [("x-dead-letter-routing-key", text("own"))]);
    let (queue, own, copy) = (queue_with(&channel, &arguments), channel.exclusive_queue(), channel.exclusive_queue());
    channel.bind(&own, &exchange, "own");
    channel.bind(&copy, &exchange, "copy");
    let props = Props::with_headers(table([("CC", Value::Array(vec![text("copy")]))]));
    channel.publish_with("", &queue, &[], &props, "x");
    reject(&channel, &queue);
    let letter = await_message(&channel, &own);
    assert_eq!((letter.exchange.as_str(), letter.routing_key.as_str()), (exchange.as_str(), "own"));
    assert_eq!(channel.counts(&copy).0, 0);
}

#[test]
fn dead_letters_go_to_every_queue_and_through_alternate_exchanges() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (exchange, alternate) = (names.exchange("dlx"), names.exchange("alternate"));
    channel.exchange(&alternate, "fanout", &[], &none());
    channel.exchange(&exchange, "direct", &[], &table([("alternate-exchange", text(&alternate))]));
    let queue = queue_with(&channel, &to(&exchange, []));
    let targets = [channel.exclusive_queue(), channel.exclusive_queue()];
    targets.iter().for_each(|target| channel.bind(target, &alternate, ""));
    channel.publish("", &queue, "x");
    reject(&channel, &queue);
    for target in &targets {
        assert_eq!(await_message(&channel, target).exchange, exchange);
    }
}

#[test]
fn without_a_way_dead_letters_are_dropped() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("dlx");
    let queue = queue_with(&channel, &to(&exchange, []));
    channel.publish("", &queue, "no exchange");
    reject(&channel, &queue);
    channel.exchange(&exchange, "direct", &[], &none());
    channel.publish("", &queue, "no binding");
    reject(&channel, &queue);
    let dead = channel.exclusive_queue();
    channel.bind(&dead, &exchange, &queue);
    channel.publish("", &queue, "a binding");
    reject(&channel, &queue);
    assert_eq!(await_message(&channel, &dead).text(), "a binding");
    assert_eq!(channel.drain(&queue), texts(&[]));
}

// What they tell

#[test]
fn a_dead_letter_tells_how_it_died() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("source");
    channel.exchange(&exchange, "direct", &[], &none());
    let dead = channel.exclusive_queue();
    let queue = queue_with(&channel, &to_queue(&dead, []));
    channel.bind(&queue, &exchange, "key");
    let props = Props {
        headers: Some(table([("own", Value::I32(7))])),
        expiration: Some("100".to_owned()),
        message_id: Some("id".to_owned()),
        priority: Some(3),
        timestamp: Some(99),
        ..Props::persistent()
    };
    channel.publish_with(&exchange, "key", &[], &props, "body");
    let letter = await_message(&channel, &dead);
    assert_eq!((letter.text().as_str(), letter.exchange.as_str(), &letter.routing_key), ("body", "", &dead));
    let kept = Props { headers: None, expiration: None, ..props };
    assert_eq!(Props { headers: None, ..letter.props.clone() }, kept, "but for the expiration all stays");
    assert_eq!(header(&letter, "own"), Some(&Value::I32(7)));

    let [entry] = &deaths(&letter)[..] else { panic!("one death") };
    let mut fields = entry.0.clone();
    let time = fields.iter().position(|(name, _)| name == "time").map(|place| fields.remove(place).1);
    let Some(Value::Time(seconds)) = time else { panic!("no time: {time:?}") };
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(seconds <= now && now - seconds < 60, "{seconds} is not the time of death");
    // The order differs between versions of RabbitMQ.
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("count", Value::I64(1)),
        ("exchange", text(&exchange)),
        ("original-expiration", text("100")),
        ("queue", text(&queue)),
        ("reason", text("expired")),
        ("routing-keys", Value::Array(vec![text("key")])),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value)));
    for (name, value) in [("queue", queue.as_str()), ("reason", "expired"), ("exchange", &exchange)] {
        assert_eq!(header(&letter, &format!("x-first-death-{name}")), Some(&text(value)));
        if !peer() {
            // Since 4.0.
            assert_eq!(header(&letter, &format!("x-last-death-{name}")), Some(&text(value)));
        }
    }
}

#[test]
fn fields_of_a_death_are_in_order() {
    if peer() {
        return; // 3.10 has another order.
    }
    let channel = open_channel();
    let dead = channel.exclusive_queue();
    let queue = queue_with(&channel, &to_queue(&dead, []));
    channel.publish_with("", &queue, &[], &Props { expiration: Some("1".to_owned()), ..Props::default() }, "x");
    let letter = await_message(&channel, &dead);
    let names: Vec<String> = deaths(&letter)[0].0.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["original-expiration", "count", "reason", "queue", "time", "exchange", "routing-keys"]);
}

#[test]
fn deaths_of_one_kind_are_counted_and_the_last_comes_first() {
    let channel = open_channel();
    let dead = channel.exclusive_queue();
    // work -> rejected -> wait -> expired -> work, and so on.
    let wait = unique("wait");
    let work = queue_with(&channel, &to_queue(&wait, []));
    channel.declare(&wait, &[Exclusive], &to_queue(&work, [("x-message-ttl", Value::I32(50))]));
    channel.publish("", &work, "x");
    for _ in 0..3 {
        wait_until("the message comes round", || channel.counts(&work).0 == 1);
        reject(&channel, &work);
    }
    let letter = await_message(&channel, &work);
    let (rejected, expired) = ("rejected".to_owned(), "expired".to_owned());
    assert_eq!(told(&letter), [(wait, expired, 3), (work.clone(), rejected, 3)]);
    assert_eq!(header(&letter, "x-first-death-queue"), Some(&text(&work)));
    assert_eq!(header(&letter, "x-first-death-reason"), Some(&text("rejected")));
    assert_eq!(letter.routing_key, work);
    assert_eq!(channel.drain(&dead), texts(&[]));
}

#[test]
fn deaths_survive_a_consumer_s_return() {
    let connection = open();
    let (channel, consumer) = (connection.channel(1), connection.channel(2));
    let dead = channel.exclusive_queue();
    let second = queue_with(&channel, &to_queue(&dead, []));
    let first = queue_with(&channel, &to_queue(&second, []));
    channel.publish("", &first, "x");
    reject(&channel, &first);
    consumer.consume(&second);
    let delivery = consumer.delivery();
    consumer.send(methods::reject(delivery.delivery_tag, &[Requeue]));
    let delivery = consumer.delivery();
    assert!(delivery.redelivered);
    consumer.send(methods::reject(delivery.delivery_tag, &[]));
    let letter = await_message(&channel, &dead);
    let rejected = "rejected".to_owned();
    assert_eq!(told(&letter), [(second, rejected.clone(), 1), (first, rejected, 1)]);
}

#[test]
fn what_a_client_says_of_deaths_means_nothing() {
    if peer() {
        return; // Since 4.0; 3.10 goes on counting.
    }
    let channel = open_channel();
    let dead = channel.exclusive_queue();
    let queue = queue_with(&channel, &to_queue(&dead, []));
    channel.publish("", &queue, "x");
    reject(&channel, &queue);
    let letter = await_message(&channel, &dead);
    channel.publish_with("", &queue, &[], &letter.props, "again");
    let again = channel.get(&queue).unwrap();
    assert_eq!(again.props, letter.props, "it is a header like others");
    channel.send(methods::reject(again.delivery_tag, &[]));
    let letter = await_message(&channel, &dead);
    assert_eq!(told(&letter), [(queue, "rejected".to_owned(), 1)], "until the message dies");
}

// Cycles

#[test]
fn what_goes_round_by_itself_is_dropped() {
    let channel = open_channel();
    let name = unique("alone");
    let alone = channel.declare(&name, &[Exclusive], &to_queue(&name, [("x-message-ttl", Value::I32(20))])).queue;
    let (first, second) = (unique("first"), unique("second"));
    channel.declare(&first, &[Exclusive], &to_queue(&second, [("x-message-ttl", Value::I32(20))]));
    channel.declare(&second, &[Exclusive], &to_queue(&first, [("x-message-ttl", Value::I32(20))]));
    [&alone, &first].iter().for_each(|queue| channel.publish("", queue, "x"));
    channel.sync();
    wait_until("they are gone", || [&alone, &first, &second].iter().all(|queue| channel.counts(queue).0 == 0));
    std::thread::sleep(SILENCE);
    assert!([&alone, &first, &second].iter().all(|queue| channel.counts(queue).0 == 0));
}

#[test]
fn a_queue_may_dead_letter_to_itself_what_is_rejected() {
    let channel = open_channel();
    let name = unique("itself");
    let queue = channel.declare(&name, &[Exclusive], &to_queue(&name, [])).queue;
    channel.publish("", &queue, "x");
    for _ in 0..5 {
        wait_until("it comes back", || channel.counts(&queue).0 == 1);
        reject(&channel, &queue);
    }
    assert_eq!(told(&await_message(&channel, &queue)), [(queue, "rejected".to_owned(), 5)]);
}

#[test]
fn a_rejected_message_may_come_back_to_where_it_expired() {
    let channel = open_channel();
    let (wait, work) = (unique("wait"), unique("work"));
    channel.declare(&wait, &[Exclusive], &to_queue(&work, [("x-message-ttl", Value::I32(20))]));
    channel.declare(&work, &[Exclusive], &to_queue(&wait, []));
    channel.publish("", &wait, "x");
    for round in 1..=4 {
        let delivery = {
            wait_until("it comes round", || channel.counts(&work).0 == 1);
            channel.get(&work).unwrap()
        };
        assert_eq!(told(&delivery)[0], (wait.clone(), "expired".to_owned(), round));
        channel.send(methods::reject(delivery.delivery_tag, &[]));
    }
}

#[test]
fn dead_letters_in_a_transaction_come_with_the_commit() {
    let channel = open_channel();
    let observer = open_channel();
    let mut names = Names::new();
    let (dead, queue) = (names.queue("dead"), names.queue("source"));
    channel.declare(&dead, &[], &none());
    channel.declare(&queue, &[], &to_queue(&dead, []));
    channel.publish("", &queue, "x");
    channel.rpc(methods::tx_select()).finish();
    reject(&channel, &queue);
    assert_eq!(observer.counts(&dead).0, 0);
    channel.rpc(methods::tx_commit()).finish();
    assert_eq!(told(&await_message(&observer, &dead)), [(queue, "rejected".to_owned(), 1)]);
}

#[test]
fn large_bodies_are_dead_lettered_whole() {
    let channel = open_channel();
    let dead = channel.exclusive_queue();
    let queue = queue_with(&channel, &to_queue(&dead, []));
    let body = "large ".repeat(200_000);
    channel.publish("", &queue, &body);
    reject(&channel, &queue);
    assert_eq!(await_message(&channel, &dead).text(), body);
}

#[test]
fn blind_copies_stay_hidden_where_they_are_still_needed() {
    let (connection, mut names) = (open(), Names::new());
    let (channel, consumer) = (connection.channel(1), connection.channel(2));
    let exchange = names.exchange("dlx");
    channel.exchange(&exchange, "direct", &[], &none());
    let (queue, blind) = (queue_with(&channel, &to(&exchange, [])), channel.exclusive_queue());
    channel.bind(&blind, &exchange, "blind");
    let headers = table([("BCC", Value::Array(vec![text("blind")])), ("own", Value::I32(7))]);
    channel.publish_with("", &queue, &[], &Props::with_headers(headers), "x");
    let fetched = await_unsettled(&channel, &queue);
    consumer.consume(&queue);
    channel.send(methods::reject(fetched.delivery_tag, &[Requeue]));
    let delivered = consumer.delivery();
    for message in [&fetched, &delivered] {
        assert_eq!(message.props.headers, Some(table([("own", Value::I32(7))])));
    }
    consumer.send(methods::reject(delivered.delivery_tag, &[]));
    let letter = await_message(&channel, &blind);
    assert_eq!((header(&letter, "BCC"), header(&letter, "own")), (None, Some(&Value::I32(7))));
    assert_eq!(deaths(&letter)[0].get("routing-keys"), Some(&Value::Array(vec![text(&queue)])));
}

/// Waits for a message, and does not acknowledge it.
fn await_unsettled(channel: &Channel, queue: &str) -> Delivery {
    wait_until("a message comes", || channel.counts(queue).0 > 0);
    channel.get(queue).expect("a message is there")
}
