//! Vhosts, users, policies: what an embedding program sets up. It survives a restart where the broker has a data directory, and
//! does so when the call returns.

use std::sync::Arc;

use leveret_server::engine::admin::{self, AdminError, Done, Password};
use leveret_server::engine::admin::{UserLimit, VhostLimit};
use leveret_server::engine::definitions::{self, DefinitionsError, DefinitionsFacts, Options};
use leveret_server::engine::events::INTERNAL_USER;
use leveret_server::engine::policy::PolicyKind;
use leveret_server::engine::queue::arguments::QueueType;
use leveret_server::engine::vhost::{Vhost, VhostMetadata};
use leveret_server::session::config::RABBITMQ_VERSION;

use crate::{Broker, Error, NewUser, Policy, TopicPermission, durable};

impl Broker {
    /// Adds a vhost, if it is not there.
    ///
    /// # Errors
    /// When nothing can have this name.
    pub fn add_vhost(&self, name: &str) -> Result<(), Error> {
        let metadata = self.engine().vhost(name).map(|vhost| vhost.metadata()).unwrap_or_default();
        self.done(self.engine().put_vhost(name, &metadata, INTERNAL_USER))
    }

    /// Deletes a vhost with everything in it, and closes its connections.
    ///
    /// # Errors
    /// [`Error::NoVhost`]
    pub fn delete_vhost(&self, name: &str) -> Result<(), Error> {
        self.done(self.engine().delete_vhost(name, INTERNAL_USER))
    }

    /// Adds a user, or gives one that is there another password and other permissions.
    ///
    /// # Errors
    /// [`Error::NoVhost`], [`Error::Pattern`]
    pub fn add_user(&self, user: &NewUser) -> Result<(), Error> {
        let tags = self.engine().user(&user.name).map(|known| known.tags()).unwrap_or_default();
        self.add_tagged_user(user, tags)
    }

    pub(crate) fn add_tagged_user(&self, user: &NewUser, tags: Vec<String>) -> Result<(), Error> {
        let NewUser { name, password, vhost, configure, write, read } = user;
        self.existing_vhost(vhost)?;
        let new = admin::NewUser { password: Password::Plain(password.clone()), tags };
        self.engine().put_user(name, &new, INTERNAL_USER)?;
        let permitted = self.engine().set_permissions(name, vhost, configure, write, read, INTERNAL_USER);
        self.done(permitted.map_err(|error| of_user(name, error)))
    }

