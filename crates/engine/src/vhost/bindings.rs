//! Bindings: which there are, from both ends; the exchanges' tables follow them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::{HashMap, HashSet};
use leveret_codec::table::FieldTable;

use crate::effects::Effects;
use crate::error::Error;
use crate::events::{self, Fields, INTERNAL_USER};
use crate::exchange::history::History;
use crate::exchange::table::{NewBinding, Table, validate_binding};
use crate::exchange::{Destination, Exchange};
use crate::journal::{BindingRecord, Lsn, Record};
use crate::names::{ConnectionId, Name};
use crate::queue::Queue;
use crate::queue::arguments::QueueType;
use crate::vhost::Vhost;

/// One binding. Its identity is all of this, the arguments in order of their keys.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) source: Name,
    pub(super) destination: BindingEnd,
    pub(super) routing_key: Box<[u8]>,
    pub(super) arguments: FieldTable,
    /// The arguments in order of their keys, encoded: what makes two bindings the same.
    identity: Box<[u8]>,
    /// Both ends are durable.
    pub(super) durable: bool,
}

/// The destination of a binding by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum BindingEnd {
    /// A queue.
    Queue(Name),
    /// An exchange.
    Exchange(Name),
}

/// What a bind or unbind asks for.
#[derive(Clone, Copy, Debug)]
pub struct BindingKey<'a> {
    /// The exchange that messages come from.
    pub source: &'a str,
    /// The routing key.
    pub routing_key: &'a [u8],
    /// The arguments.
    pub arguments: &'a FieldTable,
    /// Who asks for it.
    pub user: &'a str,
}

impl BindingKey<'_> {
    /// The binding that it asks for.
    pub(super) fn to<'b>(
        &'b self,
        source: &'b Exchange,
        destination: &'b Name,
        queue_type: Option<QueueType>,
    ) -> NewBinding<'b> {
        NewBinding { source: &source.name, key: self.routing_key, arguments: self.arguments, destination, queue_type }
    }
}

impl PartialEq for Binding {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
            && self.destination == other.destination
            && self.routing_key == other.routing_key
            && self.identity == other.identity
    }
}

impl Eq for Binding {}

impl std::hash::Hash for Binding {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        self.destination.hash(state);
        self.routing_key.hash(state);
        self.identity.hash(state);
    }
}

impl Binding {
    pub(super) fn new(key: &BindingKey<'_>, destination: BindingEnd, durable: bool) -> Self {
        let mut sorted = key.arguments.clone();
        sorted.0.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut identity = Vec::new();
        sorted.encode(&mut identity);
        Self {
            source: key.source.into(),
            destination,
            routing_key: key.routing_key.into(),
            arguments: key.arguments.clone(),
            identity: identity.into(),
            durable,
        }
    }

    /// What events say of it.
    fn tell(&self, vhost: &str, fields: Fields) -> Fields {
        let (destination, kind) = match &self.destination {
            BindingEnd::Queue(name) => (name, "queue"),
            BindingEnd::Exchange(name) => (name, "exchange"),
        };
        fields
            .text("source_name", &self.source)
            .text("source_kind", "exchange")
            .text("destination_name", destination)
            .text("destination_kind", kind)
            .bytes("routing_key", &self.routing_key)
            .table("arguments", &self.arguments)
            .text("vhost", vhost)
    }

    fn record(&self) -> BindingRecord<'_> {
        let (destination, destination_is_queue) = match &self.destination {
            BindingEnd::Queue(name) => (name, true),
            BindingEnd::Exchange(name) => (name, false),
        };
        BindingRecord {
            source: &self.source,
            destination,
            destination_is_queue,
            routing_key: &self.routing_key,
            arguments: &self.arguments,
        }
    }
}

/// All bindings of a vhost.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    by_source: HashMap<Name, HashSet<Arc<Binding>>>,
    by_destination: HashMap<BindingEnd, HashSet<Arc<Binding>>>,
    /// Position of the last record that a change of the vhost's topology wrote. Whoever finds that what he asks for was done
    /// already waits for it: it may not be durable yet.
    pub(super) last_lsn: Lsn,
}

impl Bindings {
    fn insert(&mut self, binding: Binding) -> Option<Arc<Binding>> {
        let binding = Arc::new(binding);
        if !self.by_source.entry(Name::clone(&binding.source)).or_default().insert(Arc::clone(&binding)) {
            return None;
        }
        self.by_destination.entry(binding.destination.clone()).or_default().insert(Arc::clone(&binding));
        Some(binding)
    }

