//! The consumers of a queue and whose turn it is: highest priority first, round robin within one; or one alone
//! (`single_active`).

use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;

use crate::names::{ConsumerKey, Name};
use crate::outlet::{ChannelLimit, Delivering, Outlet, ParkReason};
use crate::queue::QueueConsumer;
use crate::queue::single_active::{Active, Succession};

/// What a consumer is made of.
pub struct NewConsumer {
    /// Its tag on its channel.
    pub tag: Name,
    /// Where its deliveries go.
    pub outlet: Arc<dyn Outlet>,
    /// The limit of its channel.
    pub channel_limit: Arc<ChannelLimit>,
    /// Deliveries need no acknowledgement.
    pub no_ack: bool,
    /// Most unacknowledged deliveries; 0 is no limit.
    pub prefetch: u16,
    /// Argument `x-priority`.
    pub priority: i32,
    /// Wants to be the only one.
    pub exclusive: bool,
}

pub(super) struct Consumer {
    /// As one value, which is copied whole: put together for each delivery it would be read before its halves are written, and the
    /// processor waits for that.
    key: ConsumerKey,
    pub(super) tag: Name,
    pub(super) outlet: Arc<dyn Outlet>,
    channel_limit: Arc<ChannelLimit>,
    pub(super) no_ack: bool,
    /// Deliveries it may still get; none when unlimited.
    credit: Option<u32>,
    /// Its credit when it has nothing unacknowledged.
    full_credit: u32,
    pub(super) priority: i32,
    exclusive: bool,
    /// The client was told of it.
    started: bool,
    in_ring: bool,
    /// Bytes it may get in the plan being made; none when no plan has touched it.
    plan_room_bytes: Option<usize>,
}

#[derive(Default)]
pub(crate) struct Consumers {
    slots: Slab<Consumer>,
    /// Highest priority first. A level stays while a consumer of its priority is there.
    levels: Vec<Level>,
    serial: u32,
    /// Who is served.
    pub(super) active: Active,
    /// Nobody is: all rings are empty.
    pub(super) paused: bool,
}

/// What the removal of a consumer leaves behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Removed {
    /// It was the last.
    pub(super) last: bool,
    /// One consumer is served at a time, and from now on it is another: [`Consumers::promote`] sees to it.
    pub(super) succeeded: bool,
}

struct Level {
    priority: i32,
    ring: VecDeque<u32>,
}

impl std::fmt::Debug for Consumers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumers").field("len", &self.slots.len()).finish_non_exhaustive()
    }
}

impl Consumers {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn has_exclusive(&self) -> bool {
        self.slots.iter().any(|(_, consumer)| consumer.exclusive)
    }

    /// Adds a consumer that takes part only after [`Consumers::resume`]. Where only one is served at a time, `succession` says
    /// how the next is found.
    pub(super) fn add(&mut self, new: NewConsumer, succession: Option<Succession>) -> ConsumerKey {
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let full_credit = match (new.prefetch, succession) {
            // Never used up, but what is unacknowledged is counted.
            (0, Some(_)) => u32::MAX,
            (prefetch, _) => u32::from(prefetch),
        };
        let credit = (!new.no_ack && full_credit > 0).then_some(full_credit);
        let priority = new.priority;
        let slot = self.slots.vacant_entry();
        let key = ConsumerKey { slot: u32::try_from(slot.key()).unwrap_or(u32::MAX), serial };
        slot.insert(Consumer {
            key,
            tag: new.tag,
            outlet: new.outlet,
            channel_limit: new.channel_limit,
            no_ack: new.no_ack,
            credit,
            full_credit,
            priority,
            exclusive: new.exclusive,
            started: false,
            in_ring: false,
            plan_room_bytes: None,
        });
        if let Err(place) = self.levels.binary_search_by(|level| priority.cmp(&level.priority)) {
            self.levels.insert(place, Level { priority, ring: VecDeque::new() });
        }
        if let Some(succession) = succession {
            self.register(key, priority, succession);
        }
        key
    }

    /// Removes a consumer, if it is still there.
    pub(super) fn remove(&mut self, key: ConsumerKey) -> Removed {
        if self.of(key).is_none() {
            return Removed::default();
        }
        self.leave_ring(key);
        let Some(consumer) = self.slots.try_remove(key.slot as usize) else { return Removed::default() };
        if !self.slots.iter().any(|(_, other)| other.priority == consumer.priority) {
            self.levels.retain(|level| level.priority != consumer.priority);
        }
        Removed { last: self.slots.is_empty(), succeeded: self.unregister(key) }
    }

