//! Tutorial 2, work queues: puts one task into the durable queue `tasks`. Each dot in it stands for a bit of work.
//!
//! `new_task [amqp://...] [text...]`

use anyhow::Result;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use leveret_interop_lapin::tutorial::{Call, name};

/// Kept on disk when its queue is durable.
const PERSISTENT: u8 = 2;

#[tokio::main]
async fn main() -> Result<()> {
    let call = Call::read();
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    let queue = name("tasks");
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default()).await?;

    // Durable queue and persistent message: the task outlives a restart of the broker.
    let task = call.text_or("a task ...");
    channel
        .basic_publish(
            "".into(),
            queue.as_str().into(),
            BasicPublishOptions::default(),
            task.as_bytes(),
            BasicProperties::default().with_delivery_mode(PERSISTENT),
        )
        .await?;
    println!("sent {task}");

    connection.close(200, "OK".into()).await?;
    Ok(())
}
