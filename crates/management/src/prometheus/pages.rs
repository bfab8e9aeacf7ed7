//! The pages that are scraped.

use leveret_engine::counters::MessageCounts;
use leveret_engine::queue::arguments::QueueType;
use leveret_engine::vhost::BindingsOf;
use leveret_server::node::{ChannelNumbers, ConnectionNumbers, Node};
use leveret_server::statistics::{ConnectionTotals, QueueTotals};

use super::families::{
    CHANNEL, CHANNEL_DELIVERIES, CHANNEL_PUBLISHES, CONNECTION, CONNECTION_COARSE, EXCHANGE, QUEUE, QUEUE_COARSE,
    QUEUE_CONSUMER_COUNT, QUEUE_DELIVERY, QUEUE_HEAD, QUEUE_PUBLISHED,
};
use super::gather::{
    ConnectionRow, QueueRow, Rows, VhostFilter, exchanges, labelled_connections, labelled_exchanges, labelled_queues,
    queue_rows, queues,
};
use super::text::Kind::Gauge;
use super::text::{Text, Value, labels};
use super::whole;

/// What all names begin with, on most pages...
const PREFIX: &str = "rabbitmq_";

/// ...and what is of the node as a whole...
const GLOBAL: &str = "rabbitmq_global_";

/// ...of its alarms...
const ALARMS: &str = "rabbitmq_alarms_";

/// ...what is asked for family by family...
const DETAILED: &str = "rabbitmq_detailed_";

/// ...and what RabbitMQ knows of a whole cluster.
const CLUSTER: &str = "rabbitmq_cluster_";

/// `/metrics`: sums over all there is, and over what is gone where a number only rises.
pub(super) fn aggregated(node: &Node) -> String {
    let totals = node.connection_totals();
    let (rows, queue_totals) = queue_rows(node, &queues(node, &VhostFilter::default()));
    let mut text = Text::new(PREFIX);
    for part in [whole::churn, whole::coarse, whole::limits, whole::logins] {
        part(&mut text, node);
    }
    for family in [QUEUE_COARSE, QUEUE_CONSUMER_COUNT, QUEUE] {
        text.sums(family, rows.iter());
    }
    text.sums(CHANNEL, [&totals.open].into_iter());
    for family in [CHANNEL_PUBLISHES, CHANNEL_DELIVERIES] {
        text.sums(family, [&totals.counts.messages].into_iter());
    }
    let numbers = ConnectionNumbers { received: totals.received, sent: totals.sent, pending_bytes: totals.pending };
    let connections = ConnectionRow { numbers, channels: totals.channels };
    for family in [CONNECTION_COARSE, CONNECTION] {
        text.sums(family, [&connections].into_iter());
    }
    let messages = &totals.counts.messages;
    let through = MessageCounts { publish_in: messages.publish, ..*messages };
    text.sums(EXCHANGE, [&through].into_iter());
    let queue_totals = node.queue_totals(queue_totals);
    let happened = queue_totals.all_happened();
    for family in [QUEUE_DELIVERY, QUEUE_PUBLISHED] {
        text.sums(family, [&happened].into_iter());
    }
    whole::objects(&mut text, &totals, rows.len() as u64);
    the_rest(text, node, (&totals, &queue_totals), "aggregated")
}

/// `/metrics/per-object`: the same for each thing.
pub(super) fn per_object(node: &Node) -> String {
    let filter = VhostFilter::default();
    let totals = node.connection_totals();
    let (rows, queue_totals) = labelled_queues(node, &filter);
    let (connections, channels) = labelled_connections(node, &filter);
    let mut text = Text::new(PREFIX);
    for part in [whole::churn, whole::coarse, whole::limits, whole::logins] {
        part(&mut text, node);
    }
    for family in [QUEUE_COARSE, QUEUE_CONSUMER_COUNT, QUEUE, QUEUE_HEAD] {
        text.each(family, &rows);
    }
    let happened = happened_in(&rows);
    text.each(QUEUE_DELIVERY, &happened);
    text.each(QUEUE_PUBLISHED, &happened);
    text.each(CHANNEL, &channels);
    let counts = messages_of(&channels);
    text.each(CHANNEL_PUBLISHES, &counts);
    text.each(CHANNEL_DELIVERIES, &counts);
    text.each(CONNECTION_COARSE, &connections);
    text.each(CONNECTION, &connections);
    text.each(EXCHANGE, &labelled_exchanges(node, &filter));
    whole::objects(&mut text, &totals, rows.len() as u64);
    queue_info(&mut text, &rows);
    the_rest(text, node, (&totals, &node.queue_totals(queue_totals)), "per-object")
}

