//! Channels.

use std::borrow::Cow;

use leveret_server::node::ConsumerListing;
use leveret_server::session::about::Ends;
use leveret_server::session::report::ChannelReport;
use leveret_server::statistics::Span;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};
use crate::list::Row;
use crate::messaging::consumers::{consumer_json, peer_host, peer_port};
use crate::messaging::stats::{self, garbage_collection};
use crate::state::Api;
use crate::time::timestamp;

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/channels").get(Right::User, "All channels that the user sees", list),
        Resource::at("/api/channels/{channel}").get(Right::User, "A channel by its name", get),
        Resource::at("/api/vhosts/{vhost}/channels").get(Right::VhostVisible, "The channels in a vhost", list),
    ]
}

/// A channel in a list.
pub(super) struct ChannelRow {
    api: Api,
    report: ChannelReport,
    ends: Option<Ends>,
    with_stats: bool,
    span: Option<Span>,
}

impl Row for ChannelRow {
    fn vhost(&self) -> &str {
        &self.report.vhost
    }

    fn name(&self) -> Cow<'_, str> {
        (&*self.report.name).into()
    }

    fn fill(&self) -> Value {
        let report = &self.report;
        let mut row = json!({
            "name": report.name,
            "number": report.number,
            "node": self.api.node.name(),
            "user": &*report.user,
            "user_who_performed_action": &*report.user,
            "vhost": &*report.vhost,
            "connection_details": {
                "name": &*report.connection_name,
                "peer_host": peer_host(self.ends),
                "peer_port": peer_port(self.ends),
            },
        });
        if let (true, Value::Object(fields)) = (self.with_stats, &mut row) {
            self.measure(fields);
        }
        row
    }
}

impl ChannelRow {
    /// One of so many rows.
    pub(super) fn of(call: &Call, report: ChannelReport, ends: Option<Ends>, rows: usize) -> Self {
        let (api, with_stats) = (call.api.clone(), !call.is_without_stats());
        Self { api, report, ends, with_stats, span: stats::span(&call.query, "msg_rates", rows) }
    }

    fn measure(&self, row: &mut serde_json::Map<String, Value>) {
        let report = &self.report;
        let statistics = self.api.node.statistics();
        let sample = statistics.channel(report.connection, report.number).unwrap_or_default();
        let points = self.span.map(|span| statistics.channel_history(report.connection, report.number, span));
        let mut set = |name: &str, value: Value| {
            row.insert(name.to_owned(), value);
        };
        set("state", "running".into());
        set("confirm", report.confirm.into());
        set("transactional", report.transactional.into());
        set("consumer_count", report.consumer_count().into());
        set("prefetch_count", report.prefetch_count.into());
        set("global_prefetch_count", report.global_prefetch_count.into());
        set("messages_unacknowledged", report.messages_unacknowledged.into());
        set("messages_unconfirmed", report.messages_unconfirmed.into());
        set("messages_uncommitted", report.messages_uncommitted.into());
        set("acks_uncommitted", report.acks_uncommitted.into());
        set("pending_raft_commands", 0.into());
        set("reductions", 0.into());
        set("reductions_details", stats::details(0.0, None));
        set("garbage_collection", garbage_collection());
        set(
            "message_stats",
            stats::message_stats(stats::CHANNEL, &report.counts, &sample.rates.counts, points.as_deref()),
        );
        let interval_ms = u64::try_from(statistics.interval().as_millis()).unwrap_or(u64::MAX);
        if sample.busy_ms > 0 && sample.busy_ms.saturating_add(interval_ms) <= statistics.sampled_at_ms() {
            set("idle_since", timestamp(sample.busy_ms).into());
        }
    }
}

async fn list(call: Call) -> Answer {
    let vhost = if call.path.get("vhost").is_some() { Some(call.vhost()?) } else { None };
    let mut connections = call.api.node.connections();
    connections.retain(|connection| {
        vhost.as_ref().is_none_or(|vhost| vhost.name == connection.vhost) && call.access.sees_user(&connection.user)
    });
    let rows = call.rows_filled(connections.iter().map(|connection| connection.channels.len()).sum());
    let channels = connections.into_iter().flat_map(|connection| {
        let row = |report| ChannelRow::of(&call, report, connection.ends, rows);
        connection.channels.into_iter().map(row).collect::<Vec<_>>()
    });
    call.list(channels.collect())
}

async fn get(call: Call) -> Answer {
    let found = find_by_name(call.param("channel"), |name| call.api.node.channel(name));
    let report = found.ok_or(ApiError::NoObject)?;
    if !call.access.sees_user(&report.user) {
        return Err(ApiError::not_authorised("User not authorised to access object"));
    }
    let ends = call.api.node.connection_by_id(report.connection).and_then(|connection| connection.ends);
    let consumers: Vec<Value> = report
        .consumers
        .iter()
        .map(|consumer| {
            let listing = ConsumerListing {
                consumer: consumer.clone(),
                channel: report.number,
                channel_name: report.name.clone(),
                connection: report.connection,
                connection_name: report.connection_name.clone(),
                ends,
                user: report.user.clone(),
            };
            consumer_json(&call.api, &listing)
        })
        .collect();
    let row = ChannelRow::of(&call, report, ends, 1);
    let mut value = row.fill();
    if let (true, Value::Object(fields)) = (row.with_stats, &mut value) {
        fields.insert("consumer_details".to_owned(), consumers.into());
        fields.insert("publishes".to_owned(), json!([]));
        fields.insert("deliveries".to_owned(), json!([]));
    }
    call.one(value)
}
