//! Each is given a connection and fails when something is not as it should be.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amqprs::channel::{
    BasicAckArguments, BasicCancelArguments, BasicGetArguments, BasicNackArguments, BasicPublishArguments,
    BasicQosArguments, BasicRejectArguments, ConfirmSelectArguments, ExchangeDeclareArguments, ExchangeDeleteArguments,
    QueueBindArguments, QueueDeclareArguments, QueuePurgeArguments, QueueUnbindArguments,
};
use amqprs::connection::Connection;
use amqprs::{BasicProperties, FieldTable, FieldValue};
use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use crate::client::{
    self, Event, Message, channel, consume, durable_queue, look_at, next, publish, receive, table, text, unique,
};

const PERSISTENT: u8 = amqprs::DELIVERY_MODE_PERSISTENT;
const CLOCK_SKEW_SECONDS_MAX: u64 = 60;
/// How long the program waits between two attempts to connect again.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

pub async fn declare(connection: &Connection) -> Result<()> {
    let (channel, mut events) = channel(connection).await?;
    let (exchange, queue) = (unique("exchange"), unique("queue"));
    channel.exchange_declare(ExchangeDeclareArguments::new(&exchange, "topic").durable(true).finish()).await?;
    // The same twice is no error.
    for _ in 0..2 {
        let arguments = table([("x-max-length", FieldValue::I(10))])?;
        let declare = QueueDeclareArguments::durable_client_named(&queue).arguments(arguments).finish();
        assert_eq!(channel.queue_declare(declare).await?, Some((queue.clone(), 0, 0)));
    }

    let plain = BasicProperties::default;
    channel.queue_bind(QueueBindArguments::new(&queue, &exchange, "hare.*")).await?;
    publish(&channel, &exchange, "hare.brown", plain(), "bound").await?;
    publish(&channel, &exchange, "rabbit.brown", plain(), "not bound").await?;
    channel.queue_unbind(QueueUnbindArguments::new(&queue, &exchange, "hare.*")).await?;
    publish(&channel, &exchange, "hare.white", plain(), "no longer bound").await?;
    // One of the three has arrived.
    assert_eq!(channel.queue_purge(QueuePurgeArguments::new(&queue)).await?, Some(1));

    // A queue without a name gets one from the broker.
    let temporary = channel.queue_declare(QueueDeclareArguments::exclusive_server_named()).await?;
    let (temporary, _, _) = temporary.context("declare-ok")?;
    assert!(temporary.starts_with("amq.gen-"), "{temporary}");
    channel.exchange_delete(ExchangeDeleteArguments::new(&exchange)).await?;
    let passive = ExchangeDeclareArguments::new(&exchange, "topic").passive(true).finish();
    assert!(channel.exchange_declare(passive).await.is_err());
    assert_eq!(next(&mut events).await?, closed(404, format!("NOT_FOUND - no exchange '{exchange}' in vhost '/'")));
    Ok(())
}

/// How amqprs shows that the broker refused something: the call fails, and the reason comes as an event.
fn closed(code: u16, text: String) -> Event {
    Event::Closed { code, text }
}

pub async fn publish_confirms(connection: &Connection) -> Result<()> {
    let (channel, mut events) = channel(connection).await?;
    let queue = durable_queue(&channel, "confirms", FieldTable::new()).await?;
    channel.confirm_select(ConfirmSelectArguments::default()).await?;
    for number in 0..100 {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT).finish();
        publish(&channel, "", &queue, properties, &format!("message {number}")).await?;
    }
    // The broker may confirm several at once.
    let mut confirmed = 0;
    while confirmed < 100 {
        match next(&mut events).await? {
            Event::Confirmed { up_to, multiple } if multiple || up_to == confirmed + 1 => confirmed = up_to,
            other => bail!("after {confirmed} confirms: {other:?}"),
        }
    }
    assert_eq!(look_at(&channel, &queue).await?, (100, 0));
    Ok(())
}

