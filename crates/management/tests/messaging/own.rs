//! What RabbitMQ has not: pausing, looking into queues, deleting one message, moving, redriving.

use std::time::{Duration, Instant};

use leveret_server::StoreConfig;
use serde_json::{Value, json};

use crate::amqp::Client;
use crate::common::Broker;

/// delivery-mode 2 and nothing else.
const PERSISTENT: &[u8] = &[0x10, 0, 2];

async fn publish(broker: &Broker, queue: &str, payload: &str, headers: Value) {
    let properties = json!({"delivery_mode": 2, "headers": headers});
    let body =
        json!({"properties": properties, "routing_key": queue, "payload": payload, "payload_encoding": "string"});
    let reply = broker.call("POST", "/api/exchanges/%2F/amq.default/publish", &body.to_string()).await;
    assert_eq!(reply.json(), json!({"routed": true}));
}

async fn declare(broker: &Broker, name: &str, arguments: Value) {
    let body = json!({"durable": true, "arguments": arguments}).to_string();
    assert_eq!(broker.call("PUT", &format!("/api/queues/%2F/{name}"), &body).await.status, 201);
}

async fn payloads(broker: &Broker, queue: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut from = json!(1);
    while !from.is_null() {
        let page = broker.get(&format!("/api/queues/%2F/{queue}/messages?from={from}&count=7")).await;
        let rows = page["messages"].as_array().unwrap().iter();
        all.extend(rows.map(|row| row["payload"].as_str().unwrap().to_owned()));
        from = page["next"].clone();
    }
    all
}

