//! Runtime parameters: `/api/parameters`.

use leveret_server::engine::admin::Parameter;
use leveret_server::engine::policy::PolicyKind;
use serde_json::{Value, json};

use crate::admin::policies::check_writable;
use crate::error::ApiError;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};

/// The component of operator policies.
const OPERATOR_POLICY: &str = "operator_policy";

/// The component of vhosts' limits.
const VHOST_LIMITS: &str = "vhost-limits";

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/parameters").get(Right::Policies, "The parameters that the user sees", list),
        Resource::at("/api/parameters/{component}").get(Right::Policies, "The parameters of a component", list),
        Resource::at("/api/parameters/{component}/{vhost}").get(
            Right::Policies,
            "The parameters of a component in a vhost",
            list,
        ),
        Resource::at("/api/parameters/{component}/{vhost}/{name}")
            .get(Right::Policies, "A parameter", get)
            .put(Right::Policies, "Sets a parameter: {\"value\": ...}", put)
            .delete(Right::Policies, "Clears a parameter", delete),
    ]
}

fn facts(parameter: &Parameter) -> Value {
    let Parameter { vhost, component, name, value } = parameter;
    json!({ "value": value, "vhost": **vhost, "component": **component, "name": **name })
}

async fn list(call: Call) -> Answer {
    let vhost = call.path.get("vhost").map(|_| call.vhost()).transpose()?;
    let mut parameters =
        call.api.broker().parameters(call.path.get("component"), vhost.as_ref().map(|vhost| &*vhost.name));
    parameters.retain(|parameter| call.access.is_administrator() || call.access.may_enter(&parameter.vhost));
    call.list(parameters.iter().map(facts).collect())
}

impl Call {
    /// The parameter that the path names.
    fn parameter(&self) -> Option<Parameter> {
        let vhost = self.vhost().ok()?;
        let mut parameters = self.api.broker().parameters(Some(self.param("component")), Some(&vhost.name));
        let place = find_by_name(self.param("name"), |name| parameters.iter().position(|known| *known.name == *name))?;
        Some(parameters.swap_remove(place))
    }
}

async fn get(call: Call) -> Answer {
    call.one(facts(&call.parameter().ok_or(ApiError::NoObject)?))
}

/// What has paths of its own that are not for everybody can be reached as a parameter, too: by the same people.
fn check_component(call: &Call) -> Result<(), ApiError> {
    let component = call.param("component");
    if !matches!(component, OPERATOR_POLICY | VHOST_LIMITS) {
        return Ok(());
    }
    if !call.access.is_administrator() {
        return Err(ApiError::not_authorised("Not administrator user"));
    }
    if component == OPERATOR_POLICY { check_writable(call, PolicyKind::Operator) } else { Ok(()) }
}

async fn put(call: Call) -> Answer {
    check_component(&call)?;
    let vhost = call.vhost()?;
    let fields = call.fields()?;
    fields.require(&["value"])?;
    let value = fields.0.get("value").cloned().unwrap_or_default();
    let broker = call.api.broker();
    let done =
        broker.set_parameter(&vhost.name, call.param("component"), call.param("name"), value, call.access.name());
    call.put_done(done).await.map_err(ApiError::fit_for_a_page)
}

async fn delete(call: Call) -> Answer {
    check_component(&call)?;
    let Parameter { vhost, component, name, .. } = call.parameter().ok_or(ApiError::NoObject)?;
    let done = call.api.broker().clear_parameter(&vhost, &component, &name, call.access.name());
    call.done(done).await
}
