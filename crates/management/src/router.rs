//! All routes of the API, in one table.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;

use crate::http::dispatch::{dispatch, nowhere};
use crate::http::routes::Resource;
use crate::state::Api;
use crate::{admin, messaging, page};

/// Every path, with what can be done with it.
#[must_use]
pub fn table() -> Vec<Resource> {
    let mut table = page::resources();
    table.extend(admin::resources());
    table.extend(messaging::resources());
    table
}

/// The router over the table, below the prefix that is set.
pub(crate) fn router(api: &Api) -> Router {
    let prefix = api.prefix();
    let mut router = Router::new();
    for resource in table() {
        let path = match resource.path {
            "/" if !prefix.is_empty() => prefix.clone(),
            path => format!("{prefix}{path}"),
        };
        let (api, resource) = (api.clone(), Arc::new(resource));
        router =
            router.route(&path, any(move |request: Request| dispatch(api.clone(), Arc::clone(&resource), request)));
    }
    let api = api.clone();
    router.fallback(move || nowhere(api.clone()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The paths of RabbitMQ 4.2's management plugin below `/api`, with their methods: G, U (PUT), P (POST), D.
    const RABBITMQS: &str = "overview G|cluster-name GU|version G|nodes G|nodes/{} G|nodes/{}/memory G|\
        nodes/{}/memory/relative G|nodes/{}/memory/ets G|nodes/{}/memory/ets/relative G|nodes/{}/memory/ets/{} G|\
        nodes/{}/memory/ets/{}/relative G|extensions G|all-configuration GP|definitions GP|definitions/{} GP|parameters G|\
        parameters/{} G|parameters/{}/{} G|parameters/{}/{}/{} GUD|global-parameters G|global-parameters/{} GUD|policies G|\
        policies/{} G|policies/{}/{} GUD|operator-policies G|operator-policies/{} G|operator-policies/{}/{} GUD|\
        vhost-limits/{}/{} UD|vhost-limits G|vhost-limits/{} G|connections G|connections/{} GD|connections/username/{} GD|\
        connections/{}/channels G|connections/{}/sessions G|channels G|channels/{} G|consumers G|consumers/{} G|exchanges G|\
        exchanges/{} G|exchanges/{}/{} GUD|exchanges/{}/{}/publish P|exchanges/{}/{}/bindings/source G|\
        exchanges/{}/{}/bindings/destination G|queues G|queues/detailed G|queues/{} G|queues/{}/{} GUD|\
        queues/{}/{}/bindings G|queues/{}/{}/contents D|queues/{}/{}/get P|queues/{}/{}/actions P|\
        queues/quorum/{}/{}/replicas/add P|queues/quorum/{}/{}/replicas/delete D|queues/quorum/{}/{}/status G|\
        queues/quorum/replicas/on/{}/grow P|queues/quorum/replicas/on/{}/shrink D|bindings G|bindings/{} G|\
        bindings/{}/e/{}/{}/{} GP|bindings/{}/e/{}/{}/{}/{} GD|vhosts G|vhosts/{} GUD|vhosts/{}/deletion/protection PD|\
        vhosts/{}/start/{} P|vhosts/{}/permissions G|vhosts/{}/topic-permissions G|vhosts/{}/connections G|\
        vhosts/{}/channels G|users/bulk-delete P|users/without-permissions G|users G|users/{} GUD|users/{}/permissions G|\
        users/{}/topic-permissions G|user-limits/{}/{} UD|user-limits G|user-limits/{} G|feature-flags G|\
        feature-flags/{}/enable U|deprecated-features G|deprecated-features/used G|whoami G|permissions G|\
        permissions/{}/{} GUD|topic-permissions G|topic-permissions/{}/{} GUD|topic-permissions/{}/{}/{} GD|\
        aliveness-test/{} G|healthchecks/node G|healthchecks/node/{} G|health/checks/alarms G|\
        health/checks/local-alarms G|health/checks/metadata-store/initialized G|\
        health/checks/metadata-store/initialized/with-data G|health/checks/certificate-expiration/{}/{} G|\
        health/checks/port-listener/{} G|health/checks/protocol-listener/{} G|health/checks/virtual-hosts G|\
        health/checks/quorum-queues-without-elected-leaders/all-vhosts G|\
        health/checks/quorum-queues-without-elected-leaders/vhost/{} G|\
        health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/{} G|\
        health/checks/quorum-queues-without-elected-leaders/vhost/{}/pattern/{} G|\
        health/checks/node-is-quorum-critical G|health/checks/reached-target-cluster-size G|health/checks/is-in-service G|\
        health/checks/below-node-connection-limit G|health/checks/ready-to-serve-clients G|reset D|reset/{} D|\
        rebalance/queues P|auth G|auth/attempts/{} GD|auth/attempts/{}/source GD|auth/hash_password/{} G|login PD|\
        config/effective G|shovels G|shovels/{} G|shovels/vhost/{}/{} GD|shovels/vhost/{}/{}/restart D|federation-links G|\
        federation-links/{} G|federation-links/vhost/{}/{}/{}/restart D|traces G|traces/{} G|traces/{}/{} GUD|\
        trace-files G|trace-files/{} GD|stream/connections G|stream/publishers G|stream/consumers G";

    /// A path whose parameters have lost their names.
    fn nameless(path: &str) -> String {
        let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    }

    #[test]
    fn every_path_of_rabbitmqs_is_there() {
        let table = table();
        let known: BTreeMap<String, &Resource> =
            table.iter().map(|resource| (nameless(resource.path), resource)).collect();
        for line in RABBITMQS.split('|') {
            let (path, methods) = line.trim().split_once(' ').unwrap();
            let resource = known.get(&format!("/api/{path}"));
            let resource = resource.unwrap_or_else(|| panic!("/api/{path} is missing"));
            for method in methods.chars() {
                let method = match method {
                    'G' => "GET",
                    'U' => "PUT",
                    'P' => "POST",
                    _ => "DELETE",
                };
                let has = resource.operations.iter().any(|operation| operation.method.as_str() == method);
                assert!(has, "/api/{path} has no {method}");
            }
        }
    }
}
