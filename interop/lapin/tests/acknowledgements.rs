//! ack, nack, reject, recover: what a consumer says about the messages it got.

use anyhow::Result;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicNackOptions, BasicRecoverAsyncOptions, BasicRecoverOptions, BasicRejectOptions,
};
use lapin::{Channel, Connection};
use leveret_interop_lapin::scenario::{
    assert_silent, connect, consume, drain, get, inspect, publish, ready, receive, receive_texts, run, temporary_queue,
    text, wait_until_ready,
};

const REQUEUE: BasicNackOptions = BasicNackOptions { multiple: false, requeue: true };

/// A connection with a channel and a queue of its own, filled with these bodies.
async fn filled_queue(bodies: &[&str]) -> Result<(Connection, Channel, String)> {
    let connection = connect().await?;
    let channel = connection.create_channel().await?;
    let queue = temporary_queue(&channel).await?;
    for body in bodies {
        publish(&channel, "", &queue, body).await?;
    }
    Ok((connection, channel, queue))
}

fn texts(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(text).collect()
}

#[test]
fn nack_with_requeue_gives_the_message_again_marked_as_redelivered() {
    run(async {
        let (connection, channel, queue) = filled_queue(&["work"]).await?;
        let mut consumer = consume(&channel, &queue).await?;
        let delivery = receive(&mut consumer).await?;
        assert!(!delivery.redelivered);
        delivery.nack(REQUEUE).await?;

        let again = receive(&mut consumer).await?;
        assert_eq!(text(&again), "work");
        assert!(again.redelivered);
        assert!(again.delivery_tag > delivery.delivery_tag, "a new delivery has a new tag");
        again.ack(BasicAckOptions::default()).await?;
        assert_silent(&mut consumer).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_requeued_message_goes_back_to_its_place() {
    run(async {
        let (connection, channel, queue) = filled_queue(&["a", "b", "c", "d"]).await?;
        let first = get(&channel, &queue).await?.expect("a");
        let second = get(&channel, &queue).await?.expect("b");
        let third = get(&channel, &queue).await?.expect("c");
        // Given back in another order than they came.
        second.nack(REQUEUE).await?;
        third.nack(REQUEUE).await?;
        first.nack(REQUEUE).await?;
        assert_eq!(drain(&channel, &queue).await?, ["a", "b", "c", "d"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn nack_or_reject_without_requeue_drops_the_message() {
    run(async {
        let (connection, channel, queue) = filled_queue(&["nacked", "rejected", "kept"]).await?;
        let nacked = get(&channel, &queue).await?.expect("the first message");
        nacked.nack(BasicNackOptions::default()).await?;
        let rejected = get(&channel, &queue).await?.expect("the second message");
        rejected.reject(BasicRejectOptions { requeue: false }).await?;
        assert_eq!(drain(&channel, &queue).await?, ["kept"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn reject_with_requeue_gives_the_message_to_another_consumer() {
    run(async {
        let (connection, channel, queue) = filled_queue(&[]).await?;
        let mut picky = consume(&channel, &queue).await?;
        let mut other = consume(&channel, &queue).await?;
        publish(&channel, "", &queue, "delicate").await?;
        let delivery = receive(&mut picky).await?;
        // The queue serves its consumers in turn, and the picky one had its turn.
        delivery.reject(BasicRejectOptions { requeue: true }).await?;
        let delivery = receive(&mut other).await?;
        assert!(delivery.redelivered);
        delivery.ack(BasicAckOptions::default()).await?;
        assert_silent(&mut picky).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn one_ack_can_cover_all_messages_up_to_it() {
    run(async {
        let (connection, channel, queue) = filled_queue(&["1", "2", "3", "4", "5"]).await?;
        let mut consumer = consume(&channel, &queue).await?;
        let mut deliveries = Vec::new();
        for _ in 0..5 {
            deliveries.push(receive(&mut consumer).await?);
        }
        deliveries[2].ack(BasicAckOptions { multiple: true }).await?;

        // Closing the channel gives back what was not acknowledged.
        channel.close(200, "OK".into()).await?;
        let channel = connection.create_channel().await?;
        wait_until_ready(&channel, &queue, 2).await?;
        assert_eq!(drain(&channel, &queue).await?, ["4", "5"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn one_nack_can_give_back_everything() {
    run(async {
        let (connection, channel, queue) = filled_queue(&["1", "2", "3"]).await?;
        for _ in 0..3 {
            get(&channel, &queue).await?.expect("a message");
        }
        assert_eq!(ready(&channel, &queue).await?, 0);
        // Delivery tag 0 with multiple stands for all there are.
        let everything = BasicNackOptions { multiple: true, requeue: true };
        channel.basic_nack(0, everything).await?;
        wait_until_ready(&channel, &queue, 3).await?;
        assert_eq!(drain(&channel, &queue).await?, ["1", "2", "3"]);

        // And it is no mistake when there are none.
        channel.basic_nack(0, everything).await?;
        channel.basic_ack(0, BasicAckOptions { multiple: true }).await?;
        assert_eq!(inspect(&channel, &queue).await?.message_count(), 0);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn recover_gives_all_unacknowledged_messages_again() {
    run(async {
        let (connection, channel, queue) = filled_queue(&["1", "2", "3"]).await?;
        let mut consumer = consume(&channel, &queue).await?;
        let first = receive(&mut consumer).await?;
        assert_eq!(receive_texts(&mut consumer, 2).await?, ["2", "3"]);
        first.ack(BasicAckOptions::default()).await?;

        channel.basic_recover(BasicRecoverOptions { requeue: true }).await?;
        let mut again = Vec::new();
        for _ in 0..2 {
            again.push(receive(&mut consumer).await?);
        }
        assert_eq!(texts(&again), ["2", "3"]);
        assert!(again.iter().all(|delivery| delivery.redelivered));

        channel.basic_ack(0, BasicAckOptions { multiple: true }).await?;
        assert_silent(&mut consumer).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn recover_async_does_the_same_without_a_reply() {
    run(async {
        let (connection, channel, queue) = filled_queue(&["1", "2"]).await?;
        for _ in 0..2 {
            get(&channel, &queue).await?.expect("a message");
        }
        channel.basic_recover_async(BasicRecoverAsyncOptions { requeue: true }).await?;
        wait_until_ready(&channel, &queue, 2).await?;
        assert_eq!(drain(&channel, &queue).await?, ["1", "2"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn closing_a_channel_gives_everything_back_in_order() {
    run(async {
        let (connection, channel, queue) = filled_queue(&["1", "2", "3", "4"]).await?;
        let mut consumer = consume(&channel, &queue).await?;
        assert_eq!(receive_texts(&mut consumer, 4).await?.len(), 4);
        channel.close(200, "OK".into()).await?;

        let channel = connection.create_channel().await?;
        wait_until_ready(&channel, &queue, 4).await?;
        let first = get(&channel, &queue).await?.expect("a message");
        assert!(first.redelivered);
        assert_eq!(text(&first), "1");
        assert_eq!(drain(&channel, &queue).await?, ["2", "3", "4"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
