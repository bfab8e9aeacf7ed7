//! Tutorial 7, publisher confirms: three ways to know that the broker has taken responsibility for each message.
//!
//! `publisher_confirms [amqp://...] [number of messages]`

use std::time::Instant;

use anyhow::{Result, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, PublisherConfirm};
use leveret_interop_lapin::tutorial::Call;

const BATCH_SIZE: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let call = Call::read();
    let count: usize = call.text_or("1000").parse()?;
    let connection = Connection::connect(&call.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    // From here on the broker confirms each message published on this channel.
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let queue = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await?;

    let start = Instant::now();
    one_by_one(&channel, queue.name(), count).await?;
    println!("{count} one by one in {:?}", start.elapsed());

    let start = Instant::now();
    in_batches(&channel, queue.name(), count).await?;
    println!("{count} in batches in {:?}", start.elapsed());

    let start = Instant::now();
    as_they_come(&channel, queue.name(), count).await?;
    println!("{count} as they come in {:?}", start.elapsed());

    connection.close(200, "OK".into()).await?;
    Ok(())
}

/// The simplest and slowest way: a round trip a message.
async fn one_by_one(channel: &Channel, queue: &ShortString, count: usize) -> Result<()> {
    for n in 0..count {
        let confirm = publish(channel, queue, n).await?;
        ensure!(confirm.await?.is_ack(), "message {n} was refused");
    }
    Ok(())
}

/// A round trip a batch. When one is refused it takes some book-keeping to know which.
async fn in_batches(channel: &Channel, queue: &ShortString, count: usize) -> Result<()> {
    let mut outstanding = Vec::with_capacity(BATCH_SIZE);
    for n in 0..count {
        outstanding.push(publish(channel, queue, n).await?);
        if outstanding.len() == BATCH_SIZE {
            all_acked(&mut outstanding).await?;
        }
    }
    all_acked(&mut outstanding).await
}

async fn all_acked(outstanding: &mut Vec<PublisherConfirm>) -> Result<()> {
    for confirm in outstanding.drain(..) {
        ensure!(confirm.await?.is_ack(), "a message was refused");
    }
    Ok(())
}

/// The fastest way: a task looks at the confirms while we go on publishing.
async fn as_they_come(channel: &Channel, queue: &ShortString, count: usize) -> Result<()> {
    let (sender, mut confirms) = tokio::sync::mpsc::unbounded_channel::<PublisherConfirm>();
    let confirmed = tokio::spawn(async move {
        let mut acked = 0;
        while let Some(confirm) = confirms.recv().await {
            if confirm.await?.is_ack() {
                acked += 1;
            }
        }
        lapin::Result::Ok(acked)
    });
    for n in 0..count {
        sender.send(publish(channel, queue, n).await?)?;
    }
    drop(sender);
    let acked = confirmed.await??;
    ensure!(acked == count, "{acked} of {count} messages were confirmed");
    Ok(())
}

async fn publish(channel: &Channel, queue: &ShortString, n: usize) -> Result<PublisherConfirm> {
    let confirm = channel
        .basic_publish(
            "".into(),
            queue.clone(),
            BasicPublishOptions::default(),
            n.to_string().as_bytes(),
            BasicProperties::default(),
        )
        .await?;
    Ok(confirm)
}
