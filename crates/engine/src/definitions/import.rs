//! From definitions to a broker. What is there is not taken away: users, vhosts, permissions, parameters and policies are
//! overwritten, queues and exchanges are left as they are.

use hashbrown::HashSet;
use serde_json::{Value, json};

use super::fields::{Item, items};
use super::{DefinitionsError, Imported, Options};
use crate::admin::{AdminError, Done, NewUser, Password, UserLimit, VhostLimit, no_number, queue_type_named};
use crate::broker::Broker;
use crate::json::table_of_json;
use crate::password::HashingAlgorithm;
use crate::policy::{ApplyTo, NewPolicy, PolicyKind};
use crate::vhost::VhostMetadata;

/// The import at work.
pub(super) struct Import<'a> {
    pub(super) broker: &'a Broker,
    definitions: &'a Value,
    options: Options<'a>,
    pub(super) imported: Imported,
}

/// Imports definitions, in RabbitMQ's order.
///
/// # Errors
/// [`DefinitionsError`]: what was imported before stays.
pub fn import(broker: &Broker, definitions: &Value, options: Options<'_>) -> Result<Imported, DefinitionsError> {
    if !definitions.is_object() {
        return Err(DefinitionsError::NotDefinitions);
    }
    let mut import = Import { broker, definitions, options, imported: Imported::default() };
    match options.vhost {
        None => {
            let new_users = import.users()?;
            import.vhosts()?;
            import.check_queue_limits()?;
            import.own_permissions(&new_users)?;
            import.permissions()?;
            import.exchanges()?;
            import.topic_permissions()?;
            import.global_parameters()?;
        }
        Some(vhost) => {
            import.own_vhost(vhost)?;
            import.check_queue_limits()?;
            import.exchanges()?;
        }
    }
    import.policies()?;
    import.parameters()?;
    import.queues()?;
    import.bindings()?;
    Ok(import.imported)
}

impl<'a> Import<'a> {
    pub(super) fn items(&self, list: &str, what: &'static str) -> Result<Vec<Item<'a>>, DefinitionsError> {
        items(self.definitions, list, what)
    }

    pub(super) fn actor(&self) -> &'a str {
        self.options.actor
    }

    /// The name of the vhost that something goes to.
    pub(super) fn vhost_name(&self, item: Item<'a>) -> Result<&'a str, DefinitionsError> {
        self.options.vhost.or_else(|| item.text("vhost")).ok_or(DefinitionsError::NoVhostNamed)
    }

    pub(super) fn existing_vhost(&self, name: &str) -> Result<std::sync::Arc<crate::vhost::Vhost>, DefinitionsError> {
        self.broker.vhost(name).ok_or_else(|| DefinitionsError::NoVhost(name.to_owned()))
    }

    pub(super) fn note(&mut self, done: Done) {
        self.imported.lsn = self.imported.lsn.max(done.lsn);
    }

    /// Imports the users; returns those that are new.
    fn users(&mut self) -> Result<HashSet<&'a str>, DefinitionsError> {
        let version = ["rabbitmq_version", "rabbit_version"].into_iter();
        let version = version.filter_map(|field| self.definitions.get(field)).find_map(Value::as_str);
        let mut new_users = HashSet::new();
        for item in self.items("users", "a user")? {
            let name = item.required("name")?;
            let password = password_of(item, version)?;
            let tags = match item.tags("tags") {
                Some(tags) => tags,
                // Files of RabbitMQ before 2.4.
                None if item.truth("administrator", false) => vec!["administrator".to_owned()],
                None if item.get("administrator").is_some() => Vec::new(),
                None => return Err(DefinitionsError::NoTags),
            };
            let done = self.broker.put_user(name, &NewUser { password, tags }, self.actor())?;
            self.note(done);
            if done.created {
                new_users.insert(name);
            }
            if let Some(limits) = item.inner("limits") {
                for limit in [UserLimit::MaxConnections, UserLimit::MaxChannels] {
                    if let Some(number) = limits.number(limit.as_str()) {
                        let done = self.broker.set_user_limit(name, limit, Some(number), self.actor())?;
                        self.note(done);
                    }
                }
            }
        }
        Ok(new_users)
    }

