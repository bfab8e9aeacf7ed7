//! Settings of the HTTP API and of the metrics.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use leveret_cli::{SOCKET, Socket};
use leveret_config::settings::{self, Settings};
use leveret_config::{Loaded, Origin};
use leveret_management::config::CertificateFiles;
use leveret_management::prometheus::Options;
use leveret_management::{Cors, HttpListener, ManagementConfig, TlsSource};
use leveret_server::tls::Tls;
use tokio_util::sync::CancellationToken;

use super::server::tls_config;

/// Who may look into a data directory that is made: its owner, and the group, as in Debian's packages.
const DATA_DIR_MODE: u32 = 0o750;

/// What HTTP is started with.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) config: ManagementConfig,
    /// There is a directory for the socket and the pid file.
    pub(crate) has_data_dir: bool,
    tls: Vec<Tls>,
    /// The way to the socket of the command-line tools.
    _socket: Option<Arc<Socket>>,
}

/// What the settings say about HTTP.
pub(super) fn config(loaded: &Loaded) -> Result<Http, String> {
    let Settings { management, prometheus, node, .. } = &loaded.settings;
    // A broker that keeps nothing has a directory if somebody named one.
    let is_named = loaded.origins.iter().any(|row| row.key == "leveret.data_dir" && row.origin != Origin::Default);
    let has_data_dir = !loaded.settings.store.ephemeral || is_named;
    let mut tls = Vec::new();
    let default = ManagementConfig::default();
    let config = ManagementConfig {
        listeners: listeners(&management.http, "management.ssl", &mut tls)?,
        prometheus: listeners(&prometheus.http, "prometheus.ssl", &mut tls)?,
        socket: has_data_dir.then(|| node.data_dir.join(SOCKET)),
        path_prefix: management.path_prefix.clone(),
        cors: Cors {
            allow_origins: management.cors_origins.clone(),
            max_age_s: management.cors_max_age_s.or(Cors::default().max_age_s),
        },
        metrics: Options { path: prometheus.path.clone(), per_object: prometheus.per_object },
        disable_stats: management.disable_stats,
        enable_queue_totals: management.enable_queue_totals,
        rates_mode: match management.rates_mode {
            settings::RatesMode::Basic => "basic",
            settings::RatesMode::Detailed => "detailed",
            settings::RatesMode::None => "none",
        }
        .to_owned(),
        body_bytes_max: usize::try_from(management.body_bytes_max).unwrap_or(usize::MAX),
        operator_policies_writable: !management.operator_policies_locked,
        login_session_timeout_min: management.login_session_timeout_min,
        product_name: node.product_name.clone().unwrap_or(default.product_name),
        product_version: node.product_version.clone().unwrap_or(default.product_version),
        certificates: certificates(&loaded.settings),
        disable_basic_auth: management.disable_basic_auth,
        headers: management.headers.clone(),
        ..default
    };
    Ok(Http { config, has_data_dir, tls, _socket: None })
}

/// The certificates of all listeners with TLS.
fn certificates(settings: &Settings) -> Vec<CertificateFiles> {
    let all = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let of = |protocol: &str, ip: Option<IpAddr>, port: u16, tls: &settings::Tls| {
        let certfile = tls.cert_file.clone()?;
        let address = SocketAddr::new(ip.unwrap_or(all), port);
        Some(CertificateFiles { protocol: protocol.to_owned(), address, certfile, cacertfile: tls.ca_file.clone() })
    };
    let amqp =
        settings.listeners.tls.iter().filter_map(|listener| of("amqp/ssl", listener.ip, listener.port, &settings.tls));
    let http = &settings.management.http;
    let https = http.tls_port.and_then(|port| of("https", http.tls_ip, port, &http.tls));
    amqp.chain(https).collect()
}

fn listeners(http: &settings::Http, place: &str, loaded: &mut Vec<Tls>) -> Result<Vec<HttpListener>, String> {
    let all = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let mut listeners = Vec::new();
    if let Some(port) = http.port {
        let plain = HttpListener::plain(SocketAddr::new(http.ip.unwrap_or(all), port));
        listeners.push(HttpListener { backlog: http.backlog.unwrap_or(plain.backlog), ..plain });
    }
    if let Some(port) = http.tls_port {
        let config = tls_config(&http.tls).ok_or_else(|| format!("{place}.certfile and {place}.keyfile are needed"))?;
        let tls = Tls::load(&config).map_err(|error| format!("{place}: {error}"))?;
        loaded.push(tls.clone());
        let source = TlsSource::new(move || tls.acceptor());
        let plain = HttpListener::plain(SocketAddr::new(http.tls_ip.unwrap_or(all), port));
        let backlog = http.tls_backlog.unwrap_or(plain.backlog);
        listeners.push(HttpListener { tls: Some(source), backlog, ..plain });
    }
    Ok(listeners)
}

impl Http {
    /// Makes the directory of the socket, if there is to be one.
    pub(super) fn prepare(&mut self) -> Result<(), String> {
        let Some(path) = &self.config.socket else { return Ok(()) };
        let folder = path.parent().unwrap_or(Path::new("."));
        let socket = make(folder).and_then(|()| Socket::at(path));
        let socket = socket.map_err(|error| format!("cannot make the data directory {}: {error}", folder.display()))?;
        self.config.socket = Some(socket.path().to_owned());
        self._socket = Some(Arc::new(socket));
        Ok(())
    }

    /// Takes up certificates that change, until `stop`.
    pub(super) fn watch_certificates(&self, stop: &CancellationToken) {
        for tls in &self.tls {
            tokio::spawn(tls.clone().watch(stop.clone()));
        }
    }

    /// Reads the certificates again; connections stay as they are.
    pub(super) fn reload_certificates(&self) {
        for tls in &self.tls {
            if let Err(error) = tls.reload() {
                tracing::error!("the certificates of the HTTP API stay as they were: {error}");
            }
        }
    }
}

/// Makes a data directory that is not there. Messages and password hashes are in it: others are kept out.
fn make(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(DATA_DIR_MODE).create(folder) {
        Err(_) if folder.is_dir() => Ok(()),
        made => made,
    }
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn others_do_not_look_into_a_data_directory() {
        let place = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o007;
        let folder = place.path().join("a/b");
        make(&folder).unwrap();
        assert_eq!(mode(&folder), 0);
        // One that is there stays as it is.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        make(&folder).unwrap();
        assert_eq!(mode(&folder), 0o007);
        fs::write(place.path().join("file"), "").unwrap();
        assert!(make(&place.path().join("file")).is_err());
    }
}
