//! The whole way of a message without sockets: bytes of a publisher in, bytes for a consumer out.
//!
//! Times are for a batch of 256 messages.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{FrameKind, begin_frame, end_frame};
use leveret_codec::method::{
    BasicAck, BasicConsume, BasicPublish, BasicQos, ChannelOpen, ConfirmSelect, ConnectionOpen, ConnectionStartOk,
    ConnectionTuneOk, Method, QueueDeclare,
};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::TableRef;
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::journal::MemoryJournal;
use leveret_engine::names::ConnectionId;
use leveret_session::config::SessionConfig;
use leveret_session::connection::Connection;
use leveret_session::outbox::{OutBuffer, Piece};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MESSAGES: u64 = 256;

/// One end of the way.
struct Client {
    machine: Connection,
    input: BytesMut,
    out: OutBuffer,
}

impl Client {
    fn new(broker: &Arc<Broker>, config: &Arc<SessionConfig>, id: u64) -> Self {
        let machine = Connection::new(broker, config, ConnectionId(id), true);
        let mut client = Self { machine, input: BytesMut::new(), out: OutBuffer::default() };
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
        method(&mut hello, 1, QueueDeclare { queue: "q", ..QueueDeclare::default() });
        client.feed(&hello);
        client.drain();
        client
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
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

fn publishes(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut properties = Vec::new();
    Properties { delivery_mode: Some(1), ..Properties::default() }.encode(&mut properties);
    let properties = PropertiesRef::parse(&properties).unwrap();
    for _ in 0..MESSAGES {
        method(&mut out, 1, BasicPublish { exchange: b"", routing_key: b"q", mandatory: false, immediate: false });
        let header = ContentHeader { class_id: 60, weight: 0, body_size: body.len() as u64, properties };
        header.write_frame(1, &mut out);
        let start = begin_frame(&mut out, FrameKind::Body, 1);
        out.extend_from_slice(body);
        end_frame(&mut out, start);
    }
    out
}

fn path(criterion: &mut Criterion) {
    for size in [16, 1024] {
        let mut group = criterion.benchmark_group(format!("publish to deliver, {size} B"));
        group.throughput(Throughput::Elements(MESSAGES));
        for (name, no_ack, confirms) in
            [("auto-ack", true, false), ("acked", false, false), ("auto-ack, confirms", true, true)]
        {
            let broker = Arc::new(Broker::new(Arc::new(MemoryJournal::default())));
            let config = Arc::new(SessionConfig::new("rabbit@bench", || [7; 16]));
            let mut publisher = Client::new(&broker, &config, 1);
            let mut consumer = Client::new(&broker, &config, 2);
            let mut setup = Vec::new();
            method(&mut setup, 1, BasicQos { prefetch_size: 0, prefetch_count: 1000, global: false });
            method(&mut setup, 1, BasicConsume { queue: "q", consumer_tag: "c", no_ack, ..BasicConsume::default() });
            consumer.feed(&setup);
            consumer.drain();
            if confirms {
                let mut select = Vec::new();
                method(&mut select, 1, ConfirmSelect { nowait: true });
                publisher.feed(&select);
            }
            let publishes = publishes(&vec![7; size]);
            let mut acked = 0;
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    publisher.feed(&publishes);
                    publisher.drain();
                    assert!(consumer.drain() > 0);
                    if !no_ack {
                        acked += MESSAGES;
                        let mut ack = Vec::new();
                        method(&mut ack, 1, BasicAck { delivery_tag: acked, multiple: true });
                        consumer.feed(&ack);
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, path);
criterion_main!(benches);
