//! The log: where it goes, how its lines look, and how much of it there is, which may change while the broker runs.

mod exchange;
mod format;
mod journald;
mod limits;
mod outside;
mod places;
mod rotation;
mod syslog;
mod target;
mod time;

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;

use leveret_config::settings::{Log, LogFormat, LogLevel, LogStream, LogStyle};
use leveret_server::engine::broker::Broker;
use leveret_server::engine::log::EXCHANGE;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use self::format::Lines;
use self::journald::Journal;
use self::outside::{Carrier, Outside};
use self::places::{CATEGORIES, Gate, Place, Places};
use self::syslog::Sender;
use self::target::LogFile;

/// What can be done about the log while it is written.
#[derive(Clone, Debug)]
pub(crate) struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    gates: Vec<(Place, Gate)>,
    files: Vec<(Place, Arc<LogFile>)>,
    carriers: Vec<Carrier>,
    exchange: exchange::Place,
    node: String,
    /// Where it goes, by RabbitMQ's names.
    pub(crate) targets: Vec<String>,
}

/// What is under the layers of places: all that is filtered already.
type Filtered = tracing_subscriber::layer::Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type PlaceLayer = Box<dyn Layer<Filtered> + Send + Sync>;

/// Begins to log. `node` names the file where only a folder was given.
pub(crate) fn start(log: &Log, node: &str) -> Result<Logging, String> {
    let places = Places::of(log, node);
    let filter = EnvFilter::try_new(directives(log, &places)).map_err(|error| format!("log: {error}"))?;
    let (filter, handle) = reload::Layer::new(filter);
    let mut logging = Logging {
        filter: handle,
        gates: Vec::new(),
        files: Vec::new(),
        carriers: Vec::new(),
        exchange: exchange::Place::default(),
        node: node.to_owned(),
        targets: Vec::new(),
    };
    let mut layers: Vec<PlaceLayer> = Vec::new();
    for (place, shown) in places.all(log) {
        let gate = Gate::new(shown);
        layers.push(logging.layer(&place, &gate, log, &places)?);
        logging.gates.push((place, gate));
    }
    // A second broker in the same process logs to the first one's log.
    let _ = tracing_subscriber::registry().with(filter).with(layers).try_init();
    Ok(logging)
}

