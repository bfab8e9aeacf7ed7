//! A broker for the tests: a process of the built binary, or one that is already running somewhere.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::home::Directory;

/// The line by which the broker says on which address it listens.
pub const LISTENING_PREFIX: &str = "listening on ";
/// The start of the line that follows when every listener is up.
pub const STARTED_PREFIX: &str = "Server startup complete;";

const START_SECONDS_MAX: u64 = 120;
const STOP_SECONDS_MAX: u64 = 60;
const LINE_SECONDS_MAX: u64 = 60;
const OUTPUT_LINES_KEPT: usize = 2_000;
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running broker and how to reach it.
///
/// Dropping one that this process started ends it with SIGTERM. One that is given by `AMQP_URL` is left alone.
#[derive(Debug)]
pub struct Broker {
    target: Target,
    process: Option<Process>,
    /// Where its data lies, for as long as it runs.
    _directory: Option<Arc<Directory>>,
}

/// How a broker's process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: it may put things in order.
    Term,
    /// SIGKILL: it may do nothing at all any more.
    Kill,
}

/// Where a broker listens and who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    addr: SocketAddr,
    user: String,
    password: String,
    vhost: String,
}

/// True when the tests run against Debian's RabbitMQ 3.10 and not against our own broker.
pub fn peer() -> bool {
    std::env::var("LEVERET_PEER").is_ok_and(|name| name == "rabbitmq")
}

/// True when `AMQP_URL` names a broker that is already running, so that no process is started here.
pub fn is_external() -> bool {
    std::env::var_os("AMQP_URL").is_some()
}

/// True, with the reason on stdout, when a test that needs its own broker process cannot run now.
pub fn skip_without_process(test: &str) -> bool {
    let skip = is_external();
    if skip {
        println!("{test}: skipped, it needs a broker process of its own and AMQP_URL names a running one");
    }
    skip
}

