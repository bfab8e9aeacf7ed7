//! Runs the tutorial programs as processes, as a person in front of two terminals does.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::scenario;

/// How long a program may take to say or do what is expected of it.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running tutorial program. Dropping it ends it, as Ctrl-C would.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    /// Starts an example against the broker under test. `prefix` keeps its queues apart from those of other tests.
    pub fn start(prefix: &str, name: &str, arguments: &[&str]) -> Result<Program> {
        let mut child = Command::new(executable(name)?)
            .args(arguments)
            .env("AMQP_URL", scenario::url())
            .env("AMQP_NAME_PREFIX", prefix)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the example {name}"))?;
        let stdout = child.stdout.take().context("the program's stdout")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(|line| line.ok()) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Program { name: name.to_owned(), child, lines })
    }

    /// Starts an example and waits until it says that it waits for messages.
    pub fn listen(prefix: &str, name: &str, arguments: &[&str]) -> Result<Program> {
        let mut program = Program::start(prefix, name, arguments)?;
        program.expect("waiting")?;
        Ok(program)
    }

    /// Runs an example to its successful end and gives what it printed.
    pub fn run(prefix: &str, name: &str, arguments: &[&str]) -> Result<Vec<String>> {
        let mut program = Program::start(prefix, name, arguments)?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = program.child.try_wait()? {
                break status;
            }
            ensure!(Instant::now() < deadline, "{name} does not end");
            thread::sleep(POLL_INTERVAL);
        };
        ensure!(status.success(), "{name} ended with {status}");
        Ok(program.lines.iter().collect())
    }

    /// The next line, which must come soon.
    pub fn line(&mut self) -> Result<String> {
        self.lines.recv_timeout(PATIENCE).with_context(|| format!("{} says nothing", self.name))
    }

    /// The next line, which must begin with this text.
    pub fn expect(&mut self, start: &str) -> Result<String> {
        let line = self.line()?;
        if !line.starts_with(start) {
            bail!("{} says `{line}`, not `{start}...`", self.name);
        }
        Ok(line)
    }

    /// Ends the program and gives what it printed since the last look.
    pub fn end(mut self) -> Result<Vec<String>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.lines.iter().collect())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only for a process that has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo puts examples into `examples`, next to the `deps` folder of the running test.
fn executable(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let profile = test.ancestors().nth(2).context("the target directory")?;
    let path = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    ensure!(
        path.is_file(),
        "{} is not built: run `cargo test -p leveret-interop-lapin`, or build it with `--examples`",
        path.display()
    );
    Ok(path)
}
