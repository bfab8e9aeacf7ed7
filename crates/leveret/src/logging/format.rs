//! How a line looks.

use std::fmt::{self, Debug, Write as _};

use leveret_config::settings::{LogFormat, LogStyle};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::time::Moment;

/// Lines of plain text or of JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    pub(super) style: LogStyle,
    pub(super) format: LogFormat,
}

/// What stands where RabbitMQ has the number of an Erlang process.
pub(super) const PROCESS: &str = "<0.1.0>";

/// The keys that each object has.
const KEYS: [&str; 5] = ["time", "level", "msg", "pid", "domain"];

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        writer.write_str(&self.line(&Told::of(event), Moment::now(), event.metadata()))
    }
}

impl Lines {
    /// What an event says, as one line or more, each with its end.
    pub(super) fn line(self, told: &Told, now: Moment, about: &Metadata<'_>) -> String {
        let (level, target) = (about.level(), about.target());
        match self.format {
            LogFormat::Json => told.json(now, level, target),
            LogFormat::Plain if self.style == LogStyle::Rabbit => told.plain(now, level),
            LogFormat::Plain => told.own(now, level, target),
        }
    }
}

/// What an event says: its message, and what it is about.
#[derive(Debug, Default)]
pub(super) struct Told {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
}

impl Told {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut told = Self::default();
        event.record(&mut told);
        told
    }

    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => self.fields.push((name, value)),
        }
    }

    /// The message with what it is about behind it.
    pub(super) fn text(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in &self.fields {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = write!(text, " {name}={value}");
        }
        text
    }

    /// `2025-10-31 09:57:11.836278+00:00 [warning] <0.1.0> text`, each line of the text with the same before it.
    fn plain(&self, now: Moment, level: &Level) -> String {
        let (text, mut lines) = (self.text(), String::new());
        for line in text.lines() {
            let _ = writeln!(lines, "{now} [{}] {PROCESS} {line}", word(level));
        }
        lines
    }

    fn own(&self, now: Moment, level: &Level, target: &str) -> String {
        format!("{now} {level:>5} {target}: {}\n", self.text())
    }

    fn json(&self, now: Moment, level: &Level, target: &str) -> String {
        let text = |text: &str| Value::String(text.to_owned()).to_string();
        // In this order, as RabbitMQ has them.
        let mut line = format!(r#"{{"time":"{now}","level":"{}","msg":{}"#, word(level), text(&self.message));
        let _ = write!(line, r#","pid":"{PROCESS}","domain":{}"#, text(target));
        for (name, value) in self.fields.iter().filter(|(name, _)| !KEYS.contains(name)) {
            let _ = write!(line, ",{}:{value}", text(name));
        }
        line.push_str("}\n");
        line
    }
}

/// RabbitMQ's word for a level.
pub(super) fn word(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written when something is logged.
    fn logged(style: LogStyle, format: LogFormat, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let written = sink.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || written.clone());
        let subscriber = tracing_subscriber::registry().with(layer.event_format(Lines { style, format }));
        tracing::subscriber::with_default(subscriber, log);
        let bytes = sink.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_are_rabbitmqs() {
        let text = logged(LogStyle::Rabbit, LogFormat::Plain, || tracing::warn!(port = 5, name = "x", "first\nsecond"));
        let lines: Vec<&str> = text.lines().map(|line| line.split_at(32).1).collect();
        assert_eq!(lines, [" [warning] <0.1.0> first", " [warning] <0.1.0> second port=5 name=x"]);
        assert!(text.starts_with("20") && text[19..].starts_with('.'), "{text}");
    }

    #[test]
    fn objects_have_rabbitmqs_keys() {
        let text = logged(LogStyle::Rabbit, LogFormat::Json, || tracing::info!(port = 5, "hello"));
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&object["level"], &object["msg"], &object["port"]), (&"info".into(), &"hello".into(), &5.into()));
        assert!(object["time"].is_string() && object["domain"].is_string());
        assert!(text.starts_with("{\"time\":"), "{text}");
    }

    #[test]
    fn own_lines_name_the_part_of_the_program() {
        let text = logged(LogStyle::Own, LogFormat::Plain, || tracing::debug!("hello"));
        assert!(text.contains(" DEBUG leveret::logging::format::tests: hello\n"), "{text}");
    }
}
