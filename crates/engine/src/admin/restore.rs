//! Settings that a restart found, put in force again. Whatever cannot be understood is told and left out.

use std::sync::Arc;

use serde_json::Value;

use crate::admin::{Settings, key, values};
use crate::broker::Broker;
use crate::effects::Effects;
use crate::journal::SettingKind;
use crate::names::Name;
use crate::permission::Rights;
use crate::policy::{Policy, PolicyKind};
use crate::restore::RestoredSetting;
use crate::user::{Account, User};
use crate::vhost::{Vhost, paused_queue};

impl Broker {
    /// Puts settings back, vhosts and users before what is set for them. Policies act once [`Broker::restored_policies_act`]
    /// says so.
    pub(crate) fn restore_settings(&self, found: &[RestoredSetting], problems: &mut Vec<String>) {
        let mut settings = self.settings();
        let is_first = |kind: &SettingKind| matches!(kind, SettingKind::Vhost | SettingKind::User);
        for first in [true, false] {
            for setting in found {
                let Some(kind) = SettingKind::of_number(setting.kind) else {
                    if first {
                        problems.push(left_out(setting, "its kind is unknown: it was written by a later version"));
                    }
                    continue;
                };
                if is_first(&kind) == first {
                    problems.extend(self.restore_setting(&mut settings, kind, setting).err());
                }
            }
        }
    }

    fn restore_setting(
        &self,
        settings: &mut Settings,
        kind: SettingKind,
        found: &RestoredSetting,
    ) -> Result<(), String> {
        let RestoredSetting { scope, name, value, .. } = found;
        let puzzle = |reason: String| left_out(found, &reason);
        match kind {
            SettingKind::Vhost => return self.restore_vhost(found),
            SettingKind::User => return self.restore_user(found),
            SettingKind::Permission => {
                let (user, vhost) = (self.found_user(name).map_err(puzzle)?, self.found_vhost(scope).map_err(puzzle)?);
                let permissions = values::read_permission(value).map_err(puzzle)?;
                user.change_rights(|rights| {
                    rights.permissions.insert(Name::clone(&vhost.name), permissions);
                });
            }
            SettingKind::TopicPermission => {
                let (user, exchange) = values::read_both(name).map_err(puzzle)?;
                let (user, vhost) = (self.found_user(&user).map_err(puzzle)?, self.found_vhost(scope).map_err(puzzle)?);
                let permissions = values::read_topic_permission(value, &user.name, &vhost.name).map_err(puzzle)?;
                user.change_rights(|rights| {
                    rights.topic_permissions.insert((Name::clone(&vhost.name), exchange.into()), permissions);
                });
            }
            SettingKind::Parameter => {
                let (component, name) = values::read_both(name).map_err(puzzle)?;
                let vhost = self.found_vhost(scope).map_err(puzzle)?;
                let place = (Name::clone(&vhost.name), component.into(), name.into());
                settings.parameters.insert(place, json(value).map_err(puzzle)?);
            }
            SettingKind::GlobalParameter => {
                settings.global_parameters.insert(name.as_str().into(), json(value).map_err(puzzle)?);
            }
            SettingKind::Policy | SettingKind::OperatorPolicy => {
                let kind = if kind == SettingKind::Policy { PolicyKind::User } else { PolicyKind::Operator };
                let vhost = self.found_vhost(scope).map_err(puzzle)?;
                let policy = values::read_policy(name, value).map_err(puzzle)?;
                let policy = Policy::new(kind, policy).map_err(|error| puzzle(error.to_string()))?;
                vhost.restore_policy(kind, policy);
            }
            SettingKind::VhostLimits => {
                let vhost = self.found_vhost(scope).map_err(puzzle)?;
                vhost.set_limits(values::read_vhost_limits(value).map_err(puzzle)?);
            }
            // Its queue is not there yet: see [`Broker::restore_pauses`].
            SettingKind::PausedQueue => {}
            SettingKind::UserLimits => {
                let user = self.found_user(name).map_err(puzzle)?;
                let limits = values::read_user_limits(value).map_err(puzzle)?;
                user.set_account(Account { limits, ..Account::clone(&user.account()) });
            }
        }
        Ok(())
    }

    /// A vhost is there whatever is said of it: its queues have messages.
    fn restore_vhost(&self, found: &RestoredSetting) -> Result<(), String> {
        let vhost = self.vhost(&found.name).unwrap_or_else(|| self.add_new_vhost(&found.name));
        let metadata = values::read_vhost(&found.value)
            .map_err(|reason| format!("what is known of vhost '{}' is ignored: {reason}", found.name))?;
        vhost.set_metadata(&metadata);
        Ok(())
    }

    /// A user is there whatever is said of it, so that it keeps its permissions: but it cannot log in.
    fn restore_user(&self, found: &RestoredSetting) -> Result<(), String> {
        let account = values::read_user(&found.value);
        let known = account.as_ref().cloned().unwrap_or_default();
        let user = User::new(found.name.as_str(), known, Rights::default());
        self.users.insert_new(Name::clone(&user.name), Arc::new(user));
        account
            .map(drop)
            .map_err(|reason| format!("user '{}' cannot log in until it gets a new password: {reason}", found.name))
    }

    /// The vhost of something durable. One of which nothing was set comes into being: that is so in data directories that know
    /// no settings.
    pub(crate) fn vhost_of_restored(&self, name: &str) -> Arc<Vhost> {
        self.vhost(name).unwrap_or_else(|| {
            let vhost = self.add_new_vhost(name);
            self.settings().unwritten_vhosts.push(Arc::clone(&vhost));
            vhost
        })
    }

    /// Queues that were paused are so again. What a crash left of a pause whose queue is gone is cleared.
    pub(crate) fn restore_pauses(&self, found: &[RestoredSetting], problems: &mut Vec<String>) {
        let mut settings = self.settings();
        let is_pause = |setting: &&RestoredSetting| setting.kind == SettingKind::PausedQueue.number();
        for setting in found.iter().filter(is_pause) {
            let RestoredSetting { scope, name, .. } = setting;
            let id = match paused_queue(&setting.value) {
                Ok(id) => id,
                Err(reason) => {
                    problems.push(left_out(setting, &reason));
                    continue;
                }
            };
            let queue = self.vhost(scope).and_then(|vhost| vhost.queue(name).ok());
            match queue.filter(|queue| queue.id == id) {
                Some(queue) => queue.pause(),
                None => {
                    self.write_cleared(&mut settings, key(SettingKind::PausedQueue, scope, name));
                }
            }
        }
    }

    /// All is put back.
    pub(crate) fn restored_policies_act(&self) {
        let mut effects = Effects::default();
        for vhost in self.vhosts().iter().filter(|vhost| vhost.has_policies()) {
            vhost.restored_policies_act(&mut effects);
        }
        effects.carry_out();
    }

    fn found_vhost(&self, name: &str) -> Result<Arc<Vhost>, String> {
        self.vhost(name).ok_or_else(|| format!("there is no vhost '{name}'"))
    }

    fn found_user(&self, name: &str) -> Result<Arc<User>, String> {
        self.user(name).ok_or_else(|| format!("there is no user '{name}'"))
    }
}

fn json(value: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

fn left_out(found: &RestoredSetting, reason: &str) -> String {
    let what = match SettingKind::of_number(found.kind) {
        Some(kind) => format!("{kind:?}"),
        None => format!("kind {}", found.kind),
    };
    match &*found.scope {
        "" => format!("setting {what} '{}' is left out: {reason}", found.name),
        vhost => format!("setting {what} '{}' of vhost '{vhost}' is left out: {reason}", found.name),
    }
}
