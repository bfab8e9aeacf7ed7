//! Several consumers share one queue: each message goes to one of them.

use std::time::Duration;

use anyhow::{Result, ensure};
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions};
use lapin::{BasicProperties, Consumer};
use leveret_interop_lapin::scenario::{
    assert_silent, confirming_channel, connect, consume, delete_queue, durable_queue, inspect, publish, receive,
    receive_texts, run, start_publish, text, unique, wait_until_ready,
};
use tokio::sync::Mutex;

async fn receive_and_ack(consumer: &mut Consumer, expected: &str) -> Result<()> {
    let delivery = receive(consumer).await?;
    assert_eq!(text(&delivery), expected);
    assert!(delivery.ack(BasicAckOptions::default()).await?);
    Ok(())
}

#[test]
fn messages_go_round_robin() {
    run(async {
        let (one, other) = (connect().await?, connect().await?);
        let (one_channel, other_channel) = (confirming_channel(&one).await?, other.create_channel().await?);
        let queue = unique("round-robin");
        durable_queue(&one_channel, &queue).await?;
        let mut first = consume(&one_channel, &queue).await?;
        let mut second = consume(&other_channel, &queue).await?;
        assert_eq!(inspect(&one_channel, &queue).await?.consumer_count(), 2);

        for n in 0..10 {
            publish(&one_channel, "", &queue, n.to_string()).await?;
        }
        for n in (0..10).step_by(2) {
            receive_and_ack(&mut first, &n.to_string()).await?;
            receive_and_ack(&mut second, &(n + 1).to_string()).await?;
        }
        assert_silent(&mut first).await?;
        assert_silent(&mut second).await?;

        delete_queue(&one_channel, &queue).await?;
        one.close(200, "OK".into()).await?;
        other.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_busy_consumer_is_passed_over() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = unique("fair");
        durable_queue(&channel, &queue).await?;
        // One message at a time: who has not acknowledged gets no more.
        channel.basic_qos(1, BasicQosOptions::default()).await?;
        let mut busy = consume(&channel, &queue).await?;
        let mut quick = consume(&channel, &queue).await?;

        publish(&channel, "", &queue, "hard").await?;
        let hard = receive(&mut busy).await?;
        for n in 0..5 {
            publish(&channel, "", &queue, format!("easy {n}")).await?;
        }
        for n in 0..5 {
            receive_and_ack(&mut quick, &format!("easy {n}")).await?;
        }
        assert_silent(&mut busy).await?;

        hard.ack(BasicAckOptions::default()).await?;
        publish(&channel, "", &queue, "next").await?;
        publish(&channel, "", &queue, "next").await?;
        receive_and_ack(&mut busy, "next").await?;
        receive_and_ack(&mut quick, "next").await?;

        delete_queue(&channel, &queue).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn what_a_lost_consumer_held_goes_to_the_others() {
    run(async {
        let (survivor, lost) = (connect().await?, connect().await?);
        let channel = confirming_channel(&survivor).await?;
        let queue = unique("lost");
        durable_queue(&channel, &queue).await?;
        for n in 0..4 {
            publish(&channel, "", &queue, n.to_string()).await?;
        }
        let lost_channel = lost.create_channel().await?;
        let mut holder = consume(&lost_channel, &queue).await?;
        assert_eq!(receive_texts(&mut holder, 4).await?, ["0", "1", "2", "3"], "all of it is in its hands");

        let mut heir = consume(&channel, &queue).await?;
        assert_silent(&mut heir).await?;
        lost.close(200, "bye".into()).await?;
        for n in 0..4 {
            let delivery = receive(&mut heir).await?;
            assert_eq!(text(&delivery), n.to_string());
            assert!(delivery.redelivered);
            delivery.ack(BasicAckOptions::default()).await?;
        }

        delete_queue(&channel, &queue).await?;
        survivor.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_cancelled_consumer_gets_nothing_more_and_keeps_what_it_holds() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = unique("cancelled");
        durable_queue(&channel, &queue).await?;
        let mut leaving = consume(&channel, &queue).await?;
        publish(&channel, "", &queue, "held").await?;
        let held = receive(&mut leaving).await?;

        let options = BasicCancelOptions::default();
        channel.basic_cancel(leaving.tag(), options).await?;
        let mut staying = consume(&channel, &queue).await?;
        publish(&channel, "", &queue, "new").await?;
        receive_and_ack(&mut staying, "new").await?;
        assert_silent(&mut staying).await?;

        // The message is still the first consumer's, on the channel they share.
        held.ack(BasicAckOptions::default()).await?;
        wait_until_ready(&channel, &queue, 0).await?;
        assert_eq!(delete_queue(&channel, &queue).await?, 0);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

/// Publishes `count` messages, each with a body that no other producer uses, and waits for all confirms.
async fn produce(queue: &str, producer: usize, count: usize) -> Result<()> {
    let connection = connect().await?;
    let channel = confirming_channel(&connection).await?;
    let mut confirms = Vec::with_capacity(count);
    for n in 0..count {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let body = format!("{producer}/{n}");
        confirms.push(start_publish(&channel, "", queue, options, body, properties).await?);
    }
    for confirm in confirms {
        ensure!(confirm.await?.is_ack());
    }
    connection.close(200, "OK".into()).await?;
    Ok(())
}

/// Works until everything is done, and hands each seventh message back at the first sight.
async fn work(queue: &str, done: &Mutex<Vec<String>>, total: usize) -> Result<()> {
    let connection = connect().await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(10, BasicQosOptions::default()).await?;
    let mut consumer = consume(&channel, queue).await?;
    while done.lock().await.len() < total {
        let next = tokio::time::timeout(Duration::from_millis(50), receive(&mut consumer)).await;
        let Ok(delivery) = next else { continue };
        let delivery = delivery?;
        if delivery.delivery_tag.is_multiple_of(7) && !delivery.redelivered {
            delivery.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?;
            continue;
        }
        delivery.ack(BasicAckOptions::default()).await?;
        done.lock().await.push(text(&delivery));
    }
    connection.close(200, "OK".into()).await?;
    Ok(())
}

#[test]
fn in_a_crowd_each_message_is_done_exactly_once() {
    run(async {
        const PRODUCERS: usize = 4;
        const MESSAGES_EACH: usize = 250;
        let total = PRODUCERS * MESSAGES_EACH;
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = unique("crowd");
        durable_queue(&channel, &queue).await?;

        let done = Mutex::new(Vec::new());
        tokio::try_join!(
            produce(&queue, 0, MESSAGES_EACH),
            produce(&queue, 1, MESSAGES_EACH),
            produce(&queue, 2, MESSAGES_EACH),
            produce(&queue, 3, MESSAGES_EACH),
            work(&queue, &done, total),
            work(&queue, &done, total),
            work(&queue, &done, total),
        )?;

        let mut done = done.into_inner();
        assert_eq!(done.len(), total);
        done.sort_unstable();
        done.dedup();
        assert_eq!(done.len(), total, "some were done twice");
        assert_eq!(delete_queue(&channel, &queue).await?, 0);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
