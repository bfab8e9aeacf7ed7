//! Permissions: who may do what to which names, as RabbitMQ says it.
#![allow(clippy::unwrap_used, reason = "a test")]

use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use leveret::{Broker, NewUser, TopicPermission};

/// A broker with user bob, who may do everything in vhost `/` to names that begin with `bob`.
fn broker() -> Broker {
    let user = |name: &str, configure: &str, write: &str, read: &str| NewUser {
        name: name.into(),
        password: "secret".into(),
        vhost: "/".into(),
        configure: configure.into(),
        write: write.into(),
        read: read.into(),
    };
    Broker::builder()
        .ephemeral()
        .vhost("other")
        .user(user("bob", "^bob", "^bob", "^bob"))
        .user(user("reader", "", "", ".*"))
        .start()
        .unwrap()
}

async fn connect(broker: &Broker, user: &str) -> Connection {
    let password = if user == "guest" { "guest" } else { "secret" };
    let uri = format!("amqp://{user}:{password}@{}/%2f", broker.address());
    Connection::connect(&uri, ConnectionProperties::default()).await.unwrap()
}

/// The text of the channel's end.
fn refusal<T: std::fmt::Debug>(result: lapin::Result<T>) -> (u16, String) {
    match result.unwrap_err().kind() {
        ErrorKind::ProtocolError(error) => (error.get_id(), error.get_message().to_string()),
        other => panic!("{other:?}"),
    }
}

async fn channel(connection: &Connection) -> Channel {
    connection.create_channel().await.unwrap()
}

fn refused(verb: &str, resource: &str, user: &str) -> (u16, String) {
    let text = format!("ACCESS_REFUSED - {verb} access to {resource} in vhost '/' refused for user '{user}'");
    (403, text)
}

