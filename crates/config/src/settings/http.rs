//! The HTTP API and the metrics.

use std::net::IpAddr;

use super::Tls;

/// A listener for HTTP, without TLS, with it, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// The port without TLS; none does not listen, 0 takes a free one.
    pub port: Option<u16>,
    /// Its address; all of this machine if none.
    pub ip: Option<IpAddr>,
    /// Connections that may wait to be accepted.
    pub backlog: Option<u32>,
    /// The port with TLS.
    pub tls_port: Option<u16>,
    /// Its address.
    pub tls_ip: Option<IpAddr>,
    /// Connections that may wait to be accepted there.
    pub tls_backlog: Option<u32>,
    /// Certificates.
    pub tls: Tls,
}

/// The HTTP API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Management {
    /// Where it listens.
    pub http: Http,
    /// What stands before `/api`.
    pub path_prefix: String,
    /// Origins that pages of other sites may have; `*` is all.
    pub cors_origins: Vec<String>,
    /// How long a browser keeps that answer.
    pub cors_max_age_s: Option<u64>,
    /// Lists without numbers.
    pub disable_stats: bool,
    /// ...but for the messages of queues.
    pub enable_queue_totals: bool,
    /// How fine rates are.
    pub rates_mode: RatesMode,
    /// Operator policies cannot be changed over HTTP.
    pub operator_policies_locked: bool,
    /// How long a page keeps somebody logged in.
    pub login_session_timeout_min: u64,
    /// Names and passwords are not accepted.
    pub disable_basic_auth: bool,
    /// Largest body of a request.
    pub body_bytes_max: u64,
    /// Headers of answers, by their names.
    pub headers: Vec<(String, String)>,
}

/// How fine rates are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RatesMode {
    /// By queue, exchange, virtual host.
    #[default]
    Basic,
    /// By channel and their pairs, too.
    Detailed,
    /// None.
    None,
}

/// The metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prometheus {
    /// Where they are given.
    pub http: Http,
    /// Below which path.
    pub path: String,
    /// `/metrics` has a row for each queue, channel and connection.
    pub per_object: bool,
}
