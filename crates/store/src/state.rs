//! What the log says: durable topology, what administration has set, and which messages queues hold and where they lie. Pure: [`State::apply`] is all that
//! recovery and normal running do to it, and the keeper's moves, which change where messages lie and nothing else.

mod list;
mod queue;
mod settings;
#[cfg(test)]
pub(crate) mod tests;
mod topology;

use std::collections::BTreeMap;

use leveret_codec::table::{FieldTable, TableRef};
use leveret_engine::journal::SeqRange;
use leveret_engine::names::QueueId;
use leveret_engine::restore::{Restored, RestoredBinding, RestoredExchange, RestoredQueue};
use roaring::RoaringTreemap;

use self::queue::Freed;
use crate::record::{Logged, LoggedBinding};

pub(crate) use self::list::JournalList;
pub(crate) use self::queue::{Declaration, Entry, Place, QueueState, Segment, Totals};
pub(crate) use self::settings::{Key, Settings};
pub(crate) use self::topology::{Binding, Destination, Exchange, Topology};

/// What happened to a reference of a message to a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlobChange {
    Referenced(u64),
    Unreferenced(u64),
}

/// What the log says, up to some position.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) topology: Topology,
    pub(crate) settings: Settings,
    pub(crate) queues: BTreeMap<QueueId, Box<QueueState>>,
    /// No queue had a higher id.
    pub(crate) last_queue_id: u64,
    /// The next segment's id. Ids are used once.
    pub(crate) next_segment_id: u64,
    /// Blobs of bodies in the journal, by the body's position: whoever enqueues a body refers to its blob.
    pub(crate) body_blobs: BTreeMap<u64, u64>,
    /// What happened to references to blobs since somebody asked.
    pub(crate) blob_changes: Vec<BlobChange>,
    /// Segments that no message is left in: their files go when no checkpoint names them any more.
    pub(crate) dead_segments: Vec<u64>,
    /// Messages that went out of segments since somebody looked for thin ones.
    pub(crate) settled_in_segments: u64,
}

impl State {
    /// Takes in what a record says that begins at `position`.
    pub(crate) fn apply(&mut self, position: u64, record: &Logged<'_>) {
        match *record {
            Logged::Started { .. } => self.start(),
            Logged::Body { payload, .. } => {
                if let Some(blob) = payload.blob() {
                    self.body_blobs.insert(position, blob);
                }
            }
            Logged::Enqueue { queue, first_seq, bodies, bytes, transient } => {
                let bodies = bodies.map(|at| at.0);
                self.enqueue(queue, first_seq, bodies, bytes, transient);
            }
            Logged::Settle { queue, ranges, bytes, transient } => {
                self.on_queue(queue, |state, freed| state.settle(ranges, bytes, transient, freed));
            }
            Logged::Delivered { queue, last } => {
                self.on_queue(queue, |state, _| state.delivered = state.delivered.max(last));
            }
            Logged::Returned { queue, counts } => self.on_queue(queue, |state, _| {
                for (seq, count) in counts.filter(|&(seq, _)| state.holds(seq)).collect::<Vec<_>>() {
                    state.returned.insert(seq, count);
                }
            }),
            Logged::StreamSegment { queue, segment } => {
                self.on_queue(queue, |state, _| state.stream_segments.push_back(segment));
            }
            Logged::QueueDeclared { vhost, name, id, auto_delete, arguments } => {
                let arguments = arguments.as_bytes().into();
                let declaration = Declaration { vhost: vhost.into(), name: name.into(), auto_delete, arguments };
                self.queues.entry(id).or_default().declaration = Some(Box::new(declaration));
                self.last_queue_id = self.last_queue_id.max(id.0);
            }
            Logged::QueueDeleted { id } => self.delete_queue(id),
            Logged::ExchangeDeclared { vhost, name, kind, auto_delete, internal, arguments } => {
                let exchange =
                    Exchange { kind: kind.into(), auto_delete, internal, arguments: arguments.as_bytes().into() };
                self.topology.declare_exchange((vhost.into(), name.into()), exchange);
            }
            Logged::ExchangeDeleted { vhost, name } => self.topology.delete_exchange(&(vhost.into(), name.into())),
            Logged::Bound { vhost, binding } => {
                self.topology.bind((vhost.into(), binding.source.into()), binding_of(&binding));
            }
            Logged::Unbound { vhost, binding } => {
                self.topology.unbind(&(vhost.into(), binding.source.into()), &binding_of(&binding));
            }
            Logged::Setting { key, value } => self.settings.set(Key::of(&key), value),
            Logged::SettingCleared { key } => self.settings.clear(&Key::of(&key)),
            Logged::Moved { queue, seq, at } => {
                self.on_queue(queue, |state, _| {
                    state.journal.replace(seq, at.0);
                });
            }
        }
    }

