//! What a connection got from a queue and has not settled, for those who look into the queue.

use leveret_engine::names::QueueId;
use leveret_engine::queue::Entry;

use crate::outbox::{OutBuffer, Outbox};
use crate::sent::{Kept, SentFrames};
use crate::unacked::Unacked;

impl Outbox {
    /// Adds copies of the deliveries from `queue` that are not settled, from position `from` on: the first `max` of them.
    pub(crate) fn outstanding(&self, queue: QueueId, from: u64, max: usize, found: &mut Vec<Entry>) {
        let mut state = self.lock();
        let state = &mut *state;
        let mut wanted: Vec<&Unacked> = Vec::new();
        for channel in state.channels.values() {
            let is_wanted = |unacked: &&Unacked| {
                unacked.seq >= from && channel.queue_of(unacked).is_some_and(|from| from.id == queue)
            };
            wanted.extend(channel.unacked.iter().filter(is_wanted));
        }
        if wanted.len() > max {
            wanted.select_nth_unstable_by_key(max, |unacked| unacked.seq);
            wanted.truncate(max);
        }
        found.extend(wanted.into_iter().filter_map(|unacked| entry(unacked, &state.sent, &state.buffer)));
    }
}

fn entry(unacked: &Unacked, sent: &SentFrames, buffer: &OutBuffer) -> Option<Entry> {
    let message = match &unacked.kept {
        Kept::Sent(at) => sent.copy_of(*at, buffer),
        Kept::Own(message) => message.clone(),
        Kept::Nothing => return None,
    };
    let Unacked { seq, deliveries, stored, expires_ms, .. } = *unacked;
    Some(Entry { seq, deliveries, stored, expires_ms, message })
}
