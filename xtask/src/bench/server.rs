//! A broker or a relay as a child process, stopped when its value goes.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::command;

const READY_LIMIT: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// What both print when they know their port.
const ADDRESS_LINE: &str = "listening on ";
/// What the broker prints when clients are welcome.
const READY_LINE: &str = "Server startup complete";

pub struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts the broker on a data directory, with everything else as it is by default.
    pub fn start_broker_as_is(binary: &Path, dir: &Path) -> anyhow::Result<Self> {
        Self::start(broker_command(binary, dir)?, Some(READY_LINE))
    }

    /// Starts the broker on a data directory.
    pub fn start_broker_on(binary: &Path, dir: &Path, durability: &str) -> anyhow::Result<Self> {
        let mut command = broker_command(binary, dir)?;
        command.args(["--durability", durability]);
        Self::start(command, Some(READY_LINE))
    }

    /// Starts the relay of the load generator.
    pub fn start_relay(generator: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(generator);
        command.args(["relay", "--port", "0"]);
        Self::start(command, None)
    }

    /// Ends it by a signal and waits for the end.
    pub fn end(mut self, signal: &str, limit: Duration) -> anyhow::Result<()> {
        command::signal(signal, self.process.id());
        command::wait(&mut self.process, limit)?.context("it does not end")?;
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address)
    }

    pub fn port(&self) -> anyhow::Result<u16> {
        let (_, port) = self.address.rsplit_once(':').context("an address has no port")?;
        Ok(port.parse()?)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn start(mut command: Command, ready_line: Option<&str>) -> anyhow::Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        // Owned from here on, so that it is stopped if it never gets ready.
        let mut server = Self { process, address: String::new() };
        let stdout = server.process.stdout.take().context("a child has no stdout")?;
        let lines = lines_of(stdout);
        let deadline = Instant::now() + READY_LIMIT;
        server.address =
            wait_for(&lines, ADDRESS_LINE, deadline).with_context(|| format!("{program} tells no address"))?;
        if let Some(ready_line) = ready_line {
            wait_for(&lines, ready_line, deadline).with_context(|| format!("{program} does not get ready"))?;
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        command::signal("TERM", self.process.id());
        if !matches!(command::wait(&mut self.process, STOP_LIMIT), Ok(Some(_))) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// The broker on a data directory; it logs to a file beside that.
fn broker_command(binary: &Path, dir: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(binary);
    // What the caller's shell happens to hold must not change what is measured.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEVERET_")) {
        command.env_remove(name);
    }
    let path = dir.with_extension("log");
    let log = OpenOptions::new().create(true).append(true).open(&path);
    command.stderr(log.with_context(|| format!("cannot write {}", path.display()))?);
    command.args(["serve", "--bind", "127.0.0.1", "--port", "0", "--data-dir"]).arg(dir);
    Ok(command)
}

/// The lines of a child's output, read on to the end so that it never blocks on a full pipe.
fn lines_of(output: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens any more once the child is ready.
            let _ = sender.send(line);
        }
    });
    lines
}

/// Waits for a line that begins with `prefix` and gives the rest of it.
fn wait_for(lines: &Receiver<String>, prefix: &str, deadline: Instant) -> anyhow::Result<String> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left).with_context(|| format!("no line {prefix:?}"))?;
        if let Some(rest) = line.strip_prefix(prefix) {
            return Ok(rest.trim().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> anyhow::Result<Server> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Server::start(command, Some(READY_LINE))
    }

    #[test]
    fn a_server_is_ready_when_it_says_so_and_stopped_when_dropped() {
        let server = start(
            "echo starting; echo listening on 127.0.0.1:7; echo 'Server startup complete; 0 plugins started.'; exec sleep 30",
        )
        .unwrap();
        assert_eq!(server.url(), "amqp://guest:guest@127.0.0.1:7/%2f");
        assert_eq!(server.port().unwrap(), 7);
        let pid = server.pid();
        assert!(command::works("kill", &["-0", &pid.to_string()]));
        drop(server);
        assert!(!command::works("kill", &["-0", &pid.to_string()]));
    }

    #[test]
    fn a_server_that_ends_early_is_an_error() {
        let error = start("echo port taken").err().expect("it never listens");
        assert!(format!("{error:#}").contains("tells no address"), "{error:#}");
    }
}