fn the_rest(
    mut text: Text,
    node: &Node,
    (totals, queue_totals): (&ConnectionTotals, &QueueTotals),
    endpoint: &str,
) -> String {
    whole::sizes(&mut text, totals);
    text.set_prefix(GLOBAL);
    whole::global_messages(&mut text, totals);
    whole::global_deliveries(&mut text, queue_totals);
    whole::global_deaths(&mut text, queue_totals);
    text.set_prefix(ALARMS);
    whole::alarms(&mut text, node);
    text.set_prefix(PREFIX);
    whole::identity(&mut text, node, endpoint);
    text.finish()
}

fn messages_of(channels: &Rows<ChannelNumbers>) -> Rows<MessageCounts> {
    channels.iter().map(|(labels, channel)| (labels.clone(), channel.counts)).collect()
}

fn happened_in(queues: &Rows<QueueRow>) -> Rows<MessageCounts> {
    queues.iter().map(|(labels, queue)| (labels.clone(), queue.report.happened)).collect()
}

/// A line for each queue that says what it is.
fn queue_info(text: &mut Text, rows: &[(String, QueueRow)]) {
    let help = "A metric with a constant '1' value and labels that provide some queue details";
    text.head("queue_info", Gauge, help);
    for (labels, row) in rows {
        let queue_type = whole::type_label(row.queue_type);
        text.sample(
            "queue_info",
            &format!("{labels},queue_type=\"{queue_type}\",membership=\"leader\""),
            Value::Int(1),
        );
    }
}

/// `/metrics/detailed`: the families that were asked for, of the vhosts that were asked for.
pub(super) fn detailed(node: &Node, families: &[String], filter: &VhostFilter) -> String {
    let wants = |family: &str| families.iter().any(|wanted| wanted == family);
    let mut text = Text::new(DETAILED);
    for (family, part) in [
        ("connection_churn_metrics", whole::churn as fn(&mut Text, &Node)),
        ("node_coarse_metrics", whole::coarse),
        ("node_metrics", whole::limits),
        ("auth_attempt_metrics", whole::logins),
    ] {
        if wants(family) {
            part(&mut text, node);
        }
    }
    detailed_queues(&mut text, node, wants, filter);
    detailed_connections(&mut text, node, wants, filter);
    if wants("exchange_metrics") {
        text.each(EXCHANGE, &labelled_exchanges(node, filter));
    }
    text.set_prefix(CLUSTER);
    cluster(&mut text, node, wants, filter);
    text.set_prefix(PREFIX);
    whole::identity(&mut text, node, "detailed");
    text.finish()
}

fn detailed_queues(text: &mut Text, node: &Node, wants: impl Fn(&str) -> bool, filter: &VhostFilter) {
    let with_info = ["queue_coarse_metrics", "queue_consumer_count", "queue_metrics"];
    let without_info = ["queue_delivery_metrics", "channel_queue_exchange_metrics"];
    if !with_info.iter().chain(&without_info).any(|family| wants(family)) {
        return;
    }
    let (rows, _) = labelled_queues(node, filter);
    if wants("queue_coarse_metrics") {
        text.each(QUEUE_COARSE, &rows);
    }
    if wants("queue_consumer_count") || wants("queue_metrics") {
        text.each(QUEUE_CONSUMER_COUNT, &rows);
    }
    if wants("queue_metrics") {
        text.each(QUEUE, &rows);
        text.each(QUEUE_HEAD, &rows);
    }
    if wants("queue_delivery_metrics") {
        text.each(QUEUE_DELIVERY, &happened_in(&rows));
    }
    if wants("channel_queue_exchange_metrics") {
        text.each(QUEUE_PUBLISHED, &happened_in(&rows));
    }
    if with_info.iter().any(|family| wants(family)) {
        queue_info(text, &rows);
    }
}

