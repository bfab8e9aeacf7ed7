//! The node, of which there is one: `/api/nodes`.

use leveret_server::node::{Node, RABBITMQ_VERSION, RaisedAlarm};
use serde_json::{Map, Value, json};

use crate::admin::overview::{EXCHANGE_TYPES, contexts};
use crate::error::ApiError;
use crate::facts::{ERLANG_FULL_VERSION, ERLANG_VERSION, crypto_lib_version};
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::memory::{self, Breakdown};
use crate::state::Api;
use crate::stats::rate;

/// What Erlang and Mnesia count and nothing here does: there, so that who reads them finds a number.
const NOTHING_COUNTED: [&str; 24] = [
    "gc_num",
    "gc_bytes_reclaimed",
    "context_switches",
    "io_read_count",
    "io_read_bytes",
    "io_read_avg_time",
    "io_write_count",
    "io_write_bytes",
    "io_write_avg_time",
    "io_sync_count",
    "io_sync_avg_time",
    "io_seek_count",
    "io_seek_avg_time",
    "io_reopen_count",
    "io_file_handle_open_attempt_count",
    "io_file_handle_open_attempt_avg_time",
    "mnesia_ram_tx_count",
    "mnesia_disk_tx_count",
    "msg_store_read_count",
    "msg_store_write_count",
    "queue_index_write_count",
    "queue_index_read_count",
    "queue_index_journal_write_count",
    "proc_reductions",
];

/// Most tasks that there may be; Erlang's limit of processes in RabbitMQ.
const TASKS_MAX: u64 = 1_048_576;

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/nodes").get(Right::Monitoring, "The nodes of the cluster: one", list),
        Resource::at("/api/nodes/{node}").get(Right::Monitoring, "A node", get),
        Resource::at("/api/nodes/{node}/memory").get(
            Right::Monitoring,
            "What the memory of a node is used for",
            memory,
        ),
        Resource::at("/api/nodes/{node}/memory/relative").get(
            Right::Monitoring,
            "What the memory of a node is used for, in percent",
            relative_memory,
        ),
        Resource::at("/api/nodes/{node}/memory/ets").get(Right::Monitoring, "Erlang's tables: there are none", tables),
        Resource::at("/api/nodes/{node}/memory/ets/relative").get(
            Right::Monitoring,
            "Erlang's tables: there are none",
            tables,
        ),
        Resource::at("/api/nodes/{node}/memory/ets/{filter}").get(
            Right::Monitoring,
            "Erlang's tables: there are none",
            tables,
        ),
        Resource::at("/api/nodes/{node}/memory/ets/{filter}/relative").get(
            Right::Monitoring,
            "Erlang's tables: there are none",
            tables,
        ),
    ]
}

impl Call {
    /// The node that the path names.
    ///
    /// # Errors
    /// 404
    pub(crate) fn node(&self) -> Result<&Node, ApiError> {
        let node = &self.api.node;
        if self.param("node") == node.name() { Ok(node) } else { Err(ApiError::NoObject) }
    }
}

async fn list(call: Call) -> Answer {
    call.list(vec![facts(&call.api, call.is_without_stats())])
}

async fn get(call: Call) -> Answer {
    call.node()?;
    let mut facts = facts(&call.api, call.is_without_stats());
    if call.query.is_true("memory")
        && let Value::Object(facts) = &mut facts
    {
        facts.insert("memory".to_owned(), in_bytes(&memory::breakdown(&call.api)));
    }
    call.one(facts)
}

fn facts(api: &Api, is_without_stats: bool) -> Value {
    let node = &api.node;
    let mut facts = identity(api);
    if !is_without_stats {
        facts.extend(readings(node));
        facts.extend(limits(node));
        facts.extend(plugins(api));
        put_rates(&mut facts, node);
    }
    Value::Object(facts)
}

/// An object as its fields.
fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn identity(api: &Api) -> Map<String, Value> {
    let host = api.node.host();
    fields(json!({
        "name": api.node.name(),
        "type": "disc",
        "running": true,
        "being_drained": api.is_drained(),
        "os_pid": api.node.os_pid().to_string(),
        "partitions": [],
        "cluster_links": [],
        "rates_mode": api.config.rates_mode,
        "rabbitmq_version": RABBITMQ_VERSION,
        "erlang_version": ERLANG_VERSION,
        "erlang_full_version": ERLANG_FULL_VERSION,
        "crypto_lib_version": crypto_lib_version(),
        "log_files": host.log_files,
        "config_files": host.config_files,
        "db_dir": host.data_dir,
    }))
}

