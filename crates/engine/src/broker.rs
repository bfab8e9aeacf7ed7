//! The broker's state: vhosts and users over one journal.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hashbrown::HashMap;

use crate::journal::Journal;
use crate::names::Name;
use crate::permission::Permissions;
use crate::registry::Registry;
use crate::user::User;
use crate::vhost::Vhost;

/// Everything that connections share.
pub struct Broker {
    /// Where durable things go.
    pub journal: Arc<dyn Journal>,
    vhosts: Registry<Vhost>,
    users: Registry<User>,
    queue_ids: Arc<AtomicU64>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("vhosts", &self.vhosts.len()).finish_non_exhaustive()
    }
}

/// The vhost that every broker has.
pub const DEFAULT_VHOST: &str = "/";

impl Broker {
    /// A broker with vhost `/` and user guest, who may do everything from this machine.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        let broker =
            Self { journal, vhosts: Registry::default(), users: Registry::default(), queue_ids: Arc::default() };
        broker.add_vhost(DEFAULT_VHOST);
        broker.add_user(guest());
        broker
    }

    /// Lets user guest in from other machines too.
    pub fn allow_remote_guest(&self) {
        self.add_user(User { loopback_only: false, ..guest() });
    }

    /// Adds a vhost, if it is not there.
    pub fn add_vhost(&self, name: &str) {
        let vhost = Vhost::new(name.into(), Arc::clone(&self.journal), Arc::clone(&self.queue_ids));
        self.vhosts.insert_new(name.into(), Arc::new(vhost));
    }

    /// Adds a user, in place of one of the same name.
    pub fn add_user(&self, user: User) {
        self.users.remove(&user.name);
        self.users.insert_new(Name::clone(&user.name), Arc::new(user));
    }

    /// The vhost `name`.
    #[must_use]
    pub fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.vhosts.get(name)
    }

    /// The user `name`.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<Arc<User>> {
        self.users.get(name)
    }
}

fn guest() -> User {
    User {
        name: "guest".into(),
        password: "guest".to_owned(),
        tags: vec!["administrator".to_owned()],
        loopback_only: true,
        permissions: HashMap::from_iter([(Name::from(DEFAULT_VHOST), Permissions::all())]),
    }
}
