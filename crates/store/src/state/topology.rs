//! Durable exchanges and bindings. (Queues are with their messages.)

use std::collections::{BTreeMap, BTreeSet};

/// A vhost and a name in it.
pub(crate) type Named = (Box<str>, Box<str>);

/// A durable exchange, less its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exchange {
    pub(crate) kind: Box<str>,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    /// The field table as it was declared.
    pub(crate) arguments: Box<[u8]>,
}

/// What a binding leads to: all bindings of a source to one destination are neighbours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Destination {
    pub(crate) name: Box<str>,
    pub(crate) is_queue: bool,
}

/// A binding, less vhost and source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Binding {
    pub(crate) destination: Destination,
    pub(crate) routing_key: Box<[u8]>,
    /// The field table as it was bound.
    pub(crate) arguments: Box<[u8]>,
}

/// Exchanges and bindings. What is said last about one of them holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Topology {
    exchanges: BTreeMap<Named, Exchange>,
    /// By source. No set is empty.
    bindings: BTreeMap<Named, BTreeSet<Binding>>,
    /// By vhost and destination: names of the sources that have a binding to it. No set is empty.
    sources: BTreeMap<(Box<str>, Destination), BTreeSet<Box<str>>>,
}

impl Topology {
    pub(crate) fn exchanges(&self) -> impl ExactSizeIterator<Item = (&Named, &Exchange)> {
        self.exchanges.iter()
    }

    /// Vhost and source of bindings, and the bindings.
    pub(crate) fn bindings(&self) -> impl ExactSizeIterator<Item = (&Named, &BTreeSet<Binding>)> {
        self.bindings.iter()
    }

    pub(crate) fn declare_exchange(&mut self, name: Named, exchange: Exchange) {
        self.exchanges.insert(name, exchange);
    }

    /// An exchange is gone, and all bindings from it and to it.
    pub(crate) fn delete_exchange(&mut self, name: &Named) {
        self.exchanges.remove(name);
        for binding in self.bindings.remove(name).unwrap_or_default() {
            self.forget_source(&name.0, binding.destination, &name.1);
        }
        self.delete_destination(&name.0, Destination { name: name.1.clone(), is_queue: false });
    }

    /// Something that bindings lead to is gone, and they with it.
    pub(crate) fn delete_destination(&mut self, vhost: &str, destination: Destination) {
        let key = (Box::from(vhost), destination);
        for source in self.sources.remove(&key).unwrap_or_default() {
            let from = (Box::from(vhost), source);
            if let Some(bindings) = self.bindings.get_mut(&from) {
                for binding in neighbours(bindings, &key.1).cloned().collect::<Vec<_>>() {
                    bindings.remove(&binding);
                }
                if bindings.is_empty() {
                    self.bindings.remove(&from);
                }
            }
        }
    }

    pub(crate) fn bind(&mut self, source: Named, binding: Binding) {
        let to = (source.0.clone(), binding.destination.clone());
        self.sources.entry(to).or_default().insert(source.1.clone());
        self.bindings.entry(source).or_default().insert(binding);
    }

    pub(crate) fn unbind(&mut self, source: &Named, binding: &Binding) {
        let Some(bindings) = self.bindings.get_mut(source) else { return };
        bindings.remove(binding);
        let last = neighbours(bindings, &binding.destination).next().is_none();
        if bindings.is_empty() {
            self.bindings.remove(source);
        }
        if last {
            self.forget_source(&source.0, binding.destination.clone(), &source.1);
        }
    }

    fn forget_source(&mut self, vhost: &str, destination: Destination, source: &str) {
        let key = (Box::from(vhost), destination);
        if let Some(sources) = self.sources.get_mut(&key) {
            sources.remove(source);
            if sources.is_empty() {
                self.sources.remove(&key);
            }
        }
    }
}

/// The bindings that lead to `destination`.
fn neighbours<'a>(bindings: &'a BTreeSet<Binding>, destination: &'a Destination) -> impl Iterator<Item = &'a Binding> {
    let first = Binding { destination: destination.clone(), routing_key: Box::default(), arguments: Box::default() };
    bindings.range(first..).take_while(move |binding| binding.destination == *destination)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Named {
        ("/".into(), name.into())
    }

    fn to(name: &str, is_queue: bool, key: &str) -> Binding {
        Binding {
            destination: Destination { name: name.into(), is_queue },
            routing_key: key.as_bytes().into(),
            arguments: Box::default(),
        }
    }

    #[test]
    fn a_deleted_exchange_takes_bindings_from_and_to_it() {
        let mut topology = Topology::default();
        topology.bind(named("a"), to("b", false, "1"));
        topology.bind(named("b"), to("q", true, "1"));
        topology.bind(named("b"), to("q", true, "2"));
        topology.bind(named("a"), to("b", true, "a queue of that name"));
        topology.delete_exchange(&named("b"));
        let left: Vec<_> = topology.bindings().flat_map(|(_, bindings)| bindings.iter().cloned()).collect();
        assert_eq!(left, vec![to("b", true, "a queue of that name")]);
        topology.delete_exchange(&named("a"));
        assert_eq!(topology, Topology::default());
    }

    #[test]
    fn the_last_binding_takes_the_source_along() {
        let mut topology = Topology::default();
        topology.bind(named("a"), to("q", true, "1"));
        topology.bind(named("a"), to("q", true, "2"));
        topology.bind(named("a"), to("q", true, "2"));
        topology.unbind(&named("a"), &to("q", true, "1"));
        assert_eq!(topology.bindings().len(), 1);
        topology.unbind(&named("a"), &to("q", true, "2"));
        assert_eq!(topology, Topology::default());
    }

    #[test]
    fn a_deleted_queue_takes_its_bindings() {
        let mut topology = Topology::default();
        topology.bind(named("a"), to("q", true, "1"));
        topology.bind(named("b"), to("q", true, "1"));
        topology.bind(named("b"), to("r", true, "1"));
        topology.delete_destination("/", Destination { name: "q".into(), is_queue: true });
        assert_eq!(topology.bindings().len(), 1);
    }
}