fn readings(node: &Node) -> Map<String, Value> {
    let (memory, fds, alarms) = (node.memory(), node.fds(), node.raised_alarms());
    let runtime = tokio::runtime::Handle::current().metrics();
    fields(json!({
        "mem_used": memory.used_bytes,
        "mem_alarm": alarms.contains(&RaisedAlarm::Memory),
        "disk_free": node.disk_free_bytes().unwrap_or_default(),
        "disk_free_alarm": alarms.contains(&RaisedAlarm::Disk),
        "fd_used": fds.used,
        "sockets_used": node.sockets_used(),
        "proc_used": runtime.num_alive_tasks(),
        "run_queue": runtime.global_queue_depth(),
        "uptime": u64::try_from(node.uptime().as_millis()).unwrap_or(u64::MAX),
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
    }))
}

fn limits(node: &Node) -> Map<String, Value> {
    fields(json!({
        "mem_limit": node.memory().limit_bytes,
        "mem_calculation_strategy": "rss",
        "disk_free_limit": node.disk_free_limit_bytes(),
        "fd_total": node.fds().total,
        "sockets_total": node.fds().total,
        "proc_total": TASKS_MAX,
        "net_ticktime": 60,
    }))
}

fn plugins(api: &Api) -> Map<String, Value> {
    let mechanisms = api.node.sessions().mechanisms.iter().map(|mechanism| {
        let name = mechanism.name();
        json!({ "name": name, "description": format!("SASL {name} authentication mechanism"), "enabled": true })
    });
    let types = EXCHANGE_TYPES
        .iter()
        .map(|(name, description)| json!({ "name": name, "description": description, "enabled": true }));
    fields(json!({
        "enabled_plugins": api.node.host().plugins,
        "auth_mechanisms": mechanisms.collect::<Value>(),
        "exchange_types": types.collect::<Value>(),
        "applications": [
            { "name": "rabbit", "description": "RabbitMQ", "version": RABBITMQ_VERSION },
            { "name": "rabbitmq_management", "description": "RabbitMQ Management Console", "version": RABBITMQ_VERSION },
        ],
        "contexts": contexts(api, false),
        "ra_open_file_metrics": { "ra_log_wal": 0, "ra_log_segment_writer": 0 },
        "metrics_gc_queue_length": {
            "connection_closed": 0, "channel_closed": 0, "consumer_deleted": 0, "exchange_deleted": 0,
            "queue_deleted": 0, "vhost_deleted": 0, "node_node_deleted": 0, "channel_consumer_deleted": 0,
        },
    }))
}

fn put_rates(facts: &mut Map<String, Value>, node: &Node) {
    for name in ["mem_used", "fd_used", "sockets_used", "proc_used", "disk_free"] {
        facts.insert(format!("{name}_details"), rate(0.0));
    }
    for name in NOTHING_COUNTED {
        facts.insert(name.to_owned(), if name.ends_with("_time") { json!(0.0) } else { json!(0) });
        facts.insert(format!("{name}_details"), rate(0.0));
    }
    facts.extend(crate::stats::churn(node));
}

async fn memory(call: Call) -> Answer {
    call.node()?;
    call.one(json!({ "memory": in_bytes(&memory::breakdown(&call.api)) }))
}

fn in_bytes(breakdown: &Breakdown) -> Value {
    let mut memory: Map<String, Value> =
        breakdown.parts.iter().map(|(name, bytes)| ((*name).to_owned(), json!(bytes))).collect();
    memory.insert("strategy".to_owned(), json!("rss"));
    let total = breakdown.total_bytes;
    memory.insert("total".to_owned(), json!({ "erlang": total, "rss": total, "allocated": total }));
    Value::Object(memory)
}

async fn relative_memory(call: Call) -> Answer {
    call.node()?;
    let Breakdown { parts, total_bytes } = memory::breakdown(&call.api);
    let percent = |bytes: u64| if bytes == 0 { 0 } else { (bytes * 100 / total_bytes.max(1)).max(1) };
    let mut memory: Map<String, Value> =
        parts.iter().map(|(name, bytes)| ((*name).to_owned(), json!(percent(*bytes)))).collect();
    memory.insert("total".to_owned(), json!(100));
    call.one(json!({ "memory": memory }))
}

async fn tables(call: Call) -> Answer {
    call.node()?;
    call.one(json!({ "ets_tables_memory": "no_tables" }))
}
