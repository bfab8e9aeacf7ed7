//! What others wait for in the log.

use std::process::Command;

use leveret_tests::broker::skip_without_process;
use leveret_tests::ports::free_ports;
use leveret_tests::prelude::*;

use crate::host::Host;

/// A library, and what it waits for within its time: an extended regular expression that has to fit in a line, for `grep -E`.
const WAIT_RULES: [(&str, &str); 6] = [
    ("testcontainers-java", ".*Server startup complete.*"),
    ("testcontainers-go", ".*Server startup complete.*"),
    ("testcontainers-dotnet", "Server startup complete"),
    ("testcontainers-node", "Server startup complete"),
    ("testcontainers-rs, on stdout alone", "Server startup complete"),
    ("scripts", "Server startup complete; [0-9]+ plugins started\\."),
];

fn lines_that_fit(text: &str, rule: &str) -> usize {
    text.lines().filter(|line| fits(line, rule)).count()
}

fn fits(line: &str, rule: &str) -> bool {
    Command::new("bash")
        .args(["-c", "[[ $1 =~ $2 ]]", "bash", line, rule])
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn wait_rules_of_testcontainers_are_fulfilled_once() {
    if skip_without_process("wait_rules_of_testcontainers_are_fulfilled_once") {
        return;
    }
    let host = Host::new();
    let server = host.start();
    for (library, rule) in WAIT_RULES {
        // Java's and Go's rules count, and both outputs are one stream for them.
        assert_eq!(lines_that_fit(&server.output(), rule), 1, "{library}: {}", server.output());
        assert_eq!(lines_that_fit(&server.stdout(), rule), 1, "{library}: {}", server.stdout());
    }
    // It is no promise of something to come.
    drop(std::net::TcpStream::connect(("127.0.0.1", host.amqp_port)).expect("the port is open by then"));
    server.stop();
}

#[test]
fn tls_listeners_are_told_in_the_words_that_are_waited_for() {
    if skip_without_process("tls_listeners_are_told_in_the_words_that_are_waited_for") {
        return;
    }
    let host = Host::new();
    let made = host.shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout etc/key.pem -out etc/cert.pem -days 2 -subj /CN=localhost \
         -addext subjectAltName=DNS:localhost && cp etc/cert.pem etc/ca.pem",
    );
    assert!(made.status.success(), "openssl makes a certificate: {}", crate::host::text(&made));
    let [port] = free_ports();
    host.write(
        "etc/rabbitmq.conf",
        &format!(
            "listeners.tcp = none\nlisteners.ssl.default = {port}\nssl_options.cacertfile = {0}/ca.pem\n\
             ssl_options.certfile = {0}/cert.pem\nssl_options.keyfile = {0}/key.pem\nssl_options.verify = verify_none\n\
             ssl_options.fail_if_no_peer_cert = false\n",
            host.shown("etc")
        ),
    );
    let mut host = host;
    host.unset("RABBITMQ_NODE_PORT");
    host.unset("RABBITMQ_NODE_IP_ADDRESS");
    let server = host.start();
    // Of the second on a machine without IPv6.
    let told = ["[::]", "0.0.0.0"].map(|address| format!("started TLS (SSL) listener on {address}:{port}"));
    assert!(told.iter().any(|told| server.output().contains(told)), "{}", server.output());
    let hello =
        format!("printf 'AMQP\\0\\0\\11\\1' | openssl s_client -quiet -connect localhost:{port} -CAfile etc/ca.pem");
    let answer = host.shell(&format!("{hello} 2>/dev/null | head -c 1 | od -An -tu1"));
    assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "1", "a method frame comes back");
    server.stop();
}

#[test]
fn the_end_is_told_in_rabbitmqs_words() {
    if skip_without_process("the_end_is_told_in_rabbitmqs_words") {
        return;
    }
    let host = Host::new();
    let mut server = host.start();
    leveret_tests::broker::send_signal(server.pid(), "TERM").unwrap();
    assert_eq!(server.wait(), Some(0));
    assert!(server.output().contains("SIGTERM received - shutting down"), "{}", server.output());
}

#[test]
fn a_log_file_is_written_when_it_is_asked_for() {
    if skip_without_process("a_log_file_is_written_when_it_is_asked_for") {
        return;
    }
    let mut host = Host::new();
    let file = host.path("log/rabbit.log");
    host.set("RABBITMQ_LOGS", &host.shown("log/rabbit.log"));
    let mut server = host.spawn(&["rabbitmq-server"]);
    let logged = |_: &_| std::fs::read_to_string(&file).is_ok_and(|text| text.contains("Server startup complete"));
    server.wait_until(logged, "the file tells it");
    server.stop();
}

#[test]
fn levels_of_the_log_are_respected() {
    if skip_without_process("levels_of_the_log_are_respected") {
        return;
    }
    let host = Host::new();
    host.write("etc/rabbitmq.conf", "log.console = true\nlog.console.level = error\n");
    let server = host.spawn(&["rabbitmq-server"]);
    let begin = Instant::now();
    while !host.run(&["rabbitmq-diagnostics", "-q", "check_running"]).status.success() {
        assert!(begin.elapsed() < PATIENCE, "{}", server.output());
    }
    assert!(!server.output().contains("[info]"), "{}", server.output());
    server.stop();
}
