//! A client of the machine, and a journal whose durable position the test moves.
#![allow(clippy::unwrap_used, dead_code, missing_docs, reason = "a test; not each file of tests needs all of it")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Bytes, BytesMut};
use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{Frame, FrameKind, begin_frame, end_frame, split_frame};
use leveret_codec::method::{ChannelOpen, ConnectionOpen, ConnectionStartOk, ConnectionTuneOk, Method};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::journal::{
    Blob, BlobStore, BlobWriter, BodyAt, Journal, LoadRequest, Lsn, Page, Record, StoredBlob, Waiter,
};
use leveret_engine::message::Parts;
use leveret_engine::names::ConnectionId;
use leveret_session::config::SessionConfig;
use leveret_session::connection::Connection;
use leveret_session::outbox::{Next, OutBuffer, Piece};
use parking_lot::Mutex;

/// What the client negotiates.
pub const FRAME_MAX: usize = 131_072;

/// A journal that is as durable as the test says.
#[derive(Default)]
pub struct TestJournal {
    state: Mutex<State>,
    blobs: Option<Arc<MemoryBlobs>>,
}

#[derive(Default)]
struct State {
    end: u64,
    durable: u64,
    waiting: Vec<(Lsn, Arc<dyn Waiter>)>,
    registrations: usize,
    is_full: bool,
    waiting_for_room: Vec<Arc<dyn Waiter>>,
}

impl TestJournal {
    pub fn with_blobs() -> Self {
        Self { blobs: Some(Arc::default()), ..Self::default() }
    }

    pub fn memory_blobs(&self) -> &Arc<MemoryBlobs> {
        self.blobs.as_ref().unwrap()
    }

    /// All that was appended becomes durable.
    pub fn commit(&self) {
        let mut state = self.state.lock();
        state.durable = state.end;
        let durable = Lsn(state.durable);
        let woken: Vec<_> = state.waiting.extract_if(.., |(lsn, _)| *lsn <= durable).collect();
        drop(state);
        woken.into_iter().for_each(|(_, waiter)| waiter.wake());
    }

    /// How often somebody has asked to be woken.
    pub fn registrations(&self) -> usize {
        self.state.lock().registrations
    }

    pub fn set_full(&self, is_full: bool) {
        let mut state = self.state.lock();
        state.is_full = is_full;
        let woken = if is_full { Vec::new() } else { std::mem::take(&mut state.waiting_for_room) };
        drop(state);
        woken.into_iter().for_each(|waiter| waiter.wake());
    }
}

impl Journal for TestJournal {
    fn append(&self, _record: &Record<'_>) -> Lsn {
        let mut state = self.state.lock();
        state.end += 1;
        Lsn(state.end)
    }

    fn append_bodies(&self, bodies: &[Parts<'_>], at: &mut Vec<BodyAt>) {
        at.resize(at.len() + bodies.len(), BodyAt::default());
    }

    fn durable(&self) -> Lsn {
        Lsn(self.state.lock().durable)
    }

    fn when_durable(&self, lsn: Lsn, waiter: Arc<dyn Waiter>) {
        let mut state = self.state.lock();
        state.registrations += 1;
        if lsn.0 > state.durable {
            state.waiting.push((lsn, waiter));
            return;
        }
        drop(state);
        waiter.wake();
    }

    fn can_page(&self) -> bool {
        false
    }

    fn load(&self, request: LoadRequest) {
        request.reader.loaded(Page { messages: Vec::new(), next: request.range.last + 1 });
    }

    fn is_full(&self) -> bool {
        self.state.lock().is_full
    }

    fn when_room(&self, waiter: Arc<dyn Waiter>) {
        let mut state = self.state.lock();
        if state.is_full {
            state.waiting_for_room.push(waiter);
            return;
        }
        drop(state);
        waiter.wake();
    }

    fn blobs(&self) -> Option<Arc<dyn BlobStore>> {
        self.blobs.clone().map(|blobs| blobs as Arc<dyn BlobStore>)
    }
}

/// Large bodies, counted.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    /// Writers that were ever made.
    pub created: AtomicUsize,
    /// Writers and bodies that are there.
    pub alive: Arc<AtomicUsize>,
    /// Bodies cannot be read any more.
    pub is_broken: Arc<AtomicBool>,
}

