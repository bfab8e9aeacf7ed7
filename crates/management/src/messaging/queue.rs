//! A queue as JSON.

use std::borrow::Cow;
use std::sync::Arc;

use leveret_server::engine::json::json_of_table;
use leveret_server::engine::policy::Policy;
use leveret_server::engine::queue::arguments::QueueType;
use leveret_server::engine::queue::{Queue, QueueReport};
use leveret_server::engine::vhost::Vhost;
use leveret_server::statistics::{Point, Sample, Span, series};
use serde_json::{Map, Value, json};

use crate::http::call::Call;
use crate::list::Row;
use crate::messaging::consumers::{peer_host, peer_port};
use crate::messaging::stats::{self, Spans, details, garbage_collection, put};
use crate::state::Api;
use crate::time::timestamp;

/// What a queue takes of the memory beside its messages, roughly, in bytes.
const QUEUE_BYTES: u64 = 2048;

/// How much of a queue is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// What it is.
    Declared,
    /// ...and how many messages it has.
    Totals,
    /// All.
    Full,
}

/// A queue in a list.
#[derive(Debug)]
pub(super) struct QueueRow {
    pub(super) api: Api,
    pub(super) vhost: Arc<Vhost>,
    pub(super) queue: Arc<Queue>,
    pub(super) depth: Depth,
    pub(super) spans: Spans,
}

impl Depth {
    /// What a call asks for.
    pub(super) fn of(call: &Call) -> Self {
        match (call.is_without_stats(), call.has_queue_totals()) {
            (false, _) => Self::Full,
            (true, true) => Self::Totals,
            (true, false) => Self::Declared,
        }
    }
}

impl Row for QueueRow {
    fn vhost(&self) -> &str {
        &self.queue.vhost
    }

    fn name(&self) -> Cow<'_, str> {
        (&*self.queue.name).into()
    }

    fn cheap(&self, column: &str) -> Option<Value> {
        let report = || self.queue.report();
        Some(match column {
            "messages" => messages(&report(), self.queue.facts().waiting).into(),
            "messages_ready" => report().counts.ready.into(),
            "messages_unacknowledged" => report().counts.unacked.into(),
            "consumers" => report().counts.consumers.into(),
            "message_bytes" => (report().ready_bytes + report().unacked_bytes).into(),
            "memory" => memory_bytes(&report()).into(),
            "type" => self.queue.settings.queue_type.as_str().into(),
            "durable" => self.queue.durable.into(),
            "auto_delete" => self.queue.auto_delete.into(),
            _ => {
                let counter = column.strip_prefix("message_stats.")?;
                match counter.strip_suffix("_details.rate") {
                    None if counter == "deliver_get" => report().happened.deliver_get().into(),
                    None => report().happened.named(counter)?.into(),
                    Some(rate) => {
                        let rates = self.sample().unwrap_or_default().rates.counts;
                        let rate = if rate == "deliver_get" { rates.deliver_get() } else { rates.named(rate)? };
                        rate.into()
                    }
                }
            }
        })
    }

    fn fill(&self) -> Value {
        let mut row = self.declared();
        match self.depth {
            Depth::Declared => {}
            Depth::Totals => {
                let report = self.queue.report();
                row.insert("messages".to_owned(), messages(&report, self.queue.facts().waiting).into());
                row.insert("messages_ready".to_owned(), report.counts.ready.into());
                row.insert("messages_unacknowledged".to_owned(), report.counts.unacked.into());
            }
            Depth::Full => self.measure(&mut row),
        }
        Value::Object(row)
    }
}

impl QueueRow {
    fn sample(&self) -> Option<Sample> {
        self.api.node.statistics().queue(self.queue.id)
    }

    /// What it is, as far as it does not change by the message.
    fn declared(&self) -> Map<String, Value> {
        let queue = &self.queue;
        let applied = self.vhost.policies_of_queue(queue);
        let name = |policy: &Option<Arc<Policy>>| policy.as_ref().map(|policy| policy.name.to_string());
        let mut row = Map::new();
        let mut set = |name: &str, value: Value| {
            row.insert(name.to_owned(), value);
        };
        set("name", (*queue.name).into());
        set("vhost", (*queue.vhost).into());
        set("type", queue.settings.queue_type.as_str().into());
        set("durable", queue.durable.into());
        set("auto_delete", queue.auto_delete.into());
        set("exclusive", queue.owner.is_some().into());
        set("arguments", json_of_table(&queue.arguments));
        set("node", self.api.node.name().into());
        set("state", if queue.is_paused() { "paused" } else { "running" }.into());
        set("policy", name(&applied.user).into());
        set("operator_policy", name(&applied.operator).into());
        set("effective_policy_definition", json_of_table(&applied.definition()));
        if queue.settings.queue_type != QueueType::Classic {
            let node = self.api.node.name();
            set("leader", node.into());
            set("members", json!([node]));
            set("online", json!([node]));
        }
        if queue.settings.queue_type == QueueType::Quorum {
            let limit = queue.facts().delivery_limit;
            set("delivery_limit", limit.map_or_else(|| "unlimited".into(), Value::from));
            set("open_files", json!({ self.api.node.name(): 0 }));
        }
        row
    }

