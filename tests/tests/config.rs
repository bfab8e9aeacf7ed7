//! Files, environment and flags, as the program takes them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use leveret_tests::broker::{binary, forget_environment, send_signal, skip_without_process};
use leveret_tests::prelude::*;
use leveret_tests::raw::names::unique;
use serde_json::Value;

/// A folder of its own, with files in it.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        let folder = std::env::temp_dir().join(unique("config"));
        fs::create_dir_all(&folder).unwrap();
        Place(folder)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// The program, in an environment with nothing in it but this, that looks for RabbitMQ's files here.
    fn command(&self, args: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(binary().unwrap());
        command.args(args).env_clear().current_dir(&self.0);
        command.env("RABBITMQ_CONFIG_FILE", self.path("rabbitmq.conf"));
        command.env("RABBITMQ_CONFIG_FILES", self.path("conf.d"));
        command.env("RABBITMQ_ADVANCED_CONFIG_FILE", self.path("advanced.config"));
        command.env("RABBITMQ_CONF_ENV_FILE", self.path("rabbitmq-env.conf"));
        command.envs(environment.iter().copied());
        command
    }

    fn run(&self, args: &[&str], environment: &[(&str, &str)]) -> Output {
        self.command(args, environment).output().unwrap()
    }

    fn serve(&self, args: &[&str], environment: &[(&str, &str)]) -> Running {
        let data = self.path("data");
        let mut all = vec!["serve", "--data-dir", &data];
        all.extend_from_slice(args);
        let mut command = self.command(&all, environment);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running::wait(child, stdout)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A broker that has said that it is up.
struct Running {
    child: Child,
    lines: Vec<String>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn wait(mut child: Child, mut stdout: BufReader<ChildStdout>) -> Running {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stdout.read_line(&mut line).unwrap() == 0 {
                let mut told = String::new();
                child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
                let status = child.wait().unwrap();
                panic!("ended with {status}:\n{}\n{told}", lines.join("\n"));
            }
            let is_last = line.starts_with("Server startup complete;");
            lines.push(line.trim_end().to_owned());
            if is_last {
                return Running { child, lines, stdout };
            }
        }
    }

    fn address(&self, prefix: &str) -> SocketAddr {
        let line = self.lines.iter().find_map(|line| line.strip_prefix(prefix));
        line.unwrap_or_else(|| panic!("no line `{prefix}` in\n{}", self.lines.join("\n"))).parse().unwrap()
    }

    fn says(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }

    /// Waits for a line of stdout.
    fn wait_for(&mut self, text: &str) {
        while !self.says(text) {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "no `{text}` in\n{}", self.lines.join("\n"));
            self.lines.push(line.trim_end().to_owned());
        }
    }

    fn signal(&self, name: &str) {
        send_signal(self.child.id(), name).unwrap();
    }

    fn get(&self, path: &str, login: &str) -> (u16, Value) {
        get(self.address("management listening on "), path, login)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: SocketAddr, path: &str, login: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {}\r\nconnection: close\r\n\r\n",
        base64(login)
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits =
            chunk.iter().enumerate().fold(0_u32, |bits, (index, byte)| bits | u32::from(*byte) << (16 - 8 * index));
        for index in 0..4 {
            let letter = char::from(LETTERS[(bits >> (18 - 6 * index) & 63) as usize]);
            encoded.push(if index <= chunk.len() { letter } else { '=' });
        }
    }
    encoded
}

fn text(output: &Output) -> (String, String, Option<i32>) {
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (told(&output.stdout), told(&output.stderr), output.status.code())
}

const FREE: &[&str] = &["--bind", "127.0.0.1", "--port", "0", "--management-port", "auto", "--prometheus-port", "auto"];

