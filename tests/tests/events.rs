//! The event exchange: what happens in the broker, as messages.

use leveret_tests::prelude::*;

const EXCHANGE: &str = "amq.rabbitmq.event";

/// Hears of events whose names match, one after the other.
struct Ear {
    channel: Channel,
}

/// What was told.
struct Told {
    name: String,
    headers: Table,
}

impl Ear {
    fn to(patterns: &[&str]) -> Ear {
        let channel = open_channel();
        let queue = channel.exclusive_queue();
        patterns.iter().for_each(|pattern| channel.bind(&queue, EXCHANGE, pattern));
        channel.consume_with(&queue, "", &[NoAck], &none());
        Ear { channel }
    }

    /// The next event that has this field with this value; others belong to other tests.
    fn next(&self, field: &str, value: &str) -> Told {
        loop {
            let delivery = self.channel.delivery();
            assert_eq!((&*delivery.exchange, &*delivery.text()), (EXCHANGE, ""));
            assert_eq!(delivery.props.delivery_mode, Some(2));
            let headers = delivery.props.headers.expect("an event has fields");
            let Some(Value::I64(now_ms)) = headers.get("timestamp_in_ms") else { panic!("{headers:?}") };
            assert_eq!(delivery.props.timestamp, u64::try_from(*now_ms / 1000).ok());
            if headers.get(field) == Some(&value.into()) {
                return Told { name: delivery.routing_key, headers };
            }
        }
    }
}

