//! The commands of health checks: what people have in compose files, pipelines and charts.

mod cli;

use std::process::Command;

use cli::{Links, Run, Tools};
use leveret_tests::prelude::*;

/// A command, its exit code, and the lines that it prints.
type Case = (&'static str, i32, &'static [&'static str]);

const NODE: &str = "rabbit@localhost";

/// What health checks run, and see while all is well.
const WELL: &[Case] = &[
    ("rabbitmq-diagnostics -q ping", 0, &["Ping succeeded"]),
    (
        "rabbitmq-diagnostics ping",
        0,
        &[
            "Will ping rabbit@localhost. This only checks if the OS process is running and registered with epmd. Timeout: 60000 ms.",
            "Ping succeeded",
        ],
    ),
    ("rabbitmqctl ping -q", 0, &["Ping succeeded"]),
    (
        "rabbitmq-diagnostics check_running",
        0,
        &[
            "Checking if RabbitMQ is running on node rabbit@localhost ...",
            "RabbitMQ on node rabbit@localhost is fully booted and running",
        ],
    ),
    ("rabbitmq-diagnostics -q check_running", 0, &["RabbitMQ on node rabbit@localhost is fully booted and running"]),
    ("rabbitmq-diagnostics -q is_running", 0, &["RabbitMQ on node rabbit@localhost is fully booted and running"]),
    (
        "rabbitmq-diagnostics check_local_alarms",
        0,
        &[
            "Asking node rabbit@localhost to report any local resource alarms ...",
            "Node rabbit@localhost reported no local alarms",
        ],
    ),
    ("rabbitmq-diagnostics -q check_local_alarms", 0, &["Node rabbit@localhost reported no local alarms"]),
    ("rabbitmq-diagnostics -q check_alarms", 0, &["Node rabbit@localhost reported no alarms, local or clusterwide"]),
    ("rabbitmq-diagnostics -q alarms", 0, &["Node rabbit@localhost reported no alarms, local or clusterwide"]),
    ("rabbitmq-diagnostics -q check_virtual_hosts", 0, &["Node rabbit@localhost reported all vhosts as running"]),
    (
        "rabbitmq-diagnostics -q check_protocol_listener amqp",
        0,
        &["A listener for protocol amqp is running on node rabbit@localhost."],
    ),
    (
        "rabbitmq-diagnostics check_if_node_is_quorum_critical -q",
        0,
        &["Node rabbit@localhost seems to be the only one in a single node cluster, the check does not apply"],
    ),
    (
        "rabbitmq-diagnostics -q check_certificate_expiration --within 1 --unit months",
        0,
        &["No certificates are expiring within 1 month."],
    ),
    ("rabbitmqctl -q node_health_check", 0, &["Health check passed"]),
    ("rabbitmqctl await_startup", 0, &[]),
    ("rabbitmqctl await_startup --timeout 5", 0, &[]),
    ("rabbitmqctl -q authenticate_user guest guest", 0, &["Success"]),
    (
        "rabbitmq-upgrade await_online_quorum_plus_one -t 5",
        0,
        &[
            "Will wait for a quorum + 1 of nodes to be online for all quorum queues for 5 seconds...",
            "Target node seems to be the only one in a single node cluster, the command does not apply",
        ],
    ),
    ("rabbitmqctl enable_feature_flag all", 0, &["Enabling all feature flags ..."]),
];

fn check(tools: &Tools, (line, code, lines): Case) {
    let run = tools.run(line);
    assert_eq!(run.code, code, "{line}: {run:?}");
    assert_eq!(run.out.lines().collect::<Vec<_>>(), lines, "{line}");
}

#[test]
fn health_checks_pass_with_their_texts() {
    if skip_without_process("health_checks_pass_with_their_texts") {
        return;
    }
    let tools = Tools::start();
    for case in WELL {
        check(&tools, *case);
    }
    let (amqp, http) = (tools.broker.addr().port(), tools.management().port());
    let line = format!("rabbitmq-diagnostics -q check_port_listener {amqp}");
    assert_eq!(tools.run(&line).ok(), format!("A listener for port {amqp} is running on node {NODE}.\n"));
    let mut ports = [amqp, http];
    ports.sort_unstable();
    let [first, second] = ports;
    let text =
        format!("Successfully connected to ports {first}, {second} on node {NODE} (using node hostname resolution)\n");
    assert_eq!(tools.run("rabbitmq-diagnostics -q check_port_connectivity").ok(), text);
}

#[test]
fn health_checks_fail_with_their_codes() {
    if skip_without_process("health_checks_fail_with_their_codes") {
        return;
    }
    let tools = Tools::start();
    for (line, code, text) in [
        (
            "rabbitmq-diagnostics check_port_listener 1",
            69,
            "No listener for port 1 is active on node rabbit@localhost.",
        ),
        ("rabbitmq-diagnostics check_port_listener x", 65, "Bad argument: Argument must be a positive integer"),
        (
            "rabbitmq-diagnostics check_protocol_listener mqtt",
            69,
            "No listener for protocol mqtt is active on node rabbit@localhost.",
        ),
        ("rabbitmqctl authenticate_user guest wrong", 65, "Error: failed to authenticate user \"guest\""),
        ("rabbitmqctl authenticate_user nobody wrong", 65, "user 'nobody' - invalid credentials"),
        (
            "rabbitmq-plugins is_enabled rabbitmq_mqtt",
            69,
            "Plugin rabbitmq_mqtt is not enabled on node rabbit@localhost.",
        ),
        ("rabbitmqctl wait --pid 999999999 --timeout 2", 69, "process_not_running"),
        ("rabbitmqctl wait /nowhere/x.pid --timeout 0.1", 75, "timed out. Timeout value used: 100"),
        (
            "rabbitmqctl -n other@localhost list_queues",
            69,
            "Error: unable to perform an operation on node 'other@localhost'.",
        ),
    ] {
        let said = tools.run(line).failed(code);
        assert!(said.contains(text), "{line}: {said}");
    }
}

#[test]
fn an_alarm_fails_the_checks_until_it_is_gone() {
    if skip_without_process("an_alarm_fails_the_checks_until_it_is_gone") {
        return;
    }
    let tools = Tools::start();
    tools.run("rabbitmqctl set_vm_memory_high_watermark 0.0000001").ok();
    wait_until("the alarm", || tools.run("rabbitmq-diagnostics -q check_local_alarms").code == 69);
    let said = tools.run("rabbitmq-diagnostics -q check_local_alarms").failed(69);
    assert_eq!(said, format!("Error:\nMemory alarm on node {NODE}\n"));
    assert_eq!(tools.run("rabbitmq-diagnostics -q check_alarms").failed(69), format!("Memory alarm on node {NODE}\n"));
    tools.run("rabbitmqctl set_vm_memory_high_watermark 0.6").ok();
    wait_until("the end of the alarm", || tools.run("rabbitmq-diagnostics -q check_local_alarms").code == 0);
}

#[test]
fn a_node_that_is_down_is_told_of() {
    if skip_without_process("a_node_that_is_down_is_told_of") {
        return;
    }
    let tools = Tools::start();
    let pid_file = tools.home.path().join("leveret.pid");
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    let out = tools.run_words(&["rabbitmqctl", "wait", pid_file.to_str().unwrap(), "--timeout", "10"]).ok();
    let expected = format!(
        "Waiting for pid file '{}' to appear\npid is {pid}\n\
         Waiting for erlang distribution on node '{NODE}' while OS process '{pid}' is running\n\
         Waiting for applications 'rabbit_and_plugins' to start on node '{NODE}'\n\
         Applications 'rabbit_and_plugins' are running on node '{NODE}'\n",
        pid_file.display(),
        pid = pid.trim()
    );
    assert_eq!(out, expected);
    tools.run("rabbitmqctl stop").ok();
    assert_eq!(tools.run("rabbitmq-diagnostics -q ping").failed(69).lines().next(), Some("Error:"));
    let said = tools.run("rabbitmqctl status").failed(69);
    assert!(said.starts_with(&format!("Error: unable to perform an operation on node '{NODE}'.")), "{said}");
    assert_eq!(tools.run("rabbitmqctl await_startup -t 0.1").code, 75);
}

#[test]
fn a_stopped_application_fails_readiness_and_not_liveness() {
    if skip_without_process("a_stopped_application_fails_readiness_and_not_liveness") {
        return;
    }
    let tools = Tools::start();
    tools.run("rabbitmqctl stop_app").ok();
    assert_eq!(tools.run("rabbitmq-diagnostics -q ping").ok(), "Ping succeeded\n");
    assert_eq!(tools.run("rabbitmq-diagnostics -q check_running").code, 69);
    let said = tools.run("rabbitmqctl list_queues").failed(64);
    assert!(said.contains("this command requires the 'rabbit' app to be running on the target node."), "{said}");
    tools.run("rabbitmqctl start_app").ok();
    tools.run("rabbitmq-diagnostics -q check_running").ok();
    assert_eq!(tools.run("rabbitmqctl reset").code, 64);
}

#[test]
fn an_answer_takes_less_than_50_ms() {
    const ANSWER_MAX: Duration = Duration::from_millis(50);
    if skip_without_process("an_answer_takes_less_than_50_ms") {
        return;
    }
    let tools = Tools::start();
    for line in ["rabbitmq-diagnostics -q ping", "rabbitmqctl list_queues", "rabbitmqctl status", "rabbitmqctl help"] {
        assert_within(ANSWER_MAX, line, || {
            let begin = Instant::now();
            tools.run(line).ok();
            begin.elapsed()
        });
    }
}

#[test]
fn tools_need_no_broker_for_help_and_plugins() {
    if skip_without_process("tools_need_no_broker_for_help_and_plugins") {
        return;
    }
    let links = Links::new();
    let file = links.path().join("enabled_plugins");
    let run = |command: &mut Command| Run::of(command.env("RABBITMQ_ENABLED_PLUGINS_FILE", &file).output().unwrap());
    let plugins = |words: &[&str]| run(links.command("rabbitmq-plugins").args(words));
    let out = plugins(&["enable", "--offline", "rabbitmq_management", "rabbitmq_delayed_message_exchange"]).ok();
    assert!(
        out.ends_with("enabled 4 plugins.\nOffline change; changes will take effect at broker restart.\n"),
        "{out}"
    );
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written, "[rabbitmq_delayed_message_exchange,rabbitmq_management].\n");
    plugins(&["is_enabled", "--offline", "rabbitmq_management"]).ok();
    assert!(plugins(&["enable", "--offline", "bogus"]).failed(70).contains("{:plugins_not_found, [:bogus]}"));
    let listed = plugins(&["list", "-q", "-E", "-m"]).ok();
    assert_eq!(listed, "rabbitmq_delayed_message_exchange\nrabbitmq_management\n");
    assert!(run(links.command("rabbitmqctl").arg("help")).ok().contains("Available commands:"));
    assert_eq!(run(links.command("rabbitmqctl").arg("--version")).ok().trim().split('.').count(), 3);
}
