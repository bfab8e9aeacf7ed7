//! Who may do what: every operation against users with every tag, with and without permissions in the vhost.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a test")]

mod common;

use std::collections::BTreeMap;

use common::Broker;
use leveret_management::http::routes::Right;
use leveret_management::router::table;

/// Who may use which operations, as with RabbitMQ. `G` stands for GET, `U` for PUT, `P` for POST, `D` for DELETE.
const RIGHTS: &[(Right, &str)] = &[
    (
        Right::Open,
        "/ G|/api G|/api/auth G|/api/health/checks/below-node-connection-limit G|\
         /api/health/checks/is-in-service G|/api/health/checks/reached-target-cluster-size G|\
         /api/health/checks/ready-to-serve-clients G|/api/index.html G|/api/login PD|/api/openapi.json G|/cli G|\
         /cli/index.html G|/cli/rabbitmqadmin G|/js/{file} G",
    ),
    (
        Right::User,
        "/api/bindings G|/api/channels G|/api/channels/{channel} G|/api/cluster-name G|/api/connections G|\
         /api/connections/username/{user} GD|/api/connections/{connection} GD|\
         /api/connections/{connection}/channels G|/api/connections/{connection}/sessions G|/api/consumers G|\
         /api/exchanges G|/api/extensions G|/api/health/checks/alarms G|\
         /api/health/checks/certificate-expiration/{within}/{unit} G|/api/health/checks/local-alarms G|\
         /api/health/checks/metadata-store/initialized G|\
         /api/health/checks/metadata-store/initialized/with-data G|\
         /api/health/checks/node-is-mirror-sync-critical G|/api/health/checks/node-is-quorum-critical G|\
         /api/health/checks/port-listener/{port} G|/api/health/checks/protocol-listener/{protocols} G|\
         /api/health/checks/virtual-hosts G|/api/healthchecks/node G|/api/healthchecks/node/{node} G|\
         /api/overview G|/api/queues G|/api/queues/detailed G|/api/user-limits G|/api/user-limits/{user} G|\
         /api/version G|/api/vhosts G|/api/whoami G",
    ),
    (
        Right::VhostVisible,
        "/api/bindings/{vhost} G|/api/bindings/{vhost}/e/{source}/{kind}/{destination} G|\
         /api/bindings/{vhost}/e/{source}/{kind}/{destination}/{props} G|/api/consumers/{vhost} G|\
         /api/exchanges/{vhost} G|/api/exchanges/{vhost}/{exchange} G|\
         /api/exchanges/{vhost}/{exchange}/bindings/destination G|\
         /api/exchanges/{vhost}/{exchange}/bindings/source G|/api/federation-links G|\
         /api/federation-links/state/down G|/api/federation-links/{vhost} G|\
         /api/federation-links/{vhost}/state/down G|\
         /api/health/checks/quorum-queues-without-elected-leaders/all-vhosts G|\
         /api/health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/{pattern} G|\
         /api/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost} G|\
         /api/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}/pattern/{pattern} G|\
         /api/queues/{vhost} G|/api/queues/{vhost}/{queue} G|/api/queues/{vhost}/{queue}/bindings G|\
         /api/shovels G|/api/shovels/vhost/{vhost}/{name} G|/api/shovels/{vhost} G|/api/stream/connections G|\
         /api/stream/connections/{vhost} G|/api/stream/consumers G|/api/stream/consumers/{vhost} G|\
         /api/stream/publishers G|/api/stream/publishers/{vhost} G|/api/stream/{vhost}/{queue}/tracking G|\
         /api/trace-files G|/api/traces G|/api/traces/{vhost} G|/api/vhost-limits G|/api/vhost-limits/{vhost} G|\
         /api/vhosts/{vhost} G|/api/vhosts/{vhost}/channels G|/api/vhosts/{vhost}/connections G",
    ),
    (
        Right::Vhost,
        "/api/aliveness-test/{vhost} G|/api/bindings/{vhost}/e/{source}/{kind}/{destination} P|\
         /api/bindings/{vhost}/e/{source}/{kind}/{destination}/{props} D|/api/exchanges/{vhost}/{exchange} UD|\
         /api/exchanges/{vhost}/{exchange}/publish P|/api/operator-policies G|/api/operator-policies/{vhost} G|\
         /api/policies G|/api/policies/{vhost} G|/api/queues/{vhost}/{queue} UD|\
         /api/queues/{vhost}/{queue}/actions P|/api/queues/{vhost}/{queue}/contents D|\
         /api/queues/{vhost}/{queue}/get P|/api/queues/{vhost}/{queue}/messages G|\
         /api/queues/{vhost}/{queue}/messages/{position} D|/api/queues/{vhost}/{queue}/move P|\
         /api/queues/{vhost}/{queue}/pause P|/api/queues/{vhost}/{queue}/redrive P|\
         /api/queues/{vhost}/{queue}/resume P",
    ),
    (
        Right::Monitoring,
        "/api/auth/attempts/{node} GD|/api/auth/attempts/{node}/source GD|/api/leveret/alarms G|\
         /api/leveret/disk_free_limit G|/api/leveret/memory_watermark G|/api/leveret/status G|/api/nodes G|\
         /api/nodes/{node} G|/api/nodes/{node}/memory G|/api/nodes/{node}/memory/ets G|\
         /api/nodes/{node}/memory/ets/relative G|/api/nodes/{node}/memory/ets/{filter} G|\
         /api/nodes/{node}/memory/ets/{filter}/relative G|/api/nodes/{node}/memory/relative G",
    ),
    (
        Right::Policies,
        "/api/federation-links/vhost/{vhost}/{id}/{node}/restart D|/api/operator-policies/{vhost}/{name} G|\
         /api/parameters G|/api/parameters/{component} G|/api/parameters/{component}/{vhost} G|\
         /api/parameters/{component}/{vhost}/{name} GUD|/api/policies/{vhost}/{name} GUD|\
         /api/shovels/vhost/{vhost}/{name} D|/api/shovels/vhost/{vhost}/{name}/restart D",
    ),
    (Right::Policymaker, "/api/global-parameters G|/api/global-parameters/{name} GUD"),
    (
        Right::Administrator,
        "/api/all-configuration GP|/api/auth/hash_password P|/api/auth/hash_password/{password} G|\
         /api/cluster-name U|/api/config/effective G|/api/definitions GP|/api/definitions/{vhost} GP|\
         /api/deprecated-features G|/api/deprecated-features/used G|/api/feature-flags G|\
         /api/feature-flags/{name}/enable U|/api/leveret/authenticate P|/api/leveret/disk_free_limit U|\
         /api/leveret/drain P|/api/leveret/environment G|/api/leveret/environment/rabbit/consumer_timeout U|\
         /api/leveret/events G|/api/leveret/log G|/api/leveret/log/stream G|/api/leveret/log_level U|\
         /api/leveret/memory_watermark U|/api/leveret/os_env G|/api/leveret/reset P|/api/leveret/revive P|\
         /api/leveret/rotate_logs P|/api/leveret/start_app P|/api/leveret/stop P|/api/leveret/stop_app P|\
         /api/operator-policies/{vhost}/{name} UD|/api/permissions G|/api/permissions/{vhost}/{user} GUD|\
         /api/queues/quorum/replicas/on/{node}/grow P|/api/queues/quorum/replicas/on/{node}/shrink D|\
         /api/queues/quorum/{vhost}/{queue}/replicas/add P|/api/queues/quorum/{vhost}/{queue}/replicas/delete D|\
         /api/queues/quorum/{vhost}/{queue}/status G|/api/rebalance/queues P|/api/reset D|/api/reset/{node} D|\
         /api/topic-permissions G|/api/topic-permissions/{vhost}/{user} GUD|\
         /api/topic-permissions/{vhost}/{user}/{exchange} GD|/api/trace-files/{name} GD|\
         /api/traces/{vhost}/{name} GUD|/api/user-limits/{user}/{name} UD|/api/users G|/api/users/bulk-delete P|\
         /api/users/without-permissions G|/api/users/{user} GUD|/api/users/{user}/permissions G|\
         /api/users/{user}/queues G|/api/users/{user}/topic-permissions G|/api/vhost-limits/{vhost}/{name} UD|\
         /api/vhosts/{vhost} UD|/api/vhosts/{vhost}/deletion/protection PD|/api/vhosts/{vhost}/permissions G|\
         /api/vhosts/{vhost}/start/{node} P|/api/vhosts/{vhost}/topic-permissions G",
    ),
];