/// In the shape that the documentation of RabbitMQ's image and many projects have.
const DEFINITIONS: &str = r##"{
  "rabbit_version": "3.12.4",
  "users": [{"name": "shop", "password": "s3cret", "tags": "administrator", "limits": {}}],
  "vhosts": [{"name": "/"}, {"name": "orders"}],
  "permissions": [{"user": "shop", "vhost": "orders", "configure": ".*", "write": ".*", "read": ".*"}],
  "parameters": [], "global_parameters": [{"name": "cluster_name", "value": "rabbit@old"}],
  "policies": [{"vhost": "orders", "name": "ttl", "pattern": ".*", "apply-to": "queues", "definition": {"message-ttl": 60000}, "priority": 0}],
  "queues": [{"name": "in", "vhost": "orders", "durable": true, "auto_delete": false, "arguments": {"x-queue-type": "quorum"}}],
  "exchanges": [{"name": "events", "vhost": "orders", "type": "topic", "durable": true, "auto_delete": false, "internal": false, "arguments": {}}],
  "bindings": [{"source": "events", "vhost": "orders", "destination": "in", "destination_type": "queue", "routing_key": "#", "arguments": {}}]
}"##;

#[test]
fn files_of_a_rabbitmq_are_enough() {
    if skip_without_process("files_of_a_rabbitmq_are_enough") {
        return;
    }
    let place = Place::new();
    let definitions = place.file("definitions.json", DEFINITIONS);
    place.file(
        "rabbitmq.conf",
        &format!(
            "loopback_users.guest = true\nlisteners.tcp.default = 127.0.0.1:0\nmanagement.tcp.port = auto\n\
             management.tcp.ip = 127.0.0.1\nmanagement.load_definitions = {definitions}\ncluster_name = shop\n\
             vm_memory_high_watermark.relative = 0.4\ndisk_free_limit.absolute = 1MB\nheartbeat = 30\n"
        ),
    );
    place.file("conf.d/10-defaults.conf", "loopback_users.guest = false\nlog.console = true\n");
    place.file(
        "conf.d/20-more.conf",
        "log.console.level = info\nconsumer_timeout = 3600000\nraft.wal_max_size_bytes = 1\n",
    );
    let running = place.serve(&[], &[]);
    assert!(
        running.says("Will not seed default virtual host and user: have definitions to load..."),
        "{:?}",
        running.lines
    );
    assert!(running.says(" [info] <0.1.0> started TCP listener on 127.0.0.1:"), "{:?}", running.lines);
    let names = |path: &str| -> Vec<String> {
        let (status, rows) = running.get(path, "shop:s3cret");
        assert_eq!(status, 200, "{path}");
        rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("/api/users"), ["shop"]);
    assert_eq!(names("/api/vhosts"), ["/", "orders"]);
    assert_eq!(names("/api/queues/orders"), ["in"]);
    let (_, queue) = running.get("/api/queues/orders/in", "shop:s3cret");
    assert_eq!((&queue["type"], &queue["policy"]), (&"quorum".into(), &"ttl".into()));
    assert_eq!(running.get("/api/overview", "guest:guest").0, 401);
}

#[test]
fn the_environment_of_the_image_makes_the_first_user() {
    if skip_without_process("the_environment_of_the_image_makes_the_first_user") {
        return;
    }
    let place = Place::new();
    let secret = place.file("pass", "from-a-file\n");
    let environment =
        [("RABBITMQ_DEFAULT_USER", "ann"), ("RABBITMQ_DEFAULT_PASS_FILE", &*secret), ("RABBITMQ_DEFAULT_VHOST", "v")];
    let mut running = place.serve(FREE, &environment);
    assert!(running.says("Will seed default virtual host and user..."), "{:?}", running.lines);
    assert_eq!(running.get("/api/whoami", "ann:from-a-file").1["tags"], serde_json::json!(["administrator"]));
    assert_eq!(running.get("/api/vhosts", "ann:from-a-file").1[0]["name"], "v");
    assert_eq!(running.get("/api/whoami", "guest:guest").0, 401);
    running.signal("TERM");
    running.wait_for("stopped TCP listener on 127.0.0.1:");
    assert!(running.says("SIGTERM received - shutting down"));
    assert!(running.child.wait().unwrap().success());
    // Later another name does nothing but a warning.
    let running = place.serve(FREE, &[("RABBITMQ_DEFAULT_USER", "bob"), ("RABBITMQ_DEFAULT_PASSWORD", "x")]);
    assert!(running.says("[warning] <0.1.0> the default user bob is not made"), "{:?}", running.lines);
    assert!(running.says("RABBITMQ_DEFAULT_PASSWORD has no effect: did you mean RABBITMQ_DEFAULT_PASS?"));
    assert_eq!(running.get("/api/whoami", "ann:from-a-file").0, 200);
}

