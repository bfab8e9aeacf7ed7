//! Health checks: 200 with `{"status": "ok"}`, or 503 with what is wrong.

use leveret_server::node::RaisedAlarm;
use serde_json::{Value, json};

use crate::admin::certificates;
use crate::error::ApiError;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    let mut resources = open_checks();
    resources.extend([
        Resource::at("/api/health/checks/alarms").get(Right::User, "Whether no alarm is raised", alarms),
        Resource::at("/api/health/checks/local-alarms").get(
            Right::User,
            "Whether no alarm is raised on this node",
            local_alarms,
        ),
        Resource::at("/api/health/checks/metadata-store/initialized").get(
            Right::User,
            "Whether users and vhosts are read",
            ok,
        ),
        Resource::at("/api/health/checks/metadata-store/initialized/with-data").get(
            Right::User,
            "Whether there is a vhost",
            has_vhosts,
        ),
        Resource::at("/api/health/checks/certificate-expiration/{within}/{unit}").get(
            Right::User,
            "Whether no certificate of a listener ends within so many days, weeks, months or years",
            certificate_expiration,
        ),
        Resource::at("/api/health/checks/port-listener/{port}").get(
            Right::User,
            "Whether somebody listens on a port",
            port_listener,
        ),
        Resource::at("/api/health/checks/protocol-listener/{protocols}").get(
            Right::User,
            "Whether each of these protocols is listened for, such as amqp or amqp,http",
            protocol_listener,
        ),
        Resource::at("/api/health/checks/virtual-hosts").get(Right::User, "Whether all vhosts run", ok),
        Resource::at("/api/health/checks/node-is-mirror-sync-critical").get(
            Right::User,
            "Whether the node can go without a queue losing its last copy",
            single_node,
        ),
        Resource::at("/api/health/checks/node-is-quorum-critical").get(
            Right::User,
            "Whether the node can go without a queue losing its quorum",
            single_node,
        ),
        Resource::at("/api/health/checks/quorum-queues-without-elected-leaders/all-vhosts").get(
            Right::VhostVisible,
            "Whether all quorum queues have a leader",
            ok,
        ),
        Resource::at("/api/health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/{pattern}").get(
            Right::VhostVisible,
            "Whether all quorum queues whose names match have a leader",
            ok,
        ),
        Resource::at("/api/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}").get(
            Right::VhostVisible,
            "Whether all quorum queues of a vhost have a leader",
            ok_in_vhost,
        ),
        Resource::at("/api/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}/pattern/{pattern}").get(
            Right::VhostVisible,
            "Whether all quorum queues of a vhost whose names match have a leader",
            ok_in_vhost,
        ),
        Resource::at("/api/healthchecks/node").get(
            Right::User,
            "Whether the node runs and no alarm is raised (legacy)",
            node,
        ),
        Resource::at("/api/healthchecks/node/{node}").get(
            Right::User,
            "Whether the node runs and no alarm is raised (legacy)",
            named_node,
        ),
        Resource::at("/api/aliveness-test/{vhost}").get(
            Right::Vhost,
            "Whether the vhost can be used (legacy)",
            aliveness,
        ),
    ]);
    resources
}

/// What load balancers ask, who have no credentials.
fn open_checks() -> Vec<Resource> {
    vec![
        Resource::at("/api/health/checks/is-in-service").get(
            Right::Open,
            "Whether the node serves clients",
            in_service,
        ),
        Resource::at("/api/health/checks/below-node-connection-limit").get(
            Right::Open,
            "Whether the node takes further connections",
            connection_limit,
        ),
        Resource::at("/api/health/checks/ready-to-serve-clients").get(
            Right::Open,
            "Whether the node serves clients, listens for AMQP and takes further connections",
            ready,
        ),
        Resource::at("/api/health/checks/reached-target-cluster-size").get(
            Right::Open,
            "Whether the cluster has its nodes: there is one",
            ok,
        ),
    ]
}

fn healthy() -> Value {
    json!({ "status": "ok" })
}

fn failed(reason: &str, further: Value) -> ApiError {
    let mut body = json!({ "status": "failed", "reason": reason });
    if let (Value::Object(body), Value::Object(further)) = (&mut body, further) {
        body.extend(further);
    }
    ApiError::Unhealthy(body)
}

async fn ok(call: Call) -> Answer {
    call.one(healthy())
}

async fn ok_in_vhost(call: Call) -> Answer {
    call.vhost()?;
    call.one(healthy())
}

async fn single_node(call: Call) -> Answer {
    call.one(json!({ "status": "ok", "reason": "single node cluster" }))
}

/// The alarms as RabbitMQ lists them.
pub(super) fn raised(call: &Call) -> Vec<Value> {
    let raised = call.api.node.raised_alarms().into_iter().map(|alarm| {
        let resource = match alarm {
            RaisedAlarm::Memory => "memory",
            RaisedAlarm::Disk => "disk",
        };
        json!({ "node": call.api.node.name(), "resource": resource })
    });
    raised.collect()
}

async fn alarms(call: Call) -> Answer {
    without_alarms(&call, "There are alarms in effect in the cluster")
}

