//! The least work that still looks like a broker to the load generator: the machine's own limit.
//!
//! Publishes are turned into deliveries to the one consumer: frames are parsed, the content is copied as it stands behind
//! a `basic.deliver`. There is no queue, no routing and no store; acks are read and forgotten; whatever is declared is
//! granted. A publisher that is faster than the consumer is held up by its socket. What no consumer is there for is lost.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{Frame, FrameKind, split_frame};
use leveret_codec::limits::{FRAME_HEADER_SIZE, FRAME_OVERHEAD};
use leveret_codec::method::{
    BasicAck, BasicConsumeOk, BasicDeliver, BasicPublish, BasicQosOk, ChannelCloseOk, ChannelOpenOk, ConfirmSelectOk,
    ConnectionCloseOk, ConnectionOpenOk, ConnectionStart, ConnectionTune, ExchangeDeclareOk, ExchangeDeleteOk, Method,
    QueueBindOk, QueueDeclareOk, QueueDeleteOk,
};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};

use crate::client::CHANNEL;

/// Frame size to offer, RabbitMQ's default.
const FRAME_MAX: u32 = 131_072;
/// Bytes that one read takes; grows to the largest message.
const READ_BYTES: usize = 256 * 1024;
const CONSUMER_TAG: &str = "relay";
/// Class and method of `basic.publish`, as its payload begins.
const PUBLISH_IDS: [u8; 4] = [0, 60, 0, 40];

/// A relay that listens.
pub struct Relay {
    listener: TcpListener,
}

impl Relay {
    /// Listens on loopback; port 0 takes a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn bind(port: u16) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("cannot listen on port {port}"))?;
        Ok(Self { listener })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves connections, each on its thread, until the process ends.
    ///
    /// # Errors
    /// When no more connections can be accepted.
    pub fn serve(self) -> Result<()> {
        let outlet = Arc::new(Mutex::new(None));
        loop {
            let (stream, _) = self.listener.accept()?;
            let outlet = Arc::clone(&outlet);
            thread::spawn(move || {
                let mut connection = match Connection::open(stream, outlet) {
                    Ok(connection) => connection,
                    Err(error) => return eprintln!("relay: {error:#}"),
                };
                if let Err(error) = connection.serve() {
                    eprintln!("relay: {error:#}");
                }
                connection.leave();
            });
        }
    }
}

/// Where the deliveries go.
struct Outlet {
    stream: Arc<Mutex<TcpStream>>,
    delivery_tag: u64,
}

type SharedOutlet = Arc<Mutex<Option<Outlet>>>;

struct Connection {
    input: TcpStream,
    output: Arc<Mutex<TcpStream>>,
    outlet: SharedOutlet,
    is_consumer: bool,
    is_closing: bool,
    /// Publishes received since confirms were switched on.
    confirming: Option<u64>,
    deliver: DeliverTemplate,
    deliveries: Vec<u8>,
    replies: Vec<u8>,
}

