//! The model: what a store should hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A message: `id` and `len` say all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msg {
    pub id: u64,
    pub len: u64,
    pub deliveries: u32,
    pub transient: bool,
    pub blob: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// None for one that is not durable.
    pub name: Option<String>,
    pub auto_delete: bool,
    pub argument: u64,
    pub messages: BTreeMap<u64, Msg>,
    pub last_seq: u64,
    /// All up to here were delivered, those that come later included.
    pub delivered: u64,
    /// As of a stream: first and last, neighbours in order.
    pub stream_segments: Vec<(u64, u64)>,
}

impl Queue {
    /// Forgets segments that lie before the first message.
    fn forget_segments(&mut self) {
        let first = self.messages.keys().next().copied().unwrap_or(u64::MAX);
        self.stream_segments.retain(|(_, last)| *last >= first);
    }
}

pub type Binding = (String, String, bool, Vec<u8>);

/// What a store holds. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub queues: BTreeMap<u64, Arc<Queue>>,
    pub exchanges: Arc<BTreeMap<String, (String, bool, bool)>>,
    pub bindings: Arc<BTreeSet<Binding>>,
    /// By kind, scope and name.
    pub settings: Arc<BTreeMap<(u8, String, String), Vec<u8>>>,
}

impl Content {
    pub fn queue(&mut self, id: u64) -> &mut Queue {
        Arc::make_mut(self.queues.entry(id).or_default())
    }

    pub fn delete_queue(&mut self, id: u64) {
        let Some(name) = self.queues.remove(&id).and_then(|queue| queue.name.clone()) else { return };
        Arc::make_mut(&mut self.bindings).retain(|(_, destination, is_queue, _)| !is_queue || *destination != name);
    }

    pub fn delete_exchange(&mut self, name: &str) {
        Arc::make_mut(&mut self.exchanges).remove(name);
        Arc::make_mut(&mut self.bindings)
            .retain(|(source, destination, is_queue, _)| source != name && (*is_queue || destination != name));
    }

    pub fn settle(&mut self, id: u64, seqs: &[u64]) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        let queue = Arc::make_mut(queue);
        queue.messages.retain(|seq, _| !seqs.contains(seq));
        queue.forget_segments();
        self.forget_empty(id);
    }

    /// Of a queue that is not durable nothing is known but its messages.
    pub fn forget_empty(&mut self, id: u64) {
        if self.queues.get(&id).is_some_and(|queue| queue.name.is_none() && queue.messages.is_empty()) {
            self.queues.remove(&id);
        }
    }

    /// What a restart leaves.
    pub fn restarted(&self) -> Self {
        let mut content = self.clone();
        content.queues.retain(|_, queue| queue.name.is_some());
        for queue in content.queues.values_mut() {
            if queue.messages.values().any(|message| message.transient) {
                let queue = Arc::make_mut(queue);
                queue.messages.retain(|_, message| !message.transient);
                queue.forget_segments();
            }
        }
        content
    }

    pub fn blobs(&self) -> BTreeSet<u64> {
        self.queues.values().flat_map(|queue| queue.messages.values()).filter_map(|message| message.blob).collect()
    }

    /// Where the two differ first, in words.
    pub fn difference(&self, found: &Self) -> String {
        if self.exchanges != found.exchanges {
            return format!("exchanges {:?}, wanted {:?}", found.exchanges, self.exchanges);
        }
        if self.bindings != found.bindings {
            return format!("bindings {:?}, wanted {:?}", found.bindings, self.bindings);
        }
        if self.settings != found.settings {
            return format!("settings {:?}, wanted {:?}", found.settings, self.settings);
        }
        for (id, wanted) in &self.queues {
            let Some(found) = found.queues.get(id) else { return format!("queue {id} is not there") };
            if wanted == found {
                continue;
            }
            let seqs: BTreeSet<_> = wanted.messages.keys().chain(found.messages.keys()).collect();
            for seq in seqs {
                let (wanted, found) = (wanted.messages.get(seq), found.messages.get(seq));
                if wanted != found {
                    return format!("queue {id} message {seq} is {found:?}, wanted {wanted:?}");
                }
            }
            if wanted.stream_segments != found.stream_segments {
                let (found, wanted) = (&found.stream_segments, &wanted.stream_segments);
                return format!("queue {id} has segments {found:?}, wanted {wanted:?}");
            }
            return format!(
                "queue {id} is {:?} {} {} last {} delivered {}, wanted {:?} {} {} last {} delivered {}",
                found.name,
                found.auto_delete,
                found.argument,
                found.last_seq,
                found.delivered,
                wanted.name,
                wanted.auto_delete,
                wanted.argument,
                wanted.last_seq,
                wanted.delivered
            );
        }
        format!("queues {:?}, wanted {:?}", found.queues.keys(), self.queues.keys())
    }
}

/// The body of a message.
pub fn body_of(id: u64, len: u64) -> Vec<u8> {
    let mut random = leveret_store::sim::Random::new(id);
    let mut body = Vec::with_capacity(len as usize + 8);
    while (body.len() as u64) < len {
        body.extend_from_slice(&random.number().to_le_bytes());
    }
    body.truncate(len as usize);
    body
}

/// The properties of a message: they say which one it is.
pub fn properties_of(id: u64, len: u64) -> Vec<u8> {
    let mut properties = vec![0x80, 0];
    properties.extend_from_slice(&id.to_le_bytes());
    properties.extend_from_slice(&len.to_le_bytes());
    properties.extend((0..id % 23).map(|octet| octet as u8));
    properties
}

/// The routing key of a message.
pub fn key_of(id: u64) -> Vec<u8> {
    format!("key.{}", id % 7).into_bytes()
}
