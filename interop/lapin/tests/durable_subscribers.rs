//! Subscribers that go away, come back, catch up and unsubscribe.
//!
//! The pattern: a durable exchange that everybody knows, and one durable queue a subscriber. The queue, not the
//! connection, is the subscription: it collects messages while its owner is away.

use anyhow::Result;
use lapin::options::{
    BasicAckOptions, BasicPublishOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, ExchangeKind};
use leveret_interop_lapin::scenario::{
    PERSISTENT, assert_silent, confirming_channel, connect, consume, delete_queue, durable_queue, publish_with, ready,
    receive, run, text, unique,
};

/// The exchange that news come from and the subscriptions to it.
struct News {
    exchange: String,
}

impl News {
    async fn open(channel: &Channel) -> Result<News> {
        let exchange = unique("news");
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let arguments = FieldTable::default();
        channel.exchange_declare(exchange.as_str().into(), ExchangeKind::Topic, options, arguments).await?;
        Ok(News { exchange })
    }

    async fn subscribe(&self, channel: &Channel, queue: &str, pattern: &str) -> Result<()> {
        durable_queue(channel, queue).await?;
        channel
            .queue_bind(
                queue.into(),
                self.exchange.as_str().into(),
                pattern.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(())
    }

    async fn unsubscribe(&self, channel: &Channel, queue: &str, pattern: &str) -> Result<()> {
        channel
            .queue_unbind(queue.into(), self.exchange.as_str().into(), pattern.into(), FieldTable::default())
            .await?;
        Ok(())
    }

    /// Publishes persistently, and mandatory: with confirms it comes back when nobody subscribed to it.
    async fn publish(&self, channel: &Channel, topic: &str, body: &str) -> Result<Confirmation> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        publish_with(channel, &self.exchange, topic, options, body, properties).await
    }

    async fn close(&self, channel: &Channel) -> Result<()> {
        let options = ExchangeDeleteOptions::default();
        let exchange = self.exchange.as_str().into();
        Ok(channel.exchange_delete(exchange, options).await?)
    }
}

#[test]
fn a_subscriber_goes_comes_back_and_catches_up() {
    run(async {
        let publisher = connect().await?;
        let newsroom = confirming_channel(&publisher).await?;
        let news = News::open(&newsroom).await?;
        let mailbox = unique("subscriber");

        // Here, and up to date.
        let subscriber = connect().await?;
        let channel = subscriber.create_channel().await?;
        news.subscribe(&channel, &mailbox, "sports.#").await?;
        let mut inbox = consume(&channel, &mailbox).await?;
        news.publish(&newsroom, "sports.chess", "live").await?;
        let delivery = receive(&mut inbox).await?;
        assert_eq!(text(&delivery), "live");
        delivery.ack(BasicAckOptions::default()).await?;

        // Away. What is published now waits in the queue.
        subscriber.close(200, "gone fishing".into()).await?;
        for n in 0..20 {
            let body = format!("missed {n}");
            news.publish(&newsroom, "sports.golf", &body).await?;
            news.publish(&newsroom, "politics", "not for us").await?;
        }

        // Back: the queue and its binding are still there, and so are the messages, in their order.
        let subscriber = connect().await?;
        let channel = subscriber.create_channel().await?;
        assert_eq!(durable_queue(&channel, &mailbox).await?.message_count(), 20);
        let mut inbox = consume(&channel, &mailbox).await?;
        for n in 0..20 {
            let delivery = receive(&mut inbox).await?;
            assert_eq!(text(&delivery), format!("missed {n}"));
            assert!(!delivery.redelivered, "nobody has seen it before");
            delivery.ack(BasicAckOptions::default()).await?;
        }
        assert_silent(&mut inbox).await?;

        delete_queue(&channel, &mailbox).await?;
        news.close(&newsroom).await?;
        subscriber.close(200, "OK".into()).await?;
        publisher.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn what_was_not_acknowledged_before_going_away_comes_again() {
    run(async {
        let publisher = connect().await?;
        let newsroom = confirming_channel(&publisher).await?;
        let news = News::open(&newsroom).await?;
        let mailbox = unique("subscriber");
        news.subscribe(&newsroom, &mailbox, "#").await?;
        news.publish(&newsroom, "a", "read").await?;
        news.publish(&newsroom, "b", "half read").await?;

        let subscriber = connect().await?;
        let channel = subscriber.create_channel().await?;
        let mut inbox = consume(&channel, &mailbox).await?;
        receive(&mut inbox).await?.ack(BasicAckOptions::default()).await?;
        assert_eq!(text(&receive(&mut inbox).await?), "half read");
        subscriber.close(200, "in a hurry".into()).await?;

        let subscriber = connect().await?;
        let channel = subscriber.create_channel().await?;
        let mut inbox = consume(&channel, &mailbox).await?;
        let delivery = receive(&mut inbox).await?;
        assert_eq!(text(&delivery), "half read");
        assert!(delivery.redelivered, "the broker says that it may be known");
        delivery.ack(BasicAckOptions::default()).await?;
        assert_eq!(ready(&channel, &mailbox).await?, 0);

        delete_queue(&channel, &mailbox).await?;
        news.close(&newsroom).await?;
        subscriber.close(200, "OK".into()).await?;
        publisher.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn unsubscribing_ends_the_flow_and_keeps_the_backlog() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let news = News::open(&channel).await?;
        let mailbox = unique("subscriber");
        news.subscribe(&channel, &mailbox, "weather.*").await?;
        let confirmation = news.publish(&channel, "weather.north", "rain").await?;
        assert_eq!(confirmation, Confirmation::Ack(None));

        news.unsubscribe(&channel, &mailbox, "weather.*").await?;
        let confirmation = news.publish(&channel, "weather.north", "sun").await?;
        let returned = confirmation.take_message();
        assert!(returned.is_some(), "nobody subscribes any more");
        assert_eq!(ready(&channel, &mailbox).await?, 1, "rain is still there");

        // Unsubscribing twice is no error.
        news.unsubscribe(&channel, &mailbox, "weather.*").await?;
        assert_eq!(delete_queue(&channel, &mailbox).await?, 1);
        news.close(&channel).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
