//! Who is let in: limits of connections and channels, of the node, of vhosts and of users. And how many things there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use leveret_codec::reply_code::ReplyCode;
use thiserror::Error;

use crate::admin::Gone;
use crate::broker::Broker;
use crate::names::Name;
use crate::services::Services;
use crate::user::User;
use crate::vhost::Vhost;

/// Connections and channels of a broker, and what clients have made: how many there are, and how many there may be.
#[derive(Debug)]
pub struct NodeCounts {
    /// Queues in all vhosts, but for those of direct replies.
    pub(crate) queues: Limited,
    /// Exchanges in all vhosts.
    pub(crate) exchanges: Limited,
    /// `u64::MAX` is no limit.
    vhosts_max: AtomicU64,
    connections: AtomicUsize,
    channels: AtomicUsize,
    /// `u64::MAX` is no limit.
    connections_max: AtomicU64,
    channels_max: AtomicU64,
}

/// A number of things, and how many there may be.
#[derive(Debug)]
pub(crate) struct Limited {
    there: AtomicUsize,
    /// `u64::MAX` is no limit.
    max: AtomicU64,
}

impl Default for Limited {
    fn default() -> Self {
        Self { there: AtomicUsize::new(0), max: AtomicU64::new(u64::MAX) }
    }
}

impl Limited {
    pub(crate) fn one_more(&self) {
        self.there.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn one_less(&self) {
        self.there.fetch_sub(1, Ordering::Relaxed);
    }

    /// The limit, if there are so many.
    pub(crate) fn reached(&self) -> Option<u64> {
        let max = self.max.load(Ordering::Relaxed);
        Some(max).filter(|max| self.there.load(Ordering::Relaxed) as u64 >= *max)
    }
}

/// Why a connection or channel is not let in. Its display is the text after `NOT_ALLOWED - `.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant's text says it")]
pub enum NotAdmitted {
    #[error("connection refused: node connection limit ({limit}) is reached")]
    NodeConnections { limit: u64 },
    #[error("vhost {vhost} not found")]
    NoVhost { vhost: String },
    #[error("access to vhost '{vhost}' refused for user '{user}': connection limit ({limit}) is reached")]
    VhostConnections { vhost: Name, user: Name, limit: u64 },
    #[error("connection refused for user '{user}': user connection limit ({limit}) is reached")]
    UserConnections { user: Name, limit: u64 },
    #[error("access to vhost '{vhost}' refused for user '{user}'")]
    Refused { vhost: Name, user: Name },
    #[error("number of channels opened on node '{node}' has reached the maximum allowed limit of {limit}")]
    NodeChannels { node: String, limit: u64 },
    #[error("number of channels opened for user '{user}' has reached the maximum allowed user limit of {limit}")]
    UserChannels { user: Name, limit: u64 },
}

/// A connection that was let in. It counts until this is dropped.
pub struct Admission {
    /// Whose it is.
    pub user: Arc<User>,
    /// Where it is.
    pub vhost: Arc<Vhost>,
    services: Arc<Services>,
}

/// A channel that was let in. It counts until this is dropped.
pub struct ChannelAdmission {
    user: Arc<User>,
    services: Arc<Services>,
}

impl Default for NodeCounts {
    fn default() -> Self {
        Self {
            queues: Limited::default(),
            exchanges: Limited::default(),
            vhosts_max: AtomicU64::new(u64::MAX),
            connections: AtomicUsize::new(0),
            channels: AtomicUsize::new(0),
            connections_max: AtomicU64::new(u64::MAX),
            channels_max: AtomicU64::new(u64::MAX),
        }
    }
}

impl NodeCounts {
    /// Connections in vhosts now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Channels now.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels.load(Ordering::Relaxed)
    }

    /// How many connections there may be in all.
    #[must_use]
    pub fn connections_max(&self) -> Option<u64> {
        Some(self.connections_max.load(Ordering::Relaxed)).filter(|limit| *limit != u64::MAX)
    }

