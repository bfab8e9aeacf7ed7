//! The short words of the tests: connect, publish, receive, count.
//!
//! Only what would be noise in a test is here. The calls a test is about are lapin's own, in the test.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use futures_lite::StreamExt;
use lapin::message::{BasicGetMessage, Delivery};
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, PublisherConfirm, Queue,
};
use leveret_tests::Broker;

use crate::refusal::exists;

/// No test takes longer: a lost reply fails the test, it does not hang the suite.
const SCENARIO_SECONDS_MAX: u64 = 240;
/// How long to wait for something that must come.
const ARRIVAL_SECONDS_MAX: u64 = 60;
/// How long to watch that nothing comes.
const SILENCE: Duration = Duration::from_millis(200);
/// How often a condition is looked at that becomes true on its own.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The AMQP value of `delivery_mode` for a message that survives a restart in a durable queue.
pub const PERSISTENT: u8 = 2;
/// The AMQP value of `delivery_mode` for a message that may be lost in a restart.
pub const TRANSIENT: u8 = 1;

/// Runs a scenario to its end and fails the test with its error.
pub fn run<F>(scenario: F)
where
    F: Future<Output = Result<()>>,
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a tokio runtime");
    let limit = Duration::from_secs(SCENARIO_SECONDS_MAX);
    match runtime.block_on(async { tokio::time::timeout(limit, scenario).await }) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{error:?}"),
        Err(_) => panic!("the scenario is not over after {SCENARIO_SECONDS_MAX} s"),
    }
}

/// The URL of the broker under test.
pub fn url() -> String {
    Broker::shared().url()
}

/// A connection with lapin's defaults.
pub async fn connect() -> Result<Connection> {
    connect_with("").await
}

/// A connection with a query string, such as `?heartbeat=1`.
pub async fn connect_with(query: &str) -> Result<Connection> {
    let url = format!("{}{query}", url());
    let connection = Connection::connect(&url, ConnectionProperties::default());
    connection.await.with_context(|| format!("connecting to {url}"))
}

/// A channel on which the broker confirms each published message.
pub async fn confirming_channel(connection: &Connection) -> Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// A name that no other test and no other run of this test uses.
pub fn unique(purpose: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("lapin.{purpose}.{nanos:x}.{count}")
}

/// A queue of this connection alone, named by the server and gone with the connection.
pub async fn temporary_queue(channel: &Channel) -> Result<String> {
    let queue = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await?;
    Ok(queue.name().to_string())
}

/// A durable queue that every connection may use. The test deletes it in the end.
pub async fn durable_queue(channel: &Channel, name: &str) -> Result<Queue> {
    let queue = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), FieldTable::default()).await?;
    Ok(queue)
}

/// Deletes a queue with whatever is in it and gives the number of messages that were ready.
pub async fn delete_queue(channel: &Channel, name: &str) -> Result<u32> {
    let options = QueueDeleteOptions::default();
    Ok(channel.queue_delete(name.into(), options).await?)
}

/// Publishes one plain message and waits for its confirm, if the channel is in confirm mode.
pub async fn publish(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    body: impl AsRef<[u8]>,
) -> Result<Confirmation> {
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    publish_with(channel, exchange, routing_key, options, body, properties).await
}

/// As [`publish`], with publish options and properties.
pub async fn publish_with(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    options: BasicPublishOptions,
    body: impl AsRef<[u8]>,
    properties: BasicProperties,
) -> Result<Confirmation> {
    let confirm = start_publish(channel, exchange, routing_key, options, body, properties).await?;
    Ok(confirm.await?)
}

/// As [`publish_with`], and leaves the waiting for the confirm to the caller.
pub async fn start_publish(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    options: BasicPublishOptions,
    body: impl AsRef<[u8]>,
    properties: BasicProperties,
) -> Result<PublisherConfirm> {
    let confirm =
        channel.basic_publish(exchange.into(), routing_key.into(), options, body.as_ref(), properties).await?;
    Ok(confirm)
}

/// A consumer that acknowledges each message itself, with a tag given by the server.
pub async fn consume(channel: &Channel, queue: &str) -> Result<Consumer> {
    consume_with(channel, queue, BasicConsumeOptions::default()).await
}

