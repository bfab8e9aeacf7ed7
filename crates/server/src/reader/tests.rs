//! Reader and writer over a real socket, with a journal that is as durable as the test says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::sync::atomic::{AtomicBool, AtomicU64};

use bytes::Bytes;
use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{FrameKind, begin_frame, end_frame};
use leveret_codec::method::{
    BasicConsume, BasicGet, BasicPublish, ChannelOpen, ConnectionClose, ConnectionOpen, ConnectionStartOk,
    ConnectionTuneOk, Method, QueueDeclare,
};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use leveret_engine::broker::Broker;
use leveret_engine::journal::{
    Blob, BlobStore, BlobWriter, BodyAt, Journal, LoadRequest, Lsn, MemoryJournal, Record, StoredBlob,
};
use leveret_engine::message::Parts;
use leveret_engine::names::ConnectionId;
use leveret_session::alarms::Alarm;
use leveret_session::config::SessionConfig;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;
use crate::accept::join;
use crate::writer;

const FRAME_MAX: usize = 131_072;

/// Bytes that the reader's task, the writer's, the machine and what they share may take.
const SIZES_MAX: [usize; 4] = [320, 576, 856, 136];

#[derive(Default)]
struct SlowJournal {
    memory: MemoryJournal,
    durable: AtomicU64,
    waiting: Mutex<Vec<Arc<dyn Waiter>>>,
    blobs: Arc<Blobs>,
}

impl SlowJournal {
    fn commit(&self) {
        self.durable.store(u64::MAX, Ordering::SeqCst);
        std::mem::take(&mut *self.waiting.lock()).iter().for_each(|waiter| waiter.wake());
    }
}

impl Journal for SlowJournal {
    fn append(&self, record: &Record<'_>) -> Lsn {
        self.memory.append(record)
    }
    fn append_bodies(&self, bodies: &[Parts<'_>], at: &mut Vec<BodyAt>) {
        self.memory.append_bodies(bodies, at);
    }
    fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::SeqCst))
    }
    fn when_durable(&self, _lsn: Lsn, waiter: Arc<dyn Waiter>) {
        self.waiting.lock().push(waiter);
    }
    fn can_page(&self) -> bool {
        false
    }
    fn load(&self, request: LoadRequest) {
        self.memory.load(request);
    }
    fn is_full(&self) -> bool {
        false
    }
    fn when_room(&self, waiter: Arc<dyn Waiter>) {
        waiter.wake();
    }
    fn blobs(&self) -> Option<Arc<dyn BlobStore>> {
        Some(Arc::<Blobs>::clone(&self.blobs))
    }
}

#[derive(Clone, Debug, Default)]
struct Blobs {
    are_broken: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Body(Blobs, Vec<u8>);

impl BlobStore for Blobs {
    fn create(&self) -> Box<dyn BlobWriter> {
        Box::new(Body(self.clone(), Vec::new()))
    }
}

impl BlobWriter for Body {
    fn append(&mut self, piece: Bytes) {
        self.1.extend_from_slice(&piece);
    }
    fn finish(self: Box<Self>) -> Blob {
        Arc::from(self as Box<dyn StoredBlob>)
    }
}

impl StoredBlob for Body {
    fn id(&self) -> u64 {
        0
    }
    fn len(&self) -> u64 {
        self.1.len() as u64
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.0.are_broken.load(Ordering::SeqCst) && offset > 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let from = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.1[from..from + out.len()]);
        Ok(())
    }
}

/// How long anything may take that is to come about.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connected client, and what it is connected to.
struct Fixture {
    journal: Arc<SlowJournal>,
    config: Arc<SessionConfig>,
    connection: Arc<Connected>,
    /// The writer's and the reader's.
    tasks: [JoinHandle<()>; 2],
    socket: TcpStream,
    received: BytesMut,
}

impl Fixture {
    async fn new() -> Self {
        Self::with_heartbeat(0).await
    }

