//! Consumers.

use leveret_server::engine::json::json_of_table;
use leveret_server::node::ConsumerListing;
use leveret_server::session::about::Ends;
use serde_json::{Value, json};

use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::state::Api;

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/consumers").get(Right::User, "All consumers that the user sees", list),
        Resource::at("/api/consumers/{vhost}").get(Right::VhostVisible, "The consumers of a vhost", list),
    ]
}

/// A consumer as RabbitMQ shows it.
pub(super) fn consumer_json(api: &Api, listing: &ConsumerListing) -> Value {
    let consumer = &listing.consumer;
    json!({
        "arguments": json_of_table(&consumer.arguments),
        "ack_required": consumer.ack_required,
        "active": consumer.active,
        "activity_status": consumer.activity_status(),
        "channel_details": {
            "connection_name": &*listing.connection_name,
            "name": listing.channel_name,
            "node": api.node.name(),
            "number": listing.channel,
            "peer_host": peer_host(listing.ends),
            "peer_port": peer_port(listing.ends),
            "user": &*listing.user,
        },
        "consumer_tag": &*consumer.tag,
        "exclusive": consumer.exclusive,
        "prefetch_count": consumer.prefetch_count,
        "queue": { "name": &*consumer.queue, "vhost": &*consumer.vhost },
        // A number always: clients in typed languages count on it.
        "consumer_timeout": consumer.consumer_timeout_ms.unwrap_or_default(),
    })
}

pub(super) fn peer_host(ends: Option<Ends>) -> Option<String> {
    ends.map(|ends| ends.peer.ip().to_canonical().to_string())
}

pub(super) fn peer_port(ends: Option<Ends>) -> Option<u16> {
    ends.map(|ends| ends.peer.port())
}

async fn list(call: Call) -> Answer {
    let vhosts = call.vhosts()?;
    let mut consumers = match call.path.get("vhost") {
        Some(_) => vhosts.first().map(|vhost| call.api.node.consumers(Some(&vhost.name))).unwrap_or_default(),
        None => call.api.node.consumers(None),
    };
    consumers.retain(|listing| {
        call.access.sees_user(&listing.user) && vhosts.iter().any(|vhost| vhost.name == listing.consumer.vhost)
    });
    call.list(consumers.iter().map(|listing| consumer_json(&call.api, listing)).collect())
}
