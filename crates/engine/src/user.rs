//! Users and what they may do.

use hashbrown::HashMap;

use crate::names::Name;
use crate::permission::{Permissions, TopicPermissions};

/// A user of the broker.
#[derive(Debug)]
pub struct User {
    /// Its name.
    pub name: Name,
    /// Its password. An empty one never lets anybody in.
    pub password: String,
    /// Tags such as `administrator` and `impersonator`.
    pub tags: Vec<String>,
    /// May connect from this machine only.
    pub loopback_only: bool,
    /// By vhost; without an entry the vhost is refused.
    pub permissions: HashMap<Name, Permissions>,
    /// By vhost and topic exchange; without an entry any key is allowed.
    pub topic_permissions: HashMap<(Name, Name), TopicPermissions>,
}

impl User {
    /// Whether `password` is the user's: in constant time for a given length, and never for an empty one.
    #[must_use]
    pub fn accepts(&self, password: &[u8]) -> bool {
        let own = self.password.as_bytes();
        if own.is_empty() || own.len() != password.len() {
            return false;
        }
        own.iter().zip(password).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }

    /// Whether it may set any user-id on messages.
    #[must_use]
    pub fn is_impersonator(&self) -> bool {
        self.tags.iter().any(|tag| tag == "impersonator")
    }
}
