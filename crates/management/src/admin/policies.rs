//! Policies and operator policies: `/api/policies`, `/api/operator-policies`.

use leveret_server::engine::admin::AdminError;
use leveret_server::engine::json::{json_of_table, table_of_json};
use leveret_server::engine::policy::{ApplyTo, NewPolicy, Policy, PolicyKind};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::body::Fields;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    let of_users = PolicyKind::User;
    let of_operators = PolicyKind::Operator;
    vec![
        Resource::at("/api/policies")
            .get(Right::Vhost, "The policies that the user sees", move |call| list(call, of_users)),
        Resource::at("/api/policies/{vhost}")
            .get(Right::Vhost, "The policies of a vhost", move |call| list(call, of_users)),
        Resource::at("/api/policies/{vhost}/{name}")
            .get(Right::Policies, "A policy", move |call| get(call, of_users))
            .put(
                Right::Policies,
                "Makes or changes a policy: {\"pattern\", \"definition\", \"priority\", \"apply-to\"}",
                move |call| put(call, of_users),
            )
            .delete(Right::Policies, "Removes a policy", move |call| delete(call, of_users)),
        Resource::at("/api/operator-policies").get(
            Right::Vhost,
            "The operator policies that the user sees",
            move |call| list(call, of_operators),
        ),
        Resource::at("/api/operator-policies/{vhost}").get(
            Right::Vhost,
            "The operator policies of a vhost",
            move |call| list(call, of_operators),
        ),
        Resource::at("/api/operator-policies/{vhost}/{name}")
            .get(Right::Policies, "An operator policy", move |call| get(call, of_operators))
            .put(
                Right::Administrator,
                "Makes or changes an operator policy: {\"pattern\", \"definition\", \"priority\", \"apply-to\"}",
                move |call| put(call, of_operators),
            )
            .delete(Right::Administrator, "Removes an operator policy", move |call| delete(call, of_operators)),
    ]
}

fn facts(vhost: &str, policy: &Policy) -> Value {
    json!({
        "vhost": vhost,
        "name": &*policy.name,
        "pattern": policy.pattern(),
        "apply-to": policy.apply_to.as_str(),
        "definition": json_of_table(&policy.definition),
        "priority": policy.priority,
    })
}

async fn list(call: Call, kind: PolicyKind) -> Answer {
    let mut rows = Vec::new();
    for vhost in call.vhosts()? {
        rows.extend(vhost.policies(kind).iter().map(|policy| facts(&vhost.name, policy)));
    }
    call.list(rows)
}

async fn get(call: Call, kind: PolicyKind) -> Answer {
    let vhost = call.vhost()?;
    let policies = vhost.policies(kind);
    let found = find_by_name(call.param("name"), |name| policies.iter().find(|policy| *policy.name == *name));
    call.one(facts(&vhost.name, found.ok_or(ApiError::NoObject)?))
}

async fn put(call: Call, kind: PolicyKind) -> Answer {
    check_writable(&call, kind)?;
    let vhost = call.vhost()?;
    let fields = call.fields()?;
    fields.require(&["pattern", "definition"])?;
    let policy = new_policy(call.param("name"), &fields).map_err(|error| escaped(error, kind))?;
    let done = call.api.broker().set_policy(&vhost.name, kind, policy, call.access.name());
    call.put_done(done).await.map_err(|error| escaped(error, kind))
}

fn new_policy(name: &str, fields: &Fields) -> Result<NewPolicy, ApiError> {
    let invalid = |reason: String| ApiError::bad_request(format!("Validation failed\n\n{reason}\n"));
    let pattern = fields.text("pattern").ok_or_else(|| invalid("pattern should be a binary".to_owned()))?;
    let definition = fields.get("definition").filter(|definition| definition.is_object());
    let definition = definition.ok_or_else(|| invalid("definition should be a list".to_owned()))?;
    let definition = table_of_json(definition).map_err(|error| invalid(error.to_string()))?;
    let apply_to = match fields.get("apply-to") {
        None => ApplyTo::All,
        Some(Value::String(name)) => ApplyTo::parse(name).map_err(|error| ApiError::from(AdminError::from(error)))?,
        Some(other) => return Err(invalid(format!("apply-to should be a binary, actually was {other}"))),
    };
    let priority = match fields.get("priority") {
        None => 0,
        Some(value) => {
            let number = fields.integer("priority").ok().flatten().filter(|_| !value.is_boolean());
            number.ok_or_else(|| invalid(format!("priority should be a number, actually was {}", erlang(value))))?
        }
    };
    Ok(NewPolicy { name: name.to_owned(), pattern: pattern.to_owned(), apply_to, priority, definition })
}

/// A value as RabbitMQ's texts have it.
pub(super) fn erlang(value: &Value) -> String {
    match value {
        Value::String(text) => format!("<<{}>>", Value::from(text.as_str())),
        other => other.to_string(),
    }
}

/// RabbitMQ makes its texts about policies, though not about operators', fit for a page.
fn escaped(error: ApiError, kind: PolicyKind) -> ApiError {
    if kind == PolicyKind::User { error.fit_for_a_page() } else { error }
}

async fn delete(call: Call, kind: PolicyKind) -> Answer {
    check_writable(&call, kind)?;
    let vhost = call.vhost()?;
    let policies = vhost.policies(kind);
    let is_there = |name: &str| policies.iter().any(|policy| *policy.name == *name).then(|| name.to_owned());
    let name = find_by_name(call.param("name"), is_there).ok_or(ApiError::NoObject)?;
    let done = call.api.broker().clear_policy(&vhost.name, kind, &name, call.access.name());
    call.done(done).await
}

/// Operators may keep their policies out of the API's reach (`management.restrictions.operator_policy_changes.disabled`).
pub(super) fn check_writable(call: &Call, kind: PolicyKind) -> Result<(), ApiError> {
    if kind == PolicyKind::User || call.api.config.operator_policies_writable {
        return Ok(());
    }
    Err(ApiError::MethodNotAllowed("HEAD, GET, OPTIONS".to_owned()))
}