    /// Adds what changes.
    fn measure(&self, row: &mut Map<String, Value>) {
        let (report, sample) = (self.queue.report(), self.sample());
        self.measure_messages(row, &report, sample.as_ref());
        self.measure_bytes(row, &report);
        let sample = sample.unwrap_or_default();
        let capacity = capacity(&report, &sample);
        for name in ["consumer_capacity", "consumer_utilisation"] {
            row.insert(name.to_owned(), capacity.into());
        }
        row.insert("consumers".to_owned(), report.counts.consumers.into());
        let points = self.spans.rates.map(|span| self.history(span));
        let stats = stats::message_stats(stats::QUEUE, &report.happened, &sample.rates.counts, points.as_deref());
        row.insert("message_stats".to_owned(), stats);
        if let Some(idle_ms) = self.idle_since_ms(&sample) {
            row.insert("idle_since".to_owned(), timestamp(idle_ms).into());
        }
        if let Some(owner) = self.queue.owner.and_then(|owner| self.api.node.connection_by_id(owner)) {
            let (peer_host, peer_port) = (peer_host(owner.ends), peer_port(owner.ends));
            let details = json!({ "name": &*owner.name, "peer_host": peer_host, "peer_port": peer_port });
            row.insert("owner_pid_details".to_owned(), details);
        }
        row.insert("garbage_collection".to_owned(), garbage_collection());
        put(row, "reductions", 0, details(0.0, None));
    }

    fn measure_messages(&self, row: &mut Map<String, Value>, report: &QueueReport, sample: Option<&Sample>) {
        let rates = sample.map(|sample| sample.rates).unwrap_or_default();
        let facts = self.queue.facts();
        let points = self.spans.lengths.map(|span| self.history(span));
        let samples = |number: fn(&Point) -> u64| points.as_deref().map(|points| series(points, number));
        let counts = report.counts;
        put(row, "messages", messages(report, facts.waiting), details(rates.messages(), samples(Point::messages)));
        put(row, "messages_ready", counts.ready as u64, details(rates.ready, samples(|point| point.ready)));
        let unacked = details(rates.unacked, samples(|point| point.unacked));
        put(row, "messages_unacknowledged", counts.unacked as u64, unacked);
        let mut set = |name: &str, value: Value| {
            row.insert(name.to_owned(), value);
        };
        let paged = counts.ready.saturating_sub(facts.resident);
        set("messages_ram", (facts.resident + counts.unacked).into());
        set("messages_ready_ram", facts.resident.into());
        set("messages_unacknowledged_ram", counts.unacked.into());
        set("messages_paged_out", paged.into());
        set("messages_persistent", facts.persistent.into());
        set("messages_delayed", facts.waiting.into());
        if self.queue.settings.queue_type == QueueType::Quorum {
            set("messages_dlx", 0.into());
            set("message_bytes_dlx", 0.into());
        }
        set("message_bytes_persistent", facts.persistent_bytes.into());
        set("exclusive_consumer_tag", facts.exclusive_consumer_tag.as_deref().into());
        set("single_active_consumer_tag", facts.single_active_consumer_tag.as_deref().into());
        let head = if self.queue.is_stream() { None } else { self.queue.head_timestamp_s() };
        set("head_message_timestamp", head.into());
    }

    fn measure_bytes(&self, row: &mut Map<String, Value>, report: &QueueReport) {
        let mut set = |name: &str, number: u64| {
            row.insert(name.to_owned(), number.into());
        };
        let in_memory = report.ready_bytes.min(report.resident_bytes);
        set("memory", memory_bytes(report));
        set("message_bytes", report.ready_bytes + report.unacked_bytes);
        set("message_bytes_ready", report.ready_bytes);
        set("message_bytes_unacknowledged", report.unacked_bytes);
        set("message_bytes_ram", in_memory + report.unacked_bytes);
        set("message_bytes_paged_out", report.ready_bytes - in_memory);
    }

    fn history(&self, span: Span) -> Vec<Point> {
        self.api.node.statistics().queue_history(self.queue.id, span)
    }

    /// Since when nothing has happened, if nothing does.
    fn idle_since_ms(&self, sample: &Sample) -> Option<u64> {
        let statistics = self.api.node.statistics();
        let interval_ms = u64::try_from(statistics.interval().as_millis()).unwrap_or(u64::MAX);
        let is_idle = sample.busy_ms > 0 && sample.busy_ms.saturating_add(interval_ms) <= statistics.sampled_at_ms();
        is_idle.then_some(sample.busy_ms)
    }
}

fn messages(report: &QueueReport, waiting: usize) -> u64 {
    (report.counts.ready + report.counts.unacked + waiting) as u64
}

fn memory_bytes(report: &QueueReport) -> u64 {
    report.resident_bytes + report.unacked_bytes + QUEUE_BYTES
}

/// How much of the time a consumer was there for a message; at this moment, where nobody has looked yet.
fn capacity(report: &QueueReport, sample: &Sample) -> f64 {
    match report.counts.consumers {
        0 => 0.0,
        _ if sample.busy_ms > 0 => sample.consumer_capacity,
        _ if report.is_awaited => 1.0,
        _ => 0.0,
    }
}
