//! Tutorial 5, topics: sends one line of log under a topic such as `kernel.critical`.
//!
//! `emit_log_topic [amqp://...] [topic [text...]]`

use anyhow::Result;
use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties, ExchangeKind};
use leveret_interop_lapin::tutorial::{Call, name};

#[tokio::main]
async fn main() -> Result<()> {
    let mut call = Call::read();
    let topic = if call.words.is_empty() { "anonymous.info".to_owned() } else { call.words.remove(0) };
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    // A topic exchange compares the routing key, words with dots between them, with the patterns of its bindings.
    let exchange = name("logs_topic");
    channel
        .exchange_declare(
            exchange.as_str().into(),
            ExchangeKind::Topic,
            ExchangeDeclareOptions::default(),
            FieldTable::default(),
        )
        .await?;

    let line = call.text_or("Hello World!");
    channel
        .basic_publish(
            exchange.as_str().into(),
            topic.as_str().into(),
            BasicPublishOptions::default(),
            line.as_bytes(),
            BasicProperties::default(),
        )
        .await?;
    println!("sent {topic}: {line}");

    connection.close(200, "OK".into()).await?;
    Ok(())
}