async fn local_alarms(call: Call) -> Answer {
    without_alarms(&call, "There are alarms in effect on the node")
}

fn without_alarms(call: &Call, reason: &str) -> Answer {
    let alarms = raised(call);
    if alarms.is_empty() { call.one(healthy()) } else { Err(failed(reason, json!({ "alarms": alarms }))) }
}

async fn has_vhosts(call: Call) -> Answer {
    if call.api.broker().vhosts().is_empty() {
        let reason = "Metadata store has not yet been initialized: it reports to have no virtual hosts";
        return Err(failed(reason, json!({})));
    }
    call.one(healthy())
}

async fn certificate_expiration(call: Call) -> Answer {
    let within = certificates::seconds(call.param("within"), call.param("unit"))?;
    let (node, files) = (call.api.node.name().to_owned(), call.api.config.clone());
    let expiring =
        tokio::task::spawn_blocking(move || certificates::expiring(&files.certificates, &node, within)).await;
    let expiring = expiring.map_err(|error| ApiError::Internal(error.to_string()))?;
    if expiring.is_empty() {
        return call.one(healthy());
    }
    Err(failed("Certificates expiring", json!({ "expired": expiring })))
}

async fn port_listener(call: Call) -> Answer {
    let port: u16 = call.param("port").parse().map_err(|_| ApiError::bad_request("Invalid port"))?;
    let ports: Vec<u16> = call.api.node.listeners().iter().map(|listener| listener.port).collect();
    if ports.contains(&port) {
        return call.one(json!({ "status": "ok", "port": port }));
    }
    Err(failed("No active listener", json!({ "missing": port, "ports": ports })))
}

async fn protocol_listener(call: Call) -> Answer {
    let asked = call.param("protocols");
    let active: Vec<&str> = call.api.node.listeners().into_iter().map(|listener| listener.protocol).collect();
    let mut missing: Vec<String> = asked.split(',').map(|name| protocol(name.trim())).collect();
    missing.retain(|protocol| !active.contains(&protocol.as_str()));
    if missing.is_empty() {
        return call.one(json!({ "status": "ok", "protocol": asked }));
    }
    Err(failed("No active listener", json!({ "missing": missing, "protocols": active })))
}

/// A protocol by any of its names.
fn protocol(name: &str) -> String {
    let name = name.to_lowercase();
    match name.as_str() {
        "amqp091" | "amqp0.9.1" | "amqp0-9-1" | "amqp0_9_1" | "amqp10" | "amqp1.0" | "amqp1-0" | "amqp1_0" => "amqp",
        "amqps" | "amqp+tls" | "amqp+ssl" => "amqp/ssl",
        "http1" | "http1.1" | "http_api" | "management" | "management_ui" | "ui" => "http",
        "cli" | "distribution" => "clustering",
        other => other,
    }
    .to_owned()
}

async fn in_service(call: Call) -> Answer {
    if call.api.is_serving() {
        return call.one(healthy());
    }
    Err(failed("this rabbit node is not currently available to serve", json!({})))
}

async fn connection_limit(call: Call) -> Answer {
    let (limit, connections) = connections(&call);
    let limit_shown = limit.map_or_else(|| json!("infinity"), |limit| json!(limit));
    let facts = json!({ "limit": limit_shown, "connections": connections });
    if limit.is_some_and(|limit| connections >= limit) {
        return Err(failed("node connection limit is reached", facts));
    }
    call.one(json!({ "status": "ok", "limit": limit_shown, "connections": connections }))
}

/// The limit of the node, and how many connections there are.
fn connections(call: &Call) -> (Option<u64>, u64) {
    (call.api.broker().services.node.connections_max(), call.api.node.connection_count() as u64)
}

async fn ready(call: Call) -> Answer {
    if !call.api.is_serving() {
        return Err(failed("the rabbit node is not currently available to serve", json!({})));
    }
    if !call.api.node.listeners().iter().any(|listener| matches!(listener.protocol, "amqp" | "amqp/ssl")) {
        return Err(failed("no active listeners for AMQP/AMQPS", json!({})));
    }
    match connections(&call) {
        (Some(limit), connections) if connections >= limit => {
            Err(failed("node connection limit is reached", json!({ "connections": connections })))
        }
        _ => call.one(healthy()),
    }
}

async fn node(call: Call) -> Answer {
    let alarms: Vec<String> =
        raised(&call).iter().filter_map(|alarm| alarm.get("resource")?.as_str().map(str::to_owned)).collect();
    if alarms.is_empty() {
        return call.one(healthy());
    }
    Err(failed(&format!("resource alarm(s) in effect:[{}]", alarms.join(",")), json!({})))
}

async fn named_node(call: Call) -> Answer {
    call.node()?;
    node(call).await
}

/// RabbitMQ does nothing here any more but to answer.
async fn aliveness(call: Call) -> Answer {
    call.vhost()?;
    call.one(healthy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_go_by_many_names() {
        for (name, expected) in
            [("AMQP091", "amqp"), ("amqps", "amqp/ssl"), ("management", "http"), ("mqtt", "mqtt"), ("https", "https")]
        {
            assert_eq!(protocol(name), expected);
        }
    }
}
