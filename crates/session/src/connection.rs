//! The machine of one connection: bytes in, engine calls and an outbox out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use leveret_codec::erlang::Octets;
use leveret_codec::frame::{Frame, FrameError, FrameKind, split_frame};
use leveret_codec::limits::FRAME_OVERHEAD;
use leveret_codec::method::{ConnectionClose, ConnectionCloseOk, Method, MethodError};
use leveret_codec::reply_code::ReplyCode;
use leveret_engine::admission::Admission;
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::interceptors::Interceptors;
use leveret_engine::names::ConnectionId;
use leveret_engine::user::User;
use leveret_engine::vhost::Vhost;

use crate::about::About;
use crate::batch::Batch;
use crate::channel::Channel;
use crate::config::SessionConfig;
use crate::error::{Close, Failure};
use crate::limits::{
    BATCH_BYTES_MAX, BODY_IN_MEMORY_BYTES_MAX, CLOSE_OK_PATIENCE, PRE_TUNE_FRAME_BYTES_MAX, REFUSED_PATIENCE,
    UNLIMITED_FRAME_BYTES_MAX,
};
use crate::outbox::Outbox;
use crate::owned_queues::OwnedQueues;
use crate::report::TOLD_CLOSING;
use crate::route_cache::RouteCache;
use crate::stall::{Stall, Stalled, Work};

/// One connection.
pub struct Connection {
    pub(crate) broker: Arc<Broker>,
    pub(crate) config: Arc<SessionConfig>,
    pub(crate) id: ConnectionId,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) peer_is_loopback: bool,
    pub(crate) state: State,
    pub(crate) client: Client,
    /// Who is logged in, before a vhost is chosen.
    pub(crate) user: Option<Arc<User>>,
    /// User and vhost, once open.
    pub(crate) home: Option<Arc<Home>>,
    /// Counts it towards limits, from when it is open until it is cleaned up after.
    pub(crate) admission: Option<Admission>,
    pub(crate) tuned: Tuned,
    pub(crate) channels: HashMap<u16, Channel, RandomState>,
    pub(crate) owned_queues: OwnedQueues,
    pub(crate) routes: RouteCache,
    pub(crate) effects: Effects,
    /// Frames of the last read: the next may have as many.
    frames_before: usize,
    /// Frames that wait.
    pub(crate) stalled: Option<Stalled>,
    /// Set by a method that has to wait; taken when its frames are put aside.
    pub(crate) stall: Option<Stall>,
    /// It has published in this read.
    pub(crate) published: bool,
    /// It has published at all.
    pub(crate) publishes: bool,
    /// It is not read any more, for an alarm.
    pub(crate) blocked: bool,
    pub(crate) about: About,
    /// The vhost was traced when this read began.
    pub(crate) traced: bool,
    /// A larger body is not held in memory.
    pub(crate) body_in_memory_max: u64,
    /// A larger body is not taken from the read buffer in one go.
    pub(crate) whole_body_max: u64,
    /// What is written into messages; if anything is, no body is taken in one go.
    pub(crate) interceptors: Option<Interceptors>,
}

/// Whose connection it is, and where.
pub(crate) struct Home {
    pub(crate) user: Arc<User>,
    pub(crate) vhost: Arc<Vhost>,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The protocol header comes next.
    Header,
    /// connection.start is sent.
    Starting,
    /// connection.tune is sent.
    Tuning,
    /// tune-ok has come.
    Opening,
    Running,
    /// The server has sent connection.close and waits for close-ok.
    Closing,
    /// What comes is not read any more; the socket is closed after a while.
    Refused,
    /// All is said: the socket is closed once it is written.
    Done,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Header => "handshake",
            Self::Starting => "starting",
            Self::Tuning => "tuning",
            Self::Opening => "opening",
            Self::Running => "running",
            Self::Closing | Self::Refused => "closing",
            Self::Done => "closed",
        }
    }
}

/// What the client said that it can do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Client {
    pub(crate) consumer_cancel_notify: bool,
    pub(crate) authentication_failure_close: bool,
    pub(crate) connection_blocked: bool,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuned {
    pub(crate) channel_max: u16,
    pub(crate) frame_max: usize,
    pub(crate) heartbeat_s: u16,
}

impl Tuned {
    /// The largest frame as it was agreed on: 0 is no limit.
    pub(crate) fn told_frame_max(&self) -> u64 {
        if self.frame_max == UNLIMITED_FRAME_BYTES_MAX { 0 } else { self.frame_max as u64 }
    }
}

