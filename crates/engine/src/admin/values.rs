//! Settings as JSON and back. What comes from the journal is checked as if anybody had written it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::AdminError;
use crate::json::{json_of_table, table_of_json};
use crate::password::{HashingAlgorithm, PasswordHash};
use crate::permission::{Permissions, TopicPermissions};
use crate::policy::{ApplyTo, NewPolicy, Policy};
use crate::queue::arguments::QueueType;
use crate::user::{Account, UserLimits};
use crate::vhost::{VhostLimits, VhostMetadata};

/// A vhost's metadata, but for what does not survive a restart.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct StoredVhost {
    description: String,
    tags: Vec<String>,
    default_queue_type: Option<String>,
    protected_from_deletion: bool,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct StoredUser {
    password_hash: String,
    hashing_algorithm: String,
    tags: Vec<String>,
}

#[derive(Deserialize, Serialize)]
struct StoredPermission {
    configure: String,
    write: String,
    read: String,
}

#[derive(Deserialize, Serialize)]
struct StoredTopicPermission {
    write: String,
    read: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default, rename_all = "kebab-case")]
struct StoredLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_queues: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_channels: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
struct StoredPolicy {
    pattern: String,
    definition: Value,
    #[serde(default)]
    priority: i64,
    #[serde(default = "to_all")]
    apply_to: String,
}

fn to_all() -> String {
    ApplyTo::All.as_str().to_owned()
}

/// Why a value is not understood.
type Puzzle = String;

fn understood<'de, T: Deserialize<'de>>(value: &'de [u8]) -> Result<T, Puzzle> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

fn stored(value: &impl Serialize) -> Value {
    // Texts, numbers and lists of them are always JSON.
    serde_json::to_value(value).unwrap_or_default()
}

pub(super) fn vhost(metadata: &VhostMetadata) -> Value {
    stored(&StoredVhost {
        description: metadata.description.clone(),
        tags: metadata.tags.clone(),
        default_queue_type: metadata.default_queue_type.map(|queue_type| queue_type.as_str().to_owned()),
        protected_from_deletion: metadata.protected_from_deletion,
    })
}

pub(super) fn read_vhost(value: &[u8]) -> Result<VhostMetadata, Puzzle> {
    let StoredVhost { description, tags, default_queue_type, protected_from_deletion } = understood(value)?;
    let default_queue_type = match default_queue_type {
        None => None,
        Some(name) => Some(queue_type(&name).map_err(|error| error.to_string())?),
    };
    Ok(VhostMetadata { description, tags, default_queue_type, tracing: false, protected_from_deletion })
}

/// The type of queue of this name; RabbitMQ's own names for them count too, such as `rabbit_quorum_queue`.
///
/// # Errors
/// [`AdminError::QueueType`]
pub fn queue_type(name: &str) -> Result<QueueType, AdminError> {
    let all = [QueueType::Classic, QueueType::Quorum, QueueType::Stream];
    let is_called = |queue_type: &QueueType| {
        queue_type.as_str() == name
            || name
                .strip_prefix("rabbit_")
                .is_some_and(|rest| rest.strip_suffix("_queue").is_some_and(|middle| middle == queue_type.as_str()))
    };
    all.into_iter().find(is_called).ok_or_else(|| AdminError::QueueType(name.to_owned()))
}

pub(super) fn user(account: &Account) -> Value {
    let password = account.password.as_ref();
    stored(&StoredUser {
        password_hash: password.map(|hash| hash.text.to_string()).unwrap_or_default(),
        hashing_algorithm: password.map(|hash| hash.algorithm).unwrap_or_default().as_str().to_owned(),
        tags: account.tags.clone(),
    })
}

pub(super) fn read_user(value: &[u8]) -> Result<Account, Puzzle> {
    let StoredUser { password_hash, hashing_algorithm, tags } = understood(value)?;
    let password = match password_hash.is_empty() {
        true => None,
        false => {
            let algorithm = HashingAlgorithm::parse(&hashing_algorithm)
                .ok_or_else(|| format!("hashing algorithm '{hashing_algorithm}' is not known"))?;
            Some(PasswordHash { algorithm, text: password_hash.into() })
        }
    };
    Ok(Account { password, tags, limits: UserLimits::default() })
}

pub(super) fn permission(permissions: &Permissions) -> Value {
    let own = |text: &str| text.to_owned();
    stored(&StoredPermission {
        configure: own(permissions.configure()),
        write: own(permissions.write()),
        read: own(permissions.read()),
    })
}

pub(super) fn read_permission(value: &[u8]) -> Result<Permissions, Puzzle> {
    let StoredPermission { configure, write, read } = understood(value)?;
    Permissions::new(&configure, &write, &read).map_err(|error| error.to_string())
}

pub(super) fn topic_permission(permissions: &TopicPermissions) -> Value {
    let (write, read) = (permissions.write().to_owned(), permissions.read().to_owned());
    stored(&StoredTopicPermission { write, read })
}

pub(super) fn read_topic_permission(value: &[u8], user: &str, vhost: &str) -> Result<TopicPermissions, Puzzle> {
    let StoredTopicPermission { write, read } = understood(value)?;
    TopicPermissions::new(&write, &read, user, vhost).map_err(|error| error.to_string())
}

/// A vhost's limits, as the parameter that they are to RabbitMQ.
#[must_use]
pub fn vhost_limits(limits: VhostLimits) -> Value {
    let VhostLimits { connections_max, queues_max } = limits;
    stored(&StoredLimits { max_connections: connections_max, max_queues: queues_max, max_channels: None })
}

pub(super) fn read_vhost_limits(value: &[u8]) -> Result<VhostLimits, Puzzle> {
    let StoredLimits { max_connections, max_queues, .. } = understood(value)?;
    Ok(VhostLimits { connections_max: max_connections, queues_max: max_queues })
}

/// A user's limits, as definitions have them.
#[must_use]
pub fn user_limits(limits: UserLimits) -> Value {
    let UserLimits { connections_max, channels_max } = limits;
    stored(&StoredLimits { max_connections: connections_max, max_channels: channels_max, max_queues: None })
}

pub(super) fn read_user_limits(value: &[u8]) -> Result<UserLimits, Puzzle> {
    let StoredLimits { max_connections, max_channels, .. } = understood(value)?;
    Ok(UserLimits { connections_max: max_connections, channels_max: max_channels })
}

/// A policy less its name, as the parameter that it is to RabbitMQ.
pub(crate) fn policy(policy: &Policy) -> Value {
    stored(&StoredPolicy {
        pattern: policy.pattern().to_owned(),
        definition: json_of_table(&policy.definition),
        priority: policy.priority,
        apply_to: policy.apply_to.as_str().to_owned(),
    })
}

pub(super) fn read_policy(name: &str, value: &[u8]) -> Result<NewPolicy, Puzzle> {
    let StoredPolicy { pattern, definition, priority, apply_to } = understood(value)?;
    Ok(NewPolicy {
        name: name.to_owned(),
        pattern,
        apply_to: ApplyTo::parse(&apply_to).map_err(|error| error.to_string())?,
        priority,
        definition: table_of_json(&definition).map_err(|error| error.to_string())?,
    })
}

/// The two names in the name of a setting that takes two.
pub(super) fn read_both(name: &str) -> Result<(String, String), Puzzle> {
    understood(name.as_bytes())
}
