//! A client's folder in `interop/`, and running what is in it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::broker::MatrixBroker;
use super::report::{self, Outcome};
use crate::command;
use crate::workspace::Workspace;

/// With the time to install what it needs, and to build it on a slow machine.
const RUN_LIMIT: Duration = Duration::from_secs(60 * 60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How much of what a failed program wrote on stderr is shown.
const SHOWN_LINES: usize = 40;

#[derive(Clone, Debug)]
pub struct Client {
    /// The name of its folder.
    pub name: String,
    pub folder: PathBuf,
    pub kind: Kind,
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client library that speaks AMQP.
    Client,
    /// A program that watches or administers a broker.
    Tool,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Client, Self::Tool];

    /// The page that shows how those of this kind fared.
    pub fn page(self) -> &'static str {
        match self {
            Self::Client => "docs/clients.md",
            Self::Tool => "docs/tools.md",
        }
    }

    /// What one of them is called.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Tool => "tool",
        }
    }

    /// Where their folders are.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Client => "interop",
            Self::Tool => "interop/tools",
        }
    }
}

/// The folders with a program `run`, clients first, by name.
pub fn found(workspace: &Workspace) -> anyhow::Result<Vec<Client>> {
    let clients = Kind::ALL.map(|kind| found_of(workspace, kind));
    clients.into_iter().collect::<Result<Vec<_>, _>>().map(|kinds| kinds.concat())
}

fn found_of(workspace: &Workspace, kind: Kind) -> anyhow::Result<Vec<Client>> {
    let root = workspace.root.join(kind.folder());
    let mut clients = Vec::new();
    for entry in fs::read_dir(&root).with_context(|| root.display().to_string())? {
        let entry = entry?;
        if is_program(&entry.path().join("run")) {
            let name = entry.file_name().to_string_lossy().into_owned();
            clients.push(Client { name, folder: entry.path(), kind });
        }
    }
    clients.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(clients)
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

impl Client {
    /// What its program has to report.
    pub fn expected(&self) -> Vec<&'static str> {
        report::expected(&self.name)
    }

    /// Runs the program to its end and reads its report. Meanwhile the broker is restarted whenever the program asks.
    pub fn run(&self, workspace: &Workspace, broker: &mut MatrixBroker) -> anyhow::Result<Outcome> {
        let home = workspace.target.join("interop").join(&self.name);
        fs::create_dir_all(&home)?;
        let log = home.join(format!("{}.log", broker.column().file_name()));
        let mut program = Command::new(self.folder.join("run"));
        program.current_dir(&self.folder).env("INTEROP_HOME", &home).env("CARGO_TARGET_DIR", &workspace.target);
        broker.tell(&mut program)?;
        let ended = run_program(&mut program, &log, RUN_LIMIT, || broker.serve_restarts());
        let alive = broker.ensure_alive();
        let outcome = ended.and_then(|(status, lines)| Outcome::read(&lines, status.code(), &self.expected()));
        let failed = outcome.as_ref().is_ok_and(|outcome| outcome.verdict(&self.expected()).is_err());
        if outcome.is_err() || failed {
            show_end_of(&log);
        }
        alive?;
        outcome
    }
}

/// Runs a program, shows what it prints and gives it back; calls `meanwhile` until it ends.
fn run_program(
    program: &mut Command,
    log: &Path,
    limit: Duration,
    mut meanwhile: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<(ExitStatus, Vec<String>)> {
    let stderr = File::create(log).with_context(|| log.display().to_string())?;
    let mut child = program
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .with_context(|| format!("cannot start {}", program.get_program().display()))?;
    let lines = printed_lines(child.stdout.take().context("a child has no stdout")?);
    let ended = wait(&mut child, limit, &mut meanwhile);
    if ended.is_err() {
        command::kill_tree(child.id());
        // The tree may have been out of reach (no `ps`); the child itself never is.
        let _ = child.kill();
        child.wait()?;
    }
    let status = ended?;
    let lines = lines.join().map_err(|_| anyhow::anyhow!("the reader of its output panicked"))?;
    Ok((status, lines))
}

fn wait(
    child: &mut Child,
    limit: Duration,
    meanwhile: &mut impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > limit {
            bail!("it ran for over {} s", limit.as_secs());
        }
        meanwhile()?;
        thread::sleep(POLL_INTERVAL);
    }
}

fn printed_lines(stdout: impl Read + Send + 'static) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        lines.inspect(|line| println!("   {line}")).collect()
    })
}

fn show_end_of(log: &Path) {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    println!("   the end of {}:", log.display());
    for line in lines.iter().skip(lines.len().saturating_sub(SHOWN_LINES)) {
        println!("   | {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh_folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("leveret-interop-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_folder_with_a_program_is_a_client() {
        let root = fresh_folder("found");
        for (name, mode) in [("b", 0o755), ("a", 0o755), ("notes", 0o644)] {
            let folder = root.join("interop").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("run"), "#!/bin/sh\n").unwrap();
            fs::set_permissions(folder.join("run"), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir_all(root.join("interop").join("tools")).unwrap();
        fs::write(root.join("interop").join("README.md"), "").unwrap();
        let workspace = Workspace { root: root.clone(), target: root.join("target"), packages: Vec::new() };
        let names: Vec<String> = found(&workspace).unwrap().into_iter().map(|client| client.name).collect();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn what_a_program_prints_and_how_it_ends_is_given_back() {
        let folder = fresh_folder("printed");
        let log = folder.join("log");
        let mut program = Command::new("sh");
        program.args(["-c", "echo one; echo aside >&2; echo two; exit 7"]);
        let (status, lines) = run_program(&mut program, &log, RUN_LIMIT, || Ok(())).unwrap();
        assert_eq!(status.code(), Some(7));
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(fs::read_to_string(&log).unwrap(), "aside\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let folder = fresh_folder("hangs");
        let mut program = Command::new("sh");
        program.args(["-c", "sleep 30 & wait"]);
        let start = Instant::now();
        let error = run_program(&mut program, &folder.join("log"), Duration::from_millis(100), || Ok(())).unwrap_err();
        assert!(error.to_string().contains("ran for over"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
        fs::remove_dir_all(&folder).unwrap();
    }
}
