//! The broker's state: vhosts and users over one journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::admin::{Administration, DefaultUser};
use crate::clock::{Clock, ManualClock};
use crate::delay::{HiddenQueues, exchange_of};
use crate::journal::{Journal, SettingKind};
use crate::memory::MemoryBudget;
use crate::registry::Registry;
use crate::restore::Restored;
use crate::services::Services;
use crate::user::User;
use crate::vhost::Vhost;

/// Everything that connections share.
pub struct Broker {
    /// What its vhosts share.
    pub services: Arc<Services>,
    pub(crate) vhosts: Registry<Vhost>,
    pub(crate) users: Registry<User>,
    pub(crate) queue_ids: Arc<AtomicU64>,
    pub(crate) administration: Administration,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("vhosts", &self.vhosts.len()).finish_non_exhaustive()
    }
}

/// The vhost that brokers begin with.
pub const DEFAULT_VHOST: &str = "/";

impl Broker {
    /// A broker for tests, with vhost `/` and user guest, who may do everything from this machine. Its clock stands still, and
    /// its messages may take all memory.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        Self::with_guest(Services::new(journal, MemoryBudget::default(), clock, 0))
    }

    /// A broker with vhost `/` and user guest.
    #[must_use]
    pub fn with_guest(services: Services) -> Self {
        let broker = Self::with_services(services);
        // Names and patterns of the default are sound.
        let _ = broker.seed(&DefaultUser::default());
        broker
    }

    /// A broker with nothing in it: [`Broker::seed`] or definitions fill it.
    #[must_use]
    pub fn with_services(services: Services) -> Self {
        Self {
            services: Arc::new(services),
            vhosts: Registry::default(),
            users: Registry::default(),
            queue_ids: Arc::default(),
            administration: Administration::default(),
        }
    }

    /// A broker with what survived of an earlier one. Once its waiting messages take the memory budget, they leave memory, if
    /// the journal can give them back. What could not be put back as it was is told, a line each.
    #[must_use]
    pub fn restore(services: Services, restored: &Restored) -> (Self, Vec<String>) {
        let mut broker = Self::with_services(services);
        let mut problems = Vec::new();
        let last_id = restored.queues.iter().map(|queue| queue.id.0).fold(restored.last_queue_id, u64::max);
        broker.queue_ids.store(last_id, Ordering::Relaxed);
        let is_vhost = |kind: u8| kind == SettingKind::Vhost.number();
        broker.administration.fresh = !restored.settings.iter().any(|setting| is_vhost(setting.kind));
        broker.restore_settings(&restored.settings, &mut problems);
        let hidden = HiddenQueues::among(restored);
        for exchange in &restored.exchanges {
            let vhost = broker.vhost_of_restored(&exchange.vhost);
            problems.extend(vhost.restore_exchange(exchange, hidden.get(exchange)).err());
        }
        hidden.remove_orphans(restored, &*broker.services.journal);
        for queue in restored.queues.iter().filter(|queue| exchange_of(&queue.name).is_none()) {
            problems.extend(broker.vhost_of_restored(&queue.vhost).restore_queue(queue).err());
        }
        broker.restore_pauses(&restored.settings, &mut problems);
        broker.find_former_place_for_events(&restored.bindings);
        for binding in &restored.bindings {
            problems.extend(broker.vhost_of_restored(&binding.vhost).restore_binding(binding).err());
        }
        broker.restored_policies_act();
        broker.find_place_for_events();
        (broker, problems)
    }

    /// Lets user guest in from other machines too, as all others.
    pub fn allow_remote_guest(&self) {
        self.set_loopback_users([]);
    }
}
