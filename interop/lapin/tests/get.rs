//! basic.get: fetching single messages instead of subscribing.

use lapin::options::{BasicAckOptions, BasicGetOptions};
use leveret_interop_lapin::scenario::{
    connect, consume, drain, get, inspect, publish, ready, receive, run, temporary_queue, text,
};

#[test]
fn an_empty_queue_gives_nothing() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        assert!(get(&channel, &queue).await?.is_none());
        assert_eq!(inspect(&channel, &queue).await?.consumer_count(), 0);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn messages_come_in_order_and_say_how_many_are_left() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        for n in 0..4_u32 {
            publish(&channel, "", &queue, n.to_string()).await?;
        }
        for n in 0..4_u32 {
            let message = get(&channel, &queue).await?.expect("a message");
            assert_eq!(text(&message), n.to_string());
            assert_eq!(message.message_count, 3 - n);
            assert_eq!(message.delivery_tag, u64::from(n) + 1);
            assert_eq!(message.exchange.as_str(), "");
            assert_eq!(message.routing_key.as_str(), queue);
            assert!(!message.redelivered);
            message.ack(BasicAckOptions::default()).await?;
        }
        assert!(get(&channel, &queue).await?.is_none());
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn what_is_fetched_and_not_acknowledged_comes_back() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        publish(&channel, "", &queue, "held").await?;
        assert!(get(&channel, &queue).await?.is_some());
        assert!(get(&channel, &queue).await?.is_none(), "it is held");
        channel.close(200, "OK".into()).await?;

        let channel = connection.create_channel().await?;
        let message = get(&channel, &queue).await?.expect("the message again");
        assert!(message.redelivered);
        assert_eq!(message.delivery_tag, 1, "each channel counts for itself");
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn with_no_ack_the_message_is_gone_at_once() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        publish(&channel, "", &queue, "gone").await?;
        let options = BasicGetOptions { no_ack: true };
        let message = channel.basic_get(queue.as_str().into(), options).await?;
        assert_eq!(text(&message.expect("the message")), "gone");
        channel.close(200, "OK".into()).await?;

        let channel = connection.create_channel().await?;
        assert_eq!(drain(&channel, &queue).await?, [""; 0]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn fetching_and_consuming_share_the_tags_of_the_channel() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let (fetched, consumed) = (temporary_queue(&channel).await?, temporary_queue(&channel).await?);
        for queue in [&fetched, &consumed] {
            publish(&channel, "", queue, "one").await?;
            publish(&channel, "", queue, "two").await?;
        }
        let message = get(&channel, &fetched).await?.expect("a message");
        assert_eq!(message.delivery_tag, 1);
        let mut consumer = consume(&channel, &consumed).await?;
        assert_eq!(receive(&mut consumer).await?.delivery_tag, 2);
        assert_eq!(receive(&mut consumer).await?.delivery_tag, 3);
        let message = get(&channel, &fetched).await?.expect("a message");
        assert_eq!(message.delivery_tag, 4);

        // And one acknowledgement covers both kinds.
        channel.basic_ack(4, BasicAckOptions { multiple: true }).await?;
        channel.close(200, "OK".into()).await?;
        let observer = connection.create_channel().await?;
        assert_eq!(ready(&observer, &fetched).await?, 0);
        assert_eq!(ready(&observer, &consumed).await?, 0);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
