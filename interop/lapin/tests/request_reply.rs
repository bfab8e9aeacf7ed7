//! Request and reply over queues: who asks names where to answer, and recognises the answer by its correlation id.

use anyhow::{Context, Result};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions};
use lapin::{BasicProperties, Channel, Consumer};
use leveret_interop_lapin::scenario::{
    connect, consume, consume_with, publish_with, receive, run, temporary_queue, text,
};

/// The pseudo queue through which replies come without a queue of one's own.
const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to";
const NO_ACK: BasicConsumeOptions =
    BasicConsumeOptions { no_local: false, no_ack: true, exclusive: false, nowait: false };

async fn ask(channel: &Channel, to: &str, reply_to: &str, id: &str, body: &str) -> Result<()> {
    let properties = BasicProperties::default().with_reply_to(reply_to.into()).with_correlation_id(id.into());
    let options = BasicPublishOptions::default();
    publish_with(channel, "", to, options, body, properties).await?;
    Ok(())
}

/// Answers the request in capital letters.
async fn answer(channel: &Channel, request: &Delivery) -> Result<()> {
    let reply_to = request.properties.reply_to().clone();
    let correlation_id = request.properties.correlation_id().clone();
    publish_with(
        channel,
        "",
        reply_to.context("reply_to")?.as_str(),
        BasicPublishOptions::default(),
        text(request).to_uppercase(),
        BasicProperties::default().with_correlation_id(correlation_id.context("an id")?),
    )
    .await?;
    request.ack(BasicAckOptions::default()).await?;
    Ok(())
}

fn correlation_id(delivery: &Delivery) -> &str {
    let id = delivery.properties.correlation_id().as_ref();
    id.map_or("", |id| id.as_str())
}

async fn receive_requests(requests: &mut Consumer, count: usize) -> Result<Vec<Delivery>> {
    let mut received = Vec::new();
    for _ in 0..count {
        received.push(receive(requests).await?);
    }
    Ok(received)
}

#[test]
fn answers_in_another_order_find_their_questions() {
    run(async {
        let (client, server) = (connect().await?, connect().await?);
        let serving = server.create_channel().await?;
        let service = temporary_queue(&serving).await?;
        let mut requests = consume(&serving, &service).await?;

        let asking = client.create_channel().await?;
        let callback = temporary_queue(&asking).await?;
        let mut replies = consume_with(&asking, &callback, NO_ACK).await?;
        for (id, question) in [("1", "one"), ("2", "two"), ("3", "three")] {
            ask(&asking, &service, &callback, id, question).await?;
        }

        let requests = receive_requests(&mut requests, 3).await?;
        for request in requests.iter().rev() {
            answer(&serving, request).await?;
        }
        for (id, expected) in [("3", "THREE"), ("2", "TWO"), ("1", "ONE")] {
            let reply = receive(&mut replies).await?;
            assert_eq!(correlation_id(&reply), id);
            assert_eq!(text(&reply), expected);
        }
        client.close(200, "OK".into()).await?;
        server.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn direct_reply_to_needs_no_callback_queue() {
    run(async {
        let (client, server) = (connect().await?, connect().await?);
        let serving = server.create_channel().await?;
        let service = temporary_queue(&serving).await?;
        let mut requests = consume(&serving, &service).await?;

        // Consume first, then ask on the same channel: the broker connects the two.
        let asking = client.create_channel().await?;
        let mut replies = consume_with(&asking, DIRECT_REPLY_TO, NO_ACK).await?;
        for question in ["first", "second"] {
            ask(&asking, &service, DIRECT_REPLY_TO, question, question).await?;
            let request = receive(&mut requests).await?;
            let address = request.properties.reply_to().clone().expect("an address");
            let prefix = format!("{DIRECT_REPLY_TO}.");
            assert!(address.as_str().starts_with(&prefix), "{address}");
            answer(&serving, &request).await?;

            let reply = receive(&mut replies).await?;
            assert_eq!(text(&reply), question.to_uppercase());
            assert_eq!(correlation_id(&reply), question);
            assert_eq!(reply.exchange.as_str(), "");
            assert_eq!(reply.routing_key, address);
            assert!(!reply.redelivered);
        }
        client.close(200, "OK".into()).await?;
        server.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_reply_to_somebody_who_left_is_dropped() {
    run(async {
        let (client, server) = (connect().await?, connect().await?);
        let serving = server.create_channel().await?;
        let service = temporary_queue(&serving).await?;
        let mut requests = consume(&serving, &service).await?;

        let asking = client.create_channel().await?;
        let _replies = consume_with(&asking, DIRECT_REPLY_TO, NO_ACK).await?;
        ask(&asking, &service, DIRECT_REPLY_TO, "1", "anybody there?").await?;
        let request = receive(&mut requests).await?;
        client.close(200, "impatient".into()).await?;

        answer(&serving, &request).await?;
        temporary_queue(&serving).await?;
        server.close(200, "OK".into()).await?;
        Ok(())
    });
}
