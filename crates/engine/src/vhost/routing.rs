//! From exchange and routing keys to queues.

use std::sync::Arc;

use hashbrown::HashSet;
use leveret_codec::properties::PropertiesRef;
use smallvec::SmallVec;

use crate::exchange::history::History;
use crate::exchange::table::Subject;
use crate::exchange::{Destination, Exchange, Generation};
use crate::message::Message;
use crate::names::{Name, QueueId};
use crate::publish::Route;
use crate::queue::Queue;
use crate::vhost::Vhost;

/// A route, and how long it holds.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The queues, each once; empty when there is none.
    pub queues: Route,
    /// What it was found by; none when it holds for this message alone.
    grounds: Option<SmallVec<[Generation; 2]>>,
    /// Exchanges on the way that keep the message: [`Routed::remember`] gives it to them.
    histories: Vec<Arc<Exchange>>,
}

impl Routed {
    /// Whether it may be used again for the same exchange and key.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.grounds.is_some()
    }

    /// Whether it still holds.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.grounds.as_ref().is_some_and(|grounds| grounds.iter().all(Generation::is_current))
    }

    /// Whether exchanges on the way keep the message.
    #[must_use]
    pub fn is_remembered(&self) -> bool {
        !self.histories.is_empty()
    }

    /// Gives the message to the exchanges on the way that keep it. Whoever asks for a route and publishes calls it.
    pub fn remember(&self, message: &Message) {
        for history in self.histories.iter().filter_map(|exchange| exchange.history.as_ref()) {
            history.keep(message.alone());
        }
    }
}

/// A handful of queues or exchanges is compared one by one; a fan-out to thousands needs a set.
const COMPARED_MAX: usize = 16;

/// A walk over exchanges: each is visited once, so that rings of bindings end.
struct Walk<'a> {
    queues: SmallVec<[Arc<Queue>; 4]>,
    seen_queues: HashSet<QueueId>,
    visited: SmallVec<[Name; 4]>,
    /// The same, once they are many.
    seen_exchanges: Option<HashSet<Name>>,
    next: SmallVec<[Arc<Exchange>; 4]>,
    grounds: SmallVec<[Generation; 2]>,
    histories: Vec<Arc<Exchange>>,
    vhost: &'a Vhost,
}

impl Vhost {
    /// The queues for a message published to `exchange` with `keys` (the publish's own, then CC and BCC). A route with more than
    /// one key, or by an exchange that goes by anything else than the key, is not reusable.
    pub fn route(&self, exchange: &Arc<Exchange>, keys: &[&[u8]], properties: PropertiesRef<'_>) -> Routed {
        let mut walk = Walk {
            queues: SmallVec::new(),
            seen_queues: HashSet::new(),
            visited: SmallVec::new(),
            seen_exchanges: None,
            next: SmallVec::new(),
            grounds: SmallVec::new(),
            histories: Vec::new(),
            vhost: self,
        };
        walk.grounds.push(Generation::new(&self.exchange_generation));
        walk.visit(Arc::clone(exchange));
        let mut reusable = keys.len() == 1;
        let subject = Subject { keys, properties, random: &|| self.services.random() };
        while let Some(exchange) = walk.next.pop() {
            walk.grounds.push(exchange.generation());
            reusable &= walk.step(&exchange, &subject);
        }
        Routed {
            queues: walk.queues.into_iter().collect(),
            grounds: reusable.then_some(walk.grounds),
            histories: walk.histories,
        }
    }
}

impl Walk<'_> {
    /// Follows the bindings of one exchange; says whether it goes by the key alone.
    fn step(&mut self, exchange: &Arc<Exchange>, subject: &Subject<'_>) -> bool {
        if exchange.is_default() {
            for key in subject.keys {
                let queue = std::str::from_utf8(key).ok().and_then(|name| self.vhost.queues.get(name));
                if let Some(queue) = queue {
                    self.reach(&queue);
                }
            }
            return true;
        }
        if let Some(hidden) = exchange.delay_for(subject.properties) {
            self.reach(hidden);
            return false;
        }
        if exchange.history.is_some() && History::wants(subject.properties) {
            self.histories.push(Arc::clone(exchange));
        }
        let table = exchange.table.read();
        let goes_by_key = table.goes_by_key() && exchange.history.is_none() && exchange.delay.is_none();
        let mut matched = false;
        table.visit(subject, &mut |destination| {
            matched = true;
            match destination {
                Destination::Queue(queue) => self.reach(queue),
                Destination::Exchange(name) => self.visit_named(name),
            }
        });
        drop(table);
        if !matched && let Some(alternate) = exchange.alternate() {
            self.visit_named(&alternate);
        }
        goes_by_key
    }

    fn reach(&mut self, queue: &Arc<Queue>) {
        if self.queues.len() < COMPARED_MAX {
            if self.queues.iter().any(|known| known.id == queue.id) {
                return;
            }
        } else {
            if self.seen_queues.is_empty() {
                self.seen_queues.extend(self.queues.iter().map(|known| known.id));
            }
            if !self.seen_queues.insert(queue.id) {
                return;
            }
        }
        self.queues.push(Arc::clone(queue));
    }

    /// Goes on to an exchange. The default exchange is one for publishes alone.
    fn visit_named(&mut self, name: &Name) {
        if let Some(exchange) = self.vhost.exchanges.get(name).filter(|exchange| !exchange.is_default()) {
            self.visit(exchange);
        }
    }

    fn visit(&mut self, exchange: Arc<Exchange>) {
        if self.visited.len() < COMPARED_MAX {
            if self.visited.contains(&exchange.name) {
                return;
            }
        } else {
            let seen = self.seen_exchanges.get_or_insert_with(|| self.visited.iter().cloned().collect());
            if !seen.insert(Name::clone(&exchange.name)) {
                return;
            }
        }
        self.visited.push(Name::clone(&exchange.name));
        self.next.push(exchange);
    }
}
