//! What happens to every request before and after its handler, in RabbitMQ's order: method, credentials, right, type, body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::RequestPartsExt as _;
use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, AUTHORIZATION};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::auth::{self, Peer};
use crate::error::ApiError;
use crate::http::call::{Call, PathParams};
use crate::http::query::Query;
use crate::http::routes::{Answer, Operation, Resource, Right};
use crate::http::{answer, cors};
use crate::limits::{BODY_TIMEOUT, OPEN_BODY_BYTES_MAX};
use crate::messaging::stats::check_spans;
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
    check_spans(&query)?;
    let body = read(body, body_bytes_max(api, operation)).await?;
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    let call = Call { api: api.clone(), access, method, path, query, headers: parts.headers, body };
    Apart((operation.handler)(call)).await
}

/// Carries a handler out where it may take its time: to write a list of all queues, or to read a large body from the disk.
struct Apart<F>(F);

impl<F: Future + Unpin> Future for Apart<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let handler = Pin::new(&mut self.get_mut().0);
        match Handle::current().runtime_flavor() {
            // Others go on with what else this thread would do.
            RuntimeFlavor::MultiThread => block_in_place(|| handler.poll(context)),
            _ => handler.poll(context),
        }
    }
}

/// Who has no credentials has little to say.
fn body_bytes_max(api: &Api, operation: &Operation) -> usize {
    let bytes_max = api.config.body_bytes_max;
    if operation.right == Right::Open { bytes_max.min(OPEN_BODY_BYTES_MAX) } else { bytes_max }
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_handler_that_takes_its_time_holds_nobody_up() {
        let handler = poll_fn(|_| {
            let (done, others) = channel();
            tokio::spawn(async move { done.send(()) });
            Poll::Ready(others.recv_timeout(Duration::from_secs(30)))
        });
        assert_eq!(tokio::spawn(Apart(handler)).await.unwrap(), Ok(()));
    }
}
