//! How one logs in: `/api/auth`, `/api/login`, `/api/auth/hash_password`.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::SET_COOKIE;
use serde_json::{Value, json};

use crate::auth::{Peer, log_in};
use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::query::Query;
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/auth").get(Right::Open, "How the web page lets somebody log in", auth),
        Resource::at("/api/login")
            .post(Right::Open, "Logs in with a form of username and password, for a cookie", login)
            .delete(Right::Open, "Forgets the cookie", logout),
        Resource::at("/api/auth/hash_password").post(
            Right::Administrator,
            "The hash of a password, for definitions: {\"password\": \"...\"}",
            hash_posted,
        ),
        Resource::at("/api/auth/hash_password/{password}").get(
            Right::Administrator,
            "The hash of a password, for definitions",
            hash,
        ),
    ]
}

async fn auth(call: Call) -> Answer {
    match &call.api.config.oauth {
        None => call.one(json!({ "oauth_enabled": false })),
        Some(oauth) => call.one(Value::Object(oauth.clone())),
    }
}

async fn login(call: Call) -> Answer {
    let form = String::from_utf8_lossy(&call.body);
    let form = Query::parse(&form);
    let user = form.get("username").unwrap_or_default();
    let password = form.get("password").unwrap_or_default();
    if let Peer::Address(ip) = call.access.peer {
        let result = log_in(&call.api, user, password.as_bytes(), ip).await;
        call.api.attempts.count(ip, user, result.is_ok());
        result?;
    }
    let mut response = answer::json(&json!("ok"));
    set_cookie(&mut response, &format!("auth={}; Version=1", STANDARD.encode(format!("{user}:{password}"))));
    Ok(response)
}

async fn logout(_call: Call) -> Answer {
    let mut response = answer::no_content();
    set_cookie(&mut response, "auth=; Version=1; Max-Age=0");
    Ok(response)
}

fn set_cookie(response: &mut Response, cookie: &str) {
    response.headers_mut().extend(HeaderValue::from_str(cookie).ok().map(|cookie| (SET_COOKIE, cookie)));
}

async fn hash(call: Call) -> Answer {
    let password = call.param("password").to_owned();
    hash_of(&call, password).await
}

async fn hash_posted(call: Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["password"])?;
    let password = fields.text("password").ok_or_else(|| ApiError::bad_request("password must be a string"))?;
    hash_of(&call, password.to_owned()).await
}

async fn hash_of(call: &Call, password: String) -> Answer {
    let broker = call.api.broker().clone();
    let hashed = tokio::task::spawn_blocking(move || broker.hash_password(&password)).await;
    let hash = hashed.map_err(|error| ApiError::Internal(error.to_string()))?;
    call.one(json!({ "ok": hash.text }))
}
