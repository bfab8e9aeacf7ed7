//! Each is given a connection and fails when something is not as it should be.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions,
    BasicQosOptions, BasicRejectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use leveret_interop_lapin::refusal::{assert_refused, assert_refused_later};
use leveret_interop_lapin::scenario::{
    self, PERSISTENT, confirming_channel, consume, consume_with, publish, publish_with, ready, receive,
    temporary_queue, text,
};
use tokio::process::Command;

const NO_ACK: BasicConsumeOptions =
    BasicConsumeOptions { no_local: false, no_ack: true, exclusive: false, nowait: false };
const CLOCK_SKEW_SECONDS_MAX: u64 = 60;

/// Every name that was given out, so that the program can delete what was declared under it.
static GIVEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub fn given() -> Vec<String> {
    GIVEN.lock().map(|names| names.clone()).unwrap_or_default()
}

fn unique(what: &str) -> String {
    let name = scenario::unique(what);
    if let Ok(mut names) = GIVEN.lock() {
        names.push(name.clone());
    }
    name
}

async fn durable_queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<()> {
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await?;
    Ok(())
}

fn table<const N: usize>(fields: [(&str, AMQPValue); N]) -> FieldTable {
    fields.into_iter().map(|(key, value)| (ShortString::from(key), value)).collect::<BTreeMap<_, _>>().into()
}

fn string(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

pub async fn declare(connection: &Connection) -> Result<()> {
    let channel = connection.create_channel().await?;
    let (exchange, queue) = (unique("exchange"), unique("queue"));
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.as_str().into(), ExchangeKind::Topic, options, FieldTable::default()).await?;
    // The same twice is no error.
    for _ in 0..2 {
        let arguments = table([("x-max-length", AMQPValue::LongInt(10))]);
        let declared = channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments).await?;
        assert_eq!(declared.name().as_str(), queue);
        assert_eq!((declared.message_count(), declared.consumer_count()), (0, 0));
    }

    let (to, from, key) = (queue.as_str(), exchange.as_str(), "hare.*");
    channel.queue_bind(to.into(), from.into(), key.into(), QueueBindOptions::default(), FieldTable::default()).await?;
    publish(&channel, &exchange, "hare.brown", "bound").await?;
    publish(&channel, &exchange, "rabbit.brown", "not bound").await?;
    channel.queue_unbind(to.into(), from.into(), key.into(), FieldTable::default()).await?;
    publish(&channel, &exchange, "hare.white", "no longer bound").await?;
    // One of the three has arrived.
    assert_eq!(channel.queue_purge(to.into(), QueuePurgeOptions::default()).await?, 1);

    // A queue without a name gets one from the broker.
    let temporary = temporary_queue(&channel).await?;
    assert!(temporary.starts_with("amq.gen-"), "{temporary}");
    channel.exchange_delete(from.into(), ExchangeDeleteOptions::default()).await?;
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let answer = channel.exchange_declare(from.into(), ExchangeKind::Topic, passive, FieldTable::default()).await;
    let refusal = format!("NOT_FOUND - no exchange '{exchange}' in vhost '/'");
    assert_refused(answer, AMQPSoftError::NOTFOUND, &refusal);
    Ok(())
}

pub async fn publish_confirms(connection: &Connection) -> Result<()> {
    let channel = confirming_channel(connection).await?;
    let queue = unique("confirms");
    durable_queue(&channel, &queue, FieldTable::default()).await?;
    let mut confirms = Vec::new();
    for number in 0..100 {
        let (options, body) = (BasicPublishOptions::default(), format!("message {number}"));
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        confirms.push(scenario::start_publish(&channel, "", &queue, options, body, properties).await?);
    }
    for confirm in confirms {
        assert!(confirm.await?.is_ack());
    }
    assert_eq!(ready(&channel, &queue).await?, 100);
    Ok(())
}

