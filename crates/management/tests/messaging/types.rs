//! JSON types: clients in typed languages fail on one that is wrong. A table of what tools read, with the types they decode.

use serde_json::{Value, json};

use crate::amqp::Client;
use crate::common::Broker;

#[derive(Clone, Copy, Debug)]
enum Is {
    Text,
    Integer,
    /// Any number.
    Number,
    Bool,
    List,
    Object,
    IntegerOrNull,
    TextOrNull,
}

impl Is {
    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Integer => value.is_u64(),
            Self::Number => value.is_number(),
            Self::Bool => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
            Self::IntegerOrNull => value.is_u64() || value.is_null(),
            Self::TextOrNull => value.is_string() || value.is_null(),
        }
    }
}

/// What is read of a queue by KEDA, Datadog, Telegraf, Flower, NServiceBus, rabbit-hole and rabbitmqadmin.
const QUEUE: &[(&str, Is)] = &[
    ("name", Is::Text),
    ("vhost", Is::Text),
    ("type", Is::Text),
    ("node", Is::Text),
    ("state", Is::Text),
    ("durable", Is::Bool),
    ("auto_delete", Is::Bool),
    ("exclusive", Is::Bool),
    ("arguments", Is::Object),
    ("policy", Is::TextOrNull),
    ("operator_policy", Is::TextOrNull),
    ("effective_policy_definition", Is::Object),
    ("messages", Is::Integer),
    ("messages_ready", Is::Integer),
    ("messages_unacknowledged", Is::Integer),
    ("messages_persistent", Is::Integer),
    ("messages_ram", Is::Integer),
    ("message_bytes", Is::Integer),
    ("message_bytes_ready", Is::Integer),
    ("message_bytes_unacknowledged", Is::Integer),
    ("message_bytes_ram", Is::Integer),
    ("message_bytes_persistent", Is::Integer),
    ("messages_details.rate", Is::Number),
    ("messages_ready_details.rate", Is::Number),
    ("messages_unacknowledged_details.rate", Is::Number),
    ("consumers", Is::Integer),
    ("consumer_utilisation", Is::Number),
    ("consumer_capacity", Is::Number),
    ("memory", Is::Integer),
    ("head_message_timestamp", Is::IntegerOrNull),
    ("exclusive_consumer_tag", Is::TextOrNull),
    ("single_active_consumer_tag", Is::TextOrNull),
    ("message_stats.publish", Is::Integer),
    ("message_stats.publish_details.rate", Is::Number),
    ("message_stats.deliver", Is::Integer),
    ("message_stats.deliver_details.rate", Is::Number),
    ("message_stats.deliver_no_ack", Is::Integer),
    ("message_stats.deliver_get", Is::Integer),
    ("message_stats.deliver_get_details.rate", Is::Number),
    ("message_stats.get", Is::Integer),
    ("message_stats.get_no_ack", Is::Integer),
    ("message_stats.get_empty", Is::Integer),
    ("message_stats.ack", Is::Integer),
    ("message_stats.ack_details.rate", Is::Number),
    ("message_stats.redeliver", Is::Integer),
    ("message_stats.redeliver_details.rate", Is::Number),
    ("garbage_collection", Is::Object),
    ("reductions", Is::Integer),
];

const CONNECTION: &[(&str, Is)] = &[
    ("name", Is::Text),
    ("user", Is::Text),
    ("vhost", Is::Text),
    ("node", Is::Text),
    ("state", Is::Text),
    ("type", Is::Text),
    ("protocol", Is::Text),
    ("auth_mechanism", Is::Text),
    ("user_provided_name", Is::TextOrNull),
    ("client_properties", Is::Object),
    ("connected_at", Is::Integer),
    ("host", Is::Text),
    ("port", Is::Integer),
    ("peer_host", Is::Text),
    ("peer_port", Is::Integer),
    ("frame_max", Is::Integer),
    ("channel_max", Is::Integer),
    ("channels", Is::Integer),
    ("timeout", Is::Integer),
    ("ssl", Is::Bool),
    ("ssl_protocol", Is::TextOrNull),
    ("peer_cert_subject", Is::TextOrNull),
    ("recv_oct", Is::Integer),
    ("recv_oct_details.rate", Is::Number),
    ("send_oct", Is::Integer),
    ("send_oct_details.rate", Is::Number),
    ("recv_cnt", Is::Integer),
    ("send_cnt", Is::Integer),
    ("send_pend", Is::Integer),
];

const CHANNEL: &[(&str, Is)] = &[
    ("name", Is::Text),
    ("number", Is::Integer),
    ("user", Is::Text),
    ("vhost", Is::Text),
    ("node", Is::Text),
    ("state", Is::Text),
    ("confirm", Is::Bool),
    ("transactional", Is::Bool),
    ("consumer_count", Is::Integer),
    ("prefetch_count", Is::Integer),
    ("global_prefetch_count", Is::Integer),
    ("messages_unacknowledged", Is::Integer),
    ("messages_unconfirmed", Is::Integer),
    ("messages_uncommitted", Is::Integer),
    ("acks_uncommitted", Is::Integer),
    ("connection_details.name", Is::Text),
    ("connection_details.peer_host", Is::Text),
    ("connection_details.peer_port", Is::Integer),
    ("message_stats.publish_details.rate", Is::Number),
];

const CONSUMER: &[(&str, Is)] = &[
    ("consumer_tag", Is::Text),
    ("queue.name", Is::Text),
    ("queue.vhost", Is::Text),
    ("ack_required", Is::Bool),
    ("active", Is::Bool),
    ("activity_status", Is::Text),
    ("exclusive", Is::Bool),
    ("prefetch_count", Is::Integer),
    ("consumer_timeout", Is::Integer),
    ("arguments", Is::Object),
    ("channel_details.name", Is::Text),
    ("channel_details.connection_name", Is::Text),
    ("channel_details.number", Is::Integer),
    ("channel_details.peer_port", Is::Integer),
    ("channel_details.user", Is::Text),
];

