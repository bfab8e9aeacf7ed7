//! Counters and rates of vhosts, and of the whole broker.

use leveret_server::engine::vhost::Vhost;
use leveret_server::node::Node;
use leveret_server::statistics::{Point, Sample, series};
use serde_json::{Map, Value, json};

use crate::messaging::stats::{Spans, details, message_stats, put};
use crate::state::Api;

/// What is counted of a vhost and of the broker.
const ALL: &[&str] = &[
    "publish",
    "confirm",
    "return_unroutable",
    "drop_unroutable",
    "deliver",
    "deliver_no_ack",
    "get",
    "get_no_ack",
    "get_empty",
    "ack",
    "redeliver",
];

/// When a sample was taken.
const TIME: &str = "timestamp";

/// A rate alone.
pub(crate) fn rate(rate: f64) -> Value {
    details(rate, None)
}

/// What the past was like, of a vhost or of the broker.
pub(crate) type Past<'a> = &'a dyn Fn(leveret_server::statistics::Span) -> Vec<Point>;

/// `message_stats`, where anything happened at all.
pub(crate) fn messages(sample: &Sample, spans: Spans, past: Past<'_>) -> Map<String, Value> {
    let points = spans.rates.map(past);
    let is_idle = ALL.iter().all(|name| sample.last.counts.named(name).unwrap_or_default() == 0);
    match message_stats(ALL, &sample.last.counts, &sample.rates.counts, points.as_deref()) {
        Value::Object(stats) if !is_idle => stats,
        _ => Map::new(),
    }
}

/// `messages`, `messages_ready` and `messages_unacknowledged`, with how fast they change.
pub(crate) fn lengths(now: (u64, u64), sample: &Sample, spans: Spans, past: Past<'_>) -> Map<String, Value> {
    let (ready, unacked) = now;
    let points = spans.lengths.map(past);
    let mut lengths = Map::new();
    let mut put = |name: &str, now: u64, rate: f64, of: fn(&Point) -> u64| {
        let samples = points.as_deref().map(|points| series(points, of));
        put(&mut lengths, name, now, details(rate, samples));
    };
    put("messages", ready + unacked, sample.rates.messages(), Point::messages);
    put("messages_ready", ready, sample.rates.ready, |point| point.ready);
    put("messages_unacknowledged", unacked, sample.rates.unacked, |point| point.unacked);
    lengths
}

/// Messages that are ready and that are not settled, in the queues of a vhost.
pub(crate) fn waiting(vhost: &Vhost) -> (u64, u64) {
    vhost.queues().iter().fold((0, 0), |(ready, unacked), queue| {
        let counts = queue.report().counts;
        (ready + counts.ready as u64, unacked + counts.unacked as u64)
    })
}

/// What the row of a vhost has beside its facts.
pub(crate) fn vhost(api: &Api, vhost: &Vhost, spans: Spans) -> Map<String, Value> {
    let statistics = api.node.statistics();
    let sample = statistics.vhost(&vhost.name).unwrap_or_default();
    let past: Past<'_> = &|span| statistics.vhost_history(&vhost.name, span);
    let mut stats = lengths(waiting(vhost), &sample, spans, past);
    let messages = messages(&sample, spans, past);
    if !messages.is_empty() {
        stats.insert("message_stats".to_owned(), Value::Object(messages));
    }
    for (name, count, rate) in [
        ("recv_oct", sample.last.received_bytes, sample.rates.received_bytes),
        ("send_oct", sample.last.sent_bytes, sample.rates.sent_bytes),
    ] {
        put(&mut stats, name, count, details(rate, None));
    }
    stats
}

/// What comes and goes, and how fast.
pub(crate) fn churn(node: &Node) -> Map<String, Value> {
    let (counts, rates) = node.statistics().churn();
    let mut churn = Map::new();
    for name in leveret_server::engine::counters::ChurnCounts::NAMES {
        let rate = details(rates.named(name).unwrap_or_default(), None);
        put(&mut churn, name, counts.named(name).unwrap_or_default(), rate);
    }
    churn
}

/// Adds the numbers of one object to those of another, at any depth. Times stay.
pub(crate) fn add(sum: &mut Map<String, Value>, other: Map<String, Value>) {
    for (name, value) in other {
        match (sum.get_mut(&name), value) {
            (Some(Value::Object(sum)), Value::Object(other)) => add(sum, other),
            (Some(Value::Array(samples)), Value::Array(others)) => add_samples(samples, others),
            (Some(_), _) if name == TIME => {}
            (Some(known), value) => {
                let added = match (known.as_u64(), value.as_u64()) {
                    (Some(a), Some(b)) => json!(a + b),
                    _ => json!(known.as_f64().unwrap_or_default() + value.as_f64().unwrap_or_default()),
                };
                *known = added;
            }
            (None, value) => {
                sum.insert(name, value);
            }
        }
    }
}

/// Samples are of the same moments, the newest first; what is younger has fewer.
fn add_samples(sum: &mut Vec<Value>, others: Vec<Value>) {
    for (place, other) in others.into_iter().enumerate() {
        match (sum.get_mut(place), other) {
            (Some(Value::Object(sum)), Value::Object(other)) => add(sum, other),
            (Some(_), _) => {}
            (None, other) => sum.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_vhosts_add_up() {
        let of = |samples: &[u64]| {
            let samples = samples.iter().zip([10, 5]).map(|(sample, at)| json!({"sample": sample, "timestamp": at}));
            let details = json!({"rate": 0.5, "samples": samples.collect::<Value>(), "avg": 1.0});
            Map::from_iter([("messages_details".to_owned(), details)])
        };
        let mut sum = Map::new();
        [of(&[1]), of(&[2, 3]), of(&[])].into_iter().for_each(|other| add(&mut sum, other));
        let samples = json!([{"sample": 3, "timestamp": 10}, {"sample": 3, "timestamp": 5}]);
        assert_eq!(sum["messages_details"], json!({"rate": 1.5, "samples": samples, "avg": 3.0}));
    }

    #[test]
    fn numbers_of_vhosts_add_up() {
        let of = |value: Value| value.as_object().cloned().unwrap();
        let mut sum = of(json!({"publish": 1, "publish_details": {"rate": 0.5}}));
        add(&mut sum, of(json!({"publish": 2, "publish_details": {"rate": 1.0}, "ack": 1})));
        assert_eq!(sum, of(json!({"publish": 3, "publish_details": {"rate": 1.5}, "ack": 1})));
    }

    #[test]
    fn nothing_happened_is_an_empty_object() {
        let spans = Spans::default();
        let mut sample = Sample::default();
        assert!(messages(&sample, spans, &|_| Vec::new()).is_empty());
        sample.last.counts.get_empty = 1;
        assert_eq!(messages(&sample, spans, &|_| Vec::new())["get_empty"], json!(1));
    }
}
