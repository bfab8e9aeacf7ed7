//! What a run found, for people and for programs.

use std::fmt;

use serde::Serialize;

use crate::args::BenchArgs;
use crate::cpu::Memory;
use crate::latency::Latency;

/// The result of a run. All rates and costs are of the measured window.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What the broker calls itself.
    pub broker: String,
    /// What was asked for.
    pub work: BenchArgs,
    /// Length of the window.
    pub window_seconds: f64,
    /// Deliveries in the window; confirmed publishes when nobody consumes.
    pub messages: u64,
    /// Deliveries that had not come when no more came after the last publish.
    pub missing: u64,
    /// Publishes a second.
    pub published_per_second: f64,
    /// Deliveries a second.
    pub consumed_per_second: f64,
    /// Confirmed publishes a second.
    pub confirmed_per_second: f64,
    /// From a publish to its confirm, when each was waited for before the next (a window of 1).
    pub confirm_latency: Option<Latency>,
    /// From when a message was due (with a rate) or sent to its delivery, of those due or sent in the window.
    pub latency: Option<Latency>,
    /// How late the load generator itself was: from when messages were due to when they were sent. Part of `latency`.
    pub send_delay: Option<Latency>,
    /// Messages of a rate that were due and never sent, because the broker did not take them.
    pub unsent: u64,
    /// Publishes that the broker refused (basic.nack).
    pub refused: u64,
    /// Why the broker blocked publishers, if it did.
    pub blocked: Option<String>,
    /// How often the broker wrote to its journal, where that can be seen.
    pub commits: Option<u64>,
    /// CPU of the load generator for each delivery, in microseconds: user, system, all threads.
    pub generator_cpu_us_per_message: f64,
    /// The broker's side, when its process was named.
    pub broker_usage: Option<BrokerUsage>,
}

/// What the broker's process used.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BrokerUsage {
    /// CPU for each delivery, in microseconds: user, system, all threads.
    pub cpu_us_per_message: f64,
    /// Cores kept busy on average.
    pub cores: f64,
    /// Memory at the end of the window.
    pub memory: Memory,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<28}{}", "broker", self.broker)?;
        writeln!(f, "{:<28}{}", "work", describe(&self.work))?;
        writeln!(f, "{:<28}{:.2} s", "window", self.window_seconds)?;
        let mut row = |name: &str, value: String| writeln!(f, "{name:<28}{value:>14}");
        row("published /s", grouped(self.published_per_second))?;
        if self.work.confirms.is_some() {
            row("confirmed /s", grouped(self.confirmed_per_second))?;
        }
        if let Some(commits) = self.commits.filter(|commits| *commits > 0) {
            row("confirmed / commit", format!("{:.1}", self.messages as f64 / commits as f64))?;
        }
        row("consumed /s", grouped(self.consumed_per_second))?;
        if let Some(usage) = &self.broker_usage {
            row("broker CPU us/message", format!("{:.3}", usage.cpu_us_per_message))?;
            row("broker cores", format!("{:.2}", usage.cores))?;
            row("broker RSS MiB", mebibytes(usage.memory.resident_bytes))?;
            row("broker RSS max MiB", mebibytes(usage.memory.resident_bytes_max))?;
        }
        row("generator CPU us/message", format!("{:.3}", self.generator_cpu_us_per_message))?;
        if self.missing > 0 {
            row("missing after the end", grouped(self.missing as f64))?;
        }
        if self.unsent > 0 && self.work.rate.is_some() {
            row("due but not sent", grouped(self.unsent as f64))?;
        }
        if self.refused > 0 {
            row("refused by the broker", grouped(self.refused as f64))?;
        }
        let latencies = [
            ("confirm us", &self.confirm_latency),
            ("latency us", &self.latency),
            ("of it, sent late us", &self.send_delay),
        ];
        for (name, latency) in latencies {
            if let Some(latency) = latency {
                writeln!(f, "{name:<28}{}", latency.row())?;
            }
        }
        if let Some(reason) = &self.blocked {
            writeln!(f, "{:<28}{reason}", "the broker blocked for")?;
        }
        Ok(())
    }
}

/// The work in a few words.
fn describe(work: &BenchArgs) -> String {
    let mut words = vec![
        format!("{} B", work.size),
        format!("{} to {} by {} queue(s)", work.producers, work.consumers, work.queues),
        format!("{} exchange", work.exchange),
        if work.persistent { "persistent".into() } else { "transient".into() },
    ];
    words.push(match (work.ack_batch, work.prefetch) {
        (None, _) => "auto-ack".into(),
        (Some(every), 0) => format!("acks of {every}, no prefetch limit"),
        (Some(every), prefetch) => format!("acks of {every}, prefetch {prefetch}"),
    });
    if let Some(window) = work.confirms {
        words.push(format!("confirms, window {window}"));
    }
    if let Some(rate) = work.rate {
        words.push(format!("{} messages/s", grouped(rate)));
    }
    if let Some(bindings) = work.bindings {
        words.push(format!("{bindings} bindings"));
    }
    if work.stalled_consumers > 0 {
        words.push(format!("{} stalled consumer(s) more", work.stalled_consumers));
    }
    words.join(", ")
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Mebibytes with one digit.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::tests::parse;

    #[test]
    fn thousands_are_set_apart() {
        let numbers = [0.0, 999.4, 999.6, 12_345.0, 1_234_567.0];
        assert_eq!(numbers.map(grouped), ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn the_work_is_told_in_words() {
        let words = describe(&parse("--size 1024 --ack-batch 100 --prefetch 1000").unwrap());
        assert!(words.ends_with("transient, acks of 100, prefetch 1000"), "{words}");
        let words = describe(&parse("--persistent --confirms 7").unwrap());
        assert!(words.ends_with("persistent, auto-ack, confirms, window 7"), "{words}");
        let words = describe(&parse("--rate 5000 --exchange topic --bindings 9").unwrap());
        assert!(words.ends_with("5,000 messages/s, 9 bindings"), "{words}");
    }

    #[test]
    fn json_names_units_and_keeps_secrets() {
        let report = Report {
            broker: "b 1".into(),
            work: parse("--url amqp://me:secret@h --size 5").unwrap(),
            window_seconds: 1.0,
            messages: 3,
            missing: 0,
            published_per_second: 3.0,
            consumed_per_second: 3.0,
            confirmed_per_second: 0.0,
            confirm_latency: None,
            latency: Some(Latency { p50_us: 1.0, p90_us: 2.0, p99_us: 3.0, p999_us: 4.0, max_us: 5.0, count: 6 }),
            send_delay: None,
            unsent: 0,
            refused: 0,
            blocked: Some("low on disk".into()),
            commits: None,
            generator_cpu_us_per_message: 0.5,
            broker_usage: Some(BrokerUsage { cpu_us_per_message: 1.5, cores: 0.1, memory: Memory::default() }),
        };
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["broker_usage"]["cpu_us_per_message"], 1.5);
        assert_eq!(json["work"]["size"], 5);
        assert_eq!(json["latency"]["p999_us"], 4.0);
        assert!(!json.to_string().contains("secret"));
        assert!(report.to_string().contains("p99.9 4.0"));
        assert!(report.to_string().contains("low on disk"));
        assert!(report.to_string().contains("broker CPU us/message"));
    }
}
