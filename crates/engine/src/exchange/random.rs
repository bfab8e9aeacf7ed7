//! Random exchanges: each message goes along one binding, each as likely as the others.

/// The destinations of the bindings: one that several lead to is there several times.
#[derive(Clone, Debug)]
pub(super) struct RandomTable<D> {
    destinations: Vec<D>,
}

impl<D: Clone + Eq> RandomTable<D> {
    pub(super) fn new() -> Self {
        Self { destinations: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.destinations.is_empty()
    }

    pub(super) fn bind(&mut self, destination: D) {
        self.destinations.push(destination);
    }

    pub(super) fn unbind(&mut self, destination: &D) {
        if let Some(place) = self.destinations.iter().position(|known| known == destination) {
            self.destinations.swap_remove(place);
        }
    }

    pub(super) fn visit(&self, random: &dyn Fn() -> u64, each: &mut dyn FnMut(&D)) {
        let count = self.destinations.len() as u64;
        let at = if count > 1 { random() % count } else { 0 };
        if let Some(destination) = usize::try_from(at).ok().and_then(|at| self.destinations.get(at)) {
            each(destination);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_binding_has_its_turn() {
        let mut table = RandomTable::new();
        [1, 2, 2, 3].iter().for_each(|destination| table.bind(*destination));
        let reached = |table: &RandomTable<i32>| {
            let mut reached = Vec::new();
            (0..4).for_each(|number| table.visit(&|| number, &mut |destination| reached.push(*destination)));
            reached
        };
        assert_eq!(reached(&table), [1, 2, 2, 3]);
        table.unbind(&2);
        table.unbind(&7);
        assert_eq!(reached(&table), [1, 3, 2, 1]);
        [1, 2, 3].iter().for_each(|destination| table.unbind(destination));
        assert!(table.is_empty());
        assert_eq!(reached(&table), [0; 0]);
    }
}
