//! The ends of a consumer: cancelled by its owner, or by the broker because its queue is gone.

use futures_lite::StreamExt;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions};
use lapin::types::FieldTable;
use leveret_interop_lapin::scenario::{
    assert_cancelled, connect, consume, delete_queue, durable_queue, inspect, publish, queue_exists, receive,
    receive_texts, run, temporary_queue, text, unique, within,
};

#[test]
fn deleting_a_queue_cancels_its_consumers() {
    run(async {
        let (owner, other) = (connect().await?, connect().await?);
        let queue = unique("deleted");
        let channel = owner.create_channel().await?;
        durable_queue(&channel, &queue).await?;
        let mut first = consume(&channel, &queue).await?;
        let second_channel = owner.create_channel().await?;
        let mut second = consume(&second_channel, &queue).await?;

        // Somebody else deletes it. lapin has told the broker that it understands such a cancellation.
        let deleter = other.create_channel().await?;
        delete_queue(&deleter, &queue).await?;
        assert_cancelled(&mut first).await?;
        assert_cancelled(&mut second).await?;

        // Only the consumers are gone. The channels go on.
        let queue = temporary_queue(&channel).await?;
        let mut consumer = consume(&channel, &queue).await?;
        publish(&second_channel, "", &queue, "still here").await?;
        assert_eq!(text(&receive(&mut consumer).await?), "still here");
        owner.close(200, "OK".into()).await?;
        other.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn messages_of_a_deleted_queue_can_still_be_acknowledged() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = unique("deleted");
        durable_queue(&channel, &queue).await?;
        publish(&channel, "", &queue, "late").await?;
        let mut consumer = consume(&channel, &queue).await?;
        let delivery = receive(&mut consumer).await?;
        delete_queue(&channel, &queue).await?;
        assert_cancelled(&mut consumer).await?;

        delivery.ack(BasicAckOptions::default()).await?;
        assert!(!queue_exists(&connection, &queue).await?);
        temporary_queue(&channel).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn cancelling_delivers_first_what_is_already_under_way() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        for n in 0..10 {
            publish(&channel, "", &queue, n.to_string()).await?;
        }
        let mut consumer = consume(&channel, &queue).await?;
        let options = BasicCancelOptions::default();
        channel.basic_cancel(consumer.tag(), options).await?;
        assert_eq!(inspect(&channel, &queue).await?.consumer_count(), 0);

        // Whatever came before cancel-ok is readable, then the stream of messages ends.
        let mut count = 0;
        while let Some(delivery) = within(consumer.next()).await? {
            assert_eq!(text(&delivery?), count.to_string());
            count += 1;
        }
        let left = inspect(&channel, &queue).await?.message_count();
        assert_eq!(count + left, 10);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn cancelling_an_unknown_tag_is_no_error() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let options = BasicCancelOptions::default();
        channel.basic_cancel("nobody".into(), options).await?;
        temporary_queue(&channel).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_tag_is_free_again_after_its_cancellation() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        for n in 0..3 {
            let mut consumer = channel
                .basic_consume(
                    queue.as_str().into(),
                    "reader".into(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await?;
            assert_eq!(consumer.tag().as_str(), "reader");
            publish(&channel, "", &queue, n.to_string()).await?;
            assert_eq!(receive_texts(&mut consumer, 1).await?, [n.to_string()]);
            let options = BasicCancelOptions::default();
            channel.basic_cancel("reader".into(), options).await?;
        }
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn the_server_names_consumers_that_have_no_tag() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        let one = consume(&channel, &queue).await?;
        let other = consume(&channel, &queue).await?;
        for tag in [one.tag(), other.tag()] {
            assert!(tag.as_str().starts_with("amq.ctag-"), "{tag}");
        }
        assert_ne!(one.tag(), other.tag());
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
