//! A vhost: its exchanges, queues and bindings.

mod bindings;
mod delayed;
mod deletion;
mod exchanges;
mod history;
mod listing;
mod metadata;
mod pause;
mod policies;
mod publish;
mod queues;
mod relocate;
mod restore;
mod routing;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use leveret_codec::table::FieldTable;
use parking_lot::{Mutex, RwLock};

use crate::error::Error;
use crate::events;
use crate::exchange::{Exchange, ExchangeKind};
use crate::journal::{Lsn, Record};
use crate::limits::SHORT_STRING_BYTES_MAX;
use crate::names::{ConnectionId, Name, QueueId};
use crate::policy::Policies;
use crate::queue::Queue;
use crate::registry::Registry;
use crate::services::Services;
use crate::trace;
pub use crate::vhost::bindings::BindingKey;
use crate::vhost::bindings::Bindings;
pub use crate::vhost::exchanges::ExchangeDeclare;
pub use crate::vhost::listing::{BindingFacts, BindingsOf};
use crate::vhost::metadata::VhostFacts;
pub use crate::vhost::metadata::{VhostLimits, VhostMetadata};
pub(crate) use crate::vhost::pause::paused_queue;
pub(crate) use crate::vhost::policies::REPLY_QUEUE_PREFIX;
pub use crate::vhost::publish::Published;
pub use crate::vhost::queues::{QueueDeclare, QueueDeleted};
pub use crate::vhost::relocate::{MoveTo, Relocated};
pub use crate::vhost::routing::Routed;

/// A namespace of exchanges and queues.
pub struct Vhost {
    /// Its name.
    pub name: Name,
    pub(crate) me: Weak<Self>,
    pub(crate) services: Arc<Services>,
    pub(crate) exchanges: Registry<Exchange>,
    pub(crate) queues: Registry<Queue>,
    /// The topology lock: held by whoever creates, binds or deletes.
    topology: Mutex<Bindings>,
    /// Rises whenever an exchange comes or goes: any cached route may then be wrong.
    exchange_generation: Arc<AtomicU64>,
    /// The broker's counter of queue ids.
    queue_ids: Arc<AtomicU64>,
    /// What acts on queues and exchanges beside their arguments.
    policies: RwLock<Policies>,
    /// What is known of it, and how much it may have.
    facts: RwLock<VhostFacts>,
    /// It was deleted: nothing new comes into being in it. Set under the topology's lock.
    deleted: AtomicBool,
    /// Connections that are open.
    pub(crate) connections: AtomicUsize,
    /// What is published and delivered is copied to the exchange of traces.
    pub(crate) traced: AtomicBool,
}

impl std::fmt::Debug for Vhost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vhost").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        self.set_tracing(false);
    }
}

impl Vhost {
    /// A vhost with the predeclared exchanges.
    #[must_use]
    pub fn new(name: Name, services: Arc<Services>, queue_ids: Arc<AtomicU64>) -> Arc<Self> {
        let vhost = Arc::new_cyclic(|me| Self {
            name,
            me: Weak::clone(me),
            services,
            exchanges: Registry::default(),
            queues: Registry::default(),
            topology: Mutex::default(),
            exchange_generation: Arc::default(),
            queue_ids,
            policies: RwLock::default(),
            facts: RwLock::default(),
            deleted: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            traced: AtomicBool::new(false),
        });
        for (name, kind, internal) in [
            ("", ExchangeKind::Direct, false),
            ("amq.direct", ExchangeKind::Direct, false),
            ("amq.fanout", ExchangeKind::Fanout, false),
            ("amq.topic", ExchangeKind::Topic, false),
            ("amq.headers", ExchangeKind::Headers, false),
            ("amq.match", ExchangeKind::Headers, false),
            (trace::EXCHANGE, ExchangeKind::Topic, true),
        ] {
            vhost.predeclare(name, kind, internal);
        }
        vhost
    }

    fn predeclare(&self, name: &str, kind: ExchangeKind, internal: bool) {
        let exchange = Exchange::new(name.into(), kind, true, false, internal, FieldTable::default());
        if self.exchanges.insert_new(Name::clone(&exchange.name), Arc::new(exchange)) {
            self.services.node.exchanges.one_more();
        }
    }

    /// Holds up whoever creates, binds or deletes.
    pub(crate) fn lock_topology(&self) -> impl Drop {
        self.topology.lock()
    }

    /// Events of the whole broker are told here.
    pub(crate) fn tell_events(&self) {
        self.predeclare(events::EXCHANGE, ExchangeKind::Topic, true);
        self.services.notices.tell_events_in(Weak::clone(&self.me));
    }

    /// Whether it was deleted; what is in it then is gone or goes.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Refuses what would come into being in a vhost that is deleted. Called with the topology's lock held.
    fn check_there(&self) -> Result<(), Error> {
        if self.is_deleted() { Err(Error::VhostDeleted { vhost: Name::clone(&self.name) }) } else { Ok(()) }
    }

    /// The queue `name`.
    ///
    /// # Errors
    /// [`Error::NoQueue`]
    pub fn queue(&self, name: &str) -> Result<Arc<Queue>, Error> {
        self.queues.get(name).ok_or_else(|| Error::NoQueue { queue: name.into(), vhost: Name::clone(&self.name) })
    }

    /// The queue `name`, which `connection` wants to use.
    ///
    /// # Errors
    /// [`Error::NoQueue`], [`Error::QueueLocked`] when another connection owns it.
    pub fn usable_queue(&self, name: &str, connection: ConnectionId) -> Result<Arc<Queue>, Error> {
        let queue = self.queue(name)?;
        self.check_owner(&queue, connection)?;
        Ok(queue)
    }

    fn check_owner(&self, queue: &Queue, connection: ConnectionId) -> Result<(), Error> {
        match queue.owner {
            Some(owner) if owner != connection => Err(self.locked(queue)),
            _ => Ok(()),
        }
    }

    fn locked(&self, queue: &Queue) -> Error {
        Error::QueueLocked { queue: Name::clone(&queue.name), vhost: Name::clone(&self.name) }
    }

    /// The exchange `name`.
    ///
    /// # Errors
    /// [`Error::NoExchange`]
    pub fn exchange(&self, name: &str) -> Result<Arc<Exchange>, Error> {
        self.exchanges
            .get(name)
            .ok_or_else(|| Error::NoExchange { exchange: name.into(), vhost: Name::clone(&self.name) })
    }

    /// Writes down a change of the topology.
    fn write(&self, topology: &mut Bindings, record: &Record<'_>) -> Lsn {
        topology.last_lsn = self.services.journal.append(record);
        topology.last_lsn
    }

    fn next_queue_id(&self) -> QueueId {
        QueueId(self.queue_ids.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Refuses a name that no client could say: one that came by AMQP is never so long.
pub(crate) fn check_short(kind: &'static str, name: &str) -> Result<(), Error> {
    let bytes = name.len();
    if bytes > SHORT_STRING_BYTES_MAX { Err(Error::LongName { kind, bytes }) } else { Ok(()) }
}

/// `name` without the line breaks that RabbitMQ takes out of the names of queues and exchanges.
#[must_use]
pub fn without_line_breaks(name: &str) -> std::borrow::Cow<'_, str> {
    if name.contains(['\r', '\n']) { name.replace(['\r', '\n'], "").into() } else { name.into() }
}
