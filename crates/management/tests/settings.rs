//! What the API does otherwise where it is set so.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a test")]

mod common;

use std::time::Duration;

use common::{Broker, PATIENCE};
use serde_json::json;

#[tokio::test]
async fn a_node_that_is_reset_begins_with_the_user_that_it_was_given() {
    let broker = Broker::start_with(|_, config| {
        config.default_user.name = "boss".to_owned();
        config.default_user.password = "secret".to_owned();
        config.default_user.vhost = "house".to_owned();
        config.login_session_timeout_min = 5;
    })
    .await;
    assert_eq!(broker.call("POST", "/api/leveret/reset", "").await.status, 204);
    assert_eq!(broker.call("GET", "/api/whoami", "").await.status, 401, "nobody knows guest any more");
    let whoami = broker.call_as("boss:secret", "GET", "/api/whoami", "").await.json();
    assert_eq!(whoami, json!({"name": "boss", "tags": ["administrator"], "login_session_timeout": 5}));
    let vhosts = broker.call_as("boss:secret", "GET", "/api/vhosts?columns=name", "").await.json();
    assert_eq!(vhosts, json!([{"name": "house"}]));
    broker.stop().await;
}

#[tokio::test]
async fn operator_policies_that_are_locked_are_so_as_parameters_too() {
    let broker = Broker::start_with(|_, config| config.operator_policies_writable = false).await;
    let policy = r#"{"value":{"pattern":"a","definition":{"max-length":5}}}"#;
    for (method, path, body) in [
        ("PUT", "/api/operator-policies/%2F/p", policy),
        ("PUT", "/api/parameters/operator_policy/%2F/p", policy),
        ("DELETE", "/api/parameters/operator_policy/%2F/p", ""),
    ] {
        assert_eq!(broker.call(method, path, body).await.status, 405, "{method} {path}");
    }
    broker.stop().await;
}

#[tokio::test]
async fn samples_of_all_vhosts_that_one_sees_add_up() {
    let broker = Broker::start_with(|server, _| server.statistics_interval = Duration::from_millis(100)).await;
    broker.call("PUT", "/api/vhosts/v1", "").await;
    broker.call("PUT", "/api/users/dev", r#"{"password":"p","tags":"management"}"#).await;
    for vhost in ["%2F", "v1"] {
        let all = r#"{"configure":".*","write":".*","read":".*"}"#;
        assert_eq!(broker.call("PUT", &format!("/api/permissions/{vhost}/dev"), all).await.status, 201);
        broker.call("PUT", &format!("/api/queues/{vhost}/q"), "{}").await;
        let message = r#"{"properties":{},"routing_key":"q","payload":"x","payload_encoding":"string"}"#;
        broker.call("POST", &format!("/api/exchanges/{vhost}/amq.default/publish"), message).await;
    }
    let path = "/api/overview?lengths_age=5&lengths_incr=1";
    let since = std::time::Instant::now();
    loop {
        let overview = broker.call_as("dev:p", "GET", path, "").await.json();
        let newest = &overview["queue_totals"]["messages_details"]["samples"][0];
        // Samples lie at whole steps.
        if newest["sample"] == 2 {
            let age_ms =
                std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64 - newest["timestamp"].as_u64().unwrap();
            assert!(age_ms < 600_000, "{newest}");
            break;
        }
        assert!(since.elapsed() < PATIENCE, "{overview}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    broker.stop().await;
}
