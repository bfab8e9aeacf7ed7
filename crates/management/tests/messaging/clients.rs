//! Connections, channels and consumers.

use leveret_codec::method::Method;
use serde_json::{Value, json};

use crate::amqp::Client;
use crate::common::Broker;

/// A name as it stands in a path.
fn encoded(name: &Value) -> String {
    let name = name.as_str().unwrap();
    name.replace(' ', "%20").replace('>', "%3E").replace('(', "%28").replace(')', "%29")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_its_channel_and_consumer_is_seen() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/queues/%2F/q", r#"{"arguments":{"x-single-active-consumer":true}}"#).await;
    let mut client = Client::open(broker.server.address(), "/").await;
    client.consume("q", "tag", 5, false).await;
    client.publish("q", b"body", &[0, 0]).await;
    client.delivery().await;
    let connections = broker.get("/api/connections").await;
    let connection = &connections[0];
    assert_eq!((&connection["user_provided_name"], &connection["channels"]), (&"test-client".into(), &1.into()));
    assert_eq!((&connection["state"], &connection["protocol"]), (&"running".into(), &"AMQP 0-9-1".into()));
    let path = format!("/api/connections/{}", encoded(&connection["name"]));
    assert_eq!(broker.get(&path).await["client_properties"]["product"], "tests");
    assert_eq!(broker.get("/api/vhosts/%2F/connections").await.as_array().unwrap().len(), 1);
    let of_user = broker.get("/api/connections/username/guest").await;
    assert_eq!((&of_user[0]["name"], &of_user[0]["vhost"]), (&connection["name"], &"/".into()));
    let channels = broker.get(&format!("{path}/channels")).await;
    let all = broker.get("/api/channels").await;
    assert_eq!((&channels[0]["name"], channels.as_array().unwrap().len()), (&all[0]["name"], 1));
    let channel = broker.get(&format!("/api/channels/{}", encoded(&channels[0]["name"]))).await;
    assert_eq!((&channel["number"], &channel["messages_unacknowledged"]), (&1.into(), &1.into()));
    assert_eq!(
        (&channel["prefetch_count"], &channel["consumer_details"][0]["consumer_tag"]),
        (&5.into(), &"tag".into())
    );
    assert_eq!((&channel["message_stats"]["publish"], &channel["message_stats"]["deliver"]), (&1.into(), &1.into()));
    let consumers = broker.get("/api/consumers/%2F").await;
    assert_eq!(consumers[0]["queue"], json!({"name": "q", "vhost": "/"}));
    assert_eq!(
        (&consumers[0]["activity_status"], &consumers[0]["ack_required"]),
        (&"single_active".into(), &true.into())
    );
    let queue = broker.get("/api/queues/%2F/q").await;
    assert_eq!((&queue["consumers"], &queue["single_active_consumer_tag"]), (&1.into(), &"tag".into()));
    assert_eq!(queue["consumer_details"], consumers);
    let reader = r#"{"configure":".*","write":".*","read":".*"}"#;
    broker.call("PUT", "/api/users/dev", r#"{"password":"p","tags":"management"}"#).await;
    broker.call("PUT", "/api/permissions/%2F/dev", reader).await;
    for path in ["/api/consumers", "/api/consumers/%2F"] {
        assert_eq!(broker.call_as("dev:p", "GET", path, "").await.json(), json!([]), "{path}: they are guest's");
    }
    assert_eq!((&queue["messages_unacknowledged"], &queue["message_bytes_unacknowledged"]), (&1.into(), &4.into()));
    assert_eq!(broker.call("GET", &format!("{path}/sessions"), "").await.status, 400);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_closed_with_a_reason() {
    let broker = Broker::start().await;
    for (by_user, reason) in [(false, Some("moving house")), (true, None)] {
        let mut client = Client::open(broker.server.address(), "/").await;
        let name = broker.get("/api/connections").await[0]["name"].clone();
        let path = if by_user { "username/guest".to_owned() } else { encoded(&name) };
        let header = reason.map(|reason| format!("x-reason: {reason}\r\n")).unwrap_or_default();
        let header = format!("authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n{header}");
        let reply = broker.raw("DELETE", &format!("/api/connections/{path}"), &header, "").await;
        assert_eq!(reply.status, 204);
        let (_, _, close) = client.expect(10, 50).await;
        let Ok(Method::ConnectionClose(close)) = Method::decode(&close) else { panic!("no close") };
        let reason = reason.unwrap_or("Closed via management plugin");
        assert_eq!(close.reply_code, 320);
        assert!(close.reply_text.ends_with(reason), "{}", close.reply_text);
        drop(client);
        broker.get_once("/api/connections", |connections| *connections == json!([])).await;
        let again = broker.call("DELETE", &format!("/api/connections/{path}"), "").await;
        assert_eq!(again.status, if by_user { 204 } else { 404 });
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_see_their_own_connections() {
    let broker = Broker::start().await;
    broker.call("PUT", "/api/users/dev", r#"{"password":"p","tags":"management"}"#).await;
    broker.call("PUT", "/api/permissions/%2F/dev", r#"{"configure":".*","write":".*","read":".*"}"#).await;
    let _client = Client::open(broker.server.address(), "/").await;
    let name = encoded(&broker.get("/api/connections").await[0]["name"]);
    for path in ["/api/connections", "/api/channels", "/api/vhosts/%2F/channels"] {
        let reply = broker.call_as("dev:p", "GET", path, "").await;
        assert_eq!((reply.status, reply.json()), (200, json!([])), "{path}");
    }
    for method in ["GET", "DELETE"] {
        assert_eq!(broker.call_as("dev:p", method, &format!("/api/connections/{name}"), "").await.status, 401);
        assert_eq!(broker.call_as("dev:p", method, "/api/connections/username/guest", "").await.status, 401);
    }
    broker.stop().await;
}
