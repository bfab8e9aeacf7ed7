//! What can be wrong with TLS settings.

use std::io;
use std::path::PathBuf;

use rustls_pki_types::pem;
use thiserror::Error;

/// Why certificates or TLS settings cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is no PEM.
    #[error("cannot read {}: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// There is no certificate that can be used.
    #[error("{} holds no certificate that can be used", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key is encrypted, and there is no password.
    #[error("the key in {} is encrypted: set ssl_options.password", path.display())]
    NoPassword {
        /// The file.
        path: PathBuf,
    },
    /// The key cannot be decrypted.
    #[error("the key in {} cannot be decrypted: {reason}", path.display())]
    Password {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The key is encrypted in the way of old, without a standard.
    #[error(
        "the key in {} is encrypted as OpenSSL did of old (Proc-Type: 4,ENCRYPTED), which is not read here: convert it with \
         `openssl pkcs8 -topk8 -in KEY -out NEW_KEY`", path.display()
    )]
    LegacyEncryption {
        /// The file.
        path: PathBuf,
    },
    /// Peers shall be verified against nothing.
    #[error("ssl_options.verify = verify_peer needs ssl_options.cacertfile: whose certificates are trusted?")]
    NoCacertfile,
    /// A version that is not spoken.
    #[error("TLS version '{0}' is not supported: tlsv1.3 and tlsv1.2 are, older ones are not safe")]
    Version(String),
    /// None of the ciphers is known.
    #[error("none of the configured ciphers is supported with the configured versions; supported are {0}")]
    Ciphers(String),
    /// Peers cannot be verified.
    #[error("cannot verify peers: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// Certificate and key do not fit each other, or cannot be used.
    #[error("cannot set TLS up: {0}")]
    Rustls(#[from] rustls::Error),
}
