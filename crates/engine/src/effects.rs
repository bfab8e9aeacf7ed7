//! What follows from an operation on a queue, carried out after its lock is released.

use std::sync::Arc;

use crate::journal::Waiter;
use crate::names::Name;
use crate::outlet::{Outlet, Parked, Pick, Planned};
use crate::queue::{Dying, EnqueueScratch, Load, Queue};

/// Written under locks, carried out by [`Effects::carry_out`]. Reused batch after batch.
#[derive(Default)]
pub struct Effects {
    /// Outlets that went from empty to not empty.
    pub(crate) wakes: Vec<Arc<dyn Outlet>>,
    /// Consumers that the broker ended, by their tags.
    pub(crate) cancels: Vec<(Arc<dyn Outlet>, Name)>,
    /// Consumers that could not take more.
    pub(crate) parked: Vec<(Arc<dyn Outlet>, Parked)>,
    /// Messages that queues gave up, to be dead-lettered in this order.
    pub(crate) dying: Vec<Dying>,
    /// Auto-delete queues that lost their last consumer, and queues that nobody has used for their time.
    pub(crate) deletions: Vec<Arc<Queue>>,
    /// Queues with a single active consumer that lost it.
    pub(crate) promotions: Vec<Arc<Queue>>,
    /// Pages of messages that queues need.
    pub(crate) loads: Vec<Load>,
    /// Those who waited for a page.
    pub(crate) waiters: Vec<Arc<dyn Waiter>>,
    /// What nobody needs any more. To free it may take long, and need not be done under locks.
    pub(crate) dropped: Vec<Box<dyn Send + Sync>>,
    /// Scratch: what goes into the journal of a publisher's batch.
    pub(crate) enqueue: EnqueueScratch,
    /// Scratch: who gets which message of a publisher's batch.
    pub(crate) picks: Vec<Pick>,
    /// Scratch: who gets which message of the ready list.
    pub(crate) planned: Vec<Planned>,
}

impl Effects {
    /// Deletes queues, publishes dead letters, parks those who wait, asks for pages and wakes those who have something to do, each
    /// once. Call it without locks.
    pub fn carry_out(&mut self) {
        loop {
            if let Some(queue) = self.deletions.pop() {
                if let Some(vhost) = queue.home.upgrade() {
                    vhost.auto_delete(&queue, self);
                }
            } else if let Some(queue) = self.promotions.pop() {
                queue.promote(self);
            } else if let Some((outlet, parked)) = self.parked.pop() {
                if !outlet.park(&parked) {
                    parked.queue.resume(parked.key, self);
                }
            } else if !self.dying.is_empty() {
                for dying in std::mem::take(&mut self.dying) {
                    dying.carry_out(self);
                }
            } else {
                break;
            }
        }
        self.dropped.clear();
        for load in self.loads.drain(..) {
            load.carry_out();
        }
        for (outlet, tag) in self.cancels.drain(..) {
            if outlet.cancelled(&tag) {
                self.wakes.push(outlet);
            }
        }
        let at_once = self.wakes.len();
        for outlet in self.wakes.drain(..) {
            outlet.wake(at_once);
        }
        for waiter in self.waiters.drain(..) {
            waiter.wake();
        }
    }
}
