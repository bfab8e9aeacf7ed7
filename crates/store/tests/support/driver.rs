//! A store and what it should hold, and random things that are done to both.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use leveret_engine::journal::{BindingRecord, Blob, BodyAt, Journal as _, Record, SeqRange, SettingKey, SettingKind};
use leveret_engine::message::Parts;
use leveret_engine::names::QueueId;
use leveret_store::options::Options;
use leveret_store::sim::{Random, SimDisk};
use leveret_store::{Error, Store};

use super::content::{Content, Msg, body_of, key_of, properties_of};
use super::inspect::{arguments, content_of, messages_of, stream_segment};

/// What the store holds after a record, and where that ends.
#[derive(Clone, Debug)]
pub struct Step {
    pub lsn: u64,
    pub content: Content,
}

/// A store, and its model.
pub struct Driver {
    pub disk: SimDisk,
    pub options: Options,
    pub store: Arc<Store>,
    pub random: Random,
    /// What it held at first and after each record since.
    pub history: Vec<Step>,
    pub held: Vec<Blob>,
    next_id: u64,
    next_queue: u64,
    /// The highest seq that a queue ever had.
    next_seq: BTreeMap<u64, u64>,
}

/// The history from which a store is found again: which steps are possible.
#[derive(Clone, Debug)]
pub struct Possible {
    pub steps: Vec<Step>,
    pub durable: u64,
}

impl Possible {
    /// The last step that `found` may be; an error when it is none.
    pub fn find(&self, found: &Content) -> Result<usize, String> {
        let first = self.steps.iter().rposition(|step| step.lsn <= self.durable).unwrap_or(0);
        let wanted = |at: usize| normal(self.steps[at].content.restarted());
        if let Some(at) = (first..self.steps.len()).rev().find(|&at| wanted(at) == *found) {
            return Ok(at);
        }
        let other = (0..first).rev().find(|&at| wanted(at) == *found);
        let last = self.steps.len() - 1;
        Err(match other {
            Some(at) => format!(
                "it holds what it did {} records ago, {} of which were durable: {}",
                last - at,
                first - at,
                wanted(first).difference(found)
            ),
            None => format!(
                "it holds what it never did: durable is step {first}: {}; last is step {last}: {}",
                wanted(first).difference(found),
                wanted(last).difference(found)
            ),
        })
    }
}

/// A watermark is seen only in what it covers: leave out what cannot be seen.
pub fn normal(mut content: Content) -> Content {
    for queue in content.queues.values_mut() {
        let queue = Arc::make_mut(queue);
        for (seq, message) in &mut queue.messages {
            message.deliveries = message.deliveries.max(u32::from(*seq <= queue.delivered));
        }
        queue.delivered = 0;
    }
    content
}

impl Driver {
    /// Opens a store on an empty disk.
    pub fn new(disk: SimDisk, options: Options, random: Random) -> Result<Self, String> {
        Self::open(disk, options, random, &Possible { steps: vec![start()], durable: 0 }).map_err(|(error, _)| error)
    }

    /// Opens a store, which must hold what it may.
    pub fn open(
        disk: SimDisk,
        options: Options,
        mut random: Random,
        possible: &Possible,
    ) -> Result<Self, (String, Option<Error>)> {
        let opened = Store::open(Arc::new(disk.clone()), options.clone());
        let (store, restored, _) = opened.map_err(|error| (format!("open: {error}"), Some(error)))?;
        let found = content_of(&store, &restored).map_err(|error| (error, None))?;
        let at = possible.find(&found).map_err(|error| (error, None))?;
        let content = possible.steps[at].content.restarted();
        let blobs: Vec<_> = disk.files().into_iter().filter(|path| path.starts_with("blobs/")).collect();
        if blobs.len() != content.blobs().len() {
            return Err((format!("files {blobs:?} for blobs {:x?}", content.blobs()), None));
        }
        let next_id = random.number() >> 8;
        let next_seq = content.queues.iter().map(|(&id, queue)| (id, queue.last_seq + 1)).collect();
        Ok(Self {
            disk,
            options,
            store,
            random,
            history: vec![Step { lsn: 0, content }],
            held: Vec::new(),
            next_id,
            next_queue: restored.last_queue_id + 1,
            next_seq,
        })
    }

    pub fn content(&self) -> &Content {
        &self.history.last().unwrap().content
    }

    pub fn possible(&self) -> Possible {
        Possible { steps: self.history.clone(), durable: self.store.durable().0 }
    }

    fn append(&mut self, record: &Record<'_>, change: impl FnOnce(&mut Content)) {
        let mut content = self.content().clone();
        change(&mut content);
        let lsn = self.store.append(record).0;
        assert!(lsn > self.history.last().unwrap().lsn, "positions rise");
        self.history.push(Step { lsn, content });
    }

