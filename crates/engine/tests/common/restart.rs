//! What a journal gives back to a broker that starts again: topology and queues, as its records said.

use std::collections::BTreeMap;

use leveret_engine::journal::{BindingRecord, Record};
use leveret_engine::message::Message;
use leveret_engine::restore::{Restored, RestoredBinding, RestoredExchange, RestoredQueue, RestoredSetting};

use super::TestJournal;

/// Durable topology.
#[derive(Default)]
pub(super) struct Topology {
    exchanges: BTreeMap<(String, String), RestoredExchange>,
    queues: BTreeMap<u64, RestoredQueue>,
    bindings: Vec<RestoredBinding>,
    last_queue_id: u64,
    settings: BTreeMap<(u8, String, String), Vec<u8>>,
}

fn restored_binding(vhost: &str, binding: &BindingRecord<'_>) -> RestoredBinding {
    RestoredBinding {
        vhost: vhost.into(),
        source: binding.source.into(),
        destination: binding.destination.into(),
        destination_is_queue: binding.destination_is_queue,
        routing_key: binding.routing_key.into(),
        arguments: binding.arguments.clone(),
    }
}

impl Topology {
    pub(super) fn apply(&mut self, record: &Record<'_>) {
        match *record {
            Record::Enqueue { queue, .. } => self.last_queue_id = self.last_queue_id.max(queue.0),
            Record::QueueDeclared { vhost, name, id, auto_delete, arguments } => {
                self.last_queue_id = self.last_queue_id.max(id.0);
                let queue = RestoredQueue {
                    vhost: vhost.into(),
                    name: name.into(),
                    id,
                    auto_delete,
                    arguments: arguments.clone(),
                    messages: 0,
                    bytes: 0,
                    first_seq: 0,
                    last_seq: 0,
                    stream_segments: Vec::new(),
                };
                self.queues.insert(id.0, queue);
            }
            Record::QueueDeleted { id } => {
                self.queues.remove(&id.0);
            }
            Record::ExchangeDeclared { vhost, name, kind, auto_delete, internal, arguments } => {
                let (vhost, name, kind) = (vhost.to_owned(), name.to_owned(), kind.to_owned());
                let key = (vhost.clone(), name.clone());
                let arguments = arguments.clone();
                let exchange = RestoredExchange { vhost, name, kind, auto_delete, internal, arguments };
                self.exchanges.insert(key, exchange);
            }
            Record::ExchangeDeleted { vhost, name } => {
                self.exchanges.remove(&(vhost.to_owned(), name.to_owned()));
            }
            Record::Bound { vhost, ref binding } => self.bindings.push(restored_binding(vhost, binding)),
            Record::Unbound { vhost, ref binding } => {
                let gone = restored_binding(vhost, binding);
                self.bindings.retain(|bound| *bound != gone);
            }
            Record::Setting { key, value } => {
                self.settings.insert((key.kind.number(), key.scope.into(), key.name.into()), value.into());
            }
            Record::SettingCleared { key } => {
                self.settings.remove(&(key.kind.number(), key.scope.into(), key.name.into()));
            }
            _ => {}
        }
    }

    fn settings(&self) -> Vec<RestoredSetting> {
        let restored = |((kind, scope, name), value): (&(u8, String, String), &Vec<u8>)| RestoredSetting {
            kind: *kind,
            scope: scope.clone(),
            name: name.clone(),
            value: value.clone(),
        };
        self.settings.iter().map(restored).collect()
    }
}

impl TestJournal {
    /// The broker starts again: what is not durable is gone, nobody waits for pages.
    pub fn restart_broker(&self) -> Restored {
        let mut state = self.state.lock().unwrap();
        let state = &mut *state;
        state.requests.clear();
        state.read = None;
        state.queues.retain(|id, _| state.topology.queues.contains_key(id));
        let lens: Vec<u64> = state.bodies.iter().map(Message::body_len).collect();
        let queues = state.topology.queues.values().map(|declared| {
            let mut found = declared.clone();
            if let Some(queue) = state.queues.get_mut(&declared.id.0) {
                queue.messages.retain(|_, message| !message.transient);
                found.messages = queue.messages.len() as u64;
                found.bytes = queue.messages.values().map(|message| lens[message.body]).sum();
                found.first_seq = queue.messages.keys().next().copied().unwrap_or_default();
                found.last_seq = queue.last_seq;
            }
            found
        });
        Restored {
            queues: queues.collect(),
            exchanges: state.topology.exchanges.values().cloned().collect(),
            bindings: state.topology.bindings.clone(),
            last_queue_id: state.topology.last_queue_id,
            settings: state.topology.settings(),
        }
    }
}
