//! A syslog: datagrams, or a connection on which each message has its length before it.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::Instant;

use leveret_config::settings::{Syslog, SyslogProtocol, SyslogTransport};
use tracing::Level;

use super::format::PROCESS;
use super::limits::{SYSLOG_PATIENCE, SYSLOG_PAUSE};
use super::outside::Entry;

/// Where it is if nobody says so.
const HOST: &str = "127.0.0.1";

/// The kernel's word for the name of this machine.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The longest that RFC 5424 allows.
const HOST_CHARS_MAX: usize = 255;
const IDENTITY_CHARS_MAX: usize = 48;

/// Sends lines to a syslog.
#[derive(Debug)]
pub(super) struct Sender {
    form: Form,
    address: (String, u16),
    transport: SyslogTransport,
    open: Option<Way>,
    /// It could not be reached: nothing is tried until then.
    paused_until: Option<Instant>,
}

/// What a message looks like.
#[derive(Debug)]
struct Form {
    protocol: SyslogProtocol,
    facility: u8,
    host: String,
    identity: String,
    process: u32,
    is_multiline: bool,
}

#[derive(Debug)]
enum Way {
    Datagrams(UdpSocket),
    Connection(TcpStream),
}

impl Sender {
    /// As told; `node` is the name of the node.
    pub(super) fn new(syslog: &Syslog, node: &str) -> Self {
        let name = fs::read_to_string(HOST_NAME).unwrap_or_default();
        let host = match (name.trim(), syslog.protocol) {
            ("", _) => "localhost",
            (name, SyslogProtocol::Rfc3164) => name.split('.').next().unwrap_or(name),
            (name, SyslogProtocol::Rfc5424) => name,
        };
        let own = || node.split('@').next().unwrap_or(node).to_owned();
        let form = Form {
            protocol: syslog.protocol,
            facility: syslog.facility,
            host: one_word(host, HOST_CHARS_MAX),
            identity: one_word(&syslog.identity.clone().unwrap_or_else(own), IDENTITY_CHARS_MAX),
            process: std::process::id(),
            is_multiline: syslog.is_multiline,
        };
        let address = (host_of(syslog), syslog.port);
        Self { form, address, transport: syslog.transport, open: None, paused_until: None }
    }

    /// Sends a line. Says whether it went off.
    pub(super) fn send(&mut self, entry: &Entry) -> bool {
        self.form.messages(entry).iter().all(|message| self.send_message(message))
    }

    fn send_message(&mut self, message: &[u8]) -> bool {
        if self.paused_until.is_some_and(|end| Instant::now() < end) {
            return false;
        }
        // What is open may have been closed by the other side: then once more by a new way.
        if let Some(way) = &mut self.open {
            if way.send(message).is_ok() {
                return true;
            }
            self.open = None;
        }
        let sent = self.open().and_then(|mut way| way.send(message).map(|()| way));
        self.open = sent.ok();
        self.paused_until = if self.open.is_none() { Some(Instant::now() + SYSLOG_PAUSE) } else { None };
        self.open.is_some()
    }

