//! Definitions: everything that was set up, as a document: `/api/definitions`.

use axum::response::Response;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use leveret_server::engine::definitions::{DefinitionsError, DefinitionsFacts, Options, export, export_vhost, import};
use leveret_server::node::RABBITMQ_VERSION;
use serde_json::Value;

use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::multipart;
use crate::http::routes::{Answer, Resource, Right};

/// The field of a form that holds an uploaded document.
const FILE: &str = "file";

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/definitions")
            .get(Right::Administrator, "Everything that was set up, as a document", get)
            .post(Right::Administrator, "Sets up what a document says, beside what is there", post),
        Resource::at("/api/definitions/{vhost}")
            .get(Right::Administrator, "Everything that was set up in a vhost", get)
            .post(Right::Administrator, "Sets up in a vhost what a document says", post),
        Resource::at("/api/all-configuration").get(Right::Administrator, "The same as definitions (legacy)", get).post(
            Right::Administrator,
            "The same as definitions (legacy)",
            post,
        ),
    ]
}

async fn get(call: Call) -> Answer {
    let vhost = call.path.get("vhost").map(|_| call.vhost()).transpose();
    let vhost = vhost.map_err(|_| ApiError::bad_request("vhost_not_found"))?;
    let (api, config) = (call.api.clone(), call.api.config.clone());
    let exported = tokio::task::spawn_blocking(move || {
        let facts = DefinitionsFacts {
            rabbitmq_version: RABBITMQ_VERSION,
            product_name: &config.product_name,
            product_version: &config.product_version,
        };
        match vhost {
            None => export(api.broker(), &facts),
            Some(vhost) => export_vhost(api.broker(), &vhost, &facts),
        }
    });
    let exported = exported.await.map_err(|error| ApiError::Internal(error.to_string()))?;
    let mut response = call.one(exported)?;
    if let Some(name) = call.query.get("download") {
        // Nothing but the name goes into the header.
        let name: String = name.chars().filter(|letter| !letter.is_control() && *letter != '"').collect();
        let value = HeaderValue::from_str(&format!("attachment; filename={name}")).ok();
        response.headers_mut().extend(value.map(|value| (CONTENT_DISPOSITION, value)));
    }
    Ok(response)
}

async fn post(call: Call) -> Answer {
    let vhost = call.path.get("vhost").map(|_| call.vhost()).transpose()?;
    let content_type = call.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let form = multipart::boundary(&content_type);
    let document = match &form {
        None => call.body.clone(),
        Some(boundary) => {
            let file =
                multipart::field(&call.body, boundary, FILE).or_else(|| multipart::field(&call.body, boundary, ""));
            call.body.slice_ref(file.ok_or_else(|| ApiError::bad_request("the form has no field 'file'"))?)
        }
    };
    let is_form = form.is_some();
    let document: Value = match document.trim_ascii() {
        b"" => Value::Object(serde_json::Map::new()),
        text => serde_json::from_slice(text).map_err(|_| ApiError::bad_request("failed_to_parse_json"))?,
    };
    if !document.is_object() {
        return Err(ApiError::bad_request("failed_to_parse_json"));
    }
    let (api, actor) = (call.api.clone(), call.access.name().to_owned());
    let imported = tokio::task::spawn_blocking(move || {
        let options = Options { vhost: vhost.as_ref().map(|vhost| &*vhost.name), actor: &actor };
        import(api.broker(), &document, options)
    });
    let imported = imported.await.map_err(|error| ApiError::Internal(error.to_string()))?.map_err(refusal)?;
    for skipped in &imported.skipped {
        tracing::warn!("{skipped}");
    }
    call.api.durable(imported.lsn).await?;
    Ok(imported_answer(&call, is_form))
}

fn refusal(error: DefinitionsError) -> ApiError {
    let refusal = ApiError::bad_request(error.to_string());
    if matches!(error, DefinitionsError::Setting { .. }) { refusal.fit_for_a_page() } else { refusal }
}

/// A page may want to be sent on to another after its upload.
fn imported_answer(call: &Call, is_form: bool) -> Response {
    if !is_form {
        return answer::no_content();
    }
    let redirect = multipart::boundary(&call.header(CONTENT_TYPE.as_str()).unwrap_or_default())
        .and_then(|boundary| multipart::field(&call.body, &boundary, "redirect").map(<[u8]>::to_vec))
        .and_then(|redirect| String::from_utf8(redirect).ok())
        // To a page of ours, and of nobody else.
        .filter(|redirect| redirect.starts_with('#') || is_own_path(redirect));
    redirect.map_or_else(answer::no_content, |redirect| answer::see_other(&redirect))
}

/// Whether a browser stays with us when it is sent there.
fn is_own_path(place: &str) -> bool {
    place.strip_prefix('/').is_some_and(|rest| !rest.starts_with(['/', '\\']))
}
