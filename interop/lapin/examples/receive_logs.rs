//! Tutorial 3, publish/subscribe: prints every line of log sent while it runs.
//!
//! `receive_logs [amqp://...]`

use anyhow::Result;
use futures_lite::StreamExt;
use lapin::options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use leveret_interop_lapin::tutorial::{Call, name};

#[tokio::main]
async fn main() -> Result<()> {
    let call = Call::read();
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    let exchange = name("logs");
    channel
        .exchange_declare(
            exchange.as_str().into(),
            ExchangeKind::Fanout,
            ExchangeDeclareOptions::default(),
            FieldTable::default(),
        )
        .await?;

    // A queue of our own: the broker chooses its name and deletes it when we are gone.
    let queue = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await?;
    channel
        .queue_bind(
            queue.name().clone(),
            exchange.as_str().into(),
            "".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?;

    let mut consumer = channel
        .basic_consume(
            queue.name().clone(),
            "".into(),
            BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() },
            FieldTable::default(),
        )
        .await?;
    println!("waiting for logs, Ctrl-C ends");

    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        println!("received {}", String::from_utf8_lossy(&delivery.data));
    }
    Ok(())
}
