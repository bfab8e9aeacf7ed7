//! Parameters of no vhost: `/api/global-parameters`.

use leveret_server::engine::admin::GlobalParameter;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/global-parameters").get(Right::Policymaker, "All global parameters", list),
        Resource::at("/api/global-parameters/{name}")
            .get(Right::Policymaker, "A global parameter", get)
            .put(Right::Policymaker, "Sets a global parameter: {\"value\": ...}", put)
            .delete(Right::Policymaker, "Clears a global parameter", delete),
    ]
}

/// The parameter with the tags of the cluster, which is always there.
pub(super) const CLUSTER_TAGS: &str = "cluster_tags";

/// All global parameters; a node of RabbitMQ's always has tags, if none in particular.
fn all(call: &Call) -> Vec<GlobalParameter> {
    let mut parameters = call.api.broker().global_parameters();
    if !parameters.iter().any(|parameter| *parameter.name == *CLUSTER_TAGS) {
        parameters.push(GlobalParameter { name: CLUSTER_TAGS.into(), value: json!({}) });
    }
    parameters
}

fn facts(parameter: &GlobalParameter) -> Value {
    json!({ "name": *parameter.name, "value": parameter.value })
}

async fn list(call: Call) -> Answer {
    call.list(all(&call).iter().map(facts).collect())
}

fn existing(call: &Call) -> Result<GlobalParameter, ApiError> {
    let mut parameters = all(call);
    let place = find_by_name(call.param("name"), |name| parameters.iter().position(|known| *known.name == *name));
    place.map(|place| parameters.swap_remove(place)).ok_or(ApiError::NoObject)
}

async fn get(call: Call) -> Answer {
    call.one(facts(&existing(&call)?))
}

async fn put(call: Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["value"])?;
    let value = fields.0.get("value").cloned().unwrap_or_default();
    let done = call.api.broker().set_global_parameter(call.param("name"), value, call.access.name());
    call.put_done(done).await
}

async fn delete(call: Call) -> Answer {
    let known = existing(&call)?;
    let done = call.api.broker().clear_global_parameter(&known.name, call.access.name());
    call.done(done).await
}
