//! Settings of the server.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use leveret_config::settings::{self, Listener, Settings, TlsVerify};
use leveret_server::engine::interceptors::Interceptors;
use leveret_server::engine::password::HashingAlgorithm;
use leveret_server::engine::queue::arguments::QueueType;
use leveret_server::tls::TlsConfig;
use leveret_server::{
    DiskLimit, Durability, ListenerConfig, ServerConfig, SocketOptions, StoreConfig, Terms, Watermark,
};

use super::{auth, seed};
use crate::allocator::release_memory;

/// For ever, as far as a handshake is concerned.
const NO_HURRY: Duration = Duration::from_secs(365 * 24 * 3600);

/// What the settings say about the server.
pub(super) fn config(settings: &Settings) -> Result<ServerConfig, String> {
    let listeners = &settings.listeners;
    let tcp = listeners.tcp.iter().map(|listener| ListenerConfig::tcp(address(listener)));
    let tls = listeners.tls.iter().map(|listener| ListenerConfig::tls(address(listener)));
    let login_from = auth::certificate_login(&settings.auth.certificate);
    let tls_options = tls_config(&settings.tls).filter(|_| !listeners.tls.is_empty());
    Ok(ServerConfig {
        listeners: tcp.chain(tls).collect(),
        proxy_protocol: listeners.proxy_protocol,
        socket: socket(listeners),
        tls: tls_options.map(|tls| TlsConfig { login_from, ..tls }),
        tls_handshake_timeout: Duration::from_millis(listeners.tls_handshake_timeout_ms),
        handshake_timeout: listeners.handshake_timeout_ms.map_or(NO_HURRY, Duration::from_millis),
        auth: auth::config(settings)?,
        store: store(settings)?,
        release_memory,
        terms: terms(settings)?,
        seed: seed::config(settings)?,
        message_bytes_max: Some(settings.limits.message_bytes_max),
        node_name: settings.node.name.clone(),
        watermark: match settings.resources.memory_watermark {
            settings::Watermark::Relative(share) => Watermark::Relative(share),
            settings::Watermark::Absolute(bytes) => Watermark::Absolute(bytes),
        },
        memory_available_bytes: settings.resources.total_memory_bytes,
        disk_limit: Some(match settings.resources.disk_free_limit {
            settings::DiskLimit::Relative(share) => DiskLimit::Relative(share),
            settings::DiskLimit::Absolute(bytes) => DiskLimit::Absolute(bytes),
        }),
        statistics_interval: Duration::from_millis(settings.resources.statistics_interval_ms),
    })
}

fn address(listener: &Listener) -> SocketAddr {
    SocketAddr::new(listener.ip.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), listener.port)
}

fn socket(listeners: &settings::Listeners) -> SocketOptions {
    let default = SocketOptions::default();
    let size = |bytes: Option<u64>| bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    SocketOptions {
        backlog: listeners.backlog.and_then(|backlog| i32::try_from(backlog).ok()).unwrap_or(default.backlog),
        nodelay: listeners.nodelay,
        keepalive: listeners.keepalive.unwrap_or(default.keepalive),
        send_buffer_bytes: size(listeners.send_buffer_bytes),
        receive_buffer_bytes: size(listeners.receive_buffer_bytes),
    }
}

/// TLS of a listener; none without a certificate and a key.
pub(super) fn tls_config(tls: &settings::Tls) -> Option<TlsConfig> {
    Some(TlsConfig {
        password: tls.key_password.clone(),
        cacertfile: tls.ca_file.clone(),
        verify_peer: tls.verify == Some(TlsVerify::Peer),
        fail_if_no_peer_cert: tls.fail_if_no_peer_cert,
        depth: tls.depth,
        versions: tls.versions.clone(),
        ciphers: tls.ciphers.clone(),
        honor_cipher_order: tls.honor_cipher_order,
        ..TlsConfig::new(tls.cert_file.clone()?, tls.key_file.clone()?)
    })
}

fn store(settings: &Settings) -> Result<Option<StoreConfig>, String> {
    if settings.store.ephemeral {
        return Ok(None);
    }
    let durability: Durability =
        settings.store.durability.parse().map_err(|error| format!("leveret.durability: {error}"))?;
    let default = StoreConfig::new(&settings.node.data_dir);
    Ok(Some(StoreConfig {
        durability,
        memory_budget_bytes: settings.store.memory_budget_bytes,
        recover: settings.store.recover,
        ..default
    }))
}

fn terms(settings: &Settings) -> Result<Terms, String> {
    let limits = &settings.limits;
    let default_queue_type = match limits.default_queue_type.as_deref() {
        Some("quorum") => QueueType::Quorum,
        Some("stream") => QueueType::Stream,
        _ => QueueType::Classic,
    };
    let hashing = match settings.auth.password_hashing.as_str() {
        "sha512" => HashingAlgorithm::Sha512,
        "md5" => return Err("password_hashing_module: passwords are not hashed with MD5 any more".to_owned()),
        "argon2" => HashingAlgorithm::Argon2,
        _ => HashingAlgorithm::Sha256,
    };
    Ok(Terms {
        heartbeat_s: limits.heartbeat_s,
        frame_bytes_max: limits.frame_bytes_max,
        channel_max: limits.channel_max,
        consumers_a_channel_max: usize::try_from(limits.consumer_max_per_channel.unwrap_or(0)).unwrap_or(usize::MAX),
        connections_max: limits.connection_max,
        channels_max: limits.channel_max_per_node,
        vhosts_max: limits.vhost_max,
        queues_max: limits.queue_max,
        exchanges_max: limits.exchange_max,
        prefetch: limits.default_prefetch,
        prefetch_is_global: limits.default_prefetch_is_global,
        interceptors: Interceptors {
            timestamp: settings.interceptors.timestamp,
            routing_node: settings.interceptors.routing_node,
        },
        passwords: auth::password_rule(&settings.auth.passwords)?,
        consumer_timeout_ms: limits.consumer_timeout_ms,
        default_queue_type,
        relaxed_queue_types: limits.relaxed_queue_type,
        password_hashing: hashing,
        cluster_name: settings.node.cluster_name.clone(),
        cluster_tags: settings.node.cluster_tags.clone(),
    })
}
