//! Exchanges: a name, properties and a routing table.

mod consistent_hash;
mod direct;
pub mod error;
mod fanout;
mod headers;
pub(crate) mod history;
mod jms_topic;
mod modulus_hash;
mod random;
mod selector;
mod shares;
pub mod table;
mod topic;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_codec::table::{FieldTable, FieldValue};
use parking_lot::RwLock;

use crate::counters::MessageCounts;
use crate::exchange::history::History;
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
    /// Where messages go that it has no destination for, by its arguments.
    pub alternate: Option<Name>,
    /// The same by policies: it counts where the arguments say nothing.
    policy_alternate: RwLock<Option<Name>>,
    pub(crate) table: RwLock<Table<Destination>>,
    /// What it delivers to new bindings, if that is its type.
    pub(crate) history: Option<History>,
    /// Where its messages wait, if it delays them: its kind is then the one that it routes them by.
    pub(crate) delay: Option<Arc<Queue>>,
    /// What went through it by publishes of clients.
    pub through: Through,
    /// Rises with each change that could change a route through it. Shared, so that a cached route outlives the exchange.
    generation: Arc<AtomicU64>,
}

/// What went through an exchange. Told by connections, a batch of messages at a time.
#[derive(Debug, Default)]
pub struct Through {
    messages_in: AtomicU64,
    messages_out: AtomicU64,
    returned: AtomicU64,
    dropped: AtomicU64,
}

impl Through {
    /// So many messages were published, and went to so many queues, each queue counted for each message.
    pub fn add(&self, messages_in: u64, messages_out: u64) {
        self.messages_in.fetch_add(messages_in, Ordering::Relaxed);
        self.messages_out.fetch_add(messages_out, Ordering::Relaxed);
    }

    /// A message had nowhere to go, and its publisher was told, or not.
    pub fn add_unroutable(&self, is_returned: bool) {
        let counter = if is_returned { &self.returned } else { &self.dropped };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// What went in and out, and nowhere; the other counters are zero.
    #[must_use]
    pub fn counts(&self) -> MessageCounts {
        MessageCounts {
            publish_in: self.messages_in.load(Ordering::Relaxed),
            publish_out: self.messages_out.load(Ordering::Relaxed),
            return_unroutable: self.returned.load(Ordering::Relaxed),
            drop_unroutable: self.dropped.load(Ordering::Relaxed),
            ..MessageCounts::default()
        }
    }
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
            // By name, so that a queue that is deleted and declared again is given the same share by the types that hash.
            Self::Queue(queue) => queue.name.hash(state),
            Self::Exchange(name) => (name, b'x').hash(state),
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
            table: RwLock::new(Table::new(kind, &arguments)),
            history: (kind == ExchangeKind::RecentHistory).then(|| History::new(&arguments)),
            delay: None,
            arguments,
            alternate,
            policy_alternate: RwLock::default(),
            through: Through::default(),
            generation: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Whether it is the default exchange, to which each queue is bound by its name.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name.is_empty()
    }

    /// Where messages go that it has no destination for.
    #[must_use]
    pub fn alternate(&self) -> Option<Name> {
        self.alternate.clone().or_else(|| self.policy_alternate.read().clone())
    }

    /// Policies name this alternate exchange from now on.
    pub(crate) fn set_policy_alternate(&self, alternate: Option<Name>) {
        let mut current = self.policy_alternate.write();
        if *current != alternate {
            *current = alternate;
            drop(current);
            self.bump_generation();
        }
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
