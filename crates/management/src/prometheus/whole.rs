//! Metrics of the node as a whole.

use leveret_engine::counters::DeadLettering;
use leveret_engine::queue::arguments::QueueType;
use leveret_server::node::{Node, RABBITMQ_VERSION, RaisedAlarm, SIZE_BOUNDS_BYTES};
use leveret_server::statistics::{ConnectionTotals, QueueTotals};

use super::text::Kind::{Counter, Gauge, Histogram, Untyped};
use super::text::{Text, Value, labels};
use crate::facts::ERLANG_VERSION;

/// The only protocol that is spoken.
const PROTOCOL: (&str, &str) = ("protocol", "amqp091");

/// The name of a type of queues in labels.
pub(super) fn type_label(queue_type: QueueType) -> &'static str {
    match queue_type {
        QueueType::Classic => "rabbit_classic_queue",
        QueueType::Quorum => "rabbit_quorum_queue",
        QueueType::Stream => "rabbit_stream_queue",
    }
}

/// `connection_churn_metrics`
pub(super) fn churn(text: &mut Text, node: &Node) {
    let churn = node.broker().services.churn.counts();
    for (name, help, value) in [
        ("connections_opened_total", "Total number of connections opened", churn.connection_created),
        ("connections_closed_total", "Total number of connections closed or terminated", churn.connection_closed),
        ("channels_opened_total", "Total number of channels opened", churn.channel_created),
        ("channels_closed_total", "Total number of channels closed", churn.channel_closed),
        ("queues_declared_total", "Total number of queues declared", churn.queue_declared),
        ("queues_created_total", "Total number of queues created", churn.queue_created),
        ("queues_deleted_total", "Total number of queues deleted", churn.queue_deleted),
    ] {
        text.single(name, Counter, help, value);
    }
}

/// `node_coarse_metrics`
pub(super) fn coarse(text: &mut Text, node: &Node) {
    text.single("process_open_fds", Gauge, "Open file descriptors", node.fds().used);
    text.single("process_resident_memory_bytes", Gauge, "Memory used in bytes", node.memory().used_bytes);
    if let Some(free_bytes) = node.disk_free_bytes() {
        text.single("disk_space_available_bytes", Gauge, "Disk space available in bytes", free_bytes);
    }
}

/// `node_metrics`
pub(super) fn limits(text: &mut Text, node: &Node) {
    text.single("process_max_fds", Gauge, "Open file descriptors limit", node.fds().total);
    let limit_bytes = node.memory().limit_bytes;
    text.single("resident_memory_limit_bytes", Gauge, "Memory high watermark in bytes", limit_bytes);
    let disk_bytes = node.disk_free_limit_bytes();
    text.single("disk_space_available_limit_bytes", Gauge, "Free disk space low watermark in bytes", disk_bytes);
    text.single("erlang_uptime_seconds", Gauge, "Node uptime", node.uptime().as_secs_f64());
}

/// `auth_attempt_metrics`
pub(super) fn logins(text: &mut Text, node: &Node) {
    let (succeeded, failed) = node.broker().services.churn.logins();
    let labels = labels(&[PROTOCOL]);
    for (name, help, value) in [
        ("auth_attempts_total", "Total number of authentication attempts", succeeded + failed),
        ("auth_attempts_succeeded_total", "Total number of successful authentication attempts", succeeded),
        ("auth_attempts_failed_total", "Total number of failed authentication attempts", failed),
    ] {
        text.head(name, Counter, help);
        text.sample(name, &labels, value.into());
    }
}

/// How much there is of what.
pub(super) fn objects(text: &mut Text, totals: &ConnectionTotals, queues: u64) {
    for (name, help, value) in [
        ("connections", "Connections currently open", totals.connections),
        ("channels", "Channels currently open", totals.channels),
        ("consumers", "Consumers currently connected", totals.open.consumers),
        ("queues", "Queues available", queues),
    ] {
        text.single(name, Gauge, help, value);
    }
}

