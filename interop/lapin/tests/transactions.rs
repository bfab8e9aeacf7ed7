//! Transactions: publishes and acknowledgements of a channel take effect together, or not at all.

use anyhow::Result;
use lapin::options::{BasicAckOptions, BasicPublishOptions};
use lapin::{BasicProperties, Channel};
use leveret_interop_lapin::scenario::{
    assert_silent, connect, consume, drain, get, publish, publish_with, ready, receive, run, temporary_queue, text,
    unique, wait_until_ready,
};

async fn transactional_channel(connection: &lapin::Connection) -> Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.tx_select().await?;
    Ok(channel)
}

#[test]
fn commit_publishes_everything_at_once() {
    run(async {
        let connection = connect().await?;
        let observer = connection.create_channel().await?;
        let queue = temporary_queue(&observer).await?;
        let mut consumer = consume(&observer, &queue).await?;
        let channel = transactional_channel(&connection).await?;

        for n in 0..3 {
            publish(&channel, "", &queue, n.to_string()).await?;
        }
        assert_silent(&mut consumer).await?;
        channel.tx_commit().await?;
        for n in 0..3 {
            let delivery = receive(&mut consumer).await?;
            assert_eq!(text(&delivery), n.to_string());
            delivery.ack(BasicAckOptions::default()).await?;
        }

        // The next transaction has begun by itself.
        publish(&channel, "", &queue, "second round").await?;
        assert_silent(&mut consumer).await?;
        channel.tx_commit().await?;
        assert_eq!(text(&receive(&mut consumer).await?), "second round");
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn rollback_forgets_the_publishes() {
    run(async {
        let connection = connect().await?;
        let channel = transactional_channel(&connection).await?;
        let queue = temporary_queue(&channel).await?;
        publish(&channel, "", &queue, "a mistake").await?;
        channel.tx_rollback().await?;
        publish(&channel, "", &queue, "meant").await?;
        channel.tx_commit().await?;
        assert_eq!(drain(&channel, &queue).await?, ["meant"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn acknowledgements_take_effect_with_the_commit() {
    run(async {
        let connection = connect().await?;
        let plain = connection.create_channel().await?;
        let queue = temporary_queue(&plain).await?;
        publish(&plain, "", &queue, "in").await?;

        // Take from one queue and put into another one, as one step.
        let channel = transactional_channel(&connection).await?;
        let output = temporary_queue(&channel).await?;
        let message = get(&channel, &queue).await?.expect("the message");
        publish(&channel, "", &output, "out").await?;
        message.ack(BasicAckOptions::default()).await?;
        channel.tx_commit().await?;

        channel.close(200, "OK".into()).await?;
        assert_eq!(ready(&plain, &queue).await?, 0);
        assert_eq!(drain(&plain, &output).await?, ["out"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn rollback_undoes_the_acknowledgement_and_does_not_redeliver() {
    run(async {
        let connection = connect().await?;
        let channel = transactional_channel(&connection).await?;
        let queue = temporary_queue(&channel).await?;
        publish(&channel, "", &queue, "once").await?;
        channel.tx_commit().await?;

        let mut consumer = consume(&channel, &queue).await?;
        let delivery = receive(&mut consumer).await?;
        channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await?;
        channel.tx_rollback().await?;
        assert_silent(&mut consumer).await?;

        // It is unacknowledged again, so that it can be acknowledged again.
        channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await?;
        channel.tx_commit().await?;
        channel.close(200, "OK".into()).await?;
        let observer = connection.create_channel().await?;
        assert_eq!(drain(&observer, &queue).await?, [""; 0]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn closing_the_channel_rolls_back() {
    run(async {
        let connection = connect().await?;
        let observer = connection.create_channel().await?;
        let queue = temporary_queue(&observer).await?;
        publish(&observer, "", &queue, "old").await?;

        let channel = transactional_channel(&connection).await?;
        let old = get(&channel, &queue).await?.expect("the old message");
        old.ack(BasicAckOptions::default()).await?;
        publish(&channel, "", &queue, "new").await?;
        channel.close(200, "changed our mind".into()).await?;

        wait_until_ready(&observer, &queue, 1).await?;
        let old = get(&observer, &queue).await?.expect("the old message");
        assert_eq!(text(&old), "old");
        assert!(old.redelivered);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn mandatory_messages_come_back_at_the_commit() {
    run(async {
        let connection = connect().await?;
        let channel = transactional_channel(&connection).await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let nowhere = unique("nowhere");
        let properties = BasicProperties::default();
        publish_with(&channel, "", &nowhere, options, "lost", properties).await?;
        channel.tx_commit().await?;

        let returned = channel.wait_for_confirms().await?;
        assert_eq!(returned.len(), 1, "the return precedes commit-ok");
        assert_eq!(returned[0].reply_text.as_str(), "NO_ROUTE");
        assert_eq!(text(&returned[0]), "lost");
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
