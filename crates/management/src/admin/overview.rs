//! The broker at a glance: `/api/overview`.

use std::sync::Arc;

use leveret_server::engine::vhost::Vhost;
use leveret_server::node::{ListenerFacts, RABBITMQ_VERSION};
use serde_json::{Map, Value, json};

use crate::admin::global_parameters::CLUSTER_TAGS;
use crate::facts::{ERLANG_FULL_VERSION, ERLANG_VERSION, crypto_lib_version};
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::messaging::stats::Spans;
use crate::state::Api;
use crate::stats::{self, Past};

/// The types of exchanges, and what is said of them.
pub(super) const EXCHANGE_TYPES: [(&str, &str); 11] = [
    ("direct", "AMQP direct exchange, as per the AMQP specification"),
    ("fanout", "AMQP fanout exchange, as per the AMQP specification"),
    ("headers", "AMQP headers exchange, as per the AMQP specification"),
    ("topic", "AMQP topic exchange, as per the AMQP specification"),
    ("x-consistent-hash", "Consistent Hashing Exchange"),
    ("x-delayed-message", "Delayed Message Exchange."),
    ("x-jms-topic", "JMS topic exchange"),
    ("x-local-random", "Picks one random local binding (queue) to route via (to)."),
    ("x-modulus-hash", "Modulus Hashing Exchange"),
    ("x-random", "AMQP random exchange. Like a direct exchange, but randomly chooses who to route to."),
    ("x-recent-history", "List of last-N messages exchange"),
];

pub(super) fn resources() -> Vec<Resource> {
    vec![Resource::at("/api/overview").get(Right::User, "The broker at a glance", overview)]
}

async fn overview(call: Call) -> Answer {
    let mut overview = about(&call);
    let vhosts = call.vhosts()?;
    if !call.is_without_stats() {
        overview.extend(traffic(&call, &vhosts));
    } else if call.has_queue_totals() {
        overview.insert("queue_totals".to_owned(), Value::Object(totals(&vhosts)));
    }
    overview.insert("object_totals".to_owned(), objects(&call, &vhosts));
    if call.access.is_monitoring() {
        overview.insert("node".to_owned(), json!(call.api.node.name()));
        overview.insert("listeners".to_owned(), listeners(&call.api));
        overview.insert("contexts".to_owned(), contexts(&call.api, true));
    }
    call.one(Value::Object(overview))
}