#[tokio::test]
async fn what_the_patterns_allow_works() {
    let broker = broker();
    let bob = connect(&broker, "bob").await;
    let channel = channel(&bob).await;
    let nothing = FieldTable::default;
    channel.queue_declare("bobs".into(), QueueDeclareOptions::default(), nothing()).await.unwrap();
    let options = ExchangeDeclareOptions::default();
    channel.exchange_declare("bob.x".into(), ExchangeKind::Fanout, options, nothing()).await.unwrap();
    let options = QueueBindOptions::default();
    channel.queue_bind("bobs".into(), "bob.x".into(), "".into(), options, nothing()).await.unwrap();
    let publish = channel.basic_publish(
        "bob.x".into(),
        "".into(),
        BasicPublishOptions::default(),
        b"hi",
        BasicProperties::default(),
    );
    publish.await.unwrap();
    let got = channel.basic_get("bobs".into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!(got.data, b"hi");
}

#[tokio::test]
async fn declaring_needs_configure() {
    let broker = broker();
    let bob = connect(&broker, "bob").await;
    let declared =
        channel(&bob).await.queue_declare("alices".into(), QueueDeclareOptions::default(), FieldTable::default()).await;
    assert_eq!(refusal(declared), refused("configure", "queue 'alices'", "bob"));
    let deleted = channel(&bob).await.exchange_delete("x".into(), ExchangeDeleteOptions::default()).await;
    assert_eq!(refusal(deleted), refused("configure", "exchange 'x'", "bob"));
}

#[tokio::test]
async fn publishing_needs_write_also_to_the_default_exchange() {
    let broker = broker();
    let bob = connect(&broker, "bob").await;
    for (exchange, name) in [("", "amq.default"), ("amq.topic", "amq.topic")] {
        let channel = channel(&bob).await;
        let confirm = ConfirmSelectOptions::default();
        channel.confirm_select(confirm).await.unwrap();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let publish = channel.basic_publish(exchange.into(), "bobs".into(), options, b"", properties);
        let confirm = match publish.await {
            Ok(confirm) => confirm.await.map(drop),
            Err(error) => Err(error),
        };
        assert_eq!(refusal(confirm), refused("write", &format!("exchange '{name}'"), "bob"));
    }
}

#[tokio::test]
async fn taking_needs_read_and_binding_needs_both() {
    let broker = broker();
    let guest = connect(&broker, "guest").await;
    let (options, nothing) = (QueueDeclareOptions::default(), FieldTable::default);
    channel(&guest).await.queue_declare("alices".into(), options, nothing()).await.unwrap();
    let bob = connect(&broker, "bob").await;
    let got = channel(&bob).await.basic_get("alices".into(), BasicGetOptions::default()).await;
    assert_eq!(refusal(got), refused("read", "queue 'alices'", "bob"));
    let options = QueueBindOptions::default();
    let bound = channel(&bob).await.queue_bind("alices".into(), "bob.x".into(), "".into(), options, nothing()).await;
    assert_eq!(refusal(bound), refused("write", "queue 'alices'", "bob"));
    let reader = connect(&broker, "reader").await;
    let purged = channel(&reader).await.queue_purge("alices".into(), QueuePurgeOptions::default()).await;
    assert_eq!(purged.unwrap(), 0);
}

/// Every operation with what it needs: users who may do one of the three to the names that begin with theirs.
#[tokio::test]
async fn each_operation_needs_what_the_table_says() {
    let user = |name: &str, [configure, write, read]: [&str; 3]| NewUser {
        name: name.into(),
        password: "secret".into(),
        vhost: "/".into(),
        configure: configure.into(),
        write: write.into(),
        read: read.into(),
    };
    let broker = Broker::builder()
        .user(user("configure", ["^(q|x)$", "", ""]))
        .user(user("write", ["", "^(q|x|amq.default)$", ""]))
        .user(user("read", ["", "", "^(q|x)$"]))
        .user(user("both", ["", "^(q|x)$", "^(q|x)$"]))
        .user_tag("read", "administrator")
        .start()
        .unwrap();
    let nothing = FieldTable::default;
    let guest = channel(&connect(&broker, "guest").await).await;
    let operations: [(&str, &[&str]); 11] = [
        ("exchange.declare", &["configure"]),
        ("exchange.delete", &["configure"]),
        ("queue.declare", &["configure"]),
        ("queue.delete", &["configure"]),
        ("queue.bind", &["both"]),
        ("queue.unbind", &["both"]),
        ("exchange.bind", &["both"]),
        ("exchange.unbind", &["both"]),
        ("basic.get", &["read", "both"]),
        ("basic.consume", &["read", "both"]),
        ("queue.purge", &["read", "both"]),
    ];
    for (operation, allowed) in operations {
        for user in ["configure", "write", "read", "both"] {
            guest.queue_declare("q".into(), QueueDeclareOptions::default(), nothing()).await.unwrap();
            let options = ExchangeDeclareOptions::default();
            guest.exchange_declare("x".into(), ExchangeKind::Fanout, options, nothing()).await.unwrap();
            let refusal = attempt(&connect(&broker, user).await, operation).await.err();
            assert_eq!(refusal.is_none(), allowed.contains(&user), "{operation} by {user}: {refusal:?}");
            assert!(refusal.is_none_or(|(code, _)| code == 403), "{operation} by {user}");
        }
    }
}

/// Does it to queue q or exchange x.
async fn attempt(connection: &Connection, operation: &str) -> Result<(), (u16, String)> {
    let (channel, nothing) = (channel(connection).await, FieldTable::default);
    let (q, x) = (|| "q".into(), || "x".into());
    let result = match operation {
        "exchange.declare" => {
            channel.exchange_declare(x(), ExchangeKind::Fanout, ExchangeDeclareOptions::default(), nothing()).await
        }
        "exchange.delete" => channel.exchange_delete(x(), ExchangeDeleteOptions::default()).await,
        "queue.declare" => channel.queue_declare(q(), QueueDeclareOptions::default(), nothing()).await.map(drop),
        "queue.delete" => channel.queue_delete(q(), QueueDeleteOptions::default()).await.map(drop),
        "queue.bind" => channel.queue_bind(q(), x(), "".into(), QueueBindOptions::default(), nothing()).await,
        "queue.unbind" => channel.queue_unbind(q(), x(), "".into(), nothing()).await,
        "exchange.bind" => channel.exchange_bind(x(), x(), "".into(), ExchangeBindOptions::default(), nothing()).await,
        "exchange.unbind" => {
            channel.exchange_unbind(x(), x(), "".into(), ExchangeUnbindOptions::default(), nothing()).await
        }
        "basic.get" => channel.basic_get(q(), BasicGetOptions::default()).await.map(drop),
        "basic.consume" => {
            channel.basic_consume(q(), "".into(), BasicConsumeOptions::default(), nothing()).await.map(drop)
        }
        "queue.purge" => channel.queue_purge(q(), QueuePurgeOptions::default()).await.map(drop),
        other => panic!("{other}"),
    };
    if result.is_ok() { Ok(()) } else { Err(refusal(result)) }
}

#[tokio::test]
async fn refusal_comes_before_absence() {
    let broker = broker();
    let bob = connect(&broker, "bob").await;
    let got = channel(&bob).await.basic_get("nobodys".into(), BasicGetOptions::default()).await;
    assert_eq!(refusal(got), refused("read", "queue 'nobodys'", "bob"));
}

#[tokio::test]
async fn a_dead_letter_exchange_needs_write_and_an_alternate_exchange_too() {
    let broker = broker();
    let bob = connect(&broker, "bob").await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("amq.direct".into()));
    let options = QueueDeclareOptions::default();
    let declared = channel(&bob).await.queue_declare("bobs".into(), options, arguments).await;
    assert_eq!(refusal(declared), refused("write", "exchange 'amq.direct'", "bob"));
    let mut arguments = FieldTable::default();
    arguments.insert("alternate-exchange".into(), AMQPValue::LongString("amq.direct".into()));
    let options = ExchangeDeclareOptions::default();
    let declared = channel(&bob).await.exchange_declare("bob.x".into(), ExchangeKind::Direct, options, arguments).await;
    assert_eq!(refusal(declared), refused("write", "exchange 'amq.direct'", "bob"));
}

