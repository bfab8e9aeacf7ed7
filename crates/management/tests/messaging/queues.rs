//! Declaring, listing, deleting, purging.

use serde_json::{Value, json};

use crate::amqp::Client;
use crate::common::Broker;

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_declared_compared_and_deleted() {
    let broker = Broker::start().await;
    let body = r#"{"durable":true,"arguments":{"x-message-ttl":60000,"x-max-length":10}}"#;
    for (expected, body) in [(201, body), (204, body), (400, r#"{"durable":false}"#)] {
        let reply = broker.call("PUT", "/api/queues/%2F/q", body).await;
        assert_eq!(reply.status, expected, "{reply:?}");
        if expected == 400 {
            let reason =
                "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'";
            assert_eq!(reply.json(), json!({ "error": "bad_request", "reason": reason }));
        }
    }
    let queue = broker.get("/api/queues/%2F/q").await;
    assert_eq!(queue["arguments"], json!({"x-message-ttl": 60000, "x-max-length": 10}));
    assert_eq!(
        (&queue["durable"], &queue["auto_delete"], &queue["exclusive"]),
        (&true.into(), &false.into(), &false.into())
    );
    let refused = broker.call("PUT", "/api/queues/%2F/q2", r#"{"arguments":{"x-message-ttl":-1}}"#).await;
    let reason = "invalid arg 'x-message-ttl' for queue 'q2' in vhost '/': {value_negative,-1}";
    assert_eq!((refused.status, &refused.json()["reason"]), (400, &reason.into()));
    let reserved = broker.call("PUT", "/api/queues/%2F/amq.mine", "{}").await;
    assert_eq!(
        (reserved.status, reserved.json()),
        (401, json!({"error": "not_authorised", "reason": "Access refused."}))
    );
    let long = "n".repeat(256);
    for what in ["queue", "exchange"] {
        let refused = broker.call("PUT", &format!("/api/{what}s/%2F/{long}"), "{}").await;
        let reason = format!("{what} should be less than 255 bytes, actually was 256");
        assert_eq!((refused.status, &refused.json()["reason"]), (400, &reason.into()));
        let longest = broker.call("PUT", &format!("/api/{what}s/%2F/{}", &long[1..]), "{}").await;
        assert_eq!(longest.status, 201, "{longest:?}");
    }
    assert_eq!(broker.call("DELETE", "/api/queues/%2F/q", "").await.status, 204);
    let gone = broker.call("DELETE", "/api/queues/%2F/q", "").await;
    assert_eq!((gone.status, gone.json()), (404, json!({"error": "not_found", "reason": "queue_not_found"})));
    let no_vhost = broker.call("GET", "/api/queues/nowhere", "").await;
    assert_eq!((no_vhost.status, &no_vhost.json()["reason"]), (404, &"vhost_not_found".into()));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_of_a_deletion_are_kept() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/queues/%2F/q", "{}").await;
    let mut client = Client::open(broker.server.address(), "/").await;
    client.consume("q", "c", 1, false).await;
    client.publish("q", b"one", &[0, 0]).await;
    client.publish("q", b"two", &[0, 0]).await;
    client.delivery().await;
    for (query, reason) in
        [("if-unused=true", "queue 'q' in vhost '/' in use"), ("if-empty=true", "queue 'q' in vhost '/' not empty")]
    {
        let refused = broker.call("DELETE", &format!("/api/queues/%2F/q?{query}"), "").await;
        assert_eq!((refused.status, &refused.json()["reason"]), (400, &reason.into()));
    }
    assert_eq!(broker.call("DELETE", "/api/queues/%2F/q/contents", "").await.status, 204);
    assert_eq!(broker.get("/api/queues/%2F/q").await["messages_ready"], 0);
    assert_eq!(broker.call("DELETE", "/api/queues/%2F/q", "").await.status, 204);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_and_filtered_for_keda() {
    let broker = Broker::start().await;
    for name in ["a-1", "a-2", "b 1"] {
        let path = format!("/api/queues/%2F/{}", name.replace(' ', "%20"));
        assert_eq!(broker.call("PUT", &path, "{}").await.status, 201);
    }
    let page = broker.get("/api/queues/%2F?page=1&use_regex=true&pagination=false&name=%5Ea&page_size=100").await;
    assert_eq!((&page["page_count"], &page["filtered_count"], &page["total_count"]), (&1.into(), &2.into(), &3.into()));
    let names: Vec<&Value> = page["items"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["a-1", "a-2"]);
    // A space comes as a plus in the path.
    let spaced = broker.get("/api/queues/%2F/b+1").await;
    assert_eq!((&spaced["name"], &spaced["messages"]), (&"b 1".into(), &0.into()));
    assert!(spaced["message_stats"]["publish_details"]["rate"].is_f64());
    assert!(spaced["message_stats"]["deliver_get_details"]["rate"].is_f64());
    let cut = broker.get("/api/queues?columns=name,message_stats.publish&sort=name&sort_reverse=true").await;
    assert_eq!(cut[0], json!({"name": "b 1", "message_stats": {"publish": 0}}));
    assert_eq!(broker.get("/api/queues/detailed").await.as_array().unwrap().len(), 3);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_statistics_what_a_queue_is_stays() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/queues/%2F/q", r#"{"durable":true}"#).await;
    let plain = broker.get("/api/queues/%2F?disable_stats=true").await;
    let keys =
        ["name", "vhost", "type", "durable", "arguments", "policy", "effective_policy_definition", "state", "node"];
    assert!(keys.iter().all(|key| plain[0].get(key).is_some()), "{plain}");
    assert!(plain[0].get("messages").is_none() && plain[0].get("message_stats").is_none());
    let totals = broker.get("/api/queues/%2F?disable_stats=true&enable_queue_totals=true").await;
    assert_eq!((&totals[0]["messages"], totals[0].get("memory")), (&0.into(), None));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_in_effect_at_once() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/queues/%2F/nsb", r#"{"durable":true,"arguments":{"x-queue-type":"quorum"}}"#).await;
    let before = broker.get("/api/queues/%2F/nsb").await;
    assert_eq!((&before["effective_policy_definition"], &before["policy"]), (&json!({}), &Value::Null));
    assert_eq!(before["delivery_limit"], 20);
    assert_eq!(before["leader"], before["members"][0]);
    let policy = r#"{"pattern":"^nsb","definition":{"delivery-limit":-1},"priority":1,"apply-to":"quorum_queues"}"#;
    assert_eq!(broker.call("PUT", "/api/policies/%2F/unlimited", policy).await.status, 201);
    let after = broker.get("/api/queues/%2F/nsb").await;
    assert_eq!((&after["policy"], &after["delivery_limit"]), (&"unlimited".into(), &"unlimited".into()));
    assert_eq!(after["effective_policy_definition"], json!({"delivery-limit": -1}));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_quorum_queues_are_told_of_and_stay() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/queues/%2F/qq", r#"{"durable":true,"arguments":{"x-queue-type":"quorum"}}"#).await;
    broker.call("PUT", "/api/queues/%2F/c", "{}").await;
    let status = broker.get("/api/queues/quorum/%2F/qq/status").await;
    assert_eq!((&status[0]["Raft State"], status.as_array().unwrap().len()), (&"leader".into(), 1));
    assert_eq!(broker.call("GET", "/api/queues/quorum/%2F/c/status", "").await.status, 400);
    let node = status[0]["Node Name"].as_str().unwrap();
    for (method, path) in [
        ("POST", "quorum/%2F/qq/replicas/add".to_owned()),
        ("DELETE", "quorum/%2F/qq/replicas/delete".to_owned()),
        ("POST", format!("quorum/replicas/on/{node}/grow")),
        ("DELETE", format!("quorum/replicas/on/{node}/shrink")),
        ("POST", "%2F/qq/actions".to_owned()),
    ] {
        let body = if path.ends_with("actions") { r#"{"action":"sync"}"# } else { "{}" };
        assert_eq!(broker.call(method, &format!("/api/queues/{path}"), body).await.status, 204, "{path}");
    }
    assert_eq!(broker.call("POST", "/api/rebalance/queues", "").await.status, 204);
    broker.stop().await;
}
