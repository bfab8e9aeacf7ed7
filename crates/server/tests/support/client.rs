//! A client of a few words.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{FrameKind, begin_frame, end_frame};
use leveret_codec::method::{
    BasicConsume, BasicPublish, ChannelOpen, ConnectionClose, ConnectionOpen, ConnectionStartOk, ConnectionTuneOk,
    ConnectionUpdateSecret, Method, QueueDeclare,
};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

const PATIENCE: Duration = Duration::from_secs(60);

pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A connection.
pub struct Client {
    stream: Box<dyn Stream>,
    /// The mechanisms that connection.start offered.
    pub mechanisms: String,
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// What was asked for.
    Ok,
    /// It closes the connection.
    Closed(u16, String),
    /// It ends the consumer of this tag.
    Cancelled(String),
    /// It closes the channel.
    ChannelClosed(u16, String),
    /// It is gone.
    Gone,
}

impl Client {
    pub fn tcp(address: SocketAddr) -> Self {
        Self::over(Box::new(tcp(address)))
    }

    pub fn tls(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Self> {
        Self::try_over(Box::new(tls(tcp(address), config)?))
    }

    pub fn over(stream: Box<dyn Stream>) -> Self {
        Self::try_over(stream).unwrap()
    }

    pub fn try_over(mut stream: Box<dyn Stream>) -> io::Result<Self> {
        stream.write_all(&PROTOCOL_HEADER)?;
        stream.flush()?;
        let (_, payload) = read_frame(&mut stream)?;
        let Ok(Method::ConnectionStart(start)) = Method::decode(&payload) else { panic!("{payload:?}") };
        let mechanisms = String::from_utf8(start.mechanisms.to_vec()).unwrap();
        Ok(Self { stream, mechanisms })
    }

    /// Logs in by PLAIN and opens vhost `/`.
    pub fn plain(&mut self, user: &str, password: &str) -> Reply {
        match self.log_in("PLAIN", format!("\0{user}\0{password}").as_bytes()) {
            Reply::Ok => self.open("/"),
            reply => reply,
        }
    }

    /// Up to connection.tune.
    pub fn log_in(&mut self, mechanism: &str, response: &[u8]) -> Reply {
        let mut capabilities = FieldTable::default();
        capabilities.push(&b"authentication_failure_close"[..], FieldValue::Bool(true));
        capabilities.push(&b"consumer_cancel_notify"[..], FieldValue::Bool(true));
        let mut properties = FieldTable::default();
        properties.push(&b"capabilities"[..], FieldValue::Table(capabilities));
        let mut encoded = Vec::new();
        properties.encode(&mut encoded);
        let client_properties = TableRef::from_raw(&encoded);
        self.say(0, ConnectionStartOk { client_properties, mechanism, response, locale: "en_US" });
        self.reply()
    }

    pub fn open(&mut self, virtual_host: &str) -> Reply {
        self.open_with_heartbeat(virtual_host, 0)
    }

    pub fn open_with_heartbeat(&mut self, virtual_host: &str, heartbeat: u16) -> Reply {
        self.say(0, ConnectionTuneOk { channel_max: 10, frame_max: 131_072, heartbeat });
        self.say(0, ConnectionOpen { virtual_host });
        self.reply()
    }

    pub fn open_channel(&mut self) -> Reply {
        self.say(1, ChannelOpen);
        self.reply()
    }

    pub fn declare(&mut self, queue: &str) -> Reply {
        self.say_declare(queue);
        self.reply()
    }

    pub fn say_declare(&mut self, queue: &str) {
        let declare = QueueDeclare {
            queue,
            passive: false,
            durable: false,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: TableRef::from_raw(&[]),
        };
        self.say(1, declare);
    }

    pub fn consume(&mut self, queue: &str, consumer_tag: &str) -> Reply {
        let consume = BasicConsume {
            queue,
            consumer_tag,
            no_local: false,
            no_ack: true,
            exclusive: false,
            nowait: false,
            arguments: TableRef::from_raw(&[]),
        };
        self.say(1, consume);
        self.reply()
    }

    /// Publishes a message to the default exchange.
    pub fn publish(&mut self, routing_key: &str, content: &[u8]) {
        let routing_key = routing_key.as_bytes();
        let mut frames = Vec::new();
        Method::from(BasicPublish { exchange: b"", routing_key, mandatory: false, immediate: false })
            .write_frame(1, &mut frames);
        let mut encoded = Vec::new();
        Properties::default().encode(&mut encoded);
        let properties = PropertiesRef::parse(&encoded).unwrap();
        ContentHeader { class_id: 60, weight: 0, body_size: content.len() as u64, properties }
            .write_frame(1, &mut frames);
        for piece in content.chunks(100_000) {
            let start = begin_frame(&mut frames, FrameKind::Body, 1);
            frames.extend_from_slice(piece);
            end_frame(&mut frames, start);
        }
        self.stream.write_all(&frames).unwrap();
    }

    pub fn update_secret(&mut self, secret: &str) -> Reply {
        self.say(0, ConnectionUpdateSecret { new_secret: secret.as_bytes(), reason: "it ends" });
        self.reply()
    }

    pub fn close(&mut self) -> Reply {
        self.say(0, ConnectionClose { reply_code: 200, reply_text: "", class_id: 0, method_id: 0 });
        self.reply()
    }

    pub fn say<'a>(&mut self, channel: u16, method: impl Into<Method<'a>>) {
        let mut frame = Vec::new();
        method.into().write_frame(channel, &mut frame);
        // That it is gone is found out by reading.
        let _ = self.stream.write_all(&frame).and_then(|()| self.stream.flush());
    }

    pub fn reply(&mut self) -> Reply {
        let Ok((_, payload)) = read_frame(&mut self.stream) else { return Reply::Gone };
        match Method::decode(&payload).unwrap() {
            Method::ConnectionClose(close) => Reply::Closed(close.reply_code, close.reply_text.to_owned()),
            Method::BasicCancel(cancel) => Reply::Cancelled(cancel.consumer_tag.to_owned()),
            Method::ChannelClose(close) => Reply::ChannelClosed(close.reply_code, close.reply_text.to_owned()),
            _ => Reply::Ok,
        }
    }

    pub fn stream(&mut self) -> &mut dyn Stream {
        &mut *self.stream
    }
}

pub fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Shakes hands.
pub fn tls(tcp: TcpStream, config: &Arc<ClientConfig>) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, tcp);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn read_frame(stream: &mut Box<dyn Stream>) -> io::Result<(u16, Vec<u8>)> {
    let mut envelope = [0; 7];
    stream.read_exact(&mut envelope)?;
    let [_, a, b, len @ ..] = envelope;
    let mut payload = vec![0; u32::from_be_bytes(len) as usize + 1];
    stream.read_exact(&mut payload)?;
    assert_eq!(payload.pop(), Some(0xCE));
    Ok((u16::from_be_bytes([a, b]), payload))
}
