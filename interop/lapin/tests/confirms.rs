//! Publisher confirms: the broker's word that it has taken over a message.

use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeleteOptions};
use lapin::{BasicProperties, Confirmation};
use leveret_interop_lapin::scenario::{
    PERSISTENT, TRANSIENT, confirming_channel, connect, consume_with, delete_queue, drain, durable_queue, publish,
    publish_with, ready, receive_texts, run, start_publish, temporary_queue, unique,
};

#[test]
fn without_confirm_select_nothing_is_confirmed() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        let confirmation = publish(&channel, "", &queue, "fire and forget").await?;
        assert_eq!(confirmation, Confirmation::NotRequested);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn many_outstanding_confirms_all_arrive() {
    run(async {
        const COUNT: usize = 5_000;
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = temporary_queue(&channel).await?;

        // Nothing is awaited but the writing, so that thousands of messages are under way at once.
        let mut outstanding = Vec::with_capacity(COUNT);
        for n in 0..COUNT {
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let body = n.to_string();
            let confirm = start_publish(&channel, "", &queue, options, body, properties);
            outstanding.push(confirm.await?);
        }
        for confirm in outstanding {
            assert_eq!(confirm.await?, Confirmation::Ack(None));
        }
        assert_eq!(ready(&channel, &queue).await? as usize, COUNT);

        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let mut consumer = consume_with(&channel, &queue, options).await?;
        let expected: Vec<String> = (0..COUNT).map(|n| n.to_string()).collect();
        assert_eq!(receive_texts(&mut consumer, COUNT).await?, expected);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn wait_for_confirms_waits_for_all_of_them() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = temporary_queue(&channel).await?;
        for n in 0..200_u32 {
            // Dropped unawaited, the confirm is left to wait_for_confirms.
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let body = n.to_be_bytes();
            let confirm = start_publish(&channel, "", &queue, options, body, properties);
            drop(confirm.await?);
        }
        assert_eq!(channel.wait_for_confirms().await?, []);

        let observer = connection.create_channel().await?;
        assert_eq!(ready(&observer, &queue).await?, 200);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn every_kind_of_message_and_queue_is_confirmed() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let durable = unique("confirmed");
        durable_queue(&channel, &durable).await?;
        let temporary = temporary_queue(&channel).await?;
        for queue in [&durable, &temporary] {
            for mode in [TRANSIENT, PERSISTENT] {
                let properties = BasicProperties::default().with_delivery_mode(mode);
                let options = BasicPublishOptions::default();
                let confirmation = publish_with(&channel, "", queue, options, "kept", properties).await?;
                assert_eq!(confirmation, Confirmation::Ack(None));
            }
            assert_eq!(drain(&channel, queue).await?, ["kept", "kept"]);
        }
        delete_queue(&channel, &durable).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn selecting_twice_goes_on_counting() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = temporary_queue(&channel).await?;
        let confirmation = publish(&channel, "", &queue, "one").await?;
        assert_eq!(confirmation, Confirmation::Ack(None));
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let confirmation = publish(&channel, "", &queue, "two").await?;
        assert_eq!(confirmation, Confirmation::Ack(None));
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn messages_of_a_queue_deleted_meanwhile_are_confirmed() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = unique("vanishing");
        durable_queue(&channel, &queue).await?;
        let mut outstanding = Vec::new();
        for _ in 0..500 {
            let options = BasicPublishOptions::default();
            let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
            let body = "soon gone";
            let confirm = start_publish(&channel, "", &queue, options, body, properties);
            outstanding.push(confirm.await?);
        }
        let other = connection.create_channel().await?;
        let options = QueueDeleteOptions::default();
        other.queue_delete(queue.as_str().into(), options).await?;
        for confirm in outstanding {
            assert_eq!(confirm.await?, Confirmation::Ack(None));
        }
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
