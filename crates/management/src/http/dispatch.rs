//! What happens to every request before and after its handler, in RabbitMQ's order: method, credentials, right, type, body.

use std::sync::Arc;

use axum::RequestPartsExt as _;
use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, AUTHORIZATION};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use tokio::time::timeout;

use crate::auth::{self, Peer};
use crate::error::ApiError;
use crate::http::call::{Call, PathParams};
use crate::http::query::Query;
use crate::http::routes::{Answer, Operation, Resource};
use crate::http::{answer, cors};
use crate::limits::BODY_TIMEOUT;
use crate::state::Api;

/// Answers a request to `resource`.
pub(crate) async fn dispatch(api: Api, resource: Arc<Resource>, request: Request) -> Response {
    let asked = request.headers().clone();
    let is_options = request.method() == Method::OPTIONS;
    let mut response = if is_options {
        options(&resource)
    } else {
        carry_out(&api, &resource, request).await.unwrap_or_else(IntoResponse::into_response)
    };
    decorate(&api, response.headers_mut());
    let is_shared = cors::allow_origin(&api.config.cors, &asked, response.headers_mut());
    if is_shared && is_options {
        cors::allow_methods(&api.config.cors, &resource.allowed(), &asked, response.headers_mut());
    }
    response
}

/// Answers a request to a path that there is not.
pub(crate) async fn nowhere(api: Api) -> Response {
    let mut response = ApiError::NoObject.into_response();
    decorate(&api, response.headers_mut());
    response
}

fn options(resource: &Resource) -> Response {
    let mut response = answer::empty(StatusCode::OK);
    let methods = HeaderValue::from_str(&resource.allowed()).ok();
    response.headers_mut().extend(methods.map(|methods| (ALLOW, methods)));
    response
}

async fn carry_out(api: &Api, resource: &Resource, request: Request) -> Answer {
    let Some(operation) = resource.operation(request.method()) else {
        return Err(ApiError::MethodNotAllowed(resource.allowed()));
    };
    let (mut parts, body) = request.into_parts();
    let path = path_params(&mut parts).await?;
    let peer = parts.extensions.get::<Peer>().copied();
    let peer = peer.ok_or_else(|| ApiError::Internal("a request from nowhere".to_owned()))?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    take_credentials_of_link(resource, &query, &mut parts.headers);
    let access = auth::authorize(api, operation.right, peer, &parts.headers, &path).await?;
    check_acceptable(operation, &parts.headers)?;
    let body = read(body, api.config.body_bytes_max).await?;
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    let call = Call { api: api.clone(), access, method, path, query, headers: parts.headers, body };
    (operation.handler)(call).await
}

async fn path_params(parts: &mut Parts) -> Result<PathParams, ApiError> {
    let params = parts.extract::<RawPathParams>().await.map_err(|error| ApiError::bad_request(error.to_string()))?;
    Ok(PathParams(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
}

/// Only JSON is spoken; RabbitMQ also knows Erlang's own format, which nobody asks for without taking anything else.
fn check_acceptable(operation: &Operation, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(accept) = headers.get(ACCEPT).filter(|_| !operation.is_any_type) else { return Ok(()) };
    let accept = String::from_utf8_lossy(accept.as_bytes());
    let mut types = accept.split(',').filter_map(|range| range.split(';').next()).map(str::trim);
    let is_fine = types.any(|range| matches!(range, "" | "*" | "*/*" | "application/*" | "application/json"));
    if is_fine { Ok(()) } else { Err(ApiError::NotAcceptable) }
}

async fn read(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    match timeout(BODY_TIMEOUT, axum::body::to_bytes(body, bytes_max)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the body of an HTTP request is too large or did not come");
            Err(ApiError::bad_request("Exceeded HTTP request body size limit"))
        }
        Err(_) => Err(ApiError::bad_request("the body of the request did not come in time")),
    }
}

/// Definitions are also let out to who writes the credentials into the link to them.
fn take_credentials_of_link(resource: &Resource, query: &Query, headers: &mut HeaderMap) {
    let Some(link) = query.get("auth").filter(|_| resource.path.starts_with("/api/definitions")) else { return };
    if !headers.contains_key(AUTHORIZATION) {
        headers.extend(HeaderValue::try_from(format!("Basic {link}")).ok().map(|basic| (AUTHORIZATION, basic)));
    }
}

fn decorate(api: &Api, headers: &mut HeaderMap) {
    for (name, value) in &api.config.headers {
        let name = HeaderName::try_from(name.as_str()).ok();
        headers.extend(name.zip(HeaderValue::from_str(value).ok()));
    }
}
