//! A running server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use leveret_engine::broker::Broker;
use leveret_engine::names::ConnectionId;
use leveret_engine::services::Services;
use leveret_session::alarms::Alarms;
use leveret_session::config::SessionConfig;
use leveret_session::login::Authenticator;
use leveret_store::Store;
use parking_lot::{Mutex, RwLock};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::accept;
use crate::alarms::{DiskWatch, MemoryWatch};
use crate::auth;
use crate::config::ServerConfig;
use crate::connection::{Connected, Signal};
use crate::error::Error;
use crate::limits_in_force::DiskLimit;
use crate::listener::Listener;
use crate::node::{self, HostFacts, ListenerFacts, Node};
use crate::program::Program;
use crate::readings::Readings;
use crate::statistics::{self, Statistics};
use crate::storage::{Opened, Storage};
use crate::ticker::{Clock, Connections};
use crate::tls::{Tls, TlsError};
use crate::{notices, seed, storage, ticker, timers};

/// How long a stop waits for clients to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);

/// ...and how long for those who were told and have nothing else to read.
const ANSWER: Duration = Duration::from_secs(1);

/// How often it is looked who is left.
const GOODBYE_LOOK: Duration = Duration::from_millis(50);

/// A broker that listens.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    addresses: Vec<SocketAddr>,
    tls: Option<Tls>,
    authenticator: Arc<dyn Authenticator>,
    shared: Arc<Shared>,
    /// Stops the ticker and the listener.
    stop: CancellationToken,
    /// Cancelled when the disk fails.
    failed: CancellationToken,
    /// Taken out when the server is stopped.
    storage: Mutex<Option<Storage>>,
}

/// What the tasks of a server and its [`Node`] share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) broker: Arc<Broker>,
    pub(crate) sessions: Arc<SessionConfig>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) next_connection: AtomicU64,
    pub(crate) clock: Clock,
    /// Milliseconds since 1970.
    pub(crate) started_at_ms: u64,
    /// The connections have been told to close.
    pub(crate) shutting_down: AtomicBool,
    /// No clients are served for now.
    pub(crate) suspended: AtomicBool,
    pub(crate) tasks: TaskTracker,
    pub(crate) readings: Arc<Readings>,
    pub(crate) statistics: Statistics,
    pub(crate) listeners: Mutex<Vec<ListenerFacts>>,
    pub(crate) host: RwLock<Arc<HostFacts>>,
    /// Somebody wants the server to end.
    pub(crate) stop_requested: CancellationToken,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    /// Who runs the server, if that is to be managed.
    pub(crate) program: OnceLock<Arc<dyn Program>>,
    watches: Watches,
}

/// What raises alarms.
#[derive(Debug)]
struct Watches {
    disk: DiskWatch,
    memory: MemoryWatch,
    /// The store, and how many bytes of the disk it leaves free at most.
    reserve: Option<(Arc<Store>, u64)>,
}

impl Server {
    /// Starts to listen. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::PortTaken`], [`Error::Listen`], [`Error::Store`], [`Error::Tls`], [`Error::NoCertificate`], [`Error::Auth`]
    pub fn start(config: &ServerConfig) -> Result<Self, Error> {
        let (listeners, tls) = Listener::bind_all(config)?;
        let addresses = listeners.iter().map(Listener::address).collect();
        let failed = CancellationToken::new();
        let Opened { broker, storage } = storage::open(config, &failed)?;
        let broker = Arc::new(broker);
        broker.set_loopback_users(config.auth.loopback_users.iter().map(String::as_str));
        let authenticator = auth::authenticator(&config.auth, &broker)?;
        broker.services.notices.set_node(&config.node_name);
        config.terms.hold_for(&broker)?;
        seed::plant(&broker, &config.seed)?;
        let mut sessions = config.terms.sessions(&broker, random);
        if let Some(bytes) = config.message_bytes_max {
            sessions.message_bytes_max = bytes;
        }
        sessions.mechanisms.clone_from(&config.auth.mechanisms);
        sessions.anonymous.clone_from(&config.auth.anonymous);
        sessions.handshake_timeout = config.handshake_timeout;
        sessions.authenticator = config.auth.asks_others().then(|| Arc::clone(&authenticator));
        let readings = Arc::new(readings(config));
        let reserve = config.store.as_ref().map(|store| store.disk_free_min_bytes);
        let store = storage.as_ref().map(|storage| Arc::clone(&storage.store));
        let watches = Watches::new(&broker.services, &sessions.alarms, &readings, store.zip(reserve));
        let shared = Arc::new(Shared {
            started_at_ms: broker.services.clock.now_ms(),
            broker,
            sessions: Arc::new(sessions),
            connections: Arc::default(),
            next_connection: AtomicU64::new(0),
            clock: Clock::start(),
            shutting_down: AtomicBool::new(false),
            suspended: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            readings,
            statistics: Statistics::new(config.statistics_interval),
            listeners: Mutex::new(listeners.iter().map(Listener::facts).collect()),
            host: RwLock::default(),
            stop_requested: CancellationToken::new(),
            authenticator: Arc::clone(&authenticator),
            program: OnceLock::new(),
            watches,
        });
        shared.note_disk_limit();
        shared.look_at_alarms();
        node::close_connections_of_what_is_gone(&shared);
        let stop = CancellationToken::new();
        tokio::spawn(ticker::run(Arc::clone(&shared), stop.clone()));
        tokio::spawn(ticker::measure(Arc::clone(&shared.readings), stop.clone()));
        tokio::spawn(statistics::run(Arc::clone(&shared), stop.clone()));
        tokio::spawn(timers::run(Arc::clone(&shared.broker.services), stop.clone()));
        tokio::spawn(notices::run(Arc::clone(&shared.broker.services), stop.clone()));
        if let Some(tls) = &tls {
            tokio::spawn(tls.clone().watch(stop.clone()));
        }
        for listener in listeners {
            tracing::info!("started {} listener on {}", listener.kind(), listener.address());
            shared.tasks.spawn(accept(listener, Arc::clone(&shared), stop.clone()));
        }
        Ok(Self { addresses, tls, authenticator, shared, stop, failed, storage: Mutex::new(storage) })
    }

