//! The families of metrics that RabbitMQ has, with its names and words, as far as they mean something here: what tells of Erlang's
//! processes and of Raft does not.

use leveret_engine::counters::MessageCounts;
use leveret_server::node::ChannelNumbers;

use super::gather::{ConnectionRow, QueueRow};
use super::text::Kind::{Counter, Gauge};
use super::text::{Kind, Metric, Value};

fn some(value: impl Into<Value>) -> Option<Value> {
    Some(value.into())
}

const fn metric<R>(name: &'static str, kind: Kind, help: &'static str, value: fn(&R) -> Option<Value>) -> Metric<R> {
    Metric { name, kind, help, value }
}

/// `queue_coarse_metrics`
pub(super) const QUEUE_COARSE: &[Metric<QueueRow>] = &[
    metric("queue_messages_ready", Gauge, "Messages ready to be delivered to consumers", |row| {
        some(row.report.counts.ready as u64)
    }),
    metric("queue_messages_unacked", Gauge, "Messages delivered to consumers but not yet acknowledged", |row| {
        some(row.report.counts.unacked as u64)
    }),
    metric("queue_messages", Gauge, "Sum of ready and unacknowledged messages - total queue depth", |row| {
        some((row.report.counts.ready + row.report.counts.unacked) as u64)
    }),
];

/// `queue_consumer_count`
pub(super) const QUEUE_CONSUMER_COUNT: &[Metric<QueueRow>] =
    &[metric("queue_consumers", Gauge, "Consumers on a queue", |row| some(row.report.counts.consumers as u64))];

/// `queue_metrics`, but for the count of consumers
pub(super) const QUEUE: &[Metric<QueueRow>] = &[
    metric("queue_consumer_capacity", Gauge, "Consumer capacity", |row| some(row.capacity)),
    metric("queue_consumer_utilisation", Gauge, "Same as consumer capacity", |row| some(row.capacity)),
    metric("queue_process_memory_bytes", Gauge, "Memory in bytes used by the Erlang queue process", |row| {
        some(row.base_bytes + row.report.resident_bytes)
    }),
    metric("queue_messages_ram", Gauge, "Ready and unacknowledged messages stored in memory", |row| {
        some((row.facts.resident + row.report.counts.unacked) as u64)
    }),
    metric("queue_messages_ready_ram", Gauge, "Ready messages stored in memory", |row| some(row.facts.resident as u64)),
    metric("queue_messages_unacked_ram", Gauge, "Unacknowledged messages stored in memory", |row| {
        some(row.report.counts.unacked as u64)
    }),
    metric("queue_messages_persistent", Gauge, "Persistent messages", |row| some(row.facts.persistent)),
    metric("queue_messages_persistent_bytes", Gauge, "Size in bytes of persistent messages", |row| {
        some(row.facts.persistent_bytes)
    }),
    metric("queue_messages_bytes", Gauge, "Size in bytes of ready and unacknowledged messages", |row| {
        some(row.report.ready_bytes + row.report.unacked_bytes)
    }),
    metric("queue_messages_ready_bytes", Gauge, "Size in bytes of ready messages", |row| some(row.report.ready_bytes)),
    metric("queue_messages_unacked_bytes", Gauge, "Size in bytes of all unacknowledged messages", |row| {
        some(row.report.unacked_bytes)
    }),
    metric("queue_messages_paged_out", Gauge, "Messages paged out to disk", |row| {
        some(row.report.counts.ready.saturating_sub(row.facts.resident) as u64)
    }),
];

/// The rest of `queue_metrics`, of which there is no sum
pub(super) const QUEUE_HEAD: &[Metric<QueueRow>] =
    &[metric("queue_head_message_timestamp", Gauge, "Timestamp of the first message in the queue, if any", |row| {
        row.queue.head_timestamp_s().map(Value::from)
    })];

/// `queue_delivery_metrics`
pub(super) const QUEUE_DELIVERY: &[Metric<MessageCounts>] = &[
    metric(
        "queue_get_ack_total",
        Counter,
        "Total number of messages fetched from a queue with basic.get in manual acknowledgement mode",
        |row| some(row.get),
    ),
    metric(
        "queue_get_total",
        Counter,
        "Total number of messages fetched from a queue with basic.get in automatic acknowledgement mode",
        |row| some(row.get_no_ack),
    ),
    metric(
        "queue_messages_delivered_ack_total",
        Counter,
        "Total number of messages delivered from a queue to consumers in manual acknowledgement mode",
        |row| some(row.deliver),
    ),
    metric(
        "queue_messages_delivered_total",
        Counter,
        "Total number of messages delivered from a queue to consumers in automatic acknowledgement mode",
        |row| some(row.deliver_no_ack),
    ),
    metric(
        "queue_messages_redelivered_total",
        Counter,
        "Total number of messages redelivered from a queue to consumers",
        |row| some(row.redeliver),
    ),
    metric(
        "queue_messages_acked_total",
        Counter,
        "Total number of messages acknowledged by consumers on a queue",
        |row| some(row.ack),
    ),
    metric(
        "queue_get_empty_total",
        Counter,
        "Total number of times basic.get operations fetched no message on a queue",
        |row| some(row.get_empty),
    ),
];

