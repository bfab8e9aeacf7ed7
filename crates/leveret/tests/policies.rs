//! Policies and the default type of queues, as clients see them.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use leveret::{ApplyTo, Broker, Policy, PolicyKind, QueueType};
use tokio::time::{Instant, sleep};

/// How long a broker on a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

const USER: PolicyKind = PolicyKind::User;
const OPERATOR: PolicyKind = PolicyKind::Operator;

async fn start() -> (Broker, Channel) {
    let broker = Broker::builder().ephemeral().start().unwrap();
    let connection = Connection::connect(&broker.amqp_uri(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (broker, channel)
}

async fn declare_as(channel: &Channel, queue: &str, arguments: &[(&str, AMQPValue)]) -> lapin::Result<()> {
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        table.insert((*key).into(), value.clone());
    }
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, table).await.map(drop)
}

async fn declare(channel: &Channel, queue: &str) {
    declare_as(channel, queue, &[]).await.unwrap();
}

/// Publishes to an exchange and says whether it was confirmed.
async fn publish_to(channel: &Channel, exchange: &str, key: &str, body: &str) -> bool {
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let confirm = channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties);
    matches!(confirm.await.unwrap().await.unwrap(), Confirmation::Ack(_))
}

async fn publish(channel: &Channel, queue: &str, bodies: std::ops::Range<u32>) -> Vec<bool> {
    let mut confirmed = Vec::new();
    for body in bodies {
        confirmed.push(publish_to(channel, "", queue, &body.to_string()).await);
    }
    confirmed
}

