//! Counting without getting in anybody's way: each counter has one writer at a time, which adds to it without a locked
//! instruction; who wants to know reads along.

use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::queue::Queue;
use crate::queue::arguments::QueueType;

/// A number that one thread at a time adds to, and any reads.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

impl Tally {
    /// Adds to it. For its one writer: what two add at once may be lost.
    #[inline(always)]
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// What it is.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters under the names that RabbitMQ has for them, in plain numbers.
macro_rules! counts {
    ($(#[$about:meta])* $vis:vis struct $name:ident / $rates:ident { $($(#[$field_about:meta])* $field:ident,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $vis struct $name {
            $($(#[$field_about])* pub $field: u64,)*
        }

        /// The same a second.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        $vis struct $rates {
            $($(#[$field_about])* pub $field: f64,)*
        }

        impl $name {
            /// The names of all, in the order of the fields.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field),)*];

            /// Adds each of another.
            pub fn add(&mut self, other: &Self) {
                $(self.$field = self.$field.wrapping_add(other.$field);)*
            }

            /// Raises each to what it is in `floor`, and `floor` to what it is then: for sums that may miss for a moment what moves
            /// from one place to another, and must not be seen to fall.
            pub fn rise_above(&mut self, floor: &mut Self) {
                $(
                    self.$field = self.$field.max(floor.$field);
                    floor.$field = self.$field;
                )*
            }

            /// What each has risen by since `before`, a second, where `seconds` have passed.
            #[must_use]
            #[allow(clippy::cast_precision_loss, reason = "a rate")]
            pub fn rates_since(&self, before: &Self, seconds: f64) -> $rates {
                let rate = |now: u64, before: u64| if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 };
                $rates { $($field: rate(self.$field, before.$field),)* }
            }

            /// The counter of this name.
            #[must_use]
            pub fn named(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($field) => Some(self.$field),)*
                    _ => None,
                }
            }
        }

        impl $rates {
            /// The rate of the counter of this name.
            #[must_use]
            pub fn named(&self, name: &str) -> Option<f64> {
                match name {
                    $(stringify!($field) => Some(self.$field),)*
                    _ => None,
                }
            }
        }
    };
}

counts! {
    /// What happened to messages.
    pub struct MessageCounts / MessageRates {
        /// Published by clients; of a queue: taken in.
        publish,
        /// Of an exchange: published to it.
        publish_in,
        /// Of an exchange: routed by it, once for each queue.
        publish_out,
        /// Confirmed to their publishers.
        confirm,
        /// Came back to their publishers: no queue was there for them.
        return_unroutable,
        /// Dropped: no queue was there for them, and nobody wanted to know.
        drop_unroutable,
        /// Delivered to consumers that acknowledge.
        deliver,
        /// Delivered to consumers that do not.
        deliver_no_ack,
        /// Got, to be acknowledged.
        get,
        /// Got without acknowledgement.
        get_no_ack,
        /// Asked for by basic.get where there was none.
        get_empty,
        /// Acknowledged.
        ack,
        /// Delivered or got another time.
        redeliver,
    }
}

impl MessageCounts {
    /// All that left queues for clients.
    #[must_use]
    pub fn deliver_get(&self) -> u64 {
        self.deliver + self.deliver_no_ack + self.get + self.get_no_ack
    }
}

impl MessageRates {
    /// All that leaves queues for clients.
    #[must_use]
    pub fn deliver_get(&self) -> f64 {
        self.deliver + self.deliver_no_ack + self.get + self.get_no_ack
    }
}

counts! {
    /// Messages that queues gave up, by the reason.
    pub struct DeathCounts / DeathRates {
        /// They lived as long as they may.
        expired,
        /// Consumers rejected them for good.
        rejected,
        /// Their queue was full.
        maxlen,
        /// They came back too often.
        delivery_limit,
        /// Of all these: those that arrived elsewhere, where that is made sure of.
        confirmed,
    }
}

/// What becomes of the messages that a queue gives up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeadLettering {
    /// They are dropped.
    #[default]
    Disabled,
    /// They are published to an exchange.
    AtMostOnce,
    /// The same, and they stay until they have arrived.
    AtLeastOnce,
}

