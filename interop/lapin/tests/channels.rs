//! Channels: many independent conversations on one connection.

use std::time::Duration;

use anyhow::Result;
use lapin::{Channel, Connection, ErrorKind};
use leveret_interop_lapin::scenario::{
    connect, connect_with, consume, drain, publish, ready, receive_texts, run, temporary_queue, within,
};

/// What the broker proposes, and lapin agrees to, unless it is told otherwise.
const CHANNELS_MAX: u16 = 2047;

#[test]
fn a_connection_has_2047_channels() {
    run(async {
        let connection = connect().await?;
        assert_eq!(connection.configuration().channel_max(), CHANNELS_MAX);
        let mut channels = Vec::new();
        for id in 1..=CHANNELS_MAX {
            let channel = connection.create_channel().await?;
            assert_eq!(channel.id(), id);
            channels.push(channel);
        }
        let refusal = connection.create_channel().await.expect_err("no number is left");
        assert!(matches!(refusal.kind(), ErrorKind::ChannelsLimitReached));

        // Each of them works.
        let queue = temporary_queue(&channels[0]).await?;
        for channel in &channels {
            publish(channel, "", &queue, channel.id().to_string()).await?;
        }
        let mut consumer = consume(&channels[1], &queue).await?;
        let mut numbers: Vec<u16> = Vec::new();
        for text in receive_texts(&mut consumer, CHANNELS_MAX.into()).await? {
            numbers.push(text.parse()?);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, Vec::from_iter(1..=CHANNELS_MAX));

        // A closed one makes room for another one with its number.
        channels[1000].close(200, "OK".into()).await?;
        let reborn = within(create_when_free(&connection)).await??;
        assert_eq!(reborn.id(), 1001);
        assert_eq!(ready(&reborn, &queue).await?, 0);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

/// lapin gives a number free a moment after the channel is closed.
async fn create_when_free(connection: &Connection) -> Result<Channel> {
    loop {
        match connection.create_channel().await {
            Err(error) if matches!(error.kind(), ErrorKind::ChannelsLimitReached) => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            answer => return Ok(answer?),
        }
    }
}

#[test]
fn a_client_may_ask_for_less() {
    run(async {
        let connection = connect_with("?channel_max=2").await?;
        assert_eq!(connection.configuration().channel_max(), 2);
        let _one = connection.create_channel().await?;
        let _two = connection.create_channel().await?;
        let refusal = connection.create_channel().await.expect_err("two are open");
        assert!(matches!(refusal.kind(), ErrorKind::ChannelsLimitReached));
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn closing_a_channel_leaves_the_others_alone() {
    run(async {
        let connection = connect().await?;
        let (one, other) = (connection.create_channel().await?, connection.create_channel().await?);
        let queue = temporary_queue(&one).await?;
        one.close(200, "OK".into()).await?;
        assert!(!one.status().connected());
        assert!(other.status().connected());
        publish(&other, "", &queue, "fine").await?;
        assert_eq!(drain(&other, &queue).await?, ["fine"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
