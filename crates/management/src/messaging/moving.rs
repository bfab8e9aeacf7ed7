//! Messages are moved from a queue elsewhere, and dead letters back to where they came from.
//!
//! It is done in batches: looked at, taken, published, settled once that is durable. The work goes on until it is done or the
//! client goes; a batch that has begun is always brought to its end.

use std::sync::Arc;
use std::time::Duration;

use leveret_server::engine::error::Error;
use leveret_server::engine::journal::Lsn;
use leveret_server::engine::permission::{Resource as Thing, Verb};
use leveret_server::engine::queue::{Browse, Entry, MessageState, Queue};
use leveret_server::engine::user::User;
use leveret_server::engine::vhost::{MoveTo, Vhost};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::http::body::Fields;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::limits::{MOVED_BATCH_BYTES, MOVED_BATCH_MESSAGES, MOVED_BATCHES_A_SECOND};
use crate::messaging::filter::Filter;
use crate::messaging::own::look;
use crate::state::Api;

pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::at("/api/queues/{vhost}/{queue}/move").post(
            Right::Vhost,
            "Move ready messages to a queue (to_queue) or an exchange (to_exchange, routing_key); fields count, rate, filter",
            move_messages,
        ),
        Resource::at("/api/queues/{vhost}/{queue}/redrive").post(
            Right::Vhost,
            "Put dead letters back into the queues in which they died first; fields count, rate, filter, reset",
            redrive,
        ),
    ]
}

/// What is to be done.
struct Job {
    vhost: Arc<Vhost>,
    queue: Arc<Queue>,
    user: Arc<User>,
    to: MoveTo,
    /// Most messages.
    count: u64,
    /// Most messages a second.
    rate: Option<u64>,
    filter: Filter,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    moved: u64,
    refused: u64,
    /// When that they are gone from their old queue is durable.
    lsn: Lsn,
}

impl Job {
    fn new(
        call: &Call,
        fields: &Fields,
        (vhost, queue): (Arc<Vhost>, Arc<Queue>),
        to: MoveTo,
    ) -> Result<Self, ApiError> {
        if queue.is_stream() {
            return Err(ApiError::bad_request("messages of a stream stay where they are"));
        }
        let positive = |name: &str| match fields.integer(name)? {
            None => Ok(None),
            Some(number) => match u64::try_from(number) {
                Ok(number) if number > 0 => Ok(Some(number)),
                _ => Err(ApiError::bad_request(format!("{name}: not above 0: {number}"))),
            },
        };
        let (count, rate) = (positive("count")?.unwrap_or(u64::MAX), positive("rate")?);
        tracing::info!(
            queue = &*queue.name,
            vhost = &*vhost.name,
            user = call.access.name(),
            "messages are moved: {to:?}"
        );
        Ok(Self { vhost, queue, user: Arc::clone(&call.access.user), to, count, rate, filter: Filter::of(fields)? })
    }

    /// How many go together.
    fn batch_max(&self) -> usize {
        let by_rate = self.rate.map_or(u64::MAX, |rate| (rate / MOVED_BATCHES_A_SECOND).max(1));
        usize::try_from(by_rate).unwrap_or(usize::MAX).min(MOVED_BATCH_MESSAGES)
    }

    async fn carry_out(self, api: Api, stop: CancellationToken) -> Result<Moved, ApiError> {
        let mut done = Moved::default();
        // What comes meanwhile stays: it may be what was moved.
        let last = self.queue.last_position();
        let mut from = Some(1);
        while let Some(next) = from.filter(|from| *from <= last)
            && done.moved < self.count
            && !stop.is_cancelled()
        {
            let what = Browse { from: next, messages_max: MOVED_BATCH_MESSAGES, bytes_max: MOVED_BATCH_BYTES };
            let page = look(&self.queue, what).await?;
            from = page.next;
            let ready = page.messages.into_iter().filter(|message| message.state == MessageState::Ready);
            let wanted = ready.map(|message| message.entry).filter(|entry| entry.seq <= last);
            let mut wanted: Vec<Entry> = wanted.filter(|entry| self.filter.takes(&entry.message.parts())).collect();
            let left = usize::try_from(self.count - done.moved).unwrap_or(usize::MAX);
            wanted.truncate(left);
            let mut wanted = wanted.into_iter().peekable();
            while wanted.peek().is_some() && !stop.is_cancelled() {
                let batch: Vec<Entry> = wanted.by_ref().take(self.batch_max()).collect();
                if !self.batch(&api, batch, &mut done).await? {
                    return Ok(done);
                }
            }
        }
        Ok(done)
    }

