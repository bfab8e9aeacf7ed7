//! The log as messages of exchange `amq.rabbitmq.log`: the routing key is the level.

use leveret_codec::properties::Properties;
use leveret_codec::table::{FieldTable, FieldValue};

use crate::effects::Effects;
use crate::exchange::{Exchange, ExchangeKind};
use crate::message::{Marks, Message, Parts};
use crate::vhost::Vhost;

/// The exchange of the log.
pub const EXCHANGE: &str = "amq.rabbitmq.log";

/// A line of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogLine<'a> {
    /// RabbitMQ's word for the level.
    pub level: &'a str,
    /// When it was logged, in seconds since 1970.
    pub at_s: u64,
    /// Whether it is text or JSON.
    pub content_type: &'a str,
    /// The line itself.
    pub text: &'a str,
}

impl Vhost {
    /// Declares the exchange of the log, if it is not there.
    pub fn declare_log_exchange(&self) {
        let topology = self.lock_topology();
        if self.exchanges.get(EXCHANGE).is_none() && !self.is_deleted() {
            let exchange =
                Exchange::new(EXCHANGE.into(), ExchangeKind::Topic, true, false, true, FieldTable::default());
            self.insert_exchange(exchange);
        }
        drop(topology);
    }

    /// Publishes a line of the log to its exchange, which is declared if it is not there. Call it without locks; the caller
    /// carries `effects` out.
    pub fn publish_log_line(&self, line: &LogLine<'_>, effects: &mut Effects) {
        let Some(exchange) = self.exchanges.get(EXCHANGE) else { return self.declare_log_exchange() };
        let mut headers = FieldTable::default();
        headers.push(*b"node", FieldValue::LongStr(self.services.notices.node().as_bytes().into()));
        let mut properties = Vec::new();
        Properties {
            content_type: Some(line.content_type.as_bytes().into()),
            headers: Some(headers),
            timestamp: Some(line.at_s),
            ..Properties::default()
        }
        .encode(&mut properties);
        let key = line.level.as_bytes();
        let message = Message::copy_of(&Parts {
            exchange: EXCHANGE.as_bytes(),
            routing_key: key,
            properties: &properties,
            body: line.text.as_bytes(),
            shared_body: None,
            blob: None,
            marks: Marks::NONE,
        });
        self.publish(&exchange, &[key], message, effects);
    }
}