async fn post(broker: &Broker, path: &str, body: &Value) -> Value {
    let reply = broker.call("POST", &format!("/api/queues/%2F/{path}"), &body.to_string()).await;
    assert_eq!(reply.status, 200, "{path} {body}: {reply:?}");
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_takes_messages_and_gives_none() {
    let broker = Broker::start().await;
    declare(&broker, "q", json!({})).await;
    let mut client = Client::open(broker.server.address(), "/").await;
    client.consume("q", "c", 10, false).await;
    assert_eq!(broker.call("POST", "/api/queues/%2F/q/pause", "").await.status, 204);
    client.publish("q", b"late", &[0, 0]).await;
    assert!(client.is_quiet().await);
    let paused = broker.get("/api/queues/%2F/q").await;
    assert_eq!(
        (&paused["state"], &paused["messages_ready"], &paused["consumers"]),
        (&"paused".into(), &1.into(), &1.into())
    );
    let ask = json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"});
    assert_eq!(post(&broker, "q/get", &ask).await, json!([]));
    assert_eq!(broker.call("POST", "/api/queues/%2F/q/resume", "").await.status, 204);
    assert_eq!(client.delivery().await.1, b"late");
    assert_eq!(broker.get("/api/queues/%2F/q").await["state"], "running");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_looked_into_and_one_message_deleted() {
    let broker = Broker::start().await;
    declare(&broker, "q", json!({})).await;
    let mut client = Client::open(broker.server.address(), "/").await;
    for body in [b"a", b"b", b"c", b"d"] {
        client.publish("q", body, PERSISTENT).await;
    }
    client.consume("q", "c", 1, false).await;
    let (tag, _) = client.delivery().await;
    let before = broker.get("/api/queues/%2F/q?columns=messages,messages_ready,messages_unacknowledged").await;
    let page = broker.get("/api/queues/%2F/q/messages?count=3").await;
    let rows = page["messages"].as_array().unwrap();
    assert_eq!((rows.len(), &page["next"]), (3, &4.into()));
    let brief: Vec<_> = rows.iter().map(|row| (&row["position"], &row["state"], &row["payload"])).collect();
    let (ready, unacked) = (Value::from("ready"), Value::from("unacknowledged"));
    let (one, two, three) = (Value::from(1), Value::from(2), Value::from(3));
    let (a, b, c) = (Value::from("a"), Value::from("b"), Value::from("c"));
    assert_eq!(brief, [(&one, &unacked, &a), (&two, &ready, &b), (&three, &ready, &c)]);
    assert_eq!(rows[1]["properties"], json!({"delivery_mode": 2}));
    let after = broker.get("/api/queues/%2F/q?columns=messages,messages_ready,messages_unacknowledged").await;
    assert_eq!(before, after);
    assert_eq!(broker.call("DELETE", "/api/queues/%2F/q/messages/3", "").await.status, 204);
    assert_eq!(broker.call("DELETE", "/api/queues/%2F/q/messages/3", "").await.status, 404);
    assert_eq!(broker.call("DELETE", "/api/queues/%2F/q/messages/nonsense", "").await.status, 404);
    let taken = broker.call("DELETE", "/api/queues/%2F/q/messages/1", "").await;
    assert_eq!(taken.status, 400, "a consumer has it: {taken:?}");
    client.ack(tag).await;
    assert_eq!(client.delivery().await.1, b"b");
    assert_eq!(payloads(&broker, "q").await, ["b", "d"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_moved_by_count_and_filter() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start_with(|server, _| server.store = Some(StoreConfig::new(dir.path()))).await;
    declare(&broker, "from", json!({})).await;
    declare(&broker, "to", json!({})).await;
    declare(&broker, "full", json!({"x-max-length": 2, "x-overflow": "reject-publish"})).await;
    for number in 0..30 {
        publish(&broker, "from", &number.to_string(), json!({"kind": if number % 3 == 0 { "fizz" } else { "plain" }}))
            .await;
    }
    let moved = post(&broker, "from/move", &json!({"to_queue": "to", "count": 4})).await;
    assert_eq!(moved, json!({"moved": 4, "refused": 0, "messages_ready": 26}));
    let filter = json!({"headers": {"kind": "fizz"}});
    let moved =
        post(&broker, "from/move", &json!({"to_exchange": "amq.default", "routing_key": "to", "filter": filter})).await;
    assert_eq!((&moved["moved"], &moved["messages_ready"]), (&8.into(), &18.into()));
    assert_eq!(payloads(&broker, "to").await, ["0", "1", "2", "3", "6", "9", "12", "15", "18", "21", "24", "27"]);
    let refused = post(&broker, "from/move", &json!({"to_queue": "full"})).await;
    assert_eq!((&refused["moved"], &refused["messages_ready"]), (&2.into(), &16.into()));
    let rest: Vec<String> = (6..30).filter(|number| number % 3 != 0).map(|number: u32| number.to_string()).collect();
    assert_eq!(payloads(&broker, "from").await, rest, "what found no room is in its place");
    let nowhere = post(&broker, "from/move", &json!({"to_exchange": "amq.direct"})).await;
    assert_eq!((&nowhere["moved"], &nowhere["messages_ready"]), (&0.into(), &16.into()));
    let itself = post(&broker, "from/move", &json!({"to_queue": "from"})).await;
    assert_eq!((&itself["moved"], &itself["messages_ready"]), (&16.into(), &16.into()), "it comes to an end");
    for body in [json!({}), json!({"to_queue": "to", "to_exchange": "x"}), json!({"to_queue": "to", "count": 0})] {
        assert_eq!(broker.call("POST", "/api/queues/%2F/from/move", &body.to_string()).await.status, 400, "{body}");
    }
    broker.stop().await;
    // All of them are where they were moved to.
    let again = Broker::start_with(|server, _| server.store = Some(StoreConfig::new(dir.path()))).await;
    let mut all =
        [payloads(&again, "from").await, payloads(&again, "to").await, payloads(&again, "full").await].concat();
    all.sort_by_key(|payload| payload.parse::<u32>().unwrap());
    assert_eq!(all, (0..30).map(|number: u32| number.to_string()).collect::<Vec<_>>());
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moving_at_a_rate_takes_its_time() {
    let broker = Broker::start().await;
    declare(&broker, "from", json!({})).await;
    declare(&broker, "to", json!({})).await;
    for number in 0..20 {
        publish(&broker, "from", &number.to_string(), json!({})).await;
    }
    let start = Instant::now();
    let moved = post(&broker, "from/move", &json!({"to_queue": "to", "rate": 50})).await;
    assert_eq!(moved["moved"], 20);
    assert!(start.elapsed() >= Duration::from_millis(390), "{:?}", start.elapsed());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_go_back_to_where_they_came_from() {
    let broker = Broker::start().await;
    let dead = json!({"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"});
    for queue in ["orders", "mails"] {
        declare(&broker, queue, dead.clone()).await;
    }
    declare(&broker, "dead", json!({})).await;
    broker.call("POST", "/api/bindings/%2F/e/amq.topic/q/orders", r#"{"routing_key":"order.*"}"#).await;
    let order = json!({"properties": {"headers": {"own": 1}}, "routing_key": "order.new", "payload": "o", "payload_encoding": "string"});
    broker.call("POST", "/api/exchanges/%2F/amq.topic/publish", &order.to_string()).await;
    publish(&broker, "mails", "m", json!({})).await;
    publish(&broker, "dead", "stranger", json!({})).await;
    let reject = json!({"count": 10, "ackmode": "reject_requeue_false", "encoding": "auto"});
    for queue in ["orders", "mails"] {
        post(&broker, &format!("{queue}/get"), &reject).await;
    }
    assert_eq!(payloads(&broker, "dead").await, ["stranger", "o", "m"]);
    let filter = json!({"queue": "orders", "reason": "rejected"});
    let back = post(&broker, "dead/redrive", &json!({"filter": filter, "reset": true})).await;
    assert_eq!(back, json!({"moved": 1, "refused": 0, "messages_ready": 2}));
    let restored = broker.get("/api/queues/%2F/orders/messages").await["messages"][0].clone();
    assert_eq!((&restored["exchange"], &restored["routing_key"]), (&"amq.topic".into(), &"order.new".into()));
    assert_eq!(restored["properties"]["headers"], json!({"own": 1}), "as it was published");
    let back = post(&broker, "dead/redrive", &json!({})).await;
    assert_eq!(back, json!({"moved": 1, "refused": 1, "messages_ready": 1}), "a stranger stays");
    let kept = broker.get("/api/queues/%2F/mails/messages").await["messages"][0].clone();
    assert_eq!(
        (&kept["routing_key"], &kept["properties"]["headers"]["x-first-death-queue"]),
        (&"mails".into(), &"mails".into())
    );
    assert_eq!(payloads(&broker, "dead").await, ["stranger"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_looked_into_and_left_as_it_is() {
    let broker = Broker::start().await;
    declare(&broker, "s", json!({"x-queue-type": "stream"})).await;
    for payload in ["a", "b", "c"] {
        publish(&broker, "s", payload, json!({})).await;
    }
    assert_eq!(payloads(&broker, "s").await, ["a", "b", "c"]);
    assert_eq!(broker.call("DELETE", "/api/queues/%2F/s/messages/1", "").await.status, 400);
    assert_eq!(broker.call("POST", "/api/queues/%2F/s/move", r#"{"to_queue":"s"}"#).await.status, 400);
    assert_eq!(broker.call("POST", "/api/queues/%2F/s/pause", "").await.status, 204);
    assert_eq!(broker.get("/api/queues/%2F/s").await["state"], "paused");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_moved_where_one_may_publish() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/users/dev", r#"{"password":"p","tags":"management"}"#).await;
    broker.call("PUT", "/api/permissions/%2F/dev", r#"{"configure":"","write":".*","read":".*"}"#).await;
    let topic = r#"{"exchange":"amq.topic","write":"^mine","read":"^mine"}"#;
    broker.call("PUT", "/api/topic-permissions/%2F/dev", topic).await;
    broker.call("PUT", "/api/exchanges/%2F/inner", r#"{"type":"fanout","internal":true}"#).await;
    declare(&broker, "from", json!({})).await;
    declare(&broker, "to", json!({})).await;
    broker.call("POST", "/api/bindings/%2F/e/amq.topic/q/to", r##"{"routing_key":"#"}"##).await;
    publish(&broker, "from", "m", json!({})).await;
    for (body, status) in [
        (json!({"to_exchange": "inner"}), 401),
        // Its own key is that of the queue.
        (json!({"to_exchange": "amq.topic"}), 401),
        (json!({"to_exchange": "amq.topic", "routing_key": "other"}), 401),
        (json!({"to_exchange": "amq.topic", "routing_key": "k".repeat(256)}), 400),
        (json!({"to_exchange": "amq.topic", "routing_key": 1}), 400),
        (json!({"to_exchange": "amq.topic", "routing_key": "mine.a"}), 200),
    ] {
        let reply = broker.call_as("dev:p", "POST", "/api/queues/%2F/from/move", &body.to_string()).await;
        assert_eq!(reply.status, status, "{body}: {reply:?}");
        assert_eq!(payloads(&broker, "from").await.len(), usize::from(status != 200), "{body}");
    }
    assert_eq!(broker.get("/api/queues/%2F/to/messages").await["messages"][0]["routing_key"], "mine.a");
    broker.stop().await;
}
