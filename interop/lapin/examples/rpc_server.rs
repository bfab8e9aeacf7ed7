//! Tutorial 6, RPC: answers requests in the queue `rpc` with Fibonacci numbers.
//!
//! `rpc_server [amqp://...]`

use anyhow::{Context, Result};
use futures_lite::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use leveret_interop_lapin::tutorial::{Call, name};

#[tokio::main]
async fn main() -> Result<()> {
    let call = Call::read();
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    let queue = name("rpc");
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::default(), FieldTable::default()).await?;
    // With several servers each takes one request at a time.
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let mut requests = channel
        .basic_consume(queue.as_str().into(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await?;
    println!("waiting for requests, Ctrl-C ends");

    while let Some(request) = requests.next().await {
        let request = request?;
        answer(&channel, &request).await?;
        request.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

/// Sends the answer to where the request wants it, marked with the request's correlation id.
async fn answer(channel: &Channel, request: &Delivery) -> Result<()> {
    let n: u32 = std::str::from_utf8(&request.data)?.parse()?;
    let number = fibonacci(n);
    println!("answered fib({n}) = {number}");

    let properties = &request.properties;
    let reply_to = properties.reply_to().clone();
    let correlation_id = properties.correlation_id().clone();
    channel
        .basic_publish(
            "".into(),
            reply_to.context("a request without reply_to")?,
            BasicPublishOptions::default(),
            number.to_string().as_bytes(),
            BasicProperties::default().with_correlation_id(correlation_id.unwrap_or_default()),
        )
        .await?;
    Ok(())
}

fn fibonacci(n: u32) -> u64 {
    let (number, _) = (0..n).fold((0_u64, 1_u64), |(a, b), _| (b, a.wrapping_add(b)));
    number
}
