//! TLS of listeners: certificates and what they are asked for, read again while connections stay up.
//!
//! A connection that speaks TLS is decrypted by a task of its own (`tunnel`), so that all behind it is the same as for those
//! that do not.

mod certificate;
mod ciphers;
mod config;
mod error;
mod key;
mod tunnel;
mod verifier;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use leveret_session::login::TlsFacts;
use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ServerConfig, ServerConnection, WebPkiClientVerifier};
use rustls::{RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use config::{CertificateLogin, SanKind, TlsConfig};
pub use error::TlsError;
pub(crate) use key::read as read_key;
pub(crate) use tunnel::tunnel;

/// How often it is looked whether certificates have changed.
const LOOK: Duration = Duration::from_secs(5);

/// What a TLS listener accepts with. Clones share their certificates.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: TlsConfig,
    current: ArcSwap<ServerConfig>,
    /// The files as they were read last, or tried to.
    seen: Mutex<Vec<Option<Stamp>>>,
}

/// How a file is known to have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    len: u64,
}

impl Tls {
    /// Reads the certificates.
    ///
    /// # Errors
    /// What is wrong with them or with the settings.
    pub fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let seen = Mutex::new(stamps(config));
        let current = ArcSwap::from_pointee(server_config(config)?);
        Ok(Self(Arc::new(Shared { config: config.clone(), current, seen })))
    }

    /// To accept one connection with: the next one may be accepted with newer certificates.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.current.load_full())
    }

    /// What it was made of.
    #[must_use]
    pub fn config(&self) -> &TlsConfig {
        &self.0.config
    }

    /// Reads the certificates again. Connections stay as they are; when something is wrong, all stays as it is.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn reload(&self) -> Result<(), TlsError> {
        *self.0.seen.lock() = stamps(&self.0.config);
        self.0.current.store(Arc::new(server_config(&self.0.config)?));
        Ok(())
    }

    /// Reads the certificates again whenever their files change, until it is told to stop.
    pub async fn watch(self, stop: CancellationToken) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            let tls = self.clone();
            // On a thread that may wait for the disk.
            let _ = tokio::task::spawn_blocking(move || tls.reload_if_changed()).await;
        }
    }

    fn reload_if_changed(&self) {
        if *self.0.seen.lock() == stamps(&self.0.config) {
            return;
        }
        match self.reload() {
            Ok(()) => {
                tracing::info!("TLS certificates have changed and were loaded: {}", self.0.config.certfile.display())
            }
            Err(error) => {
                tracing::error!("TLS certificates have changed and cannot be used, the old ones stay: {error}")
            }
        }
    }

    /// What is known of a connection whose handshake is done.
    #[must_use]
    pub fn facts(&self, connection: &ServerConnection) -> TlsFacts {
        certificate::facts(&self.0.config, connection)
    }
}

fn stamps(config: &TlsConfig) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp { modified: metadata.modified().ok()?, len: metadata.len() })
    };
    config.files().map(stamp).collect()
}

fn server_config(config: &TlsConfig) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(provider(config)?);
    let versions = ciphers::versions(&config.versions)?;
    let verifier = verifier(config, &provider)?;
    let certificates = certificates(&config.certfile)?;
    let key = key::read(&config.keyfile, config.password.as_deref())?;
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions)?;
    let mut server = builder.with_client_cert_verifier(verifier).with_single_cert(certificates, key)?;
    server.ignore_client_order = config.honor_cipher_order;
    Ok(server)
}

/// Our cryptography, with the ciphers that are asked for.
fn provider(config: &TlsConfig) -> Result<CryptoProvider, TlsError> {
    let mut provider = aws_lc_rs::default_provider();
    if !config.ciphers.is_empty() {
        let versions: Vec<&SupportedProtocolVersion> = ciphers::versions(&config.versions)?;
        provider.cipher_suites = ciphers::suites(&config.ciphers, &versions, &provider.cipher_suites)?;
    }
    Ok(provider)
}

fn verifier(config: &TlsConfig, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if !config.verify_peer {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let path = config.cacertfile.as_ref().ok_or(TlsError::NoCacertfile)?;
    let roots = Arc::new(roots(path)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider));
    if !config.crlfiles.is_empty() {
        let mut lists = Vec::new();
        for path in &config.crlfiles {
            let read =
                CertificateRevocationListDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            lists.extend(read.map_err(|source| TlsError::Pem { path: path.clone(), source })?);
        }
        builder = builder.with_crls(lists).allow_unknown_revocation_status();
    }
    if !config.fail_if_no_peer_cert {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build()?;
    Ok(verifier::within_depth(verifier, config.depth))
}

/// The certificates that are trusted.
pub(crate) fn roots(path: &PathBuf) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 {
        return Err(TlsError::NoCertificate { path: path.clone() });
    }
    if ignored > 0 {
        tracing::warn!("{ignored} certificates of {} cannot be used", path.display());
    }
    Ok(roots)
}

pub(crate) fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|source| TlsError::Pem { path: path.clone(), source })?;
    if certificates.is_empty() { Err(TlsError::NoCertificate { path: path.clone() }) } else { Ok(certificates) }
}
