//! Definitions: everything that was set up, as the JSON that RabbitMQ's tools export and import.

mod export;
mod fields;
mod import;
mod topology;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::admin::AdminError;
use crate::error::Error;
use crate::journal::Lsn;
use crate::json::JsonError;

pub use export::{DefinitionsFacts, export, export_vhost};
pub use import::import;

/// What to import, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The vhost that all goes to, whatever the definitions say, and whose limits and metadata they are about; none where they
    /// say it. Users, other vhosts and permissions are then left alone.
    pub vhost: Option<&'a str>,
    /// Who does it.
    pub actor: &'a str,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// When all of it is durable.
    pub lsn: Lsn,
    /// What was left out, a line each.
    pub skipped: Vec<String>,
}

/// Tells definitions from others.
#[must_use]
pub fn fingerprint(definitions: &[Value]) -> String {
    let mut hash = Sha256::new();
    for definitions in definitions {
        hash.update(definitions.to_string());
    }
    STANDARD.encode(hash.finalize())
}

/// Why an import ended early: what came before stays. Its display is RabbitMQ's text.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum DefinitionsError {
    /// It is no JSON object, or one of its lists is none.
    #[error("failed_to_parse_json")]
    NotDefinitions,
    /// Something goes to a vhost that is not named.
    #[error("Virtual host does not exist and is not specified in definitions file.")]
    NoVhostNamed,
    /// Something goes to a vhost that is not there.
    #[error("Please create virtual host \"{0}\" prior to importing definitions.")]
    NoVhost(String),
    /// A name or another field that cannot be left out is missing.
    #[error("{what} has no {field}")]
    Missing {
        /// What it is missing from: `a user`.
        what: &'static str,
        /// What is missing.
        field: &'static str,
    },
    /// A user has no tags, not even an empty list of them.
    #[error("tags_not_present")]
    NoTags,
    /// A user has both.
    #[error("both_password_and_password_hash_are_provided")]
    TwoPasswords,
    /// There would be more queues than there may be.
    #[error(
        "Adding {adding} queue(s) to virtual host \"{vhost}\" would exceed the limit of {limit} queue(s).\n\nThis virtual host \
         currently has {there} queue(s) defined.\n\nImport aborted!"
    )]
    #[allow(missing_docs, reason = "the text says it")]
    TooManyQueues { adding: usize, vhost: String, limit: u64, there: usize },
    /// A setting is refused; what it was is told behind the reason.
    #[error("{error}{place}")]
    Setting {
        /// Why.
        error: AdminError,
        /// ` (vhost/name)` or nothing.
        place: String,
    },
    /// The arguments of something fit no field table.
    #[error("arguments of {0}: {1}")]
    Arguments(&'static str, JsonError),
    /// A queue or exchange is refused.
    #[error("{code}: {0}", code = name_of(.0))]
    Topology(Error),
}

impl From<AdminError> for DefinitionsError {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NoVhost(name) => Self::NoVhost(name),
            error => Self::Setting { error, place: String::new() },
        }
    }
}

impl From<Error> for DefinitionsError {
    fn from(error: Error) -> Self {
        Self::Topology(error)
    }
}

/// The code of a refusal, as RabbitMQ writes it here.
fn name_of(error: &Error) -> String {
    error.reply_code().name().to_lowercase()
}
