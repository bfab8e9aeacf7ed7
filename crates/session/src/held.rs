//! Replies that wait until what they tell of is durable, and the replies behind them.

use std::collections::VecDeque;

use leveret_codec::method::Method;
use leveret_engine::journal::Lsn;

/// The held replies of a connection, in the order they go out. Rises of the durable position let them go from the front, so
/// that replies to methods that the client sent at one go wait for one commit together.
#[derive(Debug, Default)]
pub(crate) struct HeldReplies {
    runs: VecDeque<Run>,
    bytes: usize,
}

/// Frames that go out together.
#[derive(Debug)]
struct Run {
    /// What they wait for.
    lsn: Lsn,
    frames: Vec<u8>,
}

impl HeldReplies {
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Bytes of the frames.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a reply that may go once `lsn` is durable and all before it have gone.
    pub(crate) fn push(&mut self, lsn: Lsn, channel: u16, method: &Method<'_>) {
        if self.runs.back().is_none_or(|run| run.lsn < lsn) {
            self.runs.push_back(Run { lsn, frames: Vec::new() });
        }
        if let Some(run) = self.runs.back_mut() {
            let before = run.frames.len();
            method.write_frame(channel, &mut run.frames);
            self.bytes += run.frames.len() - before;
        }
    }

    /// Moves to `out` what may go when all up to `durable` is durable.
    pub(crate) fn release(&mut self, durable: Lsn, out: &mut Vec<u8>) {
        while let Some(run) = self.runs.pop_front_if(|run| run.lsn <= durable) {
            self.bytes -= run.frames.len();
            out.extend_from_slice(&run.frames);
        }
    }

    /// The position with which the last of them may go.
    pub(crate) fn last(&self) -> Option<Lsn> {
        self.runs.back().map(|run| run.lsn)
    }
}

#[cfg(test)]
mod tests {
    use leveret_codec::method::{ChannelFlowOk, QueueBindOk};

    use super::*;

    fn frame<'m>(method: impl Into<Method<'m>>) -> Vec<u8> {
        let mut frame = Vec::new();
        method.into().write_frame(1, &mut frame);
        frame
    }

    #[test]
    fn what_waits_for_nothing_stays_behind_what_waits() {
        let mut held = HeldReplies::default();
        held.push(Lsn(10), 1, &QueueBindOk.into());
        held.push(Lsn(0), 1, &ChannelFlowOk { active: true }.into());
        held.push(Lsn(20), 1, &QueueBindOk.into());
        let mut out = Vec::new();
        held.release(Lsn(9), &mut out);
        assert!(out.is_empty());
        assert_eq!(held.last(), Some(Lsn(20)));
        held.release(Lsn(10), &mut out);
        assert_eq!(out, [frame(QueueBindOk), frame(ChannelFlowOk { active: true })].concat());
        assert_eq!(held.bytes(), frame(QueueBindOk).len());
        out.clear();
        held.release(Lsn(u64::MAX), &mut out);
        assert_eq!(out, frame(QueueBindOk));
        assert!(held.is_empty() && held.bytes() == 0);
    }
}
