//! Message properties and header values arrive as they were sent, with their types.

use anyhow::Result;
use lapin::BasicProperties;
use lapin::options::{BasicAckOptions, BasicPublishOptions};
use lapin::types::{AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString};
use leveret_interop_lapin::scenario::{
    PERSISTENT, TRANSIENT, connect, consume, get, publish_with, receive, run, temporary_queue,
};

fn table(entries: Vec<(&str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

/// Sends the properties and checks them on both ways out of a queue: delivery and basic.get.
async fn assert_survive(properties: BasicProperties) -> Result<()> {
    let connection = connect().await?;
    let channel = connection.create_channel().await?;
    let queue = temporary_queue(&channel).await?;
    for _ in 0..2 {
        let (options, sent) = (BasicPublishOptions::default(), properties.clone());
        publish_with(&channel, "", &queue, options, "body", sent).await?;
    }
    let fetched = get(&channel, &queue).await?.expect("a message");
    assert_eq!(fetched.properties, properties);
    let mut consumer = consume(&channel, &queue).await?;
    let delivered = receive(&mut consumer).await?;
    assert_eq!(delivered.properties, properties);
    delivered.ack(BasicAckOptions::default()).await?;
    connection.close(200, "OK".into()).await?;
    Ok(())
}

#[test]
fn all_fourteen_properties() {
    run(async {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("gzip".into())
            .with_headers(table(vec![("tenant", AMQPValue::LongInt(7))]))
            .with_delivery_mode(PERSISTENT)
            .with_priority(9)
            .with_correlation_id("correlation".into())
            .with_reply_to("answers".into())
            .with_expiration("60000".into())
            .with_message_id("message-1".into())
            .with_timestamp(1_700_000_000)
            .with_type("order.created".into())
            // The broker insists that this is who we are.
            .with_user_id("guest".into())
            .with_app_id("shop".into())
            .with_cluster_id("deprecated but carried".into());
        assert_survive(properties).await
    });
}

#[test]
fn no_properties_at_all() {
    run(assert_survive(BasicProperties::default()));
}

#[test]
fn empty_longest_and_non_ascii_texts() {
    run(async {
        let longest = "x".repeat(255);
        let properties = BasicProperties::default()
            .with_content_type("".into())
            .with_message_id(longest.as_str().into())
            .with_correlation_id("Häschen 🐇".into())
            .with_app_id("\r\n\0".into());
        assert_survive(properties).await
    });
}

#[test]
fn the_ends_of_number_ranges() {
    run(async {
        for (priority, delivery_mode, timestamp) in [(0, TRANSIENT, 0), (255, PERSISTENT, u64::MAX)] {
            let properties = BasicProperties::default()
                .with_priority(priority)
                .with_delivery_mode(delivery_mode)
                .with_timestamp(timestamp);
            assert_survive(properties).await?;
        }
        Ok(())
    });
}

#[test]
fn every_header_type() {
    run(async {
        let decimal = DecimalValue { scale: 2, value: 31_415 };
        let array = FieldArray::from(vec![
            AMQPValue::LongInt(1),
            AMQPValue::LongString("two".into()),
            AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::Void])),
        ]);
        let inner = table(vec![("deep", AMQPValue::FieldTable(FieldTable::default()))]);
        let headers = table(vec![
            ("t true", AMQPValue::Boolean(true)),
            ("t false", AMQPValue::Boolean(false)),
            ("b", AMQPValue::ShortShortInt(i8::MIN)),
            ("B", AMQPValue::ShortShortUInt(u8::MAX)),
            ("s", AMQPValue::ShortInt(i16::MIN)),
            ("u", AMQPValue::ShortUInt(u16::MAX)),
            ("I", AMQPValue::LongInt(i32::MIN)),
            ("i", AMQPValue::LongUInt(u32::MAX)),
            ("l min", AMQPValue::LongLongInt(i64::MIN)),
            ("l max", AMQPValue::LongLongInt(i64::MAX)),
            ("f", AMQPValue::Float(-1.5)),
            ("d", AMQPValue::Double(f64::MAX)),
            ("D", AMQPValue::DecimalValue(decimal)),
            ("S", AMQPValue::LongString("text".into())),
            ("S not UTF-8", LongString::from(vec![0xff, 0x00, 0xfe]).into()),
            ("T", AMQPValue::Timestamp(1_700_000_000)),
            ("x", ByteArray::from(vec![0, 1, 255]).into()),
            ("V", AMQPValue::Void),
            ("A", AMQPValue::FieldArray(array)),
            ("F", AMQPValue::FieldTable(inner)),
        ]);
        assert_survive(BasicProperties::default().with_headers(headers)).await
    });
}

#[test]
fn a_header_table_that_needs_most_of_a_frame() {
    run(async {
        // Properties travel in one frame, so that frame-max, 131072 by default, limits them.
        let large = LongString::from(vec![b'h'; 100_000]);
        let mut headers = table(vec![("large", large.into())]);
        for n in 0..500 {
            let key = format!("key {n}");
            headers.insert(key.into(), AMQPValue::LongInt(n));
        }
        assert_survive(BasicProperties::default().with_headers(headers)).await
    });
}