pub async fn consume_acks(connection: &Connection) -> Result<()> {
    let (channel, _events) = channel(connection).await?;
    let queue = durable_queue(&channel, "acks", FieldTable::new()).await?;
    let nested = table([("deep", FieldValue::t(true))])?;
    let headers = table([("legs", FieldValue::I(4)), ("nested", FieldValue::F(nested))])?;
    let properties = BasicProperties::default()
        .with_content_type("text/plain")
        .with_correlation_id("c-1")
        .with_headers(headers.clone())
        .finish();
    for body in ["one", "two", "three"] {
        publish(&channel, "", &queue, properties.clone(), body).await?;
    }

    channel.basic_qos(BasicQosArguments::new(0, 1, false)).await?;
    let mut messages = consume(&channel, &queue, false).await?;
    let one = receive(&mut messages).await?;
    assert_eq!((one.body.as_str(), one.redelivered), ("one", false));
    assert_eq!(one.properties.content_type().map(String::as_str), Some("text/plain"));
    assert_eq!(one.properties.correlation_id().map(String::as_str), Some("c-1"));
    assert_eq!(one.properties.headers(), Some(&headers));
    // With a prefetch of one nothing else comes before an acknowledgement.
    assert_eq!(look_at(&channel, &queue).await?, (2, 1));
    assert!(messages.is_empty());

    channel.basic_nack(BasicNackArguments::new(one.tag, false, true)).await?;
    let again = receive(&mut messages).await?;
    assert_eq!((again.body.as_str(), again.redelivered), ("one", true));
    channel.basic_ack(BasicAckArguments::new(again.tag, false)).await?;
    let two = receive(&mut messages).await?;
    assert_eq!(two.body, "two");
    channel.basic_reject(BasicRejectArguments::new(two.tag, false)).await?;
    let three = receive(&mut messages).await?;
    assert_eq!(three.body, "three");
    channel.basic_ack(BasicAckArguments::new(three.tag, false)).await?;

    channel.basic_cancel(BasicCancelArguments::new("tag")).await?;
    assert_eq!(look_at(&channel, &queue).await?, (0, 0));
    Ok(())
}

pub async fn get(connection: &Connection) -> Result<()> {
    let (channel, _events) = channel(connection).await?;
    let queue = durable_queue(&channel, "get", FieldTable::new()).await?;
    let get = BasicGetArguments::new(&queue);
    assert!(channel.basic_get(get.clone()).await?.is_none());
    publish(&channel, "", &queue, BasicProperties::default(), "one").await?;
    publish(&channel, "", &queue, BasicProperties::default(), "two").await?;

    let (one, _, body) = channel.basic_get(get.clone()).await?.context("a message")?;
    assert_eq!((text(&body).as_str(), one.message_count()), ("one", 1));
    assert_eq!(one.routing_key(), &queue);
    channel.basic_ack(BasicAckArguments::new(one.delivery_tag(), false)).await?;
    let no_ack = get.clone().no_ack(true).finish();
    let (two, _, body) = channel.basic_get(no_ack).await?.context("a message")?;
    assert_eq!((text(&body).as_str(), two.message_count()), ("two", 0));
    assert!(channel.basic_get(get).await?.is_none());
    Ok(())
}

pub async fn returns(connection: &Connection) -> Result<()> {
    let (channel, mut events) = channel(connection).await?;
    channel.confirm_select(ConfirmSelectArguments::default()).await?;
    let nowhere = unique("nowhere");
    let properties = BasicProperties::default().with_message_id("m-1").finish();
    let arguments = BasicPublishArguments::new("", &nowhere).mandatory(true).finish();
    channel.basic_publish(properties, b"lost".to_vec(), arguments).await?;
    let returned = Event::Returned {
        code: 312,
        text: "NO_ROUTE".to_owned(),
        exchange: String::new(),
        routing_key: nowhere,
        id: Some("m-1".to_owned()),
        body: "lost".to_owned(),
    };
    assert_eq!(next(&mut events).await?, returned);
    // A message that cannot be routed is confirmed too, after its return.
    assert_eq!(next(&mut events).await?, Event::Confirmed { up_to: 1, multiple: false });
    Ok(())
}

