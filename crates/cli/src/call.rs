//! A command that is carried out: what it was given, and its way to the broker.

use std::cell::OnceCell;
use std::env;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::time::Duration;

use http::Method;
use serde_json::Value;

use crate::client::{Answer, Client, Endpoint, Tls, Trouble};
use crate::command::Command;
use crate::failure::{Failure, Kind};
use crate::format::Format;
use crate::limits;
use crate::locate::Places;
use crate::parse::Options;
use crate::personality::Tool;
use crate::url::{self, Address};

/// The node's name, if nobody says another.
const NODE: &str = "rabbit@localhost";

/// Where the node says what it is.
const STATUS: &str = "leveret/status";

/// A command that is carried out.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) tool: Tool,
    pub(crate) command: &'static Command,
    pub(crate) arguments: Vec<String>,
    pub(crate) options: Options,
    /// The command line as it was given.
    pub(crate) given: Vec<String>,
    pub(crate) format: Option<Format>,
    client: OnceCell<Client>,
    node: OnceCell<String>,
    status: OnceCell<Value>,
}

impl Call {
    pub(crate) fn new(
        tool: Tool,
        command: &'static Command,
        arguments: Vec<String>,
        options: Options,
        given: Vec<String>,
    ) -> Self {
        let format = options.get("formatter").and_then(Format::named);
        Self {
            tool,
            command,
            arguments,
            options,
            given,
            format,
            client: OnceCell::new(),
            node: OnceCell::new(),
            status: OnceCell::new(),
        }
    }

    /// An argument; empty if it was not given.
    pub(crate) fn argument(&self, position: usize) -> &str {
        self.arguments.get(position).map_or("", String::as_str)
    }

    /// Whether a flag is set.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.options.flag(flag) == Some(true)
    }

    /// The vhost that the command is about.
    pub(crate) fn vhost(&self) -> &str {
        self.options.get("vhost").unwrap_or("/")
    }

    /// How long the command may take, if that was said.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let seconds: f64 = self.options.get("timeout")?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Says what is going to be done, unless only the result is wanted.
    pub(crate) fn banner(&self, text: impl AsRef<str>) {
        let is_unwanted = self.has("quiet") || self.has("silent") || self.format.is_some_and(Format::is_for_programs);
        if !is_unwanted {
            print(&format!("{}\n", text.as_ref()));
        }
    }

    /// A heading in what people read.
    pub(crate) fn heading(text: &str) -> String {
        bold(text, io::stdout().is_terminal())
    }

    /// The rest of the arguments, as `list_` commands take columns: with commas or spaces between them.
    pub(crate) fn columns(&self) -> Vec<&str> {
        self.arguments
            .iter()
            .flat_map(|argument| argument.split([',', ' ']))
            .filter(|column| !column.is_empty())
            .collect()
    }

    /// The next line of standard input, without its end; none if nothing comes.
    pub(crate) fn line(&self) -> io::Result<Option<String>> {
        let mut text = String::new();
        let length = io::stdin().read_line(&mut text)?;
        Ok((length > 0).then(|| text.trim_end_matches(['\n', '\r']).to_owned()))
    }

    /// What comes on standard input, less the end of its last line.
    pub(crate) fn stdin(&self) -> io::Result<String> {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// A failure of the command line, with the usage.
    pub(crate) fn misused(&self, kind: Kind, reason: &str) -> Failure {
        crate::help::misused(self, kind, &format!("Error (argument validation): {reason}"))
    }

    /// An argument that does not do.
    pub(crate) fn bad_argument(&self, reason: &str) -> Failure {
        let reason = if reason.is_empty() { "Bad argument.".to_owned() } else { format!("Bad argument: {reason}") };
        self.misused(Kind::Data, &reason)
    }
}

/// To the broker.
impl Call {
    /// The name of the node: of the one that answers, or the one asked for, or the default.
    pub(crate) fn node(&self) -> &str {
        self.node.get_or_init(|| {
            let running = self.running_node().or_else(|| self.asked_node());
            running.unwrap_or_else(|| NODE.to_owned())
        })
    }

    /// The node that the options or the environment name.
    fn asked_node(&self) -> Option<String> {
        let named = self.options.get("node").map(str::to_owned);
        let named = named.or_else(|| env::var("RABBITMQ_NODENAME").ok()).filter(|name| !name.is_empty())?;
        Some(if named.contains('@') { named } else { format!("{named}@localhost") })
    }

    fn running_node(&self) -> Option<String> {
        Some(self.status().ok()?.get("node")?.as_str()?.to_owned())
    }

    /// What the node says of itself, asked for once.
    pub(crate) fn status(&self) -> Result<&Value, Failure> {
        if let Some(status) = self.status.get() {
            return Ok(status);
        }
        let status = self.get_path(STATUS)?;
        self.check_node(&status)?;
        Ok(self.status.get_or_init(|| status))
    }

