//! Direct exchanges: a binding matches when its key is, byte for byte, that of the message.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::fanout::Destinations;

/// The destinations behind each binding key.
#[derive(Clone, Debug)]
pub(super) struct DirectTable<D> {
    by_key: HashMap<Box<[u8]>, Destinations<D>, RandomState>,
}

impl<D: Clone + Eq + Hash> DirectTable<D> {
    pub(super) fn new() -> Self {
        Self { by_key: HashMap::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn bind(&mut self, key: &[u8], destination: D) {
        self.by_key.entry(key.into()).or_insert_with(Destinations::new).add(destination);
    }

    pub(super) fn unbind(&mut self, key: &[u8], destination: &D) {
        let Some(destinations) = self.by_key.get_mut(key) else {
            return;
        };
        destinations.remove(destination);
        if destinations.is_empty() {
            self.by_key.remove(key);
        }
    }

    pub(super) fn visit(&self, key: &[u8], each: &mut dyn FnMut(&D)) {
        if let Some(destinations) = self.by_key.get(key) {
            destinations.visit(each);
        }
    }
}
