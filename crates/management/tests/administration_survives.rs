//! What was answered for is there after a restart.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a test")]

mod common;

use std::path::Path;

use common::Broker;
use leveret_server::StoreConfig;
use serde_json::{Value, json};

async fn start(folder: &Path) -> Broker {
    let store = StoreConfig::new(folder);
    Broker::start_with(move |server, _| server.store = Some(store)).await
}

/// What was set up, without what differs from run to run.
const PATHS: [&str; 10] = [
    "/api/vhosts/v1?columns=name,description,tags,default_queue_type,protected_from_deletion",
    "/api/users",
    "/api/permissions",
    "/api/topic-permissions",
    "/api/policies",
    "/api/operator-policies",
    "/api/parameters",
    "/api/vhost-limits",
    "/api/queues/v1/q?columns=name,type,state",
    "/api/definitions?columns=users,vhosts,permissions,parameters,policies,queues,global_parameters",
];

async fn facts(broker: &Broker) -> Vec<Value> {
    let mut facts = Vec::new();
    for path in PATHS {
        facts.push(broker.get(path).await);
    }
    facts
}

#[tokio::test]
async fn all_that_is_set_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path()).await;
    for (path, body) in [
        (
            "/api/vhosts/v1",
            r#"{"description":"d","tags":["t"],"default_queue_type":"quorum","protected_from_deletion":true}"#,
        ),
        ("/api/users/u", r#"{"password":"p","tags":"monitoring"}"#),
        ("/api/permissions/v1/u", r#"{"configure":"c","write":"w","read":"r"}"#),
        ("/api/topic-permissions/v1/u", r#"{"exchange":"amq.topic","write":"w","read":"r"}"#),
        ("/api/policies/v1/p", r#"{"pattern":"a","definition":{"max-length":1}}"#),
        ("/api/operator-policies/v1/o", r#"{"pattern":"a","definition":{"max-length":1}}"#),
        ("/api/parameters/federation-upstream/v1/f", r#"{"value":{"uri":"amqp://x"}}"#),
        ("/api/global-parameters/g", r#"{"value":[1,2]}"#),
        ("/api/queues/v1/q", r#"{"durable":true}"#),
    ] {
        assert_eq!(broker.call("PUT", path, body).await.status, 201, "{path}");
    }
    for (path, body) in [
        ("/api/vhost-limits/v1/max-queues", r#"{"value":5}"#),
        ("/api/user-limits/u/max-channels", r#"{"value":5}"#),
        ("/api/cluster-name", r#"{"name":"c"}"#),
    ] {
        assert_eq!(broker.call("PUT", path, body).await.status, 204, "{path}");
    }
    assert_eq!(broker.call("POST", "/api/queues/v1/q/pause", "").await.status, 204);
    let before = facts(&broker).await;
    assert_eq!(broker.get("/api/queues/v1/q").await["state"], "paused");
    broker.stop().await;

    let broker = start(folder.path()).await;
    let after = facts(&broker).await;
    for (path, (before, after)) in PATHS.iter().zip(before.iter().zip(&after)) {
        assert_eq!(after, before, "{path}");
    }
    assert_eq!(broker.call_as("u:p", "GET", "/api/whoami", "").await.status, 200);
    assert_eq!(broker.get("/api/cluster-name").await, json!({"name": "c"}));
    broker.stop().await;
}
