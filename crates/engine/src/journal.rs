//! The seam to whatever keeps things: everything durable goes through [`Journal`] and nothing else knows where bytes go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_codec::table::FieldTable;

use crate::message::Parts;
use crate::names::QueueId;

/// A position in the journal: everything at or before the durable position survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

/// One thing that happened. Names, ids and outcomes are written, never derived again.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields are named for what they carry")]
pub enum Record<'a> {
    /// A message; queues refer to it by the position of this record.
    Body(&'a Parts<'a>),
    /// `body` became message `seq` of a queue. Written under the queue's lock.
    Enqueue { queue: QueueId, seq: u64, body: Lsn },
    /// Messages that are gone from a queue: acknowledged, dropped, purged.
    Settle { queue: QueueId, seqs: &'a [u64] },
    /// A durable queue came into being.
    QueueDeclared { vhost: &'a str, name: &'a str, id: QueueId, auto_delete: bool, arguments: &'a FieldTable },
    /// A durable queue and all its messages are gone.
    QueueDeleted { vhost: &'a str, name: &'a str, id: QueueId },
    /// A durable exchange came into being.
    ExchangeDeclared {
        vhost: &'a str,
        name: &'a str,
        kind: &'a str,
        auto_delete: bool,
        internal: bool,
        arguments: &'a FieldTable,
    },
    /// A durable exchange is gone.
    ExchangeDeleted { vhost: &'a str, name: &'a str },
    /// A binding between two durable ends came into being.
    Bound { vhost: &'a str, binding: BindingRecord<'a> },
    /// A binding between two durable ends is gone.
    Unbound { vhost: &'a str, binding: BindingRecord<'a> },
}

/// A binding in a record.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "AMQP's own names")]
pub struct BindingRecord<'a> {
    pub source: &'a str,
    pub destination: &'a str,
    pub destination_is_queue: bool,
    pub routing_key: &'a [u8],
    pub arguments: &'a FieldTable,
}

/// Somebody who waits for a position to become durable.
pub trait DurableWaiter: Send + Sync {
    /// The position waited for is durable.
    fn durable(&self);
}

/// A log of records. Implementations are called with locks held (see the lock order) and must not block.
pub trait Journal: Send + Sync {
    /// Appends a record; records get rising positions.
    fn append(&self, record: &Record<'_>) -> Lsn;

    /// Everything at or before this position survives.
    fn durable(&self) -> Lsn;

    /// Calls `waiter` once, when `lsn` is durable; at once if it is already.
    fn when_durable(&self, lsn: Lsn, waiter: Arc<dyn DurableWaiter>);
}

/// Keeps nothing: each record is as durable as it will ever be.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    end: AtomicU64,
}

impl Journal for MemoryJournal {
    fn append(&self, _record: &Record<'_>) -> Lsn {
        Lsn(self.end.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn durable(&self) -> Lsn {
        Lsn(u64::MAX)
    }

    fn when_durable(&self, _lsn: Lsn, waiter: Arc<dyn DurableWaiter>) {
        waiter.durable();
    }
}