#[tokio::test]
async fn dead_lettering_and_alternates_need_read_of_what_has_them() {
    let carol = NewUser {
        name: "carol".into(),
        password: "secret".into(),
        vhost: "/".into(),
        configure: ".*".into(),
        write: ".*".into(),
        read: "".into(),
    };
    let broker = Broker::builder().user(carol).start().unwrap();
    let carol = connect(&broker, "carol").await;
    let with = |argument: &str| {
        let mut arguments = FieldTable::default();
        arguments.insert(argument.into(), AMQPValue::LongString("amq.direct".into()));
        arguments
    };
    let options = QueueDeclareOptions::default();
    let declared = channel(&carol).await.queue_declare("q".into(), options, with("x-dead-letter-exchange")).await;
    assert_eq!(refusal(declared), refused("read", "queue 'q'", "carol"));
    let (options, kind) = (ExchangeDeclareOptions::default(), ExchangeKind::Direct);
    let declared = channel(&carol).await.exchange_declare("x".into(), kind, options, with("alternate-exchange")).await;
    assert_eq!(refusal(declared), refused("read", "exchange 'x'", "carol"));
    // Of what is there already only the right to declare it is asked.
    let guest = channel(&connect(&broker, "guest").await).await;
    guest.queue_declare("q".into(), QueueDeclareOptions::default(), with("x-dead-letter-exchange")).await.unwrap();
    channel(&carol)
        .await
        .queue_declare("q".into(), QueueDeclareOptions::default(), with("x-dead-letter-exchange"))
        .await
        .unwrap();
}

#[tokio::test]
async fn dead_letters_need_no_permission() {
    let broker = broker();
    let guest = channel(&connect(&broker, "guest").await).await;
    let (options, nothing) = (QueueDeclareOptions::default(), FieldTable::default);
    guest.queue_declare("dead".into(), options, nothing()).await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString("dead".into()));
    guest.queue_declare("work".into(), options, arguments).await.unwrap();
    guest.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    guest.basic_publish("".into(), "work".into(), options, b"x", properties).await.unwrap().await.unwrap();
    // The reader may write nowhere.
    let reader = channel(&connect(&broker, "reader").await).await;
    let got = reader.basic_get("work".into(), BasicGetOptions::default()).await.unwrap().unwrap();
    got.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    // What comes behind it on the channel is answered when it is done.
    reader.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let letter = guest.basic_get("dead".into(), BasicGetOptions { no_ack: true }).await.unwrap();
    assert_eq!(letter.unwrap().data, b"x");
}