    fn open(&self) -> std::io::Result<Way> {
        let (host, port) = (self.address.0.as_str(), self.address.1);
        let mut failure = std::io::ErrorKind::AddrNotAvailable.into();
        for address in (host, port).to_socket_addrs()? {
            let opened = match self.transport {
                SyslogTransport::Tcp => connection(address).map(Way::Connection),
                SyslogTransport::Udp | SyslogTransport::Tls => datagrams(address).map(Way::Datagrams),
            };
            match opened {
                Ok(way) => return Ok(way),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// Where a syslog is.
pub(super) fn host_of(syslog: &Syslog) -> String {
    match (syslog.ip, &syslog.host) {
        (Some(ip), _) => ip.to_string(),
        (None, Some(host)) => host.clone(),
        (None, None) => HOST.to_owned(),
    }
}

fn datagrams(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_write_timeout(Some(SYSLOG_PATIENCE))?;
    Ok(socket)
}

fn connection(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, SYSLOG_PATIENCE)?;
    stream.set_write_timeout(Some(SYSLOG_PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Way {
    fn send(&mut self, message: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Datagrams(socket) => socket.send(message).map(drop),
            Self::Connection(stream) => {
                let length = format!("{} ", message.len());
                stream.write_all(&[length.as_bytes(), message].concat())
            }
        }
    }
}

impl Form {
    /// A message each line of the text, or one for all.
    fn messages(&self, entry: &Entry) -> Vec<Vec<u8>> {
        let texts: Vec<&str> = match self.is_multiline {
            true => vec![entry.text.trim_end()],
            false => entry.text.lines().filter(|line| !line.is_empty()).collect(),
        };
        let head = self.head(entry);
        texts.into_iter().map(|text| format!("{head}{text}").into_bytes()).collect()
    }

    /// All before the text, as RabbitMQ has it.
    fn head(&self, entry: &Entry) -> String {
        let Self { host, identity, process, .. } = self;
        let priority = u32::from(self.facility) * 8 + severity(entry.level);
        match self.protocol {
            SyslogProtocol::Rfc3164 => {
                format!("<{priority}>{} {host} {identity}[{process}] {PROCESS} - ", entry.at.rfc3164())
            }
            SyslogProtocol::Rfc5424 => {
                format!("<{priority}>1 {} {host} {identity} {process} {PROCESS} - ", entry.at.rfc5424())
            }
        }
    }
}

/// The syslog's number for a level.
pub(super) fn severity(level: Level) -> u32 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// A name that is one word of printable letters.
fn one_word(name: &str, chars_max: usize) -> String {
    let name: String = name.chars().filter(char::is_ascii_graphic).take(chars_max).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::time::Duration;

    use super::super::outside::tests::entry;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn told(port: u16) -> Syslog {
        Syslog { facility: 16, port, ip: Some(Ipv4Addr::LOCALHOST.into()), ..Syslog::default() }
    }

    /// A message without the parts that are of this machine and moment.
    fn without_moment(message: &str, syslog: &Sender) -> String {
        let process = syslog.form.process.to_string();
        message.replace(&syslog.form.host, "HOST").replace(&process, "PID")
    }

    #[test]
    fn datagrams_have_the_old_form() {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        receiver.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut sender = Sender::new(&told(receiver.local_addr().unwrap().port()), "rabbit@node");
        let line = Entry { level: Level::WARN, ..entry("first\nsecond\n") };
        assert!(sender.send(&line));
        for text in ["first", "second"] {
            let mut bytes = [0; 1024];
            let length = receiver.recv(&mut bytes).unwrap();
            let message = without_moment(std::str::from_utf8(&bytes[..length]).unwrap(), &sender);
            let (priority, rest) = message.split_at("<132>".len());
            assert_eq!(priority, "<132>");
            assert_eq!(&rest["Oct  3 09:57:11".len()..], format!(" HOST rabbit[PID] <0.1.0> - {text}"));
        }
    }

    #[test]
    fn a_connection_has_messages_with_their_lengths() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let syslog = Syslog {
            protocol: SyslogProtocol::Rfc5424,
            transport: SyslogTransport::Tcp,
            identity: Some("my broker".to_owned()),
            is_multiline: true,
            ..told(listener.local_addr().unwrap().port())
        };
        let mut sender = Sender::new(&syslog, "rabbit@node");
        assert!(sender.send(&entry("first\nsecond\n")));
        let (mut stream, _) = listener.accept().unwrap();
        assert!(sender.send(&entry("third\n")));
        drop(sender.open.take());
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (length, rest) = text.split_once(' ').unwrap();
        let (message, next) = rest.split_at(length.parse().unwrap());
        let message = without_moment(message, &sender);
        assert!(message.starts_with("<134>1 2"), "{message}");
        assert!(message.ends_with("Z HOST mybroker PID <0.1.0> - first\nsecond"), "{message}");
        assert!(next.ends_with("- third"), "{next}");
        // The other side went away, and is there again.
        drop(stream);
        assert!(sender.send(&entry("fourth")));
        let (mut stream, _) = listener.accept().unwrap();
        drop(sender.open.take());
        stream.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("- fourth"), "{text}");
    }

    #[test]
    fn a_syslog_that_is_not_there_is_left_alone_for_a_while() {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let syslog = Syslog { transport: SyslogTransport::Tcp, ..told(port) };
        let mut sender = Sender::new(&syslog, "rabbit@node");
        assert!(!sender.send(&entry("lost")));
        assert!(sender.paused_until.is_some());
    }

    #[test]
    fn levels_have_numbers() {
        let numbers = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG].map(severity);
        assert_eq!(numbers, [3, 4, 6, 7]);
    }
}
