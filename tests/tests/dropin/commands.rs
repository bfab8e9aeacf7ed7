//! The commands of health checks, probes and entry scripts.

use leveret_tests::broker::skip_without_process;
use leveret_tests::prelude::*;
use serde_json::Value;

use crate::host::{Host, Server, text};

/// Far more than any of them takes, and less than any time limit that one of them could wait for in vain. Health checks
/// have some seconds; that they answer at once has a test of its own.
const COMMAND_MAX: Duration = Duration::from_secs(30);
const OK: i32 = 0;
const USAGE: i32 = 64;
const DATA: i32 = 65;
const UNAVAILABLE: i32 = 69;
const SOFTWARE: i32 = 70;

/// A line of a shell, its exit code, and what is in its output. NODE stands for the node's name, PORT for its AMQP port,
/// MANAGEMENT for that of the HTTP API, @PID for its process.
type Row = (&'static str, i32, &'static [&'static str]);

const RUNNING: [Row; 31] = [
    ("rabbitmq-diagnostics -q ping", OK, &["Ping succeeded"]),
    (
        "rabbitmq-diagnostics ping",
        OK,
        &["Will ping NODE. This only checks if the OS process is running and registered with epmd.", "Ping succeeded"],
    ),
    ("rabbitmq-diagnostics check_running", OK, &["RabbitMQ on node NODE is fully booted and running"]),
    (
        "rabbitmq-diagnostics -q check_running && rabbitmq-diagnostics -q check_local_alarms",
        OK,
        &["Node NODE reported no local alarms"],
    ),
    ("rabbitmq-diagnostics check_alarms", OK, &["Node NODE reported no alarms, local or clusterwide"]),
    ("rabbitmq-diagnostics check_virtual_hosts", OK, &["Node NODE reported all vhosts as running"]),
    ("rabbitmq-diagnostics check_port_connectivity", OK, &["Successfully connected to ports", "PORT"]),
    ("rabbitmq-diagnostics check_port_listener PORT", OK, &["A listener for port PORT is running on node NODE."]),
    ("rabbitmq-diagnostics check_port_listener 1", UNAVAILABLE, &[]),
    ("rabbitmq-diagnostics check_protocol_listener amqp", OK, &["amqp", "running"]),
    (
        "rabbitmq-diagnostics -q status",
        OK,
        &["RabbitMQ version: 4.", "Node name: NODE", "OS PID: @PID", "Alarms", "(none)", "protocol: amqp"],
    ),
    (
        "rabbitmqctl status",
        OK,
        &["Status of node NODE ...", "RabbitMQ version: 4.", "Uptime (seconds):", "Listeners", "purpose: AMQP 0-9-1"],
    ),
    (
        "rabbitmqctl status --formatter json | grep -o '\"rabbitmq_version\":\"[0-9.]*\"'",
        OK,
        &["\"rabbitmq_version\":\"4."],
    ),
    ("rabbitmq-diagnostics --formatter json status", OK, &["\"os\":", "\"totals\":", "\"virtual_host_count\":1"]),
    ("rabbitmqctl node_health_check", OK, &[]),
    ("rabbitmqctl await_startup", OK, &[]),
    ("rabbitmqctl await_startup --timeout 60", OK, &[]),
    ("rabbitmqctl wait --pid @PID --timeout 60", OK, &["Applications 'rabbit_and_plugins' are running on node 'NODE'"]),
    ("rabbitmqctl authenticate_user guest guest", OK, &["Success"]),
    ("rabbitmqctl authenticate_user guest wrong", DATA, &["Error: failed to authenticate user \"guest\""]),
    ("rabbitmqctl ping", OK, &["Ping succeeded"]),
    (
        "rabbitmqadmin declare queue name=listed -P MANAGEMENT && rabbitmqctl -q list_queues name messages",
        OK,
        &["name\tmessages", "listed\t0"],
    ),
    (
        "rabbitmqctl -p / list_exchanges -q name type && rabbitmqctl list_exchanges -s -p / name type",
        OK,
        &["amq.topic\ttopic"],
    ),
    ("rabbitmq-plugins is_enabled rabbitmq_management", OK, &[]),
    ("rabbitmq-plugins is_enabled rabbitmq_no_such_plugin", UNAVAILABLE, &[]),
    ("rabbitmq-plugins list -E -m", OK, &["rabbitmq_management"]),
    (
        "rabbitmqctl enable_feature_flag all && rabbitmqctl -q list_feature_flags name state",
        OK,
        &["stream_queue\tenabled"],
    ),
    ("rabbitmq-queues rebalance all", OK, &[]),
    ("rabbitmq-upgrade await_online_quorum_plus_one -t 5", OK, &[]),
    ("rabbitmqctl add_user guest secret", SOFTWARE, &["User \"guest\" already exists"]),
    ("rabbitmqctl no_such_command", USAGE, &["no_such_command"]),
];

/// Without a server.
const STOPPED: [Row; 5] = [
    ("rabbitmq-diagnostics -q ping", UNAVAILABLE, &["Error:", "Failed to connect and authenticate to"]),
    (
        "rabbitmqctl status",
        UNAVAILABLE,
        &["Error: unable to perform an operation on node", "Please see diagnostics information and suggestions below."],
    ),
    ("rabbitmq-diagnostics -q check_running", UNAVAILABLE, &[]),
    ("rabbitmqctl list_queues", UNAVAILABLE, &[]),
    (
        "rabbitmq-plugins enable --offline rabbitmq_shovel && grep rabbitmq_shovel \"$RABBITMQ_ENABLED_PLUGINS_FILE\"",
        OK,
        &["Offline change; changes will take effect at broker restart."],
    ),
];

/// What operators, Ansible and the cluster operator of Kubernetes run.
const ADMINISTRATION: [Row; 15] = [
    ("rabbitmqctl close_all_connections enough", OK, &["Closing all connections in vhost /", "Closed 0 connections"]),
    ("rabbitmqctl set_disk_free_limit 50MB", OK, &["Setting disk free limit on NODE"]),
    ("rabbitmqctl report", OK, &["Reporting server status of node NODE"]),
    ("rabbitmqctl environment", OK, &["Application environment of node NODE", "heartbeat"]),
    ("rabbitmqctl cluster_status", OK, &["Cluster status of node NODE"]),
    ("rabbitmqctl trace_on && rabbitmqctl -q list_vhosts name tracing", OK, &["name\ttracing", "/\ttrue"]),
    ("rabbitmqctl trace_off && rabbitmqctl -q list_vhosts name tracing", OK, &["/\tfalse"]),
    ("rabbitmqctl -q list_global_parameters", OK, &["name\tvalue"]),
    ("rabbitmqctl -q list_parameters -p /", OK, &[]),
    ("rabbitmqctl set_user_tags guest administrator monitoring", OK, &["Setting tags for user \"guest\" to"]),
    ("rabbitmqctl -q list_users", OK, &["guest\t[administrator, monitoring]"]),
    (
        "rabbitmqctl set_policy --priority 1 --apply-to queues limit '^q' '{\"max-length\":5}'",
        OK,
        &["Setting policy \"limit\""],
    ),
    ("rabbitmq-upgrade drain && rabbitmq-upgrade revive", OK, &["maintenance mode"]),
    ("rabbitmq-diagnostics listeners", OK, &["port: PORT, protocol: amqp"]),
    ("rabbitmqctl shutdown", OK, &["Shutting down RabbitMQ node NODE"]),
];

/// Runs each line and tells all that went otherwise.
fn check(host: &Host, rows: &[Row], replace: &[(&str, String)]) {
    let replaced = |text: &str| replace.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    let mut wrong = Vec::new();
    for (line, code, parts) in rows {
        let line = replaced(line);
        let begin = Instant::now();
        let output = host.shell(&line);
        let text = text(&output);
        if output.status.code() != Some(*code) {
            wrong.push(format!("`{line}` ended with {}, not {code}: {text}", output.status));
        }
        for part in parts.iter().map(|part| replaced(part)).filter(|part| !text.contains(part)) {
            wrong.push(format!("`{line}` does not say `{part}`: {text}"));
        }
        if begin.elapsed() > COMMAND_MAX {
            wrong.push(format!("`{line}` took {:?}", begin.elapsed()));
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn health_commands_answer_as_rabbitmqs() {
    if skip_without_process("health_commands_answer_as_rabbitmqs") {
        return;
    }
    let host = Host::new();
    let server = host.start();
    check(&host, &RUNNING, &names(&host, &server));
    server.stop();
}

#[test]
fn commands_of_operators_work() {
    if skip_without_process("commands_of_operators_work") {
        return;
    }
    let host = Host::new();
    let mut server = host.start();
    check(&host, &ADMINISTRATION, &names(&host, &server));
    assert_eq!(server.wait(), Some(0), "the last of them has shut it down");
}

/// What the words in capitals stand for.
fn names(host: &Host, server: &Server) -> [(&'static str, String); 4] {
    let overview = host.get("/api/overview", "guest:guest");
    let node = overview.get("node").and_then(Value::as_str).expect("a name").to_owned();
    let (port, management_port) = (host.amqp_port.to_string(), host.management_port.to_string());
    [("NODE", node), ("MANAGEMENT", management_port), ("PORT", port), ("@PID", server.pid().to_string())]
}

#[test]
fn without_a_server_health_commands_fail_as_rabbitmqs() {
    if skip_without_process("without_a_server_health_commands_fail_as_rabbitmqs") {
        return;
    }
    check(&Host::new(), &STOPPED, &[]);
}

#[test]
fn an_alarm_makes_its_checks_fail_and_goes_again() {
    if skip_without_process("an_alarm_makes_its_checks_fail_and_goes_again") {
        return;
    }
    let host = Host::new();
    let server = host.start();
    let output = host.run(&["rabbitmqctl", "set_vm_memory_high_watermark", "0"]);
    assert!(output.status.success(), "{}", text(&output));
    let fails = |command: &str| host.run(&["rabbitmq-diagnostics", "-q", command]).status.code() == Some(UNAVAILABLE);
    let begin = Instant::now();
    while !fails("check_local_alarms") {
        assert!(begin.elapsed() < PATIENCE, "the alarm is not raised");
    }
    assert!(fails("check_alarms"));
    assert_eq!(host.http("GET", "/api/health/checks/alarms", "guest:guest").0, 503);
    host.run(&["rabbitmqctl", "set_vm_memory_high_watermark", "0.6"]);
    let begin = Instant::now();
    while fails("check_local_alarms") {
        assert!(begin.elapsed() < PATIENCE, "the alarm is not cleared");
    }
    server.stop();
}

#[test]
fn a_command_answers_at_once() {
    const ANSWER_MAX: Duration = Duration::from_millis(50);
    if skip_without_process("a_command_answers_at_once") {
        return;
    }
    let host = Host::new();
    let server = host.start();
    assert_within(ANSWER_MAX, "a health check", || {
        let begin = Instant::now();
        assert!(host.run(&["rabbitmq-diagnostics", "-q", "ping"]).status.success());
        begin.elapsed()
    });
    server.stop();
}
