//! Memory and disk: what they are used for, and the limits that block publishers.

use serde_json::{Value, json};

use super::{CTL, DIAGNOSTICS};
use crate::call::{Call, done};
use crate::command::{Command, Group, Switch};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::term::Term;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "memory_breakdown",
        (DIAGNOSTICS, Group::Monitoring),
        (0, 0),
        "[--unit <unit>] [--timeout <timeout>]",
        "Shows what memory is used for; units are bytes, kb, mb and gb",
        memory_breakdown,
    )
    .with(&[Switch::text("unit")]),
    Command::new(
        "set_vm_memory_high_watermark",
        (CTL, Group::Configuration),
        (1, 2),
        "<fraction> | absolute <value>",
        "Sets from how much memory on publishers are blocked",
        set_memory_watermark,
    ),
    Command::new(
        "set_disk_free_limit",
        (CTL, Group::Configuration),
        (1, 2),
        "<disk_limit> | mem_relative <fraction>",
        "Sets below how much free disk publishers are blocked",
        set_disk_free_limit,
    ),
];

/// A unit of memory, by RabbitMQ's names: they count by thousands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    name: &'static str,
    bytes: f64,
}

const UNITS: [Unit; 5] = [
    Unit { name: "bytes", bytes: 1.0 },
    Unit { name: "kb", bytes: 1e3 },
    Unit { name: "mb", bytes: 1e6 },
    Unit { name: "gb", bytes: 1e9 },
    Unit { name: "tb", bytes: 1e12 },
];

/// The unit that is asked for.
pub(super) fn unit(call: &Call, usual: &str) -> Result<Unit, Failure> {
    let name = call.options.get("unit").unwrap_or(usual).to_ascii_lowercase();
    let found = UNITS.into_iter().find(|unit| unit.name == name);
    found.ok_or_else(|| {
        call.bad_argument(&format!("unit '{name}' is not supported. Please use one of: bytes, kb, mb, gb, tb"))
    })
}