/// What connections had to do with messages: `rabbitmq_global_...`
pub(super) fn global_messages(text: &mut Text, totals: &ConnectionTotals) {
    let (counts, messages) = (&totals.counts, &totals.counts.messages);
    let labels = labels(&[PROTOCOL]);
    for (name, help, value) in [
        ("messages_received_total", "Total number of messages received from publishers", messages.publish),
        (
            "messages_received_confirm_total",
            "Total number of messages received from publishers expecting confirmations",
            counts.received_confirm,
        ),
        ("messages_routed_total", "Total number of messages routed to queues or streams", counts.routed),
        (
            "messages_unroutable_dropped_total",
            "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
            messages.drop_unroutable,
        ),
        (
            "messages_unroutable_returned_total",
            "Total number of messages published as mandatory into an exchange and returned to the publisher as \
             unroutable",
            messages.return_unroutable,
        ),
        ("messages_confirmed_total", "Total number of messages confirmed to publishers", messages.confirm),
    ] {
        text.head(name, Counter, help);
        text.sample(name, &labels, value.into());
    }
    let (publishers, consumers) = (totals.publishers, totals.open.consumers);
    for (name, help, value) in [
        ("publishers", "Current number of publishers", publishers),
        ("consumers", "Current number of consumers", consumers),
    ] {
        text.head(name, Gauge, help);
        text.sample(name, &labels, value.into());
    }
}

/// What queues had to do with messages, by type: `rabbitmq_global_...`
pub(super) fn global_deliveries(text: &mut Text, totals: &QueueTotals) {
    let types = [QueueType::Classic, QueueType::Quorum, QueueType::Stream];
    let rows = types.map(|queue_type| {
        let labels = labels(&[PROTOCOL, ("queue_type", type_label(queue_type))]);
        (labels, totals.happened.get(&queue_type).copied().unwrap_or_default())
    });
    for (name, help, value) in DELIVERIES {
        text.head(name, Counter, help);
        for (labels, counts) in &rows {
            text.sample(name, labels, value(counts).into());
        }
    }
}

type OfCounts = fn(&leveret_engine::counters::MessageCounts) -> u64;

const DELIVERIES: [(&str, &str, OfCounts); 8] = [
    ("messages_delivered_total", "Total number of messages delivered to consumers", |counts| counts.deliver_get()),
    (
        "messages_delivered_consume_manual_ack_total",
        "Total number of messages delivered to consumers using basic.consume with manual acknowledgment",
        |counts| counts.deliver,
    ),
    (
        "messages_delivered_consume_auto_ack_total",
        "Total number of messages delivered to consumers using basic.consume with automatic acknowledgment",
        |counts| counts.deliver_no_ack,
    ),
    (
        "messages_delivered_get_manual_ack_total",
        "Total number of messages delivered to consumers using basic.get with manual acknowledgment",
        |counts| counts.get,
    ),
    (
        "messages_delivered_get_auto_ack_total",
        "Total number of messages delivered to consumers using basic.get with automatic acknowledgment",
        |counts| counts.get_no_ack,
    ),
    ("messages_get_empty_total", "Total number of times basic.get operations fetched no message", |counts| {
        counts.get_empty
    }),
    ("messages_redelivered_total", "Total number of messages redelivered to consumers", |counts| counts.redeliver),
    ("messages_acknowledged_total", "Total number of messages acknowledged by consumers", |counts| counts.ack),
];

type OfDeaths = fn(&leveret_engine::counters::DeathCounts) -> u64;

const DEATHS: [(&str, &str, OfDeaths); 5] = [
    (
        "messages_dead_lettered_maxlen_total",
        "Total number of messages dead-lettered due to overflow drop-head or reject-publish-dlx",
        |died| died.maxlen,
    ),
    (
        "messages_dead_lettered_expired_total",
        "Total number of messages dead-lettered due to message TTL exceeded",
        |died| died.expired,
    ),
    (
        "messages_dead_lettered_rejected_total",
        "Total number of messages dead-lettered due to basic.reject or basic.nack",
        |died| died.rejected,
    ),
    (
        "messages_dead_lettered_delivery_limit_total",
        "Total number of messages dead-lettered due to delivery-limit exceeded",
        |died| died.delivery_limit,
    ),
    (
        "messages_dead_lettered_confirmed_total",
        "Total number of messages dead-lettered and confirmed by target queues",
        |died| died.confirmed,
    ),
];

