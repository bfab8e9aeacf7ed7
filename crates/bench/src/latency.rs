//! How long things took: recorded in a histogram of fixed size, summed up by percentiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// What is shorter counts as this long.
const SHORTEST_NS: u64 = 64;
/// What is longer counts as this long.
const LONGEST_NS: u64 = 600_000_000_000;
/// Two durations closer than one in a thousand are not told apart.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Records durations without allocating.
pub struct Recorder(Histogram<u64>);

impl Recorder {
    /// Records one duration.
    #[inline]
    pub fn record_ns(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    /// Records one duration.
    pub fn record(&mut self, duration: Duration) {
        self.record_ns(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds all that `other` has recorded.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, and then nothing can fail.
        let _ = self.0.add(&other.0);
    }

    /// The summary, `None` when nothing was recorded.
    pub fn summary(&self) -> Option<Latency> {
        let count = self.0.len();
        let us_at = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / 1e3;
        (count > 0).then(|| Latency {
            p50_us: us_at(0.5),
            p90_us: us_at(0.9),
            p99_us: us_at(0.99),
            p999_us: us_at(0.999),
            max_us: self.0.max() as f64 / 1e3,
            count,
        })
    }
}

impl Default for Recorder {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, SIGNIFICANT_DIGITS);
        Self(histogram.expect("the bounds are sound"))
    }
}

/// How long things took, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50_us: f64,
    /// 90 of 100 took no longer.
    pub p90_us: f64,
    /// 99 of 100 took no longer.
    pub p99_us: f64,
    /// 999 of 1,000 took no longer.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
    /// How many there were.
    pub count: u64,
}

impl Latency {
    /// The percentiles as one row of a table for people.
    pub(crate) fn row(&self) -> String {
        format!(
            "p50 {:.1}  p90 {:.1}  p99 {:.1}  p99.9 {:.1}  max {:.1}",
            self.p50_us, self.p90_us, self.p99_us, self.p999_us, self.max_us
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(value: f64, expected: f64) -> bool {
        (value - expected).abs() <= expected / 500.0
    }

    #[test]
    fn durations_are_summed_up() {
        assert_eq!(Recorder::default().summary(), None);
        let mut recorder = Recorder::default();
        for us in 1..=1_000 {
            recorder.record(Duration::from_micros(us));
        }
        let latency = recorder.summary().unwrap();
        assert_eq!(latency.count, 1_000);
        assert!(is_near(latency.p50_us, 500.0) && is_near(latency.p90_us, 900.0), "{latency:?}");
        assert!(is_near(latency.p999_us, 999.0) && is_near(latency.max_us, 1_000.0), "{latency:?}");
    }

    #[test]
    fn recorders_add_up_and_what_is_too_long_is_kept() {
        let (mut one, mut other) = (Recorder::default(), Recorder::default());
        one.record_ns(1_000);
        other.record(Duration::from_secs(100_000));
        one.add(&other);
        let latency = one.summary().unwrap();
        assert_eq!(latency.count, 2);
        assert!(latency.max_us >= 600e6, "{latency:?}");
    }
}