    fn vhosts(&mut self) -> Result<(), DefinitionsError> {
        for item in self.items("vhosts", "a virtual host")? {
            let name = item.required("name")?;
            let known = self.broker.vhost(name).map(|vhost| vhost.metadata()).unwrap_or_default();
            let VhostMetadata { tracing, protected_from_deletion, .. } = known;
            let otherwise = VhostMetadata { tracing, protected_from_deletion, ..VhostMetadata::default() };
            let done = self.broker.put_vhost(name, &metadata_of(item, otherwise)?, self.actor())?;
            self.note(done);
            self.vhost_limits(name, item)?;
        }
        Ok(())
    }

    /// What definitions of one vhost say of it: those of RabbitMQ 3 say nothing.
    fn own_vhost(&mut self, name: &str) -> Result<(), DefinitionsError> {
        let known = self.existing_vhost(name)?.metadata();
        let Some(whole) = Item::whole(self.definitions) else { return Ok(()) };
        let metadata = metadata_of(whole, known.clone())?;
        if metadata != known {
            let done = self.broker.put_vhost(name, &metadata, self.actor())?;
            self.note(done);
        }
        self.vhost_limits(name, whole)
    }

    fn vhost_limits(&mut self, name: &str, item: Item<'_>) -> Result<(), DefinitionsError> {
        let Some(limits) = item.inner("limits") else { return Ok(()) };
        for limit in [VhostLimit::MaxConnections, VhostLimit::MaxQueues] {
            if let Some(number) = limits.number(limit.as_str()) {
                let done = self.broker.set_vhost_limit(name, limit, Some(number), self.actor())?;
                self.note(done);
            }
        }
        Ok(())
    }

    /// Permissions that stand with a user; they are for new ones only.
    fn own_permissions(&mut self, new_users: &HashSet<&'a str>) -> Result<(), DefinitionsError> {
        for item in self.items("users", "a user")? {
            let Some(permissions) = item.inner("permissions") else { continue };
            let name = item.required("name")?;
            if !new_users.contains(name) {
                continue;
            }
            for (vhost, permission) in permissions.each_inner() {
                self.permission(name, vhost, permission)?;
            }
        }
        Ok(())
    }

    fn permissions(&mut self) -> Result<(), DefinitionsError> {
        for item in self.items("permissions", "a permission")? {
            let vhost = self.vhost_name(item)?;
            self.permission(item.required("user")?, vhost, item)?;
        }
        Ok(())
    }

    fn permission(&mut self, user: &str, vhost: &str, item: Item<'_>) -> Result<(), DefinitionsError> {
        let (configure, write, read) = (item.required("configure")?, item.required("write")?, item.required("read")?);
        let done = self.broker.set_permissions(user, vhost, configure, write, read, self.actor())?;
        self.note(done);
        Ok(())
    }

    fn topic_permissions(&mut self) -> Result<(), DefinitionsError> {
        for item in self.items("topic_permissions", "a topic permission")? {
            let (user, vhost) = (item.required("user")?, self.vhost_name(item)?);
            let (write, read) = (item.required("write")?, item.required("read")?);
            let exchange = item.required("exchange")?;
            let done = self.broker.set_topic_permissions(user, vhost, exchange, write, read, self.actor())?;
            self.note(done);
        }
        Ok(())
    }

    fn global_parameters(&mut self) -> Result<(), DefinitionsError> {
        for item in self.items("global_parameters", "a global parameter")? {
            let value = item.get("value").cloned().unwrap_or_default();
            let done = self.broker.set_global_parameter(item.required("name")?, value, self.actor())?;
            self.note(done);
        }
        Ok(())
    }

    fn policies(&mut self) -> Result<(), DefinitionsError> {
        for item in self.items("policies", "a policy")? {
            let (vhost, name) = (self.vhost_name(item)?, item.required("name")?);
            self.existing_vhost(vhost)?;
            let placed = |error| refused_at(error, &[vhost, name]);
            let policy = policy_of(item, name).map_err(placed)?;
            let done = self.broker.set_policy(vhost, PolicyKind::User, policy, self.actor()).map_err(placed)?;
            self.note(done);
        }
        Ok(())
    }