    fn remove(&mut self, binding: &Binding) -> Option<Arc<Binding>> {
        let from_source = self.by_source.get_mut(&binding.source)?;
        let removed = from_source.take(binding)?;
        if from_source.is_empty() {
            self.by_source.remove(&binding.source);
        }
        if let Some(to_destination) = self.by_destination.get_mut(&binding.destination) {
            to_destination.remove(binding);
            if to_destination.is_empty() {
                self.by_destination.remove(&binding.destination);
            }
        }
        Some(removed)
    }

    /// What an answer about something that is there already has to wait for.
    pub(super) fn lsn_if(&self, durable: bool) -> Lsn {
        if durable { self.last_lsn } else { Lsn::default() }
    }

    pub(super) fn has_source(&self, source: &str) -> bool {
        self.by_source.contains_key(source)
    }

    fn contains(&self, binding: &Binding) -> bool {
        self.by_source.get(&binding.source).is_some_and(|bindings| bindings.contains(binding))
    }

    pub(super) fn all(&self) -> Vec<Arc<Binding>> {
        self.by_source.values().flatten().cloned().collect()
    }

    pub(super) fn all_from(&self, source: &str) -> Vec<Arc<Binding>> {
        self.by_source.get(source).into_iter().flatten().cloned().collect()
    }

    pub(super) fn all_to(&self, destination: &BindingEnd) -> Vec<Arc<Binding>> {
        self.by_destination.get(destination).into_iter().flatten().cloned().collect()
    }
}

impl Vhost {
    /// Binds a queue. Binding again is no error. The caller has checked permissions, and carries `effects` out.
    ///
    /// # Errors
    /// [`Error::NoExchange`], [`Error::NoQueue`], [`Error::QueueLocked`], [`Error::Argument`], [`Error::Exchange`]
    pub fn bind_queue(
        &self,
        key: &BindingKey<'_>,
        queue: &str,
        connection: ConnectionId,
        effects: &mut Effects,
    ) -> Result<Lsn, Error> {
        let mut topology = self.topology.lock();
        let source = self.exchange(key.source)?;
        let queue = self.usable_queue(queue, connection)?;
        validate_binding(source.kind, &key.to(&source, &queue.name, Some(queue.settings.queue_type)))?;
        let binding = Binding::new(key, BindingEnd::Queue(Name::clone(&queue.name)), source.durable && queue.durable);
        let to = Destination::Queue(Arc::clone(&queue));
        let (is_new, bound) = self.bind(&mut topology, &source, binding, to, key.user);
        drop(topology);
        let history = source.history.as_ref().filter(|_| is_new);
        Ok(history.map_or(bound, |history| bound.max(self.publish_to(&queue, history.messages(), effects))))
    }

    /// Binds an exchange to another. The caller carries `effects` out.
    ///
    /// # Errors
    /// [`Error::NoExchange`], [`Error::Argument`], [`Error::Exchange`]
    pub fn bind_exchange(&self, key: &BindingKey<'_>, destination: &str, effects: &mut Effects) -> Result<Lsn, Error> {
        let mut topology = self.topology.lock();
        let source = self.exchange(key.source)?;
        let destination = self.exchange(destination)?;
        validate_binding(source.kind, &key.to(&source, &destination.name, None))?;
        let name = Name::clone(&destination.name);
        let binding =
            Binding::new(key, BindingEnd::Exchange(Name::clone(&name)), source.durable && destination.durable);
        let (is_new, bound) = self.bind(&mut topology, &source, binding, Destination::Exchange(name), key.user);
        drop(topology);
        let history = source.history.as_ref().filter(|_| is_new);
        let messages = history.map(History::messages).into_iter().flatten();
        Ok(messages.fold(bound, |end, message| end.max(self.publish_again(&destination, message, effects))))
    }

    /// Adds a binding and writes it down, if it is not there. Says whether it is new, and when it is durable.
    fn bind(
        &self,
        topology: &mut Bindings,
        source: &Exchange,
        binding: Binding,
        to: Destination,
        user: &str,
    ) -> (bool, Lsn) {
        let durable = binding.durable;
        let Some(binding) = self.insert_binding(topology, source, binding, to) else {
            return (false, topology.lsn_if(durable));
        };
        self.services.event("binding.created", |fields| binding.tell(&self.name, fields).by(user));
        if !durable {
            return (true, Lsn::default());
        }
        (true, self.write(topology, &Record::Bound { vhost: &self.name, binding: binding.record() }))
    }

    /// Adds a binding, unless it is there.
    pub(super) fn insert_binding(
        &self,
        topology: &mut Bindings,
        source: &Exchange,
        binding: Binding,
        to: Destination,
    ) -> Option<Arc<Binding>> {
        let binding = topology.insert(binding)?;
        let mut table = source.table.write();
        table.bind(&binding.routing_key, &binding.arguments, to);
        self.note_events_wanted(source, &table);
        drop(table);
        source.bump_generation();
        Some(binding)
    }

