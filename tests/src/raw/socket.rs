//! One TCP connection: frames out, frames in, and a handshake that can stop anywhere.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::ids::{self, Id};
use super::methods::{self, Method};
use super::wire::{Args, FRAME_END, FRAME_HEARTBEAT, FRAME_METHOD, Table, frame, table};
use crate::broker::Broker;

/// What an AMQP 0-9-1 client sends first.
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";
/// How long any expected answer may take: long enough for a slow machine that others use too.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a test watches that nothing comes.
pub const SILENCE: Duration = Duration::from_millis(150);

const READ_BYTES: usize = 64 * 1024;
const FRAME_HEAD_BYTES: usize = 7;

/// A received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The frame type.
    pub kind: u8,
    /// The channel number.
    pub channel: u16,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Class and method of a method frame.
    pub fn id(&self) -> Option<Id> {
        if self.kind != FRAME_METHOD {
            return None;
        }
        let mut args = Args::new(&self.payload);
        Some((args.short(), args.short()))
    }

    /// The arguments of a method frame.
    pub fn args(&self) -> Args {
        let mut args = Args::new(&self.payload);
        args.long();
        args
    }
}

/// What a connection gave within the patience of the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole frame.
    Frame(Frame),
    /// The end of the stream, or a reset.
    Closed,
    /// Nothing.
    Silence,
}

/// How far a handshake goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// TCP alone.
    Connected,
    /// connection.start was received.
    Started,
    /// connection.tune was received.
    Tuning,
    /// connection.tune-ok was sent.
    Opening,
    /// connection.open-ok was received.
    Open,
    /// Channel 1 is open.
    Channel,
}

/// How to log in; the default is what an ordinary client does.
#[derive(Clone, Debug)]
pub struct Login {
    /// The SASL mechanism.
    pub mechanism: String,
    /// The SASL response.
    pub response: Vec<u8>,
    /// The client properties.
    pub properties: Table,
    /// For connection.tune-ok.
    pub channel_max: u16,
    /// For connection.tune-ok.
    pub frame_max: u32,
    /// For connection.tune-ok; 0 by default, so that no heartbeat disturbs a test.
    pub heartbeat_seconds: u16,
    /// For connection.open.
    pub vhost: String,
}

impl Login {
    /// PLAIN with the user of the broker and all capabilities.
    pub fn new(broker: &Broker) -> Login {
        let capabilities = table([
            ("authentication_failure_close", true.into()),
            ("consumer_cancel_notify", true.into()),
            ("connection.blocked", true.into()),
        ]);
        Login {
            mechanism: "PLAIN".to_owned(),
            response: plain(broker.user(), broker.password()),
            properties: table([("capabilities", capabilities.into())]),
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat_seconds: 0,
            vhost: broker.vhost().to_owned(),
        }
    }

    /// The same without any capability.
    pub fn without_capabilities(broker: &Broker) -> Login {
        Login { properties: Table::default(), ..Login::new(broker) }
    }

    /// connection.start-ok
    pub fn start_ok(&self) -> Method {
        methods::start_ok(&self.properties, &self.mechanism, &self.response)
    }

    /// connection.tune-ok
    pub fn tune_ok(&self) -> Method {
        methods::tune_ok(self.channel_max, self.frame_max, self.heartbeat_seconds)
    }
}

/// The SASL PLAIN response.
pub fn plain(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

/// A blocking connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// How much of the buffer's beginning was taken as frames; it goes before the next read.
    taken: usize,
    is_closed: bool,
}

impl Socket {
    /// Connects and sends nothing.
    pub fn connect(broker: &Broker) -> Socket {
        let stream = TcpStream::connect_timeout(&broker.addr(), PATIENCE).expect("the broker accepts connections");
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout can be set");
        Socket { stream, buffer: Vec::new(), taken: 0, is_closed: false }
    }

