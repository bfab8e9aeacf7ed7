//! The grammar of RabbitMQ's tools: options may come before and after the command, and anywhere between its arguments.

use std::collections::BTreeMap;

use crate::command::{Command, Switch, Takes};
use crate::commands;
use crate::personality::Tool;

/// Options of every command.
pub(crate) const GLOBAL: &[Switch] = &[
    Switch::text("node").short('n'),
    Switch::flag("quiet").short('q'),
    Switch::flag("silent").short('s'),
    Switch::seconds("timeout").short('t'),
    Switch::text("vhost").short('p'),
    Switch::flag("longnames").short('l'),
    Switch::text("formatter"),
    Switch::text("printer"),
    Switch::text("file"),
    Switch::flag("table-headers"),
    Switch::text("erlang-cookie"),
    Switch::text("script-name"),
    Switch::text("rabbitmq-home"),
    Switch::text("mnesia-dir"),
    Switch::text("plugins-dir"),
    Switch::text("enabled-plugins-file"),
    Switch::text("aliases-file"),
    Switch::flag("dry-run"),
    Switch::flag("help").short('?'),
    Switch::text("data-dir"),
    Switch::text("url"),
];

/// A command line, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The command; empty if none is named.
    pub(crate) command: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) options: Options,
    /// Options that are unknown or have the wrong value, with it.
    pub(crate) invalid: Vec<(String, String)>,
}

/// Options that were given, by their long names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options(BTreeMap<&'static str, String>);

impl Options {
    /// What stands behind an option.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets an option.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.0.insert(name, value.to_owned());
    }

    /// Whether a flag is set; none if it was not named.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| value == "true")
    }
}

/// Takes a command line apart. The command decides which options there are, so it is looked for first.
pub(crate) fn parse(tool: Tool, words: &[String]) -> Parsed {
    let loose = walk(words, &every_switch(tool));
    let name = loose.words.first().cloned().unwrap_or_default();
    let command = commands::find(tool, &name);
    let known: Vec<&Switch> = GLOBAL.iter().chain(command.into_iter().flat_map(|command| command.switches)).collect();
    let strict = walk(words, &known);
    let mut arguments = strict.words;
    if !arguments.is_empty() {
        arguments.remove(0);
    }
    Parsed { command: name, arguments, options: strict.options, invalid: strict.invalid }
}

/// The options of all commands: some take a value, which is no command.
fn every_switch(tool: Tool) -> Vec<&'static Switch> {
    let of_commands = commands::all().iter().copied().filter(|command: &&Command| command.is_of(tool));
    GLOBAL.iter().chain(of_commands.flat_map(|command| command.switches)).collect()
}

#[derive(Debug, Default)]
struct Walked {
    words: Vec<String>,
    options: Options,
    invalid: Vec<(String, String)>,
}

fn walk(words: &[String], known: &[&'static Switch]) -> Walked {
    let mut walked = Walked::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            walked.words.extend(rest.by_ref().cloned());
        } else if let Some(name) = word.strip_prefix("--") {
            walked.long(word, name, known, &mut rest);
        } else if word.len() > 1 && word.starts_with('-') && !is_number(word) {
            walked.short(word, known, &mut rest);
        } else {
            walked.words.push(word.clone());
        }
    }
    walked
}

/// A negative number is an argument.
fn is_number(word: &str) -> bool {
    word.parse::<f64>().is_ok()
}

