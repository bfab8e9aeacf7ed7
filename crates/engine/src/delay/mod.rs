//! Exchanges of type `x-delayed-message`: a message with a header `x-delay` waits there before it is routed.
//!
//! Each of them has a hidden [`Queue`], which no client can name. While a message has to wait, routing
//! reaches that queue in place of the exchange's bindings, so that the journal, confirms and transactions deal with it as with
//! any queue's. In place of a list of ready messages the queue has a [`Delay`]: which message is due when, 16 bytes each, and a
//! timer for the first. Messages themselves are in the journal, if it can give them back; those that are due are read,
//! published by the exchange's bindings, and then settled, in this order: after a crash a message may go out once more, and
//! never not at all. After a restart the hidden queue is read once, in the background, to learn what is due when.
//!
//! Invariants
//! - One thread at a time works on an exchange's messages, and one page is on its way.
//! - Locks are those of a queue: nothing is published while one is held.
//! - What waits for room in the journal is woken by it, and takes no turn until then.

mod core;
mod header;
mod hidden;
mod index;
mod release;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use self::core::Core;
pub(crate) use self::header::delay_ms;
use self::header::delay_of;
pub(crate) use self::hidden::{HiddenQueues, Owner, exchange_of};
use self::index::Waiting;
use crate::effects::Effects;
use crate::journal::Lsn;
use crate::limits::DELAYS_LISTED_A_HOLD_MAX;
use crate::names::{Name, QueueId};
use crate::publish::Publication;
use crate::queue::{Queue, Settling, Stored};
use crate::services::Services;
use crate::vhost::Vhost;

/// The type of an exchange that delays messages.
pub const EXCHANGE_TYPE: &str = "x-delayed-message";

/// The argument that names the type by which such an exchange routes.
pub const INNER_TYPE: &[u8] = b"x-delayed-type";

/// What waits in an exchange.
pub struct Delay {
    me: Weak<Self>,
    /// The queue that this is the inside of, and its number.
    hidden: Weak<Queue>,
    id: QueueId,
    exchange: Name,
    home: Weak<Vhost>,
    services: Arc<Services>,
    core: Mutex<Core>,
    /// The journal is full; it will wake this.
    waits_for_room: AtomicBool,
}

/// A message that waits, as it is told to those who administer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delayed {
    /// Its number in the exchange.
    pub number: u64,
    /// When it is due: milliseconds since 1970.
    pub due_ms: u64,
    /// Bytes of its body.
    pub bytes: u64,
}

impl std::fmt::Debug for Delay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delay").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

impl Delay {
    /// How many messages wait.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.core.lock().count
    }

    /// Whether a restart was so short ago that [`Delay::list`] and [`Delay::cancel`] do not know all that waits.
    #[must_use]
    pub fn is_reading_back(&self) -> bool {
        self.core.lock().is_reading_back()
    }

    /// Some of those that wait after `after`, or from the first on, in the order in which they are due. Those that are on their
    /// way are not among them.
    #[must_use]
    pub fn list(&self, after: Option<Delayed>, count_max: usize) -> Vec<Delayed> {
        let core = self.core.lock();
        let after = after.map(|after| Waiting::highest_at(after.due_ms, after.number));
        let told =
            |waiting: Waiting| Delayed { number: waiting.seq(), due_ms: waiting.due_ms(), bytes: waiting.bytes() };
        core.waiting.after(after).take(count_max.min(DELAYS_LISTED_A_HOLD_MAX)).map(told).collect()
    }

    /// Drops the message with this number; `None` when it does not wait, or not any more. Returns when that is durable.
    #[must_use]
    pub fn cancel(&self, number: u64) -> Option<Lsn> {
        let hidden = self.hidden.upgrade()?;
        let mut after = None;
        loop {
            let mut core = self.core.lock();
            let seen: Vec<Waiting> = core.waiting.after(after).take(DELAYS_LISTED_A_HOLD_MAX).collect();
            after = Some(*seen.last()?);
            if let Some(found) = seen.into_iter().find(|waiting| waiting.seq() == number) {
                core.remove(found);
                self.arm(&mut core);
                let mut settling = Settling::default();
                settling.add(number, found.bytes(), found.stored());
                return Some(settling.write(&hidden));
            }
        }
    }

    /// Takes the messages of a publisher's batch that `picks` names: each waits for the time that its header says. Returns the
    /// position of the last record written for them.
    pub(crate) fn publish(
        &self,
        hidden: &Queue,
        items: &mut [Publication<'_>],
        picks: &[u32],
        effects: &mut Effects,
    ) -> Lsn {
        let can_page = self.services.journal.can_page();
        let mut core = self.core.lock();
        if core.deleted {
            return Lsn::default();
        }
        let now_ms = self.services.clock.now_ms();
        let first_seq = core.last_seq + 1;
        for &pick in picks {
            let Some(item) = items.get(pick as usize) else { continue };
            let stored = match (hidden.durable && item.persistent, can_page) {
                (true, _) => Stored::Persistent,
                (false, true) => Stored::Transient,
                (false, false) => Stored::No,
            };
            let parts = item.message.parts();
            let seq = core.add(now_ms.saturating_add(delay_of(&parts).into()), stored, &parts);
            effects.enqueue.add(seq, pick, parts.body_len(), stored);
        }
        let end = effects.enqueue.write(hidden, items);
        if !can_page {
            for (seq, &pick) in (first_seq..).zip(picks) {
                if let Some(item) = items.get_mut(pick as usize) {
                    core.keep(seq, item.keep());
                }
            }
        }
        self.arm(&mut core);
        end
    }

    /// The exchange is deleted, and what waits goes with it. Says whether the journal knows of the hidden queue.
    pub(crate) fn close(&self, hidden: &Queue) -> bool {
        let mut core = self.core.lock();
        let dropped = core.close();
        self.arm(&mut core);
        let is_journaled = hidden.durable || core.spilled;
        drop(core);
        drop(dropped);
        is_journaled
    }
}
