//! The plugins that RabbitMQ ships, and others that many use.

use std::path::Path;
use std::{env, fs};

/// A plugin.
pub(super) struct Known {
    pub(super) name: &'static str,
    /// Plugins that it needs.
    pub(super) needs: &'static [&'static str],
    /// What it is for; if it is not built in, why enabling it does nothing.
    pub(super) about: &'static str,
    /// Whether the broker does what it does.
    pub(super) is_built_in: bool,
}

const fn built_in(name: &'static str, needs: &'static [&'static str], about: &'static str) -> Known {
    Known { name, needs, about, is_built_in: true }
}

const fn missing(name: &'static str, needs: &'static [&'static str], about: &'static str) -> Known {
    Known { name, needs, about, is_built_in: false }
}

const NO_MQTT: &str = "MQTT is not spoken";
const NO_STOMP: &str = "STOMP is not spoken";
const NO_STREAM: &str = "streams are read and written by AMQP 0-9-1; the stream protocol is not spoken";
const NO_PEERS: &str = "there is one node, and no peers to discover";
const NO_PAGE: &str = "there is no page of it in the browser; the HTTP API answers";
const AGENT: &[&str] = &["rabbitmq_management_agent", "rabbitmq_web_dispatch"];

/// By name.
pub(super) const ALL: &[Known] = &[
    built_in("rabbitmq_amqp1_0", &[], "an empty plugin since RabbitMQ 4.0"),
    built_in("rabbitmq_auth_backend_cache", &[], "remembers what other back ends answered"),
    built_in("rabbitmq_auth_backend_http", &[], "asks an HTTP server who may do what"),
    built_in("rabbitmq_auth_backend_internal_loopback", &[], "lets users in from this machine only"),
    built_in("rabbitmq_auth_backend_ldap", &[], "asks an LDAP server who may do what"),
    built_in("rabbitmq_auth_backend_oauth2", &[], "takes OAuth 2 tokens"),
    built_in("rabbitmq_auth_mechanism_ssl", &[], "lets clients in by their certificates"),
    built_in("rabbitmq_consistent_hash_exchange", &[], "the exchange type x-consistent-hash"),
    built_in("rabbitmq_delayed_message_exchange", &[], "the exchange type x-delayed-message"),
    built_in("rabbitmq_event_exchange", &[], "events as messages of amq.rabbitmq.event"),
    missing("rabbitmq_federation", &[], "queues and exchanges are not federated"),
    missing("rabbitmq_federation_management", &["rabbitmq_federation", "rabbitmq_management"], NO_PAGE),
    missing(
        "rabbitmq_federation_prometheus",
        &["rabbitmq_federation", "rabbitmq_prometheus"],
        "queues and exchanges are not federated",
    ),
    built_in("rabbitmq_jms_topic_exchange", &[], "the exchange type x-jms-topic"),
    built_in("rabbitmq_management", AGENT, "the HTTP API"),
    built_in("rabbitmq_management_agent", &["rabbitmq_web_dispatch"], "counts for the HTTP API"),
    built_in("rabbitmq_message_deduplication", &[], "leaves messages out that came before"),
    missing("rabbitmq_mqtt", &[], NO_MQTT),
    missing("rabbitmq_peer_discovery_aws", &["rabbitmq_peer_discovery_common"], NO_PEERS),
    missing("rabbitmq_peer_discovery_common", &[], NO_PEERS),
    missing("rabbitmq_peer_discovery_consul", &["rabbitmq_peer_discovery_common"], NO_PEERS),
    missing("rabbitmq_peer_discovery_etcd", &["rabbitmq_peer_discovery_common"], NO_PEERS),
    missing("rabbitmq_peer_discovery_k8s", &["rabbitmq_peer_discovery_common"], NO_PEERS),
    built_in("rabbitmq_prometheus", AGENT, "metrics for Prometheus"),
    built_in("rabbitmq_random_exchange", &[], "the exchange type x-random"),
    built_in("rabbitmq_recent_history_exchange", &[], "the exchange type x-recent-history"),
    missing("rabbitmq_sharding", &[], "queues are not sharded; the exchange type x-modulus-hash is built in"),
    missing("rabbitmq_shovel", &[], "messages are not moved between brokers"),
    missing("rabbitmq_shovel_management", &["rabbitmq_management", "rabbitmq_shovel"], NO_PAGE),
    missing(
        "rabbitmq_shovel_prometheus",
        &["rabbitmq_prometheus", "rabbitmq_shovel"],
        "messages are not moved between brokers",
    ),
    missing("rabbitmq_stomp", &[], NO_STOMP),
    missing("rabbitmq_stream", &[], NO_STREAM),
    missing("rabbitmq_stream_common", &[], NO_STREAM),
    missing("rabbitmq_stream_management", &["rabbitmq_management", "rabbitmq_stream"], NO_STREAM),
    missing("rabbitmq_top", &["rabbitmq_management"], "there are no Erlang processes to show"),
    missing(
        "rabbitmq_tracing",
        &["rabbitmq_management"],
        "traces are not written to files; amq.rabbitmq.trace has them",
    ),
    missing("rabbitmq_trust_store", &[], "certificates are trusted by what ssl_options.cacertfile names"),
    built_in("rabbitmq_web_dispatch", &[], "listeners of the HTTP API"),
    missing("rabbitmq_web_mqtt", &["rabbitmq_mqtt"], NO_MQTT),
    missing("rabbitmq_web_mqtt_examples", &["rabbitmq_web_mqtt"], NO_MQTT),
    missing("rabbitmq_web_stomp", &["rabbitmq_stomp"], NO_STOMP),
    missing("rabbitmq_web_stomp_examples", &["rabbitmq_web_stomp"], NO_STOMP),
];

/// A plugin by its name.
pub(super) fn find(name: &str) -> Option<&'static Known> {
    ALL.iter().find(|plugin| plugin.name == name)
}

/// These plugins and those that they need.
pub(super) fn closure(names: &[String]) -> Vec<String> {
    let mut all: Vec<String> = names.to_vec();
    let needed = names.iter().filter_map(|name| find(name)).flat_map(|plugin| plugin.needs);
    let needed: Vec<String> = needed.map(|&name| name.to_owned()).filter(|name| !names.contains(name)).collect();
    if !needed.is_empty() {
        all.extend(closure(&needed));
    }
    all.sort();
    all.dedup();
    all
}

/// Where archives of plugins are put.
pub(super) fn directory() -> String {
    env::var("RABBITMQ_PLUGINS_DIR").ok().filter(|path| !path.is_empty()).unwrap_or_else(|| "/plugins".to_owned())
}

/// Whether a plugin is known, or its archive was put beside the others.
pub(super) fn is_there(name: &str) -> bool {
    find(name).is_some() || directory().split(':').any(|folder| has_archive(Path::new(folder), name))
}

fn has_archive(folder: &Path, name: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).any(|file| {
        let rest = file.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['-', '.']) || rest.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_needs_is_enabled_with_it() {
        let all = closure(&["rabbitmq_shovel_management".to_owned()]);
        let needed = ["rabbitmq_management", "rabbitmq_management_agent", "rabbitmq_shovel", "rabbitmq_web_dispatch"];
        assert!(needed.iter().all(|name| all.contains(&(*name).to_owned())), "{all:?}");
    }

    #[test]
    fn all_that_is_needed_is_known() {
        for plugin in ALL {
            assert!(plugin.needs.iter().all(|name| find(name).is_some()), "{}", plugin.name);
        }
        assert!(ALL.is_sorted_by_key(|plugin| plugin.name));
        assert!(!is_there("no_such_plugin"));
    }
}
