//! Exchanges: listed, declared, deleted.

use std::borrow::Cow;
use std::sync::Arc;

use leveret_server::engine::exchange::Exchange;
use leveret_server::engine::json::json_of_table;
use leveret_server::engine::vhost::{ExchangeDeclare, Vhost};
use leveret_server::statistics::Span;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};
use crate::list::Row;
use crate::messaging::queues::arguments;
use crate::messaging::stats;
use crate::state::Api;

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/exchanges").get(Right::User, "All exchanges that the user sees", list),
        Resource::at("/api/exchanges/{vhost}").get(Right::VhostVisible, "The exchanges of a vhost", list),
        Resource::at("/api/exchanges/{vhost}/{exchange}")
            .get(Right::VhostVisible, "An exchange", get)
            .put(Right::Vhost, "Declare an exchange; fields type, durable, auto_delete, internal, arguments", declare)
            .delete(Right::Vhost, "Delete an exchange; in the query if-unused", delete),
    ]
}

/// An exchange in a list.
struct ExchangeRow {
    api: Api,
    vhost: Arc<Vhost>,
    exchange: Arc<Exchange>,
    with_stats: bool,
    span: Option<Span>,
}

impl Row for ExchangeRow {
    fn vhost(&self) -> &str {
        &self.vhost.name
    }

    fn name(&self) -> Cow<'_, str> {
        (&*self.exchange.name).into()
    }

    fn fill(&self) -> Value {
        let exchange = &self.exchange;
        let applied = self.vhost.policies_of_exchange(exchange);
        let mut row = Map::new();
        let mut set = |name: &str, value: Value| {
            row.insert(name.to_owned(), value);
        };
        set("name", (*exchange.name).into());
        set("vhost", (*self.vhost.name).into());
        set("type", exchange.type_name().into());
        set("durable", exchange.durable.into());
        set("auto_delete", exchange.auto_delete.into());
        set("internal", exchange.internal.into());
        set("arguments", json_of_table(&exchange.arguments));
        if let Some(policy) = &applied.user {
            set("policy", (*policy.name).into());
        }
        if exchange.is_default() || exchange.name.starts_with("amq.") {
            set("user_who_performed_action", "rmq-internal".into());
        }
        if self.with_stats {
            let statistics = self.api.node.statistics();
            let sample = statistics.exchange(&self.vhost.name, &exchange.name).unwrap_or_default();
            let points = self.span.map(|span| statistics.exchange_history(&self.vhost.name, &exchange.name, span));
            let counts = exchange.through.counts();
            let stats = stats::message_stats(stats::EXCHANGE, &counts, &sample.rates.counts, points.as_deref());
            set("message_stats", stats);
        }
        Value::Object(row)
    }
}

impl Call {
    /// The exchange in the path.
    ///
    /// # Errors
    /// 404
    pub(super) fn exchange(&self) -> Result<(Arc<Vhost>, Arc<Exchange>), ApiError> {
        let vhost = self.vhost()?;
        let exchange = find_by_name(self.exchange_param("exchange"), |name| vhost.exchange(name).ok());
        exchange.map(|exchange| (vhost, exchange)).ok_or_else(|| ApiError::not_found("exchange_not_found"))
    }

    /// One of so many rows.
    fn exchange_row(&self, vhost: &Arc<Vhost>, exchange: Arc<Exchange>, rows: usize) -> ExchangeRow {
        ExchangeRow {
            api: self.api.clone(),
            vhost: Arc::clone(vhost),
            exchange,
            with_stats: !self.is_without_stats(),
            span: stats::span(&self.query, "msg_rates", rows),
        }
    }
}

async fn list(call: Call) -> Answer {
    let vhosts = call.vhosts()?;
    let exchanges: Vec<_> =
        vhosts.iter().flat_map(|vhost| vhost.exchanges().into_iter().map(move |exchange| (vhost, exchange))).collect();
    let rows = call.rows_filled(exchanges.len());
    call.list(exchanges.into_iter().map(|(vhost, exchange)| call.exchange_row(vhost, exchange, rows)).collect())
}

async fn get(call: Call) -> Answer {
    let (vhost, exchange) = call.exchange()?;
    let row = call.exchange_row(&vhost, exchange, 1);
    let mut value = row.fill();
    if let (true, Value::Object(fields)) = (row.with_stats, &mut value) {
        fields.insert("incoming".to_owned(), json!([]));
        fields.insert("outgoing".to_owned(), json!([]));
    }
    call.one(value)
}

async fn declare(call: Call) -> Answer {
    let vhost = call.vhost()?;
    let fields = call.fields()?;
    let arguments = arguments(&fields)?;
    let name = call.exchange_param("exchange");
    let is_new = vhost.exchange(name).is_err();
    let declare = ExchangeDeclare {
        name,
        kind: fields.checked_text("type")?.unwrap_or("direct"),
        durable: fields.bool_or("durable", false)?,
        auto_delete: fields.bool_or("auto_delete", false)?,
        internal: fields.bool_or("internal", false)?,
        arguments: &arguments,
    };
    let lsn = vhost.declare_exchange(&declare, &call.access.user)?;
    call.api.durable(lsn).await?;
    Ok(answer::put(is_new))
}

async fn delete(call: Call) -> Answer {
    let (vhost, exchange) = call.exchange()?;
    let lsn = vhost.delete_exchange(&exchange.name, call.query.is_true("if-unused"), &call.access.user)?;
    call.api.durable(lsn).await?;
    Ok(answer::no_content())
}
