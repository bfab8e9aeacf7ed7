//! Vhosts: adding, changing and deleting them.

use std::sync::Arc;

use crate::admin::{AdminError, Done, Gone, Settings, bytes_of, check_name, key, values};
use crate::broker::{Broker, DEFAULT_VHOST};
use crate::effects::Effects;
use crate::events::{self, Fields};
use crate::journal::{Lsn, SettingKind};
use crate::names::Name;
use crate::permission::Permissions;
use crate::policy::PolicyKind;
use crate::restore::RestoredBinding;
use crate::vhost::{Vhost, VhostMetadata};

impl Broker {
    /// All vhosts, in order of their names.
    #[must_use]
    pub fn vhosts(&self) -> Vec<Arc<Vhost>> {
        let mut vhosts = self.vhosts.all();
        vhosts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        vhosts
    }

    /// The vhost `name`.
    #[must_use]
    pub fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.vhosts.get(name)
    }

    /// Adds a vhost, or changes what is known of it. Whoever adds one may do everything in it, if it is a user (behaviour:
    /// RabbitMQ).
    ///
    /// # Errors
    /// [`AdminError::Name`], [`AdminError::TooLarge`], [`AdminError::TooManyVhosts`]
    pub fn put_vhost(&self, name: &str, metadata: &VhostMetadata, actor: &str) -> Result<Done, AdminError> {
        check_name("vhost", name)?;
        bytes_of(&values::vhost(metadata))?;
        let mut settings = self.settings();
        let known = self.vhost(name);
        let created = known.is_none();
        if created && let Some(limit) = self.services.node.vhost_limit_reached(self.vhosts.len()) {
            return Err(AdminError::TooManyVhosts { vhost: name.to_owned(), limit });
        }
        let vhost = known.unwrap_or_else(|| self.add_new_vhost(name));
        let event = if created { "vhost.created" } else { "vhost.updated" };
        let mut lsn = self.write_vhost(&mut settings, &vhost, metadata, (event, actor))?;
        if created && let Some(user) = self.user(actor) {
            lsn = self.set_permissions_of(&mut settings, &user, &vhost, Permissions::all(), actor)?;
        }
        Ok(Done { lsn, created })
    }

    fn write_vhost(
        &self,
        settings: &mut Settings,
        vhost: &Arc<Vhost>,
        metadata: &VhostMetadata,
        (event, actor): (&str, &str),
    ) -> Result<Lsn, AdminError> {
        let (name, bytes) = (&vhost.name, bytes_of(&values::vhost(metadata))?);
        let lsn = self.write(settings, key(SettingKind::Vhost, "", name), &bytes);
        settings.unwritten_vhosts.retain(|unwritten| unwritten.name != *name);
        vhost.set_metadata(metadata);
        self.find_place_for_events();
        let node = self.services.notices.node();
        self.services.event(event, |fields| {
            let running = Fields::default().text(node, "running");
            tell(fields, name, metadata).inner("cluster_state", running).by(actor)
        });
        Ok(lsn)
    }

    /// Protects a vhost from deletion, or no longer.
    ///
    /// # Errors
    /// [`AdminError::NoVhost`]
    pub fn set_deletion_protection(&self, name: &str, protected: bool, actor: &str) -> Result<Done, AdminError> {
        let mut settings = self.settings();
        let vhost = self.existing_vhost(name)?;
        let metadata = VhostMetadata { protected_from_deletion: protected, ..vhost.metadata() };
        Ok(Done::at(self.write_vhost(&mut settings, &vhost, &metadata, ("vhost.updated", actor))?))
    }

    /// Traces a vhost, or no longer. This does not survive a restart.
    ///
    /// # Errors
    /// [`AdminError::NoVhost`]
    pub fn set_tracing(&self, name: &str, on: bool) -> Result<(), AdminError> {
        self.existing_vhost(name)?.set_tracing(on);
        Ok(())
    }

    /// Deletes a vhost with everything in it and everything that is set for it. Its connections are closed by whoever is told:
    /// see [`Broker::when_gone`].
    ///
    /// # Errors
    /// [`AdminError::NoVhost`], [`AdminError::Protected`]
    pub fn delete_vhost(&self, name: &str, actor: &str) -> Result<Done, AdminError> {
        let mut effects = Effects::default();
        let mut settings = self.settings();
        let vhost = self.existing_vhost(name)?;
        if vhost.metadata().protected_from_deletion {
            return Err(AdminError::Protected(name.to_owned()));
        }
        self.vhosts.remove(name);
        self.clear_settings_of(&mut settings, &vhost, actor);
        vhost.delete_all(actor, &mut effects);
        // Last, so that a crash in between leaves a vhost with less in it.
        let lsn = self.write_cleared(&mut settings, key(SettingKind::Vhost, "", name));
        settings.unwritten_vhosts.retain(|vhost| &*vhost.name != name);
        self.find_place_for_events();
        self.services.event("vhost.deleted", |fields| fields.text("name", name).by(actor));
        drop(settings);
        effects.carry_out();
        self.tell_gone(&Gone::Vhost(Name::clone(&vhost.name)));
        Ok(Done { lsn, created: false })
    }

    /// Clears permissions, policies, parameters and limits of a vhost that is about to go.
    fn clear_settings_of(&self, settings: &mut Settings, vhost: &Arc<Vhost>, actor: &str) {
        for user in self.users() {
            self.clear_permissions_of(settings, &user, vhost, actor);
            self.clear_topic_permissions_of(settings, &user, vhost, None, actor);
        }
        for (kind, setting) in
            [(PolicyKind::User, SettingKind::Policy), (PolicyKind::Operator, SettingKind::OperatorPolicy)]
        {
            for policy in vhost.policies(kind) {
                self.write_cleared(settings, key(setting, &vhost.name, &policy.name));
                vhost.tell_policy_cleared(kind, &policy.name, actor);
            }
        }
        self.clear_parameters_of(settings, vhost, actor);
        self.clear_limits_of(settings, vhost, actor);
    }

    /// Puts a new vhost into the registry.
    pub(crate) fn add_new_vhost(&self, name: &str) -> Arc<Vhost> {
        let vhost = Vhost::new(name.into(), Arc::clone(&self.services), Arc::clone(&self.queue_ids));
        self.vhosts.insert_new(Name::clone(&vhost.name), Arc::clone(&vhost));
        vhost
    }

    /// Events are told where somebody had bound something to their exchange before the restart.
    pub(crate) fn find_former_place_for_events(&self, bindings: &[RestoredBinding]) {
        let former = bindings.iter().find(|binding| binding.source == events::EXCHANGE);
        if let Some(vhost) = former.and_then(|binding| self.vhost(&binding.vhost)) {
            vhost.tell_events();
        }
        self.find_place_for_events();
    }

    /// Events are told in vhost `/`. Where there is none when they need a place, it is the first by name.
    pub(crate) fn find_place_for_events(&self) {
        if self.services.notices.has_place_for_events() {
            return;
        }
        if let Some(vhost) = self.vhost(DEFAULT_VHOST).or_else(|| self.vhosts().into_iter().next()) {
            vhost.tell_events();
        }
    }

    /// Writes down vhosts that came out of a journal without settings.
    pub(super) fn write_unwritten_vhosts(&self, settings: &mut Settings) -> Result<Lsn, AdminError> {
        for vhost in std::mem::take(&mut settings.unwritten_vhosts) {
            let bytes = bytes_of(&values::vhost(&vhost.metadata()))?;
            self.write(settings, key(SettingKind::Vhost, "", &vhost.name), &bytes);
        }
        Ok(settings.last_lsn)
    }
}

/// What events say of a vhost.
fn tell(fields: Fields, name: &str, metadata: &VhostMetadata) -> Fields {
    let fields = fields.text("name", name).flag("tracing", metadata.tracing);
    let fields = fields.text("description", &metadata.description);
    let fields = fields.texts("tags", metadata.tags.iter().map(String::as_str));
    match metadata.default_queue_type {
        Some(queue_type) => fields.text("default_queue_type", queue_type.as_str()),
        None => fields,
    }
}
