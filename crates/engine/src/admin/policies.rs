//! Policies, written down and in force.

use crate::admin::{AdminError, Done, bytes_of, check_name, key, values};
use crate::broker::Broker;
use crate::effects::Effects;
use crate::journal::SettingKind;
use crate::policy::{NewPolicy, Policy, PolicyKind};

impl Broker {
    /// Sets a policy of a vhost, in place of one of the same kind and name. It acts at once.
    ///
    /// # Errors
    /// [`AdminError::NoVhost`], [`AdminError::Policy`], [`AdminError::Name`], [`AdminError::TooLarge`]
    pub fn set_policy(
        &self,
        vhost: &str,
        kind: PolicyKind,
        policy: NewPolicy,
        actor: &str,
    ) -> Result<Done, AdminError> {
        check_name("policy", &policy.name)?;
        let policy = Policy::new(kind, policy)?;
        let bytes = bytes_of(&values::policy(&policy))?;
        let mut effects = Effects::default();
        let mut settings = self.settings();
        let vhost = self.existing_vhost(vhost)?;
        let created = !vhost.policies(kind).iter().any(|known| known.name == policy.name);
        let lsn = self.write(&mut settings, key(setting_kind(kind), &vhost.name, &policy.name), &bytes);
        vhost.set_policy(kind, policy, actor, &mut effects);
        drop(settings);
        effects.carry_out();
        Ok(Done { lsn, created })
    }

    /// Removes a policy of a vhost.
    ///
    /// # Errors
    /// [`AdminError::NoVhost`], [`AdminError::Nothing`]
    pub fn clear_policy(&self, vhost: &str, kind: PolicyKind, name: &str, actor: &str) -> Result<Done, AdminError> {
        let mut effects = Effects::default();
        let mut settings = self.settings();
        let vhost = self.existing_vhost(vhost)?;
        if !vhost.clear_policy(kind, name, actor, &mut effects) {
            return Err(AdminError::Nothing { what: "Policy" });
        }
        let lsn = self.write_cleared(&mut settings, key(setting_kind(kind), &vhost.name, name));
        drop(settings);
        effects.carry_out();
        Ok(Done::at(lsn))
    }
}

pub(super) const fn setting_kind(kind: PolicyKind) -> SettingKind {
    match kind {
        PolicyKind::User => SettingKind::Policy,
        PolicyKind::Operator => SettingKind::OperatorPolicy,
    }
}
