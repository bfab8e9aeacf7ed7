//! The log.

use super::{Key, Take, first};
use crate::settings::{LogFormat, LogStream, LogStyle, Rotation, Settings, SyslogProtocol, SyslogTransport};

const FORMATS: &[&str] = &["plaintext", "json"];
const TRANSPORTS: &[&str] = &["udp", "tcp", "tls", "ssl"];
const PROTOCOLS: &[&str] = &["rfc3164", "rfc5424"];

/// By their numbers; the first has another name as well.
const FACILITIES: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    "kernel",
];
const FACILITIES_COUNT: usize = 24;

/// Old files that are kept at most: each rotation gives all of them other names.
const ROTATED_MAX: u64 = 10_000;

pub(super) const KEYS: &[Key] = &[
    Key::honoured("log.console", Take::Bool(|s, _, is| s.log.console = Some(is))),
    Key::honoured("log.console.level", Take::Level(|s, _, level| s.log.console_level = Some(level))),
    Key::honoured(
        "log.console.stdio",
        Take::Choice(&["stdout", "stderr"], |s, _, text| {
            s.log.stream = Some(if text == "stderr" { LogStream::Stderr } else { LogStream::Stdout });
        }),
    ),
    Key::honoured("log.console.formatter", Take::Choice(FORMATS, |s, _, text| s.log.console_format = format(text)))
        .or("plaintext"),
    Key::honoured("log.file", Take::Path(file)),
    Key::honoured("log.file.level", Take::Level(|s, _, level| s.log.file_level = Some(level))),
    Key::honoured("log.file.formatter", Take::Choice(FORMATS, |s, _, text| s.log.file_format = format(text)))
        .or("plaintext"),
    Key::honoured("log.file.rotation.date", Take::Schedule(|s, _, date| s.log.rotation.date = date)),
    Key::honoured("log.file.rotation.size", Take::Bytes(|s, _, bytes| s.log.rotation.size_bytes = bytes)).or("0"),
    Key::honoured(
        "log.file.rotation.count",
        Take::Number(0, ROTATED_MAX, |s, _, count| s.log.rotation.count = small(count)),
    )
    .or("0"),
    Key::honoured(
        "log.$category.file",
        Take::Path(|s, names, path| {
            s.log.category_files.insert(first(names).to_owned(), path.into());
        }),
    ),
    Key::honoured("log.$category.rotation.date", Take::Schedule(|s, names, date| rotation(s, names).date = date)),
    Key::honoured("log.$category.rotation.size", Take::Bytes(|s, names, bytes| rotation(s, names).size_bytes = bytes)),
    Key::honoured(
        "log.$category.rotation.count",
        Take::Number(0, ROTATED_MAX, |s, names, count| rotation(s, names).count = small(count)),
    ),
    Key::honoured("log.exchange", Take::Bool(|s, _, is| s.log.exchange = Some(is))),
    Key::honoured("log.exchange.level", Take::Level(|s, _, level| s.log.exchange_level = Some(level))),
    Key::honoured("log.exchange.formatter", Take::Choice(FORMATS, |s, _, text| s.log.exchange_format = format(text)))
        .or("plaintext"),
    Key::honoured("log.journald", Take::Bool(|s, _, is| s.log.journald = Some(is))),
    Key::honoured("log.journald.level", Take::Level(|s, _, level| s.log.journald_level = Some(level))),
    Key::honoured("log.syslog", Take::Bool(|s, _, is| s.log.syslog.enabled = Some(is))),
    Key::honoured("log.syslog.level", Take::Level(|s, _, level| s.log.syslog.level = Some(level))),
    Key::honoured("log.syslog.formatter", Take::Choice(FORMATS, |s, _, text| s.log.syslog.format = format(text)))
        .or("plaintext"),
    Key::honoured("log.syslog.identity", Take::Text(|s, _, text| s.log.syslog.identity = Some(text.to_owned()))),
    Key::honoured("log.syslog.facility", Take::Choice(FACILITIES, facility)).or("daemon"),
    Key::honoured("log.syslog.multiline_mode", Take::Bool(|s, _, is| s.log.syslog.is_multiline = is)).or("false"),
    Key::honoured("log.syslog.ip", Take::Address(|s, _, ip| s.log.syslog.ip = Some(ip))),
    Key::honoured("log.syslog.host", Take::Text(|s, _, host| s.log.syslog.host = Some(host.to_owned()))),
    Key::honoured(
        "log.syslog.port",
        Take::Number(1, 65_535, |s, _, port| s.log.syslog.port = u16::try_from(port).unwrap_or_default()),
    )
    .or("514"),
    Key::honoured(
        "log.syslog.transport",
        Take::Choice(TRANSPORTS, |s, _, text| {
            s.log.syslog.transport = match text {
                "udp" => SyslogTransport::Udp,
                "tcp" => SyslogTransport::Tcp,
                _ => SyslogTransport::Tls,
            }
        }),
    )
    .or("udp"),
    Key::honoured(
        "log.syslog.protocol",
        Take::Choice(PROTOCOLS, |s, _, text| {
            s.log.syslog.protocol = if text == "rfc5424" { SyslogProtocol::Rfc5424 } else { SyslogProtocol::Rfc3164 };
        }),
    )
    .or("rfc3164"),
    Key::honoured("log.dir", Take::Path(|s, _, path| s.log.dir = Some(path.into()))),
    Key::honoured("log.default.level", Take::Level(|s, _, level| s.log.level = level)).or("info"),
    Key::honoured(
        "log.$category.level",
        Take::Level(|s, names, level| {
            s.log.categories.insert(first(names).to_owned(), level);
        }),
    ),
    Key::honoured("leveret.log", Take::Text(|s, _, text| s.log.directives = Some(text.to_owned()))),
    Key::honoured(
        "leveret.log_style",
        Take::Choice(&["leveret", "rabbitmq"], |s, _, text| {
            s.log.style = if text == "rabbitmq" { LogStyle::Rabbit } else { LogStyle::Own };
        }),
    ),
];

fn facility(settings: &mut Settings, _: &[String], text: &str) {
    let position = FACILITIES.iter().position(|name| *name == text).unwrap_or_default();
    settings.log.syslog.facility = u8::try_from(position % FACILITIES_COUNT).unwrap_or_default();
}

/// How the file of a category is rotated.
fn rotation<'s>(settings: &'s mut Settings, names: &[String]) -> &'s mut Rotation {
    settings.log.category_rotations.entry(first(names).to_owned()).or_default()
}

fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn format(text: &str) -> LogFormat {
    if text == "json" { LogFormat::Json } else { LogFormat::Plain }
}

fn file(settings: &mut Settings, _: &[String], text: &str) {
    settings.log.is_file_off = text == "false";
    settings.log.file = (!settings.log.is_file_off).then(|| text.into());
}