impl Broker {
    /// The broker shared by all tests of this test process: started at the first use, ended with the process.
    pub fn shared() -> &'static Broker {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(Broker::start)
    }

    /// A broker process for one test alone (or the one of `AMQP_URL`).
    pub fn start() -> Broker {
        Broker::start_with(&[])
    }

    /// As [`Broker::start`], with more command line arguments after `serve --ephemeral --bind 127.0.0.1 --port 0`.
    pub fn start_with(args: &[&str]) -> Broker {
        let broker = match std::env::var("AMQP_URL") {
            Ok(url) => Target::from_url(&url).map(|target| Broker { target, process: None, _directory: None }),
            Err(_) => Broker::try_start(args),
        };
        broker.unwrap_or_else(|error| panic!("no broker to test: {error:#}"))
    }

    /// Starts the built binary whatever `AMQP_URL` says and tells why when it does not come up.
    pub fn try_start(args: &[&str]) -> Result<Broker> {
        let mut arguments = vec!["serve", "--ephemeral", "--bind", "127.0.0.1", "--port", "0"];
        arguments.extend_from_slice(args);
        let mut command = program()?;
        command.args(arguments);
        Broker::spawn(command)
    }

    /// Starts a broker of ours by this command, which leaves the port to the system.
    pub(crate) fn spawn(command: Command) -> Result<Broker> {
        let (mut process, stdout) = Process::spawn(command)?;
        let addr = process.wait_until_started(&stdout)?;
        Ok(Broker { target: Target::guest_at(addr), process: Some(process), _directory: None })
    }

    /// The broker, whose data lies in this directory.
    pub(crate) fn on(self, directory: &Arc<Directory>) -> Broker {
        Broker { _directory: Some(Arc::clone(directory)), ..self }
    }

    /// Starts any broker by this command and waits until clients are welcome at the address it was told.
    pub(crate) fn spawn_at(command: Command, addr: SocketAddr) -> Result<Broker> {
        let (mut process, _stdout) = Process::spawn(command)?;
        process.wait_until_welcome(addr)?;
        Ok(Broker { target: Target::guest_at(addr), process: Some(process), _directory: None })
    }

    /// The AMQP URI of the broker.
    pub fn url(&self) -> String {
        let Target { addr, user, password, vhost } = &self.target;
        format!("amqp://{}:{}@{addr}/{}", percent_encode(user), percent_encode(password), percent_encode(vhost))
    }

    /// The address the broker listens on.
    pub fn addr(&self) -> SocketAddr {
        self.target.addr
    }

    /// The name of the user tests log in with.
    pub fn user(&self) -> &str {
        &self.target.user
    }

    /// The password of that user.
    pub fn password(&self) -> &str {
        &self.target.password
    }

    /// The virtual host tests work in.
    pub fn vhost(&self) -> &str {
        &self.target.vhost
    }

    /// See [`peer`].
    pub fn peer(&self) -> bool {
        peer()
    }

    /// The process id, when this test process started the broker.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// What the broker wrote so far on stdout and stderr, stdout lines first.
    pub fn output(&self) -> String {
        self.process.as_ref().map(Process::output).unwrap_or_default()
    }

    /// Waits for a line of the broker's output: what it logs may be read later than what it prints.
    pub fn expect_line(&self, what: &str, is_it: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(LINE_SECONDS_MAX);
        while !self.output().lines().any(&is_it) {
            assert!(Instant::now() < deadline, "no line that {what}:\n{}", self.output());
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Sends a signal by its name (`"TERM"`, `"INT"`) without waiting for its effect.
    pub fn signal(&self, name: &str) -> Result<()> {
        let pid = self.pid().context("this broker was not started here")?;
        send_signal(pid, name)
    }

    /// Waits until the process has ended, for at most `patience`.
    pub fn wait_for_exit(&mut self, patience: Duration) -> Result<ExitStatus> {
        let process = self.process.as_mut().context("this broker was not started here")?;
        process.wait_for_exit(patience)
    }

    /// Ends the process and waits for its end. A stop in peace must be a success.
    pub fn end(mut self, stop: Stop) {
        let process = self.process.as_mut().expect("this broker was started here");
        match stop {
            Stop::Term => {
                send_signal(process.child.id(), "TERM").expect("the broker can be signalled");
                let status = process.wait_for_exit(Duration::from_secs(STOP_SECONDS_MAX)).expect("the broker ends");
                assert!(status.success(), "{status}\n{}", process.output());
            }
            Stop::Kill => {
                process.child.kill().expect("the broker can be killed");
                process.wait_for_exit(Duration::from_secs(STOP_SECONDS_MAX)).expect("a killed broker ends");
            }
        }
    }
}

impl Target {
    fn guest_at(addr: SocketAddr) -> Target {
        Target { addr, user: "guest".to_owned(), password: "guest".to_owned(), vhost: "/".to_owned() }
    }

    fn from_url(url: &str) -> Result<Target> {
        let rest =
            url.strip_prefix("amqp://").with_context(|| format!("AMQP_URL {url} does not start with amqp://"))?;
        let (authority, vhost) = match rest.split_once('/') {
            Some((authority, vhost)) => (authority, percent_decode(vhost)?),
            None => (rest, "/".to_owned()),
        };
        let (login, host) = authority.rsplit_once('@').unwrap_or(("guest:guest", authority));
        let (user, password) = login.split_once(':').context("AMQP_URL has a user without a password")?;
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:5672") };
        let addr = host.to_socket_addrs()?.next().with_context(|| format!("{host} has no address"))?;
        Ok(Target { addr, user: percent_decode(user)?, password: percent_decode(password)?, vhost })
    }
}

/// The broker binary to test: `LEVERET_BIN`, else the release or the debug build of this repository.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("LEVERET_BIN") {
        return Ok(PathBuf::from(path));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository root")?;
    // A relative one is meant from the root, where cargo is called, and not from here, where cargo runs tests.
    let target = root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let name = format!("leveret{}", std::env::consts::EXE_SUFFIX);
    ["release", "debug"]
        .iter()
        .map(|profile| target.join(profile).join(&name))
        .find(|path| path.is_file())
        .with_context(|| format!("no built broker under {}: set LEVERET_BIN or build it", target.display()))
}

/// A command that runs that binary, whatever the caller's shell has in its environment for brokers.
pub fn program() -> Result<Command> {
    let mut command = Command::new(binary()?);
    forget_environment(&mut command);
    Ok(command)
}

