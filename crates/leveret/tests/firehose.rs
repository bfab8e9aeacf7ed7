//! The firehose: copies of what is published and delivered, while a vhost is traced.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::time::Duration;

use futures_lite::StreamExt as _;
use lapin::message::BasicGetMessage;
use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use leveret::Broker;
use tokio::time::{sleep, timeout};

const TRACE: &str = "amq.rabbitmq.trace";
const PATIENCE: Duration = Duration::from_secs(60);

struct Fixture {
    broker: Broker,
    _connection: Connection,
    channel: Channel,
    /// Has what is traced.
    traces: String,
}

impl Fixture {
    async fn new() -> Self {
        let broker = Broker::builder().ephemeral().vhost("other").start().unwrap();
        let connection = Connection::connect(&broker.amqp_uri(), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let traces = declare(&channel, "traces").await;
        let options = QueueBindOptions::default();
        channel.queue_bind("traces".into(), TRACE.into(), "#".into(), options, FieldTable::default()).await.unwrap();
        Self { broker, _connection: connection, channel, traces }
    }

    /// The next trace.
    async fn trace(&self) -> Trace {
        let next = async {
            loop {
                let options = BasicGetOptions { no_ack: true };
                if let Some(got) = self.channel.basic_get(self.traces.as_str().into(), options).await.unwrap() {
                    return Trace(got);
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, next).await.unwrap()
    }

    /// Nothing is traced that was not asked for: a publish of ours comes next.
    async fn assert_silent(&self) {
        publish(&self.channel, "amq.direct", "the end", BasicProperties::default(), b"").await;
        let trace = self.trace().await;
        assert_eq!((&*trace.key(), &*trace.text("routing_keys")), ("publish.amq.direct", "[the end]"));
    }
}

struct Trace(BasicGetMessage);

impl Trace {
    fn key(&self) -> String {
        assert_eq!(self.0.delivery.exchange.as_str(), TRACE);
        self.0.delivery.routing_key.to_string()
    }

    fn header(&self, name: &str) -> Option<AMQPValue> {
        let headers = self.0.delivery.properties.headers().as_ref().unwrap();
        headers.inner().get(name).cloned()
    }

    fn text(&self, name: &str) -> String {
        shown(&self.header(name).unwrap())
    }

    fn properties(&self) -> FieldTable {
        match self.header("properties") {
            Some(AMQPValue::FieldTable(properties)) => properties,
            other => panic!("{other:?}"),
        }
    }
}

fn shown(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::LongLongInt(number) => format!("{number}l"),
        AMQPValue::FieldArray(values) => {
            format!("[{}]", values.as_slice().iter().map(shown).collect::<Vec<_>>().join(","))
        }
        other => format!("{other:?}"),
    }
}

async fn declare(channel: &Channel, queue: &str) -> String {
    let options = QueueDeclareOptions::default();
    channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    queue.to_owned()
}

async fn publish(channel: &Channel, exchange: &str, key: &str, properties: BasicProperties, body: &[u8]) {
    let options = BasicPublishOptions::default();
    channel.basic_publish(exchange.into(), key.into(), options, body, properties).await.unwrap();
}

async fn consume(channel: &Channel, queue: &str) -> Consumer {
    let options = BasicConsumeOptions::default();
    channel.basic_consume(queue.into(), "tag".into(), options, FieldTable::default()).await.unwrap()
}

#[tokio::test]
async fn a_publish_is_traced_with_all_that_is_known_of_it() {
    let fixture = Fixture::new().await;
    assert!(fixture.broker.set_tracing("/", true));
    for queue in ["one", "two", "three"] {
        declare(&fixture.channel, queue).await;
    }
    let mut headers = FieldTable::default();
    let keys = |key: &str| AMQPValue::FieldArray(vec![AMQPValue::LongString(LongString::from(key))].into());
    headers.insert(ShortString::from("CC"), keys("two"));
    headers.insert(ShortString::from("BCC"), keys("three"));
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_priority(3)
        .with_delivery_mode(2)
        .with_message_id("id".into())
        .with_timestamp(1 << 40);
    publish(&fixture.channel, "", "one", properties, b"the body").await;
    let trace = fixture.trace().await;
    assert_eq!(trace.key(), "publish.");
    assert_eq!(trace.0.delivery.data, b"the body");
    let told = ["exchange_name", "routing_keys", "routed_queues", "vhost", "channel", "user", "node"];
    let told = told.map(|name| trace.text(name));
    assert_eq!(told, ["", "[one,two,three]", "[one,two,three]", "/", "1", "guest", "rabbit@localhost"]);
    assert!(trace.text("connection").contains(" -> 127.0.0.1:"));
    let properties = trace.properties();
    let told = ["priority", "delivery_mode", "message_id", "timestamp"];
    let told = told.map(|name| shown(&properties.inner()[name]));
    assert_eq!(told, ["3", "2", "id", "1099511627776l"]);
    let Some(AMQPValue::FieldTable(headers)) = properties.inner().get("headers") else { panic!("{properties:?}") };
    // BCC is nobody's business.
    assert_eq!(headers.inner().keys().map(ShortString::as_str).collect::<Vec<_>>(), ["CC"]);
    assert!(properties.inner().get("content_type").is_none());
}

#[tokio::test]
async fn what_goes_nowhere_is_traced_too() {
    let fixture = Fixture::new().await;
    fixture.broker.set_tracing("/", true);
    publish(&fixture.channel, "amq.topic", "nobody.wants.it", BasicProperties::default(), b"").await;
    let trace = fixture.trace().await;
    assert_eq!((&*trace.key(), &*trace.text("routed_queues")), ("publish.amq.topic", "[]"));
    assert!(trace.properties().inner().is_empty());
}

#[tokio::test]
async fn deliveries_and_gets_are_traced() {
    let fixture = Fixture::new().await;
    declare(&fixture.channel, "q").await;
    publish(&fixture.channel, "", "q", BasicProperties::default(), b"text").await;
    declare(&fixture.channel, "a barrier").await;
    let got = fixture.channel.basic_get("q".into(), BasicGetOptions::default()).await.unwrap().unwrap();
    fixture.broker.set_tracing("/", true);
    got.delivery.acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await.unwrap();
    let got = fixture.channel.basic_get("q".into(), BasicGetOptions::default()).await.unwrap().unwrap();
    let trace = fixture.trace().await;
    assert_eq!(trace.key(), "deliver.q");
    assert_eq!(trace.0.delivery.data, b"text");
    let told = ["redelivered", "exchange_name", "routing_keys", "vhost", "channel", "user"];
    assert_eq!(told.map(|name| trace.text(name)), ["1", "", "[q]", "/", "1", "guest"]);
    assert!(trace.header("routed_queues").is_none());
    got.delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
    let mut consumer = consume(&fixture.channel, "q").await;
    publish(&fixture.channel, "", "q", BasicProperties::default(), b"live").await;
    let delivery = timeout(PATIENCE, consumer.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(delivery.data, b"live");
    assert_eq!(fixture.trace().await.key(), "publish.");
    let trace = fixture.trace().await;
    assert_eq!((&*trace.key(), &*trace.text("redelivered")), ("deliver.q", "0"));
    fixture.assert_silent().await;
}

#[tokio::test]
async fn a_backlog_is_traced_as_it_is_delivered() {
    let fixture = Fixture::new().await;
    declare(&fixture.channel, "q").await;
    for _ in 0..100 {
        publish(&fixture.channel, "", "q", BasicProperties::default(), b"text").await;
    }
    declare(&fixture.channel, "a barrier").await;
    fixture.broker.set_tracing("/", true);
    let mut consumer = consume(&fixture.channel, "q").await;
    for _ in 0..100 {
        timeout(PATIENCE, consumer.next()).await.unwrap().unwrap().unwrap();
    }
    for _ in 0..100 {
        assert_eq!(fixture.trace().await.key(), "deliver.q");
    }
    fixture.assert_silent().await;
}

#[tokio::test]
async fn traces_are_not_traced() {
    let fixture = Fixture::new().await;
    fixture.broker.set_tracing("/", true);
    let mut consumer = consume(&fixture.channel, "traces").await;
    publish(&fixture.channel, "amq.direct", "nowhere", BasicProperties::default(), b"").await;
    let delivery = timeout(PATIENCE, consumer.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(delivery.routing_key.as_str(), "publish.amq.direct");
    assert!(timeout(Duration::from_millis(200), consumer.next()).await.is_err(), "a trace was traced");
}

#[tokio::test]
async fn only_a_traced_vhost_is_traced_and_only_while_it_is() {
    let fixture = Fixture::new().await;
    assert!(!fixture.broker.set_tracing("nowhere", true));
    assert!(fixture.broker.set_tracing("other", true));
    publish(&fixture.channel, "amq.direct", "untraced", BasicProperties::default(), b"").await;
    declare(&fixture.channel, "a barrier").await;
    for on in [true, true, false, true] {
        fixture.broker.set_tracing("/", on);
        publish(&fixture.channel, "amq.direct", &on.to_string(), BasicProperties::default(), b"").await;
        declare(&fixture.channel, "a barrier").await;
    }
    for _ in 0..3 {
        assert_eq!(fixture.trace().await.text("routing_keys"), "[true]");
    }
    fixture.assert_silent().await;
}

#[tokio::test]
async fn a_name_that_is_too_long_for_a_key_is_cut() {
    let fixture = Fixture::new().await;
    fixture.broker.set_tracing("/", true);
    let queue = declare(&fixture.channel, &"q".repeat(255)).await;
    publish(&fixture.channel, "", &queue, BasicProperties::default(), b"text").await;
    assert_eq!(fixture.trace().await.key(), "publish.");
    fixture.channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!(fixture.trace().await.key(), format!("deliver.{}", "q".repeat(247)));
}