    /// Messages that lay in the journal lie in a segment now. See [`QueueState::move_to_segment`].
    pub(crate) fn move_to_segment(&mut self, queue: QueueId, id: u64, len_bytes: u64, moved: &[(u64, u64)]) {
        // Its last message may have gone while more were written to it.
        self.dead_segments.retain(|&dead| dead != id);
        if self.queues.contains_key(&queue) {
            self.on_queue(queue, |state, freed| state.move_to_segment(id, len_bytes, moved, freed));
        } else {
            self.dead_segments.push(id);
        }
    }

    /// What lived in segments `old` lies in the new one `id` now. See [`QueueState::rewrite`].
    pub(crate) fn rewrite(&mut self, queue: QueueId, old: &[u64], id: u64, len_bytes: u64, written: &RoaringTreemap) {
        if self.queues.contains_key(&queue) {
            self.on_queue(queue, |state, freed| state.rewrite(old, id, len_bytes, written, freed));
        } else {
            self.dead_segments.push(id);
        }
    }

    /// The lowest position in the journal that a message's body has.
    pub(crate) fn lowest_position(&self) -> Option<u64> {
        self.queues.values().flat_map(|state| state.journal.iter_from(0)).map(|(_, at)| at).min()
    }

    /// Forgets about bodies below `position`, which nobody can enqueue any more.
    pub(crate) fn forget_bodies_below(&mut self, position: u64) {
        self.body_blobs = self.body_blobs.split_off(&position);
    }

    /// How many messages refer to each blob.
    pub(crate) fn blob_references(&self) -> BTreeMap<u64, u64> {
        let mut references = BTreeMap::new();
        for &blob in self.queues.values().flat_map(|state| state.blobs.values()) {
            *references.entry(blob).or_default() += 1;
        }
        references
    }

    /// What happened to references to blobs since the last call, in order.
    pub(crate) fn take_blob_changes(&mut self) -> Vec<BlobChange> {
        std::mem::take(&mut self.blob_changes)
    }

    /// A message cannot be read any more.
    pub(crate) fn lose(&mut self, queue: QueueId, seq: u64) {
        let range = SeqRange { first: seq, last: seq };
        self.on_queue(queue, |state, freed| {
            let transient = state.transient.contains(seq);
            state.settle(std::iter::once(range), 0, transient, freed);
        });
    }

