//! Tutorial 1, hello world: puts one message into the queue `hello`.
//!
//! `send [amqp://...] [text]`

use anyhow::Result;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use leveret_interop_lapin::tutorial::{Call, name};

#[tokio::main]
async fn main() -> Result<()> {
    let call = Call::read();
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    // Both sides declare the queue: whoever comes first creates it.
    let queue = name("hello");
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::default(), FieldTable::default()).await?;

    // The default exchange, whose name is empty, routes to the queue named by the routing key.
    let text = call.text_or("Hello World!");
    channel
        .basic_publish(
            "".into(),
            queue.as_str().into(),
            BasicPublishOptions::default(),
            text.as_bytes(),
            BasicProperties::default(),
        )
        .await?;
    println!("sent {text}");

    // A proper goodbye: everything written before it has reached the broker.
    connection.close(200, "OK".into()).await?;
    Ok(())
}