pub async fn consume_acks(connection: &Connection) -> Result<()> {
    let channel = connection.create_channel().await?;
    let queue = unique("acks");
    durable_queue(&channel, &queue, FieldTable::default()).await?;
    let nested = table([("deep", AMQPValue::Boolean(true))]);
    let headers = table([("legs", AMQPValue::LongInt(4)), ("nested", AMQPValue::FieldTable(nested))]);
    let properties = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_correlation_id("c-1".into())
        .with_headers(headers);
    for body in ["one", "two", "three"] {
        publish_with(&channel, "", &queue, BasicPublishOptions::default(), body, properties.clone()).await?;
    }

    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let mut consumer = consume(&channel, &queue).await?;
    let one = receive(&mut consumer).await?;
    assert_eq!((text(&one).as_str(), one.redelivered), ("one", false));
    assert_eq!(one.properties, properties);
    // With a prefetch of one nothing else comes before an acknowledgement.
    assert_eq!(ready(&channel, &queue).await?, 2);

    one.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?;
    let again = receive(&mut consumer).await?;
    assert_eq!((text(&again).as_str(), again.redelivered), ("one", true));
    again.ack(BasicAckOptions::default()).await?;
    let two = receive(&mut consumer).await?;
    assert_eq!(text(&two), "two");
    two.reject(BasicRejectOptions { requeue: false }).await?;
    let three = receive(&mut consumer).await?;
    assert_eq!(text(&three), "three");
    three.ack(BasicAckOptions::default()).await?;

    channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
    let left = scenario::inspect(&channel, &queue).await?;
    assert_eq!((left.message_count(), left.consumer_count()), (0, 0));
    Ok(())
}

pub async fn get(connection: &Connection) -> Result<()> {
    let channel = connection.create_channel().await?;
    let queue = unique("get");
    durable_queue(&channel, &queue, FieldTable::default()).await?;
    assert!(scenario::get(&channel, &queue).await?.is_none());
    publish(&channel, "", &queue, "one").await?;
    publish(&channel, "", &queue, "two").await?;

    let one = scenario::get(&channel, &queue).await?.context("a message")?;
    assert_eq!((text(&one).as_str(), one.message_count), ("one", 1));
    assert_eq!(one.routing_key.as_str(), queue);
    one.ack(BasicAckOptions::default()).await?;
    let no_ack = BasicGetOptions { no_ack: true };
    let two = channel.basic_get(queue.as_str().into(), no_ack).await?.context("a message")?;
    assert_eq!((text(&two).as_str(), two.message_count), ("two", 0));
    assert!(scenario::get(&channel, &queue).await?.is_none());
    Ok(())
}

pub async fn returns(connection: &Connection) -> Result<()> {
    let channel = confirming_channel(connection).await?;
    let nowhere = unique("nowhere");
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let properties = BasicProperties::default().with_message_id("m-1".into());
    let confirm = publish_with(&channel, "", &nowhere, options, "lost", properties.clone()).await?;
    // A message that cannot be routed is confirmed too. By then it has been returned.
    assert!(confirm.is_ack());
    let returned = confirm.take_message().context("the returned message")?;
    assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
    assert_eq!((returned.exchange.as_str(), returned.routing_key.as_str()), ("", nowhere.as_str()));
    assert_eq!(returned.properties, properties);
    assert_eq!(text(&returned), "lost");
    Ok(())
}

