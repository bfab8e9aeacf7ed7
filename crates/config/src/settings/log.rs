//! The log.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Whose lines it has.
    pub style: LogStyle,
    /// What is logged where nothing else is said.
    pub level: LogLevel,
    /// ...by RabbitMQ's category (`connection`, `queue`...).
    pub categories: BTreeMap<String, LogLevel>,
    /// Directives of our own, such as `leveret_server=debug`, in place of both.
    pub directives: Option<String>,
    /// To the terminal.
    pub console: Option<bool>,
    /// Which of its streams.
    pub stream: Option<LogStream>,
    /// What goes there at most.
    pub console_level: Option<LogLevel>,
    /// How it looks there.
    pub console_format: LogFormat,
    /// To a file.
    pub file: Option<PathBuf>,
    /// No file, whatever the folder.
    pub is_file_off: bool,
    /// The folder of a file with a relative path.
    pub dir: Option<PathBuf>,
    /// What goes there at most.
    pub file_level: Option<LogLevel>,
    /// How it looks there.
    pub file_format: LogFormat,
    /// When a new file is begun.
    pub rotation: Rotation,
    /// Categories that go to files of their own, and nowhere else.
    pub category_files: BTreeMap<String, PathBuf>,
    /// When new ones of those are begun.
    pub category_rotations: BTreeMap<String, Rotation>,
    /// To exchange `amq.rabbitmq.log` of the default virtual host.
    pub exchange: Option<bool>,
    /// What goes there at most.
    pub exchange_level: Option<LogLevel>,
    /// How it looks there.
    pub exchange_format: LogFormat,
    /// To the journal of systemd.
    pub journald: Option<bool>,
    /// What goes there at most.
    pub journald_level: Option<LogLevel>,
    /// To a syslog.
    pub syslog: Syslog,
}

/// When a new file is begun, and how many old ones are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// At these times.
    pub date: Option<Schedule>,
    /// When it is larger than this; 0 is as large as it gets.
    pub size_bytes: u64,
    /// So many are kept, as `FILE.0`, `FILE.1`...
    pub count: u32,
}

impl Rotation {
    /// Whether a new file is ever begun.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.date.is_some() || self.size_bytes > 0
    }
}

/// Times that come again and again, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// In each hour, at this minute.
    Hour {
        /// 0 to 59.
        minute: u8,
    },
    /// Each day, at this hour.
    Day {
        /// 0 to 23.
        hour: u8,
    },
    /// Each week.
    Week {
        /// 0 is Sunday.
        day: u8,
        /// 0 to 23.
        hour: u8,
    },
    /// Each month.
    Month {
        /// 1 to 31; the last one where a month has fewer.
        day: u8,
        /// 0 to 23.
        hour: u8,
    },
}

/// A syslog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Syslog {
    /// The log goes there.
    pub enabled: Option<bool>,
    /// What goes there at most.
    pub level: Option<LogLevel>,
    /// How the text of a message looks.
    pub format: LogFormat,
    /// Who says it; the node's name without its host if none.
    pub identity: Option<String>,
    /// The number of the facility.
    pub facility: u8,
    /// A text of several lines is one message.
    pub is_multiline: bool,
    /// Where it is; wins over the name.
    pub ip: Option<IpAddr>,
    /// The name of the machine.
    pub host: Option<String>,
    /// Its port.
    pub port: u16,
    /// How messages get there.
    pub transport: SyslogTransport,
    /// Whose form they have.
    pub protocol: SyslogProtocol,
}

impl Syslog {
    /// Whether the log goes there: if that is said, or a level for it.
    #[must_use]
    pub fn is_on(&self) -> bool {
        is_on(self.enabled, self.level)
    }
}

impl Log {
    /// Whether it goes to the exchange.
    #[must_use]
    pub fn is_to_exchange(&self) -> bool {
        is_on(self.exchange, self.exchange_level)
    }

    /// Whether it goes to the journal of systemd.
    #[must_use]
    pub fn is_to_journald(&self) -> bool {
        is_on(self.journald, self.journald_level)
    }
}

/// A target is on when that is said; else when there is a level for it, as in RabbitMQ.
fn is_on(said: Option<bool>, level: Option<LogLevel>) -> bool {
    said.unwrap_or(level.is_some_and(|level| level != LogLevel::None))
}

/// How messages get to a syslog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyslogTransport {
    /// A datagram each.
    #[default]
    Udp,
    /// In a row, each with its length before it.
    Tcp,
    /// The same in TLS, which is not spoken.
    Tls,
}

/// The form of messages to a syslog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyslogProtocol {
    /// The old one of BSD.
    #[default]
    Rfc3164,
    /// The one of RFC 5424.
    Rfc5424,
}

/// Whose lines the log has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogStyle {
    /// Ours, on stderr.
    #[default]
    Own,
    /// RabbitMQ's, on stdout.
    Rabbit,
}

/// How urgent a line is. RabbitMQ's levels above `error` count as `error`, `notice` as `info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing at all.
    None,
    /// Something is broken.
    Error,
    /// Somebody should look.
    Warning,
    /// What happens.
    #[default]
    Info,
    /// How it happens.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// By RabbitMQ's name, or ours.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "none" | "off" => Self::None,
            "emergency" | "alert" | "critical" | "error" => Self::Error,
            "warning" | "warn" => Self::Warning,
            "notice" | "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => return None,
        })
    }
}

/// A stream of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Plain,
    /// An object a line.
    Json,
}
