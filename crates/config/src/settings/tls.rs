//! TLS of a listener, or of a client of ours.

use std::path::PathBuf;

/// TLS of a listener, or of a client of ours. Files hold PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whom we trust.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, with its chain.
    pub cert_file: Option<PathBuf>,
    /// Its private key.
    pub key_file: Option<PathBuf>,
    /// The password of the key.
    pub key_password: Option<String>,
    /// Whether the peer's certificate is looked at.
    pub verify: Option<TlsVerify>,
    /// A peer without a certificate is refused.
    pub fail_if_no_peer_cert: bool,
    /// Certificates between the peer's and the trusted one.
    pub depth: Option<u8>,
    /// `tlsv1.2`, `tlsv1.3`; empty is all that we speak.
    pub versions: Vec<String>,
    /// By OpenSSL's or IANA's names; empty is all that we speak.
    pub ciphers: Vec<String>,
    /// Our order of them counts, and not the client's.
    pub honor_cipher_order: bool,
}

/// Whether the peer's certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVerify {
    /// It must be signed by somebody we trust.
    Peer,
    /// It is not asked for.
    None,
}
