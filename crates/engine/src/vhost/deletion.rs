//! The end of a vhost and of all that is in it.

use std::sync::atomic::Ordering;

use crate::effects::Effects;
use crate::events;
use crate::journal::Lsn;
use crate::vhost::Vhost;

impl Vhost {
    /// Deletes all queues with their messages, all exchanges and all bindings, for good: nothing new comes into being here. The
    /// caller has taken it out of the broker's registry, and carries `effects` out.
    pub(crate) fn delete_all(&self, user: &str, effects: &mut Effects) -> Lsn {
        let mut topology = self.topology.lock();
        self.deleted.store(true, Ordering::Release);
        drop(topology);
        for queue in self.queues.all() {
            self.delete_with_vhost(&queue, user, effects);
        }
        topology = self.topology.lock();
        let mut end = Lsn::default();
        for exchange in self.exchanges.all() {
            if self.exchanges.get(&exchange.name).is_none() {
                // Gone with another.
                continue;
            }
            end = end.max(self.remove_exchange(&mut topology, &exchange, user));
        }
        if self.exchanges.get(events::EXCHANGE).is_none() {
            self.services.notices.tell_no_events_in(&self.me);
        }
        self.set_tracing(false);
        end.max(topology.last_lsn)
    }
}