    /// Takes a consumer out of its ring.
    pub(super) fn leave_ring(&mut self, key: ConsumerKey) {
        let Some(consumer) = self.of(key) else { return };
        consumer.in_ring = false;
        let priority = consumer.priority;
        if let Some(level) = self.levels.iter_mut().find(|level| level.priority == priority) {
            level.ring.retain(|slot| *slot != key.slot);
        }
    }

    /// Takes all consumers out of their rings.
    pub(super) fn empty_rings(&mut self) {
        self.levels.iter_mut().for_each(|level| level.ring.clear());
        self.slots.iter_mut().for_each(|(_, consumer)| consumer.in_ring = false);
    }

    /// Those that the client was told of, in the order in which they came.
    pub(super) fn started(&self) -> Vec<ConsumerKey> {
        let started = self.slots.iter().filter(|(_, consumer)| consumer.started);
        let mut keys: Vec<ConsumerKey> = started.map(|(_, consumer)| consumer.key).collect();
        keys.sort_by_key(|key| key.serial);
        keys
    }

    /// The tag of the one that wants to be the only one.
    pub(super) fn exclusive_tag(&self) -> Option<Name> {
        let exclusive = self.slots.iter().find(|(_, consumer)| consumer.exclusive);
        exclusive.map(|(_, consumer)| Name::clone(&consumer.tag))
    }

    /// The tag of the one that is served, where it is one at a time.
    pub(super) fn active_tag(&self) -> Option<Name> {
        let (Active::One(key) | Active::Leaving(key)) = self.active else { return None };
        let consumer = self.slots.get(key.slot as usize).filter(|consumer| consumer.key == key);
        consumer.map(|consumer| Name::clone(&consumer.tag))
    }

    /// Where deliveries go, each once.
    pub(super) fn outlets(&self) -> Vec<Arc<dyn Outlet>> {
        let mut outlets: Vec<Arc<dyn Outlet>> =
            self.slots.iter().map(|(_, consumer)| Arc::clone(&consumer.outlet)).collect();
        outlets.sort_unstable_by_key(id_of);
        outlets.dedup_by_key(|outlet| id_of(outlet));
        outlets
    }

    /// The first in line: of those with the highest priority the one that came first.
    pub(super) fn first_in_line(&self) -> Option<ConsumerKey> {
        let first =
            self.slots.iter().min_by_key(|(_, consumer)| (std::cmp::Reverse(consumer.priority), consumer.key.serial));
        first.map(|(_, consumer)| consumer.key)
    }

    pub(super) fn drain(&mut self) -> Vec<Consumer> {
        self.active = Active::default();
        self.levels.clear();
        std::mem::take(&mut self.slots).into_iter().map(|(_, consumer)| consumer).collect()
    }

