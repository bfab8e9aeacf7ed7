//! From exchange and routing keys to queues.

use std::sync::Arc;

use hashbrown::HashSet;
use leveret_codec::table::TableRef;
use smallvec::SmallVec;

use crate::exchange::{Destination, Exchange, Generation};
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
}

/// A walk over exchanges: each is visited once, so that rings of bindings end.
struct Walk<'a> {
    queues: SmallVec<[Arc<Queue>; 4]>,
    seen_queues: HashSet<QueueId>,
    visited: SmallVec<[Name; 4]>,
    next: SmallVec<[Arc<Exchange>; 4]>,
    grounds: SmallVec<[Generation; 2]>,
    vhost: &'a Vhost,
}

impl Vhost {
    /// The queues for a message published to `exchange` with `keys` (the publish's own, then CC and BCC). `headers` are asked
    /// for only when a headers exchange is on the way; a route that read them, or had more than one key, is not reusable.
    pub fn route<'h>(
        &self,
        exchange: &Arc<Exchange>,
        keys: &[&[u8]],
        headers: impl Fn() -> Option<TableRef<'h>>,
    ) -> Routed {
        let mut walk = Walk {
            queues: SmallVec::new(),
            seen_queues: HashSet::new(),
            visited: SmallVec::new(),
            next: SmallVec::new(),
            grounds: SmallVec::new(),
            vhost: self,
        };
        walk.grounds.push(Generation::new(&self.exchange_generation));
        walk.visit(Arc::clone(exchange));
        let mut reusable = keys.len() == 1;
        while let Some(exchange) = walk.next.pop() {
            walk.grounds.push(exchange.generation());
            reusable &= !walk.step(&exchange, keys, &headers);
        }
        Routed { queues: walk.queues.into_iter().collect(), grounds: reusable.then_some(walk.grounds) }
    }
}

impl Walk<'_> {
    /// Follows the bindings of one exchange; says whether they read the headers.
    fn step<'h>(&mut self, exchange: &Exchange, keys: &[&[u8]], headers: &impl Fn() -> Option<TableRef<'h>>) -> bool {
        if exchange.is_default() {
            for key in keys {
                let queue = std::str::from_utf8(key).ok().and_then(|name| self.vhost.queues.get(name));
                if let Some(queue) = queue {
                    self.reach(&queue);
                }
            }
            return false;
        }
        let table = exchange.table.read();
        let needs_headers = table.needs_headers();
        let headers = if needs_headers { headers() } else { None };
        let mut matched = false;
        for key in keys {
            table.visit(key, headers, &mut |destination| {
                matched = true;
                match destination {
                    Destination::Queue(queue) => self.reach(queue),
                    Destination::Exchange(name) => self.visit_named(name),
                }
            });
        }
        drop(table);
        if let (false, Some(alternate)) = (matched, &exchange.alternate) {
            self.visit_named(alternate);
        }
        needs_headers
    }

    fn reach(&mut self, queue: &Arc<Queue>) {
        // A handful is compared one by one; a fan-out to thousands needs a set.
        const COMPARED_MAX: usize = 16;
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

    fn visit_named(&mut self, name: &Name) {
        if let Some(exchange) = self.vhost.exchanges.get(name) {
            self.visit(exchange);
        }
    }

    fn visit(&mut self, exchange: Arc<Exchange>) {
        if !self.visited.contains(&exchange.name) {
            self.visited.push(Name::clone(&exchange.name));
            self.next.push(exchange);
        }
    }
}