    fn parameters(&mut self) -> Result<(), DefinitionsError> {
        for item in self.items("parameters", "a parameter")? {
            let (component, name) = (item.required("component")?, item.required("name")?);
            let vhost = self.vhost_name(item)?;
            self.existing_vhost(vhost)?;
            let value = item.get("value").cloned().unwrap_or_else(|| json!({}));
            let set = self.broker.set_parameter(vhost, component, name, value, self.actor());
            let done = set.map_err(|error| refused_at(error, &[vhost, component, name]))?;
            self.note(done);
        }
        Ok(())
    }
}

fn refused_at(error: AdminError, place: &[&str]) -> DefinitionsError {
    match error {
        AdminError::NoVhost(name) => DefinitionsError::NoVhost(name),
        error => DefinitionsError::Setting { error, place: format!(" ({})", place.join("/")) },
    }
}

fn password_of(item: Item<'_>, version: Option<&str>) -> Result<Password, DefinitionsError> {
    Ok(match (item.text("password"), item.text("password_hash")) {
        (Some(_), Some(_)) => return Err(DefinitionsError::TwoPasswords),
        (Some(password), None) => Password::Plain(password.to_owned()),
        (None, Some(hash)) => {
            let algorithm = match item.text("hashing_algorithm") {
                Some(name) => Some(
                    HashingAlgorithm::parse(name)
                        .ok_or_else(|| AdminError::PasswordHash(format!("hashing algorithm '{name}' is not known")))?,
                ),
                None => version.and_then(algorithm_of_version),
            };
            Password::Hash { hash: hash.to_owned(), algorithm }
        }
        (None, None) => Password::None,
    })
}

/// How versions of RabbitMQ hashed that do not say it.
fn algorithm_of_version(version: &str) -> Option<HashingAlgorithm> {
    let has_md5 = ["3.0.", "3.1.", "3.2.", "3.3.", "3.4.", "3.5."].iter().any(|start| version.starts_with(start));
    if has_md5 {
        return Some(HashingAlgorithm::Md5);
    }
    (version == "3.6.0").then_some(HashingAlgorithm::Sha256)
}

/// What is known of a vhost stands in it, or in its metadata; it is as in `otherwise` where neither says it.
fn metadata_of(item: Item<'_>, otherwise: VhostMetadata) -> Result<VhostMetadata, DefinitionsError> {
    let inner = item.inner("metadata");
    let either = |field: &str| item.get(field).or_else(|| inner.and_then(|inner| inner.get(field)));
    let queue_type = either("default_queue_type").and_then(Value::as_str);
    let default_queue_type = match queue_type.filter(|name| !matches!(*name, "" | "undefined")) {
        Some(name) => Some(queue_type_named(name)?),
        None => otherwise.default_queue_type,
    };
    let protected = either("protected_from_deletion").and_then(Value::as_bool);
    Ok(VhostMetadata {
        description: either("description").and_then(Value::as_str).map_or(otherwise.description, str::to_owned),
        tags: either("tags").map_or(otherwise.tags, super::fields::tags),
        default_queue_type,
        tracing: item.truth("tracing", otherwise.tracing),
        protected_from_deletion: protected.unwrap_or(otherwise.protected_from_deletion),
    })
}

fn priority_of(item: Item<'_>) -> Result<i64, AdminError> {
    match (item.get("priority"), item.number("priority")) {
        (None, _) => Ok(0),
        (Some(_), Some(number)) => Ok(number),
        (Some(value), None) => Err(no_number("priority", value)),
    }
}

fn policy_of(item: Item<'_>, name: &str) -> Result<NewPolicy, AdminError> {
    let not_found = |key: &str| AdminError::Parameter(format!("Key \"{key}\" not found in {name}"));
    let definition = item.get("definition").ok_or_else(|| not_found("definition"))?;
    Ok(NewPolicy {
        name: name.to_owned(),
        pattern: item.text("pattern").ok_or_else(|| not_found("pattern"))?.to_owned(),
        apply_to: item.text("apply-to").map_or(Ok(ApplyTo::All), ApplyTo::parse)?,
        priority: priority_of(item)?,
        definition: table_of_json(definition).map_err(|error| AdminError::Parameter(error.to_string()))?,
    })
}