/// As [`consume`], with options.
pub async fn consume_with(channel: &Channel, queue: &str, options: BasicConsumeOptions) -> Result<Consumer> {
    let consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
    Ok(consumer)
}

/// The consumer's next message, which must come.
pub async fn receive(consumer: &mut Consumer) -> Result<Delivery> {
    match within(consumer.next()).await? {
        Some(delivery) => Ok(delivery?),
        None => bail!("the consumer was cancelled and a message was expected"),
    }
}

/// The next `count` bodies, as text, without acknowledging them.
pub async fn receive_texts(consumer: &mut Consumer, count: usize) -> Result<Vec<String>> {
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        texts.push(text(&receive(consumer).await?));
    }
    Ok(texts)
}

/// Fails when the consumer gets anything within a moment.
pub async fn assert_silent(consumer: &mut Consumer) -> Result<()> {
    match tokio::time::timeout(SILENCE, consumer.next()).await {
        Err(_) => Ok(()),
        Ok(Some(delivery)) => bail!("unexpected message `{}`", text(&delivery?)),
        Ok(None) => bail!("unexpected cancellation"),
    }
}

/// Waits for the end of a consumer that the broker cancels.
pub async fn assert_cancelled(consumer: &mut Consumer) -> Result<()> {
    match within(consumer.next()).await? {
        None => Ok(()),
        Some(delivery) => bail!("unexpected message `{}`", text(&delivery?)),
    }
}

/// Fetches one message with basic.get, to be acknowledged by the caller.
pub async fn get(channel: &Channel, queue: &str) -> Result<Option<BasicGetMessage>> {
    let options = BasicGetOptions::default();
    Ok(channel.basic_get(queue.into(), options).await?)
}

/// Fetches everything from the queue, acknowledged by the fetching, as text.
pub async fn drain(channel: &Channel, queue: &str) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(message) = channel.basic_get(queue.into(), options).await? {
        texts.push(text(&message.delivery));
    }
    Ok(texts)
}

/// What a passive declare says about a queue: its ready messages and its consumers.
pub async fn inspect(channel: &Channel, queue: &str) -> Result<Queue> {
    let options = QueueDeclareOptions::default().passive();
    let queue = channel.queue_declare(queue.into(), options, FieldTable::default()).await?;
    Ok(queue)
}

/// The number of messages ready for delivery.
pub async fn ready(channel: &Channel, queue: &str) -> Result<u32> {
    Ok(inspect(channel, queue).await?.message_count())
}

/// Waits until the queue has `expected` ready messages, for what another connection caused.
pub async fn wait_until_ready(channel: &Channel, queue: &str, expected: u32) -> Result<()> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(ARRIVAL_SECONDS_MAX);
    loop {
        let found = ready(channel, queue).await?;
        if found == expected {
            return Ok(());
        }
        ensure!(tokio::time::Instant::now() < deadline, "{queue} has {found} ready messages, {expected} were expected");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Whether a queue exists, asked on a channel of its own because a "no" closes the channel.
pub async fn queue_exists(connection: &Connection, queue: &str) -> Result<bool> {
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions::default().passive();
    let answer = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
    let exists = exists(answer)?;
    if exists {
        channel.close(200, "OK".into()).await?;
    }
    Ok(exists)
}

/// Fails when the connection does not work, asked on a channel of its own.
///
/// The channel is closed here and not only dropped, because lapin closes a dropped one in the background, where it can
/// meet the closing of the connection.
pub async fn assert_usable(connection: &Connection) -> Result<()> {
    let channel = connection.create_channel().await?;
    temporary_queue(&channel).await?;
    channel.close(200, "OK".into()).await?;
    Ok(())
}

/// The body as text.
pub fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.data).into_owned()
}

/// Awaits something that must happen soon.
pub async fn within<F: Future>(future: F) -> Result<F::Output> {
    let limit = Duration::from_secs(ARRIVAL_SECONDS_MAX);
    tokio::time::timeout(limit, future).await.with_context(|| format!("nothing happened in {ARRIVAL_SECONDS_MAX} s"))
}