    /// What the engine starts with.
    pub(crate) fn restored(&self) -> Restored {
        let exchanges = self.topology.exchanges().map(|((vhost, name), exchange)| RestoredExchange {
            vhost: vhost.to_string(),
            name: name.to_string(),
            kind: exchange.kind.to_string(),
            auto_delete: exchange.auto_delete,
            internal: exchange.internal,
            arguments: table_of(&exchange.arguments),
        });
        let bindings = self.topology.bindings().flat_map(|((vhost, source), bindings)| {
            bindings.iter().map(|binding| RestoredBinding {
                vhost: vhost.to_string(),
                source: source.to_string(),
                destination: binding.destination.name.to_string(),
                destination_is_queue: binding.destination.is_queue,
                routing_key: binding.routing_key.to_vec(),
                arguments: table_of(&binding.arguments),
            })
        });
        let queues = self.queues.iter().filter_map(|(&id, state)| {
            let declaration = state.declaration.as_ref()?;
            Some(RestoredQueue {
                vhost: declaration.vhost.to_string(),
                name: declaration.name.to_string(),
                id,
                auto_delete: declaration.auto_delete,
                arguments: table_of(&declaration.arguments),
                messages: state.count(),
                bytes: state.durable_totals.bytes + state.transient_totals.bytes,
                first_seq: state.first_seq().unwrap_or(0),
                last_seq: state.last_seq,
                stream_segments: state.stream_segments.iter().copied().collect(),
            })
        });
        Restored {
            exchanges: exchanges.collect(),
            queues: queues.collect(),
            bindings: bindings.collect(),
            last_queue_id: self.last_queue_id,
            settings: self.settings.restored(),
        }
    }

    fn enqueue(
        &mut self,
        queue: QueueId,
        first_seq: u64,
        bodies: impl Iterator<Item = u64>,
        bytes: u64,
        transient: bool,
    ) {
        let state = self.queues.entry(queue).or_default();
        for (seq, at) in (first_seq..).zip(bodies) {
            if !state.enqueue(seq, at, transient) {
                continue;
            }
            if let Some(&blob) = self.body_blobs.get(&at) {
                state.blobs.insert(seq, blob);
                self.blob_changes.push(BlobChange::Referenced(blob));
            }
        }
        state.add_bytes(bytes, transient);
        self.last_queue_id = self.last_queue_id.max(queue.0);
    }

    /// The process started anew: what is not durable is gone.
    fn start(&mut self) {
        let mut freed = Freed::default();
        let undeclared: Vec<QueueId> =
            self.queues.iter().filter(|(_, state)| state.declaration.is_none()).map(|(&id, _)| id).collect();
        for id in undeclared {
            if let Some(state) = self.queues.remove(&id) {
                state.drop_all(&mut freed);
            }
        }
        for state in self.queues.values_mut() {
            state.drop_transient(&mut freed);
        }
        self.body_blobs.clear();
        self.take_freed(freed);
    }

    fn delete_queue(&mut self, id: QueueId) {
        let Some(state) = self.queues.remove(&id) else { return };
        if let Some(declaration) = &state.declaration {
            let destination = Destination { name: declaration.name.clone(), is_queue: true };
            self.topology.delete_destination(&declaration.vhost, destination);
        }
        let mut freed = Freed::default();
        state.drop_all(&mut freed);
        self.take_freed(freed);
    }

    fn on_queue(&mut self, id: QueueId, change: impl FnOnce(&mut QueueState, &mut Freed)) {
        let Some(state) = self.queues.get_mut(&id) else { return };
        let mut freed = Freed::default();
        change(state, &mut freed);
        // Nobody tells the end of a queue that was never declared: it is known only while it holds something.
        if state.declaration.is_none() && state.count() == 0 {
            self.queues.remove(&id);
        }
        self.take_freed(freed);
    }

    fn take_freed(&mut self, freed: Freed) {
        self.dead_segments.extend(freed.segments);
        self.settled_in_segments += freed.from_segments;
        self.blob_changes.extend(freed.blobs.into_iter().map(BlobChange::Unreferenced));
    }
}

fn binding_of(binding: &LoggedBinding<'_>) -> Binding {
    Binding {
        destination: Destination { name: binding.destination.into(), is_queue: binding.destination_is_queue },
        routing_key: binding.routing_key.into(),
        arguments: binding.arguments.as_bytes().into(),
    }
}

/// Arguments were checked when their record was decoded.
fn table_of(raw: &[u8]) -> FieldTable {
    TableRef::from_raw(raw).decode().unwrap_or_default()
}