/// What is ready, without taking it; none when there is no such queue.
async fn ready(broker: &Broker, queue: &str) -> Option<u32> {
    let connection = Connection::connect(&broker.amqp_uri(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
    declared.ok().map(|queue| queue.message_count())
}

async fn drain(channel: &Channel, queue: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    while let Some(got) = channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap() {
        bodies.push(String::from_utf8(got.delivery.data).unwrap());
    }
    bodies
}

/// Waits for so many ready messages, or for the end of the queue.
async fn wait_for(broker: &Broker, queue: &str, expected: Option<u32>) {
    let start = Instant::now();
    while ready(broker, queue).await != expected {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {expected:?} in {queue}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_policy_acts_at_once_on_what_is_there_and_on_what_comes() {
    let (broker, channel) = start().await;
    declare(&channel, "orders.old").await;
    declare(&channel, "other").await;
    for queue in ["orders.old", "other"] {
        publish(&channel, queue, 0..5).await;
    }
    broker.set_policy("/", USER, Policy::new("short", "^orders").number("max-length", 2)).unwrap();
    declare(&channel, "orders.new").await;
    publish(&channel, "orders.new", 0..5).await;
    assert_eq!(drain(&channel, "orders.old").await, ["3", "4"], "lowering a limit drops at once");
    assert_eq!(drain(&channel, "orders.new").await, ["3", "4"]);
    assert_eq!(drain(&channel, "other").await.len(), 5);
    // It may be changed and taken back.
    broker.set_policy("/", USER, Policy::new("short", "^orders").number("max-length", 3)).unwrap();
    publish(&channel, "orders.old", 0..5).await;
    assert_eq!(drain(&channel, "orders.old").await.len(), 3);
    assert!(broker.clear_policy("/", USER, "short").unwrap());
    assert!(!broker.clear_policy("/", USER, "short").unwrap());
    publish(&channel, "orders.old", 0..5).await;
    assert_eq!(drain(&channel, "orders.old").await.len(), 5);
}

#[tokio::test]
async fn the_highest_priority_acts_alone() {
    let (broker, channel) = start().await;
    declare(&channel, "q").await;
    broker.set_policy("/", USER, Policy::new("all", "").number("max-length", 1)).unwrap();
    let mut bytes = Policy::new("bytes", "q").number("max-length-bytes", 3);
    bytes.priority = 1;
    broker.set_policy("/", USER, bytes).unwrap();
    publish(&channel, "q", 0..5).await;
    assert_eq!(drain(&channel, "q").await.len(), 3, "the other limit is not in force");
}

#[tokio::test]
async fn arguments_count_beside_policies() {
    let (broker, channel) = start().await;
    let limit = |limit| [("x-max-length", AMQPValue::LongInt(limit))];
    declare_as(&channel, "lower", &limit(2)).await.unwrap();
    declare_as(&channel, "higher", &limit(9)).await.unwrap();
    let overflow = [("x-overflow", AMQPValue::LongString("drop-head".into()))];
    declare_as(&channel, "drops", &overflow).await.unwrap();
    declare(&channel, "rejects").await;
    let policy = Policy::new("p", "").number("max-length", 3).text("overflow", "reject-publish");
    broker.set_policy("/", USER, policy).unwrap();
    assert_eq!(publish(&channel, "lower", 0..4).await, [true, true, false, false]);
    assert_eq!(publish(&channel, "higher", 0..4).await, [true, true, true, false]);
    assert_eq!(publish(&channel, "rejects", 0..4).await, [true, true, true, false]);
    // What a classic queue was declared with comes before its policy.
    assert_eq!(publish(&channel, "drops", 0..4).await, [true; 4]);
    assert_eq!(drain(&channel, "drops").await, ["1", "2", "3"]);
    // Redeclaring compares what was declared.
    declare_as(&channel, "lower", &limit(2)).await.unwrap();
    declare(&channel, "rejects").await;
}

#[tokio::test]
async fn on_quorum_queues_a_policy_decides_the_overflow() {
    let (broker, channel) = start().await;
    let text = |value: &str| AMQPValue::LongString(value.into());
    let arguments = [("x-queue-type", text("quorum")), ("x-overflow", text("drop-head"))];
    declare_as(&channel, "q", &arguments).await.unwrap();
    let policy = Policy::new("p", "").number("max-length", 2).text("overflow", "reject-publish");
    broker.set_policy("/", USER, policy).unwrap();
    assert_eq!(publish(&channel, "q", 0..3).await, [true, true, false]);
}

#[tokio::test]
async fn streams_are_cut_by_policy() {
    let (broker, channel) = start().await;
    let text = |value: &str| AMQPValue::LongString(value.into());
    let arguments = [("x-queue-type", text("stream")), ("x-stream-max-segment-size-bytes", AMQPValue::LongInt(10_000))];
    declare_as(&channel, "s", &arguments).await.unwrap();
    let body = "b".repeat(1_000);
    for _ in 0..100 {
        publish_to(&channel, "", "s", &body).await;
    }
    assert_eq!(ready(&broker, "s").await, Some(100));
    // A setting that streams do not know keeps a policy from them.
    let foreign = Policy::new("p", "").number("max-length-bytes", 30_000).number("message-ttl", 1);
    broker.set_policy("/", USER, foreign).unwrap();
    publish_to(&channel, "", "s", &body).await;
    assert_eq!(ready(&broker, "s").await, Some(101));
    broker.set_policy("/", USER, Policy::new("p", "").number("max-length-bytes", 30_000)).unwrap();
    publish_to(&channel, "", "s", &body).await;
    let left = ready(&broker, "s").await.unwrap();
    assert!((20..=45).contains(&left), "{left} are left");
}

#[tokio::test]
async fn operators_bound_users() {
    let (broker, channel) = start().await;
    declare(&channel, "q").await;
    broker.set_policy("/", USER, Policy::new("p", "").number("max-length", 4)).unwrap();
    broker.set_policy("/", OPERATOR, Policy::new("p", "").number("max-length", 2)).unwrap();
    publish(&channel, "q", 0..5).await;
    assert_eq!(ready(&broker, "q").await, Some(2));
    broker.clear_policy("/", OPERATOR, "p").unwrap();
    publish(&channel, "q", 0..5).await;
    assert_eq!(ready(&broker, "q").await, Some(4));
    let refused = broker.set_policy("/", OPERATOR, Policy::new("p", "").text("dead-letter-exchange", "x"));
    assert!(refused.unwrap_err().to_string().ends_with("are not recognised policy settings"));
}

#[tokio::test]
async fn messages_and_queues_expire_by_policy() {
    let (broker, channel) = start().await;
    declare(&channel, "messages").await;
    declare(&channel, "unused").await;
    broker.set_policy("/", USER, Policy::new("ttl", "^messages$").number("message-ttl", 100)).unwrap();
    publish(&channel, "messages", 0..3).await;
    wait_for(&broker, "messages", Some(0)).await;
    broker.set_policy("/", USER, Policy::new("expires", "^unused$").number("expires", 200)).unwrap();
    // To look is to use it: wait first, and longer each time that it was too early.
    let (start, mut pause) = (Instant::now(), Duration::from_millis(600));
    sleep(pause).await;
    while ready(&broker, "unused").await.is_some() {
        assert!(start.elapsed() < PATIENCE, "the queue stays");
        pause *= 2;
        sleep(pause).await;
    }
}

/// The time of a message is fixed when it comes.
#[tokio::test]
async fn messages_that_were_there_before_a_policy_keep_their_time() {
    let (broker, channel) = start().await;
    declare(&channel, "q").await;
    publish(&channel, "q", 0..2).await;
    broker.set_policy("/", USER, Policy::new("ttl", "^q$").number("message-ttl", 50)).unwrap();
    publish(&channel, "q", 2..3).await;
    sleep(Duration::from_millis(300)).await;
    // The last has expired behind them and is never seen.
    assert_eq!(drain(&channel, "q").await, ["0", "1"]);
}

#[tokio::test]
async fn dead_letters_go_where_a_policy_says() {
    let (broker, channel) = start().await;
    for queue in ["work", "dead"] {
        declare(&channel, queue).await;
    }
    let policy = Policy::new("dlx", "^work$").text("dead-letter-exchange", "").text("dead-letter-routing-key", "dead");
    broker.set_policy("/", USER, policy.number("max-length", 1)).unwrap();
    publish(&channel, "work", 0..3).await;
    wait_for(&broker, "dead", Some(2)).await;
    assert_eq!(drain(&channel, "dead").await, ["0", "1"]);
}

#[tokio::test]
async fn an_alternate_exchange_comes_and_goes_with_a_policy() {
    let (broker, channel) = start().await;
    declare(&channel, "unrouted").await;
    let bind = |queue: &'static str, exchange: &'static str| {
        channel.queue_bind(queue.into(), exchange.into(), "".into(), QueueBindOptions::default(), FieldTable::default())
    };
    bind("unrouted", "amq.fanout").await.unwrap();
    for (exchange, arguments) in [
        ("plain", FieldTable::default()),
        ("own", {
            let mut arguments = FieldTable::default();
            arguments.insert("alternate-exchange".into(), AMQPValue::LongString("missing".into()));
            arguments
        }),
    ] {
        let options = ExchangeDeclareOptions::default();
        channel.exchange_declare(exchange.into(), ExchangeKind::Direct, options, arguments).await.unwrap();
    }
    publish_to(&channel, "plain", "nowhere", "before").await;
    let mut policy = Policy::new("ae", "").text("alternate-exchange", "amq.fanout");
    policy.apply_to = ApplyTo::Exchanges;
    broker.set_policy("/", USER, policy).unwrap();
    for exchange in ["plain", "own", "amq.direct", ""] {
        publish_to(&channel, exchange, "nowhere", exchange).await;
    }
    // Its own argument comes first, and nothing acts on the default exchange.
    assert_eq!(drain(&channel, "unrouted").await, ["plain", "amq.direct"]);
    let options = ExchangeDeclareOptions::default();
    channel.exchange_declare("new".into(), ExchangeKind::Topic, options, FieldTable::default()).await.unwrap();
    publish_to(&channel, "new", "nowhere", "new").await;
    broker.clear_policy("/", USER, "ae").unwrap();
    publish_to(&channel, "new", "nowhere", "after").await;
    assert_eq!(drain(&channel, "unrouted").await, ["new"]);
}

#[tokio::test]
async fn a_consumer_timeout_may_come_with_a_policy() {
    let (broker, channel) = start().await;
    declare(&channel, "q").await;
    let (options, tag) = (BasicConsumeOptions::default(), "c".into());
    let _consumer = channel.basic_consume("q".into(), tag, options, FieldTable::default()).await.unwrap();
    publish(&channel, "q", 0..1).await;
    broker.set_policy("/", USER, Policy::new("p", "").number("consumer-timeout", 300)).unwrap();
    let start = Instant::now();
    while channel.status().connected() {
        assert!(start.elapsed() < PATIENCE, "the channel stays");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(ready(&broker, "q").await, Some(1));
}

#[tokio::test]
async fn bad_policies_are_refused() {
    let (broker, _channel) = start().await;
    let refusal = |policy| broker.set_policy("/", USER, policy).unwrap_err().to_string();
    assert_eq!(refusal(Policy::new("p", "")), "policy refused: no policy provided");
    let text = "policy refused: -1 is not a valid message TTL";
    assert_eq!(refusal(Policy::new("p", "").number("message-ttl", -1)), text);
    // What makes a queue another one cannot come by a policy.
    for key in ["max-priority", "single-active-consumer", "queue-type", "durable", "exclusive"] {
        let text = refusal(Policy::new("p", "").number(key, 1));
        assert!(text.ends_with("are not recognised policy settings"), "{text}");
    }
    assert_eq!(
        broker.set_policy("nowhere", USER, Policy::new("p", "")).unwrap_err().to_string(),
        "policy refused: no policy provided"
    );
    let good = Policy::new("p", "").number("max-length", 1);
    assert_eq!(broker.set_policy("nowhere", USER, good).unwrap_err().to_string(), "there is no vhost 'nowhere'");
}

#[tokio::test]
async fn a_vhost_has_a_default_type_of_queues() {
    let (broker, channel) = start().await;
    broker.set_default_queue_type("/", QueueType::Quorum).unwrap();
    declare(&channel, "q").await;
    // Redeclared with and without its type it is the same.
    declare(&channel, "q").await;
    let of_type = |name: &str| [("x-queue-type", AMQPValue::LongString(name.into()))];
    declare_as(&channel, "q", &of_type("quorum")).await.unwrap();
    declare_as(&channel, "classic", &of_type("classic")).await.unwrap();
    // What cannot be a quorum queue is a classic one.
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let transient = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::default() };
    for options in [exclusive, transient] {
        channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
    }
    let refused = declare_as(&channel, "q", &of_type("classic")).await.unwrap_err();
    let ErrorKind::ProtocolError(error) = refused.kind() else { panic!("{refused:?}") };
    let text = "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'classic' but \
                current is 'quorum'";
    assert_eq!(error.get_message().as_str(), text);
}
