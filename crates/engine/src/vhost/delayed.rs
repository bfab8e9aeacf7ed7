//! Exchanges of type x-delayed-message in a vhost: their types, and their hidden queues in step with them.

use std::sync::Arc;

use leveret_codec::table::{FieldTable, FieldValue};

use crate::delay::{Delay, EXCHANGE_TYPE, INNER_TYPE, Owner};
use crate::error::Error;
use crate::exchange::{Exchange, ExchangeKind};
use crate::journal::{Lsn, Record};
use crate::names::QueueId;
use crate::queue::Queue;
use crate::restore::RestoredQueue;
use crate::vhost::Vhost;
use crate::vhost::bindings::Bindings;

/// Refuses a type that there is not.
pub(super) fn check_type(name: &str) -> Result<(), Error> {
    if name == EXCHANGE_TYPE { Ok(()) } else { kind_named(name).map(drop) }
}

fn kind_named(name: &str) -> Result<ExchangeKind, Error> {
    ExchangeKind::parse(name).ok_or_else(|| Error::UnknownExchangeType(name.to_owned()))
}

/// How an exchange of this type routes; one that delays has an argument for that.
pub(super) fn routing_kind(name: &str, arguments: &FieldTable) -> Result<ExchangeKind, Error> {
    if name != EXCHANGE_TYPE {
        return kind_named(name);
    }
    match arguments.get(INNER_TYPE) {
        Some(FieldValue::LongStr(inner) | FieldValue::ByteArray(inner)) => match &*String::from_utf8_lossy(inner) {
            EXCHANGE_TYPE => Err(Error::DelayedByItself),
            inner => kind_named(inner),
        },
        _ => Err(Error::NoDelayedType),
    }
}

impl Vhost {
    /// Gives a new exchange its hidden queue, if it is of the type that has one.
    pub(super) fn with_hidden_queue(&self, topology: &mut Bindings, exchange: Exchange, type_name: &str) -> Exchange {
        if type_name != EXCHANGE_TYPE {
            return exchange;
        }
        let hidden = self.hidden_queue(&exchange, self.next_queue_id(), None);
        if exchange.durable {
            let record = Record::QueueDeclared {
                vhost: &self.name,
                name: &hidden.name,
                id: hidden.id,
                auto_delete: false,
                arguments: &hidden.arguments,
            };
            self.write(topology, &record);
        }
        exchange.delayed_in(hidden)
    }

    /// The same for one that a restart found, with its queue, if that was found as well.
    pub(super) fn with_restored_queue(
        &self,
        exchange: Exchange,
        type_name: &str,
        found: Option<&RestoredQueue>,
    ) -> Exchange {
        match found.filter(|_| type_name == EXCHANGE_TYPE) {
            Some(found) => {
                let hidden = self.hidden_queue(&exchange, found.id, Some(found));
                exchange.delayed_in(hidden)
            }
            None => self.with_hidden_queue(&mut self.topology.lock(), exchange, type_name),
        }
    }

    fn hidden_queue(&self, exchange: &Exchange, id: QueueId, found: Option<&RestoredQueue>) -> Arc<Queue> {
        let owner = Owner { exchange: &exchange.name, vhost: &self.name, home: &self.me, services: &self.services };
        Delay::hidden_queue(owner, id, exchange.durable, found)
    }

    /// An exchange is gone, and with it what waits there.
    pub(super) fn remove_hidden_queue(&self, topology: &mut Bindings, exchange: &Exchange) -> Lsn {
        let (Some(hidden), Some(delay)) = (&exchange.delay, exchange.delay()) else { return Lsn::default() };
        match delay.close(hidden) {
            true => self.write(topology, &Record::QueueDeleted { id: hidden.id }),
            false => Lsn::default(),
        }
    }
}