    /// Moves some messages; false when there is no place for more.
    async fn batch(&self, api: &Api, wanted: Vec<Entry>, done: &mut Moved) -> Result<bool, ApiError> {
        wanted.iter().try_for_each(|entry| self.check_topic(entry))?;
        api.journal_has_room().await?;
        let relocated = self.vhost.relocate(self.queue.take(wanted), &self.to);
        let refused = relocated.refused as u64;
        done.refused += refused;
        api.durable(relocated.lsn).await?;
        let settled = relocated.arrived.settle();
        done.moved += settled.messages as u64;
        done.lsn = done.lsn.max(settled.lsn);
        if let Some(rate) = self.rate {
            tokio::time::sleep(Duration::from_micros(settled.messages as u64 * 1_000_000 / rate)).await;
        }
        Ok(refused == 0 || matches!(self.to, MoveTo::Origin { .. }))
    }

    /// The right that publishing the message where it goes needs.
    fn check_topic(&self, entry: &Entry) -> Result<(), Error> {
        let MoveTo::Exchange(exchange, key) = &self.to else { return Ok(()) };
        let parts = entry.message.parts();
        let key = key.as_deref().unwrap_or(parts.routing_key);
        self.user.check_topic(&self.vhost, Verb::Write, exchange, key)
    }

    async fn run(self, api: &Api) -> Answer {
        let stop = CancellationToken::new();
        // Dropped with the request, should the client go.
        let _guard = stop.clone().drop_guard();
        let queue = Arc::clone(&self.queue);
        let worker = tokio::spawn(self.carry_out(api.clone(), stop));
        let done = worker.await.map_err(|error| ApiError::Internal(error.to_string()))??;
        api.durable(done.lsn).await?;
        let Moved { moved, refused, .. } = done;
        Ok(crate::http::answer::json(&json!({
            "moved": moved, "refused": refused, "messages_ready": queue.counts().ready,
        })))
    }
}

async fn move_messages(call: Call) -> Answer {
    let (vhost, queue) = call.readable_queue()?;
    let fields = call.fields()?;
    let user = &call.access.user;
    let to = match (fields.checked_text("to_queue")?, fields.checked_text("to_exchange")?) {
        (Some(name), None) => {
            user.check(&vhost, Verb::Write, Thing::Queue(name))?;
            MoveTo::Queue(vhost.usable_queue(name, super::queues::NO_CONNECTION)?)
        }
        (None, Some(name)) => {
            let name = if name == "amq.default" { "" } else { name };
            user.check(&vhost, Verb::Write, Thing::Exchange(name))?;
            let exchange = vhost.exchange(name)?;
            if exchange.internal {
                let (exchange, vhost) = (exchange.name.clone(), vhost.name.clone());
                return Err(Error::InternalExchange { exchange, vhost }.into());
            }
            MoveTo::Exchange(exchange, fields.routing_key()?.map(|key| key.as_bytes().into()))
        }
        _ => return Err(ApiError::bad_request("say either to_queue or to_exchange")),
    };
    Job::new(&call, &fields, (vhost, queue), to)?.run(&call.api).await
}

async fn redrive(call: Call) -> Answer {
    let (vhost, queue) = call.readable_queue()?;
    let fields = call.fields()?;
    // Where the messages go is not known yet: whoever may write to the default exchange reaches any queue.
    call.access.user.check(&vhost, Verb::Write, Thing::Exchange(""))?;
    let to = MoveTo::Origin { reset: fields.bool_or("reset", false)? };
    Job::new(&call, &fields, (vhost, queue), to)?.run(&call.api).await
}
