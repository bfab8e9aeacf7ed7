//! Exclusive and auto-delete: queues and exchanges that go away by themselves.

use anyhow::Result;
use lapin::options::{
    BasicCancelOptions, BasicGetOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    QueuePurgeOptions,
};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ExchangeKind, Queue};
use leveret_interop_lapin::refusal::{assert_refused, exists};
use leveret_interop_lapin::scenario::{
    confirming_channel, connect, consume, delete_queue, drain, durable_queue, publish, queue_exists, run,
    temporary_queue, unique,
};

async fn declare(channel: &Channel, queue: &str, options: QueueDeclareOptions) -> lapin::Result<Queue> {
    channel.queue_declare(queue.into(), options, FieldTable::default()).await
}

#[test]
fn an_exclusive_queue_ends_with_its_connection() {
    run(async {
        let (owner, other) = (connect().await?, connect().await?);
        let channel = owner.create_channel().await?;
        let queue = unique("exclusive");
        declare(&channel, &queue, QueueDeclareOptions::exclusive()).await?;

        // It outlives the channel that declared it, but not the connection.
        channel.close(200, "OK".into()).await?;
        assert!(queue_exists(&owner, &queue).await?);
        owner.close(200, "OK".into()).await?;
        assert!(!queue_exists(&other, &queue).await?);
        other.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn an_exclusive_queue_is_locked_for_other_connections() {
    run(async {
        let (owner, other) = (connect().await?, connect().await?);
        let channel = confirming_channel(&owner).await?;
        let queue = unique("exclusive");
        declare(&channel, &queue, QueueDeclareOptions::exclusive()).await?;
        let text = format!(
            "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}' in vhost '/'. \
             It could be originally declared on another connection or the exclusive property value \
             does not match that of the original declaration."
        );

        let locked = AMQPSoftError::RESOURCELOCKED;
        let channel = other.create_channel().await?;
        let passive = QueueDeclareOptions::default().passive();
        assert_refused(declare(&channel, &queue, passive).await, locked.clone(), &text);
        let channel = other.create_channel().await?;
        let options = BasicGetOptions::default();
        let answer = channel.basic_get(queue.as_str().into(), options).await;
        assert_refused(answer, locked.clone(), &text);
        let channel = other.create_channel().await?;
        let options = QueuePurgeOptions::default();
        let answer = channel.queue_purge(queue.as_str().into(), options).await;
        assert_refused(answer, locked, &text);

        // Publishing to it is open to everybody: that is how replies get home.
        let channel = confirming_channel(&other).await?;
        publish(&channel, "", &queue, "for you").await?;
        let channel = owner.create_channel().await?;
        assert_eq!(drain(&channel, &queue).await?, ["for you"]);
        owner.close(200, "OK".into()).await?;
        other.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn an_auto_delete_queue_ends_with_its_last_consumer() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = unique("auto-delete");
        let auto_delete = QueueDeclareOptions::default().auto_delete();
        declare(&channel, &queue, auto_delete).await?;

        // It waits for its first consumer. Fetching is not consuming.
        publish(&channel, "", &queue, "early").await?;
        assert_eq!(drain(&channel, &queue).await?, ["early"]);
        assert!(queue_exists(&connection, &queue).await?);

        let one = consume(&channel, &queue).await?;
        let other_channel = connection.create_channel().await?;
        let _other = consume(&other_channel, &queue).await?;
        let options = BasicCancelOptions::default();
        channel.basic_cancel(one.tag(), options).await?;
        assert!(queue_exists(&connection, &queue).await?, "one is left");

        // A closed channel takes its consumers along.
        other_channel.close(200, "OK".into()).await?;
        assert!(!queue_exists(&connection, &queue).await?);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn an_auto_delete_queue_ends_when_the_consumers_connection_ends() {
    run(async {
        let (consumer_side, other) = (connect().await?, connect().await?);
        let channel = consumer_side.create_channel().await?;
        let queue = unique("auto-delete");
        let auto_delete = QueueDeclareOptions::default().auto_delete();
        declare(&channel, &queue, auto_delete).await?;
        let _consumer = consume(&channel, &queue).await?;
        assert!(queue_exists(&other, &queue).await?);
        consumer_side.close(200, "OK".into()).await?;
        assert!(!queue_exists(&other, &queue).await?);
        other.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn an_auto_delete_exchange_ends_with_its_last_binding() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let exchange = unique("auto-delete");
        let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        let arguments = FieldTable::default();
        channel.exchange_declare(exchange.as_str().into(), ExchangeKind::Fanout, options, arguments).await?;

        let (unbound, deleted) = (temporary_queue(&channel).await?, unique("bound"));
        durable_queue(&channel, &deleted).await?;
        for queue in [&unbound, &deleted] {
            channel
                .queue_bind(
                    queue.as_str().into(),
                    exchange.as_str().into(),
                    "".into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await?;
        }
        channel
            .queue_unbind(unbound.as_str().into(), exchange.as_str().into(), "".into(), FieldTable::default())
            .await?;
        assert!(exchange_exists(&connection, &exchange).await?);

        // A binding also ends with its queue.
        delete_queue(&channel, &deleted).await?;
        assert!(!exchange_exists(&connection, &exchange).await?);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

/// As `queue_exists`, for an exchange.
async fn exchange_exists(connection: &Connection, exchange: &str) -> Result<bool> {
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let (kind, arguments) = (ExchangeKind::Fanout, FieldTable::default());
    let answer = channel.exchange_declare(exchange.into(), kind, options, arguments).await;
    let exists = exists(answer)?;
    if exists {
        channel.close(200, "OK".into()).await?;
    }
    Ok(exists)
}
