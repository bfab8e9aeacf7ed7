//! Permissions of users in vhosts: `/api/permissions`.

use leveret_server::engine::admin::{AdminError, UserPermission};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::body::Fields;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/permissions").get(Right::Administrator, "All permissions", list),
        Resource::at("/api/permissions/{vhost}/{user}")
            .get(Right::Administrator, "The permissions of a user in a vhost", get)
            .put(
                Right::Administrator,
                "Sets the permissions of a user in a vhost: {\"configure\", \"write\", \"read\"}, patterns over names",
                put,
            )
            .delete(Right::Administrator, "Takes a user's permissions in a vhost away", delete),
        Resource::at("/api/vhosts/{vhost}/permissions").get(
            Right::Administrator,
            "The permissions in a vhost",
            in_vhost,
        ),
        Resource::at("/api/users/{user}/permissions").get(Right::Administrator, "The permissions of a user", of_user),
    ]
}

fn facts(permission: &UserPermission) -> Value {
    let UserPermission { user, vhost, configure, write, read } = permission;
    json!({ "user": **user, "vhost": **vhost, "configure": configure, "write": write, "read": read })
}

async fn list(call: Call) -> Answer {
    call.list(call.api.broker().permissions().iter().map(facts).collect())
}

async fn in_vhost(call: Call) -> Answer {
    let vhost = call.vhost()?;
    let mut permissions = call.api.broker().permissions();
    permissions.retain(|permission| permission.vhost == vhost.name);
    call.list(permissions.iter().map(facts).collect())
}

async fn of_user(call: Call) -> Answer {
    let user = call.user()?;
    let mut permissions = call.api.broker().permissions();
    permissions.retain(|permission| permission.user == user.name);
    call.list(permissions.iter().map(facts).collect())
}

async fn get(call: Call) -> Answer {
    let (vhost, user) = call.vhost_and_user().ok_or(ApiError::NoObject)?;
    let permissions = call.api.broker().permissions();
    let found = permissions.iter().find(|permission| *permission.user == *user && *permission.vhost == *vhost);
    call.one(found.map(facts).ok_or(ApiError::NoObject)?)
}

async fn put(call: Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["configure", "write", "read"])?;
    let [configure, write, read] = ["configure", "write", "read"].map(|name| pattern(&fields, name));
    let (vhost, user) = call.vhost_and_user().ok_or_else(|| ApiError::bad_request("vhost_or_user_not_found"))?;
    let broker = call.api.broker();
    let done = broker.set_permissions(&user, &vhost, configure?, write?, read?, call.access.name());
    call.put_done(done).await
}

async fn delete(call: Call) -> Answer {
    let (vhost, user) = call.vhost_and_user().ok_or(ApiError::NoObject)?;
    let done = call.api.broker().clear_permissions(&user, &vhost, call.access.name());
    call.done(done).await
}

/// A pattern in the body.
pub(super) fn pattern<'f>(fields: &'f Fields, name: &str) -> Result<&'f str, ApiError> {
    fields.text(name).ok_or_else(|| ApiError::bad_request(format!("{name}: not a string")))
}

impl Call {
    /// The names of vhost and user in the path, if both are there.
    pub(super) fn vhost_and_user(&self) -> Option<(String, String)> {
        let broker = self.api.broker();
        let vhost = find_by_name(self.param("vhost"), |name| broker.vhost(name))?;
        Some((vhost.name.to_string(), self.user().ok()?.name.to_string()))
    }
}

/// What is not there cannot be taken away: 204, as with RabbitMQ, or 404.
pub(super) fn is_nothing(error: &AdminError) -> bool {
    matches!(error, AdminError::Nothing { .. })
}
