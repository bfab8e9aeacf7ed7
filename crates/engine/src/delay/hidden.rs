//! The hidden queues of delayed exchanges: made, found again after a restart, and removed.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::FieldTable;
use parking_lot::Mutex;

use crate::delay::core::Core;
use crate::delay::{Delay, EXCHANGE_TYPE, delay_ms};
use crate::exchange::Exchange;
use crate::journal::{Journal, Record};
use crate::names::{Name, QueueId};
use crate::queue::arguments::QueueArguments;
use crate::queue::{NewQueue, Queue};
use crate::restore::{Restored, RestoredExchange, RestoredQueue};
use crate::services::Services;
use crate::vhost::{Routed, Vhost};

/// What the name of a hidden queue begins with; the exchange's name follows. No client can name a queue so: line breaks are
/// taken out of what they say.
const PREFIX: char = '\n';

/// The exchange that the queue of this name is hidden in, if it is.
pub(crate) fn exchange_of(queue: &str) -> Option<&str> {
    queue.strip_prefix(PREFIX)
}

/// Hidden queues that a restart found.
#[derive(Debug, Default)]
pub(crate) struct HiddenQueues<'f> {
    /// By vhost and exchange.
    found: HashMap<(&'f str, &'f str), &'f RestoredQueue>,
    /// Those that have a successor: their exchange could not be put back once, and was declared again.
    replaced: Vec<&'f RestoredQueue>,
}

impl<'f> HiddenQueues<'f> {
    pub(crate) fn among(restored: &'f Restored) -> Self {
        let mut hidden = Self::default();
        for queue in &restored.queues {
            let Some(exchange) = exchange_of(&queue.name) else { continue };
            let newest = hidden.found.entry((&*queue.vhost, exchange)).or_insert(queue);
            if newest.id < queue.id {
                hidden.replaced.push(std::mem::replace(newest, queue));
            } else if newest.id > queue.id {
                hidden.replaced.push(queue);
            }
        }
        hidden
    }

    pub(crate) fn get(&self, exchange: &RestoredExchange) -> Option<&'f RestoredQueue> {
        self.found.get(&(&*exchange.vhost, &*exchange.name)).copied()
    }

    /// Removes those whose exchange is gone: the broker ended between the two records of a declaration or a deletion. What
    /// waits in an exchange that could not be put back stays.
    pub(crate) fn remove_orphans(mut self, restored: &'f Restored, journal: &dyn Journal) {
        for exchange in restored.exchanges.iter().filter(|exchange| exchange.kind == EXCHANGE_TYPE) {
            self.found.remove(&(&*exchange.vhost, &*exchange.name));
        }
        for orphan in self.found.into_values().chain(self.replaced) {
            journal.append(&Record::QueueDeleted { id: orphan.id });
        }
    }
}

/// What a hidden queue belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) vhost: &'a Name,
    pub(crate) home: &'a Weak<Vhost>,
    pub(crate) services: &'a Arc<Services>,
}

impl Delay {
    /// A hidden queue, with what a restart found in it. With anything in it its timer is due at once.
    pub(crate) fn hidden_queue(
        owner: Owner<'_>,
        id: QueueId,
        durable: bool,
        found: Option<&RestoredQueue>,
    ) -> Arc<Queue> {
        let new = NewQueue {
            id,
            name: format!("{PREFIX}{}", owner.exchange).into(),
            vhost: Name::clone(owner.vhost),
            durable,
            auto_delete: false,
            owner: None,
            arguments: FieldTable::default(),
            settings: QueueArguments::default(),
            home: Weak::clone(owner.home),
            services: Arc::clone(owner.services),
        };
        let hidden = Arc::new_cyclic(|hidden| {
            let mut queue = Queue::new(new);
            queue.delay = Some(Arc::new_cyclic(|me| Self {
                me: Weak::clone(me),
                hidden: Weak::clone(hidden),
                id,
                exchange: owner.exchange.into(),
                home: Weak::clone(owner.home),
                services: Arc::clone(owner.services),
                core: Mutex::new(found.map(Core::restored).unwrap_or_default()),
                waits_for_room: AtomicBool::new(false),
            }));
            queue
        });
        if let Some(delay) = &hidden.delay {
            delay.arm(&mut delay.core.lock());
        }
        hidden
    }
}

impl Exchange {
    /// An exchange that delays messages in this queue, and routes them by its kind then.
    #[must_use]
    pub(crate) fn delayed_in(mut self, hidden: Arc<Queue>) -> Self {
        self.delay = Some(hidden);
        self
    }

    /// The type that it was declared with; [`Exchange::kind`] is the one that it routes by.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        if self.delay.is_some() { EXCHANGE_TYPE } else { self.kind.as_str() }
    }

    /// What waits in it, if it delays messages.
    #[must_use]
    pub fn delay(&self) -> Option<&Arc<Delay>> {
        self.delay.as_ref()?.delay.as_ref()
    }

    /// The queue in which a message with these properties has to wait, if it has to.
    pub(crate) fn delay_for(&self, properties: PropertiesRef<'_>) -> Option<&Arc<Queue>> {
        self.delay.as_ref().filter(|_| delay_ms(properties.headers()).is_some())
    }

    pub(crate) fn is_delayed_by(&self, hidden: &Queue) -> bool {
        self.delay.as_ref().is_some_and(|own| own.id == hidden.id)
    }
}

impl Routed {
    /// Whether all that becomes of the message for now is that it waits in delayed exchanges.
    #[must_use]
    pub fn only_waits(&self) -> bool {
        !self.queues.is_empty() && self.queues.iter().all(|queue| queue.delay.is_some())
    }
}
