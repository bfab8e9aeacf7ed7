//! Exchanges: a name, properties and a routing table.

mod direct;
mod fanout;
mod headers;
pub mod table;
mod topic;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_codec::table::{FieldTable, FieldValue};
use parking_lot::RwLock;

pub use crate::exchange::table::ExchangeKind;
use crate::exchange::table::Table;
use crate::names::Name;
use crate::queue::Queue;

/// The argument that names the alternate exchange.
pub const ALTERNATE_EXCHANGE: &[u8] = b"alternate-exchange";

/// An exchange. The default exchange has the empty name and no bindings.
#[derive(Debug)]
pub struct Exchange {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub kind: ExchangeKind,
    /// Survives a restart.
    pub durable: bool,
    /// Goes with its last binding as a source.
    pub auto_delete: bool,
    /// Takes no publishes from clients.
    pub internal: bool,
    /// Its arguments as declared.
    pub arguments: FieldTable,
    /// Where messages go that it has no destination for.
    pub alternate: Option<Name>,
    pub(crate) table: RwLock<Table<Destination>>,
    /// Rises with each change that could change a route through it. Shared, so that a cached route outlives the exchange.
    generation: Arc<AtomicU64>,
}

/// Where a binding leads.
#[derive(Clone, Debug)]
pub enum Destination {
    /// A queue.
    Queue(Arc<Queue>),
    /// An exchange, by name: holding it would make a ring of references of a ring of bindings.
    Exchange(Name),
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Queue(a), Self::Queue(b)) => a.id == b.id,
            (Self::Exchange(a), Self::Exchange(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Destination {}

impl std::hash::Hash for Destination {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Queue(queue) => queue.id.hash(state),
            Self::Exchange(name) => name.hash(state),
        }
    }
}

impl Exchange {
    /// An exchange without bindings.
    #[must_use]
    pub fn new(
        name: Name,
        kind: ExchangeKind,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        arguments: FieldTable,
    ) -> Self {
        let alternate = match arguments.get(ALTERNATE_EXCHANGE) {
            Some(FieldValue::LongStr(name)) => Some(Name::from(String::from_utf8_lossy(name))),
            _ => None,
        };
        Self {
            name,
            kind,
            durable,
            auto_delete,
            internal,
            arguments,
            alternate,
            table: RwLock::new(Table::new(kind)),
            generation: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Whether it is the default exchange, to which each queue is bound by its name.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name.is_empty()
    }

    /// Whether its table changed since `seen`.
    pub(crate) fn generation(&self) -> Generation {
        Generation { counter: Arc::clone(&self.generation), seen: self.generation.load(Ordering::Acquire) }
    }

    pub(crate) fn bump_generation(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

/// A generation as it was when a route was found.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    counter: Arc<AtomicU64>,
    seen: u64,
}

impl Generation {
    pub(crate) fn new(counter: &Arc<AtomicU64>) -> Self {
        Self { counter: Arc::clone(counter), seen: counter.load(Ordering::Acquire) }
    }

    pub(crate) fn is_current(&self) -> bool {
        self.counter.load(Ordering::Acquire) == self.seen
    }
}