impl Connection {
    fn open(stream: TcpStream, outlet: SharedOutlet) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            input: stream.try_clone()?,
            output: Arc::new(Mutex::new(stream)),
            outlet,
            is_consumer: false,
            is_closing: false,
            confirming: None,
            deliver: DeliverTemplate::default(),
            deliveries: Vec::with_capacity(2 * READ_BYTES),
            replies: Vec::new(),
        })
    }

    /// Reads until the peer is gone.
    fn serve(&mut self) -> Result<()> {
        let mut protocol = [0; PROTOCOL_HEADER.len()];
        self.input.read_exact(&mut protocol)?;
        ensure!(protocol == PROTOCOL_HEADER, "a client does not speak AMQP 0-9-1");
        self.start();
        let mut buffer = vec![0; READ_BYTES];
        let mut filled = 0;
        loop {
            self.flush()?;
            if self.is_closing {
                return Ok(());
            }
            let received = self.input.read(buffer.get_mut(filled..).unwrap_or_default())?;
            if received == 0 {
                return Ok(());
            }
            filled += received;
            let done = self.take(buffer.get(..filled).unwrap_or_default())?;
            buffer.copy_within(done..filled, 0);
            filled -= done;
            if filled == buffer.len() {
                buffer.resize(2 * filled, 0);
            }
        }
    }

    /// Takes every whole method and message of `bytes` and returns how many bytes they are.
    fn take(&mut self, bytes: &[u8]) -> Result<usize> {
        let shared = Arc::clone(&self.outlet);
        let mut rest = bytes;
        // Locked by the first publish of a read and for all of them, so that publishers' messages are not mixed. Never
        // locked for acks: the consumer must always get rid of those, or both would wait for each other.
        let mut outlet = None;
        let confirmed_before = self.confirming;
        while let Some((frame, after)) = next_frame(rest)? {
            if frame.kind == FrameKind::Method && frame.payload.starts_with(&PUBLISH_IDS) {
                let Some((content, after)) = split_content(after)? else {
                    // The rest of the message comes with the next read.
                    break;
                };
                let outlet = outlet.get_or_insert_with(|| lock(&shared));
                self.relay(frame, content, outlet.as_mut())?;
                rest = after;
                continue;
            }
            if frame.kind == FrameKind::Method {
                self.send_deliveries(outlet.take());
                self.answer(&Method::decode(frame.payload)?, frame.channel)?;
            }
            rest = after;
        }
        self.send_deliveries(outlet);
        if let Some(delivery_tag) = self.confirming
            && self.confirming != confirmed_before
            && delivery_tag > 0
        {
            BasicAck { delivery_tag, multiple: true }.write_frame(CHANNEL, &mut self.replies);
        }
        Ok(bytes.len() - rest.len())
    }

    fn relay(&mut self, publish: Frame<'_>, content: &[u8], outlet: Option<&mut Outlet>) -> Result<()> {
        ensure!(publish.channel == CHANNEL, "the relay knows channel {CHANNEL} only");
        if let Some(outlet) = outlet {
            outlet.delivery_tag += 1;
            self.deliver.append(publish.payload, outlet.delivery_tag, &mut self.deliveries)?;
            self.deliveries.extend_from_slice(content);
        }
        if let Some(count) = &mut self.confirming {
            *count += 1;
        }
        Ok(())
    }

    fn send_deliveries(&mut self, outlet: Option<MutexGuard<'_, Option<Outlet>>>) {
        if let Some(outlet) = outlet.as_deref().and_then(Option::as_ref) {
            // A consumer that has gone takes its deliveries along.
            let _ = lock(&outlet.stream).write_all(&self.deliveries);
        }
        self.deliveries.clear();
    }

    fn start(&mut self) {
        let mut properties = FieldTable::default();
        properties.push(*b"product", FieldValue::LongStr((*b"relay").into()));
        let mut encoded = Vec::new();
        properties.encode(&mut encoded);
        let start = ConnectionStart {
            version_major: 0,
            version_minor: 9,
            server_properties: TableRef::from_raw(&encoded),
            mechanisms: b"PLAIN",
            locales: b"en_US",
        };
        self.reply(0, start);
    }

    /// Grants what is asked for.
    fn answer(&mut self, method: &Method<'_>, channel: u16) -> Result<()> {
        match method {
            Method::ConnectionStartOk(_) => {
                let tune = ConnectionTune { channel_max: CHANNEL, frame_max: FRAME_MAX, heartbeat: 0 };
                self.reply(channel, tune);
            }
            Method::ConnectionOpen(_) => self.reply(channel, ConnectionOpenOk),
            Method::ChannelOpen(_) => self.reply(channel, ChannelOpenOk),
            Method::ExchangeDeclare(_) => self.reply(channel, ExchangeDeclareOk),
            Method::ExchangeDelete(_) => self.reply(channel, ExchangeDeleteOk),
            Method::QueueDeclare(declare) => {
                let queue = declare.queue;
                let declare_ok = QueueDeclareOk { queue, message_count: 0, consumer_count: 0 };
                self.reply(channel, declare_ok);
            }
            Method::QueueBind(_) => self.reply(channel, QueueBindOk),
            Method::QueueDelete(_) => self.reply(channel, QueueDeleteOk { message_count: 0 }),
            Method::BasicQos(_) => self.reply(channel, BasicQosOk),
            Method::ConfirmSelect(_) => {
                self.confirming = Some(0);
                self.reply(channel, ConfirmSelectOk);
            }
            Method::BasicConsume(_) => self.consume(channel)?,
            Method::ChannelClose(_) => {
                self.leave();
                self.reply(channel, ChannelCloseOk);
            }
            Method::ConnectionClose(_) => {
                self.leave();
                self.reply(channel, ConnectionCloseOk);
                self.is_closing = true;
            }
            // Acks above all, and what needs no answer.
            _ => {}
        }
        Ok(())
    }

    /// Makes this connection the consumer.
    fn consume(&mut self, channel: u16) -> Result<()> {
        let shared = Arc::clone(&self.outlet);
        let mut outlet = lock(&shared);
        ensure!(outlet.is_none(), "a relay has one consumer only");
        self.reply(channel, BasicConsumeOk { consumer_tag: CONSUMER_TAG });
        self.flush()?;
        *outlet = Some(Outlet { stream: Arc::clone(&self.output), delivery_tag: 0 });
        self.is_consumer = true;
        Ok(())
    }

    fn leave(&mut self) {
        if self.is_consumer {
            *lock(&self.outlet) = None;
            self.is_consumer = false;
        }
    }

    fn reply<'a>(&mut self, channel: u16, method: impl Into<Method<'a>>) {
        method.into().write_frame(channel, &mut self.replies);
    }

    fn flush(&mut self) -> Result<()> {
        if !self.replies.is_empty() {
            lock(&self.output).write_all(&self.replies)?;
            self.replies.clear();
        }
        Ok(())
    }
}

