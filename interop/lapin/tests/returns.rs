//! Mandatory messages come back when no queue wants them.

use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation};
use leveret_interop_lapin::scenario::{
    confirming_channel, connect, drain, publish, publish_with, run, start_publish, temporary_queue, text, unique,
};

const MANDATORY: BasicPublishOptions = BasicPublishOptions { mandatory: true, immediate: false };

fn assert_no_route(returned: &BasicReturnMessage, exchange: &str, routing_key: &str) {
    assert_eq!(returned.reply_code, 312);
    assert_eq!(returned.reply_text.as_str(), "NO_ROUTE");
    assert_eq!(returned.exchange.as_str(), exchange);
    assert_eq!(returned.routing_key.as_str(), routing_key);
}

#[test]
fn an_unroutable_message_comes_back_with_its_confirm() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let mut headers = FieldTable::default();
        headers.insert("attempt".into(), AMQPValue::LongInt(3));
        let properties = BasicProperties::default()
            .with_message_id("order-17".into())
            .with_content_type("text/plain".into())
            .with_headers(headers);

        let nowhere = unique("nowhere");
        let confirmation =
            publish_with(&channel, "amq.topic", &nowhere, MANDATORY, "precious", properties.clone()).await?;

        // The broker took care of the message: it is an ack. But nobody will get it.
        assert!(confirmation.is_ack());
        let returned = confirmation.take_message().expect("the returned message");
        assert_no_route(&returned, "amq.topic", &nowhere);
        assert_eq!(text(&returned), "precious");
        assert_eq!(returned.properties, properties);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_routable_message_does_not_come_back() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = temporary_queue(&channel).await?;
        let properties = BasicProperties::default();
        let confirmation = publish_with(&channel, "", &queue, MANDATORY, "wanted", properties).await?;
        assert_eq!(confirmation, Confirmation::Ack(None));
        assert_eq!(drain(&channel, &queue).await?, ["wanted"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn without_mandatory_an_unroutable_message_is_dropped() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let confirmation = publish(&channel, "", &unique("nowhere"), "unwanted").await?;
        assert_eq!(confirmation, Confirmation::Ack(None));
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn every_unroutable_one_of_many_comes_back() {
    run(async {
        let connection = connect().await?;
        let channel = confirming_channel(&connection).await?;
        let queue = temporary_queue(&channel).await?;
        let nowhere = unique("nowhere");

        let mut confirms = Vec::new();
        for n in 0..50 {
            let routing_key = if n % 5 == 0 { &nowhere } else { &queue };
            let (body, properties) = (n.to_string(), BasicProperties::default());
            let confirm = start_publish(&channel, "", routing_key, MANDATORY, body, properties);
            confirms.push(confirm.await?);
        }
        // With several messages under way lapin hands a returned one to the confirm that happens to arrive next, so that
        // the body, or a message id, has to tell which one it is.
        let mut returned_numbers: Vec<u32> = Vec::new();
        for confirm in confirms {
            if let Some(returned) = confirm.await?.take_message() {
                assert_no_route(&returned, "", &nowhere);
                returned_numbers.push(text(&returned).parse()?);
            }
        }
        returned_numbers.sort_unstable();
        assert_eq!(returned_numbers, [0, 5, 10, 15, 20, 25, 30, 35, 40, 45]);
        assert_eq!(drain(&channel, &queue).await?.len(), 40);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn returns_come_without_confirms_too() {
    run(async {
        let connection = connect().await?;
        let channel = connection.create_channel().await?;
        let nowhere = unique("nowhere");
        let properties = BasicProperties::default();
        let confirmation = publish_with(&channel, "", &nowhere, MANDATORY, "", properties).await?;
        assert_eq!(confirmation, Confirmation::NotRequested);

        // Any reply on the channel comes after the return, as everything on a channel is in order.
        temporary_queue(&channel).await?;
        let returned = channel.wait_for_confirms().await?;
        assert_eq!(returned.len(), 1);
        assert_no_route(&returned[0], "", &nowhere);
        assert!(returned[0].data.is_empty());
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