/// `channel_queue_exchange_metrics`, a queue at a time
pub(super) const QUEUE_PUBLISHED: &[Metric<MessageCounts>] = &[metric(
    "queue_messages_published_total",
    Counter,
    "Total number of messages published into a queue through an exchange on a channel",
    |row| some(row.publish),
)];

/// `channel_metrics`
pub(super) const CHANNEL: &[Metric<ChannelNumbers>] = &[
    metric("channel_consumers", Gauge, "Consumers on a channel", |row| some(row.consumers)),
    metric("channel_messages_unacked", Gauge, "Delivered but not yet acknowledged messages", |row| {
        some(row.messages_unacknowledged)
    }),
    metric("channel_messages_unconfirmed", Gauge, "Published but not yet confirmed messages", |row| {
        some(row.messages_unconfirmed)
    }),
    metric("channel_messages_uncommitted", Gauge, "Messages received in a transaction but not yet committed", |row| {
        some(row.messages_uncommitted)
    }),
    metric("channel_acks_uncommitted", Gauge, "Message acknowledgements in a transaction not yet committed", |row| {
        some(row.acks_uncommitted)
    }),
    metric("consumer_prefetch", Gauge, "Limit of unacknowledged messages for each consumer", |row| {
        some(u64::from(row.prefetch_count))
    }),
    metric("channel_prefetch", Gauge, "Total limit of unacknowledged messages for all consumers on a channel", |row| {
        some(u64::from(row.global_prefetch_count))
    }),
];

/// `channel_exchange_metrics`
pub(super) const CHANNEL_PUBLISHES: &[Metric<MessageCounts>] = &[
    metric(
        "channel_messages_published_total",
        Counter,
        "Total number of messages published into an exchange on a channel",
        |row| some(row.publish),
    ),
    metric(
        "channel_messages_confirmed_total",
        Counter,
        "Total number of messages published into an exchange and confirmed on the channel",
        |row| some(row.confirm),
    ),
    metric(
        "channel_messages_unroutable_returned_total",
        Counter,
        "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",
        |row| some(row.return_unroutable),
    ),
    metric(
        "channel_messages_unroutable_dropped_total",
        Counter,
        "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
        |row| some(row.drop_unroutable),
    ),
];

/// `channel_queue_metrics`
pub(super) const CHANNEL_DELIVERIES: &[Metric<MessageCounts>] = &[
    metric(
        "channel_get_ack_total",
        Counter,
        "Total number of messages fetched with basic.get in manual acknowledgement mode",
        |row| some(row.get),
    ),
    metric(
        "channel_get_total",
        Counter,
        "Total number of messages fetched with basic.get in automatic acknowledgement mode",
        |row| some(row.get_no_ack),
    ),
    metric(
        "channel_messages_delivered_ack_total",
        Counter,
        "Total number of messages delivered to consumers in manual acknowledgement mode",
        |row| some(row.deliver),
    ),
    metric(
        "channel_messages_delivered_total",
        Counter,
        "Total number of messages delivered to consumers in automatic acknowledgement mode",
        |row| some(row.deliver_no_ack),
    ),
    metric("channel_messages_redelivered_total", Counter, "Total number of messages redelivered to consumers", |row| {
        some(row.redeliver)
    }),
    metric("channel_messages_acked_total", Counter, "Total number of messages acknowledged by consumers", |row| {
        some(row.ack)
    }),
    metric(
        "channel_get_empty_total",
        Counter,
        "Total number of times basic.get operations fetched no message",
        |row| some(row.get_empty),
    ),
];

/// `connection_coarse_metrics`
pub(super) const CONNECTION_COARSE: &[Metric<ConnectionRow>] = &[
    metric("connection_incoming_bytes_total", Counter, "Total number of bytes received on a connection", |row| {
        some(row.numbers.received.bytes)
    }),
    metric("connection_outgoing_bytes_total", Counter, "Total number of bytes sent on a connection", |row| {
        some(row.numbers.sent.bytes)
    }),
];

/// `connection_metrics`
pub(super) const CONNECTION: &[Metric<ConnectionRow>] = &[
    metric("connection_incoming_packets_total", Counter, "Total number of packets received on a connection", |row| {
        some(row.numbers.received.count)
    }),
    metric("connection_outgoing_packets_total", Counter, "Total number of packets sent on a connection", |row| {
        some(row.numbers.sent.count)
    }),
    metric("connection_pending_packets", Gauge, "Number of packets waiting to be sent on a connection", |row| {
        some(u64::from(row.numbers.pending_bytes > 0))
    }),
    metric("connection_channels", Gauge, "Channels on a connection", |row| some(row.channels)),
];

/// `exchange_metrics`
pub(super) const EXCHANGE: &[Metric<MessageCounts>] = &[
    metric(
        "exchange_messages_published_total",
        Counter,
        "Total number of messages published into an exchange",
        |row| some(row.publish_in),
    ),
    metric(
        "exchange_messages_unroutable_returned_total",
        Counter,
        "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",
        |row| some(row.return_unroutable),
    ),
    metric(
        "exchange_messages_unroutable_dropped_total",
        Counter,
        "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
        |row| some(row.drop_unroutable),
    ),
];
