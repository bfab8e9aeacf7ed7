//! Tutorial 4, routing: sends one line of log under its severity.
//!
//! `emit_log_direct [amqp://...] [severity [text...]]`

use anyhow::Result;
use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties, ExchangeKind};
use leveret_interop_lapin::tutorial::{Call, name};

#[tokio::main]
async fn main() -> Result<()> {
    let mut call = Call::read();
    let severity = if call.words.is_empty() { "info".to_owned() } else { call.words.remove(0) };
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    // A direct exchange routes to the queues bound with exactly the message's routing key.
    let exchange = name("logs_direct");
    channel
        .exchange_declare(
            exchange.as_str().into(),
            ExchangeKind::Direct,
            ExchangeDeclareOptions::default(),
            FieldTable::default(),
        )
        .await?;

    let line = call.text_or("Hello World!");
    channel
        .basic_publish(
            exchange.as_str().into(),
            severity.as_str().into(),
            BasicPublishOptions::default(),
            line.as_bytes(),
            BasicProperties::default(),
        )
        .await?;
    println!("sent {severity}: {line}");

    connection.close(200, "OK".into()).await?;
    Ok(())
}
