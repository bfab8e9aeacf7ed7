//! What there is in a vhost, for those who administer.

use std::sync::Arc;

use leveret_codec::table::FieldTable;

use crate::exchange::Exchange;
use crate::names::Name;
use crate::queue::Queue;
use crate::services::Services;
use crate::vhost::bindings::{Binding, BindingEnd};
use crate::vhost::policies::REPLY_QUEUE_PREFIX;
use crate::vhost::{BindingKey, Vhost};

/// Which bindings are wanted. Those by which each queue is bound to the default exchange are not among them: nobody made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingsOf<'a> {
    /// All.
    All,
    /// Those that come from an exchange.
    Source(&'a str),
    /// Those that lead to a queue.
    Queue(&'a str),
    /// Those that lead to an exchange.
    Exchange(&'a str),
}

/// A binding.
#[derive(Clone, Debug, PartialEq)]
pub struct BindingFacts {
    /// The exchange that messages come from.
    pub source: Name,
    /// Where they go.
    pub destination: Name,
    /// That is a queue, and not an exchange.
    pub to_queue: bool,
    /// The routing key.
    pub routing_key: Box<[u8]>,
    /// The arguments.
    pub arguments: FieldTable,
    /// Both ends are durable.
    pub durable: bool,
}

impl BindingFacts {
    /// What unbinds it, for `user`.
    #[must_use]
    pub fn key<'a>(&'a self, user: &'a str) -> BindingKey<'a> {
        BindingKey { source: &self.source, routing_key: &self.routing_key, arguments: &self.arguments, user }
    }
}

impl From<&Binding> for BindingFacts {
    fn from(binding: &Binding) -> Self {
        let (destination, to_queue) = match &binding.destination {
            BindingEnd::Queue(name) => (name, true),
            BindingEnd::Exchange(name) => (name, false),
        };
        Self {
            source: Name::clone(&binding.source),
            destination: Name::clone(destination),
            to_queue,
            routing_key: binding.routing_key.clone(),
            arguments: binding.arguments.clone(),
            durable: binding.durable,
        }
    }
}

impl Vhost {
    /// What it shares with the other vhosts of its broker.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// All queues in no order, but those behind addresses for direct replies.
    #[must_use]
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        let mut queues = self.queues.all();
        queues.retain(|queue| !queue.name.starts_with(REPLY_QUEUE_PREFIX));
        queues
    }

    /// How many queues there are.
    #[must_use]
    pub fn queues_len(&self) -> usize {
        self.queues.len()
    }

    /// All exchanges in no order, the default one among them.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Arc<Exchange>> {
        self.exchanges.all()
    }

    /// Bindings in no order.
    #[must_use]
    pub fn bindings(&self, of: BindingsOf<'_>) -> Vec<BindingFacts> {
        let topology = self.topology.lock();
        let found = match of {
            BindingsOf::All => topology.all(),
            BindingsOf::Source(name) => topology.all_from(name),
            BindingsOf::Queue(name) => topology.all_to(&BindingEnd::Queue(name.into())),
            BindingsOf::Exchange(name) => topology.all_to(&BindingEnd::Exchange(name.into())),
        };
        drop(topology);
        found.iter().map(|binding| BindingFacts::from(&**binding)).collect()
    }
}