/// A retry loop: messages wait in one queue until they expire into the other, whose consumer may send them back.
pub async fn ttl_dead_letter(connection: &Connection) -> Result<()> {
    let channel = connection.create_channel().await?;
    let (wait, work) = (unique("wait"), unique("work"));
    let dead_letters_to =
        |queue: &str| [("x-dead-letter-exchange", string("")), ("x-dead-letter-routing-key", string(queue))];
    let [exchange, key] = dead_letters_to(&work);
    durable_queue(&channel, &wait, table([exchange, key, ("x-message-ttl", AMQPValue::LongInt(100))])).await?;
    durable_queue(&channel, &work, table(dead_letters_to(&wait))).await?;
    let mut consumer = consume(&channel, &work).await?;
    let headers = table([("attempt", AMQPValue::LongInt(1))]);
    let properties = BasicProperties::default().with_expiration("50".into()).with_headers(headers);
    publish_with(&channel, "", &wait, BasicPublishOptions::default(), "try me", properties).await?;

    let expired = receive(&mut consumer).await?;
    assert_eq!(text(&expired), "try me");
    assert_eq!((expired.exchange.as_str(), expired.routing_key.as_str()), ("", work.as_str()));
    assert_eq!(expired.properties.expiration(), &None);
    let (deaths, headers) = (deaths(&expired)?, headers_of(&expired)?);
    assert_eq!(headers.get("attempt"), Some(&AMQPValue::LongInt(1)));
    assert_eq!(headers.get("x-first-death-queue"), Some(&string(&wait)));
    assert_eq!(headers.get("x-first-death-reason"), Some(&string("expired")));
    assert_eq!(headers.get("x-first-death-exchange"), Some(&string("")));
    let mut expected = death(&wait, "expired", 1);
    expected.insert("original-expiration".into(), string("50"));
    assert_eq!(deaths, [expected]);

    expired.reject(BasicRejectOptions { requeue: false }).await?;
    let retried = receive(&mut consumer).await?;
    let mut deaths = self::deaths(&retried)?;
    if let Some(latest) = deaths.first_mut() {
        latest.remove("original-expiration");
    }
    // The latest death is the first in the list.
    assert_eq!(deaths, [death(&wait, "expired", 2), death(&work, "rejected", 1)]);
    retried.ack(BasicAckOptions::default()).await?;
    Ok(())
}

type Fields = BTreeMap<ShortString, AMQPValue>;

fn headers_of(delivery: &Delivery) -> Result<&Fields> {
    Ok(delivery.properties.headers().as_ref().context("no headers")?.inner())
}

/// The entries of x-death without their time, which is looked at here.
fn deaths(delivery: &Delivery) -> Result<Vec<Fields>> {
    let entries = headers_of(delivery)?.get("x-death").and_then(AMQPValue::as_array).context("no x-death")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut deaths = Vec::new();
    for entry in entries.as_slice() {
        let mut fields = entry.as_field_table().context("an entry is no table")?.inner().clone();
        let time = fields.remove("time").and_then(|time| time.as_timestamp()).context("no time")?;
        ensure!(time.abs_diff(now) < CLOCK_SKEW_SECONDS_MAX, "died at {time}");
        deaths.push(fields);
    }
    Ok(deaths)
}

/// Every queue here is published to through the default exchange, under its own name.
fn death(queue: &str, reason: &str, count: i64) -> Fields {
    let fields = [
        ("count", AMQPValue::LongLongInt(count)),
        ("reason", string(reason)),
        ("queue", string(queue)),
        ("exchange", string("")),
        ("routing-keys", AMQPValue::FieldArray(vec![string(queue)].into())),
    ];
    table(fields).inner().clone()
}

pub async fn priorities(connection: &Connection) -> Result<()> {
    let channel = connection.create_channel().await?;
    let queue = unique("priorities");
    durable_queue(&channel, &queue, table([("x-max-priority", AMQPValue::LongInt(5))])).await?;
    for priority in [Some(1), None, Some(5), Some(3), Some(9)] {
        let mut properties = BasicProperties::default();
        if let Some(priority) = priority {
            properties = properties.with_priority(priority);
        }
        publish_with(&channel, "", &queue, BasicPublishOptions::default(), "", properties).await?;
    }
    let mut order = Vec::new();
    while let Some(message) = channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await? {
        order.push(*message.properties.priority());
    }
    // What is above the queue's highest priority counts as the highest, no priority as the lowest.
    assert_eq!(order, [Some(5), Some(9), Some(3), Some(1), None]);
    Ok(())
}

/// Direct reply-to: the answer comes without a queue of the client's own.
pub async fn rpc(connection: &Connection) -> Result<()> {
    let (server, client) = (connection.create_channel().await?, connection.create_channel().await?);
    let service = temporary_queue(&server).await?;
    let mut requests = consume(&server, &service).await?;
    let mut answers = consume_with(&client, "amq.rabbitmq.reply-to", NO_ACK).await?;
    for id in ["r-1", "r-2"] {
        let properties =
            BasicProperties::default().with_correlation_id(id.into()).with_reply_to("amq.rabbitmq.reply-to".into());
        publish_with(&client, "", &service, BasicPublishOptions::default(), "ping", properties).await?;

        let request = receive(&mut requests).await?;
        let reply_to = request.properties.reply_to().clone().context("where to")?;
        assert!(reply_to.as_str().starts_with("amq.rabbitmq.reply-to."), "{reply_to}");
        let properties =
            BasicProperties::default().with_correlation_id(request.properties.correlation_id().clone().context("id")?);
        let body = format!("{}, pong", text(&request));
        publish_with(&server, "", reply_to.as_str(), BasicPublishOptions::default(), body, properties).await?;
        request.ack(BasicAckOptions::default()).await?;

        let answer = receive(&mut answers).await?;
        assert_eq!(text(&answer), "ping, pong");
        assert_eq!(answer.properties.correlation_id().as_ref().map(ShortString::as_str), Some(id));
    }
    Ok(())
}

