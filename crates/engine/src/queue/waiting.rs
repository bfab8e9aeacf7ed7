//! Messages of a queue that are neither ready nor delivered: returned ones that are to wait before they are tried again, and
//! dead letters that no queue has taken yet.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::effects::Effects;
use crate::limits::{DEAD_LETTER_RETRY_MS, DEAD_LETTERS_TRIED_MAX, MESSAGES_A_HOLD_MAX};
use crate::message::NEVER_MS;
use crate::queue::core::QueueCore;
use crate::queue::deaths::DeathReason;
use crate::queue::journaling::Settling;
use crate::queue::{Entry, Queue};

/// Empty in most queues. After a restart all of these are ready.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Returned messages, by the time at which they are ready again.
    delayed: BTreeMap<u64, Vec<Entry>>,
    /// Dead letters, in the order in which they died. More of them only join the line.
    undelivered: VecDeque<(DeathReason, Entry)>,
    /// Bytes of the bodies of those.
    undelivered_bytes: u64,
    /// When the first of them are tried again.
    retry_ms: u64,
}

impl Waiting {
    /// All of them.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.delayed.values().flatten().chain(self.undelivered.iter().map(|(_, entry)| entry))
    }

    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.delayed.values().map(Vec::len).sum::<usize>() + self.undelivered.len()
    }

    /// When something is due.
    pub(super) fn next_due_ms(&self) -> u64 {
        let ready_ms = self.delayed.first_key_value().map_or(NEVER_MS, |(due_ms, _)| *due_ms);
        if self.undelivered.is_empty() { ready_ms } else { ready_ms.min(self.retry_ms) }
    }

    /// Lets a message wait until `due_ms`.
    pub(super) fn delay(&mut self, due_ms: u64, entry: Entry) {
        let together = self.delayed.entry(due_ms).or_default();
        if together.len() == together.capacity() {
            // There may be very many of these, and they stay as they are.
            together.reserve_exact(together.len() / 4 + 1);
        }
        together.push(entry);
    }

    /// Whether a dead letter has to queue up behind others.
    pub(super) fn has_undelivered(&self) -> bool {
        !self.undelivered.is_empty()
    }

    /// How many dead letters wait, and bytes of their bodies.
    pub(super) fn undelivered(&self) -> (u64, u64) {
        (self.undelivered.len() as u64, self.undelivered_bytes)
    }

    pub(super) fn push_undelivered(&mut self, reason: DeathReason, entry: Entry) {
        self.undelivered_bytes += entry.message.body_len();
        self.undelivered.push_back((reason, entry));
    }

    /// Messages that have waited long enough, a hold's worth or a little more.
    fn take_due(&mut self, now_ms: u64) -> Vec<Entry> {
        let mut due = Vec::new();
        while due.len() < MESSAGES_A_HOLD_MAX {
            let Some(first) = self.delayed.first_entry().filter(|first| *first.key() <= now_ms) else { break };
            due.append(&mut first.remove());
        }
        due
    }

    /// The dead letters to be tried now: few at a time, so that it costs little if nobody takes them.
    fn take_undelivered(&mut self, now_ms: u64) -> Vec<(DeathReason, Entry)> {
        if self.retry_ms > now_ms {
            return Vec::new();
        }
        self.retry_ms = now_ms.saturating_add(DEAD_LETTER_RETRY_MS);
        let tried: Vec<_> = self.undelivered.drain(..self.undelivered.len().min(DEAD_LETTERS_TRIED_MAX)).collect();
        self.undelivered_bytes -= tried.iter().map(|(_, entry)| entry.message.body_len()).sum::<u64>();
        tried
    }
}

impl QueueCore {
    /// Makes messages ready that have waited long enough, and tries dead letters again.
    pub(super) fn end_waits(&mut self, queue: &Arc<Queue>, now_ms: u64, effects: &mut Effects) {
        for entry in self.waiting.take_due(now_ms) {
            self.note_expiry(entry.expires_ms);
            self.ready.put_back(entry);
        }
        let undelivered = self.waiting.take_undelivered(now_ms);
        let mut settling = Settling::default();
        for (reason, entry) in undelivered {
            self.hand_over_dead(queue, entry, reason, &mut settling, effects);
        }
        settling.write(queue);
    }

    /// Dead letters were tried: these could not be delivered and wait, first in line; the others may follow at once if all could.
    pub(super) fn keep_undelivered(&mut self, queue: &Arc<Queue>, reason: DeathReason, failed: Vec<Entry>) {
        if self.deleted {
            return;
        }
        self.dying = self.dying.saturating_sub(u32::try_from(failed.len()).unwrap_or(u32::MAX));
        let now_ms = queue.services.clock.now_ms();
        self.waiting.retry_ms = if failed.is_empty() { now_ms } else { now_ms.saturating_add(DEAD_LETTER_RETRY_MS) };
        for entry in failed.into_iter().rev() {
            self.waiting.undelivered_bytes += entry.message.body_len();
            self.waiting.undelivered.push_front((reason, entry));
        }
        self.restart_time();
        self.wind(queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Incoming;
    use crate::queue::Stored;

    fn entry(seq: u64) -> Entry {
        let message = Incoming::borrowed(b"", b"q", &[0, 0], b"x", None).take();
        Entry { seq, deliveries: 1, stored: Stored::No, expires_ms: NEVER_MS, message }
    }

    #[test]
    fn what_is_due_comes_in_order_and_in_bounded_pieces() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.next_due_ms(), NEVER_MS);
        for seq in 0..2 * MESSAGES_A_HOLD_MAX as u64 {
            waiting.delay(100 + seq % 2, entry(seq));
        }
        waiting.delay(50, entry(1000));
        assert_eq!(waiting.next_due_ms(), 50);
        assert!(waiting.take_due(49).is_empty());
        assert_eq!(waiting.take_due(99).iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1000]);
        let first = waiting.take_due(101);
        assert_eq!(first.len(), MESSAGES_A_HOLD_MAX);
        assert!(first.iter().all(|entry| entry.seq % 2 == 0));
        assert_eq!((waiting.take_due(101).len(), waiting.next_due_ms()), (MESSAGES_A_HOLD_MAX, NEVER_MS));
    }

    #[test]
    fn dead_letters_are_tried_few_at_a_time() {
        let mut waiting = Waiting::default();
        for seq in 0..DEAD_LETTERS_TRIED_MAX as u64 + 3 {
            waiting.push_undelivered(DeathReason::Expired, entry(seq));
        }
        assert_eq!(waiting.next_due_ms(), 0);
        let tried = waiting.take_undelivered(7);
        assert_eq!((tried.len(), tried[0].1.seq), (DEAD_LETTERS_TRIED_MAX, 0));
        assert_eq!(waiting.next_due_ms(), 7 + DEAD_LETTER_RETRY_MS);
        assert!(waiting.take_undelivered(8).is_empty());
        assert_eq!(waiting.take_undelivered(7 + DEAD_LETTER_RETRY_MS).len(), 3);
        assert!(!waiting.has_undelivered());
    }
}
