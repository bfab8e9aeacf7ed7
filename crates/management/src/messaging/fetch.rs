//! Getting messages by HTTP, and how a message is written.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leveret_server::engine::counters::MessageCounts;
use leveret_server::engine::effects::Effects;
use leveret_server::engine::error::Error;
use leveret_server::engine::journal::Waiter;
use leveret_server::engine::message::Parts;
use leveret_server::engine::names::Name;
use leveret_server::engine::queue::arguments::QueueType;
use leveret_server::engine::queue::{Entry, Got, Queue, Settled};
use leveret_server::engine::stream::StreamRefused;
use leveret_server::engine::trace::Tap;
use leveret_server::node::ConnectionCounts;
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
use crate::limits::{DURABLE_PATIENCE, GOT_BYTES_MAX, GOT_MESSAGES_MAX};
use crate::messaging::properties;
use crate::messaging::refusal::with_code;
use crate::state::Api;

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

    /// Adds what a message is made of. Returns how many bytes its body takes.
    ///
    /// # Errors
    /// When a large body cannot be read.
    pub(super) fn write(&self, parts: &Parts<'_>, row: &mut Map<String, Value>) -> Result<usize, ApiError> {
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
        let written_bytes = payload.len();
        row.insert("payload_bytes".to_owned(), parts.body_len().into());
        row.insert("exchange".to_owned(), text(parts.exchange));
        row.insert("routing_key".to_owned(), text(parts.routing_key));
        row.insert("properties".to_owned(), properties::to_json(parts.properties));
        row.insert("payload".to_owned(), payload.into());
        row.insert("payload_encoding".to_owned(), encoding.into());
        Ok(written_bytes)
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

/// What is got, for the totals: it is counted whatever happens to the request.
struct Counted<'a> {
    api: &'a Api,
    queue: &'a Queue,
    messages: MessageCounts,
}

impl Counted<'_> {
    fn note(&mut self, entry: &Entry, then: Then) {
        let counter = if then == Then::Acked { &mut self.messages.get_no_ack } else { &mut self.messages.get };
        *counter += 1;
        self.messages.redeliver += u64::from(entry.deliveries > 0);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let counts = ConnectionCounts { messages: self.messages, ..ConnectionCounts::default() };
        self.api.node.statistics().count(&self.queue.vhost, &counts);
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
    let wanted = Wanted { then, count, bytes_max: GOT_BYTES_MAX, writing };
    Ok(answer::json(&Value::Array(rows(&call.api, &queue, call.access.name(), &wanted).await?)))
}

/// What somebody wants of a queue.
struct Wanted {
    then: Then,
    /// Most messages...
    count: usize,
    /// ...and bytes of their bodies as they are written, or one message.
    bytes_max: usize,
    writing: Writing,
}

async fn rows(api: &Api, queue: &Arc<Queue>, user: &str, wanted: &Wanted) -> Result<Vec<Value>, ApiError> {
    let Wanted { then, count, bytes_max, writing } = *wanted;
    let rejects = then == Then::Rejected;
    let mut fetched = Fetched { queue: Arc::clone(queue), entries: Vec::new(), rejects };
    let (mut rows, mut written_bytes) = (Vec::new(), 0);
    let mut counted = Counted { api, queue, messages: MessageCounts::default() };
    while rows.len() < count && written_bytes < bytes_max {
        let Some((entry, left)) = next(queue, then == Then::Acked).await? else {
            counted.messages.get_empty += 1;
            break;
        };
        counted.note(&entry, then);
        if let Some(vhost) = queue.traced_in() {
            let tap = Tap { connection: HTTP, channel: 0, user };
            vhost.trace_delivery(&tap, &entry.message.parts(), &queue.name, entry.deliveries > 0);
        }
        let mut row = Map::new();
        row.insert("redelivered".to_owned(), (entry.deliveries > 0).into());
        row.insert("message_count".to_owned(), left.into());
        let written = writing.write(&entry.message.parts(), &mut row);
        if then != Then::Acked {
            fetched.entries.push(entry);
        }
        written_bytes += written?;
        rows.push(Value::Object(row));
    }
    drop(fetched);
    Ok(rows)
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use bytes::Bytes;
    use leveret_codec::properties::PropertiesRef;
    use leveret_codec::table::FieldTable;
    use leveret_server::engine::vhost::QueueDeclare;
    use leveret_server::session::publish_once::{Once, publish_once};
    use leveret_server::{ListenerConfig, Server, ServerConfig};

    use super::*;
    use crate::auth::local_user;
    use crate::config::ManagementConfig;
    use crate::messaging::queues::NO_CONNECTION;

    #[tokio::test]
    async fn an_answer_ends_before_it_is_too_large() {
        let listeners = vec![ListenerConfig::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))];
        let server = Server::start(&ServerConfig { listeners, ..ServerConfig::default() }).unwrap();
        let api = Api::new(server.node(), ManagementConfig::default());
        let (user, vhost) = (local_user(), server.broker().vhost("/").unwrap());
        let (durable, exclusive, auto_delete, arguments) = (false, false, false, FieldTable::default());
        let declare =
            QueueDeclare { name: "q", durable, exclusive, auto_delete, arguments: &arguments, random: [0; 16] };
        let (queue, _, _) = vhost.declare_queue(&declare, &user, NO_CONNECTION).unwrap();
        let (properties, body) = (PropertiesRef::from_checked(&[0, 0]), Bytes::from_static(b"0123456789"));
        for _ in 0..4 {
            let once = Once { exchange: "", routing_key: "q", properties, body: &body };
            assert_eq!(publish_once(&vhost, &user, &once).unwrap().queues, 1);
        }
        for (bytes_max, truncate, expected) in
            [(25, None, 3), (5, None, 1), (40, None, 4), (25, Some(1), 4), (3, Some(1), 3), (1000, None, 4)]
        {
            let writing = Writing { auto: true, truncate };
            let wanted = Wanted { then: Then::Requeued, count: 4, bytes_max, writing };
            assert_eq!(rows(&api, &queue, "u", &wanted).await.unwrap().len(), expected, "{bytes_max} {truncate:?}");
        }
        server.shutdown().await;
    }
}
