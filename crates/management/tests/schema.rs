//! The JSON types that typed clients count on: one that is wrong fails the whole of what they read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a test")]

mod common;

use common::Broker;
use serde_json::{Value, json};

/// What a value has to be.
fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "text" => value.is_string(),
        // Whole, and not written with a point.
        "count" => value.is_u64(),
        "integer" => value.is_i64(),
        "float" => value.is_f64(),
        "bool" => value.is_boolean(),
        "list" => value.is_array(),
        "object" => value.is_object(),
        "rate" => value["rate"].is_f64(),
        other => panic!("no such kind: {other}"),
    }
}

fn check(what: &str, row: &Value, schema: &[(&str, &str)]) {
    for (path, kind) in schema {
        let value = path.split('/').fold(row, |at, step| &at[step]);
        assert!(is(value, kind), "{what}: {path} is no {kind}: {value}");
    }
}

#[tokio::test]
async fn overview() {
    let broker = Broker::start().await;
    let overview = broker.get("/api/overview").await;
    check(
        "overview",
        &overview,
        &[
            ("management_version", "text"),
            ("rates_mode", "text"),
            ("sample_retention_policies/global", "list"),
            ("exchange_types", "list"),
            ("product_version", "text"),
            ("product_name", "text"),
            ("rabbitmq_version", "text"),
            ("cluster_name", "text"),
            ("cluster_tags", "object"),
            ("node_tags", "object"),
            ("erlang_version", "text"),
            ("erlang_full_version", "text"),
            ("crypto_lib_version", "text"),
            ("disable_stats", "bool"),
            ("default_queue_type", "text"),
            ("is_op_policy_updating_enabled", "bool"),
            ("enable_queue_totals", "bool"),
            ("message_stats", "object"),
            ("churn_rates", "object"),
            ("queue_totals", "object"),
            ("object_totals/connections", "count"),
            ("object_totals/channels", "count"),
            ("object_totals/exchanges", "count"),
            ("object_totals/queues", "count"),
            ("object_totals/consumers", "count"),
            ("queue_totals/messages", "count"),
            ("queue_totals/messages_ready", "count"),
            ("queue_totals/messages_unacknowledged", "count"),
            ("queue_totals/messages_details", "rate"),
            ("statistics_db_event_queue", "count"),
            ("node", "text"),
            ("listeners", "list"),
            ("contexts", "list"),
        ],
    );
    for name in ["connection", "channel"] {
        for what in ["created", "closed"] {
            assert!(is(&overview["churn_rates"][format!("{name}_{what}")], "count"));
            assert!(is(&overview["churn_rates"][format!("{name}_{what}_details")], "rate"));
        }
    }
    for name in ["queue_declared", "queue_created", "queue_deleted"] {
        assert!(is(&overview["churn_rates"][name], "count"));
    }
    check(
        "exchange type",
        &overview["exchange_types"][0],
        &[("name", "text"), ("description", "text"), ("enabled", "bool")],
    );
    let listener =
        [("node", "text"), ("protocol", "text"), ("ip_address", "text"), ("port", "count"), ("socket_opts", "object")];
    check("listener", &overview["listeners"][0], &listener);
    let context = [("node", "text"), ("description", "text"), ("path", "text"), ("port", "text"), ("ssl_opts", "list")];
    check("context", &overview["contexts"][0], &context);
    // Clients compare versions as three numbers.
    let version = overview["rabbitmq_version"].as_str().unwrap();
    assert!(version.split('.').count() == 3 && version.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}");
    broker.stop().await;
}

#[tokio::test]
async fn message_stats_of_the_overview() {
    let broker = Broker::start().await;
    let queue = r#"{"durable":false}"#;
    assert_eq!(broker.call("PUT", "/api/queues/%2F/q", queue).await.status, 201);
    let publish = r#"{"properties":{},"routing_key":"q","payload":"x","payload_encoding":"string"}"#;
    let routed = broker.call("POST", "/api/exchanges/%2F/amq.default/publish", publish).await;
    assert_eq!(routed.json(), json!({"routed": true}));
    let overview = broker.get("/api/overview").await;
    assert_eq!(overview["queue_totals"]["messages"], json!(1));
    assert_eq!(overview["object_totals"]["queues"], json!(1));
    let without = broker.get("/api/overview?disable_stats=true").await;
    assert!(without.get("message_stats").is_none() && without.get("queue_totals").is_none());
    assert_eq!(without["disable_stats"], json!(true));
    let totals = broker.get("/api/overview?disable_stats=true&enable_queue_totals=true").await;
    assert_eq!(totals["queue_totals"], json!({"messages": 1, "messages_ready": 1, "messages_unacknowledged": 0}));
    let vhost = broker.get("/api/vhosts/%2F").await;
    assert_eq!((&vhost["messages"], &vhost["messages_ready"]), (&json!(1), &json!(1)));
    broker.stop().await;
}