/// Messages that queues gave up: `rabbitmq_global_...`
pub(super) fn global_deaths(text: &mut Text, totals: &QueueTotals) {
    let mut rows = Vec::new();
    for queue_type in [QueueType::Classic, QueueType::Quorum] {
        for what in [DeadLettering::Disabled, DeadLettering::AtMostOnce, DeadLettering::AtLeastOnce] {
            let died = totals.died.get(&(queue_type, what)).copied().unwrap_or_default();
            let labels = labels(&[("queue_type", type_label(queue_type)), ("dead_letter_strategy", what.as_str())]);
            rows.push((what, labels, died));
        }
    }
    for (name, help, value) in DEATHS {
        text.head(name, Counter, help);
        for (what, labels, died) in &rows {
            if !name.contains("confirmed") || *what == DeadLettering::AtLeastOnce {
                text.sample(name, labels, value(died).into());
            }
        }
    }
}

/// The bounds of sizes, as Prometheus writes floats in labels.
const SIZE_LABELS: [&str; SIZE_BOUNDS_BYTES.len()] =
    ["100.0", "1000.0", "10000.0", "100000.0", "1e+06", "1e+07", "5e+07", "1e+08"];

/// Sizes of published messages.
pub(super) fn sizes(text: &mut Text, totals: &ConnectionTotals) {
    let name = "message_size_bytes";
    text.head(name, Histogram, "Size of messages received from publishers");
    let sizes = &totals.counts.sizes;
    let (bucket, mut sum) = (format!("{name}_bucket"), 0);
    for (bound, count) in SIZE_LABELS.iter().chain(&["+Inf"]).zip(sizes.counts) {
        sum += count;
        text.sample(&bucket, &labels(&[PROTOCOL, ("le", bound)]), Value::Int(sum));
    }
    let labels = labels(&[PROTOCOL]);
    text.sample(&format!("{name}_count"), &labels, Value::Int(sum));
    text.sample(&format!("{name}_sum"), &labels, Value::Int(sizes.bytes));
}

/// Which alarms are raised: `rabbitmq_alarms_...`
pub(super) fn alarms(text: &mut Text, node: &Node) {
    let raised = node.raised_alarms();
    let is_raised = |alarm| u64::from(raised.contains(&alarm));
    for (name, help, value) in [
        ("file_descriptor_limit", "is 1 if file descriptor limit alarm is in effect", 0),
        (
            "free_disk_space_watermark",
            "is 1 if free disk space watermark alarm is in effect",
            is_raised(RaisedAlarm::Disk),
        ),
        ("memory_used_watermark", "is 1 if VM memory watermark alarm is in effect", is_raised(RaisedAlarm::Memory)),
    ] {
        text.single(name, Untyped, help, value);
    }
}

/// What the node is, at the end of each page.
pub(super) fn identity(text: &mut Text, node: &Node, endpoint: &str) {
    let (version, product) = (env!("CARGO_PKG_VERSION"), "Leveret");
    text.head("build_info", Untyped, "RabbitMQ & Erlang/OTP version info");
    let build = labels(&[
        ("rabbitmq_version", RABBITMQ_VERSION),
        ("prometheus_plugin_version", RABBITMQ_VERSION),
        ("prometheus_client_version", version),
        ("erlang_version", ERLANG_VERSION),
        ("product_version", version),
        ("product_name", product),
    ]);
    text.sample("build_info", &build, Value::Int(1));
    text.head("identity_info", Untyped, "RabbitMQ node & cluster identity info");
    let cluster = node.broker().cluster_name();
    let identity = labels(&[
        ("rabbitmq_node", node.name()),
        ("rabbitmq_cluster", &cluster),
        ("rabbitmq_cluster_permanent_id", &node.broker().cluster_id()),
        ("rabbitmq_endpoint", endpoint),
    ]);
    text.sample("identity_info", &identity, Value::Int(1));
}
