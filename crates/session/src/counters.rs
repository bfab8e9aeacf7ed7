//! What happened on a connection and its channels.
//!
//! A channel counts in [`Tally`]s: what comes in is counted by the connection's reader, what goes out under the lock of its outbox,
//! so that each has one writer at a time. Nothing that connections share is written for a message.

use std::sync::Arc;

use leveret_engine::counters::{MessageCounts, Tally};
use leveret_engine::outlet::ChannelLimit;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};

/// Upper bounds of the sizes of messages that are told apart, in bytes; what is larger comes last.
pub const SIZE_BOUNDS_BYTES: [u64; 8] = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000, 100_000_000];

/// Sizes of published messages.
#[derive(Debug, Default)]
pub struct Sizes {
    /// So many up to each bound and over the one before, and those over all.
    counts: [Tally; SIZE_BOUNDS_BYTES.len() + 1],
    bytes: Tally,
}

/// Sizes of published messages, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeCounts {
    /// So many up to each bound and over the one before, and those over all.
    pub counts: [u64; SIZE_BOUNDS_BYTES.len() + 1],
    /// Bytes of all bodies.
    pub bytes: u64,
}

impl Sizes {
    /// Counts a message.
    #[inline]
    pub(crate) fn note(&self, bytes: u64) {
        self.bytes.add(bytes);
        let [small, medium, ..] = &self.counts;
        if bytes <= 100 {
            small.add(1);
        } else if bytes <= 1_000 {
            medium.add(1);
        } else {
            self.note_large(bytes);
        }
    }

    fn note_large(&self, bytes: u64) {
        if let Some(count) = self.counts.get(place_of(bytes)) {
            count.add(1);
        }
    }

    fn read(&self) -> SizeCounts {
        SizeCounts {
            counts: std::array::from_fn(|at| self.counts.get(at).map_or(0, Tally::get)),
            bytes: self.bytes.get(),
        }
    }
}

/// Where a size is counted.
fn place_of(bytes: u64) -> usize {
    SIZE_BOUNDS_BYTES.iter().position(|bound| bytes <= *bound).unwrap_or(SIZE_BOUNDS_BYTES.len())
}

impl SizeCounts {
    /// Counts a message.
    pub fn note(&mut self, bytes: u64) {
        self.bytes += bytes;
        if let Some(count) = self.counts.get_mut(place_of(bytes)) {
            *count += 1;
        }
    }

    /// Adds those of another.
    pub fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }
}

/// What happened on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Messages.
    pub messages: MessageCounts,
    /// Messages that were published on channels with confirms.
    pub received_confirm: u64,
    /// Messages that came to a queue at least.
    pub routed: u64,
    /// Sizes of what was published.
    pub sizes: SizeCounts,
}

impl ConnectionCounts {
    /// Adds those of another.
    pub fn add(&mut self, other: &Self) {
        self.messages.add(&other.messages);
        self.received_confirm += other.received_confirm;
        self.routed += other.routed;
        self.sizes.add(&other.sizes);
    }
}

/// Counters of a connection that its reader alone adds to.
#[derive(Debug, Default)]
pub(crate) struct ConnectionTallies {
    pub(crate) sizes: Sizes,
    pub(crate) received_confirm: Tally,
    pub(crate) routed: Tally,
}

impl ConnectionTallies {
    /// What they are, with the messages of all channels.
    pub(crate) fn read(&self, messages: MessageCounts) -> ConnectionCounts {
        ConnectionCounts {
            messages,
            received_confirm: self.received_confirm.get(),
            routed: self.routed.get(),
            sizes: self.sizes.read(),
        }
    }
}

/// What others may know of a channel.
#[derive(Debug, Default)]
pub(crate) struct ChannelTallies {
    // What comes in.
    pub(crate) publish: Tally,
    pub(crate) return_unroutable: Tally,
    pub(crate) drop_unroutable: Tally,
    pub(crate) get_empty: Tally,
    pub(crate) ack: Tally,
    // What goes out.
    pub(crate) deliver: Tally,
    pub(crate) deliver_no_ack: Tally,
    pub(crate) get: Tally,
    pub(crate) get_no_ack: Tally,
    pub(crate) redeliver: Tally,
    /// What it is set to.
    pub(crate) mode: AtomicU8,
    pub(crate) prefetch: AtomicU16,
    pub(crate) limit: Arc<ChannelLimit>,
    /// What its transaction holds back.
    pub(crate) uncommitted: AtomicU32,
    pub(crate) acks_uncommitted: AtomicU32,
}

/// What publishes and acknowledgements mean on a channel, as [`ChannelTallies::mode`] has it where that is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ToldMode {
    Confirm = 1,
    Transaction = 2,
}

impl ChannelTallies {
    pub(crate) fn set_mode(&self, mode: ToldMode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    pub(crate) fn is_in(&self, mode: ToldMode) -> bool {
        self.mode.load(Ordering::Relaxed) == mode as u8
    }

    /// A transaction holds back so much.
    pub(crate) fn set_uncommitted(&self, publishes: usize, acks: usize) {
        let told = |count| u32::try_from(count).unwrap_or(u32::MAX);
        self.uncommitted.store(told(publishes), Ordering::Relaxed);
        self.acks_uncommitted.store(told(acks), Ordering::Relaxed);
    }

    /// So many messages were delivered, some of them to be acknowledged, and some not for the first time.
    pub(crate) fn delivered(&self, all: usize, to_ack: usize, again: u64) {
        self.deliver.add(to_ack as u64);
        self.deliver_no_ack.add((all - to_ack) as u64);
        self.redeliver.add(again);
    }

    /// A message was got.
    pub(crate) fn got(&self, no_ack: bool, again: bool) {
        let tally = if no_ack { &self.get_no_ack } else { &self.get };
        tally.add(1);
        self.redeliver.add(u64::from(again));
    }

    /// What they are; confirms are counted elsewhere.
    pub(crate) fn counts(&self) -> MessageCounts {
        MessageCounts {
            publish: self.publish.get(),
            return_unroutable: self.return_unroutable.get(),
            drop_unroutable: self.drop_unroutable.get(),
            deliver: self.deliver.get(),
            deliver_no_ack: self.deliver_no_ack.get(),
            get: self.get.get(),
            get_no_ack: self.get_no_ack.get(),
            get_empty: self.get_empty.get(),
            ack: self.ack.get(),
            redeliver: self.redeliver.get(),
            ..MessageCounts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_counted_up_to_its_bound() {
        let sizes = Sizes::default();
        let all =
            [0, 100, 101, 1_000, 1_001, 10_000, 100_001, 50_000_001, 100_000_000, 100_000_001, u64::from(u32::MAX)];
        for bytes in all {
            sizes.note(bytes);
        }
        let counted = sizes.read();
        assert_eq!(counted.counts, [2, 2, 2, 0, 1, 0, 0, 2, 2]);
        assert_eq!(counted.bytes, all.iter().sum::<u64>());
        let mut twice = counted;
        twice.add(&counted);
        assert_eq!((twice.counts[0], twice.bytes), (4, 2 * counted.bytes));
    }
}
