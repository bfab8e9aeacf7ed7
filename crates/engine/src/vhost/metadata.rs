//! What is known of a vhost beside what is in it, and how much it may have.

use std::sync::atomic::Ordering;

use crate::queue::arguments::QueueType;
use crate::vhost::Vhost;

/// What is known of a vhost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VhostMetadata {
    /// What it is for.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
    /// What queues are that do not say it, as far as they can be; none is what the broker says.
    pub default_queue_type: Option<QueueType>,
    /// What is published and delivered is copied to `amq.rabbitmq.trace`. This does not survive a restart.
    pub tracing: bool,
    /// It cannot be deleted.
    pub protected_from_deletion: bool,
}

/// How much a vhost may have; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VhostLimits {
    /// `max-connections`
    pub connections_max: Option<u64>,
    /// `max-queues`
    pub queues_max: Option<u64>,
}

/// What is known of a vhost and kept in it.
#[derive(Debug, Default)]
pub(super) struct VhostFacts {
    metadata: VhostMetadata,
    limits: VhostLimits,
}

impl Vhost {
    /// What is known of it now.
    #[must_use]
    pub fn metadata(&self) -> VhostMetadata {
        let metadata = self.facts.read().metadata.clone();
        VhostMetadata { tracing: self.is_traced(), ..metadata }
    }

    /// How much it may have.
    #[must_use]
    pub fn limits(&self) -> VhostLimits {
        self.facts.read().limits
    }

    /// How many connections it has.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What queues are that do not say it, as far as they can be.
    #[must_use]
    pub fn default_queue_type(&self) -> QueueType {
        let own = self.facts.read().metadata.default_queue_type;
        own.unwrap_or_else(|| self.services.default_queue_type())
    }

    pub(crate) fn set_metadata(&self, metadata: &VhostMetadata) {
        self.facts.write().metadata = metadata.clone();
        self.set_tracing(metadata.tracing);
    }

    pub(crate) fn set_limits(&self, limits: VhostLimits) {
        self.facts.write().limits = limits;
    }
}