impl Walked {
    fn long(&mut self, word: &str, name: &str, known: &[&'static Switch], rest: &mut std::slice::Iter<'_, String>) {
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        let find = |name: &str| known.iter().copied().find(|switch| switch.name == name);
        let off = name.strip_prefix("no-").and_then(find).filter(|switch| switch.takes == Takes::Nothing);
        match (find(name), off) {
            (Some(switch), _) => self.take(word, switch, value, rest),
            (None, Some(switch)) => self.set(switch, "false".to_owned()),
            (None, None) => self.invalid.push((format!("--{name}"), value.unwrap_or_default())),
        }
    }

    fn short(&mut self, word: &str, known: &[&'static Switch], rest: &mut std::slice::Iter<'_, String>) {
        let (letters, value) = match word.split_once('=') {
            Some((letters, value)) => (letters, Some(value.to_owned())),
            None => (word, None),
        };
        let letters: Vec<char> = letters.chars().skip(1).collect();
        let last = letters.len().saturating_sub(1);
        for (position, letter) in letters.into_iter().enumerate() {
            let value = if position == last { value.clone() } else { None };
            match known.iter().copied().find(|switch| switch.short == Some(letter)) {
                Some(switch) => self.take(&format!("-{letter}"), switch, value, rest),
                None => self.invalid.push((format!("-{letter}"), value.unwrap_or_default())),
            }
        }
    }

    fn take(
        &mut self,
        word: &str,
        switch: &'static Switch,
        value: Option<String>,
        rest: &mut std::slice::Iter<'_, String>,
    ) {
        let value = match switch.takes {
            Takes::Nothing => Some(value.unwrap_or_else(|| "true".to_owned())),
            _ => value.or_else(|| rest.next().cloned()),
        };
        match value {
            Some(value) if switch.takes.accepts(&value) => self.set(switch, value),
            Some(value) => self.invalid.push((word.to_owned(), value)),
            None => self.invalid.push((word.to_owned(), String::new())),
        }
    }

    fn set(&mut self, switch: &'static Switch, value: String) {
        self.options.0.insert(switch.name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Parsed {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(Tool::Ctl, &words)
    }

    #[test]
    fn options_come_before_and_after_the_command() {
        for line in [
            "-p v list_queues name",
            "list_queues -p v name",
            "list_queues name --vhost=v",
            "--vhost v list_queues name",
        ] {
            let parsed = parsed(line);
            assert_eq!((parsed.command.as_str(), parsed.options.get("vhost")), ("list_queues", Some("v")), "{line}");
            assert_eq!(parsed.arguments, ["name"], "{line}");
            assert!(parsed.invalid.is_empty(), "{line}");
        }
    }

    #[test]
    fn an_option_of_one_command_is_unknown_to_another() {
        assert!(parsed("set_policy a b {} --priority 3 --apply-to queues").invalid.is_empty());
        assert_eq!(parsed("list_users --priority 3").invalid, [("--priority".to_owned(), String::new())]);
        assert_eq!(parsed("--priority 3 set_policy a b {}").command, "set_policy");
    }

    #[test]
    fn flags_can_be_joined_and_turned_off() {
        let parsed = parsed("-qs list_users --no-table-headers -t x");
        assert_eq!((parsed.options.flag("quiet"), parsed.options.flag("silent")), (Some(true), Some(true)));
        assert_eq!(parsed.options.flag("table-headers"), Some(false));
        assert_eq!(parsed.invalid, [("-t".to_owned(), "x".to_owned())]);
    }

    #[test]
    fn a_number_is_taken_as_it_is_or_not_at_all() {
        let invalid = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        for (line, expected) in [
            ("set_policy a b {} --priority -1", vec![]),
            ("set_policy a b {} --priority 1.5", invalid("--priority", "1.5")),
            ("close_all_connections x --limit 5", vec![]),
            ("close_all_connections x --limit -1", invalid("--limit", "-1")),
            ("close_all_connections x --limit 1e3", invalid("--limit", "1e3")),
            ("list_users -t 0.5", vec![]),
            ("list_users --timeout infinity", vec![]),
            ("list_users --timeout soon", invalid("--timeout", "soon")),
        ] {
            assert_eq!(parsed(line).invalid, expected, "{line}");
        }
    }

    #[test]
    fn what_comes_after_two_dashes_is_an_argument() {
        let parsed = parsed("add_user -- -q --x");
        assert_eq!(parsed.arguments, ["-q", "--x"]);
        assert_eq!(parsed.options, Options::default());
    }
}
