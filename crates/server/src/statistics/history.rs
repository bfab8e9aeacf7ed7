//! What was counted, as it was at moments in the past: fine for a while, coarse for long, and nothing while nothing happened.

use std::collections::VecDeque;

use leveret_engine::counters::{MessageCounts, MessageRates};

/// Seconds between the points of each level, and how many there are of them (behaviour: RabbitMQ's retention).
const LEVELS: [(u64, usize); 4] = [(5, 121), (60, 61), (600, 49), (1800, 48)];

/// What was counted at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// What had happened to messages.
    pub counts: MessageCounts,
    /// Messages ready.
    pub ready: u64,
    /// Messages not settled.
    pub unacked: u64,
    /// Bytes received from clients.
    pub received_bytes: u64,
    /// Bytes sent to clients.
    pub sent_bytes: u64,
}

/// By how much what is counted changes in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PointRates {
    /// What happens to messages.
    pub counts: MessageRates,
    /// Messages ready.
    pub ready: f64,
    /// Messages not settled.
    pub unacked: f64,
    /// Bytes received from clients.
    pub received_bytes: f64,
    /// Bytes sent to clients.
    pub sent_bytes: f64,
}

impl Point {
    /// Adds what another counts.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.ready += other.ready;
        self.unacked += other.unacked;
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
    }

    /// Ready and unsettled messages.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.ready + self.unacked
    }

    /// How fast it changed since `before`.
    #[must_use]
    pub fn rates_since(&self, before: &Self) -> PointRates {
        let seconds = seconds_between(before.at_ms, self.at_ms);
        let rate = |now: u64, before: u64| if seconds > 0.0 { difference(now, before) / seconds } else { 0.0 };
        PointRates {
            counts: self.counts.rates_since(&before.counts, seconds),
            ready: rate(self.ready, before.ready),
            unacked: rate(self.unacked, before.unacked),
            received_bytes: rate(self.received_bytes, before.received_bytes).max(0.0),
            sent_bytes: rate(self.sent_bytes, before.sent_bytes).max(0.0),
        }
    }

    /// Whether nothing has changed since `before`.
    pub(super) fn is_as(&self, before: &Self) -> bool {
        Self { at_ms: before.at_ms, ..*self } == *before
    }
}

impl PointRates {
    /// Ready and unsettled messages.
    #[must_use]
    pub fn messages(&self) -> f64 {
        self.ready + self.unacked
    }
}

#[allow(clippy::cast_precision_loss, reason = "a rate")]
fn difference(now: u64, before: u64) -> f64 {
    if now >= before { (now - before) as f64 } else { -((before - now) as f64) }
}

fn seconds_between(before_ms: u64, now_ms: u64) -> f64 {
    difference(now_ms, before_ms).max(0.0) / 1000.0
}

/// How far back somebody looks, and in which steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// `..._age`
    pub age_s: u64,
    /// `..._incr`
    pub step_s: u64,
}

/// Most samples that are given at once.
const SAMPLES_MAX: u64 = 5000;

/// Samples of one number, as RabbitMQ gives them in `..._details`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The newest first: what it was, and when.
    pub samples: Vec<(u64, u64)>,
    /// Their mean.
    pub avg: f64,
    /// By how much it rose in a second, from the oldest to the newest.
    pub avg_rate: f64,
}

/// What something was like before, of which so much is kept.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Oldest first, each as of when it began to be so.
    fine: VecDeque<Point>,
    /// Of the scopes that there are few of.
    coarse: Option<Box<[VecDeque<Point>; LEVELS.len() - 1]>>,
}

impl History {
    /// One that goes back a day.
    pub(super) fn long() -> Self {
        Self { coarse: Some(Box::default()), ..Self::default() }
    }