/// A `basic.deliver` frame, made again only when a publish goes to another exchange or by another key.
#[derive(Default)]
struct DeliverTemplate {
    /// The publish that it was made from.
    publish: Vec<u8>,
    frame: Vec<u8>,
}

/// Where the delivery tag stands in the frame: behind envelope, class, method and consumer tag.
const DELIVERY_TAG_OFFSET: usize = FRAME_HEADER_SIZE + 4 + 1 + CONSUMER_TAG.len();

impl DeliverTemplate {
    fn append(&mut self, publish: &[u8], delivery_tag: u64, out: &mut Vec<u8>) -> Result<()> {
        if self.publish != publish {
            let Method::BasicPublish(BasicPublish { exchange, routing_key, .. }) = Method::decode(publish)? else {
                bail!("a publish is none");
            };
            let deliver = BasicDeliver {
                consumer_tag: CONSUMER_TAG.as_bytes(),
                delivery_tag: 0,
                redelivered: false,
                exchange,
                routing_key,
            };
            self.frame.clear();
            deliver.write_frame(CHANNEL, &mut self.frame);
            self.publish = publish.to_vec();
        }
        if let Some(tag) = self.frame.get_mut(DELIVERY_TAG_OFFSET..).and_then(|rest| rest.first_chunk_mut()) {
            *tag = delivery_tag.to_be_bytes();
        }
        out.extend_from_slice(&self.frame);
        Ok(())
    }
}

fn next_frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, &[u8])>> {
    let frame = split_frame(bytes, FRAME_MAX as usize - FRAME_OVERHEAD)?;
    Ok(frame.map(|frame| (frame, bytes.get(frame.wire_len()..).unwrap_or_default())))
}

/// The header and bodies that `bytes` begins with, and what follows them; `None` when they are not all there.
fn split_content(bytes: &[u8]) -> Result<Option<(&[u8], &[u8])>> {
    let Some((header, mut rest)) = next_frame(bytes)? else {
        return Ok(None);
    };
    ensure!(header.kind == FrameKind::Header, "a publish has no content header");
    let mut missing = ContentHeader::parse_prefix(header.payload)?.body_size;
    while missing > 0 {
        let Some((body, after)) = next_frame(rest)? else {
            return Ok(None);
        };
        ensure!(body.kind == FrameKind::Body, "a body is cut short");
        missing = missing.saturating_sub(body.payload.len() as u64);
        rest = after;
    }
    let content_len = bytes.len() - rest.len();
    Ok(bytes.split_at_checked(content_len))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::args::tests::parse;

    pub(crate) fn relay_port() -> u16 {
        let relay = Relay::bind(0).unwrap();
        let port = relay.address().unwrap().port();
        thread::spawn(move || relay.serve());
        port
    }

    fn load(options: &str) -> crate::Report {
        let port = relay_port();
        let common = "--quiet --seconds 0.2 --warmup-seconds 0.05";
        let args = parse(&format!("--port {port} {common} {options}")).unwrap();
        crate::run(&args).unwrap()
    }

    #[test]
    fn the_generator_takes_the_relay_for_a_broker() {
        for options in [
            "--size 16",
            "--size 1024 --ack-batch 100 --prefetch 1000 --backlog-max 5000",
            "--size 0 --producers 3 --exchange topic",
            "--size 300000 --backlog-max 50",
        ] {
            let report = load(options);
            assert!(report.messages > 0, "{options}");
            assert_eq!(report.missing, 0, "{options}");
            assert_eq!(report.broker, "relay");
        }
    }

    #[test]
    fn confirms_are_awaited() {
        let report = load("--confirms 1");
        assert!(report.messages > 0 && report.confirmed_per_second > 0.0);
        assert_eq!(report.missing, 0);
    }

    #[test]
    fn the_named_process_is_measured() {
        let report = load(&format!("--pid {}", std::process::id()));
        let usage = report.broker_usage.unwrap();
        assert!(usage.cpu_us_per_message > 0.0 && usage.memory.resident_bytes > 0);
    }

    #[test]
    fn what_the_relay_cannot_do_ends_the_run_with_an_error() {
        let port = relay_port();
        let args = parse(&format!("--port {port} --consumers 2 --quiet")).unwrap();
        assert!(crate::run(&args).is_err());
    }
}
