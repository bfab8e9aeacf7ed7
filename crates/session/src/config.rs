//! What the server tells its sessions.

use std::sync::Arc;
use std::time::Duration;

use leveret_codec::table::{FieldTable, FieldValue};

use crate::alarms::Alarms;
use crate::limits::HANDSHAKE_PATIENCE;
use crate::login::Authenticator;
use crate::sasl::Mechanism;

/// Settings of all sessions of a broker.
pub struct SessionConfig {
    /// Highest channel number offered; 0 is no limit.
    pub channel_max: u16,
    /// Largest frame offered, in bytes.
    pub frame_max: u32,
    /// Heartbeat interval offered, in seconds.
    pub heartbeat_s: u16,
    /// Largest body, in bytes. More than 512 MiB has to be meant: RabbitMQ allows no more. 4 GiB is the end.
    pub message_bytes_max: u64,
    /// Most consumers of a channel; 0 is no limit.
    pub consumers_a_channel_max: usize,
    /// Prefetch of a channel's consumers until basic.qos says otherwise; 0 is none.
    pub prefetch: u16,
    /// ...and of all of them together.
    pub prefetch_of_channel: u16,
    /// The mechanisms that clients may log in by. EXTERNAL is offered to those who speak TLS, ANONYMOUS while it stands for
    /// somebody.
    pub mechanisms: Vec<Mechanism>,
    /// Name and password that ANONYMOUS stands for.
    pub anonymous: Option<(String, String)>,
    /// Who is asked about logins; none is the broker's own users.
    pub authenticator: Option<Arc<dyn Authenticator>>,
    /// The whole handshake has to be done within this time.
    pub handshake_timeout: Duration,
    /// What connection.start tells about the server.
    pub server_properties: FieldTable,
    /// What the broker is short of.
    pub alarms: Arc<Alarms>,
    /// Source of 16 random bytes.
    pub random: fn() -> [u8; 16],
}

impl std::fmt::Debug for SessionConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionConfig").field("frame_max", &self.frame_max).finish_non_exhaustive()
    }
}

/// The version of RabbitMQ whose behaviour this is: clients branch on it.
pub const RABBITMQ_VERSION: &str = "4.2.1";

/// The user of a new broker, whom ANONYMOUS stands for.
const GUEST: &str = "guest";

impl SessionConfig {
    /// RabbitMQ's defaults. `random` gives the bytes for generated names.
    #[must_use]
    pub fn new(cluster_name: &str, random: fn() -> [u8; 16]) -> Self {
        Self {
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat_s: 60,
            message_bytes_max: 128 * 1024 * 1024,
            consumers_a_channel_max: 0,
            prefetch: 0,
            prefetch_of_channel: 0,
            mechanisms: Mechanism::DEFAULT.to_vec(),
            anonymous: Some((GUEST.to_owned(), GUEST.to_owned())),
            authenticator: None,
            handshake_timeout: HANDSHAKE_PATIENCE,
            server_properties: server_properties(cluster_name),
            alarms: Arc::default(),
            random,
        }
    }
}

fn server_properties(cluster_name: &str) -> FieldTable {
    let text = |text: &str| FieldValue::LongStr(text.as_bytes().into());
    let mut capabilities = FieldTable::default();
    for capability in [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ] {
        capabilities.push(capability.as_bytes(), FieldValue::Bool(true));
    }
    let mut properties = FieldTable::default();
    properties.push(&b"capabilities"[..], FieldValue::Table(capabilities));
    properties.push(&b"cluster_name"[..], text(cluster_name));
    properties.push(&b"copyright"[..], text("The Leveret authors"));
    properties.push(&b"information"[..], text("Licensed under the Apache License 2.0"));
    properties.push(&b"platform"[..], text("Rust"));
    properties.push(&b"product"[..], text("RabbitMQ"));
    properties.push(&b"product_name"[..], text("Leveret"));
    properties.push(&b"product_version"[..], text(env!("CARGO_PKG_VERSION")));
    properties.push(&b"version"[..], text(RABBITMQ_VERSION));
    properties
}
