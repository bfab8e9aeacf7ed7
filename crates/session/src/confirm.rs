//! Publisher confirms that wait until their messages are durable.

use std::collections::VecDeque;

use leveret_codec::method::BasicAck;
use leveret_engine::journal::Lsn;

/// Runs of confirms of one channel: all up to a sequence number are durable with a journal position.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    runs: VecDeque<(u64, Lsn)>,
    /// The last sequence number that the client knows to be confirmed.
    confirmed: u64,
}

impl Confirms {
    /// All publishes up to `seq` are durable once `lsn` is.
    pub(crate) fn push(&mut self, seq: u64, lsn: Lsn) {
        match self.runs.back_mut() {
            Some((last, known)) if *known >= lsn => *last = seq,
            _ => self.runs.push_back((seq, lsn)),
        }
    }

    /// The ack for all that is durable at `durable`; none when nothing new is.
    pub(crate) fn pop(&mut self, durable: Lsn) -> Option<BasicAck> {
        let before = self.confirmed;
        while let Some((seq, lsn)) = self.runs.front() {
            if *lsn > durable {
                break;
            }
            self.confirmed = *seq;
            self.runs.pop_front();
        }
        let newly = self.confirmed - before;
        (newly > 0).then_some(BasicAck { delivery_tag: self.confirmed, multiple: newly > 1 })
    }

    /// The position that the next confirm waits for.
    pub(crate) fn next(&self) -> Option<Lsn> {
        self.runs.front().map(|(_, lsn)| *lsn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirms_only_what_is_durable_and_once() {
        let mut confirms = Confirms::default();
        confirms.push(1, Lsn(10));
        confirms.push(5, Lsn(20));
        confirms.push(6, Lsn(0));
        assert_eq!(confirms.pop(Lsn(9)), None);
        assert_eq!(confirms.pop(Lsn(10)), Some(BasicAck { delivery_tag: 1, multiple: false }));
        assert_eq!(confirms.pop(Lsn(19)), None);
        assert_eq!(confirms.next(), Some(Lsn(20)));
        assert_eq!(confirms.pop(Lsn(20)), Some(BasicAck { delivery_tag: 6, multiple: true }));
        assert_eq!(confirms.pop(Lsn(99)), None);
    }
}
