//! A publisher's batch: messages with their routes, carried out queue by queue.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::effects::Effects;
use crate::journal::{BodyAt, Journal, Lsn};
use crate::limits::{COPIED_TOGETHER_BYTES_MAX, MESSAGES_A_HOLD_MAX};
use crate::message::{Incoming, Message};
use crate::queue::{Queue, append_bodies};

/// The queues a message goes to, each once.
pub type Route = Arc<[Arc<Queue>]>;

/// One message of a batch.
#[derive(Debug)]
pub struct Publication<'m> {
    /// The message.
    pub message: Incoming<'m>,
    /// Place in [`PublishBatch::routes`].
    pub route: u32,
    /// delivery-mode 2.
    pub persistent: bool,
    /// It says how long it may live, by its property expiration.
    pub expires: bool,
    /// It goes to one queue at most.
    sole: bool,
    /// A queue refused it: it is full.
    pub rejected: bool,
    /// Only for consumers that can take it at once: it does not wait in a queue.
    pub immediate: bool,
    /// So many queues had none.
    pub missed: u32,
    /// Where it lies in the journal, if it had to go there.
    pub(crate) body_at: Option<BodyAt>,
}

impl Publication<'_> {
    /// Bytes it takes in an outlet, roughly.
    pub(crate) fn bytes(&self) -> usize {
        usize::try_from(self.message.body_len()).unwrap_or(usize::MAX)
    }

    /// Bytes it takes in [`copy_together`]; none when it is not copied there.
    fn copied_bytes(&self) -> Option<usize> {
        if self.sole { self.message.whole_bytes() } else { None }
    }

    /// Whether it goes to one queue at most.
    pub(crate) fn is_sole(&self) -> bool {
        self.sole
    }

    /// The message in the form to keep. Whoever is alone with it takes it, and finds nothing left.
    pub(crate) fn keep(&mut self) -> Message {
        if self.sole { self.message.take() } else { self.message.keep() }
    }
}

/// Makes the form to keep of messages that one queue alone will have: to copy them takes longer than all else there is to do,
/// and need not be done under the queue's lock. Many lie in one allocation, which is freed with the last of them; they will be
/// taken in order.
pub(crate) fn copy_together(items: &mut [Publication<'_>], picks: &[u32]) {
    let mut rest = picks;
    while !rest.is_empty() {
        let (mut count, mut bytes) = (0, 0);
        for &pick in rest {
            let more_bytes = items.get(pick as usize).and_then(Publication::copied_bytes).unwrap_or(0);
            if count > 0 && bytes + more_bytes > COPIED_TOGETHER_BYTES_MAX {
                break;
            }
            count += 1;
            bytes += more_bytes;
        }
        let (group, others) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        rest = others;
        let mut whole = Vec::with_capacity(bytes);
        let mut ends: SmallVec<[(u32, usize); 64]> = SmallVec::new();
        for &pick in group {
            if let Some(item) = items.get(pick as usize).filter(|item| item.copied_bytes().is_some()) {
                item.message.write_whole(&mut whole);
                ends.push((pick, whole.len()));
            }
        }
        let whole = Bytes::from(whole);
        let mut from = 0;
        for (pick, end) in ends {
            if let Some(item) = items.get_mut(pick as usize) {
                item.message.set_kept(whole.slice(from..end));
            }
            from = end;
        }
    }
}

/// Keeps bodies in the journal while it lives.
struct Held<'j>(&'j dyn Journal, Lsn);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.let_go(self.1);
    }
}

/// Messages gathered from one read.
#[derive(Debug, Default)]
pub struct PublishBatch<'m> {
    /// In the order they were published.
    pub items: Vec<Publication<'m>>,
    /// The routes of the items, most often one for all.
    pub routes: Vec<Route>,
}

impl<'m> PublishBatch<'m> {
    /// Adds a message for the queues of route number `route`.
    #[inline]
    pub fn push(&mut self, message: Incoming<'m>, route: u32, persistent: bool) {
        self.push_expiring(message, route, persistent, false);
    }

    /// The same of a message that may have the property expiration.
    #[inline]
    pub fn push_expiring(&mut self, message: Incoming<'m>, route: u32, persistent: bool, expires: bool) {
        let sole = self.routes.get(route as usize).is_none_or(|route| route.len() <= 1);
        self.items.push(Publication {
            message,
            route,
            persistent,
            expires,
            sole,
            rejected: false,
            immediate: false,
            missed: 0,
            body_at: None,
        });
    }