    /// Lets there be so many connections (`connection_max`) and channels (`channel_max_per_node`).
    pub fn set_limits(&self, connections_max: Option<u64>, channels_max: Option<u64>) {
        self.connections_max.store(connections_max.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.channels_max.store(channels_max.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Lets there be so many vhosts (`vhost_max`), queues (`cluster_queue_limit`) and exchanges (`cluster_exchange_limit`), those
    /// that vhosts begin with among them. What is there already stays.
    pub fn set_limits_of_things(&self, vhosts_max: Option<u64>, queues_max: Option<u64>, exchanges_max: Option<u64>) {
        for (max, limit) in
            [(&self.vhosts_max, vhosts_max), (&self.queues.max, queues_max), (&self.exchanges.max, exchanges_max)]
        {
            max.store(limit.unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// The limit of vhosts, if there are so many.
    pub(crate) fn vhost_limit_reached(&self, vhosts: usize) -> Option<u64> {
        Some(self.vhosts_max.load(Ordering::Relaxed)).filter(|max| vhosts as u64 >= *max)
    }
}

impl NotAdmitted {
    /// The code of the close that carries this refusal.
    #[must_use]
    pub const fn reply_code(&self) -> ReplyCode {
        ReplyCode::NotAllowed
    }
}

impl Broker {
    /// Lets a connection into a vhost, in RabbitMQ's order of checks.
    ///
    /// # Errors
    /// [`NotAdmitted`], for all but channels.
    pub fn admit(&self, user: &Arc<User>, vhost: &str) -> Result<Admission, NotAdmitted> {
        let node = &self.services.node;
        let node_limit = node.connections_max.load(Ordering::Relaxed);
        let in_node =
            Taken::one_of(&node.connections, node_limit).ok_or(NotAdmitted::NodeConnections { limit: node_limit })?;
        let Some(vhost) = self.vhost(vhost) else { return Err(NotAdmitted::NoVhost { vhost: vhost.to_owned() }) };
        let (vhost_name, user_name) = (|| Name::clone(&vhost.name), || Name::clone(&user.name));
        let limit = vhost.limits().connections_max.unwrap_or(u64::MAX);
        let in_vhost = Taken::one_of(&vhost.connections, limit).ok_or_else(|| NotAdmitted::VhostConnections {
            vhost: vhost_name(),
            user: user_name(),
            limit,
        })?;
        let limit = user.limits().connections_max.unwrap_or(u64::MAX);
        let of_user = Taken::one_of(&user.connections, limit)
            .ok_or_else(|| NotAdmitted::UserConnections { user: user_name(), limit })?;
        if !user.may_enter(&vhost.name) {
            return Err(NotAdmitted::Refused { vhost: vhost_name(), user: user_name() });
        }
        for taken in [in_node, in_vhost, of_user] {
            taken.keep();
        }
        let services = Arc::clone(&self.services);
        Ok(Admission { user: Arc::clone(user), vhost: Arc::clone(&vhost), services })
    }
}

impl Admission {
    /// What of it was deleted, if anything was. Whoever opens a connection asks once it can be found.
    #[must_use]
    pub fn gone(&self) -> Option<Gone> {
        if self.vhost.is_deleted() {
            return Some(Gone::Vhost(Name::clone(&self.vhost.name)));
        }
        self.user.is_deleted().then(|| Gone::User(Name::clone(&self.user.name)))
    }

    /// Lets a channel in.
    ///
    /// # Errors
    /// [`NotAdmitted::NodeChannels`], [`NotAdmitted::UserChannels`]
    pub fn admit_channel(&self) -> Result<ChannelAdmission, NotAdmitted> {
        let node = &self.services.node;
        let limit = node.channels_max.load(Ordering::Relaxed);
        let in_node = Taken::one_of(&node.channels, limit)
            .ok_or_else(|| NotAdmitted::NodeChannels { node: self.services.notices.node().to_owned(), limit })?;
        let limit = self.user.limits().channels_max.unwrap_or(u64::MAX);
        let of_user = Taken::one_of(&self.user.channels, limit)
            .ok_or_else(|| NotAdmitted::UserChannels { user: Name::clone(&self.user.name), limit })?;
        in_node.keep();
        of_user.keep();
        Ok(ChannelAdmission { user: Arc::clone(&self.user), services: Arc::clone(&self.services) })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        for count in [&self.services.node.connections, &self.vhost.connections, &self.user.connections] {
            count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for ChannelAdmission {
    fn drop(&mut self) {
        self.services.node.channels.fetch_sub(1, Ordering::AcqRel);
        self.user.channels.fetch_sub(1, Ordering::AcqRel);
    }
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission").field("user", &self.user.name).field("vhost", &self.vhost).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ChannelAdmission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelAdmission").field("user", &self.user.name).finish_non_exhaustive()
    }
}

/// One more in a count, taken back unless it is kept.
struct Taken<'a>(Option<&'a AtomicUsize>);

impl<'a> Taken<'a> {
    /// Counts one more, unless there are `limit` already.
    fn one_of(count: &'a AtomicUsize, limit: u64) -> Option<Self> {
        let one_more = |now: usize| ((now as u64) < limit).then_some(now + 1);
        count.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok().map(|_| Self(Some(count)))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
