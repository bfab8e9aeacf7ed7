//! Why a server does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use leveret_engine::admin::AdminError;
use leveret_engine::policy::PolicyError;
use thiserror::Error;

/// A reason not to start, or not to do what an embedding program asks for, with what to do about it.
#[derive(Debug, Error)]
pub enum Error {
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address}: the port is taken. Is another broker running? Stop it, or choose another port with --port"
    )]
    PortTaken {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A listener speaks TLS, and there is nothing to speak it with.
    #[error(
        "cannot listen on {address} with TLS: there is no certificate. Set ssl_options.certfile and ssl_options.keyfile"
    )]
    NoCertificate {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Certificates or TLS settings cannot be used.
    #[error("cannot set TLS up: {0}")]
    Tls(#[from] crate::tls::TlsError),
    /// Those cannot be asked who is to say who may log in.
    #[error("cannot set authentication up: {0}")]
    Auth(#[from] crate::auth::AuthConfigError),
    /// The data directory cannot be used.
    #[error(
        "cannot use the data directory {}: {source}. Choose another with --data-dir, or keep nothing with --ephemeral",
        path.display()
    )]
    Store {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        source: leveret_store::Error,
    },
    /// The disk failed while the server ran.
    #[error(
        "the data directory cannot be written any more (see above), so that nothing could be confirmed. What was confirmed \
         before is safe: repair the disk and start again"
    )]
    DiskFailed,
    /// A permission's pattern is no regular expression.
    #[error("a permission pattern of user '{user}' is no regular expression: {reason}")]
    Pattern {
        /// Whose.
        user: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no vhost of this name.
    #[error("there is no vhost '{0}'")]
    NoVhost(String),
    /// A policy is refused.
    #[error("policy refused: {0}")]
    Policy(#[from] PolicyError),
    /// Definitions cannot be imported.
    #[error("cannot import definitions: {0}")]
    Definitions(#[from] leveret_engine::definitions::DefinitionsError),
    /// Something that was to be set up is refused.
    #[error("{0}")]
    Refused(AdminError),
    /// The runtime could not be started.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

impl From<AdminError> for Error {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NoVhost(name) => Self::NoVhost(name),
            AdminError::Policy(refused) => Self::Policy(refused),
            other => Self::Refused(other),
        }
    }
}
