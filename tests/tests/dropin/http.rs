//! What probes ask by HTTP.

use leveret_tests::broker::skip_without_process;

use crate::host::{Host, http, http_text};

const GUEST: Option<&str> = Some("guest:guest");

/// A path of a probe, who logs in, the status, and what is in the answer. PORT stands for the AMQP port.
const PROBES: [(&str, Option<&str>, u16, &str); 18] = [
    ("/", None, 200, "<"),
    ("/api/overview", GUEST, 200, "\"rabbitmq_version\":\"4."),
    ("/api/overview", None, 401, ""),
    ("/api/overview", Some("guest:wrong"), 401, "\"error\":\"not_authorized\""),
    ("/api/healthchecks/node", GUEST, 200, "\"status\":\"ok\""),
    ("/api/aliveness-test/%2F", GUEST, 200, "\"status\":\"ok\""),
    ("/api/aliveness-test/%2f", GUEST, 200, "\"status\":\"ok\""),
    ("/api/health/checks/alarms", GUEST, 200, "\"status\":\"ok\""),
    ("/api/health/checks/local-alarms", GUEST, 200, "\"status\":\"ok\""),
    ("/api/health/checks/virtual-hosts", GUEST, 200, "\"status\":\"ok\""),
    ("/api/health/checks/port-listener/PORT", GUEST, 200, "\"status\":\"ok\""),
    ("/api/health/checks/port-listener/1", GUEST, 503, "\"missing\":1"),
    ("/api/health/checks/protocol-listener/amqp", GUEST, 200, "\"status\":\"ok\""),
    ("/api/health/checks/node-is-quorum-critical", GUEST, 200, "\"status\":\"ok\""),
    ("/api/health/checks/ready-to-serve-clients", GUEST, 200, "\"status\":\"ok\""),
    ("/api/vhosts", GUEST, 200, "\"name\":\"/\""),
    ("/api/nodes", GUEST, 200, "\"running\":true"),
    ("/cli/rabbitmqadmin", None, 200, "#!"),
];

#[test]
fn probes_are_answered_as_rabbitmqs() {
    if skip_without_process("probes_are_answered_as_rabbitmqs") {
        return;
    }
    let host = Host::new();
    let server = host.start();
    let mut wrong = Vec::new();
    for (path, login, status, part) in PROBES {
        let path = path.replace("PORT", &host.amqp_port.to_string());
        let (found, body) = http_text(host.management_port, "GET", &path, login);
        if found != status || !body.contains(part) {
            wrong.push(format!("{path} is answered with {found}: {body:.300}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.stop();
}

#[test]
fn metrics_are_served_to_anybody() {
    if skip_without_process("metrics_are_served_to_anybody") {
        return;
    }
    let host = Host::new();
    let server = host.start();
    for path in [
        "/metrics",
        "/metrics/per-object",
        "/metrics/detailed?family=queue_coarse_metrics",
        "/metrics/memory-breakdown",
    ] {
        let (status, body) = http_text(host.prometheus_port, "GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        assert!(body.contains("rabbitmq_identity_info"), "{path}: {body}");
    }
    server.stop();
}

#[test]
fn a_path_prefix_moves_the_api() {
    if skip_without_process("a_path_prefix_moves_the_api") {
        return;
    }
    let host = Host::new();
    host.write("etc/rabbitmq.conf", "management.path_prefix = /mq\n");
    let server = host.start();
    assert_eq!(http(host.management_port, "GET", "/mq/api/overview", Some("guest:guest")).0, 200);
    assert_eq!(http(host.management_port, "GET", "/api/overview", Some("guest:guest")).0, 404);
    server.stop();
}
