//! Getting messages by HTTP, and how a message is written.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leveret_server::engine::effects::Effects;
use leveret_server::engine::error::Error;
use leveret_server::engine::journal::Waiter;
use leveret_server::engine::message::Parts;
use leveret_server::engine::names::Name;
use leveret_server::engine::queue::arguments::QueueType;
use leveret_server::engine::queue::{Entry, Got, Queue, Settled};
use leveret_server::engine::stream::StreamRefused;
use leveret_server::engine::trace::Tap;
use leveret_server::session::publish_once::HTTP;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::ApiError;
use crate::http::answer;
use crate::http::body::Fields;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::limits::{DURABLE_PATIENCE, GOT_MESSAGES_MAX};
use crate::messaging::properties;
use crate::messaging::refusal::with_code;

pub(super) fn resources() -> Vec<Resource> {
    vec![Resource::at("/api/queues/{vhost}/{queue}/get").post(
        Right::Vhost,
        "Get messages from a queue, and requeue them or not; fields count, ackmode, encoding, truncate",
        get,
    )]
}

/// What becomes of the messages that are got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// They are gone as they are got.
    Acked,
    /// All go back once all are got.
    Requeued,
    /// All are dead-lettered or dropped once all are got.
    Rejected,
}

/// How bodies are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing {
    /// Text as text.
    pub(super) auto: bool,
    /// Bytes of a body at most.
    pub(super) truncate: Option<usize>,
}

impl Writing {
    /// What a body asks for.
    ///
    /// # Errors
    /// 400
    pub(super) fn of(encoding: Option<&str>, truncate: Option<i64>) -> Result<Self, ApiError> {
        let auto = match encoding {
            Some("auto") => true,
            Some("base64") => false,
            _ => return Err(ApiError::bad_request("Unsupported encoding. Please use auto or base64.")),
        };
        Ok(Self { auto, truncate: truncate.map(|bytes| usize::try_from(bytes).unwrap_or_default()) })
    }

    /// Adds what a message is made of.
    ///
    /// # Errors
    /// When a large body cannot be read.
    pub(super) fn write(&self, parts: &Parts<'_>, row: &mut Map<String, Value>) -> Result<(), ApiError> {
        let wanted = usize::try_from(parts.body_len()).unwrap_or(usize::MAX).min(self.truncate.unwrap_or(usize::MAX));
        let mut read = Vec::new();
        let body = match parts.blob {
            None => parts.body.get(..wanted).unwrap_or(parts.body),
            Some(blob) => {
                read.resize(wanted, 0);
                blob.read_at(0, &mut read).map_err(|error| ApiError::Internal(error.to_string()))?;
                &read
            }
        };
        let (payload, encoding) = match std::str::from_utf8(body) {
            Ok(text) if self.auto => (text.to_owned(), "string"),
            _ => (STANDARD.encode(body), "base64"),
        };
        let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes));
        row.insert("payload_bytes".to_owned(), parts.body_len().into());
        row.insert("exchange".to_owned(), text(parts.exchange));
        row.insert("routing_key".to_owned(), text(parts.routing_key));
        row.insert("properties".to_owned(), properties::to_json(parts.properties));
        row.insert("payload".to_owned(), payload.into());
        row.insert("payload_encoding".to_owned(), encoding.into());
        Ok(())
    }
}

impl Then {
    fn of(fields: &Fields) -> Result<Self, ApiError> {
        match fields.text("ackmode") {
            Some("ack_requeue_false") => Ok(Self::Acked),
            Some("ack_requeue_true" | "reject_requeue_true") => Ok(Self::Requeued),
            Some("reject_requeue_false") => Ok(Self::Rejected),
            _ => Err(ApiError::bad_request(
                "ackmode has to be one of ack_requeue_true, ack_requeue_false, reject_requeue_true, reject_requeue_false",
            )),
        }
    }
}

/// Messages that were got and are to go back or be rejected: whatever happens to the request, they do.
struct Fetched {
    queue: Arc<Queue>,
    entries: Vec<Entry>,
    rejects: bool,
}

