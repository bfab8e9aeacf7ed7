//! Routes that a connection has found, by exchange and routing key.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use leveret_engine::publish::Route;
use leveret_engine::vhost::Routed;

use crate::limits::ROUTES_CACHED_MAX;

/// Remembers routes while the topology they were found in stands still.
#[derive(Default)]
pub(crate) struct RouteCache {
    routes: HashMap<Box<[u8]>, Routed, RandomState>,
    /// The key of the last look-up, and its route: publishers repeat themselves.
    last: Option<(Box<[u8]>, Routed)>,
    scratch: Vec<u8>,
}

impl RouteCache {
    /// The route for `exchange` and `routing_key`, if one is known and still holds.
    pub(crate) fn find(&mut self, exchange: &[u8], routing_key: &[u8]) -> Option<&Route> {
        let is_last = |key: &[u8]| {
            key.split_first().is_some_and(|(len, names)| {
                usize::from(*len) == exchange.len()
                    && names.len() == exchange.len() + routing_key.len()
                    && names.starts_with(exchange)
                    && names.ends_with(routing_key)
            })
        };
        if !self.last.as_ref().is_some_and(|(key, _)| is_last(key)) {
            self.set_key(exchange, routing_key);
            let (key, routed) = self.routes.get_key_value(&*self.scratch)?;
            self.last = Some((key.clone(), routed.clone()));
        }
        self.last.as_ref().filter(|(_, routed)| routed.is_current()).map(|(_, routed)| &routed.queues)
    }

    /// Remembers a route, if it holds for other messages too.
    pub(crate) fn insert(&mut self, exchange: &[u8], routing_key: &[u8], routed: &Routed) {
        if !routed.is_reusable() {
            return;
        }
        if self.routes.len() >= ROUTES_CACHED_MAX {
            self.routes.clear();
        }
        self.set_key(exchange, routing_key);
        let key: Box<[u8]> = self.scratch.as_slice().into();
        self.routes.insert(key.clone(), routed.clone());
        self.last = Some((key, routed.clone()));
    }

    fn set_key(&mut self, exchange: &[u8], routing_key: &[u8]) {
        self.scratch.clear();
        self.scratch.push(u8::try_from(exchange.len()).unwrap_or(u8::MAX));
        self.scratch.extend_from_slice(exchange);
        self.scratch.extend_from_slice(routing_key);
    }
}
