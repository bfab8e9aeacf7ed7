//! What a server is started with.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use leveret_store::Durability;

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen for AMQP. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// How durable things are kept; none keeps nothing.
    pub store: Option<StoreConfig>,
    /// Lets user guest in from other machines too.
    pub remote_guest: bool,
    /// Largest body of a message, in bytes; none is RabbitMQ's default.
    pub message_bytes_max: Option<u64>,
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

/// AMQP's port.
pub const AMQP_PORT: u16 = 5672;

/// RabbitMQ's default for `disk_free_limit`.
pub const DISK_FREE_MIN_BYTES: u64 = 50_000_000;

impl Default for ServerConfig {
    /// All addresses of this machine, port 5672, nothing kept.
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), AMQP_PORT),
            store: None,
            remote_guest: false,
            message_bytes_max: None,
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