/// A retry loop: messages wait in one queue until they expire into the other, whose consumer may send them back.
pub async fn ttl_dead_letter(connection: &Connection) -> Result<()> {
    let (channel, _events) = channel(connection).await?;
    let (wait, work) = (unique("wait"), unique("work"));
    let dead_letters_to =
        |queue: &str| [("x-dead-letter-exchange", string("")), ("x-dead-letter-routing-key", string(queue))];
    let [exchange, key] = dead_letters_to(&work);
    let arguments = table([exchange, key, ("x-message-ttl", FieldValue::I(100))])?;
    channel.queue_declare(QueueDeclareArguments::durable_client_named(&wait).arguments(arguments).finish()).await?;
    let arguments = table(dead_letters_to(&wait))?;
    channel.queue_declare(QueueDeclareArguments::durable_client_named(&work).arguments(arguments).finish()).await?;
    let mut messages = consume(&channel, &work, false).await?;
    let headers = table([("attempt", FieldValue::I(1))])?;
    let properties = BasicProperties::default().with_expiration("50").with_headers(headers).finish();
    publish(&channel, "", &wait, properties, "try me").await?;

    let expired = receive(&mut messages).await?;
    assert_eq!(expired.body, "try me");
    assert_eq!((expired.exchange.as_str(), &expired.routing_key), ("", &work));
    assert_eq!(expired.properties.expiration(), None);
    let headers = expired.properties.headers().context("headers")?;
    assert_eq!(field(headers, "attempt")?, &FieldValue::I(1));
    assert_eq!(field(headers, "x-first-death-queue")?, &string(&wait));
    assert_eq!(field(headers, "x-first-death-reason")?, &string("expired"));
    assert_eq!(field(headers, "x-first-death-exchange")?, &string(""));
    let deaths = deaths(&expired)?;
    let [death] = deaths.as_slice() else { bail!("{} deaths, and one was expected", deaths.len()) };
    assert_death(death, &wait, "expired", 1)?;
    assert_eq!(field(death, "original-expiration")?, &string("50"));

    channel.basic_reject(BasicRejectArguments::new(expired.tag, false)).await?;
    let retried = receive(&mut messages).await?;
    let deaths = self::deaths(&retried)?;
    // The latest death is the first in the list.
    let [latest, earlier] = deaths.as_slice() else { bail!("{} deaths, and two were expected", deaths.len()) };
    assert_death(latest, &wait, "expired", 2)?;
    assert_death(earlier, &work, "rejected", 1)?;
    channel.basic_ack(BasicAckArguments::new(retried.tag, false)).await?;
    Ok(())
}

fn string(text: &str) -> FieldValue {
    FieldValue::from(text)
}

fn field<'a>(table: &'a FieldTable, key: &str) -> Result<&'a FieldValue> {
    table.get(&key.try_into()?).with_context(|| format!("no field {key}"))
}

/// The entries of x-death.
fn deaths(message: &Message) -> Result<Vec<FieldTable>> {
    let headers = message.properties.headers().context("headers")?;
    let FieldValue::A(entries) = field(headers, "x-death")? else { bail!("x-death is no array") };
    let entries: Vec<FieldValue> = entries.clone().into();
    entries.into_iter().map(|entry| Ok(entry.try_into()?)).collect()
}

/// Every queue here is published to through the default exchange, under its own name.
fn assert_death(death: &FieldTable, queue: &str, reason: &str, count: i64) -> Result<()> {
    assert_eq!(field(death, "queue")?, &string(queue));
    assert_eq!(field(death, "reason")?, &string(reason));
    assert_eq!(field(death, "count")?, &FieldValue::l(count));
    assert_eq!(field(death, "exchange")?, &string(""));
    assert_eq!(field(death, "routing-keys")?, &FieldValue::A(vec![string(queue)].try_into()?));
    let FieldValue::T(time) = *field(death, "time")? else { bail!("x-death's time is no timestamp") };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    ensure!(time.abs_diff(now) < CLOCK_SKEW_SECONDS_MAX, "died at {time}");
    Ok(())
}

pub async fn priorities(connection: &Connection) -> Result<()> {
    let (channel, _events) = channel(connection).await?;
    let queue = durable_queue(&channel, "priorities", table([("x-max-priority", FieldValue::I(5))])?).await?;
    for priority in [Some(1), None, Some(5), Some(3), Some(9)] {
        let mut properties = BasicProperties::default();
        if let Some(priority) = priority {
            properties.with_priority(priority);
        }
        publish(&channel, "", &queue, properties, "some").await?;
    }
    let get = BasicGetArguments::new(&queue).no_ack(true).finish();
    let mut order = Vec::new();
    while let Some((_, properties, _)) = channel.basic_get(get.clone()).await? {
        order.push(properties.priority());
    }
    // What is above the queue's highest priority counts as the highest, no priority as the lowest.
    assert_eq!(order, [Some(5), Some(9), Some(3), Some(1), None]);
    Ok(())
}

