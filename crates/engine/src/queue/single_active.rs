//! `x-single-active-consumer`: of all the consumers of a queue one is served, and the others wait to take its place.
//!
//! The first to come is served. When it goes, the next is chosen only after what it had is back in the queue, so that it
//! gets that first: its removal leaves the place vacant, and [`Consumers::promote`] fills it. On quorum queues a consumer
//! of higher priority takes the place of the one that is served, once that one has settled what it has.

use crate::names::ConsumerKey;
use crate::queue::arguments::{QueueArguments, QueueType};
use crate::queue::consumers::Consumers;

/// How the one that is served is succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Succession {
    /// When it goes.
    WhenGone,
    /// Also when somebody of higher priority comes.
    ByPriority,
}

/// Which consumers of a queue are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Active {
    /// All of them.
    #[default]
    All,
    /// None: whoever was is gone, and the next is not chosen yet.
    Vacant,
    /// None: there are no consumers.
    Nobody,
    /// This one.
    One(ConsumerKey),
    /// None: this one was, and gets no more. Another waits until all that it has is settled.
    Leaving(ConsumerKey),
}

impl Succession {
    /// The rule of a queue with these arguments; none when all its consumers are served.
    pub(super) fn of(settings: &QueueArguments) -> Option<Self> {
        let by_priority = settings.queue_type == QueueType::Quorum;
        settings.single_active_consumer.then_some(if by_priority { Self::ByPriority } else { Self::WhenGone })
    }
}

impl Active {
    /// Whether `key` may be given messages.
    pub(super) fn serves(self, key: ConsumerKey) -> bool {
        match self {
            Self::All => true,
            Self::One(active) => active == key,
            Self::Vacant | Self::Nobody | Self::Leaving(_) => false,
        }
    }

    /// Whether `key` is the one that others wait for.
    pub(super) fn is_leaving(self, key: ConsumerKey) -> bool {
        self == Self::Leaving(key)
    }
}

impl Consumers {
    /// A consumer came.
    pub(super) fn register(&mut self, key: ConsumerKey, priority: i32, succession: Succession) {
        match self.active {
            Active::All | Active::Nobody => self.active = Active::One(key),
            Active::One(active) if succession == Succession::ByPriority => self.challenge(active, priority),
            Active::One(_) | Active::Vacant | Active::Leaving(_) => {}
        }
    }

    /// Somebody of this priority would take the place of the one that is served.
    fn challenge(&mut self, active: ConsumerKey, priority: i32) {
        let Some(served) = self.of(active).filter(|served| served.priority < priority) else { return };
        let is_idle = served.is_idle();
        self.leave_ring(active);
        self.active = Active::Leaving(active);
        if is_idle {
            self.choose();
        }
    }

    /// A consumer is gone. Says whether another is served from now on.
    pub(super) fn unregister(&mut self, key: ConsumerKey) -> bool {
        match self.active {
            Active::One(active) | Active::Leaving(active) if active == key => {
                self.active = Active::Vacant;
                true
            }
            // It may have been the one that was waited for.
            Active::Leaving(active) if self.first_in_line() == Some(active) => {
                self.choose();
                true
            }
            _ => false,
        }
    }

    /// Fills a vacant place.
    pub(super) fn promote(&mut self) {
        if self.active == Active::Vacant {
            self.choose();
        }
    }

    /// Serves the first in line from now on.
    pub(super) fn choose(&mut self) {
        let Some(key) = self.first_in_line() else {
            self.active = Active::Nobody;
            return;
        };
        self.active = Active::One(key);
        if self.of(key).is_some_and(|consumer| consumer.is_started()) {
            self.resume(key);
        }
    }
}
