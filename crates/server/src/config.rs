//! What a server is started with.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use leveret_session::limits::HANDSHAKE_PATIENCE;
use leveret_store::Durability;

use crate::auth::AuthConfig;
use crate::limits_in_force::{DiskLimit, Watermark};
use crate::seed::Seed;
use crate::statistics;
use crate::terms::Terms;
use crate::tls::TlsConfig;

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen for AMQP; nowhere, if there is none.
    pub listeners: Vec<ListenerConfig>,
    /// Each connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Options of sockets.
    pub socket: SocketOptions,
    /// TLS of those listeners that speak it.
    pub tls: Option<TlsConfig>,
    /// How long PROXY header and TLS handshake may take.
    pub tls_handshake_timeout: Duration,
    /// How long a client may take from its first byte until it has opened its connection.
    pub handshake_timeout: Duration,
    /// Who says who may log in, and what for.
    pub auth: AuthConfig,
    /// How durable things are kept; none keeps nothing.
    pub store: Option<StoreConfig>,
    /// Has the allocator give back what the calling thread has freed: the threads of the store call it when they fall idle.
    pub release_memory: fn(),
    /// What clients may ask for.
    pub terms: Terms,
    /// What is there when it begins to listen.
    pub seed: Seed,
    /// Largest body of a message, in bytes; none is RabbitMQ's default.
    pub message_bytes_max: Option<u64>,
    /// The node's name, such as `rabbit@localhost`.
    pub node_name: String,
    /// How much memory may be used before publishers are blocked.
    pub watermark: Watermark,
    /// What counts as the memory of the machine; none is what the container or the machine has.
    pub memory_available_bytes: Option<u64>,
    /// Below how much free disk publishers are blocked; none is what the store keeps free.
    pub disk_limit: Option<DiskLimit>,
    /// How often statistics are taken; zero for never.
    pub statistics_interval: Duration,
}

/// A socket to be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Where. Port 0 takes a free one.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl ListenerConfig {
    /// Without TLS.
    #[must_use]
    pub fn tcp(address: SocketAddr) -> Self {
        Self { address, tls: false }
    }

    /// With TLS.
    #[must_use]
    pub fn tls(address: SocketAddr) -> Self {
        Self { address, tls: true }
    }
}

/// Options of listening sockets and of connections (`tcp_listen_options`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Connections that wait to be accepted.
    pub backlog: i32,
    /// Small frames go out at once.
    pub nodelay: bool,
    /// The system finds dead peers, even without heartbeats.
    pub keepalive: bool,
    /// The system's buffer for what is sent; none is its default.
    pub send_buffer_bytes: Option<usize>,
    /// The system's buffer for what is received.
    pub receive_buffer_bytes: Option<usize>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { backlog: BACKLOG, nodelay: true, keepalive: true, send_buffer_bytes: None, receive_buffer_bytes: None }
    }
}

/// How durable things are kept.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The directory; it is made if it is not there.
    pub data_dir: PathBuf,
    /// What a confirm means.
    pub durability: Durability,
    /// Bytes that waiting messages may take in memory; none is a share of what the machine or the container has.
    pub memory_budget_bytes: Option<u64>,
    /// Publishers are blocked while the disk has less than this free.
    pub disk_free_min_bytes: u64,
    /// Start even if something is damaged, without what cannot be read.
    pub recover: bool,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// RabbitMQ gives half of it (`ssl_handshake_timeout`), which slow links do not always make.
const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of a node that is given none.
const NODE_NAME: &str = "rabbit@localhost";

/// AMQP's port.
pub const AMQP_PORT: u16 = 5672;

/// RabbitMQ's default for `disk_free_limit`.
pub const DISK_FREE_MIN_BYTES: u64 = 50_000_000;

impl Default for ServerConfig {
    /// All addresses of this machine, port 5672, nothing kept.
    fn default() -> Self {
        Self {
            listeners: vec![ListenerConfig::tcp(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), AMQP_PORT))],
            proxy_protocol: false,
            socket: SocketOptions::default(),
            tls: None,
            tls_handshake_timeout: TLS_HANDSHAKE_TIMEOUT,
            handshake_timeout: HANDSHAKE_PATIENCE,
            auth: AuthConfig::default(),
            store: None,
            release_memory: || {},
            terms: Terms::default(),
            seed: Seed::default(),
            message_bytes_max: None,
            node_name: NODE_NAME.to_owned(),
            watermark: Watermark::default(),
            memory_available_bytes: None,
            disk_limit: None,
            statistics_interval: statistics::INTERVAL,
        }
    }
}

impl StoreConfig {
    /// The defaults: a confirm means fdatasync.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            durability: Durability::default(),
            memory_budget_bytes: None,
            disk_free_min_bytes: DISK_FREE_MIN_BYTES,
            recover: false,
        }
    }
}
