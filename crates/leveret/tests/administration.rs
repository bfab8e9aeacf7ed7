//! What is set up acts on clients at once, and is there after a restart.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use lapin::options::*;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use leveret::{Broker, NewUser, Policy, PolicyKind, UserLimit, VhostLimit};

/// How long a client may take to hear of something.
const PATIENCE: Duration = Duration::from_secs(60);

fn bob(vhost: &str) -> NewUser {
    let everything = || ".*".to_owned();
    NewUser {
        name: "bob".into(),
        password: "secret".into(),
        vhost: vhost.into(),
        configure: everything(),
        write: everything(),
        read: everything(),
    }
}

async fn connect(broker: &Broker, user: &str, vhost: &str) -> lapin::Result<Connection> {
    let password = if user == "guest" { "guest" } else { "secret" };
    let vhost = vhost.replace('/', "%2f");
    let uri = format!("amqp://{user}:{password}@{}/{vhost}", broker.address());
    Connection::connect(&uri, ConnectionProperties::default()).await
}

/// Code and text of the end of a channel or connection.
fn refusal<T: std::fmt::Debug>(result: lapin::Result<T>) -> (u16, String) {
    match result.unwrap_err().kind() {
        ErrorKind::ProtocolError(error) => (error.get_id(), error.get_message().to_string()),
        other => panic!("{other:?}"),
    }
}

async fn declare(channel: &Channel, queue: &str) -> lapin::Result<lapin::Queue> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await
}

async fn publish(channel: &Channel, exchange: &str, key: &str) -> lapin::Result<()> {
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel.basic_publish(exchange.into(), key.into(), options, b"x", properties).await?.await.map(drop)
}

