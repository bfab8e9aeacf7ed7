//! The HTTP API that RabbitMQ's tools speak, and the metrics that they read.
//!
//! A request passes [`http`]: its route is found in the [table](router::table), its user authenticated ([`auth`]), the right that
//! the route asks for looked up, its body read. The handler, a function from [`http::call::Call`] to an answer, reads from the
//! [node](leveret_server::node) or carries something out on it; what is durable is answered for when it is. Lists go through
//! [`list`], which cuts them to pages before their rows are filled. The document at `/api/openapi.json` is made of the same table
//! as the router.
//!
//! Invariants
//! - Everything that changes something durable waits for the disk before it says so.
//! - Nothing here holds a lock of the engine across an await, or computes a password's hash on a thread of the runtime.
//! - Who comes by the unix socket is an administrator: the socket is only our own user's.
//!
//! Must not depend on: the command line.
#![forbid(unsafe_code)]

pub mod admin;
pub mod auth;
pub mod config;
mod durable;
pub mod error;
mod facts;
pub mod http;
pub mod limits;
pub mod list;
mod memory;
mod messaging;
mod openapi;
mod page;
pub mod prometheus;
pub mod router;
pub mod state;
mod stats;
mod time;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use leveret_server::node::{ListenerFacts, Node};
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::config::{CertificateFiles, Cors, HttpListener, ManagementConfig, TlsSource};
use crate::http::serve::Serving;
use crate::state::Api;

/// An API that listens.
#[derive(Debug)]
pub struct Management {
    /// Where the API is, in the order of its listeners.
    pub addresses: Vec<SocketAddr>,
    /// Where the metrics are.
    pub prometheus: Vec<SocketAddr>,
    tasks: TaskTracker,
}

/// Why the API does not start.
#[derive(Debug, Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address} for HTTP: {source}. Is another broker running? Choose another port with {option}"
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Where to choose another.
        option: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The unix socket cannot be made.
    #[error("cannot make the socket {} for the command-line tools: {source}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Listens as told until `stop` is cancelled, and tells the node where.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(node: Node, config: ManagementConfig, stop: CancellationToken) -> Result<Management, Error> {
    // Who listens already goes again, should another not come to it.
    let stop = stop.child_token();
    let served = serve_until(node, config, &stop).await;
    if served.is_err() {
        stop.cancel();
    }
    served
}

async fn serve_until(node: Node, config: ManagementConfig, stop: &CancellationToken) -> Result<Management, Error> {
    let tasks = TaskTracker::new();
    let api = Api::new(node, config);
    let connections_max = api.config.connections_max;
    let (router, metrics) = (router::router(&api), prometheus::router_with(api.node.clone(), &api.config.metrics));
    let serving = Serving { router, stop: stop.clone(), tasks: tasks.clone(), connections_max };
    let addresses = listen(&serving, &api, &api.config.listeners, ["http", "https"], "--management-port").await?;
    if let Some(path) = &api.config.socket {
        serving.unix(path).map_err(|source| Error::Socket { path: path.clone(), source })?;
    }
    let metrics = Serving { router: metrics, stop: stop.clone(), tasks: tasks.clone(), connections_max };
    let protocols = ["http/prometheus", "https/prometheus"];
    let prometheus = listen(&metrics, &api, &api.config.prometheus, protocols, "--prometheus-port").await?;
    tasks.close();
    Ok(Management { addresses, prometheus, tasks })
}

async fn listen(
    serving: &Serving,
    api: &Api,
    listeners: &[HttpListener],
    protocols: [&'static str; 2],
    option: &'static str,
) -> Result<Vec<SocketAddr>, Error> {
    let mut addresses = Vec::with_capacity(listeners.len());
    for listener in listeners {
        let address = listener.address;
        let bound = serving.tcp(listener).await.map_err(|source| Error::Listen { address, option, source })?;
        let protocol = if listener.tls.is_some() { protocols[1] } else { protocols[0] };
        api.node.add_listener(ListenerFacts { protocol, ip: bound.ip(), port: bound.port() });
        addresses.push(bound);
    }
    Ok(addresses)
}

impl Management {
    /// Comes when nobody is served any more, or `patience` is over.
    pub async fn ended(&self, patience: Duration) {
        if timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::debug!("some HTTP clients did not let go in time");
        }
    }
}