/// Direct reply-to: the answer comes without a queue of the client's own.
pub async fn rpc(connection: &Connection) -> Result<()> {
    let (server, _server_events) = channel(connection).await?;
    let (client, _client_events) = channel(connection).await?;
    let declared = server.queue_declare(QueueDeclareArguments::exclusive_server_named()).await?;
    let (service, _, _) = declared.context("declare-ok")?;
    let mut requests = consume(&server, &service, false).await?;
    let mut answers = consume(&client, "amq.rabbitmq.reply-to", true).await?;
    for id in ["r-1", "r-2"] {
        let properties =
            BasicProperties::default().with_correlation_id(id).with_reply_to("amq.rabbitmq.reply-to").finish();
        publish(&client, "", &service, properties, "ping").await?;

        let request = receive(&mut requests).await?;
        let reply_to = request.properties.reply_to().context("where to")?;
        assert!(reply_to.starts_with("amq.rabbitmq.reply-to."), "{reply_to}");
        let request_id = request.properties.correlation_id().context("id")?;
        let properties = BasicProperties::default().with_correlation_id(request_id).finish();
        publish(&server, "", reply_to, properties, &format!("{}, pong", request.body)).await?;
        server.basic_ack(BasicAckArguments::new(request.tag, false)).await?;

        let answer = receive(&mut answers).await?;
        assert_eq!(answer.body, "ping, pong");
        assert_eq!(answer.properties.correlation_id().map(String::as_str), Some(id));
    }
    Ok(())
}

pub async fn topology_errors(connection: &Connection) -> Result<()> {
    let missing = unique("missing");
    let (first, mut events) = channel(connection).await?;
    assert!(look_at(&first, &missing).await.is_err());
    assert_eq!(next(&mut events).await?, closed(404, format!("NOT_FOUND - no queue '{missing}' in vhost '/'")));

    let (second, mut events) = channel(connection).await?;
    let queue = durable_queue(&second, "durable", FieldTable::new()).await?;
    assert!(second.queue_declare(QueueDeclareArguments::new(&queue)).await.is_err());
    let text = format!(
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{queue}' in vhost '/': \
         received 'false' but current is 'true'"
    );
    assert_eq!(next(&mut events).await?, closed(406, text));

    // A publish has no answer of its own: there is only the event.
    let (third, mut events) = channel(connection).await?;
    publish(&third, &missing, "key", BasicProperties::default(), "nowhere to go").await?;
    assert_eq!(next(&mut events).await?, closed(404, format!("NOT_FOUND - no exchange '{missing}' in vhost '/'")));

    // The connection is still in order.
    let (fourth, _events) = channel(connection).await?;
    assert_eq!(look_at(&fourth, &queue).await?, (0, 0));
    Ok(())
}

/// The library leaves recovery to its user: when the stream of messages ends, the program connects and subscribes anew.
pub async fn recovery(connection: &Connection) -> Result<()> {
    let (channel, _events) = client::channel(connection).await?;
    let queue = durable_queue(&channel, "recovery", FieldTable::new()).await?;
    let kept = durable_queue(&channel, "kept", FieldTable::new()).await?;
    let mut messages = consume(&channel, &queue, true).await?;
    publish_confirmed(connection, &queue, "before").await?;
    publish_confirmed(connection, &kept, "kept").await?;
    assert_eq!(receive(&mut messages).await?.body, "before");

    let restart = std::env::var("BROKER_RESTART").context("BROKER_RESTART")?;
    ensure!(Command::new(restart).stdout(std::io::stderr()).status().await?.success(), "BROKER_RESTART fails");
    assert!(receive(&mut messages).await.is_err(), "the connection had to be lost");
    let again = loop {
        match client::connect().await {
            Ok(connection) => break connection,
            Err(_) => tokio::time::sleep(RETRY_INTERVAL).await,
        }
    };

    let (channel, _events) = client::channel(&again).await?;
    let mut messages = consume(&channel, &queue, true).await?;
    publish_confirmed(&again, &queue, "after").await?;
    assert_eq!(receive(&mut messages).await?.body, "after");
    let get = BasicGetArguments::new(&kept).no_ack(true).finish();
    let (_, _, body) = channel.basic_get(get).await?.context("the message of before")?;
    assert_eq!(text(&body), "kept");
    channel.close().await?;
    Ok(again.close().await?)
}

async fn publish_confirmed(connection: &Connection, queue: &str, body: &str) -> Result<()> {
    let (channel, mut events) = channel(connection).await?;
    channel.confirm_select(ConfirmSelectArguments::default()).await?;
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT).finish();
    publish(&channel, "", queue, properties, body).await?;
    assert_eq!(next(&mut events).await?, Event::Confirmed { up_to: 1, multiple: false });
    Ok(())
}
