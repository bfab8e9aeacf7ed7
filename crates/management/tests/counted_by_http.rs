//! What is published and got by HTTP is counted as what comes by AMQP is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::Broker;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_by_http_are_in_the_totals() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/queues/%2F/q", "{}").await;
    for routing_key in ["q", "q", "nowhere"] {
        let body = json!({"properties": {}, "routing_key": routing_key, "payload": "x", "payload_encoding": "string"});
        let reply = broker.call("POST", "/api/exchanges/%2F/amq.default/publish", &body.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    for ack_mode in ["ack_requeue_true", "ack_requeue_false"] {
        let body = json!({"count": 3, "ackmode": ack_mode, "encoding": "auto"});
        let reply = broker.call("POST", "/api/queues/%2F/q/get", &body.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let counts = broker.server.node().connection_totals().counts;
    let messages = counts.messages;
    assert_eq!((messages.publish, messages.confirm, messages.return_unroutable), (3, 3, 1));
    assert_eq!((messages.get, messages.get_no_ack, messages.get_empty, messages.redeliver), (2, 2, 2, 2));
    assert_eq!((counts.received_confirm, counts.routed, counts.sizes.bytes), (3, 2, 3));
}
