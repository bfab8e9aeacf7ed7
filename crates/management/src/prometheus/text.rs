//! The text format of Prometheus.

use std::fmt::Write as _;

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Untyped,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Untyped => "untyped",
        }
    }
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Int(u64),
    Float(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl Value {
    #[allow(clippy::cast_precision_loss, reason = "only where one of both is no whole number")]
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Self::Int(a.wrapping_add(b)),
            (Self::Float(a), Self::Float(b)) => Self::Float(a + b),
            (Self::Int(a), Self::Float(b)) | (Self::Float(b), Self::Int(a)) => Self::Float(a as f64 + b),
        }
    }
}

/// A metric of things of one kind.
pub(super) struct Metric<R> {
    /// Its name without what all names begin with.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    /// Nothing where a thing has no such number.
    pub(super) value: fn(&R) -> Option<Value>,
}

/// What is being written.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
    prefix: &'static str,
}

impl Text {
    /// Nothing yet; all names begin with `prefix`.
    pub(super) fn new(prefix: &'static str) -> Self {
        Self { out: String::with_capacity(16 * 1024), prefix }
    }

    /// Names begin with this from now on.
    pub(super) fn set_prefix(&mut self, prefix: &'static str) {
        self.prefix = prefix;
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    /// The lines before the samples of a metric.
    pub(super) fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let (prefix, kind) = (self.prefix, kind.as_str());
        // Nothing is refused by a string.
        let _ = writeln!(self.out, "# TYPE {prefix}{name} {kind}\n# HELP {prefix}{name} {help}");
    }

    /// A sample; `labels` are written already, `a="b",c="d"`, or empty.
    pub(super) fn sample(&mut self, name: &str, labels: &str, value: Value) {
        self.out.push_str(self.prefix);
        self.out.push_str(name);
        if !labels.is_empty() {
            self.out.push('{');
            self.out.push_str(labels);
            self.out.push('}');
        }
        let _ = match value {
            Value::Int(value) => writeln!(self.out, " {value}"),
            Value::Float(value) => writeln!(self.out, " {value:?}"),
        };
    }

    /// A metric with one sample and no labels.
    pub(super) fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Into<Value>) {
        self.head(name, kind, help);
        self.sample(name, "", value.into());
    }

    /// Each metric with a sample for each row; `rows` are labels and things.
    pub(super) fn each<R>(&mut self, metrics: &[Metric<R>], rows: &[(String, R)]) {
        for metric in metrics {
            self.head(metric.name, metric.kind, metric.help);
            for (labels, row) in rows {
                if let Some(value) = (metric.value)(row) {
                    self.sample(metric.name, labels, value);
                }
            }
        }
    }

    /// Each metric with the sum over all rows.
    pub(super) fn sums<'r, R: 'r>(&mut self, metrics: &[Metric<R>], rows: impl Iterator<Item = &'r R> + Clone) {
        for metric in metrics {
            let values = rows.clone().filter_map(metric.value);
            let sum = values.reduce(Value::plus).unwrap_or(Value::Int(0));
            self.head(metric.name, metric.kind, metric.help);
            self.sample(metric.name, "", sum);
        }
    }
}

/// Writes labels: `a="b",c="d"`.
pub(super) fn labels(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push(',');
        }
        let _ = write!(out, "{name}=\"");
        for letter in value.chars() {
            match letter {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                letter => out.push(letter),
            }
        }
        out.push('"');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(labels(&[("vhost", "/"), ("queue", "a\"b\\c\nd")]), r#"vhost="/",queue="a\"b\\c\nd""#);
        assert_eq!(labels(&[]), "");
    }

    #[test]
    fn a_metric_is_written_for_each_thing_or_as_a_sum() {
        let metrics = [
            Metric { name: "things", kind: Kind::Gauge, help: "How many", value: |row: &u64| Some((*row).into()) },
            Metric { name: "odd", kind: Kind::Gauge, help: "Odd", value: |row| (row % 2 == 1).then_some(0.5.into()) },
        ];
        let rows = [("n=\"1\"".to_owned(), 1), ("n=\"2\"".to_owned(), 2)];
        let mut text = Text::new("x_");
        text.each(&metrics, &rows);
        text.sums(&metrics, rows.iter().map(|(_, row)| row));
        let expected = "# TYPE x_things gauge\n# HELP x_things How many\nx_things{n=\"1\"} 1\nx_things{n=\"2\"} 2\n\
                        # TYPE x_odd gauge\n# HELP x_odd Odd\nx_odd{n=\"1\"} 0.5\n\
                        # TYPE x_things gauge\n# HELP x_things How many\nx_things 3\n\
                        # TYPE x_odd gauge\n# HELP x_odd Odd\nx_odd 0.5\n";
        assert_eq!(text.finish(), expected);
    }
}
