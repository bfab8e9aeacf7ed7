//! A RabbitMQ of our own, to prove our tests on the broker whose behaviour they state, and to compare with. It shares
//! nothing with one that may run on the machine already: own node name, ports, port mapper, home and data.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::command;

/// The server itself; Debian's program of that name on the path only changes the user first.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Tells a server what to do; Debian's program of that name on the path only changes the user first, too.
const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";
/// Holds a folder of the server's name and version.
const LIBRARIES: &str = "/usr/lib/rabbitmq/lib";
const NODE: &str = "leveret-peer@localhost";
/// Plugins for what is built into ours.
pub const PLUGINS: [&str; 6] = [
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_event_exchange",
    "rabbitmq_jms_topic_exchange",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_sharding",
];
/// Plugins for what tools talk to.
pub const TOOL_PLUGINS: [&str; 2] = ["rabbitmq_management", "rabbitmq_prometheus"];
const READY_LIMIT: Duration = Duration::from_secs(180);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const CONTROL_LIMIT: Duration = Duration::from_secs(180);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(200);

pub struct Peer {
    server: Child,
    home: PathBuf,
    ports: Ports,
}

/// Where it listens, and its port mapper; of the last two, plugins are needed.
#[derive(Clone, Copy)]
struct Ports {
    amqp: u16,
    dist: u16,
    epmd: u16,
    management: u16,
    prometheus: u16,
}

impl Peer {
    /// Starts the server with `plugins`, installing it first where that is possible, and waits until it accepts connections.
    pub fn start(target: &Path, plugins: &[&str]) -> anyhow::Result<Self> {
        install_if_missing()?;
        let [amqp, dist, epmd, management, prometheus] = free_ports()?;
        let ports = Ports { amqp, dist, epmd, management, prometheus };
        let home = fresh_home(target, plugins, ports)?;
        let server = server_command(&home, ports)?.spawn().with_context(|| format!("cannot start {SERVER}"))?;
        let mut peer = Self { server, home, ports };
        println!("rabbitmq-server starts on port {amqp}, its files are in {}", peer.home.display());
        peer.wait_until_ready()?;
        Ok(peer)
    }

    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// Where the management plugin listens, and the one for Prometheus, if they were asked for.
    pub fn tool_ports(&self) -> [u16; 2] {
        [self.ports.management, self.ports.prometheus]
    }

    /// A folder with the command-line tools, each of which finds this broker by itself.
    pub fn tools(&self) -> anyhow::Result<PathBuf> {
        let folder = self.home.join("bin");
        fs::create_dir_all(&folder)?;
        for name in ["rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-plugins", "rabbitmq-queues", "rabbitmq-upgrade"] {
            let tool = folder.join(name);
            let program = Path::new(CONTROL).with_file_name(name);
            let (home, epmd_port) = (self.home.display(), self.ports.epmd);
            let text = format!(
                "#!/bin/sh\nexport HOME={home} RABBITMQ_NODENAME={NODE} ERL_EPMD_PORT={epmd_port} \\\n    \
                 RABBITMQ_ENABLED_PLUGINS_FILE={home}/enabled_plugins\nexec {} \"$@\"\n",
                program.display()
            );
            fs::write(&tool, text)?;
            fs::set_permissions(&tool, fs::Permissions::from_mode(0o755))?;
        }
        Ok(folder)
    }

