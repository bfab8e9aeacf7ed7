//! What happens in a queue by the time: messages expire at its head, and an unused queue goes.

use std::sync::{Arc, Weak};

use crate::effects::Effects;
use crate::limits::{HOLDS_A_TIMER_MAX, JOURNAL_FULL_RETRY_MS, MESSAGES_A_HOLD_MAX, PAGE_MESSAGES_MAX, SWEEP_PAUSE_MS};
use crate::message::NEVER_MS;
use crate::publish::Publication;
use crate::queue::Queue;
use crate::queue::core::QueueCore;
use crate::queue::deaths::DeathReason;
use crate::queue::journaling::Settling;
use crate::queue::paging::Appetite;
use crate::timers::Timed;

/// What a queue knows of the time.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// When the queue is due at the broker's timers.
    armed_ms: Option<u64>,
    /// Since when nobody has used the queue.
    unused_since_ms: u64,
    /// Something may be due some time.
    runs: bool,
    /// When to look for expired messages behind the head, where they may go from there.
    sweep: Sweep,
}

/// Looks for messages that have expired anywhere.
#[derive(Debug)]
struct Sweep {
    due_ms: u64,
    last_ms: u64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { due_ms: NEVER_MS, last_ms: 0 }
    }
}

impl Sweep {
    /// A message expires at this time. To look goes over all of them, so that it is done now and then only.
    fn note(&mut self, expires_ms: u64) {
        self.due_ms = self.due_ms.min(expires_ms.max(self.last_ms.saturating_add(SWEEP_PAUSE_MS)));
    }
}

impl QueueCore {
    /// When a message expires that is enqueued now.
    #[cold]
    pub(super) fn expires_ms(&self, queue: &Queue, item: &Publication<'_>) -> u64 {
        match self.rules.ttl_ms.min(item.message.parts().expiration_ms()) {
            NEVER_MS => NEVER_MS,
            life_ms => queue.services.clock.now_ms().saturating_add(life_ms),
        }
    }

    /// A message became ready that expires some time.
    pub(super) fn note_expiry(&mut self, expires_ms: u64) {
        if expires_ms != NEVER_MS {
            self.expiring = true;
            self.times.runs = true;
            if self.rules.ttl_anywhere {
                self.times.sweep.note(expires_ms);
            }
        }
    }

    /// The time, as far as somebody has to know it to judge messages: before all times where none expires.
    pub(super) fn judging_ms(&self, queue: &Queue) -> u64 {
        if self.expiring { queue.services.clock.now_ms() } else { 0 }
    }

    /// Lets messages go from the head that have expired, at most a hold's worth.
    pub(super) fn expire(&mut self, queue: &Arc<Queue>, effects: &mut Effects) -> Appetite {
        let mut expired = Appetite::Idle;
        if !self.expiring {
            return expired;
        }
        let now_ms = queue.services.clock.now_ms();
        let mut settling = Settling::default();
        for _ in 0..MESSAGES_A_HOLD_MAX {
            let Some(entry) = self.ready.pop_expired(now_ms) else { break };
            self.discard(queue, entry, DeathReason::Expired, &mut settling, effects);
            expired = Appetite::Taking;
        }
        settling.write(queue);
        expired
    }

    /// Lets messages go that have expired, wherever they are in memory.
    fn sweep(&mut self, queue: &Arc<Queue>, now_ms: u64, effects: &mut Effects) {
        let mut expired = Vec::new();
        let next_ms = self.ready.take_expired(now_ms, &mut expired, PAGE_MESSAGES_MAX);
        self.times.sweep = Sweep { due_ms: NEVER_MS, last_ms: now_ms };
        if next_ms != NEVER_MS {
            self.times.sweep.note(next_ms);
        }
        let mut settling = Settling::default();
        for entry in expired {
            self.discard(queue, entry, DeathReason::Expired, &mut settling, effects);
        }
        settling.write(queue);
    }

