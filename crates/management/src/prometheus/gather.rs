//! What the metrics are made of, read from the node when somebody scrapes.

use std::sync::Arc;

use leveret_engine::counters::MessageCounts;
use leveret_engine::exchange::Exchange;
use leveret_engine::names::{ConnectionId, Name};
use leveret_engine::queue::arguments::QueueType;
use leveret_engine::queue::{Queue, QueueFacts, QueueReport};
use leveret_server::node::{ChannelNumbers, ConnectionNumbers, Node};
use leveret_server::statistics::QueueTotals;

use super::text::labels;

/// Things with their labels.
pub(super) type Rows<R> = Vec<(String, R)>;

/// A queue at one moment.
pub(super) struct QueueRow {
    pub(super) queue: Arc<Queue>,
    pub(super) report: QueueReport,
    /// What is not in the report, where it was asked for.
    pub(super) facts: QueueFacts,
    pub(super) capacity: f64,
    pub(super) queue_type: QueueType,
    pub(super) base_bytes: u64,
}

/// A connection at one moment.
pub(super) struct ConnectionRow {
    pub(super) numbers: ConnectionNumbers,
    pub(super) channels: u64,
}

/// Which vhosts are wanted.
#[derive(Debug, Default)]
pub(super) struct VhostFilter(pub(super) Vec<String>);

impl VhostFilter {
    pub(super) fn wants(&self, vhost: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|wanted| wanted == vhost)
    }
}

/// All queues of the vhosts that are wanted.
pub(super) fn queues(node: &Node, filter: &VhostFilter) -> Vec<Arc<Queue>> {
    let vhosts = node.broker().vhosts().into_iter().filter(|vhost| filter.wants(&vhost.name));
    vhosts.flat_map(|vhost| vhost.queues()).collect()
}

/// The reports of all queues, and what was counted in them and in those that are gone.
pub(super) fn queue_rows(node: &Node, queues: &[Arc<Queue>]) -> (Vec<QueueRow>, QueueTotals) {
    let mut totals = node.gone_queue_totals();
    let capacities = node.statistics().consumer_capacities(queues.iter().map(|queue| queue.id));
    let row = |(queue, capacity): (&Arc<Queue>, f64)| {
        let report = queue.report();
        totals.add(queue.settings.queue_type, &report);
        QueueRow::new(queue, report, capacity)
    };
    (queues.iter().zip(capacities).map(row).collect(), totals)
}

impl QueueRow {
    fn new(queue: &Arc<Queue>, report: QueueReport, capacity: f64) -> Self {
        Self {
            queue: Arc::clone(queue),
            facts: queue.facts(),
            capacity,
            queue_type: queue.settings.queue_type,
            base_bytes: size_of::<Queue>() as u64,
            report,
        }
    }
}

/// The same with labels.
pub(super) fn labelled_queues(node: &Node, filter: &VhostFilter) -> (Rows<QueueRow>, QueueTotals) {
    let queues = queues(node, filter);
    let (rows, totals) = queue_rows(node, &queues);
    let labels = queues.iter().map(|queue| labels(&[("vhost", &queue.vhost), ("queue", &queue.name)]));
    (labels.zip(rows).collect(), totals)
}

/// All connections and channels, with labels.
pub(super) fn labelled_connections(node: &Node, filter: &VhostFilter) -> (Rows<ConnectionRow>, Rows<ChannelNumbers>) {
    let (mut connections, mut all_channels) = (Vec::new(), Vec::new());
    let pid = |id: ConnectionId, channel: u16| node.broker().services.notices.pid(id, channel);
    node.each_connection(|brief, numbers, channels| {
        if !filter.wants(&brief.vhost) {
            return;
        }
        let row = ConnectionRow { numbers, channels: channels.len() as u64 };
        connections.push((labels(&[("connection", &pid(brief.id, 0))]), row));
        for channel in channels {
            let pid = pid(brief.id, channel.number);
            all_channels.push((labels(&[("channel", &pid), ("vhost", &brief.vhost)]), *channel));
        }
    });
    (connections, all_channels)
}

/// All exchanges of the vhosts that are wanted.
pub(super) fn exchanges(node: &Node, filter: &VhostFilter) -> Vec<(Name, Arc<Exchange>)> {
    let vhosts = node.broker().vhosts().into_iter().filter(|vhost| filter.wants(&vhost.name));
    let exchanges_of = |vhost: Arc<leveret_engine::vhost::Vhost>| {
        let exchanges = vhost.exchanges();
        exchanges.into_iter().map(move |exchange| (Name::clone(&vhost.name), exchange))
    };
    vhosts.flat_map(exchanges_of).collect()
}

/// What went through exchanges, with labels.
pub(super) fn labelled_exchanges(node: &Node, filter: &VhostFilter) -> Rows<MessageCounts> {
    let row = |(vhost, exchange): (Name, Arc<Exchange>)| {
        (labels(&[("vhost", &vhost), ("exchange", &exchange.name)]), exchange.through.counts())
    };
    exchanges(node, filter).into_iter().map(row).collect()
}
