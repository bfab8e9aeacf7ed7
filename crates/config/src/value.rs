//! What the text of a value stands for.

use std::net::IpAddr;

use crate::settings::{Listener, LogLevel, Schedule};

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A whole number, or `infinity`.
    NumberOrInfinity,
    /// A share such as `0.6` or `60%`.
    Ratio,
    /// `1000`, `50MB` (millions), `64MiB` (powers of two).
    Bytes,
    /// The same, where `KB` is 1024 bytes, too.
    BinaryBytes,
    /// `250`, `250ms`, `30s`, `1h30m`; a number alone is milliseconds.
    Duration,
    /// Any text.
    Text,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A file or a folder.
    Path,
    /// How urgent a line of the log is.
    Level,
    /// A port, or an address and a port.
    Listener,
    /// An IP address.
    Address,
    /// A port, `auto` for a free one, or 0 for none.
    Port,
    /// `none`.
    None,
    /// Words with commas between them.
    Words,
    /// A question to a directory, as an Erlang term.
    Query,
    /// When files of the log are rotated.
    Schedule,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool => f.write_str("true or false"),
            Self::Number { min, max: u64::MAX } => write!(f, "a whole number, at least {min}"),
            Self::Number { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::NumberOrInfinity => f.write_str("a whole number, or infinity"),
            Self::Ratio => f.write_str("a share such as 0.6 or 60%"),
            Self::Bytes | Self::BinaryBytes => f.write_str("a number of bytes such as 1000000, 50MB or 64MiB"),
            Self::Duration => f.write_str("a time such as 30s, 10m, 1h30m, or a number of milliseconds"),
            Self::Text => f.write_str("a text"),
            Self::Choice(choices) => write!(f, "one of {}", choices.join(", ")),
            Self::Path => f.write_str("a path"),
            Self::Level => f.write_str("a level: debug, info, notice, warning, error, critical or none"),
            Self::Listener => f.write_str("a port such as 5672, or an address and a port such as 127.0.0.1:5672"),
            Self::Address => f.write_str("an IP address"),
            Self::Port => f.write_str("a port; 0 for none, auto for a free one"),
            Self::None => f.write_str("none"),
            Self::Words => f.write_str("words with commas between them"),
            Self::Schedule => f.write_str("times such as $D0, $W5D16, $M1D0 or $H30"),
            Self::Query => {
                f.write_str("a query such as {constant, true} or {in_group, \"cn=...\"}, with strings in it")
            }
        }
    }
}

impl Kind {
    /// Whether the text is such a value.
    #[must_use]
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Bool => boolean(text).is_some(),
            Self::Number { min, max } => number(text, min, max).is_some(),
            Self::NumberOrInfinity => number_or_infinity(text).is_some(),
            Self::Ratio => ratio(text).is_some(),
            Self::Bytes => bytes(text, Kilo::Thousand).is_some(),
            Self::BinaryBytes => bytes(text, Kilo::Binary).is_some(),
            Self::Duration => duration_ms(text).is_some(),
            Self::Text | Self::Path | Self::Words => true,
            Self::Choice(choices) => choices.contains(&text),
            Self::Level => LogLevel::by_name(text).is_some(),
            Self::Listener => listener(text).is_some(),
            Self::Address => address(text).is_some(),
            Self::Port => port(text).is_some(),
            Self::None => text == "none",
            Self::Query => crate::query::parse(text).is_some(),
            Self::Schedule => schedule(text).is_some(),
        }
    }
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "on" | "yes" => Some(true),
        "false" | "off" | "no" => Some(false),
        _ => None,
    }
}

pub(crate) fn number(text: &str, min: u64, max: u64) -> Option<u64> {
    text.parse().ok().filter(|number| (min..=max).contains(number))
}

