//! The broker's state: vhosts and users over one journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;

use crate::clock::{Clock, ManualClock};
use crate::delay::{HiddenQueues, exchange_of};
use crate::journal::Journal;
use crate::memory::MemoryBudget;
use crate::names::Name;
use crate::permission::Permissions;
use crate::registry::Registry;
use crate::restore::Restored;
use crate::services::Services;
use crate::user::User;
use crate::vhost::Vhost;

/// Everything that connections share.
pub struct Broker {
    /// What its vhosts share.
    pub services: Arc<Services>,
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
    /// A broker for tests, with vhost `/` and user guest, who may do everything from this machine. Its clock stands still, and
    /// its messages may take all memory.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        Self::with_services(Services::new(journal, MemoryBudget::default(), clock, 0))
    }

    /// A broker with what survived of an earlier one. Once its waiting messages take the memory budget, they leave memory, if
    /// the journal can give them back. What could not be put back as it was is told, a line each.
    #[must_use]
    pub fn restore(services: Services, restored: &Restored) -> (Self, Vec<String>) {
        let broker = Self::with_services(services);
        let mut problems = Vec::new();
        let last_id = restored.queues.iter().map(|queue| queue.id.0).fold(restored.last_queue_id, u64::max);
        broker.queue_ids.store(last_id, Ordering::Relaxed);
        let hidden = HiddenQueues::among(restored);
        for exchange in &restored.exchanges {
            let vhost = broker.ensure_vhost(&exchange.vhost);
            problems.extend(vhost.restore_exchange(exchange, hidden.get(exchange)).err());
        }
        hidden.remove_orphans(restored, &*broker.services.journal);
        for queue in restored.queues.iter().filter(|queue| exchange_of(&queue.name).is_none()) {
            problems.extend(broker.ensure_vhost(&queue.vhost).restore_queue(queue).err());
        }
        for binding in &restored.bindings {
            problems.extend(broker.ensure_vhost(&binding.vhost).restore_binding(binding).err());
        }
        (broker, problems)
    }

    /// A broker with vhost `/` and user guest.
    #[must_use]
    pub fn with_services(services: Services) -> Self {
        let broker = Self {
            services: Arc::new(services),
            vhosts: Registry::default(),
            users: Registry::default(),
            queue_ids: Arc::default(),
        };
        broker.ensure_vhost(DEFAULT_VHOST).tell_events();
        broker.add_user(guest());
        broker
    }

    /// Lets user guest in from other machines too.
    pub fn allow_remote_guest(&self) {
        self.add_user(User { loopback_only: false, ..guest() });
    }

    /// Adds a vhost, if it is not there.
    pub fn add_vhost(&self, name: &str) {
        self.ensure_vhost(name);
    }

    fn ensure_vhost(&self, name: &str) -> Arc<Vhost> {
        if let Some(vhost) = self.vhost(name) {
            return vhost;
        }
        let vhost = Vhost::new(name.into(), Arc::clone(&self.services), Arc::clone(&self.queue_ids));
        self.vhosts.insert_new(name.into(), Arc::clone(&vhost));
        self.vhost(name).unwrap_or(vhost)
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
        topic_permissions: HashMap::default(),
        permissions: HashMap::from_iter([(Name::from(DEFAULT_VHOST), Permissions::all())]),
    }
}
