//! The broker that the clients of the matrix share, one after the other. A client may have it restarted: what it is
//! given as `BROKER_RESTART` asks us, since only we know the process.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::Column;
use crate::command;
use crate::peer::{self, Peer};
use crate::workspace::Workspace;

const READY_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub struct MatrixBroker {
    server: Server,
    version: String,
    restarts: Restarts,
}

enum Server {
    Leveret(Leveret),
    RabbitMq(Peer),
}

impl MatrixBroker {
    /// Starts our broker on a fresh data directory.
    pub fn leveret(workspace: &Workspace, binary: PathBuf) -> anyhow::Result<Self> {
        let home = fresh_home(workspace, Column::Leveret)?;
        let version = leveret_version(&binary)?;
        let server = Server::Leveret(Leveret::start(binary, &home)?);
        Ok(Self { server, version, restarts: Restarts::new(&home)? })
    }

    /// Starts a RabbitMQ.
    pub fn rabbitmq(workspace: &Workspace) -> anyhow::Result<Self> {
        let home = fresh_home(workspace, Column::RabbitMq)?;
        let plugins: Vec<&str> = peer::PLUGINS.into_iter().chain(peer::TOOL_PLUGINS).collect();
        let server = Server::RabbitMq(Peer::start(&workspace.target, &plugins)?);
        let version = peer::version().context("RabbitMQ's version is not found")?;
        Ok(Self { server, version, restarts: Restarts::new(&home)? })
    }

    pub fn column(&self) -> Column {
        match self.server {
            Server::Leveret(_) => Column::Leveret,
            Server::RabbitMq(_) => Column::RabbitMq,
        }
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// Tells a client's program by its environment where the broker is and how it is restarted.
    pub fn tell(&self, program: &mut Command) -> anyhow::Result<()> {
        for name in ["LEVERET_BIN", "LEVERET_PEER"] {
            program.env_remove(name);
        }
        program.env("BROKER_RESTART", &self.restarts.program);
        let ([management, prometheus], tools) = match &self.server {
            Server::Leveret(leveret) => {
                program.env("AMQP_URL", leveret.amqp_url()).env("LEVERET_DATA_DIR", data(&leveret.home));
                (leveret.ports.tools, leveret.tools()?)
            }
            Server::RabbitMq(peer) => {
                program.env("AMQP_URL", peer.amqp_url()).env("LEVERET_PEER", "rabbitmq");
                (peer.tool_ports(), peer.tools()?)
            }
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([tools].into_iter().chain(std::env::split_paths(&path)))?;
        program
            .env("MANAGEMENT_URL", format!("http://guest:guest@127.0.0.1:{management}"))
            .env("PROMETHEUS_URL", format!("http://127.0.0.1:{prometheus}"))
            .env("PATH", path);
        Ok(())
    }

    /// Restarts the broker if a client asks for it now.
    pub fn serve_restarts(&mut self) -> anyhow::Result<()> {
        let server = &mut self.server;
        self.restarts.serve(|| match server {
            Server::Leveret(leveret) => leveret.restart(),
            Server::RabbitMq(peer) => peer.restart(),
        })
    }

    /// Fails if the broker has ended by itself, and starts it again for the next client.
    pub fn ensure_alive(&mut self) -> anyhow::Result<()> {
        let Server::Leveret(leveret) = &mut self.server else { return Ok(()) };
        let Some(status) = leveret.process.try_wait()? else { return Ok(()) };
        leveret.process = leveret.spawn()?;
        leveret.wait_until_ready()?;
        bail!("the broker ended with {status}: see {}", leveret.log().display())
    }
}

fn fresh_home(workspace: &Workspace, column: Column) -> anyhow::Result<PathBuf> {
    let home = workspace.target.join("interop").join("broker").join(column.file_name());
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    fs::create_dir_all(&home)?;
    Ok(home)
}

/// What `leveret --version` says, without the name.
fn leveret_version(binary: &Path) -> anyhow::Result<String> {
    let output = Command::new(binary).arg("--version").output().with_context(|| binary.display().to_string())?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.trim().rsplit(' ').next().unwrap_or_default().to_owned())
}

/// Our broker as users run it, stopped when the value goes.
struct Leveret {
    binary: PathBuf,
    home: PathBuf,
    ports: Ports,
    process: Child,
}

#[derive(Clone, Copy)]
struct Ports {
    amqp: u16,
    /// Of the HTTP API, and for Prometheus.
    tools: [u16; 2],
}

impl Leveret {
    fn start(binary: PathBuf, home: &Path) -> anyhow::Result<Self> {
        let [amqp, management, prometheus] = peer::free_ports()?;
        let ports = Ports { amqp, tools: [management, prometheus] };
        let process = spawn(&binary, home, ports)?;
        let mut leveret = Self { binary, home: home.to_owned(), ports, process };
        leveret.wait_until_ready()?;
        println!("leveret runs on port {amqp}, its files are in {}", home.display());
        Ok(leveret)
    }

    fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.ports.amqp)
    }

    fn log(&self) -> PathBuf {
        log(&self.home)
    }

    /// A folder with the command-line tools; `LEVERET_DATA_DIR` leads them to this broker.
    fn tools(&self) -> anyhow::Result<PathBuf> {
        let folder = self.home.join("bin");
        let mut install = Command::new(&self.binary);
        command::run(install.arg("install-links").arg(&folder).stdout(Stdio::null()))?;
        Ok(folder)
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        spawn(&self.binary, &self.home, self.ports)
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        command::signal("TERM", self.process.id());
        let status = command::wait(&mut self.process, STOP_LIMIT)?.context("the broker does not end")?;
        ensure!(status.success(), "the broker ended with {status}");
        self.process = self.spawn()?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        while !peer::speaks_amqp(self.ports.amqp) {
            if let Some(status) = self.process.try_wait()? {
                bail!("the broker ended with {status}: see {}", self.log().display());
            }
            ensure!(start.elapsed() < READY_LIMIT, "the broker was not ready in {} s", READY_LIMIT.as_secs());
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Leveret {
    fn drop(&mut self) {
        command::signal("TERM", self.process.id());
        if !matches!(command::wait(&mut self.process, STOP_LIMIT), Ok(Some(_))) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn spawn(binary: &Path, home: &Path, ports: Ports) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(log(home))?;
    let [management, prometheus] = ports.tools.map(|port| port.to_string());
    Command::new(binary)
        .args(["serve", "--bind", "127.0.0.1", "--port", &ports.amqp.to_string()])
        .args(["--management-port", &management, "--prometheus-port", &prometheus, "--data-dir"])
        .arg(data(home))
        .stdin(Stdio::null())
        .stderr(log.try_clone()?)
        .stdout(log)
        .spawn()
        .with_context(|| format!("cannot start {}", binary.display()))
}

fn data(home: &Path) -> PathBuf {
    home.join("data")
}

fn log(home: &Path) -> PathBuf {
    home.join("leveret.log")
}

/// Where clients ask for a restart: the program connects, and waits for a line that says how it went.
struct Restarts {
    listener: TcpListener,
    program: PathBuf,
}

impl Restarts {
    fn new(home: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let program = home.join("restart");
        fs::write(&program, restart_program(listener.local_addr()?.port()))?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(Self { listener, program })
    }

    /// Answers whoever waits. An error is that of the restart; that the asker has gone is none.
    fn serve(&self, restart: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let Ok((mut asker, _)) = self.listener.accept() else { return Ok(()) };
        let result = restart();
        let answer = match &result {
            Ok(()) => "ok\n".to_owned(),
            Err(error) => format!("{error:#}\n"),
        };
        let _ = asker.write_all(answer.as_bytes());
        result
    }
}

fn restart_program(port: u16) -> String {
    format!(
        "#!/usr/bin/env bash\n\
         # Asks the runner of the clients to stop the broker and start it again with its data.\n\
         set -euo pipefail\n\
         exec 3<>/dev/tcp/127.0.0.1/{port}\n\
         read -r answer <&3\n\
         [[ $answer == ok ]] || {{ echo \"$answer\" >&2; exit 1; }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program while its wish is served; tells whether it was content.
    fn asked(restart: fn() -> anyhow::Result<()>) -> (bool, anyhow::Result<()>) {
        let home = std::env::temp_dir().join(format!("leveret-restart-{}-{restart:p}", std::process::id()));
        fs::create_dir_all(&home).unwrap();
        let restarts = Restarts::new(&home).unwrap();
        // By its interpreter: a program that was written just now may still be open in a process that another test is
        // about to start, and then it cannot be run.
        let mut child = Command::new("bash").arg(&restarts.program).stderr(Stdio::null()).spawn().unwrap();
        let mut result = Ok(());
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if result.is_ok() {
                result = restarts.serve(restart);
            }
            std::thread::sleep(POLL_INTERVAL);
        };
        fs::remove_dir_all(&home).unwrap();
        (status.success(), result)
    }

    #[test]
    fn the_program_returns_when_the_broker_is_back() {
        let (content, result) = asked(|| Ok(()));
        assert!(content);
        assert!(result.is_ok());
    }

    #[test]
    fn a_restart_that_fails_is_told_to_both() {
        let (content, result) = asked(|| bail!("it does not end"));
        assert!(!content);
        assert_eq!(result.unwrap_err().to_string(), "it does not end");
    }
}