    /// The exchange of events has a binding, or none any more.
    fn note_events_wanted(&self, source: &Exchange, table: &Table<Destination>) {
        if &*source.name == events::EXCHANGE {
            self.services.notices.events_wanted.store(!table.is_empty(), Ordering::Relaxed);
        }
    }

    /// Removes a binding; that it is not there is no error, whosever the queue is.
    ///
    /// # Errors
    /// [`Error::QueueLocked`]
    pub fn unbind_queue(&self, key: &BindingKey<'_>, queue: &str, connection: ConnectionId) -> Result<Lsn, Error> {
        let mut topology = self.topology.lock();
        let Some(queue) = self.queues.get(queue) else { return Ok(topology.last_lsn) };
        let binding = Binding::new(key, BindingEnd::Queue(Name::clone(&queue.name)), false);
        if topology.contains(&binding) {
            self.check_owner(&queue, connection)?;
        }
        Ok(self.unbind(&mut topology, &binding, key.user))
    }

    /// Removes a binding between exchanges; that it is not there is no error.
    pub fn unbind_exchange(&self, key: &BindingKey<'_>, destination: &str) -> Lsn {
        let mut topology = self.topology.lock();
        let binding = Binding::new(key, BindingEnd::Exchange(destination.into()), false);
        self.unbind(&mut topology, &binding, key.user)
    }

    fn unbind(&self, topology: &mut Bindings, binding: &Binding, user: &str) -> Lsn {
        let Some(binding) = topology.remove(binding) else { return topology.last_lsn };
        let unbound = self.unroute(topology, &binding, None, user);
        unbound.max(self.auto_delete_exchanges(topology, vec![Name::clone(&binding.source)]))
    }

    /// Takes a binding out of its source's table. `gone` is its destination when that left the registry already.
    fn unroute(&self, topology: &mut Bindings, binding: &Binding, gone: Option<&Arc<Queue>>, user: &str) -> Lsn {
        let destination = match &binding.destination {
            BindingEnd::Exchange(name) => Some(Destination::Exchange(Name::clone(name))),
            BindingEnd::Queue(name) => gone.cloned().or_else(|| self.queues.get(name)).map(Destination::Queue),
        };
        if let (Some(source), Some(destination)) = (self.exchanges.get(&binding.source), destination) {
            let mut table = source.table.write();
            table.unbind(&binding.routing_key, &binding.arguments, &destination);
            self.note_events_wanted(&source, &table);
            drop(table);
            source.bump_generation();
        }
        self.services.event("binding.deleted", |fields| binding.tell(&self.name, fields).by(user));
        if !binding.durable {
            return Lsn::default();
        }
        self.write(topology, &Record::Unbound { vhost: &self.name, binding: binding.record() })
    }

    /// Removes all bindings to a queue that left the registry; auto-delete exchanges may go with them.
    pub(super) fn unbind_all_to_queue(&self, topology: &mut Bindings, queue: &Arc<Queue>) -> Lsn {
        let mut end = Lsn::default();
        for binding in topology.all_to(&BindingEnd::Queue(Name::clone(&queue.name))) {
            topology.remove(&binding);
            end = end.max(self.unroute(topology, &binding, Some(queue), INTERNAL_USER));
            end = end.max(self.auto_delete_exchanges(topology, vec![Name::clone(&binding.source)]));
        }
        end
    }

    /// Removes all bindings of an exchange that left the registry, at both its ends. `bare` is told of those that lost a binding
    /// by it: see [`Vhost::auto_delete_exchanges`].
    pub(super) fn unbind_all_of_exchange(&self, topology: &mut Bindings, name: &Name, bare: &mut Vec<Name>) -> Lsn {
        let mut end = Lsn::default();
        for binding in topology.all_from(name) {
            topology.remove(&binding);
            end = end.max(self.unroute(topology, &binding, None, INTERNAL_USER));
        }
        for binding in topology.all_to(&BindingEnd::Exchange(Name::clone(name))) {
            topology.remove(&binding);
            end = end.max(self.unroute(topology, &binding, None, INTERNAL_USER));
            bare.push(Name::clone(&binding.source));
        }
        end
    }

    /// Of exchanges that just lost a binding as a source, deletes those that go with their last one; by that others may lose
    /// theirs. They stand on a list: a chain of them is as long as clients make it.
    pub(super) fn auto_delete_exchanges(&self, topology: &mut Bindings, mut bare: Vec<Name>) -> Lsn {
        let mut end = Lsn::default();
        while let Some(name) = bare.pop() {
            let exchange = self.exchanges.get(&name).filter(|exchange| exchange.auto_delete);
            if let Some(exchange) = exchange.filter(|_| !topology.has_source(&name)) {
                end = end.max(self.remove_one_exchange(topology, &exchange, INTERNAL_USER, &mut bare));
            }
        }
        end
    }
}
