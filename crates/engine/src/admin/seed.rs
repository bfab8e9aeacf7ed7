//! What a new node begins with.

use crate::admin::{AdminError, Done, NewUser, Password};
use crate::broker::{Broker, DEFAULT_VHOST};
use crate::events::INTERNAL_USER;
use crate::vhost::VhostMetadata;

/// The user that RabbitMQ begins with.
pub(super) const GUEST: &str = "guest";

/// The user that a new node begins with, and its vhost.
#[derive(Clone, PartialEq, Eq)]
pub struct DefaultUser {
    /// Its name (`default_user`).
    pub name: String,
    /// Its password (`default_pass`).
    pub password: String,
    /// Its tags (`default_user_tags`).
    pub tags: Vec<String>,
    /// The vhost that comes into being (`default_vhost`).
    pub vhost: String,
    /// What it may do: configure, write, read (`default_permissions`).
    pub permissions: [String; 3],
}

/// Without the password.
impl std::fmt::Debug for DefaultUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DefaultUser").field("name", &self.name).field("vhost", &self.vhost).finish_non_exhaustive()
    }
}

/// `guest` with password `guest`, who may do everything in vhost `/`.
impl Default for DefaultUser {
    fn default() -> Self {
        Self {
            name: GUEST.to_owned(),
            password: GUEST.to_owned(),
            tags: vec!["administrator".to_owned()],
            vhost: DEFAULT_VHOST.to_owned(),
            permissions: [".*", ".*", ".*"].map(str::to_owned),
        }
    }
}

impl Broker {
    /// Whether the journal had no vhosts when the broker started: nobody has set anything up yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.administration.fresh
    }

    /// Begins with a vhost and a user. In a data directory that has vhosts of which nothing was set, the user may use them as
    /// well.
    ///
    /// # Errors
    /// [`AdminError::Pattern`], [`AdminError::Name`]
    pub fn seed(&self, user: &DefaultUser) -> Result<Done, AdminError> {
        self.seed_user(user)?;
        if self.vhost(&user.vhost).is_none() {
            self.add_new_vhost(&user.vhost);
        }
        self.permit_everywhere(user)?;
        // A vhost in the journal says that all this was done: it comes last.
        self.seed_vhost(user)
    }

    /// The user alone.
    ///
    /// # Errors
    /// [`AdminError::Name`]
    pub fn seed_user(&self, user: &DefaultUser) -> Result<Done, AdminError> {
        let new = NewUser { password: Password::Plain(user.password.clone()), tags: user.tags.clone() };
        // Whoever writes the configuration may choose any password.
        self.put_user_unjudged(&user.name, &new, INTERNAL_USER)
    }

    /// The vhost alone, and all of which nothing was set.
    ///
    /// # Errors
    /// [`AdminError::Name`]
    pub fn seed_vhost(&self, user: &DefaultUser) -> Result<Done, AdminError> {
        let metadata = self.vhost(&user.vhost).map(|vhost| vhost.metadata()).unwrap_or_default();
        let default = VhostMetadata { description: "Default virtual host".to_owned(), ..metadata };
        self.put_vhost(&user.vhost, &default, INTERNAL_USER)?;
        self.keep_vhosts()
    }

    /// Lets the user use all vhosts.
    ///
    /// # Errors
    /// [`AdminError::Pattern`]
    pub fn permit_everywhere(&self, user: &DefaultUser) -> Result<Done, AdminError> {
        let [configure, write, read] = &user.permissions;
        let mut done = Done::default();
        for vhost in self.vhosts() {
            done = self.set_permissions(&user.name, &vhost.name, configure, write, read, INTERNAL_USER)?;
        }
        Ok(done)
    }

    /// Writes down the vhosts of a data directory of which nothing was set, and names the cluster: whoever does not seed calls it
    /// once all is there.
    ///
    /// # Errors
    /// Never: they have no metadata yet.
    pub fn keep_vhosts(&self) -> Result<Done, AdminError> {
        self.write_unwritten_vhosts(&mut self.settings())?;
        self.name_cluster_for_good()
    }
}
