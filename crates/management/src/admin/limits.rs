//! How much vhosts and users may have: `/api/vhost-limits`, `/api/user-limits`.

use leveret_server::engine::admin::{UserLimit, VhostLimit};
use leveret_server::engine::vhost::VhostLimits;
use serde_json::{Map, Value, json};

use crate::admin::policies::erlang;
use crate::admin::users;
use crate::error::ApiError;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/vhost-limits").get(
            Right::VhostVisible,
            "The limits of the vhosts that the user sees",
            of_vhosts,
        ),
        Resource::at("/api/vhost-limits/{vhost}").get(Right::VhostVisible, "The limits of a vhost", of_vhosts),
        Resource::at("/api/vhost-limits/{vhost}/{name}")
            .put(
                Right::Administrator,
                "Limits a vhost: max-connections or max-queues {\"value\": n}, a negative number for no limit",
                put_vhost,
            )
            .delete(Right::Administrator, "Lifts a limit of a vhost", delete_vhost),
        Resource::at("/api/user-limits").get(Right::User, "The limits of the users whom the user sees", of_users),
        Resource::at("/api/user-limits/{user}").get(Right::User, "The limits of a user", of_users),
        Resource::at("/api/user-limits/{user}/{name}")
            .put(
                Right::Administrator,
                "Limits a user: max-connections or max-channels {\"value\": n}, a negative number for no limit",
                put_user,
            )
            .delete(Right::Administrator, "Lifts a limit of a user", delete_user),
    ]
}

async fn of_vhosts(call: Call) -> Answer {
    let mut vhosts = call.vhosts()?;
    vhosts.retain(|vhost| vhost.limits() != VhostLimits::default());
    call.list(vhosts.iter().map(|vhost| json!({ "vhost": *vhost.name, "value": value_of(vhost.limits()) })).collect())
}

fn value_of(limits: VhostLimits) -> Value {
    let named = [("max-connections", limits.connections_max), ("max-queues", limits.queues_max)];
    let set = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
    Value::Object(set.collect::<Map<_, _>>())
}

async fn of_users(call: Call) -> Answer {
    let mut users = match call.path.get("user") {
        Some(_) => vec![call.user()?],
        None => call.api.broker().users(),
    };
    users.retain(|user| call.access.sees_user(&user.name));
    let rows = users.iter().map(|user| json!({ "user": *user.name, "value": users::limits(user.limits()) }));
    call.list(rows.filter(|row| row.get("value") != Some(&json!({}))).collect())
}

/// The number in the body.
fn value(call: &Call) -> Result<Value, ApiError> {
    let fields = call.fields()?;
    fields.require(&["value"])?;
    Ok(fields.0.get("value").cloned().unwrap_or_default())
}

fn number(name: &str, value: &Value) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| format!("{name} should be a number, actually was {}", erlang(value)))
}

async fn put_vhost(call: Call) -> Answer {
    let vhost = call.vhost()?;
    let (name, value) = (call.param("name"), value(&call)?);
    let invalid = |reason: String| ApiError::bad_request(format!("Validation failed\n\n{reason}\n"));
    let limit = VhostLimit::parse(name);
    let limit =
        limit.ok_or_else(|| invalid(format!("Unrecognised terms [{{<<{name:?}>>,{}}}] in limits", erlang(&value))))?;
    let number = number(name, &value).map_err(invalid)?;
    let done = call.api.broker().set_vhost_limit(&vhost.name, limit, Some(number), call.access.name());
    call.done(done).await
}

async fn delete_vhost(call: Call) -> Answer {
    let vhost = call.vhost()?;
    let limit = VhostLimit::parse(call.param("name")).ok_or(ApiError::NoObject)?;
    let done = call.api.broker().set_vhost_limit(&vhost.name, limit, None, call.access.name());
    call.done(done).await
}

async fn put_user(call: Call) -> Answer {
    let (name, value) = (call.param("name"), value(&call)?);
    let user = known_user(&call)?;
    let unknown = || format!("Unrecognised terms [{{<<{name:?}>>,{}}}] in user-limits", erlang(&value));
    let limit = UserLimit::parse(name).ok_or_else(|| ApiError::bad_request(unknown()))?;
    let number = number(name, &value).map_err(ApiError::bad_request)?;
    let done = call.api.broker().set_user_limit(&user, limit, Some(number), call.access.name());
    call.done(done).await
}

async fn delete_user(call: Call) -> Answer {
    let user = known_user(&call)?;
    let limit = UserLimit::parse(call.param("name")).ok_or(ApiError::NoObject)?;
    let done = call.api.broker().set_user_limit(&user, limit, None, call.access.name());
    call.done(done).await
}

fn known_user(call: &Call) -> Result<String, ApiError> {
    let broker = call.api.broker();
    let known = find_by_name(call.param("user"), |name| broker.user(name));
    known.map(|user| user.name.to_string()).ok_or(ApiError::NoObject)
}
