//! Leveret, an AMQP 0-9-1 broker, inside a program: a broker for a test in a few milliseconds.
//!
//! ```
//! let broker = leveret::Broker::builder().ephemeral().start()?;
//! assert!(broker.amqp_uri().starts_with("amqp://guest:guest@127.0.0.1:"));
//! // Give the URI to any AMQP 0-9-1 client. Dropping the broker closes its connections and frees everything.
//! # Ok::<(), leveret::Error>(())
//! ```
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use leveret_server::Error;
use leveret_server::{Server, ServerConfig};
use tokio::runtime::Runtime;

/// A broker that runs on threads of its own until it is dropped.
#[derive(Debug)]
pub struct Broker {
    server: Server,
    /// Taken out when dropped.
    runtime: Option<Runtime>,
}

/// How a broker is to be started.
#[derive(Clone, Debug)]
pub struct BrokerBuilder {
    config: ServerConfig,
    worker_threads: usize,
}

impl Broker {
    /// A broker on a free port of 127.0.0.1.
    #[must_use]
    pub fn builder() -> BrokerBuilder {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        BrokerBuilder { config: ServerConfig { listen, ..ServerConfig::default() }, worker_threads: 2 }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What an AMQP client needs to connect as guest to vhost `/`.
    #[must_use]
    pub fn amqp_uri(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Also within a runtime of the program itself, where a blocking end is not allowed.
            runtime.shutdown_background();
        }
    }
}

impl BrokerBuilder {
    /// Keeps nothing on disk. This is the default.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.config.data_dir = None;
        self
    }

    /// Uses a data directory.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.data_dir = Some(path.into());
        self
    }

    /// Listens on this address; port 0 takes a free one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.config.listen = address;
        self
    }

    /// Starts the broker; it accepts connections when this returns.
    ///
    /// # Errors
    /// When it cannot listen, or not use the data directory.
    pub fn start(self) -> Result<Broker, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.worker_threads)
            .thread_name("leveret")
            .enable_all()
            .build()?;
        let server = {
            let _entered = runtime.enter();
            Server::start(&self.config)?
        };
        Ok(Broker { server, runtime: Some(runtime) })
    }
}
