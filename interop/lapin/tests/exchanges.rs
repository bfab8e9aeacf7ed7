//! How each kind of exchange decides which queues get a message.

use anyhow::Result;
use lapin::options::{
    BasicPublishOptions, ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, ExchangeUnbindOptions,
    QueueBindOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ExchangeKind};
use leveret_interop_lapin::scenario::{
    confirming_channel, connect, drain, publish, publish_with, run, temporary_queue, unique,
};

/// An exchange that the test deletes in the end.
struct Exchange<'a> {
    channel: &'a Channel,
    name: String,
}

impl<'a> Exchange<'a> {
    async fn declare(channel: &'a Channel, kind: ExchangeKind) -> Result<Exchange<'a>> {
        let arguments = FieldTable::default();
        Exchange::declare_with(channel, kind, ExchangeDeclareOptions::default(), arguments).await
    }

    async fn declare_with(
        channel: &'a Channel,
        kind: ExchangeKind,
        options: ExchangeDeclareOptions,
        arguments: FieldTable,
    ) -> Result<Exchange<'a>> {
        let name = unique("exchange");
        channel.exchange_declare(name.as_str().into(), kind, options, arguments).await?;
        Ok(Exchange { channel, name })
    }

    async fn bind(&self, queue: &str, key: &str, arguments: FieldTable) -> Result<()> {
        let options = QueueBindOptions::default();
        let source = self.name.as_str().into();
        self.channel.queue_bind(queue.into(), source, key.into(), options, arguments).await?;
        Ok(())
    }

    /// A temporary queue with these binding keys.
    async fn bound_queue(&self, keys: &[&str]) -> Result<String> {
        let queue = temporary_queue(self.channel).await?;
        for key in keys {
            self.bind(&queue, key, FieldTable::default()).await?;
        }
        Ok(queue)
    }

    /// Publishes the key itself as the body.
    async fn publish(&self, key: &str) -> Result<()> {
        publish(self.channel, &self.name, key, key).await?;
        Ok(())
    }

