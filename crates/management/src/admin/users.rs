//! Users: `/api/users`.

use std::sync::Arc;

use leveret_server::engine::admin::{NewUser, Password};
use leveret_server::engine::password::HashingAlgorithm;
use leveret_server::engine::user::{User, UserLimits};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::http::answer;
use crate::http::body::Fields;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/users").get(Right::Administrator, "All users", list),
        Resource::at("/api/users/without-permissions").get(
            Right::Administrator,
            "Users who have no permissions in any vhost",
            without_permissions,
        ),
        Resource::at("/api/users/bulk-delete").post(
            Right::Administrator,
            "Deletes several users: {\"users\": [\"...\"]}",
            bulk_delete,
        ),
        Resource::at("/api/users/{user}")
            .get(Right::Administrator, "A user", get)
            .put(
                Right::Administrator,
                "Makes or changes a user: {\"password\" or \"password_hash\" [, \"hashing_algorithm\"], \"tags\"}",
                put,
            )
            .delete(Right::Administrator, "Deletes a user and closes its connections", delete),
    ]
}

impl Call {
    /// The user that the path names.
    ///
    /// # Errors
    /// 404
    pub(super) fn user(&self) -> Result<Arc<User>, ApiError> {
        let broker = self.api.broker();
        find_by_name(self.param("user"), |name| broker.user(name)).ok_or(ApiError::NoObject)
    }
}

async fn list(call: Call) -> Answer {
    let users = call.api.broker().users();
    call.list(users.iter().map(|user| facts(user)).collect())
}

async fn without_permissions(call: Call) -> Answer {
    let users = call.api.broker().users();
    call.list(users.iter().filter(|user| user.rights().permissions.is_empty()).map(|user| facts(user)).collect())
}

async fn get(call: Call) -> Answer {
    call.one(facts(&*call.user()?))
}

fn facts(user: &User) -> Value {
    json!({
        "name": &*user.name,
        "password_hash": user.password_hash(),
        "hashing_algorithm": user.hashing_algorithm().as_str(),
        "tags": user.tags(),
        "limits": limits(user.limits()),
    })
}

/// The limits of a user as RabbitMQ writes them; nothing for none.
pub(super) fn limits(limits: UserLimits) -> Value {
    let named = [("max-connections", limits.connections_max), ("max-channels", limits.channels_max)];
    let set = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
    Value::Object(set.collect::<Map<_, _>>())
}

async fn put(call: Call) -> Answer {
    let fields = call.fields()?;
    let new = NewUser { password: password(&fields)?, tags: tags(&fields)? };
    let known = call.user().ok().map(|user| user.name.to_string());
    let name = known.unwrap_or_else(|| call.param("user").to_owned());
    let (broker, actor) = (call.api.broker().clone(), call.access.name().to_owned());
    // The hash may be made to cost much.
    let put = tokio::task::spawn_blocking(move || broker.put_user(&name, &new, &actor)).await;
    call.put_done(put.map_err(|error| ApiError::Internal(error.to_string()))?).await
}

fn password(fields: &Fields) -> Result<Password, ApiError> {
    match (fields.checked_text("password")?, fields.checked_text("password_hash")?) {
        (Some(_), Some(_)) => Err(ApiError::bad_request("both_password_and_password_hash_are_provided")),
        // Nobody can log in by an empty one.
        (Some(password), None) => Ok(Password::Plain(password.to_owned())),
        (None, Some(hash)) => Ok(Password::Hash { hash: hash.to_owned(), algorithm: algorithm(fields)? }),
        // Without either nobody can log in by password as this user any more, as with RabbitMQ.
        (None, None) => Ok(Password::None),
    }
}

fn algorithm(fields: &Fields) -> Result<Option<HashingAlgorithm>, ApiError> {
    let Some(name) = fields.checked_text("hashing_algorithm")? else { return Ok(None) };
    let known = HashingAlgorithm::parse(name);
    known.map(Some).ok_or_else(|| ApiError::bad_request(format!("unknown hashing algorithm '{name}'")))
}

/// A list, or a text with commas.
fn tags(fields: &Fields) -> Result<Vec<String>, ApiError> {
    let tags = fields.get("tags").or_else(|| fields.get("administrator").filter(|value| value.is_boolean()));
    let tags: Vec<&str> = match tags {
        None => return Err(ApiError::bad_request("tags_not_present")),
        Some(Value::Bool(is_administrator)) => is_administrator.then_some("administrator").into_iter().collect(),
        Some(Value::String(text)) => text.split(',').collect(),
        Some(Value::Array(tags)) if tags.iter().all(Value::is_string) => {
            tags.iter().filter_map(Value::as_str).collect()
        }
        Some(_) => return Err(ApiError::bad_request("tags must be a list of strings, or a string with commas")),
    };
    Ok(tags.into_iter().map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect())
}

async fn delete(call: Call) -> Answer {
    let user = call.user()?;
    let done = call.api.broker().delete_user(&user.name, call.access.name());
    call.done(done).await
}

async fn bulk_delete(call: Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["users"])?;
    let names = fields.get("users").and_then(Value::as_array);
    let names = names.ok_or_else(|| ApiError::bad_request("users: not a list"))?;
    let broker = call.api.broker();
    let mut last = None;
    for name in names.iter().filter_map(Value::as_str) {
        // Who is gone already is not there any more, which is all that is wanted.
        if let Ok(done) = broker.delete_user(name, call.access.name()) {
            last = last.max(Some(done.lsn));
        }
    }
    if let Some(lsn) = last {
        call.api.durable(lsn).await?;
    }
    Ok(answer::no_content())
}
