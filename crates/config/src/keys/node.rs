//! Name, place, limits, alarms.

use super::{Key, Take, first};
use crate::settings::{DiskLimit, Watermark};

const MAX: u64 = u64::MAX;

const QUEUE_TYPES: &[&str] =
    &["classic", "quorum", "stream", "rabbit_classic_queue", "rabbit_quorum_queue", "rabbit_stream_queue"];

pub(super) const KEYS: &[Key] = &[
    Key::honoured("leveret.node_name", Take::Text(|s, _, name| s.node.name = name.to_owned())).or("rabbit@localhost"),
    Key::honoured("leveret.data_dir", Take::Path(|s, _, path| s.node.data_dir = path.into())).or("leveret-data"),
    Key::honoured("leveret.pid_file", Take::Path(|s, _, path| s.node.pid_file = Some(path.into()))),
    Key::honoured("leveret.keep_pid_file", Take::Bool(|s, _, keep| s.node.keep_pid_file = keep)).or("false"),
    Key::honoured("leveret.ephemeral", Take::Bool(|s, _, is| s.store.ephemeral = is)).or("false"),
    Key::honoured("leveret.durability", Take::Text(|s, _, mode| s.store.durability = mode.to_owned())).or("fsync"),
    Key::honoured("leveret.recover", Take::Bool(|s, _, is| s.store.recover = is)).or("false"),
    Key::honoured("leveret.memory_budget", Take::Bytes(|s, _, bytes| s.store.memory_budget_bytes = Some(bytes))),
    Key::honoured("leveret.vhosts.$number", Take::Text(|s, _, name| s.seed.vhosts.push(name.to_owned()))),
    Key::honoured("leveret.plugins.$number", Take::Text(|s, _, name| s.plugins.push(name.to_owned()))),
    Key::honoured("cluster_name", Take::Text(|s, _, name| s.node.cluster_name = Some(name.to_owned()))),
    Key::honoured("product.name", Take::Text(|s, _, name| s.node.product_name = Some(name.to_owned()))),
    Key::honoured("product.version", Take::Text(|s, _, text| s.node.product_version = Some(text.to_owned()))),
    Key::honoured("motd_file", Take::Path(|s, _, path| s.node.motd_file = Some(path.into()))),
    Key::honoured(
        "cluster_tags.$tag",
        Take::Text(|s, names, text| drop(s.node.cluster_tags.insert(first(names).to_owned(), text.to_owned()))),
    ),
    Key::honoured("heartbeat", Take::Number(0, 65_535, |s, _, n| s.limits.heartbeat_s = small(n))).or("60"),
    Key::honoured("frame_max", Take::BinaryBytes(|s, _, n| s.limits.frame_bytes_max = size(n))).or("131072"),
    Key::honoured("channel_max", Take::Number(0, 65_535, |s, _, n| s.limits.channel_max = small(n))).or("2047"),
    Key::honoured("channel_max_per_node", Take::NumberOrInfinity(|s, _, n| s.limits.channel_max_per_node = n))
        .or("infinity"),
    Key::honoured("connection_max", Take::NumberOrInfinity(|s, _, n| s.limits.connection_max = n)).or("infinity"),
    Key::honoured("consumer_max_per_channel", Take::NumberOrInfinity(|s, _, n| s.limits.consumer_max_per_channel = n))
        .or("infinity"),
    Key::honoured("vhost_max", Take::NumberOrInfinity(|s, _, n| s.limits.vhost_max = n)).or("infinity"),
    Key::honoured("cluster_queue_limit", Take::NumberOrInfinity(|s, _, n| s.limits.queue_max = n)).or("infinity"),
    Key::honoured("cluster_exchange_limit", Take::NumberOrInfinity(|s, _, n| s.limits.exchange_max = n)).or("infinity"),
    // RabbitMQ takes them in advanced.config only.
    Key::honoured(
        "default_consumer_prefetch.count",
        Take::Number(0, 65_535, |s, _, n| s.limits.default_prefetch = small(n)),
    )
    .or("0"),
    Key::honoured("default_consumer_prefetch.global", Take::Bool(|s, _, is| s.limits.default_prefetch_is_global = is))
        .or("false"),
    Key::honoured(
        "message_interceptors.incoming.set_header_timestamp.overwrite",
        Take::Bool(|s, _, overwrite| s.interceptors.timestamp = Some(overwrite)),
    ),
    Key::honoured(
        "message_interceptors.incoming.set_header_routing_node.overwrite",
        Take::Bool(|s, _, overwrite| s.interceptors.routing_node = Some(overwrite)),
    ),
    Key::honoured("max_message_size", Take::Bytes(|s, _, n| s.limits.message_bytes_max = n)).or("128MiB"),
    Key::honoured("consumer_timeout", Take::NumberOrInfinity(|s, _, ms| s.limits.consumer_timeout_ms = ms))
        .or("infinity"),
    Key::honoured(
        "default_queue_type",
        Take::Choice(QUEUE_TYPES, |s, _, name| {
            let name = name.strip_prefix("rabbit_").and_then(|name| name.strip_suffix("_queue")).unwrap_or(name);
            s.limits.default_queue_type = Some(name.to_owned());
        }),
    ),
    Key::honoured(
        "quorum_queue.property_equivalence.relaxed_checks_on_redeclaration",
        Take::Bool(|s, _, is| s.limits.relaxed_queue_type = is),
    )
    .or("false"),
    Key::honoured(
        "vm_memory_high_watermark.relative",
        Take::Ratio(|s, _, share| s.resources.memory_watermark = Watermark::Relative(share)),
    )
    .or("0.6"),
    Key::honoured(
        "vm_memory_high_watermark.absolute",
        Take::Bytes(|s, _, bytes| s.resources.memory_watermark = Watermark::Absolute(bytes)),
    ),
    Key::honoured(
        "total_memory_available_override_value",
        Take::Bytes(|s, _, bytes| s.resources.total_memory_bytes = Some(bytes)),
    ),
    Key::honoured(
        "disk_free_limit.relative",
        Take::Ratio(|s, _, share| s.resources.disk_free_limit = DiskLimit::Relative(share)),
    ),
    Key::honoured(
        "disk_free_limit.absolute",
        Take::Bytes(|s, _, bytes| s.resources.disk_free_limit = DiskLimit::Absolute(bytes)),
    )
    .or("50MB"),
    Key::honoured(
        "collect_statistics_interval",
        Take::Number(1, MAX, |s, _, ms| s.resources.statistics_interval_ms = ms),
    )
    .or("5000"),
];

fn small(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn size(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