fn detailed_connections(text: &mut Text, node: &Node, wants: impl Fn(&str) -> bool, filter: &VhostFilter) {
    let families = [
        "channel_metrics",
        "channel_exchange_metrics",
        "channel_queue_metrics",
        "connection_coarse_metrics",
        "connection_metrics",
    ];
    if !families.iter().any(|family| wants(family)) {
        return;
    }
    let (connections, channels) = labelled_connections(node, filter);
    if wants("channel_metrics") {
        text.each(CHANNEL, &channels);
    }
    let counts = messages_of(&channels);
    if wants("channel_exchange_metrics") {
        text.each(CHANNEL_PUBLISHES, &counts);
    }
    if wants("channel_queue_metrics") {
        text.each(CHANNEL_DELIVERIES, &counts);
    }
    if wants("connection_coarse_metrics") {
        text.each(CONNECTION_COARSE, &connections);
    }
    if wants("connection_metrics") {
        text.each(CONNECTION, &connections);
    }
}

/// What is known of vhosts and exchanges.
fn cluster(text: &mut Text, node: &Node, wants: impl Fn(&str) -> bool, filter: &VhostFilter) {
    if wants("vhost_status") {
        text.head("vhost_status", Gauge, "Whether a given vhost is running");
        for vhost in node.broker().vhosts().iter().filter(|vhost| filter.wants(&vhost.name)) {
            text.sample("vhost_status", &labels(&[("vhost", &vhost.name)]), Value::Int(1));
        }
    }
    for (family, name, help) in [
        ("exchange_bindings", "exchange_bindings", "Number of bindings for an exchange. This value is cluster-wide."),
        (
            "exchange_names",
            "exchange_name",
            "Enumerates exchanges without any additional info. This value is cluster-wide. A cheaper alternative to \
             `exchange_bindings`",
        ),
    ] {
        if wants(family) {
            exchange_lines(text, node, filter, (name, help), family == "exchange_bindings");
        }
    }
}

fn exchange_lines(text: &mut Text, node: &Node, filter: &VhostFilter, (name, help): (&str, &str), bindings: bool) {
    text.head(name, Gauge, help);
    for (vhost, exchange) in exchanges(node, filter) {
        if exchange.internal || exchange.is_default() {
            continue;
        }
        let labels = labels(&[("vhost", &vhost), ("exchange", &exchange.name), ("type", exchange.type_name())]);
        let bound =
            || node.broker().vhost(&vhost).map_or(0, |vhost| vhost.bindings(BindingsOf::Source(&exchange.name)).len());
        text.sample(name, &labels, Value::Int(if bindings { bound() as u64 } else { 1 }));
    }
}

/// `/metrics/memory-breakdown`: RabbitMQ's parts; what is no part of this broker takes nothing.
pub(super) fn memory_breakdown(node: &Node) -> String {
    let mut text = Text::new(PREFIX);
    let used_bytes = node.memory().used_bytes;
    let messages_bytes = node.broker().services.memory.resident_bytes().min(used_bytes);
    let (rows, _) = queue_rows(node, &queues(node, &VhostFilter::default()));
    let queues_bytes = |queue_type: QueueType| -> u64 {
        rows.iter().filter(|row| row.queue_type == queue_type).map(|row| row.base_bytes).sum()
    };
    let parts = [
        ("memory_binary_heap_bytes", "Binary heap size in bytes", messages_bytes),
        (
            "memory_classic_queue_erlang_process_bytes",
            "Classic queue processes footprint in bytes",
            queues_bytes(QueueType::Classic),
        ),
        (
            "memory_quorum_queue_erlang_process_bytes",
            "Quorum queue processes footprint in bytes",
            queues_bytes(QueueType::Quorum),
        ),
        ("memory_stream_erlang_process_bytes", "Stream processes footprint in bytes", queues_bytes(QueueType::Stream)),
    ];
    let known: u64 = parts.iter().map(|(_, _, bytes)| bytes).sum();
    for (name, help, bytes) in parts {
        text.single(name, Gauge, help, bytes);
    }
    let other_bytes = used_bytes.saturating_sub(known);
    text.single("memory_other_system_bytes", Gauge, "Other runtime footprint in bytes", other_bytes);
    whole::identity(&mut text, node, "memory-breakdown");
    text.finish()
}