fn console(log: &Log, gate: Gate) -> PlaceLayer {
    let (writer, is_terminal) = match stream(log) {
        LogStream::Stdout => (BoxMakeWriter::new(io::stdout), io::stdout().is_terminal()),
        LogStream::Stderr => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match (log.style, log.console_format) {
        (LogStyle::Own, LogFormat::Plain) => Box::new(layer.with_ansi(is_terminal).with_filter(gate)),
        (style, format) => Box::new(layer.with_ansi(false).event_format(Lines { style, format }).with_filter(gate)),
    }
}

fn stream(log: &Log) -> LogStream {
    log.stream.unwrap_or(match log.style {
        LogStyle::Own => LogStream::Stderr,
        LogStyle::Rabbit => LogStream::Stdout,
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

/// Its places.
impl Logging {
    /// What writes to a place.
    fn layer(&mut self, place: &Place, gate: &Gate, log: &Log, places: &Places) -> Result<PlaceLayer, String> {
        let gate = gate.clone();
        Ok(match place {
            Place::Console => {
                let name = if stream(log) == LogStream::Stdout { "<stdout>" } else { "<stderr>" };
                self.targets.push(name.to_owned());
                console(log, gate)
            }
            Place::File => match &places.file {
                Some(path) => self.file(place, path, gate, log, places)?,
                None => return Err("log.file: there is no path".to_owned()),
            },
            Place::CategoryFile(path) => self.file(place, path, gate, log, places)?,
            Place::Exchange => {
                self.targets.push(format!("exchange:{EXCHANGE}"));
                let started = exchange::layer(&self.exchange, log.exchange_format);
                self.outside(started, gate)?
            }
            Place::Journald => {
                self.targets.push("<journald>".to_owned());
                let started = Journal::new().and_then(|journal| {
                    let carrier = Carrier::start("log-journald", move |entry| journal.send(entry))?;
                    Ok((Outside::new(carrier.clone(), |told, _, _| told.text()), carrier))
                });
                self.outside(started, gate)?
            }
            Place::Syslog => {
                self.targets.push(format!("syslog:{}", syslog::host_of(&log.syslog)));
                let (mut sender, format) = (Sender::new(&log.syslog, &self.node), log.syslog.format);
                let started = Carrier::start("log-syslog", move |entry| sender.send(entry)).map(|carrier| {
                    let lines = Lines { style: LogStyle::Rabbit, format };
                    let outside = Outside::new(carrier.clone(), move |told, now, about| match format {
                        LogFormat::Plain => told.text(),
                        LogFormat::Json => lines.line(told, now, about),
                    });
                    (outside, carrier)
                });
                self.outside(started, gate)?
            }
        })
    }

    fn file(
        &mut self,
        place: &Place,
        path: &Path,
        gate: Gate,
        log: &Log,
        places: &Places,
    ) -> Result<PlaceLayer, String> {
        let opened = LogFile::open(path, places.rotation(log, place));
        let file = Arc::new(opened.map_err(|error| format!("cannot log to {}: {error}", path.display()))?);
        self.targets.push(file.path().display().to_string());
        self.files.push((place.clone(), Arc::clone(&file)));
        let lines = Lines { style: log.style, format: log.file_format };
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || file.writer());
        Ok(Box::new(layer.event_format(lines).with_filter(gate)))
    }

    fn outside(&mut self, started: io::Result<(Outside, Carrier)>, gate: Gate) -> Result<PlaceLayer, String> {
        let (layer, carrier) = started.map_err(|error| format!("cannot log: {error}"))?;
        self.carriers.push(carrier);
        Ok(Box::new(layer.with_filter(gate)))
    }
}

/// What can be done about it.
impl Logging {
    /// Logs what is at least this urgent from now on, in all places.
    pub(crate) fn set_level(&self, level: &str) -> Result<(), String> {
        let level = LogLevel::by_name(level).ok_or_else(|| format!("`{level}` is no level of the log"))?;
        for (_, gate) in &self.gates {
            gate.open();
        }
        self.filter.reload(EnvFilter::new(word(level))).map_err(|error| error.to_string())
    }

    /// Takes up levels and rotations. Places stay as they are.
    pub(crate) fn apply(&self, log: &Log) -> Result<(), String> {
        let places = Places::of(log, &self.node);
        let filter = EnvFilter::try_new(directives(log, &places)).map_err(|error| error.to_string())?;
        for (place, shown) in places.all(log) {
            if let Some((_, gate)) = self.gates.iter().find(|(known, _)| *known == place) {
                gate.set(shown);
            }
        }
        for (place, file) in &self.files {
            file.set_rotation(places.rotation(log, place));
        }
        self.filter.reload(filter).map_err(|error| error.to_string())
    }

    /// Whether it goes to a file and not to the console.
    pub(crate) fn goes_to_a_file_alone(&self) -> bool {
        let has = |place: &Place| self.gates.iter().any(|(known, _)| known == place);
        has(&Place::File) && !has(&Place::Console)
    }

    /// Opens the files again, which somebody may have moved away.
    pub(crate) fn reopen(&self) {
        for (_, file) in &self.files {
            if let Err(error) = file.reopen() {
                let path = file.path().display();
                tracing::error!(%error, "cannot open {path} again: the log goes on in the old file");
            }
        }
    }

    /// There is a broker: what is logged from now on goes to its exchange as well, if that was asked for.
    pub(crate) fn publish_in(&self, broker: &Arc<Broker>, vhost: &str) {
        if self.gates.iter().any(|(known, _)| *known == Place::Exchange) {
            self.exchange.found(broker, vhost);
        }
    }

    /// Waits a little until all that was logged has left the process.
    pub(crate) fn flush(&self) {
        for carrier in &self.carriers {
            carrier.flush();
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
}
