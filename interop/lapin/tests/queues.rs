//! Declaring, inspecting, purging and deleting queues.

use lapin::options::{
    BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use leveret_interop_lapin::scenario::{
    confirming_channel, connect, consume, delete_queue, drain, durable_queue, get, inspect, publish, queue_exists,
    ready, receive, run, temporary_queue, text, unique,
};

#[test]
fn declaring_creates_or_finds_the_queue() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let name = unique("declared");
        let queue = durable_queue(&channel, &name).await?;
        assert_eq!(queue.name().as_str(), name);
        assert_eq!((queue.message_count(), queue.consumer_count()), (0, 0));

        publish(&channel, "", &name, "one").await?;
        publish(&channel, "", &name, "two").await?;
        let _consumer = consume(&channel, &temporary_queue(&channel).await?).await?;
        let queue = durable_queue(&channel, &name).await?;
        assert_eq!((queue.message_count(), queue.consumer_count()), (2, 0));
        delete_queue(&channel, &name).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_passive_declare_only_looks() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let name = unique("passive");
        assert!(!queue_exists(&connection, &name).await?);
        assert!(!queue_exists(&connection, &name).await?, "it did not create");

        durable_queue(&channel, &name).await?;
        publish(&channel, "", &name, "waiting").await?;
        let other_channel = connection.create_channel().await?;
        let mut consumer = consume(&other_channel, &name).await?;
        receive(&mut consumer).await?;
        publish(&channel, "", &name, "held").await?;
        receive(&mut consumer).await?;

        // Other properties than the queue has do not matter. Messages that are held are not counted.
        let options = QueueDeclareOptions { passive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(1));
        let queue = channel.queue_declare(name.as_str().into(), options, arguments).await?;
        assert_eq!((queue.message_count(), queue.consumer_count()), (0, 1));
        delete_queue(&channel, &name).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn the_server_names_queues_without_a_name() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let one = temporary_queue(&channel).await?;
        let other = temporary_queue(&channel).await?;
        assert_ne!(one, other);
        for name in [&one, &other] {
            let random = name.strip_prefix("amq.gen-").expect("a generated name");
            assert_eq!(random.len(), 22, "{name}");
        }
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn no_name_means_the_queue_declared_last() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        temporary_queue(&channel).await?;
        let last = temporary_queue(&channel).await?;

        // Without a routing key too, the queue's name is the routing key.
        let (exchange, options) = ("amq.direct".into(), QueueBindOptions::default());
        channel.queue_bind("".into(), exchange, "".into(), options, FieldTable::default()).await?;
        publish(&channel, "amq.direct", &last, "found").await?;
        let message = get(&channel, "").await?.expect("the message");
        assert_eq!(text(&message), "found");
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn purging_empties_a_queue_of_its_ready_messages() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        for n in 0..5 {
            publish(&channel, "", &queue, n.to_string()).await?;
        }
        let held = get(&channel, &queue).await?.expect("a message");
        let options = QueuePurgeOptions::default();
        let purged = channel.queue_purge(queue.as_str().into(), options).await?;
        assert_eq!(purged, 4);
        assert_eq!(ready(&channel, &queue).await?, 0);
        assert_eq!(channel.queue_purge(queue.as_str().into(), options).await?, 0);

        // What somebody holds is not purged.
        held.nack(lapin::options::BasicNackOptions { requeue: true, ..Default::default() }).await?;
        assert_eq!(drain(&channel, &queue).await?, ["0"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn deleting_says_how_many_messages_are_lost() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = unique("deleted");
        durable_queue(&channel, &queue).await?;
        publish(&channel, "", &queue, "lost").await?;
        publish(&channel, "", &queue, "lost").await?;
        assert_eq!(delete_queue(&channel, &queue).await?, 2);
        assert!(!queue_exists(&connection, &queue).await?);
        assert_eq!(delete_queue(&channel, &queue).await?, 0, "not an error");
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_queue_can_be_deleted_on_condition() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = unique("deleted");
        durable_queue(&channel, &queue).await?;
        let carefully = QueueDeleteOptions { if_unused: true, if_empty: true, ..QueueDeleteOptions::default() };
        let deleted = channel.queue_delete(queue.as_str().into(), carefully);
        assert_eq!(deleted.await?, 0);
        assert!(!queue_exists(&connection, &queue).await?);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn equivalent_arguments_are_the_same_queue() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = unique("equivalent");
        // The width of an integer does not matter, nor do arguments that a queue has no use for.
        let ttls = [AMQPValue::LongInt(60_000), AMQPValue::LongLongInt(60_000), AMQPValue::ShortUInt(60_000)];
        for (n, ttl) in (0..).zip(ttls) {
            let mut arguments = FieldTable::default();
            arguments.insert("x-message-ttl".into(), ttl);
            arguments.insert("colour".into(), AMQPValue::LongInt(n));
            let options = QueueDeclareOptions::exclusive();
            channel.queue_declare(queue.as_str().into(), options, arguments).await?;
        }
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn methods_without_a_reply_take_effect_too() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = unique("nowait");
        let options = QueueDeclareOptions { exclusive: true, nowait: true, ..QueueDeclareOptions::default() };
        let arguments = FieldTable::default();
        channel.queue_declare(queue.as_str().into(), options, arguments.clone()).await?;
        let nowait = QueueBindOptions { nowait: true };
        let (exchange, key) = ("amq.direct", queue.as_str());
        channel.queue_bind(key.into(), exchange.into(), key.into(), nowait, arguments.clone()).await?;
        let options = BasicConsumeOptions { nowait: true, no_ack: true, ..BasicConsumeOptions::default() };
        let mut consumer = channel.basic_consume(key.into(), "reader".into(), options, arguments).await?;
        publish(&channel, exchange, key, "arrived").await?;
        assert_eq!(text(&receive(&mut consumer).await?), "arrived");
        assert_eq!(inspect(&channel, key).await?.consumer_count(), 1);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
