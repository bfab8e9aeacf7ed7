//! What is asked of the members of quorum queues: there is one node, and it has them all.

use leveret_server::engine::queue::Queue;
use leveret_server::engine::queue::arguments::QueueType;
use serde_json::json;

use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    let admin = Right::Administrator;
    vec![
        Resource::at("/api/queues/quorum/{vhost}/{queue}/status").get(admin, "The members of a quorum queue", status),
        Resource::at("/api/queues/quorum/{vhost}/{queue}/replicas/add").post(
            admin,
            "Nothing: this node is a member",
            stay,
        ),
        Resource::at("/api/queues/quorum/{vhost}/{queue}/replicas/delete").delete(
            admin,
            "Nothing: this node stays a member",
            stay,
        ),
        Resource::at("/api/queues/quorum/replicas/on/{node}/grow").post(admin, "Nothing: this node has all", nothing),
        Resource::at("/api/queues/quorum/replicas/on/{node}/shrink").delete(
            admin,
            "Nothing: this node keeps all",
            nothing,
        ),
        Resource::at("/api/rebalance/queues").post(admin, "Nothing: this node leads all queues", nothing),
    ]
}

fn quorum_queue(call: &Call) -> Result<std::sync::Arc<Queue>, ApiError> {
    let (_, queue) = call.queue()?;
    match queue.settings.queue_type {
        QueueType::Quorum => Ok(queue),
        other => Err(ApiError::bad_request(format!("queue '{}' is of type {other}, not quorum", queue.name))),
    }
}

async fn status(call: Call) -> Answer {
    let queue = quorum_queue(&call)?;
    let last = queue.report().happened.publish;
    call.one(json!([{
        "Node Name": call.api.node.name(),
        "Raft State": "leader",
        "Membership": "voter",
        "Last Log Index": last,
        "Last Written": last,
        "Last Applied": last,
        "Commit Index": last,
        "Snapshot Index": 0,
        "Term": 1,
        "Machine Version": 7,
    }]))
}

async fn stay(call: Call) -> Answer {
    quorum_queue(&call).map(|_| answer::no_content())
}

async fn nothing(_: Call) -> Answer {
    Ok(answer::no_content())
}
