//! Settings of the whole node that show in what clients, tools and logs get: places of the log, limits, what is written into messages.

use std::fs;
use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};

use leveret_tests::broker::run;
use leveret_tests::prelude::*;

const LOG_EXCHANGE: &str = "amq.rabbitmq.log";

/// The line of a peer that speaks no AMQP.
const NO_AMQP: &str = "closing AMQP connection";

/// A data directory with a configuration beside its files.
struct Node {
    home: Home,
    config: PathBuf,
}

impl Node {
    fn new(settings: &str) -> Node {
        let home = Home::new();
        let config = home.path().join("rabbitmq.conf");
        fs::write(&config, settings).expect("a configuration");
        Node { home, config }
    }

    fn start(&self) -> Broker {
        self.home.start_with(&["--config", &shown(&self.config)])
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Has the broker log an error of category connection.
fn speak_no_amqp(broker: &Broker) {
    let mut stream = TcpStream::connect(broker.addr()).expect("the broker accepts connections");
    stream.write_all(b"HELO bad header").expect("the broker reads");
}

#[test]
fn the_log_is_published() {
    if skip_without_home("the_log_is_published") {
        return;
    }
    let node = Node::new("log.exchange = true\nlog.exchange.level = info\n");
    let broker = node.start();
    let channel = Connection::open(&broker).channel(1);
    channel.declare("logs", &[Durable], &none());
    channel.bind("logs", LOG_EXCHANGE, "error");
    let text = "cannot publish to internal exchange 'amq.rabbitmq.log' in vhost '/'";
    channel.refuses(methods::publish(LOG_EXCHANGE, "error", &[], &Props::default(), b"x"), 403, text);
    speak_no_amqp(&broker);
    channel.consume_with("logs", "", &[NoAck], &none());
    let line = channel.delivery();
    assert_eq!((&*line.exchange, &*line.routing_key), (LOG_EXCHANGE, "error"));
    assert!(line.text().contains(" [error] <0.1.0> ") && line.text().contains(NO_AMQP), "{}", line.text());
    assert_eq!(line.props.content_type.as_deref(), Some("text/plain"));
    assert_eq!((line.props.delivery_mode, line.props.timestamp.is_some()), (None, true));
    assert_eq!(line.props.headers.expect("headers").get("node"), Some(&"rabbit@localhost".into()));
    broker.end(Stop::Term);
    // The binding is still there, and so is what it is to.
    let broker = node.start();
    let channel = Connection::open(&broker).channel(1);
    channel.consume_with("logs", "", &[NoAck], &none());
    speak_no_amqp(&broker);
    assert!(channel.delivery().text().contains(NO_AMQP));
    broker.end(Stop::Term);
}

#[test]
fn the_log_is_published_as_json() {
    if skip_without_home("the_log_is_published_as_json") {
        return;
    }
    let broker = Node::new("log.exchange = true\nlog.exchange.formatter = json\n").start();
    let channel = Connection::open(&broker).channel(1);
    let queue = channel.exclusive_queue();
    channel.bind(&queue, LOG_EXCHANGE, "#");
    channel.consume_with(&queue, "", &[NoAck], &none());
    speak_no_amqp(&broker);
    let line = loop {
        let line = channel.delivery();
        if line.routing_key == "error" {
            break line;
        }
    };
    assert_eq!(line.props.content_type.as_deref(), Some("application/json"));
    assert!(line.text().starts_with("{\"time\":") && line.text().contains("\"level\":\"error\""), "{}", line.text());
}

#[test]
fn files_of_the_log_are_rotated() {
    if skip_without_home("files_of_the_log_are_rotated") {
        return;
    }
    let node = Node::new("");
    let folder = node.home.path().join("log");
    let [main, own] = ["main.log", "connection.log"].map(|name| folder.join(name));
    let settings = format!(
        "log.dir = {}\nlog.file = main.log\nlog.file.rotation.size = 150\nlog.file.rotation.count = 2\n\
         log.connection.file = connection.log\n",
        folder.display()
    );
    fs::write(&node.config, settings).expect("a configuration");
    let broker = node.start();
    let old = |number: u32| folder.join(format!("main.log.{number}"));
    wait_until("the file is rotated", || {
        broker.signal("HUP").expect("the broker runs");
        old(1).exists()
    });
    speak_no_amqp(&broker);
    wait_until("the connection's line is in the file of its category", || read(&own).contains(NO_AMQP));
    assert!(!old(2).exists());
    for path in [&main, &old(0), &old(1)] {
        assert!(!read(path).contains(NO_AMQP));
    }
    // Whoever has moved a file away gets another.
    let moved = folder.join("moved.log");
    fs::rename(&own, &moved).expect("the file moves");
    let (status, _, error) =
        run(&["ctl", "--data-dir", &shown(node.home.path()), "rotate_logs"], PATIENCE).expect("the tool runs");
    assert!(status.success(), "{error}");
    speak_no_amqp(&broker);
    wait_until("there is a new file", || read(&own).contains(NO_AMQP));
    broker.end(Stop::Term);
}

#[test]
fn the_log_goes_to_a_syslog() {
    if skip_without_home("the_log_goes_to_a_syslog") {
        return;
    }
    let syslog = UdpSocket::bind("127.0.0.1:0").expect("a port");
    syslog.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let port = syslog.local_addr().expect("an address").port();
    let settings = format!("log.syslog = true\nlog.syslog.port = {port}\nlog.syslog.identity = mine\n");
    let broker = Node::new(&settings).start();
    let mut bytes = [0; 2048];
    let message = loop {
        let length = syslog.recv(&mut bytes).expect("a message");
        let message = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned();
        if message.contains("started TCP listener") {
            break message;
        }
    };
    assert!(message.starts_with("<30>") && message.contains(" mine["), "{message}");
    broker.end(Stop::Term);
}

#[test]
fn there_are_so_many_queues_and_exchanges() {
    if skip_without_home("there_are_so_many_queues_and_exchanges") {
        return;
    }
    // A virtual host begins with eight exchanges.
    let broker = Node::new("cluster_queue_limit = 1\ncluster_exchange_limit = 9\n").start();
    let channel = Connection::open(&broker).channel(1);
    channel.declare("one", &[], &none());
    let text = "cannot declare queue 'two': queue limit in cluster (1) is reached";
    channel.refuses(methods::queue_declare("two", &[], &none()), 406, text);
    channel.declare("one", &[], &none());
    channel.rpc(methods::queue_delete("one", &[]));
    channel.declare("two", &[], &none());
    channel.exchange("first", "direct", &[], &none());
    let text = "cannot declare exchange 'second' in vhost '/': exchange limit of 9 is reached";
    channel.refuses(methods::exchange_declare("second", "direct", &[], &none()), 406, text);
    channel.exchange("first", "direct", &[], &none());
    channel.rpc(methods::exchange_delete("first", &[]));
    channel.exchange("second", "direct", &[], &none());
}

#[test]
fn messages_say_when_they_came_and_where() {
    if skip_without_home("messages_say_when_they_came_and_where") {
        return;
    }
    let stamps = "message_interceptors.incoming.set_header_timestamp.overwrite = true\n\
                  message_interceptors.incoming.set_header_routing_node.overwrite = false\n";
    let broker = Node::new(stamps).start();
    let channel = Connection::open(&broker).channel(1);
    let queue = channel.exclusive_queue();
    let given = table([("x-routed-by", Value::from("elsewhere"))]);
    for body in ["", "body"] {
        channel.publish("", &queue, body);
        let props = Props { timestamp: Some(5), ..Props::with_headers(given.clone()) };
        channel.publish_with("", &queue, &[], &props, body);
        for routed_by in ["rabbit@localhost", "elsewhere"] {
            let message = channel.get(&queue).expect("a message");
            let headers = message.props.headers.clone().expect("headers");
            assert_eq!(headers.get("x-routed-by"), Some(&routed_by.into()));
            let Some(Value::I64(now_ms)) = headers.get("timestamp_in_ms") else { panic!("{headers:?}") };
            assert_eq!(message.props.timestamp, u64::try_from(*now_ms / 1000).ok());
            assert_eq!(message.text(), body);
        }
    }
}

#[test]
fn channels_begin_with_a_prefetch() {
    if skip_without_home("channels_begin_with_a_prefetch") {
        return;
    }
    let home = Home::new();
    let config = home.path().join("advanced.config");
    fs::write(&config, "[{rabbit, [{default_consumer_prefetch, {false, 2}}]}].").expect("a configuration");
    let broker = home.start_with(&["--config", &shown(&config)]);
    let channel = Connection::open(&broker).channel(1);
    let queue = channel.exclusive_queue();
    for number in 0..4 {
        channel.publish("", &queue, &number.to_string());
    }
    channel.consume_with(&queue, "", &[], &none());
    assert_eq!(channel.texts(2), texts(&["0", "1"]));
    channel.expect_silence();
    channel.ack(1);
    assert_eq!(channel.texts(1), texts(&["2"]));
    channel.expect_silence();
}

#[test]
fn vhosts_and_passwords_are_refused_by_the_tools() {
    if skip_without_home("vhosts_and_passwords_are_refused_by_the_tools") {
        return;
    }
    let node = Node::new(
        "vhost_max = 2\n\
         credential_validator.validation_backend = rabbit_credential_validator_min_password_length\n\
         credential_validator.min_length = 8\n",
    );
    let _broker = node.start();
    let data = shown(node.home.path());
    let tool = |args: &[&str]| {
        let all = [&["ctl", "--data-dir", &data][..], args].concat();
        let (status, _, error) = run(&all, PATIENCE).expect("the tool runs");
        (status.code().unwrap_or_default(), error)
    };
    let is_refused = |args: &[&str], code: i32, text: &str| {
        let (found, error) = tool(args);
        assert!(found == code && error.contains(text), "{args:?}: {found}: {error}");
    };
    assert_eq!(tool(&["add_vhost", "second"]).0, 0);
    assert_eq!(tool(&["add_vhost", "second"]).0, 0);
    is_refused(&["add_vhost", "third"], 64, "cannot create vhost 'third': vhost limit of 2 is reached");
    is_refused(&["add_user", "ann", "short"], 69, "minimum required password length is 8");
    is_refused(&["add_user", "ann", ""], 69, "minimum required password length is 8");
    assert_eq!(tool(&["add_user", "ann", "long enough"]).0, 0);
    is_refused(&["change_password", "ann", "short"], 69, "minimum required password length is 8");
    assert_eq!(tool(&["clear_password", "ann"]).0, 0);
}
