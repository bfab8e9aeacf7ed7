//! What operators do to a node: `/api/reset`, `/api/config/effective`.

use serde_json::json;

use crate::admin::attempts::of_amqp;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/reset").delete(Right::Administrator, "Forgets who tried to log in", reset),
        Resource::at("/api/reset/{node}").delete(Right::Administrator, "Forgets who tried to log in", reset),
        Resource::at("/api/config/effective").get(
            Right::Administrator,
            "The configuration that is in force, as text, without secrets",
            config,
        ),
    ]
}

async fn reset(call: Call) -> Answer {
    if call.path.get("node").is_some() {
        call.node()?;
    }
    call.api.attempts.reset(of_amqp(&call.api));
    Ok(answer::no_content())
}

async fn config(call: Call) -> Answer {
    let host = call.api.node.host();
    call.one(json!({ "config_files": host.config_files, "settings": host.settings }))
}
