//! What users may do in vhosts.

use std::sync::Arc;

use crate::admin::{AdminError, Done, Settings, both, bytes_of, key, values};
use crate::broker::Broker;
use crate::journal::{Lsn, SettingKind};
use crate::names::Name;
use crate::permission::{Permissions, TopicPermissions};
use crate::user::User;
use crate::vhost::Vhost;

/// What a user may do in a vhost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "RabbitMQ's own names")]
pub struct UserPermission {
    pub user: Name,
    pub vhost: Name,
    pub configure: String,
    pub write: String,
    pub read: String,
}

/// What a user may do with the keys of a topic exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "RabbitMQ's own names")]
pub struct UserTopicPermission {
    pub user: Name,
    pub vhost: Name,
    pub exchange: Name,
    pub write: String,
    pub read: String,
}

impl Broker {
    /// Lets a user do what three patterns say in a vhost.
    ///
    /// # Errors
    /// [`AdminError::NoUser`], [`AdminError::NoVhost`], [`AdminError::Pattern`], [`AdminError::TooLarge`]
    pub fn set_permissions(
        &self,
        user: &str,
        vhost: &str,
        configure: &str,
        write: &str,
        read: &str,
        actor: &str,
    ) -> Result<Done, AdminError> {
        for pattern in [configure, write, read] {
            check_pattern(pattern)?;
        }
        let permissions = Permissions::new(configure, write, read).map_err(|error| refused(configure, &error))?;
        let mut settings = self.settings();
        let (user, vhost) = self.user_in_vhost(user, vhost)?;
        let created = !user.rights().permissions.contains_key(&vhost.name);
        let lsn = self.set_permissions_of(&mut settings, &user, &vhost, permissions, actor)?;
        Ok(Done { lsn, created })
    }

    pub(super) fn set_permissions_of(
        &self,
        settings: &mut Settings,
        user: &User,
        vhost: &Vhost,
        permissions: Permissions,
        actor: &str,
    ) -> Result<Lsn, AdminError> {
        let bytes = bytes_of(&values::permission(&permissions))?;
        let lsn = self.write(settings, key(SettingKind::Permission, &vhost.name, &user.name), &bytes);
        self.services.event("permission.created", |fields| {
            let fields = fields.text("user", &user.name).text("vhost", &vhost.name);
            let fields = fields.text("configure", permissions.configure()).text("write", permissions.write());
            fields.text("read", permissions.read()).by(actor)
        });
        user.change_rights(|rights| {
            rights.permissions.insert(Name::clone(&vhost.name), permissions);
        });
        Ok(lsn)
    }

    /// Lets a user do nothing in a vhost from now on, nor open connections to it; those that are open stay.
    ///
    /// # Errors
    /// [`AdminError::NoUser`], [`AdminError::NoVhost`], [`AdminError::Nothing`]
    pub fn clear_permissions(&self, user: &str, vhost: &str, actor: &str) -> Result<Done, AdminError> {
        let mut settings = self.settings();
        let (user, vhost) = self.user_in_vhost(user, vhost)?;
        let cleared = self.clear_permissions_of(&mut settings, &user, &vhost, actor);
        cleared.map(Done::at).ok_or(AdminError::Nothing { what: "Permission" })
    }

    pub(super) fn clear_permissions_of(
        &self,
        settings: &mut Settings,
        user: &User,
        vhost: &Vhost,
        actor: &str,
    ) -> Option<Lsn> {
        if !user.rights().permissions.contains_key(&vhost.name) {
            return None;
        }
        user.change_rights(|rights| {
            rights.permissions.remove(&vhost.name);
        });
        self.services
            .event("permission.deleted", |fields| fields.text("user", &user.name).text("vhost", &vhost.name).by(actor));
        Some(self.write_cleared(settings, key(SettingKind::Permission, &vhost.name, &user.name)))
    }

    /// Lets a user use the keys of a topic exchange that two patterns say. `{username}` and `{vhost}` in them stand for those.
    ///
    /// # Errors
    /// [`AdminError::NoUser`], [`AdminError::NoVhost`], [`AdminError::Pattern`], [`AdminError::TooLarge`]
    pub fn set_topic_permissions(
        &self,
        user: &str,
        vhost: &str,
        exchange: &str,
        write: &str,
        read: &str,
        actor: &str,
    ) -> Result<Done, AdminError> {
        for pattern in [write, read] {
            check_pattern(pattern)?;
        }
        let permissions = TopicPermissions::new(write, read, user, vhost).map_err(|error| refused(write, &error))?;
        let bytes = bytes_of(&values::topic_permission(&permissions))?;
        let mut settings = self.settings();
        let (user, vhost) = self.user_in_vhost(user, vhost)?;
        let name = both(&user.name, exchange);
        let lsn = self.write(&mut settings, key(SettingKind::TopicPermission, &vhost.name, &name), &bytes);
        let mut created = false;
        user.change_rights(|rights| {
            let place = (Name::clone(&vhost.name), Name::from(exchange));
            created = rights.topic_permissions.insert(place, permissions).is_none();
        });
        self.services.event("topic.permission.created", |fields| {
            let fields = fields.text("user", &user.name).text("vhost", &vhost.name).text("exchange", exchange);
            fields.text("write", write).text("read", read).by(actor)
        });
        Ok(Done { lsn, created })
    }