#[test]
fn a_user_of_the_environment_comes_beside_definitions() {
    if skip_without_process("a_user_of_the_environment_comes_beside_definitions") {
        return;
    }
    let place = Place::new();
    let definitions = place.file("definitions.json", DEFINITIONS);
    place.file(
        "rabbitmq.conf",
        &format!(
            "load_definitions = {definitions}\ndefault_users.bob.password = b\ndefault_users.bob.tags = monitoring\n"
        ),
    );
    let running = place.serve(FREE, &[("RABBITMQ_DEFAULT_USER", "ann"), ("RABBITMQ_DEFAULT_PASS", "a")]);
    for login in ["ann:a", "shop:s3cret", "bob:b"] {
        assert_eq!(running.get("/api/whoami", login).0, 200, "{login}");
    }
}

#[test]
fn definitions_that_are_wrong_end_the_start() {
    if skip_without_process("definitions_that_are_wrong_end_the_start") {
        return;
    }
    let place = Place::new();
    let serve = |definitions: &str| {
        let path = place.file("definitions.json", definitions);
        place.file("rabbitmq.conf", &format!("load_definitions = {path}\n"));
        let mut args = vec!["serve", "--data-dir", "data"];
        args.extend_from_slice(FREE);
        let (_, stderr, code) = text(&place.run(&args, &[]));
        assert_eq!(code, Some(1), "{stderr}");
        stderr
    };
    assert!(serve("{").starts_with("leveret: cannot load definitions from "));
    let orphan =
        r#"{"queues": [{"name": "q", "vhost": "nowhere", "durable": true, "auto_delete": false, "arguments": {}}]}"#;
    let told = serve(orphan);
    assert!(told.contains("nowhere"), "{told}");
}

#[test]
fn a_configuration_is_explained() {
    if skip_without_process("a_configuration_is_explained") {
        return;
    }
    let place = Place::new();
    place.file("rabbitmq.conf", "heartbeat = 30\ndefault_pass = secret\nhartbeat = 5\nraft.wal_max_entries = 5\n");
    place.file("advanced.config", "[{rabbit, [{frame_max, 65536}]}].");
    let arguments = [
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-rabbit consumer_timeout false +S 1:1"),
        ("RABBITMQ_NODE_PORT", "5999"),
    ];
    let (stdout, _, code) = text(&place.run(&["config", "check", "--memory-budget", "1MiB"], &arguments));
    assert_eq!(code, Some(0), "{stdout}");
    let (conf, advanced) = (place.path("rabbitmq.conf"), place.path("advanced.config"));
    for line in [
        format!("heartbeat = 30  # {conf}:1"),
        format!("default_pass = ********  # {conf}:2"),
        format!("raft.wal_max_entries = 5  # {conf}:4, meaningless"),
        format!("frame_max = 65536  # {advanced}"),
        "consumer_timeout = false  # environment RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS".to_owned(),
        "listeners.tcp.default = 5999  # environment RABBITMQ_NODE_PORT".to_owned(),
        "leveret.memory_budget = 1048576  # flag --memory-budget".to_owned(),
        "channel_max = 2047  # default".to_owned(),
        format!("warning: {conf}:3: the key hartbeat is not known and has no effect: did you mean heartbeat?"),
    ] {
        assert!(stdout.lines().any(|told| told == line), "no `{line}` in\n{stdout}");
    }
    assert!(!place.0.join("leveret-data").exists(), "nothing is made by looking");
    let (stdout, _, code) = text(&place.run(&["config", "check", "--strict", "--json"], &[]));
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, found["errors"].as_array().unwrap().len()), (Some(1), 1));
    let (stdout, _, code) = text(&place.run(&["config", "check", "--json"], &[]));
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &found["files"]), (Some(0), &serde_json::json!([conf, advanced])));
    let row = |key: &str| found["settings"].as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone();
    assert_eq!(row("heartbeat")["origin"], format!("{conf}:1"));
    assert_eq!(row("default_pass")["value"], "********");
}