impl Unit {
    /// An amount, to four places.
    pub(super) fn amount(self, bytes: i64) -> String {
        if self.name == "bytes" {
            return format!("{bytes} bytes");
        }
        format!("{} {}", rounded(float(bytes) / self.bytes, 4), self.name)
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with four places")]
fn float(number: i64) -> f64 {
    number as f64
}

/// A number to so many places, with at least one.
fn rounded(number: f64, places: usize) -> String {
    let text = format!("{number:.places$}");
    let text = text.trim_end_matches('0');
    if text.ends_with('.') { format!("{text}0") } else { text.to_owned() }
}

/// Parts of the memory with their shares, largest first.
fn parts(status: &Value) -> Vec<(String, i64, f64)> {
    let memory = info::at(status, "memory");
    let members = memory.as_object().into_iter().flatten();
    let mut parts: Vec<(String, i64)> =
        members.filter_map(|(name, bytes)| bytes.as_i64().map(|bytes| (name.clone(), bytes))).collect();
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let total = float(total(status)).max(1.0);
    parts.into_iter().map(|(name, bytes)| (name, bytes, float(bytes) * 100.0 / total)).collect()
}

fn total(status: &Value) -> i64 {
    let strategy = match info::text(status, "vm_memory_calculation_strategy") {
        strategy @ ("erlang" | "allocated") => strategy,
        _ => "rss",
    };
    match info::at(status, "memory.total") {
        Value::Number(total) => total.as_i64().unwrap_or_default(),
        totals => info::number(totals, strategy),
    }
}

/// The section of `status`.
pub(super) fn summary(status: &Value, unit: Unit) -> Vec<String> {
    let limit = unit.amount(info::number(status, "vm_memory_high_watermark_limit"));
    let setting = info::at(status, "vm_memory_high_watermark_setting");
    let watermark = match (setting.get("relative"), setting.get("absolute")) {
        (Some(fraction), _) => format!("{fraction} of available memory, computed to: {limit}"),
        (None, Some(Value::Number(bytes))) => unit.amount(bytes.as_i64().unwrap_or_default()),
        _ => limit,
    };
    let mut lines = vec![
        format!("Total memory used: {}", unit.amount(total(status))),
        format!("Calculation strategy: {}", info::text(status, "vm_memory_calculation_strategy")),
        format!("Memory high watermark setting: {watermark}"),
        String::new(),
    ];
    let parts = parts(status).into_iter();
    lines.extend(parts.map(|(name, bytes, share)| format!("{name}: {} ({} %)", unit.amount(bytes), rounded(share, 2))));
    lines
}

fn memory_breakdown(call: &Call) -> Result<Output, Failure> {
    let unit = unit(call, "gb")?;
    call.banner(format!("Reporting memory breakdown on node {}...", call.node()));
    let parts = parts(call.status()?);
    let lines =
        parts.iter().map(|(name, bytes, share)| format!("{name}: {} ({}%)\n", unit.amount(*bytes), rounded(*share, 2)));
    let text: String = lines.collect();
    let value = parts.iter().map(|(name, bytes, share)| {
        let share = (share * 100.0).round() / 100.0;
        let members = vec![("bytes".to_owned(), Term::Int(*bytes)), ("percentage".to_owned(), Term::Float(share))];
        (name.clone(), Term::Map(members))
    });
    Ok(Output::report(text.trim_end(), Term::Map(value.collect())))
}

fn set_memory_watermark(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    let body = if call.argument(0) == "absolute" {
        let value = call.argument(1);
        let bytes = bytes(value).ok_or_else(|| call.bad_argument(""))?;
        call.banner(format!("Setting memory threshold on {node} to {value} bytes ..."));
        json!({"absolute": bytes})
    } else {
        if call.arguments.len() > 1 {
            return Err(call.misused(Kind::Usage, "too many arguments."));
        }
        let fraction: f64 = call.argument(0).parse().map_err(|_| call.bad_argument(""))?;
        if !(0.0..=1.0).contains(&fraction) {
            return Err(call.bad_argument("The threshold should be a fraction between 0.0 and 1.0"));
        }
        call.banner(format!("Setting memory threshold on {node} to {} ...", call.argument(0)));
        json!({"relative": fraction})
    };
    call.send(http::Method::PUT, &["leveret", "memory_watermark"], Some(&body)).and_then(done)?;
    Ok(Output::Done)
}

fn set_disk_free_limit(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    let body = if call.argument(0) == "mem_relative" {
        let fraction: f64 = call.argument(1).parse().map_err(|_| call.bad_argument(""))?;
        call.banner(format!("Setting disk free limit on {node} to {} times the total RAM ...", call.argument(1)));
        json!({"relative": fraction})
    } else {
        if call.arguments.len() > 1 {
            return Err(call.misused(Kind::Usage, "too many arguments."));
        }
        let bytes = bytes(call.argument(0)).ok_or_else(|| call.bad_argument(""))?;
        call.banner(format!("Setting disk free limit on {node} to {} bytes ...", call.argument(0)));
        json!({"absolute": bytes})
    };
    call.send(http::Method::PUT, &["leveret", "disk_free_limit"], Some(&body)).and_then(done)?;
    Ok(Output::Done)
}

/// Bytes, such as `2GB` or `512MiB`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text.get(digits.len()..)?;
    let (thousand, prefix) = match unit.strip_suffix("iB").or_else(|| unit.strip_suffix('i')) {
        Some(prefix) => (1024, prefix),
        None => match unit.strip_suffix('B') {
            Some(prefix) => (1000, prefix),
            // A letter alone counts by 1024.
            None => (1024, unit),
        },
    };
    let power = match prefix.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(u64::pow(thousand, power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        for (text, expected) in [
            ("50000000", Some(50_000_000)),
            ("2GB", Some(2_000_000_000)),
            ("512MiB", Some(512 << 20)),
            ("1k", Some(1024)),
            ("bogus", None),
            ("1XB", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn amounts_have_four_places_at_most() {
        let gb = Unit { name: "gb", bytes: 1e9 };
        assert_eq!(gb.amount(142_300_000), "0.1423 gb");
        assert_eq!(gb.amount(0), "0.0 gb");
        assert_eq!(Unit { name: "bytes", bytes: 1.0 }.amount(5), "5 bytes");
    }
}
