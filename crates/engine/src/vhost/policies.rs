//! Policies in force: they act at once on what is there, and on what comes.

use std::sync::Arc;

use crate::effects::Effects;
use crate::exchange::Exchange;
use crate::policy::{Applied, Policy, PolicyKind, Target, effective_arguments, policy_alternate};
use crate::queue::Queue;
use crate::queue::arguments::QueueArguments;
use crate::vhost::Vhost;

/// What the hidden queues behind addresses for direct replies are called. No policy acts on them.
pub(crate) const REPLY_QUEUE_PREFIX: &str = "amq.rabbitmq.reply-to.";

impl Vhost {
    /// Adds a policy, in place of one of the same kind and name. The caller carries out `effects`: queues may be over new
    /// limits.
    pub(crate) fn set_policy(&self, kind: PolicyKind, policy: Policy, user: &str, effects: &mut Effects) {
        let topology = self.topology.lock();
        self.tell_policy_set(kind, &policy, user);
        self.policies.write().set(kind, policy);
        self.apply_policies(effects);
        drop(topology);
    }

    /// Removes a policy. Says whether there was one of this name.
    pub(crate) fn clear_policy(&self, kind: PolicyKind, name: &str, user: &str, effects: &mut Effects) -> bool {
        let topology = self.topology.lock();
        let is_removed = self.policies.write().remove(kind, name);
        if is_removed {
            self.tell_policy_cleared(kind, name, user);
            self.apply_policies(effects);
        }
        drop(topology);
        is_removed
    }

    /// Puts a policy back that a restart found. It acts once [`Vhost::restored_policies_act`] says so.
    pub(crate) fn restore_policy(&self, kind: PolicyKind, policy: Policy) {
        self.policies.write().set(kind, policy);
    }

    /// All is put back: policies act on it from now on. The caller carries out `effects`.
    pub(crate) fn restored_policies_act(&self, effects: &mut Effects) {
        let topology = self.topology.lock();
        self.apply_policies(effects);
        drop(topology);
    }

    /// Whether there are any policies.
    pub(crate) fn has_policies(&self) -> bool {
        let policies = self.policies.read();
        [PolicyKind::User, PolicyKind::Operator].into_iter().any(|kind| !policies.all(kind).is_empty())
    }

    /// All policies of a kind, in order of their names.
    #[must_use]
    pub fn policies(&self, kind: PolicyKind) -> Vec<Arc<Policy>> {
        self.policies.read().all(kind)
    }

    /// The policies that act on a queue.
    #[must_use]
    pub fn policies_of_queue(&self, queue: &Queue) -> Applied {
        match queue.name.starts_with(REPLY_QUEUE_PREFIX) {
            true => Applied::default(),
            false => self.policies.read().of(Target::Queue(queue.settings.queue_type), &queue.name),
        }
    }

    /// The policies that act on an exchange; none on the default exchange.
    #[must_use]
    pub fn policies_of_exchange(&self, exchange: &Exchange) -> Applied {
        match exchange.is_default() {
            true => Applied::default(),
            false => self.policies.read().of(Target::Exchange, &exchange.name),
        }
    }

    /// Applies the policies to all that is there. Called with the topology's lock held, so that nothing comes meanwhile.
    fn apply_policies(&self, effects: &mut Effects) {
        for queue in self.queues.all() {
            let applied = self.policies_of_queue(&queue);
            if queue.note_policy(!applied.is_none()) {
                queue.set_effective(&effective(&queue, &applied), effects);
            }
        }
        for exchange in self.exchanges.all() {
            self.apply_policies_to_exchange(&exchange);
        }
        self.services.note_policy_change();
    }

    /// Applies the policies to a queue that is about to be there.
    pub(super) fn apply_policies_to_new_queue(&self, queue: &Arc<Queue>) {
        let applied = self.policies_of_queue(queue);
        if queue.note_policy(!applied.is_none()) {
            // It has no messages yet, from which anything could follow.
            queue.set_effective(&effective(queue, &applied), &mut Effects::default());
        }
    }

    /// What a queue acts by under the policies that there are.
    pub(super) fn effective_of(&self, queue: &Queue) -> QueueArguments {
        effective(queue, &self.policies_of_queue(queue))
    }

    pub(super) fn apply_policies_to_exchange(&self, exchange: &Exchange) {
        let applied = self.policies_of_exchange(exchange);
        exchange.set_policy_alternate(policy_alternate(&applied.definition()));
    }
}

/// What a queue acts by.
fn effective(queue: &Queue, applied: &Applied) -> QueueArguments {
    if applied.is_none() {
        return QueueArguments::clone(&queue.settings);
    }
    let arguments = effective_arguments(queue.settings.queue_type, &queue.arguments, &applied.definition());
    QueueArguments::understand(&arguments)
}
