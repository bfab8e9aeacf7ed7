//! Leveret, an AMQP 0-9-1 broker, inside a program: a broker for a test in a few milliseconds.
//!
//! ```
//! let broker = leveret::Broker::builder().ephemeral().start()?;
//! assert!(broker.amqp_uri().starts_with("amqp://guest:guest@127.0.0.1:"));
//! // Give the URI to any AMQP 0-9-1 client. Dropping the broker closes its connections and frees everything.
//! # Ok::<(), leveret::Error>(())
//! ```
#![forbid(unsafe_code)]

mod administration;
mod durable;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use leveret_server::engine::admin::{UserLimit, VhostLimit};
pub use leveret_server::engine::policy::{ApplyTo, NewPolicy as Policy, PolicyError, PolicyKind};
pub use leveret_server::engine::queue::arguments::QueueType;
pub use leveret_server::{Durability, Error, StoreConfig};
use leveret_server::{ListenerConfig, Server, ServerConfig};
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
    vhosts: Vec<String>,
    users: Vec<NewUser>,
    topic_permissions: Vec<TopicPermission>,
    tags: Vec<(String, String)>,
}

/// A user beside guest, with its permissions in one vhost: patterns over the names of exchanges and queues.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: String,
    /// The vhost that the permissions are for.
    pub vhost: String,
    /// What it may declare and delete; a regular expression, searched for anywhere in the name.
    pub configure: String,
    /// Where it may put messages.
    pub write: String,
    /// Where it may take messages from.
    pub read: String,
}

/// What a user may do with the routing keys of a topic exchange: patterns over them. `{username}` and `{vhost}` stand for those.
#[derive(Clone, Debug)]
pub struct TopicPermission {
    /// The user's name.
    pub user: String,
    /// The vhost of the exchange.
    pub vhost: String,
    /// The exchange, of type topic.
    pub exchange: String,
    /// The keys that it may publish with; a regular expression, searched for anywhere in the key.
    pub write: String,
    /// The keys that it may bind with.
    pub read: String,
}

/// How long a drop waits for the broker's tasks.
const DROP_PATIENCE: Duration = Duration::from_secs(2);

impl Broker {
    /// A broker on a free port of 127.0.0.1.
    #[must_use]
    pub fn builder() -> BrokerBuilder {
        let listeners = vec![ListenerConfig::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))];
        BrokerBuilder {
            config: ServerConfig { listeners, ..ServerConfig::default() },
            worker_threads: 2,
            vhosts: Vec::new(),
            users: Vec::new(),
            topic_permissions: Vec::new(),
            tags: Vec::new(),
        }
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
        let Some(runtime) = self.runtime.take() else { return };
        // On a thread of its own: the program may be in a runtime itself, where another may not be ended.
        let ended = std::thread::spawn(move || runtime.shutdown_timeout(DROP_PATIENCE));
        let _ = ended.join();
        self.server.close();
    }
}

impl BrokerBuilder {
    /// Keeps nothing on disk. This is the default.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.config.store = None;
        self
    }

    /// Keeps durable things in a data directory, which is made if it is not there. A confirm means that its message is on disk.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.store = Some(StoreConfig::new(path));
        self
    }

    /// Keeps durable things as told.
    #[must_use]
    pub fn store(mut self, store: StoreConfig) -> Self {
        self.config.store = Some(store);
        self
    }

    /// Listens on this address; port 0 takes a free one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.config.listeners = vec![ListenerConfig::tcp(address)];
        self
    }

    /// Adds a vhost beside `/`.
    #[must_use]
    pub fn vhost(mut self, name: impl Into<String>) -> Self {
        self.vhosts.push(name.into());
        self
    }

    /// Adds a user beside guest.
    #[must_use]
    pub fn user(mut self, user: NewUser) -> Self {
        self.users.push(user);
        self
    }

    /// Gives a user that was added a tag, such as `impersonator`.
    #[must_use]
    pub fn user_tag(mut self, user: impl Into<String>, tag: impl Into<String>) -> Self {
        self.tags.push((user.into(), tag.into()));
        self
    }

    /// Limits the routing keys that a user who was added may use with a topic exchange.
    #[must_use]
    pub fn topic_permission(mut self, permission: TopicPermission) -> Self {
        self.topic_permissions.push(permission);
        self
    }

    /// Starts the broker; it accepts connections when this returns.
    ///
    /// # Errors
    /// When it cannot listen, or not use the data directory, or a user's pattern is no regular expression.
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
        let broker = Broker { server, runtime: Some(runtime) };
        for vhost in &self.vhosts {
            broker.add_vhost(vhost)?;
        }
        for user in &self.users {
            let tags = self.tags.iter().filter(|(name, _)| **name == *user.name);
            broker.add_tagged_user(user, tags.map(|(_, tag)| tag.clone()).collect())?;
        }
        for permission in &self.topic_permissions {
            broker.set_topic_permission(permission)?;
        }
        Ok(broker)
    }
}
