//! Tutorial 5, topics: prints the lines of log whose topic matches one of the patterns.
//!
//! `receive_logs_topic [amqp://...] pattern...`

use anyhow::{Result, ensure};
use futures_lite::StreamExt;
use lapin::options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use leveret_interop_lapin::tutorial::{Call, name};

#[tokio::main]
async fn main() -> Result<()> {
    let call = Call::read();
    ensure!(!call.words.is_empty(), "which topics? for example: kernel.* *.critical (# for all of them)");
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    let exchange = name("logs_topic");
    channel
        .exchange_declare(
            exchange.as_str().into(),
            ExchangeKind::Topic,
            ExchangeDeclareOptions::default(),
            FieldTable::default(),
        )
        .await?;

    let queue = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await?;
    // In a pattern `*` stands for one word and `#` for any number of words, also none.
    for pattern in &call.words {
        channel
            .queue_bind(
                queue.name().clone(),
                exchange.as_str().into(),
                pattern.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
    }

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
        let line = String::from_utf8_lossy(&delivery.data);
        println!("received {}: {line}", delivery.routing_key);
    }
    Ok(())
}
