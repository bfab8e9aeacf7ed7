//! The way of a message through the session without sockets: bytes of a publisher in, bytes for a consumer out.

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use leveret_codec::method::{
    BasicAck, BasicConsume, BasicPublish, BasicQos, ChannelOpen, ConfirmSelect, ConnectionOpen, ConnectionStartOk,
    ConnectionTuneOk, ExchangeDeclare, Method, QueueBind, QueueDeclare,
};
use leveret_codec::properties::Properties;
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::TableRef;
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::journal::MemoryJournal;
use leveret_engine::names::ConnectionId;
use leveret_session::config::SessionConfig;
use leveret_session::connection::Connection;
use leveret_session::outbox::{OutBuffer, Piece};

use super::codec::content;
use super::{Case, OPERATIONS, Work};

const PREFETCH: u16 = 1000;

/// Acknowledgements of a run, where one covers several messages.
const ACKS: u32 = 4;

/// How messages go. Every queue has one consumer, on a connection of its own.
#[derive(Clone, Copy)]
struct Way {
    size_bytes: usize,
    /// Queues bound to the fanout exchange; 1 is the default exchange and no binding.
    queues: u64,
    /// Durable queues and persistent messages. The journal keeps nothing, so that what is counted is what leads to it.
    persistent: bool,
    acked: bool,
    confirms: bool,
}

const AUTO_ACK: Way = Way { size_bytes: 16, queues: 1, persistent: false, acked: false, confirms: false };

const WAYS: &[(&str, Way)] = &[
    ("auto_ack/16", AUTO_ACK),
    ("auto_ack/1024", Way { size_bytes: 1024, ..AUTO_ACK }),
    ("acked/16", Way { acked: true, ..AUTO_ACK }),
    ("acked/1024", Way { acked: true, size_bytes: 1024, ..AUTO_ACK }),
    ("confirmed/16", Way { confirms: true, ..AUTO_ACK }),
    ("persistent_confirmed/1024", Way { persistent: true, acked: true, confirms: true, queues: 1, size_bytes: 1024 }),
    ("fanout_10/1024", Way { queues: 10, size_bytes: 1024, ..AUTO_ACK }),
    ("fanout_10_acked/1024", Way { queues: 10, size_bytes: 1024, acked: true, ..AUTO_ACK }),
];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        WAYS.iter().map(|(name, way)| Case::new(format!("path/{name}"), || Box::new(Path::new(way)))).collect();
    for (name, acks) in [("multiple", ACKS), ("each", OPERATIONS)] {
        cases.push(Case::new(format!("ack/{name}"), move || Box::new(Ack::new(acks))));
    }
    for size_bytes in [16, 1024] {
        cases.push(Case::new(format!("drain/{size_bytes}"), move || Box::new(Drain::new(size_bytes))));
    }
    cases
}

/// Publish, route, enqueue, deliver, encode, and settle what was delivered.
struct Path {
    ends: Ends,
    acked: bool,
}

impl Path {
    fn new(way: &Way) -> Self {
        let mut ends = Ends::new(way);
        ends.send();
        Self { ends, acked: way.acked }
    }
}

impl Work for Path {
    fn run(&mut self) {
        self.ends.work_off();
        self.ends.receive();
        if self.acked {
            for consumer in &mut self.ends.consumers {
                consumer.ack(ACKS);
            }
        }
    }

    fn reset(&mut self) {
        self.ends.send();
    }
}

/// Acknowledgements of what was delivered before, and nothing else.
struct Ack {
    ends: Ends,
    acks: u32,
}

impl Ack {
    fn new(acks: u32) -> Self {
        let mut ends = Ends::new(&Way { acked: true, ..AUTO_ACK });
        ends.publish();
        ends.receive();
        Self { ends, acks }
    }
}

impl Work for Ack {
    fn run(&mut self) {
        for consumer in &mut self.ends.consumers {
            consumer.ack(self.acks);
        }
    }

    fn reset(&mut self) {
        self.ends.publish();
        self.ends.receive();
    }
}

/// A consumer at its prefetch limit acknowledges, and gets what waits: the emptying of a backlog.
struct Drain(Ends);

impl Drain {
    fn new(size_bytes: usize) -> Self {
        let mut ends = Ends::new(&Way { acked: true, size_bytes, ..AUTO_ACK });
        // What is outstanding all the time, and what the first run gets.
        for _ in 0..=u32::from(PREFETCH).div_ceil(OPERATIONS) {
            ends.publish();
        }
        ends.receive();
        Self(ends)
    }
}

impl Work for Drain {
    fn run(&mut self) {
        for consumer in &mut self.0.consumers {
            consumer.ack(ACKS);
        }
        self.0.receive();
    }

    fn reset(&mut self) {
        self.0.publish();
    }
}

/// A publisher and its consumers.
struct Ends {
    publisher: Client,
    consumers: Vec<Client>,
    publishes: Vec<u8>,
}