#[test]
fn what_is_wrong_is_told_before_anything_is_started() {
    if skip_without_process("what_is_wrong_is_told_before_anything_is_started") {
        return;
    }
    let place = Place::new();
    place.file("rabbitmq.conf", "heartbeat = soon\nlisteners.ssl.default = 5671\n");
    let conf = place.path("rabbitmq.conf");
    let expected = format!("{conf}:1: heartbeat = soon: expected a whole number from 0 to 65535");
    let (stdout, _, code) = text(&place.run(&["config", "check"], &[]));
    assert_eq!(code, Some(1));
    assert!(stdout.contains(&format!("error: {expected}\n")), "{stdout}");
    assert!(stdout.contains("error: listeners.ssl needs ssl_options.certfile and ssl_options.keyfile\n"), "{stdout}");
    let (_, stderr, code) = text(&place.run(&["serve", "--port", "0"], &[]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains(&expected), "{stderr}");
    place.file("rabbitmq.conf", "mqtt.listeners.tcp.default = 1883\n");
    let (_, stderr, code) = text(&place.run(&["serve", "--port", "0", "--strict"], &[]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("MQTT is not spoken"), "{stderr}");
}

#[test]
fn known_keys_are_listed() {
    let place = Place::new();
    let (stdout, _, code) = text(&place.run(&["config", "keys"], &[]));
    assert_eq!(code, Some(0));
    assert!(stdout.contains("heartbeat\thonoured\ta whole number from 0 to 65535 [60]\n"), "{stdout}");
    assert!(stdout.contains("mqtt.$option\tabsent\t"), "{stdout}");
    assert!(stdout.lines().count() > 390);
    let (stdout, _, _) = text(&place.run(&["config", "keys", "--json"], &[]));
    assert!(serde_json::from_str::<Value>(&stdout).unwrap().as_array().unwrap().len() > 390);
}

#[test]
fn a_file_of_our_own_is_enough_too() {
    if skip_without_process("a_file_of_our_own_is_enough_too") {
        return;
    }
    let place = Place::new();
    let path = place.file(
        "leveret.toml",
        "[listeners]\ntcp = [\"127.0.0.1:0\"]\n[management]\nport = \"auto\"\nip = \"127.0.0.1\"\n[defaults]\nuser = \"ann\"\n\
         password = \"a\"\n[log]\nlevel = \"warning\"\n[store]\nephemeral = true\n",
    );
    let running = place.serve(&["--config", &path], &[]);
    assert_eq!(running.get("/api/whoami", "ann:a").0, 200);
}

#[test]
fn sighup_takes_up_what_it_can() {
    if skip_without_process("sighup_takes_up_what_it_can") {
        return;
    }
    let place = Place::new();
    place.file("rabbitmq.conf", "log.default.level = info\nheartbeat = 30\n");
    let mut running = place.serve(FREE, &[]);
    place.file("rabbitmq.conf", "log.default.level = debug\nheartbeat = 5\n");
    running.signal("HUP");
    running.wait_for("[warning] <0.1.0> heartbeat has changed: it takes effect with the next start");
    let address = running.address("listening on ");
    drop(TcpStream::connect(address).unwrap());
    running.wait_for("[debug]");
    place.file("rabbitmq.conf", "heartbeat = no\n");
    running.signal("HUP");
    running.wait_for("the configuration stays as it was");
}

#[test]
fn the_log_goes_where_it_is_told() {
    if skip_without_process("the_log_goes_where_it_is_told") {
        return;
    }
    let place = Place::new();
    let log = place.path("logs/rabbit.log");
    place.file("rabbitmq.conf", "");
    let running = place.serve(FREE, &[("RABBITMQ_LOGS", &log), ("RABBITMQ_LOG", "info,+json")]);
    let mut text = String::new();
    wait_until("a line in the log", || {
        text = fs::read_to_string(&log).unwrap_or_default();
        text.contains('\n')
    });
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert!(first["time"].is_string() && first["msg"].is_string() && first["level"] == "info", "{first}");
    // What is waited for is still on stdout.
    assert!(running.lines.iter().all(|line| line.contains("listening on ") || line.starts_with("Server startup")));
    let listed = running.get("/api/nodes", "guest:guest").1[0]["log_files"].clone();
    assert_eq!(listed, serde_json::json!([log]));
}

#[test]
fn the_process_id_is_written_and_goes() {
    if skip_without_process("the_process_id_is_written_and_goes") {
        return;
    }
    let place = Place::new();
    let mine = place.path("run/mine.pid");
    let mut running = place.serve(FREE, &[("RABBITMQ_PID_FILE", &mine)]);
    let own = place.0.join("data/leveret.pid");
    for path in [Path::new(&mine), &own] {
        assert_eq!(fs::read_to_string(path).unwrap().trim(), running.child.id().to_string());
    }
    running.signal("TERM");
    assert!(running.child.wait().unwrap().success());
    assert!(!Path::new(&mine).exists() && !own.exists());
}

#[test]
fn a_port_that_is_taken_says_which_flag_helps() {
    if skip_without_process("a_port_that_is_taken_says_which_flag_helps") {
        return;
    }
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let conf = place.file("mine.conf", "management.tcp.ip = 127.0.0.1\nprometheus.tcp.ip = 127.0.0.1\n");
    for (flag, other) in [("--management-port", "--prometheus-port"), ("--prometheus-port", "--management-port")] {
        let args =
            ["serve", "--config", &conf, "--ephemeral", "--bind", "127.0.0.1", "--port", "0", flag, &port, other, "0"];
        let (_, stderr, code) = text(&place.run(&args, &[]));
        assert_eq!(code, Some(1));
        assert!(stderr.contains(flag), "{stderr}");
    }
}

#[test]
fn what_clients_may_ask_for_is_what_the_file_says() {
    if skip_without_process("what_clients_may_ask_for_is_what_the_file_says") {
        return;
    }
    let place = Place::new();
    let path = place.file(
        "limits.conf",
        "heartbeat = 7\nframe_max = 64KiB\nchannel_max = 11\nconsumer_timeout = 700\ncluster_name = mine\n\
         default_queue_type = quorum\nconnection_max = 1\nauth_mechanisms.1 = PLAIN\n",
    );
    let broker = Broker::start_with(&["--config", &path]);
    let mut socket = Socket::at(&broker, Stage::Started);
    socket.send_method(0, &Login::new(&broker).start_ok());
    let mut tune = socket.expect(0, ids::CONNECTION_TUNE);
    assert_eq!((tune.short(), tune.long(), tune.short()), (11, 65_536, 7));
    drop(socket);
    let login = Login { channel_max: 11, frame_max: 65_536, ..Login::new(&broker) };
    let connection = Connection::open_with(&broker, &login);
    let channel = connection.channel(1);
    let queue = channel.declare("q", &[Flag::Durable], &none()).queue;
    // Durable, and of no type: it is what the file says.
    channel.declare(&queue, &[Flag::Durable], &table([("x-queue-type", "quorum".into())]));
    channel.consume(&queue);
    channel.publish("", &queue, "x");
    channel.delivery();
    let told = "delivery acknowledgement on channel 1 timed out. Timeout value used: 700 ms. This timeout value can be \
                configured, see consumers doc guide to learn more";
    channel.expect_close(406, told, (0, 0));
    // One connection is all that there may be.
    let mut second = Socket::at(&broker, Stage::Tuning);
    second.send_method(0, &login.tune_ok());
    second.send_method(0, &methods::connection_open("/"));
    let mut close = second.expect(0, ids::CONNECTION_CLOSE);
    assert_eq!(close.short(), 530, "{}", close.shortstr());
}

#[test]
fn a_queue_may_be_declared_again_as_of_another_type() {
    if skip_without_process("a_queue_may_be_declared_again_as_of_another_type") {
        return;
    }
    let place = Place::new();
    let path = place.file("relaxed.conf", "quorum_queue.property_equivalence.relaxed_checks_on_redeclaration = true\n");
    let broker = Broker::start_with(&["--config", &path]);
    let connection = Connection::open(&broker);
    let channel = connection.channel(1);
    let declare =
        |queue_type: &str| channel.declare("q", &[Flag::Durable], &table([("x-queue-type", queue_type.into())]));
    declare("quorum");
    channel.publish("", "q", "x");
    wait_until("the message is there", || channel.counts("q").0 == 1);
    // It stays what it is.
    assert_eq!(declare("classic").message_count, 1);
}

#[test]
fn a_quarter_of_a_gibibyte_is_enough() {
    if skip_without_process("a_quarter_of_a_gibibyte_is_enough") {
        return;
    }
    const DATA_BYTES_MAX: u64 = 256 * 1024 * 1024;
    let place = Place::new();
    let broker = place.command(&["serve", "--data-dir", "data"], &[]);
    let mut command = Command::new("prlimit");
    command.arg(format!("--data={DATA_BYTES_MAX}")).arg(broker.get_program()).args(broker.get_args()).args(FREE);
    forget_environment(&mut command);
    let mut child = command.current_dir(&place.0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let running = Running::wait(child, stdout);
    let url = format!("amqp://guest:guest@{}/%2f", running.address("listening on "));
    // More than it may hold.
    let load = place.run(&["bench", "backlog", "--url", &url, "--messages", "33000", "--size", "8192"], &[]);
    let (stdout, stderr, code) = text(&load);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert_eq!(running.get("/api/overview", "guest:guest").0, 200);
}

#[test]
fn a_detached_server_is_a_server() {
    if skip_without_process("a_detached_server_is_a_server") {
        return;
    }
    let place = Place::new();
    let links = place.path("bin");
    let (stdout, stderr, code) = text(&place.run(&["install-links", &links], &[]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("rabbitmq-server"), "{stdout}");
    place.file("rabbitmq.conf", "listeners.tcp.default = 127.0.0.1:0\n");
    let pid_file = place.0.join("mnesia/leveret/leveret.pid");
    let mut server = Command::new(place.0.join("bin/rabbitmq-server"));
    server.arg("-detached").env_clear().env("RABBITMQ_CONFIG_FILE", place.path("rabbitmq")).current_dir(&place.0);
    server.env("RABBITMQ_MNESIA_BASE", place.path("mnesia")).env("RABBITMQ_CONFIG_FILES", place.path("conf.d"));
    assert!(server.status().unwrap().success());
    let deadline = Instant::now() + PATIENCE;
    let pid = loop {
        if let Some(pid) = fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse().ok()) {
            break pid;
        }
        assert!(Instant::now() < deadline, "no {}", pid_file.display());
        std::thread::sleep(Duration::from_millis(5));
    };
    send_signal(pid, "TERM").unwrap();
    while pid_file.exists() {
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}
