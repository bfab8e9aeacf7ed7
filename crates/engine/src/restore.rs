//! What a journal gives back at start: durable topology, what administration has set, and what is known of the queues' messages without reading them.

use leveret_codec::table::FieldTable;

use crate::journal::StreamSegment;
use crate::names::QueueId;

/// Everything that survived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restored {
    /// Exchanges, in no order.
    pub exchanges: Vec<RestoredExchange>,
    /// Queues, in no order.
    pub queues: Vec<RestoredQueue>,
    /// Bindings, in no order; their ends are among the above or predeclared.
    pub bindings: Vec<RestoredBinding>,
    /// No queue had a higher id.
    pub last_queue_id: u64,
    /// What administration has set, in no order.
    pub settings: Vec<RestoredSetting>,
}

/// Something that administration has set. Nothing of it has been understood yet.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoredSetting {
    /// The number of a [`SettingKind`](crate::journal::SettingKind), or of one of a later version.
    pub kind: u8,
    /// The vhost that it belongs to; empty where it belongs to none.
    pub scope: String,
    /// Its name.
    pub name: String,
    /// JSON.
    pub value: Vec<u8>,
}

/// A durable exchange.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "AMQP's own names")]
pub struct RestoredExchange {
    pub vhost: String,
    pub name: String,
    pub kind: String,
    pub auto_delete: bool,
    pub internal: bool,
    pub arguments: FieldTable,
}

/// A durable queue and its messages.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoredQueue {
    /// Its vhost's name.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// Its id: its messages are filed under it.
    pub id: QueueId,
    /// Goes when its last consumer goes.
    pub auto_delete: bool,
    /// Its arguments as declared.
    pub arguments: FieldTable,
    /// Messages that survived: all are ready now.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Position of the first of them; 0 without any.
    pub first_seq: u64,
    /// Position of the last message that the queue is known to have had, whether it survived or not.
    pub last_seq: u64,
    /// The finished segments of a stream that are still there, neighbours in order.
    pub stream_segments: Vec<StreamSegment>,
}

/// A binding between durable ends.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "AMQP's own names")]
pub struct RestoredBinding {
    pub vhost: String,
    pub source: String,
    pub destination: String,
    pub destination_is_queue: bool,
    pub routing_key: Vec<u8>,
    pub arguments: FieldTable,
}
