//! Tutorial 4, routing: prints the lines of log of the severities it is asked for.
//!
//! `receive_logs_direct [amqp://...] severity...`

use anyhow::{Result, ensure};
use futures_lite::StreamExt;
use lapin::options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use leveret_interop_lapin::tutorial::{Call, name};

#[tokio::main]
async fn main() -> Result<()> {
    let call = Call::read();
    ensure!(!call.words.is_empty(), "which severities? for example: warning error");
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    let exchange = name("logs_direct");
    channel
        .exchange_declare(
            exchange.as_str().into(),
            ExchangeKind::Direct,
            ExchangeDeclareOptions::default(),
            FieldTable::default(),
        )
        .await?;

    let queue = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await?;
    // One binding a severity, all into the same queue.
    for severity in &call.words {
        channel
            .queue_bind(
                queue.name().clone(),
                exchange.as_str().into(),
                severity.as_str().into(),
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
