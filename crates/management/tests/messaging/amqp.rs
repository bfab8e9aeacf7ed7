//! As much of an AMQP client as these tests need.

use std::net::SocketAddr;
use std::time::Duration;

use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{FrameKind, begin_frame, end_frame};
use leveret_codec::method::{
    BasicAck, BasicConsume, BasicPublish, BasicQos, ChannelOpen, ConnectionOpen, ConnectionStartOk, ConnectionTuneOk,
    Method,
};
use leveret_codec::properties::PropertiesRef;
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::common::PATIENCE;

pub struct Client {
    stream: TcpStream,
}

/// A frame: kind, channel, payload.
pub type Frame = (u8, u16, Vec<u8>);

impl Client {
    /// An open connection of guest with channel 1.
    pub async fn open(address: SocketAddr, vhost: &str) -> Self {
        let mut client = Self { stream: TcpStream::connect(address).await.unwrap() };
        client.stream.write_all(&PROTOCOL_HEADER).await.unwrap();
        client.expect(10, 10).await;
        let mut properties = FieldTable::default();
        properties.push(*b"connection_name", FieldValue::LongStr((*b"test-client").into()));
        properties.push(*b"product", FieldValue::LongStr((*b"tests").into()));
        let mut encoded = Vec::new();
        properties.encode(&mut encoded);
        let client_properties = TableRef::from_raw(&encoded);
        let response = b"\0guest\0guest";
        client.send(0, ConnectionStartOk { client_properties, mechanism: "PLAIN", response, locale: "en_US" }).await;
        client.expect(10, 30).await;
        client.send(0, ConnectionTuneOk { channel_max: 2047, frame_max: 131_072, heartbeat: 0 }).await;
        client.send(0, ConnectionOpen { virtual_host: vhost }).await;
        client.expect(10, 41).await;
        client.send(1, ChannelOpen).await;
        client.expect(20, 11).await;
        client
    }

    pub async fn send<'a>(&mut self, channel: u16, method: impl Into<Method<'a>>) {
        let mut out = Vec::new();
        method.into().write_frame(channel, &mut out);
        self.stream.write_all(&out).await.unwrap();
    }

    pub async fn publish(&mut self, queue: &str, body: &[u8], properties: &[u8]) {
        let mut out = Vec::new();
        let publish = BasicPublish { exchange: b"", routing_key: queue.as_bytes(), mandatory: false, immediate: false };
        Method::from(publish).write_frame(1, &mut out);
        let properties = PropertiesRef::from_checked(properties);
        ContentHeader { class_id: 60, weight: 0, body_size: body.len() as u64, properties }.write_frame(1, &mut out);
        let start = begin_frame(&mut out, FrameKind::Body, 1);
        out.extend_from_slice(body);
        end_frame(&mut out, start);
        self.stream.write_all(&out).await.unwrap();
    }

    pub async fn consume(&mut self, queue: &str, tag: &str, prefetch_count: u16, exclusive: bool) {
        self.send(1, BasicQos { prefetch_size: 0, prefetch_count, global: false }).await;
        self.expect(60, 11).await;
        let (no_local, no_ack, nowait, arguments) = (false, false, false, TableRef::default());
        self.send(1, BasicConsume { queue, consumer_tag: tag, no_local, no_ack, exclusive, nowait, arguments }).await;
        self.expect(60, 21).await;
    }

    pub async fn ack(&mut self, delivery_tag: u64) {
        self.send(1, BasicAck { delivery_tag, multiple: false }).await;
    }

    /// The body of the next delivery, and its tag.
    pub async fn delivery(&mut self) -> (u64, Vec<u8>) {
        let (_, _, deliver) = self.expect(60, 60).await;
        let Ok(Method::BasicDeliver(deliver)) = Method::decode(&deliver) else { panic!("no delivery") };
        let tag = deliver.delivery_tag;
        let (kind, _, header) = self.frame().await.unwrap();
        assert_eq!(kind, 2);
        let size = ContentHeader::parse(&header).unwrap().body_size;
        if size == 0 {
            return (tag, Vec::new());
        }
        (tag, self.frame().await.unwrap().2)
    }

    /// Whether nothing comes for a while.
    pub async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_millis(150), self.frame()).await.is_err()
    }

    /// The next method frame, which has to be this one.
    pub async fn expect(&mut self, class: u16, method: u16) -> Frame {
        let frame = self.frame().await.expect("an open connection");
        let ids = [class.to_be_bytes(), method.to_be_bytes()].concat();
        assert_eq!(&frame.2[..4], ids, "{:?}", String::from_utf8_lossy(&frame.2));
        frame
    }

    /// None at the end of the connection.
    pub async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 7];
        timeout(PATIENCE, self.stream.read_exact(&mut head)).await.expect("a frame").ok()?;
        let len = u32::from_be_bytes(head[3..].try_into().unwrap()) as usize;
        let mut payload = vec![0; len + 1];
        self.stream.read_exact(&mut payload).await.unwrap();
        payload.pop();
        Some((head[0], u16::from_be_bytes([head[1], head[2]]), payload))
    }
}