#[tokio::test]
async fn nodes() {
    let broker = Broker::start().await;
    let nodes = broker.get("/api/nodes").await;
    let node = broker.get("/api/nodes/rabbit@localhost").await;
    for row in [&nodes[0], &node] {
        check(
            "node",
            row,
            &[
                ("name", "text"),
                ("type", "text"),
                ("running", "bool"),
                ("being_drained", "bool"),
                ("os_pid", "text"),
                ("partitions", "list"),
                ("cluster_links", "list"),
                ("fd_total", "count"),
                ("fd_used", "count"),
                ("fd_used_details", "rate"),
                ("sockets_total", "count"),
                ("sockets_used", "count"),
                ("mem_limit", "count"),
                ("mem_used", "count"),
                ("mem_used_details", "rate"),
                ("mem_alarm", "bool"),
                ("disk_free_limit", "count"),
                ("disk_free", "count"),
                ("disk_free_alarm", "bool"),
                ("proc_total", "count"),
                ("proc_used", "count"),
                ("rates_mode", "text"),
                ("uptime", "count"),
                ("run_queue", "count"),
                ("processors", "count"),
                ("exchange_types", "list"),
                ("auth_mechanisms", "list"),
                ("applications", "list"),
                ("contexts", "list"),
                ("log_files", "list"),
                ("db_dir", "text"),
                ("config_files", "list"),
                ("net_ticktime", "count"),
                ("enabled_plugins", "list"),
                ("mem_calculation_strategy", "text"),
                ("gc_num", "count"),
                ("gc_bytes_reclaimed", "count"),
                ("context_switches", "count"),
                ("io_read_count", "count"),
                ("io_read_avg_time", "float"),
                ("io_sync_avg_time_details", "rate"),
                ("mnesia_ram_tx_count", "count"),
                ("msg_store_read_count", "count"),
                ("queue_index_write_count", "count"),
                ("connection_created", "count"),
                ("queue_deleted_details", "rate"),
                ("metrics_gc_queue_length/channel_closed", "count"),
                ("ra_open_file_metrics/ra_log_wal", "count"),
            ],
        );
    }
    check("mechanism", &node["auth_mechanisms"][0], &[("name", "text"), ("description", "text"), ("enabled", "bool")]);
    check("application", &node["applications"][0], &[("name", "text"), ("description", "text"), ("version", "text")]);
    assert_eq!(broker.call("GET", "/api/nodes/nope", "").await.status, 404);
    broker.stop().await;
}

#[tokio::test]
async fn memory_is_made_of_its_parts() {
    let broker = Broker::start().await;
    let memory = broker.get("/api/nodes/rabbit@localhost/memory").await;
    let memory = memory["memory"].as_object().unwrap();
    assert_eq!(memory["strategy"], json!("rss"));
    for name in [
        "connection_readers",
        "connection_writers",
        "connection_channels",
        "connection_other",
        "queue_procs",
        "quorum_queue_procs",
        "stream_queue_procs",
        "stream_queue_replica_reader_procs",
        "stream_queue_coordinator_procs",
        "plugins",
        "metadata_store",
        "other_proc",
        "metrics",
        "mgmt_db",
        "mnesia",
        "quorum_ets",
        "metadata_store_ets",
        "other_ets",
        "binary",
        "msg_index",
        "code",
        "atom",
        "other_system",
        "allocated_unused",
        "reserved_unallocated",
    ] {
        assert!(memory[name].is_u64(), "{name}");
    }
    let parts: u64 = memory.values().filter_map(Value::as_u64).sum();
    for total in ["erlang", "rss", "allocated"] {
        assert_eq!(memory["total"][total].as_u64(), Some(parts), "{total}");
    }
    let relative = broker.get("/api/nodes/rabbit@localhost/memory/relative").await;
    assert_eq!(relative["memory"]["total"], json!(100));
    broker.stop().await;
}

