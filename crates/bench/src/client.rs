//! A blocking AMQP connection of one channel: enough to set the stage, then its socket is handed to the hot loops.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use leveret_codec::frame::{FRAME_END, FrameKind};
use leveret_codec::limits::FRAME_HEADER_SIZE;
use leveret_codec::method::{
    ChannelClose, ChannelCloseOk, ChannelOpen, ChannelOpenOk, ConnectionClose, ConnectionCloseOk, ConnectionOpen,
    ConnectionStartOk, ConnectionTuneOk, Method,
};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};

use crate::url::Target;

/// The channel that every connection uses.
pub const CHANNEL: u16 = 1;
/// Frame size to ask for, RabbitMQ's default.
pub const FRAME_MAX: u32 = 131_072;
/// Requests that are made before the first is answered.
const PIPELINE_DEPTH: usize = 500;
/// Bytes that are read of their answers at once.
const PIPELINE_READ_BYTES: usize = 32 * 1024;
const CLOSE_TEXT: &str = "bench is over";
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
        let mut client = Self::connect_without_channel(target)?;
        client.call(ChannelOpen {}, ChannelOpenOk::NAME)?;
        Ok(client)
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub fn connect_without_channel(target: &Target) -> Result<Self> {
        let stream =
            connect_tcp(target).with_context(|| format!("cannot connect to {}:{}", target.host, target.port))?;
        let mut client = Self { stream, frame_max: FRAME_MAX, product: String::new(), scratch: Vec::new() };
        client.handshake(target).with_context(|| format!("handshake with {}:{}", target.host, target.port))?;
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
        self.call_on(CHANNEL, request, answer)
    }

    /// Makes all requests, many of them before the first is answered, and tells `on_answers` how many have been.
    ///
    /// # Errors
    /// When the broker answers with anything else than `answer`, closing included.
    pub fn call_all<'a, M: Into<Method<'a>>>(
        &mut self,
        requests: impl IntoIterator<Item = M>,
        answer: &str,
        mut on_answers: impl FnMut(u64),
    ) -> Result<()> {
        let mut requests = requests.into_iter().peekable();
        let mut answered = 0;
        while requests.peek().is_some() {
            self.scratch.clear();
            let mut count = 0;
            for request in requests.by_ref().take(PIPELINE_DEPTH) {
                request.into().write_frame(CHANNEL, &mut self.scratch);
                count += 1;
            }
            self.stream.write_all(&self.scratch)?;
            let mut answers = BufReader::with_capacity(PIPELINE_READ_BYTES, &self.stream);
            for _ in 0..count {
                let payload = read_method(&mut answers, self.frame_max)?;
                let method = decode(&payload)?;
                ensure!(method.name() == answer, "a request for {answer} was answered by {}", explain(&method));
            }
            ensure!(answers.buffer().is_empty(), "the broker sent more than answers");
            answered += count;
            on_answers(answered);
        }
        Ok(())
    }

    /// Opens the channel and closes it again.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn open_and_close_channel(&mut self) -> Result<()> {
        self.call(ChannelOpen {}, ChannelOpenOk::NAME)?;
        let close = ChannelClose { reply_code: 200, reply_text: CLOSE_TEXT, class_id: 0, method_id: 0 };
        self.call(close, ChannelCloseOk::NAME)
    }

    /// Ends the connection in the agreed way.
    ///
    /// # Errors
    /// When the broker does not agree.
    pub fn close(mut self) -> Result<()> {
        self.call_on(0, connection_close(), ConnectionCloseOk::NAME)
    }

    fn call_on<'a>(&mut self, channel: u16, request: impl Into<Method<'a>>, answer: &str) -> Result<()> {
        let request = request.into();
        self.send(channel, request)?;
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

    fn read_method(&mut self) -> Result<Vec<u8>> {
        read_method(&mut self.stream, self.frame_max)
    }
}

/// Reads exactly one method frame, so that nothing is lost when the socket is handed on.
fn read_method(source: &mut impl Read, frame_max: u32) -> Result<Vec<u8>> {
    loop {
        let mut envelope = [0; FRAME_HEADER_SIZE];
        source.read_exact(&mut envelope).context("the broker gave no answer")?;
        let [kind, _, _, a, b, c, d] = envelope;
        let size = u32::from_be_bytes([a, b, c, d]);
        ensure!(size <= frame_max, "the broker sent a frame of {size} bytes");
        let mut payload = vec![0; size as usize + 1];
        source.read_exact(&mut payload)?;
        ensure!(payload.pop() == Some(FRAME_END), "the broker sent a frame without an end");
        if kind == FrameKind::Method as u8 {
            return Ok(payload);
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
    Method::from(connection_close()).write_frame(0, &mut close);
    let mut rest = vec![0; 65_536];
    let asked: Vec<TcpStream> = streams
        .into_iter()
        .filter_map(|mut stream| {
            stream.write_all(&close).ok()?;
            // RabbitMQ keeps the socket until its client lets go of it.
            stream.shutdown(Shutdown::Write).ok()?;
            Some(stream)
        })
        .collect();
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

/// What a broker says about the alarms it has. It stops reading publishers by itself.
pub enum Alarm {
    /// Publishers are not read any more, for this reason.
    Blocked(String),
    /// Publishers are read again.
    Unblocked,
}

/// The alarm that a method tells of, if it does.
pub fn alarm(payload: &[u8]) -> Option<Alarm> {
    match Method::decode(payload) {
        Ok(Method::ConnectionBlocked(blocked)) => Some(Alarm::Blocked(blocked.reason.to_string())),
        Ok(Method::ConnectionUnblocked(_)) => Some(Alarm::Unblocked),
        _ => None,
    }
}

fn connection_close() -> ConnectionClose<'static> {
    ConnectionClose { reply_code: 200, reply_text: CLOSE_TEXT, class_id: 0, method_id: 0 }
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