    /// One thing that happens to a broker.
    pub fn act(&mut self) -> Result<(), String> {
        match self.random.below(100) {
            0..6 => self.declare_queue(),
            6..8 => self.delete_queue(),
            8..12 => self.topology(),
            12..45 => self.publish(),
            45..62 => self.settle(),
            62..66 => self.deliver(),
            66..69 => self.give_back(),
            69 => self.finish_stream_segment(),
            70 => self.set(),
            71..73 => self.held.truncate(1),
            73..76 => self.check_now()?,
            76..93 => drop(self.commit()?),
            93..98 => drop(self.keep()?),
            _ => drop(self.store.tend().map_err(|error| format!("tend: {error}"))?),
        }
        Ok(())
    }

    pub fn commit(&mut self) -> Result<bool, String> {
        self.store.commit().map_err(|error| format!("commit: {error}"))
    }

    pub fn keep(&mut self) -> Result<bool, String> {
        self.store.keep().map_err(|error| format!("keep: {error}"))
    }

    fn some_queue(&mut self, durable_only: bool) -> Option<u64> {
        let queues: Vec<u64> = self
            .content()
            .queues
            .iter()
            .filter(|(_, queue)| !durable_only || queue.name.is_some())
            .map(|(&id, _)| id)
            .collect();
        let at = self.random.below(queues.len() as u64) as usize;
        queues.get(at).copied()
    }

    pub fn declare_queue(&mut self) {
        if self.content().queues.len() >= 5 {
            return;
        }
        let id = self.next_queue;
        self.next_queue += 1 + self.random.below(2);
        // Names come again, ids do not.
        let name = format!("q{}", self.random.below(8));
        if self.content().queues.values().any(|queue| queue.name.as_ref() == Some(&name)) {
            return;
        }
        let (auto_delete, argument) = (self.random.chance(1, 2), self.random.below(9));
        let table = arguments(argument);
        let record = Record::QueueDeclared { vhost: "/", name: &name, id: QueueId(id), auto_delete, arguments: &table };
        self.append(&record, |content| {
            let queue = content.queue(id);
            (queue.name, queue.auto_delete, queue.argument) = (Some(name.clone()), auto_delete, argument);
        });
    }

    fn delete_queue(&mut self) {
        let Some(id) = self.some_queue(false) else { return };
        self.append(&Record::QueueDeleted { id: QueueId(id) }, |content| content.delete_queue(id));
    }

    /// Leaves nothing.
    pub fn delete_all(&mut self) {
        self.held.clear();
        for id in self.content().queues.keys().copied().collect::<Vec<_>>() {
            self.append(&Record::QueueDeleted { id: QueueId(id) }, |content| content.delete_queue(id));
        }
    }

    fn topology(&mut self) {
        let name = format!("e{}", self.random.below(3));
        let table = arguments(1);
        if !self.content().exchanges.contains_key(&name) {
            let (kind, auto_delete, internal) = ("topic", self.random.chance(1, 2), self.random.chance(1, 2));
            let record =
                Record::ExchangeDeclared { vhost: "/", name: &name, kind, auto_delete, internal, arguments: &table };
            return self.append(&record, |content| {
                let known = (kind.to_owned(), auto_delete, internal);
                Arc::make_mut(&mut content.exchanges).insert(name.clone(), known);
            });
        }
        if self.random.chance(1, 5) {
            let record = Record::ExchangeDeleted { vhost: "/", name: &name };
            return self.append(&record, |content| content.delete_exchange(&name));
        }
        let destination_is_queue = self.random.chance(3, 4);
        let destination = if destination_is_queue {
            let Some(id) = self.some_queue(true) else { return };
            self.content().queues[&id].name.clone().unwrap()
        } else {
            let Some(other) = self.content().exchanges.keys().next_back().cloned() else { return };
            other
        };
        let key = vec![b'k', self.random.below(2) as u8];
        let binding = (name.clone(), destination.clone(), destination_is_queue, key.clone());
        let is_bound = self.content().bindings.contains(&binding);
        let record = BindingRecord {
            source: &name,
            destination: &destination,
            destination_is_queue,
            routing_key: &key,
            arguments: &table,
        };
        if is_bound {
            self.append(&Record::Unbound { vhost: "/", binding: record }, |content| {
                Arc::make_mut(&mut content.bindings).remove(&binding);
            });
        } else {
            self.append(&Record::Bound { vhost: "/", binding: record }, |content| {
                Arc::make_mut(&mut content.bindings).insert(binding.clone());
            });
        }
    }

