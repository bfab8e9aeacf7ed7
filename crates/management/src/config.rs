//! What the HTTP API is started with.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use leveret_server::engine::admin::DefaultUser;
use tokio_rustls::TlsAcceptor;

use crate::limits::{BACKLOG, BODY_BYTES_MAX, CONNECTIONS_MAX, CORS_MAX_AGE_S};
use crate::prometheus;

/// The port of RabbitMQ's HTTP API.
pub const HTTP_PORT: u16 = 15672;

/// The port of RabbitMQ's HTTP API with TLS.
pub const HTTPS_PORT: u16 = 15671;

/// The port of RabbitMQ's metrics.
pub const PROMETHEUS_PORT: u16 = 15692;

/// Settings of the HTTP API and of the metrics.
#[derive(Clone, Debug)]
pub struct ManagementConfig {
    /// Where the API is; none leaves the unix socket alone.
    pub listeners: Vec<HttpListener>,
    /// Where the metrics are.
    pub prometheus: Vec<HttpListener>,
    /// How the metrics are served.
    pub metrics: prometheus::Options,
    /// The unix socket whose clients are administrators without a password: only who owns the file gets in.
    pub socket: Option<PathBuf>,
    /// Stands before every path, such as `/broker`; empty for nothing.
    pub path_prefix: String,
    /// Which pages of others may use the API.
    pub cors: Cors,
    /// Lists and the overview come without counters and rates.
    pub disable_stats: bool,
    /// ...but for the totals of queues.
    pub enable_queue_totals: bool,
    /// `basic`, `detailed` or `none`: it is told to who asks.
    pub rates_mode: String,
    /// Largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// Largest value of `page_size`.
    pub page_size_max: usize,
    /// Whether operator policies can be changed over HTTP.
    pub operator_policies_writable: bool,
    /// How long the web page keeps somebody logged in, in minutes: told to it.
    pub login_session_timeout_min: u64,
    /// A form with OAuth 2 in place of passwords, as told by `/api/auth`.
    pub oauth: Option<serde_json::Map<String, serde_json::Value>>,
    /// What the broker calls itself (`product.name`), beside being a RabbitMQ.
    pub product_name: String,
    /// The version of that.
    pub product_version: String,
    /// The certificates of all TLS listeners, those for AMQP as well: it is told when they end.
    pub certificates: Vec<CertificateFiles>,
    /// No login by name and password.
    pub disable_basic_auth: bool,
    /// Who is there again when the node is reset, with which vhost.
    pub default_user: DefaultUser,
    /// Most connections to each listener at a time.
    pub connections_max: usize,
    /// Further headers of each answer, such as `strict-transport-security`.
    pub headers: Vec<(String, String)>,
}

/// An address to listen on.
#[derive(Clone, Debug)]
pub struct HttpListener {
    /// Where; port 0 takes a free one.
    pub address: SocketAddr,
    /// With TLS.
    pub tls: Option<TlsSource>,
    /// Connections that wait to be accepted.
    pub backlog: u32,
}

/// The certificates of a listener.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// `amqp/ssl` or `https`.
    pub protocol: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The file with its own.
    pub certfile: PathBuf,
    /// The file with those of who signs clients'.
    pub cacertfile: Option<PathBuf>,
}

/// Gives what the handshakes of the moment go by, so that certificates can be exchanged.
#[derive(Clone)]
pub struct TlsSource(Arc<dyn Fn() -> TlsAcceptor + Send + Sync>);

impl TlsSource {
    /// Asks `source` for each connection.
    #[must_use]
    pub fn new(source: impl Fn() -> TlsAcceptor + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        (self.0)()
    }
}

impl std::fmt::Debug for TlsSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSource").finish_non_exhaustive()
    }
}

/// Cross-origin resource sharing.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Origins, such as `https://admin.example`; `*` is all.
    pub allow_origins: Vec<String>,
    /// How long a browser may remember it, in seconds.
    pub max_age_s: Option<u64>,
}

impl Default for Cors {
    fn default() -> Self {
        Self { allow_origins: Vec::new(), max_age_s: Some(CORS_MAX_AGE_S) }
    }
}

impl HttpListener {
    /// Without TLS, on all addresses of this machine.
    #[must_use]
    pub fn all(port: u16) -> Self {
        Self::plain((Ipv6Addr::UNSPECIFIED, port).into())
    }

    /// Without TLS.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None, backlog: BACKLOG }
    }
}

impl Default for ManagementConfig {
    /// As RabbitMQ: port 15672 and 15692 on all addresses; no unix socket.
    fn default() -> Self {
        Self {
            listeners: vec![HttpListener::all(HTTP_PORT)],
            prometheus: vec![HttpListener::all(PROMETHEUS_PORT)],
            metrics: prometheus::Options::default(),
            socket: None,
            path_prefix: String::new(),
            cors: Cors::default(),
            disable_stats: false,
            enable_queue_totals: false,
            rates_mode: "basic".to_owned(),
            body_bytes_max: BODY_BYTES_MAX,
            page_size_max: crate::limits::PAGE_SIZE_MAX,
            operator_policies_writable: true,
            login_session_timeout_min: crate::limits::LOGIN_SESSION_MIN,
            oauth: None,
            product_name: "Leveret".to_owned(),
            product_version: env!("CARGO_PKG_VERSION").to_owned(),
            certificates: Vec::new(),
            disable_basic_auth: false,
            default_user: DefaultUser::default(),
            connections_max: CONNECTIONS_MAX,
            headers: Vec::new(),
        }
    }
}