    /// Sends everything that comes to this exchange on to another one.
    async fn forward_to(&self, destination: &Exchange<'_>, key: &str) -> Result<()> {
        self.channel
            .exchange_bind(
                destination.name.as_str().into(),
                self.name.as_str().into(),
                key.into(),
                ExchangeBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(())
    }

    async fn delete(self) -> Result<()> {
        let options = ExchangeDeleteOptions::default();
        let name = self.name.as_str().into();
        Ok(self.channel.exchange_delete(name, options).await?)
    }
}

async fn open() -> Result<(Connection, Channel)> {
    let connection = connect().await?;
    let channel = confirming_channel(&connection).await?;
    Ok((connection, channel))
}

fn header(key: &str, value: impl Into<AMQPValue>) -> (String, AMQPValue) {
    (key.to_owned(), value.into())
}

fn headers(entries: &[(String, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.as_str().into(), value.clone());
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[test]
fn direct_compares_the_whole_key() {
    run(async {
        let (connection, channel) = open().await?;
        let exchange = Exchange::declare(&channel, ExchangeKind::Direct).await?;
        let red = exchange.bound_queue(&["red"]).await?;
        let warm = exchange.bound_queue(&["red", "orange"]).await?;
        for key in ["red", "orange", "blue", "Red", "red."] {
            exchange.publish(key).await?;
        }
        assert_eq!(drain(&channel, &red).await?, ["red"]);
        assert_eq!(drain(&channel, &warm).await?, ["red", "orange"]);
        exchange.delete().await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn fanout_ignores_the_key() {
    run(async {
        let (connection, channel) = open().await?;
        let exchange = Exchange::declare(&channel, ExchangeKind::Fanout).await?;
        let one = exchange.bound_queue(&["a key"]).await?;
        let other = exchange.bound_queue(&[""]).await?;
        exchange.publish("whatever").await?;
        exchange.publish("").await?;
        assert_eq!(drain(&channel, &one).await?, ["whatever", ""]);
        assert_eq!(drain(&channel, &other).await?, ["whatever", ""]);
        exchange.delete().await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn topic_compares_word_by_word() {
    run(async {
        let (connection, channel) = open().await?;
        let exchange = Exchange::declare(&channel, ExchangeKind::Topic).await?;
        let keys = ["", "a", "b", "a.b", "a.b.c", "x.a", "a..b", "a.c"];
        let expectations: [(&str, &[&str]); 9] = [
            ("#", &keys),
            ("", &[""]),
            ("*", &["a", "b"]),
            ("a.*", &["a.b", "a.c"]),
            ("a.#", &["a", "a.b", "a.b.c", "a..b", "a.c"]),
            ("#.a", &["a", "x.a"]),
            ("a.*.#", &["a.b", "a.b.c", "a..b", "a.c"]),
            ("*.*", &["a.b", "x.a", "a.c"]),
            ("a.#.b", &["a.b", "a..b"]),
        ];
        let mut queues = Vec::new();
        for (pattern, _) in expectations {
            queues.push(exchange.bound_queue(&[pattern]).await?);
        }
        for key in keys {
            exchange.publish(key).await?;
        }
        for ((pattern, expected), queue) in expectations.iter().zip(&queues) {
            let found = drain(&channel, queue).await?;
            assert_eq!(found, *expected, "pattern `{pattern}`");
        }
        exchange.delete().await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn headers_are_compared_by_any_or_all() {
    run(async {
        let (connection, channel) = open().await?;
        let exchange = Exchange::declare(&channel, ExchangeKind::Headers).await?;
        let wanted = [header("format", text("pdf")), header("pages", 7_i32)];
        let mut queues = Vec::new();
        for mode in ["all", "any"] {
            let queue = temporary_queue(&channel).await?;
            let mut arguments = headers(&wanted);
            arguments.insert("x-match".into(), text(mode));
            exchange.bind(&queue, "ignored", arguments).await?;
            queues.push(queue);
        }

        let messages = [
            ("both", headers(&wanted)),
            ("format", headers(&wanted[..1])),
            ("pages as i64", headers(&[header("pages", 7_i64)])),
            ("other pages", headers(&[header("pages", 8_i32)])),
            ("none", FieldTable::default()),
        ];
        for (body, table) in messages {
            let properties = BasicProperties::default().with_headers(table);
            let options = BasicPublishOptions::default();
            let exchange = exchange.name.as_str();
            publish_with(&channel, exchange, "", options, body, properties).await?;
        }
        assert_eq!(drain(&channel, &queues[0]).await?, ["both"]);
        let any = ["both", "format", "pages as i64"];
        assert_eq!(drain(&channel, &queues[1]).await?, any);
        exchange.delete().await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn headers_that_begin_with_x_count_only_when_asked_for() {
    run(async {
        let (connection, channel) = open().await?;
        let exchange = Exchange::declare(&channel, ExchangeKind::Headers).await?;
        let wanted = [header("x-tenant", text("hare")), header("format", text("pdf"))];
        let mut queues = Vec::new();
        for mode in ["all", "any", "all-with-x", "any-with-x"] {
            let queue = temporary_queue(&channel).await?;
            let mut arguments = headers(&wanted);
            arguments.insert("x-match".into(), text(mode));
            exchange.bind(&queue, "", arguments).await?;
            queues.push(queue);
        }
        for (body, table) in
            [("x", headers(&wanted[..1])), ("format", headers(&wanted[1..])), ("both", headers(&wanted))]
        {
            let properties = BasicProperties::default().with_headers(table);
            let options = BasicPublishOptions::default();
            publish_with(&channel, &exchange.name, "", options, body, properties).await?;
        }
        assert_eq!(drain(&channel, &queues[0]).await?, ["format", "both"]);
        assert_eq!(drain(&channel, &queues[1]).await?, ["format", "both"]);
        assert_eq!(drain(&channel, &queues[2]).await?, ["both"]);
        assert_eq!(drain(&channel, &queues[3]).await?, ["x", "format", "both"]);
        exchange.delete().await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn the_default_exchange_routes_to_the_queue_of_that_name() {
    run(async {
        let (connection, channel) = open().await?;
        let queue = temporary_queue(&channel).await?;
        let message = publish(&channel, "", &queue, "direct").await?;
        assert_eq!(message, Confirmation::Ack(None));
        assert_eq!(drain(&channel, &queue).await?, ["direct"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn the_exchanges_of_a_virtual_host_are_there_from_the_beginning() {
    run(async {
        let (connection, channel) = open().await?;
        let predeclared = [
            ("amq.direct", ExchangeKind::Direct),
            ("amq.fanout", ExchangeKind::Fanout),
            ("amq.topic", ExchangeKind::Topic),
            ("amq.headers", ExchangeKind::Headers),
            ("amq.match", ExchangeKind::Headers),
        ];
        for (name, kind) in predeclared {
            let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            let arguments = FieldTable::default();
            channel.exchange_declare(name.into(), kind, durable, arguments).await?;
        }
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_queue_gets_one_copy_however_many_bindings_match() {
    run(async {
        let (connection, channel) = open().await?;
        let exchange = Exchange::declare(&channel, ExchangeKind::Topic).await?;
        let queue = exchange.bound_queue(&["#", "a.*", "*.b", "a.b"]).await?;
        exchange.publish("a.b").await?;
        assert_eq!(drain(&channel, &queue).await?, ["a.b"]);

        // Binding again changes nothing, so that one unbinding is enough.
        exchange.bind(&queue, "a.b", FieldTable::default()).await?;
        for key in ["#", "a.*", "*.b", "a.b"] {
            let source = exchange.name.as_str().into();
            let arguments = FieldTable::default();
            channel.queue_unbind(queue.as_str().into(), source, key.into(), arguments).await?;
        }
        exchange.publish("a.b").await?;
        assert_eq!(drain(&channel, &queue).await?, [""; 0]);
        exchange.delete().await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn exchanges_can_be_bound_to_exchanges() {
    run(async {
        let (connection, channel) = open().await?;
        let source = Exchange::declare(&channel, ExchangeKind::Topic).await?;
        let destination = Exchange::declare(&channel, ExchangeKind::Fanout).await?;
        source.forward_to(&destination, "orders.#").await?;
        // Back again: a loop is no problem.
        destination.forward_to(&source, "").await?;
        let queue = destination.bound_queue(&[""]).await?;
        source.publish("orders.new").await?;
        source.publish("invoices.new").await?;
        assert_eq!(drain(&channel, &queue).await?, ["orders.new"]);

        channel
            .exchange_unbind(
                destination.name.as_str().into(),
                source.name.as_str().into(),
                "orders.#".into(),
                ExchangeUnbindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        source.publish("orders.new").await?;
        assert_eq!(drain(&channel, &queue).await?, [""; 0]);
        source.delete().await?;
        destination.delete().await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn an_alternate_exchange_gets_what_finds_no_queue() {
    run(async {
        let (connection, channel) = open().await?;
        let fallback = Exchange::declare(&channel, ExchangeKind::Fanout).await?;
        let mut arguments = FieldTable::default();
        arguments.insert("alternate-exchange".into(), text(&fallback.name));
        let options = ExchangeDeclareOptions::default();
        let exchange = Exchange::declare_with(&channel, ExchangeKind::Direct, options, arguments).await?;
        let known = exchange.bound_queue(&["known"]).await?;
        let unknown = fallback.bound_queue(&[""]).await?;

        exchange.publish("known").await?;
        let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (name, properties) = (exchange.name.as_str(), BasicProperties::default());
        let confirmation = publish_with(&channel, name, "odd", mandatory, "odd", properties).await?;
        assert_eq!(confirmation, Confirmation::Ack(None), "it found a queue");
        assert_eq!(drain(&channel, &known).await?, ["known"]);
        assert_eq!(drain(&channel, &unknown).await?, ["odd"]);
        exchange.delete().await?;
        fallback.delete().await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn an_internal_exchange_is_fed_by_other_exchanges_alone() {
    run(async {
        let (connection, channel) = open().await?;
        let internal = ExchangeDeclareOptions { internal: true, ..ExchangeDeclareOptions::default() };
        let arguments = FieldTable::default();
        let hidden = Exchange::declare_with(&channel, ExchangeKind::Fanout, internal, arguments).await?;
        let entrance = Exchange::declare(&channel, ExchangeKind::Fanout).await?;
        entrance.forward_to(&hidden, "").await?;
        let queue = hidden.bound_queue(&[""]).await?;
        entrance.publish("through the door").await?;
        assert_eq!(drain(&channel, &queue).await?, ["through the door"]);
        entrance.delete().await?;
        hidden.delete().await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn deleting_an_exchange_ends_its_bindings() {
    run(async {
        let (connection, channel) = open().await?;
        let exchange = Exchange::declare(&channel, ExchangeKind::Fanout).await?;
        let queue = exchange.bound_queue(&[""]).await?;
        let name = exchange.name.clone();
        exchange.delete().await?;

        // A new exchange of that name knows nothing of the old one's bindings.
        let (options, arguments) = (ExchangeDeclareOptions::default(), FieldTable::default());
        channel.exchange_declare(name.as_str().into(), ExchangeKind::Fanout, options, arguments).await?;
        publish(&channel, &name, "", "into the void").await?;
        assert_eq!(drain(&channel, &queue).await?, [""; 0]);

        // Deleting twice is no error.
        for _ in 0..2 {
            let options = ExchangeDeleteOptions::default();
            let name = name.as_str().into();
            channel.exchange_delete(name, options).await?;
        }
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}