const EXCHANGE: &[(&str, Is)] = &[
    ("name", Is::Text),
    ("vhost", Is::Text),
    ("type", Is::Text),
    ("durable", Is::Bool),
    ("auto_delete", Is::Bool),
    ("internal", Is::Bool),
    ("arguments", Is::Object),
    ("message_stats.publish_in", Is::Integer),
    ("message_stats.publish_in_details.rate", Is::Number),
    ("message_stats.publish_out", Is::Integer),
    ("message_stats.publish_out_details.rate", Is::Number),
];

const BINDING: &[(&str, Is)] = &[
    ("source", Is::Text),
    ("vhost", Is::Text),
    ("destination", Is::Text),
    ("destination_type", Is::Text),
    ("routing_key", Is::Text),
    ("arguments", Is::Object),
    ("properties_key", Is::Text),
];

fn check(what: &str, row: &Value, table: &[(&str, Is)]) {
    for (path, is) in table {
        let value = path.split('.').fold(row, |value, step| &value[step]);
        let is_there = path.split('.').try_fold(row, |value, step| value.get(step)).is_some();
        assert!(is_there && is.holds(value), "{what}: {path} should be {is:?} and is {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tools_read_is_of_the_types_that_they_decode() {
    let broker = Broker::start().await;
    for (name, kind) in [("classic", "classic"), ("quorum", "quorum"), ("stream", "stream")] {
        let body = json!({"durable": true, "arguments": {"x-queue-type": kind}}).to_string();
        assert_eq!(broker.call("PUT", &format!("/api/queues/%2F/{name}"), &body).await.status, 201);
    }
    let idle = broker.get("/api/queues").await;
    let mut client = Client::open(broker.server.address(), "/").await;
    client.consume("classic", "exclusive", 1, true).await;
    client.publish("classic", b"body", &[0, 0]).await;
    client.delivery().await;
    for list in [idle, broker.get("/api/queues").await] {
        for row in list.as_array().unwrap() {
            check("queue", row, QUEUE);
            let is_replicated = row["type"] != "classic";
            for (key, is) in [("leader", Is::Text), ("members", Is::List), ("online", Is::List)] {
                assert!(!is_replicated || is.holds(&row[key]), "{key}: {row}");
            }
        }
    }
    let classic = broker.get("/api/queues/%2F/classic").await;
    assert_eq!(classic["exclusive_consumer_tag"], "exclusive");
    for (path, table) in [
        ("connections", CONNECTION),
        ("channels", CHANNEL),
        ("consumers", CONSUMER),
        ("exchanges", EXCHANGE),
        ("bindings", BINDING),
    ] {
        let list = broker.get(&format!("/api/{path}")).await;
        assert!(!list.as_array().unwrap().is_empty(), "{path}");
        list.as_array().unwrap().iter().for_each(|row| check(path, row, table));
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_queue_says_since_when_in_a_text() {
    let tenth = std::time::Duration::from_millis(100);
    let broker = Broker::start_with(|server, _| server.statistics_interval = tenth).await;
    broker.call("PUT", "/api/queues/%2F/q", "{}").await;
    let message = r#"{"properties":{},"routing_key":"q","payload":"x","payload_encoding":"string"}"#;
    broker.call("POST", "/api/exchanges/%2F/amq.default/publish", message).await;
    let queue = broker.get_once("/api/queues/%2F/q", |queue| !queue["idle_since"].is_null()).await;
    let text = queue["idle_since"].as_str().expect("a text");
    assert!(text.len() == "2026-08-21T10:11:12.345+00:00".len() && text.ends_with("+00:00"), "{text}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_come_when_they_are_asked_for() {
    let tenth = std::time::Duration::from_millis(100);
    let broker = Broker::start_with(|server, _| server.statistics_interval = tenth).await;
    broker.call("PUT", "/api/queues/%2F/q", "{}").await;
    let message = r#"{"properties":{},"routing_key":"q","payload":"x","payload_encoding":"string"}"#;
    broker.call("POST", "/api/exchanges/%2F/amq.default/publish", message).await;
    let spans = "lengths_age=60&lengths_incr=5&msg_rates_age=60&msg_rates_incr=5";
    // Samples lie at whole steps.
    let has_samples =
        |queue: &Value| queue["messages_details"]["samples"].as_array().is_some_and(|all| !all.is_empty());
    let queue = broker.get_once(&format!("/api/queues/%2F/q?{spans}"), has_samples).await;
    for details in [&queue["messages_details"], &queue["message_stats"]["publish_details"]] {
        let samples = details["samples"].as_array().expect("samples");
        assert!(!samples.is_empty() && details["avg"].is_number() && details["avg_rate"].is_number(), "{details}");
        assert!(samples.iter().all(|sample| sample["sample"].is_u64() && sample["timestamp"].is_u64()), "{details}");
    }
    let plain = broker.get("/api/queues/%2F/q").await;
    assert!(plain["messages_details"].get("samples").is_none());
    let many = broker.call("GET", "/api/queues/%2F/q?lengths_age=501&lengths_incr=1", "").await;
    let reason = "Invalid range parameters: age 501, incr 1";
    assert_eq!((many.status, &many.json()["reason"]), (400, &reason.into()));
    // A step that is longer than time.
    let long = "lengths_age=9223372036854775807&lengths_incr=2305843009213693952";
    assert_eq!(broker.call("GET", &format!("/api/queues/%2F/q?{long}"), "").await.status, 200);
    broker.stop().await;
}
