//! A broker inside a program keeps durable things in a directory, if it is given one.
#![allow(clippy::unwrap_used, reason = "a test")]

use lapin::options::*;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use leveret::{Broker, Error};

async fn channel(broker: &Broker) -> (Connection, Channel) {
    let connection = Connection::connect(&broker.amqp_uri(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_outlives_the_broker() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::builder().data_dir(dir.path()).start().unwrap();
    let (connection, sender) = channel(&broker).await;
    sender.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    sender.queue_declare("kept".into(), durable, FieldTable::default()).await.unwrap();
    let properties = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    let confirm = sender.basic_publish("".into(), "kept".into(), options, b"hare", properties).await.unwrap();
    assert!(confirm.await.unwrap().is_ack());
    drop((sender, connection));
    drop(broker);

    let broker = Broker::builder().data_dir(dir.path()).start().unwrap();
    let (_connection, receiver) = channel(&broker).await;
    let got = receiver.basic_get("kept".into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!(got.data, b"hare");
}

#[test]
fn a_data_directory_has_one_broker() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Broker::builder().data_dir(dir.path()).start().unwrap();
    let refused = Broker::builder().data_dir(dir.path()).start().unwrap_err();
    assert!(matches!(refused, Error::Store { .. }), "{refused}");
    assert!(refused.to_string().contains("in use"), "{refused}");
}
