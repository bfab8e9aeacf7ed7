//! The log.

use super::{Key, Take, first};
use crate::settings::{LogFormat, LogStream, LogStyle, Settings};

const FORMATS: &[&str] = &["plaintext", "json"];

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

fn format(text: &str) -> LogFormat {
    if text == "json" { LogFormat::Json } else { LogFormat::Plain }
}

fn file(settings: &mut Settings, _: &[String], text: &str) {
    settings.log.is_file_off = text == "false";
    settings.log.file = (!settings.log.is_file_off).then(|| text.into());
}
