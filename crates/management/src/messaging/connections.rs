//! Connections: listed and closed.

use std::borrow::Cow;

use leveret_server::engine::json::json_of_table;
use leveret_server::session::report::{ConnectionBrief, ConnectionReport};
use leveret_server::statistics::{Span, series};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};
use crate::list::Row;
use crate::messaging::channels::ChannelRow;
use crate::messaging::consumers::{peer_host, peer_port};
use crate::messaging::stats::{self, details, garbage_collection, put};
use crate::state::Api;

/// What a client is told when nobody says why its connection is closed.
const CLOSED: &str = "Closed via management plugin";

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/connections").get(Right::User, "All connections that the user sees", list),
        Resource::at("/api/vhosts/{vhost}/connections").get(Right::VhostVisible, "The connections to a vhost", list),
        Resource::at("/api/connections/{connection}").get(Right::User, "A connection by its name", get).delete(
            Right::User,
            "Close a connection; header X-Reason says why",
            close,
        ),
        Resource::at("/api/connections/username/{user}").get(Right::User, "The connections of a user", of_user).delete(
            Right::User,
            "Close the connections of a user; header X-Reason says why",
            close_of_user,
        ),
        Resource::at("/api/connections/{connection}/channels").get(
            Right::User,
            "The channels of a connection",
            channels,
        ),
        Resource::at("/api/connections/{connection}/sessions").get(
            Right::User,
            "Sessions of AMQP 1.0, which this broker does not speak",
            sessions,
        ),
    ]
}

/// A connection in a list.
struct ConnectionRow {
    api: Api,
    report: ConnectionReport,
    with_stats: bool,
    span: Option<Span>,
}

impl Row for ConnectionRow {
    fn vhost(&self) -> &str {
        &self.report.vhost
    }

    fn name(&self) -> Cow<'_, str> {
        (&*self.report.name).into()
    }

    fn fill(&self) -> Value {
        let mut row = self.known();
        self.tell_tls(&mut row);
        if self.with_stats {
            self.measure(&mut row);
        }
        Value::Object(row)
    }
}

impl ConnectionRow {
    /// One of so many rows.
    fn of(call: &Call, report: ConnectionReport, rows: usize) -> Self {
        let (api, with_stats) = (call.api.clone(), !call.is_without_stats());
        Self { api, report, with_stats, span: stats::span(&call.query, "data_rates", rows) }
    }

    fn known(&self) -> Map<String, Value> {
        let report = &self.report;
        let host = report.ends.map(|ends| ends.host);
        let mut row = Map::new();
        let mut set = |name: &str, value: Value| {
            row.insert(name.to_owned(), value);
        };
        set("name", (*report.name).into());
        set("user_provided_name", report.user_provided_name.as_deref().into());
        set("node", self.api.node.name().into());
        set("vhost", (*report.vhost).into());
        set("user", (*report.user).into());
        set("user_who_performed_action", (*report.user).into());
        set("type", "network".into());
        set("protocol", report.protocol.into());
        set("auth_mechanism", report.auth_mechanism.as_str().into());
        set("client_properties", json_of_table(&report.client_properties));
        set("connected_at", report.connected_at_ms.into());
        set("host", host.map(|host| host.ip().to_canonical().to_string()).into());
        set("port", host.map(|host| host.port()).into());
        set("peer_host", peer_host(report.ends).into());
        set("peer_port", peer_port(report.ends).into());
        set("frame_max", report.frame_max.into());
        set("channel_max", report.channel_max.into());
        set("timeout", report.timeout_s.into());
        set("state", report.state.as_str().into());
        set("channels", report.channels.len().into());
        row
    }

    fn tell_tls(&self, row: &mut Map<String, Value>) {
        let tls = self.report.tls.as_ref();
        let peer = tls.and_then(|tls| tls.peer.as_ref());
        let texts = [
            ("ssl_protocol", tls.map(|tls| tls.protocol)),
            ("ssl_key_exchange", tls.map(|tls| tls.key_exchange)),
            ("ssl_cipher", tls.map(|tls| tls.cipher)),
            ("ssl_hash", tls.map(|tls| tls.hash)),
            ("peer_cert_subject", peer.map(|peer| peer.subject.as_str())),
            ("peer_cert_issuer", peer.map(|peer| peer.issuer.as_str())),
            ("peer_cert_validity", peer.map(|peer| peer.validity.as_str())),
        ];
        row.insert("ssl".to_owned(), tls.is_some().into());
        row.extend(texts.map(|(name, text)| (name.to_owned(), text.into())));
    }

