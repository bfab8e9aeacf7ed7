//! What a server is started with.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen for AMQP. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where durable things are kept; none keeps nothing.
    pub data_dir: Option<PathBuf>,
    /// Lets user guest in from other machines too.
    pub remote_guest: bool,
}

/// AMQP's port.
pub const AMQP_PORT: u16 = 5672;

impl Default for ServerConfig {
    /// All addresses of this machine, port 5672, nothing kept.
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), AMQP_PORT),
            data_dir: None,
            remote_guest: false,
        }
    }
}