    /// Connects and goes through the handshake as far as `stage`.
    pub fn at(broker: &Broker, stage: Stage) -> Socket {
        Socket::at_with(broker, stage, &Login::new(broker))
    }

    /// As [`Socket::at`] with another login.
    pub fn at_with(broker: &Broker, stage: Stage, login: &Login) -> Socket {
        let mut socket = Socket::connect(broker);
        if stage >= Stage::Started {
            socket.send(&PROTOCOL_HEADER);
            socket.expect(0, ids::CONNECTION_START);
        }
        if stage >= Stage::Tuning {
            socket.send_method(0, &login.start_ok());
            socket.expect(0, ids::CONNECTION_TUNE);
        }
        if stage >= Stage::Opening {
            socket.send_method(0, &login.tune_ok());
        }
        if stage >= Stage::Open {
            socket.send_method(0, &methods::connection_open(&login.vhost));
            socket.expect(0, ids::CONNECTION_OPEN_OK);
        }
        if stage >= Stage::Channel {
            socket.send_method(1, &methods::channel_open());
            socket.expect(1, ids::CHANNEL_OPEN_OK);
        }
        socket
    }

    /// Writes octets. A connection the broker has closed swallows them: what the broker said before is still to be read.
    pub fn send(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Ok(()) => (),
            Err(error) if is_gone(error.kind()) => (),
            Err(error) => panic!("cannot write to the broker: {error}"),
        }
    }

    /// Writes octets as long as the broker takes them and gives how many it took.
    pub fn send_while_taken(&mut self, bytes: &[u8], patience: Duration) -> usize {
        self.stream.set_write_timeout(Some(patience)).expect("a write timeout can be set");
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(count) => taken += count,
                Err(_) => break,
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout can be set");
        taken
    }

    /// Writes a method and its content, not cut into pieces.
    pub fn send_method(&mut self, channel: u16, method: &Method) {
        self.send(&method.frames(channel, 0));
    }

    /// Writes a heartbeat.
    pub fn send_heartbeat(&mut self) {
        self.send(&frame(FRAME_HEARTBEAT, 0, b""));
    }

    /// Says that nothing more will be written; reading goes on.
    pub fn end_writing(&mut self) {
        // The broker may have closed the connection already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next frame of any kind.
    pub fn next(&mut self, patience: Duration) -> Event {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(frame) = self.take_frame() {
                return Event::Frame(frame);
            }
            if self.is_closed {
                let rest = self.buffer.get(self.taken..).unwrap_or_default();
                assert!(rest.is_empty(), "the stream ends inside a frame: {rest:?}");
                return Event::Closed;
            }
            if !self.fill(deadline) {
                return Event::Silence;
            }
        }
    }

    /// What has come already, without any waiting: a read timeout, however short, lasts some milliseconds.
    pub fn poll(&mut self) -> Event {
        if let Some(frame) = self.take_frame() {
            return Event::Frame(frame);
        }
        self.stream.set_nonblocking(true).expect("a socket can be made so");
        self.read_once();
        self.stream.set_nonblocking(false).expect("a socket can be made so");
        match self.take_frame() {
            Some(frame) => Event::Frame(frame),
            None if self.is_closed => Event::Closed,
            None => Event::Silence,
        }
    }

    /// The next frame that is not a heartbeat.
    pub fn next_but_heartbeats(&mut self, patience: Duration) -> Event {
        let deadline = Instant::now() + patience;
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now())) {
                Event::Frame(frame) if frame.kind == FRAME_HEARTBEAT => (),
                event => return event,
            }
        }
    }

    /// Everything up to the end of the stream, not read as frames; `None` when it does not end in time.
    pub fn read_to_end(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + patience;
        while !self.is_closed {
            if !self.fill(deadline) {
                return None;
            }
        }
        self.buffer.drain(..std::mem::take(&mut self.taken));
        Some(std::mem::take(&mut self.buffer))
    }

    /// Takes the next frame, which must be this method on this channel.
    pub fn expect(&mut self, channel: u16, id: Id) -> Args {
        match self.next_but_heartbeats(PATIENCE) {
            Event::Frame(frame) if frame.channel == channel && frame.id() == Some(id) => frame.args(),
            other => panic!("{} expected on channel {channel}, got {}", ids::name(id), describe(&other)),
        }
    }

    /// Takes a connection.close with exactly this code, text and method, answers it and waits for the end of the stream.
    pub fn expect_close(&mut self, code: u16, explanation: &str, blamed: Id) {
        let close = self.expect(0, ids::CONNECTION_CLOSE);
        assert_close(close, code, explanation, blamed);
        self.finish_close();
    }

    /// Takes a channel.close with exactly this code, text and method and answers it.
    pub fn expect_channel_close(&mut self, channel: u16, code: u16, explanation: &str, blamed: Id) {
        let close = self.expect(channel, ids::CHANNEL_CLOSE);
        assert_close(close, code, explanation, blamed);
        self.send_method(channel, &Method::new(ids::CHANNEL_CLOSE_OK));
    }

    /// Answers a connection.close that was read and waits for the end of the stream.
    pub fn finish_close(&mut self) {
        self.send_method(0, &Method::new(ids::CONNECTION_CLOSE_OK));
        self.expect_end();
    }

    /// Waits for the end of the stream; nothing but heartbeats may come before it.
    pub fn expect_end(&mut self) {
        match self.next_but_heartbeats(PATIENCE) {
            Event::Closed => (),
            other => panic!("the end of the connection expected, got {}", describe(&other)),
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let bytes = self.buffer.get(self.taken..)?;
        let mut head = Args::new(bytes.get(..FRAME_HEAD_BYTES)?);
        let (kind, channel, size) = (head.octet(), head.short(), head.long());
        let payload_end = FRAME_HEAD_BYTES + usize::try_from(size).expect("32 bits fit in usize");
        let end = *bytes.get(payload_end)?;
        assert_eq!(end, FRAME_END, "the broker sent a frame with a wrong end");
        let payload = bytes.get(FRAME_HEAD_BYTES..payload_end)?.to_vec();
        self.taken += payload_end + 1;
        Some(Frame { kind, channel, payload })
    }

    /// Reads once. False: nothing came before the deadline.
    fn fill(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        self.stream.set_read_timeout(Some(left)).expect("a read timeout can be set");
        self.read_once()
    }

    fn read_once(&mut self) -> bool {
        self.buffer.drain(..std::mem::take(&mut self.taken));
        let mut piece = [0; READ_BYTES];
        match self.stream.read(&mut piece) {
            Ok(0) => self.is_closed = true,
            Ok(count) => self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if is_gone(error.kind()) => self.is_closed = true,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) => panic!("cannot read from the broker: {error}"),
        }
        true
    }
}

/// Compares the arguments of a close with what is expected.
pub fn assert_close(mut close: Args, code: u16, explanation: &str, blamed: Id) {
    let got = (close.short(), close.shortstr(), (close.short(), close.short()));
    close.finish();
    assert_eq!(got, (code, ids::reply_text(code, explanation), blamed));
}

/// An event for a failure message, with the text of a close.
pub fn describe(event: &Event) -> String {
    let Event::Frame(frame) = event else {
        return format!("{event:?}");
    };
    match frame.id() {
        Some(id @ (ids::CONNECTION_CLOSE | ids::CHANNEL_CLOSE)) => {
            let mut args = frame.args();
            let (code, text) = (args.short(), args.shortstr());
            let blamed = (args.short(), args.short());
            format!("{} on channel {}: {code} {text} {blamed:?}", ids::name(id), frame.channel)
        }
        Some(id) => format!("{} on channel {}", ids::name(id), frame.channel),
        None => format!("a frame of type {} on channel {}", frame.kind, frame.channel),
    }
}

fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}