    /// Somebody uses the queue.
    pub(super) fn touch(&mut self, queue: &Arc<Queue>) {
        if self.rules.expires_ms.is_some() {
            self.times.unused_since_ms = queue.services.clock.now_ms();
            self.times.runs = true;
            self.wind(queue);
        }
    }

    /// What is due may be due at another time.
    pub(super) fn restart_time(&mut self) {
        self.times.runs = true;
    }

    /// Sees to it that the queue has its turn when the next thing is due.
    pub(super) fn wind(&mut self, queue: &Arc<Queue>) {
        if !self.times.runs || self.deleted {
            return;
        }
        self.expiring &= !self.ready.is_empty();
        let due_ms = self.next_due_ms();
        self.times.runs = self.expiring || due_ms != NEVER_MS;
        // Who is due too early finds that out then: most often what was waited for is gone, and so is the next.
        if self.times.armed_ms.is_none_or(|armed_ms| due_ms < armed_ms) && due_ms != NEVER_MS {
            self.arm(queue, Some(due_ms));
        }
    }

    fn arm(&mut self, queue: &Arc<Queue>, due_ms: Option<u64>) {
        let timed = || Arc::downgrade(queue) as Weak<dyn Timed>;
        queue.services.timers.arm(queue.id.0, self.times.armed_ms, due_ms, timed);
        self.times.armed_ms = due_ms;
    }

    /// Nothing is due any more.
    pub(super) fn stop_time(&mut self, queue: &Arc<Queue>) {
        self.arm(queue, None);
    }

    /// Something is due as soon as the timers run.
    pub(super) fn start_time(&mut self, queue: &Arc<Queue>) {
        self.touch(queue);
        // The first messages have to be read before it is known when they expire.
        if self.expiring {
            self.times.runs = true;
            self.arm(queue, Some(queue.services.clock.now_ms()));
        }
    }

    fn next_due_ms(&self) -> u64 {
        let head_ms = if self.expiring { self.ready.next_expiry_ms() } else { NEVER_MS };
        head_ms.min(self.unused_until_ms()).min(self.waiting.next_due_ms()).min(self.times.sweep.due_ms)
    }

    /// When the queue goes, if nobody uses it.
    fn unused_until_ms(&self) -> u64 {
        match self.rules.expires_ms {
            Some(expires_ms) if self.consumers.len() == 0 => self.times.unused_since_ms.saturating_add(expires_ms),
            _ => NEVER_MS,
        }
    }

    /// Does what is due; true when there is more of it.
    fn pass_time(&mut self, queue: &Arc<Queue>, now_ms: u64, effects: &mut Effects) -> bool {
        self.times.armed_ms = None;
        if self.deleted {
            return false;
        }
        if self.unused_until_ms() <= now_ms {
            effects.deletions.push(Arc::clone(queue));
            return false;
        }
        self.end_waits(queue, now_ms, effects);
        if self.times.sweep.due_ms <= now_ms {
            self.sweep(queue, now_ms, effects);
        }
        let shed = self.shed(queue, effects);
        self.end_hold(queue, shed, effects);
        self.next_due_ms() <= now_ms
    }
}

impl Queue {
    /// The queue is in its place: time passes for it.
    pub(crate) fn start_time(self: &Arc<Self>) {
        self.core.lock().start_time(self);
    }

    /// Somebody has declared the queue again.
    pub(crate) fn touch(self: &Arc<Self>) {
        self.core.lock().touch(self);
    }
}

impl Timed for Queue {
    fn due(self: Arc<Self>, now_ms: u64, effects: &mut Effects) {
        for _ in 0..HOLDS_A_TIMER_MAX {
            if self.services.journal.is_full() {
                // What dies may have to be written.
                let later_ms = now_ms.saturating_add(JOURNAL_FULL_RETRY_MS);
                self.core.lock().arm(&self, Some(later_ms));
                return;
            }
            let more = self.core.lock().pass_time(&self, now_ms, effects);
            self.deliver(effects);
            effects.carry_out();
            if !more {
                return;
            }
        }
    }
}
