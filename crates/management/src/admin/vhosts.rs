//! Vhosts: `/api/vhosts`.

use std::borrow::Cow;
use std::sync::Arc;

use leveret_server::engine::queue::arguments::QueueType;
use leveret_server::engine::vhost::{Vhost, VhostMetadata};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::{Call, find_by_name};
use crate::http::routes::{Answer, Resource, Right};
use crate::list::Row;
use crate::messaging::stats::Spans;
use crate::stats;

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/vhosts").get(Right::User, "The vhosts that the user sees", list),
        Resource::at("/api/vhosts/{vhost}")
            .get(Right::VhostVisible, "A vhost", get)
            .put(
                Right::Administrator,
                "Makes or changes a vhost: {\"description\", \"tags\", \"default_queue_type\", \"tracing\", \
                 \"protected_from_deletion\"}, all optional",
                put,
            )
            .delete(Right::Administrator, "Deletes a vhost with everything in it", delete),
        Resource::at("/api/vhosts/{vhost}/deletion/protection")
            .post(Right::Administrator, "Protects a vhost from deletion", protect)
            .delete(Right::Administrator, "Lets a vhost be deleted again", unprotect),
        Resource::at("/api/vhosts/{vhost}/start/{node}").post(
            Right::Administrator,
            "Starts a vhost that is down; none ever is",
            start,
        ),
    ]
}

struct VhostRow<'a> {
    vhost: Arc<Vhost>,
    call: &'a Call,
    spans: Spans,
}

impl Row for VhostRow<'_> {
    fn name(&self) -> Cow<'_, str> {
        (*self.vhost.name).into()
    }

    fn fill(&self) -> Value {
        facts(self.call, &self.vhost, self.spans)
    }
}

async fn list(call: Call) -> Answer {
    let vhosts = call.vhosts()?;
    let spans = Spans::of(&call.query, call.rows_filled(vhosts.len()));
    call.list(vhosts.into_iter().map(|vhost| VhostRow { vhost, call: &call, spans }).collect())
}

async fn get(call: Call) -> Answer {
    let vhost = call.existing_vhost()?;
    call.one(facts(&call, &vhost, Spans::of(&call.query, 1)))
}

fn facts(call: &Call, vhost: &Vhost, spans: Spans) -> Value {
    let VhostMetadata { description, tags, default_queue_type, tracing, protected_from_deletion } = vhost.metadata();
    let queue_type = default_queue_type.map_or("undefined", QueueType::as_str);
    let mut metadata = Map::new();
    metadata.insert("description".to_owned(), json!(description));
    metadata.insert("tags".to_owned(), json!(tags));
    if default_queue_type.is_some() {
        metadata.insert("default_queue_type".to_owned(), json!(queue_type));
    }
    let mut facts = json!({
        "name": &*vhost.name,
        "description": description,
        "tags": tags,
        "default_queue_type": queue_type,
        "metadata": metadata,
        "tracing": tracing,
        "protected_from_deletion": protected_from_deletion,
        "cluster_state": { call.api.node.name(): "running" },
    });
    if !call.is_without_stats()
        && let Value::Object(facts) = &mut facts
    {
        facts.extend(stats::vhost(&call.api, vhost, spans));
    }
    facts
}

impl Call {
    /// The vhost that the path names, where RabbitMQ says no more than that it is not there.
    fn existing_vhost(&self) -> Result<Arc<Vhost>, ApiError> {
        let broker = self.api.broker();
        find_by_name(self.param("vhost"), |name| broker.vhost(name)).ok_or(ApiError::NoObject)
    }
}

async fn put(call: Call) -> Answer {
    let known = call.existing_vhost().ok();
    let name = known.as_ref().map_or_else(|| call.param("vhost").to_owned(), |vhost| vhost.name.to_string());
    let metadata = metadata(&call, known.map(|vhost| vhost.metadata()).unwrap_or_default())?;
    let done = call.api.broker().put_vhost(&name, &metadata, call.access.name());
    call.put_done(done).await
}

/// What is said replaces what is known.
fn metadata(call: &Call, known: VhostMetadata) -> Result<VhostMetadata, ApiError> {
    let fields = call.fields()?;
    let tags = match fields.get("tags") {
        None => known.tags,
        Some(Value::String(text)) => split_tags(text),
        Some(Value::Array(tags)) if tags.iter().all(Value::is_string) => {
            tags.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(_) => return Err(ApiError::bad_request("tags must be a list of strings, or a string with commas")),
    };
    let queue_type = fields.checked_text("default_queue_type")?.or(fields.checked_text("defaultqueuetype")?);
    let default_queue_type = match queue_type {
        None => known.default_queue_type,
        Some("" | "undefined") => None,
        Some(name) => Some(queue_type_of(name)?),
    };
    Ok(VhostMetadata {
        description: fields.checked_text("description")?.map_or(known.description, str::to_owned),
        tags,
        default_queue_type,
        tracing: fields.bool_or("tracing", known.tracing)?,
        protected_from_deletion: fields.bool_or("protected_from_deletion", known.protected_from_deletion)?,
    })
}

fn split_tags(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

fn queue_type_of(name: &str) -> Result<QueueType, ApiError> {
    let known = QueueType::parse(name.as_bytes());
    known.ok_or_else(|| ApiError::bad_request(format!("Unsupported default queue type '{name}'")))
}

async fn delete(call: Call) -> Answer {
    let vhost = call.existing_vhost()?;
    let done = call.api.broker().delete_vhost(&vhost.name, call.access.name());
    call.done(done).await
}

async fn protect(call: Call) -> Answer {
    set_protection(&call, true).await
}

async fn unprotect(call: Call) -> Answer {
    set_protection(&call, false).await
}

async fn set_protection(call: &Call, is_protected: bool) -> Answer {
    let vhost = call.existing_vhost()?;
    let done = call.api.broker().set_deletion_protection(&vhost.name, is_protected, call.access.name());
    call.done(done).await
}

async fn start(call: Call) -> Answer {
    call.existing_vhost()?;
    let node = call.param("node");
    if node != call.api.node.name() {
        return Err(ApiError::bad_request(format!("Request to node {node} failed with nodedown")));
    }
    Ok(answer::no_content())
}
