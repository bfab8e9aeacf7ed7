//! Tutorial 6, RPC: asks for a Fibonacci number and waits for the answer.
//!
//! `rpc_client [amqp://...] [n]`

use anyhow::{Result, bail};
use futures_lite::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use leveret_interop_lapin::tutorial::{Call, name};

#[tokio::main]
async fn main() -> Result<()> {
    let call = Call::read();
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    let mut replies = callback_queue(&channel).await?;
    let n = call.text_or("30");
    println!("requested fib({n})");
    let answer = ask(&channel, &mut replies, &n).await?;
    println!("got {answer}");

    connection.close(200, "OK".into()).await?;
    Ok(())
}

/// A queue of our own for the answers.
async fn callback_queue(channel: &Channel) -> Result<Consumer> {
    let queue = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await?;
    let replies = channel
        .basic_consume(
            queue.name().clone(),
            "".into(),
            BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() },
            FieldTable::default(),
        )
        .await?;
    Ok(replies)
}

async fn ask(channel: &Channel, replies: &mut Consumer, request: &str) -> Result<String> {
    // The answer carries the same id, so that it is not mistaken for that to another request.
    let correlation_id = format!("request-{}", std::process::id());
    channel
        .basic_publish(
            "".into(),
            name("rpc").into(),
            BasicPublishOptions::default(),
            request.as_bytes(),
            BasicProperties::default()
                .with_reply_to(replies.queue())
                .with_correlation_id(correlation_id.as_str().into()),
        )
        .await?;

    while let Some(reply) = replies.next().await {
        let reply = reply?;
        let id = reply.properties.correlation_id().as_ref();
        if id.is_some_and(|id| id.as_str() == correlation_id) {
            return Ok(String::from_utf8(reply.data)?);
        }
    }
    bail!("the callback queue is gone");
}