#[tokio::test]
async fn a_passive_declare_needs_any_of_the_three() {
    let broker = broker();
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let guest = connect(&broker, "guest").await;
    let (options, nothing) = (QueueDeclareOptions::default(), FieldTable::default);
    channel(&guest).await.queue_declare("alices".into(), options, nothing()).await.unwrap();
    let reader = connect(&broker, "reader").await;
    channel(&reader).await.queue_declare("alices".into(), passive, nothing()).await.unwrap();
    let bob = connect(&broker, "bob").await;
    let declared = channel(&bob).await.queue_declare("alices".into(), passive, nothing()).await;
    assert_eq!(refusal(declared), refused("configure", "queue 'alices'", "bob"));
}

#[tokio::test]
async fn a_vhost_without_permissions_is_refused() {
    let broker = broker();
    let uri = format!("amqp://bob:secret@{}/other", broker.address());
    let refused = refusal(Connection::connect(&uri, ConnectionProperties::default()).await);
    assert_eq!(refused, (530, "NOT_ALLOWED - access to vhost 'other' refused for user 'bob'".to_owned()));
}

/// A broker with user bob, who may do everything, but only with some keys of amq.topic.
fn broker_with_topics() -> Broker {
    let permission = TopicPermission {
        user: "bob".into(),
        vhost: "/".into(),
        exchange: "amq.topic".into(),
        write: "^{username}\\.".into(),
        read: "^(bob|news)\\.[a-z]+$".into(),
    };
    let bob = NewUser {
        name: "bob".into(),
        password: "secret".into(),
        vhost: "/".into(),
        configure: ".*".into(),
        write: ".*".into(),
        read: ".*".into(),
    };
    Broker::builder().ephemeral().user(bob).topic_permission(permission).start().unwrap()
}

/// Publishes with a confirm and gives the refusal, if there is one.
async fn publish(bob: &Connection, exchange: &str, key: &str, properties: BasicProperties) -> Option<(u16, String)> {
    let channel = channel(bob).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let publish = channel.basic_publish(exchange.into(), key.into(), BasicPublishOptions::default(), b"", properties);
    let confirm = match publish.await {
        Ok(confirm) => confirm.await.map(drop),
        Err(error) => Err(error),
    };
    confirm.is_err().then(|| refusal(confirm))
}

#[tokio::test]
async fn a_topic_permission_looks_at_the_keys_of_publishes() {
    let broker = broker_with_topics();
    let bob = connect(&broker, "bob").await;
    let copies = |header: &str, keys: &[&str]| {
        let keys = keys.iter().map(|key| AMQPValue::LongString((*key).into())).collect::<Vec<_>>();
        let mut headers = FieldTable::default();
        headers.insert(header.into(), AMQPValue::FieldArray(keys.into()));
        BasicProperties::default().with_headers(headers)
    };
    let refused = |key: &str| Some(refused("write", &format!("topic '{key}' in exchange 'amq.topic'"), "bob"));
    assert_eq!(publish(&bob, "amq.topic", "bob.x", BasicProperties::default()).await, None);
    assert_eq!(publish(&bob, "amq.topic", "alice.x", BasicProperties::default()).await, refused("alice.x"));
    assert_eq!(publish(&bob, "amq.topic", "bob.x", copies("CC", &["bob.y"])).await, None);
    assert_eq!(publish(&bob, "amq.topic", "bob.x", copies("CC", &["bob.y", "eve"])).await, refused("eve"));
    assert_eq!(publish(&bob, "amq.topic", "bob.x", copies("BCC", &["eve"])).await, refused("eve"));
    // Other exchanges have no such permissions.
    assert_eq!(publish(&bob, "amq.direct", "alice.x", BasicProperties::default()).await, None);
    let guest = connect(&broker, "guest").await;
    assert_eq!(publish(&guest, "amq.topic", "alice.x", BasicProperties::default()).await, None);
}