impl Told {
    fn has<V: Into<Value>>(&self, name: &str, fields: impl IntoIterator<Item = (&'static str, V)>) {
        assert_eq!(self.name, name);
        for (field, value) in fields {
            assert_eq!(self.headers.get(field), Some(&value.into()), "{field} of {name}: {:?}", self.headers);
        }
    }

    fn text(&self, field: &str) -> String {
        match self.headers.get(field) {
            Some(Value::Str(text)) => String::from_utf8_lossy(text).into_owned(),
            other => panic!("{field}: {other:?} in {:?}", self.headers),
        }
    }
}

#[test]
fn the_exchange_is_internal_and_durable() {
    let channel = open_channel();
    channel.exchange(EXCHANGE, "topic", &[Durable, Internal], &none());
    let text = format!("cannot publish to internal exchange '{EXCHANGE}' in vhost '/'");
    channel.refuses(methods::publish(EXCHANGE, "queue.created", &[], &Props::default(), b""), 403, &text);
    let text = format!("deletion of system exchange '{EXCHANGE}' in vhost '/' not allowed");
    channel.refuses(methods::exchange_delete(EXCHANGE, &[]), 403, &text);
}

#[test]
fn queues_are_told_of() {
    let (ear, channel, mut names) = (Ear::to(&["queue.*"]), open_channel(), Names::new());
    let queue = names.queue("told");
    channel.declare(&queue, &[Durable, AutoDelete], &table([("x-max-length", 5.into())]));
    let told = ear.next("name", &queue);
    told.has("queue.created", [("durable", true), ("auto_delete", true), ("exclusive", false)]);
    told.has("queue.created", [("vhost", "/"), ("owner_pid", ""), ("user_who_performed_action", "guest")]);
    told.has("queue.created", [("arguments", ["{<<\"x-max-length\">>,signedint,5}"])]);
    // To declare it again is no event.
    channel.declare(&queue, &[Durable, AutoDelete], &table([("x-max-length", 5.into())]));
    channel.rpc(methods::queue_delete(&queue, &[])).long();
    ear.next("name", &queue).has("queue.deleted", [("vhost", "/"), ("user_who_performed_action", "guest")]);
}

#[test]
fn queues_that_go_by_themselves_are_told_of() {
    let (ear, mut names) = (Ear::to(&["queue.*"]), Names::new());
    let connection = open();
    let channel = connection.channel(1);
    let exclusive = channel.exclusive_queue();
    let told = ear.next("name", &exclusive);
    told.has("queue.created", [("exclusive", true), ("durable", false)]);
    assert!(told.text("owner_pid").starts_with('<'));
    let auto_delete = names.queue("auto-delete");
    channel.declare(&auto_delete, &[AutoDelete], &none());
    ear.next("name", &auto_delete).has("queue.created", [("auto_delete", true)]);
    let tag = channel.consume(&auto_delete);
    channel.rpc(methods::cancel(&tag, &[])).shortstr();
    ear.next("name", &auto_delete).has("queue.deleted", [("user_who_performed_action", "rmq-internal")]);
    connection.close();
    ear.next("name", &exclusive).has("queue.deleted", [("user_who_performed_action", "rmq-internal")]);
}

#[test]
fn exchanges_and_bindings_are_told_of() {
    let (ear, channel, mut names) = (Ear::to(&["exchange.*", "binding.*"]), open_channel(), Names::new());
    let (exchange, queue) = (names.exchange("told"), channel.exclusive_queue());
    channel.exchange(&exchange, "topic", &[Durable], &table([("a", "b".into())]));
    let told = ear.next("name", &exchange);
    told.has("exchange.created", [("durable", true), ("auto_delete", false), ("internal", false)]);
    told.has("exchange.created", [("type", "topic"), ("vhost", "/"), ("user_who_performed_action", "guest")]);
    told.has("exchange.created", [("arguments", ["{<<\"a\">>,longstr,<<\"b\">>}"])]);
    channel.rpc(methods::queue_bind(&queue, &exchange, "k.*", &[], &table([("n", 1.into())]))).finish();
    let told = ear.next("source_name", &exchange);
    let binding = [
        ("source_kind", "exchange".into()),
        ("destination_name", queue.as_str().into()),
        ("destination_kind", "queue".into()),
        ("routing_key", "k.*".into()),
        ("vhost", "/".into()),
        ("arguments", Value::from(["{<<\"n\">>,signedint,1}"])),
    ];
    told.has("binding.created", binding.clone());
    channel.rpc(methods::queue_bind(&queue, &exchange, "k.*", &[], &table([("n", 1.into())]))).finish();
    channel.rpc(methods::queue_unbind(&queue, &exchange, "k.*", &table([("n", 1.into())]))).finish();
    ear.next("source_name", &exchange).has("binding.deleted", binding);
    let inner = names.exchange("inner");
    channel.exchange(&inner, "fanout", &[], &none());
    channel.rpc(methods::exchange_bind(&inner, &exchange, "", &[], &none())).finish();
    let told = ear.next("source_name", &exchange);
    told.has("binding.created", [("destination_kind", "exchange"), ("destination_name", &*inner)].map(owned));
    channel.rpc(methods::exchange_delete(&exchange, &[])).finish();
    ear.next("name", &exchange).has("exchange.deleted", [("vhost", "/"), ("user_who_performed_action", "guest")]);
    ear.next("source_name", &exchange).has("binding.deleted", [("destination_kind", "exchange")]);
}

fn owned((field, value): (&'static str, &str)) -> (&'static str, Value) {
    (field, value.into())
}

#[test]
fn connections_channels_and_consumers_are_told_of() {
    let ear = Ear::to(&["#"]);
    let given = unique("name");
    let properties = table([("connection_name", given.as_str().into())]);
    let login = Login { properties, ..Login::new(Broker::shared()) };
    let connection = Connection::open_with(Broker::shared(), &login);
    let opened = ear.next("user_provided_name", &given);
    opened.has("connection.created", [("user", "guest"), ("vhost", "/"), ("auth_mechanism", "PLAIN")]);
    opened.has("connection.created", [("protocol", "{0,9,1}"), ("type", "network")]);
    let (name, pid) = (opened.text("name"), opened.text("pid"));
    assert!(name.starts_with("127.0.0.1:") && name.contains(" -> 127.0.0.1:"), "{name}");
    let channel = connection.channel(7);
    let told = ear.next("connection", &pid);
    told.has("channel.created", [("number", Value::I64(7)), ("name", format!("{name} (7)").as_str().into())]);
    let channel_pid = told.text("pid");
    let queue = channel.exclusive_queue();
    channel.rpc(methods::qos(0, 5, &[]));
    channel.consume_with(&queue, "the tag", &[Exclusive], &table([("x-priority", 3.into())]));
    let told = ear.next("channel", &channel_pid);
    told.has("consumer.created", [("consumer_tag", "the tag"), ("queue", &*queue), ("vhost", "/")].map(owned));
    told.has("consumer.created", [("exclusive", true), ("ack_required", true)]);
    told.has("consumer.created", [("prefetch_count", Value::I64(5))]);
    told.has("consumer.created", [("arguments", ["{<<\"x-priority\">>,signedint,3}"])]);
    channel.rpc(methods::cancel("the tag", &[])).shortstr();
    ear.next("channel", &channel_pid).has("consumer.deleted", [("consumer_tag", "the tag")]);
    channel.consume_with(&queue, "another", &[NoAck], &none());
    ear.next("channel", &channel_pid).has("consumer.created", [("ack_required", false)]);
    channel.close();
    ear.next("channel", &channel_pid).has("consumer.deleted", [("consumer_tag", "another")]);
    ear.next("pid", &channel_pid).has("channel.closed", [("user_who_performed_action", "guest")]);
    connection.close();
    drop((channel, connection));
    ear.next("pid", &pid).has("connection.closed", [("name", &*name), ("user_provided_name", &*given)].map(owned));
}

#[test]
fn a_channel_that_fails_is_told_of() {
    let ear = Ear::to(&["channel.*"]);
    let connection = open();
    let channel = connection.channel(3);
    let number = [("number", Value::I64(3))];
    let told = loop {
        let told = ear.next("user", "guest");
        if told.headers.get("number") == Some(&number[0].1) {
            break told;
        }
    };
    let pid = told.text("pid");
    let missing = unique("missing");
    let text = format!("no queue '{missing}' in vhost '/'");
    channel.refuses(methods::queue_declare(&missing, &[Passive], &none()), 404, &text);
    ear.next("pid", &pid).has("channel.closed", [("user_who_performed_action", "guest")]);
}

#[test]
fn logins_are_told_of() {
    let ear = Ear::to(&["user.authentication.*"]);
    open().close();
    let told = ear.next("name", "guest");
    told.has("user.authentication.success", [("connection_type", "network"), ("auth_mechanism", "PLAIN")]);
    let nobody = unique("nobody");
    let login = Login { response: plain(&nobody, "wrong"), ..Login::new(Broker::shared()) };
    let mut socket = Socket::at(Broker::shared(), Stage::Started);
    socket.send_method(0, &login.start_ok());
    let told = ear.next("name", &nobody);
    told.has("user.authentication.failure", [("connection_type", "network"), ("protocol", "{0,9,1}")]);
    if peer() {
        // A list of characters.
        assert!(matches!(told.headers.get("error"), Some(Value::Array(_))));
    } else {
        assert_eq!(told.text("error"), format!("user '{nobody}' - invalid credentials"));
    }
    assert!(told.text("connection_name").contains(" -> "));
}

#[test]
fn keys_choose_the_events() {
    let (deleted, channel, mut names) = (Ear::to(&["*.deleted"]), open_channel(), Names::new());
    let queue = names.queue("chosen");
    channel.declare(&queue, &[], &none());
    channel.rpc(methods::queue_delete(&queue, &[])).long();
    deleted.next("name", &queue).has("queue.deleted", [("vhost", "/")]);
}

#[test]
fn events_end_with_the_last_binding() {
    let (channel, mut names) = (open_channel(), Names::new());
    let queue = channel.exclusive_queue();
    channel.bind(&queue, EXCHANGE, "exchange.#");
    let exchange = names.exchange("heard");
    channel.exchange(&exchange, "fanout", &[], &none());
    wait_until("the event is there", || channel.counts(&queue).0 > 0);
    channel.rpc(methods::queue_unbind(&queue, EXCHANGE, "exchange.#", &none())).finish();
    channel.rpc(methods::queue_purge(&queue, &[])).long();
    let exchange = names.exchange("unheard");
    channel.exchange(&exchange, "fanout", &[], &none());
    channel.sync();
    // What other tests did before the end of the binding may still have been on its way.
    while let Some(event) = channel.get_with(&queue, &[NoAck]) {
        let headers = event.props.headers.expect("an event has fields");
        assert_ne!(headers.get("name"), Some(&exchange.as_str().into()), "{headers:?}");
    }
}

#[test]
fn direct_replies_are_nobody_s_business() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    for pattern in ["queue.*", "consumer.*"] {
        channel.bind(&queue, EXCHANGE, pattern);
    }
    let requester = open_channel();
    let tag = requester.consume_with("amq.rabbitmq.reply-to", "", &[NoAck], &none());
    requester.rpc(methods::cancel(&tag, &[])).shortstr();
    let last = requester.exclusive_queue();
    loop {
        let Some(event) = channel.get_with(&queue, &[NoAck]) else { continue };
        let headers = event.props.headers.expect("an event has fields");
        for field in ["name", "queue"] {
            let Some(Value::Str(name)) = headers.get(field) else { continue };
            assert!(!name.starts_with(b"amq.rabbitmq.reply-to"), "{headers:?}");
        }
        if headers.get("name") == Some(&last.as_str().into()) {
            break;
        }
    }
}
