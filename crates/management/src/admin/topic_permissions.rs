//! Permissions for the routing keys of topic exchanges: `/api/topic-permissions`.

use leveret_server::engine::admin::UserTopicPermission;
use serde_json::{Value, json};

use crate::admin::permissions::{is_nothing, pattern};
use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/topic-permissions").get(Right::Administrator, "All topic permissions", list),
        Resource::at("/api/topic-permissions/{vhost}/{user}")
            .get(Right::Administrator, "The topic permissions of a user in a vhost", of_both)
            .put(
                Right::Administrator,
                "Sets a topic permission: {\"exchange\", \"write\", \"read\"}, patterns over routing keys",
                put,
            )
            .delete(Right::Administrator, "Takes a user's topic permissions in a vhost away", delete),
        Resource::at("/api/topic-permissions/{vhost}/{user}/{exchange}")
            .get(Right::Administrator, "The topic permission of a user for an exchange", of_both)
            .delete(Right::Administrator, "Takes a user's topic permission for an exchange away", delete),
        Resource::at("/api/vhosts/{vhost}/topic-permissions").get(
            Right::Administrator,
            "The topic permissions in a vhost",
            in_vhost,
        ),
        Resource::at("/api/users/{user}/topic-permissions").get(
            Right::Administrator,
            "The topic permissions of a user",
            of_user,
        ),
    ]
}

fn facts(permission: &UserTopicPermission) -> Value {
    let UserTopicPermission { user, vhost, exchange, write, read } = permission;
    json!({ "user": **user, "vhost": **vhost, "exchange": **exchange, "write": write, "read": read })
}

fn those(call: &Call, wanted: impl Fn(&UserTopicPermission) -> bool) -> Vec<Value> {
    let permissions = call.api.broker().topic_permissions();
    permissions.iter().filter(|permission| wanted(permission)).map(facts).collect()
}

async fn list(call: Call) -> Answer {
    call.list(those(&call, |_| true))
}

async fn in_vhost(call: Call) -> Answer {
    let vhost = call.vhost()?;
    call.list(those(&call, |permission| permission.vhost == vhost.name))
}

async fn of_user(call: Call) -> Answer {
    let user = call.user()?;
    call.list(those(&call, |permission| permission.user == user.name))
}

async fn of_both(call: Call) -> Answer {
    let (vhost, user) = call.vhost_and_user().ok_or(ApiError::NoObject)?;
    let exchange = call.path.get("exchange").map(|_| call.exchange_param("exchange"));
    let found = those(&call, |permission| {
        let is_exchange = exchange.is_none_or(|exchange| *permission.exchange == *exchange);
        is_exchange && *permission.user == *user && *permission.vhost == *vhost
    });
    if found.is_empty() { Err(ApiError::NoObject) } else { call.list(found) }
}

async fn put(call: Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["exchange", "write", "read"])?;
    let [exchange, write, read] = ["exchange", "write", "read"].map(|name| pattern(&fields, name));
    let (vhost, user) = call.vhost_and_user().ok_or_else(|| ApiError::bad_request("vhost_or_user_not_found"))?;
    let exchange = match exchange? {
        "amq.default" => "",
        other => other,
    };
    let broker = call.api.broker();
    let done = broker.set_topic_permissions(&user, &vhost, exchange, write?, read?, call.access.name());
    call.put_done(done).await
}

async fn delete(call: Call) -> Answer {
    let (vhost, user) = call.vhost_and_user().ok_or(ApiError::NoObject)?;
    let exchange = call.path.get("exchange").map(|_| call.exchange_param("exchange"));
    let done = call.api.broker().clear_topic_permissions(&user, &vhost, exchange, call.access.name());
    if done.as_ref().is_err_and(is_nothing) {
        return Ok(answer::no_content());
    }
    call.done(done).await
}
