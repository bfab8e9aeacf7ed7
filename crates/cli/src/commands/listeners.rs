//! Listeners: what the node accepts connections with.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};

use serde_json::{Value, json};

use super::DIAGNOSTICS;
use crate::call::Call;
use crate::command::{Command, Group, Switch};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::format::Format;
use crate::limits;
use crate::output::Output;
use crate::term::Term;

const GROUP: Group = Group::Monitoring;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "listeners",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--timeout <timeout>]",
        "Shows the node's listeners",
        listeners,
    ),
    Command::new(
        "check_port_connectivity",
        (DIAGNOSTICS, GROUP),
        (0, 0),
        "[--address <address>] [--timeout <timeout>]",
        "Connects to every listener; fails if one does not accept",
        check_port_connectivity,
    )
    .with(&[Switch::text("address")]),
    Command::new(
        "check_port_listener",
        (DIAGNOSTICS, GROUP),
        (1, 1),
        "<port> [--timeout <timeout>]",
        "Fails if nothing listens on a port",
        check_port_listener,
    ),
    Command::new(
        "check_protocol_listener",
        (DIAGNOSTICS, GROUP),
        (1, 1),
        "<protocol> [--timeout <timeout>]",
        "Fails if no listener speaks a protocol, such as amqp, amqp/ssl, http or mqtt",
        check_protocol_listener,
    ),
];

fn all(status: &Value) -> Vec<Value> {
    info::at(status, "listeners").as_array().cloned().unwrap_or_default()
}

/// A line each.
pub(super) fn texts(status: &Value) -> Vec<String> {
    all(status).iter().map(text).collect()
}

fn text(listener: &Value) -> String {
    format!(
        "Interface: {}, port: {}, protocol: {}, purpose: {}",
        info::text(listener, "interface"),
        info::number(listener, "port"),
        info::text(listener, "protocol"),
        info::text(listener, "purpose")
    )
}

fn listeners(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Asking node {} to report its protocol listeners ...", call.node()));
    let status = call.status()?;
    let value = json!({"listeners": all(status), "node": call.node(), "result": "ok"});
    Ok(Output::report(texts(status).join("\n"), Term::from_json(&value)))
}

fn ports(listeners: &[Value]) -> Vec<i64> {
    let mut ports: Vec<i64> = listeners.iter().map(|listener| info::number(listener, "port")).collect();
    ports.sort_unstable();
    ports
}

fn joined(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

fn check_port_connectivity(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    call.banner(format!(
        "Testing TCP connections to all active listeners on node {node} using hostname resolution ..."
    ));
    let listeners = all(call.status()?);
    let timeout = call.timeout().unwrap_or(limits::CONNECT);
    let accepts = |listener: &&Value| {
        addresses(listener, call.options.get("address"))
            .iter()
            .any(|address| TcpStream::connect_timeout(address, timeout).is_ok())
    };
    let (open, closed): (Vec<&Value>, Vec<&Value>) = listeners.iter().partition(accepts);
    if closed.is_empty() {
        let ports = joined(&ports(&listeners));
        let text = format!("Successfully connected to ports {ports} on node {node} (using node hostname resolution)");
        let value = json!({"listeners": open, "result": "ok"});
        return Ok(Output::report(text, Term::from_json(&value)));
    }
    let lines: Vec<String> = closed.iter().map(|listener| text(listener)).collect();
    if call.format == Some(Format::Json) {
        return Err(Failure::new(Kind::Unavailable, json!({"failures": closed, "result": "error"}).to_string()));
    }
    Err(Failure::unavailable(format!(
        "Connection to ports of the following listeners on node {node} failed: \n{}",
        lines.join("\n")
    )))
}

/// Where a listener is reached from here.
fn addresses(listener: &Value, asked: Option<&str>) -> Vec<SocketAddr> {
    let port = u16::try_from(info::number(listener, "port")).unwrap_or_default();
    if let Some(asked) = asked {
        return (asked, port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    }
    match info::text(listener, "interface").trim_matches(['[', ']']) {
        "::" => vec![([127, 0, 0, 1], port).into(), ([0, 0, 0, 0, 0, 0, 0, 1_u16], port).into()],
        "0.0.0.0" | "" => vec![([127, 0, 0, 1], port).into()],
        other => (other, port).to_socket_addrs().map(Iterator::collect).unwrap_or_default(),
    }
}

fn check_port_listener(call: &Call) -> Result<Output, Failure> {
    let node = call.node();
    let port: u16 = match call.argument(0).parse() {
        Ok(port) if port > 0 => port,
        _ => return Err(call.bad_argument("Argument must be a positive integer")),
    };
    call.banner(format!("Asking node {node} if there's an active listener on port {port} ..."));
    let listeners = all(call.status()?);
    let ports = ports(&listeners);
    if ports.contains(&i64::from(port)) {
        let value = json!({"node": node, "port": port, "result": "ok"});
        return Ok(Output::report(
            format!("A listener for port {port} is running on node {node}."),
            Term::from_json(&value),
        ));
    }
    if call.format == Some(Format::Json) {
        let value = json!({"listeners": listeners, "missing": call.argument(0), "ports": ports, "result": "error"});
        return Err(Failure::new(Kind::Unavailable, value.to_string()));
    }
    let text = format!(
        "No listener for port {port} is active on node {node}. Found listeners that use the following ports: {}",
        joined(&ports)
    );
    Err(Failure::new(Kind::Unavailable, text))
}

/// Other names of a protocol.
fn canonical(protocol: &str) -> &str {
    match protocol {
        "amqp091" | "amqp0.9.1" | "amqp10" | "amqp1.0" => "amqp",
        "amqps" | "amqp-ssl" | "amqp/tls" => "amqp/ssl",
        "https" => "https",
        "management" => "http",
        "prometheus" => "http/prometheus",
        other => other,
    }
}

fn check_protocol_listener(call: &Call) -> Result<Output, Failure> {
    let (node, asked) = (call.node(), call.argument(0));
    call.banner(format!("Asking node {node} if there's an active listener for protocol {asked} ..."));
    let listeners = all(call.status()?);
    let mut protocols: Vec<&str> = listeners.iter().map(|listener| info::text(listener, "protocol")).collect();
    protocols.sort_unstable();
    protocols.dedup();
    if protocols.contains(&canonical(&asked.to_ascii_lowercase())) {
        let value = json!({"node": node, "protocol": asked, "result": "ok"});
        let text = format!("A listener for protocol {asked} is running on node {node}.");
        return Ok(Output::report(text, Term::from_json(&value)));
    }
    if call.format == Some(Format::Json) {
        let value = json!({"listeners": listeners, "missing": asked, "protocols": protocols, "result": "error"});
        return Err(Failure::new(Kind::Unavailable, value.to_string()));
    }
    let found = protocols.join(", ");
    let text = format!(
        "No listener for protocol {asked} is active on node {node}. Found listeners for the following protocols: {found}"
    );
    Err(Failure::unavailable(text))
}
