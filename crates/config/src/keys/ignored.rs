//! Keys that RabbitMQ knows and nothing comes of here.

use super::{Key, Rule};
use crate::value::Kind;

const NUMBER: Kind = Kind::Number { min: 0, max: u64::MAX };
const PARTITIONS: &[&str] = &["ignore", "pause_minority", "autoheal", "pause_if_all_down"];

const COMPRESSED: &str = "old log files are not compressed";
const SYSLOG_TLS: &str = "nothing is sent to a syslog by TLS";
const JOURNALD_FIELDS: &str = "what the journal is told is always the same";
const MQTT: &str = "MQTT is not spoken";
const STOMP: &str = "STOMP is not spoken";
const STREAM: &str = "streams are read by AMQP 0-9-1; their own protocol is not spoken";
const AMQP_1_0: &str = "AMQP 1.0 is not spoken";
const TRUST_STORE: &str = "there is no trust store; put all certificate authorities into ssl_options.cacertfile";
const DISCOVERY: &str = "a node is on its own: there is no cluster to form";
const RICH: &str = "rich authorization requests are not understood";
const LDAP: &str = "users bind by user_dn_pattern, and groups are not looked for within groups";
const FETCHED: &str = "definitions are not fetched: download them, and name the file by load_definitions";
const OAUTH_PAGE: &str = "there is no page to log in to by OAuth 2";
const INTERCEPTORS: &str =
    "there are no such interceptors: only set_header_timestamp and set_header_routing_node, on the way in";
const KEY_INLINE: &str = "certificates and keys are read from files: certfile, keyfile, cacertfile";
const REVOCATION: &str = "revocation lists are not looked at";
const HOST_NAME: &str = "the name in a server's certificate is always looked at, wildcards included";
const PSK: &str = "there are no pre-shared keys";