#[tokio::test]
async fn a_topic_permission_looks_at_the_keys_of_bindings() {
    let broker = broker_with_topics();
    let bob = connect(&broker, "bob").await;
    let (declare, nothing) = (QueueDeclareOptions::default(), FieldTable::default);
    channel(&bob).await.queue_declare("q".into(), declare, nothing()).await.unwrap();
    for (exchange, key, allowed) in [
        ("amq.topic", "bob.x", true),
        ("amq.topic", "news.today", true),
        ("amq.topic", "#", false),
        ("amq.topic", "alice.x", false),
        ("amq.fanout", "alice.x", true),
    ] {
        let options = QueueBindOptions::default();
        let bound = channel(&bob).await.queue_bind("q".into(), exchange.into(), key.into(), options, nothing()).await;
        let options = ExchangeBindOptions::default();
        let to = channel(&bob).await;
        let bound_exchange =
            to.exchange_bind("amq.fanout".into(), exchange.into(), key.into(), options, nothing()).await;
        let text = refused("read", &format!("topic '{key}' in exchange '{exchange}'"), "bob");
        for bound in [bound, bound_exchange] {
            assert_eq!(bound.is_err().then(|| refusal(bound)), (!allowed).then(|| text.clone()), "{exchange} {key}");
        }
        let unbound = channel(&bob).await.queue_unbind("q".into(), exchange.into(), key.into(), nothing()).await;
        assert_eq!(unbound.is_err().then(|| refusal(unbound)), (!allowed).then(|| text.clone()), "{exchange} {key}");
    }
}

#[tokio::test]
async fn an_impersonator_may_set_any_user_id() {
    let bob = |name: &str| NewUser {
        name: name.into(),
        password: "secret".into(),
        vhost: "/".into(),
        configure: ".*".into(),
        write: ".*".into(),
        read: ".*".into(),
    };
    let broker = Broker::builder().user(bob("bob")).user(bob("eve")).user_tag("bob", "impersonator").start().unwrap();
    let claim = || BasicProperties::default().with_user_id("alice".into());
    assert_eq!(publish(&connect(&broker, "bob").await, "amq.direct", "", claim()).await, None);
    let text = "PRECONDITION_FAILED - user_id property set to 'alice' but authenticated user was 'eve'";
    let refused = publish(&connect(&broker, "eve").await, "amq.direct", "", claim()).await;
    assert_eq!(refused, Some((406, text.to_owned())));
}

#[tokio::test]
async fn binding_exchanges_needs_write_to_the_destination_and_read_from_the_source() {
    let broker = broker();
    let guest = connect(&broker, "guest").await;
    let options = ExchangeDeclareOptions::default();
    let declare = channel(&guest).await;
    declare.exchange_declare("bob.x".into(), ExchangeKind::Fanout, options, FieldTable::default()).await.unwrap();
    let bob = connect(&broker, "bob").await;
    for (destination, source, verb, name) in [
        ("amq.fanout", "bob.x", "write", "amq.fanout"),
        ("bob.x", "amq.fanout", "read", "amq.fanout"),
        ("amq.fanout", "amq.topic", "write", "amq.fanout"),
        ("amq.fanout", "missing", "write", "amq.fanout"),
    ] {
        let (bind, unbind) = (channel(&bob).await, channel(&bob).await);
        let options = ExchangeBindOptions::default();
        let bound =
            bind.exchange_bind(destination.into(), source.into(), "".into(), options, FieldTable::default()).await;
        let options = ExchangeUnbindOptions::default();
        let unbound =
            unbind.exchange_unbind(destination.into(), source.into(), "".into(), options, FieldTable::default()).await;
        for outcome in [bound, unbound] {
            assert_eq!(refusal(outcome), refused(verb, &format!("exchange '{name}'"), "bob"));
        }
    }
    let options = ExchangeBindOptions::default();
    let own = channel(&bob).await;
    own.exchange_bind("bob.x".into(), "bob.x".into(), "".into(), options, FieldTable::default()).await.unwrap();
}

#[tokio::test]
async fn a_pattern_is_searched_for_anywhere_in_the_name() {
    let user = NewUser {
        name: "carol".into(),
        password: "secret".into(),
        vhost: "/".into(),
        configure: "mine|^x$".into(),
        write: "^$".into(),
        read: "".into(),
    };
    let broker = Broker::builder().user(user).start().unwrap();
    let carol = connect(&broker, "carol").await;
    for (name, allowed) in [("mine", true), ("all mine!", true), ("x", true), ("xx", false), ("Mine", false)] {
        let options = QueueDeclareOptions::default();
        let declared = channel(&carol).await.queue_declare(name.into(), options, FieldTable::default()).await;
        assert_eq!(declared.is_ok(), allowed, "{name}");
    }
    // Patterns that match nothing but the empty name grant nothing.
    let got = channel(&carol).await.basic_get("mine".into(), BasicGetOptions::default()).await;
    assert_eq!(refusal(got), refused("read", "queue 'mine'", "carol"));
}