/// Users by name, with what they are refused: tag, and whether they have permissions in the vhost `v1`.
const USERS: [(&str, &str, bool); 6] = [
    ("untagged", "", true),
    ("outsider", "management", false),
    ("insider", "management", true),
    ("maker", "policymaker", true),
    ("watcher", "monitoring", false),
    ("boss", "administrator", false),
];

/// Answers with 401 of their own accord what is not the user's own.
const OWN: &str = "/api/connections/username/{user}";

/// Never come to an end.
const ENDLESS: [&str; 2] = ["/api/leveret/events", "/api/leveret/log/stream"];

fn is_let_in(user: &str, right: Right, path: &str, vhost: &str) -> bool {
    let (_, tag, has_permissions) = USERS.iter().find(|(name, ..)| *name == user).unwrap();
    let enters = !path.contains("{vhost}") || *has_permissions && vhost == "v1";
    match (right, *tag) {
        (Right::Open, _) | (_, "administrator") => true,
        (_, "") => false,
        (Right::User, _) => true,
        (Right::Vhost, _) => enters,
        (Right::VhostVisible, tag) => enters || tag == "monitoring",
        (Right::Monitoring, tag) => tag == "monitoring",
        (Right::Policies, tag) => tag == "policymaker" && enters,
        (Right::Policymaker, tag) => tag == "policymaker",
        (Right::Administrator, _) => false,
    }
}

