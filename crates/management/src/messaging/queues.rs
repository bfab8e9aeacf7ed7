//! Queues: listed, declared, deleted, purged.

use std::sync::Arc;

use axum::response::Response;
use leveret_codec::table::FieldTable;
use leveret_server::engine::effects::Effects;
use leveret_server::engine::error::Error;
use leveret_server::engine::json::table_of_json;
use leveret_server::engine::names::ConnectionId;
use leveret_server::engine::permission::{Resource as Thing, Verb};
use leveret_server::engine::queue::Queue;
use leveret_server::engine::stream::StreamRefused;
use leveret_server::engine::vhost::{QueueDeclare, Vhost};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::answer;
use crate::http::body::Fields;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};
use crate::list::Row;
use crate::messaging::consumers::consumer_json;
use crate::messaging::queue::{Depth, QueueRow};
use crate::messaging::stats::Spans;

/// Nobody's connection: no exclusive queue belongs to it.
pub(super) const NO_CONNECTION: ConnectionId = ConnectionId(0);

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/queues").get(Right::User, "All queues that the user sees", list),
        Resource::at("/api/queues/detailed").get(
            Right::User,
            "All queues that the user sees, with all there is to tell",
            list,
        ),
        Resource::at("/api/queues/{vhost}").get(Right::VhostVisible, "The queues of a vhost", list),
        Resource::at("/api/queues/{vhost}/{queue}")
            .get(Right::VhostVisible, "A queue and its consumers", get)
            .put(Right::Vhost, "Declare a queue; fields durable, auto_delete, arguments", declare)
            .delete(Right::Vhost, "Delete a queue; in the query if-empty, if-unused", delete),
        Resource::at("/api/queues/{vhost}/{queue}/contents").delete(
            Right::Vhost,
            "Drop the ready messages of a queue",
            purge,
        ),
        Resource::at("/api/queues/{vhost}/{queue}/actions").post(
            Right::Vhost,
            "What was done to mirrored queues: nothing happens",
            act,
        ),
        Resource::at("/api/users/{user}/queues").get(Right::Administrator, "The exclusive queues of a user", of_user),
    ]
}

impl Call {
    /// The queue in the path.
    ///
    /// # Errors
    /// 404
    pub(super) fn queue(&self) -> Result<(Arc<Vhost>, Arc<Queue>), ApiError> {
        let vhost = self.vhost()?;
        let queue = find_by_name(self.param("queue"), |name| vhost.queue(name).ok());
        queue.map(|queue| (vhost, queue)).ok_or_else(|| ApiError::not_found("queue_not_found"))
    }

    /// The queue in the path, which nobody has for himself, and from which the user may take messages.
    ///
    /// # Errors
    /// 404, 401, 400
    pub(super) fn readable_queue(&self) -> Result<(Arc<Vhost>, Arc<Queue>), ApiError> {
        let (vhost, queue) = self.queue()?;
        self.access.user.check(&vhost, Verb::Read, Thing::Queue(&queue.name))?;
        vhost.usable_queue(&queue.name, NO_CONNECTION)?;
        Ok((vhost, queue))
    }

    pub(super) fn queue_rows(&self, vhosts: &[Arc<Vhost>]) -> Vec<QueueRow> {
        let queues: Vec<_> = vhosts.iter().map(|vhost| (vhost, vhost.queues())).collect();
        let count = queues.iter().map(|(_, queues)| queues.len()).sum();
        let (depth, spans) = (Depth::of(self), Spans::of(&self.query, self.rows_filled(count)));
        let rows = queues.into_iter().flat_map(|(vhost, queues)| {
            queues.into_iter().map(move |queue| QueueRow {
                api: self.api.clone(),
                vhost: Arc::clone(vhost),
                queue,
                depth,
                spans,
            })
        });
        rows.collect()
    }
}

async fn list(call: Call) -> Answer {
    let vhosts = call.vhosts()?;
    call.list(call.queue_rows(&vhosts))
}

async fn of_user(call: Call) -> Answer {
    let user = call.param("user");
    let mut rows = call.queue_rows(&call.api.broker().vhosts());
    let briefs = call.api.node.connection_briefs();
    rows.retain(|row| {
        row.queue.owner.is_some_and(|owner| briefs.iter().any(|brief| brief.id == owner && *brief.user == *user))
    });
    call.list(rows)
}

async fn get(call: Call) -> Answer {
    let (vhost, queue) = call.queue()?;
    let (depth, spans) = (Depth::of(&call), Spans::of(&call.query, 1));
    let row = QueueRow { api: call.api.clone(), vhost, queue: Arc::clone(&queue), depth, spans };
    let mut value = row.fill();
    if let (Depth::Full, Value::Object(fields)) = (depth, &mut value) {
        let consumers = call.api.node.consumers_of(&queue);
        let consumers: Vec<Value> = consumers.iter().map(|listing| consumer_json(&call.api, listing)).collect();
        fields.insert("consumer_details".to_owned(), consumers.into());
        fields.insert("incoming".to_owned(), json!([]));
        fields.insert("deliveries".to_owned(), json!([]));
    }
    call.one(value)
}

/// The arguments in a body.
///
/// # Errors
/// 400 when they are no object.
pub(super) fn arguments(fields: &Fields) -> Result<FieldTable, ApiError> {
    match fields.get("arguments") {
        None => Ok(FieldTable::default()),
        // Clients in languages whose empty map is an empty list send that.
        Some(Value::Array(items)) if items.is_empty() => Ok(FieldTable::default()),
        Some(arguments) => {
            table_of_json(arguments).map_err(|error| ApiError::bad_request(format!("arguments: {error}")))
        }
    }
}

async fn declare(call: Call) -> Answer {
    let vhost = call.vhost()?;
    let fields = call.fields()?;
    let arguments = arguments(&fields)?;
    let name = call.param("queue");
    let is_new = vhost.queue(name).is_err();
    let declare = QueueDeclare {
        name,
        durable: fields.bool_or("durable", false)?,
        exclusive: false,
        auto_delete: fields.bool_or("auto_delete", false)?,
        arguments: &arguments,
        random: [0; 16],
    };
    let (_, _, lsn) = vhost.declare_queue(&declare, &call.access.user, NO_CONNECTION)?;
    call.api.durable(lsn).await?;
    Ok(answer::put(is_new))
}

async fn delete(call: Call) -> Answer {
    let (vhost, queue) = call.queue()?;
    let conditions = (call.query.is_true("if-unused"), call.query.is_true("if-empty"));
    let mut effects = Effects::default();
    let deleted = vhost.delete_queue(&queue.name, conditions, &call.access.user, NO_CONNECTION, &mut effects);
    effects.carry_out();
    call.api.durable(deleted?.lsn).await?;
    Ok(answer::no_content())
}

async fn purge(call: Call) -> Answer {
    let (_, queue) = call.readable_queue()?;
    if queue.is_stream() {
        return Err(Error::from(StreamRefused::purge(&queue)).into());
    }
    let purged = queue.purge();
    call.api.durable(purged.lsn).await?;
    Ok(answer::no_content())
}

async fn act(call: Call) -> Result<Response, ApiError> {
    call.queue()?;
    let fields = call.fields()?;
    fields.require(&["action"])?;
    match fields.text("action") {
        Some("sync" | "cancel_sync") => Ok(answer::no_content()),
        other => Err(ApiError::bad_request(format!("[\"unknown\",\"{}\"]", other.unwrap_or_default()))),
    }
}
