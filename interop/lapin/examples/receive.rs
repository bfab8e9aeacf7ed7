//! Tutorial 1, hello world: prints what arrives in the queue `hello`, until Ctrl-C.
//!
//! `receive [amqp://...]`

use anyhow::Result;
use futures_lite::StreamExt;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use leveret_interop_lapin::tutorial::{Call, name};

#[tokio::main]
async fn main() -> Result<()> {
    let call = Call::read();
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    let queue = name("hello");
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::default(), FieldTable::default()).await?;

    // no_ack: the broker forgets a message as soon as it is sent to us.
    let mut consumer = channel
        .basic_consume(
            queue.as_str().into(),
            "".into(),
            BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() },
            FieldTable::default(),
        )
        .await?;
    println!("waiting for messages, Ctrl-C ends");

    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        println!("received {}", String::from_utf8_lossy(&delivery.data));
    }
    Ok(())
}