    /// Administration sets something, sets it anew, or clears it.
    fn set(&mut self) {
        let kind = [SettingKind::Vhost, SettingKind::Policy][self.random.below(2) as usize];
        let (scope, name) = (["", "/"][self.random.below(2) as usize], format!("s{}", self.random.below(3)));
        let key = SettingKey { kind, scope, name: &name };
        let filed = (kind.number(), scope.to_owned(), name.clone());
        if self.content().settings.contains_key(&filed) && self.random.chance(1, 3) {
            return self.append(&Record::SettingCleared { key }, |content| {
                Arc::make_mut(&mut content.settings).remove(&filed);
            });
        }
        let value = vec![b'x'; self.random.below(600) as usize];
        self.append(&Record::Setting { key, value: &value }, |content| {
            Arc::make_mut(&mut content.settings).insert(filed.clone(), value.clone());
        });
    }

    /// Bodies are appended once, and enqueued by one or several queues.
    pub fn publish(&mut self) {
        let count = 1 + self.random.below(4);
        let len_max = [1, 40, 600, 1500][self.random.below(4) as usize];
        let with_blob = self.random.chance(1, 6);
        let mut messages = Vec::new();
        for _ in 0..count {
            self.next_id += 1;
            let len = if with_blob { self.random.below(5000) } else { self.random.below(len_max) };
            messages.push((self.next_id, len));
        }
        let blobs: Vec<Option<Blob>> =
            messages.iter().map(|&(id, len)| with_blob.then(|| self.write_blob(id, len))).collect();
        let at = self.append_bodies(&messages, &blobs);
        let transient = self.random.chance(1, 5);
        // A queue that is not durable has only transient ones.
        for _ in 0..1 + self.random.below(3) {
            let queue = match self.some_queue(!transient) {
                Some(queue) if !transient || self.random.chance(1, 2) => queue,
                _ if transient => {
                    self.next_queue += 1;
                    self.next_queue - 1
                }
                _ => continue,
            };
            self.enqueue(queue, &messages, &blobs, &at, transient);
        }
        if self.random.chance(1, 2) {
            self.held.extend(blobs.into_iter().flatten());
        }
    }

    fn append_bodies(&mut self, messages: &[(u64, u64)], blobs: &[Option<Blob>]) -> Vec<BodyAt> {
        let bodies: Vec<Vec<u8>> = messages.iter().map(|&(id, len)| body_of(id, len)).collect();
        let keys: Vec<Vec<u8>> = messages.iter().map(|&(id, _)| key_of(id)).collect();
        let properties: Vec<Vec<u8>> = messages.iter().map(|&(id, len)| properties_of(id, len)).collect();
        let parts: Vec<Parts<'_>> = (0..messages.len())
            .map(|at| Parts {
                exchange: b"amq.topic",
                routing_key: &keys[at],
                properties: &properties[at],
                body: if blobs[at].is_some() { &[] } else { &bodies[at] },
                blob: blobs[at].as_ref(),
                ..Parts::EMPTY
            })
            .collect();
        let mut at = Vec::new();
        self.store.append_bodies(&parts, &mut at);
        at
    }

    fn enqueue(&mut self, queue: u64, messages: &[(u64, u64)], blobs: &[Option<Blob>], at: &[BodyAt], transient: bool) {
        let next_seq = self.next_seq.entry(queue).or_insert(1);
        // What is not journaled leaves gaps.
        let first_seq = *next_seq + if self.random.chance(1, 4) { self.random.below(20) } else { 0 };
        *next_seq = first_seq + messages.len() as u64;
        let bytes = messages.iter().map(|&(_, len)| len).sum();
        let record = Record::Enqueue { queue: QueueId(queue), first_seq, bodies: at, bytes, transient };
        self.append(&record, |content| {
            let queue = content.queue(queue);
            for (seq, (&(id, len), blob)) in (first_seq..).zip(messages.iter().zip(blobs)) {
                let blob = blob.as_ref().map(|blob| blob.id());
                queue.messages.insert(seq, Msg { id, len, deliveries: 0, transient, blob });
                queue.last_seq = queue.last_seq.max(seq);
            }
        });
    }

    fn write_blob(&mut self, id: u64, len: u64) -> Blob {
        let blobs = self.store.blobs().unwrap();
        if self.random.chance(1, 8) {
            let mut given_up = blobs.create();
            given_up.append(Bytes::from_static(b"given up"));
        }
        let mut writer = blobs.create();
        let body = body_of(id, len);
        let piece = 1 + self.random.below(3000) as usize;
        body.chunks(piece).for_each(|piece| writer.append(Bytes::copy_from_slice(piece)));
        writer.finish()
    }

