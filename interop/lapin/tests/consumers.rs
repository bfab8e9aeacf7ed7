//! Consumers that come first: by priority, or because they are exclusive.

use anyhow::Result;
use lapin::message::DeliveryResult;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use leveret_interop_lapin::refusal::assert_refused;
use leveret_interop_lapin::scenario::{
    assert_silent, connect, consume, publish, receive, receive_texts, run, temporary_queue, text, within,
};

async fn consume_with_priority(channel: &Channel, queue: &str, priority: i32) -> Result<Consumer> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongInt(priority));
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(queue.into(), "".into(), options, arguments);
    Ok(consumer.await?)
}

#[test]
fn the_highest_priority_that_has_room_is_served() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        channel.basic_qos(2, BasicQosOptions::default()).await?;
        let mut last = consume_with_priority(&channel, &queue, -5).await?;
        let mut normal = consume(&channel, &queue).await?;
        let mut first = consume_with_priority(&channel, &queue, 10).await?;

        for n in 0..5 {
            publish(&channel, "", &queue, n.to_string()).await?;
        }
        let held = receive(&mut first).await?;
        assert_eq!(text(&held), "0");
        assert_eq!(receive_texts(&mut first, 1).await?, ["1"]);
        assert_eq!(receive_texts(&mut normal, 2).await?, ["2", "3"]);
        assert_eq!(receive_texts(&mut last, 1).await?, ["4"]);

        // As soon as the first one has room again it is preferred again.
        held.ack(BasicAckOptions::default()).await?;
        publish(&channel, "", &queue, "5").await?;
        assert_eq!(receive_texts(&mut first, 1).await?, ["5"]);
        assert_silent(&mut last).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn equal_priorities_take_turns() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        let mut idle = consume_with_priority(&channel, &queue, 1).await?;
        let mut one = consume_with_priority(&channel, &queue, 2).await?;
        let mut other = consume_with_priority(&channel, &queue, 2).await?;
        for n in 0..4 {
            publish(&channel, "", &queue, n.to_string()).await?;
        }
        assert_eq!(receive_texts(&mut one, 2).await?, ["0", "2"]);
        assert_eq!(receive_texts(&mut other, 2).await?, ["1", "3"]);
        assert_silent(&mut idle).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_callback_can_take_the_place_of_the_loop() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        let consumer = consume(&channel, &queue).await?;
        let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
        consumer.set_delegate(move |delivery: DeliveryResult| {
            let sender = sender.clone();
            async move {
                if let Ok(Some(delivery)) = delivery {
                    delivery.ack(BasicAckOptions::default()).await.expect("an ack");
                    sender.send(text(&delivery)).expect("somebody listens");
                }
            }
        });
        for n in 0..3 {
            publish(&channel, "", &queue, n.to_string()).await?;
        }
        let mut texts = Vec::new();
        for _ in 0..3 {
            texts.push(within(received.recv()).await?.expect("a text"));
        }
        // lapin runs the calls as tasks of their own, so that they may overtake each other.
        texts.sort();
        assert_eq!(texts, ["0", "1", "2"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn an_exclusive_consumer_keeps_the_others_away() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
        let arguments = FieldTable::default();
        let name = queue.as_str();
        let consumer = channel.basic_consume(name.into(), "".into(), options, arguments.clone()).await?;

        let text = format!("ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use");
        for options in [BasicConsumeOptions::default(), options] {
            let latecomer = connection.create_channel().await?;
            let answer = latecomer.basic_consume(name.into(), "".into(), options, arguments.clone()).await;
            assert_refused(answer, AMQPSoftError::ACCESSREFUSED, &text);
        }

        // The queue is free again when the consumer has left.
        let cancel = BasicCancelOptions::default();
        channel.basic_cancel(consumer.tag(), cancel).await?;
        let shared = consume(&channel, name).await?;

        // Nobody becomes the exclusive one of a queue that others consume.
        let latecomer = connection.create_channel().await?;
        let answer = latecomer.basic_consume(name.into(), "".into(), options, arguments).await;
        assert_refused(answer, AMQPSoftError::ACCESSREFUSED, &text);
        channel.basic_cancel(shared.tag(), cancel).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