    /// Where its first listener listens: the one without TLS, if there is any. Without listeners it is no address at all.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses.first().copied().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
    }

    /// Where it listens, in the order of its configuration.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Who says who may log in.
    #[must_use]
    pub fn authenticator(&self) -> &Arc<dyn Authenticator> {
        &self.authenticator
    }

    /// Reads the certificates of its listeners again. Connections stay as they are.
    ///
    /// # Errors
    /// What is wrong with them; the old ones stay.
    pub fn reload_certificates(&self) -> Result<(), TlsError> {
        self.tls.as_ref().map_or(Ok(()), Tls::reload)
    }

    /// The server as those see it who look at it and manage it.
    #[must_use]
    pub fn node(&self) -> Node {
        Node { shared: Arc::clone(&self.shared) }
    }

    /// The broker's state.
    #[must_use]
    pub fn broker(&self) -> &Arc<Broker> {
        &self.shared.broker
    }

    /// Comes when the disk has failed: the server confirms nothing any more, and is best ended.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Stops listening, closes the connections (320) and waits a little for their clients.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.shared.shutting_down.store(true, Ordering::SeqCst);
        for connection in self.shared.connections.all() {
            connection.tell(Signal::Shutdown);
        }
        self.shared.tasks.close();
        if !timeout(GOODBYE, self.shared.all_gone()).await.unwrap_or_default() {
            tracing::warn!("some clients did not confirm that their connection is closed");
        }
        let storage = self.storage.lock().take();
        // On a thread that may wait for the disk.
        let _ = tokio::task::spawn_blocking(|| storage.map(Storage::close)).await;
    }

    /// Closes the store, if [`Server::shutdown`] has not: for who ends the runtime without it. Blocks.
    pub fn close(&self) {
        if let Some(storage) = self.storage.lock().take() {
            storage.close();
        }
    }
}

/// What is measured for a server.
fn readings(config: &ServerConfig) -> Readings {
    let (directory, reserve_bytes) = match &config.store {
        Some(store) => (store.data_dir.clone(), store.disk_free_min_bytes),
        None => (PathBuf::from("."), 0),
    };
    let disk = config.disk_limit.unwrap_or(DiskLimit::Absolute(reserve_bytes));
    Readings::new(directory, config.memory_available_bytes, config.watermark, disk)
}

impl Watches {
    fn new(
        services: &Arc<Services>,
        alarms: &Arc<Alarms>,
        readings: &Arc<Readings>,
        reserve: Option<(Arc<Store>, u64)>,
    ) -> Self {
        let store = reserve.as_ref().map(|(store, _)| Arc::clone(store));
        let disk = Arc::clone(readings);
        let is_disk_low = move || disk.is_disk_short() || store.as_ref().is_some_and(|store| store.disk_low());
        Self {
            disk: DiskWatch::new(alarms, is_disk_low).telling(services),
            memory: MemoryWatch::new(alarms, readings, services),
            reserve,
        }
    }
}

impl Shared {
    /// A connection has ended.
    pub(crate) fn gone(&self, id: ConnectionId, connection: &Connected) {
        if let Some(vhost) = connection.outbox.vhost() {
            let (counts, traffic) = (connection.outbox.counts(), connection.traffic());
            self.statistics.connection_gone(vhost, &counts, traffic, || {
                self.connections.remove(&id);
            });
            return;
        }
        self.connections.remove(&id);
    }

    /// Lets the store know how much of the disk stays free: no more than the limit, at which publishers are blocked, and no more
    /// than it was told at its start, since what is not published needs some room too.
    pub(crate) fn note_disk_limit(&self) {
        if let Some((store, reserve_bytes)) = &self.watches.reserve {
            store.set_disk_free_min(self.readings.disk_limit_bytes().min(*reserve_bytes));
        }
    }

    /// Raises and clears alarms by what was measured. Says whether one was raised.
    pub(crate) fn look_at_alarms(&self) -> bool {
        let disk = self.watches.disk.look();
        self.watches.memory.look() || disk
    }

    /// Comes when all connections are gone; with a no when those that are left have had time enough to answer.
    async fn all_gone(&self) -> bool {
        let mut answer_due = Instant::now() + ANSWER;
        while timeout(GOODBYE_LOOK, self.tasks.wait()).await.is_err() {
            let now = Instant::now();
            if self.connections.all().iter().any(|connection| !connection.was_told_all()) {
                answer_due = now + ANSWER;
            } else if now >= answer_due {
                return false;
            }
        }
        true
    }
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the system gives no random bytes");
    }
    bytes
}