    /// Who is in `slot`, for a delivery.
    pub(crate) fn delivering(&self, slot: u32) -> Option<Delivering<'_>> {
        let consumer = self.slots.get(slot as usize)?;
        let key = consumer.key;
        Some(Delivering { key, tag: &consumer.tag, no_ack: consumer.no_ack })
    }

    /// Whether deliveries to the consumer in `slot` need no acknowledgement.
    pub(super) fn is_no_ack(&self, slot: u32) -> bool {
        self.slots.get(slot as usize).is_some_and(|consumer| consumer.no_ack)
    }

    /// Whether there is anyone whose turn it could be.
    pub(super) fn any_waits(&self) -> bool {
        self.levels.iter().any(|level| !level.ring.is_empty())
    }

    /// The outlet of the consumer in `slot`.
    pub(super) fn outlet(&self, slot: u32) -> Option<&Arc<dyn Outlet>> {
        self.slots.get(slot as usize).map(|consumer| &consumer.outlet)
    }

    /// Whether two slots have the same outlet.
    pub(super) fn share_outlet(&self, a: u32, b: u32) -> bool {
        a == b || self.outlet_id(a) == self.outlet_id(b)
    }

    /// Tells the outlets of slots apart.
    pub(super) fn outlet_id(&self, slot: u32) -> usize {
        self.outlet(slot).map_or(0, id_of)
    }

    pub(super) fn of(&mut self, key: ConsumerKey) -> Option<&mut Consumer> {
        self.slots.get_mut(key.slot as usize).filter(|consumer| consumer.key == key)
    }

    /// What there is to tell of each.
    pub(super) fn reports(&self) -> Vec<QueueConsumer> {
        let report = |(_, consumer): (usize, &Consumer)| QueueConsumer {
            key: consumer.key,
            tag: Name::clone(&consumer.tag),
            place: consumer.outlet.place(),
            no_ack: consumer.no_ack,
            prefetch: u16::try_from(consumer.full_credit).unwrap_or_default(),
            priority: consumer.priority,
            exclusive: consumer.exclusive,
            active: self.active.serves(consumer.key),
        };
        self.slots.iter().map(report).collect()
    }

    /// Puts a consumer at the end of its ring, if it is still there, is served, and not in it.
    pub(super) fn resume(&mut self, key: ConsumerKey) {
        let is_served = self.active.serves(key) && !self.paused;
        let Some(consumer) = self.of(key) else { return };
        consumer.started = true;
        if consumer.in_ring || !is_served {
            return;
        }
        consumer.in_ring = true;
        let priority = consumer.priority;
        if let Some(level) = self.levels.iter_mut().find(|level| level.priority == priority) {
            level.ring.push_back(key.slot);
        }
    }

    /// Gives back the credit of `n` deliveries; a consumer that had none takes part again.
    #[inline(always)]
    pub(super) fn give_back(&mut self, key: ConsumerKey, n: u32) {
        let Some(consumer) = self.of(key) else { return };
        let Some(credit) = &mut consumer.credit else { return };
        let had_none = *credit == 0;
        *credit = credit.saturating_add(n);
        if had_none {
            self.resume(key);
        }
        if self.active.is_leaving(key) && self.of(key).is_some_and(|consumer| consumer.is_idle()) {
            self.choose();
        }
    }

    /// The slot of the consumer whose turn it is, for a delivery of about `bytes`; its credit is taken and it goes to the end
    /// of its ring. Those found unable to take leave the ring; `parked` hears of those that wait for their channel.
    pub(super) fn take_turn(
        &mut self,
        bytes: usize,
        mut parked: impl FnMut(ConsumerKey, &Consumer, ParkReason),
    ) -> Option<u32> {
        for level in &mut self.levels {
            while let Some(slot) = level.ring.front().copied() {
                let Some(consumer) = self.slots.get_mut(slot as usize) else {
                    level.ring.pop_front();
                    continue;
                };
                match consumer.take(bytes) {
                    Ok(()) => {
                        if level.ring.len() > 1 {
                            level.ring.rotate_left(1);
                        }
                        return Some(slot);
                    }
                    Err(reason) => {
                        level.ring.pop_front();
                        consumer.in_ring = false;
                        if let Some(reason) = reason {
                            parked(consumer.key, consumer, reason);
                        }
                    }
                }
            }
        }
        None
    }

    /// The plan that [`Consumers::take_turn`] calls were made for is carried out for the consumer in `slot`. Says whether its
    /// deliveries need no acknowledgement.
    pub(super) fn plan_done(&mut self, slot: u32) -> bool {
        self.slots.get_mut(slot as usize).is_some_and(|consumer| {
            consumer.plan_room_bytes = None;
            consumer.no_ack
        })
    }
}

/// Tells outlets apart.
fn id_of(outlet: &Arc<dyn Outlet>) -> usize {
    Arc::as_ptr(outlet).cast::<()>().addr()
}

impl Consumer {
    /// Whether all that it got is settled.
    pub(super) fn is_idle(&self) -> bool {
        self.credit.is_none_or(|credit| credit >= self.full_credit)
    }

    /// Whether the client knows of it, so that it may be given messages.
    pub(super) fn is_started(&self) -> bool {
        self.started
    }

    /// Takes credit for one delivery. The error says whom to wait for; none when it is the consumer's own acknowledgements.
    fn take(&mut self, bytes: usize) -> Result<(), Option<ParkReason>> {
        if self.credit == Some(0) {
            return Err(None);
        }
        let room = match self.plan_room_bytes {
            Some(room) => room,
            None => self.outlet.room_bytes(),
        };
        if room == 0 {
            self.plan_room_bytes = None;
            return Err(Some(ParkReason::OutletFull));
        }
        // Deliveries without acknowledgement never count towards the channel's limit, but wait while it is reached.
        let limited = if self.no_ack { !self.channel_limit.has_room() } else { !self.channel_limit.try_take() };
        if limited {
            return Err(Some(ParkReason::ChannelLimit));
        }
        self.plan_room_bytes = Some(room.saturating_sub(bytes));
        if let Some(credit) = &mut self.credit {
            *credit -= 1;
        }
        Ok(())
    }
}
