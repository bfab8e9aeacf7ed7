//! Routes that a connection has found, by exchange and routing key.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use leveret_engine::counters::Tally;
use leveret_engine::exchange::Exchange;
use leveret_engine::publish::Route;
use leveret_engine::vhost::Routed;

use crate::limits::ROUTES_CACHED_MAX;

/// Remembers routes while the topology they were found in stands still.
#[derive(Default)]
pub(crate) struct RouteCache {
    routes: HashMap<Box<[u8]>, Way, RandomState>,
    /// The last look-up: publishers repeat themselves.
    last: Option<Last>,
    scratch: Vec<u8>,
    /// How often what the user may do had changed when the routes were found.
    rights: u64,
}

/// A route, and the exchange that it leads through.
#[derive(Clone)]
struct Way {
    exchange: Arc<Exchange>,
    routed: Routed,
}

struct Last {
    key: Box<[u8]>,
    way: Way,
    /// Messages that went this way and are not told of.
    messages: u64,
}

impl Last {
    /// Tells of the messages that went this way: `routed` counts their queues.
    fn tell(&mut self, routed: &Tally) {
        if self.messages > 0 {
            let queues = self.messages * self.way.routed.queues.len() as u64;
            self.way.exchange.through.add(self.messages, queues);
            routed.add(queues);
            self.messages = 0;
        }
    }
}

impl RouteCache {
    /// Forgets all routes if what the user may do has changed since they were found: `rights` tells how often it has.
    pub(crate) fn expect(&mut self, rights: u64, told: &Tally) {
        if self.rights != rights {
            self.tell(told);
            self.routes.clear();
            self.last = None;
            self.rights = rights;
        }
    }

    /// The route for a message with `exchange` and `routing_key`, if one is known and still holds. `routed` counts the queues of
    /// those before, some time.
    pub(crate) fn find(&mut self, exchange: &[u8], routing_key: &[u8], routed: &Tally) -> Option<&Route> {
        let is_last = |key: &[u8]| {
            key.split_first().is_some_and(|(len, names)| {
                usize::from(*len) == exchange.len()
                    && names.len() == exchange.len() + routing_key.len()
                    && names.starts_with(exchange)
                    && names.ends_with(routing_key)
            })
        };
        if !self.last.as_ref().is_some_and(|last| is_last(&last.key)) {
            self.tell(routed);
            self.set_key(exchange, routing_key);
            let (key, way) = self.routes.get_key_value(&*self.scratch)?;
            self.last = Some(Last { key: key.clone(), way: way.clone(), messages: 0 });
        }
        let last = self.last.as_mut().filter(|last| last.way.routed.is_current())?;
        last.messages += 1;
        Some(&last.way.routed.queues)
    }

    /// Tells the exchange of the messages that went through it. Call it when nothing more is to be looked up for now.
    pub(crate) fn tell(&mut self, routed: &Tally) {
        if let Some(last) = &mut self.last {
            last.tell(routed);
        }
    }

    /// Remembers a route, if it holds for other messages too.
    pub(crate) fn insert(
        &mut self,
        (exchange, routing_key): (&[u8], &[u8]),
        through: &Arc<Exchange>,
        routed: &Routed,
        told: &Tally,
    ) {
        if !routed.is_reusable() {
            return;
        }
        self.tell(told);
        if self.routes.len() >= ROUTES_CACHED_MAX {
            self.routes.clear();
        }
        self.set_key(exchange, routing_key);
        let key: Box<[u8]> = self.scratch.as_slice().into();
        let way = Way { exchange: Arc::clone(through), routed: routed.clone() };
        self.routes.insert(key.clone(), way.clone());
        self.last = Some(Last { key, way, messages: 0 });
    }

    fn set_key(&mut self, exchange: &[u8], routing_key: &[u8]) {
        self.scratch.clear();
        self.scratch.push(u8::try_from(exchange.len()).unwrap_or(u8::MAX));
        self.scratch.extend_from_slice(exchange);
        self.scratch.extend_from_slice(routing_key);
    }
}
