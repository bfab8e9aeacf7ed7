//! What tests of streams do all the time.

use crate::broker::{Broker, is_external};
use crate::home::Home;
use crate::prelude::open;
use crate::raw::channel::Channel;
use crate::raw::connection::Connection;
use crate::raw::methods::{self, Flag::Durable};
use crate::raw::names::Names;
use crate::raw::operations::Delivery;
use crate::raw::wire::{Table, Value, table};

/// A broker with a data directory, or the one that is given, and a connection to it.
#[derive(Debug)]
pub struct Ground {
    /// Its first channel is for publishing, the others are for consumers.
    pub connection: Connection,
    names: Option<Names>,
    /// What goes with the test.
    own: Option<(Broker, Home)>,
}

impl Ground {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "a broker is started")]
    pub fn new() -> Ground {
        if is_external() {
            return Ground { connection: open(), names: Some(Names::new()), own: None };
        }
        let home = Home::new();
        let broker = home.start();
        Ground { connection: Connection::open(&broker), names: None, own: Some((broker, home)) }
    }

    /// The broker.
    pub fn broker(&self) -> &Broker {
        match &self.own {
            Some((broker, _)) => broker,
            None => Broker::shared(),
        }
    }

    /// Opens a channel.
    pub fn channel(&self, number: u16) -> Channel {
        self.connection.channel(number)
    }

    /// A name for a stream.
    pub fn queue(&mut self) -> String {
        self.names.as_mut().map_or_else(|| "s".to_owned(), |names| names.queue("stream"))
    }

    /// A stream without messages, and a channel that has its publishes confirmed.
    pub fn stream(&mut self) -> (Channel, String) {
        self.stream_with(&of_stream([]))
    }

    /// As [`Ground::stream`], with all its arguments.
    pub fn stream_with(&mut self, arguments: &Table) -> (Channel, String) {
        let (channel, queue) = (self.channel(1), self.queue());
        channel.declare(&queue, &[Durable], arguments);
        channel.rpc(methods::confirm_select(&[]));
        (channel, queue)
    }

    /// A stream with messages `0..count`, all of them confirmed.
    pub fn stream_of(&mut self, count: u64) -> (Channel, String) {
        let (channel, queue) = self.stream();
        publish_numbers(&channel, &queue, 0, count);
        (channel, queue)
    }

    /// As [`Ground::stream_of`], but RabbitMQ does not put messages together, which it would deliver together whatever the credit.
    pub fn stream_one_by_one(&mut self, count: u64) -> String {
        let (channel, queue) = self.stream();
        (0..count).for_each(|number| publish_numbers(&channel, &queue, number, 1));
        queue
    }

    /// Starts a consumer with this credit on a channel of its own.
    pub fn read(&self, number: u16, queue: &str, prefetch: u16, arguments: &Table) -> Channel {
        read(&self.connection, number, queue, prefetch, arguments)
    }
}

/// Arguments of a stream.
pub fn of_stream<const N: usize>(arguments: [(&str, Value); N]) -> Table {
    let mut all = table([("x-queue-type", "stream".into())]);
    all.0.extend(table(arguments).0);
    all
}

/// Publishes further numbers on a channel that has published `before` messages, and waits for their confirms.
pub fn publish_numbers(channel: &Channel, queue: &str, before: u64, count: u64) {
    for number in before..before + count {
        channel.publish("", queue, &number.to_string());
    }
    assert!(channel.confirms(before + 1, before + count).values().all(|is_ack| *is_ack));
}

/// Starts a consumer with this credit on a channel of its own.
pub fn read(connection: &Connection, number: u16, queue: &str, prefetch: u16, arguments: &Table) -> Channel {
    let channel = connection.channel(number);
    channel.rpc(methods::qos(0, prefetch, &[]));
    channel.consume_with(queue, "", &[], arguments);
    channel
}

/// Arguments of a consumer that begins there.
pub fn from(offset: impl Into<Value>) -> Table {
    table([("x-stream-offset", offset.into())])
}

/// The offset in the header of a delivery.
pub fn offset_of(message: &Delivery) -> i64 {
    match message.props.headers.as_ref().and_then(|headers| headers.get("x-stream-offset")) {
        Some(Value::I64(offset)) => *offset,
        other => panic!("no offset but {other:?}"),
    }
}

/// Takes so many deliveries, acknowledges each, and checks that their offsets rise by one; gives the texts.
pub fn take(channel: &Channel, count: usize) -> Vec<String> {
    let mut last: Option<i64> = None;
    let taken = (0..count).map(|_| {
        let message = channel.delivery();
        let offset = offset_of(&message);
        assert!(last.is_none_or(|last| last + 1 == offset), "{last:?} then {offset}");
        assert!(!message.redelivered);
        last = Some(offset);
        channel.ack(message.delivery_tag);
        message.text()
    });
    taken.collect()
}

/// Numbers as texts.
pub fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}
