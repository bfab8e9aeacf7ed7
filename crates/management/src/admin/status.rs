//! What `rabbitmqctl status` tells: `/api/leveret/status`, for the command-line tools.

use leveret_server::node::{ListenerFacts, Node, RABBITMQ_VERSION};
use leveret_server::{DiskLimit, Watermark};
use serde_json::{Map, Value, json};

use crate::admin::health;
use crate::facts::{ERLANG_FULL_VERSION, crypto_lib_version};
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::memory;
use crate::state::Api;

/// Most tasks that there may be; Erlang's limit of processes in RabbitMQ.
const TASKS_MAX: u64 = 1_048_576;

pub(super) fn resources() -> Vec<Resource> {
    vec![Resource::at("/api/leveret/status").get(Right::Monitoring, "What rabbitmqctl status shows", status)]
}

async fn status(call: Call) -> Answer {
    let mut status = about(&call.api);
    for part in [limits(&call.api.node), files(&call.api.node), counts(&call)] {
        if let Value::Object(part) = part {
            status.extend(part);
        }
    }
    call.one(Value::Object(status))
}

fn about(api: &Api) -> Map<String, Value> {
    let (node, config) = (&api.node, &api.config);
    let about = json!({
        "node": node.name(),
        "cluster_name": api.broker().cluster_name(),
        "os": os(),
        "pid": node.os_pid(),
        "product_name": config.product_name,
        "product_version": config.product_version,
        "rabbitmq_version": RABBITMQ_VERSION,
        "erlang_version": ERLANG_FULL_VERSION,
        "crypto_lib_version": crypto_lib_version(),
        "uptime": node.uptime().as_secs(),
        "is_under_maintenance": api.is_drained(),
        "is_running": api.is_serving() || api.is_drained(),
        "release_series_support_status": "supported",
        "net_ticktime": 60,
        "tags": [],
        "listeners": node.listeners().iter().map(|listener| listener_facts(node, listener)).collect::<Value>(),
    });
    match about {
        Value::Object(about) => about,
        _ => Map::new(),
    }
}

/// The system as `uname` names it.
fn os() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    format!("{} {}", read("/proc/sys/kernel/ostype"), read("/proc/sys/kernel/osrelease")).trim().to_owned()
}

fn listener_facts(node: &Node, listener: &ListenerFacts) -> Value {
    let interface = if listener.ip.is_ipv6() { format!("[{}]", listener.ip) } else { listener.ip.to_string() };
    let purpose = match listener.protocol {
        "amqp" => "AMQP 0-9-1 and AMQP 1.0",
        "amqp/ssl" => "AMQP 0-9-1 and AMQP 1.0 over TLS",
        "http" => "HTTP API",
        "https" => "HTTP API over TLS (HTTPS)",
        "http/prometheus" => "Prometheus exporter API over HTTP",
        "https/prometheus" => "Prometheus exporter API over TLS (HTTPS)",
        other => other,
    };
    json!({
        "node": node.name(),
        "protocol": listener.protocol,
        "interface": interface,
        "port": listener.port,
        "purpose": purpose,
    })
}

fn limits(node: &Node) -> Value {
    let (memory, fds) = (node.memory(), node.fds());
    let runtime = tokio::runtime::Handle::current().metrics();
    json!({
        "vm_memory_calculation_strategy": "rss",
        "vm_memory_high_watermark_setting": watermark(node.watermark()),
        "vm_memory_high_watermark_limit": memory.limit_bytes,
        "total_memory_available": memory.available_bytes,
        "disk_free": node.disk_free_bytes().unwrap_or_default(),
        "disk_free_limit": node.disk_free_limit_bytes(),
        "disk_free_limit_setting": disk_limit(node.disk_limit()),
        "processes": { "used": runtime.num_alive_tasks(), "limit": TASKS_MAX },
        "run_queue": runtime.global_queue_depth(),
        "file_descriptors": {
            "total_limit": fds.total,
            "total_used": fds.used,
            "sockets_limit": fds.total,
            "sockets_used": node.sockets_used(),
        },
    })
}

pub(super) fn watermark(watermark: Watermark) -> Value {
    match watermark {
        Watermark::Relative(share) => json!({ "relative": share }),
        Watermark::Absolute(bytes) => json!({ "absolute": bytes }),
    }
}

pub(super) fn disk_limit(limit: DiskLimit) -> Value {
    match limit {
        DiskLimit::Relative(share) => json!({ "relative": share }),
        DiskLimit::Absolute(bytes) => json!({ "absolute": bytes }),
    }
}

fn files(node: &Node) -> Value {
    let host = node.host();
    json!({
        "data_directory": host.data_dir,
        "raft_data_directory": host.data_dir,
        "config_files": host.config_files,
        "log_files": host.log_files,
        "active_plugins": host.plugins,
        "enabled_plugin_file": host.enabled_plugins_file,
    })
}

fn counts(call: &Call) -> Value {
    let (node, vhosts) = (&call.api.node, call.api.broker().vhosts());
    let breakdown = memory::breakdown(&call.api);
    let mut memory: Map<String, Value> =
        breakdown.parts.iter().map(|(name, bytes)| ((*name).to_owned(), json!(bytes))).collect();
    let total = breakdown.total_bytes;
    memory.insert("strategy".to_owned(), json!("rss"));
    memory.insert("total".to_owned(), json!({ "erlang": total, "rss": total, "allocated": total }));
    json!({
        "alarms": health::raised(call),
        "memory": memory,
        "totals": {
            "connection_count": node.connection_count(),
            "queue_count": vhosts.iter().map(|vhost| vhost.queues_len()).sum::<usize>(),
            "virtual_host_count": vhosts.len(),
        },
    })
}