impl MemoryBlobs {
    pub fn created(&self) -> usize {
        self.created.load(Ordering::SeqCst)
    }

    pub fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct MemoryBlob {
    bytes: Vec<u8>,
    alive: Arc<AtomicUsize>,
    is_broken: Arc<AtomicBool>,
}

impl Drop for MemoryBlob {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl BlobStore for MemoryBlobs {
    fn create(&self) -> Box<dyn BlobWriter> {
        self.created.fetch_add(1, Ordering::SeqCst);
        self.alive.fetch_add(1, Ordering::SeqCst);
        let (alive, is_broken) = (Arc::clone(&self.alive), Arc::clone(&self.is_broken));
        Box::new(MemoryBlob { bytes: Vec::new(), alive, is_broken })
    }
}

impl BlobWriter for MemoryBlob {
    fn append(&mut self, piece: Bytes) {
        self.bytes.extend_from_slice(&piece);
    }

    fn finish(self: Box<Self>) -> Blob {
        Arc::from(self as Box<dyn StoredBlob>)
    }
}

impl StoredBlob for MemoryBlob {
    fn id(&self) -> u64 {
        0
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("broken"));
        }
        let from = usize::try_from(offset).unwrap();
        let wanted = self.bytes.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(wanted);
        Ok(())
    }
}

/// Counts how often it was woken: a task, or one who waits for the journal.
#[derive(Default)]
pub struct Woken(AtomicUsize);

impl Woken {
    pub fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Waiter for Woken {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A broker over a journal.
pub struct Host {
    pub journal: Arc<TestJournal>,
    pub config: Arc<SessionConfig>,
    broker: Arc<Broker>,
}

impl Host {
    pub fn new(journal: TestJournal) -> Self {
        let journal = Arc::new(journal);
        let broker = Arc::new(Broker::new(Arc::<TestJournal>::clone(&journal)));
        Self { journal, broker, config: Arc::new(SessionConfig::new("rabbit@test", || [7; 16])) }
    }

    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// A client with two open channels that can be blocked.
    pub fn client(&self, id: u64) -> Client {
        self.client_with(id, &["connection.blocked"])
    }

    /// A connection that nobody has said anything on.
    pub fn machine(&self, id: u64) -> Connection {
        Connection::new(&self.broker, &self.config, ConnectionId(id), true)
    }

    pub fn client_with(&self, id: u64, capabilities: &[&str]) -> Client {
        let mut client = Client::of(self.machine(id));
        client.feed(&hello(capabilities));
        client.take();
        client
    }
}

fn hello(capabilities: &[&str]) -> Vec<u8> {
    let mut known = FieldTable::default();
    for capability in capabilities {
        known.push(capability.as_bytes(), FieldValue::Bool(true));
    }
    let mut properties = FieldTable::default();
    properties.push(&b"capabilities"[..], FieldValue::Table(known));
    let mut encoded = Vec::new();
    properties.encode(&mut encoded);
    let mut hello = PROTOCOL_HEADER.to_vec();
    let start_ok = ConnectionStartOk {
        client_properties: TableRef::from_raw(&encoded),
        mechanism: "PLAIN",
        response: b"\0guest\0guest",
        locale: "en_US",
    };
    let frame_max = u32::try_from(FRAME_MAX).unwrap();
    hello.extend(method(0, start_ok));
    hello.extend(method(0, ConnectionTuneOk { channel_max: 2047, frame_max, heartbeat: 0 }));
    hello.extend(method(0, ConnectionOpen { virtual_host: "/" }));
    hello.extend(method(1, ChannelOpen));
    hello.extend(method(2, ChannelOpen));
    hello
}

/// A client, and the tasks that the server has for it.
pub struct Client {
    pub machine: Connection,
    input: BytesMut,
    out: OutBuffer,
    pub writer: Arc<Woken>,
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub kind: FrameKind,
    pub channel: u16,
    pub payload: Vec<u8>,
}

impl Heard {
    /// Class and method.
    pub fn ids(&self) -> Option<(u16, u16)> {
        let ids = self.payload.first_chunk::<4>().filter(|_| self.kind == FrameKind::Method)?;
        Some((u16::from_be_bytes([ids[0], ids[1]]), u16::from_be_bytes([ids[2], ids[3]])))
    }
}

impl Client {
    pub fn of(machine: Connection) -> Self {
        Self { machine, input: BytesMut::new(), out: OutBuffer::default(), writer: Arc::default() }
    }

    /// What a reader does, less the waiting.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while self.machine.feed(&mut self.input) {}
    }

    /// What a writer does: the next buffer as bytes, and what comes after it.
    pub fn poll(&mut self) -> Poll<(Vec<u8>, Next)> {
        let waker = Waker::from(Arc::clone(&self.writer));
        let mut context = Context::from_waker(&waker);
        let outbox = Arc::clone(self.machine.outbox());
        outbox.poll_take(&mut context, &mut self.out).map(|next| {
            outbox.resume_parked(&mut Effects::default());
            (flat(&self.out), next)
        })
    }

    /// All frames that are there.
    pub fn take(&mut self) -> Vec<Heard> {
        let mut sent = Vec::new();
        while let Poll::Ready((bytes, next)) = self.poll() {
            sent.extend(bytes);
            if next == Next::Finish {
                break;
            }
        }
        frames(&sent)
    }

    /// The methods among the frames that are there, by class and method.
    pub fn take_ids(&mut self) -> Vec<(u16, u16)> {
        self.take().iter().filter_map(Heard::ids).collect()
    }

    /// The bodies among the frames that are there.
    pub fn take_bodies(&mut self) -> Vec<Vec<u8>> {
        let mut bodies: Vec<Vec<u8>> = Vec::new();
        for frame in self.take() {
            match (frame.kind, bodies.last_mut()) {
                (FrameKind::Header, _) => bodies.push(Vec::new()),
                (FrameKind::Body, Some(body)) => {
                    assert!(frame.payload.len() <= FRAME_MAX - 8);
                    body.extend(frame.payload);
                }
                _ => {}
            }
        }
        bodies
    }
}

fn flat(out: &OutBuffer) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in out.pieces() {
        match piece {
            Piece::Bytes(piece) => bytes.extend_from_slice(piece),
            Piece::Blob(body) => {
                let (mut at, mut read) = (0, Vec::new());
                while at < body.body_len() {
                    at = body.read(at, 2 * FRAME_MAX, &mut read).unwrap();
                    assert!(read.len() <= 2 * FRAME_MAX);
                    bytes.extend_from_slice(&read);
                }
            }
        }
    }
    bytes
}

