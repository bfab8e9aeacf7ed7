//! A running server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use leveret_engine::broker::Broker;
use leveret_engine::names::ConnectionId;
use leveret_session::about::Ends;
use leveret_session::config::SessionConfig;
use leveret_session::connection::Connection;
use leveret_session::direct::Socket;
use parking_lot::Mutex;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alarms::DiskWatch;
use crate::config::ServerConfig;
use crate::connection::{Connected, Signal};
use crate::error::Error;
use crate::reader::Reader;
use crate::storage::{Opened, Storage};
use crate::ticker::{Clock, Connections};
use crate::wire::Wire;
use crate::{listener, notices, storage, ticker, timers, writer};

/// The name of the node, of which there is one.
const NODE: &str = "rabbit@localhost";

/// How long a stop waits for clients to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);

/// ...and how long for those who were told and have nothing else to read.
const ANSWER: Duration = Duration::from_secs(1);

/// How often it is looked who is left.
const GOODBYE_LOOK: Duration = Duration::from_millis(50);

/// How long accepting pauses when the system is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A broker that listens.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Stops the ticker and the listener.
    stop: CancellationToken,
    /// Cancelled when the disk fails.
    failed: CancellationToken,
    /// Taken out when the server is stopped.
    storage: Mutex<Option<Storage>>,
}

#[derive(Debug)]
struct Shared {
    broker: Arc<Broker>,
    sessions: Arc<SessionConfig>,
    connections: Arc<Connections>,
    next_connection: AtomicU64,
    clock: Clock,
    /// The connections have been told to close.
    shutting_down: AtomicBool,
    tasks: TaskTracker,
}

impl Server {
    /// Starts to listen. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::PortTaken`], [`Error::Listen`], [`Error::Store`]
    pub fn start(config: &ServerConfig) -> Result<Self, Error> {
        let socket = listener::listen(config.listen)?;
        let address = socket.local_addr()?;
        let failed = CancellationToken::new();
        let Opened { broker, storage } = storage::open(config.store.as_ref(), &failed)?;
        if config.remote_guest {
            broker.allow_remote_guest();
        }
        broker.services.notices.set_node(NODE);
        let mut sessions = SessionConfig::new(NODE, random);
        if let Some(bytes) = config.message_bytes_max {
            sessions.message_bytes_max = bytes;
        }
        let shared = Arc::new(Shared {
            broker: Arc::new(broker),
            sessions: Arc::new(sessions),
            connections: Arc::default(),
            next_connection: AtomicU64::new(0),
            clock: Clock::start(),
            shutting_down: AtomicBool::new(false),
            tasks: TaskTracker::new(),
        });
        let stop = CancellationToken::new();
        let store = storage.as_ref().map(|storage| Arc::clone(&storage.store));
        let disk =
            DiskWatch::new(&shared.sessions.alarms, move || store.as_ref().is_some_and(|store| store.disk_low()));
        let services = Arc::clone(&shared.broker.services);
        let disk = disk.telling(&services);
        tokio::spawn(ticker::run(Arc::clone(&shared.connections), services, shared.clock, disk, stop.clone()));
        tokio::spawn(timers::run(Arc::clone(&shared.broker.services), stop.clone()));
        tokio::spawn(notices::run(Arc::clone(&shared.broker.services), stop.clone()));
        shared.tasks.spawn(accept(socket, Arc::clone(&shared), stop.clone()));
        Ok(Self { address, shared, stop, failed, storage: Mutex::new(storage) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
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

impl Shared {
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

async fn accept(socket: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Err(error) = connect(stream, peer, &shared) {
                    tracing::debug!(%peer, %error, "connection lost at once");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn connect(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) -> std::io::Result<()> {
    listener::prepare(&stream)?;
    let id = ConnectionId(shared.next_connection.fetch_add(1, Ordering::Relaxed) + 1);
    let is_loopback = peer.ip().to_canonical().is_loopback();
    let ends = Ends { peer, host: stream.local_addr()? };
    let machine = Connection::new(&shared.broker, &shared.sessions, id, is_loopback).between(ends);
    let machine = Box::new(machine);
    let (read_half, write_half) = stream.into_split();
    let connection = join(&machine, write_half);
    shared.connections.insert_new(id, Arc::clone(&connection));
    if shared.shutting_down.load(Ordering::SeqCst) {
        // Those who were told may have been counted before this one.
        connection.tell(Signal::Shutdown);
    }
    shared.tasks.spawn(writer::run(Arc::clone(&connection)));
    let reader = Reader::new(machine, read_half, connection, shared.clock);
    let connections = Arc::clone(&shared.connections);
    shared.tasks.spawn(async move {
        tracing::debug!(%peer, id = id.0, "connection accepted");
        reader.run().await;
        connections.remove(&id);
        tracing::debug!(%peer, id = id.0, "connection closed");
    });
    Ok(())
}

/// Joins a machine to the sending side of a socket.
pub(crate) fn join(machine: &Connection, socket: OwnedWriteHalf) -> Arc<Connected> {
    let wire = Arc::new(Wire::new(socket));
    let socket: Arc<dyn Socket> = Arc::<Wire>::clone(&wire);
    machine.outbox().send_through(socket);
    Arc::new(Connected::new(Arc::clone(machine.outbox()), wire))
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the system gives no random bytes");
    }
    bytes
}
