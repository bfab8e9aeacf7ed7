//! The seam to whatever keeps things: everything durable goes through [`Journal`] and nothing else knows where bytes go.
//!
//! Three services: a log of [`Record`]s that becomes durable in order, messages of queues read back from it in pages, and
//! [`BlobStore`] for bodies too large to be held in memory.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use leveret_codec::table::FieldTable;

use crate::message::{Message, Parts};
use crate::names::QueueId;

/// A position in the journal: everything at or before the durable position survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

/// Where the body of a message lies in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BodyAt(pub u64);

/// A run of positions in a queue, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqRange {
    /// The first.
    pub first: u64,
    /// The last; not before `first`.
    pub last: u64,
}

/// One thing that happened. Names, ids and outcomes are written, never derived again.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are named for what they carry")]
pub enum Record<'a> {
    /// Messages `first_seq`, `first_seq + 1`, ... of a queue have these bodies. Written under the queue's lock, with rising
    /// positions in a queue. `bytes` is the sum of their bodies. `transient` ones left memory for want of room and are gone after a restart.
    Enqueue { queue: QueueId, first_seq: u64, bodies: &'a [BodyAt], bytes: u64, transient: bool },
    /// Messages that were journaled are gone from a queue: acknowledged, dropped, purged. `bytes` is the sum of their bodies.
    /// A range may hold positions that were never journaled, or are settled already, but none that shall stay. Messages
    /// enqueued as transient are settled by records of their own, with `transient` set.
    Settle { queue: QueueId, ranges: &'a [SeqRange], bytes: u64, transient: bool },
    /// All messages of a queue up to `last` that are still there were delivered at least once.
    Delivered { queue: QueueId, last: u64 },
    /// Messages came back to a queue: position, and how often it was delivered in all.
    Returned { queue: QueueId, counts: &'a [(u64, u32)] },
    /// The messages of a stream between two positions are one segment: they will go together. Written once all of them are.
    StreamSegment { queue: QueueId, segment: StreamSegment },
    /// A durable queue came into being.
    QueueDeclared { vhost: &'a str, name: &'a str, id: QueueId, auto_delete: bool, arguments: &'a FieldTable },
    /// A queue and all its messages are gone.
    QueueDeleted { id: QueueId },
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
    /// Something that was set by administration, in place of what was set under the same key. `value` is JSON.
    Setting { key: SettingKey<'a>, value: &'a [u8] },
    /// Nothing is set under the key any more.
    SettingCleared { key: SettingKey<'a> },
}

/// What a setting is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingKey<'a> {
    /// What it is.
    pub kind: SettingKind,
    /// The vhost that it belongs to; empty where it belongs to none.
    pub scope: &'a str,
    /// Its name; where it takes several, a JSON array of them.
    pub name: &'a str,
}

/// What a setting is. The numbers are those in the journal: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SettingKind {
    /// A vhost with its metadata.
    Vhost = 1,
    /// A user: password, tags.
    User = 2,
    /// What a user may do in the vhost `scope`.
    Permission = 3,
    /// What the first of the two names, a user, may do with a topic exchange, the second.
    TopicPermission = 4,
    /// A runtime parameter: component and name.
    Parameter = 5,
    /// A parameter that belongs to no vhost.
    GlobalParameter = 6,
    /// A policy of a user.
    Policy = 7,
    /// A policy of an operator.
    OperatorPolicy = 8,
    /// How much a vhost may have.
    VhostLimits = 9,
    /// How much a user may have.
    UserLimits = 10,
    /// A queue of the vhost `scope` is paused: which one is told by its id.
    PausedQueue = 11,
}

impl SettingKind {
    /// All there are.
    const ALL: [Self; 11] = [
        Self::Vhost,
        Self::User,
        Self::Permission,
        Self::TopicPermission,
        Self::Parameter,
        Self::GlobalParameter,
        Self::Policy,
        Self::OperatorPolicy,
        Self::VhostLimits,
        Self::UserLimits,
        Self::PausedQueue,
    ];

    /// The kind of this number, if this version knows it.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Neighbours in a stream that go together when they are too old or too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamSegment {
    /// Position of the first message.
    pub first_seq: u64,
    /// Position of the last.
    pub last_seq: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
    /// Bytes that they count for when the stream's size is judged.
    pub size_bytes: u64,
    /// When the last came: milliseconds since 1970.
    pub last_ms: u64,
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

/// Somebody who waits: for a position to become durable, for room, for messages to be read.
pub trait Waiter: Send + Sync {
    /// What was waited for has come about. Must not block; may be called with locks of the journal held, so that it must not
    /// call the journal, but for [`Journal::durable`].
    fn wake(&self);
}

/// A log of records. [`Journal::append`] and [`Journal::append_bodies`] are called with locks held (see the lock order) and
/// must not block.
pub trait Journal: Send + Sync {
    /// Appends a record; records get rising positions.
    fn append(&self, record: &Record<'_>) -> Lsn;

    /// Appends messages that queues will refer to, and pushes where each lies.
    fn append_bodies(&self, bodies: &[Parts<'_>], at: &mut Vec<BodyAt>);

    /// Said before bodies are appended: from now on they stay where they are until [`Journal::let_go`] gets the answer, however
    /// long it takes until all queues have enqueued them.
    fn hold(&self) -> Lsn {
        Lsn::default()
    }

    /// All that will ever refer to the bodies was appended.
    fn let_go(&self, _held: Lsn) {}

    /// Everything at or before this position survives. Takes no lock.
    fn durable(&self) -> Lsn;

    /// Wakes `waiter` once, when `lsn` is durable; at once if it is already. Until somebody waits, the journal is in no hurry.
    fn when_durable(&self, lsn: Lsn, waiter: Arc<dyn Waiter>);

    /// Whether messages can be read back, so that they need not be kept in memory.
    fn can_page(&self) -> bool;

    /// Reads messages of a queue back, on some other thread.
    fn load(&self, request: LoadRequest);

    /// Whether so much waits to be written that publishers should wait.
    fn is_full(&self) -> bool;

    /// Wakes `waiter` once, when the journal is not full; at once if it is not.
    fn when_room(&self, waiter: Arc<dyn Waiter>);

    /// Where large bodies go, if they can go anywhere but memory.
    fn blobs(&self) -> Option<Arc<dyn BlobStore>>;
}

/// Asks for a page of messages.
pub struct LoadRequest {
    /// The queue.
    pub queue: QueueId,
    /// Positions wanted. All of them were appended before the request.
    pub range: SeqRange,
    /// Most messages wanted.
    pub messages_max: usize,
    /// Most bytes wanted; one message comes whatever its size.
    pub bytes_max: usize,
    /// Gets the page.
    pub reader: Arc<dyn PageReader>,
}

impl std::fmt::Debug for LoadRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadRequest").field("queue", &self.queue).field("range", &self.range).finish_non_exhaustive()
    }
}

/// Gets what a [`LoadRequest`] asked for.
pub trait PageReader: Send + Sync {
    /// Called once a request, on a thread of the journal, with none of its locks held.
    fn loaded(self: Arc<Self>, page: Page);
}

/// Messages read back, in order.
#[derive(Debug)]
pub struct Page {
    /// The messages.
    pub messages: Vec<Loaded>,
    /// The page covers the positions below this one from the request's first on, at least one: what of them is not in
    /// `messages` is gone.
    pub next: u64,
}

/// A message read back.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its position in the queue.
    pub seq: u64,
    /// How often it was delivered, as far as is known: 0 for never.
    pub deliveries: u32,
    /// It is gone after a restart.
    pub transient: bool,
    /// When it came to the broker: milliseconds since 1970, by the wall clock.
    pub arrived_ms: u64,
    /// The message.
    pub message: Message,
}

/// Keeps bodies out of memory.
pub trait BlobStore: Send + Sync {
    /// Begins a body.
    fn create(&self) -> Box<dyn BlobWriter>;
}

/// A body that is being written. Dropped before [`BlobWriter::finish`], it leaves nothing behind.
pub trait BlobWriter: Send + Sync {
    /// Adds to the body. Does not block; what is not written yet counts towards [`Journal::is_full`].
    fn append(&mut self, piece: Bytes);

    /// The body is whole.
    fn finish(self: Box<Self>) -> Blob;
}

/// A body on disk, shared by all who refer to it. It goes when the last of them and the journal's last record of it are gone.
pub type Blob = Arc<dyn StoredBlob>;

/// A body on disk.
pub trait StoredBlob: Send + Sync + std::fmt::Debug {
    /// What it is called in the journal.
    fn id(&self) -> u64;

    /// Its length in bytes.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `out` with the bytes from `offset` on. Blocks.
    ///
    /// # Errors
    /// When they are not there, cannot be read, or are not those that were written.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
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

    fn append_bodies(&self, bodies: &[Parts<'_>], at: &mut Vec<BodyAt>) {
        at.resize(at.len() + bodies.len(), BodyAt::default());
    }

    fn durable(&self) -> Lsn {
        Lsn(u64::MAX)
    }

    fn when_durable(&self, _lsn: Lsn, waiter: Arc<dyn Waiter>) {
        waiter.wake();
    }

    fn can_page(&self) -> bool {
        false
    }

    fn load(&self, request: LoadRequest) {
        request.reader.loaded(Page { messages: Vec::new(), next: request.range.last.saturating_add(1) });
    }

    fn is_full(&self) -> bool {
        false
    }

    fn when_room(&self, waiter: Arc<dyn Waiter>) {
        waiter.wake();
    }

    fn blobs(&self) -> Option<Arc<dyn BlobStore>> {
        None
    }
}
