//! What there is to tell of a queue at one moment.

use leveret_codec::properties::PropertiesRef;

use crate::counters::{DeadLettering, DeathCounts, MessageCounts};
use crate::names::{ConsumerKey, Name};
use crate::outlet::OutletPlace;
use crate::queue::core::QueueCore;
use crate::queue::{Counts, Queue};

/// A queue at one moment. Cheap: it is asked for every queue every few seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueReport {
    /// Messages and consumers.
    pub counts: Counts,
    /// Bytes of the bodies of ready messages.
    pub ready_bytes: u64,
    /// Bytes of the bodies of messages that are not settled.
    pub unacked_bytes: u64,
    /// What the ready messages in memory take, in bytes.
    pub resident_bytes: u64,
    /// Some of the messages are not in memory.
    pub is_paged: bool,
    /// Something has happened since it is there, or since the broker was started.
    pub is_used: bool,
    /// What that was.
    pub happened: MessageCounts,
    /// Messages that it gave up.
    pub died: DeathCounts,
    /// What becomes of those by now.
    pub strategy: DeadLettering,
    /// A consumer would be given a message at once.
    pub is_awaited: bool,
}

/// A consumer, as its queue knows it.
#[derive(Clone, Debug)]
pub struct QueueConsumer {
    /// Tells it from the others of this queue.
    pub key: ConsumerKey,
    /// Its tag.
    pub tag: Name,
    /// Its channel.
    pub place: Option<OutletPlace>,
    /// It does not acknowledge.
    pub no_ack: bool,
    /// Most deliveries that it has unsettled; 0 for any number.
    pub prefetch: u16,
    /// Its priority.
    pub priority: i32,
    /// It is the only one that may be there.
    pub exclusive: bool,
    /// It is served; others wait where one is served at a time.
    pub active: bool,
}

impl Queue {
    /// What there is to tell of it now.
    #[must_use]
    pub fn report(&self) -> QueueReport {
        match &self.stream {
            Some(stream) => stream.report(),
            None => self.core.lock().report(),
        }
    }

    /// Its consumers.
    #[must_use]
    pub fn consumers(&self) -> Vec<QueueConsumer> {
        match &self.stream {
            Some(stream) => stream.consumers(),
            None => self.core.lock().consumers.reports(),
        }
    }

    /// Whether a consumer is served, and does not wait for others to go.
    #[must_use]
    pub fn serves(&self, key: ConsumerKey) -> bool {
        self.stream.is_some() || self.core.lock().consumers.active.serves(key)
    }

    /// The property timestamp of the first ready message, in seconds, if it is in memory and has one.
    #[must_use]
    pub fn head_timestamp_s(&self) -> Option<u64> {
        let core = self.core.lock();
        PropertiesRef::from_checked(core.ready.first()?.message.parts().properties).timestamp()
    }
}

impl QueueCore {
    fn report(&self) -> QueueReport {
        QueueReport {
            counts: self.counts(),
            ready_bytes: self.ready.body_bytes(),
            unacked_bytes: self.unacked_bytes,
            resident_bytes: self.ready.resident_bytes(),
            is_paged: self.ready.has_paged(),
            is_used: self.happened.is_some(),
            happened: self.happened.as_ref().map_or_else(MessageCounts::default, |happened| happened.counts),
            died: self.happened.as_ref().map_or_else(DeathCounts::default, |happened| happened.died),
            strategy: self.rules.strategy(),
            is_awaited: self.consumers.any_waits(),
        }
    }
}
