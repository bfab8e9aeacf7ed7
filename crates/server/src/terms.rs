//! What clients may ask for, and what holds where they do not say.

use std::collections::BTreeMap;

use leveret_engine::admin::AdminError;
use leveret_engine::broker::Broker;
use leveret_engine::events::INTERNAL_USER;
use leveret_engine::interceptors::Interceptors;
use leveret_engine::password::{HashingAlgorithm, PasswordRule};
use leveret_engine::queue::arguments::QueueType;
use leveret_session::config::SessionConfig;
use serde_json::json;

/// The global parameter that holds them.
const CLUSTER_TAGS: &str = "cluster_tags";

/// What clients may ask for, and what holds where they do not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Seconds between heartbeats that are offered (`heartbeat`); 0 is none.
    pub heartbeat_s: u16,
    /// Largest frame offered (`frame_max`); 0 is no limit.
    pub frame_bytes_max: u32,
    /// Highest channel number offered (`channel_max`); 0 is no limit.
    pub channel_max: u16,
    /// Most consumers of a channel (`consumer_max_per_channel`); 0 is no limit.
    pub consumers_a_channel_max: usize,
    /// Most connections (`connection_max`).
    pub connections_max: Option<u64>,
    /// Most channels of all connections (`channel_max_per_node`).
    pub channels_max: Option<u64>,
    /// Most vhosts (`vhost_max`).
    pub vhosts_max: Option<u64>,
    /// Most queues of all vhosts (`cluster_queue_limit`).
    pub queues_max: Option<u64>,
    /// Most exchanges of all vhosts (`cluster_exchange_limit`).
    pub exchanges_max: Option<u64>,
    /// Prefetch of consumers until basic.qos says otherwise (`default_consumer_prefetch`); 0 is none.
    pub prefetch: u16,
    /// ...which then holds for all consumers of a channel together as well.
    pub prefetch_is_global: bool,
    /// What is written into messages that come in (`message_interceptors.incoming`).
    pub interceptors: Interceptors,
    /// Which passwords users may have (`credential_validator`).
    pub passwords: PasswordRule,
    /// How long deliveries may stay unacknowledged (`consumer_timeout`); none for ever.
    pub consumer_timeout_ms: Option<u64>,
    /// What queues are that do not say it (`default_queue_type`).
    pub default_queue_type: QueueType,
    /// A queue may be declared again as of another type (`quorum_queue.property_equivalence.relaxed_checks_on_redeclaration`).
    pub relaxed_queue_types: bool,
    /// How new passwords are hashed (`password_hashing_module`).
    pub password_hashing: HashingAlgorithm,
    /// The cluster's name (`cluster_name`); none leaves it as it was.
    pub cluster_name: Option<String>,
    /// Labels of the cluster (`cluster_tags`); none leaves them as they were.
    pub cluster_tags: BTreeMap<String, String>,
}

impl Default for Terms {
    /// RabbitMQ's, but for the consumer timeout, of which there is none.
    fn default() -> Self {
        let sessions = SessionConfig::new("", || [0; 16]);
        Self {
            heartbeat_s: sessions.heartbeat_s,
            frame_bytes_max: sessions.frame_max,
            channel_max: sessions.channel_max,
            consumers_a_channel_max: sessions.consumers_a_channel_max,
            connections_max: None,
            channels_max: None,
            vhosts_max: None,
            queues_max: None,
            exchanges_max: None,
            prefetch: 0,
            prefetch_is_global: false,
            interceptors: Interceptors::default(),
            passwords: PasswordRule::default(),
            consumer_timeout_ms: None,
            default_queue_type: QueueType::default(),
            relaxed_queue_types: false,
            password_hashing: HashingAlgorithm::default(),
            cluster_name: None,
            cluster_tags: BTreeMap::new(),
        }
    }
}

impl Terms {
    /// Tells the broker.
    pub(crate) fn hold_for(&self, broker: &Broker) -> Result<(), AdminError> {
        let services = &broker.services;
        services.node.set_limits(self.connections_max, self.channels_max);
        services.node.set_limits_of_things(self.vhosts_max, self.queues_max, self.exchanges_max);
        services.set_interceptors(self.interceptors);
        broker.set_password_rule(&self.passwords)?;
        services.set_consumer_timeout_ms(self.consumer_timeout_ms);
        services.set_default_queue_type(self.default_queue_type);
        services.set_relaxed_queue_types(self.relaxed_queue_types);
        broker.set_password_hashing(self.password_hashing);
        if let Some(name) = self.cluster_name.as_deref().filter(|name| *name != broker.cluster_name()) {
            broker.set_cluster_name(name, INTERNAL_USER)?;
        }
        if !self.cluster_tags.is_empty() {
            broker.set_global_parameter(CLUSTER_TAGS, json!(self.cluster_tags), INTERNAL_USER)?;
        }
        Ok(())
    }

    /// Settings of sessions by these terms.
    pub(crate) fn sessions(&self, broker: &Broker, random: fn() -> [u8; 16]) -> SessionConfig {
        SessionConfig {
            heartbeat_s: self.heartbeat_s,
            frame_max: self.frame_bytes_max,
            channel_max: self.channel_max,
            consumers_a_channel_max: self.consumers_a_channel_max,
            prefetch: self.prefetch,
            prefetch_of_channel: if self.prefetch_is_global { self.prefetch } else { 0 },
            ..SessionConfig::new(&broker.cluster_name(), random)
        }
    }
}
