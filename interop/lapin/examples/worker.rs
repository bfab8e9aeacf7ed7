//! Tutorial 2, work queues: does the tasks of the queue `tasks`, one after the other. Start several of it.
//!
//! `worker [amqp://...]`

use std::time::Duration;

use anyhow::Result;
use futures_lite::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use leveret_interop_lapin::tutorial::{Call, name};

const WORK_PER_DOT: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> Result<()> {
    let call = Call::read();
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    let queue = name("tasks");
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default()).await?;

    // Fair dispatch: no new task for us while we still owe the answer to one.
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let mut consumer = channel
        .basic_consume(queue.as_str().into(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await?;
    println!("waiting for tasks, Ctrl-C ends");

    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let task = String::from_utf8_lossy(&delivery.data);
        println!("started {task}");
        for _ in task.matches('.') {
            tokio::time::sleep(WORK_PER_DOT).await;
        }
        // Only now the broker forgets the task. Had we died before, another worker would get it.
        delivery.ack(BasicAckOptions::default()).await?;
        println!("done {task}");
    }
    Ok(())
}
