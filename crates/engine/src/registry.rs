//! Named things looked up from many threads at once.

use std::hash::Hash;
use std::sync::Arc;

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use crate::names::Name;

/// Entities by name. A guard of the map never leaves this type: it hands out the `Arc`.
#[derive(Debug)]
pub struct Registry<T, K: Eq + Hash = Name> {
    map: DashMap<K, Arc<T>, RandomState>,
}

impl<T, K: Eq + Hash> Default for Registry<T, K> {
    fn default() -> Self {
        // Few shards: the map is read-mostly and an empty broker should stay small.
        Self { map: DashMap::with_hasher_and_shard_amount(RandomState::default(), 8) }
    }
}

impl<T, K: Eq + Hash + Clone> Registry<T, K> {
    /// The entity under `key`.
    pub fn get<Q>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.get(key).map(|found| Arc::clone(found.value()))
    }

    /// Puts `value` under `key`, unless something is there already; says whether it did.
    pub fn insert_new(&self, key: K, value: Arc<T>) -> bool {
        match self.map.entry(key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(value);
                true
            }
        }
    }

    /// Removes and returns what is under `key`.
    pub fn remove<Q>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.remove(key).map(|(_, value)| value)
    }

    /// Everything, in no order.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.map.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}
