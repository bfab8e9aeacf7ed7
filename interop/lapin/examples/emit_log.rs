//! Tutorial 3, publish/subscribe: sends one line of log to everybody who listens.
//!
//! `emit_log [amqp://...] [text...]`

use anyhow::Result;
use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties, ExchangeKind};
use leveret_interop_lapin::tutorial::{Call, name};

#[tokio::main]
async fn main() -> Result<()> {
    let call = Call::read();
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    // A fanout exchange copies each message to every queue bound to it, and drops it when there is none.
    let exchange = name("logs");
    channel
        .exchange_declare(
            exchange.as_str().into(),
            ExchangeKind::Fanout,
            ExchangeDeclareOptions::default(),
            FieldTable::default(),
        )
        .await?;

    let line = call.text_or("info: Hello World!");
    channel
        .basic_publish(
            exchange.as_str().into(),
            "".into(),
            BasicPublishOptions::default(),
            line.as_bytes(),
            BasicProperties::default(),
        )
        .await?;
    println!("sent {line}");

    connection.close(200, "OK".into()).await?;
    Ok(())
}
