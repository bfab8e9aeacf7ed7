//! Exchanges and bindings.

use serde_json::{Value, json};

use crate::common::Broker;

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_declared_compared_and_deleted() {
    let broker = Broker::start().await;
    let body = r#"{"type":"topic","durable":true,"arguments":{"alternate-exchange":"amq.fanout"}}"#;
    assert_eq!(broker.call("PUT", "/api/exchanges/%2F/x", body).await.status, 201);
    assert_eq!(broker.call("PUT", "/api/exchanges/%2F/x", body).await.status, 204);
    let refused = broker.call("PUT", "/api/exchanges/%2F/x", r#"{"type":"direct"}"#).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("inequivalent arg 'type' for exchange 'x' in vhost '/'"), "{refused:?}");
    let unknown = broker.call("PUT", "/api/exchanges/%2F/y", r#"{"type":"foo"}"#).await;
    assert_eq!((unknown.status, &unknown.json()["reason"]), (400, &"unknown exchange type 'foo'".into()));
    for reserved in ["amq.mine", "amq.default"] {
        let reply = broker.call("PUT", &format!("/api/exchanges/%2F/{reserved}"), r#"{"type":"direct"}"#).await;
        assert_eq!((reply.status, &reply.json()["reason"]), (401, &"Access refused.".into()));
    }
    let shown = broker.get("/api/exchanges/%2F/x").await;
    assert_eq!((&shown["type"], &shown["internal"], &shown["incoming"]), (&"topic".into(), &false.into(), &json!([])));
    let all = broker.get("/api/exchanges").await;
    let names: Vec<&str> = all.as_array().unwrap().iter().map(|exchange| exchange["name"].as_str().unwrap()).collect();
    assert!(["", "amq.direct", "amq.headers", "amq.rabbitmq.trace", "x"].iter().all(|name| names.contains(name)));
    assert_eq!(broker.call("DELETE", "/api/exchanges/%2F/x", "").await.status, 204);
    assert_eq!(broker.call("DELETE", "/api/exchanges/%2F/x", "").await.status, 404);
    assert_eq!(broker.call("DELETE", "/api/exchanges/%2F/amq.direct", "").await.status, 401);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_is_found_under_its_location() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/queues/%2F/q", "{}").await;
    broker.call("PUT", "/api/exchanges/%2F/x", r#"{"type":"topic"}"#).await;
    broker.call("PUT", "/api/exchanges/%2F/y", r#"{"type":"headers"}"#).await;
    let between = "/api/bindings/%2F/e/x/q/q";
    for (body, location, props) in [
        (json!({}), "q/~", "~"),
        (json!({"routing_key": "a.b/c d"}), "q/a.b%252Fc%2Bd", "a.b%2Fc+d"),
        (json!({"routing_key": "k~1"}), "q/k%257E1", "k%7E1"),
    ] {
        let bound = broker.call("POST", between, &body.to_string()).await;
        assert_eq!((bound.status, bound.header("location")), (201, Some(location)), "{body}");
        let (_, encoded) = location.split_once('/').unwrap();
        let shown = broker.get(&format!("{between}/{encoded}")).await;
        let key = body["routing_key"].as_str().unwrap_or_default();
        assert_eq!((&shown["properties_key"], &shown["routing_key"]), (&props.into(), &key.into()));
    }
    let with_arguments = json!({"routing_key": "h", "arguments": {"x-match": "any", "n": 1}}).to_string();
    let bound = broker.call("POST", "/api/bindings/%2F/e/y/e/x", &with_arguments).await;
    let location = bound.header("location").unwrap().to_owned();
    assert!(bound.status == 201 && location.starts_with("x/h~"), "{bound:?}");
    let shown = broker.get(&format!("/api/bindings/%2F/e/y/e/{location}")).await;
    assert_eq!((&shown["destination_type"], &shown["arguments"]["n"]), (&"exchange".into(), &1.into()));
    let path = format!("/api/bindings/%2F/e/y/e/{location}");
    assert_eq!(broker.call("DELETE", &path, "").await.status, 204);
    assert_eq!(broker.call("DELETE", &path, "").await.status, 404);
    assert_eq!(broker.get(between).await.as_array().unwrap().len(), 3);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bindings_are_listed_from_every_side() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/queues/%2F/q", "{}").await;
    for (source, to) in [("amq.direct", "q/q"), ("amq.topic", "q/q"), ("amq.topic", "e/amq.fanout")] {
        broker.call("POST", &format!("/api/bindings/%2F/e/{source}/{to}"), r#"{"routing_key":"k"}"#).await;
    }
    let keys = |list: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(|row| (text(&row["source"]), text(&row["destination"]))).collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let (implicit, direct) = (pair("", "q"), pair("amq.direct", "q"));
    let (topic, fanout) = (pair("amq.topic", "q"), pair("amq.topic", "amq.fanout"));
    let all = vec![implicit.clone(), direct.clone(), fanout.clone(), topic.clone()];
    assert_eq!(keys(&broker.get("/api/bindings").await), all);
    assert_eq!(keys(&broker.get("/api/bindings/%2F").await), all);
    assert_eq!(keys(&broker.get("/api/queues/%2F/q/bindings").await), [implicit.clone(), direct, topic.clone()]);
    assert_eq!(keys(&broker.get("/api/exchanges/%2F/amq.topic/bindings/source").await), [fanout.clone(), topic]);
    assert_eq!(keys(&broker.get("/api/exchanges/%2F/amq.fanout/bindings/destination").await), [fanout]);
    assert_eq!(keys(&broker.get("/api/exchanges/%2F/amq.default/bindings/source").await), [implicit]);
    let missing = broker.call("POST", "/api/bindings/%2F/e/amq.topic/q/nope", "{}").await;
    let reason = "no queue 'nope' in vhost '/'";
    assert_eq!((missing.status, &missing.json()["reason"]), (404, &reason.into()));
    let default = broker.call("POST", "/api/bindings/%2F/e/amq.default/q/q", "{}").await;
    assert_eq!(default.status, 401);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_do_what_its_permissions_allow() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/users/dev", r#"{"password":"p","tags":"management"}"#).await;
    let nothing = broker.call_as("dev:p", "PUT", "/api/queues/%2F/dev.q", "{}").await;
    assert_eq!(nothing.status, 401, "no permissions in the vhost");
    let rights = r#"{"configure":"^dev","write":"^dev","read":"^dev"}"#;
    broker.call("PUT", "/api/permissions/%2F/dev", rights).await;
    for (method, path, body, expected) in [
        ("PUT", "/api/queues/%2F/dev.q", "{}", 201),
        ("PUT", "/api/queues/%2F/other", "{}", 401),
        ("PUT", "/api/exchanges/%2F/dev.x", "{}", 201),
        ("PUT", "/api/exchanges/%2F/other", "{}", 401),
        ("POST", "/api/bindings/%2F/e/dev.x/q/dev.q", "{}", 201),
        ("POST", "/api/bindings/%2F/e/amq.direct/q/dev.q", "{}", 401),
        ("GET", "/api/queues/%2F/dev.q", "", 200),
        ("POST", "/api/queues/%2F/dev.q/pause", "", 204),
    ] {
        let reply = broker.call_as("dev:p", method, path, body).await;
        assert_eq!(reply.status, expected, "{method} {path}: {reply:?}");
    }
    broker.call("PUT", "/api/queues/%2F/mine", "{}").await;
    let get = r#"{"count":1,"ackmode":"ack_requeue_true","encoding":"auto"}"#;
    for path in ["mine/get", "mine/pause", "mine/move", "mine/redrive"] {
        let reply = broker.call_as("dev:p", "POST", &format!("/api/queues/%2F/{path}"), get).await;
        assert_eq!(reply.status, 401, "{path}: {reply:?}");
    }
    broker.stop().await;
}
