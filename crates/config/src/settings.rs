//! What a broker is told, whoever said it: plain data, in our own units. Defaults are those of the [key table](crate::keys).

mod auth;
mod http;
mod log;
mod seed;
mod tls;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

pub use auth::{
    Auth, AuthBackend, AuthBackendKind, CertificateLogin, HttpAuth, LdapAuth, LdapBind, LdapQuery, OAuth2,
    PasswordRule, PasswordRules,
};
pub use http::{Http, Management, Prometheus, RatesMode};
pub use log::{
    Log, LogFormat, LogLevel, LogStream, LogStyle, Rotation, Schedule, Syslog, SyslogProtocol, SyslogTransport,
};
pub use seed::{Definitions, Permissions, Seed, SeedPolicy, SeedUser, VhostLimits};
pub use tls::{Tls, TlsVerify};

/// What a broker is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Name, place, identity.
    pub node: Node,
    /// Where AMQP is spoken.
    pub listeners: Listeners,
    /// TLS of the AMQP listeners.
    pub tls: Tls,
    /// What clients may ask for.
    pub limits: Limits,
    /// What raises alarms.
    pub resources: Resources,
    /// What is written into messages that come in.
    pub interceptors: Interceptors,
    /// How things are kept.
    pub store: Store,
    /// What a fresh node starts with.
    pub seed: Seed,
    /// Definitions that are loaded at start.
    pub definitions: Definitions,
    /// The HTTP API.
    pub management: Management,
    /// The metrics.
    pub prometheus: Prometheus,
    /// Who says who somebody is, and what they may do.
    pub auth: Auth,
    /// The log.
    pub log: Log,
    /// The plugins that somebody enabled, by RabbitMQ's names.
    pub plugins: Vec<String>,
}

/// Name, place, identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `rabbit@localhost`; never made of the host's name.
    pub name: String,
    /// The name of the cluster of one; the node's if none was given.
    pub cluster_name: Option<String>,
    /// What stands in `product_name` beside RabbitMQ's own name.
    pub product_name: Option<String>,
    /// The version that goes with it.
    pub product_version: Option<String>,
    /// A text for the log at start.
    pub motd_file: Option<PathBuf>,
    /// Where all is kept.
    pub data_dir: PathBuf,
    /// Where the process id is written beside `leveret.pid` in the data directory.
    pub pid_file: Option<PathBuf>,
    /// The pid file stays when the broker ends.
    pub keep_pid_file: bool,
    /// Labels of the cluster.
    pub cluster_tags: BTreeMap<String, String>,
}

/// Where AMQP is spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// Without TLS, in the order of their names.
    pub tcp: Vec<Listener>,
    /// With TLS.
    pub tls: Vec<Listener>,
    /// The address that somebody chose for all of them; it stands in each of them already.
    pub bind: Option<IpAddr>,
    /// Each connection begins with a PROXY header.
    pub proxy_protocol: bool,
    /// Connections that may wait to be accepted.
    pub backlog: Option<u32>,
    /// Small frames go out at once.
    pub nodelay: bool,
    /// The system looks for dead peers.
    pub keepalive: Option<bool>,
    /// The socket's buffer for what goes out.
    pub send_buffer_bytes: Option<u64>,
    /// The socket's buffer for what comes in.
    pub receive_buffer_bytes: Option<u64>,
    /// How long a client may take from the TCP connection to connection.open; none is for ever.
    pub handshake_timeout_ms: Option<u64>,
    /// How long the TLS handshake may take.
    pub tls_handshake_timeout_ms: u64,
}

/// A port, maybe of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// All addresses of this machine if none.
    pub ip: Option<IpAddr>,
    /// 0 takes a free one.
    pub port: u16,
}

/// What clients may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Seconds between heartbeats that are proposed; 0 is none.
    pub heartbeat_s: u16,
    /// Largest frame.
    pub frame_bytes_max: u32,
    /// Channels of a connection.
    pub channel_max: u16,
    /// Channels of all connections together.
    pub channel_max_per_node: Option<u64>,
    /// Connections.
    pub connection_max: Option<u64>,
    /// Consumers of a channel.
    pub consumer_max_per_channel: Option<u64>,
    /// Virtual hosts.
    pub vhost_max: Option<u64>,
    /// Queues of all virtual hosts together.
    pub queue_max: Option<u64>,
    /// Exchanges of all virtual hosts together, with those that are there from the beginning.
    pub exchange_max: Option<u64>,
    /// What a channel has as its prefetch until it says otherwise; 0 is none.
    pub default_prefetch: u16,
    /// ...and all its consumers together.
    pub default_prefetch_is_global: bool,
    /// Body of a message.
    pub message_bytes_max: u64,
    /// How long a delivery may wait for its acknowledgement; none is for ever.
    pub consumer_timeout_ms: Option<u64>,
    /// `classic`, `quorum` or `stream`, where no virtual host says otherwise.
    pub default_queue_type: Option<String>,
    /// A queue may be declared again with another `x-queue-type`.
    pub relaxed_queue_type: bool,
}

/// What is written into messages that come in; each says whether it replaces what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interceptors {
    /// When the message came, as property `timestamp` and header `timestamp_in_ms`.
    pub timestamp: Option<bool>,
    /// The node's name, as header `x-routed-by`.
    pub routing_node: Option<bool>,
}

/// What raises alarms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// Memory beyond which publishers are blocked.
    pub memory_watermark: Watermark,
    /// What counts as all memory, in place of what the system says.
    pub total_memory_bytes: Option<u64>,
    /// Publishers are blocked while the disk has less free than this.
    pub disk_free_limit: DiskLimit,
    /// How often statistics are sampled.
    pub statistics_interval_ms: u64,
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Watermark {
    /// A share of all memory.
    Relative(f64),
    /// Bytes.
    Absolute(u64),
}

impl Default for Watermark {
    fn default() -> Self {
        Self::Absolute(0)
    }
}

/// Room on the disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DiskLimit {
    /// A multiple of all memory.
    Relative(f64),
    /// Bytes.
    Absolute(u64),
}

impl Default for DiskLimit {
    fn default() -> Self {
        Self::Absolute(0)
    }
}

/// How things are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// Keep nothing on disk.
    pub ephemeral: bool,
    /// What a confirm means: `fsync`, `interval=MS` or `os`.
    pub durability: String,
    /// Start without what cannot be read.
    pub recover: bool,
    /// Memory for messages that wait in queues.
    pub memory_budget_bytes: Option<u64>,
}
