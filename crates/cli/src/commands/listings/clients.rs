//! Connections, channels and consumers.

use serde_json::Value;

use super::{pid, plain, stream};
use crate::call::Call;
use crate::commands::info;
use crate::failure::Failure;
use crate::output::Output;
use crate::term::Term;
use crate::url;

const CONNECTION: [&str; 33] = [
    "pid",
    "name",
    "port",
    "host",
    "peer_port",
    "peer_host",
    "ssl",
    "ssl_protocol",
    "ssl_key_exchange",
    "ssl_cipher",
    "ssl_hash",
    "peer_cert_subject",
    "peer_cert_issuer",
    "peer_cert_validity",
    "state",
    "channels",
    "protocol",
    "auth_mechanism",
    "user",
    "vhost",
    "container_id",
    "timeout",
    "frame_max",
    "channel_max",
    "client_properties",
    "connected_at",
    "recv_oct",
    "recv_cnt",
    "send_oct",
    "send_cnt",
    "send_pend",
    "user_provided_name",
    "node",
];
const CHANNEL: [&str; 20] = [
    "pid",
    "connection",
    "name",
    "number",
    "user",
    "vhost",
    "transactional",
    "confirm",
    "consumer_count",
    "messages_unacknowledged",
    "messages_uncommitted",
    "acks_uncommitted",
    "messages_unconfirmed",
    "prefetch_count",
    "global_prefetch_count",
    "pending_raft_commands",
    "cached_segments",
    "interceptors",
    "state",
    "user_who_performed_action",
];
const CONSUMER: [&str; 9] = [
    "queue_name",
    "channel_pid",
    "consumer_tag",
    "ack_required",
    "prefetch_count",
    "active",
    "activity_status",
    "arguments",
    "consumer_timeout",
];

pub(super) fn list_connections(call: &Call) -> Result<Output, Failure> {
    let columns = info::columns(call, &CONNECTION, &["user", "peer_host", "peer_port", "state"])?;
    call.banner("Listing connections ...");
    Ok(stream(call, &columns, &call.list(&["connections"])?, connection_column))
}

fn connection_column(call: &Call, connection: &Value, column: &str) -> Term {
    match column {
        "pid" => pid(call, info::text(connection, "name")),
        "state" | "node" => Term::atom(info::text(connection, column)),
        "user_provided_name" => plain(connection, "client_properties.connection_name"),
        // Here the numbers of the version are what Erlang has: RabbitMQ's tools show `{0,9,1}`.
        "protocol" => match info::text(connection, "protocol") {
            "AMQP 0-9-1" => Term::atom("{0,9,1}"),
            other => Term::text(other),
        },
        other => plain(connection, other),
    }
}

pub(super) fn list_channels(call: &Call) -> Result<Output, Failure> {
    let columns = info::columns(call, &CHANNEL, &["pid", "user", "consumer_count", "messages_unacknowledged"])?;
    call.banner("Listing channels ...");
    Ok(stream(call, &columns, &call.list(&["channels"])?, |call, channel, column| match column {
        "pid" => pid(call, info::text(channel, "name")),
        "connection" => pid(call, info::text(channel, "connection_details.name")),
        "state" => Term::atom(info::text(channel, "state")),
        other => plain(channel, other),
    }))
}

pub(super) fn list_consumers(call: &Call) -> Result<Output, Failure> {
    let usual = ["queue_name", "channel_pid", "consumer_tag", "ack_required", "prefetch_count", "active", "arguments"];
    let columns = info::columns(call, &CONSUMER, &usual)?;
    call.banner(format!("Listing consumers in vhost {} ...", call.vhost()));
    let consumers = call.list_path(&url::path(&["consumers", call.vhost()]))?;
    Ok(stream(call, &columns, &consumers, |call, consumer, column| match column {
        "queue_name" => plain(consumer, "queue.name"),
        "channel_pid" => pid(call, info::text(consumer, "channel_details.name")),
        "activity_status" => Term::atom(info::text(consumer, "activity_status")),
        other => plain(consumer, other),
    }))
}