/// How long the server may wait for the client before it closes the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as heartbeats come, each of so many seconds; 0 for ever.
    Endless {
        /// The interval.
        heartbeat_s: u16,
        /// When the login comes to its end, if it does: [`Connection::until_login_ends`] says how long that is.
        login_ends_at_ms: Option<u64>,
    },
    /// So long, counted from when this was first the answer.
    Until(Duration),
    /// No longer.
    Over,
}

/// Where a frame lies in a chunk.
#[derive(Clone, Copy)]
pub(crate) struct FrameSpan {
    pub(crate) kind: FrameKind,
    pub(crate) channel: u16,
    pub(crate) start: usize,
    pub(crate) len: usize,
}

impl FrameSpan {
    pub(crate) fn payload<'c>(&self, chunk: &'c Bytes) -> &'c [u8] {
        chunk.get(self.start..self.start + self.len).unwrap_or_default()
    }
}

/// The frames of one read, and how far they are worked off.
pub(crate) struct Frames<'c> {
    pub(crate) chunk: &'c Bytes,
    pub(crate) spans: &'c [FrameSpan],
    pub(crate) next: usize,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection whose peer has not said anything yet.
    #[must_use]
    pub fn new(broker: &Arc<Broker>, config: &Arc<SessionConfig>, id: ConnectionId, peer_is_loopback: bool) -> Self {
        let frame_max = config.frame_max as usize;
        let body_in_memory_max = match broker.services.journal.blobs() {
            Some(_) => BODY_IN_MEMORY_BYTES_MAX,
            None => u64::MAX,
        };
        let interceptors = broker.services.interceptors();
        let whole_body_max = if interceptors.is_some() { 0 } else { body_in_memory_max.min(config.message_bytes_max) };
        Self {
            broker: Arc::clone(broker),
            config: Arc::clone(config),
            id,
            outbox: Arc::new(Outbox::new(Arc::clone(&broker.services.journal), frame_max)),
            peer_is_loopback,
            state: State::Header,
            client: Client::default(),
            user: None,
            home: None,
            admission: None,
            tuned: Tuned { channel_max: 0, frame_max: PRE_TUNE_FRAME_BYTES_MAX, heartbeat_s: 0 },
            channels: HashMap::default(),
            owned_queues: OwnedQueues::default(),
            routes: RouteCache::default(),
            effects: Effects::default(),
            frames_before: 0,
            stalled: None,
            stall: None,
            published: false,
            publishes: false,
            blocked: false,
            about: About::new(id),
            traced: false,
            body_in_memory_max,
            whole_body_max,
            interceptors,
        }
    }

    /// What it has to send.
    #[must_use]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// How long to wait for the client.
    #[must_use]
    pub fn patience(&self) -> Patience {
        match self.state {
            State::Header | State::Starting | State::Tuning | State::Opening => {
                Patience::Until(self.config.handshake_timeout)
            }
            State::Running => Patience::Endless {
                heartbeat_s: self.tuned.heartbeat_s,
                login_ends_at_ms: self.home.as_ref().and_then(|home| home.user.expires_at_ms()),
            },
            State::Closing => Patience::Until(match self.tuned.heartbeat_s {
                0 => CLOSE_OK_PATIENCE,
                heartbeat_s => CLOSE_OK_PATIENCE.min(Duration::from_secs(heartbeat_s.into())),
            }),
            State::Refused => Patience::Until(REFUSED_PATIENCE),
            State::Done => Patience::Over,
        }
    }

    /// Works off the whole frames at the beginning of `input`, at most a batch, and takes them out of it. Says whether there
    /// may be more to work off without reading. After a no, [`Connection::stall`] and [`Connection::rest`] tell what to wait
    /// for before reading.
    pub fn feed(&mut self, input: &mut BytesMut) -> bool {
        self.outbox.cork();
        let more = self.feed_corked(input);
        self.publish_notices();
        self.outbox.uncork();
        more
    }

    fn feed_corked(&mut self, input: &mut BytesMut) -> bool {
        match self.state {
            State::Refused | State::Done => {
                input.clear();
                self.stalled = None;
                return false;
            }
            State::Header => return self.protocol_header(input),
            _ => {}
        }
        let more = match self.stalled.take() {
            Some(Stalled { work, .. }) => self.work_off(work),
            None => {
                let mut spans = Vec::with_capacity(self.frames_before);
                let (len, error) = self.scan(input, &mut spans);
                self.frames_before = spans.len();
                let chunk = input.split_to(len).freeze();
                self.work_off(Work { chunk, spans, next: 0, error }) && len > 0
            }
        };
        if self.published {
            self.note_publishing();
        }
        more && !matches!(self.state, State::Refused | State::Done)
    }

    /// Bytes that `input` should have room for: those of the frame that it begins with.
    #[must_use]
    pub fn wanted_bytes(input: &[u8], known_max: usize) -> usize {
        match input.get(3..7) {
            Some(&[a, b, c, d]) => (u32::from_be_bytes([a, b, c, d]) as usize + FRAME_OVERHEAD).min(known_max),
            _ => 0,
        }
    }

    /// Largest frame that the client may send.
    #[must_use]
    pub fn frame_bytes_max(&self) -> usize {
        self.tuned.frame_max + FRAME_OVERHEAD
    }

    /// Finds whole frames: one at a time until the connection is open, since what a frame may be changes with each.
    fn scan(&self, input: &[u8], spans: &mut Vec<FrameSpan>) -> (usize, Option<FrameError>) {
        let frames_max = if self.state == State::Running { usize::MAX } else { 1 };
        let payload_max = self.tuned.frame_max - FRAME_OVERHEAD;
        let mut at = 0;
        while spans.len() < frames_max && at < BATCH_BYTES_MAX {
            match split_frame(input.get(at..).unwrap_or_default(), payload_max) {
                Ok(Some(Frame { kind, channel, payload })) => {
                    spans.push(FrameSpan { kind, channel, start: at + 7, len: payload.len() });
                    at += payload.len() + FRAME_OVERHEAD;
                }
                Ok(None) => break,
                Err(error) => return (at, Some(error)),
            }
        }
        (at, None)
    }

    /// Works off the frames of a read. When one of them has to wait, it and those after it are put aside: then false.
    fn work_off(&mut self, mut work: Work) -> bool {
        let mut frames = Frames { chunk: &work.chunk, spans: &work.spans, next: work.next };
        self.work_off_frames(&mut frames);
        work.next = frames.next;
        if let Some(stall) = self.stall.take() {
            self.stalled = Some(Stalled { work, stall });
            return false;
        }
        if let Some(error) = &work.error {
            self.frame_error(error);
        }
        true
    }

    fn work_off_frames(&mut self, frames: &mut Frames<'_>) {
        let mut batch = Batch::of_frames(frames.spans.len() - frames.next);
        if let Some(home) = &self.home {
            self.traced = home.vhost.is_traced();
            self.routes.expect(home.user.generation(), &self.outbox.tallies.routed);
        }
        while let Some(span) = frames.spans.get(frames.next).copied() {
            let at = frames.next;
            frames.next += 1;
            if let Err(failure) = self.frame(span, frames, &mut batch) {
                self.flush(&mut batch);
                self.fail(span.channel, failure);
            }
            if self.stall.is_some() {
                frames.next = at;
                break;
            }
        }
        self.flush(&mut batch);
        self.routes.tell(&self.outbox.tallies.routed);
    }

    fn frame<'c>(&mut self, span: FrameSpan, frames: &mut Frames<'c>, batch: &mut Batch<'c>) -> Result<(), Failure> {
        match self.state {
            State::Running if span.channel != 0 => self.channel_frame(span, frames, batch),
            State::Closing => {
                self.frame_while_closing(span.payload(frames.chunk), span);
                Ok(())
            }
            State::Refused | State::Done => Ok(()),
            _ => {
                let payload = span.payload(frames.chunk);
                let frame = Frame { kind: span.kind, channel: span.channel, payload };
                match span.kind {
                    FrameKind::Heartbeat if span.channel == 0 => Ok(()),
                    FrameKind::Method if span.channel == 0 => {
                        self.flush(batch);
                        let method = Method::decode(payload).map_err(|error| undecodable(error, payload))?;
                        self.connection_method(&method)
                    }
                    _ => Err(unexpected_frame(&frame)),
                }
            }
        }
    }

    /// After connection.close was sent only its answer counts, or a close that crossed it.
    fn frame_while_closing(&mut self, payload: &[u8], span: FrameSpan) {
        if span.kind != FrameKind::Method || span.channel != 0 {
            return;
        }
        match Method::decode(payload) {
            Ok(Method::ConnectionCloseOk(_)) => self.finish(),
            Ok(Method::ConnectionClose(_)) => self.outbox.send_method(0, ConnectionCloseOk),
            _ => {}
        }
    }

    fn connection_method(&mut self, method: &Method<'_>) -> Result<(), Failure> {
        match (self.state, method) {
            (_, Method::ConnectionClose(_)) => {
                self.clean_up();
                self.outbox.send_method(0, ConnectionCloseOk);
                self.finish();
                Ok(())
            }
            (State::Starting, Method::ConnectionStartOk(start_ok)) => self.start_ok(start_ok, method.ids()),
            (State::Tuning, Method::ConnectionTuneOk(tune_ok)) => self.tune_ok(*tune_ok),
            (State::Opening, Method::ConnectionOpen(open)) => self.open(open, method.ids()),
            (State::Running, Method::ConnectionUpdateSecret(update)) => self.update_secret(update, method.ids()),
            (state, _) => {
                let text = format!("unexpected method in connection state {}", state.name());
                Err(Failure::new(ReplyCode::ChannelError, text, method.ids()))
            }
        }
    }

    /// Does what a failure asks for.
    pub(crate) fn fail(&mut self, channel: u16, failure: Failure) {
        match failure {
            Failure::Channel(close) if channel != 0 => self.close_channel(channel, &close),
            Failure::Channel(close) | Failure::Connection(close) => self.close(&close, State::Closing),
            Failure::Fatal(close) => self.close(&close, State::Refused),
        }
    }

    /// Where the next frame begins is not known any more: nothing more is read.
    fn frame_error(&mut self, error: &FrameError) {
        if self.state == State::Closing {
            // The client has been told why; its close-ok will not be found.
            self.state = State::Refused;
            return;
        }
        self.fail(0, Failure::Fatal(Close { code: ReplyCode::FrameError, text: error.to_string(), ids: (0, 0) }));
    }

    fn close(&mut self, close: &Close, next: State) {
        if matches!(self.state, State::Closing | State::Refused | State::Done) {
            return;
        }
        self.clean_up();
        let said = match self.state {
            State::Header | State::Starting => false,
            State::Tuning | State::Opening | State::Running => true,
            State::Closing | State::Refused | State::Done => return,
        };
        // Before there is a user nothing is explained to the peer.
        if said {
            self.send_close(close);
        }
        self.state = if said { next } else { State::Refused };
        self.outbox.told_state.store(TOLD_CLOSING, Ordering::Relaxed);
    }

    pub(crate) fn send_close(&self, close: &Close) {
        let text = close.reply_text();
        self.outbox.send_method(
            0,
            ConnectionClose {
                reply_code: close.code.code(),
                reply_text: &text,
                class_id: close.ids.0,
                method_id: close.ids.1,
            },
        );
    }

    /// Closes the connection from the server's side (320), as on shutdown or by an operator.
    pub fn force_close(&mut self, reason: &str) {
        let close = Close { code: ReplyCode::ConnectionForced, text: reason.to_owned(), ids: (0, 0) };
        self.close(&close, State::Closing);
        if self.state == State::Refused {
            self.finish();
        }
    }

    /// The socket is gone.
    pub fn disconnected(&mut self) {
        self.clean_up();
        self.tell_ended();
        self.publish_notices();
        self.stalled = None;
        self.state = State::Done;
        self.outbox.close();
    }

    pub(crate) fn finish(&mut self) {
        self.state = State::Done;
        self.outbox.finish();
    }

    /// Ends the channels and deletes the exclusive queues.
    fn clean_up(&mut self) {
        let numbers: Vec<u16> = self.channels.keys().copied().collect();
        // All consumers first: what one channel gives back should not go to another that is about to end.
        for number in &numbers {
            self.end_consumers(*number);
        }
        for number in numbers {
            self.end_channel(number);
            self.channels.remove(&number);
        }
        if let Some(home) = self.home.clone() {
            for queue in std::mem::take(&mut self.owned_queues).into_queues() {
                home.vhost.delete_owned_queue(&queue, &mut self.effects);
            }
        }
        self.effects.carry_out();
        // Who says goodbye may come back at once, however long the socket stays.
        self.admission = None;
    }
}

