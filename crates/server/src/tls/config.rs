//! What TLS is set up with, after RabbitMQ's `ssl_options`.

use std::path::PathBuf;

/// TLS of a listener. Files hold PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Our certificate, with its chain behind it.
    pub certfile: PathBuf,
    /// Its private key.
    pub keyfile: PathBuf,
    /// The password of the key.
    pub password: Option<String>,
    /// Whose certificates are trusted.
    pub cacertfile: Option<PathBuf>,
    /// Clients are asked for a certificate, which somebody who is trusted must have signed.
    pub verify_peer: bool,
    /// Clients without one are refused.
    pub fail_if_no_peer_cert: bool,
    /// Most certificates between a client's and a trusted one; none is the library's own limit.
    pub depth: Option<u8>,
    /// `tlsv1.3`, `tlsv1.2`; none is both.
    pub versions: Vec<String>,
    /// Cipher suites by OpenSSL's or IANA's names, the best first; none is all that are known.
    pub ciphers: Vec<String>,
    /// Our order of ciphers counts, and not the client's.
    pub honor_cipher_order: bool,
    /// Lists of certificates that are not to be trusted any more.
    pub crlfiles: Vec<PathBuf>,
    /// Who a client's certificate stands for (`ssl_cert_login_from`).
    pub login_from: CertificateLogin,
}

/// What of a certificate is the name of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateLogin {
    /// The whole name of its subject, as RFC 4514 writes it.
    #[default]
    DistinguishedName,
    /// The common name in it; several are joined by commas.
    CommonName,
    /// One of its other names.
    SubjectAlternativeName {
        /// Of which kind.
        kind: SanKind,
        /// Which of them, from 0.
        index: usize,
    },
}

/// A kind of other names of a certificate's subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SanKind {
    /// Names of hosts.
    #[default]
    Dns,
    /// Addresses of hosts.
    Ip,
    /// Mail addresses.
    Email,
    /// URIs.
    Uri,
    /// Anything else.
    OtherName,
}

impl TlsConfig {
    /// With a certificate and its key, and nothing asked of clients.
    #[must_use]
    pub fn new(certfile: impl Into<PathBuf>, keyfile: impl Into<PathBuf>) -> Self {
        Self { certfile: certfile.into(), keyfile: keyfile.into(), ..Self::default() }
    }

    /// The files that it is read from.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.certfile, &self.keyfile].into_iter().chain(&self.cacertfile).chain(&self.crlfiles)
    }
}
