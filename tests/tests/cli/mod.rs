//! A broker with its tools: links to the binary by the names of RabbitMQ's.

#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use leveret_tests::broker::{Broker, binary};
use leveret_tests::home::Home;
use leveret_tests::prelude::unique;

/// What the binary says before the address of the HTTP API.
const MANAGEMENT_PREFIX: &str = "management listening on ";

/// A broker on a data directory of its own, and tools for it.
pub struct Tools {
    pub home: Home,
    pub broker: Broker,
    links: Links,
}

/// A directory of links to the binary; it goes with this value.
pub struct Links(PathBuf);

/// How a tool ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Links {
    /// Has the binary make them.
    pub fn new() -> Self {
        let directory = std::env::temp_dir().join(unique("links"));
        let made = Command::new(binary().expect("a binary"))
            .arg("install-links")
            .arg(&directory)
            .output()
            .expect("it can be run");
        assert!(made.status.success(), "{made:?}");
        Self(directory)
    }

    /// A tool by its name, for no broker in particular.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.0.join(name));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
        command
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Tools {
    /// A fresh broker.
    pub fn start() -> Self {
        let home = Home::new();
        let broker = home.start_with(&["--management-port", "auto"]);
        Self { home, broker, links: Links::new() }
    }

    /// A tool by its name, for this broker.
    pub fn command(&self, name: &str) -> Command {
        let mut command = self.links.command(name);
        command.env("LEVERET_DATA_DIR", self.home.path());
        command
    }

    /// Runs a tool with words that have no spaces in them.
    pub fn run(&self, line: &str) -> Run {
        self.run_words(&line.split(' ').collect::<Vec<_>>())
    }

    /// Runs a tool.
    pub fn run_words(&self, words: &[&str]) -> Run {
        let (name, rest) = words.split_first().expect("a name");
        Run::of(self.command(name).args(rest).output().expect("it can be run"))
    }

    /// Runs a tool with something on its standard input.
    pub fn run_with_input(&self, words: &[&str], input: &str) -> Run {
        let (name, rest) = words.split_first().expect("a name");
        let mut command = self.command(name);
        command.args(rest).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it can be run");
        child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
        Run::of(child.wait_with_output().expect("it ends"))
    }

    /// Runs `rabbitmqadmin` for the broker's HTTP API.
    pub fn admin(&self, words: &[&str]) -> Run {
        let port = self.management().port().to_string();
        Run::of(
            self.command("rabbitmqadmin")
                .args(["-H", "127.0.0.1", "-P", &port])
                .args(words)
                .output()
                .expect("it can be run"),
        )
    }

    /// Where the HTTP API is.
    pub fn management(&self) -> SocketAddr {
        let output = self.broker.output();
        let line = output.lines().find_map(|line| line.strip_prefix(MANAGEMENT_PREFIX));
        line.unwrap_or_else(|| panic!("no HTTP API:\n{output}")).trim().parse().expect("an address")
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Its output, when it must have succeeded without a word on stderr.
    pub fn ok(self) -> String {
        assert!(self.code == 0 && self.err.is_empty(), "{self:?}");
        self.out
    }

    /// Checks how it failed, and gives what it said.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        self.err
    }
}