    pub fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.ports.amqp)
    }

    /// Stops the broker and starts it again on the same port with its data. The node itself goes on, which is a lot faster;
    /// clients see no difference.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        for order in ["stop_app", "start_app"] {
            let mut control = Command::new(CONTROL);
            control
                .args(["-n", NODE, order])
                .env("HOME", &self.home)
                .env("ERL_EPMD_PORT", self.ports.epmd.to_string())
                .stdout(Stdio::null());
            command::run_within(&mut control, CONTROL_LIMIT)?;
        }
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        self.await_answer().with_context(|| format!("see {}", self.home.join("server.out").display()))
    }

    fn await_answer(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        while !speaks_amqp(self.ports.amqp) {
            if let Some(status) = self.server.try_wait()? {
                bail!("rabbitmq-server ended with {status}");
            }
            if start.elapsed() > READY_LIMIT {
                bail!("rabbitmq-server was not ready in {} s", READY_LIMIT.as_secs());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        command::signal("TERM", self.server.id());
        if !matches!(command::wait(&mut self.server, STOP_LIMIT), Ok(Some(_))) {
            command::kill_tree(self.server.id());
            let _ = self.server.wait();
        }
        // The port mapper outlives its nodes unless told otherwise.
        let _ = Command::new("epmd")
            .args(["-port", &self.ports.epmd.to_string(), "-kill"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Whether there is one to start.
pub fn is_installed() -> bool {
    Path::new(SERVER).exists()
}

/// The version of the one that is installed.
pub fn version() -> Option<String> {
    fs::read_dir(LIBRARIES).ok()?.find_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        Some(name.strip_prefix("rabbitmq_server-")?.to_owned())
    })
}

fn install_if_missing() -> anyhow::Result<()> {
    if is_installed() {
        return Ok(());
    }
    // RUNLEVEL keeps the package from starting a server of its own on the usual port.
    let apt_get = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["--option", "Acquire::Retries=5", "--option", "DPkg::Lock::Timeout=300"]).args(words);
        command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        command
    };
    command::run_patiently(|| apt_get(&["update"]))
        .and_then(|()| {
            let install = ["install", "--yes", "--no-install-recommends", "rabbitmq-server"];
            command::run_patiently(|| apt_get(&install))
        })
        .context("rabbitmq-server is not installed (Debian, as root: apt-get install rabbitmq-server)")
}

fn fresh_home(target: &Path, plugins: &[&str], ports: Ports) -> anyhow::Result<PathBuf> {
    let home = target.join("peer");
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    fs::create_dir_all(home.join("mnesia"))?;
    fs::create_dir_all(home.join("log"))?;
    fs::write(home.join("enabled_plugins"), format!("[{}].\n", plugins.join(",")))?;
    fs::write(home.join("rabbitmq.conf"), configuration(plugins, ports))?;
    Ok(home)
}

/// It refuses to start over keys of a plugin that is not enabled.
fn configuration(plugins: &[&str], ports: Ports) -> String {
    let mut text = "loopback_users.guest = true\n".to_owned();
    for (plugin, key, port) in [
        ("rabbitmq_management", "management", ports.management),
        ("rabbitmq_prometheus", "prometheus", ports.prometheus),
    ] {
        if plugins.contains(&plugin) {
            text.push_str(&format!("{key}.tcp.ip = 127.0.0.1\n{key}.tcp.port = {port}\n"));
        }
    }
    text
}

fn server_command(home: &Path, ports: Ports) -> anyhow::Result<Command> {
    let output = File::create(home.join("server.out"))?;
    let mut command = Command::new(SERVER);
    command
        .env("HOME", home)
        .env("RABBITMQ_BASE", home)
        .env("RABBITMQ_MNESIA_BASE", home.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", home.join("log"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
        .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq"))
        .env("RABBITMQ_NODENAME", NODE)
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", ports.amqp.to_string())
        .env("RABBITMQ_DIST_PORT", ports.dist.to_string())
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
        .env("ERL_EPMD_PORT", ports.epmd.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output);
    Ok(command)
}

/// Ports that nobody listens on. All are held until the last is found, so that they differ.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let held: Vec<TcpListener> =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// Whether whoever listens there answers a protocol header with a method frame (connection.start).
pub fn speaks_amqp(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, ANSWER_LIMIT) else {
        return false;
    };
    let mut kind = [0];
    stream.set_read_timeout(Some(ANSWER_LIMIT)).is_ok()
        && stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok()
        && stream.read_exact(&mut kind).is_ok()
        && kind == [1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ() {
        let [a, b, c] = free_ports().unwrap();
        assert!(a != b && b != c && a != c);
    }

    #[test]
    fn keys_of_plugins_come_with_the_plugins() {
        let ports = Ports { amqp: 1, dist: 2, epmd: 3, management: 4, prometheus: 5 };
        assert!(!configuration(&["rabbitmq_sharding"], ports).contains("tcp"));
        assert!(configuration(&TOOL_PLUGINS, ports).contains("prometheus.tcp.port = 5"));
    }

    #[test]
    fn only_a_method_frame_counts_as_ready() {
        for (answer, ready) in [(&b"\x01\x00\x00"[..], true), (&b"HTTP"[..], false), (&b""[..], false)] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.read_exact(&mut [0; 8]).unwrap();
                stream.write_all(answer).unwrap();
            });
            assert_eq!(speaks_amqp(port), ready, "{answer:?}");
            server.join().unwrap();
        }
    }
}