/// The inner none is infinity.
#[expect(clippy::option_option, reason = "the outer one says whether the text is a value at all")]
pub(crate) fn number_or_infinity(text: &str) -> Option<Option<u64>> {
    match text {
        "infinity" | "undefined" | "false" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

pub(crate) fn ratio(text: &str) -> Option<f64> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    number.trim_end().parse::<f64>().ok().map(|number| number / unit).filter(|share| share.is_finite() && *share >= 0.0)
}

/// What `KB` is.
#[derive(Clone, Copy)]
pub(crate) enum Kilo {
    Thousand,
    Binary,
}

pub(crate) fn bytes(text: &str, kilo: Kilo) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let unit = unit.trim().to_ascii_lowercase();
    let mut letters = unit.chars();
    let power = match letters.next() {
        None => return Some(number),
        Some('b') => 0,
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return None,
    };
    let base: u64 = match (letters.as_str(), kilo) {
        ("b", Kilo::Thousand) => 1000,
        ("" | "i" | "ib" | "b", _) => 1024,
        _ => return None,
    };
    number.checked_mul(base.checked_pow(power)?)
}

pub(crate) fn duration_ms(text: &str) -> Option<u64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let mut sum: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_ms)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(sum)
}

pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    text.parse().ok()
}

/// `5672`, `127.0.0.1:5672`, `::1:5672`, `[::1]:5672`, `:::5672`, `*:5672`; `auto` takes a free port.
pub(crate) fn listener(text: &str) -> Option<Listener> {
    let port = |text: &str| if text == "auto" { Some(0) } else { text.parse().ok() };
    if let Some(port) = port(text) {
        return Some(Listener { ip: None, port });
    }
    let (ip, number) = text.rsplit_once(':')?;
    let port = port(number)?;
    if matches!(ip, "*" | "") {
        return Some(Listener { ip: None, port });
    }
    let ip = if ip == "localhost" { Some(IpAddr::from([127, 0, 0, 1])) } else { address(ip) };
    Some(Listener { ip: Some(ip?), port })
}

