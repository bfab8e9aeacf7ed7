//! Publishing and getting.

use serde_json::{Value, json};

use crate::common::{Broker, Reply};

async fn publish(broker: &Broker, exchange: &str, body: &Value) -> Reply {
    broker.call("POST", &format!("/api/exchanges/%2F/{exchange}/publish"), &body.to_string()).await
}

async fn get(broker: &Broker, body: &Value) -> Reply {
    broker.call("POST", "/api/queues/%2F/q/get", &body.to_string()).await
}

fn message(payload: &str) -> Value {
    json!({"properties": {}, "routing_key": "q", "payload": payload, "payload_encoding": "string"})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_got_with_its_properties() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/queues/%2F/q", "{}").await;
    let properties = json!({
        "delivery_mode": 2, "headers": {"a": 1, "deep": {"list": [1, "x"]}}, "priority": 3, "content_type": "text/plain",
        "timestamp": 1_700_000_000, "message_id": "m", "expiration": "60000", "user_id": "guest",
    });
    let body = json!({"properties": properties, "routing_key": "q", "payload": "héllo", "payload_encoding": "string"});
    let reply = publish(&broker, "amq.default", &body).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"routed": true})));
    let bytes = json!({"properties": [], "routing_key": "q", "payload": "AAEC/w==", "payload_encoding": "base64"});
    assert_eq!(publish(&broker, "amq.default", &bytes).await.json(), json!({"routed": true}));
    let nowhere = json!({"properties": {}, "routing_key": "nope", "payload": "", "payload_encoding": "string"});
    assert_eq!(publish(&broker, "amq.default", &nowhere).await.json(), json!({"routed": false}));
    let ask = json!({"count": 5, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": 50000});
    let got = get(&broker, &ask).await.json();
    assert_eq!(got.as_array().unwrap().len(), 2);
    let expected = json!({
        "payload_bytes": 6, "redelivered": false, "exchange": "", "routing_key": "q", "message_count": 1,
        "properties": properties, "payload": "héllo", "payload_encoding": "string",
    });
    assert_eq!(got[0], expected);
    assert_eq!((&got[1]["payload"], &got[1]["payload_encoding"]), (&"AAEC/w==".into(), &"base64".into()));
    let queue = broker.get("/api/queues/%2F/q").await;
    assert_eq!(
        (&queue["messages"], &queue["messages_ready"], &queue["message_bytes"]),
        (&2.into(), &2.into(), &10.into())
    );
    assert_eq!((&queue["head_message_timestamp"], &queue["messages_persistent"]), (&1_700_000_000.into(), &0.into()));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_four_ways_to_get_are_told_apart() {
    let broker = Broker::start().await;
    let body = r#"{"arguments":{"x-dead-letter-exchange":"","x-dead-letter-routing-key":"dead"}}"#;
    broker.call("PUT", "/api/queues/%2F/q", body).await;
    broker.call("PUT", "/api/queues/%2F/dead", "{}").await;
    for payload in ["one", "two", "three"] {
        publish(&broker, "amq.default", &message(payload)).await;
    }
    for (ackmode, redelivered, left) in [
        ("ack_requeue_true", false, 3),
        ("reject_requeue_true", true, 3),
        ("ack_requeue_false", true, 1),
        ("reject_requeue_false", false, 0),
    ] {
        let got =
            get(&broker, &json!({"count": 2, "ackmode": ackmode, "encoding": "auto", "truncate": 2})).await.json();
        assert_eq!(got[0]["redelivered"], redelivered, "{ackmode}");
        let first = if left == 0 { "th" } else { "on" };
        assert_eq!((&got[0]["payload"], got[0]["payload_bytes"].as_u64().unwrap() >= 3), (&first.into(), true));
        assert_eq!(broker.get("/api/queues/%2F/q").await["messages"], left, "{ackmode}");
    }
    assert_eq!(broker.get("/api/queues/%2F/dead").await["messages"], 1, "what was rejected is a dead letter");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/queues/%2F/q", r#"{"arguments":{"x-max-length":1,"x-overflow":"reject-publish"}}"#).await;
    broker.call("PUT", "/api/exchanges/%2F/inner", r#"{"type":"direct","internal":true}"#).await;
    let with = |key: &str, value: Value| {
        let mut body = message("x");
        body[key] = value;
        body
    };
    let invalid = "406 PRECONDITION_FAILED - invalid expiration 'abc': no_integer";
    let internal = "403 ACCESS_REFUSED - cannot publish to internal exchange 'inner' in vhost '/'";
    let other = "406 PRECONDITION_FAILED - user_id property set to 'bob' but authenticated user was 'guest'";
    for (exchange, body, reason) in [
        (
            "amq.default",
            json!({"routing_key": "q"}),
            "[{key_missing,properties},{key_missing,payload},{key_missing,payload_encoding}]",
        ),
        ("amq.default", with("payload_encoding", "foo".into()), r#"["unsupported_encoding","foo"]"#),
        ("amq.default", with("payload", 1.into()), "payload_not_string"),
        ("amq.default", with("properties", json!({"priority": "x"})), r#"["not_int","priority"]"#),
        ("amq.default", with("properties", json!({"expiration": "abc"})), invalid),
        ("amq.default", with("properties", json!({"user_id": "bob"})), other),
        ("inner", message("x"), internal),
    ] {
        let reply = publish(&broker, exchange, &body).await;
        assert_eq!((reply.status, &reply.json()["reason"]), (400, &reason.into()), "{body}");
    }
    assert_eq!(publish(&broker, "nope", &message("x")).await.status, 404);
    assert_eq!(publish(&broker, "amq.default", &message("fits")).await.status, 200);
    let full = publish(&broker, "amq.default", &message("does not")).await;
    assert_eq!(full.status, 400, "nacked: {full:?}");
    for (body, reason) in [
        (json!({}), "[{key_missing,ackmode},{key_missing,count},{key_missing,encoding}]"),
        (
            json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "x"}),
            "Unsupported encoding. Please use auto or base64.",
        ),
    ] {
        let reply = get(&broker, &body).await;
        assert_eq!((reply.status, &reply.json()["reason"]), (400, &reason.into()));
    }
    broker.call("PUT", "/api/queues/%2F/s", r#"{"durable":true,"arguments":{"x-queue-type":"stream"}}"#).await;
    let ask = r#"{"count":1,"ackmode":"ack_requeue_true","encoding":"auto"}"#;
    let stream = broker.call("POST", "/api/queues/%2F/s/get", ask).await;
    let reason = "540 NOT_IMPLEMENTED - basic.get not supported by stream queues queue 's' in vhost '/'";
    assert_eq!((stream.status, &stream.json()["reason"]), (400, &reason.into()));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_and_got_by_http_is_traced() {
    let broker = Broker::start().await;
    for name in ["q", "traces"] {
        broker.call("PUT", &format!("/api/queues/%2F/{name}"), "{}").await;
    }
    let bound =
        broker.call("POST", "/api/bindings/%2F/e/amq.rabbitmq.trace/q/traces", r##"{"routing_key":"#"}"##).await;
    assert_eq!(bound.status, 201);
    broker.server.broker().vhost("/").unwrap().set_tracing(true);
    publish(&broker, "amq.default", &message("seen")).await;
    get(&broker, &json!({"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"})).await;
    broker.server.broker().vhost("/").unwrap().set_tracing(false);
    let traces = broker.get("/api/queues/%2F/traces/messages").await;
    let keys: Vec<&Value> = traces["messages"].as_array().unwrap().iter().map(|row| &row["routing_key"]).collect();
    assert_eq!(keys, ["publish.", "deliver.q"]);
    let headers = &traces["messages"][0]["properties"]["headers"];
    assert_eq!((&headers["user"], &headers["routed_queues"]), (&"guest".into(), &json!(["q"])));
    broker.stop().await;
}
