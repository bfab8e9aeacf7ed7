//! A machine as a user sets it up: the commands by their names, `/etc/rabbitmq`, the environment, a server.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use leveret_tests::broker;
use leveret_tests::ports::free_ports;
use leveret_tests::prelude::*;
use serde_json::Value;

const START_SECONDS_MAX: u64 = 120;
const STOP_SECONDS_MAX: u64 = 60;
const POLL: Duration = Duration::from_millis(10);

/// A folder that stands for the machine, and what its user has put into it.
pub struct Host {
    pub root: PathBuf,
    pub amqp_port: u16,
    pub management_port: u16,
    pub prometheus_port: u16,
    env: Vec<(String, String)>,
}

impl Host {
    /// With the commands, an empty configuration folder, and ports of its own, told by the environment and by files as
    /// users do.
    pub fn new() -> Host {
        let root = std::env::temp_dir().join(unique("host"));
        for folder in ["etc/conf.d", "data", "log"] {
            fs::create_dir_all(root.join(folder)).expect("folders can be made");
        }
        let [amqp_port, management_port, prometheus_port] = free_ports();
        let mut host = Host { root, amqp_port, management_port, prometheus_port, env: Vec::new() };
        let installed = Command::new(broker::binary().expect("there is a broker to test"))
            .arg("install-links")
            .arg(host.path("sbin"))
            .output();
        let installed = installed.expect("the broker can be run");
        assert!(installed.status.success(), "install-links: {}", text(&installed));
        host.write(
            "etc/conf.d/10-ports.conf",
            &format!(
                "management.tcp.port = {management_port}\nmanagement.tcp.ip = 127.0.0.1\n\
                 prometheus.tcp.port = {prometheus_port}\nprometheus.tcp.ip = 127.0.0.1\n"
            ),
        );
        for (name, value) in [
            ("RABBITMQ_CONFIG_FILES", host.shown("etc/conf.d")),
            ("RABBITMQ_CONFIG_FILE", host.shown("etc/rabbitmq")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", host.shown("etc/advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", host.shown("etc/enabled_plugins")),
            ("RABBITMQ_CONF_ENV_FILE", host.shown("etc/rabbitmq-env.conf")),
            ("RABBITMQ_MNESIA_BASE", host.shown("data")),
            ("RABBITMQ_NODE_PORT", amqp_port.to_string()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ] {
            host.set(name, &value);
        }
        host.write("etc/enabled_plugins", "[rabbitmq_management,rabbitmq_prometheus].\n");
        host
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The same as a word of a command or of a file.
    pub fn shown(&self, path: &str) -> String {
        self.path(path).to_string_lossy().into_owned()
    }

    /// Puts a file there.
    pub fn write(&self, path: &str, content: &str) {
        fs::write(self.path(path), content).expect("files can be written");
    }

    /// Sets a variable of the environment for all that is started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub fn unset(&mut self, name: &str) {
        self.env.retain(|(known, _)| known != name);
    }

    /// A command as the shell would find it.
    pub fn command(&self, words: &[&str]) -> Command {
        let (name, arguments) = words.split_first().expect("a command has a name");
        let own = self.path("sbin").join(name);
        let mut command = if own.exists() { Command::new(own) } else { Command::new(name) };
        let path = format!("{}:{}", self.shown("sbin"), std::env::var("PATH").unwrap_or_default());
        // What the tests are told is none of the user's environment.
        broker::forget_environment(&mut command);
        command.args(arguments).envs(self.env.iter().cloned()).env("PATH", path).env("HOME", &self.root);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Runs a line of a shell script to its end.
    pub fn shell(&self, line: &str) -> Output {
        self.run(&["bash", "-c", line])
    }

    /// Starts `rabbitmq-server` and waits for it.
    pub fn start(&self) -> Server {
        let mut server = self.spawn(&["rabbitmq-server"]);
        server.wait_until(|server| server.output().contains("Server startup complete"), "it is started");
        server
    }

    /// Starts something that becomes a server, and does not wait for it.
    pub fn spawn(&self, words: &[&str]) -> Server {
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| self.path(name));
        let mut command = self.command(words);
        command
            .stdout(File::create(&stdout).expect("files can be written"))
            .stderr(File::create(&stderr).expect("files can be written"));
        Server { child: command.spawn().unwrap_or_else(|error| panic!("{words:?}: {error}")), stdout, stderr }
    }

    /// A request to the HTTP API by a user: the status and the document.
    pub fn http(&self, method: &str, path: &str, login: &str) -> (u16, Value) {
        http(self.management_port, method, path, Some(login))
    }

    /// A document of the HTTP API, as the user says who may read it.
    pub fn get(&self, path: &str, login: &str) -> Value {
        let (status, document) = self.http("GET", path, login);
        assert_eq!(status, 200, "{path}: {document}");
        document
    }

    /// A setting, as scripts ask for it.
    pub fn setting(&self, name: &str) -> String {
        let expression = format!("application:get_env(rabbit, {name}).");
        text(&self.run(&["rabbitmqctl", "eval", &expression])).trim().to_owned()
    }

    /// Whether a user may log in, by the command that is made for that.
    pub fn knows(&self, user: &str, password: &str) -> bool {
        self.run(&["rabbitmqctl", "authenticate_user", user, password]).status.success()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the files of the failed test: {}", self.root.display());
        } else {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// A server in the foreground, ended with this value.
pub struct Server {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// All that it wrote.
    pub fn output(&self) -> String {
        self.stdout() + &self.stderr()
    }

    pub fn wait_until(&mut self, is_so: impl Fn(&Server) -> bool, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while !is_so(self) {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                panic!("the server ended with {status} before {what}:\n{}", self.output());
            }
            assert!(Instant::now() < deadline, "not within {START_SECONDS_MAX} s: {what}\n{}", self.output());
            thread::sleep(POLL);
        }
    }

    /// Waits for its end and gives its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.output());
            thread::sleep(POLL);
        }
    }

    /// As `docker stop` and service managers do it.
    pub fn stop(mut self) {
        broker::send_signal(self.pid(), "TERM").expect("a child can be signalled");
        assert_eq!(self.wait(), Some(0), "{}", self.output());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Both outputs of a command.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// One request over a connection of its own: the status, and the body as JSON if it is any.
pub fn http(port: u16, method: &str, path: &str, login: Option<&str>) -> (u16, Value) {
    let (status, body) = http_text(port, method, path, login);
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// The same with the body as it is.
pub fn http_text(port: u16, method: &str, path: &str, login: Option<&str>) -> (u16, String) {
    let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("something listens");
    stream.set_read_timeout(Some(Duration::from_secs(START_SECONDS_MAX))).expect("a time limit");
    let login = login.map(|login| format!("Authorization: Basic {}\r\n", base64(login.as_bytes()))).unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n{login}\r\n"
    )
    .expect("a request can be sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer comes in time");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (status, if chunked { unchunked(body) } else { body.to_owned() })
}

/// The pieces of a chunked body put together.
fn unchunked(body: &str) -> String {
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, tail)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_default();
        let Some((piece, after)) = tail.split_at_checked(size).filter(|_| size > 0) else { break };
        whole.push_str(piece);
        rest = after.trim_start_matches("\r\n");
    }
    whole
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for three in bytes.chunks(3) {
        let number =
            three.iter().chain([&0, &0]).take(3).fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        for digit in 0..4 {
            let index = number >> (18 - 6 * digit) & 63;
            let digit = DIGITS.get(index).filter(|_| digit <= three.len());
            encoded.push(digit.map_or('=', |digit| char::from(*digit)));
        }
    }
    encoded
}

#[test]
fn logins_are_encoded_as_browsers_do() {
    assert_eq!(base64(b"guest:guest"), "Z3Vlc3Q6Z3Vlc3Q=");
    assert_eq!(base64(b"a:b"), "YTpi");
}
