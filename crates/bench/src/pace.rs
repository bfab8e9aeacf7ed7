//! When each message of a rate is due.
//!
//! The schedule is made before anything is sent and is never moved: a message that goes out late was due all the same, and
//! its latency counts from then. That is what keeps a slow broker from hiding its slowness by slowing down who measures it
//! (coordinated omission).
//!
//! Messages are due by ticks: one for each at low rates, several at once at high rates, so that waking up costs little.

use std::time::Duration;

/// Writes a second, all producers together, beyond which several messages are due at once.
const TICKS_PER_SECOND_MAX: f64 = 20_000.0;

/// The schedule of one producer.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    tick_ns: f64,
    messages_per_tick: f64,
    /// Until the first tick.
    offset_ns: f64,
}

impl Pace {
    /// The share that producer number `index` of `producers` has in `rate` messages a second. Their ticks are spread evenly.
    pub fn share(rate: f64, index: u32, producers: u32) -> Self {
        let (index, producers) = (f64::from(index), f64::from(producers));
        let interval_ns = 1e9 * producers / rate;
        let tick_ns = interval_ns.max(1e9 * producers / TICKS_PER_SECOND_MAX);
        Self { tick_ns, messages_per_tick: tick_ns / interval_ns, offset_ns: tick_ns * index / producers }
    }

    /// When message number `index` is due, from the start.
    pub fn due_ns(&self, index: u64) -> u64 {
        let tick = (index as f64 / self.messages_per_tick).floor();
        (self.offset_ns + tick * self.tick_ns) as u64
    }

    /// How many messages are due by `elapsed_ns` from the start.
    pub fn count_due(&self, elapsed_ns: u64) -> u64 {
        let ticks = ((elapsed_ns as f64 - self.offset_ns) / self.tick_ns).floor() + 1.0;
        (ticks.max(0.0) * self.messages_per_tick).ceil() as u64
    }
}

/// Lets sleeps of this thread end when they should. Linux would add up to 50 us to each, which is more than some brokers
/// need for a message.
pub fn sleep_precisely() {
    // Where it cannot be had, sleeps are as long as they are.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

/// The longest sleep, so that the end of a run is not missed.
pub const SLEEP_MAX: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_a_low_rate_each_message_has_its_own_time() {
        let pace = Pace::share(1_000.0, 0, 1);
        assert_eq!([0, 1, 2, 1_000].map(|index| pace.due_ns(index)), [0, 1_000_000, 2_000_000, 1_000_000_000]);
        assert_eq!([0, 999_999, 1_000_000, 2_500_000].map(|ns| pace.count_due(ns)), [1, 1, 2, 3]);
    }

    #[test]
    fn at_a_high_rate_messages_share_ticks_and_none_is_lost() {
        let pace = Pace::share(1_000_000.0, 0, 1);
        assert_eq!(pace.count_due(0), 50);
        assert_eq!(pace.count_due(49_999), 50);
        assert_eq!((pace.due_ns(49), pace.due_ns(50)), (0, 50_000));
        // Of every second, whatever the rate.
        for rate in [1.0, 7.0, 999.0, 20_001.0, 33_333.0, 700_001.0, 20_000_000.0] {
            let pace = Pace::share(rate, 0, 1);
            let counted = pace.count_due(9_999_999_999) as f64;
            assert!((counted - 10.0 * rate).abs() <= 1.0 + rate / TICKS_PER_SECOND_MAX, "{rate}: {counted}");
        }
    }

    #[test]
    fn producers_share_the_rate_and_take_turns() {
        let paces = [0, 1, 2, 3].map(|index| Pace::share(1_000.0, index, 4));
        assert_eq!(paces.map(|pace| pace.due_ns(0)), [0, 1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(paces.map(|pace| pace.due_ns(1)), [4_000_000, 5_000_000, 6_000_000, 7_000_000]);
        assert_eq!(paces[3].count_due(2_999_999), 0);
        assert_eq!(paces[3].count_due(3_000_000), 1);
    }

    #[test]
    fn what_is_counted_was_due() {
        for rate in [3.0, 12_345.0, 654_321.0] {
            let pace = Pace::share(rate, 2, 5);
            for elapsed_ns in (0..2_000_000_000u64).step_by(10_007_001) {
                let count = pace.count_due(elapsed_ns);
                let tick_ns = 1e9 * 5.0 / rate.min(TICKS_PER_SECOND_MAX);
                if let Some(last) = count.checked_sub(1) {
                    assert!(pace.due_ns(last) <= elapsed_ns + 1, "{rate} {elapsed_ns}");
                }
                assert!(pace.due_ns(count) as f64 + 1.0 >= elapsed_ns as f64 - tick_ns, "{rate} {elapsed_ns}");
            }
        }
    }
}
