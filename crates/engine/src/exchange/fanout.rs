//! Fanout exchanges: every binding matches, whatever its key.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

/// Up to this many destinations are searched one by one; more are looked up by their hash.
const SEARCHED_MAX: usize = 16;

/// The destinations of the bindings that match together: the whole table of a fanout exchange, and what stands behind
/// one key of the others.
///
/// Dense, because a publish walks all of them and because the order of visits then depends on nothing but the history
/// of binds and unbinds.
#[derive(Clone, Debug)]
pub(super) struct Destinations<D> {
    entries: SmallVec<[Entry<D>; 1]>,
    /// Where in `entries` each destination stands, once there are more than [`SEARCHED_MAX`].
    places: Option<Box<HashMap<D, usize, RandomState>>>,
}

#[derive(Clone, Debug)]
struct Entry<D> {
    destination: D,
    /// How many bindings lead there. Bindings that differ in arguments which the exchange's type ignores, or in a key
    /// that it ignores, are several.
    bindings: u32,
}

impl<D: Clone + Eq + Hash> Destinations<D> {
    pub(super) fn new() -> Self {
        Self { entries: SmallVec::new(), places: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn visit(&self, each: &mut dyn FnMut(&D)) {
        for entry in &self.entries {
            each(&entry.destination);
        }
    }

    /// Adds a binding to `destination`.
    pub(super) fn add(&mut self, destination: D) {
        if let Some(entry) = self.place(&destination).and_then(|place| self.entries.get_mut(place)) {
            entry.bindings = entry.bindings.saturating_add(1);
            return;
        }
        if let Some(places) = &mut self.places {
            places.insert(destination.clone(), self.entries.len());
        }
        self.entries.push(Entry { destination, bindings: 1 });
        if self.places.is_none() && self.entries.len() > SEARCHED_MAX {
            self.index();
        }
    }

    /// Removes one binding to `destination`.
    pub(super) fn remove(&mut self, destination: &D) {
        let Some(place) = self.place(destination) else {
            return;
        };
        let Some(entry) = self.entries.get_mut(place) else {
            return;
        };
        if entry.bindings > 1 {
            entry.bindings -= 1;
            return;
        }
        self.entries.swap_remove(place);
        self.after_removal(destination, place);
    }

    /// The last entry has moved to `place`. Half of what made the index necessary undoes it, so that no exchange builds
    /// and drops its index with every second call.
    fn after_removal(&mut self, removed: &D, place: usize) {
        let Some(places) = &mut self.places else {
            return;
        };
        if self.entries.len() <= SEARCHED_MAX / 2 {
            self.places = None;
            return;
        }
        places.remove(removed);
        if let Some(moved) = self.entries.get(place) {
            places.insert(moved.destination.clone(), place);
        }
    }

    fn place(&self, destination: &D) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(destination).copied(),
            None => self.entries.iter().position(|entry| entry.destination == *destination),
        }
    }

    fn index(&mut self) {
        let places = self.entries.iter().enumerate().map(|(place, entry)| (entry.destination.clone(), place)).collect();
        self.places = Some(Box::new(places));
    }
}
