//! What RabbitMQ has not: a queue is paused, looked into, and one of its messages deleted.

use std::sync::Arc;

use leveret_server::engine::permission::{Resource as Thing, Verb};
use leveret_server::engine::queue::{Browse, Browsed, MessageState, Queue};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::limits::{BROWSED_BYTES, BROWSED_BYTES_MAX, BROWSED_MESSAGES, DURABLE_PATIENCE};
use crate::messaging::fetch::{Writing, message_json};

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/queues/{vhost}/{queue}/pause").post(
            Right::Vhost,
            "Deliver nothing from a queue until it is resumed; it still takes messages",
            pause,
        ),
        Resource::at("/api/queues/{vhost}/{queue}/resume").post(
            Right::Vhost,
            "Deliver from a paused queue again",
            resume,
        ),
        Resource::at("/api/queues/{vhost}/{queue}/messages").get(
            Right::Vhost,
            "Look at the messages of a queue, ready or not, without taking any; in the query from, count, bytes, encoding, truncate",
            browse,
        ),
        Resource::at("/api/queues/{vhost}/{queue}/messages/{position}").delete(
            Right::Vhost,
            "Delete one ready message by its position",
            delete,
        ),
    ]
}

async fn pause(call: Call) -> Answer {
    let (vhost, queue) = call.queue()?;
    call.access.user.check(&vhost, Verb::Configure, Thing::Queue(&queue.name))?;
    call.api.durable(vhost.pause_queue(&queue)?).await?;
    Ok(answer::no_content())
}

async fn resume(call: Call) -> Answer {
    let (vhost, queue) = call.queue()?;
    call.access.user.check(&vhost, Verb::Configure, Thing::Queue(&queue.name))?;
    call.api.durable(vhost.resume_queue(&queue)?).await?;
    Ok(answer::no_content())
}

/// Looks into a queue.
///
/// # Errors
/// 503 when the disk does not answer.
pub(super) async fn look(queue: &Arc<Queue>, what: Browse) -> Result<Browsed, ApiError> {
    let (sender, browsed) = oneshot::channel();
    queue.browse(what, move |browsed| {
        // Who does not wait any more does not want to know.
        let _ = sender.send(browsed);
    });
    match timeout(DURABLE_PATIENCE, browsed).await {
        Ok(Ok(browsed)) => Ok(browsed),
        _ => Err(ApiError::Unavailable("the messages cannot be read: the disk does not answer".to_owned())),
    }
}

async fn browse(call: Call) -> Answer {
    let (_, queue) = call.readable_queue()?;
    let number = |name: &str, default: u64| match call.query.get(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| ApiError::bad_request(format!("{name}: not a whole number: {text}"))),
    };
    let what = Browse {
        from: number("from", 1)?,
        messages_max: usize::try_from(number("count", BROWSED_MESSAGES)?).unwrap_or(usize::MAX),
        bytes_max: number("bytes", BROWSED_BYTES)?.min(BROWSED_BYTES_MAX),
    };
    let truncate = call.query.get("truncate").map(|_| number("truncate", 0)).transpose()?;
    let truncate = truncate.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    let writing = Writing::of(Some(call.query.get("encoding").unwrap_or("auto")), truncate)?;
    let browsed = look(&queue, what).await?;
    let mut rows = Vec::with_capacity(browsed.messages.len());
    for message in &browsed.messages {
        let mut row = message_json(&message.entry, &writing)?;
        row.insert("state".to_owned(), state(message.state).into());
        rows.push(Value::Object(row));
    }
    Ok(answer::json(&json!({ "messages": rows, "next": browsed.next })))
}

fn state(state: MessageState) -> &'static str {
    match state {
        MessageState::Ready => "ready",
        MessageState::Unacked => "unacknowledged",
        MessageState::Waiting => "delayed",
    }
}

async fn delete(call: Call) -> Answer {
    let (_, queue) = call.readable_queue()?;
    if queue.is_stream() {
        return Err(ApiError::bad_request("messages of a stream go by age and size alone"));
    }
    let position: u64 = call.param("position").parse().map_err(|_| ApiError::not_found("message_not_found"))?;
    let browsed = look(&queue, Browse { from: position, messages_max: 1, bytes_max: 0 }).await?;
    let found = browsed.messages.into_iter().find(|message| message.entry.seq == position);
    let found = found.ok_or_else(|| ApiError::not_found("message_not_found"))?;
    let gone = queue.take(vec![found.entry]).settle();
    if gone.messages == 0 {
        let reason =
            format!("message {position} of queue '{}' is not ready: a consumer has it, or it waits", queue.name);
        return Err(ApiError::bad_request(reason));
    }
    call.api.durable(gone.lsn).await?;
    Ok(answer::no_content())
}
