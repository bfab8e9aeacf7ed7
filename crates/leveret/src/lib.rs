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
use std::sync::Arc;
use std::time::Duration;

use leveret_server::engine::effects::Effects;
use leveret_server::engine::permission::{Permissions, TopicPermissions};
use leveret_server::engine::policy;
pub use leveret_server::engine::policy::{ApplyTo, NewPolicy as Policy, PolicyError, PolicyKind};
pub use leveret_server::engine::queue::arguments::QueueType;
use leveret_server::engine::user::User;
use leveret_server::engine::vhost::Vhost;
pub use leveret_server::{Durability, Error, StoreConfig};
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
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        BrokerBuilder {
            config: ServerConfig { listen, ..ServerConfig::default() },
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

    /// Starts or ends the tracing of a vhost: while it is on, what is published there and delivered from there is copied to
    /// its exchange `amq.rabbitmq.trace`, with routing keys `publish.` and the exchange's name, `deliver.` and the queue's. Says
    /// whether there is such a vhost.
    pub fn set_tracing(&self, vhost: &str, on: bool) -> bool {
        let vhost = self.server.broker().vhost(vhost);
        vhost.inspect(|vhost| vhost.set_tracing(on)).is_some()
    }
}

impl Broker {
    /// Sets a policy of a vhost, in place of one of the same kind and name. It acts at once.
    ///
    /// ```
    /// use leveret::{Broker, Policy, PolicyKind};
    ///
    /// let broker = Broker::builder().start()?;
    /// let short = Policy::new("short", "^orders").number("max-length", 1000).text("overflow", "reject-publish");
    /// broker.set_policy("/", PolicyKind::User, short)?;
    /// # Ok::<(), leveret::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoVhost`], [`Error::Policy`]
    pub fn set_policy(&self, vhost: &str, kind: PolicyKind, policy: Policy) -> Result<(), Error> {
        let policy = policy::Policy::new(kind, policy)?;
        let mut effects = Effects::default();
        self.vhost(vhost)?.set_policy(kind, policy, &mut effects);
        effects.carry_out();
        Ok(())
    }

    /// Removes a policy of a vhost. Says whether there was one of this name.
    ///
    /// # Errors
    /// [`Error::NoVhost`]
    pub fn clear_policy(&self, vhost: &str, kind: PolicyKind, name: &str) -> Result<bool, Error> {
        let mut effects = Effects::default();
        let is_removed = self.vhost(vhost)?.clear_policy(kind, name, &mut effects);
        effects.carry_out();
        Ok(is_removed)
    }

    /// What queues of a vhost are from now on that do not say it, as far as they can be: durable ones that are neither
    /// exclusive nor auto-delete.
    ///
    /// # Errors
    /// [`Error::NoVhost`]
    pub fn set_default_queue_type(&self, vhost: &str, queue_type: QueueType) -> Result<(), Error> {
        self.vhost(vhost)?.set_default_queue_type(queue_type);
        Ok(())
    }

    fn vhost(&self, name: &str) -> Result<Arc<Vhost>, Error> {
        self.server.broker().vhost(name).ok_or_else(|| Error::NoVhost(name.to_owned()))
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
        self.config.listen = address;
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
        for vhost in &self.vhosts {
            server.broker().add_vhost(vhost);
        }
        for user in self.users {
            let mut user = User::try_from(user)?;
            let tags = self.tags.iter().filter(|(name, _)| **name == *user.name);
            user.tags.extend(tags.map(|(_, tag)| tag.clone()));
            let name = user.name.clone();
            for permission in self.topic_permissions.iter().filter(|permission| *permission.user == *name) {
                permission.give_to(&mut user)?;
            }
            server.broker().add_user(user);
        }
        Ok(Broker { server, runtime: Some(runtime) })
    }
}

impl TopicPermission {
    fn give_to(&self, user: &mut User) -> Result<(), Error> {
        let permissions = TopicPermissions::new(&self.write, &self.read, &self.user, &self.vhost)
            .map_err(|error| Error::Pattern { user: self.user.clone(), reason: error.to_string() })?;
        let place = (self.vhost.as_str().into(), self.exchange.as_str().into());
        user.topic_permissions.insert(place, permissions);
        Ok(())
    }
}

impl TryFrom<NewUser> for User {
    type Error = Error;

    fn try_from(user: NewUser) -> Result<Self, Error> {
        let permissions = Permissions::new(&user.configure, &user.write, &user.read)
            .map_err(|error| Error::Pattern { user: user.name.clone(), reason: error.to_string() })?;
        Ok(Self {
            name: user.name.into(),
            password: user.password,
            tags: Vec::new(),
            loopback_only: false,
            topic_permissions: Default::default(),
            permissions: [(user.vhost.into(), permissions)].into_iter().collect(),
        })
    }
}
