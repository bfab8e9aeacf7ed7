//! What happens, line by line for as long as somebody listens: `/api/leveret/events`, `/api/leveret/log/stream`.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::channel::Channel;
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_server::engine::effects::Effects;
use leveret_server::engine::events;
use leveret_server::engine::names::ConnectionId;
use leveret_server::engine::queue::{Got, Queue};
use leveret_server::engine::vhost::{BindingKey, QueueDeclare, Vhost};
use serde_json::{Map, Value, json};

use crate::admin::tools::log_file;
use crate::auth::local_user;
use crate::error::ApiError;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::messaging::properties;

/// How often it is looked whether something happened.
const LOOK: Duration = Duration::from_millis(100);

/// How often an empty line is sent when nothing happened: that is how it is noticed that nobody listens any more.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// How long the queue of a listener outlives a broken one.
const EXPIRES_MS: i64 = 60_000;

/// Pieces that wait for a slow listener.
const PIECES: usize = 16;

/// Most bytes in a piece of the log.
const PIECE_BYTES: u64 = 64 * 1024;

/// No connection owns what is declared here.
const NO_CONNECTION: ConnectionId = ConnectionId(0);

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/leveret/events")
            .get(Right::Administrator, "Events as they happen, a JSON object a line", events)
            .any_type(),
        Resource::at("/api/leveret/log/stream")
            .get(Right::Administrator, "What is added to the log's file, line by line", log)
            .any_type(),
    ]
}

/// Something that is looked at again and again.
trait Watched: Send + 'static {
    /// What is new since the last look.
    fn look(&mut self) -> Vec<u8>;
}

/// Answers with what is new, for as long as somebody listens.
fn watch(mut watched: impl Watched) -> Response {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(PIECES);
    tokio::spawn(async move {
        let mut told = Instant::now();
        loop {
            let mut news = watched.look();
            if news.is_empty() {
                tokio::time::sleep(LOOK).await;
                if told.elapsed() < SIGN_OF_LIFE {
                    continue;
                }
                news.push(b'\n');
            }
            told = Instant::now();
            if sender.send_data(news.into()).await.is_err() {
                return;
            }
        }
    });
    answer::typed("application/x-ndjson", Body::new(body))
}

async fn events(call: Call) -> Answer {
    Ok(watch(Events::begin(&call)?))
}

/// A queue that events go to.
struct Events {
    vhost: Arc<Vhost>,
    queue: Arc<Queue>,
}

impl Events {
    fn begin(call: &Call) -> Result<Self, ApiError> {
        let broker = call.api.broker();
        let vhost = broker.vhosts().into_iter().find(|vhost| vhost.exchange(events::EXCHANGE).is_ok());
        let vhost = vhost.ok_or_else(|| ApiError::not_found("no vhost tells of events"))?;
        let mut arguments = FieldTable::default();
        arguments.push(*b"x-expires", FieldValue::I64(EXPIRES_MS));
        let name = format!("leveret.events-{:016x}", broker.services.random());
        let (durable, exclusive, auto_delete) = (false, false, false);
        let declare =
            QueueDeclare { name: &name, durable, exclusive, auto_delete, arguments: &arguments, random: [0; 16] };
        let user = local_user();
        let (queue, _, _) = vhost.declare_queue(&declare, &user, NO_CONNECTION)?;
        let begun = Self { vhost, queue };
        let mut effects = Effects::default();
        let no_arguments = FieldTable::default();
        let key =
            BindingKey { source: events::EXCHANGE, routing_key: b"#", arguments: &no_arguments, user: &user.name };
        begun.vhost.bind_queue(&key, &name, NO_CONNECTION, &mut effects)?;
        effects.carry_out();
        Ok(begun)
    }
}

impl Watched for Events {
    fn look(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        while let Got::Message { entry, .. } = self.queue.get(true) {
            let parts = entry.message.parts();
            let mut event = Map::new();
            event.insert("event".to_owned(), json!(String::from_utf8_lossy(parts.routing_key)));
            if let Some(Value::Object(headers)) =
                properties::to_json(parts.properties).get_mut("headers").map(Value::take)
            {
                event.extend(headers);
            }
            lines.extend_from_slice(Value::Object(event).to_string().as_bytes());
            lines.push(b'\n');
        }
        lines
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut effects = Effects::default();
        // It may be gone with its vhost.
        let _ = self.vhost.delete_queue(&self.queue.name, (false, false), &local_user(), NO_CONNECTION, &mut effects);
        effects.carry_out();
    }
}

async fn log(call: Call) -> Answer {
    let failed = |error: std::io::Error| ApiError::bad_request(format!("the log cannot be read: {error}"));
    Ok(watch(Log::at_end(log_file(&call)?).map_err(failed)?))
}

/// The log's file, read to where it ended.
struct Log {
    path: String,
    file: File,
}

impl Log {
    fn at_end(path: String) -> io::Result<Self> {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { path, file })
    }

    fn read(&mut self) -> Vec<u8> {
        let mut news = Vec::new();
        // What cannot be read now may be later.
        let _ = (&mut self.file).take(PIECE_BYTES).read_to_end(&mut news);
        news
    }

    /// The file that is there now in place of this one, which was moved away.
    fn successor(&self) -> Option<File> {
        let (there, own) = (fs::metadata(&self.path).ok()?, self.file.metadata().ok()?);
        let is_other = (there.dev(), there.ino()) != (own.dev(), own.ino());
        if is_other { File::open(&self.path).ok() } else { None }
    }
}

impl Watched for Log {
    /// Files answer at once where the system has just written them.
    fn look(&mut self) -> Vec<u8> {
        let news = self.read();
        if news.is_empty()
            && let Some(file) = self.successor()
        {
            // What came to the old one since the last look.
            let last = self.read();
            self.file = file;
            return last;
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_log_is_followed_from_its_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"before\n").unwrap();
        let path = file.path().display().to_string();
        let mut log = Log::at_end(path.clone()).unwrap();
        assert_eq!(log.look(), b"");
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(log.look(), b"one\ntw");
        file.write_all(b"o\n").unwrap();
        assert_eq!((log.look(), log.look()), (b"o\n".to_vec(), Vec::new()));
        // Rotated: what is there now is another file.
        let moved = format!("{path}.1");
        fs::rename(&path, &moved).unwrap();
        fs::write(&path, "new\n").unwrap();
        file.write_all(b"last\n").unwrap();
        assert_eq!((log.look(), log.look(), log.look()), (b"last\n".to_vec(), Vec::new(), b"new\n".to_vec()));
        fs::remove_file(&moved).unwrap();
    }
}