impl Drop for Fetched {
    fn drop(&mut self) {
        let mut effects = Effects::default();
        let entries = std::mem::take(&mut self.entries);
        if self.rejects && self.queue.has_dead_letters() {
            self.queue.reject(entries.into_iter().map(|entry| (None, entry)), &mut effects);
        } else if self.rejects {
            let settled = entries.iter().map(|entry| Settled {
                acked: false,
                ..Settled::one(None, entry.seq, entry.stored, entry.message.body_len())
            });
            self.queue.settle(&settled.collect::<Vec<_>>(), &mut effects);
        } else {
            self.queue.requeue(entries.into_iter().map(|entry| (None, entry)), &mut effects);
        }
        effects.carry_out();
    }
}

async fn get(call: Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["ackmode", "count", "encoding"])?;
    let (_, queue) = call.readable_queue()?;
    let then = Then::of(&fields)?;
    let count = fields.integer("count")?.unwrap_or_default();
    let count = usize::try_from(count).unwrap_or_default().min(GOT_MESSAGES_MAX);
    let writing = Writing::of(fields.text("encoding"), fields.integer("truncate")?)?;
    check_gettable(&queue)?;
    let rejects = then == Then::Rejected;
    let mut fetched = Fetched { queue: Arc::clone(&queue), entries: Vec::new(), rejects };
    let mut rows = Vec::new();
    while rows.len() < count {
        let Some((entry, left)) = next(&queue, then == Then::Acked).await? else { break };
        if let Some(vhost) = queue.traced_in() {
            let tap = Tap { connection: HTTP, channel: 0, user: call.access.name() };
            vhost.trace_delivery(&tap, &entry.message.parts(), &queue.name, entry.deliveries > 0);
        }
        let mut row = Map::new();
        row.insert("redelivered".to_owned(), (entry.deliveries > 0).into());
        row.insert("message_count".to_owned(), left.into());
        let written = writing.write(&entry.message.parts(), &mut row);
        if then != Then::Acked {
            fetched.entries.push(entry);
        }
        written?;
        rows.push(Value::Object(row));
    }
    drop(fetched);
    Ok(answer::json(&Value::Array(rows)))
}

fn check_gettable(queue: &Queue) -> Result<(), ApiError> {
    if queue.is_stream() {
        return Err(with_code(&Error::from(StreamRefused::get(queue))));
    }
    if queue.settings.single_active_consumer && queue.settings.queue_type == QueueType::Quorum {
        let (queue, vhost) = (Name::clone(&queue.name), Name::clone(&queue.vhost));
        return Err(with_code(&Error::GetFromSingleActive { queue, vhost }));
    }
    Ok(())
}

/// The next message and how many are left, reading it if it is not in memory.
async fn next(queue: &Arc<Queue>, no_ack: bool) -> Result<Option<(Entry, usize)>, ApiError> {
    loop {
        match queue.get(no_ack) {
            Got::Empty => return Ok(None),
            Got::Message { entry, left } => return Ok(Some((entry, left))),
            Got::Loading => {
                let (sender, loaded) = oneshot::channel();
                queue.when_loaded(Arc::new(Loaded(Mutex::new(Some(sender)))));
                if timeout(DURABLE_PATIENCE, loaded).await.is_err() {
                    return Err(ApiError::Unavailable("the disk does not answer".to_owned()));
                }
            }
        }
    }
}

/// Told when the first message of a queue is in memory.
struct Loaded(Mutex<Option<oneshot::Sender<()>>>);

impl Waiter for Loaded {
    fn wake(&self) {
        if let Some(sender) = self.0.lock().take() {
            // Who does not wait any more does not want to know.
            let _ = sender.send(());
        }
    }
}

/// A message that was browsed.
///
/// # Errors
/// When a large body cannot be read.
pub(super) fn message_json(entry: &Entry, writing: &Writing) -> Result<Map<String, Value>, ApiError> {
    let mut row = Map::new();
    row.insert("position".to_owned(), entry.seq.into());
    row.insert("redelivered".to_owned(), (entry.deliveries > 0).into());
    row.insert("delivery_count".to_owned(), json!(entry.deliveries));
    writing.write(&entry.message.parts(), &mut row)?;
    Ok(row)
}
