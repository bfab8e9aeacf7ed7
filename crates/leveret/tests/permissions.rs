//! Permissions: who may do what to which names, as RabbitMQ says it.
#![allow(clippy::unwrap_used, reason = "a test")]

use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use leveret::{Broker, NewUser};

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
