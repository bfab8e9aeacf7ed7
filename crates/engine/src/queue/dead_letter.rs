//! Dead-lettering: what becomes of messages that a queue gives up.
//!
//! The core notes them in [`Effects`]; they are published after the unlock, from the work list, however long the chain of queues
//! is. The journal has the dead letter in its new queues before it hears that the message is gone from its old one: whatever
//! happens between, none is lost.

use std::sync::Arc;

use crate::effects::Effects;
use crate::limits::MESSAGES_A_HOLD_MAX;
use crate::names::ConsumerKey;
use crate::queue::core::QueueCore;
use crate::queue::deaths::{Death, DeathReason};
use crate::queue::journaling::Settling;
use crate::queue::rules::DeadLetterTarget;
use crate::queue::{Entry, Queue};

/// Messages that died together in a queue, in its order.
#[derive(Debug)]
pub(crate) struct Dying {
    queue: Arc<Queue>,
    target: Arc<DeadLetterTarget>,
    reason: DeathReason,
    entries: Vec<Entry>,
    /// They stay until they have arrived somewhere.
    at_least_once: bool,
}

impl QueueCore {
    /// A message leaves for good, and not because somebody has worked it off: it is dead-lettered or dropped.
    pub(super) fn discard(
        &mut self,
        queue: &Arc<Queue>,
        entry: Entry,
        reason: DeathReason,
        settling: &mut Settling,
        effects: &mut Effects,
    ) {
        let died = &mut self.happened().died;
        match reason {
            DeathReason::Rejected => died.rejected += 1,
            DeathReason::Expired => died.expired += 1,
            DeathReason::MaxLength => died.maxlen += 1,
            DeathReason::DeliveryLimit => died.delivery_limit += 1,
        }
        if self.waiting.has_undelivered() && self.rules.dead_letters.is_some() {
            self.waiting.push_undelivered(reason, entry);
        } else {
            self.hand_over_dead(queue, entry, reason, settling, effects);
        }
    }

    /// The same, whoever is waiting.
    pub(super) fn hand_over_dead(
        &mut self,
        queue: &Arc<Queue>,
        entry: Entry,
        reason: DeathReason,
        settling: &mut Settling,
        effects: &mut Effects,
    ) {
        let Some(target) = &self.rules.dead_letters else {
            settling.add(entry.seq, entry.message.body_len(), entry.stored);
            return;
        };
        self.dying += 1;
        let dying = effects.dying.last_mut();
        match dying
            .filter(|dying| dying.queue.id == queue.id && dying.reason == reason && Arc::ptr_eq(&dying.target, target))
        {
            Some(dying) => dying.entries.push(entry),
            None => {
                let (queue, target) = (Arc::clone(queue), Arc::clone(target));
                let at_least_once = self.rules.at_least_once;
                effects.dying.push(Dying { queue, target, reason, entries: vec![entry], at_least_once });
            }
        }
    }

    /// Deliveries were rejected for good; true when ready messages may go out now.
    fn reject(
        &mut self,
        queue: &Arc<Queue>,
        rejected: impl IntoIterator<Item = (Option<ConsumerKey>, Entry)>,
        effects: &mut Effects,
    ) -> bool {
        if self.deleted {
            return false;
        }
        let mut settling = Settling::default();
        for (consumer, entry) in rejected {
            self.take_back(consumer, entry.message.body_len());
            self.discard(queue, entry, DeathReason::Rejected, &mut settling, effects);
        }
        settling.write(queue);
        !self.ready.is_empty()
    }

    /// Messages that died are elsewhere, or nowhere.
    fn bury(&mut self, queue: &Queue, entries: &[Entry]) {
        if self.deleted {
            return;
        }
        self.dying = self.dying.saturating_sub(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        let mut settling = Settling::default();
        for entry in entries {
            settling.add(entry.seq, entry.message.body_len(), entry.stored);
        }
        settling.write(queue);
    }
}

impl Queue {
    /// Deliveries were rejected for good: they are dead-lettered or dropped.
    pub fn reject(
        self: &Arc<Self>,
        rejected: impl IntoIterator<Item = (Option<ConsumerKey>, Entry)>,
        effects: &mut Effects,
    ) {
        let more = self.core.lock().reject(self, rejected, effects);
        if more {
            self.deliver(effects);
        }
    }
}

impl Dying {
    /// Publishes the dead letters. Call it without locks.
    pub(crate) fn carry_out(self, effects: &mut Effects) {
        let Self { queue, target, reason, mut entries, at_least_once } = self;
        let vhost = queue.home.upgrade();
        // That the exchange is not there is no error.
        let exchange = vhost.as_ref().and_then(|vhost| vhost.exchanges.get(&*target.exchange));
        let mut failed = Vec::new();
        while !entries.is_empty() {
            let later = entries.split_off(entries.len().min(MESSAGES_A_HOLD_MAX));
            let mut arrived: Vec<bool> = Vec::new();
            if let (Some(vhost), Some(exchange)) = (&vhost, &exchange) {
                let death = Death { queue: &queue.name, reason, now_ms: queue.services.clock.now_ms() };
                let routing_key = target.routing_key.as_deref();
                let letter = |entry: &Entry| death.letter(&entry.message.parts(), &target.exchange, routing_key);
                arrived = vhost.publish_dead_letters(exchange, reason, entries.iter().map(letter), effects);
            }
            if at_least_once {
                let mut arrived = arrived.into_iter();
                failed.extend(entries.extract_if(.., |_| !arrived.next().unwrap_or_default()));
            }
            let mut core = queue.core.lock();
            if at_least_once {
                core.happened().died.confirmed += entries.len() as u64;
            }
            core.bury(&queue, &entries);
            drop(core);
            entries = later;
        }
        if at_least_once {
            queue.core.lock().keep_undelivered(&queue, reason, failed);
        }
    }
}
