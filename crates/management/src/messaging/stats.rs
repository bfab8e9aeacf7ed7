//! Counters and rates as RabbitMQ shows them: a number, and beside it `..._details` with its rate, and with samples where they are
//! asked for.

use leveret_server::engine::counters::{MessageCounts, MessageRates};
use leveret_server::statistics::{Point, Series, Span, series};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::http::query::Query;
use crate::limits::{LIST_MOMENTS_MAX, SAMPLE_STEP_S_MAX, SAMPLES_MAX};

/// What is counted of a queue.
pub(crate) const QUEUE: &[&str] =
    &["publish", "deliver", "deliver_no_ack", "get", "get_no_ack", "get_empty", "ack", "redeliver"];

/// What is counted of an exchange.
pub(crate) const EXCHANGE: &[&str] = &["publish_in", "publish_out"];

/// What is counted of a channel.
pub(crate) const CHANNEL: &[&str] = &[
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

/// What samples are asked for of: `lengths_age=60&lengths_incr=5`.
const SPANS: [&str; 4] = ["lengths", "msg_rates", "data_rates", "node_stats"];

fn age_and_step(query: &Query, prefix: &str) -> Option<(i64, i64)> {
    Some((query.number(&format!("{prefix}_age"))?, query.number(&format!("{prefix}_incr"))?))
}

/// Refuses a query that asks for too many samples, or for none.
///
/// # Errors
/// 400
pub(crate) fn check_spans(query: &Query) -> Result<(), ApiError> {
    let asked = SPANS.iter().filter_map(|prefix| age_and_step(query, prefix));
    for (age_s, step_s) in asked {
        if age_s <= 0 || step_s <= 0 || (age_s / step_s).unsigned_abs() > SAMPLES_MAX {
            let reason = format!("Invalid range parameters: age {age_s}, incr {step_s}");
            return Err(ApiError::bad_request(reason));
        }
    }
    Ok(())
}

/// The spans of samples that are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spans {
    pub(crate) lengths: Option<Span>,
    pub(crate) rates: Option<Span>,
}

impl Spans {
    /// What a query asks for, for each of so many rows.
    pub(crate) fn of(query: &Query, rows: usize) -> Self {
        Self { lengths: span(query, "lengths", rows), rates: span(query, "msg_rates", rows) }
    }
}

/// The span of samples that a query asks for with `{prefix}_age` and `{prefix}_incr`, for each of so many rows.
pub(crate) fn span(query: &Query, prefix: &str, rows: usize) -> Option<Span> {
    let (age_s, step_s) = age_and_step(query, prefix)?;
    let step_s = u64::try_from(step_s).ok()?.clamp(1, SAMPLE_STEP_S_MAX);
    let moments_max = SAMPLES_MAX.min(LIST_MOMENTS_MAX / (rows as u64).max(1));
    Some(Span { age_s: u64::try_from(age_s).ok()?.min(step_s * moments_max), step_s })
}

/// A rate, and samples if there are any.
pub(crate) fn details(rate: f64, samples: Option<Series>) -> Value {
    match samples {
        None => json!({ "rate": rate }),
        Some(Series { samples, avg, avg_rate }) => {
            let samples: Vec<Value> =
                samples.into_iter().map(|(sample, at_ms)| json!({ "sample": sample, "timestamp": at_ms })).collect();
            json!({ "rate": rate, "samples": samples, "avg": avg, "avg_rate": avg_rate })
        }
    }
}

/// Puts a number and its details into a row.
pub(crate) fn put(row: &mut Map<String, Value>, name: &str, number: u64, details: Value) {
    row.insert(name.to_owned(), number.into());
    row.insert(format!("{name}_details"), details);
}

/// The object `message_stats` with these counters.
pub(crate) fn message_stats(
    names: &[&str],
    counts: &MessageCounts,
    rates: &MessageRates,
    history: Option<&[Point]>,
) -> Value {
    let mut stats = Map::new();
    for name in names {
        let samples = history.map(|points| series(points, |point| point.counts.named(name).unwrap_or_default()));
        let rate = rates.named(name).unwrap_or_default();
        put(&mut stats, name, counts.named(name).unwrap_or_default(), details(rate, samples));
    }
    if names.contains(&"deliver") {
        let samples = history.map(|points| series(points, |point| point.counts.deliver_get()));
        put(&mut stats, "deliver_get", counts.deliver_get(), details(rates.deliver_get(), samples));
    }
    Value::Object(stats)
}

/// What an Erlang process would tell of its garbage: clients that are strict about types expect it.
pub(crate) fn garbage_collection() -> Value {
    json!({
        "fullsweep_after": 65535, "max_heap_size": 0, "min_bin_vheap_size": 46422, "min_heap_size": 233, "minor_gcs": 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_so_many_and_no_more() {
        let asked = |age: i64, incr: i64| Query::parse(&format!("lengths_age={age}&lengths_incr={incr}"));
        for (age_s, step_s, is_fine) in [
            (60, 5, true),
            (2500, 5, true),
            (2505, 5, false),
            (0, 5, false),
            (5, 0, false),
            (-60, 5, false),
            (60, -5, false),
            (i64::MAX, 1, false),
            (i64::MIN, -1, false),
            (i64::MAX, i64::MAX, true),
            (1, 1 << 61, true),
        ] {
            let query = asked(age_s, step_s);
            let expected = format!("bad request: Invalid range parameters: age {age_s}, incr {step_s}");
            let refused = check_spans(&query).err().map(|error| error.to_string());
            assert_eq!(refused, (!is_fine).then_some(expected));
            if let Some(Span { age_s, step_s }) = span(&query, "lengths", 1).filter(|_| is_fine) {
                assert!(age_s / step_s <= SAMPLES_MAX && step_s <= SAMPLE_STEP_S_MAX);
            }
        }
        assert!(check_spans(&Query::parse("lengths_age=x&lengths_incr=1&msg_rates_age=1")).is_ok());
        let of_rows = |rows| span(&asked(600, 5), "lengths", rows).map(|span| span.age_s / span.step_s);
        assert_eq!([of_rows(1), of_rows(500), of_rows(100_000)], [Some(120), Some(40), Some(0)]);
    }

    #[test]
    fn every_counter_has_its_details() {
        let counts = MessageCounts { publish: 3, deliver: 1, get: 1, ..MessageCounts::default() };
        let stats = message_stats(QUEUE, &counts, &MessageRates::default(), None);
        assert_eq!((&stats["publish"], &stats["deliver_get"]), (&json!(3), &json!(2)));
        for name in QUEUE.iter().chain(&["deliver_get"]) {
            assert!(stats[*name].is_u64() && stats[format!("{name}_details")]["rate"].is_f64(), "{name}");
        }
        let exchange = message_stats(EXCHANGE, &counts, &MessageRates::default(), Some(&[]));
        assert!(exchange["publish_in_details"]["samples"].is_array() && exchange.get("deliver_get").is_none());
    }
}