    /// The number of `route` in this batch.
    pub fn route_number(&mut self, route: &Route) -> u32 {
        let same = |known: &Route| Arc::ptr_eq(known, route);
        // Neighbours share their route most often: look from the end, and not far.
        let known = self.routes.iter().rev().take(8).position(same);
        let place = match known {
            Some(back) => self.routes.len() - 1 - back,
            None => {
                self.routes.push(Arc::clone(route));
                self.routes.len() - 1
            }
        };
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Puts every message into its queues: bodies to the journal first, then one lock a queue. Returns the journal position
    /// at which the whole batch is durable.
    pub fn carry_out(&mut self, journal: &dyn Journal, effects: &mut Effects) -> Lsn {
        // Nobody knows when the last queue has its messages: there may be thousands, and this thread may have to wait.
        let _held = Held(journal, journal.hold());
        self.journal_bodies(journal, &mut effects.enqueue.bodies);
        let mut end = Lsn::default();
        for (queue, picks) in self.by_queue() {
            for hold in picks.chunks(MESSAGES_A_HOLD_MAX) {
                end = end.max(queue.publish(&mut self.items, hold, effects));
            }
        }
        end
    }

    /// Whether all the queues that a message was for were deleted meanwhile, so that nobody has it.
    pub(crate) fn is_lost(&self, item: &Publication<'_>) -> bool {
        let route = self.routes.get(item.route as usize).map_or(&[][..], |route| route);
        !route.is_empty() && route.iter().all(|queue| queue.is_deleted())
    }

    /// Gives the journal the messages that a durable queue has to keep.
    fn journal_bodies(&mut self, journal: &dyn Journal, at: &mut Vec<BodyAt>) {
        let is_durable = |route: &Route| route.iter().any(|queue| queue.durable);
        let durable: SmallVec<[bool; 8]> = self.routes.iter().map(is_durable).collect();
        if !durable.contains(&true) {
            return;
        }
        let is_kept = |item: &Publication<'_>| item.persistent && durable.get(item.route as usize) == Some(&true);
        let places = (0u32..).zip(&self.items).filter(|(_, item)| is_kept(item)).map(|(place, _)| place);
        let places: SmallVec<[u32; 64]> = places.collect();
        append_bodies(journal, &mut self.items, places.into_iter(), at);
    }

    /// For each queue the places of its messages, in order.
    fn by_queue(&self) -> Vec<(Arc<Queue>, Vec<u32>)> {
        if let [route] = &*self.routes {
            let all: Vec<u32> = (0..u32::try_from(self.items.len()).unwrap_or(u32::MAX)).collect();
            return route.iter().map(|queue| (Arc::clone(queue), all.clone())).collect();
        }
        let mut groups: Vec<(Arc<Queue>, Vec<u32>)> = Vec::new();
        let mut by_id = hashbrown::HashMap::new();
        let groups_of_route: Vec<SmallVec<[usize; 4]>> = self
            .routes
            .iter()
            .map(|route| {
                let group_of = |queue: &Arc<Queue>| {
                    *by_id.entry(queue.id).or_insert_with(|| {
                        groups.push((Arc::clone(queue), Vec::new()));
                        groups.len() - 1
                    })
                };
                route.iter().map(group_of).collect()
            })
            .collect();
        for (place, item) in self.items.iter().enumerate() {
            for group in groups_of_route.get(item.route as usize).into_iter().flatten() {
                if let (Some((_, picks)), Ok(place)) = (groups.get_mut(*group), u32::try_from(place)) {
                    picks.push(place);
                }
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SHARED_BODY_BYTES_MIN;

    #[test]
    fn messages_are_copied_together_in_bounded_pieces() {
        let bodies: Vec<Vec<u8>> = (0..200u8).map(|n| vec![n; usize::from(n) * 40]).collect();
        let mut batch = PublishBatch::default();
        for body in &bodies {
            batch.push(Incoming::borrowed(b"x", b"key", &[0, 0], body, None), 0, false);
        }
        // One that was put together from several reads, and one that others keep too.
        batch.items[3].message = Incoming::kept(batch.items[3].message.keep());
        batch.items[5].sole = false;
        let picks: Vec<u32> = (0..200).filter(|pick| pick % 4 != 2).collect();
        copy_together(&mut batch.items, &picks);
        let mut after = std::collections::BTreeSet::new();
        for (place, (item, body)) in batch.items.iter_mut().zip(&bodies).enumerate() {
            let is_copied = place % 4 != 2 && place != 3 && place != 5 && body.len() < SHARED_BODY_BYTES_MIN;
            let message = item.keep();
            let parts = message.parts();
            assert_eq!((parts.exchange, parts.routing_key, parts.body), (&b"x"[..], &b"key"[..], &body[..]));
            assert_eq!(message.is_part(), is_copied, "place {place}");
            assert!(!message.alone().is_part());
            if is_copied {
                after.insert((parts.exchange.as_ptr().addr(), message.resident_bytes()));
            }
        }
        // Neighbours in memory, as many as are allowed.
        let (mut pieces, mut piece_bytes, mut end) = (0, 0, 0);
        for (at, bytes) in after {
            let follows = at == end;
            pieces += u64::from(!follows);
            piece_bytes = if follows { piece_bytes + bytes } else { bytes };
            assert!(piece_bytes <= COPIED_TOGETHER_BYTES_MAX as u64);
            end = at + usize::try_from(bytes).unwrap();
        }
        assert!((2..=10).contains(&pieces), "{pieces} pieces");
    }
}