fn about(call: &Call) -> Map<String, Value> {
    let (api, config) = (&call.api, &call.api.config);
    let types = EXCHANGE_TYPES
        .iter()
        .map(|(name, description)| json!({ "name": name, "description": description, "enabled": true }));
    let about = json!({
        "management_version": RABBITMQ_VERSION,
        "rabbitmq_version": RABBITMQ_VERSION,
        "product_name": config.product_name,
        "product_version": config.product_version,
        "erlang_version": ERLANG_VERSION,
        "erlang_full_version": ERLANG_FULL_VERSION,
        "crypto_lib_version": crypto_lib_version(),
        "release_series_support_status": "supported",
        "cluster_name": api.broker().cluster_name(),
        "cluster_tags": cluster_tags(api),
        "node_tags": {},
        "rates_mode": config.rates_mode,
        "sample_retention_policies": { "global": [600, 3600, 28800, 86400], "basic": [600, 3600], "detailed": [600] },
        "exchange_types": types.collect::<Value>(),
        "default_queue_type": api.broker().services.default_queue_type().as_str(),
        "disable_stats": call.is_without_stats(),
        "enable_queue_totals": call.has_queue_totals(),
        "is_op_policy_updating_enabled": config.operator_policies_writable,
        "require_definition_json_extension": false,
        "statistics_db_event_queue": 0,
    });
    match about {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn cluster_tags(api: &Api) -> Value {
    let parameters = api.broker().global_parameters();
    let set = parameters.into_iter().find(|parameter| *parameter.name == *CLUSTER_TAGS);
    set.map(|parameter| parameter.value).filter(Value::is_object).unwrap_or_else(|| json!({}))
}

fn totals(vhosts: &[Arc<Vhost>]) -> Map<String, Value> {
    let (ready, unacked) = sum(vhosts);
    let totals = [("messages", ready + unacked), ("messages_ready", ready), ("messages_unacknowledged", unacked)];
    totals.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect()
}

fn sum(vhosts: &[Arc<Vhost>]) -> (u64, u64) {
    vhosts
        .iter()
        .map(|vhost| stats::waiting(vhost))
        .fold((0, 0), |sum, (ready, unacked)| (sum.0 + ready, sum.1 + unacked))
}

/// What happens in all, or in the vhosts that are seen.
fn traffic(call: &Call, vhosts: &[Arc<Vhost>]) -> Map<String, Value> {
    let (statistics, spans) = (call.api.node.statistics(), Spans::of(&call.query, vhosts.len()));
    let (mut messages, mut lengths);
    if call.access.is_monitoring() {
        let past: Past<'_> = &|span| statistics.total_history(span);
        let sample = statistics.total();
        messages = stats::messages(&sample, spans, past);
        lengths = stats::lengths(sum(vhosts), &sample, spans, past);
    } else {
        (messages, lengths) = (Map::new(), Map::new());
        for vhost in vhosts {
            let past: Past<'_> = &|span| statistics.vhost_history(&vhost.name, span);
            let sample = statistics.vhost(&vhost.name).unwrap_or_default();
            stats::add(&mut messages, stats::messages(&sample, spans, past));
            stats::add(&mut lengths, stats::lengths(stats::waiting(vhost), &sample, spans, past));
        }
    }
    // Disks are read and written by the store alone, which is not counted by message.
    if !messages.is_empty() {
        for name in ["disk_reads", "disk_writes"] {
            messages.insert(name.to_owned(), json!(0));
            messages.insert(format!("{name}_details"), stats::rate(0.0));
        }
    }
    Map::from_iter([
        ("message_stats".to_owned(), Value::Object(messages)),
        ("queue_totals".to_owned(), Value::Object(lengths)),
        ("churn_rates".to_owned(), Value::Object(stats::churn(&call.api.node))),
    ])
}

fn objects(call: &Call, vhosts: &[Arc<Vhost>]) -> Value {
    let node = &call.api.node;
    let (connections, channels) = if call.access.is_monitoring() {
        (node.connection_count(), node.channel_count())
    } else {
        let mut own = node.connections();
        own.retain(|connection| call.access.sees_user(&connection.user));
        (own.len(), own.iter().map(|connection| connection.channels.len()).sum())
    };
    let consumers: usize =
        vhosts.iter().flat_map(|vhost| vhost.queues()).map(|queue| queue.report().counts.consumers).sum();
    json!({
        "connections": connections,
        "channels": channels,
        "consumers": consumers,
        "exchanges": vhosts.iter().map(|vhost| vhost.exchanges().len()).sum::<usize>(),
        "queues": vhosts.iter().map(|vhost| vhost.queues_len()).sum::<usize>(),
    })
}

fn listeners(api: &Api) -> Value {
    let mut listeners = api.node.listeners();
    listeners.sort_by(|a, b| a.protocol.cmp(b.protocol).then(a.port.cmp(&b.port)));
    let rows = listeners.iter().map(|ListenerFacts { protocol, ip, port }| {
        json!({
            "node": api.node.name(),
            "protocol": protocol,
            "ip_address": ip.to_string(),
            "port": port,
            "socket_opts": { "backlog": 128, "nodelay": true, "linger": [true, 0], "exit_on_close": false },
        })
    });
    rows.collect()
}

/// Where the HTTP API is. Ports are texts here, as with RabbitMQ.
pub(super) fn contexts(api: &Api, with_node: bool) -> Value {
    let mut listeners = api.node.listeners();
    listeners.retain(|listener| listener.protocol.starts_with("http"));
    let rows = listeners.iter().map(|listener| {
        let is_metrics = listener.protocol.ends_with("prometheus");
        let mut row = json!({
            "description": if is_metrics { "RabbitMQ Prometheus" } else { "RabbitMQ Management" },
            "path": if is_metrics { "/".to_owned() } else { format!("{}/", api.prefix()) },
            "cowboy_opts": "[{sendfile,false}]",
            "ip": listener.ip.to_string(),
            "port": listener.port.to_string(),
        });
        if with_node && let Value::Object(row) = &mut row {
            row.insert("node".to_owned(), json!(api.node.name()));
            row.insert("ssl_opts".to_owned(), json!([]));
        }
        row
    });
    rows.collect()
}