    /// What the node says of itself now, by a connection of its own: it may just have come up. Nothing if there is no answer
    /// within that time, or another node than the one that was asked for answers.
    pub(crate) fn fresh_status(&self, patience: Duration) -> Option<Value> {
        let timeout = patience.clamp(limits::POLL, limits::REQUEST);
        let answer = Client::new(self.endpoint().ok()?, timeout).ok()?.send(&Method::GET, STATUS, None).ok()?;
        let status = answer.is_success().then(|| answer.json())?;
        self.check_node(&status).is_ok().then_some(status)
    }

    /// Fails if the node that was asked for is another than the one that is here: what is meant for one must not be done to
    /// another.
    fn check_node(&self, status: &Value) -> Result<(), Failure> {
        let Some(asked) = self.options.get("node") else { return Ok(()) };
        let running = status.get("node").and_then(Value::as_str).unwrap_or_default();
        let (name, host) = asked.split_once('@').unwrap_or((asked, "localhost"));
        let (running_name, running_host) = running.split_once('@').unwrap_or((running, ""));
        let is_here = host == "localhost" || host == running_host || is_this_machine(host);
        if name == running_name && is_here {
            return Ok(());
        }
        Err(self.node_down(&format!("here runs node '{running}'")))
    }

    /// The client, for what needs more than a request and its answer.
    pub(crate) fn client(&self) -> Result<&Client, Trouble> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let timeout = self.timeout().filter(|timeout| !timeout.is_zero()).unwrap_or(limits::REQUEST);
        let client = Client::new(self.endpoint()?, timeout).map_err(|error| Trouble::Broken(error.to_string()))?;
        Ok(self.client.get_or_init(|| client))
    }

    fn endpoint(&self) -> Result<Endpoint, Trouble> {
        if let Some(url) = self.url() {
            // There may be a password in it.
            let wrong = || Trouble::Broken("--url, or LEVERET_URL, is no address of an HTTP API".to_owned());
            let address = Address::parse(&url).ok_or_else(wrong)?;
            return Ok(Endpoint::Tcp(address, Tls::default()));
        }
        let places = self.places();
        let socket =
            places.socket().ok_or_else(|| Trouble::Down(format!("there is no {}", places.expected().display())))?;
        Ok(Endpoint::Socket(socket))
    }

    fn url(&self) -> Option<String> {
        self.options
            .get("url")
            .map(str::to_owned)
            .or_else(|| env::var("LEVERET_URL").ok().filter(|url| !url.is_empty()))
    }

    /// Where the broker's files are looked for.
    pub(crate) fn places(&self) -> Places {
        let given = self.options.get("data-dir").or_else(|| self.options.get("mnesia-dir"));
        Places::new(given)
    }

    /// A request; the path is made of parts below `/api`.
    pub(crate) fn send(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Answer, Failure> {
        self.send_path(&method, &url::path(path), body)
    }

    /// A request with a path as it stands.
    pub(crate) fn send_path(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        if path != STATUS && self.options.get("node").is_some() {
            self.status()?;
        }
        let answer = self.client().and_then(|client| client.send(method, path, body));
        answer.map_err(|trouble| self.failure(trouble))
    }

    /// What is there, or nothing.
    pub(crate) fn find(&self, path: &[&str]) -> Result<Option<Value>, Failure> {
        let answer = self.send(Method::GET, path, None)?;
        if answer.status == 404 { Ok(None) } else { done(answer).map(|answer| Some(answer.json())) }
    }

    /// What must be there.
    pub(crate) fn get(&self, path: &[&str]) -> Result<Value, Failure> {
        self.get_path(&url::path(path))
    }

    /// What must be there, by a path as it stands.
    pub(crate) fn get_path(&self, path: &str) -> Result<Value, Failure> {
        self.send_path(&Method::GET, path, None).and_then(done).map(|answer| answer.json())
    }

    /// A list.
    pub(crate) fn list(&self, path: &[&str]) -> Result<Vec<Value>, Failure> {
        self.list_path(&url::path(path))
    }

    /// A list, by a path as it stands.
    pub(crate) fn list_path(&self, path: &str) -> Result<Vec<Value>, Failure> {
        match self.get_path(path)? {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// Makes or changes something.
    pub(crate) fn put(&self, path: &[&str], body: &Value) -> Result<Answer, Failure> {
        self.send(Method::PUT, path, Some(body)).and_then(done)
    }

    /// Has something done.
    pub(crate) fn post(&self, path: &[&str], body: &Value) -> Result<Answer, Failure> {
        self.send(Method::POST, path, Some(body)).and_then(done)
    }

    /// Removes something; says whether it was there.
    pub(crate) fn delete(&self, path: &[&str]) -> Result<bool, Failure> {
        let answer = self.send(Method::DELETE, path, None)?;
        if answer.status == 404 { Ok(false) } else { done(answer).map(|_| true) }
    }

    /// Fails if there is no such vhost.
    pub(crate) fn need_vhost(&self, vhost: &str) -> Result<Value, Failure> {
        self.find(&["vhosts", vhost])?.ok_or_else(|| Failure::no_vhost(vhost))
    }

    /// What went wrong on the way to the broker.
    pub(crate) fn failure(&self, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Down(reason) => self.node_down(&reason),
            Trouble::Broken(reason) => Failure::unavailable(reason),
            Trouble::Timeout => {
                let timeout_ms = self.timeout().unwrap_or(limits::REQUEST).as_millis();
                let text = format!(
                    "Error: operation {} on node {} timed out. Timeout value used: {timeout_ms}",
                    self.command.name,
                    self.known_node()
                );
                Failure::new(Kind::Timeout, text)
            }
        }
    }

    /// The node's name as far as it is known without asking anybody.
    pub(crate) fn known_node(&self) -> String {
        let known = self.node.get().cloned();
        known.or_else(|| self.asked_node()).unwrap_or_else(|| NODE.to_owned())
    }

    fn node_down(&self, reason: &str) -> Failure {
        let node = self.known_node();
        let text = format!(
            "Error: unable to perform an operation on node '{node}'. Please see diagnostics information and suggestions below.\n\n\
             Most common reasons for this are:\n\n \
             * the node does not run\n \
             * its data directory is elsewhere: name it with --data-dir or LEVERET_DATA_DIR\n \
             * this user may not open the socket there: use the user that runs the node, or root\n\n\
             DIAGNOSTICS\n===========\n\nattempted to contact: [{node}]\n\n{node}:\n  * {reason}\n"
        );
        Failure::new(Kind::Unavailable, text)
    }
}

/// Whether this machine has that name, short or long.
fn is_this_machine(host: &str) -> bool {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = name.unwrap_or_default();
    let short = |name: &str| name.trim().split('.').next().unwrap_or_default().to_owned();
    short(host) == short(&name)
}

/// An answer, if what was asked for was done.
pub(crate) fn done(answer: Answer) -> Result<Answer, Failure> {
    if answer.is_success() { Ok(answer) } else { Err(Failure::unavailable(answer.reason())) }
}

/// Writes to standard output at once. A reader that has gone away is no failure.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Bold, where somebody reads it.
pub(crate) fn bold(text: &str, is_terminal: bool) -> String {
    if is_terminal { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::net::UnixListener;
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;

    /// A node that is asked for things, and does none; it goes with the process.
    fn node(folder: &std::path::Path) -> Arc<Mutex<Vec<String>>> {
        let listener = UnixListener::bind(folder.join("leveret.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut lines = Vec::new();
                while lines.last().is_none_or(|line: &String| !line.trim().is_empty()) {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    lines.push(line);
                }
                let length = lines
                    .iter()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.trim().parse().ok());
                let mut body = vec![0; length.unwrap_or_default()];
                stream.read_exact(&mut body).unwrap();
                noted.lock().unwrap().push(lines[0].trim().to_owned());
                let body = r#"{"node":"rabbit@localhost","is_running":true}"#;
                let length = body.len();
                write!(
                    stream.get_mut(),
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                )
                .unwrap();
            }
        });
        asked
    }

    #[test]
    fn what_is_meant_for_one_node_is_not_done_to_another() {
        let folder = tempfile::tempdir().unwrap();
        let asked = node(folder.path());
        let run = |node: &str, command: &str, patience_s: &str| {
            let words = ["-q", "-n", node, "--data-dir", folder.path().to_str().unwrap(), command, "-t", patience_s];
            let done = crate::carry_out(Tool::Ctl, words.map(str::to_owned).to_vec());
            done.map_err(|failure| failure.kind)
        };
        for command in ["stop_app", "rotate_logs", "suspend_listeners"] {
            assert_eq!(run("other@localhost", command, "60"), Err(Kind::Unavailable), "{command}");
        }
        assert_eq!(run("other@localhost", "await_startup", "0.2"), Err(Kind::Timeout));
        assert!(asked.lock().unwrap().iter().all(|line| line.starts_with("GET /api/leveret/status ")), "{asked:?}");
        for node in ["rabbit", "rabbit@localhost"] {
            for command in ["stop_app", "rotate_logs", "suspend_listeners", "await_startup"] {
                assert_eq!(run(node, command, "60"), Ok(()), "{node} {command}");
            }
        }
        assert_eq!(asked.lock().unwrap().iter().filter(|line| line.starts_with("POST ")).count(), 6);
    }
}
