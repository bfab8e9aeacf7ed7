//! Bodies of any size, from nothing to 64 MiB, arrive whole.

use anyhow::Result;
use lapin::Connection;
use lapin::options::BasicAckOptions;
use leveret_interop_lapin::scenario::{
    confirming_channel, connect, connect_with, consume, get, publish, receive, run, temporary_queue,
};

/// What a frame has besides its payload: type, channel, size and the end byte.
const FRAME_OVERHEAD: usize = 8;
const LARGE_BYTES: usize = 64 * 1024 * 1024;

/// Bytes in which a lost, doubled or swapped piece shows: their period, a prime number, fits no size of a frame.
fn pattern(length: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..65_521_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut bytes = period.repeat(length.div_ceil(period.len()));
    bytes.truncate(length);
    bytes
}

#[test]
fn empty_bodies() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = temporary_queue(&channel).await?;
        for _ in 0..3 {
            publish(&channel, "", &queue, "").await?;
        }
        let fetched = get(&channel, &queue).await?.expect("an empty message");
        assert!(fetched.data.is_empty());
        let mut consumer = consume(&channel, &queue).await?;
        for _ in 0..2 {
            let delivered = receive(&mut consumer).await?;
            assert!(delivered.data.is_empty());
            delivered.ack(BasicAckOptions::default()).await?;
        }
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

/// Sizes around those at which the body needs one frame more.
async fn assert_frame_borders(connection: &Connection) -> Result<()> {
    let channel = confirming_channel(connection).await?;
    let queue = temporary_queue(&channel).await?;
    let mut consumer = consume(&channel, &queue).await?;
    let piece = connection.configuration().frame_max() as usize - FRAME_OVERHEAD;
    for length in [1, piece - 1, piece, piece + 1, 2 * piece, 2 * piece + 1] {
        let body = pattern(length);
        publish(&channel, "", &queue, &body).await?;
        let delivery = receive(&mut consumer).await?;
        assert!(delivery.data == body, "a body of {length} bytes is damaged");
        delivery.ack(BasicAckOptions::default()).await?;
    }
    // Not only dropped: lapin closes a dropped channel in the background, where it can meet the closing of the connection.
    channel.close(200, "OK".into()).await?;
    Ok(())
}

#[test]
fn bodies_at_the_borders_of_frames() {
    run(async {
        let connection = connect().await?;
        assert_frame_borders(&connection).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn bodies_at_the_borders_of_small_frames() {
    run(async {
        let connection = connect_with("?frame_max=8192").await?;
        assert_eq!(connection.configuration().frame_max(), 8192);
        assert_frame_borders(&connection).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_body_crosses_between_connections_with_different_frame_sizes() {
    run(async {
        let (small, large) = (connect_with("?frame_max=8192").await?, connect().await?);
        let (reader, writer) = (small.create_channel().await?, confirming_channel(&large).await?);
        let queue = temporary_queue(&reader).await?;
        let body = pattern(300_000);
        publish(&writer, "", &queue, &body).await?;
        let message = get(&reader, &queue).await?.expect("the message");
        assert!(message.data == body, "the body is damaged");
        small.close(200, "OK".into()).await?;
        large.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_body_of_64_mib() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = temporary_queue(&channel).await?;
        let body = pattern(LARGE_BYTES);
        publish(&channel, "", &queue, &body).await?;
        let message = get(&channel, &queue).await?.expect("the message");
        assert_eq!(message.data.len(), LARGE_BYTES);
        assert!(message.data == body, "the body is damaged");
        message.ack(BasicAckOptions::default()).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