    /// Acknowledges from the front, or here and there, or all.
    pub fn settle(&mut self) {
        let Some(id) = self.some_queue(false) else { return };
        let transient = self.random.chance(1, 3);
        let queue = &self.content().queues[&id];
        let all: Vec<u64> =
            queue.messages.iter().filter(|(_, message)| message.transient == transient).map(|(&seq, _)| seq).collect();
        if all.is_empty() {
            return;
        }
        let stays: Vec<u64> =
            queue.messages.iter().filter(|(_, message)| message.transient != transient).map(|(&seq, _)| seq).collect();
        let last_seq = queue.last_seq;
        let chosen: Vec<u64> = match self.random.below(4) {
            0 => all,
            1 => all.into_iter().filter(|_| self.random.chance(1, 3)).collect(),
            _ => {
                let count = 1 + self.random.below(all.len() as u64) as usize;
                all[..count].to_vec()
            }
        };
        self.settle_these(id, &chosen, &stays, last_seq, transient);
    }

    fn settle_these(&mut self, id: u64, chosen: &[u64], stays: &[u64], last_seq: u64, transient: bool) {
        let messages = &self.content().queues[&id].messages;
        let bytes = chosen.iter().map(|seq| messages[seq].len).sum();
        let stay: Vec<u64> =
            messages.keys().copied().filter(|seq| !chosen.contains(seq)).chain(stays.iter().copied()).collect();
        let mut ranges: Vec<SeqRange> = Vec::new();
        for &seq in chosen {
            match ranges.last_mut() {
                // A range may go over what never was or is gone.
                Some(range) if !stay.iter().any(|&other| range.last < other && other < seq) => range.last = seq,
                _ => ranges.push(SeqRange { first: seq, last: seq }),
            }
        }
        if let Some(range) = ranges.last_mut()
            && !stay.iter().any(|&other| other > range.last)
        {
            range.last = last_seq;
        }
        if ranges.is_empty() {
            return;
        }
        let record = Record::Settle { queue: QueueId(id), ranges: &ranges, bytes, transient };
        self.append(&record, |content| content.settle(id, chosen));
    }

    fn deliver(&mut self) {
        let Some(id) = self.some_queue(false) else { return };
        let last = self.random.below(self.content().queues[&id].last_seq + 1);
        self.append(&Record::Delivered { queue: QueueId(id), last }, |content| {
            let queue = content.queue(id);
            queue.delivered = queue.delivered.max(last);
        });
    }

    fn give_back(&mut self) {
        let Some(id) = self.some_queue(false) else { return };
        let count = 1 + self.random.below(5) as u32;
        let seqs: Vec<u64> = self.content().queues[&id].messages.keys().copied().collect();
        let counts: Vec<(u64, u32)> =
            seqs.into_iter().filter(|_| self.random.chance(1, 4)).map(|seq| (seq, count)).collect();
        if counts.is_empty() {
            return;
        }
        self.append(&Record::Returned { queue: QueueId(id), counts: &counts }, |content| {
            let queue = content.queue(id);
            for (seq, count) in &counts {
                queue.messages.get_mut(seq).unwrap().deliveries = *count;
            }
        });
    }

    /// Says that what came since the last time is a segment, as a stream does.
    fn finish_stream_segment(&mut self) {
        let Some(id) = self.some_queue(true) else { return };
        let queue = &self.content().queues[&id];
        let first = queue.stream_segments.last().map_or(1, |(_, last)| last + 1);
        let last = queue.last_seq;
        if last < first {
            return;
        }
        let segment = stream_segment(first, last);
        self.append(&Record::StreamSegment { queue: QueueId(id), segment }, |content| {
            content.queue(id).stream_segments.push((first, last));
        });
    }

    /// While it runs, the store shows what was appended once that is committed.
    pub fn check_now(&mut self) -> Result<(), String> {
        while self.commit()? {}
        if self.store.durable().0 < self.history.last().unwrap().lsn {
            return Ok(());
        }
        let wanted = normal(self.content().clone());
        for (&id, queue) in &wanted.queues {
            let found = messages_of(&self.store, id)?;
            if found != queue.messages {
                let as_queue = |messages| Content {
                    queues: [(id, Arc::new(super::content::Queue { messages, ..Default::default() }))].into(),
                    ..Content::default()
                };
                return Err(format!(
                    "while it runs: {}",
                    as_queue(queue.messages.clone()).difference(&as_queue(found))
                ));
            }
        }
        Ok(())
    }

    /// Ends this run in some way and starts the next.
    pub fn restart(self) -> Result<Self, String> {
        let Self { disk, options, store, mut random, history, held, .. } = self;
        let mut possible = Possible { steps: history, durable: store.durable().0 };
        let disk = match random.below(3) {
            0 => disk.process_kill_image(),
            1 => disk.crash_image(random.number()),
            _ => {
                drop(held);
                store.close().map_err(|error| format!("close: {error}"))?;
                possible.durable = u64::MAX;
                disk.crash_image(random.number())
            }
        };
        drop(store);
        Self::open(disk, options, random, &possible).map_err(|(error, _)| format!("restart: {error}"))
    }
}

/// An empty store.
pub fn start() -> Step {
    Step { lsn: 0, content: Content::default() }
}
