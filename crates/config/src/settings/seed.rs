//! What a fresh node starts with.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a fresh node starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seed {
    /// The first user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The first virtual host.
    pub vhost: String,
    /// More virtual hosts.
    pub vhosts: Vec<String>,
    /// The tags of the first user.
    pub tags: Vec<String>,
    /// What it may do in the first virtual host.
    pub permissions: Permissions,
    /// Somebody said who the first user is by the environment or a flag: it is made even when definitions are loaded.
    pub is_user_explicit: bool,
    /// Users who may come from this machine only.
    pub loopback_users: Vec<String>,
    /// More users, by name.
    pub users: BTreeMap<String, SeedUser>,
    /// Operator policies, by name.
    pub operator_policies: BTreeMap<String, SeedPolicy>,
    /// Limits of virtual hosts, by an id of no meaning.
    pub vhost_limits: BTreeMap<String, VhostLimits>,
}

/// Patterns over names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// What may be declared and deleted.
    pub configure: String,
    /// Where messages may be put.
    pub write: String,
    /// Where they may be taken from.
    pub read: String,
}

/// A user of `default_users`: it is made with each virtual host that the pattern matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeedUser {
    /// Virtual hosts it is made with.
    pub vhost_pattern: Option<String>,
    /// A random one if none.
    pub password: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// What it may do there.
    pub permissions: Permissions,
}

/// A policy of `default_policies.operator`: it is made with each virtual host that the pattern matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeedPolicy {
    /// Virtual hosts it is made with.
    pub vhost_pattern: Option<String>,
    /// Queues it is for.
    pub queue_pattern: Option<String>,
    /// Its definition: numbers by policy keys such as `max-length`.
    pub definition: BTreeMap<String, u64>,
}

/// Limits of `default_limits.vhosts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VhostLimits {
    /// Virtual hosts they are for.
    pub pattern: Option<String>,
    /// Connections.
    pub max_connections: Option<u64>,
    /// Queues.
    pub max_queues: Option<u64>,
}

/// Definitions that are loaded at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    /// A file, or a folder whose `.json` files are loaded in the order of their names.
    pub path: Option<PathBuf>,
    /// Nothing is done when they are as last time.
    pub skip_if_unchanged: bool,
}
