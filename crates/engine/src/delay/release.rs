//! Letting go what is due.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use leveret_codec::properties::{PropertiesRef, Property};
use smallvec::SmallVec;

use crate::delay::Delay;
use crate::delay::core::{Core, Due, Step};
use crate::delay::header::{released, routing_keys};
use crate::effects::Effects;
use crate::journal::{LoadRequest, Page, PageReader, SeqRange, Waiter};
use crate::limits::{
    DELAY_BATCHES_A_PAGE_MAX, DELAY_BATCHES_A_TIMER_MAX, PAGE_BYTES_MAX, PAGE_MESSAGES_MAX, SCARCE_PAGE_BYTES_MAX,
};
use crate::message::Incoming;
use crate::publish::{PublishBatch, Route};
use crate::queue::Settling;
use crate::timers::Timed;

/// Routes of a batch that are compared with a new one.
const ROUTES_COMPARED_MAX: usize = 8;

impl Delay {
    /// Sets the timer to the time at which there is something to do, unless somebody is at it: he does so when he ends.
    pub(super) fn arm(&self, core: &mut Core) {
        if core.busy {
            return;
        }
        let at_ms = core.wants_turn_ms();
        if at_ms != core.armed_ms {
            self.set_timer(core.armed_ms, at_ms);
            core.armed_ms = at_ms;
        }
    }

    fn set_timer(&self, before_ms: Option<u64>, at_ms: Option<u64>) {
        self.services.timers.arm(self.id.0, before_ms, at_ms, || Weak::<Self>::clone(&self.me));
    }

    /// Does what is to be done until nothing is, a page is on its way, the journal is full, or it is the turn of others. The
    /// caller holds the token.
    fn work(self: &Arc<Self>, batches_max: usize, effects: &mut Effects) {
        for _ in 0..batches_max {
            if self.services.journal.is_full() {
                self.wait_for_room();
                return;
            }
            let now_ms = self.services.clock.now_ms();
            let mut core = self.core.lock();
            match core.next_step(now_ms, self.bytes_max() as u64) {
                Step::Publish(batch) => {
                    drop(core);
                    self.publish_due(&batch, effects);
                }
                Step::Read(range) => {
                    drop(core);
                    self.read(range);
                    return;
                }
                Step::Rest => {
                    self.end_turn(&mut core);
                    return;
                }
            }
        }
        self.end_turn(&mut self.core.lock());
    }

    fn end_turn(&self, core: &mut Core) {
        core.busy = false;
        self.arm(core);
    }

    /// Lets go of the token until the journal has room.
    fn wait_for_room(self: &Arc<Self>) {
        self.waits_for_room.store(true, Ordering::SeqCst);
        self.core.lock().busy = false;
        self.services.journal.when_room(Arc::<Self>::clone(self));
    }

    fn bytes_max(&self) -> usize {
        if self.services.memory.is_used_up(0) { SCARCE_PAGE_BYTES_MAX } else { PAGE_BYTES_MAX }
    }

    fn read(self: &Arc<Self>, range: SeqRange) {
        self.services.journal.load(LoadRequest {
            queue: self.id,
            range,
            messages_max: PAGE_MESSAGES_MAX,
            bytes_max: self.bytes_max(),
            reader: Arc::<Self>::clone(self),
        });
    }

    /// Publishes what is due, by the bindings of the exchange, and settles it then.
    fn publish_due(&self, batch: &[Due], effects: &mut Effects) {
        let (Some(hidden), Some(vhost)) = (self.hidden.upgrade(), self.home.upgrade()) else { return };
        let Some(exchange) = vhost.exchange(&self.exchange).ok().filter(|exchange| exchange.is_delayed_by(&hidden))
        else {
            return;
        };
        let mut publishes = PublishBatch::default();
        for due in batch {
            let keys = routing_keys(&due.message.parts());
            let keys: SmallVec<[&[u8]; 2]> = keys.iter().map(|key| &**key).collect();
            let message = released(&due.message);
            let parts = message.parts();
            let properties = PropertiesRef::from_checked(parts.properties);
            let persistent = properties.delivery_mode() == Some(2);
            let expires = properties.has(Property::Expiration);
            let routed = vhost.route(&exchange, &keys, properties);
            routed.remember(&message);
            let route = route_number(&mut publishes, &routed.queues);
            publishes.push_expiring(Incoming::kept(message), route, persistent, expires);
        }
        publishes.carry_out(&*self.services.journal, effects);
        effects.carry_out();
        let mut settling = Settling::default();
        for waiting in batch.iter().map(|due| due.waiting) {
            settling.add(waiting.seq(), waiting.bytes(), waiting.stored());
        }
        let mut core = self.core.lock();
        if !core.deleted {
            core.released(batch.len());
            settling.write(&hidden);
        }
    }
}

/// The number of a route in the batch. Each message was routed by itself, most often to the same queues.
fn route_number(batch: &mut PublishBatch<'_>, route: &Route) -> u32 {
    let is_same =
        |known: &&Route| known.len() == route.len() && known.iter().zip(route.iter()).all(|(a, b)| Arc::ptr_eq(a, b));
    match batch.routes.iter().rev().take(ROUTES_COMPARED_MAX).find(is_same).cloned() {
        Some(known) => batch.route_number(&known),
        None => batch.route_number(route),
    }
}

impl Timed for Delay {
    fn due(self: Arc<Self>, now_ms: u64, effects: &mut Effects) {
        let mut core = self.core.lock();
        core.armed_ms = core.armed_ms.filter(|armed_ms| *armed_ms > now_ms);
        if core.busy || self.waits_for_room.load(Ordering::SeqCst) {
            return;
        }
        core.busy = true;
        drop(core);
        self.work(DELAY_BATCHES_A_TIMER_MAX, effects);
    }
}

impl PageReader for Delay {
    fn loaded(self: Arc<Self>, page: Page) {
        let is_gathered = self.core.lock().is_gathering();
        if is_gathered {
            self.core.lock().take_gathered(page);
        } else {
            let found = page.messages.into_iter().map(Due::from).collect();
            self.core.lock().take_unread(found, page.next, self.services.clock.now_ms());
        }
        self.work(DELAY_BATCHES_A_PAGE_MAX, &mut Effects::default());
    }
}

impl Waiter for Delay {
    /// May be called with locks held: it only sees to it that the timers go on.
    fn wake(&self) {
        self.waits_for_room.store(false, Ordering::SeqCst);
        self.set_timer(None, Some(0));
    }
}
