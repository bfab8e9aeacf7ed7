//! What is declared: the fixed part that messages go through, and entities that come and go.

use std::collections::BTreeMap;
use std::sync::Mutex;

use anyhow::Result;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};
use leveret_interop_lapin::scenario::queue_exists;

use crate::ledger::Ledger;
use crate::message::{DIRECT, FANOUT, HEADERS, QUEUES, ROUTING_HEADER, Route, TOPIC};
use crate::random::Random;

/// Queues that come and go have one of so many names.
const NAMES: u64 = 40;

/// Declares and binds the fixed part.
pub async fn declare(connection: &Connection) -> Result<()> {
    let channel = connection.create_channel().await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let kinds = [
        (DIRECT, ExchangeKind::Direct),
        (FANOUT, ExchangeKind::Fanout),
        (TOPIC, ExchangeKind::Topic),
        (HEADERS, ExchangeKind::Headers),
    ];
    for (exchange, kind) in kinds {
        channel.exchange_declare(exchange.into(), kind, durable, FieldTable::default()).await?;
    }
    for queue in QUEUES {
        channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), FieldTable::default()).await?;
    }
    let mut header = FieldTable::default();
    header.insert(ROUTING_HEADER.into(), AMQPValue::LongString("this way".into()));
    let bindings = [
        (Route::Direct, "straight", FieldTable::default()),
        (Route::Fanout, "", FieldTable::default()),
        (Route::Topic, "a.*.z", FieldTable::default()),
        (Route::Headers, "", header),
    ];
    for (route, key, arguments) in bindings {
        let (exchange, _) = route.address();
        for queue in route.queues().iter().filter_map(|place| QUEUES.get(*place)) {
            let options = QueueBindOptions::default();
            channel.queue_bind((*queue).into(), exchange.into(), key.into(), options, arguments.clone()).await?;
        }
    }
    channel.close(200, "OK".into()).await?;
    Ok(())
}

/// Which of the entities that come and go must be there, must not be, or may be.
#[derive(Debug, Default)]
pub struct Comers {
    known: Mutex<BTreeMap<String, Presence>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Unknown,
    There,
    Gone,
}

impl Comers {
    fn note(&self, name: &str, presence: Presence) {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name.to_owned(), presence);
    }

    /// Declares and deletes until told to stop or the connection ends.
    pub async fn come_and_go(&self, channel: &Channel, random: &mut Random, is_over: impl Fn() -> bool) -> Result<()> {
        while !is_over() {
            let name = format!("torture.comer.{}", random.below(NAMES));
            self.note(&name, Presence::Unknown);
            if random.percent(60) {
                let options = QueueDeclareOptions::durable();
                channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await?;
                self.note(&name, Presence::There);
            } else {
                channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
                self.note(&name, Presence::Gone);
            }
        }
        Ok(())
    }

    /// Looks whether everything is as it was said to be.
    pub async fn check(&self, connection: &Connection, ledger: &Ledger) -> Result<()> {
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        for (name, presence) in known {
            let is_there = queue_exists(connection, &name).await?;
            match (presence, is_there) {
                (Presence::There, false) => ledger.fault(format!("lost: {name} was declared")),
                (Presence::Gone, true) => ledger.fault(format!("phantom: {name} was deleted")),
                _ => (),
            }
        }
        for queue in QUEUES {
            if !queue_exists(connection, queue).await? {
                ledger.fault(format!("lost: {queue}"));
            }
        }
        Ok(())
    }
}
