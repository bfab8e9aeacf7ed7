//! What a client's program says: one line for each thing that it was asked to do.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use super::tools::tool;

/// What every client is asked to do, in the order of the matrix.
pub const COMMON: [&str; 10] = [
    "declare",
    "publish-confirms",
    "consume-acks",
    "get",
    "returns",
    "ttl-dead-letter",
    "priorities",
    "rpc",
    "topology-errors",
    "recovery",
];
/// What rabbitmq-c is asked besides: it has programs.
pub const TOOLS: &str = "tools";
/// Celery is no AMQP client but a system of workers; it is asked for what its users see.
pub const CELERY: [&str; 11] = [
    "chain",
    "chord",
    "group",
    "eta-countdown",
    "retry",
    "revoke",
    "priorities",
    "results",
    "events",
    "inspect",
    "recovery",
];

/// What the program of the folder `name` has to report, all of it.
pub fn expected(name: &str) -> Vec<&'static str> {
    match name {
        "celery" => CELERY.to_vec(),
        "rabbitmq-c" => COMMON.into_iter().chain([TOOLS]).collect(),
        _ => match tool(name) {
            Some(tool) => tool.asked.iter().map(|(name, _)| *name).collect(),
            None => COMMON.to_vec(),
        },
    }
}

/// How a client's run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ran(Report),
    /// The client cannot be had here, and why.
    Unavailable(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub version: String,
    pub cells: BTreeMap<String, Cell>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    Ok,
    NotOk(String),
    /// The client itself cannot do it, and why.
    Skip(String),
}

impl Outcome {
    /// Reads what a program wrote and how it ended. An error is a breach of the contract; that something does not work
    /// is none.
    pub fn read(lines: &[String], exit_code: Option<i32>, expected: &[&str]) -> anyhow::Result<Self> {
        if exit_code == Some(EXIT_UNAVAILABLE) {
            let last = lines.last().map_or("", String::as_str);
            let why = last.strip_prefix("unavailable: ").context("it ended with 77 and no line `unavailable: why`")?;
            return Ok(Self::Unavailable(why.to_owned()));
        }
        let report = Report::read(lines, expected)?;
        let wrong = report.wrong(expected);
        match exit_code {
            Some(0) => ensure!(wrong.is_empty(), "it ended with 0 in spite of: {}", wrong.join("; ")),
            Some(1) => ensure!(!wrong.is_empty(), "it ended with 1, but reported nothing wrong"),
            Some(code) => bail!("it ended with {code}"),
            None => bail!("it was killed"),
        }
        Ok(Self::Ran(report))
    }

    pub fn unavailable(&self) -> Option<&str> {
        match self {
            Self::Ran(_) => None,
            Self::Unavailable(why) => Some(why),
        }
    }

    /// Fails with all that did not work.
    pub fn verdict(&self, expected: &[&str]) -> anyhow::Result<()> {
        let Self::Ran(report) = self else { return Ok(()) };
        let wrong = report.wrong(expected);
        ensure!(wrong.is_empty(), "{} of {} not ok: {}", wrong.len(), expected.len(), wrong.join("; "));
        Ok(())
    }
}

/// The exit code of a program that lacks its client.
const EXIT_UNAVAILABLE: i32 = 77;

impl Report {
    fn read(lines: &[String], expected: &[&str]) -> anyhow::Result<Self> {
        let mut version = None;
        let mut cells = BTreeMap::new();
        for line in lines {
            if let Some(client) = line.strip_prefix("client ") {
                ensure!(version.replace(client.to_owned()).is_none(), "a second line `{line}`");
                continue;
            }
            let (name, cell) = Cell::read(line).with_context(|| format!("it printed `{line}`"))?;
            ensure!(expected.contains(&name), "it is not asked for `{name}`");
            ensure!(cells.insert(name.to_owned(), cell).is_none(), "it reports `{name}` twice");
        }
        for name in expected {
            cells.entry((*name).to_owned()).or_insert_with(|| Cell::NotOk("nothing is reported".to_owned()));
        }
        let version = version.context("it did not say `client NAME VERSION`")?;
        Ok(Self { version, cells })
    }

