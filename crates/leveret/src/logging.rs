//! The log: where it goes, how its lines look, and how much of it there is, which may change while the broker runs.

mod format;
mod target;
mod time;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;

use leveret_config::settings::{Log, LogFormat, LogLevel, LogStream, LogStyle};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use self::format::Lines;
use self::target::LogFile;

/// What can be done about the log while it is written.
#[derive(Clone, Debug)]
pub(crate) struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    file: Option<Arc<LogFile>>,
    node: String,
    /// Where it goes, by RabbitMQ's names.
    pub(crate) targets: Vec<String>,
}

/// Parts of the program by RabbitMQ's categories.
const CATEGORIES: &[(&str, &[&str])] = &[
    (
        "connection",
        &["leveret_server::accept", "leveret_server::connection", "leveret_server::reader", "leveret_session"],
    ),
    ("channel", &["leveret_session::channel", "leveret_session::channel_methods"]),
    ("queue", &["leveret_engine::queue", "leveret_engine::stream"]),
    ("default", &["leveret", "leveret_server", "leveret_engine", "leveret_store"]),
];

/// Begins to log. `node` names the file where only a folder was given.
pub(crate) fn start(log: &Log, node: &str) -> Result<Logging, String> {
    let places = Places::of(log, node);
    let filter = EnvFilter::try_new(directives(log, &places)).map_err(|error| format!("log: {error}"))?;
    let (filter, handle) = reload::Layer::new(filter);
    let file = match &places.file {
        Some(path) => {
            Some(Arc::new(LogFile::open(path).map_err(|error| format!("cannot log to {}: {error}", path.display()))?))
        }
        None => None,
    };
    let mut targets = Vec::new();
    let mut layers: Vec<Box<dyn Layer<_> + Send + Sync>> = Vec::new();
    if places.console {
        let stream = stream(log);
        targets.push(if stream == LogStream::Stdout { "<stdout>" } else { "<stderr>" }.to_owned());
        layers.push(console(log, stream, places.at_most(log.console_level)));
    }
    if let Some(file) = &file {
        targets.push(file.path().display().to_string());
        let lines = Lines { style: log.style, format: log.file_format };
        let written = Arc::clone(file);
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || written.writer());
        layers.push(Box::new(layer.event_format(lines).with_filter(places.at_most(log.file_level))));
    }
    // A second broker in the same process logs to the first one's log.
    let _ = tracing_subscriber::registry().with(filter).with(layers).try_init();
    Ok(Logging { filter: handle, file, targets, node: node.to_owned() })
}

