//! Administration: vhosts, users, permissions, limits, policies and parameters, by whoever is allowed to.
//!
//! Everything that is set is a JSON value in the journal, under a [`SettingKey`]; the latest counts. What acts on connections
//! and queues is kept where it acts: in [`User`](crate::user::User), in [`Vhost`]. One change at a time:
//! `Settings` is locked while it is written down and put in force, so that the journal has changes in the order in which they
//! came into force. `actor` is who does it, for the events.

mod limits;
mod parameters;
mod permissions;
mod policies;
mod restore;
mod seed;
mod users;
mod values;
mod vhosts;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard, RwLock};
use serde_json::Value;
use thiserror::Error;

use crate::broker::Broker;
use crate::journal::{Lsn, Record, SettingKey, SettingKind};
use crate::limits::SETTING_BYTES_MAX;
use crate::names::Name;
use crate::password::{HashingAlgorithm, Judge};
use crate::policy::PolicyError;
use crate::vhost::Vhost;

pub use limits::{UserLimit, VhostLimit};
pub(crate) use parameters::no_number;
pub use parameters::{GlobalParameter, Parameter};
pub use permissions::{UserPermission, UserTopicPermission};
pub use seed::DefaultUser;
pub use users::{AuthError, NewUser, Password};
pub use values::{queue_type as queue_type_named, user_limits as user_limits_json, vhost_limits as vhost_limits_json};

/// What came of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// When it is durable: whoever answers for it waits for this position.
    pub lsn: Lsn,
    /// Something came into being that was not there.
    pub created: bool,
}

/// Why a change is refused.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum AdminError {
    /// There is no such vhost.
    #[error("Virtual host '{0}' does not exist")]
    NoVhost(String),
    /// There is no such user.
    #[error("User '{0}' does not exist")]
    NoUser(String),
    /// There is nothing under this name to be cleared.
    #[error("{what} does not exist")]
    Nothing {
        /// What it would be: `Parameter`, `Policy`...
        what: &'static str,
    },
    /// The vhost is protected.
    #[error(
        "Cannot delete this virtual host: it is protected from deletion. To lift the protection, inspect and update its metadata"
    )]
    Protected(String),
    /// A name that nothing can have.
    #[error("{what} name is invalid: it must have 1 to 255 bytes")]
    Name {
        /// Whose.
        what: &'static str,
    },
    /// A permission's pattern is no regular expression.
    #[error("{pattern} should be regular expression but is invalid: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A policy is not sound.
    #[error("Validation failed\n\n{0}\n")]
    Policy(#[from] PolicyError),
    /// A parameter is not sound.
    #[error("Validation failed\n\n{0}\n")]
    Parameter(String),
    /// Policies are no parameters.
    #[error("policies may not be {0} using this method")]
    PolicyAsParameter(&'static str),
    /// A type of queue that there is not.
    #[error("invalid queue type '{0}'")]
    QueueType(String),
    /// A hash that is no base64, or by an algorithm that there is not.
    #[error("{0}")]
    PasswordHash(String),
    /// There are as many vhosts as there may be.
    #[error("cannot create vhost '{vhost}': vhost limit of {limit} is reached")]
    TooManyVhosts {
        /// The one that there would be.
        vhost: String,
        /// How many there may be.
        limit: u64,
    },
    /// No user may have this password.
    #[error("{0}")]
    Password(String),
    /// The value is too large to be kept.
    #[error("the value has {bytes} bytes; at most {SETTING_BYTES_MAX} are kept")]
    TooLarge {
        /// Its length in JSON.
        bytes: usize,
    },
}

/// A vhost or user that is gone: its connections are to be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// A vhost.
    Vhost(Name),
    /// A user.
    User(Name),
}

impl Gone {
    /// What connections are told (320).
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Vhost(name) => format!("vhost '{name}' is deleted"),
            Self::User(name) => format!("user '{name}' is deleted"),
        }
    }
}

type GoneListener = Box<dyn Fn(&Gone) + Send + Sync>;

/// What administration keeps of a broker.
pub(crate) struct Administration {
    settings: Mutex<Settings>,
    /// Users who may connect from this machine only.
    loopback_users: RwLock<Vec<Name>>,
    /// How new passwords are hashed.
    hashing: RwLock<HashingAlgorithm>,
    /// Which passwords users may have.
    passwords: RwLock<Judge>,
    gone: OnceLock<GoneListener>,
    /// The journal had no vhosts when the broker started.
    pub(crate) fresh: bool,
}

/// What is set and acts nowhere else.
#[derive(Debug, Default)]
struct Settings {
    /// By vhost, component and name.
    parameters: BTreeMap<(Name, Name, Name), Value>,
    global_parameters: BTreeMap<Name, Value>,
    /// Vhosts that came out of a journal without settings, and are not written down yet.
    unwritten_vhosts: Vec<Arc<Vhost>>,
    last_lsn: Lsn,
}

impl Default for Administration {
    fn default() -> Self {
        Self {
            settings: Mutex::default(),
            loopback_users: RwLock::new(vec![seed::GUEST.into()]),
            hashing: RwLock::default(),
            passwords: RwLock::default(),
            gone: OnceLock::new(),
            fresh: true,
        }
    }
}

impl Broker {
    /// Tells `listener` of vhosts and users that are deleted from now on, with no lock held. There is one listener: the first.
    pub fn when_gone(&self, listener: impl Fn(&Gone) + Send + Sync + 'static) {
        let _ = self.administration.gone.set(Box::new(listener));
    }

    fn tell_gone(&self, gone: &Gone) {
        if let Some(listener) = self.administration.gone.get() {
            listener(gone);
        }
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.administration.settings.lock()
    }

    fn existing_vhost(&self, name: &str) -> Result<Arc<Vhost>, AdminError> {
        self.vhost(name).ok_or_else(|| AdminError::NoVhost(name.to_owned()))
    }

    fn existing_user(&self, name: &str) -> Result<Arc<crate::user::User>, AdminError> {
        self.user(name).ok_or_else(|| AdminError::NoUser(name.to_owned()))
    }

    /// Writes a setting down. [`check_size`] was asked before.
    fn write(&self, settings: &mut Settings, key: SettingKey<'_>, value: &[u8]) -> Lsn {
        settings.last_lsn = self.services.journal.append(&Record::Setting { key, value });
        settings.last_lsn
    }

    fn write_cleared(&self, settings: &mut Settings, key: SettingKey<'_>) -> Lsn {
        settings.last_lsn = self.services.journal.append(&Record::SettingCleared { key });
        settings.last_lsn
    }
}

/// The bytes of a value, if it can be kept.
fn bytes_of(value: &Value) -> Result<Vec<u8>, AdminError> {
    let bytes = value.to_string().into_bytes();
    if bytes.len() > SETTING_BYTES_MAX { Err(AdminError::TooLarge { bytes: bytes.len() }) } else { Ok(bytes) }
}

/// Refuses what can be no name.
fn check_name(what: &'static str, name: &str) -> Result<(), AdminError> {
    if name.is_empty() || name.len() > usize::from(u8::MAX) { Err(AdminError::Name { what }) } else { Ok(()) }
}

const fn key<'a>(kind: SettingKind, scope: &'a str, name: &'a str) -> SettingKey<'a> {
    SettingKey { kind, scope, name }
}

/// Two names as one.
fn both(first: &str, second: &str) -> String {
    serde_json::json!([first, second]).to_string()
}
