//! Everything that was counted since the start, what is gone included: read at once, whenever somebody asks.

use hashbrown::HashMap;
use leveret_engine::broker::Broker;
use leveret_engine::counters::{DeadLettering, DeathCounts, MessageCounts};
use leveret_engine::queue::QueueReport;
use leveret_engine::queue::arguments::QueueType;
use leveret_session::counters::ConnectionCounts;
use leveret_session::report::{ChannelNumbers, Traffic};

use super::Statistics;
use crate::ticker::Connections;

/// What was counted on connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionTotals {
    /// What happened to messages, on connections that are gone too.
    pub counts: ConnectionCounts,
    /// What came from clients, those that are gone included.
    pub received: Traffic,
    /// What went to them.
    pub sent: Traffic,
    /// Connections that are open.
    pub connections: u64,
    /// Connections to which something waits to be sent.
    pub pending: u64,
    /// Channels that are open.
    pub channels: u64,
    /// Of these: those that have published.
    pub publishers: u64,
    /// The sums of what stands on open channels.
    pub open: ChannelNumbers,
}

/// What was counted in queues, those that are gone included.
#[derive(Clone, Debug, Default)]
pub struct QueueTotals {
    /// By type.
    pub happened: HashMap<QueueType, MessageCounts>,
    /// Messages that were given up, by type and by what became of them.
    pub died: HashMap<(QueueType, DeadLettering), DeathCounts>,
}

impl ConnectionTotals {
    pub(crate) fn of(statistics: &Statistics, connections: &Connections) -> Self {
        let mut totals = Self::default();
        let all_gone = statistics.gone();
        for gone in all_gone.values() {
            totals.counts.add(&gone.counts);
            totals.received.add(gone.received);
            totals.sent.add(gone.sent);
        }
        for connection in connections.all() {
            if connection.outbox.owner_id().is_none() {
                continue;
            }
            totals.connections += 1;
            totals.pending += u64::from(connection.outbox.waiting_bytes() > 0);
            let (received, sent) = connection.traffic();
            totals.received.add(received);
            totals.sent.add(sent);
            let counts = connection.outbox.each_channel(|channel| {
                totals.channels += 1;
                totals.publishers += u64::from(channel.counts.publish > 0);
                totals.open.add(channel);
            });
            totals.counts.add(&counts);
        }
        drop(all_gone);
        totals
    }
}

impl QueueTotals {
    /// Of the queues that are gone.
    pub(crate) fn of_gone(broker: &Broker) -> Self {
        let mut totals = Self::default();
        broker.services.gone.for_each(|queue_type, dead_lettering, happened, died| {
            totals.add_counts(queue_type, dead_lettering, happened, died);
        });
        totals
    }

    /// Adds a queue that is there.
    pub fn add(&mut self, queue_type: QueueType, report: &QueueReport) {
        self.add_counts(queue_type, report.strategy, &report.happened, &report.died);
    }

    /// What happened in queues of all types.
    #[must_use]
    pub fn all_happened(&self) -> MessageCounts {
        let mut all = MessageCounts::default();
        self.happened.values().for_each(|happened| all.add(happened));
        all
    }

    /// A queue that was deleted while others were added may have been missed: nothing is told that is less than what was told
    /// before.
    pub(crate) fn rise_above(&mut self, told: &mut Self) {
        for (queue_type, happened) in &self.happened {
            told.happened.entry(*queue_type).or_insert(*happened);
        }
        for (queue_type, floor) in &mut told.happened {
            self.happened.entry(*queue_type).or_default().rise_above(floor);
        }
        for (key, died) in &self.died {
            told.died.entry(*key).or_insert(*died);
        }
        for (key, floor) in &mut told.died {
            self.died.entry(*key).or_default().rise_above(floor);
        }
    }

    fn add_counts(
        &mut self,
        queue_type: QueueType,
        dead_lettering: DeadLettering,
        happened: &MessageCounts,
        died: &DeathCounts,
    ) {
        self.happened.entry(queue_type).or_default().add(happened);
        self.died.entry((queue_type, dead_lettering)).or_default().add(died);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_never_falls() {
        let of = |publish| MessageCounts { publish, ..MessageCounts::default() };
        let totals = |classic: Option<u64>| QueueTotals {
            happened: classic.map(|publish| (QueueType::Classic, of(publish))).into_iter().collect(),
            died: HashMap::new(),
        };
        let mut told = QueueTotals::default();
        for (counted, expected) in [(Some(5), 5), (Some(3), 5), (None, 5), (Some(6), 6)] {
            let mut now = totals(counted);
            now.rise_above(&mut told);
            assert_eq!(now.all_happened().publish, expected);
        }
    }
}