/// Takes from a command's environment what brokers read, and what tests are told.
pub fn forget_environment(command: &mut Command) {
    let is_ours = |name: &str| name.starts_with("LEVERET_") || name.starts_with("RABBITMQ");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_ours)) {
        command.env_remove(name);
    }
}

/// Runs the built binary with these arguments up to its end, for at most `patience`.
pub fn run(args: &[&str], patience: Duration) -> Result<(ExitStatus, String, String)> {
    let mut command = program()?;
    command.args(args);
    let (mut process, stdout) = Process::spawn(command)?;
    let status = process.wait_for_exit(patience)?;
    // The channel ends when all of stdout was read.
    let stdout: Vec<String> = stdout.iter().collect();
    process.stderr_reader.take().map(thread::JoinHandle::join);
    let stderr: Vec<String> = lock(&process.stderr_lines).iter().cloned().collect();
    Ok((status, stdout.join("\n"), stderr.join("\n")))
}

/// The memory a process has in RAM.
#[cfg(target_os = "linux")]
pub fn resident_bytes(pid: u32) -> Result<u64> {
    const BYTES_PER_KIB: u64 = 1024;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * BYTES_PER_KIB)
}

/// Lets a process open so many files and sockets, if it may not already.
#[cfg(target_os = "linux")]
pub fn allow_open_files(pid: u32, count: u64) -> Result<()> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).context("no limit of open files")?;
    let mut limits = line.split_whitespace().map(|limit| limit.parse::<u64>().unwrap_or(u64::MAX));
    let (soft, hard) = (limits.next().context("no soft limit")?, limits.next().context("no hard limit")?);
    if soft >= count {
        return Ok(());
    }
    // Who is root may raise what is the most for others.
    let wanted = if hard >= count { format!("--nofile={count}:") } else { format!("--nofile={count}:{count}") };
    let output = Command::new("prlimit").args(["--pid", &pid.to_string(), &wanted]).output()?;
    ensure!(output.status.success(), "prlimit: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A child process whose output is always drained, and which cannot outlive this process.
#[derive(Debug)]
struct Process {
    child: Child,
    stdout_lines: Lines,
    stderr_lines: Lines,
    stderr_reader: Option<thread::JoinHandle<()>>,
    /// Ends the child when this process ends without running destructors, as a test process does for its statics.
    watchdog: Option<Watchdog>,
}

type Lines = Arc<Mutex<VecDeque<String>>>;

impl Process {
    /// Starts the command; its stdout lines also arrive at the receiver.
    fn spawn(mut command: Command) -> Result<(Process, Receiver<String>)> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let watchdog = Watchdog::over(child.id())?;
        let (stdout_lines, stderr_lines) = (Lines::default(), Lines::default());
        let (sender, stdout) = mpsc::channel();
        drain(child.stdout.take(), Arc::clone(&stdout_lines), move |line| {
            // Nobody listens any more once the broker is up.
            let _ = sender.send(line.to_owned());
        });
        let stderr_reader = drain(child.stderr.take(), Arc::clone(&stderr_lines), |_| ());
        Ok((Process { child, stdout_lines, stderr_lines, stderr_reader, watchdog: Some(watchdog) }, stdout))
    }

    /// Reads stdout up to the startup line and gives the address named before it.
    fn wait_until_started(&mut self, stdout: &Receiver<String>) -> Result<SocketAddr> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        let mut addr = None;
        loop {
            let line = match stdout.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("not up after {START_SECONDS_MAX} s:\n{}", self.output())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.wait_for_exit(Duration::from_secs(STOP_SECONDS_MAX))?;
                    bail!("ended with {status} before it was up:\n{}", self.last_output());
                }
            };
            if let Some(text) = line.strip_prefix(LISTENING_PREFIX) {
                let parsed = text.trim().parse().map_err(|error| anyhow!("cannot read `{line}`: {error}"))?;
                addr.get_or_insert(parsed);
            } else if line.starts_with(STARTED_PREFIX) {
                return addr.context("the startup line came before any `listening on` line");
            }
        }
    }

    /// Tries until somebody who listens there begins a handshake.
    fn wait_until_welcome(&mut self, addr: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while !speaks_amqp(addr) {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended with {status} before it was up:\n{}", self.last_output());
            }
            ensure!(Instant::now() < deadline, "not up after {START_SECONDS_MAX} s:\n{}", self.output());
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn wait_for_exit(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.watchdog = None;
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "the broker still runs after {patience:?}");
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// All that a broker wrote that has ended.
    fn last_output(&mut self) -> String {
        // What was written last may still be on its way.
        self.stderr_reader.take().map(thread::JoinHandle::join);
        self.output()
    }

    fn output(&self) -> String {
        let mut text = String::new();
        for lines in [&self.stdout_lines, &self.stderr_lines] {
            for line in lock(lines).iter() {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self.child.try_wait().ok().flatten();
        if ended.is_none() {
            // A failure here must not hide the panic that may be under way: the process is killed in the end.
            let _ = send_signal(self.child.id(), "TERM");
            if self.wait_for_exit(Duration::from_secs(STOP_SECONDS_MAX)).is_err() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        if thread::panicking() {
            let state = ended.map_or_else(|| "ran".to_owned(), |status| format!("had ended with {status}"));
            eprintln!("the broker {state}, and wrote last:\n{}", self.last_output());
        }
    }
}

/// A shell that waits for the end of its input, which comes with the end of this process, and then ends the broker.
#[derive(Debug)]
struct Watchdog {
    shell: Child,
    _input: Option<ChildStdin>,
}

impl Watchdog {
    fn over(pid: u32) -> Result<Watchdog> {
        let mut shell = Command::new("sh")
            .arg("-c")
            .arg(format!("read -r _; kill -TERM {pid}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh as the watchdog of the broker")?;
        let input = shell.stdin.take();
        Ok(Watchdog { shell, _input: input })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Killed before its input closes, so that it never signals a process id that was given to somebody else.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Whether whoever listens there answers a protocol header with a method frame (connection.start).
fn speaks_amqp(addr: SocketAddr) -> bool {
    const ANSWER_LIMIT: Duration = Duration::from_secs(10);
    const METHOD_FRAME: [u8; 1] = [1];
    let Ok(mut stream) = TcpStream::connect_timeout(&addr, ANSWER_LIMIT) else {
        return false;
    };
    let mut kind = [0];
    stream.set_read_timeout(Some(ANSWER_LIMIT)).is_ok()
        && stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok()
        && stream.read_exact(&mut kind).is_ok()
        && kind == METHOD_FRAME
}

/// Sends a signal with the shell's builtin, which every machine has.
pub fn send_signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status()?;
    ensure!(status.success(), "kill -{name} {pid}: {status}");
    Ok(())
}

fn drain<R, F>(source: Option<R>, lines: Lines, mut each: F) -> Option<thread::JoinHandle<()>>
where
    R: Read + Send + 'static,
    F: FnMut(&str) + Send + 'static,
{
    let source = source?;
    Some(thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(|line| line.ok()) {
            // Kept before it is passed on, so that who has seen a line finds it in the output.
            keep(&lines, &line);
            each(&line);
        }
    }))
}

fn keep(lines: &Lines, line: &str) {
    let mut kept = lock(lines);
    if kept.len() == OUTPUT_LINES_KEPT {
        kept.pop_front();
    }
    kept.push_back(line.to_owned());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02x}"));
        }
    }
    encoded
}

fn percent_decode(text: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).with_context(|| format!("cut percent escape in {text}"))?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits)?, 16)?);
        rest = tail;
    }
    Ok(String::from_utf8(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_their_escapes() {
        let target = Target::from_url("amqp://us%40er:p%2Fw@127.0.0.1:5673/%2f").unwrap();
        assert_eq!(target.addr, "127.0.0.1:5673".parse().unwrap());
        assert_eq!((&*target.user, &*target.password, &*target.vhost), ("us@er", "p/w", "/"));
        let broker = Broker { target, process: None, _directory: None };
        assert_eq!(broker.url(), "amqp://us%40er:p%2fw@127.0.0.1:5673/%2f");
    }

    #[test]
    fn a_bad_url_is_refused() {
        assert!(Target::from_url("http://localhost").is_err());
        assert!(Target::from_url("amqp://127.0.0.1:5672/%2").is_err());
    }
}