impl Ends {
    fn new(way: &Way) -> Self {
        let broker = Arc::new(Broker::new(Arc::new(MemoryJournal::default())));
        let config = Arc::new(SessionConfig::new("rabbit@bench", || [7; 16]));
        let mut publisher = Client::new(&broker, &config, 0);
        publisher.call(ExchangeDeclare { exchange: "e", type_: "fanout", ..ExchangeDeclare::default() });
        if way.confirms {
            publisher.call(ConfirmSelect { nowait: true });
        }
        let consumer = |number: u64| {
            let queue = &*format!("q{number}");
            let mut client = Client::new(&broker, &config, number + 1);
            client.call(QueueDeclare { queue, durable: way.persistent, ..QueueDeclare::default() });
            client.call(QueueBind { queue, exchange: "e", ..QueueBind::default() });
            client.call(BasicQos { prefetch_size: 0, prefetch_count: PREFETCH, global: false });
            let no_ack = !way.acked;
            client.call(BasicConsume { queue, consumer_tag: "c", no_ack, ..BasicConsume::default() });
            client
        };
        Self { consumers: (0..way.queues).map(consumer).collect(), publisher, publishes: publishes(way) }
    }

    fn publish(&mut self) {
        self.send();
        self.work_off();
    }

    /// Lets a run's publishes lie in the read buffer: the copy from the socket is not ours to measure.
    fn send(&mut self) {
        self.publisher.input.extend_from_slice(&self.publishes);
    }

    /// Carries out what was sent, and takes the confirms.
    fn work_off(&mut self) {
        self.publisher.work_off();
        self.publisher.drain();
    }

    fn receive(&mut self) {
        for consumer in &mut self.consumers {
            let bytes = consumer.drain();
            assert!(bytes > OPERATIONS as usize, "{bytes} bytes are no {OPERATIONS} deliveries");
        }
    }
}

/// The publishes of a run.
fn publishes(way: &Way) -> Vec<u8> {
    let (exchange, routing_key): (&[u8], &[u8]) = if way.queues == 1 { (b"", b"q0") } else { (b"e", b"") };
    let delivery_mode = Some(if way.persistent { 2 } else { 1 });
    let mut properties = Vec::new();
    Properties { delivery_mode, ..Properties::default() }.encode(&mut properties);
    let mut out = Vec::new();
    for _ in 0..OPERATIONS {
        method(&mut out, 1, BasicPublish { exchange, routing_key, mandatory: false, immediate: false });
        content(&properties, &vec![7; way.size_bytes], &mut out);
    }
    out
}

/// One connection with channel 1.
struct Client {
    machine: Connection,
    input: BytesMut,
    out: OutBuffer,
    acked: u64,
}

impl Client {
    fn new(broker: &Arc<Broker>, config: &Arc<SessionConfig>, id: u64) -> Self {
        let machine = Connection::new(broker, config, ConnectionId(id), true);
        let mut client = Self { machine, input: BytesMut::new(), out: OutBuffer::default(), acked: 0 };
        let mut hello = PROTOCOL_HEADER.to_vec();
        let start_ok = ConnectionStartOk {
            client_properties: TableRef::EMPTY,
            mechanism: "PLAIN",
            response: b"\0guest\0guest",
            locale: "en_US",
        };
        method(&mut hello, 0, start_ok);
        method(&mut hello, 0, ConnectionTuneOk { channel_max: 2047, frame_max: 131_072, heartbeat: 0 });
        method(&mut hello, 0, ConnectionOpen { virtual_host: "/" });
        method(&mut hello, 1, ChannelOpen);
        client.feed(&hello);
        client.drain();
        client
    }

    fn call<'m>(&mut self, call: impl Into<Method<'m>>) {
        let mut out = Vec::new();
        method(&mut out, 1, call);
        self.feed(&out);
        self.drain();
    }

    /// Acknowledges a run's deliveries, by so many acks.
    fn ack(&mut self, acks: u32) {
        let (step, multiple) = (OPERATIONS / acks, acks < OPERATIONS);
        let mut out = Vec::new();
        for _ in 0..acks {
            self.acked += u64::from(step);
            method(&mut out, 1, BasicAck { delivery_tag: self.acked, multiple });
        }
        self.feed(&out);
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.work_off();
    }

    fn work_off(&mut self) {
        while self.machine.feed(&mut self.input) {}
    }

    /// What a writer does, without the write.
    fn drain(&mut self) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        let mut bytes = 0;
        loop {
            if self.machine.outbox().poll_take(&mut context, &mut self.out) == Poll::Pending {
                return bytes;
            }
            self.machine.outbox().resume_parked(&mut Effects::default());
            bytes += black_box(self.out.pieces().map(len).sum::<usize>());
        }
    }
}

fn len(piece: Piece<'_>) -> usize {
    match piece {
        Piece::Bytes(bytes) => bytes.len(),
        Piece::Blob(_) => 0,
    }
}

fn method<'m>(out: &mut Vec<u8>, channel: u16, method: impl Into<Method<'m>>) {
    method.into().write_frame(channel, out);
}
