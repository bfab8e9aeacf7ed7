//! A blocking AMQP connection of one channel: enough to set the stage, then its socket is handed to the hot loops.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use leveret_codec::frame::{FRAME_END, FrameKind};
use leveret_codec::limits::FRAME_HEADER_SIZE;
use leveret_codec::method::{
    ChannelOpen, ChannelOpenOk, ConnectionClose, ConnectionOpen, ConnectionStartOk, ConnectionTuneOk, Method,
};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};

use crate::url::Target;

/// The channel that every connection uses.
pub const CHANNEL: u16 = 1;
/// Frame size to ask for, RabbitMQ's default.
const FRAME_MAX: u32 = 131_072;
/// How long one step of connecting or declaring may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a socket waits before its thread looks whether the run is over.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// An open connection with an open channel.
pub struct Client {
    stream: TcpStream,
    frame_max: u32,
    product: String,
    scratch: Vec<u8>,
}

impl Client {
    /// Connects, logs in and opens the channel.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub fn connect(target: &Target) -> Result<Self> {
        let stream =
            connect_tcp(target).with_context(|| format!("cannot connect to {}:{}", target.host, target.port))?;
        let mut client = Self { stream, frame_max: FRAME_MAX, product: String::new(), scratch: Vec::new() };
        client.handshake(target).with_context(|| format!("handshake with {}:{}", target.host, target.port))?;
        client.call(ChannelOpen {}, ChannelOpenOk::NAME)?;
        Ok(client)
    }

    /// What the broker calls itself: product and version.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// The largest frame that was agreed on.
    pub fn frame_max(&self) -> u32 {
        self.frame_max
    }

    /// Sends `request` and waits for the method named `answer`.
    ///
    /// # Errors
    /// When the broker answers with anything else, closing included.
    pub fn call<'a>(&mut self, request: impl Into<Method<'a>>, answer: &str) -> Result<()> {
        let request = request.into();
        self.send(CHANNEL, request)?;
        let payload = self.read_method()?;
        let method = decode(&payload)?;
        ensure!(method.name() == answer, "{} was answered by {}", request.name(), explain(&method));
        Ok(())
    }

    /// Gives the socket away, with timeouts short enough for a loop that watches for the end.
    ///
    /// # Errors
    /// When the socket does not take them.
    pub fn into_stream(self) -> Result<TcpStream> {
        self.stream.set_read_timeout(Some(POLL_INTERVAL))?;
        self.stream.set_write_timeout(Some(POLL_INTERVAL))?;
        Ok(self.stream)
    }

    fn handshake(&mut self, target: &Target) -> Result<()> {
        self.stream.write_all(&PROTOCOL_HEADER)?;
        let payload = self.read_method()?;
        let Method::ConnectionStart(start) = decode(&payload)? else {
            bail!("the broker did not begin with connection.start");
        };
        self.product = product(start.server_properties);
        let response = format!("\0{}\0{}", target.user, target.password);
        let properties = client_properties();
        let start_ok = ConnectionStartOk {
            client_properties: TableRef::from_raw(&properties),
            mechanism: "PLAIN",
            response: response.as_bytes(),
            locale: "en_US",
        };
        self.send(0, start_ok)?;
        let payload = self.read_method()?;
        let tune = match decode(&payload)? {
            Method::ConnectionTune(tune) => tune,
            other => bail!("the log-in was answered by {}", explain(&other)),
        };
        if tune.frame_max != 0 {
            self.frame_max = tune.frame_max.min(FRAME_MAX);
        }
        let tune_ok = ConnectionTuneOk { channel_max: tune.channel_max, frame_max: self.frame_max, heartbeat: 0 };
        self.send(0, tune_ok)?;
        self.send(0, ConnectionOpen { virtual_host: &target.vhost })?;
        let payload = self.read_method()?;
        match decode(&payload)? {
            Method::ConnectionOpenOk(_) => Ok(()),
            other => bail!("vhost {:?} was answered by {}", target.vhost, explain(&other)),
        }
    }

    fn send<'a>(&mut self, channel: u16, method: impl Into<Method<'a>>) -> Result<()> {
        self.scratch.clear();
        method.into().write_frame(channel, &mut self.scratch);
        self.stream.write_all(&self.scratch)?;
        Ok(())
    }

    /// Reads exactly one method frame, so that nothing is lost when the socket is handed on.
    fn read_method(&mut self) -> Result<Vec<u8>> {
        loop {
            let mut envelope = [0; FRAME_HEADER_SIZE];
            self.stream.read_exact(&mut envelope).context("the broker gave no answer")?;
            let [kind, _, _, a, b, c, d] = envelope;
            let size = u32::from_be_bytes([a, b, c, d]);
            ensure!(size <= self.frame_max, "the broker sent a frame of {size} bytes");
            let mut payload = vec![0; size as usize + 1];
            self.stream.read_exact(&mut payload)?;
            ensure!(payload.pop() == Some(FRAME_END), "the broker sent a frame without an end");
            if kind == FrameKind::Method as u8 {
                return Ok(payload);
            }
        }
    }
}