fn console<S>(log: &Log, stream: LogStream, level: LevelFilter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a> + Send + Sync,
{
    let (writer, is_terminal) = match stream {
        LogStream::Stdout => (BoxMakeWriter::new(io::stdout), io::stdout().is_terminal()),
        LogStream::Stderr => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match (log.style, log.console_format) {
        (LogStyle::Own, LogFormat::Plain) => Box::new(layer.with_ansi(is_terminal).with_filter(level)),
        (style, format) => Box::new(layer.with_ansi(false).event_format(Lines { style, format }).with_filter(level)),
    }
}

fn stream(log: &Log) -> LogStream {
    log.stream.unwrap_or(match log.style {
        LogStyle::Own => LogStream::Stderr,
        LogStyle::Rabbit => LogStream::Stdout,
    })
}

/// The file: the one named, in the folder named, or one by the node's name where there is a folder and no console.
fn file_path(log: &Log, node: &str) -> Option<PathBuf> {
    if log.is_file_off {
        return None;
    }
    let folder = log.dir.clone().unwrap_or_default();
    match &log.file {
        Some(file) => Some(folder.join(file)),
        None if log.dir.is_some() && log.console != Some(true) => Some(folder.join(format!("{node}.log"))),
        None => None,
    }
}

fn at_most(level: Option<LogLevel>) -> LevelFilter {
    level.map_or(LevelFilter::TRACE, |level| match level {
        LogLevel::None => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    })
}

fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::None => "off",
        LogLevel::Error => "error",
        LogLevel::Warning => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

/// What is logged, as the filter understands it.
fn directives(log: &Log, places: &Places) -> String {
    if let Some(directives) = &log.directives {
        return directives.clone();
    }
    let mut directives = word(places.level(log)).to_owned();
    for (category, parts) in CATEGORIES {
        let Some(level) = log.categories.get(*category) else { continue };
        for part in *parts {
            directives.push_str(&format!(",{part}={}", word(*level)));
        }
    }
    directives
}

/// Where the log goes.
#[derive(Clone, Debug)]
struct Places {
    file: Option<PathBuf>,
    console: bool,
}

impl Places {
    /// What the settings say. `node` names the file where only a folder was given.
    fn of(log: &Log, node: &str) -> Self {
        let file = file_path(log, node);
        Self { console: log.console.unwrap_or(file.is_none()), file }
    }

    /// The most that any of them shows, where nothing else is said.
    fn level(&self, log: &Log) -> LogLevel {
        if log.level != LogLevel::default() {
            return log.level;
        }
        let console = self.console.then(|| log.console_level.unwrap_or_default());
        let file = self.file.is_some().then(|| log.file_level.unwrap_or_default());
        console.max(file).unwrap_or_default()
    }

    /// Where there are two, each has its own level; one alone has that of the whole log, which can be changed.
    fn at_most(&self, level: Option<LogLevel>) -> LevelFilter {
        if self.console && self.file.is_some() { at_most(level) } else { LevelFilter::TRACE }
    }
}

impl Logging {
    /// Logs what is at least this urgent from now on.
    pub(crate) fn set_level(&self, level: &str) -> Result<(), String> {
        let level = LogLevel::by_name(level).ok_or_else(|| format!("`{level}` is no level of the log"))?;
        self.filter.reload(EnvFilter::new(word(level))).map_err(|error| error.to_string())
    }

    /// Logs as told from now on.
    pub(crate) fn apply(&self, log: &Log) -> Result<(), String> {
        let filter =
            EnvFilter::try_new(directives(log, &Places::of(log, &self.node))).map_err(|error| error.to_string())?;
        self.filter.reload(filter).map_err(|error| error.to_string())
    }

    /// Whether the file is the only place.
    pub(crate) fn goes_to_a_file_alone(&self) -> bool {
        self.file.is_some() && self.targets.len() == 1
    }

    /// Opens the file again, which somebody may have moved away.
    pub(crate) fn reopen(&self) {
        if let Some(Err(error)) = self.file.as_ref().map(|file| file.reopen()) {
            tracing::error!(%error, "cannot open the log file again: the log goes on in the old one");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(log: &Log) -> String {
        directives(log, &Places::of(log, "rabbit@x"))
    }

    #[test]
    fn levels_come_by_category() {
        let mut log = Log::default();
        assert_eq!(shown(&log), "info");
        for level in [LogLevel::Debug, LogLevel::Warning] {
            log.console_level = Some(level);
            assert_eq!(shown(&log), word(level));
        }
        log.level = LogLevel::Error;
        log.categories.insert("queue".to_owned(), LogLevel::Debug);
        log.categories.insert("federation".to_owned(), LogLevel::Debug);
        assert_eq!(shown(&log), "error,leveret_engine::queue=debug,leveret_engine::stream=debug");
        log.directives = Some("leveret_store=trace".to_owned());
        assert_eq!(shown(&log), "leveret_store=trace");
    }

    #[test]
    fn two_places_have_levels_of_their_own() {
        let mut log = Log { file: Some("a".into()), file_level: Some(LogLevel::Debug), ..Log::default() };
        let places = Places::of(&log, "rabbit@x");
        assert_eq!((places.level(&log), places.at_most(log.file_level)), (LogLevel::Debug, LevelFilter::TRACE));
        log.console = Some(true);
        log.console_level = Some(LogLevel::Error);
        let places = Places::of(&log, "rabbit@x");
        assert_eq!(places.level(&log), LogLevel::Debug);
        assert_eq!(places.at_most(log.file_level), LevelFilter::DEBUG);
        assert_eq!(places.at_most(log.console_level), LevelFilter::ERROR);
    }

    #[test]
    fn the_file_is_where_it_was_asked_for() {
        let mut log = Log::default();
        assert_eq!(file_path(&log, "rabbit@x"), None);
        log.dir = Some("/var/log".into());
        assert_eq!(file_path(&log, "rabbit@x"), Some("/var/log/rabbit@x.log".into()));
        log.console = Some(true);
        assert_eq!(file_path(&log, "rabbit@x"), None);
        log.file = Some("a.log".into());
        assert_eq!(file_path(&log, "rabbit@x"), Some("/var/log/a.log".into()));
        log.file = Some("/tmp/a.log".into());
        assert_eq!(file_path(&log, "rabbit@x"), Some("/tmp/a.log".into()));
        log.is_file_off = true;
        assert_eq!(file_path(&log, "rabbit@x"), None);
    }
}