    async fn with_heartbeat(interval_s: u16) -> Self {
        let journal = Arc::new(SlowJournal::default());
        let broker = Arc::new(Broker::new(Arc::<SlowJournal>::clone(&journal)));
        let config = Arc::new(SessionConfig::new("rabbit@test", || [7; 16]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (read_half, write_half) = listener.accept().await.unwrap().0.into_split();
        let machine = Box::new(Connection::new(&broker, &config, ConnectionId(1), true));
        let connection = join(&machine, write_half);
        let writer = writer::run(Arc::clone(&connection));
        let reader = Reader::new(machine, read_half, Arc::clone(&connection), Clock::start()).run();
        // Ten thousand idle connections are ten thousand of each.
        let sizes = [size_of_val(&reader), size_of_val(&writer), size_of::<Connection>(), size_of::<Connected>()];
        assert!(sizes.iter().zip(SIZES_MAX).all(|(size, max)| *size <= max), "{sizes:?} bytes");
        let tasks = [tokio::spawn(writer), tokio::spawn(reader)];
        let mut fixture = Self { journal, config, connection, tasks, socket, received: BytesMut::new() };
        fixture.send(&hello(interval_s)).await;
        for _ in 0..4 {
            fixture.next().await.unwrap();
        }
        fixture
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// The next frame: its kind and payload; none at the end.
    async fn next(&mut self) -> Option<(u8, Bytes)> {
        loop {
            if let Some(&[kind, _, _, l3, l2, l1, l0]) = self.received.first_chunk::<7>() {
                let len = u32::from_be_bytes([l3, l2, l1, l0]) as usize;
                if self.received.len() >= len + 8 {
                    let frame = self.received.split_to(len + 8).freeze();
                    return Some((kind, frame.slice(7..7 + len)));
                }
            }
            if !matches!(self.socket.read_buf(&mut self.received).await, Ok(1..)) {
                return None;
            }
        }
    }

    /// Class and method of the next frame.
    async fn next_ids(&mut self) -> [u8; 4] {
        let (kind, payload) = timeout(PATIENCE, self.next()).await.expect("an answer").unwrap();
        assert_eq!(kind, FrameKind::Method as u8);
        *payload.first_chunk().unwrap()
    }

    async fn says_nothing(&mut self) {
        assert!(timeout(Duration::from_millis(100), self.next()).await.is_err());
    }

    /// Asks for more than sockets take, and reads nothing of it.
    async fn ask_for_much(&mut self) {
        const MESSAGES: usize = 160;
        self.send(&declare(false)).await;
        assert_eq!(self.next_ids().await, DECLARE_OK);
        let message = publish(&[7; 250_000]);
        for _ in 0..MESSAGES {
            self.send(&message).await;
        }
        self.send(&method(1, BasicGet { queue: "q", no_ack: true }).repeat(MESSAGES)).await;
        // Nothing has moved for a while.
        let (mut sent_bytes, mut still) = (0, 0);
        while still < 20 || !too_many_replies(&self.connection.outbox) {
            sleep(Duration::from_millis(10)).await;
            let before = std::mem::replace(&mut sent_bytes, self.connection.wire.sent_bytes());
            still = if sent_bytes == before { still + 1 } else { 0 };
        }
        assert!(self.connection.outbox.waiting_bytes() < 2 * REPLY_BYTES_MAX, "all of it waits");
    }

    /// Reads until the writer has written more.
    async fn take_some(&mut self) {
        let before = self.connection.wire.sent_bytes();
        while self.connection.wire.sent_bytes() == before {
            self.received.clear();
            self.received.reserve(100_000);
            let read = timeout(PATIENCE, self.socket.read_buf(&mut self.received)).await.expect("something to read");
            assert!(read.unwrap() > 0);
            tokio::task::yield_now().await;
        }
    }

    /// Waits for both tasks of the connection.
    async fn ends(&mut self) {
        for task in &mut self.tasks {
            timeout(PATIENCE, task).await.expect("the end").unwrap();
        }
    }
}

fn hello(heartbeat: u16) -> Vec<u8> {
    let (mut capabilities, mut properties, mut encoded) = (FieldTable::default(), FieldTable::default(), Vec::new());
    capabilities.push(&b"connection.blocked"[..], FieldValue::Bool(true));
    properties.push(&b"capabilities"[..], FieldValue::Table(capabilities));
    properties.encode(&mut encoded);
    let start_ok = ConnectionStartOk {
        client_properties: TableRef::from_raw(&encoded),
        mechanism: "PLAIN",
        response: b"\0guest\0guest",
        locale: "en_US",
    };
    let frame_max = u32::try_from(FRAME_MAX).unwrap();
    [
        PROTOCOL_HEADER.to_vec(),
        method(0, start_ok),
        method(0, ConnectionTuneOk { channel_max: 2047, frame_max, heartbeat }),
        method(0, ConnectionOpen { virtual_host: "/" }),
        method(1, ChannelOpen),
    ]
    .concat()
}

fn method<'m>(channel: u16, method: impl Into<Method<'m>>) -> Vec<u8> {
    let mut frame = Vec::new();
    method.into().write_frame(channel, &mut frame);
    frame
}

fn declare(durable: bool) -> Vec<u8> {
    method(1, QueueDeclare { queue: "q", durable, ..QueueDeclare::default() })
}

fn publish(content: &[u8]) -> Vec<u8> {
    let head = BasicPublish { exchange: b"", routing_key: b"q", mandatory: false, immediate: false };
    let mut out = method(1, head);
    let mut encoded = Vec::new();
    Properties::default().encode(&mut encoded);
    let properties = PropertiesRef::parse(&encoded).unwrap();
    ContentHeader { class_id: 60, weight: 0, body_size: content.len() as u64, properties }.write_frame(1, &mut out);
    for piece in content.chunks(FRAME_MAX - 8) {
        let start = begin_frame(&mut out, FrameKind::Body, 1);
        out.extend_from_slice(piece);
        end_frame(&mut out, start);
    }
    out
}

const DECLARE_OK: [u8; 4] = [0, 50, 0, 11];
const GET_OK: [u8; 4] = [0, 60, 0, 71];

#[tokio::test]
async fn a_stalled_connection_goes_on_when_the_journal_has_committed() {
    let mut client = Fixture::new().await;
    let consume = method(1, BasicConsume { queue: "q", no_ack: true, ..BasicConsume::default() });
    client.send(&[declare(true), consume, publish(b"hi")].concat()).await;
    client.says_nothing().await;
    client.journal.commit();
    for ids in [DECLARE_OK, [0, 60, 0, 21], [0, 60, 0, 60]] {
        assert_eq!(client.next_ids().await, ids);
    }
}

#[tokio::test]
async fn the_last_word_waits_for_the_journal_however_long_that_takes() {
    let mut client = Fixture::new().await;
    let close = ConnectionClose { reply_code: 200, reply_text: "bye", class_id: 0, method_id: 0 };
    client.send(&[declare(true), method(0, close)].concat()).await;
    sleep(LINGER + Duration::from_millis(200)).await;
    client.says_nothing().await;
    client.journal.commit();
    assert_eq!(client.next_ids().await, DECLARE_OK);
    assert_eq!(client.next_ids().await, [0, 10, 0, 51]);
    assert!(client.next().await.is_none());
}

#[tokio::test]
async fn a_blocked_publisher_is_not_read_until_the_alarm_is_over() {
    let mut client = Fixture::new().await;
    client.config.alarms.set(Alarm::Disk, true);
    client.send(&[declare(false), publish(b"1")].concat()).await;
    assert_eq!(client.next_ids().await, DECLARE_OK);
    assert_eq!(client.next_ids().await, [0, 10, 0, 60]);
    client.send(&method(1, BasicGet { queue: "q", no_ack: true })).await;
    client.says_nothing().await;
    client.config.alarms.set(Alarm::Disk, false);
    assert_eq!(client.next_ids().await, [0, 10, 0, 61]);
    assert_eq!(client.next_ids().await, GET_OK);
}

#[tokio::test]
async fn a_blocked_publisher_that_hangs_up_is_let_go() {
    let mut client = Fixture::new().await;
    client.config.alarms.set(Alarm::Disk, true);
    client.send(&publish(b"1")).await;
    assert_eq!(client.next_ids().await, [0, 10, 0, 60]);
    client.socket.shutdown().await.unwrap();
    let end = timeout(PATIENCE, client.next()).await.expect("the end");
    assert!(end.is_none());
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_there_and_one_that_reads_nothing_is_gone() {
    let mut client = Fixture::new().await;
    client.ask_for_much().await;
    client.connection.start_heartbeat(1, 0);
    let mut now_ms = 0;
    let mut tick = |connection: &Connected| {
        now_ms += 250;
        connection.tick(now_ms, 0);
    };
    for _ in 0..5 {
        // It sends nothing that anybody would read, but takes what is sent to it.
        client.take_some().await;
        while !client.connection.wants_drained.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        (0..4).for_each(|_| tick(&client.connection));
        tokio::task::yield_now().await;
    }
    sleep(Duration::from_millis(100)).await;
    assert!(client.tasks.iter().all(|task| !task.is_finished()), "it was there");
    (0..16).for_each(|_| tick(&client.connection));
    client.ends().await;
}

#[tokio::test]
async fn a_closed_connection_does_not_wait_for_a_client_that_reads_nothing() {
    let mut client = Fixture::with_heartbeat(1).await;
    client.ask_for_much().await;
    client.connection.close("enough");
    client.ends().await;
}

#[tokio::test]
async fn a_client_that_says_no_more_may_read_to_the_end() {
    let mut client = Fixture::new().await;
    client.ask_for_much().await;
    let close = ConnectionClose { reply_code: 200, reply_text: "bye", class_id: 0, method_id: 0 };
    client.send(&method(0, close)).await;
    client.socket.shutdown().await.unwrap();
    let mut last = None;
    while let Some((kind, payload)) = timeout(PATIENCE, client.next()).await.expect("more of it, or the end") {
        last = Some((kind, payload));
    }
    let (kind, payload) = last.unwrap();
    assert_eq!((kind, &payload[..4]), (FrameKind::Method as u8, &[0, 10, 0, 51][..]), "close-ok");
    let since = Instant::now();
    client.ends().await;
    assert!(since.elapsed() < LAST_WORD / 2, "nothing is waited for");
}

#[tokio::test]
async fn a_connection_that_was_closed_by_both_is_over_at_once() {
    let mut client = Fixture::new().await;
    let close = ConnectionClose { reply_code: 200, reply_text: "bye", class_id: 0, method_id: 0 };
    client.send(&method(0, close)).await;
    assert_eq!(client.next_ids().await, [0, 10, 0, 51]);
    client.socket.shutdown().await.unwrap();
    let since = Instant::now();
    client.ends().await;
    assert!(since.elapsed() < LAST_WORD / 2, "nothing is waited for");
}

#[tokio::test]
async fn a_large_body_goes_through_and_one_that_cannot_be_read_ends_the_connection() {
    let mut client = Fixture::new().await;
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let get = method(1, BasicGet { queue: "q", no_ack: true });
    client.send(&[declare(false), publish(&content), publish(&content), get.clone()].concat()).await;
    assert_eq!(client.next_ids().await, DECLARE_OK);
    assert_eq!(client.next_ids().await, GET_OK);
    client.next().await.unwrap();
    let mut body = Vec::new();
    while body.len() < content.len() {
        body.extend_from_slice(&client.next().await.unwrap().1);
    }
    assert!(body == content);
    client.journal.blobs.are_broken.store(true, Ordering::SeqCst);
    client.send(&get).await;
    assert_eq!(client.next_ids().await, GET_OK);
    client.next().await.unwrap();
    let (kind, close) = client.next().await.unwrap();
    assert_eq!((kind, &close[..6]), (FrameKind::Method as u8, &[0, 10, 0, 50, 2, 29][..]), "541");
    assert!(client.next().await.is_none());
}
