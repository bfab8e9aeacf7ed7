//! Heartbeats of one connection, by counts of bytes and ticks of a clock that the server has (behaviour: RabbitMQ's: send
//! after half an interval of silence, give up after two intervals without a byte).

use leveret_codec::limits::FRAME_OVERHEAD;

/// What a tick asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Nothing.
    Nothing,
    /// Send a heartbeat frame.
    Send,
    /// The peer is gone: drop the connection.
    PeerGone,
}

/// The state of both directions. A new one starts when tuning is done.
#[derive(Debug)]
pub struct Heartbeat {
    interval_ms: u64,
    sent_bytes: u64,
    next_send_ms: u64,
    received_bytes: u64,
    next_receive_ms: u64,
    silent_intervals: u32,
    /// The peer could not be heard all through the interval.
    excused: bool,
}

impl Heartbeat {
    /// Heartbeats each `interval_s` seconds from `now_ms` on, when so many bytes have been sent and received; none for 0.
    #[must_use]
    pub fn new(interval_s: u16, now_ms: u64, sent_bytes: u64, received_bytes: u64) -> Option<Self> {
        let interval_ms = u64::from(interval_s) * 1000;
        (interval_ms > 0).then(|| Self {
            interval_ms,
            sent_bytes,
            next_send_ms: now_ms + interval_ms / 2,
            received_bytes,
            next_receive_ms: now_ms + interval_ms,
            silent_intervals: 0,
            excused: false,
        })
    }

    /// The interval that was agreed on.
    #[must_use]
    pub fn interval_s(&self) -> u64 {
        self.interval_ms / 1000
    }

    /// The peer cannot be heard now, since nothing is read: its silence does not count.
    pub fn not_listening(&mut self) {
        self.excused = true;
    }

    /// What to do at `now_ms`, when so many bytes have been sent and received since the connection began.
    pub fn tick(&mut self, now_ms: u64, sent_bytes: u64, received_bytes: u64) -> Beat {
        if now_ms >= self.next_receive_ms {
            // From now: ticks that were late must not make two intervals of what was one silence.
            self.next_receive_ms = now_ms + self.interval_ms;
            if received_bytes == self.received_bytes && !std::mem::take(&mut self.excused) {
                self.silent_intervals += 1;
            } else {
                self.silent_intervals = 0;
                self.excused = false;
            }
            self.received_bytes = received_bytes;
            if self.silent_intervals >= 2 {
                return Beat::PeerGone;
            }
        }
        if now_ms >= self.next_send_ms {
            // From when it was due, so that beats do not slip with late ticks.
            self.next_send_ms += self.interval_ms / 2;
            let silent = sent_bytes == self.sent_bytes;
            self.sent_bytes = sent_bytes;
            if silent {
                // The heartbeat itself is no traffic: another follows it after the next silence.
                self.sent_bytes += FRAME_OVERHEAD as u64;
                return Beat::Send;
            }
        }
        Beat::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_after_half_an_interval_of_silence() {
        let mut beat = Heartbeat::new(10, 0, 0, 0).unwrap();
        assert_eq!(beat.tick(4_999, 0, 0), Beat::Nothing);
        assert_eq!(beat.tick(5_000, 0, 0), Beat::Send);
        assert_eq!(beat.tick(9_000, 8, 0), Beat::Nothing);
        assert_eq!(beat.tick(10_000, 9, 1), Beat::Nothing);
        assert_eq!(beat.tick(15_000, 9, 2), Beat::Send);
    }

    #[test]
    fn sends_each_half_interval_while_nothing_else_is_sent() {
        let mut beat = Heartbeat::new(2, 0, 0, 0).unwrap();
        for beats in 0..10 {
            // Ticks are late, by up to a quarter of a second.
            let now_ms = 1_000 * (beats + 1) + 60 * (beats % 4);
            assert_eq!(beat.tick(now_ms, 8 * beats, 1 + beats), Beat::Send);
        }
    }

    #[test]
    fn gives_up_after_two_silent_intervals() {
        let mut beat = Heartbeat::new(1, 0, 0, 0).unwrap();
        assert_ne!(beat.tick(1_000, 1, 5), Beat::PeerGone);
        assert_ne!(beat.tick(2_000, 2, 5), Beat::PeerGone);
        assert_eq!(beat.tick(3_000, 3, 5), Beat::PeerGone);
    }

    #[test]
    fn late_ticks_are_no_silence_of_the_peer() {
        let mut beat = Heartbeat::new(1, 0, 0, 0).unwrap();
        // The process did not run for ten seconds. What the peer sent meanwhile is about to be read.
        assert_ne!(beat.tick(10_000, 1, 0), Beat::PeerGone);
        assert_ne!(beat.tick(10_250, 2, 0), Beat::PeerGone);
        assert_ne!(beat.tick(11_000, 3, 8), Beat::PeerGone);
        assert_ne!(beat.tick(12_000, 4, 8), Beat::PeerGone);
        assert_eq!(beat.tick(13_000, 5, 8), Beat::PeerGone);
    }

    #[test]
    fn silence_does_not_count_while_nothing_is_read() {
        let mut beat = Heartbeat::new(1, 0, 0, 0).unwrap();
        for second in 1..20 {
            beat.not_listening();
            assert_ne!(beat.tick(1_000 * second, 1, 5), Beat::PeerGone);
        }
        assert_ne!(beat.tick(20_000, 1, 5), Beat::PeerGone);
        assert_eq!(beat.tick(21_000, 1, 5), Beat::PeerGone);
    }

    #[test]
    fn zero_disables() {
        assert!(Heartbeat::new(0, 0, 0, 0).is_none());
    }
}