fn filled(path: &str, vhost: &str) -> String {
    let segments = path.split('/').map(|segment| match segment {
        "{vhost}" => vhost,
        "{node}" => "rabbit@localhost",
        "{kind}" => "q",
        "{within}" | "{port}" => "1",
        "{unit}" => "days",
        parameter if parameter.starts_with('{') => "x",
        other => other,
    });
    segments.collect::<Vec<_>>().join("/")
}

#[test]
fn every_operation_is_for_those_who_are_named_here() {
    let mut expected = BTreeMap::new();
    for (right, operations) in RIGHTS {
        for operation in operations.split('|').map(str::trim) {
            let (path, methods) = operation.split_once(' ').unwrap();
            for method in methods.chars() {
                let known = expected.insert((path.to_owned(), method), format!("{right:?}"));
                assert!(known.is_none(), "{method} {path} stands here twice");
            }
        }
    }
    let mut actual = BTreeMap::new();
    for resource in table() {
        for operation in &resource.operations {
            let letter = match operation.method.as_str() {
                "GET" => 'G',
                "PUT" => 'U',
                "POST" => 'P',
                "DELETE" => 'D',
                other => panic!("{other} {}", resource.path),
            };
            actual.insert((resource.path.to_owned(), letter), format!("{:?}", operation.right));
        }
    }
    assert_eq!(actual, expected);
}

/// Who is refused is refused before anything is done; what changes something is not asked for by those who may.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_may_do_more() {
    let broker = Broker::start().await;
    assert_eq!(broker.call("PUT", "/api/vhosts/v1", "").await.status, 201);
    for (user, tag, has_permissions) in USERS {
        let body = format!(r#"{{"password":"p","tags":"{tag}"}}"#);
        assert_eq!(broker.call("PUT", &format!("/api/users/{user}"), &body).await.status, 201);
        if has_permissions {
            let all = r#"{"configure":".*","write":".*","read":".*"}"#;
            assert_eq!(broker.call("PUT", &format!("/api/permissions/v1/{user}"), all).await.status, 201);
        }
    }
    for resource in table() {
        let vhosts: &[&str] = if resource.path.contains("{vhost}") { &["v1", "%2F"] } else { &["v1"] };
        for (operation, vhost) in resource.operations.iter().flat_map(|o| vhosts.iter().map(move |vhost| (o, *vhost))) {
            let (method, path) = (operation.method.as_str(), filled(resource.path, vhost));
            if operation.right != Right::Open {
                let reply = broker.raw(method, &path, "", "").await;
                assert_eq!(reply.status, 401, "nobody: {method} {path}: {reply:?}");
            }
            for (user, ..) in USERS {
                let may = is_let_in(user, operation.right, resource.path, vhost);
                let is_asked = !may || method == "GET" && resource.path != OWN && !ENDLESS.contains(&resource.path);
                if is_asked {
                    let reply = broker.call_as(&format!("{user}:p"), method, &path, "").await;
                    assert_eq!(reply.status != 401, may, "{user}: {method} {path}: {reply:?}");
                }
            }
        }
    }
    broker.stop().await;
}
