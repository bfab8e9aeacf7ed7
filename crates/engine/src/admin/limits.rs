//! How much vhosts and users may have.

use crate::admin::{AdminError, Done, Settings, bytes_of, key, values};
use crate::broker::Broker;
use crate::events::Fields;
use crate::journal::{Lsn, SettingKind};
use crate::user::{Account, User, UserLimits};
use crate::vhost::{Vhost, VhostLimits};

/// The name under which a vhost's limits are kept, as a parameter has one.
pub(super) const LIMITS: &str = "limits";

/// The component of the limits of vhosts, which are parameters to RabbitMQ.
pub(super) const VHOST_LIMITS: &str = "vhost-limits";

/// What can be limited of a vhost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VhostLimit {
    /// `max-connections`
    MaxConnections,
    /// `max-queues`
    MaxQueues,
}

/// What can be limited of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserLimit {
    /// `max-connections`
    MaxConnections,
    /// `max-channels`, on all its connections together
    MaxChannels,
}

impl VhostLimit {
    /// The limit of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::MaxConnections, Self::MaxQueues].into_iter().find(|limit| limit.as_str() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxConnections => "max-connections",
            Self::MaxQueues => "max-queues",
        }
    }
}

impl UserLimit {
    /// The limit of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::MaxConnections, Self::MaxChannels].into_iter().find(|limit| limit.as_str() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxConnections => "max-connections",
            Self::MaxChannels => "max-channels",
        }
    }
}

impl Broker {
    /// Limits a vhost; none, and a negative number, lift the limit. What is there already stays.
    ///
    /// # Errors
    /// [`AdminError::NoVhost`]
    pub fn set_vhost_limit(
        &self,
        vhost: &str,
        limit: VhostLimit,
        value: Option<i64>,
        actor: &str,
    ) -> Result<Done, AdminError> {
        let mut settings = self.settings();
        let vhost = self.existing_vhost(vhost)?;
        let mut limits = vhost.limits();
        let place = match limit {
            VhostLimit::MaxConnections => &mut limits.connections_max,
            VhostLimit::MaxQueues => &mut limits.queues_max,
        };
        *place = number(value);
        self.set_vhost_limits_of(&mut settings, &vhost, limits, actor)
    }

    /// How much a vhost may have.
    ///
    /// # Errors
    /// [`AdminError::NoVhost`]
    pub fn vhost_limits(&self, vhost: &str) -> Result<VhostLimits, AdminError> {
        Ok(self.existing_vhost(vhost)?.limits())
    }

    pub(super) fn set_vhost_limits_of(
        &self,
        settings: &mut Settings,
        vhost: &Vhost,
        limits: VhostLimits,
        actor: &str,
    ) -> Result<Done, AdminError> {
        let created = vhost.limits() == VhostLimits::default();
        let key = key(SettingKind::VhostLimits, &vhost.name, LIMITS);
        let lsn = match limits == VhostLimits::default() {
            true => self.write_cleared(settings, key),
            false => self.write(settings, key, &bytes_of(&values::vhost_limits(limits))?),
        };
        vhost.set_limits(limits);
        self.tell_vhost_limits(&vhost.name, limits, actor);
        Ok(Done { lsn, created })
    }

    /// They are a parameter, too.
    fn tell_vhost_limits(&self, vhost: &str, limits: VhostLimits, actor: &str) {
        let is_cleared = limits == VhostLimits::default();
        let with_limits = |fields: Fields| {
            let fields = told(fields, VhostLimit::MaxConnections.as_str(), limits.connections_max);
            told(fields, VhostLimit::MaxQueues.as_str(), limits.queues_max)
        };
        self.tell_limits("parameter", is_cleared, |fields| {
            let fields = fields.text("vhost", vhost).text("component", VHOST_LIMITS).text("name", LIMITS);
            if is_cleared { fields.by(actor) } else { fields.inner("value", with_limits(Fields::default())).by(actor) }
        });
        self.tell_limits("vhost.limits", is_cleared, |fields| {
            with_limits(fields.text("vhost", vhost).text("name", LIMITS)).by(actor)
        });
    }

    /// The limits of a vhost that is about to go are forgotten.
    pub(super) fn clear_limits_of(&self, settings: &mut Settings, vhost: &Vhost, actor: &str) {
        if vhost.limits() != VhostLimits::default() {
            self.write_cleared(settings, key(SettingKind::VhostLimits, &vhost.name, LIMITS));
            self.tell_vhost_limits(&vhost.name, VhostLimits::default(), actor);
        }
    }

    /// Limits a user; none, and a negative number, lift the limit. What is there already stays.
    ///
    /// # Errors
    /// [`AdminError::NoUser`]
    pub fn set_user_limit(
        &self,
        user: &str,
        limit: UserLimit,
        value: Option<i64>,
        actor: &str,
    ) -> Result<Done, AdminError> {
        let mut settings = self.settings();
        let user = self.existing_user(user)?;
        let mut limits = user.limits();
        let place = match limit {
            UserLimit::MaxConnections => &mut limits.connections_max,
            UserLimit::MaxChannels => &mut limits.channels_max,
        };
        *place = number(value);
        let created = user.limits() == UserLimits::default();
        let lsn = self.set_user_limits_of(&mut settings, &user, limits)?;
        self.tell_limits("user.limits", limits == UserLimits::default(), |fields| {
            let fields = fields.text("name", LIMITS).text("username", &user.name);
            let fields = told(fields, UserLimit::MaxConnections.as_str(), limits.connections_max);
            told(fields, UserLimit::MaxChannels.as_str(), limits.channels_max).by(actor)
        });
        Ok(Done { lsn, created })
    }

    fn set_user_limits_of(&self, settings: &mut Settings, user: &User, limits: UserLimits) -> Result<Lsn, AdminError> {
        let key = key(SettingKind::UserLimits, "", &user.name);
        let lsn = match limits == UserLimits::default() {
            true => self.write_cleared(settings, key),
            false => self.write(settings, key, &bytes_of(&values::user_limits(limits))?),
        };
        user.set_account(Account { limits, ..Account::clone(&user.account()) });
        Ok(lsn)
    }

    fn tell_limits(&self, what: &str, cleared: bool, fields: impl FnOnce(Fields) -> Fields) {
        let name = format!("{what}.{}", if cleared { "cleared" } else { "set" });
        self.services.event(&name, fields);
    }
}

/// A negative limit is none.
fn number(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok())
}

fn told(fields: Fields, name: &str, limit: Option<u64>) -> Fields {
    match limit {
        Some(limit) => fields.number(name, limit),
        None => fields,
    }
}
