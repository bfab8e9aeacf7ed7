//! What these tests stand on: certificates, a server within the process, and a client that says what it is told.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses a part of it")]

pub mod certificates;
pub mod client;
pub mod tokens;
pub mod web;

use std::net::SocketAddr;

use leveret_server::auth::AuthConfig;
use leveret_server::{ListenerConfig, Server, ServerConfig};
use tokio::runtime::Runtime;

pub use client::{Client, Reply};

/// A server on free ports of 127.0.0.1.
pub struct Running {
    pub server: Server,
    runtime: Option<Runtime>,
}

impl Running {
    pub fn start(config: &ServerConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = {
            let _entered = runtime.enter();
            Server::start(config).unwrap()
        };
        if server.broker().is_fresh() {
            server.broker().seed(&leveret_server::engine::admin::DefaultUser::default()).unwrap();
        }
        Self { server, runtime: Some(runtime) }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(future)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        self.server.close();
    }
}

/// One listener on a free port.
pub fn config() -> ServerConfig {
    let listeners = vec![ListenerConfig::tcp(any_port())];
    ServerConfig { listeners, ..ServerConfig::default() }
}

pub fn with_auth(auth: AuthConfig) -> ServerConfig {
    ServerConfig { auth, ..config() }
}

pub fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