    fn measure(&self, row: &mut Map<String, Value>) {
        let report = &self.report;
        let statistics = self.api.node.statistics();
        let rates = statistics.connection(report.id).unwrap_or_default().rates;
        let points = self.span.map(|span| statistics.connection_history(report.id, span));
        let points = points.as_deref();
        let received = points.map(|points| series(points, |point| point.received_bytes));
        let sent = points.map(|points| series(points, |point| point.sent_bytes));
        put(row, "recv_oct", report.received.bytes, details(rates.received_bytes, received));
        put(row, "send_oct", report.sent.bytes, details(rates.sent_bytes, sent));
        put(row, "reductions", 0, details(0.0, None));
        row.insert("recv_cnt".to_owned(), report.received.count.into());
        row.insert("send_cnt".to_owned(), report.sent.count.into());
        row.insert("send_pend".to_owned(), report.send_pending_bytes.into());
        row.insert("garbage_collection".to_owned(), garbage_collection());
    }
}

async fn list(call: Call) -> Answer {
    let vhost = if call.path.get("vhost").is_some() { Some(call.vhost()?) } else { None };
    let mut reports = call.api.node.connections();
    reports.retain(|report| {
        vhost.as_ref().is_none_or(|vhost| vhost.name == report.vhost) && call.access.sees_user(&report.user)
    });
    let rows = call.rows_filled(reports.len());
    call.list(reports.into_iter().map(|report| ConnectionRow::of(&call, report, rows)).collect())
}

impl Call {
    /// The connection in the path, if the user may see it.
    fn connection(&self) -> Result<ConnectionReport, ApiError> {
        let found = find_by_name(self.param("connection"), |name| self.api.node.connection(name));
        let report = found.ok_or(ApiError::NoObject)?;
        match self.access.sees_user(&report.user) {
            true => Ok(report),
            false => Err(not_yours()),
        }
    }

    fn reason(&self) -> Cow<'_, str> {
        self.header("x-reason").filter(|reason| !reason.is_empty()).unwrap_or(CLOSED.into())
    }

    fn may_close_of(&self, user: &str) -> Result<(), ApiError> {
        if self.access.is_administrator() || self.access.name() == user { Ok(()) } else { Err(not_yours()) }
    }
}

fn not_yours() -> ApiError {
    ApiError::not_authorised("User not authorised to access object")
}

async fn get(call: Call) -> Answer {
    let report = call.connection()?;
    call.one(ConnectionRow::of(&call, report, 1).fill())
}

async fn close(call: Call) -> Answer {
    let found = find_by_name(call.param("connection"), |name| call.api.node.connection(name));
    let report = found.ok_or(ApiError::NoObject)?;
    call.may_close_of(&report.user)?;
    call.api.node.close_connection_by_id(report.id, &call.reason());
    Ok(answer::no_content())
}

async fn of_user(call: Call) -> Answer {
    let user = call.param("user");
    if !call.access.sees_user(user) {
        return Err(not_yours());
    }
    let briefs = call.api.node.connection_briefs();
    let rows = briefs.iter().filter(|brief| *brief.user == *user).map(|ConnectionBrief { name, user, vhost, .. }| {
        json!({ "name": &**name, "user": &**user, "vhost": &**vhost, "node": call.api.node.name() })
    });
    call.list(rows.collect::<Vec<Value>>())
}

async fn close_of_user(call: Call) -> Answer {
    let user = call.param("user");
    call.may_close_of(user)?;
    call.api.node.close_connections_of_user(user, &call.reason());
    Ok(answer::no_content())
}

async fn channels(call: Call) -> Answer {
    let report = call.connection()?;
    let (ends, rows) = (report.ends, call.rows_filled(report.channels.len()));
    call.list(report.channels.into_iter().map(|channel| ChannelRow::of(&call, channel, ends, rows)).collect())
}

async fn sessions(call: Call) -> Answer {
    let report = call.connection()?;
    let reason = format!("connection '{}' speaks {}: only AMQP 1.0 has sessions", report.name, report.protocol);
    Err(ApiError::bad_request(reason))
}