#[tokio::test]
async fn lists_of_what_was_set_up() {
    let broker = Broker::start().await;
    for (path, body) in [
        ("/api/policies/%2F/p", r#"{"pattern":"a","definition":{"max-length":1}}"#),
        ("/api/parameters/federation-upstream/%2F/u", r#"{"value":{"uri":"amqp://x"}}"#),
        ("/api/global-parameters/g", r#"{"value":{}}"#),
        ("/api/queues/%2F/q", r#"{"durable":true}"#),
        ("/api/exchanges/%2F/e", r#"{"type":"topic","durable":true}"#),
    ] {
        assert_eq!(broker.call("PUT", path, body).await.status, 201, "{path}");
    }
    assert_eq!(broker.call("POST", "/api/bindings/%2F/e/e/q/q", r#"{"routing_key":"k"}"#).await.status, 201);
    let vhost = [
        ("name", "text"),
        ("description", "text"),
        ("tags", "list"),
        ("default_queue_type", "text"),
        ("metadata", "object"),
        ("metadata/tags", "list"),
        ("tracing", "bool"),
        ("cluster_state", "object"),
        ("messages", "count"),
        ("messages_details", "rate"),
        ("messages_ready", "count"),
        ("messages_unacknowledged", "count"),
        ("recv_oct", "count"),
        ("recv_oct_details", "rate"),
        ("send_oct", "count"),
        ("protected_from_deletion", "bool"),
    ];
    let user = [
        ("name", "text"),
        ("password_hash", "text"),
        ("hashing_algorithm", "text"),
        ("tags", "list"),
        ("limits", "object"),
    ];
    let permission = [("user", "text"), ("vhost", "text"), ("configure", "text"), ("write", "text"), ("read", "text")];
    let policy = [
        ("vhost", "text"),
        ("name", "text"),
        ("pattern", "text"),
        ("apply-to", "text"),
        ("definition", "object"),
        ("priority", "integer"),
    ];
    let parameter = [("vhost", "text"), ("component", "text"), ("name", "text"), ("value", "object")];
    let flag = [
        ("name", "text"),
        ("desc", "text"),
        ("doc_url", "text"),
        ("state", "text"),
        ("stability", "text"),
        ("provided_by", "text"),
    ];
    for (path, schema) in [
        ("vhosts", &vhost[..]),
        ("users", &user),
        ("permissions", &permission),
        ("policies", &policy),
        ("parameters", &parameter),
        ("feature-flags", &flag),
    ] {
        let list = broker.get(&format!("/api/{path}")).await;
        assert!(!list.as_array().unwrap().is_empty(), "{path}");
        list.as_array().unwrap().iter().for_each(|row| check(path, row, schema));
        // A page of the same has its numbers.
        let page = broker.get(&format!("/api/{path}?page=1&page_size=500&pagination=false")).await;
        let numbers = ["filtered_count", "item_count", "page", "page_count", "page_size", "total_count"];
        numbers.iter().for_each(|number| assert!(page[number].is_u64(), "{path}: {number}"));
        assert_eq!(page["items"].as_array().unwrap().len(), list.as_array().unwrap().len(), "{path}");
    }
    broker.stop().await;
}

#[tokio::test]
async fn definitions() {
    let broker = Broker::start().await;
    assert_eq!(broker.call("PUT", "/api/queues/%2F/q", r#"{"durable":true}"#).await.status, 201);
    let exported = broker.get("/api/definitions").await;
    check(
        "definitions",
        &exported,
        &[
            ("rabbit_version", "text"),
            ("rabbitmq_version", "text"),
            ("product_name", "text"),
            ("product_version", "text"),
            ("rabbitmq_definition_format", "text"),
            ("users", "list"),
            ("vhosts", "list"),
            ("permissions", "list"),
            ("topic_permissions", "list"),
            ("parameters", "list"),
            ("global_parameters", "list"),
            ("policies", "list"),
            ("queues", "list"),
            ("exchanges", "list"),
            ("bindings", "list"),
        ],
    );
    let queue =
        [("name", "text"), ("vhost", "text"), ("durable", "bool"), ("auto_delete", "bool"), ("arguments", "object")];
    check("queue", &exported["queues"][0], &queue);
    check(
        "user",
        &exported["users"][0],
        &[("name", "text"), ("password_hash", "text"), ("tags", "list"), ("limits", "object")],
    );
    let of_vhost = broker.get("/api/definitions/%2F").await;
    assert!(of_vhost.get("users").is_none());
    assert!(of_vhost["queues"][0].get("vhost").is_none());
    broker.stop().await;
}
