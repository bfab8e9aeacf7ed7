//! Modulus hash exchanges: each message goes to one destination, counted off by the number of its routing keys. Binding keys mean
//! nothing. When a destination comes or goes nearly all keys move.

use std::hash::Hash;

use super::shares;

/// The destinations, in an order that is theirs and not that of their bindings.
#[derive(Clone, Debug)]
pub(super) struct ModulusHashTable<D> {
    places: Vec<Place<D>>,
}

#[derive(Clone, Debug)]
struct Place<D> {
    number: u64,
    destination: D,
    bindings: u32,
}

impl<D: Clone + Eq + Hash> ModulusHashTable<D> {
    pub(super) fn new() -> Self {
        Self { places: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn bind(&mut self, destination: D) {
        match self.place(&destination) {
            Some(place) => place.bindings = place.bindings.saturating_add(1),
            None => {
                let number = shares::of_destination(&destination);
                let at = self.places.partition_point(|place| place.number < number);
                self.places.insert(at, Place { number, destination, bindings: 1 });
            }
        }
    }

    pub(super) fn unbind(&mut self, destination: &D) {
        if let Some(place) = self.place(destination) {
            place.bindings -= 1;
        }
        self.places.retain(|place| place.bindings > 0);
    }

    fn place(&mut self, destination: &D) -> Option<&mut Place<D>> {
        self.places.iter_mut().find(|place| place.destination == *destination)
    }

    pub(super) fn visit(&self, keys: &[&[u8]], each: &mut dyn FnMut(&D)) {
        let count = self.places.len() as u64;
        let at = shares::of_keys(keys).checked_rem(count).and_then(|at| usize::try_from(at).ok());
        if let Some(place) = at.and_then(|at| self.places.get(at)) {
            each(&place.destination);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(table: &ModulusHashTable<u32>, key: &str) -> Option<u32> {
        let mut found = None;
        table.visit(&[key.as_bytes()], &mut |destination| found = Some(*destination));
        found
    }

    #[test]
    fn messages_are_shared_evenly_whatever_the_order_of_bindings() {
        let (mut table, mut backwards) = (ModulusHashTable::new(), ModulusHashTable::new());
        (0..10).for_each(|destination| table.bind(destination));
        (0..10).rev().for_each(|destination| backwards.bind(destination));
        table.bind(3);
        let mut counts = [0_u32; 10];
        for key in 0..20_000 {
            let key = key.to_string();
            let found = route(&table, &key).unwrap();
            assert_eq!(route(&backwards, &key), Some(found));
            counts[found as usize] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(2_000) < 270), "{counts:?}");
        table.unbind(&3);
        assert_eq!(route(&table, "7"), route(&backwards, "7"));
        (0..10).for_each(|destination| table.unbind(&destination));
        assert!(table.is_empty());
        assert_eq!(route(&table, "7"), None);
    }
}