impl DeadLettering {
    /// RabbitMQ's word for it in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::AtMostOnce => "at_most_once",
            Self::AtLeastOnce => "at_least_once",
        }
    }
}

/// What comes and goes in a broker. Each is rare beside messages, so that they are plain atomics.
#[derive(Debug, Default)]
pub struct Churn {
    /// Connections that were opened.
    pub connections_created: AtomicU64,
    /// ...and those of them that have ended.
    pub connections_closed: AtomicU64,
    /// Channels that were opened.
    pub channels_created: AtomicU64,
    /// ...and those of them that have ended.
    pub channels_closed: AtomicU64,
    /// Declarations of queues, also of those that were there.
    pub queues_declared: AtomicU64,
    /// Queues that came by a declaration.
    pub queues_created: AtomicU64,
    /// Queues that were deleted.
    pub queues_deleted: AtomicU64,
    /// Logins that succeeded.
    pub logins_succeeded: AtomicU64,
    /// Logins that were refused.
    pub logins_failed: AtomicU64,
}

/// Counts one more.
pub fn count_one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

counts! {
    /// The churn of a broker at one moment.
    pub struct ChurnCounts / ChurnRates {
        /// Connections that were opened.
        connection_created,
        /// Connections that have ended.
        connection_closed,
        /// Channels that were opened.
        channel_created,
        /// Channels that have ended.
        channel_closed,
        /// Declarations of queues.
        queue_declared,
        /// Queues that came by a declaration.
        queue_created,
        /// Queues that were deleted.
        queue_deleted,
    }
}

impl Churn {
    /// Logins that succeeded, and those that were refused.
    #[must_use]
    pub fn logins(&self) -> (u64, u64) {
        (self.logins_succeeded.load(Ordering::Relaxed), self.logins_failed.load(Ordering::Relaxed))
    }

    /// What it is now.
    #[must_use]
    pub fn counts(&self) -> ChurnCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ChurnCounts {
            connection_created: read(&self.connections_created),
            connection_closed: read(&self.connections_closed),
            channel_created: read(&self.channels_created),
            channel_closed: read(&self.channels_closed),
            queue_declared: read(&self.queues_declared),
            queue_created: read(&self.queues_created),
            queue_deleted: read(&self.queues_deleted),
        }
    }
}

/// What happened in queues that are gone, by type and strategy: so that sums over all queues never fall.
#[derive(Debug, Default)]
pub struct GoneQueues(Mutex<HashMap<GoneKey, (MessageCounts, DeathCounts)>>);

type GoneKey = (QueueType, DeadLettering);

impl GoneQueues {
    /// A queue is gone.
    pub(crate) fn add(&self, queue: &Queue) {
        let report = queue.report();
        let key = (queue.settings.queue_type, report.strategy);
        let mut gone = self.0.lock();
        let (happened, died) = gone.entry(key).or_default();
        happened.add(&report.happened);
        died.add(&report.died);
    }

    /// Calls `each` with type, strategy and what happened.
    pub fn for_each(&self, mut each: impl FnMut(QueueType, DeadLettering, &MessageCounts, &DeathCounts)) {
        for ((queue_type, strategy), (happened, died)) in &*self.0.lock() {
            each(*queue_type, *strategy, happened, died);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_by_their_names_and_become_rates() {
        let before = MessageCounts { publish: 10, deliver: 4, get_no_ack: 1, ..MessageCounts::default() };
        let mut now = before;
        now.add(&MessageCounts { publish: 10, deliver: 5, ..MessageCounts::default() });
        assert_eq!((now.named("publish"), now.named("deliver"), now.named("nothing")), (Some(20), Some(9), None));
        assert_eq!(now.deliver_get(), 10);
        let rates = now.rates_since(&before, 5.0);
        assert_eq!((rates.named("publish"), rates.deliver_get()), (Some(2.0), 1.0));
        assert_eq!(now.rates_since(&before, 0.0), MessageRates::default());
        assert!(MessageCounts::NAMES.iter().all(|name| now.named(name).is_some() && rates.named(name).is_some()));
    }
}