/// Waits until the server has closed the connection.
async fn closed(connection: &Connection) {
    tokio::time::timeout(PATIENCE, async {
        while connection.status().connected() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_was_set_up_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let start = || Broker::builder().data_dir(dir.path()).start().unwrap();
    {
        let broker = start();
        broker.add_vhost("v").unwrap();
        broker.add_user(&bob("v")).unwrap();
        broker.set_policy("v", PolicyKind::User, Policy::new("p", "^q").number("max-length", 1)).unwrap();
        broker.set_vhost_limit("v", VhostLimit::MaxQueues, Some(1)).unwrap();
        let channel = connect(&broker, "bob", "v").await.unwrap().create_channel().await.unwrap();
        declare(&channel, "q").await.unwrap();
        // Killed rather than stopped: what was answered is on disk.
        std::mem::forget(broker);
    }
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    let broker = Broker::builder().data_dir(copy.path()).start().unwrap();
    let channel = connect(&broker, "bob", "v").await.unwrap().create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for _ in 0..3 {
        publish(&channel, "", "q").await.unwrap();
    }
    assert_eq!(declare(&channel, "q").await.unwrap().message_count(), 1, "the policy acts");
    let text = "PRECONDITION_FAILED - cannot declare queue 'more': queue limit in vhost 'v' (1) is reached";
    assert_eq!(refusal(declare(&channel, "more").await), (406, text.to_owned()));
    let guest = connect(&broker, "guest", "v").await;
    let text = "NOT_ALLOWED - access to vhost 'v' refused for user 'guest'";
    assert_eq!(refusal(guest), (530, text.to_owned()));
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_dir(&entry.path(), &target);
        } else if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn deletions_close_connections() {
    let broker = Broker::builder().vhost("v").user(bob("v")).start().unwrap();
    let stays = connect(&broker, "guest", "/").await.unwrap();
    let goes = connect(&broker, "bob", "v").await.unwrap();
    let channel = goes.create_channel().await.unwrap();
    let mut events = goes.events_listener();
    broker.delete_vhost("v").unwrap();
    closed(&goes).await;
    let said = tokio::time::timeout(PATIENCE, async {
        use futures_lite::StreamExt as _;
        while let Some(event) = events.next().await {
            if let lapin::Event::Error(error) = event
                && let ErrorKind::ProtocolError(error) = error.kind()
            {
                return (error.get_id(), error.get_message().to_string());
            }
        }
        panic!("no word");
    });
    assert_eq!(said.await.unwrap(), (320, "CONNECTION_FORCED - vhost 'v' is deleted".to_owned()));
    assert!(!channel.status().connected() && stays.status().connected());
    let again = connect(&broker, "bob", "v").await;
    assert_eq!(refusal(again), (530, "NOT_ALLOWED - vhost v not found".to_owned()));

    broker.set_permissions("bob", "/", [".*"; 3]).unwrap();
    let goes = connect(&broker, "bob", "/").await.unwrap();
    broker.delete_user("bob").unwrap();
    closed(&goes).await;
    assert!(connect(&broker, "bob", "/").await.is_err() && stays.status().connected());
}

/// A publisher repeats itself, and its route is known: it is asked again all the same.
#[tokio::test]
async fn permissions_act_on_open_connections() {
    let broker = Broker::builder().user(bob("/")).start().unwrap();
    let connection = connect(&broker, "bob", "/").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    declare(&channel, "q").await.unwrap();
    for _ in 0..3 {
        publish(&channel, "", "q").await.unwrap();
    }
    broker.set_permissions("bob", "/", [".*", "^other$", ".*"]).unwrap();
    let text = "ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user 'bob'";
    assert_eq!(refusal(publish(&channel, "", "q").await), (403, text.to_owned()));
    broker.set_permissions("bob", "/", ["", ".*", ""]).unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    publish(&channel, "", "q").await.unwrap();
    let text = "ACCESS_REFUSED - configure access to queue 'new' in vhost '/' refused for user 'bob'";
    assert_eq!(refusal(declare(&channel, "new").await), (403, text.to_owned()));
}

#[tokio::test]
async fn limits_are_told_to_clients() {
    let broker = Broker::builder().user(bob("/")).start().unwrap();
    let connection = connect(&broker, "bob", "/").await.unwrap();
    broker.set_user_limit("bob", UserLimit::MaxConnections, Some(1)).unwrap();
    let text = "NOT_ALLOWED - connection refused for user 'bob': user connection limit (1) is reached";
    assert_eq!(refusal(connect(&broker, "bob", "/").await), (530, text.to_owned()));
    broker.set_vhost_limit("/", VhostLimit::MaxConnections, Some(1)).unwrap();
    let text = "NOT_ALLOWED - access to vhost '/' refused for user 'guest': connection limit (1) is reached";
    assert_eq!(refusal(connect(&broker, "guest", "/").await), (530, text.to_owned()));
    broker.set_user_limit("bob", UserLimit::MaxChannels, Some(1)).unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.close(200, "".into()).await.unwrap();
    let _channel = connection.create_channel().await.unwrap();
    let text = "NOT_ALLOWED - number of channels opened for user 'bob' has reached the maximum allowed user limit of 1";
    assert_eq!(refusal(connection.create_channel().await), (530, text.to_owned()));
    closed(&connection).await;
    // Its place is free as soon as the server has heard of its end.
    tokio::time::timeout(PATIENCE, async {
        while connect(&broker, "bob", "/").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn definitions_move_a_broker() {
    let first = Broker::builder().vhost("v").user(bob("v")).start().unwrap();
    let channel = connect(&first, "bob", "v").await.unwrap().create_channel().await.unwrap();
    declare(&channel, "q").await.unwrap();
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare("x".into(), ExchangeKind::Topic, options, FieldTable::default()).await.unwrap();
    let options = QueueBindOptions::default();
    channel.queue_bind("q".into(), "x".into(), "a.*".into(), options, FieldTable::default()).await.unwrap();

    let second = Broker::builder().start().unwrap();
    assert!(second.import_definitions(&first.export_definitions()).unwrap().is_empty());
    let channel = connect(&second, "bob", "v").await.unwrap().create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    publish(&channel, "x", "a.b").await.unwrap();
    assert_eq!(declare(&channel, "q").await.unwrap().message_count(), 1);
    assert_eq!(
        second.import_definitions("[").unwrap_err().to_string(),
        "cannot import definitions: failed_to_parse_json"
    );
}