fn frames(mut bytes: &[u8]) -> Vec<Heard> {
    let mut heard = Vec::new();
    while let Some(frame) = split_frame(bytes, usize::MAX).unwrap() {
        let Frame { kind, channel, payload } = frame;
        heard.push(Heard { kind, channel, payload: payload.to_vec() });
        bytes = &bytes[frame.wire_len()..];
    }
    assert!(bytes.is_empty());
    heard
}

pub fn method<'m>(channel: u16, method: impl Into<Method<'m>>) -> Vec<u8> {
    let mut frame = Vec::new();
    method.into().write_frame(channel, &mut frame);
    frame
}

/// The content header of a message.
pub fn header(channel: u16, properties: &Properties, body_size: u64) -> Vec<u8> {
    let (mut encoded, mut frame) = (Vec::new(), Vec::new());
    properties.encode(&mut encoded);
    let properties = PropertiesRef::parse(&encoded).unwrap();
    ContentHeader { class_id: 60, weight: 0, body_size, properties }.write_frame(channel, &mut frame);
    frame
}

/// A body in frames of `frame_bytes` each.
pub fn body(channel: u16, body: &[u8], frame_bytes: usize) -> Vec<u8> {
    let mut frames = Vec::new();
    for piece in body.chunks(frame_bytes) {
        let start = begin_frame(&mut frames, FrameKind::Body, channel);
        frames.extend_from_slice(piece);
        end_frame(&mut frames, start);
    }
    frames
}

/// Persistent.
pub fn persistent() -> Properties {
    Properties { delivery_mode: Some(2), ..Properties::default() }
}