pub async fn topology_errors(connection: &Connection) -> Result<()> {
    let missing = unique("missing");
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions::default().passive();
    let answer = channel.queue_declare(missing.as_str().into(), passive, FieldTable::default()).await;
    assert_refused(answer, AMQPSoftError::NOTFOUND, &format!("NOT_FOUND - no queue '{missing}' in vhost '/'"));

    let channel = connection.create_channel().await?;
    let queue = unique("durable");
    durable_queue(&channel, &queue, FieldTable::default()).await?;
    let options = QueueDeclareOptions::default();
    let answer = channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await;
    let refusal = format!(
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{queue}' in vhost '/': \
         received 'false' but current is 'true'"
    );
    assert_refused(answer, AMQPSoftError::PRECONDITIONFAILED, &refusal);

    // A publish has no answer of its own: its error comes as an event of the connection.
    let mut events = connection.events_listener();
    let channel = connection.create_channel().await?;
    publish(&channel, &missing, "key", "nowhere to go").await?;
    let refusal = format!("NOT_FOUND - no exchange '{missing}' in vhost '/'");
    assert_refused_later(&mut events, AMQPSoftError::NOTFOUND, &refusal).await?;

    // The connection is still in order.
    assert_eq!(ready(&connection.create_channel().await?, &queue).await?, 0);
    Ok(())
}

/// lapin's own recovery restores channels and consumers, and even a queue that went with the broker.
pub async fn recovery() -> Result<()> {
    let properties = ConnectionProperties::default().enable_auto_recover();
    let connection = Connection::connect(&scenario::url(), properties).await?;
    let channel = confirming_channel(&connection).await?;
    let (queue, kept) = (unique("recovery"), unique("kept"));
    durable_queue(&channel, &queue, FieldTable::default()).await?;
    durable_queue(&channel, &kept, FieldTable::default()).await?;
    let mut consumer = consume_with(&channel, &queue, NO_ACK).await?;
    let persistent = || BasicProperties::default().with_delivery_mode(PERSISTENT);
    let options = BasicPublishOptions::default();
    assert!(publish_with(&channel, "", &queue, options, "before", persistent()).await?.is_ack());
    assert!(publish_with(&channel, "", &kept, options, "kept", persistent()).await?.is_ack());
    assert_eq!(text(&receive(&mut consumer).await?), "before");

    let restart = std::env::var("BROKER_RESTART").context("BROKER_RESTART")?;
    ensure!(Command::new(restart).stdout(std::io::stderr()).status().await?.success(), "BROKER_RESTART fails");

    let publisher = scenario::connect().await?;
    let publishing = confirming_channel(&publisher).await?;
    assert!(publish_with(&publishing, "", &queue, options, "after", persistent()).await?.is_ack());
    assert_eq!(text(&receive_recovered(&mut consumer).await?), "after");
    let message = channel.basic_get(kept.as_str().into(), BasicGetOptions { no_ack: true }).await?;
    assert_eq!(message.map(|message| text(&message)).as_deref(), Some("kept"));
    for (channel, connection) in [(publishing, publisher), (channel, connection)] {
        channel.close(200, "OK".into()).await?;
        connection.close(200, "OK".into()).await?;
    }
    Ok(())
}

/// The consumer tells of the lost connection before it goes on.
async fn receive_recovered(consumer: &mut Consumer) -> Result<Delivery> {
    match receive(consumer).await {
        Ok(delivery) => Ok(delivery),
        Err(_) => receive(consumer).await,
    }
}
