//! What the capabilities share: connections, channels whose events can be awaited, names.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::{BasicConsumeArguments, BasicPublishArguments, Channel, ConsumerMessage, QueueDeclareArguments};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::error::Error;
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, FieldTable, FieldValue, Nack, Return};
use anyhow::{Context, Result};
use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const ARRIVAL_TIME_MAX: Duration = Duration::from_secs(30);

/// What the broker says without being asked.
#[derive(Debug, PartialEq)]
pub enum Event {
    Confirmed { up_to: u64, multiple: bool },
    Refused(u64),
    Returned { code: u16, text: String, exchange: String, routing_key: String, id: Option<String>, body: String },
    Closed { code: u16, text: String },
}

/// Amqprs calls back; this passes on what it is told.
struct Events(UnboundedSender<Event>);

impl Events {
    fn pass_on(&self, event: Event) {
        // Who does not listen any more does not want to know.
        let _ = self.0.send(event);
    }
}

#[async_trait]
impl ChannelCallback for Events {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Result<(), Error> {
        self.pass_on(Event::Closed { code: close.reply_code(), text: close.reply_text().clone() });
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), Error> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, Error> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.pass_on(Event::Confirmed { up_to: ack.delivery_tag(), multiple: ack.mutiple() });
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        self.pass_on(Event::Refused(nack.delivery_tag()));
    }

    async fn publish_return(&mut self, _: &Channel, ret: Return, properties: BasicProperties, content: Vec<u8>) {
        self.pass_on(Event::Returned {
            code: ret.reply_code(),
            text: ret.reply_text().clone(),
            exchange: ret.exchange().clone(),
            routing_key: ret.routing_key().clone(),
            id: properties.message_id().cloned(),
            body: text(&content),
        });
    }
}

pub async fn connect() -> Result<Connection> {
    let url = std::env::var("AMQP_URL").context("AMQP_URL")?;
    let arguments = arguments(&url).with_context(|| format!("AMQP_URL is no address of a broker: {url}"))?;
    Ok(Connection::open(&arguments).await?)
}

/// Amqprs can read a URL too, but leaves the vhost `/` as `%2f`.
fn arguments(url: &str) -> Option<OpenConnectionArguments> {
    let (login, address) = url.strip_prefix("amqp://")?.split_once('@')?;
    let (user, password) = login.split_once(':')?;
    let (host_and_port, vhost) = address.split_once('/')?;
    let (host, port) = host_and_port.rsplit_once(':')?;
    let mut arguments = OpenConnectionArguments::new(host, port.parse().ok()?, user, password);
    Some(arguments.virtual_host(&vhost.replace("%2f", "/")).finish())
}

/// A channel, and what the broker says on it without being asked.
pub async fn channel(connection: &Connection) -> Result<(Channel, UnboundedReceiver<Event>)> {
    let channel = connection.open_channel(None).await?;
    let (sender, receiver) = unbounded_channel();
    channel.register_callback(Events(sender)).await?;
    Ok((channel, receiver))
}

/// The next of a stream, which must come.
pub async fn next<T>(stream: &mut UnboundedReceiver<T>) -> Result<T> {
    let next = tokio::time::timeout(ARRIVAL_TIME_MAX, stream.recv()).await.context("nothing arrives")?;
    next.context("the stream has ended")
}

/// A message with everything that came with it.
#[derive(Debug)]
pub struct Message {
    pub tag: u64,
    pub redelivered: bool,
    pub exchange: String,
    pub routing_key: String,
    pub properties: BasicProperties,
    pub body: String,
}

/// The consumer's next message, which must come.
pub async fn receive(consumer: &mut UnboundedReceiver<ConsumerMessage>) -> Result<Message> {
    let message = next(consumer).await?;
    let deliver = message.deliver.context("basic.deliver")?;
    Ok(Message {
        tag: deliver.delivery_tag(),
        redelivered: deliver.redelivered(),
        exchange: deliver.exchange().clone(),
        routing_key: deliver.routing_key().clone(),
        properties: message.basic_properties.context("the properties")?,
        body: text(&message.content.context("the body")?),
    })
}

pub async fn consume(channel: &Channel, queue: &str, no_ack: bool) -> Result<UnboundedReceiver<ConsumerMessage>> {
    let arguments = BasicConsumeArguments::new(queue, "tag").manual_ack(!no_ack).finish();
    let (_tag, messages) = channel.basic_consume_rx(arguments).await?;
    Ok(messages)
}

pub async fn publish(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    properties: BasicProperties,
    body: &str,
) -> Result<()> {
    let arguments = BasicPublishArguments::new(exchange, routing_key);
    Ok(channel.basic_publish(properties, body.as_bytes().to_vec(), arguments).await?)
}

pub async fn durable_queue(channel: &Channel, what: &str, arguments: FieldTable) -> Result<String> {
    let name = unique(what);
    channel.queue_declare(QueueDeclareArguments::durable_client_named(&name).arguments(arguments).finish()).await?;
    Ok(name)
}

/// The messages and the consumers of a queue.
pub async fn look_at(channel: &Channel, queue: &str) -> Result<(u32, u32)> {
    let answer = channel.queue_declare(QueueDeclareArguments::new(queue).passive(true).finish()).await?;
    let (_name, messages, consumers) = answer.context("declare-ok")?;
    Ok((messages, consumers))
}

pub fn table<const N: usize>(fields: [(&str, FieldValue); N]) -> Result<FieldTable> {
    let mut table = FieldTable::new();
    for (key, value) in fields {
        table.insert(key.try_into()?, value);
    }
    Ok(table)
}

pub fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// Every name that was given out, so that the program can delete what was declared under it.
static GIVEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub fn given() -> Vec<String> {
    GIVEN.lock().map(|names| names.clone()).unwrap_or_default()
}

pub fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let name = format!("interop-amqprs-{what}-{nanos:x}-{count}");
    if let Ok(mut names) = GIVEN.lock() {
        names.push(name.clone());
    }
    name
}
