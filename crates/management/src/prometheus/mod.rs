//! Metrics for Prometheus, with RabbitMQ's paths, names, labels and words, so that its dashboards work.
//!
//! Nothing is kept for a scrape: what is counted is read where it lies ([`leveret_server::statistics`]), and written as text.

mod families;
mod gather;
mod pages;
mod text;
mod whole;

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use leveret_server::node::Node;
use tokio::sync::Semaphore;

use self::gather::VhostFilter;
use crate::http::query::Query;
use crate::limits::SCRAPES_AT_ONCE;

/// How the metrics are served.
#[derive(Clone, Debug)]
pub struct Options {
    /// The path of the metrics (`prometheus.path`).
    pub path: String,
    /// They are told for each thing there too (`prometheus.return_per_object_metrics`).
    pub per_object: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { path: "/metrics".to_owned(), per_object: false }
    }
}

/// The version of the text format.
const TEXT: &str = "text/plain; version=0.0.4";

/// Serves the metrics of a node under `/metrics`.
pub fn router(node: Node) -> Router {
    router_with(node, &Options::default())
}

/// Serves the metrics of a node as told.
pub fn router_with(node: Node, options: &Options) -> Router {
    let path = format!("/{}", options.path.trim_matches('/'));
    let below = |page: &str| format!("{}/{page}", path.trim_end_matches('/'));
    let main = if options.per_object { pages::per_object } else { pages::aggregated };
    Router::new()
        .route(&path, get(move |State(scraped)| page(scraped, main)))
        .route(&below("per-object"), get(|State(scraped)| page(scraped, pages::per_object)))
        .route(&below("memory-breakdown"), get(|State(scraped)| page(scraped, pages::memory_breakdown)))
        .route(&below("detailed"), get(detailed))
        .with_state(Scraped { node, turns: Arc::new(Semaphore::new(SCRAPES_AT_ONCE)) })
}

/// What pages are made of. They are made a few at a time: nobody needs credentials for them.
#[derive(Clone)]
struct Scraped {
    node: Node,
    turns: Arc<Semaphore>,
}

async fn page(scraped: Scraped, write: impl FnOnce(&Node) -> String + Send + 'static) -> Response {
    let Scraped { node, turns } = scraped;
    let Ok(_turn) = turns.acquire().await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    // With many queues it takes some milliseconds, which are not those of the threads that move messages.
    match tokio::task::spawn_blocking(move || write(&node)).await {
        Ok(text) => ([(CONTENT_TYPE, TEXT)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn detailed(State(scraped): State<Scraped>, RawQuery(query): RawQuery) -> Response {
    let (families, filter) = asked_for(query.as_deref().unwrap_or_default());
    page(scraped, move |node| pages::detailed(node, &families, &filter)).await
}

/// The families and vhosts of a query: each may be there several times.
fn asked_for(query: &str) -> (Vec<String>, VhostFilter) {
    let (mut families, mut vhosts) = (Vec::new(), Vec::new());
    for (name, value) in Query::parse(query).iter() {
        match name {
            "family" => families.push(value.to_owned()),
            "vhost" => vhosts.push(value.to_owned()),
            _ => {}
        }
    }
    (families, VhostFilter(vhosts))
}

#[cfg(test)]
mod tests;
