//! The cluster's name, of which there is one node, and the version: `/api/cluster-name`, `/api/version`, `/api/extensions`.

use serde_json::json;

use crate::error::ApiError;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/cluster-name").get(Right::User, "The name of the cluster", get).put(
            Right::Administrator,
            "Sets the name of the cluster: {\"name\": \"...\"}",
            put,
        ),
        Resource::at("/api/version").get(Right::User, "The version of RabbitMQ that this broker behaves like", version),
        Resource::at("/api/extensions").get(Right::User, "Extensions of the web page: none", extensions),
    ]
}

async fn get(call: Call) -> Answer {
    let name = call.api.broker().cluster_name();
    call.one(json!({ "name": name }))
}

async fn put(call: Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["name"])?;
    let name = fields.text("name").ok_or_else(|| ApiError::bad_request("name: not a string"))?;
    let done = call.api.broker().set_cluster_name(name, call.access.name());
    call.done(done).await
}

async fn version(call: Call) -> Answer {
    call.one(json!(leveret_server::node::RABBITMQ_VERSION))
}

async fn extensions(call: Call) -> Answer {
    call.list::<serde_json::Value>(Vec::new())
}