    /// It was like this since `point` says so, and is not any more; `fine_max` fine points are kept.
    pub(super) fn note(&mut self, point: Point, fine_max: usize) {
        let [(_, count), ..] = LEVELS;
        push(&mut self.fine, point, 0, fine_max.min(count));
        if let Some(coarse) = &mut self.coarse {
            for (points, (step_s, count)) in coarse.iter_mut().zip(LEVELS.iter().skip(1)) {
                push(points, point, step_s * 1000, *count);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.fine.len()
    }

    /// What it was last before it became what it is.
    pub(super) fn newest(&self) -> Option<&Point> {
        self.fine.back()
    }

    /// What was known at `at_ms`; nothing of the time before there was anything.
    fn at(&self, at_ms: u64) -> Option<&Point> {
        let known = |points: &VecDeque<Point>| points.partition_point(|point| point.at_ms <= at_ms).checked_sub(1);
        if let Some(place) = known(&self.fine) {
            return self.fine.get(place);
        }
        self.coarse.iter().flat_map(|levels| levels.iter()).find_map(|points| points.get(known(points)?))
    }

    /// What it was like, a step after the other, back from `last`, which it is since `since_ms`.
    pub(super) fn points(&self, last: &Point, since_ms: u64, span: Span) -> Vec<Point> {
        // Whatever somebody asks for: a step may be longer than there was any time.
        let step_ms = span.step_s.max(1).saturating_mul(1000);
        let now_ms = last.at_ms - last.at_ms % step_ms;
        let steps = 0..=(span.age_s / span.step_s.max(1)).min(SAMPLES_MAX);
        let moments = steps.map(|step| now_ms.saturating_sub(step.saturating_mul(step_ms)));
        let known = |at_ms| if at_ms >= since_ms { Some(last) } else { self.at(at_ms) };
        moments.map_while(|at_ms| Some(Point { at_ms, ..*known(at_ms)? })).collect()
    }
}

/// Adds a point, unless the last is too young; so many are kept.
fn push(points: &mut VecDeque<Point>, point: Point, step_ms: u64, kept_max: usize) {
    if points.back().is_some_and(|last| point.at_ms < last.at_ms + step_ms) {
        return;
    }
    points.push_back(point);
    while points.len() > kept_max.max(1) {
        points.pop_front();
    }
    if points.capacity() > 2 * points.len() + 8 {
        points.shrink_to_fit();
    }
}

/// The series of one number in points that begin with the newest.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a mean")]
pub fn series(points: &[Point], number: impl Fn(&Point) -> u64) -> Series {
    let samples: Vec<(u64, u64)> = points.iter().map(|point| (number(point), point.at_ms)).collect();
    let sum: f64 = samples.iter().map(|(sample, _)| *sample as f64).sum();
    let avg = if samples.is_empty() { 0.0 } else { sum / samples.len() as f64 };
    let avg_rate = match (samples.first(), samples.last()) {
        (Some((newest, now_ms)), Some((oldest, before_ms))) if now_ms > before_ms => {
            difference(*newest, *oldest) / seconds_between(*before_ms, *now_ms)
        }
        _ => 0.0,
    };
    Series { samples, avg, avg_rate }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test")]

    use super::*;

    fn point(at_s: u64, ready: u64) -> Point {
        Point { at_ms: at_s * 1000, ready, ..Point::default() }
    }

    #[test]
    fn rates_rise_and_fall_with_lengths_and_only_rise_with_counts() {
        let published = |publish| MessageCounts { publish, ..MessageCounts::default() };
        let before = Point { counts: published(10), unacked: 5, ..point(10, 100) };
        let now = Point { counts: published(60), unacked: 10, ..point(15, 50) };
        let rates = now.rates_since(&before);
        assert_eq!((rates.counts.publish, rates.ready, rates.unacked, rates.messages()), (10.0, -10.0, 1.0, -9.0));
        assert_eq!(before.rates_since(&now).counts.publish, 0.0);
        assert_eq!(now.rates_since(&now), PointRates::default());
    }

    #[test]
    fn a_series_is_made_of_what_was_known_at_each_moment() {
        let mut history = History::default();
        // Nothing happened between the second and the third.
        for (at_s, ready) in [(1000, 10), (1005, 20)] {
            history.note(point(at_s, ready), 100);
        }
        let last = point(1022, 60);
        let points = history.points(&last, 1_020_000, Span { age_s: 60, step_s: 5 });
        let series = series(&points, Point::messages);
        assert_eq!(
            series.samples,
            [(60, 1_020_000), (20, 1_015_000), (20, 1_010_000), (20, 1_005_000), (10, 1_000_000)]
        );
        assert_eq!((series.avg, series.avg_rate), (26.0, 2.5));
        assert_eq!(history.points(&last, 1_020_000, Span { age_s: 10, step_s: 10 }).len(), 2);
        assert_eq!(self::series(&[], Point::messages), Series::default());
    }

    #[test]
    fn memory_is_bounded_and_a_day_is_known_coarsely() {
        let (mut short, mut long) = (History::default(), History::long());
        for round in 0..20_000 {
            let point = point(5 * round, round);
            short.note(point, 13);
            long.note(point, usize::MAX);
        }
        assert!(short.fine.len() <= 13 && short.fine.capacity() <= 64);
        let kept: Vec<_> = long.coarse.iter().flat_map(|levels| levels.iter().map(VecDeque::len)).collect();
        assert_eq!((long.fine.len(), kept), (121, vec![61, 49, 48]));
        let last = point(5 * 20_000, 20_000);
        let day = long.points(&last, last.at_ms, Span { age_s: 86_400, step_s: 1800 });
        assert!(day.len() >= 47, "{} points", day.len());
        assert!(day.windows(2).all(|pair| pair[0].ready > pair[1].ready));
        let all = long.points(&last, last.at_ms, Span { age_s: u64::MAX, step_s: 0 });
        assert_eq!(all.len() as u64, SAMPLES_MAX + 1);
        for step_s in [1 << 61, u64::MAX / 1000, u64::MAX] {
            assert!(long.points(&last, last.at_ms, Span { age_s: u64::MAX, step_s }).len() <= 9, "{step_s}");
        }
    }
}
