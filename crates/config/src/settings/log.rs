//! The log.

use std::collections::BTreeMap;
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