/// Writes all of `bytes` however slowly the broker reads; `false` if the run was over before that.
///
/// # Errors
/// When the socket fails.
pub fn write_patiently(stream: &mut TcpStream, mut bytes: &[u8], is_over: impl Fn() -> bool) -> Result<bool> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => {
                    if is_over() {
                        return Ok(false);
                    }
                }
                _ => return Err(error.into()),
            },
        }
    }
    Ok(true)
}

/// Closes connections that carry no more traffic, all at once and without waiting for one that is stuck.
pub fn close_all(streams: Vec<TcpStream>, limit: Duration) {
    let deadline = Instant::now() + limit;
    let mut close = Vec::new();
    let reason = ConnectionClose { reply_code: 200, reply_text: "bench is over", class_id: 0, method_id: 0 };
    Method::from(reason).write_frame(0, &mut close);
    let mut rest = vec![0; 65_536];
    let asked: Vec<TcpStream> =
        streams.into_iter().filter_map(|mut stream| stream.write_all(&close).is_ok().then_some(stream)).collect();
    for mut stream in asked {
        // What is still on its way, and connection.close-ok, end with the broker's FIN.
        while Instant::now() < deadline {
            match stream.read(&mut rest) {
                Ok(0) => break,
                Err(error) if error.kind() != ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => {}
            }
        }
    }
}

/// The error that a method nobody asked for stands for.
pub fn unexpected(payload: &[u8]) -> anyhow::Error {
    match decode(payload) {
        Ok(method) => anyhow!("the broker sent {}", explain(&method)),
        Err(error) => error,
    }
}

/// Whether a method only says how the broker feels: it stops reading publishers by itself.
pub fn is_alarm(payload: &[u8]) -> bool {
    matches!(Method::decode(payload), Ok(Method::ConnectionBlocked(_) | Method::ConnectionUnblocked(_)))
}

fn decode(payload: &[u8]) -> Result<Method<'_>> {
    Method::decode(payload).map_err(|error| anyhow!("the broker sent a broken method: {error:?}"))
}

fn explain(method: &Method<'_>) -> String {
    match method {
        Method::ConnectionClose(close) => {
            format!("connection.close {} {}", close.reply_code, close.reply_text)
        }
        Method::ChannelClose(close) => {
            format!("channel.close {} {}", close.reply_code, close.reply_text)
        }
        other => other.name().to_owned(),
    }
}

fn connect_tcp(target: &Target) -> Result<TcpStream> {
    let mut last_error = None;
    for address in (target.host.as_str(), target.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, STEP_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(STEP_TIMEOUT))?;
                stream.set_write_timeout(Some(STEP_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.map_or_else(|| anyhow!("the name has no address"), Into::into))
}

fn client_properties() -> Vec<u8> {
    let mut capabilities = FieldTable::default();
    for capability in ["publisher_confirms", "basic.nack", "connection.blocked", "authentication_failure_close"] {
        capabilities.push(capability.as_bytes(), FieldValue::Bool(true));
    }
    let mut properties = FieldTable::default();
    properties.push(*b"product", FieldValue::LongStr((*b"leveret-bench").into()));
    properties.push(*b"capabilities", FieldValue::Table(capabilities));
    let mut encoded = Vec::new();
    properties.encode(&mut encoded);
    encoded
}

/// Product and version. A broker that calls itself RabbitMQ for its clients' sake may have a name of its own besides.
fn product(server_properties: TableRef<'_>) -> String {
    let properties = server_properties.decode().unwrap_or_default();
    let text = |key: &str| match properties.get(key.as_bytes()) {
        Some(FieldValue::LongStr(value)) => Some(String::from_utf8_lossy(value).into_owned()),
        _ => None,
    };
    let product = text("product_name").or_else(|| text("product"));
    let version = text("product_version").or_else(|| text("version"));
    let words: Vec<String> = [product, version].into_iter().flatten().collect();
    if words.is_empty() { "an unnamed broker".to_owned() } else { words.join(" ") }
}