    /// Lets a user use all keys of a topic exchange again, or of all of a vhost.
    ///
    /// # Errors
    /// [`AdminError::NoUser`], [`AdminError::NoVhost`], [`AdminError::Nothing`]
    pub fn clear_topic_permissions(
        &self,
        user: &str,
        vhost: &str,
        exchange: Option<&str>,
        actor: &str,
    ) -> Result<Done, AdminError> {
        let mut settings = self.settings();
        let (user, vhost) = self.user_in_vhost(user, vhost)?;
        let cleared = self.clear_topic_permissions_of(&mut settings, &user, &vhost, exchange, actor);
        cleared.map(Done::at).ok_or(AdminError::Nothing { what: "Topic permission" })
    }

    pub(super) fn clear_topic_permissions_of(
        &self,
        settings: &mut Settings,
        user: &User,
        vhost: &Vhost,
        exchange: Option<&str>,
        actor: &str,
    ) -> Option<Lsn> {
        let rights = user.rights();
        let is_meant = |place: &(Name, Name)| place.0 == vhost.name && exchange.is_none_or(|name| *name == *place.1);
        let meant: Vec<_> = rights.topic_permissions.keys().filter(|place| is_meant(place)).cloned().collect();
        drop(rights);
        let mut end = None;
        for (_, exchange) in &meant {
            let name = both(&user.name, exchange);
            end = Some(self.write_cleared(settings, key(SettingKind::TopicPermission, &vhost.name, &name)));
            self.services.event("topic.permission.deleted", |fields| {
                let fields = fields.text("user", &user.name).text("vhost", &vhost.name);
                fields.text("exchange", exchange).by(actor)
            });
        }
        if end.is_some() {
            user.change_rights(|rights| rights.topic_permissions.retain(|place, _| !is_meant(place)));
        }
        end
    }

    /// All permissions, in order of users and vhosts.
    #[must_use]
    pub fn permissions(&self) -> Vec<UserPermission> {
        let of_user = |user: Arc<User>| {
            let rights = user.rights();
            let permission = |(vhost, permissions): (&Name, &Permissions)| UserPermission {
                user: Name::clone(&user.name),
                vhost: Name::clone(vhost),
                configure: permissions.configure().to_owned(),
                write: permissions.write().to_owned(),
                read: permissions.read().to_owned(),
            };
            let mut permissions: Vec<_> = rights.permissions.iter().map(permission).collect();
            permissions.sort_unstable_by(|a, b| a.vhost.cmp(&b.vhost));
            permissions
        };
        self.users().into_iter().flat_map(of_user).collect()
    }

    /// All topic permissions, in order of users, vhosts and exchanges.
    #[must_use]
    pub fn topic_permissions(&self) -> Vec<UserTopicPermission> {
        let of_user = |user: Arc<User>| {
            let rights = user.rights();
            let permission =
                |((vhost, exchange), permissions): (&(Name, Name), &TopicPermissions)| UserTopicPermission {
                    user: Name::clone(&user.name),
                    vhost: Name::clone(vhost),
                    exchange: Name::clone(exchange),
                    write: permissions.write().to_owned(),
                    read: permissions.read().to_owned(),
                };
            let mut permissions: Vec<_> = rights.topic_permissions.iter().map(permission).collect();
            permissions.sort_unstable_by(|a, b| (&a.vhost, &a.exchange).cmp(&(&b.vhost, &b.exchange)));
            permissions
        };
        self.users().into_iter().flat_map(of_user).collect()
    }

    fn user_in_vhost(&self, user: &str, vhost: &str) -> Result<(Arc<User>, Arc<Vhost>), AdminError> {
        Ok((self.existing_user(user)?, self.existing_vhost(vhost)?))
    }
}

impl Done {
    /// Something changed that was there.
    pub(super) fn at(lsn: Lsn) -> Self {
        Self { lsn, created: false }
    }
}

fn check_pattern(pattern: &str) -> Result<(), AdminError> {
    Permissions::new(pattern, "", "").map(drop).map_err(|error| refused(pattern, &error))
}

fn refused(pattern: &str, error: &impl ToString) -> AdminError {
    AdminError::Pattern { pattern: pattern.to_owned(), reason: error.to_string() }
}
