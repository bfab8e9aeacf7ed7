//! Connections that are lost without a goodbye, and how lapin comes back by itself.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use futures_lite::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use leveret_interop_lapin::scenario::{
    assert_silent, confirming_channel, connect, consume, delete_queue, durable_queue, publish, queue_exists, receive,
    receive_texts, run, text, unique, within,
};
use leveret_tests::Broker;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A cable between client and broker that can be pulled, and plugged in again.
struct Cable {
    addr: SocketAddr,
    plugged: watch::Sender<bool>,
}

impl Cable {
    async fn lay() -> Result<Cable> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let cable = Cable { addr: listener.local_addr()?, plugged: watch::Sender::new(true) };
        let plugged = cable.plugged.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(link(client, plugged.clone()));
            }
        });
        Ok(cable)
    }

    fn url(&self) -> String {
        let broker = Broker::shared();
        format!("amqp://{}:{}@{}/%2f", broker.user(), broker.password(), self.addr)
    }

    /// Cuts what is connected. Who connects now waits for the plugging in.
    fn pull(&self) {
        self.plugged.send_replace(false);
    }

    fn plug_in(&self) {
        self.plugged.send_replace(true);
    }
}

async fn link(mut client: TcpStream, mut plugged: watch::Receiver<bool>) -> Result<()> {
    plugged.wait_for(|plugged| *plugged).await?;
    let mut broker = TcpStream::connect(Broker::shared().addr()).await?;
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut broker) => {}
        _ = plugged.wait_for(|plugged| !*plugged) => {}
    }
    Ok(())
}

#[test]
fn what_a_lost_connection_held_is_given_back() {
    run(async {
        let cable = Cable::lay().await?;
        let witness = connect().await?;
        let channel = confirming_channel(&witness).await?;
        let queue = unique("lost");
        durable_queue(&channel, &queue).await?;
        for n in 0..3 {
            publish(&channel, "", &queue, n.to_string()).await?;
        }

        let doomed = Connection::connect(&cable.url(), ConnectionProperties::default()).await?;
        let doomed_channel = doomed.create_channel().await?;
        let private = unique("private");
        let options = QueueDeclareOptions::exclusive();
        doomed_channel.queue_declare(private.as_str().into(), options, FieldTable::default()).await?;
        let mut holder = consume(&doomed_channel, &queue).await?;
        assert_eq!(receive_texts(&mut holder, 3).await?, ["0", "1", "2"]);
        cable.pull();

        let mut heir = consume(&channel, &queue).await?;
        for n in 0..3 {
            let delivery = receive(&mut heir).await?;
            assert_eq!(text(&delivery), n.to_string());
            assert!(delivery.redelivered);
            delivery.ack(BasicAckOptions::default()).await?;
        }
        within(until_gone(&witness, &private)).await??;
        delete_queue(&channel, &queue).await?;
        witness.close(200, "OK".into()).await?;
        Ok(())
    });
}

/// Waits for the broker to delete a queue whose connection is lost.
async fn until_gone(connection: &Connection, queue: &str) -> Result<()> {
    // As long as the owner is connected the look at its exclusive queue is itself an error.
    while queue_exists(connection, queue).await.unwrap_or(true) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// An exclusive queue bound to a fanout exchange, read one message at a time.
async fn subscribe(channel: &Channel, exchange: &str, queue: &str) -> Result<Consumer> {
    let arguments = FieldTable::default();
    let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.into(), ExchangeKind::Fanout, options, arguments.clone()).await?;
    channel.queue_declare(queue.into(), QueueDeclareOptions::exclusive(), arguments.clone()).await?;
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.into(), exchange.into(), "".into(), options, arguments.clone()).await?;
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    Ok(channel.basic_consume(queue.into(), "reader".into(), options, arguments).await?)
}

#[test]
fn lapin_comes_back_with_queues_bindings_and_consumers() {
    run(async {
        let cable = Cable::lay().await?;
        let properties = ConnectionProperties::default().enable_auto_recover();
        let connection = Connection::connect(&cable.url(), properties).await?;
        let channel = confirming_channel(&connection).await?;
        let (exchange, queue) = (unique("exchange"), unique("queue"));
        let mut consumer = subscribe(&channel, &exchange, &queue).await?;
        publish(&channel, &exchange, "", "before").await?;
        receive(&mut consumer).await?.ack(BasicAckOptions::default()).await?;

        // Exclusive queue, its binding and the auto-delete exchange are gone with the connection. lapin makes them again.
        cable.pull();
        let publisher = connect().await?;
        within(until_gone(&publisher, &queue)).await??;
        cable.plug_in();
        let delivery = within(publish_until_received(&publisher, &exchange, &mut consumer)).await??;
        assert_eq!(text(&delivery), "after");
        // The prefetch of 1 is in force again too: it holds back a second message.
        publish(&channel, &exchange, "", "second").await?;
        assert_silent(&mut consumer).await?;
        delivery.ack(BasicAckOptions::default()).await?;
        connection.close(200, "OK".into()).await?;
        publisher.close(200, "OK".into()).await?;
        Ok(())
    });
}

/// Publishes until the recovered consumer gets something.
async fn publish_until_received(connection: &Connection, exchange: &str, consumer: &mut Consumer) -> Result<Delivery> {
    loop {
        // A missing exchange closes the channel, so that each attempt has its own.
        let channel = confirming_channel(connection).await?;
        let attempt = publish(&channel, exchange, "", "after").await;
        let answer = tokio::time::timeout(Duration::from_millis(100), consumer.next()).await;
        if attempt.is_ok() {
            channel.close(200, "OK".into()).await?;
        }
        // The consumer tells of the lost connection before it goes on.
        if let Ok(Some(Ok(delivery))) = answer {
            return Ok(delivery);
        }
    }
}
