//! Events that only a program around the broker brings about.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::time::Duration;

use futures_lite::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer};
use leveret::{Broker, Policy, PolicyKind};
use tokio::time::timeout;

async fn hear(channel: &Channel, pattern: &str) -> Consumer {
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let nothing = FieldTable::default;
    let queue = channel.queue_declare("".into(), options, nothing()).await.unwrap().name().clone();
    let exchange = "amq.rabbitmq.event".into();
    channel.queue_bind(queue.clone(), exchange, pattern.into(), QueueBindOptions::default(), nothing()).await.unwrap();
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    channel.basic_consume(queue, "".into(), options, nothing()).await.unwrap()
}

async fn next(events: &mut Consumer) -> Delivery {
    timeout(Duration::from_secs(60), events.next()).await.unwrap().unwrap().unwrap()
}

fn field(event: &Delivery, name: &str) -> Option<AMQPValue> {
    event.properties.headers().as_ref().unwrap().inner().get(name).cloned()
}

fn text(event: &Delivery, name: &str) -> String {
    match field(event, name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn policies_are_told_of() {
    let broker = Broker::builder().ephemeral().vhost("other").start().unwrap();
    let connection = Connection::connect(&broker.amqp_uri(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let (mut policies, mut parameters) = (hear(&channel, "policy.*").await, hear(&channel, "parameter.*").await);
    for (kind, events) in [(PolicyKind::User, &mut policies), (PolicyKind::Operator, &mut parameters)] {
        let policy = Policy { priority: 3, ..Policy::new("short", "^q").number("max-length", 7) };
        broker.set_policy("other", kind, policy).unwrap();
        let event = next(events).await;
        let named = ["name", "vhost", "pattern", "apply-to"].map(|name| text(&event, name));
        assert_eq!(named, ["short", "other", "^q", "all"]);
        assert_eq!(field(&event, "priority"), Some(AMQPValue::LongLongInt(3)));
        let Some(AMQPValue::FieldTable(definition)) = field(&event, "definition") else { panic!("{event:?}") };
        assert!(definition.inner().contains_key("max-length"));
        let set = event.routing_key.to_string();
        assert!(broker.clear_policy("other", kind, "short").unwrap());
        let event = next(events).await;
        assert_eq!(["name", "vhost"].map(|name| text(&event, name)), ["short", "other"]);
        let cleared = event.routing_key.to_string();
        let expected = match kind {
            PolicyKind::User => ["policy.set", "policy.cleared"],
            PolicyKind::Operator => ["parameter.set", "parameter.cleared"],
        };
        assert_eq!([set, cleared], expected);
        assert_eq!(field(&event, "component").is_some(), kind == PolicyKind::Operator);
    }
}