    /// What does not work, in the order in which it was asked for.
    fn wrong(&self, expected: &[&str]) -> Vec<String> {
        let reason = |name: &&str| match self.cells.get(*name) {
            Some(Cell::NotOk(why)) => Some(format!("{name} ({why})")),
            _ => None,
        };
        expected.iter().filter_map(reason).collect()
    }
}

impl Cell {
    fn read(line: &str) -> anyhow::Result<(&str, Self)> {
        if let Some(name) = line.strip_prefix("ok ") {
            return Ok((name, Self::Ok));
        }
        let with_reason = |rest: &'static str| line.strip_prefix(rest).and_then(|rest| rest.split_once(": "));
        if let Some((name, why)) = with_reason("not ok ") {
            return Ok((name, Self::NotOk(why.to_owned())));
        }
        let (name, why) = with_reason("skip ").context("that is no line of a report")?;
        Ok((name, Self::Skip(why.to_owned())))
    }

    /// The word for it in the matrix.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotOk(_) => "FAILS",
            Self::Skip(_) => "n/a",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: [&str; 3] = ["declare", "get", "rpc"];

    fn read(text: &str, exit_code: i32) -> anyhow::Result<Outcome> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        Outcome::read(&lines, Some(exit_code), &ASKED)
    }

    fn ran(outcome: Outcome) -> Report {
        match outcome {
            Outcome::Ran(report) => report,
            Outcome::Unavailable(why) => panic!("unavailable: {why}"),
        }
    }

    #[test]
    fn each_line_is_a_cell() {
        let text = "client pika 1.4.4\nok declare\nnot ok get: the queue: is empty\nskip rpc: no such call";
        let outcome = read(text, 1).unwrap();
        let verdict = outcome.verdict(&ASKED).unwrap_err().to_string();
        assert_eq!(verdict, "1 of 3 not ok: get (the queue: is empty)");
        let report = ran(outcome);
        assert_eq!(report.version, "pika 1.4.4");
        assert_eq!(report.cells["declare"], Cell::Ok);
        assert_eq!(report.cells["get"], Cell::NotOk("the queue: is empty".to_owned()));
        assert_eq!(report.cells["rpc"], Cell::Skip("no such call".to_owned()));
    }

    #[test]
    fn all_ok_is_a_success_and_a_skip_is_no_failure() {
        let outcome = read("client x 1\nok declare\nok get\nskip rpc: no", 0).unwrap();
        assert!(outcome.verdict(&ASKED).is_ok());
    }

    #[test]
    fn what_is_not_reported_does_not_work() {
        let report = ran(read("client x 1\nok declare\nok get", 1).unwrap());
        assert_eq!(report.cells["rpc"], Cell::NotOk("nothing is reported".to_owned()));
        assert!(read("client x 1\nok declare\nok get", 0).is_err());
    }

    #[test]
    fn a_client_that_cannot_be_had_says_why() {
        let outcome = read("client x 1\nunavailable: no php", 77).unwrap();
        assert_eq!(outcome.unavailable(), Some("no php"));
        assert!(outcome.verdict(&ASKED).is_ok());
        assert!(read("ok declare", 77).is_err());
        assert!(read("", 77).is_err());
    }

    #[test]
    fn a_breach_of_the_contract_is_an_error() {
        let all = "ok declare\nok get\nok rpc";
        for (text, exit_code) in [
            (all.to_owned(), 0),
            (format!("client x 1\n{all}"), 1),
            (format!("client x 1\n{all}"), 2),
            (format!("client x 1\nclient x 1\n{all}"), 0),
            (format!("client x 1\nok get\n{all}"), 0),
            (format!("client x 1\n{all}\nok dance"), 0),
            (format!("client x 1\n{all}\nhello"), 0),
            ("client x 1\nok declare\nok get\nnot ok rpc".to_owned(), 1),
            ("client x 1\nok declare\nok get\nnot ok rpc: no".to_owned(), 0),
        ] {
            assert!(read(&text, exit_code).is_err(), "{text} {exit_code}");
        }
        let lines: Vec<String> = format!("client x 1\n{all}").lines().map(str::to_owned).collect();
        assert!(Outcome::read(&lines, None, &ASKED).is_err());
    }

    #[test]
    fn what_is_asked_depends_on_the_client() {
        assert_eq!(expected("pika"), COMMON);
        assert_eq!(expected("celery"), CELERY);
        assert_eq!(expected("rabbitmq-c").last(), Some(&TOOLS));
    }
}
