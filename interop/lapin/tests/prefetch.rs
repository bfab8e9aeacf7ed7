//! Prefetch: how many unacknowledged messages a consumer, or all consumers of a channel, may hold.

use anyhow::Result;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::{Channel, Connection};
use leveret_interop_lapin::scenario::{
    assert_silent, connect, consume, consume_with, get, publish, ready, receive, receive_texts, run, temporary_queue,
    text,
};

const PER_CONSUMER: BasicQosOptions = BasicQosOptions { global: false };
const PER_CHANNEL: BasicQosOptions = BasicQosOptions { global: true };

/// A connection with a channel and a queue of its own that holds the messages `0`, `1`, `2`...
async fn filled_queue(count: usize) -> Result<(Connection, Channel, String)> {
    let connection = connect().await?;
    let channel = connection.create_channel().await?;
    let queue = temporary_queue(&channel).await?;
    for n in 0..count {
        publish(&channel, "", &queue, n.to_string()).await?;
    }
    Ok((connection, channel, queue))
}

#[test]
fn a_consumer_holds_at_most_its_prefetch() {
    run(async {
        let (connection, channel, queue) = filled_queue(5).await?;
        channel.basic_qos(2, PER_CONSUMER).await?;
        let mut consumer = consume(&channel, &queue).await?;
        let first = receive(&mut consumer).await?;
        assert_eq!(text(&receive(&mut consumer).await?), "1");
        assert_silent(&mut consumer).await?;
        assert_eq!(ready(&channel, &queue).await?, 3);

        // Each acknowledgement makes room for one more.
        first.ack(BasicAckOptions::default()).await?;
        assert_eq!(text(&receive(&mut consumer).await?), "2");
        assert_silent(&mut consumer).await?;

        // basic.get is not held back.
        let message = get(&channel, &queue).await?.expect("a message");
        assert_eq!(text(&message), "3");
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn each_consumer_has_the_prefetch_that_was_set_before_it() {
    run(async {
        let (connection, channel, queue) = filled_queue(10).await?;
        channel.basic_qos(1, PER_CONSUMER).await?;
        let mut one = consume(&channel, &queue).await?;
        channel.basic_qos(3, PER_CONSUMER).await?;
        let mut three = consume(&channel, &queue).await?;

        assert_eq!(receive_texts(&mut one, 1).await?, ["0"]);
        assert_eq!(receive_texts(&mut three, 3).await?, ["1", "2", "3"]);
        assert_silent(&mut one).await?;
        assert_silent(&mut three).await?;
        assert_eq!(ready(&channel, &queue).await?, 6);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn zero_is_no_limit() {
    run(async {
        let (connection, channel, queue) = filled_queue(300).await?;
        channel.basic_qos(1, PER_CONSUMER).await?;
        channel.basic_qos(0, PER_CONSUMER).await?;
        let mut consumer = consume(&channel, &queue).await?;
        assert_eq!(receive_texts(&mut consumer, 300).await?.len(), 300);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn consumers_without_acknowledgements_are_not_limited() {
    run(async {
        let (connection, channel, queue) = filled_queue(20).await?;
        channel.basic_qos(1, PER_CONSUMER).await?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let mut consumer = consume_with(&channel, &queue, options).await?;
        assert_eq!(receive_texts(&mut consumer, 20).await?.len(), 20);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_global_prefetch_is_shared_by_the_consumers_of_the_channel() {
    run(async {
        let (connection, channel, queue) = filled_queue(10).await?;
        channel.basic_qos(3, PER_CHANNEL).await?;
        let mut one = consume(&channel, &queue).await?;
        let held = receive(&mut one).await?;
        assert_eq!(receive_texts(&mut one, 2).await?, ["1", "2"]);
        let mut other = consume(&channel, &queue).await?;
        // The first consumer has used up what both of them may hold.
        assert_silent(&mut one).await?;
        assert_silent(&mut other).await?;
        assert_eq!(ready(&channel, &queue).await?, 7);

        // Room for one, and it is the turn of one of the two.
        held.ack(BasicAckOptions::default()).await?;
        let delivery = tokio::select! {
            delivery = receive(&mut one) => delivery?,
            delivery = receive(&mut other) => delivery?,
        };
        assert_eq!(text(&delivery), "3");
        assert_silent(&mut one).await?;
        assert_silent(&mut other).await?;
        assert_eq!(ready(&channel, &queue).await?, 6);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn another_channel_has_its_own_global_prefetch() {
    run(async {
        let (connection, channel, queue) = filled_queue(10).await?;
        channel.basic_qos(2, PER_CHANNEL).await?;
        let mut consumer = consume(&channel, &queue).await?;
        assert_eq!(receive_texts(&mut consumer, 2).await?, ["0", "1"]);

        let unlimited = connection.create_channel().await?;
        let mut hungry = consume(&unlimited, &queue).await?;
        assert_eq!(receive_texts(&mut hungry, 8).await?.len(), 8);
        assert_silent(&mut consumer).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn both_limits_hold_together() {
    run(async {
        let (connection, channel, queue) = filled_queue(10).await?;
        channel.basic_qos(2, PER_CONSUMER).await?;
        channel.basic_qos(3, PER_CHANNEL).await?;
        let mut one = consume(&channel, &queue).await?;
        assert_eq!(receive_texts(&mut one, 2).await?, ["0", "1"]);
        assert_silent(&mut one).await?;
        let mut other = consume(&channel, &queue).await?;
        assert_eq!(receive_texts(&mut other, 1).await?, ["2"]);
        assert_silent(&mut other).await?;

        // Acknowledging everything at once makes room for both.
        channel.basic_ack(3, BasicAckOptions { multiple: true }).await?;
        let mut next = [receive(&mut one).await?, receive(&mut other).await?];
        next.sort_by_key(|delivery| delivery.delivery_tag);
        assert_eq!(text(&next[0]), "3");
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