/// The inner none is no port at all.
#[expect(clippy::option_option, reason = "the outer one says whether the text is a value at all")]
pub(crate) fn port(text: &str) -> Option<Option<u16>> {
    match text {
        "auto" => Some(Some(0)),
        "none" | "0" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

/// `$H30`: in each hour; `$D0`, `$D23`: each day; `$W0`, `$W5D16`: each week, Sunday is 0; `$M1D0`, `$ML`: each month, `L` is its last
/// day. The inner none is never.
#[expect(clippy::option_option, reason = "the outer one says whether the text is a value at all")]
pub(crate) fn schedule(text: &str) -> Option<Option<Schedule>> {
    if text.is_empty() {
        return Some(None);
    }
    let (every, rest) = (text.get(..2)?, text.get(2..)?);
    let within = |text: &str, min: u8, max: u8| {
        let is_short = text.len() <= 2 && text.bytes().all(|letter| letter.is_ascii_digit());
        text.parse().ok().filter(|number: &u8| is_short && (min..=max).contains(number))
    };
    let (day, hour) = rest.split_once('D').unwrap_or((rest, "0"));
    let hour = || within(hour, 0, 23);
    Some(Some(match every {
        "$H" => Schedule::Hour { minute: within(rest, 0, 59)? },
        "$D" => Schedule::Day { hour: within(rest, 0, 23)? },
        "$W" => Schedule::Week { day: within(day, 0, 6)?, hour: hour()? },
        "$M" if matches!(day, "L" | "l") => Schedule::Month { day: LAST_DAY, hour: hour()? },
        "$M" => Schedule::Month { day: within(day, 1, LAST_DAY)?, hour: hour()? },
        _ => return None,
    }))
}

/// A month's last day, whichever that is.
const LAST_DAY: u8 = 31;

pub(crate) fn words(text: &str) -> Vec<String> {
    let words = text.split([',', ' ', ';']).map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1000", Some(1000)),
            ("50MB", Some(50_000_000)),
            ("50mb", Some(50_000_000)),
            ("1kB", Some(1000)),
            ("1KB", Some(1000)),
            ("1k", Some(1024)),
            ("2GiB", Some(2 << 30)),
            ("2Gi", Some(2 << 30)),
            ("2G", Some(2 << 30)),
            ("1TB", Some(1_000_000_000_000)),
            ("1 MiB", Some(1 << 20)),
            ("5B", Some(5)),
            ("", None),
            ("MB", None),
            ("-1", None),
            ("1.5GB", None),
            ("1X", None),
            ("1kib2", None),
            ("99999999999999999999", None),
            ("99999999999999PiB", None),
        ] {
            assert_eq!(bytes(text, Kilo::Thousand), expected, "{text}");
        }
        assert_eq!(bytes("128KB", Kilo::Binary), Some(131_072));
    }

    #[test]
    fn times_have_units() {
        for (text, expected) in [
            ("250", Some(250)),
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("1h30m", Some(5_400_000)),
            ("1w", Some(604_800_000)),
            ("", None),
            ("s", None),
            ("5", Some(5)),
            ("5x", None),
            ("5s5", None),
            ("99999999999999999w", None),
        ] {
            assert_eq!(duration_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn listeners_have_a_port_and_maybe_an_address() {
        let at = |ip: &str, port| Some(Listener { ip: Some(ip.parse().unwrap()), port });
        let all = |port| Some(Listener { ip: None, port });
        for (text, expected) in [
            ("5672", all(5672)),
            ("auto", all(0)),
            ("*:5672", all(5672)),
            (":::5672", at("::", 5672)),
            ("127.0.0.1:5672", at("127.0.0.1", 5672)),
            ("localhost:5672", at("127.0.0.1", 5672)),
            ("::1:5672", at("::1", 5672)),
            ("[::1]:5672", at("::1", 5672)),
            ("70000", None),
            ("host:5672", None),
            ("127.0.0.1:", None),
            ("", None),
        ] {
            assert_eq!(listener(text), expected, "{text}");
        }
    }

    #[test]
    fn shares_may_be_percents() {
        for (text, expected) in
            [("0.6", Some(0.6)), ("60%", Some(0.6)), ("1", Some(1.0)), ("-1", None), ("NaN", None), ("x", None)]
        {
            assert_eq!(ratio(text), expected, "{text}");
        }
    }

    #[test]
    fn ports_may_be_free_or_none() {
        for (text, expected) in [
            ("15672", Some(Some(15672))),
            ("auto", Some(Some(0))),
            ("0", Some(None)),
            ("none", Some(None)),
            ("65536", None),
        ] {
            assert_eq!(port(text), expected, "{text}");
        }
    }

    #[test]
    fn schedules_are_rabbitmqs() {
        for (text, expected) in [
            ("$H0", Some(Some(Schedule::Hour { minute: 0 }))),
            ("$H59", Some(Some(Schedule::Hour { minute: 59 }))),
            ("$D0", Some(Some(Schedule::Day { hour: 0 }))),
            ("$D23", Some(Some(Schedule::Day { hour: 23 }))),
            ("$W0", Some(Some(Schedule::Week { day: 0, hour: 0 }))),
            ("$W5D16", Some(Some(Schedule::Week { day: 5, hour: 16 }))),
            ("$M1D0", Some(Some(Schedule::Month { day: 1, hour: 0 }))),
            ("$M5D6", Some(Some(Schedule::Month { day: 5, hour: 6 }))),
            ("$ML", Some(Some(Schedule::Month { day: 31, hour: 0 }))),
            ("", Some(None)),
            ("$", None),
            ("$D", None),
            ("$D24", None),
            ("$D+1", None),
            ("$D007", None),
            ("$W7", None),
            ("$W1D", None),
            ("$M0", None),
            ("$M32", None),
            ("$H60", None),
            ("D0", None),
            ("$D0 ", None),
            ("daily", None),
        ] {
            assert_eq!(schedule(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in ".{0,40}") {
            for kind in [
                Kind::Bool, Kind::Number { min: 0, max: 5 }, Kind::NumberOrInfinity, Kind::Ratio, Kind::Bytes,
                Kind::BinaryBytes, Kind::Duration, Kind::Level, Kind::Listener, Kind::Address, Kind::Port, Kind::None,
                Kind::Schedule,
            ] {
                let _ = kind.accepts(&text);
            }
            words(&text);
        }

        #[test]
        fn numbers_with_units_are_no_overflow(number in proptest::num::u64::ANY, unit in "[kmgtp]?i?b?") {
            bytes(&format!("{number}{unit}"), Kilo::Thousand);
            duration_ms(&format!("{number}{unit}"));
        }
    }
}
