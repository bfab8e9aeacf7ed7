//! Shovels, federation links, traces to files and the clients of the stream protocol: listed as what there is of them, which is
//! none.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};

/// Lists of what this broker does not run.
const NONE: [(&str, &str); 15] = [
    ("/api/shovels", "Shovels that run"),
    ("/api/shovels/{vhost}", "Shovels that run in a vhost"),
    ("/api/federation-links", "Federation links"),
    ("/api/federation-links/{vhost}", "Federation links of a vhost"),
    ("/api/federation-links/state/down", "Federation links that are down"),
    ("/api/federation-links/{vhost}/state/down", "Federation links of a vhost that are down"),
    ("/api/traces", "Traces that are written to files"),
    ("/api/traces/{vhost}", "Traces of a vhost that are written to files"),
    ("/api/trace-files", "Files of traces"),
    ("/api/stream/connections", "Connections of the stream protocol"),
    ("/api/stream/connections/{vhost}", "Connections of the stream protocol to a vhost"),
    ("/api/stream/publishers", "Publishers of the stream protocol"),
    ("/api/stream/publishers/{vhost}", "Publishers of the stream protocol in a vhost"),
    ("/api/stream/consumers", "Consumers of the stream protocol"),
    ("/api/stream/consumers/{vhost}", "Consumers of the stream protocol in a vhost"),
];

pub(super) fn resources() -> Vec<Resource> {
    let lists = NONE.iter().map(|(path, summary)| Resource::at(path).get(Right::VhostVisible, summary, none));
    let single = Resource::at("/api/shovels/vhost/{vhost}/{name}")
        .get(Right::VhostVisible, "A shovel that runs", nothing)
        .delete(Right::Policies, "Ends a shovel", nothing);
    let restart = Resource::at("/api/shovels/vhost/{vhost}/{name}/restart").delete(
        Right::Policies,
        "Starts a shovel again",
        nothing,
    );
    let tracking = Resource::at("/api/stream/{vhost}/{queue}/tracking").get(
        Right::VhostVisible,
        "What clients of the stream protocol have noted in a stream",
        tracking,
    );
    let link = Resource::at("/api/federation-links/vhost/{vhost}/{id}/{node}/restart").delete(
        Right::Policies,
        "Starts a federation link again",
        nothing,
    );
    let trace = Resource::at("/api/traces/{vhost}/{name}")
        .get(Right::Administrator, "A trace that is written to a file", nothing)
        .put(Right::Administrator, "Traces are not written to files here: says what there is in place of it", no_traces)
        .delete(Right::Administrator, "Ends a trace", nothing);
    let trace_file = Resource::at("/api/trace-files/{name}")
        .get(Right::Administrator, "A file of a trace", nothing)
        .delete(Right::Administrator, "Removes a file of a trace", nothing);
    lists.chain([single, restart, link, trace, trace_file, tracking]).collect()
}

async fn none(call: Call) -> Answer {
    if call.path.get("vhost").is_some() {
        call.vhost()?;
    }
    call.list::<Value>(Vec::new())
}

async fn tracking(call: Call) -> Answer {
    let vhost = call.vhost()?;
    let found = find_by_name(call.param("queue"), |name| vhost.queue(name).ok());
    found.ok_or_else(|| ApiError::not_found("queue_not_found"))?;
    call.one(json!({ "offsets": {}, "publishers": {} }))
}

async fn no_traces(_call: Call) -> Answer {
    Err(ApiError::bad_request(
        "traces are not written to files here: switch tracing on (rabbitmqctl trace_on) and bind a queue to amq.rabbitmq.trace",
    ))
}

async fn nothing(_call: Call) -> Answer {
    Err(ApiError::NoObject)
}
