//! Messages that the broker publishes about itself: events and traces.
//!
//! They come up under locks (of the topology, of an outlet), where nothing can be published. So they are put in a row here, and
//! whoever holds no lock publishes them: the connection that caused them at the end of its batch, else the task that is woken. One
//! publishes at a time, so that they stay in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Mutex, RwLock};

use crate::effects::Effects;
use crate::exchange::Exchange;
use crate::journal::Waiter;
use crate::message::Message;
use crate::names::{ConnectionId, Name};
use crate::vhost::Vhost;

/// The node's name where nobody gave it one.
const NODE_DEFAULT: &str = "rabbit@localhost";

/// What is to be published, one row for a broker.
#[derive(Default)]
pub struct Notices {
    waiting: Mutex<Waiting>,
    /// Some wait.
    some: AtomicBool,
    /// Held by whoever publishes.
    turn: Mutex<()>,
    /// The vhost that tells of events.
    pub(crate) events_in: RwLock<Weak<Vhost>>,
    /// Something is bound to the exchange of events.
    pub(crate) events_wanted: AtomicBool,
    /// How many vhosts are traced.
    pub(crate) traced_vhosts: AtomicUsize,
    node: OnceLock<Name>,
}

#[derive(Default)]
struct Waiting {
    row: VecDeque<Notice>,
    sleeper: Option<Arc<dyn Waiter>>,
}

/// A message about the broker, and where it goes.
pub(crate) struct Notice {
    pub(crate) vhost: Weak<Vhost>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) routing_key: Box<[u8]>,
    pub(crate) message: Message,
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notices").field("some", &self.some).finish_non_exhaustive()
    }
}

impl Notices {
    /// The node's name, as messages and process ids have it.
    #[must_use]
    pub fn node(&self) -> &str {
        self.node.get().map_or(NODE_DEFAULT, |node| node)
    }

    /// Names the node. The first name stays.
    pub fn set_node(&self, node: &str) {
        self.node.get_or_init(|| node.into());
    }

    /// What stands for a connection, or with its number for a channel, where RabbitMQ has the ids of processes.
    #[must_use]
    pub fn pid(&self, connection: ConnectionId, channel: u16) -> String {
        format!("<{}.0.{}.{channel}>", self.node(), connection.0)
    }

    /// Puts a message at the end of the row.
    pub(crate) fn push(&self, notice: Notice) {
        let mut waiting = self.waiting.lock();
        waiting.row.push_back(notice);
        self.some.store(true, Ordering::SeqCst);
        let sleeper = waiting.sleeper.take();
        drop(waiting);
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// Whether there is something to publish.
    #[inline]
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.some.load(Ordering::Relaxed)
    }

    /// Publishes what waits, and what comes up by that. Call it without locks.
    pub fn publish(&self, effects: &mut Effects) {
        while self.some.load(Ordering::SeqCst) {
            // Who has the turn looks again after giving it up.
            let Some(_turn) = self.turn.try_lock() else { return };
            let row = {
                let mut waiting = self.waiting.lock();
                self.some.store(false, Ordering::SeqCst);
                std::mem::take(&mut waiting.row)
            };
            for Notice { vhost, exchange, routing_key, message } in row {
                if let Some(vhost) = vhost.upgrade() {
                    vhost.publish(&exchange, &[&routing_key], message, effects);
                }
            }
            effects.carry_out();
        }
    }

    /// Wakes `sleeper` once, when there is something to publish; at once if there is.
    pub fn when_some(&self, sleeper: Arc<dyn Waiter>) {
        let mut waiting = self.waiting.lock();
        if waiting.row.is_empty() {
            waiting.sleeper = Some(sleeper);
        } else {
            drop(waiting);
            sleeper.wake();
        }
    }
}