    /// Deletes a user, and closes its connections.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn delete_user(&self, name: &str) -> Result<(), Error> {
        self.done(self.engine().delete_user(name, INTERNAL_USER))
    }

    pub(crate) fn set_topic_permission(&self, permission: &TopicPermission) -> Result<(), Error> {
        let TopicPermission { user, vhost, exchange, write, read } = permission;
        let permitted = self.engine().set_topic_permissions(user, vhost, exchange, write, read, INTERNAL_USER);
        self.done(permitted.map_err(|error| of_user(user, error)))
    }

    /// Gives a user other permissions in a vhost: patterns for what it may declare and delete, where it may put messages, and
    /// where it may take them from. They act at once, on open connections too.
    ///
    /// # Errors
    /// [`Error::NoVhost`], [`Error::Pattern`], and when there is no such user.
    pub fn set_permissions(&self, user: &str, vhost: &str, [configure, write, read]: [&str; 3]) -> Result<(), Error> {
        let permitted = self.engine().set_permissions(user, vhost, configure, write, read, INTERNAL_USER);
        self.done(permitted.map_err(|error| of_user(user, error)))
    }

    /// Limits a vhost, or no longer. What is there already stays.
    ///
    /// # Errors
    /// [`Error::NoVhost`]
    pub fn set_vhost_limit(&self, vhost: &str, limit: VhostLimit, max: Option<u32>) -> Result<(), Error> {
        self.done(self.engine().set_vhost_limit(vhost, limit, max.map(i64::from), INTERNAL_USER))
    }

    /// Limits a user, or no longer. What is there already stays.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_user_limit(&self, user: &str, limit: UserLimit, max: Option<u32>) -> Result<(), Error> {
        self.done(self.engine().set_user_limit(user, limit, max.map(i64::from), INTERNAL_USER))
    }

    /// Everything that was set up, as the JSON of definitions that RabbitMQ's tools read and write.
    #[must_use]
    pub fn export_definitions(&self) -> String {
        let facts = DefinitionsFacts {
            rabbitmq_version: RABBITMQ_VERSION,
            product_name: "Leveret",
            product_version: env!("CARGO_PKG_VERSION"),
        };
        format!("{:#}", definitions::export(self.engine(), &facts))
    }

    /// Imports definitions in JSON, from RabbitMQ 3 or 4 or from here. What is there is not taken away. Returns what was left
    /// out, a line each.
    ///
    /// ```
    /// let broker = leveret::Broker::builder().start()?;
    /// broker.import_definitions(r#"{"queues": [{"name": "jobs", "vhost": "/", "durable": true}]}"#)?;
    /// assert!(broker.export_definitions().contains("jobs"));
    /// # Ok::<(), leveret::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Definitions`]: what was imported before stays.
    pub fn import_definitions(&self, json: &str) -> Result<Vec<String>, Error> {
        let value = serde_json::from_str(json).map_err(|_| DefinitionsError::NotDefinitions)?;
        let options = Options { vhost: None, actor: INTERNAL_USER };
        let imported = definitions::import(self.engine(), &value, options)?;
        durable::wait(&*self.engine().services.journal, imported.lsn);
        Ok(imported.skipped)
    }

    /// Starts or ends the tracing of a vhost: while it is on, what is published there and delivered from there is copied to
    /// its exchange `amq.rabbitmq.trace`, with routing keys `publish.` and the exchange's name, `deliver.` and the queue's. Says
    /// whether there is such a vhost. It does not survive a restart.
    pub fn set_tracing(&self, vhost: &str, on: bool) -> bool {
        self.engine().set_tracing(vhost, on).is_ok()
    }

    /// Sets a policy of a vhost, in place of one of the same kind and name. It acts at once.
    ///
    /// ```
    /// use leveret::{Broker, Policy, PolicyKind};
    ///
    /// let broker = Broker::builder().start()?;
    /// let short = Policy::new("short", "^orders").number("max-length", 1000).text("overflow", "reject-publish");
    /// broker.set_policy("/", PolicyKind::User, short)?;
    /// # Ok::<(), leveret::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoVhost`], [`Error::Policy`]
    pub fn set_policy(&self, vhost: &str, kind: PolicyKind, policy: Policy) -> Result<(), Error> {
        self.done(self.engine().set_policy(vhost, kind, policy, INTERNAL_USER))
    }

    /// Removes a policy of a vhost. Says whether there was one of this name.
    ///
    /// # Errors
    /// [`Error::NoVhost`]
    pub fn clear_policy(&self, vhost: &str, kind: PolicyKind, name: &str) -> Result<bool, Error> {
        match self.engine().clear_policy(vhost, kind, name, INTERNAL_USER) {
            Err(AdminError::Nothing { .. }) => Ok(false),
            cleared => self.done(cleared).map(|()| true),
        }
    }

    /// What queues of a vhost are from now on that do not say it, as far as they can be: durable ones that are neither
    /// exclusive nor auto-delete.
    ///
    /// # Errors
    /// [`Error::NoVhost`]
    pub fn set_default_queue_type(&self, vhost: &str, queue_type: QueueType) -> Result<(), Error> {
        let metadata = self.existing_vhost(vhost)?.metadata();
        let metadata = VhostMetadata { default_queue_type: Some(queue_type), ..metadata };
        self.done(self.engine().put_vhost(vhost, &metadata, INTERNAL_USER))
    }

    fn engine(&self) -> &leveret_server::engine::broker::Broker {
        self.server.broker()
    }

    fn existing_vhost(&self, name: &str) -> Result<Arc<Vhost>, Error> {
        self.engine().vhost(name).ok_or_else(|| Error::NoVhost(name.to_owned()))
    }

    /// Waits until what was done is durable.
    fn done<E: Into<Error>>(&self, done: Result<Done, E>) -> Result<(), Error> {
        let done = done.map_err(Into::into)?;
        durable::wait(&*self.engine().services.journal, done.lsn);
        Ok(())
    }
}

/// A refusal with the name of the user whose pattern it was.
fn of_user(user: &str, error: AdminError) -> Error {
    match error {
        AdminError::Pattern { reason, .. } => Error::Pattern { user: user.to_owned(), reason },
        other => other.into(),
    }
}