/// The refusal of a method that cannot be decoded.
#[cold]
pub(crate) fn undecodable(error: MethodError, payload: &[u8]) -> Failure {
    match error {
        MethodError::Unknown { class_id, method_id } => {
            Failure::new(ReplyCode::CommandInvalid, "unimplemented method", (class_id, method_id))
        }
        MethodError::Malformed => {
            let (ids, arguments) = payload.split_first_chunk::<4>().unwrap_or((&[0; 4], payload));
            let [c1, c0, m1, m0] = *ids;
            let ids = (u16::from_be_bytes([c1, c0]), u16::from_be_bytes([m1, m0]));
            Failure::new(ReplyCode::FrameError, format!("cannot decode {}", Octets(arguments)), ids)
        }
        MethodError::NotUtf8 => Failure::frame(ReplyCode::FrameError, "Malformed UTF-8 in shortstr"),
    }
}

/// The refusal of something that cannot be read.
pub(crate) fn cannot_decode(payload: &[u8]) -> Failure {
    Failure::frame(ReplyCode::FrameError, format!("cannot decode {}", Octets(payload)))
}

/// The refusal of a frame that has no place where it came.
pub(crate) fn unexpected_frame(frame: &Frame<'_>) -> Failure {
    Failure::frame(ReplyCode::UnexpectedFrame, frame.describe().to_string())
}