/// What nothing comes of.
#[derive(Clone, Copy)]
enum Verdict {
    Meaningless,
    Deprecated(&'static str),
    Absent(&'static str),
}

use Verdict::{Absent, Deprecated, Meaningless};

/// Keys by what comes of them and what their values are; spaces between them.
const LISTS: &[(Verdict, Kind, &str)] = &[
    (
        Meaningless,
        NUMBER,
        "num_acceptors.tcp num_acceptors.ssl background_gc_target_interval cluster_keepalive_interval \
         default_worker_pool_size delegate_count memory_monitor_interval message_store_shutdown_timeout \
         mnesia_table_loading_retry_limit mnesia_table_loading_retry_timeout net_ticktime \
         distribution.listener.port_range.min distribution.listener.port_range.max \
         sysmon_handler.thresholds.busy_ports sysmon_handler.thresholds.busy_processes \
         raft.segment_max_entries raft.snapshot_chunk_size raft.wal_hibernate_after raft.wal_max_batch_size \
         raft.wal_max_entries raft.adaptive_failure_detector.poll_interval \
         metadata_store.khepri.default_timeout runtime_parameters.limits.$category \
         quorum_queue.continuous_membership_reconciliation.interval \
         quorum_queue.continuous_membership_reconciliation.trigger_interval \
         quorum_queue.continuous_membership_reconciliation.target_group_size \
         quorum_queue.initial_cluster_size quorum_queue.commands_soft_limit \
         quorum_queue.default_delivery_limit stream.replication.port_range.min stream.replication.port_range.max \
         stream.read_ahead_limit management.db_cache_multiplier \
         management.delegate_count management.sample_retention_policies.$section.$interval \
         auth_ldap.connection_pool_size",
    ),
    (
        Meaningless,
        Kind::Bool,
        "background_gc_enabled reverse_dns_lookups ssl_allow_poodle_attack quorum_queue.compute_checksums \
         quorum_queue.continuous_membership_reconciliation.enabled \
         quorum_queue.continuous_membership_reconciliation.auto_remove deprecated_features.permit.$name \
         stream.read_ahead log.console.use_colors prometheus.tcp.compress prometheus.ssl.compress \
         management.tcp.compress management.ssl.compress management.listener.server.compress \
         management.require_auth_for_api_desc_page management.restrictions.quorum_queue_replica_operations.disabled \
         management.require_definition_json_extension \
         feature_flags.$name auth_http.authorization_failure_disclosure aws.prefer_imdsv2",
    ),
    (
        Meaningless,
        Kind::Text,
        "queue_leader_locator queue_index_embed_msgs_below \
         erlang.K distribution.listener.interface raft.data_dir \
         raft.wal_max_size_bytes classic_queue.default_version \
         socket_writer.gc_threshold definitions.hashing.algorithm definitions.import_backend auth_cache.cache_module \
         ranch_connection_max prometheus.filter_aggregated_queue_metrics_pattern \
         management_agent.filter_aggregated_queue_metrics_pattern management.http_log_dir event_exchange.vhost \
         event_exchange.protocol auth_ldap.idle_timeout auth_ldap.log \
         sysmon_handler.triggers.process.garbage_collection sysmon_handler.triggers.process.heap_size \
         sysmon_handler.triggers.process.long_scheduled_execution sysmon_handler.triggers.port \
         sysmon_handler.triggers.distribution_port vm_memory_high_watermark_paging_ratio \
         shovel.topology.predeclared vhost_restart_strategy",
    ),
    (Meaningless, Kind::Choice(&["rss", "erlang", "allocated", "legacy"]), "vm_memory_calculation_strategy"),
    (Meaningless, Kind::Choice(&["none", "coarse", "fine"]), "collect_statistics"),
    (Meaningless, Kind::Choice(PARTITIONS), "cluster_partition_handling"),
    (
        Meaningless,
        Kind::Text,
        "cluster_partition_handling.pause_if_all_down.recover cluster_partition_handling.pause_if_all_down.nodes.$name \
         log.console.formatter.json.field_map log.console.formatter.json.verbosity_map \
         log.console.formatter.level_format log.console.formatter.plaintext.format log.console.formatter.single_line \
         log.console.formatter.time_format log.console.color_esc_seqs.$level \
         log.file.formatter.json.field_map log.file.formatter.json.verbosity_map log.file.formatter.level_format \
         log.file.formatter.plaintext.format log.file.formatter.single_line log.file.formatter.time_format \
         log.exchange.formatter.$option log.exchange.formatter.$option.$name log.syslog.formatter.$option \
         log.syslog.formatter.$option.$name",
    ),
    (
        Meaningless,
        Kind::None,
        "ssl_options management.listener.ssl_opts auth_http.ssl_options auth_ldap.ssl_options tcp_listen_options \
         management.ssl_options",
    ),
    (Deprecated("queue_leader_locator"), Kind::Text, "queue_master_locator"),
    (
        Deprecated("nothing: it has no effect in RabbitMQ either"),
        Kind::Text,
        "hipe_compile mirroring_sync_batch_size \
         mirroring_sync_max_throughput cluster_formation.randomized_startup_delay_range.min \
         cluster_formation.randomized_startup_delay_range.max management.enable_uaa management.uaa_client_id \
         management.uaa_location amqp1_0.protocol_strict_mode \
         default_policies.operator.$id.classic_queues.ha_mode default_policies.operator.$id.classic_queues.ha_params \
         default_policies.operator.$id.classic_queues.ha_sync_mode \
         default_policies.operator.$id.classic_queues.queue_version",
    ),
    (Absent(SYSLOG_TLS), Kind::Text, "log.syslog.ssl_options.$option log.syslog.ssl_options.$option.$name"),
    (Absent(JOURNALD_FIELDS), Kind::Text, "log.journald.fields"),
    (Absent(COMPRESSED), Kind::Bool, "log.file.rotation.compress log.$category.rotation.compress"),
    (
        Absent(DISCOVERY),
        Kind::Text,
        "cluster_formation.peer_discovery_backend cluster_formation.node_type cluster_formation.internal_lock_retries \
         cluster_formation.lock_retry_limit cluster_formation.lock_retry_timeout cluster_formation.discovery_retry_limit \
         cluster_formation.discovery_retry_interval cluster_formation.target_cluster_size_hint \
         cluster_formation.registration.enabled cluster_formation.dns.hostname \
         cluster_formation.classic_config.nodes.$node cluster_formation.node_cleanup.$option \
         cluster_formation.proxy.$option cluster_formation.proxy.$option.$name cluster_formation.aws.$option \
         cluster_formation.aws.$option.$name cluster_formation.k8s.$option cluster_formation.kubernetes.$option \
         cluster_formation.consul.$option cluster_formation.consul.$option.$name cluster_formation.consul.$option.$name.$part \
         cluster_formation.etcd.$option cluster_formation.etcd.$option.$name cluster_formation.etcd.$option.$name.$part",
    ),
    (
        Absent(MQTT),
        Kind::Text,
        "mqtt.$option mqtt.$option.$name mqtt.$option.$name.$part web_mqtt.$option web_mqtt.$option.$name \
         web_mqtt.$option.$name.$part",
    ),
    (
        Absent(STOMP),
        Kind::Text,
        "stomp.$option stomp.$option.$name stomp.$option.$name.$part web_stomp.$option \
         web_stomp.$option.$name web_stomp.$option.$name.$part",
    ),
    (Absent(STREAM), Kind::Text, "stream.$option stream.$option.$name stream.$option.$name.$part"),
    (Absent(AMQP_1_0), Kind::Text, "amqp1_0.default_user amqp1_0.default_vhost"),
    (Absent(TRUST_STORE), Kind::Text, "trust_store.$option trust_store.$option.$name trust_store.$option.$name.$part"),
    (
        Absent(OAUTH_PAGE),
        Kind::Text,
        "management.oauth_enabled management.oauth_disable_basic_auth management.oauth_provider_url \
         management.oauth_client_id management.oauth_client_secret management.oauth_response_type \
         management.oauth_metadata_url management.oauth_scopes management.oauth_initiated_logon_type \
         management.oauth_authorization_endpoint_params.$name management.oauth_token_endpoint_params.$name \
         management.oauth_resource_servers.$name.$option management.oauth_resource_servers.$name.$option.$param \
         auth_oauth2.resource_servers.$name.$option auth_oauth2.resource_servers.$name.$option.$part \
         auth_oauth2.oauth_providers.$name.$option auth_oauth2.oauth_providers.$name.$option.$part \
         auth_oauth2.oauth_providers.$name.$option.$part.$number auth_oauth2.default_oauth_provider \
         auth_oauth2.opaque_tokens.$option auth_oauth2.end_session_endpoint auth_oauth2.authorization_endpoint \
         auth_oauth2.token_endpoint auth_oauth2.discovery_endpoint_params.$name auth_oauth2.proxy.$option \
         auth_oauth2.https.crl_check",
    ),
    (Absent(LDAP), Kind::Text, "auth_ldap.user_bind_pattern auth_ldap.group_lookup_base"),
    (Absent(RICH), Kind::Text, "auth_oauth2.resource_server_type"),
    (Meaningless, Kind::Text, "initial_frame_max node_tags.$tag"),
    (Absent(FETCHED), Kind::Text, "definitions.https.url definitions.tls.$option definitions.tls.$option.$name"),
    (
        Absent(INTERCEPTORS),
        Kind::Text,
        "message_interceptors.$direction.$name.overwrite message_interceptors.$direction.$name.$option.$part",
    ),
];

/// Options of a listening socket that the system looks after better.
const SOCKET_OPTIONS: &str = "buffer delay_send dontroute exit_on_close fd high_msgq_watermark high_watermark \
     low_msgq_watermark low_watermark port priority send_timeout send_timeout_close tos linger.on linger.timeout";

/// Timers of HTTP listeners.
const HTTP_OPTIONS: &str = "idle_timeout inactivity_timeout request_timeout shutdown_timeout max_keepalive";
const HTTP_LISTENERS: &str = "management.tcp management.ssl management.listener.server prometheus.tcp prometheus.ssl";

/// TLS options beside those that are honoured.
const TLS_PLACES: &str = "ssl_options management.ssl management.listener.ssl_opts prometheus.ssl auth_http.ssl_options \
     auth_ldap.ssl_options";
const TLS_MEANINGLESS: &str = "client_renegotiation dh dhfile honor_ecc_order log_alert log_level \
     reuse_sessions reuse_session secure_renegotiate bypass_pem_cache";
const TLS_INLINE: &str = "cacerts.$name cert key.RSAPrivateKey key.DSAPrivateKey key.PrivateKeyInfo";

/// TLS options of places where we are the client, and go by what the library does.
const TLS_CLIENTS: &str = "auth_http.ssl_options auth_ldap.ssl_options auth_oauth2.https";
const TLS_CLIENT_OPTIONS: &str = "fail_if_no_peer_cert depth versions.$number ciphers.$number honor_cipher_order sni";

/// TLS of RabbitMQ's own client, for shovels and federation.
const CLIENT_OPTIONS: &str = "amqp_client.ssl_options amqp_client.ssl_options.$option \
     amqp_client.ssl_options.$option.$name";
const CLIENT: &str = "it is for shovels and federation links: give them TLS options in their URIs";

/// All of them.
pub(super) fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    for (verdict, kind, names) in LISTS {
        keys.extend(names.split_whitespace().map(|name| key(name.to_owned(), *verdict, *kind)));
    }
    let mut product = |places: &str, options: &str, verdict: Verdict| {
        for place in places.split_whitespace() {
            let names = options.split_whitespace().map(|option| format!("{place}.{option}"));
            keys.extend(names.map(|name| key(name, verdict, Kind::Text)));
        }
    };
    product("tcp_listen_options", SOCKET_OPTIONS, Meaningless);
    product(HTTP_LISTENERS, HTTP_OPTIONS, Meaningless);
    product(TLS_PLACES, TLS_MEANINGLESS, Meaningless);
    product(TLS_CLIENTS, TLS_CLIENT_OPTIONS, Meaningless);
    product(TLS_CLIENTS, "hostname_verification", Absent(HOST_NAME));
    product(TLS_PLACES, TLS_INLINE, Absent(KEY_INLINE));
    product(TLS_PLACES, "crl_check", Absent(REVOCATION));
    product(TLS_PLACES, "psk_identity", Absent(PSK));
    keys.extend(CLIENT_OPTIONS.split_whitespace().map(|name| key(name.to_owned(), Absent(CLIENT), Kind::Text)));
    keys
}

fn key(pattern: String, verdict: Verdict, kind: Kind) -> Key {
    let rule = match verdict {
        Meaningless => Rule::Meaningless(kind),
        Deprecated(instead) => Rule::Deprecated(kind, instead),
        Absent(reason) => Rule::Absent(kind, reason),
    };
    // Once for the life of the program.
    Key { pattern: pattern.leak(), rule, default: None }
}
